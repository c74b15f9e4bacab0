//! Documents that pass the check, and ways to damage them: for the properties beside the code, and for the comparison with a
//! server.

mod damage;
mod mutation;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::iam::vocabulary::{
    ADMIN_ACTIONS, ADMIN_KEYS, KMS_ACTIONS, OPERATORS, Operator, S3_ACTIONS, Values, takes_key,
};

pub(crate) use damage::damaged;
pub(crate) use mutation::mutated;

const ACTION_PATTERNS: [&str; 5] = ["s3:*", "s3:Get*", "s3:List*", "s3:Put?bject*", "s3:*Tagging"];

const RESOURCES: [&str; 12] = [
    "*",
    "arn:aws:s3:::*",
    "arn:aws:s3:::lake",
    "arn:aws:s3:::lake/*",
    "arn:aws:s3:::lake/a",
    "arn:aws:s3:::lake/a/*",
    "arn:aws:s3:::lake/${aws:username}/*",
    "arn:aws:s3:::lake/?/b*",
    "arn:aws:s3:::la*",
    "arn:aws:s3:::*/a/b",
    "arn:aws:s3:::pond/ä b/*",
    "arn:aws:s3:::lake/$x/$",
];

const KMS_RESOURCES: [&str; 4] = ["*", "arn:minio:kms:::key", "arn:minio:kms:::k*", "arn:minio:kms:::*"];

pub(crate) const TEXTS: [&str; 9] = ["", "a", "a/*", "A", "lake", "${aws:username}/*", "${aws:userid}", "*", "?"];
pub(crate) const DATES: [&str; 4] =
    ["2027-01-31T00:00:00Z", "2027-01-31T02:00:00+02:00", "2020-02-29T23:59:59+00:00", "1970-01-01T00:00:00Z"];
const NETWORKS: [&str; 6] = ["10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "::/0", "2001:db8::/32", "::ffff:10.0.0.0/104"];

/// A document that passes.
pub(crate) fn document() -> impl Strategy<Value = Value> {
    (prop::collection::vec(statement(), 1..4), any::<bool>()).prop_map(|(statements, labelled)| {
        let mut document = json!({"Version": "2012-10-17", "Statement": statements});
        if labelled {
            document["Id"] = json!("some id");
        }
        document
    })
}

fn statement() -> impl Strategy<Value = Value> {
    prop_oneof![6 => s3_statement(), 1 => admin_statement(), 1 => kms_statement(), 1 => sts_statement()]
}

fn s3_statement() -> impl Strategy<Value = Value> {
    let names: Vec<&'static str> = S3_ACTIONS.iter().map(|action| action.name).chain(ACTION_PATTERNS).collect();
    let actions = prop_oneof![
        subsequence(names, 1..4),
        // Few actions meet few requests; these do.
        subsequence(vec!["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:*"], 1..3),
    ];
    let resources = subsequence(RESOURCES.to_vec(), 1..4);
    (actions, resources, prop::bool::weighted(0.1), any::<bool>(), any::<bool>()).prop_flat_map(
        |(actions, resources, inverse, scalar, allow)| {
            let keys: Vec<&'static str> = crate::iam::vocabulary::KEYS
                .into_iter()
                .filter(|key| actions.iter().all(|action| takes_key(action, key)))
                .collect();
            let field = if inverse { "NotResource" } else { "Resource" };
            conditions(keys).prop_map(move |conditions| {
                let mut statement = json!({"Effect": if allow { "Allow" } else { "Deny" }});
                statement["Action"] = list(&actions, scalar);
                statement[field] = list(&resources, scalar);
                finish(statement, conditions)
            })
        },
    )
}

fn admin_statement() -> impl Strategy<Value = Value> {
    let everywhere = prop::option::of(select(vec!["*", "arn:aws:s3:::*"]));
    (subsequence(ADMIN_ACTIONS.to_vec(), 1..4), everywhere, conditions(ADMIN_KEYS.to_vec()), any::<bool>()).prop_map(
        |(actions, resource, conditions, allow)| {
            let mut statement = json!({"Effect": if allow { "Allow" } else { "Deny" }, "Action": actions});
            if let Some(resource) = resource {
                statement["Resource"] = json!([resource]);
            }
            finish(statement, conditions)
        },
    )
}

fn kms_statement() -> impl Strategy<Value = Value> {
    let resources = subsequence(KMS_RESOURCES.to_vec(), 0..3);
    (subsequence(KMS_ACTIONS.to_vec(), 1..4), resources, conditions(ADMIN_KEYS.to_vec()), any::<bool>()).prop_map(
        |(actions, resources, conditions, allow)| {
            let mut statement = json!({"Effect": if allow { "Allow" } else { "Deny" }, "Action": actions});
            if !resources.is_empty() {
                statement["Resource"] = json!(resources);
            }
            finish(statement, conditions)
        },
    )
}

fn sts_statement() -> impl Strategy<Value = Value> {
    prop::option::of(3600..86_400_i64).prop_map(|seconds| {
        let statement = json!({"Effect": "Deny", "Action": "sts:AssumeRoleWithWebIdentity"});
        let condition =
            seconds.map(|seconds| ("NumericGreaterThan".to_owned(), "sts:DurationSeconds".to_owned(), json!(seconds)));
        finish(statement, condition.into_iter().collect())
    })
}

type Condition = (String, String, Value);

fn finish(mut statement: Value, conditions: Vec<Condition>) -> Value {
    for (operator, key, values) in conditions {
        statement["Condition"][operator][key] = values;
    }
    statement
}

fn conditions(keys: Vec<&'static str>) -> impl Strategy<Value = Vec<Condition>> {
    prop_oneof![2 => Just(Vec::new()).boxed(), 1 => prop::collection::vec(condition(keys), 1..3).boxed()]
}

fn condition(keys: Vec<&'static str>) -> impl Strategy<Value = Condition> {
    let favourites: Vec<&'static str> = ["aws:username", "s3:prefix", "s3:max-keys", "aws:CurrentTime", "aws:SourceIp"]
        .into_iter()
        .filter(|favourite| keys.contains(favourite))
        .collect();
    let key =
        prop_oneof![1 => select(keys.clone()), 2 => select(if favourites.is_empty() { keys } else { favourites })];
    (select(OPERATORS.to_vec()), key, prop::option::of(select(vec!["ForAllValues:", "ForAnyValue:"]))).prop_flat_map(
        |(operator, key, qualifier)| {
            let key = match operator.name {
                "Bool" => "aws:SecureTransport",
                "IpAddress" | "NotIpAddress" => "aws:SourceIp",
                _ => key,
            };
            let texts = matches!(operator.values, Values::Text | Values::Base64);
            let name = format!("{}{}", qualifier.filter(|_| texts).unwrap_or_default(), operator.name);
            let key_name = if key.ends_with("ObjectTag") { format!("{key}/team") } else { key.to_owned() };
            values(operator, key).prop_map(move |values| (name.clone(), key_name.clone(), values))
        },
    )
}

fn values(operator: Operator, key: &'static str) -> BoxedStrategy<Value> {
    let some = |texts: Vec<&'static str>| {
        let most = texts.len().min(3);
        (subsequence(texts, 1..=most), any::<bool>()).prop_map(|(texts, scalar)| list(&texts, scalar))
    };
    let special = match key {
        "s3:x-amz-copy-source" => Some(vec!["lake/a", "/lake/b/c"]),
        "s3:x-amz-server-side-encryption-customer-algorithm" => Some(vec!["AES256"]),
        "s3:x-amz-server-side-encryption" => Some(vec!["AES256", "aws:kms"]),
        "s3:x-amz-metadata-directive" => Some(vec!["COPY", "REPLACE"]),
        "s3:x-amz-content-sha256" => Some(vec!["UNSIGNED-PAYLOAD"]),
        _ => None,
    };
    match (operator.values, special) {
        (Values::Text, None) => some(TEXTS.to_vec()).boxed(),
        (Values::Text, Some(texts)) => some(texts).boxed(),
        (Values::Base64, None) => some(vec!["YQ==", "bGFrZQ==", "/w=="]).boxed(),
        // lake/a, AES256 and COPY cannot stand for one another, so each key has its own.
        (Values::Base64, Some(texts)) => {
            use base64::Engine as _;
            let encoded = base64::engine::general_purpose::STANDARD.encode(texts[0]);
            Just(json!([encoded])).boxed()
        }
        (Values::Bool, _) => {
            prop_oneof![any::<bool>().prop_map(Value::from), select(vec![json!("true"), json!(["false"])])].boxed()
        }
        (Values::Number, _) => {
            prop_oneof![(-3..2000_i64).prop_map(Value::from), (-3..2000_i64).prop_map(|n| json!([n.to_string()]))]
                .boxed()
        }
        (Values::Date, _) => select(DATES.to_vec()).prop_map(|date| json!(date)).boxed(),
        (Values::Network, _) => some(NETWORKS.to_vec()).boxed(),
    }
}

fn list(texts: &[&'static str], scalar: bool) -> Value {
    match texts {
        [one] if scalar => json!(one),
        texts => json!(texts),
    }
}

/// Any JSON, with words of the policy language strewn in.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let words = select(vec![
        "Version",
        "2012-10-17",
        "Statement",
        "Effect",
        "Allow",
        "Action",
        "s3:GetObject",
        "s3:*",
        "*",
        "Resource",
        "arn:aws:s3:::lake/*",
        "Condition",
        "StringLike",
        "s3:prefix",
        "Sid",
        "Id",
        "${",
        "IpAddress",
        "aws:SourceIp",
    ]);
    let word = prop_oneof![words.prop_map(str::to_owned), "\\PC{0,12}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(word.clone(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn as_list(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = json!([value.take()]);
    }
    value.as_array_mut().expect("just made a list")
}

/// What the server makes of a document that it stores: scalars become lists, lists change their order, numbers in texts
/// become numbers, `*` becomes `**`.
pub(crate) fn rewritten(mut document: Value, seed: u64) -> Value {
    let mut seed = seed;
    let mut shuffle = move |values: &mut Vec<Value>| {
        for at in (1..values.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            values.swap(at, (seed >> 33) as usize % (at + 1));
        }
    };
    for statement in document["Statement"].as_array_mut().expect("statements") {
        let fields = statement.as_object_mut().expect("a statement");
        for (name, value) in fields.iter_mut() {
            match name.as_str() {
                "Action" => shuffle(as_list(value)),
                "Resource" | "NotResource" => {
                    let resources = as_list(value);
                    for resource in resources.iter_mut().filter(|resource| **resource == "*") {
                        *resource = json!("**");
                    }
                    shuffle(resources);
                }
                "Condition" => {
                    for (operator, keys) in value.as_object_mut().expect("operators") {
                        for values in keys.as_object_mut().expect("keys").values_mut() {
                            let values = as_list(values);
                            if operator.starts_with("Numeric") {
                                for value in values.iter_mut() {
                                    let number = value.as_str().and_then(|text| text.parse::<i64>().ok());
                                    *value = number.map_or(value.take(), Value::from);
                                }
                            }
                            shuffle(values);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    if let Some(id) = document.as_object_mut().and_then(|fields| fields.remove("Id")) {
        document["ID"] = id;
    }
    shuffle(document["Statement"].as_array_mut().expect("statements"));
    document
}

/// Requests that meet what the samples speak of.
pub(crate) fn request() -> impl Strategy<Value = Asked> {
    let actions: Vec<&'static str> = vec![
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:ListBucket",
        "s3:ListAllMyBuckets",
        "s3:GetObjectTagging",
        "s3:DeleteBucket",
        "admin:Heal",
        "admin:CreateUser",
        "kms:Status",
        "kms:CreateKey",
    ];
    let some_values = |key: &'static str, texts: Vec<&'static str>| {
        prop::option::of(prop::collection::vec(select(texts), 1..3)).prop_map(move |values| (key, values))
    };
    let conditions = (
        some_values("prefix", vec!["", "a", "a/b", "al/x", "lake", "alice/b"]),
        some_values("Prefix", vec!["a/b", "A"]),
        some_values("username", vec!["a", "mallory"]),
        some_values("max-keys", vec!["10", "1000", "x", "-1"]),
        some_values("CurrentTime", [&DATES[..], &["x", "2027-01-31T00:00:01+00:00"]].concat()),
        some_values("SourceIp", vec!["10.1.2.3", "2001:db8::1", "1.2.3.4", "x", "::ffff:10.9.9.9"]),
        some_values("SecureTransport", vec!["true", "false"]),
    );
    let keys = vec!["", "a", "a/b", "a/", "alice/b", "x/b1", "a//b", "../x", "ä b/c", "$x/$", "/a"];
    (select(actions), select(vec!["lake", "pond", "", "key"]), select(keys), conditions).prop_map(
        |(action, bucket, key, (a, b, c, d, e, f, g))| {
            let conditions = [a, b, c, d, e, f, g]
                .into_iter()
                .filter_map(|(key, values)| Some((key.to_owned(), values?.into_iter().map(str::to_owned).collect())))
                .collect();
            Asked { action, bucket, key, conditions }
        },
    )
}

/// A request without its user.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) action: &'static str,
    pub(crate) bucket: &'static str,
    pub(crate) key: &'static str,
    pub(crate) conditions: std::collections::BTreeMap<String, Vec<String>>,
}
