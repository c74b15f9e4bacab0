//! Folders, shared and unshared.

use crate::rest::routes::Route;

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    Vec::new()
}
