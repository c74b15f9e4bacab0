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
