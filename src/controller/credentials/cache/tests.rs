use super::super::fixtures::{key, owner, stored, template};
use super::super::secret;
use super::*;

const SECRET: &str = "minio-alice";
const PENDING: &str = "minio-alice.pending";

fn cache() -> SecretCache {
    let cache = SecretCache::new(template());
    assert!(list(&cache, []).is_empty());
    cache
}

fn list(cache: &SecretCache, secrets: impl IntoIterator<Item = Secret>) -> Vec<Affected> {
    assert!(cache.handle(&Scope::All, Event::Init).is_empty());
    for secret in secrets {
        assert!(cache.handle(&Scope::All, Event::InitApply(secret)).is_empty());
    }
    cache.handle(&Scope::All, Event::InitDone)
}

fn apply(cache: &SecretCache, secret: &Secret) -> Vec<Affected> {
    cache.handle(&Scope::All, Event::Apply(secret.clone()))
}

fn delete(cache: &SecretCache, secret: &Secret) -> Vec<Affected> {
    cache.handle(&Scope::All, Event::Delete(secret.clone()))
}

fn promoted(version: &str) -> Secret {
    stored(secret::secret(&owner(), &template(), &key(), None), "s", version)
}

fn pending(version: &str) -> Secret {
    stored(secret::pending(&owner(), &key()), "p", version)
}

fn edited(version: &str) -> Secret {
    let mut secret = promoted(version);
    secret.data = None;
    secret
}

fn alice() -> Vec<Affected> {
    let owners = ["uid-of-alice".to_owned()].into();
    vec![Affected { namespace: "lake".into(), secret_name: SECRET.into(), owners }]
}

fn version(cache: &SecretCache) -> Option<String> {
    match cache.view("lake", SECRET) {
        SecretView::Present(facts) => Some(facts.resource_version.clone()),
        _ => None,
    }
}

#[test]
fn before_the_first_list_nothing_is_known() {
    let cache = SecretCache::new(template());
    assert_eq!(cache.view("lake", SECRET), SecretView::Unknown);
    let lake = Scope::Namespace("lake".into());
    cache.handle(&lake, Event::Init);
    assert_eq!(cache.view("lake", SECRET), SecretView::Unknown);
    cache.handle(&lake, Event::InitDone);
    assert_eq!(cache.view("lake", SECRET), SecretView::Absent);
    assert_eq!(cache.view("sea", SECRET), SecretView::Unknown);
}

#[test]
fn changes_by_others_concern_the_owner() {
    let cache = cache();
    assert_eq!(apply(&cache, &promoted("5")), alice());
    assert_eq!(version(&cache).as_deref(), Some("5"));
    assert_eq!(apply(&cache, &edited("6")), alice());
    assert_eq!(delete(&cache, &edited("7")), alice());
    assert_eq!(cache.view("lake", SECRET), SecretView::Absent);
    assert_eq!(apply(&cache, &pending("8")), alice());
}

#[test]
fn a_secret_that_changes_hands_concerns_both() {
    let cache = cache();
    apply(&cache, &promoted("5"));
    let mut taken = promoted("6");
    for owner in taken.metadata.owner_references.iter_mut().flatten() {
        owner.uid = "uid-of-bob".into();
    }
    let owners: Vec<_> = apply(&cache, &taken).into_iter().flat_map(|affected| affected.owners).collect();
    assert_eq!(owners, ["uid-of-alice", "uid-of-bob"]);
    assert!(cache.former("lake", "uid-of-alice", "other").is_empty());
    assert_eq!(cache.former("lake", "uid-of-bob", "other"), [SECRET.to_owned()].into());
}

#[test]
fn a_new_version_of_the_same_concerns_nobody() {
    let cache = cache();
    apply(&cache, &promoted("5"));
    let mut annotated = promoted("6");
    annotated.metadata.annotations.get_or_insert_default().insert("some".into(), "note".into());
    assert!(apply(&cache, &annotated).is_empty());
    assert_eq!(version(&cache).as_deref(), Some("6"));
}

#[test]
fn the_echo_of_a_write_concerns_nobody_whichever_comes_first() {
    for echo_first in [false, true] {
        let cache = cache();
        cache.announce(&secret::secret(&owner(), &template(), &key(), None));
        assert_eq!(cache.view("lake", SECRET), SecretView::Unknown);
        if echo_first {
            assert!(apply(&cache, &promoted("5")).is_empty());
        }
        cache.saw(&promoted("5"));
        assert!(apply(&cache, &promoted("5")).is_empty());
        assert_eq!(version(&cache).as_deref(), Some("5"));
        assert_eq!(apply(&cache, &edited("6")), alice());
    }
}

#[test]
fn an_edit_that_beats_the_echo_is_not_lost() {
    let cache = cache();
    cache.announce(&secret::secret(&owner(), &template(), &key(), None));
    assert_eq!(apply(&cache, &edited("6")), alice());
    cache.saw(&promoted("5"));
    assert_eq!(version(&cache).as_deref(), Some("6"));
}

#[test]
fn the_echo_of_a_deletion_concerns_nobody() {
    let cache = cache();
    cache.saw(&pending("5"));
    cache.deleted("lake", PENDING, "p", false);
    assert_eq!(cache.view("lake", PENDING), SecretView::Unknown);
    cache.deleted("lake", PENDING, "p", true);
    for view in [apply(&cache, &pending("5")), delete(&cache, &pending("6"))] {
        assert!(view.is_empty());
        assert_eq!(cache.view("lake", PENDING), SecretView::Absent);
    }
    assert_eq!(apply(&cache, &pending("9")), alice());
}

#[test]
fn old_news_are_passed_over() {
    let cache = cache();
    cache.saw(&promoted("10"));
    assert!(apply(&cache, &edited("9")).is_empty());
    assert!(delete(&cache, &edited("9")).is_empty());
    assert_eq!(version(&cache).as_deref(), Some("10"));
}

#[test]
fn a_write_with_an_open_end_has_to_be_read() {
    let cache = cache();
    cache.announce(&secret::secret(&owner(), &template(), &key(), None));
    cache.doubt("lake", SECRET);
    assert_eq!(cache.view("lake", SECRET), SecretView::Unknown);
    cache.missing("lake", SECRET);
    assert_eq!(cache.view("lake", SECRET), SecretView::Absent);
}

#[test]
fn a_new_list_is_compared_with_what_was_known() {
    let cache = cache();
    apply(&cache, &promoted("5"));
    assert!(list(&cache, [promoted("5")]).is_empty());
    assert_eq!(list(&cache, []), alice());
    assert_eq!(cache.view("lake", SECRET), SecretView::Absent);
    assert_eq!(list(&cache, [promoted("8")]), alice());
    assert_eq!(cache.len(), 1);
}

#[test]
fn a_list_that_misses_our_own_new_secret_leaves_a_doubt() {
    let cache = cache();
    cache.saw(&promoted("5"));
    assert_eq!(list(&cache, []), alice());
    assert_eq!(cache.view("lake", SECRET), SecretView::Unknown);
}

#[test]
fn a_list_ends_the_memory_of_deletions() {
    let cache = cache();
    cache.deleted("lake", PENDING, "p", true);
    assert!(list(&cache, [pending("5")]).is_empty(), "the list may be older than the deletion");
    assert_eq!(cache.view("lake", PENDING), SecretView::Absent);
    assert!(list(&cache, []).is_empty());
    assert_eq!(apply(&cache, &pending("5")), alice());
}

#[test]
fn a_list_of_one_namespace_says_nothing_about_others() {
    let cache = cache();
    apply(&cache, &promoted("5"));
    let sea = Scope::Namespace("sea".into());
    cache.handle(&sea, Event::Init);
    assert!(cache.handle(&sea, Event::InitDone).is_empty());
    assert_eq!(version(&cache).as_deref(), Some("5"));
}

#[test]
fn former_secrets_are_found_by_owner() {
    let cache = cache();
    apply(&cache, &promoted("5"));
    apply(&cache, &pending("6"));
    assert!(cache.former("lake", "uid-of-alice", SECRET).is_empty());
    let former = cache.former("lake", "uid-of-alice", "s3");
    assert_eq!(former, [PENDING.to_owned(), SECRET.to_owned()].into());
    assert!(cache.former("sea", "uid-of-alice", "s3").is_empty());
}

#[test]
fn nothing_secret_is_kept() {
    let cache = cache();
    cache.announce(&secret::secret(&owner(), &template(), &key(), None));
    cache.saw(&promoted("5"));
    apply(&cache, &pending("6"));
    let shown = format!("{cache:?}");
    assert!(shown.contains("AKEXAMPLE00000000000") && !shown.contains("not/a=real"), "{shown}");
}
