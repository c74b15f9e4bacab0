//! Which right goes into which document of a family: as it is, wherever possible.
//!
//! A right stays in the document that shows it. One right more, less, or at another level touches at most two documents:
//! at most the changed right moves, since what did not change still fits; and two documents are put together only when
//! both fill [`DISSOLVE_BELOW`] bytes at most, which no document does that a right was just too large for.

use std::collections::BTreeMap;

use super::desired::Family;
use super::document::MAX_BYTES;
use super::family::{Draft, rights_in};
use super::observed::Documents;
use super::path::{Access, Rights, Scope};

/// More than any one right can add to a document: three times a key of 1,024 bytes, each escaped, and the statements.
pub(super) const GREATEST_RIGHT: usize = 8_192;

/// Documents are put together when one of this size holds both.
const DISSOLVE_BELOW: usize = MAX_BYTES - GREATEST_RIGHT;

/// The documents of a family by number, counted from 1. None is empty, and all are within the server's limit.
pub type Placement = BTreeMap<usize, Draft>;

/// Distributes the rights of a family over documents, following the documents that were observed.
pub fn place(family: &Family, observed: &Documents, instance: &str) -> Placement {
    let held = held_rights(family, observed);
    let mut placement = Placement::new();
    let mut left = pin(family, &mut placement, instance);
    let mut stay: Vec<_> =
        family.grants.iter().map(|(scope, access)| (home(&held, scope, access), scope, access)).collect();
    stay.sort();
    for (home, scope, access) in stay {
        let stayed = home
            .number()
            .is_some_and(|number| placement.entry(number).or_insert_with(|| Draft::new(instance)).add(scope, access));
        if !stayed {
            left.push((scope, access));
        }
    }
    placement.retain(|_, draft| !draft.is_empty());
    for (scope, access) in left {
        put_first_fit(&mut placement, scope, access, instance);
    }
    dissolve(&mut placement);
    placement
}

/// What each observed document of the family gives.
fn held_rights(family: &Family, observed: &Documents) -> BTreeMap<usize, Rights> {
    observed
        .iter()
        .filter_map(|(name, document)| Some((name.number_in(&family.base)?, rights_in(document.as_ref()?))))
        .collect()
}

/// Puts guard and workspace into the first document; returns what does not fit there.
fn pin<'a>(family: &'a Family, placement: &mut Placement, instance: &str) -> Vec<(&'a Scope, Access)> {
    if !family.guard && family.workspace.is_empty() {
        return Vec::new();
    }
    let mut first = Draft::new(instance);
    first.set_guard(family.guard);
    let left = family.workspace.iter().filter(|(scope, access)| !first.add(scope, *access)).collect();
    placement.insert(1, first);
    left
}

/// Where a right belongs, in the order in which rights are seated: what did not change comes first and so keeps its place.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Home {
    /// A document shows exactly this right.
    Same(usize),
    /// A document shows the scope at another level.
    OtherLevel(usize),
    /// A document shows a right above or below it: it takes part in replacing that one.
    Related(usize),
    /// No document shows anything like it.
    None,
}

impl Home {
    fn number(&self) -> Option<usize> {
        match self {
            Home::Same(number) | Home::OtherLevel(number) | Home::Related(number) => Some(*number),
            Home::None => None,
        }
    }
}

fn home(held: &BTreeMap<usize, Rights>, scope: &Scope, access: Access) -> Home {
    let first =
        |test: &dyn Fn(&Rights) -> bool| held.iter().find(|(_, rights)| test(rights)).map(|(number, _)| *number);
    let related = |rights: &Rights| rights.iter().any(|(other, _)| other.contains(scope) || scope.contains(other));
    first(&|rights| rights.get(scope) == Some(access))
        .map(Home::Same)
        .or_else(|| first(&|rights| rights.get(scope).is_some()).map(Home::OtherLevel))
        .or_else(|| first(&related).map(Home::Related))
        .unwrap_or(Home::None)
}

fn put_first_fit(placement: &mut Placement, scope: &Scope, access: Access, instance: &str) {
    if placement.values_mut().any(|draft| draft.add(scope, access)) {
        return;
    }
    let free = (1..).find(|number| !placement.contains_key(number)).expect("numbers do not end");
    let mut draft = Draft::new(instance);
    let fits = draft.add(scope, access);
    debug_assert!(fits, "no right is as large as a document");
    placement.insert(free, draft);
}

/// Empties documents with high numbers into others where both are small.
fn dissolve(placement: &mut Placement) {
    let numbers: Vec<usize> = placement.keys().copied().collect();
    for &from in numbers.iter().rev() {
        let Some(small) = placement.get(&from) else { continue };
        let merged =
            placement.range(..from).find_map(|(&into, draft)| Some((into, draft.with_all(small, DISSOLVE_BELOW)?)));
        if let Some((into, both)) = merged {
            placement.insert(into, both);
            placement.remove(&from);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::names::{DocumentName, UserName};
    use super::super::path::{Bucket, S3Path};
    use super::*;

    const INSTANCE: &str = "6a0c2d53-5c94-4d0b-9d5e-0a4f6f2b8a10";

    fn base() -> DocumentName {
        DocumentName::user_home(&UserName::parse("bob").unwrap())
    }

    fn family(guard: bool, workspace: Rights, grants: Rights) -> Family {
        Family { base: base(), workspace, grants, guard }
    }

    fn documents(placement: &Placement) -> Documents {
        placement.iter().map(|(number, draft)| (base().numbered(*number), Some(draft.render()))).collect()
    }

    fn right(bucket: usize, number: usize, length: usize, write: bool) -> (Scope, Access) {
        let bucket = Bucket::parse(["lake", "pond", "a-third-bucket"][bucket % 3]).unwrap();
        let mut key = format!("{number}-");
        while key.len() < length {
            key.push_str("some\\segment/"); // The backslash takes two bytes in a document.
        }
        (S3Path::new(bucket, &key).unwrap().scope(), if write { Access::ReadWrite } else { Access::Read })
    }

    fn grant() -> impl Strategy<Value = (Scope, Access)> {
        let length = prop_oneof![3 => 0..60usize, 2 => 200..900usize];
        (0..3usize, 0..400usize, length, any::<bool>()).prop_map(|(b, n, l, w)| right(b, n, l, w))
    }

    fn assert_placed(family: &Family, placement: &Placement) {
        let mut placed: Vec<_> = Vec::new();
        for (number, draft) in placement {
            let document = draft.render();
            assert_eq!(document.size(), draft.size());
            assert!(!draft.is_empty() && document.size() <= MAX_BYTES);
            assert_eq!(draft.guard(), family.guard && *number == 1);
            placed.extend(draft.rights().iter().map(|(scope, access)| (scope.clone(), access)));
        }
        placed.sort();
        let all: Vec<_> = family.workspace.iter().chain(family.grants.iter()).map(|(s, a)| (s.clone(), a)).collect();
        let mut all: Vec<_> = all.into_iter().collect::<Rights>().iter().map(|(s, a)| (s.clone(), a)).collect();
        all.sort();
        assert_eq!(placed, all);
        for (scope, access) in family.workspace.iter() {
            assert!(placement[&1].rights().get(scope).is_some_and(|held| held >= access));
        }
    }

    #[derive(Clone, Debug)]
    enum Edit {
        Add(Scope, Access),
        Remove(prop::sample::Index),
        Switch(prop::sample::Index),
    }

    fn edit() -> impl Strategy<Value = Edit> {
        prop_oneof![
            2 => grant().prop_map(|(scope, access)| Edit::Add(scope, access)),
            3 => any::<prop::sample::Index>().prop_map(Edit::Remove),
            2 => any::<prop::sample::Index>().prop_map(Edit::Switch),
        ]
    }

    fn edited(rights: &Rights, edit: &Edit) -> Rights {
        let mut rights = rights.clone();
        let all: Vec<_> = rights.iter().map(|(scope, access)| (scope.clone(), access)).collect();
        match edit {
            Edit::Add(scope, access) => rights.add(scope.clone(), *access),
            Edit::Remove(index) | Edit::Switch(index) if !all.is_empty() => {
                let (scope, access) = index.get(&all);
                rights.remove(scope);
                if let Edit::Switch(_) = edit {
                    let other = if *access == Access::Read { Access::ReadWrite } else { Access::Read };
                    rights.add(scope.clone(), other);
                }
            }
            Edit::Remove(_) | Edit::Switch(_) => {}
        }
        rights
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn one_edit_touches_two_documents_at_most_and_what_is_placed_stays(
            guard in any::<bool>(),
            home in any::<bool>(),
            start in prop::collection::vec(grant(), 0..90),
            edits in prop::collection::vec(edit(), 0..40),
        ) {
            let workspace: Rights = home.then(|| right(0, 1000, 20, true)).into_iter().collect();
            let mut wish = family(guard, workspace, start.into_iter().collect());
            let mut placement = place(&wish, &Documents::new(), INSTANCE);
            for edit in &edits {
                assert_placed(&wish, &placement);
                let before = documents(&placement);
                prop_assert_eq!(documents(&place(&wish, &before, INSTANCE)), before.clone());
                wish.grants = edited(&wish.grants, edit);
                placement = place(&wish, &before, INSTANCE);
                let after = documents(&placement);
                let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
                let touched = names.into_iter().filter(|name| before.get(*name) != after.get(*name)).count();
                prop_assert!(touched <= 2, "{edit:?} touches {touched}");
            }
            assert_placed(&wish, &placement);
        }
    }

    #[test]
    fn a_full_family_that_loses_most_ends_in_one_document() {
        let all: Rights = (0..300).map(|number| right(0, number, 100, number % 2 == 0)).collect();
        let mut wish = family(true, Rights::default(), all);
        let full = place(&wish, &Documents::new(), INSTANCE);
        assert!(full.len() > 3);
        wish.grants = wish.grants.iter().step_by(20).map(|(scope, access)| (scope.clone(), access)).collect();
        let rest = place(&wish, &documents(&full), INSTANCE);
        assert_eq!(rest.keys().copied().collect::<Vec<_>>(), [1]);
    }

    /// A right whose key has this length and costs three bytes for each.
    fn plain(number: usize, length: usize) -> Scope {
        let key: String =
            format!("{number:04}-").chars().chain("xxxxxxxxx/".chars().cycle()).take(length - 1).collect();
        S3Path::new(Bucket::parse("lake").unwrap(), &format!("{key}x")).unwrap().scope()
    }

    /// Adds plain rights until the document has just not more than `size` bytes.
    fn fill(draft: &mut Draft, first: usize, size: usize) {
        for number in first.. {
            let mut probe = draft.clone();
            assert!(probe.add(&plain(number, 10), Access::Read));
            let Some(rest) = size.checked_sub(probe.size()).filter(|rest| *rest >= 3) else { return };
            assert!(draft.add(&plain(number, (10 + rest / 3).min(600)), Access::Read));
        }
    }

    #[test]
    fn a_right_that_became_too_large_moves_alone() {
        // The second document has no room for another statement; without the right that needs one it could take in the
        // third, while the first has just room for that right.
        let moving = plain(0, 300);
        let alone = |scope: &Scope| {
            let mut draft = Draft::new(INSTANCE);
            assert!(draft.add(scope, Access::Read));
            draft
        };
        let mut second = alone(&moving);
        fill(&mut second, 200, MAX_BYTES - 200);
        let third = alone(&plain(1, 333));
        let mut first = alone(&plain(2, 20));
        assert!(first.add(&plain(3, 20), Access::ReadWrite));
        let mut with = first.clone();
        assert!(with.add(&moving, Access::ReadWrite));
        let cost = with.size() - first.size();
        fill(&mut first, 100, MAX_BYTES - cost - 50);
        assert!(first.with_all(&third, MAX_BYTES).is_none() && first.clone().add(&moving, Access::ReadWrite));

        let observed: Placement = [(1, first), (2, second), (3, third)].into_iter().collect();
        let all: Rights =
            observed.values().flat_map(|draft| draft.rights().iter()).map(|(s, a)| (s.clone(), a)).collect();
        let mut wish = family(false, Rights::default(), all);
        let before = documents(&observed);
        assert_eq!(documents(&place(&wish, &before, INSTANCE)), before);
        wish.grants.add(moving.clone(), Access::ReadWrite);
        let placement = place(&wish, &before, INSTANCE);
        assert_eq!(placement[&1].rights().get(&moving), Some(Access::ReadWrite));
        assert_eq!(placement[&3].rights(), observed[&3].rights());
    }

    #[test]
    fn a_right_that_replaces_another_takes_its_place() {
        let all: Rights = (0..300).map(|number| right(0, number, 100, false)).collect();
        let mut wish = family(true, Rights::default(), all);
        let full = documents(&place(&wish, &Documents::new(), INSTANCE));
        let last = full.keys().find(|name| name.number_in(&base()) == Some(3)).unwrap();
        let (scope, _) = {
            let rights = rights_in(full[last].as_ref().unwrap());
            rights.iter().next().map(|(scope, access)| (scope.clone(), access)).unwrap()
        };
        wish.grants.remove(&scope);
        let below = S3Path::new(scope.bucket().clone(), &format!("{}/below", scope.pattern())).unwrap().scope();
        wish.grants.add(below.clone(), Access::Read);
        let placed = place(&wish, &full, INSTANCE);
        assert!(placed[&3].rights().get(&below).is_some());
    }
}
