//! What administrators do, and stewards for their groups.

mod departure;
mod groups;
mod lists;
mod members;
mod memberships;
mod policies;
mod users;

pub use memberships::Memberships;

use super::routes::Route;

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    [users::routes(), groups::routes(), members::routes(), lists::routes(), policies::routes()]
        .into_iter()
        .flatten()
        .collect()
}
