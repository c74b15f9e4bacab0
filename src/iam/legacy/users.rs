//! Accounts.

use std::collections::BTreeSet;

use super::parts::Parts;
use super::{Survey, User, Weight, some_of, workspace_of};
use crate::iam::declared::Target;
use crate::iam::names::{DocumentName, PolicyName, UserName};
use crate::iam::observed::Account;
use crate::iam::path::{Access, Rights, S3Path};

impl Survey<'_> {
    /// Every account whose name an object can have.
    pub(super) fn users(&mut self) {
        for (name, account) in &self.reading.users {
            if self.config.reserved_users.contains(name) {
                continue;
            }
            match UserName::parse(name) {
                Ok(parsed) => self.user(parsed, account),
                Err(error) => {
                    let groups: Vec<_> = self.groups_of(name).collect();
                    let mut text = format!("stays on the server as it is, declared by no object: {error}");
                    if !groups.is_empty() {
                        text.push_str(&format!(
                            ". It stays in {} as long as --adopted-extras is Keep",
                            some_of(groups)
                        ));
                    }
                    self.find(Weight::Inexpressible, &format!("user {name}"), text);
                }
            }
        }
    }

    fn groups_of<'s>(&'s self, user: &'s str) -> impl Iterator<Item = &'s str> {
        let groups = self.reading.groups.iter().filter(move |(_, group)| group.members.contains(user));
        groups.map(|(name, _)| name.as_str())
    }

    fn user(&mut self, name: UserName, account: &Account) {
        let about = format!("user {name}");
        let layout = &self.config.layout;
        let held = self.held(&account.attached, &[DocumentName::user_home(&name), DocumentName::user_system(&name)]);
        let parts = Parts::of(held.own.iter().copied());
        let home = workspace_of(&parts, layout.user_workspace(&name));
        let workspace = home.is_some();
        let system = if workspace { layout.user_system(&name) } else { Rights::default() };
        let given: Rights = both(&home.unwrap_or_default(), &system);
        self.note_held(&about, &held);
        if !workspace {
            let text = "holds no home on the server, and gets none: workspace is None. Make it Default to give it one";
            self.find(Weight::Note, &about, text);
        }
        let rest = self.share_with(&Target::User(name.clone()), &parts, given);
        let mut policies = self.nameable(&about, &held.foreign);
        policies.extend(self.keep(&about, "user-", name.as_str(), &rest));
        self.takeover.users.push(User { name, enabled: account.enabled, workspace, policies });
    }

    /// Notes the grants of a subject; what neither they nor its workspace give is left.
    pub(super) fn share_with(&mut self, target: &Target, parts: &Parts, mut given: Rights) -> Parts {
        for (path, access) in parts.grants() {
            self.note_grant(target.clone(), &path, access);
            if !given.cover(&path.scope(), access) {
                self.share(path.clone(), target.clone(), access);
            }
            given.add(path.scope(), access);
        }
        parts.beyond(&given)
    }

    /// Remembers that the server has it, whether or not it says anything beyond what covers it.
    pub(super) fn note_grant(&mut self, target: Target, path: &S3Path, access: Access) {
        self.takeover.on_server.entry(target).or_default().insert(path.clone(), access);
    }

    pub(super) fn share(&mut self, path: S3Path, target: Target, access: Access) {
        let held = self.shared.entry(path).or_default().grants.entry(target).or_insert(access);
        *held = (*held).max(access);
    }

    /// What the legacy service gave to everybody through a group that all users were in.
    pub(super) fn everyone(&mut self) {
        let about = "everyone";
        let base = DocumentName::everyone();
        let mut names: BTreeSet<_> =
            self.reading.documents.keys().filter(|name| name.number_in(&base).is_some()).cloned().collect();
        names.extend(
            self.reading.groups.get(super::EVERYONE_GROUP).into_iter().flat_map(|group| group.attached.clone()),
        );
        let held = self.held(&names, &[base]);
        let parts = Parts::of(held.own.iter().copied());
        self.note_held(about, &held);
        let mut given = self.config.layout.everyone();
        for (path, access) in parts.grants() {
            if given.cover(&path.scope(), access) {
                continue;
            }
            self.shared.entry(path.clone()).or_default().everyone = true;
            given.add(path.scope(), access);
            if access == Access::ReadWrite {
                let text =
                    "was public, so everybody could write and delete below it; from now on everybody can read it";
                self.find(Weight::Difference, &path.to_string(), text);
                self.takeover.public_writes.insert(path);
            }
        }
        let kept = self.keep(about, "everyone", "", &parts.beyond(&given));
        self.give_to_all(kept);
    }

    fn give_to_all(&mut self, policy: Option<PolicyName>) {
        for user in &mut self.takeover.users {
            user.policies.extend(policy.clone());
        }
    }
}

pub(super) fn both(some: &Rights, others: &Rights) -> Rights {
    some.iter().chain(others.iter()).map(|(scope, access)| (scope.clone(), access)).collect()
}
