//! What the server holds for one subject, as far as planning needs it.

use std::collections::{BTreeMap, BTreeSet};

use super::document::Document;
use super::names::DocumentName;

/// Documents of our families that exist, by name. One that cannot be understood counts as existing and different.
pub type Documents = BTreeMap<DocumentName, Option<Document>>;

/// A user account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Whether the account is enabled.
    pub enabled: bool,
    /// The policies attached to it directly.
    pub attached: BTreeSet<DocumentName>,
}

/// What the server holds for a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedUser {
    /// The account, if it exists.
    pub account: Option<Account>,
    /// The documents of its families.
    pub documents: Documents,
}

/// A group on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// Whether it is enabled; while it is not, the server reports no attachments.
    pub enabled: bool,
    /// All members, foreign ones included.
    pub members: BTreeSet<String>,
    /// The policies attached to it.
    pub attached: BTreeSet<DocumentName>,
}

/// What the server holds for one side of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedSide {
    /// The group, if it exists.
    pub state: Option<GroupState>,
    /// The documents of its family.
    pub documents: Documents,
}

/// What the server holds for a group with its twin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedGroup {
    /// The group itself.
    pub main: ObservedSide,
    /// Its twin.
    pub twin: ObservedSide,
}

/// What the server holds for a canned policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedPolicy {
    /// The document: absent, not understood, or understood.
    pub document: Option<Option<Document>>,
    /// Users and groups that have it attached; known only where deletion needs it.
    pub holders: BTreeSet<String>,
}

/// What the server holds for one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// The documents of the everyone family.
    Everyone(Documents),
    /// A canned policy.
    Policy(ObservedPolicy),
    /// A user.
    User(ObservedUser),
    /// A group with its twin.
    Group(ObservedGroup),
    /// The account that a key acts as, if it exists.
    Key(Option<Account>),
}

/// What else on the server planning depends on.
pub trait Surroundings {
    /// Whether a policy of this name exists, so that it can be attached.
    fn has_policy(&self, name: &DocumentName) -> bool;
    /// Whether a user of this name exists, so that it can become a member.
    fn has_user(&self, name: &str) -> bool;

    /// The documents that carry grants to everyone, as far as they exist; all of them are attached where the first one is.
    fn everyone_documents(&self) -> BTreeSet<DocumentName> {
        let base = DocumentName::everyone();
        (1..=EVERYONE_DOCUMENTS).map(|number| base.numbered(number)).filter(|name| self.has_policy(name)).collect()
    }
}

/// How many documents of grants to everyone are looked for: some 5,000 public paths.
const EVERYONE_DOCUMENTS: usize = 64;
