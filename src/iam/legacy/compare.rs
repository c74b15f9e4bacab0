//! Who could do what before, and who can afterwards: asked request by request, not derived.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use super::finding::some_of;
use super::{Finding, Reading, Weight};
use crate::iam::declared::Declared;
use crate::iam::desired::{Desired, DesiredGroup, DesiredUser, Extras, Family, Fate};
use crate::iam::document::{Document, Effect};
use crate::iam::evaluate::{Request, decide};
use crate::iam::family::render;
use crate::iam::index::{Event, Index, IndexConfig, ServerPolicies};
use crate::iam::names::{DocumentName, PolicyName, ServerGroup, UserName};
use crate::iam::path::{Bucket, Rights, S3Path};
use crate::iam::subject::Subject;

const ARN: &str = "arn:aws:s3:::";
/// What a star in a pattern is tried with. No key is called so.
const SAMPLE: &str = "zz-sample";

/// What is tried on a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    List,
    Read,
    Write,
    Delete,
}

impl Operation {
    const ALL: [Self; 4] = [Self::List, Self::Read, Self::Write, Self::Delete];

    fn action(self) -> &'static str {
        match self {
            Self::List => "s3:ListBucket",
            Self::Read => "s3:GetObject",
            Self::Write => "s3:PutObject",
            Self::Delete => "s3:DeleteObject",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "listing",
            Self::Read => "reading",
            Self::Write => "writing",
            Self::Delete => "deleting",
        })
    }
}

/// A folder: a bucket and a key without slash at the end.
type Folder = (String, String);

/// A change that meets some users alike.
type Change = (Folder, BTreeSet<Operation>, BTreeSet<Operation>);

/// What users lose and gain below the folders that any policy speaks of, once what is declared is in force.
pub fn compare(
    reading: &Reading,
    declared: impl IntoIterator<Item = Declared>,
    config: &IndexConfig,
    public_writes: &BTreeSet<S3Path>,
    now: Timestamp,
) -> Vec<Finding> {
    let after = After::new(reading, declared, config, now);
    let mut changes: BTreeMap<Change, BTreeSet<&str>> = BTreeMap::new();
    let mut asked = BTreeSet::new();
    for (name, account) in &reading.users {
        let Some(desired) = UserName::parse(name).ok().and_then(|name| after.users.get(&name)) else { continue };
        let before = if account.enabled { documents_before(reading, name) } else { Vec::new() };
        let then = after.documents_of(name, desired, account.enabled);
        asked.insert(name.as_str());
        for folder in folders(name, before.iter().chain(&then).copied()) {
            let (had, has) = (allowed(name, &before, &folder), allowed(name, &then, &folder));
            if had != has {
                changes.entry((folder, &had - &has, &has - &had)).or_default().insert(name);
            }
        }
    }
    changes.into_iter().map(|(change, users)| finding(change, &users, asked.len(), public_writes)).collect()
}

fn finding((folder, lost, gained): Change, users: &BTreeSet<&str>, all: usize, public: &BTreeSet<S3Path>) -> Finding {
    let who = if users.len() == all && all > 1 { "everybody".to_owned() } else { some_of(users) };
    let (bucket, key) = &folder;
    let mut said = Vec::new();
    let plural = if users.len() == 1 || who == "everybody" { "s" } else { "" };
    for (verb, operations) in [("lose", &lost), ("gain", &gained)] {
        if !operations.is_empty() {
            said.push(format!(
                "{verb}{plural} {}",
                operations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            ));
        }
    }
    let path = Bucket::parse(bucket).ok().and_then(|bucket| S3Path::new(bucket, key).ok());
    let is_public = path.is_some_and(|path| public.iter().any(|public| public.contains(&path)));
    let why = if is_public && gained.is_empty() { " (it was public)" } else { "" };
    let text = format!("{who} {}{why}", said.join(" and "));
    Finding { weight: Weight::Difference, about: format!("s3a://{bucket}/{key}/"), text }
}

/// Every document that speaks of a user now. A disabled group takes everything from its members.
fn documents_before<'a>(reading: &'a Reading, user: &str) -> Vec<&'a Document> {
    let groups: Vec<_> = reading.groups.values().filter(|group| group.members.contains(user)).collect();
    if groups.iter().any(|group| !group.enabled) {
        return Vec::new();
    }
    let own = reading.users.get(user).into_iter().flat_map(|account| &account.attached);
    let names: BTreeSet<_> = own.chain(groups.iter().flat_map(|group| &group.attached)).collect();
    names.into_iter().filter_map(|name| reading.documents.get(name)?.as_ref()).collect()
}

/// The server as it will be.
struct After<'a> {
    reading: &'a Reading,
    users: BTreeMap<UserName, DesiredUser>,
    /// The groups by each of their names on the server.
    groups: BTreeMap<ServerGroup, DesiredGroup>,
    /// The documents of everything that is declared.
    documents: BTreeMap<DocumentName, Document>,
    /// Documents that go, or give way to those above: all that begin so.
    rewritten: BTreeSet<DocumentName>,
}

impl<'a> After<'a> {
    fn new(
        reading: &'a Reading,
        declared: impl IntoIterator<Item = Declared>,
        config: &IndexConfig,
        now: Timestamp,
    ) -> Self {
        let mut index = Index::new(IndexConfig { origin_required: false, ..config.clone() });
        for object in declared {
            index.apply(Event::Upsert(Box::new(object)));
        }
        let subjects = index.subjects();
        let referred: BTreeSet<PolicyName> =
            subjects.iter().flat_map(|subject| index.referred_policies(subject)).collect();
        let absent = referred.into_iter().filter(|name| !reading.documents.contains_key(&DocumentName::from(name)));
        index.apply(Event::Policies(ServerPolicies { absent: absent.collect(), ..ServerPolicies::default() }));
        index.tick(now);
        let mut after = Self {
            reading,
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            documents: BTreeMap::new(),
            rewritten: BTreeSet::new(),
        };
        for subject in subjects.iter().chain([&Subject::Everyone]) {
            let desired = index.desired(subject, now);
            if desired.fate() == Fate::Present {
                after.take(desired, config.adopted_extras);
            }
        }
        after
    }

    fn take(&mut self, desired: Desired, extras: Extras) {
        match desired {
            Desired::Everyone(family) => self.write(&family),
            Desired::Policy(policy) => {
                if let Some(document) = policy.document {
                    self.documents.insert(DocumentName::from(&policy.name), document);
                }
            }
            Desired::User(mut user) => {
                user.extras = extras;
                self.write(&user.home);
                self.write(&user.system);
                self.users.insert(user.name.clone(), user);
            }
            Desired::Group(mut group) => {
                group.extras = extras;
                for side in [&group.main, &group.twin].into_iter().filter(|side| side.present) {
                    self.write(&side.family);
                    self.groups.insert(side.group.clone(), group.clone());
                }
            }
            Desired::Key(_) => {}
        }
    }

    fn write(&mut self, family: &Family) {
        self.rewritten.insert(family.base.clone());
        if !family.is_empty() {
            let rights: Rights = family
                .workspace
                .iter()
                .chain(family.grants.iter())
                .map(|(scope, access)| (scope.clone(), access))
                .collect();
            self.documents.insert(family.base.clone(), render(&rights, family.guard, ""));
        }
    }

    /// Every document that will speak of a user.
    fn documents_of(&self, name: &str, user: &DesiredUser, enabled: bool) -> Vec<&Document> {
        if !user.enabled.unwrap_or(enabled) {
            return Vec::new();
        }
        let mut names = BTreeSet::from([user.home.base.clone(), user.system.base.clone()]);
        names.extend(user.policies.iter().cloned());
        if user.extras == Extras::Keep {
            names.extend(self.reading.users.get(name).into_iter().flat_map(|account| account.attached.clone()));
        }
        let mut groups: BTreeSet<&str> = BTreeSet::new();
        for (group, desired) in &self.groups {
            let side = if desired.main.group == *group { &desired.main } else { &desired.twin };
            if side.members.contains(name) {
                groups.insert(group.as_str());
            }
        }
        for (group, state) in self.reading.groups.iter().filter(|(_, state)| state.members.contains(name)) {
            match self.groups.get(group.as_str()) {
                Some(desired) if desired.extras == Extras::Remove => {}
                Some(_) => {
                    groups.insert(group);
                }
                // A group that nobody declares stays as it is.
                None if state.enabled => names.extend(state.attached.iter().cloned()),
                None => return Vec::new(),
            }
        }
        names.extend(groups.into_iter().flat_map(|group| self.attached(group)));
        names.iter().filter_map(|name| self.document(name)).collect()
    }

    fn attached(&self, group: &str) -> BTreeSet<DocumentName> {
        let Some(desired) = self.groups.get(group) else { return BTreeSet::new() };
        let side = if desired.main.group.as_str() == group { &desired.main } else { &desired.twin };
        let mut names = side.policies.clone();
        names.insert(side.family.base.clone());
        if desired.extras == Extras::Keep {
            names.extend(self.reading.groups.get(group).into_iter().flat_map(|state| state.attached.clone()));
        }
        names
    }

    fn document(&self, name: &DocumentName) -> Option<&Document> {
        let is_rewritten = || {
            let base = name.as_str().rsplit_once("--").map(|(base, _)| DocumentName::from_server(base));
            self.rewritten.contains(name)
                || base.is_some_and(|base| self.rewritten.contains(&base) && name.number_in(&base).is_some())
        };
        match self.documents.get(name) {
            Some(document) => Some(document),
            None if is_rewritten() => None,
            None => self.reading.documents.get(name)?.as_ref(),
        }
    }
}

/// The folders that documents speak of, with a sample where they have a pattern.
fn folders<'d>(user: &str, documents: impl Iterator<Item = &'d Document>) -> BTreeSet<Folder> {
    let statements = documents.flat_map(|document| &document.statement).filter(|held| held.effect == Effect::Allow);
    let mut folders = BTreeSet::new();
    for statement in statements {
        for resource in &statement.resource {
            let Some(place) = resource.strip_prefix(ARN) else { continue };
            match place.split_once('/') {
                Some((bucket, pattern)) => folders.insert((bucket.to_owned(), sample(pattern, user))),
                None => {
                    let prefixes = statement.condition.values().filter_map(|keys| keys.get("s3:prefix")).flatten();
                    folders.extend(prefixes.map(|pattern| (place.to_owned(), sample(pattern, user))));
                    false
                }
            };
        }
    }
    folders.retain(|(bucket, key)| Bucket::parse(bucket).is_ok() && !key.is_empty());
    folders
}

fn sample(pattern: &str, user: &str) -> String {
    let named = pattern.replace("${aws:username}", user);
    let folder = named.strip_suffix("/*").unwrap_or(&named);
    folder.replace('*', SAMPLE).replace('?', "z").trim_end_matches('/').to_owned()
}

/// What some documents allow below a folder. What cannot be decided is not counted.
fn allowed(user: &str, documents: &[&Document], (bucket, key): &Folder) -> BTreeSet<Operation> {
    let inside = format!("{key}/{SAMPLE}");
    let listing = BTreeMap::from([("prefix".to_owned(), vec![format!("{key}/")])]);
    let nothing = BTreeMap::new();
    let may = |operation: &Operation| {
        let (key, conditions) = match operation {
            Operation::List => ("", &listing),
            _ => (inside.as_str(), &nothing),
        };
        let request = Request { action: operation.action(), bucket, key, conditions, username: user };
        decide(documents.iter().copied(), &request).is_ok_and(|decision| decision.allowed)
    };
    Operation::ALL.into_iter().filter(may).collect()
}
