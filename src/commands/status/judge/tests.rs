use std::collections::BTreeSet;

use clap::Parser;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::json;

use super::super::gather::NotAsked;
use super::super::{report, text};
use super::*;
use crate::api::{HeldChange, MinioInstance, UnmanagedCounts};
use crate::config::{Environment, InstanceArgs, InstanceConfig};
use crate::iam::subject::{Kind, ObjectKey};

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    instance: InstanceArgs,
}

const NOW: &str = "2026-01-02T00:00:00Z";
const ALERTS: &str = include_str!("../../../../examples/monitoring/alerts.yaml");

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn instance() -> InstanceConfig {
    let flags = Flags::parse_from(["minio-manager", "--home-namespace", "lake"]);
    InstanceConfig::resolve(flags.instance, &Environment::default()).unwrap()
}

fn ready(status: &str, reason: &str, message: &str) -> Condition {
    Condition {
        type_: condition::READY.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: Some(1),
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    }
}

fn object(kind: Kind, name: &str, ready: &Condition) -> (ObjectKey, DynamicObject) {
    let object = json!({
        "metadata": {"name": name, "namespace": "lake", "generation": 1}, "spec": {},
        "status": {"observedGeneration": 1, "conditions": [ready]},
    });
    (ObjectKey::new(kind, "lake", name), serde_json::from_value(object).unwrap())
}

/// An installation that is well: a leader, an audit, and one user.
fn well() -> Gathered {
    let status = MinioInstanceStatus {
        conditions: vec![ready("True", reason::CONVERGED, "MinIO answers and is looked after")],
        endpoint: Some("http://minio:9000".to_owned()),
        version: Some("2025-10-15T17:29:55Z".to_owned()),
        last_audit: Some(Time(at("2026-01-01T23:59:30Z"))),
        ..MinioInstanceStatus::default()
    };
    let mut instance = MinioInstance::new("default", crate::api::MinioInstanceFields::default());
    instance.status = Some(status);
    let renewed = Some(at("2026-01-01T23:59:58Z"));
    let holder = Holder { identity: "minio-manager-0_1".to_owned(), renewed, life: Duration::from_secs(10) };
    Gathered {
        instance: Some(instance),
        objects: Objects::from([object(Kind::MinioUser, "alice", &ready("True", reason::CONVERGED, "in force"))]),
        leader: Leader::Kubernetes { holder, replicas: Some((2, 2)) },
        server: Err(NotAsked::Untold("MINIO_ENDPOINT is not set".to_owned())),
        instance_id: "lake".to_owned(),
        now: at(NOW),
    }
}

fn status(gathered: &mut Gathered) -> &mut MinioInstanceStatus {
    gathered.instance.as_mut().unwrap().status.as_mut().unwrap()
}

fn report(gathered: &Gathered) -> Report {
    report::of(gathered, &instance(), Duration::from_secs(600))
}

#[track_caller]
fn needs_one(gathered: &Gathered, what: &str, alert: Option<&str>) {
    let found = report(gathered).attention;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].what.contains(what), "{found:?}");
    assert_eq!(found[0].alert, alert);
    assert!(!found[0].remedy.is_empty());
}

#[test]
fn what_is_well_needs_nobody() {
    let report = report(&well());
    assert_eq!(report.attention, []);
    let text = text::of(&report);
    for line in [
        "minio-manager in namespace lake: all is well\n",
        "MinIO   http://minio:9000, version 2025-10-15T17:29:55Z\n",
        "Leader  minio-manager-0_1, renewed 2 s ago; 2 of 2 replicas are ready\n",
        "Mode    converge\n",
        "Audit   30 s ago\n",
        "MinioUser  1      1      0        0          0       0\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("Not in force") && !text.contains("Needs somebody"), "{text}");
}

#[test]
fn whoever_leads_renews_the_lease() {
    let mut gathered = well();
    let Leader::Kubernetes { holder, .. } = &mut gathered.leader else { unreachable!("it is in Kubernetes") };
    holder.renewed = Some(at("2026-01-01T23:59:00Z"));
    needs_one(&gathered, "no controller leads", Some("MinioManagerAway"));
    gathered.leader = Leader::Redis { kept: false };
    needs_one(&gathered, "and yet MinIO was compared with the objects 30 s ago", None);
    status(&mut gathered).last_audit = Some(Time(at("2026-01-01T23:56:00Z")));
    needs_one(&gathered, "no controller leads", Some("MinioManagerAway"));
    for fine in [Leader::Redis { kept: true }, Leader::Unknown("it is in Redis".to_owned())] {
        gathered.leader = fine;
        assert_eq!(report(&gathered).attention, []);
    }
}

#[test]
fn the_server_and_the_audit_are_looked_at() {
    let mut gathered = well();
    status(&mut gathered).conditions = vec![ready("Unknown", reason::MINIO_UNAVAILABLE, "it does not answer")];
    needs_one(&gathered, "it does not answer", Some("MinioManagerMinioAway"));
    gathered = well();
    status(&mut gathered).last_audit = Some(Time(at("2026-01-01T23:00:00Z")));
    needs_one(&gathered, "60 min ago, longer than 10m ago", Some("MinioManagerAway"));
    gathered = Gathered { instance: None, ..well() };
    needs_one(&gathered, "no MinioInstance in namespace lake", Some("MinioManagerAway"));
}

#[test]
fn what_is_held_says_how_it_is_let_go() {
    let mut gathered = well();
    status(&mut gathered).conditions = vec![ready("False", reason::LARGE_CHANGE, "30 removals wait")];
    let sample = vec!["bob leaves group team".to_owned()];
    status(&mut gathered).held_change = Some(HeldChange { hash: "abc".to_owned(), removals: 30, sample });
    needs_one(&gathered, "30 removals are held", Some("MinioManagerRemovalsHeld"));
    let text = text::of(&report(&gathered));
    assert!(text.contains("bob leaves group team\n  and 29 more that are not told of\n"), "{text}");
    let command =
        "kubectl -n lake annotate minioinstance/default minio-manager.io/acknowledge-large-change=abc --overwrite";
    assert!(text.contains(command), "{text}");
}

#[test]
fn objects_that_need_somebody_come_first_and_are_bounded() {
    let mut gathered = well();
    for number in 0..15 {
        let refused = ready("False", reason::CONFLICT, "taken");
        gathered.objects.extend([object(Kind::PathShare, &format!("refused-{number:02}"), &refused)]);
    }
    gathered.objects.extend([
        object(Kind::MinioUser, "paused", &ready("Unknown", reason::PAUSED, "paused")),
        object(Kind::MinioUser, "fresh", &ready("Unknown", reason::PROGRESSING, "waiting")),
        object(Kind::MinioUser, "locked", &ready("True", reason::LOCKED, "locked: leak")),
    ]);
    // Nobody has looked at the second generation.
    let mut changed = object(Kind::MinioGroup, "changed", &ready("True", reason::CONVERGED, "in force"));
    changed.1.metadata.generation = Some(2);
    gathered.objects.extend([changed]);
    needs_one(&gathered, "15 objects are not in force", None);
    let report = report(&gathered);
    let users = &report.objects[0];
    assert_eq!((users.total, users.ready, users.waiting, users.paused), (4, 2, 1, 1));
    assert_eq!(report.not_in_force.len(), 18);
    let states: BTreeSet<State> = report.not_in_force.iter().map(|row| row.state).collect();
    assert_eq!(states, BTreeSet::from([State::NotReady, State::Waiting, State::Paused]));
    assert!(report.not_in_force.is_sorted_by_key(|row| row.state));
    let text = text::of(&report);
    assert!(text.contains("  PathShare lake/refused-00: Conflict: taken\n"), "{text}");
    assert!(text.contains("and 8 more") && !text.contains("refused-10"), "{text}");
}

#[test]
fn a_controller_that_observes_is_told_by_its_objects() {
    let mut gathered = well();
    assert_eq!(report(&gathered).mode, "converge");
    let message = format!("{OBSERVING}; planned: create user alice");
    gathered.objects.extend([object(Kind::MinioUser, "alice", &ready("Unknown", reason::PAUSED, &message))]);
    assert_eq!((report(&gathered).mode, report(&gathered).attention), ("observe", Vec::new()));
}

#[test]
fn keys_of_others_and_keys_without_successor_need_somebody() {
    let mut gathered = well();
    let mut key = object(Kind::MinioAccessKey, "etl", &ready("True", reason::CONVERGED, "in force"));
    key.1.data["status"]["credentials"] =
        json!({"nextRotationAt": "2026-01-01T00:00:00Z", "expiresAt": "2026-01-02T12:00:00Z"});
    gathered.objects.extend([key]);
    needs_one(&gathered, "MinioAccessKey lake/etl", Some("MinioManagerKeysNearExpiry"));

    gathered = well();
    status(&mut gathered).unmanaged =
        Some(UnmanagedCounts { users: Some(3), keys: Some(1), ..UnmanagedCounts::default() });
    needs_one(&gathered, "not issued here", Some("MinioManagerForeignKeys"));
    let text = text::of(&report(&gathered));
    assert!(text.contains("  users: 3, keys: 1\n"), "{text}");
    assert!(text.contains("it was not asked: MINIO_ENDPOINT is not set\n"), "{text}");
}

#[test]
fn every_alert_that_is_named_exists() {
    let source = include_str!("../judge.rs");
    let named: BTreeSet<&str> = source.split('"').filter(|text| text.starts_with("MinioManager")).collect();
    assert_eq!(named.len(), 5, "{named:?}");
    for alert in named {
        assert!(ALERTS.contains(&format!("alert: {alert}\n")), "{alert}");
    }
}

#[test]
fn times_are_told_as_people_tell_them() {
    let told = |seconds: i64| {
        ago(Timestamp::from_second(1_000_000 - seconds).unwrap(), Timestamp::from_second(1_000_000).unwrap())
    };
    let all = [(-5, "just now"), (30, "30 s ago"), (600, "10 min ago"), (9_000, "2 h ago"), (260_000, "3 days ago")];
    for (seconds, words) in all {
        assert_eq!(told(seconds), words);
    }
}
