//! What objects declare, parsed once at the border from the API's texts into the types of the core.

mod read;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::core::{DynamicObject, PartialObjectMeta, PartialObjectMetaExt};

use super::check::Checked;
use super::document::Document;
use super::names::{GroupName, NameError, PolicyName, ServerGroup, UserName};
use super::path::{Access, S3Path};
use super::sorted::SortedMap;
use super::subject::{Cause, KeyName, Kind, ObjectKey, Subject};
use crate::api::{
    AdoptedSecret, AdoptionPolicy, CredentialsSpec, DataDeletionPolicy, DeletionPolicy, Origin, Requests, SubjectKind,
    Workspace, meta::reason,
};

/// Why an object stalls: nothing more happens until a person changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StallReason {
    /// Another object holds the name.
    Conflict,
    /// The namespace may not declare this, or the policy needs to be allowed.
    NotPermitted,
    /// The name is reserved.
    Reserved,
    /// The name is malformed.
    InvalidName,
    /// The path is malformed.
    InvalidPath,
    /// The policy document is refused.
    InvalidDocument,
    /// The path is not below a folder of the owner.
    OwnerMismatch,
    /// A key cannot be confined to these paths.
    InvalidScope,
}

impl StallReason {
    /// The reason as a condition carries it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => reason::CONFLICT,
            Self::NotPermitted => reason::NOT_PERMITTED,
            Self::Reserved => reason::RESERVED,
            Self::InvalidName => reason::INVALID_NAME,
            Self::InvalidPath => reason::INVALID_PATH,
            Self::InvalidDocument => reason::INVALID_DOCUMENT,
            Self::OwnerMismatch => reason::OWNER_MISMATCH,
            Self::InvalidScope => reason::INVALID_SCOPE,
        }
    }
}

/// What is wrong with an object, for its `Stalled` condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The reason of the condition.
    pub reason: StallReason,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Invalid {
    /// A problem in words.
    pub fn new(reason: StallReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl From<NameError> for Invalid {
    fn from(error: NameError) -> Self {
        let reason = match error {
            NameError::Reserved { .. } => StallReason::Reserved,
            NameError::Length { .. } | NameError::Shape { .. } => StallReason::InvalidName,
        };
        Self::new(reason, error.to_string())
    }
}

/// One object, as far as the compilation needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Who it is, and what its metadata and status say.
    pub meta: Meta,
    /// What its spec says, or why that cannot be used.
    pub body: Result<Body, Invalid>,
}

/// What metadata and status of an object say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Kind, namespace and name.
    pub key: ObjectKey,
    /// `metadata.uid`; empty for objects from files.
    pub uid: Arc<str>,
    /// `metadata.generation`
    pub generation: i64,
    /// Whether there is a status of some generation.
    pub observed: bool,
    /// Whether the status calls this generation `Ready`.
    pub settled: bool,
    /// `metadata.creationTimestamp`; objects from files are younger than all others.
    pub created: Timestamp,
    /// `metadata.deletionTimestamp`
    pub deleting: Option<Timestamp>,
    /// Whether our finalizer is set.
    pub finalizer: bool,
    /// Whether status and finalizer say that the object held its name already.
    pub incumbent: bool,
    /// `status.origin`
    pub origin: Option<Origin>,
    /// Whether the REST service made it.
    pub rest: bool,
    /// The reason of the lock annotation.
    pub lock: Option<String>,
    /// Whether the reconcile annotation says `paused`.
    pub paused: bool,
    /// Whether the force-delete annotation is set.
    pub force_delete: bool,
    /// The uid to which the status has bound it: of a share's owner, of a membership's group.
    pub bound_uid: Option<Arc<str>>,
    /// What the rotate and revoke annotations ask for.
    pub requests: KeyRequests,
}

/// What is asked of the key of a user: each request is a value that somebody made up, and a new value is a new request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRequests {
    /// A new key; the former one lives on for the overlap.
    pub rotate: Option<String>,
    /// A new key, and the end of every other key and session.
    pub revoke: Option<String>,
}

impl KeyRequests {
    fn of(object: &impl Requests) -> Self {
        Self { rotate: object.rotate_request(), revoke: object.revoke_request() }
    }

    /// These requests, and those of `earlier` where there is none.
    pub fn or(&self, earlier: &Self) -> Self {
        Self {
            rotate: self.rotate.as_ref().or(earlier.rotate.as_ref()).cloned(),
            revoke: self.revoke.as_ref().or(earlier.revoke.as_ref()).cloned(),
        }
    }
}

/// An object that cannot be decoded. Its metadata can be read nevertheless: it may be under deletion, or locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// Kind, namespace and name.
    pub key: ObjectKey,
    /// Why it cannot be decoded.
    pub error: String,
    /// `metadata.uid`
    pub uid: Arc<str>,
    /// `metadata.deletionTimestamp`
    pub deleting: Option<Timestamp>,
    /// Whether our finalizer is set.
    pub finalizer: bool,
    /// The reason of the lock annotation.
    pub lock: Option<String>,
    /// Whether the reconcile annotation says `paused`.
    pub paused: bool,
    /// Whether the force-delete annotation is set.
    pub force_delete: bool,
    /// What the rotate and revoke annotations ask for.
    pub requests: KeyRequests,
}

impl Undecodable {
    /// What the metadata of an object says that cannot be decoded because of `error`.
    pub fn new(kind: Kind, metadata: ObjectMeta, error: impl Into<String>) -> Self {
        let object: PartialObjectMeta<DynamicObject> = metadata.into_response_partial();
        Self {
            key: ObjectKey::new(kind, object.namespace().unwrap_or_default(), object.name_any()),
            error: error.into(),
            uid: object.uid().unwrap_or_default().into(),
            deleting: object.metadata.deletion_timestamp.as_ref().map(|time| time.0),
            finalizer: object.has_finalizer(),
            lock: object.lock().map(str::to_owned),
            paused: object.is_paused(),
            force_delete: object.is_force_delete(),
            requests: KeyRequests::of(&object),
        }
    }

    /// The last version that could be read, under the present metadata; `None` where that was of another object of the name.
    pub fn over(&self, last: &Declared) -> Option<Declared> {
        if last.meta.uid != self.uid {
            return None;
        }
        let mut declared = last.clone();
        let meta = &mut declared.meta;
        meta.deleting = self.deleting;
        meta.finalizer = self.finalizer;
        meta.incumbent &= self.finalizer;
        meta.lock.clone_from(&self.lock);
        meta.paused = self.paused;
        meta.force_delete = self.force_delete;
        meta.requests.clone_from(&self.requests);
        Some(declared)
    }
}

/// What an object declares. There are many shares; what is larger is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// `MinioUser`
    User(Box<UserDecl>),
    /// `MinioGroup`
    Group(Box<GroupDecl>),
    /// `GroupMembership`
    Membership(MembershipDecl),
    /// `PathShare`
    Share(ShareDecl),
    /// `MinioPolicy`
    Policy(Box<PolicyDecl>),
    /// `MinioAccessKey`
    Key(Box<KeyDecl>),
}

/// What a `MinioUser` declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDecl {
    /// The name on the server.
    pub name: UserName,
    /// `spec.enabled`
    pub enabled: Option<bool>,
    /// `spec.workspace`
    pub workspace: Workspace,
    /// `spec.policies`
    pub policies: PolicyRefs,
    /// `spec.credentials`
    pub credentials: CredentialsSpec,
    /// `spec.adoptionPolicy`
    pub adoption: AdoptionPolicy,
    /// `spec.adoptedSecret`
    pub adopted_secret: AdoptedSecret,
    /// `spec.deletionPolicy`
    pub deletion: Option<DeletionPolicy>,
    /// `spec.dataDeletionPolicy`
    pub data_deletion: DataDeletionPolicy,
}

/// What a `MinioGroup` declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDecl {
    /// The name on the server.
    pub name: GroupName,
    /// `spec.members`
    pub members: BTreeSet<UserName>,
    /// `spec.readOnlyMembers`
    pub read_only_members: BTreeSet<UserName>,
    /// `spec.stewards`
    pub stewards: BTreeSet<UserName>,
    /// Members whose name no user can have.
    pub impossible_members: BTreeSet<String>,
    /// Whether `spec.readOnlyTwin` is Enabled.
    pub twin: bool,
    /// `spec.enabled`
    pub enabled: bool,
    /// `spec.workspace`
    pub workspace: Workspace,
    /// `spec.policies`
    pub policies: PolicyRefs,
    /// `spec.adoptionPolicy`
    pub adoption: AdoptionPolicy,
    /// `spec.deletionPolicy`
    pub deletion: Option<DeletionPolicy>,
    /// `spec.dataDeletionPolicy`
    pub data_deletion: DataDeletionPolicy,
}

/// The policies that a user or a group refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyRefs {
    /// Those with a name that a policy can have.
    pub names: BTreeSet<PolicyName>,
    /// What is wrong with the first other one.
    pub refused: Option<Invalid>,
}

/// What a `GroupMembership` declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipDecl {
    /// The group.
    pub group: GroupName,
    /// Its members.
    pub members: SortedMap<UserName, Terms>,
    /// Members whose name no user can have.
    pub impossible_members: BTreeSet<String>,
}

/// What a `PathShare` declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareDecl {
    /// The path.
    pub path: S3Path,
    /// Who owns the path.
    pub owner: Option<Owner>,
    /// Who gets what.
    pub grants: SortedMap<Target, Terms>,
    /// Whether everyone may read.
    pub everyone: bool,
    /// `spec.suspended`
    pub suspended: bool,
}

/// The owner of a share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A user.
    User(UserName),
    /// A group.
    Group(GroupName),
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {name}"),
            Self::Group(name) => write!(f, "group {name}"),
        }
    }
}

/// Whom a grant names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A user.
    User(UserName),
    /// A group or a twin.
    Group(ServerGroup),
    /// A name that nothing of this kind can have.
    Impossible(SubjectKind, String),
}

impl Target {
    /// User or group.
    pub fn kind(&self) -> SubjectKind {
        match self {
            Self::User(_) => SubjectKind::User,
            Self::Group(_) => SubjectKind::Group,
            Self::Impossible(kind, _) => *kind,
        }
    }

    /// The name as it was declared.
    pub fn name(&self) -> &str {
        match self {
            Self::User(name) => name.as_str(),
            Self::Group(name) => name.as_str(),
            Self::Impossible(_, name) => name,
        }
    }
}

/// What a grant or a membership gives, how long and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The level.
    pub access: Access,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Why, for people.
    pub reason: Option<String>,
}

impl Terms {
    /// Whether it has ended at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// What a `MinioPolicy` declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDecl {
    /// The name on the server.
    pub name: PolicyName,
    /// The document, or why it was refused.
    pub document: Result<Checked, Invalid>,
    /// `spec.adoptionPolicy`
    pub adoption: AdoptionPolicy,
    /// `spec.deletionPolicy`
    pub deletion: Option<DeletionPolicy>,
}

/// What a `MinioAccessKey` declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDecl {
    /// The user that the key acts as.
    pub user: UserName,
    /// What the key is confined to, or why that cannot be; `None` for a key that may do what its user may.
    pub scope: Result<Option<Document>, Invalid>,
    /// Where the key goes and how long it lives.
    pub credentials: CredentialsSpec,
    /// When the key ends for good.
    pub expires_at: Option<Timestamp>,
}

impl KeyDecl {
    /// Whether the key has ended at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

impl Declared {
    /// What is converged for the object itself; none for one that only gives something to others.
    pub fn own_subject(&self) -> Option<Subject> {
        match &self.body {
            Ok(Body::User(user)) => Some(Subject::User(user.name.clone())),
            Ok(Body::Group(group)) => Some(Subject::Group(group.name.clone())),
            Ok(Body::Policy(policy)) => Some(Subject::Policy(policy.name.clone())),
            Ok(Body::Key(_)) => Some(Subject::Key(KeyName::from(&self.meta.key))),
            Ok(Body::Membership(_) | Body::Share(_)) | Err(_) => None,
        }
    }

    /// The key of the object.
    pub fn key(&self) -> &ObjectKey {
        &self.meta.key
    }

    /// The object in this version, for audit lines.
    pub fn cause(&self) -> Cause {
        Cause { object: self.meta.key.clone(), uid: self.meta.uid.clone(), generation: self.meta.generation }
    }

    /// What becomes of the thing on the server when the object goes; Retain for kinds that have no such field.
    pub fn deletion_policy(&self) -> DeletionPolicy {
        let declared = match &self.body {
            Ok(Body::User(user)) => user.deletion,
            Ok(Body::Group(group)) => group.deletion,
            Ok(Body::Policy(policy)) => policy.deletion,
            Ok(Body::Membership(_) | Body::Share(_) | Body::Key(_)) | Err(_) => Some(DeletionPolicy::Retain),
        };
        DeletionPolicy::effective(declared, self.meta.origin)
    }
}

#[cfg(test)]
mod tests;
