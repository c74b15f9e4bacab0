//! Groups with their read-only twins, and the two groups of everybody.

use std::collections::{BTreeMap, BTreeSet};

use super::parts::Parts;
use super::users::both;
use super::{EVERYONE_GROUP, Group, Membership, Survey, Weight, some_of, workspace_of};
use crate::iam::declared::Target;
use crate::iam::names::{DocumentName, GroupName, ServerGroup, UserName};
use crate::iam::observed::GroupState;
use crate::iam::path::{Access, Rights};

/// What the server has of a group.
#[derive(Debug, Default)]
struct Sides<'a> {
    main: Option<&'a GroupState>,
    twin: Option<&'a GroupState>,
}

impl Sides<'_> {
    fn members(side: Option<&GroupState>) -> impl Iterator<Item = &str> {
        side.into_iter().flat_map(|state| &state.members).map(String::as_str)
    }
}

impl<'a> Survey<'a> {
    /// Every group whose name an object can have, and its members.
    pub(super) fn groups(&mut self) {
        let mut groups: BTreeMap<GroupName, Sides<'a>> = BTreeMap::new();
        for (name, state) in &self.reading.groups {
            if self.is_of_everybody(name, state) {
                continue;
            }
            if let Some(group) = self.twin_of(name) {
                groups.entry(group).or_default().twin = Some(state);
                continue;
            }
            match GroupName::parse(name) {
                Ok(group) => groups.entry(group).or_default().main = Some(state),
                Err(error) => {
                    let text = format!("stays on the server as it is, declared by no object: {error}");
                    self.find(Weight::Inexpressible, &format!("group {name}"), text);
                }
            }
        }
        let names: BTreeSet<ServerGroup> = groups.keys().map(ServerGroup::from).collect();
        for (name, sides) in groups {
            self.group(name, &sides, &names);
        }
    }

    /// The groups that the legacy service kept for everybody stay: each user has the document of the first one directly.
    fn is_of_everybody(&mut self, name: &str, state: &GroupState) -> bool {
        if name == EVERYONE_GROUP {
            let text = format!(
                "stays with its {} members, declared by no object: every user gets its policy directly. It can be deleted \
                 once no account is left that no object declares",
                state.members.len()
            );
            self.find(Weight::Note, &format!("group {name}"), text);
            return true;
        }
        let (head, tail) = (name.strip_prefix(EVERYONE_GROUP), self.config.layout.twin_suffix());
        let is_twin = head.is_some() && head == tail;
        if is_twin {
            let text = format!(
                "stays with {}, declared by no object. It gives nothing that everyone has not, and can be deleted",
                some_of(&state.members)
            );
            self.find(Weight::Note, &format!("group {name}"), text);
        }
        is_twin
    }

    /// The group whose twin this is, told by what its policy speaks of, and where that says nothing by the name.
    fn twin_of(&self, name: &str) -> Option<GroupName> {
        let layout = &self.config.layout;
        let group = layout.group_of_twin(name)?;
        let server = ServerGroup::parse(name).ok()?;
        let base = DocumentName::group(&server);
        let document = self.reading.documents.get(&base).and_then(Option::as_ref);
        let parts = Parts::of(document);
        let own = GroupName::parse(name).ok().map(|name| layout.group_workspace(&name)).unwrap_or_default();
        if workspace_of(&parts, layout.twin_workspace(&group)).is_some() {
            return Some(group);
        }
        let is_group = workspace_of(&parts, own).is_some() || !self.reading.groups.contains_key(group.as_str());
        (!is_group).then_some(group)
    }

    fn group(&mut self, name: GroupName, sides: &Sides<'a>, names: &BTreeSet<ServerGroup>) {
        let about = format!("group {name}");
        let twin_name = self.config.layout.twin(&name);
        let (main, twin) = (self.side(&ServerGroup::from(&name), sides.main), self.side(&twin_name, sides.twin));
        let workspace = self.config.layout.group_workspace(&name);
        let read_only = self.config.layout.twin_workspace(&name);
        let has_workspace =
            workspace_of(&main.parts, workspace.clone()).or(workspace_of(&twin.parts, read_only.clone())).is_some();
        let enabled = sides.main.is_none_or(|state| state.enabled);
        self.note_group(&about, sides, has_workspace, &twin_name);

        let given = if has_workspace { workspace } else { Rights::default() };
        let rest = self.share_with(&Target::Group(ServerGroup::from(&name)), &main.parts, given.clone());
        let main_gives = both(&given, &main.parts.grants().into_iter().map(|(p, a)| (p.scope(), a)).collect());
        let mut policies = self.nameable(&about, &main.foreign);
        policies.extend(self.keep(&about, "group-", name.as_str(), &rest));

        let (members, readers) = (self.members(&about, sides.main), self.members(&about, sides.twin));
        let given = if has_workspace { read_only } else { Rights::default() };
        self.twin_grants(&twin_name, &twin.parts, given, &members, &readers, &main_gives);
        for policy in &twin.foreign {
            let text = format!(
                "its read-only twin {twin_name} holds policy {policy}, and objects give a twin none. It stays attached as \
                 long as --adopted-extras is Keep"
            );
            self.find(Weight::Inexpressible, &about, text);
        }

        let taken = names.contains(&twin_name);
        if taken {
            let text = format!("gets no read-only twin: {twin_name} is a group of its own");
            self.find(Weight::Note, &about, text);
        }
        let has_twin = !taken && (sides.twin.is_some() || has_workspace);
        let readers = readers.into_iter().map(|name| (name, Access::Read));
        let mut all: BTreeMap<UserName, Access> = readers.collect();
        all.extend(members.into_iter().map(|name| (name, Access::ReadWrite)));
        if !all.is_empty() {
            self.takeover.memberships.push(Membership { group: name.clone(), members: all });
        }
        self.takeover.groups.push(Group { name, enabled, workspace: has_workspace, twin: has_twin, policies });
    }

    fn side(&mut self, name: &ServerGroup, state: Option<&GroupState>) -> Side {
        let base = DocumentName::group(name);
        let mut attached = state.map(|state| state.attached.clone()).unwrap_or_default();
        if state.is_some_and(|state| !state.enabled) {
            // The server does not say what a disabled group holds.
            attached.insert(base.clone());
        }
        let held = self.held(&attached, &[base]);
        self.note_held(&format!("group {name}"), &held);
        Side { parts: Parts::of(held.own.iter().copied()), foreign: held.foreign }
    }

    fn note_group(&mut self, about: &str, sides: &Sides<'_>, has_workspace: bool, twin: &ServerGroup) {
        if sides.main.is_none() {
            let text =
                format!("is gone, but its read-only twin {twin} is left with members: the group is made again, empty");
            self.find(Weight::Note, about, text);
        } else if !has_workspace {
            let text = "holds no folders of a tenant on the server, and gets none: workspace is None";
            self.find(Weight::Note, about, text);
        } else if sides.twin.is_none() {
            self.find(Weight::Note, about, format!("has no read-only twin on the server; {twin} is made, empty"));
        }
        for (state, which) in [(sides.main, "it"), (sides.twin, twin.as_str())] {
            if state.is_some_and(|state| !state.enabled) {
                let text = format!(
                    "{which} is disabled on the server, which takes everything from its members, also what they have \
                     themselves. Objects cannot say that: the group gives nothing, and its members get back what is their own"
                );
                self.find(Weight::Inexpressible, about, text);
            }
        }
    }

    fn members(&mut self, about: &str, side: Option<&GroupState>) -> BTreeSet<UserName> {
        let mut members = BTreeSet::new();
        let mut unknown = Vec::new();
        for name in Sides::members(side) {
            let parsed = UserName::parse(name).ok().filter(|_| !self.config.reserved_users.contains(name));
            match parsed {
                Some(user) if self.reading.users.contains_key(name) => {
                    members.insert(user);
                }
                _ if self.reading.users.contains_key(name) => {}
                _ => unknown.push(name),
            }
        }
        if !unknown.is_empty() {
            let text = format!("has members that are no users, and are left out: {}", some_of(unknown));
            self.find(Weight::Note, about, text);
        }
        members
    }

    /// A twin can be granted reading only, and who is in both groups counts as a member of the group alone. Whatever that
    /// would take away is granted to the members themselves.
    fn twin_grants(
        &mut self,
        twin: &ServerGroup,
        parts: &Parts,
        mut given: Rights,
        members: &BTreeSet<UserName>,
        readers: &BTreeSet<UserName>,
        main_gives: &Rights,
    ) {
        let about = format!("group {twin}");
        for (path, access) in parts.grants() {
            if given.cover(&path.scope(), access) {
                continue;
            }
            self.share(path.clone(), Target::Group(twin.clone()), Access::Read);
            self.note_grant(Target::Group(twin.clone()), &path, access);
            given.add(path.scope(), access);
            if access == Access::ReadWrite && !readers.is_empty() {
                let text = format!(
                    "was granted writing on {path}, and is read-only. Its present members are granted that themselves: {}",
                    some_of(readers)
                );
                self.find(Weight::Inexpressible, &about, text);
            }
            for reader in readers {
                let is_both = members.contains(reader);
                let missing = access == Access::ReadWrite || is_both;
                if missing && !(is_both && main_gives.cover(&path.scope(), access)) {
                    self.share(path.clone(), Target::User(reader.clone()), access);
                }
            }
        }
        let policy = self.keep(&about, "group-", twin.as_str(), &parts.beyond(&given));
        for user in self.takeover.users.iter_mut().filter(|user| readers.contains(&user.name)) {
            user.policies.extend(policy.clone());
        }
    }
}

/// One side of a group.
struct Side {
    parts: Parts,
    foreign: BTreeSet<DocumentName>,
}
