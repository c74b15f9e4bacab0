//! Thousands of documents, sound, damaged, and changed in any way.

use std::time::Instant;

use minio_manager::iam::check::Stricter;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

use super::{compare, samples};
use crate::support::random::Random;

/// How many documents of each of three kinds: more than 5,000 together.
const OF_A_KIND: usize = 1_700;

/// Documents of a kind, the same ones for the same seed.
fn some<T>(kind: impl Strategy<Value = T>, random: &mut Random) -> Vec<T> {
    let seed: [u8; 32] = std::array::from_fn(|_| random.below(256) as u8);
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    (0..OF_A_KIND).map(|_| kind.new_tree(&mut runner).unwrap().current()).collect()
}

/// The server takes a document exactly when the check does, or when everything that the check finds is on the list of what
/// only it refuses; and it holds what the check has read.
#[tokio::test]
async fn the_check_and_the_server_agree() {
    let mut random = Random::from_environment("documents for the check");
    let sound = some(samples::document(), &mut random);
    let damaged = some(samples::damaged(), &mut random).into_iter().map(|(document, _)| document);
    let changed = some(samples::mutated(), &mut random);
    let documents: Vec<Value> = sound.into_iter().chain(damaged).chain(changed).collect();
    assert!(documents.len() >= 5_000);
    let started = Instant::now();
    let verdicts = compare(documents).await;
    println!(
        "after {:?}: taken {}, refused {}, only ours {:?}",
        started.elapsed(),
        verdicts.taken,
        verdicts.refused,
        verdicts.stricter
    );
    verdicts.agree();
    // Every outcome is a good part of the whole: no side could say the same of all documents.
    assert!(verdicts.taken > OF_A_KIND && verdicts.refused > OF_A_KIND / 2, "{} {}", verdicts.taken, verdicts.refused);
    assert!(verdicts.only_we_refuse() > OF_A_KIND / 8, "{:?}", verdicts.stricter);
}

/// A document with one statement, an ordinary one but for these fields; null takes a field away.
fn with(fields: Value) -> Value {
    let mut statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"});
    for (name, value) in fields.as_object().unwrap() {
        match value {
            Value::Null => drop(statement.as_object_mut().unwrap().remove(name)),
            value => statement[name] = value.clone(),
        }
    }
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

/// Each case in which only the check refuses, with documents that the server takes.
fn stricter() -> Vec<(Stricter, Vec<Value>)> {
    let on = |operator: &str, key: &str, value: Value| with(json!({"Condition": {operator: {key: value}}}));
    let kms = |fields: Value| {
        let mut document = with(json!({"Action": "kms:Status", "Resource": null}));
        for (name, value) in fields.as_object().unwrap() {
            document["Statement"][0][name] = value.clone();
        }
        document
    };
    let admin = |field: &str, value: Value| with(json!({"Action": "admin:Heal", "Resource": null, field: value}));
    vec![
        (
            Stricter::DroppedField,
            vec![
                with(json!({"Conditon": {"Bool": {"aws:SecureTransport": true}}})),
                with(json!({"Principal": "*"})),
                with(json!({"NotPrincipal": {"AWS": "*"}})),
                json!({"Version": "2012-10-17", "Statment": [], "Statement": with(json!({}))["Statement"]}),
            ],
        ),
        (
            Stricter::WrongCase,
            vec![
                with(json!({"Effect": null, "effect": "Allow"})),
                with(json!({"CONDITION": {"Bool": {"aws:SecureTransport": true}}})),
            ],
        ),
        (Stricter::NotAction, vec![with(json!({"Action": null, "NotAction": "s3:PutObject"}))]),
        (
            Stricter::StarAction,
            ["*", "**", "*:*", "s*", "?3:GetObject"].map(|action| with(json!({"Action": action}))).to_vec(),
        ),
        (
            Stricter::IgnoredResource,
            vec![admin("Resource", json!("arn:aws:s3:::b")), admin("NotResource", json!("arn:aws:s3:::b"))],
        ),
        (
            Stricter::MisreadResource,
            vec![
                with(json!({"Resource": "*lake"})),
                with(json!({"Resource": "arn:aws:s3:::"})),
                kms(json!({"Resource": "*key"})),
            ],
        ),
        (Stricter::UnsafeVariable, vec![with(json!({"Resource": "arn:aws:s3:::b/${jwt:sub}/*"}))]),
        (
            Stricter::UnknownVariable,
            ["${aws:UserName}", "${", "${}"]
                .map(|variable| with(json!({"Resource": format!("arn:aws:s3:::b/{variable}/*")})))
                .to_vec(),
        ),
        (
            Stricter::IgnoredKey,
            vec![
                on("StringEquals", "s3:ExistingObjectTag", json!("a")),
                on("StringEquals", "aws:username/a", json!("a")),
                kms(json!({"Condition": {"StringEquals": {"s3:prefix": "a"}}})),
            ],
        ),
        (
            Stricter::DroppedQualifier,
            vec![
                on("ForAllValues:NumericEquals", "aws:EpochTime", json!(1)),
                on(":StringLike", "aws:userid", json!("a")),
            ],
        ),
        (
            Stricter::DroppedCondition,
            vec![with(json!({"Condition": {"StringLike": {}}})), with(json!({"Condition": {"StringLike": null}}))],
        ),
        (
            Stricter::LooseValue,
            vec![
                on("IpAddress", "aws:SourceIp", json!("2001:db8::1")),
                on("Null", "aws:username", json!("T")),
                on("Null", "aws:username", json!([null])),
                on("DateLessThan", "aws:CurrentTime", json!("2027-01-31T00:00:00.5Z")),
                on("BinaryEquals", "aws:username", json!("YR==")),
            ],
        ),
        (
            Stricter::Repeated,
            vec![
                with(json!({"Action": ["s3:GetObject", "s3:GetObject"]})),
                with(json!({"Resource": ["arn:aws:s3:::b/*", "arn:aws:s3:::b/*"]})),
            ],
        ),
        (
            Stricter::EmptyList,
            vec![kms(json!({"Resource": []})), with(json!({"Resource": [], "NotResource": "arn:aws:s3:::b"}))],
        ),
    ]
}

#[tokio::test]
async fn each_case_in_which_only_the_check_refuses_is_one() {
    let cases = stricter();
    assert_eq!(cases.iter().map(|(case, _)| *case).collect::<Vec<_>>(), Stricter::ALL);
    for (case, documents) in cases {
        let count = documents.len();
        let verdicts = compare(documents).await;
        verdicts.agree();
        assert_eq!(verdicts.stricter, [(case, count)].into(), "{case:?}");
    }
}
