//! What the objects say, in the words of the legacy API.

use jiff::Timestamp;

use super::view::Known;
use crate::iam::names::{EVERYONE_GROUP, UserName};

/// Whether the layout has folders of everyone, which the legacy API shows as a group that everybody is in.
pub fn shows_everyone(known: &Known) -> bool {
    !known.index.config().layout.everyone().is_empty()
}

/// The groups and twins that a user is in, sorted.
pub fn groups_of(known: &Known, user: &UserName, now: Timestamp) -> Vec<String> {
    let mut groups: Vec<String> = known.index.groups_of(user, now).keys().map(ToString::to_string).collect();
    if shows_everyone(known) {
        groups.push(EVERYONE_GROUP.to_owned());
    }
    groups.sort();
    groups
}

/// How many policies the legacy API counts for a user: its own, and one for each group.
pub fn total_policies(known: &Known, user: &UserName, now: Timestamp) -> usize {
    own_policies(known, user) + groups_of(known, user, now).len()
}

/// The policy of the home, and that of the system folders where the layout has any.
pub fn own_policies(known: &Known, user: &UserName) -> usize {
    1 + usize::from(!known.index.config().layout.user_system(user).is_empty())
}
