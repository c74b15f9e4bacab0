//! Fixtures, and the tests of single rules by topic.

mod access;
mod explain;
mod groups;
mod keys;
mod live;
mod model;
mod quota;
mod retained;
mod shares;
mod time;
mod users;
mod withdrawal;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::api::{AdoptedSecret, AdoptionPolicy, CredentialsSpec, DataDeletionPolicy, Origin, Workspace};
use crate::iam::check::{CheckOptions, check};
use crate::iam::declared::{
    Body, GroupDecl, Invalid, KeyDecl, KeyRequests, MembershipDecl, Meta, Owner, PolicyDecl, PolicyRefs, ShareDecl,
    StallReason, Target, Terms, Undecodable, UserDecl,
};
use crate::iam::desired::{Desired, DesiredGroup, DesiredUser, Family};
use crate::iam::document::Document;
use crate::iam::family::session_policy;
use crate::iam::layout::{BerdlParameters, Layout, LayoutSpec};
use crate::iam::names::{GroupName, PolicyName, ServerGroup, UserName};
use crate::iam::path::{Access, S3Path};

const HOME: &str = "lake";
const OTHER: &str = "spark";
const READ: Access = Access::Read;
const WRITE: Access = Access::ReadWrite;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Before everything that ends in these tests.
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn layout() -> Layout {
    Layout::new(&LayoutSpec::Simple, &BerdlParameters::default()).unwrap()
}

fn config() -> IndexConfig {
    IndexConfig::new(layout(), HOME)
}

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

fn group_name(text: &str) -> GroupName {
    GroupName::parse(text).unwrap()
}

fn policy_name(text: &str) -> PolicyName {
    PolicyName::parse(text).unwrap()
}

fn path(text: &str) -> S3Path {
    S3Path::parse(&format!("s3a://lake/{text}")).unwrap()
}

fn to_user(text: &str) -> Target {
    Target::User(name(text))
}

fn to_group(text: &str) -> Target {
    Target::Group(ServerGroup::parse(text).unwrap())
}

fn terms(access: Access) -> Terms {
    Terms { access, expires_at: None, reason: None }
}

fn until(access: Access, second: i64) -> Terms {
    Terms { expires_at: Some(at(second)), ..terms(access) }
}

fn meta(kind: Kind, object: &str) -> Meta {
    Meta {
        key: ObjectKey::new(kind, HOME, object),
        uid: format!("uid-{object}").into(),
        generation: 1,
        observed: false,
        settled: false,
        created: at(-1000),
        deleting: None,
        finalizer: true,
        incumbent: false,
        origin: Some(Origin::Created),
        rest: false,
        lock: None,
        paused: false,
        force_delete: false,
        bound_uid: None,
        requests: KeyRequests::default(),
    }
}

fn user(object: &str) -> Declared {
    let body = UserDecl {
        name: name(object),
        enabled: None,
        workspace: Workspace::Default,
        policies: PolicyRefs::default(),
        credentials: CredentialsSpec::default(),
        adoption: AdoptionPolicy::Refuse,
        adopted_secret: AdoptedSecret::Keep,
        deletion: None,
        data_deletion: DataDeletionPolicy::Retain,
    };
    Declared { meta: meta(Kind::MinioUser, object), body: Ok(Body::User(Box::new(body))) }
}

fn access_key(object: &str, user: &str) -> Declared {
    let credentials = CredentialsSpec::default();
    let body = KeyDecl { user: name(user), scope: Ok(None), credentials, expires_at: None };
    Declared { meta: Meta { origin: None, ..meta(Kind::MinioAccessKey, object) }, body: Ok(Body::Key(Box::new(body))) }
}

fn confined_to(place: &str) -> Document {
    session_policy(&[(path(place).scope(), WRITE)].into_iter().collect())
}

fn refused_scope() -> Invalid {
    Invalid::new(StallReason::InvalidScope, "too long")
}

fn group(object: &str, members: &[&str], readers: &[&str]) -> Declared {
    let body = GroupDecl {
        name: group_name(object),
        members: members.iter().map(|member| name(member)).collect(),
        read_only_members: readers.iter().map(|member| name(member)).collect(),
        stewards: BTreeSet::new(),
        impossible_members: BTreeSet::new(),
        twin: true,
        enabled: true,
        workspace: Workspace::Default,
        policies: PolicyRefs::default(),
        adoption: AdoptionPolicy::Refuse,
        deletion: None,
        data_deletion: DataDeletionPolicy::Retain,
    };
    Declared { meta: meta(Kind::MinioGroup, object), body: Ok(Body::Group(Box::new(body))) }
}

fn membership(object: &str, group: &str, members: &[(&str, Terms)]) -> Declared {
    let body = MembershipDecl {
        group: group_name(group),
        members: members.iter().map(|(member, terms)| (name(member), terms.clone())).collect(),
        impossible_members: BTreeSet::new(),
    };
    Declared { meta: meta(Kind::GroupMembership, object), body: Ok(Body::Membership(body)) }
}

fn share(object: &str, key: &str, grants: &[(Target, Terms)]) -> Declared {
    let body = ShareDecl {
        path: path(key),
        owner: None,
        grants: grants.iter().cloned().collect(),
        everyone: false,
        suspended: false,
    };
    Declared { meta: meta(Kind::PathShare, object), body: Ok(Body::Share(body)) }
}

fn policy(object: &str, action: &str) -> Declared {
    let resource = if action.starts_with("s3:") { json!(["arn:aws:s3:::data/*"]) } else { json!([]) };
    let mut statement = json!({"Effect": "Allow", "Action": [action]});
    if action.starts_with("s3:") {
        statement["Resource"] = resource;
    }
    policy_of(object, json!([statement]))
}

fn policy_of(object: &str, statements: serde_json::Value) -> Declared {
    let document = json!({"Version": "2012-10-17", "Statement": statements});
    let document = check(&document, &CheckOptions::default()).unwrap();
    let body = PolicyDecl {
        name: policy_name(object),
        document: Ok(document),
        adoption: AdoptionPolicy::Refuse,
        deletion: None,
    };
    Declared { meta: meta(Kind::MinioPolicy, object), body: Ok(Body::Policy(Box::new(body))) }
}

impl Declared {
    fn with(mut self, change: impl FnOnce(&mut Meta)) -> Self {
        change(&mut self.meta);
        self
    }

    fn with_user(mut self, change: impl FnOnce(&mut UserDecl)) -> Self {
        if let Ok(Body::User(user)) = &mut self.body {
            change(user);
        }
        self
    }

    fn with_group(mut self, change: impl FnOnce(&mut GroupDecl)) -> Self {
        if let Ok(Body::Group(group)) = &mut self.body {
            change(group);
        }
        self
    }

    fn with_share(mut self, change: impl FnOnce(&mut ShareDecl)) -> Self {
        if let Ok(Body::Share(share)) = &mut self.body {
            change(share);
        }
        self
    }

    fn with_key(mut self, change: impl FnOnce(&mut KeyDecl)) -> Self {
        if let Ok(Body::Key(key)) = &mut self.body {
            change(key);
        }
        self
    }

    fn owned_by(self, owner: &str) -> Self {
        let owner = Owner::User(name(owner));
        self.with_share(|share| share.owner = Some(owner))
    }

    fn deleting(self) -> Self {
        self.with(|meta| meta.deleting = Some(at(-1)))
    }

    fn with_policies(mut self, names: &[&str]) -> Self {
        let refs = PolicyRefs { names: names.iter().map(|name| policy_name(name)).collect(), refused: None };
        match &mut self.body {
            Ok(Body::User(user)) => user.policies = refs,
            Ok(Body::Group(group)) => group.policies = refs,
            _ => {}
        }
        self
    }
}

fn index_of(objects: impl IntoIterator<Item = Declared>) -> Index {
    let mut index = Index::new(config());
    put_all(&mut index, objects);
    index
}

fn put_all(index: &mut Index, objects: impl IntoIterator<Item = Declared>) {
    for object in objects {
        put(index, object);
    }
}

fn in_namespace(meta: &mut Meta, namespace: &str) {
    meta.key = ObjectKey::new(meta.key.kind, namespace, meta.key.name.as_str());
}

fn put(index: &mut Index, object: Declared) -> Dirty {
    index.apply(Event::Upsert(Box::new(object)))
}

/// The object in a version that cannot be decoded.
fn broken(object: &Declared) -> Undecodable {
    let meta = object.meta.clone();
    Undecodable {
        key: meta.key,
        error: "unknown field".to_owned(),
        uid: meta.uid,
        deleting: meta.deleting,
        finalizer: meta.finalizer,
        lock: meta.lock,
        paused: meta.paused,
        force_delete: meta.force_delete,
        requests: meta.requests,
    }
}

fn break_off(index: &mut Index, object: &Declared) -> Dirty {
    index.apply(Event::Undecodable(Box::new(broken(object))))
}

fn remove(index: &mut Index, object: &Declared) -> Dirty {
    index.apply(Event::Delete(object.key().clone()))
}

fn desired_user(index: &Index, user: &str) -> DesiredUser {
    match index.desired(&Subject::User(name(user)), NOW) {
        Desired::User(user) => user,
        other => panic!("{other:?}"),
    }
}

fn desired_group(index: &Index, group: &str) -> DesiredGroup {
    match index.desired(&Subject::Group(group_name(group)), NOW) {
        Desired::Group(group) => group,
        other => panic!("{other:?}"),
    }
}

/// The grants of a family, as texts.
fn shown(family: &Family) -> Vec<String> {
    family.grants.iter().map(|(scope, access)| format!("{} {access:?}", scope.pattern())).collect()
}

fn grants_of(index: &Index, user: &str) -> Vec<String> {
    shown(&desired_user(index, user).home)
}

fn verdict(index: &Index, object: &Declared) -> Verdict {
    index.outcome(object.key(), NOW).unwrap()
}

/// The reason for which an object is not in force.
fn reason(index: &Index, object: &Declared) -> &'static str {
    match verdict(index, object).standing {
        Standing::InForce => "",
        Standing::Deleting => "Deleting",
        Standing::Stalled(invalid) => invalid.reason.as_str(),
        Standing::Inactive { reason, .. } => reason,
    }
}

fn message(index: &Index, object: &Declared) -> String {
    match verdict(index, object).standing {
        Standing::Stalled(invalid) => invalid.message,
        Standing::Inactive { message, .. } => message,
        Standing::InForce | Standing::Deleting => String::new(),
    }
}

/// Active, pending and expired.
fn counts(index: &Index, object: &Declared) -> (i64, i64, i64) {
    let counts = verdict(index, object).counts;
    (counts.active, counts.pending, counts.expired)
}

fn pending(index: &Index, object: &Declared) -> Vec<String> {
    let pending = verdict(index, object).pending;
    pending.iter().map(|pending| format!("{:?} {} {:?}", pending.kind, pending.name, pending.reason)).collect()
}

fn names(set: &BTreeSet<UserName>) -> Vec<&str> {
    set.iter().map(UserName::as_str).collect()
}

fn urgencies(dirty: &Dirty) -> BTreeMap<String, Urgency> {
    dirty.subjects.iter().map(|(subject, urgency)| (subject.to_string(), *urgency)).collect()
}
