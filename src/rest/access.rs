//! Who can reach what, and through which object.

use super::routes::Route;

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    Vec::new()
}
