//! From what the legacy service left on a server to what objects declare.
//!
//! The legacy service kept all access in documents: `user-home-policy-*`, `user-system-policy-*` and `group-policy-*` hold the
//! own folders and every share that somebody received. Here the layout's part is taken out of them, what is left is read as
//! grants, and what no grant can say goes into policies of its own, so that nobody loses it. [`compare`] then asks, request by
//! request, whether anybody could do more or less than before.

pub mod compare;
mod finding;
mod groups;
mod news;
mod parts;
mod shares;
mod users;

use std::collections::{BTreeMap, BTreeSet};

pub use finding::{Finding, Weight};

use self::parts::Parts;
use super::check::{CheckOptions, carries_admin_actions, check};
use super::declared::{Owner, Target};
use super::document::{Document, Statement};
use super::index::IndexConfig;
use super::names::{BUILT_IN_POLICIES, DocumentName, EVERYONE_GROUP, GroupName, PolicyName, UserName};
use super::observed::{Account, GroupState};
use super::path::{Access, Rights, S3Path};
use super::slug::short_hash;
use finding::some_of;

/// What the legacy service put between the name of a policy and eight hexadecimal digits while it rewrote the policy.
const SHADOW: &str = "-shadow-";

/// What a server holds.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The accounts by name.
    pub users: BTreeMap<String, Account>,
    /// The groups by name.
    pub groups: BTreeMap<String, GroupState>,
    /// The policies; one that cannot be understood is `None`.
    pub documents: BTreeMap<DocumentName, Option<Document>>,
}

/// A user to declare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: UserName,
    /// Whether the account is enabled.
    pub enabled: bool,
    /// Whether it has the folders of the layout.
    pub workspace: bool,
    /// Further policies.
    pub policies: BTreeSet<PolicyName>,
}

/// A group to declare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The name.
    pub name: GroupName,
    /// Whether it gives anything.
    pub enabled: bool,
    /// Whether it has the folders of the layout.
    pub workspace: bool,
    /// Whether it has a read-only twin.
    pub twin: bool,
    /// Further policies.
    pub policies: BTreeSet<PolicyName>,
}

/// A canned policy to declare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The name.
    pub name: PolicyName,
    /// The document.
    pub document: Document,
    /// Whether the server has it already.
    pub exists: bool,
}

/// A share to declare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The path.
    pub path: S3Path,
    /// Whose workspace holds the path; nobody's where there is none.
    pub owner: Option<Owner>,
    /// Who has what.
    pub grants: BTreeMap<Target, Access>,
    /// Whether everyone may read.
    pub everyone: bool,
}

/// The members of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: GroupName,
    /// Its members; those of its twin with `Read`.
    pub members: BTreeMap<UserName, Access>,
}

/// What is to be declared so that everybody keeps what they have.
#[derive(Clone, Debug, Default)]
pub struct Takeover {
    /// Users.
    pub users: Vec<User>,
    /// Groups.
    pub groups: Vec<Group>,
    /// Canned policies.
    pub policies: Vec<Policy>,
    /// Shares.
    pub shares: Vec<Share>,
    /// Members.
    pub memberships: Vec<Membership>,
    /// What everybody could write, and can only read from now on.
    pub public_writes: BTreeSet<S3Path>,
    /// Every grant that the server has, also those that others cover.
    on_server: BTreeMap<Target, BTreeMap<S3Path, Access>>,
    /// What people should know.
    pub findings: Vec<Finding>,
}

/// Reads a server of the legacy service.
pub fn take_over(reading: &Reading, config: &IndexConfig) -> Takeover {
    let mut survey = Survey { reading, config, takeover: Takeover::default(), shared: BTreeMap::new() };
    survey.canned_policies();
    survey.users();
    survey.everyone();
    survey.groups();
    survey.leftovers();
    survey.shares();
    survey.takeover.findings.sort();
    survey.takeover
}

/// What is shared of one path.
#[derive(Debug, Default)]
struct Shared {
    grants: BTreeMap<Target, Access>,
    everyone: bool,
}

struct Survey<'a> {
    reading: &'a Reading,
    config: &'a IndexConfig,
    takeover: Takeover,
    shared: BTreeMap<S3Path, Shared>,
}

/// The policies that somebody holds, sorted.
#[derive(Debug, Default)]
struct Held<'a> {
    /// The documents of its own, and their shadows.
    own: Vec<&'a Document>,
    /// Which of them are shadows.
    shadows: BTreeSet<DocumentName>,
    /// Those of its own that cannot be understood.
    unreadable: BTreeSet<DocumentName>,
    /// All others.
    foreign: BTreeSet<DocumentName>,
}

impl<'a> Survey<'a> {
    fn find(&mut self, weight: Weight, about: &str, text: impl Into<String>) {
        self.takeover.findings.push(Finding { weight, about: about.to_owned(), text: text.into() });
    }

    fn held(&self, attached: &BTreeSet<DocumentName>, bases: &[DocumentName]) -> Held<'a> {
        let mut held = Held::default();
        for name in attached {
            let is_shadow = bases.iter().any(|base| is_shadow_of(name, base));
            if is_shadow {
                held.shadows.insert(name.clone());
            } else if !bases.iter().any(|base| name.number_in(base).is_some()) {
                if name.number_in(&DocumentName::everyone()).is_none() {
                    held.foreign.insert(name.clone());
                }
                continue;
            }
            match self.reading.documents.get(name) {
                Some(Some(document)) => held.own.push(document),
                Some(None) => {
                    held.unreadable.insert(name.clone());
                }
                None => {}
            }
        }
        held
    }

    /// Says what becomes of documents that are not as they should be.
    fn note_held(&mut self, about: &str, held: &Held<'_>) {
        for name in &held.unreadable {
            let text = format!("policy {name} cannot be understood, and what it gives is lost: it will be rewritten");
            self.find(Weight::Inexpressible, about, text);
        }
        for name in &held.shadows {
            let text = format!(
                "holds {name}, which an interrupted change of the legacy service left behind. What it gives is taken over; \
                 the policy itself stays attached until it is detached by hand or --adopted-extras is Prune"
            );
            self.find(Weight::Note, about, text);
        }
    }

    /// The policies that an object can name; of the others it is said that they stay as they are.
    fn nameable(&mut self, about: &str, foreign: &BTreeSet<DocumentName>) -> BTreeSet<PolicyName> {
        let mut names = BTreeSet::new();
        for name in foreign {
            match self.nameable_policy(name) {
                Ok(name) => {
                    names.insert(name);
                }
                Err(why) => {
                    let text = format!(
                        "holds policy {name}, which an object cannot name ({why}). It stays attached as long as \
                         --adopted-extras is Keep; detach it, or give the access another way, before Prune"
                    );
                    self.find(Weight::Inexpressible, about, text);
                }
            }
        }
        names
    }

    fn nameable_policy(&self, name: &DocumentName) -> Result<PolicyName, String> {
        let parsed = PolicyName::parse(name.as_str()).map_err(|error| error.to_string())?;
        let document = self.reading.documents.get(name).ok_or("the server has no such policy")?;
        let is_admin = ["consoleAdmin", "diagnostics"].contains(&name.as_str())
            || document.as_ref().is_some_and(carries_admin_actions);
        if is_admin && !self.config.allowed_admin_policies.contains(&parsed) {
            return Err("it carries admin:, kms: or sts: actions; list it in allowedAdminPolicies".to_owned());
        }
        Ok(parsed)
    }

    /// Declares what no grant can say as a policy.
    fn keep(&mut self, about: &str, kind: &str, name: &str, parts: &Parts) -> Option<PolicyName> {
        let mut kept = Vec::new();
        for statement in parts.statements() {
            match refusal(&statement) {
                None => kept.push(statement),
                Some(why) => {
                    let text = format!("loses {}: a policy cannot say it either ({why})", summary(&statement));
                    self.find(Weight::Inexpressible, about, text);
                }
            }
        }
        let first = kept.first()?.clone();
        let stem = format!("legacy-{kind}{name}");
        let policy = PolicyName::parse_declared(&stem)
            .or_else(|_| PolicyName::parse_declared(&format!("legacy-{kind}{}", short_hash(name))))
            .ok()?;
        let document = Document::new(kept);
        if let Some(why) = refusal_of(&document) {
            let text = format!("loses {} and more: together they are no policy ({why})", summary(&first));
            self.find(Weight::Inexpressible, about, text);
            return None;
        }
        for statement in &document.statement {
            let text = format!("keeps {} by policy {policy}: {}", summary(statement), reason(statement));
            self.find(Weight::Inexpressible, about, text);
        }
        let exists = self.reading.documents.contains_key(&DocumentName::from(&policy));
        // Read again, the policy is among those of the server too.
        self.takeover.policies.retain(|other| other.name != policy);
        self.takeover.policies.push(Policy { name: policy.clone(), document, exists });
        Some(policy)
    }

    /// Policies that people have made.
    fn canned_policies(&mut self) {
        for (name, document) in &self.reading.documents {
            if BUILT_IN_POLICIES.contains(&name.as_str()) || is_derived(name) {
                continue;
            }
            let refused = match (PolicyName::parse_declared(name.as_str()), document) {
                (Err(error), _) => error.to_string(),
                (_, None) => "its document cannot be understood".to_owned(),
                (Ok(parsed), Some(document)) => match self.refusal_of_canned(&parsed, document) {
                    None => {
                        let document = unlabelled(document);
                        self.takeover.policies.push(Policy { name: parsed, document, exists: true });
                        continue;
                    }
                    Some(why) => why,
                },
            };
            let text = format!("stays on the server as it is, declared by no object: {refused}");
            self.find(Weight::Inexpressible, &format!("policy {name}"), text);
        }
    }

    fn refusal_of_canned(&self, name: &PolicyName, document: &Document) -> Option<String> {
        if carries_admin_actions(document) && !self.config.allowed_admin_policies.contains(name) {
            return Some("it carries admin:, kms: or sts: actions; list it in allowedAdminPolicies".to_owned());
        }
        refusal_of(document)
    }

    /// Documents of the legacy service that nobody holds.
    fn leftovers(&mut self) {
        let held: BTreeSet<&DocumentName> = self
            .reading
            .users
            .values()
            .map(|user| &user.attached)
            .chain(self.reading.groups.values().map(|group| &group.attached))
            .flatten()
            .collect();
        let names = self.reading.documents.keys().filter(|name| is_derived(name) && !held.contains(name));
        let ours = |name: &&DocumentName| name.as_str().starts_with("minio-manager--");
        let everyone = DocumentName::everyone();
        // Those of accounts that exist are written anew when the account is taken over.
        let users = self.takeover.users.iter().map(|user| &user.name);
        let rewritten: BTreeSet<DocumentName> =
            users.flat_map(|name| [DocumentName::user_home(name), DocumentName::user_system(name)]).collect();
        let lost: Vec<_> = names
            .filter(|name| !ours(name) && name.number_in(&everyone).is_none() && !rewritten.contains(*name))
            .collect();
        if !lost.is_empty() {
            let text = format!("{} are held by nobody and can be deleted: {}", lost.len(), some_of(&lost));
            self.find(Weight::Note, "policies of the legacy service", text);
        }
    }
}

fn is_shadow_of(name: &DocumentName, base: &DocumentName) -> bool {
    let digits = name.as_str().strip_prefix(base.as_str()).and_then(|rest| rest.strip_prefix(SHADOW));
    digits.is_some_and(|digits| digits.len() == 8 && digits.chars().all(|c| c.is_ascii_hexdigit()))
}

fn is_derived(name: &DocumentName) -> bool {
    super::names::DERIVED_POLICY_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// Why a statement is refused where people write policies.
fn refusal(statement: &Statement) -> Option<String> {
    let document = Document::new(vec![statement.clone()]);
    if carries_admin_actions(&document) {
        return Some("it carries admin:, kms: or sts: actions".to_owned());
    }
    refusal_of(&document)
}

fn refusal_of(document: &Document) -> Option<String> {
    // Data that was read from JSON always serializes.
    let value = serde_json::to_value(document).ok()?;
    let options = CheckOptions { allow_unsafe_variables: false, ..CheckOptions::default() };
    check(&value, &options).err()?.first().map(ToString::to_string)
}

/// A document without the labels by which installations know their own.
fn unlabelled(document: &Document) -> Document {
    let mut plain = document.clone();
    let ours = super::family::label("");
    for statement in &mut plain.statement {
        statement.sid.take_if(|sid| sid.starts_with(&ours));
    }
    plain
}

/// A statement on one line.
fn summary(statement: &Statement) -> String {
    let actions = if statement.action.is_empty() { &statement.not_action } else { &statement.action };
    let not = if statement.action.is_empty() { "all but " } else { "" };
    let prefixes = statement.condition.values().flat_map(|keys| keys.values()).flatten();
    let resources = if statement.resource.is_empty() { &statement.not_resource } else { &statement.resource };
    let mut text = format!("{:?} {not}{} on {}", statement.effect, some_of(actions), some_of(resources));
    if !statement.condition.is_empty() {
        text.push_str(&format!(" where {}", some_of(prefixes)));
    }
    text
}

/// Why no share can say it.
fn reason(statement: &Statement) -> &'static str {
    let patterned = |text: &String| {
        let inner = text.strip_suffix("/*").unwrap_or(text);
        ["*", "?", "${"].iter().any(|special| inner.contains(special))
    };
    let mut named =
        statement.resource.iter().chain(statement.condition.values().flat_map(|keys| keys.values()).flatten());
    if statement.effect == super::document::Effect::Deny {
        "shares only give"
    } else if named.any(patterned) {
        "a pattern, and paths of shares are literal"
    } else {
        "a share gives listing and reading together, or all of listing, reading, writing and deleting"
    }
}

/// The rights of a workspace, if the parts read any of it.
fn workspace_of(parts: &Parts, rights: Rights) -> Option<Rights> {
    let reads = rights.iter().any(|(scope, _)| parts.reads(scope));
    reads.then_some(rights)
}
