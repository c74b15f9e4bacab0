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
    /// The keys that were issued for a `MinioAccessKey`.
    Key(KeyName),
}

/// A `MinioAccessKey`. Its keys have no name on the server that would last, so it stands for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName {
    /// The namespace of the object.
    pub namespace: String,
    /// Its `metadata.name`.
    pub name: String,
}

impl KeyName {
    /// The object.
    pub fn object(&self) -> ObjectKey {
        ObjectKey { kind: Kind::MinioAccessKey, namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

impl From<&ObjectKey> for KeyName {
    fn from(object: &ObjectKey) -> Self {
        Self { namespace: object.namespace.clone(), name: object.name.clone() }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Subject {
    /// The kind as a metric label: `everyone`, `policy`, `user`, `group` or `key`.
    pub fn kind(&self) -> &'static str {
        match self {
            Subject::Everyone => "everyone",
            Subject::Policy(_) => "policy",
            Subject::User(_) => "user",
            Subject::Group(_) => "group",
            Subject::Key(_) => "key",
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
            Subject::Key(name) => write!(f, "access key {name}"),
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
    /// `MinioAccessKey`.
    MinioAccessKey,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::MinioUser,
        Self::MinioGroup,
        Self::GroupMembership,
        Self::PathShare,
        Self::MinioPolicy,
        Self::MinioAccessKey,
    ];

    /// The kind, as in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MinioUser => "MinioUser",
            Self::MinioGroup => "MinioGroup",
            Self::GroupMembership => "GroupMembership",
            Self::PathShare => "PathShare",
            Self::MinioPolicy => "MinioPolicy",
            Self::MinioAccessKey => "MinioAccessKey",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
