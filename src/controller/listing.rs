//! Everything that the server says of its users and attachments in two answers, and where that differs from what is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::iam::names::DocumentName;
use crate::iam::observed::{Account, GroupState};
use crate::minio::{Holder, PolicyEntities, UserEntry};

use super::mirror::{Mirror, Need};

/// The users with their memberships, and who has what attached.
#[derive(Debug, Default)]
pub struct Listing {
    users: BTreeMap<String, UserEntry>,
    /// The members of groups that have any.
    members: HashMap<String, BTreeSet<String>>,
    /// What is attached to groups, whether these are enabled or not.
    attached: HashMap<String, BTreeSet<String>>,
    /// Every policy that somebody has attached.
    policies: BTreeSet<DocumentName>,
}

impl Listing {
    /// The two answers, turned round: memberships come with the users.
    pub fn new(users: BTreeMap<String, UserEntry>, entities: &PolicyEntities) -> Self {
        let mut members: HashMap<String, BTreeSet<String>> = HashMap::new();
        for (name, user) in &users {
            for group in &user.member_of {
                members.entry(group.clone()).or_default().insert(name.clone());
            }
        }
        let by_group = |(holder, policies)| match holder {
            Holder::Group(name) => Some((name, policies)),
            Holder::User(_) => None,
        };
        let attached = entities.by_holder().into_iter().filter_map(by_group).collect();
        let policies =
            entities.policies.iter().filter(|(_, holders)| !holders.users.is_empty() || !holders.groups.is_empty());
        let policies = policies.map(|(name, _)| DocumentName::from_server(name)).collect();
        Self { users, members, attached, policies }
    }

    /// The names of all users.
    pub fn users(&self) -> impl Iterator<Item = &String> {
        self.users.keys()
    }

    /// The names of the groups that have members.
    pub fn groups(&self) -> impl Iterator<Item = &String> {
        self.members.keys()
    }

    /// The policies that somebody has attached.
    pub fn policies(&self) -> impl Iterator<Item = &DocumentName> {
        self.policies.iter()
    }

    /// Whether the server says something else of a user or a group than what is known. Of what is not known, nothing is said.
    pub fn differs(&self, mirror: &Mirror, name: &Need) -> bool {
        match name {
            Need::Account(name) => mirror.known_account(name).is_some_and(|known| self.account_differs(name, known)),
            Need::Group(name) => mirror.known_group(name).is_some_and(|known| self.group_differs(name, known.as_ref())),
            Need::Document(_) => false,
        }
    }

    fn account_differs(&self, name: &str, known: &Option<Account>) -> bool {
        match (known, self.users.get(name)) {
            (Some(known), Some(listed)) => {
                known.enabled != listed.enabled || !are_equal(&known.attached, Some(&listed.policies))
            }
            (known, listed) => known.is_some() != listed.is_some(),
        }
    }

    /// Groups without members are not listed, and the status of none is: their turn comes when they are read by name.
    fn group_differs(&self, name: &str, known: Option<&GroupState>) -> bool {
        let listed = self.members.get(name);
        let Some(known) = known else { return listed.is_some() };
        // A name in a group that is no user any more is not listed either, and was told of.
        let members = known.members.iter().filter(|member| self.users.contains_key(*member));
        let is_same = members.eq(listed.into_iter().flatten());
        // While a group is disabled its attachments are not known.
        !is_same || (known.enabled && !are_equal(&known.attached, self.attached.get(name)))
    }
}

fn are_equal(known: &BTreeSet<DocumentName>, listed: Option<&BTreeSet<String>>) -> bool {
    known.iter().map(DocumentName::as_str).eq(listed.into_iter().flatten().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minio::PolicyHolders;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn documents(names: &[&str]) -> BTreeSet<DocumentName> {
        names.iter().map(|name| DocumentName::from_server(name)).collect()
    }

    fn entry(enabled: bool, policies: &[&str], member_of: &[&str]) -> UserEntry {
        UserEntry { enabled, policies: set(policies), member_of: set(member_of) }
    }

    /// Alice and bob are in team, which holds a policy.
    fn listing() -> Listing {
        let users = BTreeMap::from([
            ("alice".to_owned(), entry(true, &["a", "b"], &["team"])),
            ("bob".to_owned(), entry(false, &[], &["team"])),
        ]);
        let holders = |users: &[&str], groups: &[&str]| PolicyHolders { users: set(users), groups: set(groups) };
        let policies = BTreeMap::from([
            ("a".to_owned(), holders(&["alice"], &[])),
            ("b".to_owned(), holders(&["alice"], &[])),
            ("t".to_owned(), holders(&[], &["team", "hollow"])),
        ]);
        Listing::new(users, &PolicyEntities { policies, ..PolicyEntities::default() })
    }

    #[test]
    fn an_account_differs_in_existence_status_and_attachments() {
        let account = |enabled, attached: &[&str]| Some(Account { enabled, attached: documents(attached) });
        let differs = |name: &str, known| {
            let mut mirror = Mirror::default();
            mirror.learn_account(name, known);
            listing().differs(&mirror, &Need::Account(name.to_owned()))
        };
        assert!(!differs("alice", account(true, &["a", "b"])));
        assert!(differs("alice", account(false, &["a", "b"])), "somebody enabled it");
        assert!(differs("alice", account(true, &["a"])) && differs("alice", account(true, &["a", "b", "c"])));
        assert!(differs("alice", None), "somebody made it");
        assert!(!differs("bob", account(false, &[])));
        assert!(differs("carol", account(true, &[])), "somebody deleted it");
        assert!(!differs("carol", None));
        assert!(!listing().differs(&Mirror::default(), &Need::Account("alice".to_owned())), "nothing was known");
    }

    #[test]
    fn a_group_differs_in_members_and_attachments() {
        let group = |enabled, members: &[&str], attached: &[&str]| {
            Some(GroupState { enabled, members: set(members), attached: documents(attached) })
        };
        let differs = |name: &str, known| {
            let mut mirror = Mirror::default();
            mirror.learn_group(name, known);
            listing().differs(&mirror, &Need::Group(name.to_owned()))
        };
        assert!(!differs("team", group(true, &["alice", "bob"], &["t"])));
        assert!(differs("team", group(true, &["alice"], &["t"])), "somebody was put in");
        assert!(!differs("team", group(true, &["alice", "bob", "gone"], &["t"])), "no user any more");
        assert!(differs("team", group(true, &["alice", "bob"], &[])));
        assert!(!differs("team", group(false, &["alice", "bob"], &[])), "a disabled group shows no attachments");
        assert!(differs("team", None), "somebody made it");
        assert!(!differs("hollow", group(true, &[], &["t"])));
        assert!(differs("hollow", group(true, &["alice"], &["t"])), "somebody emptied it");
        assert!(!differs("other", None));
    }
}
