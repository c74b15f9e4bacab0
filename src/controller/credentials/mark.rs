//! How a key on the server shows which object it was made for.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::KeyOwner;
use crate::minio::AccessKey;

/// Starts the name of every key of ours.
const PREFIX: &str = "minio-manager-";
/// Starts the description of every key of ours, before the time.
const ISSUED: &str = "issued ";
/// The longest description that the server takes, in bytes.
const DESCRIPTION_LIMIT: usize = 256;

/// The name of every key of the object with this uid: the server takes 32 characters, so a hash stands for the uid.
pub(super) fn name(owner_uid: &str) -> String {
    format!("{PREFIX}{}", hex::encode(&Sha256::digest(owner_uid)[..8]))
}

/// Whether a key was made for the object with this uid.
pub(super) fn is_of(key: &AccessKey, owner_uid: &str) -> bool {
    key.name == name(owner_uid)
}

/// Whether a key was not made for another object than the one with this uid.
pub(super) fn may_be_of(key: &AccessKey, owner_uid: &str) -> bool {
    is_of(key, owner_uid) || !is_of_any(key)
}

/// Whether a key was made for any object.
fn is_of_any(key: &AccessKey) -> bool {
    key.name.starts_with(PREFIX)
}

/// When and for whom a key was made.
pub(super) fn description(owner: &KeyOwner, issued_at: Timestamp) -> String {
    let mut text = format!("{ISSUED}{issued_at} for {} {}/{}", owner.kind, owner.namespace, owner.object_name);
    // Names of objects are ASCII.
    text.truncate(DESCRIPTION_LIMIT);
    text
}

/// When the key was made, as its description says.
pub(super) fn issued_at(key: &AccessKey) -> Option<Timestamp> {
    key.description.strip_prefix(ISSUED)?.split(' ').next()?.parse().ok()
}

/// The living keys of the object with this uid, the oldest first.
pub(super) fn living(keys: Vec<AccessKey>, owner_uid: &str, now: Timestamp) -> Vec<AccessKey> {
    let mut ours: Vec<_> = keys.into_iter().filter(|key| is_of(key, owner_uid) && is_living(key, now)).collect();
    ours.sort_by_cached_key(|key| (issued_at(key), key.expiration, key.access_key.clone()));
    ours
}

/// The living keys of a user, by where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SortedKeys {
    /// Named in a Secret of ours or in a status.
    pub recorded: BTreeSet<String>,
    /// Issued for an object that is known, but named nowhere.
    pub forgotten: BTreeSet<String>,
    /// Named as we name keys, but for no object that is known: it may have been deleted, or not have been seen yet.
    pub stray: BTreeSet<String>,
    /// Issued by somebody else.
    pub foreign: BTreeSet<String>,
}

/// Sorts the keys of a user, whose objects have these uids. `recorded` are the keys that are named in a Secret of ours or in a
/// status.
pub fn sort<'a>(
    keys: &[AccessKey],
    uids: impl IntoIterator<Item = &'a str>,
    recorded: &BTreeSet<String>,
    now: Timestamp,
) -> SortedKeys {
    let names: BTreeSet<String> = uids.into_iter().map(name).collect();
    let mut sorted = SortedKeys::default();
    for key in keys.iter().filter(|key| is_living(key, now)) {
        let place = if recorded.contains(&key.access_key) {
            &mut sorted.recorded
        } else if names.contains(&key.name) {
            &mut sorted.forgotten
        } else if is_of_any(key) {
            &mut sorted.stray
        } else {
            &mut sorted.foreign
        };
        place.insert(key.access_key.clone());
    }
    sorted
}

fn is_living(key: &AccessKey, now: Timestamp) -> bool {
    key.expiration.is_none_or(|expiration| expiration > now)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{at, owner};
    use super::*;

    fn key(id: &str, name: &str, description: String, expiration: Option<Timestamp>) -> AccessKey {
        AccessKey { access_key: id.into(), expiration, enabled: Some(true), name: name.into(), description }
    }

    #[test]
    fn keys_of_an_object_are_found_again_oldest_first() {
        let owner = owner();
        let ours = name(&owner.uid);
        let keys = vec![
            key("NEW", &ours, description(&owner, at("2026-01-02T00:00:00Z")), Some(at("2026-01-04T00:00:00Z"))),
            key("OLD", &ours, description(&owner, at("2026-01-01T00:00:00Z")), Some(at("2026-06-01T00:00:00Z"))),
            key("GONE", &ours, description(&owner, at("2025-01-01T00:00:00Z")), Some(at("2026-01-02T12:00:00Z"))),
            key("OTHER", &name("another uid"), String::new(), None),
            key("FOREIGN", "laptop", String::new(), None),
            key("EDITED", &ours, "mine".into(), None),
        ];
        let living = living(keys, &owner.uid, at("2026-01-03T00:00:00Z"));
        let ids: Vec<_> = living.iter().map(|key| key.access_key.as_str()).collect();
        assert_eq!(ids, ["EDITED", "OLD", "NEW"]);
    }

    #[test]
    fn keys_are_sorted_by_where_they_come_from() {
        let now = at("2026-01-03T00:00:00Z");
        let keys = [
            key("ISSUED", &name("one uid"), String::new(), None),
            key("BACK", &name("one uid"), String::new(), None),
            key("BACK-FOR-ANOTHER-OBJECT", &name("another uid"), String::new(), Some(at("2026-01-04T00:00:00Z"))),
            key("RECORDED", "renamed by somebody", String::new(), None),
            key("STRAY", &name("a uid that nobody knows"), String::new(), None),
            key("LAPTOP", "laptop", String::new(), None),
            key("ENDED", "laptop", String::new(), Some(at("2026-01-02T00:00:00Z"))),
        ];
        let set = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<BTreeSet<String>>();
        let sorted = sort(&keys, ["one uid", "another uid"], &set(&["ISSUED", "RECORDED", "NOT-ON-THE-SERVER"]), now);
        assert_eq!(sorted.recorded, set(&["ISSUED", "RECORDED"]));
        assert_eq!(sorted.forgotten, set(&["BACK", "BACK-FOR-ANOTHER-OBJECT"]));
        assert_eq!((sorted.stray, sorted.foreign), (set(&["STRAY"]), set(&["LAPTOP"])));
    }

    #[test]
    fn marks_fit_the_limits_of_the_server() {
        let owner = KeyOwner { namespace: "n".repeat(63), object_name: "o".repeat(253), ..owner() };
        let name = name(&owner.uid);
        assert!(name.len() <= 32 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
        assert_eq!(description(&owner, at("2026-01-02T00:00:00.123456789Z")).len(), DESCRIPTION_LIMIT);
    }
}
