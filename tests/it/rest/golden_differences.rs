//! Where the service deliberately answers otherwise than the recorded one: all of it, with the reason beside each.

use serde_json::{Value, json};

/// The group of everybody, and its twin that only the first user was ever in.
const EVERYONE: &str = "globalusers";
const EVERYONES_TWIN: &str = "globalusersro";

/// A change of what all scenarios expect.
pub struct Rule {
    pub because: &'static str,
    /// Changes one expected answer: `{status, body}`.
    pub change: fn(&mut Value),
}

pub const RULES: &[Rule] = &[
    Rule {
        because: "access_key is the id of an access key that expires, not the user's name",
        change: |expect| each_object(expect, &|object| set_if_there(object, "access_key", json!("<text>"))),
    },
    Rule {
        because: "nobody is in the read-only twin of everybody's group, so there is none",
        change: without_everyones_twin,
    },
    Rule {
        because: "the answer to a creation says what is true: everybody is in the group of everybody",
        change: |expect| {
            each_object(expect, &|object| {
                if object["operation"] == "create" && object.get("total_policies").is_some() {
                    object["groups"] = json!([EVERYONE]);
                    object["total_policies"] = json!(3);
                }
            });
        },
    },
    Rule {
        because: "what is wrong with a name or a path is said in other words, with the same codes",
        change: |expect| {
            let message = expect["body"]["message"].as_str().unwrap_or_default();
            if ["Username ", "Group name ", "S3 ", "Bucket "].iter().any(|about| message.starts_with(about)) {
                expect["body"]["message"] = json!("<text>");
            }
        },
    },
    Rule {
        because: "why a target of a share failed is said in words of our own, not in those of a program below",
        change: |expect| {
            for error in expect["body"]["errors"].as_array_mut().into_iter().flatten() {
                let (target, _) = error.as_str().unwrap().split_once(": ").unwrap();
                *error = json!(format!("{target}: <text>"));
            }
        },
    },
    Rule {
        because: "a refused body is described, not repeated",
        change: |expect| {
            for violation in expect["body"]["detail"].as_array_mut().into_iter().flatten() {
                let violation = violation.as_object_mut().unwrap();
                violation.remove("input");
                violation.remove("ctx");
                violation.insert("msg".to_owned(), json!("<text>"));
            }
        },
    },
    Rule {
        because: "the creator of a group joins the group, not also its read-only twin",
        change: |expect| {
            each_object(expect, &|object| {
                if object["group_name"] == "kbasero" && object["members"].is_array() {
                    object["members"].as_array_mut().unwrap().retain(|member| member != "boss");
                    object["member_count"] = json!(object["members"].as_array().unwrap().len());
                }
            });
        },
    },
];

/// A change of what one step expects: scenario, number of the step from 1, place in the expectation, value, reason.
pub struct Exception {
    pub scenario: &'static str,
    pub step: usize,
    pub place: &'static str,
    pub value: fn() -> Value,
    pub because: &'static str,
}

const IDEMPOTENT: &str = "GET /credentials/ gives the same key until it is due or somebody asks for another";
const STRANGERS: &str = "who has no access to a path does not learn who has";
const WRONG_BUCKET: &str = "a path in another bucket is refused as a whole, before anything else is looked at";

pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        scenario: "02-credentials-autocreate-and-rotation",
        step: 3,
        place: "/body/secret_key",
        value: || json!("<secret#1>"),
        because: IDEMPOTENT,
    },
    Exception { scenario: "05-share-read", step: 6, place: "/body/users", value: || json!([]), because: STRANGERS },
    Exception {
        scenario: "07-share-to-groups-207",
        step: 12,
        place: "",
        value: || json!({"status": 400, "body": {"error": 20015, "error_type": "MinIO policy validation error", "message": "<text>"}}),
        because: WRONG_BUCKET,
    },
];

/// What S3 answers otherwise than the recorded policies said: action, key or prefix, whether it is allowed now, reason.
pub const ACCESS: &[(&str, &str, bool, &str)] = &[
    ("s3:ListBucket", "users-general-warehouse/alice", false, "a folder without its slash would list its siblings too"),
    (
        "s3:ListBucket",
        "users-general-warehouse/alice/data/exp1",
        false,
        "a folder without its slash would list its siblings too",
    ),
    (
        "s3:DeleteObject",
        "users-sql-warehouse/alice/u_alice__sales.db/orders",
        true,
        "what may be written may be deleted",
    ),
];

/// Calls `change` for an answer's body and every object in it.
fn each_object(expect: &mut Value, change: &dyn Fn(&mut Value)) {
    fn walk(value: &mut Value, change: &dyn Fn(&mut Value)) {
        if value.is_object() {
            change(value);
        }
        match value {
            Value::Object(map) => map.values_mut().for_each(|value| walk(value, change)),
            Value::Array(list) => list.iter_mut().for_each(|value| walk(value, change)),
            _ => {}
        }
    }
    walk(&mut expect["body"], change);
}

fn set_if_there(object: &mut Value, name: &str, value: Value) {
    if let Some(held) = object.get_mut(name) {
        *held = value;
    }
}

fn without_everyones_twin(expect: &mut Value) {
    let policy = format!("group-policy-{EVERYONES_TWIN}");
    let is_twin =
        |one: &Value| one == EVERYONES_TWIN || one["group_name"] == EVERYONES_TWIN || one["policy_name"] == *policy;
    each_object(expect, &|object| {
        let mut gone = 0;
        for list in ["groups", "group_names", "group_policies"] {
            if let Some(Value::Array(held)) = object.get_mut(list) {
                let before = held.len();
                held.retain(|one| !is_twin(one));
                gone = gone.max(before - held.len());
            }
        }
        for count in ["group_count", "total_count", "total_policies"] {
            if let Some(number) = object.get(count).and_then(Value::as_u64) {
                object[count] = json!(number - gone as u64);
            }
        }
    });
}
