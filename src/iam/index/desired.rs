//! What the server should hold for a subject.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Index;
use super::claims::Claim;
use super::entry::{Entry, wanted_document};
use crate::iam::compile::uncovered;
use crate::iam::declared::{GroupDecl, Target, UserDecl};
use crate::iam::desired::{
    Desired, DesiredGroup, DesiredKey, DesiredPolicy, DesiredSide, DesiredUser, Extras, Family, Fate,
};
use crate::iam::document::Document;
use crate::iam::layout::Layout;
use crate::iam::names::{DocumentName, GroupName, PolicyName, ServerGroup, UserName};
use crate::iam::path::Rights;
use crate::iam::subject::{KeyName, Subject};

impl Index {
    /// What the server should hold for a subject at an instant. For a name that no object holds nothing is to be changed.
    pub fn desired(&self, subject: &Subject, now: Timestamp) -> Desired {
        match subject {
            Subject::Everyone => Desired::Everyone(self.everyone_family()),
            Subject::Policy(name) => Desired::Policy(self.desired_policy(name)),
            Subject::User(name) => Desired::User(self.desired_user(name, now)),
            Subject::Group(name) => Desired::Group(self.desired_group(name, now)),
            Subject::Key(name) => Desired::Key(self.desired_key(name, now)),
        }
    }

    /// What everyone has.
    pub fn everyone_family(&self) -> Family {
        let workspace = self.config.layout.everyone();
        let grants = uncovered(&workspace, self.everyone_paths());
        Family { base: DocumentName::everyone(), workspace, grants, guard: true }
    }

    fn desired_policy(&self, name: &PolicyName) -> DesiredPolicy {
        let holder = self.holder(&Claim::Policy(name.clone()));
        DesiredPolicy {
            name: name.clone(),
            fate: holder.map_or(Fate::Untouched, Entry::fate),
            document: holder.and_then(wanted_document).cloned(),
        }
    }

    fn desired_user(&self, name: &UserName, now: Timestamp) -> DesiredUser {
        let holder = self.holder(&Claim::User(name.clone()));
        let mut desired = DesiredUser {
            name: name.clone(),
            fate: holder.map_or(Fate::Untouched, Entry::fate),
            enabled: None,
            home: Family { guard: true, ..empty(DocumentName::user_home(name)) },
            system: empty(DocumentName::user_system(name)),
            policies: BTreeSet::new(),
            extras: holder.map_or(Extras::Keep, |entry| entry.extras(&self.config)),
        };
        let Some((entry, user)) =
            holder.filter(|entry| !entry.is_deleting()).and_then(|entry| Some((entry, entry.user()?)))
        else {
            return desired;
        };
        if entry.has_workspace() {
            desired.home.workspace = self.config.layout.user_workspace(name);
            desired.system.workspace = self.config.layout.user_system(name);
        }
        desired.home.grants = self.granted(&Target::User(name.clone()), &desired.home.workspace, now);
        desired.enabled = entry.account_enabled(user);
        desired.policies = self.user_policies(entry, user);
        desired
    }

    /// The everyone document, and further policies while the account is not disabled.
    fn user_policies(&self, entry: &Entry, user: &UserDecl) -> BTreeSet<DocumentName> {
        let mut policies = BTreeSet::from([DocumentName::everyone()]);
        if entry.account_enabled(user) != Some(false) {
            policies.extend(self.attached(entry, &user.policies.names));
        }
        policies
    }

    fn desired_group(&self, name: &GroupName, now: Timestamp) -> DesiredGroup {
        let holder = self.group_holder(name);
        let mut desired = DesiredGroup {
            name: name.clone(),
            fate: holder.map_or(Fate::Untouched, Entry::fate),
            main: side(ServerGroup::from(name)),
            twin: side(self.config.layout.twin(name)),
            extras: holder.map_or(Extras::Keep, |entry| entry.extras(&self.config)),
        };
        if let Some(entry) = holder.filter(|entry| !entry.is_deleting())
            && let Some(group) = entry.group()
        {
            self.fill_group(&mut desired, entry, group, now);
        }
        desired
    }

    fn desired_key(&self, name: &KeyName, now: Timestamp) -> DesiredKey {
        let held = self.entry(&name.object()).and_then(|entry| Some((entry, entry.access_key()?)));
        let user = held.map(|(_, key)| key.user.clone());
        let fate = held.map_or(Fate::Untouched, |(entry, key)| self.key_fate(entry, key, now));
        DesiredKey {
            name: name.clone(),
            fate,
            is_user_managed: fate == Fate::Present && user.as_ref().is_some_and(|user| self.may_be_member(user)),
            user,
            scope: held.and_then(|(_, key)| key.scope.clone().ok().flatten()),
        }
    }

    fn fill_group(&self, desired: &mut DesiredGroup, entry: &Entry, group: &GroupDecl, now: Timestamp) {
        let roster = self.roster(group, now);
        desired.main.present = true;
        desired.main.members = roster.write;
        desired.twin.present = group.twin;
        desired.twin.members = roster.read;
        desired.main.family = self.side_family_of(entry, group, false, now);
        if group.twin {
            desired.twin.family = self.side_family_of(entry, group, true, now);
        }
        if entry.group_enabled(group) {
            desired.main.policies = self.attached(entry, &group.policies.names).collect();
        }
    }

    /// What a group or a twin gives to its members, without asking who these are; `None` where no such group is to stay.
    pub fn side_family(&self, name: &ServerGroup, now: Timestamp) -> Option<Family> {
        let side = self.side(name).filter(|side| side.enabled && !side.entry.is_deleting())?;
        Some(self.side_family_of(side.entry, side.entry.group()?, side.twin, now))
    }

    /// The policies that a group refers to and may have; none for a twin, and none of a group that gives nothing.
    pub fn policies_of_group(&self, name: &ServerGroup) -> BTreeSet<DocumentName> {
        let side = self.side(name).filter(|side| !side.twin && !side.entry.is_deleting());
        let group = side.and_then(|side| Some((side.entry, side.entry.group()?)));
        let giving = group.filter(|(entry, group)| entry.group_enabled(group));
        giving.map(|(entry, group)| self.attached(entry, &group.policies.names).collect()).unwrap_or_default()
    }

    /// The document that a policy has by its object; none where no object declares the policy, or never a good document.
    pub fn document_of(&self, name: &PolicyName) -> Option<&Document> {
        self.holder(&Claim::Policy(name.clone())).filter(|entry| !entry.is_deleting()).and_then(wanted_document)
    }

    fn side_family_of(&self, entry: &Entry, group: &GroupDecl, twin: bool, now: Timestamp) -> Family {
        let layout = &self.config.layout;
        let name = if twin { layout.twin(&group.name) } else { ServerGroup::from(&group.name) };
        let mut family = empty(DocumentName::group(&name));
        if !entry.group_enabled(group) {
            return family;
        }
        if entry.has_workspace() {
            let workspace = if twin { Layout::twin_workspace } else { Layout::group_workspace };
            family.workspace = workspace(layout, &group.name);
        }
        family.grants = self.granted(&Target::Group(name), &family.workspace, now);
        family
    }

    /// The policies that an object refers to and may have.
    fn attached(&self, entry: &Entry, policies: &BTreeSet<PolicyName>) -> impl Iterator<Item = DocumentName> {
        let usable = |policy: &&PolicyName| self.may_refer(entry, policy) && !self.is_going(policy);
        policies.iter().filter(usable).map(DocumentName::from).collect::<Vec<_>>().into_iter()
    }

    fn granted(&self, target: &Target, workspace: &Rights, now: Timestamp) -> Rights {
        uncovered(workspace, self.active_grants(target, now).map(|(_, path, terms)| (path, terms.access)))
    }
}

fn empty(base: DocumentName) -> Family {
    Family { base, workspace: Rights::default(), grants: Rights::default(), guard: false }
}

fn side(group: ServerGroup) -> DesiredSide {
    DesiredSide {
        family: empty(DocumentName::group(&group)),
        group,
        present: false,
        members: BTreeSet::new(),
        policies: BTreeSet::new(),
    }
}
