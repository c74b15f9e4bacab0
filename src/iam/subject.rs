//! The unit of convergence and the names of the objects that cause it.

use std::fmt;

use serde::Serialize;

use super::names::{GroupName, PolicyName, UserName};

/// What is converged as one: everything on the server that belongs to one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The document that carries grants to everyone.
    Everyone,
    /// A canned policy of a `MinioPolicy`.
    Policy(PolicyName),
    /// A user: account, documents, mapping.
    User(UserName),
    /// A group with its twin: groups, members, documents, mappings.
    Group(GroupName),
}

impl Subject {
    /// The kind as a metric label: `everyone`, `policy`, `user` or `group`.
    pub fn kind(&self) -> &'static str {
        match self {
            Subject::Everyone => "everyone",
            Subject::Policy(_) => "policy",
            Subject::User(_) => "user",
            Subject::Group(_) => "group",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Everyone => f.write_str("everyone"),
            Subject::Policy(name) => write!(f, "policy {name}"),
            Subject::User(name) => write!(f, "user {name}"),
            Subject::Group(name) => write!(f, "group {name}"),
        }
    }
}

/// The kinds whose objects take part in the compilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Kind {
    /// `MinioUser`.
    MinioUser,
    /// `MinioGroup`.
    MinioGroup,
    /// `GroupMembership`.
    GroupMembership,
    /// `PathShare`.
    PathShare,
    /// `MinioPolicy`.
    MinioPolicy,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One object in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its `metadata.name`.
    pub name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// An object in one of its versions, as the cause of a change (audit lines).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cause {
    /// The object.
    #[serde(flatten)]
    pub object: ObjectKey,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
}
