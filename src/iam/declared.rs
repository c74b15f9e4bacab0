//! What objects declare, parsed once at the border from the API's texts into the types of the core.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::ResourceExt;
use kube::core::{DynamicObject, PartialObjectMeta, PartialObjectMetaExt};

use super::check::{CheckOptions, Checked, check};
use super::compile::uncovered;
use super::document::{Document, MAX_SESSION_POLICY_BYTES};
use super::family;
use super::names::{GroupName, NameError, PolicyName, ServerGroup, UserName};
use super::path::{Access, Rights, S3Path};
use super::subject::{Cause, Kind, ObjectKey};
use crate::api::{
    self, AdoptedSecret, AdoptionPolicy, CredentialsSpec, DataDeletionPolicy, DeletionPolicy, Origin, Requests,
    SubjectKind, Twin, Workspace,
    meta::{condition, reason},
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
    pub uid: String,
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
    pub bound_uid: Option<String>,
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
    pub uid: String,
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
            key: ObjectKey { kind, namespace: object.namespace().unwrap_or_default(), name: object.name_any() },
            error: error.into(),
            uid: object.uid().unwrap_or_default(),
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

/// What an object declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// `MinioUser`
    User(UserDecl),
    /// `MinioGroup`
    Group(GroupDecl),
    /// `GroupMembership`
    Membership(MembershipDecl),
    /// `PathShare`
    Share(ShareDecl),
    /// `MinioPolicy`
    Policy(PolicyDecl),
    /// `MinioAccessKey`
    Key(KeyDecl),
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
    pub members: BTreeMap<UserName, Terms>,
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
    pub grants: BTreeMap<Target, Terms>,
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
    /// Reads a `MinioUser`.
    pub fn user(object: &api::MinioUser) -> Self {
        let status = object.status.as_ref();
        let held = status.and_then(|status| status.username.as_deref());
        let mut meta = meta_of(object, Kind::MinioUser);
        meta.origin = object.origin();
        meta.incumbent = meta.finalizer && held == Some(object.username());
        let body = UserName::parse(object.username()).map_err(Invalid::from).map(|name| {
            let spec = &object.spec;
            Body::User(UserDecl {
                name,
                enabled: spec.enabled,
                workspace: spec.workspace,
                policies: policy_refs(&spec.policies),
                credentials: spec.credentials.clone(),
                adoption: spec.adoption_policy,
                adopted_secret: spec.adopted_secret,
                deletion: spec.deletion_policy,
                data_deletion: spec.data_deletion_policy,
            })
        });
        Self { meta, body }
    }

    /// Reads a `MinioGroup`.
    pub fn group(object: &api::MinioGroup) -> Self {
        let status = object.status.as_ref();
        let held = status.and_then(|status| status.group_name.as_deref());
        let mut meta = meta_of(object, Kind::MinioGroup);
        meta.origin = object.origin();
        meta.incumbent = meta.finalizer && held == Some(object.group_name());
        let body = GroupName::parse(object.group_name()).map_err(Invalid::from).map(|name| {
            let spec = &object.spec;
            let mut impossible_members = BTreeSet::new();
            Body::Group(GroupDecl {
                name,
                members: user_names(&spec.members, &mut impossible_members),
                read_only_members: user_names(&spec.read_only_members, &mut impossible_members),
                stewards: user_names(&spec.stewards, &mut BTreeSet::new()),
                impossible_members,
                twin: spec.read_only_twin == Twin::Enabled,
                enabled: spec.enabled,
                workspace: spec.workspace,
                policies: policy_refs(&spec.policies),
                adoption: spec.adoption_policy,
                deletion: spec.deletion_policy,
                data_deletion: spec.data_deletion_policy,
            })
        });
        Self { meta, body }
    }

    /// Reads a `GroupMembership`.
    pub fn membership(object: &api::GroupMembership) -> Self {
        let status = object.status.as_ref();
        let mut meta = meta_of(object, Kind::GroupMembership);
        meta.bound_uid = status.and_then(|status| status.group_uid.clone());
        let body = GroupName::parse(&object.spec.group).map_err(Invalid::from).map(|group| {
            let mut members = BTreeMap::new();
            let mut impossible_members = BTreeSet::new();
            for member in &object.spec.members {
                match UserName::parse(&member.name) {
                    Ok(name) => {
                        members.insert(name, terms(member.access, member.expires_at.as_ref(), member.reason.as_ref()));
                    }
                    Err(_) => {
                        impossible_members.insert(member.name.clone());
                    }
                }
            }
            Body::Membership(MembershipDecl { group, members, impossible_members })
        });
        Self { meta, body }
    }

    /// Reads a `PathShare`.
    pub fn share(object: &api::PathShare) -> Self {
        let status = object.status.as_ref();
        let mut meta = meta_of(object, Kind::PathShare);
        meta.bound_uid = status.and_then(|status| status.owner_uid.clone());
        Self { meta, body: share_body(&object.spec).map(Body::Share) }
    }

    /// Reads a `MinioPolicy`; its document is checked strictly.
    pub fn policy(object: &api::MinioPolicy) -> Self {
        let status = object.status.as_ref();
        let held = status.and_then(|status| status.policy_name.as_deref());
        let mut meta = meta_of(object, Kind::MinioPolicy);
        meta.origin = object.origin();
        meta.incumbent = meta.finalizer && held == Some(object.policy_name());
        let body = PolicyName::parse_declared(object.policy_name()).map_err(Invalid::from).map(|name| {
            let spec = &object.spec;
            let options = CheckOptions { allow_unsafe_variables: spec.allow_unsafe_variables, ..Default::default() };
            let document = check(&spec.document, &options).map_err(|findings| {
                let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
                Invalid::new(StallReason::InvalidDocument, findings.join("; "))
            });
            Body::Policy(PolicyDecl { name, document, adoption: spec.adoption_policy, deletion: spec.deletion_policy })
        });
        Self { meta, body }
    }

    /// Reads a `MinioAccessKey`.
    pub fn access_key(object: &api::MinioAccessKey) -> Self {
        let status = object.status.as_ref();
        let mut meta = meta_of(object, Kind::MinioAccessKey);
        meta.bound_uid = status.and_then(|status| status.user_uid.clone());
        let body = UserName::parse(&object.spec.user).map_err(Invalid::from).map(|user| {
            Body::Key(KeyDecl {
                user,
                scope: object.spec.scope.as_deref().map(scope).transpose(),
                credentials: object.credentials(),
                expires_at: object.spec.expires_at.as_ref().map(|time| time.0),
            })
        });
        Self { meta, body }
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

fn meta_of(object: &impl api::Declared, kind: Kind) -> Meta {
    let meta = object.meta();
    Meta {
        key: ObjectKey {
            kind,
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        },
        uid: meta.uid.clone().unwrap_or_default(),
        generation: meta.generation.unwrap_or_default(),
        observed: object.observed_generation().is_some(),
        settled: object.is_observed() && object.is_true(condition::READY),
        created: meta.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0),
        deleting: meta.deletion_timestamp.as_ref().map(|time| time.0),
        finalizer: object.has_finalizer(),
        incumbent: false,
        origin: None,
        rest: object.is_origin_rest(),
        lock: object.lock().map(str::to_owned),
        paused: object.is_paused(),
        force_delete: object.is_force_delete(),
        bound_uid: None,
        requests: KeyRequests::of(object),
    }
}

fn policy_refs(names: &[String]) -> PolicyRefs {
    let mut refs = PolicyRefs::default();
    for name in names {
        match PolicyName::parse(name) {
            Ok(name) => {
                refs.names.insert(name);
            }
            Err(error) if refs.refused.is_none() => refs.refused = Some(error.into()),
            Err(_) => {}
        }
    }
    refs
}

fn user_names(names: &[String], impossible: &mut BTreeSet<String>) -> BTreeSet<UserName> {
    let mut parsed = BTreeSet::new();
    for name in names {
        match UserName::parse(name) {
            Ok(name) => {
                parsed.insert(name);
            }
            Err(_) => {
                impossible.insert(name.clone());
            }
        }
    }
    parsed
}

fn share_body(spec: &api::PathShareSpec) -> Result<ShareDecl, Invalid> {
    let path = S3Path::parse(&spec.path).map_err(|error| Invalid::new(StallReason::InvalidPath, error.to_string()))?;
    let owner = match &spec.owner {
        None => None,
        Some(owner) => Some(match owner.kind {
            SubjectKind::User => Owner::User(UserName::parse(&owner.name)?),
            SubjectKind::Group => Owner::Group(GroupName::parse(&owner.name)?),
        }),
    };
    let grant = |grant: &api::Grant| {
        let name = grant.name.as_str();
        let target = match grant.kind {
            SubjectKind::User => UserName::parse(name).map(Target::User),
            SubjectKind::Group => ServerGroup::parse(name).map(Target::Group),
        };
        let target = target.unwrap_or_else(|_| Target::Impossible(grant.kind, name.to_owned()));
        (target, terms(grant.access, grant.expires_at.as_ref(), grant.reason.as_ref()))
    };
    Ok(ShareDecl {
        path,
        owner,
        grants: spec.grants.iter().map(grant).collect(),
        everyone: spec.everyone == api::Everyone::Read,
        suspended: spec.suspended,
    })
}

/// The session policy that confines a key to paths.
fn scope(paths: &[api::ScopePath]) -> Result<Document, Invalid> {
    let invalid = |message: String| Invalid::new(StallReason::InvalidScope, message);
    if paths.is_empty() {
        return Err(invalid("scope names no path; leave it out for a key that may do what its user may".to_owned()));
    }
    let parsed: Result<Vec<(S3Path, Access)>, Invalid> = paths
        .iter()
        .map(|entry| {
            let path = S3Path::parse(&entry.path).map_err(|error| invalid(format!("scope: {error}")))?;
            Ok((path, entry.access.into()))
        })
        .collect();
    let parsed = parsed?;
    let rights = uncovered(&Rights::default(), parsed.iter().map(|(path, access)| (path, *access)));
    let policy = family::session_policy(&rights);
    let size = policy.size();
    if size > MAX_SESSION_POLICY_BYTES {
        return Err(invalid(format!(
            "scope makes a session policy of {size} bytes, and the server takes {MAX_SESSION_POLICY_BYTES}: name fewer \
             or shorter paths, or folders further up"
        )));
    }
    Ok(policy)
}

fn terms(access: api::Access, expires_at: Option<&Time>, reason: Option<&String>) -> Terms {
    Terms { access: access.into(), expires_at: expires_at.map(|time| time.0), reason: reason.cloned() }
}

impl From<api::Access> for Access {
    fn from(access: api::Access) -> Self {
        match access {
            api::Access::Read => Self::Read,
            api::Access::ReadWrite => Self::ReadWrite,
        }
    }
}

impl From<Access> for api::Access {
    fn from(access: Access) -> Self {
        match access {
            Access::Read => Self::Read,
            Access::ReadWrite => Self::ReadWrite,
        }
    }
}

#[cfg(test)]
mod tests;
