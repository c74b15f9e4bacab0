//! What of the server is described by objects, and what is not: the one place that decides it.

use std::collections::BTreeSet;

use super::index::Index;
use super::names::{BUILT_IN_POLICIES, DocumentName, EVERYONE_GROUP};
use super::subject::Subject;

/// The part of the server that is looked after.
#[derive(Clone, Copy, Debug)]
pub struct Managed<'a> {
    index: &'a Index,
    refused: &'a BTreeSet<Subject>,
}

impl<'a> Managed<'a> {
    /// What the objects describe, but for the `refused` subjects: their names belong to somebody else.
    pub fn new(index: &'a Index, refused: &'a BTreeSet<Subject>) -> Self {
        Self { index, refused }
    }

    fn is_ours(&self, subject: Option<Subject>) -> bool {
        subject.is_some_and(|subject| !self.refused.contains(&subject))
    }

    /// Whether a user is looked after, or nobody's business: the root user, our own identity.
    pub fn user(&self, name: &str) -> bool {
        self.index.config().reserved_users.contains(name) || self.is_ours(self.index.subject_of_user(name))
    }

    /// Whether a group is looked after.
    pub fn group(&self, name: &str) -> bool {
        name == EVERYONE_GROUP || self.is_ours(self.index.subject_of_group(name))
    }

    /// Whether a policy is looked after, came with the server, or is a mark of ours.
    pub fn policy(&self, name: &DocumentName) -> bool {
        let is_known = BUILT_IN_POLICIES.contains(&name.as_str()) || name.as_str().starts_with("minio-manager--");
        is_known || self.is_ours(self.index.owner_of_document(name))
    }
}
