//! What is known of the server, so that a change costs its write and no reads.
//!
//! The controller is the only writer of what it manages, so what it read once and changed itself stays true until somebody
//! else interferes. An entry is dropped when a call fails (what happened is then unknown) or drift is noticed; the next
//! convergence reads it again by name.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use crate::iam::change::{Change, Holder};
use crate::iam::check::carries_admin_actions;
use crate::iam::desired::{Desired, Extras};
use crate::iam::document::Document;
use crate::iam::names::DocumentName;
use crate::iam::observed::{
    Account, Documents, GroupState, Observed, ObservedGroup, ObservedPolicy, ObservedSide, ObservedUser, Surroundings,
};
use crate::iam::packed::{DOCUMENTS, Packed};

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

impl Need {
    fn of_holder(holder: &Holder) -> Self {
        match holder {
            Holder::User(name) => Self::Account(name.to_string()),
            Holder::Group(name) => Self::Group(name.to_string()),
        }
    }
}

/// So many names that were forgotten last are remembered. Who has read for so long that there were more reads again.
const FORGOTTEN_KEPT: usize = 4096;

/// What the server holds under a name: nothing (`None`), or something.
type Known<T> = Option<T>;

/// A document as read: `None` where the server holds one that is not understood.
type Content = Option<Document>;

/// A document as it is kept: as short text, which takes a fraction of the memory.
#[derive(Debug)]
struct Kept {
    text: Packed,
    digest: u64,
    carries_admin_actions: bool,
}

/// Tells whether a document is the one that is kept, which is asked all the time. The keys are random: nobody can write one that
/// passes for another.
static DIGESTS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl From<&Document> for Kept {
    fn from(document: &Document) -> Self {
        Self {
            text: DOCUMENTS.pack(document.to_json()),
            digest: DIGESTS.hash_one(document),
            carries_admin_actions: carries_admin_actions(document),
        }
    }
}

impl Kept {
    /// The document; what was written as JSON can be read again.
    fn document(&self) -> Content {
        Document::from_value(&serde_json::from_str(&DOCUMENTS.unpack(&self.text)).ok()?).ok()
    }
}

/// Knowledge of the server by name; a name that is in no map is unknown.
#[derive(Debug, Default)]
pub struct Mirror {
    /// Grows with each name that is forgotten: what was read of it before that is of no use any more.
    epoch: u64,
    /// The names that were forgotten last, one for each epoch.
    forgotten: VecDeque<Need>,
    accounts: HashMap<String, Known<Account>>,
    groups: HashMap<String, Known<GroupState>>,
    documents: BTreeMap<DocumentName, Known<Option<Kept>>>,
    /// Documents that were there when they were forgotten by name.
    expected: BTreeSet<DocumentName>,
}

impl Mirror {
    /// The present epoch, to be asked before reading.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether what was read of a name since this epoch may be older than what is known, or was forgotten.
    pub fn is_outdated(&self, name: &Need, since: u64) -> bool {
        let count = self.forgotten_since(since);
        self.is_all_outdated(since) || self.forgotten.iter().rev().take(count).any(|forgotten| forgotten == name)
    }

    /// Whether everything that was read since this epoch may be.
    pub fn is_all_outdated(&self, since: u64) -> bool {
        self.forgotten_since(since) > self.forgotten.len()
    }

    fn forgotten_since(&self, epoch: u64) -> usize {
        usize::try_from(self.epoch.saturating_sub(epoch)).unwrap_or(usize::MAX)
    }

    /// What is being read of a name at this moment is not to be believed.
    fn outdate(&mut self, name: Need) {
        self.epoch += 1;
        if self.forgotten.len() == FORGOTTEN_KEPT {
            self.forgotten.pop_front();
        }
        self.forgotten.push_back(name);
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

    /// For whoever has read the whole server: the groups of `desired` that are not known are not there.
    pub fn know_absent_groups(&mut self, desired: &Desired) {
        if let Desired::Group(group) = desired {
            for side in [&group.main, &group.twin] {
                self.learn_group(side.group.as_str(), None);
            }
        }
    }

    /// Takes in what was read of a document, unless it is known already.
    pub fn learn_document(&mut self, name: DocumentName, document: Option<Content>) {
        self.expected.remove(&name);
        self.documents.entry(name).or_insert_with(|| document.map(|content| content.as_ref().map(Kept::from)));
    }

    /// Whether a document was there when it was last heard of.
    pub fn expects(&self, name: &DocumentName) -> bool {
        self.expected.contains(name)
    }

    /// What is known of an account.
    pub fn known_account(&self, name: &str) -> Option<&Option<Account>> {
        self.accounts.get(name)
    }

    /// What is known of a group.
    pub fn known_group(&self, name: &str) -> Option<&Option<GroupState>> {
        self.groups.get(name)
    }

    /// Whether something else is known of a document. Of what is not known, nothing is said.
    pub fn contradicts(&self, name: &DocumentName, document: &Option<Content>) -> bool {
        self.documents.get(name).is_some_and(|known| match (known, document) {
            (Some(Some(known)), Some(Some(document))) => known.digest != DIGESTS.hash_one(document),
            (Some(None), Some(None)) | (None, None) => false,
            _ => true,
        })
    }

    /// The names of all accounts and groups of which anything is known.
    pub fn known_holders(&self) -> Vec<Need> {
        let accounts = self.accounts.keys().cloned().map(Need::Account);
        accounts.chain(self.groups.keys().cloned().map(Need::Group)).collect()
    }

    /// The documents and groups that are known to exist.
    pub fn existing(&self) -> BTreeSet<Need> {
        let documents = self.documents.iter().filter(|(_, known)| known.is_some());
        let documents = documents.map(|(name, _)| Need::Document(name.clone()));
        let groups = self.groups.iter().filter(|(_, known)| known.is_some());
        documents.chain(groups.map(|(name, _)| Need::Group(name.clone()))).collect()
    }

    /// What must still be read before `desired` can be planned. Attachments reveal further documents, so ask again after
    /// reading; with `thorough` (deletions) further documents that nobody is attached to are looked for as well.
    pub fn needs(&self, desired: &Desired, thorough: bool) -> BTreeSet<Need> {
        let mut needs = BTreeSet::new();
        match desired {
            // Nobody may be attached to a further document that was left over, so it is always looked for.
            Desired::Everyone(family) => self.need_family(&mut needs, &family.base, None, true),
            Desired::Policy(policy) => self.need_document(&mut needs, &DocumentName::from(&policy.name)),
            Desired::Key(key) => {
                if let Some(user) = key.user.as_ref().filter(|user| !self.accounts.contains_key(user.as_str())) {
                    needs.insert(Need::Account(user.to_string()));
                }
            }
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
                // Everyone's further documents are attached as they are known: an unread one must not pass for absent.
                if user.policies.contains(&DocumentName::everyone()) {
                    self.need_family(&mut needs, &DocumentName::everyone(), None, true);
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
    fn family_entries(&self, base: &DocumentName) -> impl Iterator<Item = (&DocumentName, &Known<Option<Kept>>)> {
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
    fn family(&self, base: &DocumentName) -> impl Iterator<Item = (&DocumentName, &Option<Kept>)> {
        self.family_entries(base).filter_map(|(name, known)| known.as_ref().map(|content| (name, content)))
    }

    fn family_documents(&self, bases: &[&DocumentName]) -> Documents {
        let family = bases.iter().flat_map(|base| self.family(base));
        family.map(|(name, kept)| (name.clone(), kept.as_ref().and_then(Kept::document))).collect()
    }

    /// What is known of the subject of `desired`, once [`Mirror::needs`] is empty.
    pub fn observed(&self, desired: &Desired) -> Observed {
        match desired {
            Desired::Everyone(family) => Observed::Everyone(self.family_documents(&[&family.base])),
            Desired::Policy(policy) => Observed::Policy(ObservedPolicy {
                document: self.document(&DocumentName::from(&policy.name)),
                holders: BTreeSet::new(),
            }),
            Desired::Key(key) => Observed::Key(key.user.as_ref().and_then(|user| self.account(user.as_str())).cloned()),
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

    /// An account, as far as it is known to exist.
    pub fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name).and_then(Option::as_ref)
    }

    /// Whether the server is known to have no such user. One that was not looked at may exist.
    pub fn lacks_user(&self, name: &str) -> bool {
        matches!(self.accounts.get(name), Some(None))
    }

    /// A document, as far as it is known to exist.
    fn document(&self, name: &DocumentName) -> Option<Content> {
        let kept = self.documents.get(name)?.as_ref()?;
        Some(kept.as_ref().and_then(Kept::document))
    }

    /// Whether a policy may carry admin actions. One that is not understood or not known may.
    pub fn may_carry_admin_actions(&self, name: &DocumentName) -> bool {
        match self.documents.get(name) {
            Some(Some(kept)) => kept.as_ref().is_none_or(|kept| kept.carries_admin_actions),
            Some(None) => false,
            None => true,
        }
    }

    /// What must still be read to know whether a user may sign in, and what it gets from its attachments and those of its groups.
    pub fn needs_of_attachments(&self, user: &str, groups: &BTreeSet<String>) -> BTreeSet<Need> {
        let unknown_groups = groups.iter().filter(|group| !self.groups.contains_key(*group)).cloned();
        let mut needs: BTreeSet<Need> = unknown_groups.map(Need::Group).collect();
        if !self.accounts.contains_key(user) {
            needs.insert(Need::Account(user.to_owned()));
        }
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

    /// The groups that a user is in, as far as they are known.
    pub fn groups_with(&self, user: &str) -> BTreeSet<String> {
        let groups = self.groups.iter().filter(|(_, state)| state.as_ref().is_some_and(|s| s.members.contains(user)));
        groups.map(|(name, _)| name.clone()).collect()
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
                self.expected.remove(name);
                self.documents.insert(name.clone(), Some(Some(Kept::from(document))));
            }
            Change::DeleteDocument { name, .. } => {
                self.expected.remove(name);
                self.documents.insert(name.clone(), None);
            }
            Change::CreateUser { user, enabled } => {
                let account = Account { enabled: *enabled, attached: BTreeSet::new() };
                self.accounts.insert(user.to_string(), Some(account));
            }
            Change::SetUserStatus { user, enabled } => match self.accounts.get_mut(user.as_str()) {
                Some(Some(account)) => account.enabled = *enabled,
                // Changed, and not known at present: what is being read of it may be older.
                _ => self.outdate(Need::Account(user.to_string())),
            },
            Change::DeleteUser { user } => {
                self.accounts.insert(user.to_string(), None);
                for group in self.groups.values_mut().flatten() {
                    group.members.remove(user.as_str());
                }
            }
            Change::AddMembers { group, members } => {
                // What was forgotten meanwhile is not known by what was added to it.
                let Some(known) = self.groups.get_mut(group.as_str()) else {
                    return self.outdate(Need::Group(group.to_string()));
                };
                let state = known.get_or_insert_with(|| GroupState {
                    enabled: true,
                    members: BTreeSet::new(),
                    attached: BTreeSet::new(),
                });
                state.members.extend(members.iter().cloned());
            }
            Change::RemoveMembers { group, members } => match self.groups.get_mut(group.as_str()) {
                Some(Some(state)) => state.members.retain(|member| !members.contains(member)),
                _ => self.outdate(Need::Group(group.to_string())),
            },
            Change::EnableGroup { group } => {
                // Attachments are not shown while a group is disabled: they are read again.
                self.forget_group(group.as_str());
            }
            Change::DeleteGroup { group } => {
                self.groups.insert(group.to_string(), None);
            }
            Change::SetMapping { holder, policies, .. } => {
                let attached = match holder {
                    Holder::User(user) => {
                        self.accounts.get_mut(user.as_str()).and_then(Option::as_mut).map(|known| &mut known.attached)
                    }
                    Holder::Group(group) => {
                        self.groups.get_mut(group.as_str()).and_then(Option::as_mut).map(|known| &mut known.attached)
                    }
                };
                match attached {
                    Some(attached) => attached.clone_from(policies),
                    None => self.outdate(Need::of_holder(holder)),
                }
            }
        }
    }

    /// The users and groups that have a policy attached, as far as they are known.
    pub fn holders(&self, policy: &DocumentName) -> BTreeSet<String> {
        let users =
            self.accounts.iter().filter(|(_, known)| known.as_ref().is_some_and(|one| one.attached.contains(policy)));
        let groups = self.groups.values().flatten().filter(|group| group.attached.contains(policy));
        let members = groups.flat_map(|group| group.members.iter().cloned());
        users.map(|(name, _)| name.clone()).chain(members).collect()
    }

    /// Forgets what somebody else may have changed; it is read again before the next plan.
    pub fn forget_names<'a>(&mut self, names: impl IntoIterator<Item = &'a Need>) {
        for name in names {
            match name {
                Need::Account(name) => self.forget_account(name),
                Need::Group(name) => self.forget_group(name),
                Need::Document(name) => self.forget_document(name),
            }
        }
    }

    fn forget_account(&mut self, name: &str) {
        self.outdate(Need::Account(name.to_owned()));
        self.accounts.remove(name);
    }

    fn forget_group(&mut self, name: &str) {
        self.outdate(Need::Group(name.to_owned()));
        self.groups.remove(name);
    }

    fn forget_document(&mut self, name: &DocumentName) {
        self.outdate(Need::Document(name.clone()));
        if let Some(Some(_)) = self.documents.remove(name) {
            self.expected.insert(name.clone());
        }
    }

    fn forget_family(&mut self, base: &DocumentName) {
        let further: Vec<DocumentName> = self.family_entries(base).map(|(name, _)| name.clone()).collect();
        self.forget_document(base);
        further.iter().filter(|name| *name != base).for_each(|name| self.forget_document(name));
    }

    /// Forgets what has the name of the subject of `desired`, so that it is read whether somebody else has taken it.
    pub fn forget_own(&mut self, desired: &Desired) {
        match desired {
            Desired::Everyone(family) => self.forget_family(&family.base),
            Desired::Policy(policy) => self.forget_document(&DocumentName::from(&policy.name)),
            Desired::Key(_) => {}
            Desired::User(user) => {
                self.forget_account(user.name.as_str());
                self.forget_family(&user.home.base);
                self.forget_family(&user.system.base);
            }
            Desired::Group(group) => {
                for side in [&group.main, &group.twin] {
                    self.forget_group(side.group.as_str());
                    self.forget_family(&side.family.base);
                }
            }
        }
    }

    /// Forgets everything that the subject of `desired` has to do with; it is read again before the next plan.
    pub fn forget(&mut self, desired: &Desired) {
        self.forget_own(desired);
        match desired {
            Desired::Everyone(_) | Desired::Policy(_) => {}
            Desired::Key(key) => key.user.iter().for_each(|user| self.forget_account(user.as_str())),
            // One that somebody deleted fails the whole call.
            Desired::User(user) => user.policies.iter().for_each(|policy| self.forget_document(policy)),
            Desired::Group(group) => {
                for side in [&group.main, &group.twin] {
                    side.policies.iter().for_each(|policy| self.forget_document(policy));
                    // A member that the server does not know fails the whole call.
                    side.members.iter().for_each(|member| self.forget_account(member.as_str()));
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::desired::{DesiredUser, Extras, Family, Fate};
    use crate::iam::names::{ServerGroup, UserName};
    use crate::iam::path::Rights;

    fn alice() -> UserName {
        UserName::parse("alice").unwrap()
    }

    #[test]
    fn what_was_forgotten_of_a_user_is_not_its_absence() {
        let mut mirror = Mirror::default();
        assert!(!mirror.lacks_user("alice"), "nobody has looked");
        mirror.learn_account("alice", None);
        assert!(mirror.lacks_user("alice"));
        mirror.forget(&user());
        assert!(!mirror.lacks_user("alice") && !mirror.has_user("alice"));
    }

    fn user() -> Desired {
        let family = |base| Family { base, workspace: Rights::default(), grants: Rights::default(), guard: false };
        Desired::User(DesiredUser {
            name: alice(),
            fate: Fate::Present,
            enabled: None,
            home: family(DocumentName::user_home(&alice())),
            system: family(DocumentName::user_system(&alice())),
            policies: BTreeSet::from([DocumentName::everyone()]),
            extras: Extras::Remove,
        })
    }

    fn set_mapping() -> Change {
        let policies = BTreeSet::from([DocumentName::everyone()]);
        Change::SetMapping { holder: Holder::User(alice()), policies, before: BTreeSet::new() }
    }

    #[test]
    fn a_user_is_not_planned_before_all_documents_of_everyone_are_known() {
        let mut mirror = Mirror::default();
        mirror.learn_account("alice", None);
        for base in [DocumentName::user_home(&alice()), DocumentName::user_system(&alice()), DocumentName::everyone()] {
            mirror.learn_document(base, None);
        }
        let second = DocumentName::everyone().numbered(2);
        assert_eq!(mirror.needs(&user(), false), BTreeSet::from([Need::Document(second.clone())]));
        mirror.learn_document(second, None);
        assert_eq!(mirror.needs(&user(), false), BTreeSet::new());
    }

    #[test]
    fn what_was_forgotten_is_not_known_by_a_change_that_ends_later() {
        let (mut mirror, group) = (Mirror::default(), ServerGroup::parse("team").unwrap());
        let epoch = mirror.epoch();
        mirror.apply(&Change::AddMembers { group, members: BTreeSet::from(["alice".to_owned()]) });
        assert!(!mirror.groups.contains_key("team"), "its attachments are not known");
        mirror.apply(&set_mapping());
        let (team, account) = (Need::Group("team".to_owned()), Need::Account("alice".to_owned()));
        assert!(mirror.is_outdated(&team, epoch) && mirror.is_outdated(&account, epoch), "it may be older");
        assert!(!mirror.is_outdated(&team, epoch + 1) && mirror.is_outdated(&account, epoch + 1));
        assert!(!mirror.is_outdated(&account, mirror.epoch()), "it was read since");
    }

    #[test]
    fn what_is_read_is_outdated_by_what_is_forgotten_of_it_and_by_nothing_else() {
        let mut mirror = Mirror::default();
        let epoch = mirror.epoch();
        mirror.forget_own(&user());
        let bob = Need::Account("bob".to_owned());
        assert!(mirror.is_outdated(&Need::Account("alice".to_owned()), epoch));
        assert!(mirror.is_outdated(&Need::Document(DocumentName::user_home(&alice())), epoch));
        assert!(
            !mirror.is_outdated(&Need::Document(DocumentName::everyone()), epoch) && !mirror.is_outdated(&bob, epoch)
        );
        mirror.forget(&user());
        assert!(mirror.is_outdated(&Need::Document(DocumentName::everyone()), epoch));
        for _ in 0..FORGOTTEN_KEPT {
            mirror.forget_account("carol");
        }
        assert!(mirror.is_outdated(&bob, epoch), "nobody remembers what it was that was forgotten");
        let epoch = mirror.epoch();
        assert!(!mirror.is_outdated(&bob, epoch) && !mirror.is_all_outdated(epoch));
        mirror.forget_all();
        assert!(mirror.is_outdated(&bob, epoch) && mirror.is_all_outdated(epoch));
    }

    #[test]
    fn those_who_hold_a_policy_hold_it_themselves_or_through_a_group() {
        let mut mirror = Mirror::default();
        let attached = BTreeSet::from([DocumentName::everyone()]);
        mirror.learn_account("alice", Some(Account { enabled: true, attached: attached.clone() }));
        mirror.learn_account("bob", Some(Account { enabled: true, attached: BTreeSet::new() }));
        let members = BTreeSet::from(["bob".to_owned()]);
        mirror.learn_group("team", Some(GroupState { enabled: true, members, attached }));
        assert_eq!(mirror.holders(&DocumentName::everyone()), BTreeSet::from(["alice".to_owned(), "bob".to_owned()]));
    }
}
