//! What the watch over our Secrets knows.
//!
//! The watch may lag behind our own writes: an event that is older than what we wrote is passed over, and the echo of our
//! own write affects nobody. Where a write's fate is open, the cache says so ([`SecretView::Unknown`]) and the next run reads.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher::Event;

use crate::iam::names::UserName;

use super::secret::{KeyFacts, PENDING_SUFFIX, SecretFacts, Template, pending_name};

/// What one watch covers: one namespace, or all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every namespace.
    All,
    /// This one.
    Namespace(String),
}

impl Scope {
    fn covers(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(name) => name == namespace,
        }
    }
}

/// What is known of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretView {
    /// Nothing: it must be read. The watch has no first list yet, or a write has an open end.
    Unknown,
    /// No Secret of ours has this name. One without our label may.
    Absent,
    /// It was like this at the last event or write of ours.
    Present(Arc<SecretFacts>),
}

/// Whom a change of a Secret concerns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Affected {
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name, without [`PENDING_SUFFIX`]: objects that want this name are concerned too.
    pub secret_name: String,
    /// The uids of the objects that own it or owned it before.
    pub owners: BTreeSet<String>,
}

/// Everything known about the Secrets with our label. Shared by the watch and the [`Issuer`](super::Issuer).
#[derive(Debug)]
pub struct SecretCache {
    template: Template,
    state: Mutex<State>,
}

/// Namespace and name of a Secret; every copy shares one text.
type Key = Arc<(String, String)>;

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    /// The uids of owners, each with a Secret.
    by_owner: BTreeSet<(Arc<str>, Key)>,
    listed: HashSet<Scope>,
    listing: HashMap<Scope, HashMap<Key, SecretFacts>>,
    /// Hashes of what we are about to write: their echo may arrive before the answer.
    announced: HashMap<Key, [u8; 32]>,
}

#[derive(Debug)]
enum Entry {
    Known {
        facts: Arc<SecretFacts>,
        /// Whether the watch has shown it. What only we have seen may be missing in a list that began before.
        echoed: bool,
    },
    /// We deleted the Secret with this uid; what the watch still says of it is old.
    Deleted {
        uid: String,
        /// Whether the deletion was answered.
        sure: bool,
    },
    /// A write of ours has an open end.
    Doubtful,
}

impl Entry {
    /// What is known of the key in a Secret of ours.
    fn key(&self) -> Option<&KeyFacts> {
        match self {
            Self::Known { facts, .. } => facts.key.as_ref(),
            Self::Deleted { .. } | Self::Doubtful => None,
        }
    }
}

impl SecretCache {
    /// An empty cache. The template decides which Secrets count as [current](SecretFacts::current).
    pub fn new(template: Template) -> Self {
        Self { template, state: Mutex::default() }
    }

    /// What Secrets should look like.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Takes in an event of the watch over `scope`, and says whom it concerns. The end of a list is compared with what was known.
    pub fn handle(&self, scope: &Scope, event: Event<Secret>) -> Vec<Affected> {
        let mut state = self.lock();
        match event {
            Event::Init => {
                state.listing.insert(scope.clone(), HashMap::new());
                Vec::new()
            }
            Event::InitApply(secret) => {
                let facts = SecretFacts::of(&secret, &self.template);
                state.listing.entry(scope.clone()).or_default().insert(key_of(&secret), facts);
                Vec::new()
            }
            Event::InitDone => state.finish_list(scope),
            Event::Apply(secret) => {
                let facts = SecretFacts::of(&secret, &self.template);
                state.observe(key_of(&secret), facts).into_iter().collect()
            }
            Event::Delete(secret) => {
                let facts = SecretFacts::of(&secret, &self.template);
                state.observe_deletion(&key_of(&secret), &facts).into_iter().collect()
            }
        }
    }

    /// What is known of one Secret.
    pub fn view(&self, namespace: &str, name: &str) -> SecretView {
        let state = self.lock();
        match state.entries.get(&(namespace.to_owned(), name.to_owned())) {
            Some(Entry::Known { facts, .. }) => SecretView::Present(Arc::clone(facts)),
            Some(Entry::Deleted { sure: true, .. }) => SecretView::Absent,
            Some(Entry::Deleted { sure: false, .. } | Entry::Doubtful) => SecretView::Unknown,
            None if state.listed.iter().any(|scope| scope.covers(namespace)) => SecretView::Absent,
            None => SecretView::Unknown,
        }
    }

    /// The names of the Secrets in `namespace` that the object with this uid owns, other than `secret_name` and its pending one.
    pub fn former(&self, namespace: &str, owner_uid: &str, secret_name: &str) -> BTreeSet<String> {
        let state = self.lock();
        let pending = pending_name(secret_name);
        let owned = state.owned_by(owner_uid).map(|key| (&key.0, &key.1));
        owned
            .filter(|(place, name)| *place == namespace && *name != secret_name && **name != pending)
            .map(|(_, name)| name.clone())
            .collect()
    }

    /// The ids of the keys that Secrets of ours name, by the user that they act as, of these users: those that people have,
    /// those that wait to be published, and those that live on for the overlap.
    pub fn keys_of_users(&self, users: &BTreeSet<String>) -> HashMap<String, BTreeSet<String>> {
        let mut keys: HashMap<String, BTreeSet<String>> = HashMap::new();
        for key in self.lock().entries.values().filter_map(Entry::key).filter(|key| users.contains(&key.user)) {
            keys.entry(key.user.clone()).or_default().extend(key.ids().cloned());
        }
        keys
    }

    /// Who a key acts as that a Secret of ours names.
    pub fn user_of_key(&self, access_key: &str) -> Option<String> {
        let state = self.lock();
        let mut keys = state.entries.values().filter_map(Entry::key);
        keys.find(|key| key.ids().any(|id| id == access_key)).map(|key| key.user.clone())
    }

    /// As [`Self::keys_of_users`], of one user.
    pub fn keys_of(&self, user: &UserName) -> BTreeSet<String> {
        let state = self.lock();
        let keys = state.entries.values().filter_map(Entry::key).filter(|key| key.user == user.as_str());
        keys.flat_map(KeyFacts::ids).cloned().collect()
    }

    /// How many Secrets are known.
    pub fn len(&self) -> usize {
        self.lock().entries.values().filter(|entry| matches!(entry, Entry::Known { .. })).count()
    }

    /// Whether no Secret is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// We are about to write this Secret. Followed by [`Self::saw`] or [`Self::doubt`]; until then its state is open, also
    /// where the writer is never heard of again.
    pub(super) fn announce(&self, secret: &Secret) {
        let hash = SecretFacts::of(secret, &self.template).hash;
        let key = key_of(secret);
        let mut state = self.lock();
        state.take(&key);
        state.entries.insert(key.clone(), Entry::Doubtful);
        state.announced.insert(key, hash);
    }

    /// We wrote or read this Secret of ours, and this is how the server has it.
    pub(super) fn saw(&self, secret: &Secret) -> Arc<SecretFacts> {
        let facts = Arc::new(SecretFacts::of(secret, &self.template));
        let mut state = self.lock();
        let key = key_of(secret);
        state.announced.remove(&key);
        let echoed = match state.entries.get(&key) {
            // The watch is ahead of this answer.
            Some(Entry::Known { facts: known, .. }) if is_older(&facts.resource_version, &known.resource_version) => {
                return facts;
            }
            Some(Entry::Known { facts: known, echoed }) => *echoed && known.resource_version == facts.resource_version,
            _ => false,
        };
        state.put(key, Arc::clone(&facts), echoed);
        facts
    }

    /// We are about to delete the Secret with this uid (`sure` is false), or did.
    pub(super) fn deleted(&self, namespace: &str, name: &str, uid: &str, sure: bool) {
        let mut state = self.lock();
        let key = key(namespace, name);
        state.take(&key);
        state.entries.insert(key, Entry::Deleted { uid: uid.to_owned(), sure });
    }

    /// We looked, and there was no such Secret.
    pub(super) fn missing(&self, namespace: &str, name: &str) {
        let mut state = self.lock();
        let key = key(namespace, name);
        match state.entries.get_mut(&key) {
            Some(Entry::Deleted { sure, .. }) => *sure = true,
            _ => drop(state.take(&key)),
        }
    }

    /// We looked, and somebody else's Secret has this name. Where the watch does not show it, the next run has to look again.
    pub(super) fn taken(&self, namespace: &str, name: &str) {
        self.lock().entries.entry(key(namespace, name)).or_insert(Entry::Doubtful);
    }

    /// A write of ours to this Secret failed, or its end is open.
    pub(super) fn doubt(&self, namespace: &str, name: &str) {
        let mut state = self.lock();
        let key = key(namespace, name);
        state.announced.remove(&key);
        state.take(&key);
        state.entries.insert(key, Entry::Doubtful);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The watch shows a Secret.
    fn observe(&mut self, key: Key, facts: SecretFacts) -> Option<Affected> {
        let own = self.announced.get(&key) == Some(&facts.hash);
        let mut affected = affected(&key, &facts);
        match self.entries.get_mut(&key) {
            Some(Entry::Deleted { uid, .. }) if *uid == facts.uid => return None,
            Some(Entry::Known { facts: known, .. }) if is_older(&facts.resource_version, &known.resource_version) => {
                return None;
            }
            Some(Entry::Known { facts: known, echoed }) => {
                *echoed = true;
                if same_but_for_version(known, &facts) {
                    Arc::make_mut(known).resource_version = facts.resource_version;
                    return None;
                }
                affected.owners.extend(known.owners());
            }
            _ => {}
        }
        self.put(key, Arc::new(facts), true);
        (!own).then_some(affected)
    }

    /// The watch shows that a Secret is gone; `facts` are its last.
    fn observe_deletion(&mut self, key: &Key, facts: &SecretFacts) -> Option<Affected> {
        match self.entries.get(key) {
            Some(Entry::Deleted { uid, .. }) if *uid == facts.uid => {
                self.entries.remove(key);
                None
            }
            Some(Entry::Known { facts: known, .. }) if is_older(&facts.resource_version, &known.resource_version) => {
                None
            }
            Some(Entry::Known { facts: known, .. }) => {
                let affected = affected(key, known);
                self.take(key);
                Some(affected)
            }
            Some(Entry::Deleted { .. } | Entry::Doubtful) => None,
            None => Some(affected(key, facts)),
        }
    }

    fn finish_list(&mut self, scope: &Scope) -> Vec<Affected> {
        let listing = self.listing.remove(scope).unwrap_or_default();
        let unseen: Vec<Key> =
            self.entries.keys().filter(|key| scope.covers(&key.0) && !listing.contains_key(*key)).cloned().collect();
        let mut changes: Vec<_> = unseen.into_iter().filter_map(|key| self.miss(key)).collect();
        changes.extend(listing.into_iter().filter_map(|(key, facts)| self.observe(key, facts)));
        self.listed.insert(scope.clone());
        changes.sort();
        changes
    }

    /// A list does not hold what was known.
    fn miss(&mut self, key: Key) -> Option<Affected> {
        match self.take(&key)? {
            Entry::Known { facts, echoed } => {
                if !echoed {
                    // Written by us, perhaps after the list was made.
                    self.entries.insert(key.clone(), Entry::Doubtful);
                }
                Some(affected(&key, &facts))
            }
            Entry::Deleted { .. } => None,
            Entry::Doubtful => {
                self.entries.insert(key, Entry::Doubtful);
                None
            }
        }
    }

    /// The Secrets that the object with this uid owns.
    fn owned_by<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a Key> {
        let from = self.by_owner.range((uid.into(), Key::default())..);
        from.take_while(move |(owner, _)| **owner == *uid).map(|(_, key)| key)
    }

    fn put(&mut self, key: Key, facts: Arc<SecretFacts>, echoed: bool) {
        self.take(&key);
        for owner in &facts.owners {
            self.by_owner.insert((owner.clone(), key.clone()));
        }
        self.entries.insert(key, Entry::Known { facts, echoed });
    }

    fn take(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        if let Entry::Known { facts, .. } = &entry {
            for owner in &facts.owners {
                self.by_owner.remove(&(owner.clone(), key.clone()));
            }
        }
        Some(entry)
    }
}

fn key_of(secret: &Secret) -> Key {
    let meta = &secret.metadata;
    key(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

fn key(namespace: &str, name: &str) -> Key {
    Arc::new((namespace.to_owned(), name.to_owned()))
}

fn affected(key: &Key, facts: &SecretFacts) -> Affected {
    let (namespace, name) = &**key;
    Affected {
        namespace: namespace.clone(),
        secret_name: name.strip_suffix(PENDING_SUFFIX).unwrap_or(name).to_owned(),
        owners: facts.owners().collect(),
    }
}

fn same_but_for_version(one: &SecretFacts, other: &SecretFacts) -> bool {
    one.uid == other.uid && SecretFacts { resource_version: other.resource_version.clone(), ..one.clone() } == *other
}

/// Whether version `one` was given before version `other`. The versions of one resource grow as numbers; anything else has no order.
fn is_older(one: &str, other: &str) -> bool {
    match (one.parse::<u64>(), other.parse::<u64>()) {
        (Ok(one), Ok(other)) => one < other,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
