//! What the caller can reach.

use super::routes::Route;

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    Vec::new()
}
