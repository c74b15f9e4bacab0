//! What a server holds beside objects.

use super::*;
use crate::iam::access;
use crate::iam::explain::holdings;
use crate::iam::live::{ForeignKey, LiveGroup, LiveUser, Snapshot, differences, of, public_part, reached_by, who};
use crate::iam::names::DocumentName;
use crate::iam::observed::Account;

/// A server that is exactly as the objects say.
fn server(index: &Index) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (_, declared) in index.users() {
        let user = &declared.name;
        let mut live = LiveUser {
            account: Account { enabled: index.is_on(user), attached: BTreeSet::new() },
            member_of: index.groups_of(user, NOW).into_keys().map(|group| group.to_string()).collect(),
        };
        for held in holdings(index, user, "id", NOW).held {
            match held.group {
                None => drop(live.account.attached.insert(held.name.clone())),
                Some(group) => {
                    let group = snapshot
                        .groups
                        .entry(group)
                        .or_insert_with(|| LiveGroup { enabled: true, attached: BTreeSet::new() });
                    group.attached.insert(held.name.clone());
                }
            }
            snapshot.documents.insert(held.name, Some(held.document));
        }
        snapshot.users.insert(user.to_string(), live);
    }
    snapshot
}

fn document(statements: serde_json::Value) -> Document {
    Document::from_value(&json!({"Statement": statements})).unwrap()
}

fn reading(resource: &str) -> Document {
    document(json!([{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [format!("arn:aws:s3:::{resource}")]}]))
}

fn attach(snapshot: &mut Snapshot, user: &str, policy: &str, document: Document) {
    let policy = DocumentName::from_server(policy);
    let stranger =
        || LiveUser { account: Account { enabled: true, attached: BTreeSet::new() }, member_of: BTreeSet::new() };
    snapshot.users.entry(user.to_owned()).or_insert_with(stranger).account.attached.insert(policy.clone());
    snapshot.documents.insert(policy, Some(document));
}

fn world() -> Index {
    index_of([
        user("alice"),
        user("bob").with_policies(&["reports"]),
        user("carol"),
        group("team", &["carol"], &[]),
        share("exp", "homes/alice/exp", &[(to_user("bob"), terms(READ)), (to_group("team"), terms(WRITE))])
            .owned_by("alice"),
        share("all", "homes/alice/all", &[]).owned_by("alice").with_share(|share| share.everyone = true),
        policy_of(
            "reports",
            json!([{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::lake/reports/*"]}]),
        ),
    ])
}

/// The rows and the differences for a path.
fn found(index: &Index, snapshot: &Snapshot, key: &str) -> (Vec<String>, Vec<String>) {
    let path = path(key);
    let said = access::who(index, &path, NOW);
    let findings = who(index, snapshot, &path, &said, NOW);
    let row = |row: &crate::iam::live::Found| {
        let by = if row.managed { "managed" } else { "foreign" };
        format!("{} {} {:?} via {}, {by}", row.kind, row.name, row.access, row.via)
    };
    let differences = findings.differences.iter().map(|told| format!("{} {}", told.user, told.detail));
    (findings.rows.iter().map(row).collect(), differences.collect())
}

fn paths(index: &Index, snapshot: &Snapshot, user: &str) -> Vec<String> {
    let rows = of(index, snapshot, user, NOW).rows;
    let by = |managed| if managed { "managed" } else { "foreign" };
    rows.iter().map(|row| format!("{} {:?} via {}, {}", row.path, row.access, row.via, by(row.managed))).collect()
}

#[test]
fn a_server_that_is_as_declared_holds_nothing_more() {
    let index = world();
    let snapshot = server(&index);
    for key in ["homes/alice/exp/x", "homes/alice/all", "homes/bob", "teams/team/x", "elsewhere"] {
        assert_eq!(found(&index, &snapshot, key), (vec![], vec![]), "{key}");
    }
    for user in ["alice", "carol"] {
        assert!(paths(&index, &snapshot, user).is_empty() && differences(&index, &snapshot, user, NOW).is_empty());
    }
    assert_eq!(paths(&index, &snapshot, "bob"), ["s3a://lake/reports/ Read via policy reports, managed"]);
    assert_eq!(found(&index, &snapshot, "reports/x").0, ["User bob Read via policy reports, managed"]);
    let reached = reached_by(&index, &snapshot, &path("homes/alice/exp"), NOW);
    assert_eq!(reached.iter().map(String::as_str).collect::<Vec<_>>(), ["alice", "bob", "carol"]);
}

#[test]
fn what_no_object_describes_is_found_however_it_is_given() {
    let index = world();
    let mut snapshot = server(&index);
    attach(&mut snapshot, "stranger", "theirs", reading("lake/homes/alice/*"));
    attach(
        &mut snapshot,
        "bob",
        "extra",
        document(json!([{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::lake/*"]}])),
    );
    let home_of_alice = snapshot.documents[&DocumentName::from_server("user-home-policy-alice")].clone().unwrap();
    attach(&mut snapshot, "bob", "user-home-policy-alice", home_of_alice);
    let mut outsiders = LiveGroup { enabled: true, attached: BTreeSet::new() };
    outsiders.attached.insert(DocumentName::from_server("theirs"));
    snapshot.groups.insert("outsiders".to_owned(), outsiders);
    snapshot.users.get_mut("carol").unwrap().member_of.insert("outsiders".to_owned());
    snapshot.public.insert("lake".to_owned(), reading("lake/homes/alice/*"));
    let (rows, differences_there) = found(&index, &snapshot, "homes/alice/diary");
    assert_eq!(
        rows,
        [
            "Anonymous anonymous Read via the policy of bucket lake; without a key, foreign",
            "Group outsiders Read via policy theirs, foreign",
            "User bob ReadWrite via policy extra, foreign",
            "User bob ReadWrite via policy user-home-policy-alice, foreign",
            "User carol Read via group outsiders, policy theirs, foreign",
            "User stranger Read via policy theirs, foreign",
        ]
    );
    assert!(differences_there.is_empty());
    let of_bob = paths(&index, &snapshot, "bob");
    for expected in [
        "s3a://lake/* ReadWrite via policy extra, foreign",
        "s3a://lake/homes/alice/ ReadWrite via policy user-home-policy-alice, foreign",
    ] {
        assert!(of_bob.iter().any(|row| row == expected), "{of_bob:#?}");
    }
    assert!(
        paths(&index, &snapshot, "stranger")
            .contains(&"s3a://lake/homes/alice/ Read via policy theirs, foreign".to_owned())
    );
    let told: Vec<String> = differences(&index, &snapshot, "carol", NOW).into_iter().map(|told| told.detail).collect();
    assert_eq!(told, ["is in group outsiders on the server"]);
}

#[test]
fn a_document_of_ours_that_somebody_changed_is_found() {
    let index = world();
    let mut snapshot = server(&index);
    let name = DocumentName::from_server("user-home-policy-bob");
    let changed = snapshot.documents.get_mut(&name).unwrap().as_mut().unwrap();
    changed.statement.extend(reading("lake/homes/alice/*").statement);
    assert_eq!(found(&index, &snapshot, "homes/alice/x").0, ["User bob Read via policy user-home-policy-bob, foreign"]);
    // The document of everyone is no other user's home, and gives no more than the objects say.
    assert_eq!(found(&index, &snapshot, "homes/alice/all").0.len(), 1);
}

#[test]
fn what_is_missing_on_the_server_is_a_difference() {
    let index = world();
    let whole = server(&index);
    let lost = |change: &dyn Fn(&mut Snapshot)| {
        let mut snapshot = whole.clone();
        change(&mut snapshot);
        found(&index, &snapshot, "homes/alice/exp").1
    };
    let user = |snapshot: &mut Snapshot, name: &str, change: &dyn Fn(&mut LiveUser)| {
        change(snapshot.users.get_mut(name).unwrap())
    };
    for (told, expected) in [
        (
            lost(&|snapshot| drop(snapshot.users.remove("bob"))),
            "bob objects give it Read on s3a://lake/homes/alice/exp/, and the server does not: it has no account on the server",
        ),
        (lost(&|snapshot| user(snapshot, "bob", &|bob| bob.account.enabled = false)), "it is disabled on the server"),
        (
            lost(&|snapshot| user(snapshot, "carol", &|carol| carol.member_of.clear())),
            "carol objects give it ReadWrite on s3a://lake/homes/alice/exp/, and the server does not: it is not in group team on the server",
        ),
        (
            lost(&|snapshot| user(snapshot, "bob", &|bob| bob.account.attached.clear())),
            "it lacks on the server: ReadWrite on s3a://lake/homes/bob/, Read on s3a://lake/homes/alice/exp/",
        ),
        (
            lost(&|snapshot| snapshot.groups.get_mut("team").unwrap().enabled = false),
            "it has nothing on the server while group team, which it is in, is disabled there",
        ),
    ] {
        assert!(told.iter().any(|told| told.contains(expected)), "{expected}: {told:#?}");
    }
}

#[test]
fn keys_do_what_their_user_may_within_their_own_policy() {
    let index = world();
    let mut snapshot = server(&index);
    let key = |id: &str, policy| ForeignKey {
        user: "alice".to_owned(),
        access_key: id.to_owned(),
        until: None,
        session_policy: policy,
    };
    snapshot.keys = vec![
        key("FREE", None),
        key("BOUND", Some(Some(reading("lake/homes/alice/*")))),
        key("ELSEWHERE", Some(Some(reading("pond/*")))),
        key("ODD", Some(None)),
    ];
    let (rows, _) = found(&index, &snapshot, "homes/alice/x");
    assert_eq!(
        rows,
        [
            "Key BOUND Read via user alice; no Secret names this key; confined by a policy of its own, foreign",
            "Key FREE ReadWrite via user alice; no Secret names this key, foreign",
            "Key ODD ReadWrite via user alice; no Secret names this key; confined by a policy of its own, foreign",
        ]
    );
    assert_eq!(snapshot.gaps().into_iter().collect::<Vec<_>>(), ["the policy of key ODD cannot be understood"]);
}

#[test]
fn conditions_count_as_met_and_are_named() {
    let index = world();
    let mut snapshot = server(&index);
    let inside = json!([{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::lake/*"],
        "Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}}}]);
    attach(&mut snapshot, "stranger", "inside", document(inside));
    let own = json!([{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::lake/of/${aws:username}/*"]}]);
    attach(&mut snapshot, "one", "own", document(own.clone()));
    attach(&mut snapshot, "two", "own", document(own));
    let said = |key: &str| who(&index, &snapshot, &path(key), &[], NOW).rows;
    let rows = said("of/two/x");
    assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["stranger", "two"]);
    assert_eq!(rows[0].conditions.iter().map(String::as_str).collect::<Vec<_>>(), ["aws:SourceIp"]);
    assert!(rows[1].conditions.is_empty());
}

#[test]
fn of_a_bucket_policy_only_what_is_for_everybody_counts() {
    let policy = |principal| {
        let statement = json!({"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/*"});
        public_part(&json!({"Statement": [statement]})).unwrap().statement.len()
    };
    assert_eq!([policy(json!("*")), policy(json!({"AWS": ["*"]})), policy(json!({"AWS": "*"}))], [1, 1, 1]);
    assert_eq!([policy(json!({"AWS": ["arn:aws:iam::1:user/x"]})), policy(json!(null))], [0, 0]);
}
