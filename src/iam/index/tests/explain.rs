//! Why somebody may do something or not, as the index tells it.

use proptest::prelude::*;

use super::*;
use crate::iam::access::of;
use crate::iam::evaluate::{Certainty, certainty, decide};
use crate::iam::explain::{Action, Explanation, Given, Place, Question, explain, holdings};

fn ask(index: &Index, user: &str, action: &str, key: &str) -> Explanation {
    ask_with(index, user, action, key, &[])
}

fn ask_with(index: &Index, user: &str, action: &str, key: &str, given: &[&str]) -> Explanation {
    let given = given.iter().map(|text| Given::parse(text).unwrap()).collect();
    let place = Place::parse(&format!("s3a://lake/{key}")).unwrap();
    let question = Question::new(user, Action::parse(action).unwrap(), place, given, NOW).unwrap();
    explain(index, &question, "id", NOW).unwrap()
}

/// What allows it, and until when.
fn through(index: &Index, user: &str, action: &str, key: &str) -> Vec<String> {
    let answer = ask(index, user, action, key);
    assert!(answer.allowed && answer.reasons.is_empty(), "{user} {action} {key}: {answer:?}");
    let shown = |end: Option<Timestamp>| end.map(|end| format!(" until {}", end.as_second())).unwrap_or_default();
    let mut told: Vec<String> =
        answer.grounds.iter().map(|ground| format!("{}{}", ground.via, shown(ground.until))).collect();
    told.push(shown(answer.until).trim().to_owned());
    told
}

/// Why it is not allowed: codes and messages.
fn why_not(index: &Index, user: &str, action: &str, key: &str) -> Vec<String> {
    let answer = ask(index, user, action, key);
    assert!(!answer.allowed && answer.grounds.is_empty(), "{user} {action} {key}: {answer:?}");
    answer.reasons.iter().map(|reason| format!("{}: {}", reason.code, reason.message)).collect()
}

fn world() -> Index {
    index_of([
        user("alice"),
        user("bob"),
        user("carol").with_policies(&["careful", "readonly"]),
        user("dave").with_user(|user| user.enabled = Some(false)),
        user("erin").with(|meta| meta.lock = Some("on leave".to_owned())),
        user("frank").with_user(|user| user.workspace = Workspace::None),
        group("team", &["bob"], &["carol"]).with_policies(&["reports"]),
        group("asleep", &["bob"], &[]).with_group(|group| group.enabled = false),
        membership("extra", "team", &[("frank", until(WRITE, -10))]),
        share("exp", "homes/alice/exp", &[(to_user("bob"), until(READ, 50)), (to_user("frank"), until(WRITE, -5))])
            .owned_by("alice"),
        share("wide", "homes/alice", &[(to_group("team"), until(READ, 70))]).owned_by("alice"),
        share("off", "homes/alice/off", &[(to_user("frank"), terms(READ))]).with_share(|share| share.suspended = true),
        share("night", "homes/alice/night", &[(to_group("asleep"), terms(READ))]).owned_by("alice"),
        policy_of(
            "careful",
            json!([
                {"Sid": "NotThis", "Effect": "Deny", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::lake/homes/carol/safe/*"]},
                {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::lake/office/*"],
                 "Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}}},
            ]),
        ),
        policy_of(
            "reports",
            json!([
                {"Effect": "Allow", "Action": ["s3:GetObjectRetention"], "Resource": ["arn:aws:s3:::lake/reports/*"]},
            ]),
        ),
    ])
}

#[test]
fn what_is_allowed_names_statement_object_and_end() {
    let index = world();
    assert_eq!(through(&index, "alice", "write", "homes/alice/x"), ["MinioUser lake/alice", ""]);
    assert_eq!(
        through(&index, "bob", "read", "homes/alice/exp/x"),
        ["PathShare lake/exp until 50", "group team, PathShare lake/wide until 70", "until 70"],
        "either of them is enough, so that the later end counts"
    );
    assert_eq!(through(&index, "bob", "list", "homes/alice/exp"), through(&index, "bob", "read", "homes/alice/exp/x"));
    assert_eq!(through(&index, "carol", "read", "elsewhere/x"), ["policy readonly", ""]);
    assert_eq!(through(&index, "bob", "GetObjectRetention", "reports/x"), ["group team, MinioPolicy lake/reports", ""]);
    let cited = ask(&index, "bob", "GetObjectRetention", "reports/x").statement.unwrap();
    assert_eq!((cited.document.as_str(), cited.group.as_deref()), ("reports", Some("team")));
    assert_eq!(cited.object.unwrap().to_string(), "MinioPolicy lake/reports");
    let own = ask(&index, "alice", "write", "homes/alice/x").statement.unwrap();
    assert_eq!(own.document.as_str(), "user-home-policy-alice");
    assert!(own.statement.action.contains("s3:PutObject"));
}

#[test]
fn a_membership_that_gives_nothing_does_not_make_another_one_last() {
    let index = index_of([
        user("alice"),
        group("team", &[], &[]),
        membership("short", "team", &[("alice", until(WRITE, 40))]),
        membership("long", "team", &[("alice", terms(WRITE))])
            .with(|meta| (meta.rest, meta.bound_uid) = (true, Some("of a former team".into()))),
    ]);
    assert_eq!(
        through(&index, "alice", "read", "teams/team/x"),
        ["group team, MinioGroup lake/team until 40", "until 40"]
    );
}

#[test]
fn what_is_not_allowed_says_what_is_nearest() {
    let index = world();
    assert_eq!(
        why_not(&index, "bob", "write", "homes/alice/exp/x"),
        [
            "LowerAccess: bob has Read through group team, PathShare lake/wide; s3:PutObject needs ReadWrite",
            "LowerAccess: bob has Read through PathShare lake/exp; s3:PutObject needs ReadWrite",
            "OthersMay: who has ReadWrite there: alice through MinioUser lake/alice",
        ]
    );
    for (user, action, key, expected) in [
        ("nobody", "read", "x", "UserNotFound: no MinioUser declares user nobody"),
        ("x", "read", "x", "UserNotFound: no MinioUser can declare this user"),
        ("dave", "read", "homes/dave/x", "Disabled: MinioUser lake/dave: spec.enabled is false"),
        ("erin", "read", "homes/erin/x", "Locked: MinioUser lake/erin is locked: on leave"),
        ("frank", "read", "homes/frank/x", "NoWorkspace: MinioUser lake/frank has no home"),
        (
            "frank",
            "read",
            "homes/alice/exp/x",
            "Expired: PathShare lake/exp gave frank ReadWrite until 1969-12-31T23:59:55Z",
        ),
        (
            "frank",
            "read",
            "homes/alice/off/x",
            "Suspended: PathShare lake/off, which gives frank Read, is not in force",
        ),
        ("frank", "read", "teams/team/x", "NoMember: MinioGroup lake/team is for group team, in which frank was until"),
        ("frank", "read", "homes/alice/wide/x", "NoMember: PathShare lake/wide is for group team"),
        ("bob", "read", "teams/asleep/x", "Disabled: MinioGroup lake/asleep is not in force: spec.enabled is false"),
        ("bob", "write", "nowhere/x", "NothingGrants: nothing gives bob ReadWrite on s3a://lake/nowhere/x"),
        ("bob", "PutObjectRetention", "nowhere/x", "no share gives it, only a MinioPolicy can"),
        (
            "carol",
            "read",
            "homes/carol/safe/x",
            "Denied: a statement \"NotThis\" of MinioPolicy lake/careful, policy careful denies it",
        ),
    ] {
        let reasons = why_not(&index, user, action, key);
        assert!(reasons.iter().any(|reason| reason.contains(expected)), "{user} {action} {key}: {reasons:#?}");
    }
    let below = why_not(&index, "bob", "list", "homes");
    assert!(
        below.iter().any(|reason| reason.starts_with("OnlyBelow: bob has Read on s3a://lake/homes/alice/")),
        "{below:#?}"
    );
}

#[test]
fn refused_shares_and_going_users_say_why() {
    let mut index = world();
    put(&mut index, share("stray", "homes/bob/x", &[(to_user("frank"), terms(READ))]).owned_by("alice"));
    let reasons = why_not(&index, "frank", "read", "homes/bob/x/y");
    assert!(
        reasons[0].starts_with("Stalled: PathShare lake/stray, which gives frank Read, is Stalled, OwnerMismatch"),
        "{reasons:#?}"
    );
    put(&mut index, user("gina").deleting());
    assert_eq!(why_not(&index, "gina", "read", "homes/gina/x"), ["Deleting: MinioUser lake/gina is being deleted"]);
    put(&mut index, user("imposter").with_user(|user| user.name = name("alice")));
    assert!(ask(&index, "alice", "read", "homes/alice/x").allowed, "who holds the name decides");
}

#[test]
fn what_the_answer_hangs_on_is_said() {
    let index = world();
    let open = ask(&index, "carol", "write", "office/x");
    assert_eq!((open.allowed, open.depends_on), (false, BTreeSet::from(["aws:SourceIp".to_owned()])));
    let inside = ask_with(&index, "carol", "write", "office/x", &["aws:SourceIp=10.1.2.3"]);
    assert!(inside.allowed && inside.depends_on.is_empty());
    assert_eq!(inside.grounds[0].via.to_string(), "MinioPolicy lake/careful");
    let outside = ask_with(&index, "carol", "write", "office/x", &["aws:SourceIp=192.0.2.1"]);
    assert!(!outside.allowed && outside.depends_on.is_empty());
    let whole = ask(&index, "bob", "list", "");
    assert_eq!((whole.allowed, whole.depends_on), (false, BTreeSet::from(["s3:prefix".to_owned()])));
}

#[test]
fn policies_of_which_no_object_speaks_are_named() {
    let index =
        index_of([user("alice").with_policies(&["theirs"]), group("team", &["alice"], &[]).with_policies(&["others"])]);
    let answer = ask(&index, "alice", "read", "nowhere/x");
    let unknown: Vec<String> =
        answer.unknown_policies.iter().map(|policy| format!("{} {:?}", policy.name, policy.group)).collect();
    assert_eq!(unknown, ["theirs None", "others Some(\"team\")"]);
}

#[test]
fn what_has_not_been_reported_ready_is_named() {
    let ready = |declared: Declared| declared.with(|meta| meta.settled = true);
    let index = index_of([
        ready(user("alice")),
        ready(user("bob")),
        share("new", "homes/alice/a", &[(to_user("bob"), terms(READ))]).owned_by("alice"),
        ready(share("old", "homes/alice/b", &[(to_user("bob"), terms(READ))]).owned_by("alice")),
    ]);
    let waiting =
        |key: &str| ask(&index, "bob", "read", key).not_ready.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(waiting("homes/alice/a/x"), ["PathShare lake/new"]);
    assert!(waiting("homes/alice/b/x").is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// What decides and what is said to allow it never differ: rows of `access of` and policies are grounds, and only they.
    #[test]
    fn grounds_and_decision_agree(
        who in prop::sample::select(vec!["alice", "bob", "carol", "frank"]),
        action in prop::sample::select(vec!["read", "write", "list", "delete", "GetObjectTagging", "HeadBucket", "PutObjectRetention"]),
        key in prop::sample::select(vec![
            "homes/alice", "homes/alice/exp", "homes/alice/exp/x", "homes/carol/safe/x", "homes/bob/y", "teams/team/z", "office/x", "homes/alice/", "else",
        ]),
    ) {
        let index = world();
        let answer = ask(&index, who, action, key);
        let denied = answer.statement.as_ref().is_some_and(|cited| !answer.allowed && cited.statement.sid.is_some());
        prop_assert_eq!(answer.allowed, !answer.grounds.is_empty());
        if answer.allowed && action == "read" {
            let policies = answer.grounds.iter().any(|ground| ground.access.is_none());
            let rows = of(&index, &name(who), NOW).into_iter().any(|row| row.scope.holds_key("lake", key.trim_end_matches('/')));
            prop_assert!(policies || rows);
        }
        prop_assert!(answer.allowed || !answer.reasons.is_empty());
        prop_assert!(!denied || answer.reasons[0].code == "Denied");
        let held = holdings(&index, &name(who), "id", NOW).held;
        let question = Question::new(who, Action::parse(action).unwrap(), Place::parse(&format!("s3a://lake/{key}")).unwrap(), vec![], NOW).unwrap();
        let documents = || held.iter().map(|held| &held.document);
        let sure = certainty(documents(), &question.request()).unwrap();
        let decided = decide(documents(), &question.request()).unwrap().allowed;
        let expected = match sure {
            Certainty::Always => true,
            Certainty::Never => false,
            Certainty::Where(_) => decided,
        };
        prop_assert_eq!(decided, expected);
    }
}
