//! The OpenAPI document and a page that shows it.

use super::routes::Route;

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    Vec::new()
}
