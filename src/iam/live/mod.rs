//! What a server holds beside what objects describe, as far as somebody asks who can reach what: read once, then asked here.
//!
//! Documents of the server are asked by the same rules as those of the objects ([`evaluate`](super::evaluate)). A statement with
//! conditions counts as one that gives something, and its keys are named.

mod compare;
mod of;
mod who;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::document::Document;
use super::explain::Held;
use super::names::DocumentName;
use super::observed::Account;
use super::path::Access;

pub use compare::differences;
pub use of::of;
pub use who::{reached_by, who};

/// A user of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveUser {
    /// Status and direct policies.
    pub account: Account,
    /// The groups that it is in.
    pub member_of: BTreeSet<String>,
}

/// A group of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveGroup {
    /// Whether it is enabled; while it is not, its members have nothing at all.
    pub enabled: bool,
    /// Its policies.
    pub attached: BTreeSet<DocumentName>,
}

/// A key of a managed user that no Secret names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The user that it acts as.
    pub user: String,
    /// Its id.
    pub access_key: String,
    /// When the server drops it.
    pub until: Option<Timestamp>,
    /// What it is confined to, if it is; a policy that cannot be understood confines it to nothing that is known.
    pub session_policy: Option<Option<Document>>,
}

/// What was read of a server.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The users.
    pub users: BTreeMap<String, LiveUser>,
    /// The groups, as far as somebody is in them or has given them something.
    pub groups: BTreeMap<String, LiveGroup>,
    /// The policies that are attached and there; one that cannot be understood is `None`.
    pub documents: BTreeMap<DocumentName, Option<Document>>,
    /// What anybody may do without a key, by bucket.
    pub public: BTreeMap<String, Document>,
    /// Keys of managed users that no Secret names.
    pub keys: Vec<ForeignKey>,
    /// What could not be read, one sentence each: the answer may lack something because of it.
    pub unread: BTreeSet<String>,
}

/// A document of the server that somebody has.
#[derive(Clone, Copy, Debug)]
struct Has<'a> {
    name: &'a DocumentName,
    document: &'a Document,
    group: Option<&'a str>,
}

impl Snapshot {
    /// The documents that a user has on the server; none for one that is disabled, or in a disabled group.
    pub fn held_by(&self, user: &str) -> Vec<Held> {
        let held = self.has(user).into_iter();
        held.map(|has| Held {
            name: has.name.clone(),
            document: has.document.clone(),
            group: has.group.map(str::to_owned),
            policy: None,
        })
        .collect()
    }

    /// What cannot be understood of all that was read.
    pub fn gaps(&self) -> BTreeSet<String> {
        let odd = self.documents.iter().filter(|(_, document)| document.is_none());
        let odd = odd.map(|(name, _)| format!("policy {name} cannot be understood"));
        let keys = self.keys.iter().filter(|key| key.session_policy == Some(None));
        let keys = keys.map(|key| format!("the policy of key {} cannot be understood", key.access_key));
        self.unread.iter().cloned().chain(odd).chain(keys).collect()
    }

    /// The disabled group that a user is in.
    fn disabled_group<'a>(&self, user: &'a LiveUser) -> Option<&'a str> {
        let mut groups = user.member_of.iter();
        groups.find(|group| self.groups.get(*group).is_some_and(|group| !group.enabled)).map(String::as_str)
    }

    fn has(&self, user: &str) -> Vec<Has<'_>> {
        let Some(user) = self.users.get(user).filter(|user| user.account.enabled) else { return Vec::new() };
        if self.disabled_group(user).is_some() {
            return Vec::new();
        }
        let own = user.account.attached.iter().map(|name| (name, None));
        let of_groups = user.member_of.iter().filter_map(|name| self.groups.get_key_value(name));
        let of_groups =
            of_groups.flat_map(|(group, state)| state.attached.iter().map(|name| (name, Some(group.as_str()))));
        own.chain(of_groups)
            .filter_map(|(name, group)| Some(Has { name, document: self.documents.get(name)?.as_ref()?, group }))
            .collect()
    }
}

/// Somebody who can reach a path, as the server has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// `User`, `Group`, `Key` or `Anonymous`.
    pub kind: &'static str,
    /// The name; of a key its id.
    pub name: String,
    /// How far, at the most.
    pub access: Access,
    /// What exactly is allowed.
    pub actions: BTreeSet<String>,
    /// Through what.
    pub via: String,
    /// Until when, as far as is known.
    pub until: Option<Timestamp>,
    /// Whether an object describes it.
    pub managed: bool,
    /// The condition keys that it hangs on.
    pub conditions: BTreeSet<String>,
}

/// A path that somebody can reach, as the server has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundPath {
    /// The path, or a pattern with stars.
    pub path: String,
    /// How far, at the most.
    pub access: Access,
    /// What exactly is allowed, as the document writes it.
    pub actions: BTreeSet<String>,
    /// Through what.
    pub via: String,
    /// Until when, as far as is known.
    pub until: Option<Timestamp>,
    /// Whether an object describes it.
    pub managed: bool,
    /// The condition keys that it hangs on.
    pub conditions: BTreeSet<String>,
}

/// Where a managed user is otherwise on the server than its objects say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The user.
    pub user: String,
    /// What is otherwise.
    pub detail: String,
}

/// What is found on the server beside the answer of the objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings<T> {
    /// What it gives.
    pub rows: Vec<T>,
    /// Where objects say something else.
    pub differences: Vec<Difference>,
}

/// The part of a bucket policy that is for everybody; MinIO asks it for requests without a key only. A statement for somebody
/// else is for nobody there.
pub fn public_part(policy: &Value) -> Option<Document> {
    let is_for_all = |statement: &&Value| match &statement["Principal"] {
        Value::String(name) => name == "*",
        principal => {
            let names = &principal["AWS"];
            names == "*" || names.as_array().is_some_and(|names| names.iter().any(|name| name == "*"))
        }
    };
    let statements: Vec<&Value> = match &policy["Statement"] {
        Value::Array(statements) => statements.iter().filter(is_for_all).collect(),
        one => [one].into_iter().filter(is_for_all).collect(),
    };
    Document::from_value(&serde_json::json!({"Statement": statements})).ok()
}

/// How a document of somebody is told of: `policy x`, `group g, policy x`.
fn via(has: &Has<'_>) -> String {
    let group = has.group.map(|group| format!("group {group}, ")).unwrap_or_default();
    format!("{group}policy {}", has.name)
}
