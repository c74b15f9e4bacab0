//! What is to be declared, as objects: users, groups and policies for git; shares and members as the REST service makes them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

use crate::api::{
    AdoptedSecret, AdoptionPolicy, Everyone, Grant, GroupMember, GroupMembership, GroupMembershipSpec, MinioGroup,
    MinioGroupSpec, MinioPolicy, MinioPolicySpec, MinioUser, MinioUserSpec, PathShare, PathShareSpec, Subject,
    SubjectKind, Twin, Workspace, rules,
};
use crate::iam::declared::{Declared, Owner};
use crate::iam::legacy::{Group, Membership, Policy, Share, Takeover, User};
use crate::iam::names::PolicyName;
use crate::iam::slug::{USER_SLUG_LENGTH, safe_slug, short_hash, user_slug};
use crate::iam::subject::ObjectKey;
use crate::kubernetes::Watched;
use crate::rest::edit;

/// The objects of an import.
#[derive(Debug, Default)]
pub(super) struct Imported {
    /// For git.
    pub users: Vec<MinioUser>,
    /// For git.
    pub groups: Vec<MinioGroup>,
    /// For git.
    pub policies: Vec<MinioPolicy>,
    /// For git: shares of paths that nobody owns.
    pub ownerless: Vec<PathShare>,
    /// As the REST service makes them.
    pub shares: Vec<PathShare>,
    /// As the REST service makes them.
    pub memberships: Vec<GroupMembership>,
}

impl Imported {
    /// The objects of a takeover.
    pub fn new(takeover: &Takeover, namespace: &str) -> Self {
        let mut imported = Self {
            users: takeover.users.iter().map(user).collect(),
            groups: takeover.groups.iter().map(group).collect(),
            policies: takeover.policies.iter().map(policy).collect(),
            ..Self::default()
        };
        for each in &takeover.shares {
            let side = if each.owner.is_some() { &mut imported.shares } else { &mut imported.ownerless };
            side.extend(shares(each));
        }
        for each in &takeover.memberships {
            memberships(each, &mut imported);
        }
        imported.metadata(|meta| meta.namespace = Some(namespace.to_owned()));
        imported
    }

    /// Leaves only what is declared by name: users, groups and policies.
    pub fn keep_accounts(&mut self) {
        self.ownerless.clear();
        self.shares.clear();
        self.memberships.clear();
    }

    fn metadata(&mut self, mut edit: impl FnMut(&mut ObjectMeta)) {
        self.users.iter_mut().for_each(|object| edit(object.meta_mut()));
        self.groups.iter_mut().for_each(|object| edit(object.meta_mut()));
        self.policies.iter_mut().for_each(|object| edit(object.meta_mut()));
        self.ownerless.iter_mut().chain(&mut self.shares).for_each(|object| edit(object.meta_mut()));
        self.memberships.iter_mut().for_each(|object| edit(object.meta_mut()));
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.counts().iter().all(|(count, _)| *count == 0)
    }

    fn counts(&self) -> [(usize, &'static str); 5] {
        [
            (self.users.len(), "users"),
            (self.groups.len(), "groups"),
            (self.policies.len(), "policies"),
            (self.ownerless.len() + self.shares.len(), "shares"),
            (self.memberships.len(), "memberships"),
        ]
    }

    /// How many objects there are.
    pub fn summary(&self) -> String {
        if self.is_empty() {
            return "Nothing is new: the objects declare everything that could be taken over.".to_owned();
        }
        let counts: Vec<String> = self.counts().iter().map(|(count, what)| format!("{count} {what}")).collect();
        format!("New: {}.", counts.join(", "))
    }

    /// What these objects declare, under names that none of the others has: what is applied adds to an object of the name.
    pub fn declared_beside(&self, others: &[Declared]) -> Vec<Declared> {
        let mut all: Vec<Declared> = self.users.iter().map(Watched::declare).collect();
        all.extend(self.groups.iter().map(Watched::declare));
        all.extend(self.policies.iter().map(Watched::declare));
        all.extend(self.ownerless.iter().chain(&self.shares).map(Watched::declare));
        all.extend(self.memberships.iter().map(Watched::declare));
        for declared in &mut all {
            while others.iter().any(|other| other.meta.key == declared.meta.key) {
                let key = &declared.meta.key;
                declared.meta.key = ObjectKey::new(key.kind, key.namespace.as_str(), format!("{}-new", key.name));
            }
        }
        all
    }
}

fn texts(names: &BTreeSet<PolicyName>) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn workspace(has_one: bool) -> Workspace {
    if has_one { Workspace::Default } else { Workspace::None }
}

/// The name, where it is not that of the object.
fn unless_same(name: &str, object: &str) -> Option<String> {
    (name != object).then(|| name.to_owned())
}

fn user(user: &User) -> MinioUser {
    let name = user_slug(&user.name);
    let spec = MinioUserSpec {
        username: unless_same(user.name.as_str(), &name),
        // What is enabled stays so without saying it.
        enabled: (!user.enabled).then_some(false),
        workspace: workspace(user.workspace),
        policies: texts(&user.policies),
        adoption_policy: AdoptionPolicy::Adopt,
        adopted_secret: AdoptedSecret::Reset,
        ..MinioUserSpec::default()
    };
    MinioUser::new(&name, spec)
}

fn group(group: &Group) -> MinioGroup {
    let [name, _] = edit::group_names(&group.name);
    let spec = MinioGroupSpec {
        group_name: unless_same(group.name.as_str(), &name),
        read_only_twin: if group.twin { Twin::Enabled } else { Twin::Disabled },
        enabled: group.enabled,
        workspace: workspace(group.workspace),
        policies: texts(&group.policies),
        adoption_policy: AdoptionPolicy::Adopt,
        ..MinioGroupSpec::default()
    };
    MinioGroup::new(&name, spec)
}

fn policy(policy: &Policy) -> MinioPolicy {
    let name = safe_slug(policy.name.as_str(), USER_SLUG_LENGTH);
    let spec = MinioPolicySpec {
        policy_name: unless_same(policy.name.as_str(), &name),
        // Data that was read from JSON always serializes.
        document: serde_json::to_value(&policy.document).unwrap_or_default(),
        adoption_policy: if policy.exists { AdoptionPolicy::Adopt } else { AdoptionPolicy::Refuse },
        ..MinioPolicySpec::default()
    };
    MinioPolicy::new(&name, spec)
}

/// One object; more where the grants do not fit into one.
fn shares(share: &Share) -> Vec<PathShare> {
    let everyone = if share.everyone { Everyone::Read } else { Everyone::None };
    let grants: Vec<Grant> = share
        .grants
        .iter()
        .map(|(target, access)| Grant {
            kind: target.kind(),
            name: target.name().to_owned(),
            access: (*access).into(),
            expires_at: None,
            reason: None,
        })
        .collect();
    let parts: Vec<&[Grant]> = if grants.is_empty() { vec![&[]] } else { grants.chunks(rules::GRANTS_MAX).collect() };
    let object = |(number, grants): (usize, &&[Grant])| {
        let spec = PathShareSpec {
            path: share.path.to_string(),
            owner: share.owner.as_ref().map(subject),
            grants: grants.to_vec(),
            everyone: if number == 0 { everyone } else { Everyone::None },
            suspended: false,
        };
        let mut object = PathShare::new(&share_name(share, number), spec);
        object.metadata.labels = share.owner.as_ref().map(labels);
        object
    };
    parts.iter().enumerate().map(object).collect()
}

fn share_name(share: &Share, number: usize) -> String {
    let plain = match &share.owner {
        Some(owner) => edit::share_names(owner, &share.path)[0].clone(),
        None => format!("share-{}", short_hash(&share.path.to_string())),
    };
    if number == 0 { plain } else { format!("{plain}-{}", number + 1) }
}

fn subject(owner: &Owner) -> Subject {
    match owner {
        Owner::User(name) => Subject { kind: SubjectKind::User, name: name.to_string() },
        Owner::Group(name) => Subject { kind: SubjectKind::Group, name: name.to_string() },
    }
}

/// Who made the share is not known; the owner could have.
fn labels(owner: &Owner) -> BTreeMap<String, String> {
    edit::labels(match owner {
        Owner::User(name) => user_slug(name),
        Owner::Group(name) => safe_slug(name.as_str(), USER_SLUG_LENGTH),
    })
}

/// One object; more where the members do not fit into one.
fn memberships(membership: &Membership, imported: &mut Imported) {
    let members: Vec<GroupMember> = membership
        .members
        .iter()
        .map(|(name, access)| GroupMember {
            name: name.to_string(),
            access: (*access).into(),
            expires_at: None,
            reason: None,
        })
        .collect();
    let [name, _] = edit::membership_names(&membership.group);
    for (number, part) in members.chunks(rules::MEMBERSHIP_MEMBERS_MAX).enumerate() {
        let spec = GroupMembershipSpec { group: membership.group.to_string(), members: part.to_vec() };
        let name = if number == 0 { name.clone() } else { format!("{name}-{}", number + 1) };
        let mut object = GroupMembership::new(&name, spec);
        object.metadata.labels = Some(edit::labels(safe_slug(membership.group.as_str(), USER_SLUG_LENGTH)));
        imported.memberships.push(object);
    }
}
