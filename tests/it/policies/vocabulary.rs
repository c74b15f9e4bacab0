//! Every word of the tables, before the server: it knows each of them, takes each key where the tables say so and nowhere else,
//! and knows none of them misspelt.

use minio_manager::iam::vocabulary::{
    ADMIN_ACTIONS, KEYS, KMS_ACTIONS, OPERATORS, QUALIFIERS, S3_ACTIONS, STS_ACTIONS, TAG_KEYS, Values, takes_key,
};
use serde_json::{Value, json};

use super::{Verdicts, compare};

fn actions() -> impl Iterator<Item = &'static str> {
    let s3 = S3_ACTIONS.iter().map(|action| action.name);
    s3.chain(ADMIN_ACTIONS).chain(KMS_ACTIONS).chain(STS_ACTIONS)
}

fn operators() -> impl Iterator<Item = &'static str> {
    OPERATORS.iter().map(|operator| operator.name)
}

fn document<'a>(action: &str, conditions: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let mut statement = json!({"Effect": "Allow", "Action": action});
    if action.starts_with("s3:") {
        statement["Resource"] = json!("arn:aws:s3:::bucket/*");
    }
    for (operator, key) in conditions {
        statement["Condition"][operator][with_tag(key)] = value_for(operator, key);
    }
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn with_tag(key: &str) -> String {
    if TAG_KEYS.contains(&key) { format!("{key}/team") } else { key.to_owned() }
}

/// A value that an operator compares, and each key takes.
fn value_for(operator: &str, key: &str) -> Value {
    let text = match key {
        "s3:x-amz-copy-source" => "bucket/key",
        "s3:x-amz-metadata-directive" => "COPY",
        _ => "AES256",
    };
    let values = OPERATORS.iter().find(|found| found.name == operator).map(|found| found.values);
    match values {
        Some(Values::Text) | None => json!(text),
        Some(Values::Base64) if key == "s3:x-amz-copy-source" => json!("YnVja2V0L2tleQ=="),
        Some(Values::Base64) if key == "s3:x-amz-metadata-directive" => json!("Q09QWQ=="),
        Some(Values::Base64) => json!("QUVTMjU2"),
        Some(Values::Bool) => json!("true"),
        Some(Values::Number) => json!("3600"),
        Some(Values::Date) => json!("2027-01-31T00:00:00Z"),
        Some(Values::Network) => json!("10.0.0.0/8"),
    }
}

/// A word with one letter less, for each of its letters behind the prefix.
fn misspelt(word: &str) -> impl Iterator<Item = String> {
    let start = word.find(':').map_or(0, |colon| colon + 1);
    (start..word.len()).map(move |at| format!("{}{}", &word[..at], &word[at + 1..]))
}

fn agree(verdicts: &Verdicts, at_least: (usize, usize)) {
    verdicts.agree();
    let found = (verdicts.taken, verdicts.refused);
    assert!(found.0 >= at_least.0 && found.1 >= at_least.1, "{found:?}, {:?}", verdicts.stricter);
}

#[tokio::test]
async fn the_server_knows_every_action_and_none_that_is_misspelt() {
    let documents = actions().map(|action| document(action, None)).collect();
    let verdicts = compare(documents).await;
    agree(&verdicts, (actions().count(), 0));
    let wrong = actions().filter(|action| !action.ends_with('*')).flat_map(|action| misspelt(action).step_by(3));
    let verdicts = compare(wrong.map(|action| document(&action, None)).collect()).await;
    agree(&verdicts, (0, verdicts.count()));
}

#[tokio::test]
async fn the_server_takes_each_key_with_the_actions_of_the_table_only() {
    let mut documents = Vec::new();
    for action in actions() {
        let (own, strange): (Vec<_>, Vec<_>) = KEYS.into_iter().partition(|key| takes_key(action, key));
        documents.push(document(action, own.into_iter().map(|key| ("StringEquals", key))));
        // All actions on administration have the same keys: some of them stand for all.
        let many = if ADMIN_ACTIONS[2..].contains(&action) { 1 } else { strange.len() };
        documents.extend(strange.into_iter().take(many).map(|key| document(action, [("StringEquals", key)])));
    }
    let verdicts = compare(documents).await;
    agree(&verdicts, (actions().count(), 500));
    let wrong: Vec<String> = KEYS.into_iter().flat_map(|key| misspelt(key).step_by(2)).collect();
    let documents = wrong.iter().map(|key| document("s3:*", [("StringEquals", key.as_str())]));
    let verdicts = compare(documents.collect()).await;
    agree(&verdicts, (0, wrong.len()));
}

#[tokio::test]
async fn the_server_takes_each_operator_with_the_keys_of_the_table_only() {
    let only = |operator: &str| match operator {
        "Bool" => Some("aws:SecureTransport"),
        "IpAddress" | "NotIpAddress" => Some("aws:SourceIp"),
        _ => None,
    };
    let of_data = || KEYS.into_iter().filter(|key| takes_key("s3:*", key));
    let mut documents = Vec::new();
    for operator in operators() {
        let (own, strange): (Vec<_>, Vec<_>) =
            of_data().partition(|key| only(operator).is_none_or(|only| only == *key));
        documents.push(document("s3:*", own.into_iter().map(|key| (operator, key))));
        documents.extend(strange.into_iter().map(|key| document("s3:*", [(operator, key)])));
        for qualifier in QUALIFIERS {
            let key = only(operator).unwrap_or("aws:username");
            let mut qualified = document("s3:*", None);
            qualified["Statement"][0]["Condition"][format!("{qualifier}:{operator}")][key] = value_for(operator, key);
            documents.push(qualified);
        }
        if only(operator).is_none() {
            documents.push(document("sts:AssumeRoleWithWebIdentity", [(operator, "sts:DurationSeconds")]));
            documents.push(document("admin:CreateServiceAccount", [(operator, "svc:DurationSeconds")]));
        }
    }
    let verdicts = compare(documents).await;
    let (free, texts) = (OPERATORS.len() - 3, 7);
    agree(&verdicts, (OPERATORS.len() + 2 * free + texts * QUALIFIERS.len(), 3 * (of_data().count() - 1)));
    let wrong: Vec<String> = operators().flat_map(misspelt).collect();
    let documents = wrong.iter().map(|operator| document("s3:*", [(operator.as_str(), "aws:username")]));
    let verdicts = compare(documents.collect()).await;
    agree(&verdicts, (0, wrong.len()));
}
