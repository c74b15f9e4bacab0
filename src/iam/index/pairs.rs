//! Which objects are under a name.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::iam::subject::{Kind, ObjectKey};

/// No object comes before this one.
static FIRST: LazyLock<ObjectKey> = LazyLock::new(|| ObjectKey::first_of(Kind::MinioUser));

/// Names and objects, in one set: nearly every name has few objects, and a set for each would be far larger than what is in it.
#[derive(Clone, Debug)]
pub(super) struct Pairs<K>(BTreeSet<(K, ObjectKey)>);

impl<K> Default for Pairs<K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<K: Ord + Clone> Pairs<K> {
    /// Puts an object under a name.
    pub(super) fn put(&mut self, name: &K, object: &ObjectKey) {
        self.0.insert((name.clone(), object.clone()));
    }

    /// Takes an object from under a name.
    pub(super) fn take(&mut self, name: &K, object: &ObjectKey) {
        self.0.remove(&(name.clone(), object.clone()));
    }

    /// The objects under a name, in their order.
    pub(super) fn of<'a>(&'a self, name: &K) -> impl Iterator<Item = &'a ObjectKey> + use<'a, K> {
        let name = name.clone();
        let from = self.0.range((name.clone(), FIRST.clone())..);
        from.take_while(move |(held, _)| *held == name).map(|(_, object)| object)
    }

    /// The objects under names from one on and before another.
    pub(super) fn between(&self, from: K, before: K) -> impl Iterator<Item = &ObjectKey> {
        self.0.range((from, FIRST.clone())..(before, FIRST.clone())).map(|(_, object)| object)
    }

    /// All names that have an object, each once.
    pub(super) fn names(&self) -> impl Iterator<Item = &K> {
        let mut last = None;
        self.0.iter().map(|(name, _)| name).filter(move |name| last.replace(*name) != Some(*name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found_under_their_names() {
        let key = |name: &str| ObjectKey::new(Kind::PathShare, "lake", name);
        let mut pairs = Pairs::default();
        for (name, object) in [("b", "2"), ("a", "1"), ("b", "1"), ("b", "1"), ("c", "3")] {
            pairs.put(&name, &key(object));
        }
        let of = |pairs: &Pairs<&str>, name| pairs.of(&name).map(|key| key.name.clone()).collect::<Vec<_>>();
        assert_eq!((of(&pairs, "a"), of(&pairs, "b")), (vec!["1".to_owned()], vec!["1".to_owned(), "2".to_owned()]));
        assert_eq!(pairs.names().collect::<Vec<_>>(), [&"a", &"b", &"c"]);
        assert_eq!(pairs.between("a", "c").count(), 3);
        pairs.take(&"b", &key("1"));
        pairs.take(&"a", &key("2"));
        assert_eq!((of(&pairs, "b"), of(&pairs, "a").len(), of(&pairs, "d").len()), (vec!["2".to_owned()], 1, 0));
        pairs.take(&"a", &key("1"));
        assert_eq!(pairs.names().collect::<Vec<_>>(), [&"b", &"c"]);
    }
}
