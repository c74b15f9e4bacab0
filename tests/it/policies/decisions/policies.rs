//! Policies whose statements often meet the requests of this comparison, and some that are made for the check.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use minio_manager::iam::vocabulary::{KEYS, OPERATORS, Operator, QUALIFIERS, TAG_KEYS, Values, takes_key};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};

use super::requests::{OPERATIONS, VERSION};
use crate::{policies::samples, support::random::Random};

const PATTERNS: [&str; 13] = [
    "s3:*",
    "s3:*",
    "s3:*",
    "s3:Get*",
    "s3:*Object",
    "s3:*Object*",
    "s3:Put*",
    "s3:List*",
    "s3:?etObject",
    "s3:*Tagging",
    "s3:*Bucket*",
    "s3:Delete*",
    "s3:*Version",
];

/// Actions that no request asks for alone, but that count beside others.
const RELATED: [&str; 5] = [
    "s3:DeleteObjectVersion",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionAttributes",
    "s3:GetObjectVersionTagging",
    "s3:ListBucket",
];

const RESOURCES: [&str; 34] = [
    "*",
    "*",
    "arn:aws:s3:::*",
    "arn:aws:s3:::*",
    "arn:aws:s3:::*/*",
    "arn:aws:s3:::${aws:username}",
    "arn:aws:s3:::l?ke/*",
    "arn:aws:s3:::lake",
    "arn:aws:s3:::lake*",
    "arn:aws:s3:::lake/",
    "arn:aws:s3:::lake/$x/${aws:username}",
    "arn:aws:s3:::lake/$x/${aws:userid}*",
    "arn:aws:s3:::lake/*",
    "arn:aws:s3:::lake/*",
    "arn:aws:s3:::lake/?/b*",
    "arn:aws:s3:::lake/A/*",
    "arn:aws:s3:::lake/a",
    "arn:aws:s3:::lake/a*b",
    "arn:aws:s3:::lake/a/*",
    "arn:aws:s3:::lake/a/b",
    "arn:aws:s3:::lake/dir",
    "arn:aws:s3:::lake/dir/",
    "arn:aws:s3:::lake/dir/*",
    "arn:aws:s3:::lake/home/${aws:username}/*",
    "arn:aws:s3:::*/home/${aws:userid}/file",
    "arn:aws:s3:::*/${jwt:sub}*",
    "arn:aws:s3:::lake//lead",
    "arn:aws:s3:::lake/lead",
    "arn:aws:s3:::lake2/*",
    "arn:aws:s3:::pond",
    "arn:aws:s3:::pond/*",
    "arn:aws:s3:::pond/*/${ldap:username}",
    "arn:aws:s3:::*/al*",
    "arn:aws:s3:::*/ä b/c+?",
];

const NETWORKS: [&str; 8] = [
    "10.0.0.0/8",
    "10.1.2.3",
    "127.0.0.0/8",
    "192.0.2.0/26",
    "0.0.0.0/0",
    "::/0",
    "2001:db8::/32",
    "::ffff:10.0.0.0/104",
];

const DATES: [&str; 5] = [
    "1969-12-31T23:59:59Z",
    "1970-01-01T00:00:00Z",
    "2030-01-01T02:00:00+02:00",
    "2030-01-01T00:00:00Z",
    "2100-01-01T00:00:00Z",
];

const NUMBERS: [i64; 6] = [-1, 0, 5, 10, 1_000, 4_000_000_000];

/// The hash of an empty body.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A source of policies.
pub struct Policies {
    made_for_the_check: TestRunner,
}

impl Policies {
    pub fn new(random: &mut Random) -> Self {
        let seed: [u8; 32] = std::array::from_fn(|_| random.below(256) as u8);
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        Self { made_for_the_check: TestRunner::new_with_rng(Config::default(), random) }
    }

    /// One to so many documents.
    pub fn some(&mut self, random: &mut Random, most: usize) -> Vec<Value> {
        (0..=random.below(most)).map(|_| self.document(random)).collect()
    }

    fn document(&mut self, random: &mut Random) -> Value {
        if random.percent(10) {
            return samples::document().new_tree(&mut self.made_for_the_check).unwrap().current();
        }
        let statements: Vec<Value> = (0..=random.below(3)).map(|_| statement(random)).collect();
        json!({"Version": "2012-10-17", "Statement": statements})
    }
}

fn statement(random: &mut Random) -> Value {
    let mut fields = Map::new();
    fields.insert("Effect".to_owned(), json!(if random.percent(70) { "Allow" } else { "Deny" }));
    let actions = actions(random);
    let keys: Vec<&str> = if random.percent(7) {
        fields.insert("NotAction".to_owned(), json!(actions));
        KEYS.to_vec()
    } else {
        let keys = KEYS.into_iter().filter(|key| actions.iter().all(|action| takes_key(action, key))).collect();
        fields.insert("Action".to_owned(), json!(actions));
        keys
    };
    let field = if random.percent(15) { "NotResource" } else { "Resource" };
    fields.insert(field.to_owned(), json!(some(random, &RESOURCES, 4)));
    if !keys.is_empty() && random.percent(50) {
        let conditions = conditions(random, &keys);
        fields.extend((!conditions.is_empty()).then(|| ("Condition".to_owned(), Value::Object(conditions))));
    }
    Value::Object(fields)
}

fn actions(random: &mut Random) -> Vec<&'static str> {
    if random.percent(2) {
        return vec!["*"];
    }
    if random.percent(45) {
        return some(random, &PATTERNS, 2);
    }
    let all: Vec<&str> = OPERATIONS.iter().map(|operation| operation.action).chain(RELATED).collect();
    some(random, &all, 8)
}

/// One to so many different ones of these.
fn some<'a>(random: &mut Random, from: &[&'a str], most: usize) -> Vec<&'a str> {
    let mut chosen: Vec<&str> = (0..=random.below(most)).map(|_| *random.pick(from)).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// One or two conditions; none where the actions do not take the only key of an operator.
fn conditions(random: &mut Random, keys: &[&str]) -> Map<String, Value> {
    let mut conditions = Map::new();
    for _ in 0..=random.below(2) {
        let operator = random.pick(&OPERATORS);
        let key = match operator.name {
            "Bool" => "aws:SecureTransport",
            "IpAddress" | "NotIpAddress" => "aws:SourceIp",
            _ => key_for(random, operator, keys),
        };
        if !keys.contains(&key) {
            continue;
        }
        let texts = matches!(operator.values, Values::Text | Values::Base64);
        let qualifier =
            if texts && random.percent(30) { format!("{}:", random.pick(&QUALIFIERS)) } else { String::new() };
        let tag = if TAG_KEYS.contains(&key) { *random.pick(&["/team", "/stage"]) } else { "" };
        let held = conditions.entry(format!("{qualifier}{}", operator.name)).or_insert_with(|| json!({}));
        held[format!("{key}{tag}")] = values(random, operator, key);
    }
    conditions
}

/// Most of the keys are such that requests of this comparison fill.
fn key_for<'a>(random: &mut Random, operator: &Operator, keys: &[&'a str]) -> &'a str {
    let favourites: &[&str] = match operator.values {
        Values::Date => &["aws:CurrentTime"],
        Values::Number => &["s3:max-keys", "aws:EpochTime", "s3:signatureAge"],
        _ => &[
            "aws:username",
            "aws:userid",
            "aws:UserAgent",
            "aws:Referer",
            "aws:principaltype",
            "s3:prefix",
            "s3:delimiter",
            "s3:versionid",
            "s3:authType",
            "s3:ExistingObjectTag",
            "s3:RequestObjectTag",
            "s3:RequestObjectTagKeys",
            "s3:x-amz-storage-class",
            "s3:x-amz-copy-source",
            "s3:x-amz-metadata-directive",
            "s3:object-lock-mode",
        ],
    };
    let taken: Vec<&str> = keys.iter().copied().filter(|key| favourites.contains(key)).collect();
    let from = if !taken.is_empty() && random.percent(75) { &taken } else { keys };
    from[random.below(from.len())]
}

fn values(random: &mut Random, operator: &Operator, key: &str) -> Value {
    match operator.values {
        Values::Text => json!(some(random, texts(key), 3)),
        Values::Base64 => {
            json!(some(random, texts(key), 2).into_iter().map(|text| BASE64.encode(text)).collect::<Vec<_>>())
        }
        Values::Bool => random.pick(&[json!(true), json!(false), json!("true"), json!(["false"])]).clone(),
        Values::Number => json!(random.pick(&NUMBERS)),
        Values::Date => json!(random.pick(&DATES)),
        Values::Network => json!(some(random, &NETWORKS, 3)),
    }
}

/// Texts that the server takes for a key, and that requests say of it, or miss by little.
fn texts(key: &str) -> &'static [&'static str] {
    match key {
        "aws:Referer" => &["", "https://inside.example/", "https://inside.example/*", "${aws:username}", "ALICE"],
        "aws:UserAgent" => &["", "nightly/1", "NIGHTLY/1", "nightly/*", "?ightly/1"],
        "aws:principaltype" => &["User", "AssumedRole", "assumedrole", "*", "Account"],
        "aws:userid" | "aws:username" => {
            &["alice", "ALICE", "al?ce", "b*b", "a*", "${aws:username}", "${aws:userid}x", "x${jwt:sub}"]
        }
        "s3:ExistingObjectTag" | "s3:RequestObjectTag" => &["red", "RED", "r?d", "blue", "raw", "*"],
        "s3:RequestObjectTagKeys" => &["team", "stage", "TEAM", "*"],
        "s3:authType" => &["REST-HEADER", "REST-*", "REST-QUERY-STRING", "POST"],
        "s3:delimiter" => &["", "/", "?"],
        "s3:object-lock-legal-hold" => &["ON", "on", "OFF"],
        "s3:object-lock-mode" => &["GOVERNANCE", "governance", "G*"],
        "s3:prefix" => &[
            "",
            "*",
            "a/",
            "a/*",
            "A/B",
            "home/${aws:username}/",
            "home/${aws:username}/*",
            "home/*",
            "?",
            "ä b/*",
            "ä b/",
        ],
        "s3:signatureversion" => &["AWS4-HMAC-SHA256", "AWS4*", "AWS2"],
        "s3:versionid" => &["", "null", VERSION, "*-*"],
        "s3:x-amz-content-sha256" => &[NOTHING, "UNSIGNED-PAYLOAD", "e3*"],
        "s3:x-amz-copy-source" => &[
            "lake/a/b",
            "/lake/a/b",
            "pond/al/x",
            "pond/*",
            "/lake2/home/${aws:username}/file",
            "lake/alice?versionId=null",
        ],
        "s3:x-amz-metadata-directive" => &["COPY", "REPLACE"],
        "s3:x-amz-server-side-encryption" => &["AES256", "aws:kms"],
        "s3:x-amz-server-side-encryption-customer-algorithm" => &["AES256"],
        "s3:x-amz-storage-class" => &["STANDARD", "standard", "REDUCED*", "*"],
        _ => &["", "alice", "ALICE", "somebody", "${aws:username}", "team", "a*", "*", "?", "5", "10.1.2.3"],
    }
}
