//! Objects that the tests of this module share.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;

use super::{IssuedKey, KeyOwner, SecretFacts, Template, secret};
use crate::iam::declared::KeyRequests;
use crate::iam::names::UserName;
use crate::iam::subject::{Cause, Kind, ObjectKey};
use crate::minio::Credentials;

pub(super) fn at(time: &str) -> Timestamp {
    time.parse().expect("a timestamp")
}

fn user_object() -> ObjectKey {
    ObjectKey::new(Kind::MinioUser, "lake", "alice")
}

pub(super) fn owner() -> KeyOwner {
    KeyOwner {
        kind: "MinioUser",
        namespace: "lake".into(),
        object_name: "alice".into(),
        uid: "uid-of-alice".into(),
        user: UserName::parse("alice").expect("a legal name"),
        secret_name: "minio-alice".into(),
        interval: SignedDuration::from_hours(24),
        overlap: SignedDuration::from_hours(24),
        ends_at: None,
        session_policy: None,
        enabled: true,
        waits: None,
        ends_all_keys: true,
        last: None,
        cause: Cause { object: user_object(), uid: "uid-of-alice".into(), generation: 1 },
        requests: KeyRequests::default(),
        handled: KeyRequests::default(),
    }
}

pub(super) fn template() -> Template {
    Template::new("http://minio.example:9000".parse().expect("an endpoint"), "us-east-1")
}

pub(super) fn key() -> IssuedKey {
    IssuedKey {
        user: "alice".into(),
        credentials: Credentials::new("AKEXAMPLE00000000000", "not/a=real'secret+0000000000000000000000"),
        issued_at: at("2026-01-01T00:00:00Z"),
        expires_at: at("2026-01-03T00:00:00Z"),
        serves_until: at("2026-01-03T00:00:00Z"),
        previous_expires_at: None,
        previous_access_key: None,
        session_policy: None,
        made_for: KeyRequests::default(),
    }
}

/// `secret` as the API server gives it back.
pub(super) fn stored(mut secret: Secret, uid: &str, resource_version: &str) -> Secret {
    secret.metadata.uid = Some(uid.into());
    secret.metadata.resource_version = Some(resource_version.into());
    secret
}

/// The facts of the Secret with [`key`].
pub(super) fn facts() -> SecretFacts {
    SecretFacts::of(&stored(secret::secret(&owner(), &template(), &key(), None), "s", "1"), &template())
}

/// The facts of the pending Secret with [`key`].
pub(super) fn pending_facts() -> SecretFacts {
    SecretFacts::of(&stored(secret::pending(&owner(), &key()), "p", "1"), &template())
}
