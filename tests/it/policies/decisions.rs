//! Thousands of requests under thousands of policies: what `iam::evaluate` decides is what a real server does.

mod policies;
mod requests;

use std::{collections::BTreeMap, env, time::Instant};

use minio_manager::{
    iam::document::Document,
    minio::{Client, Credentials, Holder, NewAccessKey},
};
use serde_json::Value;

use super::server;
use crate::{
    proxy::wire::{Answer, Ask, Line},
    support::random::Random,
};
use policies::Policies;
use requests::{BUCKETS, OBJECTS, OPERATIONS, Request};

/// How many decisions a long run compares.
const COUNT: &str = "MINIO_MANAGER_DECISIONS";
const ORDINARY_COUNT: usize = 500;
/// Requests are cheaper than policies.
const REQUESTS_OF_A_SET: usize = 20;
/// How many requests are on their way at once.
const WORKERS: usize = 4;
/// Undecided cases are no agreement: few of a hundred may be.
const MOST_UNDECIDED: usize = 5;
/// How often a request is sent to a server that is too busy for it.
const ATTEMPTS: usize = 5;

/// Users whose names are texts of patterns; with each comes one policy more: two users' own, and the group's.
const USERS: [&str; 3] = ["alice", "al?ce", "b*b"];
const GROUP: &str = "decisions-group";

/// What the server answers once it has allowed a request that cannot be done.
const ALLOWED_IN_VAIN: [&str; 17] = [
    "BadDigest",
    "BucketAlreadyOwnedByYou",
    "BucketNotEmpty",
    "InvalidArgument",
    "InvalidBucketObjectLockConfiguration",
    "InvalidObjectState",
    "InvalidRequest",
    "InvalidTagDirective",
    "MalformedXML",
    "NoSuchBucketPolicy",
    "NoSuchKey",
    "NoSuchObjectLockConfiguration",
    "NoSuchTagSet",
    "NoSuchUpload",
    "NoSuchVersion",
    "NotImplemented",
    "XMinioInvalidObjectName",
];

/// Who asks.
pub struct Caller {
    /// The user; of a key, the user above it.
    user: &'static str,
    credentials: Credentials,
    is_key: bool,
}

/// The server with its buckets, and those who ask.
struct Stage {
    root: Client,
    line: Line,
    /// Of each user the user's own secret, and a key.
    callers: Vec<Caller>,
}

impl Stage {
    async fn new() -> Self {
        let root = server().client();
        let stage = Self { line: Line::plain(root.endpoint().authority()), callers: callers(&root).await, root };
        for bucket in BUCKETS {
            stage.root.create_bucket(bucket).await.unwrap();
            OBJECTS.iter().for_each(|(key, tags)| stage.write(bucket, key, tags));
        }
        stage
    }

    fn write(&self, bucket: &str, key: &str, tags: &str) {
        let plain =
            Ask { body: if key.ends_with('/') { &[] } else { b"content" }, ..Ask::put(requests::path(bucket, key)) };
        let ask = if tags.is_empty() { plain } else { plain.header("x-amz-tagging", tags) };
        let answer = self.line.send(&server().root(), &ask);
        assert!(answer.is_done(), "{bucket}/{key}: {answer:?}");
    }

    /// Puts documents in force for the user who has as many.
    async fn put(&self, documents: &[Value]) {
        for (number, document) in documents.iter().enumerate() {
            let text = document.to_string();
            self.root.put_policy(&policy(number), text).await.unwrap_or_else(|error| panic!("{document}: {error}"));
        }
    }

    /// Asks the server, several requests at once.
    fn ask_all<'s>(&'s self, asked: Vec<(&'s Caller, Request)>) -> Vec<Asked<'s>> {
        std::thread::scope(|scope| {
            let mut parts: Vec<Vec<_>> = (0..WORKERS).map(|_| Vec::new()).collect();
            asked.into_iter().enumerate().for_each(|(number, one)| parts[number % WORKERS].push(one));
            let workers: Vec<_> = parts
                .into_iter()
                .map(|part| {
                    scope.spawn(move || part.into_iter().map(|(caller, request)| self.ask(caller, request)).collect())
                })
                .collect();
            workers.into_iter().flat_map(|worker| -> Vec<Asked<'s>> { worker.join().unwrap() }).collect()
        })
    }

    fn ask<'s>(&self, caller: &'s Caller, request: Request) -> Asked<'s> {
        let mut answer = request.send(&self.line, &caller.credentials);
        for _ in 1..ATTEMPTS {
            if answer.status < 500 {
                break;
            }
            answer = request.send(&self.line, &caller.credentials);
        }
        let allowed = read(&answer);
        Asked { caller, request, allowed }
    }
}

fn policy(number: usize) -> String {
    format!("decisions-{number}")
}

/// Users with their own secrets and with keys, and the policies that they have.
async fn callers(root: &Client) -> Vec<Caller> {
    let mut callers = Vec::new();
    for number in 0..USERS.len() {
        let nothing = serde_json::json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::*"}
        ]});
        root.put_policy(&policy(number), nothing.to_string()).await.unwrap();
    }
    for (number, user) in USERS.into_iter().enumerate() {
        let own = Credentials::new(user, Credentials::generate().secret);
        root.add_user(user, &own.secret, true).await.unwrap();
        let key = NewAccessKey {
            parent: user.to_owned(),
            credentials: Credentials::generate(),
            name: "decisions".to_owned(),
            description: String::new(),
            expiration: None,
            session_policy: None,
        };
        root.add_access_key(&key).await.unwrap();
        let policies = (0..=number.min(1)).map(policy).collect();
        root.set_mapping(&Holder::User(user.to_owned()), &policies).await.unwrap();
        callers.push(Caller { user, credentials: own, is_key: false });
        callers.push(Caller { user, credentials: key.credentials, is_key: true });
    }
    let member = [USERS[2].to_owned()].into();
    root.update_group_members(GROUP, &member, false).await.unwrap();
    root.set_mapping(&Holder::Group(GROUP.to_owned()), &[policy(2)].into()).await.unwrap();
    callers
}

/// Whether the server has allowed a request; what else it may have said.
fn read(answer: &Answer) -> Result<bool, String> {
    // Answers to HEAD have no body.
    let code = answer.text.lines().find_map(code_in_header).unwrap_or_else(|| answer.code());
    match (answer.status, code) {
        (200 | 403, "AccessDenied") => Ok(false),
        (200..300, _) => Ok(true),
        (_, code) if ALLOWED_IN_VAIN.contains(&code) => Ok(true),
        (status, code) => Err(format!("{status} {code}")),
    }
}

fn code_in_header(line: &str) -> Option<&str> {
    let (name, code) = line.split_once(": ")?;
    name.eq_ignore_ascii_case("x-minio-error-code").then_some(code)
}

/// A request, and what the server has decided.
struct Asked<'s> {
    caller: &'s Caller,
    request: Request,
    allowed: Result<bool, String>,
}

/// What came of all comparisons.
#[derive(Default)]
struct Tally {
    allowed: usize,
    denied: usize,
    undecided: usize,
    /// How often each kind of request was allowed, and denied.
    kinds: BTreeMap<&'static str, (usize, usize)>,
    /// What must not be.
    wrong: Vec<String>,
}

impl Tally {
    fn decided(&self) -> usize {
        self.allowed + self.denied
    }

    fn compare(&mut self, documents: &[Value], read: &[Document], asked: &Asked<'_>) {
        let ours = asked.request.allowed(read, asked.caller);
        let theirs = &asked.allowed;
        match (ours, theirs) {
            (Err(_), Ok(_)) => self.undecided += 1,
            (Ok(ours), Ok(theirs)) if ours == *theirs => self.count(asked.request.kind(), ours),
            (ours, theirs) => {
                let documents = Value::from(documents);
                let user = (asked.caller.user, asked.caller.is_key);
                self.wrong
                    .push(format!("ours {ours:?}, theirs {theirs:?}: {user:?} {:?}\n  {documents}", asked.request));
            }
        }
    }

    fn count(&mut self, kind: &'static str, allowed: bool) {
        let of_kind = self.kinds.entry(kind).or_default();
        if allowed {
            self.allowed += 1;
            of_kind.0 += 1;
        } else {
            self.denied += 1;
            of_kind.1 += 1;
        }
    }
}

fn wanted() -> usize {
    let read = |text: String| text.parse().unwrap_or_else(|_| panic!("{COUNT} is no number: {text}"));
    env::var(COUNT).map_or(ORDINARY_COUNT, read)
}

/// One user more has one document more: the documents of a set decide who asks.
fn who<'s>(stage: &'s Stage, documents: &[Value], random: &mut Random) -> &'s Caller {
    let first = 2 * (documents.len() - 1);
    &stage.callers[first + random.below(2)]
}

#[tokio::test]
async fn the_evaluator_and_the_server_agree() {
    let stage = Stage::new().await;
    let mut random = Random::from_environment("policies and requests");
    let mut policies = Policies::new(&mut random);
    let (mut tally, wanted, started) = (Tally::default(), wanted(), Instant::now());
    while tally.decided() < wanted && tally.wrong.len() < 10 {
        let documents = policies.some(&mut random, USERS.len());
        stage.put(&documents).await;
        let asked = (0..REQUESTS_OF_A_SET).map(|_| (who(&stage, &documents, &mut random), Request::some(&mut random)));
        let answers = stage.ask_all(asked.collect());
        let read: Vec<Document> = documents.iter().map(|document| Document::from_value(document).unwrap()).collect();
        answers.iter().for_each(|asked| tally.compare(&documents, &read, asked));
    }
    let Tally { allowed, denied, undecided, kinds, wrong } = tally;
    println!("after {:?}: {allowed} allowed, {denied} denied, {undecided} undecided; {kinds:?}", started.elapsed());
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    // No side could say the same of all, and every kind of request was among them.
    let decided = allowed + denied;
    assert!(decided >= wanted && allowed > decided / 8 && denied > decided / 8, "{allowed} allowed, {denied} denied");
    assert!(undecided * 100 <= decided * MOST_UNDECIDED, "{undecided} of {decided} are undecided");
    assert!(decided < ORDINARY_COUNT || kinds.len() == OPERATIONS.len(), "{kinds:?}");
}
