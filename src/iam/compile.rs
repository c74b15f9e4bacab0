//! From grants to rights: what a grant on an ancestor, or the own workspace, covers adds nothing.

use std::collections::BTreeMap;

use super::path::{Access, Rights, S3Path};

/// The rights that a set of grants adds to a workspace.
///
/// A grant is left out where the workspace or a grant on an ancestor gives at least as much; of several on one path the
/// greatest counts. The cost of a grant follows the depth of its path, not the number of grants.
pub fn uncovered<'a>(workspace: &Rights, grants: impl IntoIterator<Item = (&'a S3Path, Access)>) -> Rights {
    let mut held: BTreeMap<&S3Path, Access> = BTreeMap::new();
    for (path, access) in grants {
        let level = held.entry(path).or_insert(access);
        *level = (*level).max(access);
    }
    let by_place: BTreeMap<(&str, &str), Access> =
        held.iter().map(|(path, access)| ((path.bucket().as_str(), path.key()), *access)).collect();
    let covered_above = |path: &S3Path, access: Access| {
        ancestors(path.key())
            .any(|key| by_place.get(&(path.bucket().as_str(), key)).is_some_and(|above| *above >= access))
    };
    held.into_iter()
        .filter(|(path, access)| !covered_above(path, *access))
        .map(|(path, access)| (path.scope(), access))
        .filter(|(scope, access)| !workspace.cover(scope, *access))
        .collect()
}

/// The folders around a key, the nearest first.
fn ancestors(key: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(key.rsplit_once('/'), |(above, _)| above.rsplit_once('/')).map(|(above, _)| above)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> S3Path {
        S3Path::parse(text).unwrap()
    }

    #[test]
    fn ancestors_stop_at_the_bucket() {
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(ancestors("a").count(), 0);
    }

    #[test]
    fn covered_grants_add_nothing() {
        let workspace: Rights = [(path("s3a://lake/homes/bob").scope(), Access::ReadWrite)].into_iter().collect();
        let grants = [
            ("s3a://lake/a", Access::Read),
            ("s3a://lake/a/b", Access::Read),
            ("s3a://lake/a/c", Access::ReadWrite),
            ("s3a://lake/a/c/d", Access::Read),
            ("s3a://lake/a-b", Access::Read),
            ("s3a://lake/homes/bob/x", Access::ReadWrite),
            ("s3a://pond/a/b", Access::Read),
        ]
        .map(|(text, access)| (path(text), access));
        let rights = uncovered(&workspace, grants.iter().map(|(path, access)| (path, *access)));
        let shown: Vec<String> = rights.iter().map(|(scope, access)| format!("{scope} {access:?}")).collect();
        assert_eq!(
            shown,
            ["s3a://lake/a/ Read", "s3a://lake/a-b/ Read", "s3a://lake/a/c/ ReadWrite", "s3a://pond/a/b/ Read"]
        );
    }

    proptest! {
        /// Leaving grants out changes nothing for any key, and nothing that is left could be left out too.
        #[test]
        fn nothing_is_lost_and_nothing_is_double(
            grants in prop::collection::vec(("[ab](/[ab-]){0,3}", prop::bool::ANY), 0..12),
            key in "[ab](/[ab-]){0,4}",
        ) {
            let access = |write| if write { Access::ReadWrite } else { Access::Read };
            let grants: Vec<(S3Path, Access)> =
                grants.into_iter().map(|(key, write)| (path(&format!("s3a://lake/{key}")), access(write))).collect();
            let all: Rights = grants.iter().map(|(path, access)| (path.scope(), *access)).collect();
            let few = uncovered(&Rights::default(), grants.iter().map(|(path, access)| (path, *access)));
            let place = path(&format!("s3a://lake/{key}")).scope();
            for level in [Access::Read, Access::ReadWrite] {
                prop_assert_eq!(all.cover(&place, level), few.cover(&place, level));
            }
            for (scope, level) in few.iter() {
                let mut others = few.clone();
                others.remove(scope);
                prop_assert!(!others.cover(scope, level));
            }
        }
    }
}
