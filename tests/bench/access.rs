//! How long the questions of `minio-manager access` take once the objects are read. No server takes part.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use minio_manager::iam::access;
use minio_manager::iam::explain::{Action, Place, Question, explain};
use minio_manager::iam::index::Index;
use minio_manager::iam::names::UserName;
use minio_manager::iam::path::S3Path;
use minio_manager::iam::subject::Kind;
use minio_manager::kubernetes::Decoded;
use serde_json::{Value, json};

use crate::figures::{Report, Samples};
use crate::relist::{index, object};

const USERS: usize = 10_000;
const GROUPS: usize = 1_000;
const MEMBERS: usize = 20;
const SHARES: usize = 50_000;
/// One share in so many is for a group, one in so many for everyone.
const FOR_A_GROUP: usize = 10;
const FOR_EVERYONE: usize = 500;
/// How often each question is asked, each time for somebody else.
const QUESTIONS: usize = 1_000;
const LIMIT: Duration = Duration::from_millis(100);

/// Every question at the size of a large installation, and about a folder that is shared with a group of everybody.
pub fn measure(report: &mut Report) {
    let (index, now) = (filled(), Timestamp::now());
    let title = format!("{USERS} users, {SHARES} shares");
    let asked =
        |ask: &dyn Fn(usize)| Samples::of((0..QUESTIONS).map(|number| timed(|| ask(number * 7 % USERS))).collect());
    let folder = |number: usize| S3Path::parse(&format!("s3a://lake/homes/{}/data/{number}", user(number))).unwrap();
    let name = |number: usize| UserName::parse(&user(number)).unwrap();
    report.within(
        &format!("{title}: access who"),
        &asked(&|number| assert!(!access::who(&index, &folder(number), now).is_empty())),
        LIMIT,
    );
    report.within(
        &format!("{title}: access of"),
        &asked(&|number| assert!(!access::of(&index, &name(number), now).is_empty())),
        LIMIT,
    );
    let explained = |who: usize, of: usize, expected: bool| {
        let place = Place::from(&folder(of));
        let question = Question::new(user(who), Action::parse("write").unwrap(), place, Vec::new(), now).unwrap();
        assert_eq!(explain(&index, &question, "bench", now).unwrap().allowed, expected);
    };
    report.within(
        &format!("{title}: access explain, allowed"),
        &asked(&|number| explained(number, number, true)),
        LIMIT,
    );
    let other = |number: usize| (number + 13) % USERS;
    report.within(
        &format!("{title}: access explain, not allowed"),
        &asked(&|number| explained(other(number), number, false)),
        LIMIT,
    );
    let everybody = S3Path::parse("s3a://lake/teams/everybody/x").unwrap();
    let rows = || assert_eq!(access::who(&index, &everybody, now).len(), USERS + 2);
    let crowd = Samples::of((0..10).map(|_| timed(rows)).collect());
    report.within(&format!("{title}: access who, a group of all"), &crowd, LIMIT);
}

fn timed(ask: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    ask();
    begin.elapsed()
}

fn filled() -> Index {
    let mut index = index();
    let users = (0..USERS).map(|number| declared(Kind::MinioUser, &user(number), &json!({}), number));
    let groups = (0..GROUPS).map(|number| {
        let members: Vec<String> = (0..MEMBERS).map(|member| user((number * MEMBERS + member) % USERS)).collect();
        declared(Kind::MinioGroup, &group(number), &json!({"members": members}), number)
    });
    let all: Vec<String> = (0..USERS).map(user).collect();
    let everybody = declared(Kind::MinioGroup, "everybody", &json!({"members": all}), GROUPS);
    for decoded in users.chain(groups).chain([everybody]).chain((0..SHARES).map(share)) {
        index.apply(decoded.event);
    }
    index.tick(Timestamp::now());
    index
}

/// A folder of one user for another, for a group, or for everyone.
fn share(number: usize) -> Decoded {
    let owner = user(number % USERS);
    let to = match number % FOR_A_GROUP {
        0 => json!({"kind": "Group", "name": group(number / FOR_A_GROUP % GROUPS), "access": "Read"}),
        _ => json!({"kind": "User", "name": user((number * 7 + 1) % USERS), "access": "Read"}),
    };
    let everyone = if number.is_multiple_of(FOR_EVERYONE) { "Read" } else { "None" };
    let spec = json!({
        "path": format!("s3a://lake/homes/{owner}/data/{number}"), "owner": {"kind": "User", "name": owner},
        "grants": [to], "everyone": everyone,
    });
    declared(Kind::PathShare, &format!("share{number:05}"), &spec, number)
}

fn declared(kind: Kind, name: &str, spec: &Value, age: usize) -> Decoded {
    object(kind, name, spec, &json!({"origin": "Created"}), age)
}

fn user(number: usize) -> String {
    format!("user{number:05}")
}

fn group(number: usize) -> String {
    format!("team{number:04}")
}
