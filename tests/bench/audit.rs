//! How long a comparison of the whole server with all objects takes, which is two requests and what is made of the answers.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use minio_manager::minio::{Client, Credentials, Holder};
use serde_json::json;

use crate::{
    figures::{Report, Samples},
    installation::{PATIENCE, Size, all_ready, apply, person, team, until},
    settings,
    support::{
        minio::Server,
        product::{Metrics, Setup},
        world::{World, user},
    },
};

const USERS: usize = 10_000;
const MANAGED: usize = 100;
const AUDITS: usize = 30;
const LIMIT: Duration = Duration::from_millis(1_500);
/// The server makes all changes under one lock: more at once are not done sooner.
const AT_ONCE: usize = 8;
const LOOK: Duration = Duration::from_millis(50);
const DURATION: &str = "minio_manager_audit_duration_seconds";
const REQUEST: &str = "minio_manager_minio_request_duration_seconds";
const READS: [&str; 2] = ["list-users", "policy-entities"];

/// A server with many users of whom a few are managed.
pub async fn measure(report: &mut Report) {
    let size = Size::of_users(settings::users(USERS));
    let server = Arc::new(Server::start());
    populate(&server.client(), &size).await;
    let setup = Setup { minio: Some(server), ..Setup::default() };
    let world = World::own(setup.with(&["--audit-interval", "1s"])).await;
    let managed: Vec<String> = (0..MANAGED).map(|number| user(&format!("managed{number}"), "")).collect();
    apply(&world, &managed).await;
    all_ready(&world, MANAGED).await;
    let title = format!("{} users on the server, {MANAGED} managed", size.users);
    report_audits(report, &world, &title, settings::rounds(AUDITS)).await;
}

/// The next audits of a product that has nothing else to do.
pub async fn report_audits(report: &mut Report, world: &World, title: &str, count: usize) {
    let idle = || world.product().metrics().sum("minio_manager_queue_depth", &[]) == 0.0;
    until(world, "nothing waits", idle).await;
    let mut audits = Samples::new();
    let first = world.product().metrics();
    let mut before = first.clone();
    let started = Instant::now();
    for _ in 0..count {
        let after = next_audit(world, &before, started).await;
        let (number, took) = passed(&before, &after, DURATION, &[]);
        audits.push(Duration::from_secs_f64(took / number));
        before = after;
    }
    report.percentiles(&format!("{title}: audit"), &audits, None, LIMIT);
    for read in READS {
        let (number, took) = passed(&first, &before, REQUEST, &[&format!("call=\"{read}\"")]);
        report.tell(&format!("{title}: {read}"), took / number * 1e3, "ms", json!({"requests": number}));
    }
}

/// The metrics as soon as one more audit is over.
async fn next_audit(world: &World, before: &Metrics, started: Instant) -> Metrics {
    loop {
        let after = world.product().metrics();
        if passed(before, &after, DURATION, &[]).0 > 0.0 {
            return after;
        }
        assert!(started.elapsed() < PATIENCE, "there are no audits\n{}", world.product().log_tail());
        tokio::time::sleep(LOOK).await;
    }
}

/// What a histogram counted from one moment to another, and the seconds that all of it took.
fn passed(before: &Metrics, after: &Metrics, histogram: &str, labels: &[&str]) -> (f64, f64) {
    let [count, sum] = ["count", "sum"].map(|part| {
        let name = format!("{histogram}_{part}");
        after.sum(&name, labels) - before.sum(&name, labels)
    });
    (count, sum)
}

/// Users with two policies each, one of them their own, and groups with a policy.
async fn populate(minio: &Client, size: &Size) {
    let everyone = "everyone".to_owned();
    minio.put_policy(&everyone, document("everyone")).await.unwrap();
    let make_user = async |number: usize| {
        let (name, policy) = (person(number), format!("policy-of-{}", person(number)));
        minio.put_policy(&policy, document(&name)).await.unwrap();
        minio.add_user(&name, &Credentials::generate().secret, true).await.unwrap();
        let policies = BTreeSet::from([policy, everyone.clone()]);
        minio.set_mapping(&Holder::User(name), &policies).await.unwrap();
    };
    stream::iter(0..size.users).for_each_concurrent(AT_ONCE, make_user).await;
    let make_group = async |number: usize| {
        let members = (0..size.members).map(|member| person((number * size.members + member) % size.users));
        minio.update_group_members(&team(number), &members.collect(), false).await.unwrap();
        minio.set_mapping(&Holder::Group(team(number)), &BTreeSet::from([everyone.clone()])).await.unwrap();
    };
    stream::iter(0..size.groups).for_each_concurrent(AT_ONCE, make_group).await;
}

fn document(folder: &str) -> String {
    let statement =
        json!({"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [format!("arn:aws:s3:::lake/{folder}/*")]});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}
