use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::iam::check::samples;

/// A decision that the policy package of the server (v3.1.3) took for the user alice.
#[derive(Deserialize)]
struct Recorded {
    documents: Vec<Value>,
    action: String,
    bucket: String,
    key: String,
    conditions: BTreeMap<String, Vec<String>>,
    allowed: bool,
}

#[test]
fn decisions_are_those_of_the_server() {
    let recorded: Vec<Recorded> = serde_json::from_str(include_str!("recorded.json")).unwrap();
    let allowed = recorded.iter().filter(|case| case.allowed).count();
    assert!(allowed > 100 && recorded.len() - allowed > 100);
    for case in recorded {
        let documents: Vec<Document> =
            case.documents.iter().map(|value| Document::from_value(value).unwrap()).collect();
        let request = Request {
            action: &case.action,
            bucket: &case.bucket,
            key: &case.key,
            conditions: &case.conditions,
            username: "alice",
        };
        let decision = decide_action(documents.iter(), &request).unwrap();
        let Recorded { action, bucket, key, conditions, .. } = &case;
        assert_eq!(decision.allowed, case.allowed, "{action} {bucket}/{key} {conditions:?} {:?}", case.documents);
    }
}

fn document(statements: Value) -> Document {
    Document::from_value(&json!({"Statement": statements})).unwrap()
}

/// Asks as alice.
fn ask(documents: &[Document], action: &str, path: &str, conditions: Value) -> Result<Decision, Undecided> {
    let conditions: BTreeMap<String, Vec<String>> = serde_json::from_value(conditions).unwrap();
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    decide(documents.iter(), &Request { action, bucket, key, conditions: &conditions, username: "alice" })
}

fn allowed(documents: &[Document], action: &str, path: &str) -> bool {
    ask(documents, action, path, json!({})).unwrap().allowed
}

#[test]
fn a_denial_wins_and_is_named() {
    let documents = [
        document(json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}])),
        document(json!([
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/a"},
            {"Effect": "Deny", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/secret/*"},
        ])),
    ];
    let read = ask(&documents, "s3:GetObject", "b/x", json!({})).unwrap();
    assert_eq!(read, Decision { allowed: true, by: Some(At { document: 0, statement: 0 }), denied_by: None });
    let secret = ask(&documents, "s3:GetObject", "b/secret/x", json!({})).unwrap();
    assert_eq!(secret, Decision { allowed: false, by: None, denied_by: Some(At { document: 1, statement: 1 }) });
    let nothing = ask(&documents, "s3:DeleteObject", "b/x", json!({})).unwrap();
    assert_eq!(nothing, Decision { allowed: false, by: None, denied_by: None });
}

#[test]
fn folders_meet_with_and_without_their_slash() {
    let grant = |pattern: &str| {
        [document(json!([{"Effect": "Allow", "Action": "s3:*", "Resource": format!("arn:aws:s3:::{pattern}")}]))]
    };
    assert!(allowed(&grant("b/dir"), "s3:GetObject", "b/dir/"));
    assert!(allowed(&grant("b/dir/*"), "s3:GetObject", "b/dir/"));
    assert!(!allowed(&grant("b/dir/*"), "s3:GetObject", "b/dir"));
    assert!(!allowed(&grant("b/dir/*"), "s3:GetObject", "b/dir2/x"));
    assert!(allowed(&grant("b"), "s3:DeleteBucket", "b"));
    assert!(allowed(&grant("b/*"), "s3:DeleteBucket", "b"), "a star after the slash takes in the bucket");
    assert!(!allowed(&grant("b"), "s3:GetObject", "b/x"));
    assert!(allowed(&grant("b*"), "s3:GetObject", "b2/x"));
}

#[test]
fn some_actions_are_allowed_by_others() {
    let grant = |action: &str, resource: &str| {
        [document(json!([{"Effect": "Allow", "Action": action, "Resource": format!("arn:aws:s3:::{resource}")}]))]
    };
    let list = grant("s3:ListBucket", "b");
    assert!(allowed(&list, "s3:HeadBucket", "b") && allowed(&list, "s3:ListBucketVersions", "b"));
    assert!(!allowed(&grant("s3:HeadBucket", "b"), "s3:ListBucket", "b"));
    assert!(allowed(&grant("s3:GetObjectVersion", "b/*"), "s3:GetObject", "b/x"));
    assert!(!allowed(&grant("s3:GetObject", "b/*"), "s3:GetObjectVersion", "b/x"));
    let careful = [document(json!([
        {"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::b/*"},
        {"Effect": "Deny", "Action": "s3:DeleteObjectVersion", "Resource": "arn:aws:s3:::b/*"},
    ]))];
    assert!(allowed(&careful, "s3:DeleteObject", "b/x"));
    let version = ask(&careful, "s3:DeleteObject", "b/x", json!({"versionid": ["1"]})).unwrap();
    assert_eq!(version.denied_by, Some(At { document: 0, statement: 1 }));
}

#[test]
fn prefixes_confine_listings_as_far_as_the_server_does() {
    let documents = [document(json!([{
        "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b",
        "Condition": {"StringLike": {"s3:prefix": ["homes/${aws:username}/*"]}},
    }]))];
    let lists = |conditions: Value| ask(&documents, "s3:ListBucket", "b", conditions).unwrap().allowed;
    assert!(lists(json!({"prefix": ["homes/alice/"]})));
    assert!(!lists(json!({"prefix": ["homes/alice2/"]})));
    assert!(!lists(json!({"prefix": [""]})));
    assert!(!lists(json!({})));
    assert!(lists(json!({"prefix": ["homes/bob/", "homes/alice/"]})), "a second parameter gets through");
    assert!(lists(json!({"prefix": ["homes/bob/"], "Prefix": ["homes/alice/"]})), "so does a header");
}

#[test]
fn the_guard_denies_minting_keys() {
    let guard = [document(json!([
        {"Effect": "Deny", "Action": ["admin:CreateServiceAccount", "admin:CreateUser"]},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"},
    ]))];
    let denied = |documents: &[Document], action: &str| {
        let conditions = BTreeMap::new();
        let request = Request { action, bucket: "", key: "", conditions: &conditions, username: "alice" };
        denial(documents.iter(), &request).unwrap()
    };
    assert_eq!(denied(&guard, "admin:CreateServiceAccount"), Some(At { document: 0, statement: 0 }));
    assert_eq!(denied(&guard, "admin:UpdateServiceAccount"), None);
    assert!(allowed(&guard, "s3:GetObject", "b/x"));
}

#[test]
fn room_is_left_by_what_allows_and_taken_by_what_denies_everywhere() {
    let allow = |action: &str| json!({"Effect": "Allow", "Action": action, "Resource": "arn:aws:s3:::b/*"});
    let deny = |resource: &str| json!({"Effect": "Deny", "Action": "s3:Put*", "Resource": resource});
    let room = |statements: Value, action: &str| leaves_room(&document(statements), action);
    assert!(room(json!([allow("s3:*")]), "s3:PutObject") && !room(json!([allow("s3:Get*")]), "s3:PutObject"));
    assert!(!room(json!([]), "s3:PutObject"));
    assert!(room(json!([allow("s3:*"), deny("arn:aws:s3:::b/secret/*")]), "s3:PutObject"));
    assert!(!room(json!([allow("s3:*"), deny("arn:aws:s3:::*")]), "s3:PutObject"));
    assert!(room(json!([allow("s3:*"), deny("arn:aws:s3:::*")]), "s3:GetObject"));
    let conditional = json!([{
        "Effect": "Allow", "Action": "admin:ListGroups", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    }]);
    assert!(room(conditional, "admin:ListGroups"));
    assert!(room(json!([{"Effect": "Allow", "NotAction": "s3:GetObject", "Resource": "*"}]), "s3:PutObject"));
    assert!(!room(json!([{"Effect": "Allow", "NotAction": "s3:Put*", "Resource": "*"}]), "s3:PutObject"));
}

#[test]
fn what_cannot_be_evaluated_is_said_where_it_matters() {
    let odd = |effect: &str| {
        document(json!([{
            "Effect": effect, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*",
            "Condition": {"StringLikeIfExists": {"aws:Referer": "x"}},
        }]))
    };
    let plain = document(json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}]));
    let undecided = ask(&[plain.clone(), odd("Deny")], "s3:GetObject", "b/x", json!({})).unwrap_err();
    assert_eq!(
        undecided.to_string(),
        "document 1, statement 0 cannot be evaluated: unknown condition operator \"StringLikeIfExists\""
    );
    assert!(ask(&[odd("Allow")], "s3:GetObject", "b/x", json!({})).is_err());
    assert!(allowed(&[odd("Allow"), plain.clone()], "s3:GetObject", "b/x"), "another statement allows it anyway");
    assert!(!allowed(&[odd("Allow"), odd("Deny")], "s3:PutObject", "b/x"), "it does not apply");
    let cut = document(json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "b/*"}]));
    assert!(ask(&[cut], "s3:GetObject", "b/x", json!({})).is_err());
    let spliced = json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:Referer}"}]);
    assert!(ask(&[document(spliced)], "s3:GetObject", "b/x", json!({"Referer": ["${aws:username}"]})).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// What the server makes of a document decides as the document does.
    #[test]
    fn rewriting_changes_no_decision(
        document in samples::document(),
        asked in samples::request(),
        seed in any::<u64>(),
    ) {
        let samples::Asked { action, bucket, key, conditions } = &asked;
        let request = Request { action, bucket, key, conditions, username: "alice" };
        let decide = |value: &Value| {
            let document = Document::from_value(value).unwrap();
            decide(std::iter::once(&document), &request).map(|decision| decision.allowed)
        };
        prop_assert_eq!(decide(&document).unwrap(), decide(&samples::rewritten(document, seed)).unwrap());
    }

    /// Documents add up: what one gives, all give, unless one denies it.
    #[test]
    fn documents_add_up(documents in prop::collection::vec(samples::document(), 1..4), asked in samples::request()) {
        let samples::Asked { action, bucket, key, conditions } = &asked;
        let request = Request { action, bucket, key, conditions, username: "alice" };
        let documents: Vec<Document> = documents.iter().map(|value| Document::from_value(value).unwrap()).collect();
        let each: Vec<Decision> =
            documents.iter().map(|document| decide_action(std::iter::once(document), &request).unwrap()).collect();
        let all = decide_action(documents.iter(), &request).unwrap();
        let denied = each.iter().any(|decision| decision.denied_by.is_some());
        prop_assert_eq!(all.allowed, !denied && each.iter().any(|decision| decision.allowed));
        prop_assert_eq!(all.denied_by.is_some(), denied);
    }
}
