//! How a key on the server shows which object it was made for.

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

/// When and for whom a key was made.
pub(super) fn description(owner: &KeyOwner, issued_at: Timestamp) -> String {
    let mut text = format!("{ISSUED}{issued_at} for {} {}/{}", owner.kind, owner.namespace, owner.object_name);
    // Names of objects are ASCII.
    text.truncate(DESCRIPTION_LIMIT);
    text
}

/// When the key was made, as its description says.
fn issued_at(key: &AccessKey) -> Option<Timestamp> {
    key.description.strip_prefix(ISSUED)?.split(' ').next()?.parse().ok()
}

/// The living keys of the object with this uid, the oldest first.
pub(super) fn living(keys: Vec<AccessKey>, owner_uid: &str, now: Timestamp) -> Vec<AccessKey> {
    let name = name(owner_uid);
    let mut ours: Vec<_> = keys
        .into_iter()
        .filter(|key| key.name == name && key.expiration.is_none_or(|expiration| expiration > now))
        .collect();
    ours.sort_by_cached_key(|key| (issued_at(key), key.expiration, key.access_key.clone()));
    ours
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
    fn marks_fit_the_limits_of_the_server() {
        let owner = KeyOwner { namespace: "n".repeat(63), object_name: "o".repeat(253), ..owner() };
        let name = name(&owner.uid);
        assert!(name.len() <= 32 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
        assert_eq!(description(&owner, at("2026-01-02T00:00:00.123456789Z")).len(), DESCRIPTION_LIMIT);
    }
}
