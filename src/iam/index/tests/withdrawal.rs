use super::*;
use crate::iam::names::DocumentName;
use crate::iam::plan::Loss;

fn of(user: &str) -> Subject {
    Subject::User(name(user))
}

fn loss(user: &str, key: &str) -> Loss {
    Loss::Grant { family: DocumentName::user_home(&name(user)), scope: path(key).scope(), access: READ }
}

fn leaves(member: &str) -> Loss {
    Loss::Member { group: ServerGroup::parse("team").unwrap(), member: member.to_owned() }
}

fn of_rest(object: Declared) -> Declared {
    object.with(|meta| meta.rest = true)
}

fn exempt(index: &Index, user: &str, key: &str) -> bool {
    index.is_exempt(&of(user), &loss(user, key), NOW)
}

#[test]
fn what_rest_takes_back_is_exempt_until_the_subject_has_converged() {
    let both = |access| [(to_user("alice"), terms(access)), (to_user("bob"), terms(access))];
    let of_git = share("git", "exp/git", &both(READ));
    let mut index = index_of([user("alice"), user("bob"), of_git, of_rest(share("rest", "exp/rest", &both(READ)))]);
    assert!(!exempt(&index, "alice", "exp/rest"), "nobody has taken it back");
    let dirty = put(&mut index, of_rest(share("rest", "exp/rest", &both(READ)[1..])));
    put(&mut index, share("git", "exp/git", &both(READ)[1..]));
    assert!(exempt(&index, "alice", "exp/rest") && !exempt(&index, "alice", "exp/git"));
    assert!(!exempt(&index, "bob", "exp/rest") && !exempt(&index, "alice", "exp"));
    index.converged(&of("bob"), index.seq());
    index.converged(&of("alice"), dirty.seq - 1);
    assert!(exempt(&index, "alice", "exp/rest"), "that run did not include it");
    index.converged(&of("alice"), index.seq());
    assert!(!exempt(&index, "alice", "exp/rest"), "a later loss is another one");
}

#[test]
fn an_object_of_rest_that_goes_is_exempt_also_when_it_was_never_seen_before() {
    let shared = of_rest(share("rest", "exp", &[(to_user("alice"), terms(READ))])).deleting();
    let joined = of_rest(membership("rest", "team", &[("alice", terms(WRITE))])).deleting();
    let of_git = share("git", "git", &[(to_user("alice"), terms(READ))]).deleting();
    let index = index_of([user("alice"), group("team", &[], &[]), shared, joined, of_git]);
    assert!(exempt(&index, "alice", "exp") && !exempt(&index, "alice", "git"));
    let team = Subject::Group(group_name("team"));
    assert!(index.is_exempt(&team, &leaves("alice"), NOW) && !index.is_exempt(&team, &leaves("bob"), NOW));
}

#[test]
fn locks_and_ends_are_exempt() {
    let timed = share("timed", "timed", &[(to_user("alice"), until(READ, 50))]);
    let locked = share("locked", "locked", &[(to_user("alice"), terms(READ))]);
    let locked = locked.with(|meta| meta.lock = Some("review".into()));
    let ends = membership("ends", "team", &[("alice", until(WRITE, 50))]);
    let bob = user("bob").with(|meta| meta.lock = Some("leak".into()));
    let index = index_of([user("alice"), bob, group("team", &["bob"], &[]), timed, locked, ends]);
    assert!(exempt(&index, "alice", "locked") && !exempt(&index, "alice", "timed"));
    assert!(index.is_exempt(&of("alice"), &loss("alice", "timed"), at(50)));
    let team = Subject::Group(group_name("team"));
    assert!(!index.is_exempt(&team, &leaves("alice"), NOW) && index.is_exempt(&team, &leaves("alice"), at(50)));
    assert!(!index.is_exempt(&team, &leaves("bob"), NOW), "a lock on a user takes it out of no group");
    for (user, is_exempt) in [("alice", false), ("bob", true)] {
        for loss in [Loss::Disabled(name(user)), Loss::User(name(user))] {
            assert_eq!(index.is_exempt(&of(user), &loss, NOW), is_exempt, "{loss}");
        }
    }
}

#[test]
fn what_shares_gave_to_everyone_is_exempt_and_the_layout_is_not() {
    let open = |object: &str| share(object, object, &[]).with_share(|share| share.everyone = true);
    let mut index = index_of([open("stays"), open("goes"), open("closed").deleting()]);
    let dirty = put(&mut index, share("goes", "goes", &[]));
    let exempt = |index: &Index, key: &str| index.is_exempt(&Subject::Everyone, &loss("alice", key), NOW);
    assert!(exempt(&index, "goes") && exempt(&index, "closed") && !exempt(&index, "folder"));
    index.converged(&Subject::Everyone, dirty.seq);
    assert!(!exempt(&index, "goes"));
}

#[test]
fn what_goes_with_a_user_or_a_group_is_no_loss_of_its_own() {
    let index = index_of([
        user("alice").deleting(),
        user("bob").deleting().with_user(|user| user.deletion = Some(crate::api::DeletionPolicy::Retain)),
        group("team", &["alice", "bob"], &[]),
    ]);
    let team = Subject::Group(group_name("team"));
    let losses = BTreeSet::from([leaves("alice"), leaves("bob")]);
    assert_eq!(index.counted(&team, &losses, NOW), BTreeSet::from([leaves("bob")]));
    let sides = ["team", "team-ro"].map(|side| Loss::Group(ServerGroup::parse(side).unwrap()));
    assert_eq!(index.counted(&team, &sides.clone().into(), NOW), BTreeSet::from([sides[0].clone()]));
    let twin = BTreeSet::from([sides[1].clone()]);
    assert_eq!(index.counted(&team, &twin, NOW), twin, "a twin that goes alone counts");
}

#[test]
fn who_only_gave_need_not_wait_for_what_is_held() {
    let alice = [(to_user("alice"), terms(READ))];
    let (taken, given) = (share("taken", "taken", &alice), share("given", "given", &alice));
    let mut index = index_of([user("alice"), taken.clone()]);
    index.compared();
    index.converged(&of("alice"), index.seq());
    put(&mut index, share("taken", "taken", &[]));
    put(&mut index, given.clone());
    let seq = index.seq();
    assert_eq!(index.widened(&of("alice"), seq), BTreeSet::from([given.key().clone()]));
    assert!(verdict(&index, &given).is_settled() && !verdict(&index, &taken).is_settled());
    index.converged(&of("alice"), seq);
    assert!(verdict(&index, &taken).is_settled());
}

#[test]
fn what_is_declared_is_counted() {
    let index = index_of([
        user("alice").with_policies(&["readonly"]),
        group("team", &["alice"], &["bob"]),
        membership("more", "team", &[("carol", terms(WRITE)), ("dave", terms(READ))]),
        share("exp", "exp", &[(to_user("alice"), terms(READ))]),
        share("gone", "gone", &[(to_user("alice"), terms(READ))]).deleting(),
    ]);
    assert_eq!(index.size(), 2 + 3 + 2 + 1);
}
