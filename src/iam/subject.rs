//! The unit of convergence and the names of the objects that cause it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

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
pub struct KeyName(ObjectKey);

impl KeyName {
    /// The object.
    pub fn object(&self) -> ObjectKey {
        self.0.clone()
    }
}

impl From<&ObjectKey> for KeyName {
    fn from(object: &ObjectKey) -> Self {
        match object.kind {
            Kind::MinioAccessKey => Self(object.clone()),
            _ => Self(ObjectKey::new(Kind::MinioAccessKey, object.namespace.as_str(), object.name.as_str())),
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0.namespace, self.0.name)
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

/// One object in the cluster. It is named in many places at once, so all copies share one text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ObjectKey(Arc<Place>);

/// The parts of an [`ObjectKey`].
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its `metadata.name`.
    pub name: String,
}

impl ObjectKey {
    /// The object of a kind with this name.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self(Arc::new(Place { kind, namespace: namespace.into(), name: name.into() }))
    }

    /// What no key of a kind comes before.
    pub fn first_of(kind: Kind) -> Self {
        Self::new(kind, "", "")
    }
}

impl Deref for ObjectKey {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.0
    }
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
    pub uid: Arc<str>,
    /// `metadata.generation`.
    pub generation: i64,
}
