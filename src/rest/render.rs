//! What the objects say, in the words of the legacy API: groups, documents and folders of a user. All of it is computed from
//! the index, at one instant; nobody asks MinIO.
//!
//! A disabled user is shown with what it would have if it were enabled; a disabled group gives nothing. Policies that a spec
//! lists (`spec.policies`) are not shown, as the legacy service showed none of its users' own: clients know but seven actions.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::models::{
    PolicyAction, PolicyDocument, PolicyEffect, PolicyModel, PolicyStatement, UserModel, policy_version,
};
use super::view::Known;
use crate::api::Workspace;
use crate::iam::declared::{Body, Declared};
use crate::iam::desired::{Desired, Family};
use crate::iam::document::{Document, Effect, Statement};
use crate::iam::family;
use crate::iam::names::{DERIVED_POLICY_PREFIXES, DocumentName, EVERYONE_GROUP, ServerGroup, UserName};
use crate::iam::path::Rights;
use crate::iam::subject::Subject;

/// What is shown in place of every secret.
const REDACTED: &str = "<redacted>";

/// The actions that are shown, in the order of the legacy documents.
const SHOWN: [(PolicyAction, &str); 5] = [
    (PolicyAction::GetBucketLocation, "s3:GetBucketLocation"),
    (PolicyAction::ListBucket, "s3:ListBucket"),
    (PolicyAction::GetObject, "s3:GetObject"),
    (PolicyAction::PutObject, "s3:PutObject"),
    (PolicyAction::DeleteObject, "s3:DeleteObject"),
];

/// Whether the layout has folders of everyone, which the legacy API shows as a group that everybody is in.
pub fn shows_everyone(known: &Known) -> bool {
    !known.index.config().layout.everyone().is_empty()
}

/// The object of a user that is there to stay.
pub fn present_user<'a>(known: &'a Known, user: &UserName) -> Option<&'a Declared> {
    known.index.user(user).filter(|declared| declared.meta.deleting.is_none())
}

/// The groups and twins that a user is in, sorted; none of a user that does not exist.
pub fn groups_of(known: &Known, user: &UserName, now: Timestamp) -> Vec<String> {
    if present_user(known, user).is_none() {
        return Vec::new();
    }
    let mut groups: Vec<String> = known.index.groups_of(user, now).keys().map(ToString::to_string).collect();
    if shows_everyone(known) {
        groups.push(EVERYONE_GROUP.to_owned());
    }
    groups.sort();
    groups
}

/// How many policies the legacy API counts for a user: its own, and one for each group.
pub fn total_policies(known: &Known, user: &UserName, now: Timestamp) -> usize {
    own_policies(known, user) + groups_of(known, user, now).len()
}

/// The policy of the home, and that of the system folders where the layout has any.
pub fn own_policies(known: &Known, user: &UserName) -> usize {
    1 + usize::from(has_system(known, user))
}

/// Whether the layout has system folders.
pub fn has_system(known: &Known, user: &UserName) -> bool {
    !known.index.config().layout.user_system(user).is_empty()
}

/// The home folders of a user; none where its object wants no workspace.
pub fn home_paths(known: &Known, user: &UserName) -> Vec<String> {
    match present_user(known, user).map(|declared| &declared.body) {
        Some(Ok(Body::User(declared))) if declared.workspace == Workspace::Default => {
            known.index.config().layout.user_homes(user).iter().map(ToString::to_string).collect()
        }
        _ => Vec::new(),
    }
}

/// The id of the user's access key, once there is one.
pub fn access_key(known: &Known, user: &UserName) -> Option<String> {
    let seen = known.seen.get(&known.index.user(user)?.meta.key)?;
    seen.status.key().access_key
}

/// Whose document it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A user's: home, and what others share with it.
    Home(UserName),
    /// A user's: system folders.
    System(UserName),
    /// That of a group or twin, or of everyone.
    Group(String),
}

impl Holder {
    /// Whose document has this name, or would have it: the first one or a further one.
    pub fn of(document: &DocumentName) -> Option<Self> {
        let [group, _, home, system] = DERIVED_POLICY_PREFIXES;
        // No name of a user or group holds two separators in a row.
        let first = document.as_str().split("--").next()?;
        let holder = if let Some(user) = first.strip_prefix(home) {
            Self::Home(UserName::parse(user).ok()?)
        } else if let Some(user) = first.strip_prefix(system) {
            Self::System(UserName::parse(user).ok()?)
        } else {
            Self::Group(first.strip_prefix(group)?.to_owned())
        };
        document.number_in(&holder.document()).map(|_| holder)
    }

    /// The name of the document. Further documents of the holder are shown as parts of it.
    pub fn document(&self) -> DocumentName {
        match self {
            Self::Home(user) => DocumentName::user_home(user),
            Self::System(user) => DocumentName::user_system(user),
            Self::Group(group) => match ServerGroup::parse(group) {
                Ok(group) if group.as_str() != EVERYONE_GROUP => DocumentName::group(&group),
                _ => DocumentName::everyone(),
            },
        }
    }
}

/// What users and groups have at one instant; what a group gives is compiled and rendered once, for all its members.
pub struct Picture<'a> {
    known: &'a Known,
    now: Timestamp,
    rights: BTreeMap<String, Rc<Rights>>,
    policies: BTreeMap<String, Arc<PolicyModel>>,
}

impl<'a> Picture<'a> {
    /// What they have now.
    pub fn new(known: &'a Known) -> Self {
        Self { known, now: Timestamp::now(), rights: BTreeMap::new(), policies: BTreeMap::new() }
    }

    /// A user with all that it may reach.
    pub fn user(&mut self, user: &UserName) -> UserModel {
        let (home, system) = self.rights_of_user(user);
        let groups = groups_of(self.known, user, self.now);
        let mut user_policies = vec![policy(&Holder::Home(user.clone()), &home).into()];
        if has_system(self.known, user) {
            user_policies.push(policy(&Holder::System(user.clone()), &system).into());
        }
        let group_policies = self.group_policies(&groups);
        UserModel {
            username: user.to_string(),
            access_key: access_key(self.known, user).unwrap_or_else(|| user.to_string()),
            secret_key: Some(REDACTED.to_owned()),
            home_paths: home_paths(self.known, user),
            total_policies: user_policies.len() + group_policies.len(),
            accessible_paths: self.folders([home.into(), system.into()], &groups),
            user_policies,
            group_policies,
            groups,
        }
    }

    /// The policies of these groups, in their order.
    pub fn group_policies(&mut self, groups: &[String]) -> Vec<Arc<PolicyModel>> {
        groups.iter().map(|group| self.policy_of_group(group)).collect()
    }

    /// A policy; one that allows nothing where its holder has no such document.
    pub fn policy_of(&mut self, holder: &Holder) -> Arc<PolicyModel> {
        match holder {
            Holder::Home(user) => policy(holder, &self.rights_of_user(user).0).into(),
            Holder::System(user) => policy(holder, &self.rights_of_user(user).1).into(),
            Holder::Group(group) => self.policy_of_group(group),
        }
    }

    fn policy_of_group(&mut self, group: &str) -> Arc<PolicyModel> {
        if let Some(held) = self.policies.get(group) {
            return held.clone();
        }
        let shown = Arc::new(policy(&Holder::Group(group.to_owned()), &self.rights_of_group(group)));
        self.policies.insert(group.to_owned(), shown.clone());
        shown
    }

    /// Every folder that a user can reach.
    pub fn folders_of_user(&mut self, user: &UserName) -> Vec<String> {
        let (home, system) = self.rights_of_user(user);
        let groups = groups_of(self.known, user, self.now);
        self.folders([home.into(), system.into()], &groups)
    }

    /// Every folder that a group gives.
    pub fn folders_of_group(&mut self, group: &str) -> Vec<String> {
        sorted([self.rights_of_group(group)])
    }

    /// The folders in some rights and in those of groups, and those that everyone can reach, whether everyone is shown as a
    /// group or not.
    fn folders(&mut self, own: [Rc<Rights>; 2], groups: &[String]) -> Vec<String> {
        let given: Vec<Rc<Rights>> = groups.iter().map(|group| self.rights_of_group(group)).collect();
        sorted(own.into_iter().chain(given).chain([self.rights_of_group(EVERYONE_GROUP)]))
    }

    /// What the documents of home and system folders of a user give.
    fn rights_of_user(&self, user: &UserName) -> (Rights, Rights) {
        match self.known.index.desired(&Subject::User(user.clone()), self.now) {
            Desired::User(desired) => (rights_of(desired.home), rights_of(desired.system)),
            _ => Default::default(),
        }
    }

    /// What the documents of a group or twin give, or those of everyone.
    fn rights_of_group(&mut self, group: &str) -> Rc<Rights> {
        if let Some(held) = self.rights.get(group) {
            return held.clone();
        }
        let index = &self.known.index;
        let family = match ServerGroup::parse(group) {
            Ok(_) if group == EVERYONE_GROUP => Some(index.everyone_family()),
            Ok(group) => index.side_family(&group, self.now),
            Err(_) => None,
        };
        let rights = Rc::new(family.map(rights_of).unwrap_or_default());
        self.rights.insert(group.to_owned(), rights.clone());
        rights
    }
}

fn rights_of(family: Family) -> Rights {
    let mut rights = family.workspace;
    for (scope, access) in family.grants.iter() {
        rights.add(scope.clone(), access);
    }
    rights
}

fn sorted(all: impl IntoIterator<Item = Rc<Rights>>) -> Vec<String> {
    let mut folders: Vec<String> = Vec::new();
    for rights in all {
        folders.extend(rights.iter().map(|(scope, _)| scope.to_string()));
    }
    folders.sort_unstable();
    folders.dedup();
    folders
}

fn policy(holder: &Holder, rights: &Rights) -> PolicyModel {
    PolicyModel {
        policy_name: holder.document().to_string(),
        policy_document: shown(&family::render(rights, false, "")),
    }
}

/// What a document allows with the actions that clients know, one of them a statement.
fn shown(document: &Document) -> PolicyDocument {
    let mut statement = Vec::new();
    for (action, name) in SHOWN {
        let holding = |held: &&Statement| held.effect == Effect::Allow && held.action.contains(name);
        let holding = document.statement.iter().filter(holding);
        if matches!(action, PolicyAction::GetBucketLocation | PolicyAction::ListBucket) {
            statement.extend(holding.flat_map(|held| of_each_bucket(action, held)));
        } else {
            let resource: BTreeSet<&String> = holding.flat_map(|held| &held.resource).collect();
            if !resource.is_empty() {
                statement.push(allow(action, resource.into_iter().cloned().collect(), None));
            }
        }
    }
    PolicyDocument { version: policy_version(), statement }
}

fn of_each_bucket(action: PolicyAction, held: &Statement) -> impl Iterator<Item = PolicyStatement> + '_ {
    let condition = match serde_json::to_value(&held.condition) {
        Ok(Value::Object(condition)) if !condition.is_empty() => Some(condition),
        _ => None,
    };
    held.resource.iter().map(move |bucket| allow(action, vec![bucket.clone()], condition.clone()))
}

fn allow(
    action: PolicyAction,
    resource: Vec<String>,
    condition: Option<serde_json::Map<String, Value>>,
) -> PolicyStatement {
    PolicyStatement { effect: PolicyEffect::Allow, action, resource, condition, principal: None }
}

#[cfg(test)]
mod tests;
