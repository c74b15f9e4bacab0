//! The recorded scenarios of the legacy service, step by step against this one. What differs on purpose is in
//! `golden_differences.rs`; everything else has to be as it was.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use super::golden_differences::{EXCEPTIONS, RIGHTS, RULES, Rights};
use crate::support::rest::{Answer, Person, Service, ServiceSetup, with_layout};
use crate::support::s3::{Caller, Try};
use crate::support::world::World;

/// Properties that answers may have beside the recorded ones.
const ADDITIONAL: &[&str] =
    &["s3_access_key", "s3_secret_key", "expires_at", "detail", "error", "error_type", "message"];

#[tokio::test]
async fn users_are_created() {
    replay("01-create-user", include_str!("golden/01-create-user.json")).await;
}

#[tokio::test]
async fn the_first_login_creates_the_user() {
    let name = "02-credentials-autocreate-and-rotation";
    replay(name, include_str!("golden/02-credentials-autocreate-and-rotation.json")).await;
}

#[tokio::test]
async fn groups_are_created() {
    replay("03-create-group", include_str!("golden/03-create-group.json")).await;
}

#[tokio::test]
async fn members_come_and_go() {
    replay("04-group-membership", include_str!("golden/04-group-membership.json")).await;
}

#[tokio::test]
async fn a_folder_is_shared_for_reading() {
    replay("05-share-read", include_str!("golden/05-share-read.json")).await;
}

#[tokio::test]
async fn a_folder_is_shared_for_writing_by_default() {
    replay("06-share-write-default", include_str!("golden/06-share-write-default.json")).await;
}

#[tokio::test]
async fn a_folder_is_shared_with_groups_and_with_nobody() {
    replay("07-share-to-groups-207", include_str!("golden/07-share-to-groups-207.json")).await;
}

#[tokio::test]
async fn shares_inside_shares_are_independent() {
    replay("09-nested-shares", include_str!("golden/09-nested-shares.json")).await;
}

#[tokio::test]
async fn only_owners_share() {
    replay("10-unshare-and-authorization", include_str!("golden/10-unshare-and-authorization.json")).await;
}

/// Goes through a scenario and fails with everything that was not as expected.
async fn replay(name: &str, recording: &str) {
    let recording: Value = serde_json::from_str(recording).unwrap();
    assert_eq!(recording["name"], name);
    let mut stage = Stage::new(&recording).await;
    for (number, step) in (1..).zip(recording["steps"].as_array().unwrap()) {
        stage.step(name, number, step).await;
    }
    stage.compare_iam("at the end", &recording["final_iam"]).await;
    stage.compare_objects(&recording["final_objects"]).await;
    for access in recording["derived_access"].as_array().into_iter().flatten() {
        stage.try_access(name, access).await;
    }
    assert!(stage.wrong.is_empty(), "{name}:\n{}", stage.wrong.join("\n"));
}

struct Stage {
    world: World,
    service: Arc<Service>,
    /// User names by actors.
    actors: HashMap<String, String>,
    /// Values that labels stood for so far.
    secrets: BTreeMap<String, String>,
    /// S3 callers by user.
    callers: HashMap<String, Caller>,
    wrong: Vec<String>,
}

impl Stage {
    async fn new(recording: &Value) -> Self {
        let mut setup = ServiceSetup::default();
        let mut actors = HashMap::new();
        for (actor, known) in recording["actors"].as_object().unwrap() {
            let user = known["user"].as_str().unwrap().to_owned();
            setup = setup.person(&user, actor == "admin");
            actors.insert(actor.clone(), user);
        }
        let (world, service) = with_layout("berdl", setup).await;
        Self { world, service, actors, secrets: BTreeMap::new(), callers: HashMap::new(), wrong: Vec::new() }
    }

    async fn step(&mut self, scenario: &str, number: usize, step: &Value) {
        let answer = self.call(step).await;
        let (expect, reasons) = expected_now(scenario, number, &step["expect"]);
        let place = format!("step {number} {} {} ({}) {reasons:?}", step["method"], step["path"], answer.status);
        if expect["status"] != answer.status {
            self.wrong.push(format!("{place}: expected {}: {}", expect["status"], answer.text));
            return;
        }
        let mut found = Vec::new();
        self.compare("", &expect["body"], &answer.body, &mut found);
        self.wrong.extend(found.into_iter().map(|what| format!("{place} {what}")));
        if let Some(iam) = step.get("iam_after") {
            self.compare_iam(&place, iam).await;
        }
    }

    async fn call(&self, step: &Value) -> Answer {
        let person = match step["as"].as_str() {
            Some(actor) => self.service.person(&self.actors[actor]),
            None => self.service.nobody(),
        };
        let method: Method = step["method"].as_str().unwrap().parse().unwrap();
        let request = person.request(method, step["path"].as_str().unwrap());
        let request = match step.get("body") {
            Some(body) => request.header("Content-Type", "application/json").body(body.to_string()),
            None => request,
        };
        Person::send(request).await
    }

    fn compare(&mut self, place: &str, expected: &Value, got: &Value, wrong: &mut Vec<String>) {
        match (expected, got) {
            (Value::Object(wanted), Value::Object(held)) if wanted.contains_key("policy_document") => {
                let differ = meaning(wanted, true) != meaning(held, false);
                if differ || wanted["policy_name"] != held["policy_name"] {
                    let (wanted, held) = (meaning(wanted, true), meaning(held, false));
                    wrong.push(format!("{place}: expected {wanted:#?}, got {held:#?}"));
                }
            }
            (Value::Object(wanted), Value::Object(held)) => {
                for (name, value) in wanted {
                    match held.get(name) {
                        Some(got) => self.compare(&format!("{place}/{name}"), value, got, wrong),
                        None => wrong.push(format!("{place}/{name} is missing")),
                    }
                }
                let more =
                    held.keys().filter(|name| !wanted.contains_key(*name) && !ADDITIONAL.contains(&name.as_str()));
                wrong.extend(more.map(|name| format!("{place}/{name} is too much")));
            }
            (Value::Array(wanted), Value::Array(held)) if wanted.len() == held.len() => {
                for (position, (wanted, held)) in wanted.iter().zip(held).enumerate() {
                    self.compare(&format!("{place}/{position}"), wanted, held, wrong);
                }
            }
            (Value::String(wanted), Value::String(held)) if self.fits(wanted, held) => {}
            _ if expected == got => {}
            _ => wrong.push(format!("{place}: expected {expected}, got {got}")),
        }
    }

    /// Whether a text is as expected, placeholders included.
    fn fits(&mut self, wanted: &str, got: &str) -> bool {
        if wanted == "<time>" {
            return got.parse::<jiff::Timestamp>().is_ok();
        }
        if wanted.starts_with("<secret#") {
            let known = self.secrets.iter().find(|(_, value)| *value == got).map(|(label, _)| label.clone());
            let new = known.is_none() && !self.secrets.contains_key(wanted);
            if new {
                self.secrets.insert(wanted.to_owned(), got.to_owned());
            }
            return new || known.as_deref() == Some(wanted);
        }
        match ["<text>", "{mc stderr}"].into_iter().find_map(|any| wanted.split_once(any)) {
            Some((begin, end)) => got.len() > begin.len() + end.len() && got.starts_with(begin) && got.ends_with(end),
            None => wanted == got,
        }
    }

    /// Users, members and attachments on the server. What the policies say is shown by S3 calls instead: their documents have
    /// another form than the recorded ones.
    async fn compare_iam(&mut self, place: &str, iam: &Value) {
        for (user, policies) in iam["attached_user_policies"].as_object().unwrap() {
            let mut wanted = names(policies);
            // Everybody has the rights of everybody directly, not through a group on the server.
            wanted.insert("group-policy-globalusers".to_owned());
            let held = self.world.account(user).await.map(|account| account.policies);
            if held.as_ref() != Some(&wanted) {
                self.wrong.push(format!("{place}: user {user} has {held:?} on the server, not {wanted:?}"));
            }
        }
        let groups = iam["groups"].as_object().unwrap().iter();
        for (group, members) in groups.filter(|(group, _)| !group.starts_with("globalusers")) {
            let mut expect = json!({"body": {"group_name": group, "members": members}});
            RULES.iter().for_each(|rule| (rule.change)(&mut expect));
            let wanted = names(&expect["body"]["members"]);
            let held = self.world.members(group).await.unwrap_or_default();
            if held != wanted {
                self.wrong.push(format!("{place}: group {group} has {held:?} on the server, not {wanted:?}"));
            }
        }
    }

    /// What lies in the folders. The directories themselves are objects of another form, so that only what is in them counts.
    async fn compare_objects(&mut self, objects: &Value) {
        for (bucket, keys) in objects.as_object().into_iter().flatten() {
            let held: BTreeSet<String> = self.world.keys_below(&format!("{bucket}/")).await.into_iter().collect();
            let missing: Vec<String> = names(keys).difference(&held).cloned().collect();
            if !missing.is_empty() {
                self.wrong.push(format!("bucket {bucket} lacks {missing:?} and has {held:?}"));
            }
        }
    }

    /// One request to S3 with the user's own key.
    async fn try_access(&mut self, scenario: &str, access: &Value) {
        let text = |name: &str| access[name].as_str().unwrap();
        let (user, action, key) = (text("user"), text("action"), text("key_or_prefix"));
        let what = match action {
            "s3:GetObject" => Try::Get,
            "s3:PutObject" => Try::Put,
            "s3:DeleteObject" => Try::Delete,
            "s3:ListBucket" => Try::List,
            other => panic!("{other} is not known"),
        };
        let recorded = access["allowed"].as_bool().unwrap();
        let applies = |one: &&Rights| (one.scenario, one.user, one.action, one.key) == (scenario, user, action, key);
        let differs = RIGHTS.iter().find(applies);
        let (wanted, because) = differs.map_or((recorded, "as recorded"), |one| (one.allowed, one.because));
        let path = format!("{}/{key}", text("bucket"));
        if what == Try::Get {
            self.world.seed(&[&path]).await;
        }
        // Of what is allowed, some cannot be done, such as writing an object where a folder is.
        let allowed = self.caller(user).await.status(what, &path).await != 403;
        if allowed != wanted {
            self.wrong.push(format!("{user} {action} {path}: allowed is {allowed}, not {wanted} ({because})"));
        }
    }

    async fn caller(&mut self, user: &str) -> Caller {
        if !self.callers.contains_key(user) {
            let caller = self.service.person(user).at_s3(&self.world).await;
            self.callers.insert(user.to_owned(), caller);
        }
        self.callers[user].clone()
    }
}

/// What a step expects with the differences that apply to it, and the reasons for these.
fn expected_now(scenario: &str, number: usize, recorded: &Value) -> (Value, Vec<&'static str>) {
    let (mut expect, mut reasons) = (recorded.clone(), Vec::new());
    for rule in RULES {
        let before = expect.clone();
        (rule.change)(&mut expect);
        reasons.extend((expect != before).then_some(rule.because));
    }
    for exception in EXCEPTIONS.iter().filter(|one| (one.scenario, one.step) == (scenario, number)) {
        let value = (exception.value)();
        let held = expect.pointer_mut(exception.place).expect("the place exists");
        assert_ne!(*held, value, "{scenario} {number}: {} makes no difference", exception.because);
        *held = value;
        reasons.push(exception.because);
    }
    (expect, reasons)
}

fn names(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// What a policy allows: for each action the resources, for listing the prefixes, without those that others cover. A recorded
/// policy is taken as the service would give the same today: a folder is listed with its slash only, so that siblings which
/// begin alike stay hidden, and what may be written may be deleted, the folder's own name included.
fn meaning(policy: &serde_json::Map<String, Value>, recorded: bool) -> BTreeMap<String, BTreeSet<String>> {
    let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for statement in policy["policy_document"]["statement"].as_array().unwrap() {
        let action = statement["action"].as_str().unwrap().to_owned();
        let resources = names(&statement["resource"]);
        let entries = allowed.entry(action.clone()).or_default();
        match statement.pointer("/condition/StringLike/s3:prefix") {
            Some(prefixes) => {
                let in_folder = |prefix: &String| !recorded || prefix.ends_with('*');
                let prefixes = names(prefixes).into_iter().filter(in_folder);
                entries.extend(
                    prefixes.flat_map(|prefix| resources.iter().map(move |bucket| format!("{bucket}/{prefix}"))),
                );
            }
            None => entries.extend(resources),
        }
    }
    if let Some(written) = allowed.get("s3:PutObject").filter(|_| recorded).cloned() {
        allowed.insert("s3:DeleteObject".to_owned(), written);
    }
    allowed.into_iter().map(|(action, entries)| (action, without_covered(&entries))).collect()
}

fn without_covered(entries: &BTreeSet<String>) -> BTreeSet<String> {
    let covers = |other: &String, one: &String| {
        other != one && other.strip_suffix('*').is_some_and(|begin| one.starts_with(begin))
    };
    entries.iter().filter(|one| !entries.iter().any(|other| covers(other, one))).cloned().collect()
}
