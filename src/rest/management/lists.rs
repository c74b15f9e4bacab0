//! Lists of users, groups and policies.

use crate::rest::routes::Route;

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    Vec::new()
}
