//! Whose paths were shared.

use std::collections::{BTreeMap, BTreeSet};

use super::{Share, Survey, Weight};
use crate::iam::declared::Owner;
use crate::iam::layout::Layout;
use crate::iam::names::{GroupName, UserName};
use crate::iam::path::S3Path;

impl Survey<'_> {
    /// One share a path. A path that lies in nobody's folders has no owner; what its share gives is in force all the same.
    pub(super) fn shares(&mut self) {
        let owners = Owners {
            users: self.takeover.users.iter().filter(|user| user.workspace).map(|user| user.name.clone()).collect(),
            groups: self
                .takeover
                .groups
                .iter()
                .filter(|group| group.workspace)
                .map(|group| group.name.clone())
                .collect(),
        };
        for (path, shared) in std::mem::take(&mut self.shared) {
            let owner = owners.of(&path, &self.config.layout);
            if owner.is_none() {
                let text = "lies in nobody's folders, so that nobody can change the share of it through REST: it is declared \
                            without owner, beside the policies";
                self.find(Weight::Note, &path.to_string(), text);
            }
            let (grants, everyone) = (shared.grants, shared.everyone);
            self.takeover.shares.push(Share { path, owner, grants, everyone });
        }
        self.check_quota();
    }

    /// More grants than an owner may make would wait, and be lost meanwhile.
    fn check_quota(&mut self) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for share in &self.takeover.shares {
            if let Some(owner) = &share.owner {
                *counts.entry(owner.to_string()).or_default() += share.grants.len();
            }
        }
        let limit = self.config.grants_per_owner;
        for (owner, count) in counts.into_iter().filter(|(_, count)| *count > limit) {
            let text =
                format!("has made {count} grants, and {limit} are allowed: raise grantsPerOwner, or the rest waits");
            self.find(Weight::Inexpressible, &owner, text);
        }
    }
}

/// Who has folders.
struct Owners {
    users: BTreeSet<UserName>,
    groups: BTreeSet<GroupName>,
}

impl Owners {
    fn of(&self, path: &S3Path, layout: &Layout) -> Option<Owner> {
        let holds = |homes: Vec<S3Path>| homes.iter().any(|home| home.contains(path));
        let mut users = layout.users_around(path).into_iter().filter(|user| self.users.contains(user));
        if let Some(user) = users.find(|user| holds(layout.user_homes(user))) {
            return Some(Owner::User(user));
        }
        let mut groups = layout.groups_around(path).into_iter().filter(|group| self.groups.contains(group));
        groups.find(|group| holds(layout.group_homes(group))).map(Owner::Group)
    }
}
