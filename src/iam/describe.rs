//! A change in words: the same ones in `plan`, in audit lines and in logs.

use std::collections::BTreeSet;
use std::fmt;

use super::change::{Change, Holder};
use super::names::DocumentName;

/// A change in the words of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What is done: `write`, `create`, `enable`, `disable`, `add-members`, `remove-members`, `set-policies`, `delete`.
    pub action: &'static str,
    /// What it is done to: `policy`, `user` or `group`.
    pub kind: &'static str,
    /// Which one.
    pub name: String,
    /// What else matters, empty where nothing does: members, policies that come and go.
    pub detail: String,
    /// What was there, where that is known: the fingerprint of a document, or a list of policies.
    pub before: Option<String>,
    /// What is there afterwards.
    pub after: Option<String>,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.action, self.kind, self.name)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl Change {
    /// The change in words.
    pub fn describe(&self) -> Description {
        match self {
            Change::PutDocument { name, document, before, .. } => Description {
                detail: format!("{} bytes", document.size()),
                before: before.clone(),
                after: Some(document.fingerprint()),
                ..plain("write", "policy", name)
            },
            Change::DeleteDocument { name, before } => {
                Description { before: before.clone(), ..plain("delete", "policy", name) }
            }
            Change::CreateUser { user, enabled } => {
                Description { after: Some(status(*enabled)), ..plain("create", "user", user) }
            }
            Change::SetUserStatus { user, enabled } => Description {
                before: Some(status(!enabled)),
                after: Some(status(*enabled)),
                ..plain(if *enabled { "enable" } else { "disable" }, "user", user)
            },
            Change::DeleteUser { user } => plain("delete", "user", user),
            Change::AddMembers { group, members } if members.is_empty() => plain("create", "group", group),
            Change::AddMembers { group, members } => {
                Description { detail: join(members), ..plain("add-members", "group", group) }
            }
            Change::RemoveMembers { group, members } => {
                Description { detail: join(members), ..plain("remove-members", "group", group) }
            }
            Change::EnableGroup { group } => Description {
                before: Some(status(false)),
                after: Some(status(true)),
                ..plain("enable", "group", group)
            },
            Change::DeleteGroup { group } => plain("delete", "group", group),
            Change::SetMapping { holder, policies, before } => Description {
                detail: difference(before, policies),
                before: Some(join(before)),
                after: Some(join(policies)),
                ..match holder {
                    Holder::User(user) => plain("set-policies", "user", user),
                    Holder::Group(group) => plain("set-policies", "group", group),
                }
            },
        }
    }
}

fn plain(action: &'static str, kind: &'static str, name: impl ToString) -> Description {
    Description { action, kind, name: name.to_string(), detail: String::new(), before: None, after: None }
}

fn status(enabled: bool) -> String {
    if enabled { "enabled" } else { "disabled" }.to_owned()
}

fn join<T: AsRef<str>>(names: &BTreeSet<T>) -> String {
    names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(",")
}

/// `+added -removed`, in that order.
fn difference(before: &BTreeSet<DocumentName>, after: &BTreeSet<DocumentName>) -> String {
    let added = after.difference(before).map(|name| format!("+{name}"));
    let removed = before.difference(after).map(|name| format!("-{name}"));
    added.chain(removed).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::names::{ServerGroup, UserName};

    #[test]
    fn members_are_named() {
        let group = ServerGroup::parse("kbase").unwrap();
        let members = BTreeSet::from(["bob".to_owned(), "alice".to_owned()]);
        let description = Change::AddMembers { group: group.clone(), members }.describe();
        assert_eq!(description.to_string(), "add-members group kbase: alice,bob");
        let created = Change::AddMembers { group, members: BTreeSet::new() }.describe();
        assert_eq!(created.to_string(), "create group kbase");
    }

    #[test]
    fn a_mapping_says_what_comes_and_goes() {
        let bob = UserName::parse("bob").unwrap();
        let set = |names: &[&str]| names.iter().map(|name| DocumentName::from_server(name)).collect();
        let change =
            Change::SetMapping { holder: Holder::User(bob), policies: set(&["a", "c"]), before: set(&["a", "b"]) };
        let description = change.describe();
        assert_eq!(description.detail, "+c -b");
        assert_eq!((description.before.as_deref(), description.after.as_deref()), (Some("a,b"), Some("a,c")));
    }

    #[test]
    fn a_status_change_says_from_what_to_what() {
        let change = Change::SetUserStatus { user: UserName::parse("bob").unwrap(), enabled: false };
        let description = change.describe();
        assert_eq!((description.action, description.name.as_str()), ("disable", "bob"));
        assert_eq!((description.before.as_deref(), description.after.as_deref()), (Some("enabled"), Some("disabled")));
    }
}
