//! What is known of the server, so that a change costs its write and no reads.
//!
//! The controller is the only writer of what it manages, so what it read once and changed itself stays true until somebody
//! else interferes. An entry is dropped when a call fails (what happened is then unknown) or drift is noticed; the next
//! convergence reads it again by name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::iam::change::{Change, Holder};
use crate::iam::desired::{Desired, Extras};
use crate::iam::document::Document;
use crate::iam::names::DocumentName;
use crate::iam::observed::{
    Account, Documents, GroupState, Observed, ObservedGroup, ObservedPolicy, ObservedSide, ObservedUser, Surroundings,
};

/// Something of the server that must be read before a subject can be planned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A user account.
    Account(String),
    /// A group.
    Group(String),
    /// A document.
    Document(DocumentName),
}

/// What the server holds under a name: nothing (`None`), or something.
type Known<T> = Option<T>;

/// A document as read: `None` where the server holds one that is not understood.
type Content = Option<Document>;

/// Knowledge of the server by name; a name that is in no map is unknown.
#[derive(Debug, Default)]
pub struct Mirror {
    /// Grows whenever something is forgotten: what was read before that is of no use any more.
    epoch: u64,
    accounts: HashMap<String, Known<Account>>,
    groups: HashMap<String, Known<GroupState>>,
    documents: BTreeMap<DocumentName, Known<Content>>,
}

impl Mirror {
    /// The present epoch, to be asked before reading.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes in what was read of an account. What is known already came from a write of ours since, and stays.
    pub fn learn_account(&mut self, name: &str, account: Option<Account>) {
        if account.is_none() {
            // The server drops the memberships of a user that goes.
            for group in self.groups.values_mut().flatten() {
                group.members.remove(name);
            }
        }
        self.accounts.entry(name.to_owned()).or_insert(account);
    }

    /// Takes in what was read of a group, unless it is known already.
    pub fn learn_group(&mut self, name: &str, group: Option<GroupState>) {
        self.groups.entry(name.to_owned()).or_insert(group);
    }

    /// Takes in what was read of a document, unless it is known already.
    pub fn learn_document(&mut self, name: DocumentName, document: Option<Content>) {
        self.documents.entry(name).or_insert(document);
    }

    /// What must still be read before `desired` can be planned. Attachments reveal further documents, so ask again after
    /// reading; with `thorough` (deletions) further documents that nobody is attached to are looked for as well.
    pub fn needs(&self, desired: &Desired, thorough: bool) -> BTreeSet<Need> {
        let mut needs = BTreeSet::new();
        match desired {
            // Nobody may be attached to a further document that was left over, so it is always looked for.
            Desired::Everyone(family) => self.need_family(&mut needs, &family.base, None, true),
            Desired::Policy(policy) => self.need_document(&mut needs, &DocumentName::from(&policy.name)),
            Desired::User(user) => {
                let account = self.accounts.get(user.name.as_str());
                if account.is_none() {
                    needs.insert(Need::Account(user.name.to_string()));
                }
                let attached = account.and_then(Option::as_ref).map(|account| &account.attached);
                self.need_family(&mut needs, &user.home.base, attached, thorough);
                self.need_family(&mut needs, &user.system.base, attached, thorough);
                for policy in user.policies.iter().chain(staying(attached, user.extras)) {
                    self.need_document(&mut needs, policy);
                }
            }
            Desired::Group(group) => {
                for side in [&group.main, &group.twin] {
                    let state = self.groups.get(side.group.as_str());
                    if state.is_none() {
                        needs.insert(Need::Group(side.group.to_string()));
                    }
                    let attached = state.and_then(Option::as_ref).map(|state| &state.attached);
                    self.need_family(&mut needs, &side.family.base, attached, thorough);
                    for policy in side.policies.iter().chain(staying(attached, group.extras)) {
                        self.need_document(&mut needs, policy);
                    }
                    // A name in a group may be no user any more; then the server refuses to take it out.
                    let held = state.and_then(Option::as_ref).into_iter().flat_map(|state| &state.members);
                    let members = side.members.iter().map(|member| member.as_str()).chain(held.map(String::as_str));
                    for member in members.filter(|member| !self.accounts.contains_key(*member)) {
                        needs.insert(Need::Account(member.to_owned()));
                    }
                }
            }
        }
        needs
    }

    fn need_family(
        &self,
        needs: &mut BTreeSet<Need>,
        base: &DocumentName,
        attached: Option<&BTreeSet<DocumentName>>,
        thorough: bool,
    ) {
        self.need_document(needs, base);
        for name in attached.into_iter().flatten().filter(|name| name.number_in(base).is_some()) {
            self.need_document(needs, name);
        }
        if thorough {
            // Numbers are given out from the lowest; the first absent one after the known ones ends the search.
            let last = self.family(base).filter_map(|(name, _)| name.number_in(base)).max().unwrap_or(1);
            self.need_document(needs, &base.numbered(last + 1));
        }
    }

    fn need_document(&self, needs: &mut BTreeSet<Need>, name: &DocumentName) {
        if !self.documents.contains_key(name) {
            needs.insert(Need::Document(name.clone()));
        }
    }

    /// What is known of the documents of a family, absent ones included.
    fn family_entries(&self, base: &DocumentName) -> impl Iterator<Item = (&DocumentName, &Known<Content>)> {
        let further = DocumentName::from_server(&format!("{base}--"));
        let own = self.documents.get_key_value(base);
        let rest = self
            .documents
            .range(further..)
            .take_while(move |(name, _)| {
                name.as_str().strip_prefix(base.as_str()).is_some_and(|rest| rest.starts_with("--"))
            })
            .filter(move |(name, _)| name.number_in(base).is_some());
        own.into_iter().chain(rest)
    }

    /// The documents of a family that exist.
    fn family(&self, base: &DocumentName) -> impl Iterator<Item = (&DocumentName, &Content)> {
        self.family_entries(base).filter_map(|(name, known)| known.as_ref().map(|content| (name, content)))
    }

    fn family_documents(&self, bases: &[&DocumentName]) -> Documents {
        bases.iter().flat_map(|base| self.family(base)).map(|(name, content)| (name.clone(), content.clone())).collect()
    }

    /// What is known of the subject of `desired`, once [`Mirror::needs`] is empty.
    pub fn observed(&self, desired: &Desired) -> Observed {
        match desired {
            Desired::Everyone(family) => Observed::Everyone(self.family_documents(&[&family.base])),
            Desired::Policy(policy) => Observed::Policy(ObservedPolicy {
                document: self.documents.get(&DocumentName::from(&policy.name)).cloned().flatten(),
                holders: BTreeSet::new(),
            }),
            Desired::User(user) => Observed::User(ObservedUser {
                account: self.accounts.get(user.name.as_str()).cloned().flatten(),
                documents: self.family_documents(&[&user.home.base, &user.system.base]),
            }),
            Desired::Group(group) => {
                let side = |side: &crate::iam::desired::DesiredSide| ObservedSide {
                    state: self.groups.get(side.group.as_str()).cloned().flatten(),
                    documents: self.family_documents(&[&side.family.base]),
                };
                Observed::Group(ObservedGroup { main: side(&group.main), twin: side(&group.twin) })
            }
        }
    }

    /// Whether a policy may carry admin actions, as `carries` tells of a document. One that is not understood may.
    pub fn may_carry(&self, name: &DocumentName, carries: impl Fn(&Document) -> bool) -> bool {
        match self.documents.get(name) {
            Some(Some(content)) => content.as_ref().is_none_or(carries),
            Some(None) | None => false,
        }
    }

    /// What must still be read to know what a user gets from its attachments and those of its groups.
    pub fn needs_of_attachments(&self, user: &str, groups: &BTreeSet<String>) -> BTreeSet<Need> {
        let unknown_groups = groups.iter().filter(|group| !self.groups.contains_key(*group)).cloned();
        let mut needs: BTreeSet<Need> = unknown_groups.map(Need::Group).collect();
        for name in self.attachments(user, groups) {
            self.need_document(&mut needs, name);
        }
        needs
    }

    /// What must still be read to know whether these documents exist and what they say.
    pub fn needs_of_documents(&self, names: &[DocumentName]) -> BTreeSet<Need> {
        let mut needs = BTreeSet::new();
        for name in names {
            self.need_document(&mut needs, name);
        }
        needs
    }

    /// The members of a group, as far as they are known.
    pub fn members(&self, group: &str) -> BTreeSet<String> {
        self.groups.get(group).and_then(Option::as_ref).map(|state| state.members.clone()).unwrap_or_default()
    }

    /// The policies attached to a user and to groups, as far as they are known.
    pub fn attachments<'a>(
        &'a self,
        user: &str,
        groups: &'a BTreeSet<String>,
    ) -> impl Iterator<Item = &'a DocumentName> {
        let own = self.accounts.get(user).and_then(Option::as_ref).map(|account| &account.attached);
        let through = groups.iter().filter_map(|group| self.groups.get(group)?.as_ref()).map(|state| &state.attached);
        own.into_iter().chain(through).flatten()
    }

    /// Takes in a change that the server has carried out.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::PutDocument { name, document, .. } => {
                self.documents.insert(name.clone(), Some(Some(document.clone())));
            }
            Change::DeleteDocument { name, .. } => {
                self.documents.insert(name.clone(), None);
            }
            Change::CreateUser { user, enabled } => {
                let account = Account { enabled: *enabled, attached: BTreeSet::new() };
                self.accounts.insert(user.to_string(), Some(account));
            }
            Change::SetUserStatus { user, enabled } => {
                if let Some(Some(account)) = self.accounts.get_mut(user.as_str()) {
                    account.enabled = *enabled;
                }
            }
            Change::DeleteUser { user } => {
                self.accounts.insert(user.to_string(), None);
                for group in self.groups.values_mut().flatten() {
                    group.members.remove(user.as_str());
                }
            }
            Change::AddMembers { group, members } => {
                let state = self.groups.entry(group.to_string()).or_default().get_or_insert_with(|| GroupState {
                    enabled: true,
                    members: BTreeSet::new(),
                    attached: BTreeSet::new(),
                });
                state.members.extend(members.iter().cloned());
            }
            Change::RemoveMembers { group, members } => {
                if let Some(Some(state)) = self.groups.get_mut(group.as_str()) {
                    state.members.retain(|member| !members.contains(member));
                }
            }
            Change::EnableGroup { group } => {
                // Attachments are not shown while a group is disabled: they are read again.
                self.groups.remove(group.as_str());
            }
            Change::DeleteGroup { group } => {
                self.groups.insert(group.to_string(), None);
            }
            Change::SetMapping { holder, policies, .. } => match holder {
                Holder::User(user) => {
                    if let Some(Some(account)) = self.accounts.get_mut(user.as_str()) {
                        account.attached.clone_from(policies);
                    }
                }
                Holder::Group(group) => {
                    if let Some(Some(state)) = self.groups.get_mut(group.as_str()) {
                        state.attached.clone_from(policies);
                    }
                }
            },
        }
    }

    /// Forgets everything about the subject of `desired`; it is read again before the next plan.
    pub fn forget(&mut self, desired: &Desired) {
        self.epoch += 1;
        let bases: Vec<DocumentName> = match desired {
            Desired::Everyone(family) => vec![family.base.clone()],
            Desired::Policy(policy) => vec![DocumentName::from(&policy.name)],
            Desired::User(user) => {
                self.accounts.remove(user.name.as_str());
                // One that somebody deleted fails the whole call.
                for policy in &user.policies {
                    self.documents.remove(policy);
                }
                vec![user.home.base.clone(), user.system.base.clone()]
            }
            Desired::Group(group) => [&group.main, &group.twin]
                .into_iter()
                .map(|side| {
                    self.groups.remove(side.group.as_str());
                    for policy in &side.policies {
                        self.documents.remove(policy);
                    }
                    // A member that the server does not know fails the whole call.
                    for member in &side.members {
                        self.accounts.remove(member.as_str());
                    }
                    side.family.base.clone()
                })
                .collect(),
        };
        for base in &bases {
            let names: Vec<DocumentName> = self.family_entries(base).map(|(name, _)| name.clone()).collect();
            for name in names {
                self.documents.remove(&name);
            }
        }
    }

    /// Forgets everything, such as after the server was away.
    pub fn forget_all(&mut self) {
        *self = Self { epoch: self.epoch + 1, ..Self::default() };
    }

    /// Forgets a document that was absent, so that it is looked for again.
    pub fn unlearn_document(&mut self, name: &DocumentName) {
        self.documents.remove(name);
    }
}

/// What is attached and may stay although nobody declares it. The server takes no list with a policy that does not exist, so
/// it must be known of each whether it does.
fn staying(attached: Option<&BTreeSet<DocumentName>>, extras: Extras) -> impl Iterator<Item = &DocumentName> {
    attached.filter(|_| extras == Extras::Keep).into_iter().flatten()
}

impl Surroundings for Mirror {
    fn has_policy(&self, name: &DocumentName) -> bool {
        self.documents.get(name).is_some_and(Option::is_some)
    }

    fn has_user(&self, name: &str) -> bool {
        self.accounts.get(name).is_some_and(Option::is_some)
    }
}
