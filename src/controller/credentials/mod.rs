//! A user's access key and the Secret that carries it: issued, kept, replaced before it ends, and taken away.
//!
//! ```text
//!   watch ──> cache ──> steps (pure: what is there -> the next step) ──> issue (one step = one or two calls)
//!               ^                                                          │
//!               └────────────── own writes ────────────────────────────────┘
//! ```
//!
//! A pair is generated here, written ahead to the Secret `<name>.pending`, created on the server, proven with a signed
//! request, and then promoted to the Secret that people use. Every step can be the last one before a crash: the next run
//! looks at what is there and goes on with the same pair.

mod cache;
mod calls;
mod error;
mod issue;
mod mark;
mod secret;
mod steps;

#[cfg(test)]
mod fixtures;

use jiff::{SignedDuration, Timestamp};

pub use self::{
    cache::{Affected, Scope, SecretCache, SecretView},
    error::{Class, Error, KubernetesFailure},
    issue::{Fence, Forgotten, Issuer, Run},
    mark::{SortedKeys, sort},
    secret::{
        IssuedKey, KeyFacts, PENDING_SUFFIX, SecretFacts, SecretFile, Template, UnknownSecretFile, default_secret_name,
        keys_named_in, pending_name,
    },
    steps::{Check, IssueReason, KeyOnServer, Step, Verdict, judge, next_rotation},
};
use crate::iam::declared::KeyRequests;
use crate::iam::document::Document;
use crate::iam::names::UserName;
use crate::iam::subject::Cause;
use crate::minio::Urgency;

/// An object whose MinIO user gets a key, and what its spec says about the key.
#[derive(Clone, Debug)]
pub struct KeyOwner {
    /// The kind of the object, such as `MinioUser`.
    pub kind: &'static str,
    /// The namespace of the object and of its Secret.
    pub namespace: String,
    /// The name of the object.
    pub object_name: String,
    /// The uid of the object: Secrets belong to it, not to its name.
    pub uid: String,
    /// The MinIO user that the key acts as.
    pub user: UserName,
    /// The name of the Secret; must leave room for [`PENDING_SUFFIX`].
    pub secret_name: String,
    /// How often the key is replaced.
    pub interval: SignedDuration,
    /// How long the former key lives on after a replacement.
    pub overlap: SignedDuration,
    /// When the last key ends.
    pub ends_at: Option<Timestamp>,
    /// What the key is confined to, within the rights of its user.
    pub session_policy: Option<Document>,
    /// Whether the user is enabled. A disabled one gets no new key, and what it has stays.
    pub enabled: bool,
    /// Why no key is made anew at present; one that works may still be replaced.
    pub waits: Option<String>,
    /// Whether a revocation ends every key and session of the user, not only the keys of the object.
    pub ends_all_keys: bool,
    /// What the status of the object says of the key; none for an object that never had one.
    pub last: Option<Recorded>,
    /// The object in its version, for audit lines.
    pub cause: Cause,
    /// What is asked of the key.
    pub requests: KeyRequests,
    /// What the status of the object calls done.
    pub handled: KeyRequests,
}

impl KeyOwner {
    /// The session policy as Secrets and statuses remember it.
    fn session_policy_text(&self) -> Option<String> {
        self.session_policy.as_ref().map(Document::to_json)
    }

    /// What a key must have been made for: requests hold until there are others.
    fn wanted(&self) -> KeyRequests {
        self.requests.or(&self.handled)
    }

    /// Whether the key was made before the last revocation, so that it is to end or has ended already.
    fn is_revoked(&self, key: &KeyFacts) -> bool {
        let wanted = self.wanted().revoke;
        wanted.is_some() && key.made_for.revoke != wanted
    }

    /// Whether other keys and sessions are still to be ended.
    pub fn owes_revocation(&self) -> bool {
        self.requests.revoke.is_some() && self.requests.revoke != self.handled.revoke
    }

    /// How its changes of MinIO wait for their turn: somebody may wait for the answer to a request.
    pub fn urgency(&self) -> Urgency {
        let owes_rotation = self.requests.rotate.is_some() && self.requests.rotate != self.handled.rotate;
        if owes_rotation || self.owes_revocation() { Urgency::Urgent } else { Urgency::Routine }
    }

    /// What a run to the end has handled. A rotation waits while the user is disabled; a revocation does not.
    pub fn handled_by_a_run(&self) -> KeyRequests {
        KeyRequests {
            rotate: self.requests.rotate.clone().filter(|_| self.enabled),
            revoke: self.requests.revoke.clone(),
        }
    }
}

/// What the status of an object says of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The Secret that held it.
    pub secret_name: String,
    /// Its id.
    pub access_key: String,
}

/// What is in force for an object, for its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The Secret with the key.
    pub secret_name: String,
    /// The id of the key.
    pub access_key: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When the server drops it.
    pub expires_at: Timestamp,
    /// When the key before this one ends, while it lives.
    pub previous_expires_at: Option<Timestamp>,
    /// When the key is to be replaced.
    pub next_rotation_at: Timestamp,
    /// Whether this run published it.
    pub is_new: bool,
    /// Why this run made the key; none where it found it.
    pub because: Option<IssueReason>,
}

impl Issued {
    /// When [`Issuer::ensure`] wants to be called again: to replace the key, or to end the one before it.
    pub fn next_visit_at(&self) -> Timestamp {
        self.previous_expires_at.map_or(self.next_rotation_at, |end| end.min(self.next_rotation_at))
    }
}
