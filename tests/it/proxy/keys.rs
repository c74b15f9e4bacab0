//! Every condition key and every policy variable that MinIO knows: its value can be chosen by a caller of MinIO itself, and by
//! no caller of the proxy.

use std::collections::BTreeSet;

use minio_manager::{
    iam::vocabulary::{COMMON_KEYS, KEYS, S3_ACTIONS, SAFE_VARIABLES, TAG_KEYS},
    minio::Credentials,
};
use serde_json::json;

use super::*;

/// Keys that say what a request of another service is about: it is asked of that service and not of S3.
const OF_OTHER_SERVICES: [&str; 2] = ["sts:DurationSeconds", "svc:DurationSeconds"];

/// Nobody can check it, and the signatures of some clients cover it: the proxy passes it on.
const CLAIMED: &str = "aws:UserAgent";

/// Variables that a parameter replaces: nothing on the side of the server has a value for them.
const INJECTED: [&str; 31] = [
    "aws:groups",
    "jwt:address",
    "jwt:aud",
    "jwt:birthdate",
    "jwt:client_id",
    "jwt:email",
    "jwt:family_name",
    "jwt:gender",
    "jwt:given_name",
    "jwt:groups",
    "jwt:iss",
    "jwt:jti",
    "jwt:middle_name",
    "jwt:name",
    "jwt:nickname",
    "jwt:phone_number",
    "jwt:picture",
    "jwt:preferred_username",
    "jwt:profile",
    "jwt:scope",
    "jwt:sub",
    "jwt:upn",
    "jwt:website",
    "ldap:groups",
    "ldap:user",
    "s3:LocationConstraint",
    "s3:signatureAge",
    "s3:x-amz-content-sha256",
    "aws:SourceIp",
    "aws:Referer",
    "aws:UserAgent",
];

/// A condition key with the request that it decides about.
struct Case {
    key: &'static str,
    /// What the policy demands.
    value: &'static str,
    action: &'static str,
    ask: Ask<'static>,
    resource: String,
}

impl Case {
    fn of(key: &'static str, number: usize, bucket: &str) -> Self {
        let action = action_of(key);
        let (resource, ask) = match action {
            "s3:ListBucket" => (format!("{bucket}-{number}"), Ask::get(format!("/{bucket}-{number}"))),
            "s3:PutObject" => (format!("{bucket}/{number}/file"), Ask::put(format!("/{bucket}/{number}/file"))),
            _ => (format!("{bucket}/{number}/file"), Ask::get(format!("/{bucket}/{number}/file"))),
        };
        Self { key, value: value_of(key), action, ask, resource }
    }

    /// The key without its kind, as MinIO looks for it.
    fn name(&self) -> String {
        let name = self.key.split_once(':').expect("a key has a kind").1;
        if TAG_KEYS.contains(&self.key) { format!("{name}/team") } else { name.to_owned() }
    }

    fn statement(&self) -> Value {
        let key = format!("{}:{}", self.key.split(':').next().unwrap(), self.name());
        allow(self.action, &self.resource, json!({"StringEquals": {key: self.value}}))
    }

    /// How a caller could say that the key has the value.
    fn tricks(&self) -> Vec<Ask<'static>> {
        let name: &'static str = self.name().leak();
        let header: &'static str = canonical(name).leak();
        let mut tricks = vec![];
        // What S3 itself has under this name is no trick.
        if !name.starts_with("x-amz-") && !name.contains('/') {
            tricks.push(self.ask.header(header, self.value));
        }
        let honest = ["prefix", "delimiter", "max-keys"];
        for parameter in BTreeSet::from([name, header, name.to_lowercase().leak(), name.to_uppercase().leak()]) {
            if !honest.contains(&parameter) {
                tricks.push(self.ask.query(&format!("{parameter}={}", self.value)));
            }
        }
        tricks
    }
}

fn value_of(key: &str) -> &'static str {
    match key {
        "s3:x-amz-copy-source" => "bucket/object",
        "s3:x-amz-metadata-directive" => "REPLACE",
        _ if key.starts_with("s3:x-amz-server-side-encryption") => "AES256",
        // As a number it says the same to the server's listing.
        "s3:max-keys" => "7",
        _ => "sesame",
    }
}

/// An action that takes the key.
fn action_of(key: &str) -> &'static str {
    let takes = |name: &str| S3_ACTIONS.iter().any(|action| action.name == name && action.keys.contains(&key));
    let actions = ["s3:PutObject", "s3:GetObject", "s3:ListBucket"];
    if COMMON_KEYS.contains(&key) || key == "s3:versionid" {
        return "s3:GetObject";
    }
    actions.into_iter().find(|action| takes(action)).unwrap_or("s3:PutObjectRetention")
}

/// As Go writes the names of headers: the first letter of each word large, the others small.
fn canonical(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + &rest.to_lowercase()
    });
    if name.contains('/') { name.to_owned() } else { words.collect::<Vec<_>>().join("-") }
}

/// A user of whom everything is demanded, and the demands.
async fn demands(scene: &Scene) -> (Credentials, Vec<Case>) {
    let keys = KEYS.iter().filter(|key| !OF_OTHER_SERVICES.contains(key));
    let cases: Vec<Case> = keys.enumerate().map(|(number, key)| Case::of(key, number, &scene.bucket)).collect();
    for case in &cases {
        match case.action {
            "s3:ListBucket" => drop(scene.root.create_bucket(&case.resource).await.unwrap()),
            "s3:GetObject" => scene.put(case.resource.split_once('/').unwrap().1).await,
            _ => {}
        }
    }
    let user =
        scene.user(cases.iter().filter(|case| case.action != "s3:PutObjectRetention").map(Case::statement).collect());
    (user.await, cases)
}

#[tokio::test]
async fn no_condition_is_decided_by_who_asks() {
    let scene = Scene::new().await;
    let (user, cases) = demands(&scene).await;
    let mut left = BTreeSet::new();
    for case in &cases {
        // Only where there are object locks; its names are looked at in the file itself, below.
        if case.action == "s3:PutObjectRetention" {
            left.insert(case.key);
            continue;
        }
        scene.denied(&user, &case.ask);
        let tricks = case.tricks();
        let works = tricks.iter().filter(|trick| scene.bare.send(&user, trick).is_done()).count();
        assert!(works > 0, "no trick works for {} on MinIO itself: is it safe?", case.key);
        for trick in &tricks {
            let answer = scene.guarded.send(&user, trick);
            assert!(answer.is_refused(), "{}: {trick:?} through the proxy: {answer:?}", case.key);
        }
    }
    assert_eq!(left, BTreeSet::from(["s3:object-lock-remaining-retention-days"]));
}

#[test]
fn every_key_has_its_line_in_the_file() {
    let file = include_str!("../../../deploy/proxy/nginx.conf");
    for key in KEYS {
        let header = canonical(key.split_once(':').unwrap().1);
        let line = format!("proxy_set_header {header} ");
        assert!(file.lines().any(|found| found.trim_start().starts_with(&line)), "nothing is done about {header}");
    }
}

#[tokio::test]
async fn no_variable_is_filled_in_by_who_asks() {
    let scene = Scene::new().await;
    let variables: Vec<&str> = COMMON_KEYS.into_iter().filter(|key| !SAFE_VARIABLES.contains(key)).collect();
    let mut statements = Vec::new();
    for (number, variable) in variables.iter().enumerate() {
        scene.put(&format!("{number}/secret/file")).await;
        let resource = format!("arn:aws:s3:::{}/{number}/${{{variable}}}/*", scene.bucket);
        statements.push(json!({"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [resource]}));
    }
    let user = scene.user(statements).await;
    let mut injected = BTreeSet::new();
    for (number, variable) in variables.iter().enumerate() {
        let ask = Ask::get(format!("/{}/{number}/secret/file", scene.bucket));
        scene.denied(&user, &ask);
        let name = variable.split_once(':').unwrap().1;
        let mut tricks = vec![ask.query(&format!("{name}=secret")), ask.query(&format!("{name}=*"))];
        let headers = ["X-Forwarded-For", "X-Real-IP", "Referer", "X-Amz-Signature-Age", "User-Agent"];
        tricks.extend(headers.map(|header| ask.header(header, "secret")));
        tricks.push(ask.header("Forwarded", "for=secret"));
        for trick in tricks {
            if scene.bare.send(&user, &trick).is_done() {
                injected.insert(*variable);
            }
            let answer = scene.guarded.send(&user, &trick);
            assert!(answer.is_refused() || *variable == CLAIMED, "${{{variable}}}: {trick:?}: {answer:?}");
        }
    }
    assert_eq!(injected, BTreeSet::from(INJECTED));
}

#[tokio::test]
async fn the_names_that_are_called_safe_are() {
    let scene = Scene::new().await;
    for variable in SAFE_VARIABLES {
        let (folder, name) = (unique("safe"), variable.split_once(':').unwrap().1);
        scene.put(&format!("{folder}/secret/file")).await;
        let resource = format!("arn:aws:s3:::{}/{folder}/${{{variable}}}/*", scene.bucket);
        let user =
            scene.user(vec![json!({"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [resource]})]).await;
        let own = format!("{folder}/{}/file", user.access_key);
        scene.put(&own).await;
        scene.works(&user, &Ask::get(format!("/{}/{own}", scene.bucket)));
        let ask = Ask::get(format!("/{}/{folder}/secret/file", scene.bucket));
        for trick in [ask.query(&format!("{name}=secret")), ask.header(canonical(name).leak(), "secret")] {
            assert!(scene.bare.send(&user, &trick).is_refused(), "{trick:?}");
        }
    }
}
