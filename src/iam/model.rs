//! The server's IAM in memory: what each change does or why it is refused, and what is then allowed.
//!
//! It evaluates the shapes of statements that we write: exact actions, `*` in resources, `StringLike` on `s3:prefix`.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Holder};
use super::desired::{Desired, DesiredSide, Family};
use super::document::{Document, Effect, MAX_BYTES, Statement};
use super::names::DocumentName;
use super::observed::{
    Account, Documents, GroupState, Observed, ObservedGroup, ObservedPolicy, ObservedSide, ObservedUser, Surroundings,
};

/// Why the server refuses a change, by its own codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoSuchUser,
    NoSuchGroup,
    NoSuchPolicy,
    GroupNotEmpty,
    PolicyInUse,
    TooLarge,
    Malformed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelUser {
    pub enabled: bool,
    pub attached: BTreeSet<DocumentName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelGroup {
    pub enabled: bool,
    pub members: BTreeSet<String>,
    pub attached: BTreeSet<DocumentName>,
}

/// The state of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub users: BTreeMap<String, ModelUser>,
    pub groups: BTreeMap<String, ModelGroup>,
    pub documents: BTreeMap<DocumentName, Document>,
}

/// A request by a user. For `s3:ListBucket`, `key` is the prefix that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Request {
    pub action: &'static str,
    pub bucket: String,
    pub key: String,
}

impl Model {
    /// Carries out all changes, which must all be accepted.
    pub fn apply_all(&mut self, changes: &[Change]) {
        for change in changes {
            self.apply(change).unwrap_or_else(|refusal| panic!("{change} is refused: {refusal:?}"));
        }
    }

    /// Carries out one change as the server does.
    pub fn apply(&mut self, change: &Change) -> Result<(), Refusal> {
        match change {
            Change::PutDocument { name, document, .. } => self.put(name, document),
            Change::CreateUser { user, enabled } => {
                let fresh = || ModelUser { enabled: *enabled, attached: BTreeSet::new() };
                self.users.entry(user.to_string()).or_insert_with(fresh).enabled = *enabled;
                Ok(())
            }
            Change::SetUserStatus { user, enabled } => {
                self.users.get_mut(user.as_str()).ok_or(Refusal::NoSuchUser)?.enabled = *enabled;
                Ok(())
            }
            Change::AddMembers { group, members } => {
                self.all_users(members)?;
                let fresh = || ModelGroup { enabled: true, members: BTreeSet::new(), attached: BTreeSet::new() };
                self.groups.entry(group.to_string()).or_insert_with(fresh).members.extend(members.iter().cloned());
                Ok(())
            }
            Change::RemoveMembers { group, members } => {
                if members.is_empty() {
                    return Err(Refusal::GroupNotEmpty); // The server would take it as the deletion of the group.
                }
                self.all_users(members)?;
                let group = self.groups.get_mut(group.as_str()).ok_or(Refusal::NoSuchGroup)?;
                group.members.retain(|member| !members.contains(member));
                Ok(())
            }
            Change::EnableGroup { group } => {
                self.groups.get_mut(group.as_str()).ok_or(Refusal::NoSuchGroup)?.enabled = true;
                Ok(())
            }
            Change::SetMapping { holder, policies, .. } => self.attach(holder, policies),
            Change::DeleteGroup { group } => {
                let state = self.groups.get(group.as_str()).ok_or(Refusal::NoSuchGroup)?;
                if !state.members.is_empty() {
                    return Err(Refusal::GroupNotEmpty);
                }
                self.groups.remove(group.as_str());
                Ok(())
            }
            Change::DeleteUser { user } => {
                self.users.remove(user.as_str()).ok_or(Refusal::NoSuchUser)?;
                for group in self.groups.values_mut() {
                    group.members.remove(user.as_str());
                }
                Ok(())
            }
            Change::DeleteDocument { name, .. } => {
                if self.mappings().any(|attached| attached.contains(name)) {
                    return Err(Refusal::PolicyInUse);
                }
                self.documents.remove(name);
                Ok(())
            }
        }
    }

    fn put(&mut self, name: &DocumentName, document: &Document) -> Result<(), Refusal> {
        if document.size() > MAX_BYTES {
            return Err(Refusal::TooLarge);
        }
        let bare = |statement: &Statement| statement.action.is_empty() || !statement.not_action.is_empty();
        if document.statement.is_empty() || document.statement.iter().any(bare) || name.as_str().contains(',') {
            return Err(Refusal::Malformed);
        }
        self.documents.insert(name.clone(), document.clone());
        Ok(())
    }

    fn attach(&mut self, holder: &Holder, policies: &BTreeSet<DocumentName>) -> Result<(), Refusal> {
        if policies.iter().any(|name| !self.documents.contains_key(name)) {
            return Err(Refusal::NoSuchPolicy);
        }
        let attached = match holder {
            Holder::User(name) => {
                let user = self.users.get_mut(name.as_str()).filter(|user| user.enabled);
                &mut user.ok_or(Refusal::NoSuchUser)?.attached
            }
            Holder::Group(name) => &mut self.groups.get_mut(name.as_str()).ok_or(Refusal::NoSuchGroup)?.attached,
        };
        attached.clone_from(policies);
        Ok(())
    }

    fn all_users(&self, names: &BTreeSet<String>) -> Result<(), Refusal> {
        if names.iter().all(|name| self.users.contains_key(name)) { Ok(()) } else { Err(Refusal::NoSuchUser) }
    }

    fn mappings(&self) -> impl Iterator<Item = &BTreeSet<DocumentName>> {
        self.users.values().map(|user| &user.attached).chain(self.groups.values().map(|group| &group.attached))
    }

    /// What an observation of one subject shows.
    pub fn observe(&self, desired: &Desired) -> Observed {
        match desired {
            Desired::Everyone(family) => Observed::Everyone(self.family(family)),
            Desired::Policy(policy) => {
                let name = DocumentName::from(&policy.name);
                let users = self.users.iter().map(|(user, state)| (user, &state.attached));
                let groups = self.groups.iter().map(|(group, state)| (group, &state.attached));
                let holders = users.chain(groups).filter(|(_, attached)| attached.contains(&name));
                Observed::Policy(ObservedPolicy {
                    document: self.documents.get(&name).cloned().map(Some),
                    holders: holders.map(|(holder, _)| holder.clone()).collect(),
                })
            }
            Desired::User(user) => {
                let mut documents = self.family(&user.home);
                documents.append(&mut self.family(&user.system));
                let account = self.users.get(user.name.as_str());
                let account = account.map(|state| Account { enabled: state.enabled, attached: state.attached.clone() });
                Observed::User(ObservedUser { account, documents })
            }
            Desired::Key(_) => Observed::Key(None),
            Desired::Group(group) => {
                Observed::Group(ObservedGroup { main: self.side(&group.main), twin: self.side(&group.twin) })
            }
        }
    }

    fn side(&self, desired: &DesiredSide) -> ObservedSide {
        let state = self.groups.get(desired.group.as_str()).map(|state| GroupState {
            enabled: state.enabled,
            members: state.members.clone(),
            attached: if state.enabled { state.attached.clone() } else { BTreeSet::new() },
        });
        ObservedSide { state, documents: self.family(&desired.family) }
    }

    fn family(&self, family: &Family) -> Documents {
        let own = self.documents.iter().filter(|(name, _)| name.number_in(&family.base).is_some());
        own.map(|(name, document)| (name.clone(), Some(document.clone()))).collect()
    }

    /// The requests that are allowed to a user.
    pub fn allowed(&self, user: &str, requests: &[Request]) -> Vec<bool> {
        let statements = self.statements(user);
        let any = |effect, request| statements.iter().any(|held| held.effect == effect && applies(held, request));
        requests.iter().map(|request| any(Effect::Allow, request) && !any(Effect::Deny, request)).collect()
    }

    /// All that speaks of a user; nothing while the account or one of its groups is disabled.
    fn statements(&self, user: &str) -> Vec<&Statement> {
        let Some(account) = self.users.get(user).filter(|account| account.enabled) else { return Vec::new() };
        let groups: Vec<_> = self.groups.values().filter(|group| group.members.contains(user)).collect();
        if groups.iter().any(|group| !group.enabled) {
            return Vec::new();
        }
        let names: BTreeSet<_> =
            account.attached.iter().chain(groups.iter().flat_map(|group| &group.attached)).collect();
        names.into_iter().filter_map(|name| self.documents.get(name)).flat_map(|document| &document.statement).collect()
    }
}

impl Surroundings for Model {
    fn has_policy(&self, name: &DocumentName) -> bool {
        self.documents.contains_key(name)
    }

    fn has_user(&self, name: &str) -> bool {
        self.users.contains_key(name)
    }
}

fn applies(statement: &Statement, request: &Request) -> bool {
    let resource = match request.action {
        "s3:ListBucket" | "s3:GetBucketLocation" | "s3:HeadBucket" => request.bucket.clone(),
        _ => format!("{}/{}", request.bucket, request.key),
    };
    let on = |pattern: &String| matches(pattern.strip_prefix("arn:aws:s3:::").unwrap_or(pattern), &resource);
    let conditions = &statement.condition;
    let held = |operator: &str, key: &str, value: &BTreeSet<String>| {
        operator == "StringLike" && key == "s3:prefix" && value.iter().any(|pattern| matches(pattern, &request.key))
    };
    statement.action.contains(request.action)
        && (statement.resource.is_empty() || statement.resource.iter().any(on))
        && conditions.iter().all(|(operator, keys)| keys.iter().all(|(key, values)| held(operator, key, values)))
}

/// Whether a text matches a pattern in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_on_the_server() {
        for (pattern, text) in [("b/p/*", "b/p/"), ("b/p/*", "b/p/x/y"), ("b/u__*/*", "b/u__x/y"), ("a*b*c", "a--b-bc")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("b/p/*", "b/p"), ("b/p", "b/p2"), ("b/u__*/*", "b/u__x"), ("a*b", "ab-"), ("ab*ba", "aba")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
