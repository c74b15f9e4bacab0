//! Documents in which anything may be changed: what comes of it, nobody says beforehand.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

use super::{DATES, NETWORKS, document};
use crate::iam::vocabulary::{ADMIN_ACTIONS, KEYS, KMS_ACTIONS, OPERATORS, S3_ACTIONS};

/// Names of fields, and of what is easily taken for one.
const FIELDS: [&str; 16] = [
    "Id",
    "Version",
    "Statement",
    "Sid",
    "Effect",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
    "Principal",
    "NotPrincipal",
    "Conditon",
    "effect",
    "notAction",
    "CONDITION",
];

/// Texts that mean something at some place.
const TEXTS: [&str; 40] = [
    "",
    "*",
    "**",
    "?",
    "x",
    "1",
    "T",
    "true",
    "FALSE",
    "007",
    "+5",
    "1.5",
    "Allow",
    "deny",
    "2012-10-17",
    "2008-10-17",
    "s*",
    "*:*",
    "a*",
    "sts:*",
    "s3:*",
    "S3:GetObject",
    "sts:AssumeRoleWithWebIdentity",
    "*lake",
    "*lake/a",
    "lake/*",
    "arn:aws:s3:::",
    "arn:aws:s3:::/a",
    "arn:aws:s3:::lake.b/${jwt:sub}",
    "arn:aws:s3:::lake/${nothing}/${",
    "arn:minio:kms:::k.1",
    "arn:minio:kms:::k",
    "YQ==",
    "YR==",
    "YQ",
    "2001:db8::1",
    "10.1.2.3/8",
    "10.0.0.0/33",
    "2027-01-31T9:00:00.5Z",
    "2027-01-31",
];

/// A document with one or two changes anywhere.
pub(crate) fn mutated() -> impl Strategy<Value = Value> {
    let change = (any::<Index>(), any::<Index>(), any::<Index>());
    (document(), prop::collection::vec(change, 1..3)).prop_map(|(mut document, changes)| {
        for (place, kind, word) in changes {
            let mut pointers = Vec::new();
            collect(&document, String::new(), &mut pointers);
            let pointer = pointers[place.index(pointers.len())].clone();
            change_at(&mut document, &pointer, kind, word);
        }
        document
    })
}

/// The places of all values, as JSON pointers.
fn collect(value: &Value, pointer: String, into: &mut Vec<String>) {
    match value {
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(at, value)| collect(value, format!("{pointer}/{at}"), into));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                collect(value, format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), into);
            }
        }
        _ => {}
    }
    into.push(pointer);
}

fn change_at(document: &mut Value, pointer: &str, kind: Index, word: Index) {
    let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
    let name = name.replace("~1", "/").replace("~0", "~");
    match kind.index(8) {
        0 | 1 => put(document, pointer, text(word)),
        2 => put(document, pointer, other(word)),
        3 => put(document, pointer, json!([document.pointer(pointer).cloned()])),
        4 => match document.pointer_mut(parent) {
            Some(Value::Object(fields)) => drop(fields.remove(&name)),
            Some(Value::Array(values)) => drop(name.parse().map(|at: usize| values.remove(at))),
            _ => {}
        },
        5 => match document.pointer_mut(parent) {
            Some(Value::Array(values)) => values.push(text(word)),
            Some(Value::Object(fields)) => rename(fields, &name, word),
            _ => {}
        },
        6 => match document.pointer_mut(parent) {
            Some(Value::Array(values)) => drop(values.first().cloned().map(|first| values.push(first))),
            Some(Value::Object(fields)) => rename(fields, &name, word),
            _ => {}
        },
        _ => {
            if let Some(Value::Object(fields)) = document.pointer_mut(pointer) {
                insert(fields, some_name(word), if word.index(2) == 0 { text(word) } else { other(word) });
            }
        }
    }
}

fn put(document: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = document.pointer_mut(pointer) {
        *place = value;
    }
}

fn rename(fields: &mut Map<String, Value>, name: &str, word: Index) {
    let renamed = match word.index(5) {
        0 => name.to_lowercase(),
        1 => format!(":{name}"),
        2 => format!("ForAnyValue:{name}"),
        3 => format!("{name}/x"),
        _ => some_name(word),
    };
    if let Some(value) = fields.remove(name) {
        insert(fields, renamed, value);
    }
}

/// Of names that differ in their case only, servers read one, and which one is nobody's business.
fn insert(fields: &mut Map<String, Value>, name: String, value: Value) {
    fields.retain(|other, _| !other.eq_ignore_ascii_case(&name));
    fields.insert(name, value);
}

fn some_name(word: Index) -> String {
    let operators = OPERATORS.iter().map(|operator| operator.name);
    let names: Vec<&str> = FIELDS.into_iter().chain(operators).chain(KEYS).collect();
    names[word.index(names.len())].to_owned()
}

fn text(word: Index) -> Value {
    let actions = S3_ACTIONS.iter().map(|action| action.name).chain(ADMIN_ACTIONS).chain(KMS_ACTIONS);
    let texts: Vec<&str> =
        TEXTS.into_iter().chain(TEXTS).chain(TEXTS).chain(DATES).chain(NETWORKS).chain(actions).collect();
    json!(texts[word.index(texts.len())])
}

fn other(word: Index) -> Value {
    let others = [
        json!(null),
        json!(true),
        json!(0),
        json!(7),
        json!(1.0),
        json!(1e30),
        json!([]),
        json!({}),
        json!([null]),
        json!([[]]),
        json!(["x", "x"]),
        json!(["*", "**"]),
        json!([false, true]),
        json!({"StringLike": null}),
        json!({"StringLike": {"aws:username": null}}),
        json!({"Null": {"aws:username": null}}),
        json!({"AWS": "*"}),
    ];
    others[word.index(others.len())].clone()
}
