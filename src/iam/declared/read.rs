//! Reading what objects declare: where the API's texts become types.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    Body, Declared, GroupDecl, Invalid, KeyDecl, KeyRequests, MembershipDecl, Meta, Owner, PolicyDecl, PolicyRefs,
    ShareDecl, StallReason, Target, Terms, UserDecl,
};
use crate::api::{self, Requests, SubjectKind, Twin, meta::condition};
use crate::iam::check::{CheckOptions, check};
use crate::iam::compile::uncovered;
use crate::iam::document::{Document, MAX_SESSION_POLICY_BYTES};
use crate::iam::family;
use crate::iam::names::{GroupName, PolicyName, ServerGroup, UserName};
use crate::iam::path::{Access, Rights, S3Path};
use crate::iam::shared::shared;
use crate::iam::subject::{Kind, ObjectKey};

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
            Body::User(Box::new(UserDecl {
                name,
                enabled: spec.enabled,
                workspace: spec.workspace,
                policies: policy_refs(&spec.policies),
                credentials: spec.credentials.clone(),
                adoption: spec.adoption_policy,
                adopted_secret: spec.adopted_secret,
                deletion: spec.deletion_policy,
                data_deletion: spec.data_deletion_policy,
            }))
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
            Body::Group(Box::new(GroupDecl {
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
            }))
        });
        Self { meta, body }
    }

    /// Reads a `GroupMembership`.
    pub fn membership(object: &api::GroupMembership) -> Self {
        let status = object.status.as_ref();
        let mut meta = meta_of(object, Kind::GroupMembership);
        meta.bound_uid = status.and_then(|status| status.group_uid.as_deref()).map(shared);
        let body = GroupName::parse(&object.spec.group).map_err(Invalid::from).map(|group| {
            let mut members = Vec::new();
            let mut impossible_members = BTreeSet::new();
            for member in &object.spec.members {
                match UserName::parse(&member.name) {
                    Ok(name) => {
                        members.push((name, terms(member.access, member.expires_at.as_ref(), member.reason.as_ref())));
                    }
                    Err(_) => {
                        impossible_members.insert(member.name.clone());
                    }
                }
            }
            Body::Membership(MembershipDecl { group, members: members.into_iter().collect(), impossible_members })
        });
        Self { meta, body }
    }

    /// Reads a `PathShare`.
    pub fn share(object: &api::PathShare) -> Self {
        let status = object.status.as_ref();
        let mut meta = meta_of(object, Kind::PathShare);
        meta.bound_uid = status.and_then(|status| status.owner_uid.as_deref()).map(shared);
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
            Body::Policy(Box::new(PolicyDecl {
                name,
                document,
                adoption: spec.adoption_policy,
                deletion: spec.deletion_policy,
            }))
        });
        Self { meta, body }
    }

    /// Reads a `MinioAccessKey`.
    pub fn access_key(object: &api::MinioAccessKey) -> Self {
        let status = object.status.as_ref();
        let mut meta = meta_of(object, Kind::MinioAccessKey);
        meta.bound_uid = status.and_then(|status| status.user_uid.as_deref()).map(shared);
        let body = UserName::parse(&object.spec.user).map_err(Invalid::from).map(|user| {
            Body::Key(Box::new(KeyDecl {
                user,
                scope: object.spec.scope.as_deref().map(scope).transpose(),
                credentials: object.credentials(),
                expires_at: object.spec.expires_at.as_ref().map(|time| time.0),
            }))
        });
        Self { meta, body }
    }
}

fn meta_of(object: &impl api::Declared, kind: Kind) -> Meta {
    let meta = object.meta();
    Meta {
        key: ObjectKey::new(
            kind,
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default(),
        ),
        uid: uid(kind, meta.uid.as_deref().unwrap_or_default()),
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

/// Other objects name the uids of users and groups.
fn uid(kind: Kind, uid: &str) -> Arc<str> {
    match kind {
        Kind::MinioUser | Kind::MinioGroup => shared(uid),
        _ => uid.into(),
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
