//! What the server should hold for one subject: the compiler's output, the planner's input.

use std::collections::BTreeSet;

use super::document::Document;
use super::names::{DocumentName, GroupName, PolicyName, ServerGroup, UserName};
use super::path::Rights;
use super::subject::{KeyName, Subject};

/// What a family of documents shall give; how it is cut into documents is the planner's matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// The first document; further ones are `--2`, `--3`, ...
    pub base: DocumentName,
    /// Rights of the workspace: always in the first document.
    pub workspace: Rights,
    /// Rights of grants that neither the workspace nor a grant on an ancestor covers.
    pub grants: Rights,
    /// Whether the first document denies minting keys and users; such a family always has a first document.
    pub guard: bool,
}

impl Family {
    /// Whether there is nothing to write: such a family has no document (the server stores none without statements).
    pub fn is_empty(&self) -> bool {
        !self.guard && self.workspace.is_empty() && self.grants.is_empty()
    }
}

/// What becomes of an account, group or policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It shall exist.
    Present,
    /// It shall go, with all that hangs on it.
    Deleted,
    /// Its object goes, or holds no claim on it (refused, in conflict, paused): nothing on the server changes.
    Untouched,
}

/// What becomes of attachments and members that no object declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extras {
    /// They are taken away.
    Remove,
    /// They stay, and are reported (adopted subjects).
    Keep,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredUser {
    /// The name.
    pub name: UserName,
    /// Present, deleted or untouched.
    pub fate: Fate,
    /// The account status; `None` leaves the server's (new accounts are then enabled).
    pub enabled: Option<bool>,
    /// Home, grants and guard.
    pub home: Family,
    /// System folders; an empty family where the layout has none.
    pub system: Family,
    /// Further documents to attach: the everyone document and `spec.policies`.
    pub policies: BTreeSet<DocumentName>,
    /// What to do with other attachments.
    pub extras: Extras,
}

/// One side of a group: the group itself or its read-only twin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredSide {
    /// The group on the server.
    pub group: ServerGroup,
    /// Whether it shall exist (a twin may be disabled).
    pub present: bool,
    /// The members that objects declare and that are managed users.
    pub members: BTreeSet<UserName>,
    /// Workspace and grants; empty while the group is disabled.
    pub family: Family,
    /// Further documents to attach (never for a twin).
    pub policies: BTreeSet<DocumentName>,
}

/// A group with its twin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredGroup {
    /// The name.
    pub name: GroupName,
    /// Present, deleted or untouched.
    pub fate: Fate,
    /// The group itself.
    pub main: DesiredSide,
    /// Its read-only twin.
    pub twin: DesiredSide,
    /// What to do with other attachments and members.
    pub extras: Extras,
}

/// A canned policy of a `MinioPolicy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredPolicy {
    /// The name.
    pub name: PolicyName,
    /// Present, deleted or untouched.
    pub fate: Fate,
    /// The last good document; `None` where there never was one.
    pub document: Option<Document>,
}

/// The keys of a `MinioAccessKey`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredKey {
    /// The object.
    pub name: KeyName,
    /// Present, deleted or untouched.
    pub fate: Fate,
    /// The user that the key acts as; `None` where there is no object.
    pub user: Option<UserName>,
    /// Of a key that shall exist: whether the account of that name is that of the user's object, so that it may be issued.
    pub is_user_managed: bool,
    /// What the key is confined to, beside what confines every key of the user.
    pub scope: Option<Document>,
}

/// What the server should hold for one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Desired {
    /// The document that carries grants to everyone.
    Everyone(Family),
    /// A canned policy.
    Policy(DesiredPolicy),
    /// A user.
    User(DesiredUser),
    /// A group with its twin.
    Group(DesiredGroup),
    /// The keys of a `MinioAccessKey`.
    Key(DesiredKey),
}

impl Desired {
    /// What becomes of the subject.
    pub fn fate(&self) -> Fate {
        match self {
            Self::Everyone(_) => Fate::Present,
            Self::Policy(policy) => policy.fate,
            Self::User(user) => user.fate,
            Self::Group(group) => group.fate,
            Self::Key(key) => key.fate,
        }
    }

    /// The subject.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Everyone(_) => Subject::Everyone,
            Self::Policy(policy) => Subject::Policy(policy.name.clone()),
            Self::User(user) => Subject::User(user.name.clone()),
            Self::Group(group) => Subject::Group(group.name.clone()),
            Self::Key(key) => Subject::Key(key.name.clone()),
        }
    }

    /// The same, with another fate; everyone's document always stays.
    pub fn set_fate(&mut self, fate: Fate) {
        match self {
            Self::Everyone(_) => {}
            Self::Policy(policy) => policy.fate = fate,
            Self::User(user) => user.fate = fate,
            Self::Group(group) => group.fate = fate,
            Self::Key(key) => key.fate = fate,
        }
    }
}
