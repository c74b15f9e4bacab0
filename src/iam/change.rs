//! One step on the server, as data: what the planner decides, what `apply` carries out, what `plan` prints.

use std::collections::BTreeSet;
use std::fmt;

use super::document::Document;
use super::names::{DocumentName, ServerGroup, UserName};

/// Who holds attachments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A user.
    User(UserName),
    /// A group or a twin.
    Group(ServerGroup),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::User(name) => write!(f, "user {name}"),
            Holder::Group(name) => write!(f, "group {name}"),
        }
    }
}

/// What a change does to what somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Impact {
    /// It takes nothing away.
    Widens,
    /// It gives nothing.
    Narrows,
    /// It gives and takes, or may do so.
    Both,
    /// It does neither.
    Neutral,
}

impl Impact {
    /// The impact of something that gives, takes, does both or neither.
    pub fn of(gives: bool, takes: bool) -> Self {
        match (gives, takes) {
            (true, true) => Impact::Both,
            (true, false) => Impact::Widens,
            (false, true) => Impact::Narrows,
            (false, false) => Impact::Neutral,
        }
    }

    /// Whether something is taken away, or may be: such changes are urgent, and the breaker counts them.
    pub fn takes(self) -> bool {
        matches!(self, Impact::Narrows | Impact::Both)
    }
}

/// One mutation of the server: one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes a document under a name, whether it exists or not.
    PutDocument {
        /// The name.
        name: DocumentName,
        /// The new content.
        document: Document,
        /// The fingerprint of what it replaces, where something was there and understood.
        before: Option<String>,
        /// What it does to those who hold the document.
        impact: Impact,
    },
    /// Creates an account with a random secret that nobody is given.
    CreateUser {
        /// The user.
        user: UserName,
        /// Whether it starts enabled.
        enabled: bool,
    },
    /// Enables or disables an account.
    SetUserStatus {
        /// The user.
        user: UserName,
        /// The new status.
        enabled: bool,
    },
    /// Adds members to a group and creates it where it does not exist; with no members it only creates.
    AddMembers {
        /// The group.
        group: ServerGroup,
        /// The new members.
        members: BTreeSet<String>,
    },
    /// Takes members out of a group.
    RemoveMembers {
        /// The group.
        group: ServerGroup,
        /// The members that go.
        members: BTreeSet<String>,
    },
    /// Enables a group that somebody disabled: a disabled one takes everything from its members. It is never disabled.
    EnableGroup {
        /// The group.
        group: ServerGroup,
    },
    /// Replaces the attachments of a user or a group.
    SetMapping {
        /// Whose attachments.
        holder: Holder,
        /// All that shall be attached; none deletes the mapping.
        policies: BTreeSet<DocumentName>,
        /// What was attached.
        before: BTreeSet<DocumentName>,
    },
    /// Deletes a group, which must be empty.
    DeleteGroup {
        /// The group.
        group: ServerGroup,
    },
    /// Deletes an account; the server drops its keys, mapping and memberships with it.
    DeleteUser {
        /// The user.
        user: UserName,
    },
    /// Deletes a document, which must not be attached.
    DeleteDocument {
        /// The name.
        name: DocumentName,
        /// The fingerprint of what goes, where it was understood.
        before: Option<String>,
    },
}

impl Change {
    /// What the change does to what somebody may do. What takes effect only together with another change (deleting what
    /// nobody holds any more) counts as narrowing.
    pub fn effect(&self) -> Impact {
        match self {
            Change::PutDocument { impact, .. } => *impact,
            Change::CreateUser { .. } => Impact::Neutral,
            Change::SetUserStatus { enabled, .. } => Impact::of(*enabled, !*enabled),
            Change::AddMembers { members, .. } => Impact::of(!members.is_empty(), false),
            Change::EnableGroup { .. } => Impact::Widens,
            Change::SetMapping { policies, before, .. } => {
                Impact::of(!policies.is_subset(before), !before.is_subset(policies))
            }
            Change::RemoveMembers { .. }
            | Change::DeleteGroup { .. }
            | Change::DeleteUser { .. }
            | Change::DeleteDocument { .. } => Impact::Narrows,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::PutDocument { name, document, .. } => {
                let (statements, bytes) = (document.statement.len(), document.size());
                write!(f, "write policy {name} ({} statement{}, {bytes} bytes)", statements, plural(statements))
            }
            Change::CreateUser { user, enabled: true } => write!(f, "create user {user}"),
            Change::CreateUser { user, enabled: false } => write!(f, "create user {user}, disabled"),
            Change::SetUserStatus { user, enabled: true } => write!(f, "enable user {user}"),
            Change::SetUserStatus { user, enabled: false } => write!(f, "disable user {user}"),
            Change::AddMembers { group, members } if members.is_empty() => write!(f, "create group {group}"),
            Change::AddMembers { group, members } => write!(f, "add to group {group}: {}", listed(members)),
            Change::RemoveMembers { group, members } => write!(f, "remove from group {group}: {}", listed(members)),
            Change::EnableGroup { group } => write!(f, "enable group {group}"),
            Change::SetMapping { holder, policies, .. } if policies.is_empty() => {
                write!(f, "detach all policies from {holder}")
            }
            Change::SetMapping { holder, policies, .. } => write!(f, "attach to {holder}: {}", listed(policies)),
            Change::DeleteGroup { group } => write!(f, "delete group {group}"),
            Change::DeleteUser { user } => write!(f, "delete user {user}"),
            Change::DeleteDocument { name, .. } => write!(f, "delete policy {name}"),
        }
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// At most ten names, and how many more there are.
fn listed<T: AsRef<str>>(names: &BTreeSet<T>) -> String {
    let shown = names.iter().take(10).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(10) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::{Effect, Statement};
    use super::*;

    #[test]
    fn changes_read_as_sentences_and_know_their_impact() {
        let names = |names: &[&str]| names.iter().map(|name| DocumentName::from_server(name)).collect::<BTreeSet<_>>();
        let bob = UserName::parse("bob").unwrap();
        let team = ServerGroup::parse("team").unwrap();
        let members: BTreeSet<String> = (10..22).map(|number| format!("u{number}")).collect();
        let mapping = |policies: &[&str], before: &[&str]| Change::SetMapping {
            holder: Holder::User(bob.clone()),
            policies: names(policies),
            before: names(before),
        };
        let cases = [
            (
                Change::PutDocument {
                    name: DocumentName::user_home(&bob),
                    document: Document::new(vec![Statement::new(Effect::Deny, ["admin:CreateUser"], [""; 0])]),
                    before: None,
                    impact: Impact::Widens,
                },
                "write policy user-home-policy-bob (1 statement, 86 bytes)",
                Impact::Widens,
            ),
            (Change::CreateUser { user: bob.clone(), enabled: false }, "create user bob, disabled", Impact::Neutral),
            (Change::SetUserStatus { user: bob.clone(), enabled: false }, "disable user bob", Impact::Narrows),
            (
                Change::AddMembers { group: team.clone(), members },
                "add to group team: u10, u11, u12, u13, u14, u15, u16, u17, u18, u19 and 2 more",
                Impact::Widens,
            ),
            (Change::AddMembers { group: team, members: BTreeSet::new() }, "create group team", Impact::Neutral),
            (mapping(&["a", "b"], &["a"]), "attach to user bob: a, b", Impact::Widens),
            (mapping(&["a"], &["b"]), "attach to user bob: a", Impact::Both),
            (mapping(&[], &["b"]), "detach all policies from user bob", Impact::Narrows),
        ];
        for (change, text, impact) in cases {
            assert_eq!((change.to_string().as_str(), change.effect()), (text, impact));
        }
    }
}
