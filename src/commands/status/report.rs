//! What is known of an installation, as it is printed for programs.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::gather::{Gathered, Leader, NotAsked};
use super::judge::{self, Attention, State};
use crate::api::meta::{annotation, condition};
use crate::api::{
    ClaimState, HeldChange, MINIO_INSTANCE_NAME, MinioInstanceStatus, MissingCapability, UnmanagedCounts,
};
use crate::commands::plan::Unmanaged;
use crate::commands::plan::compute::compute;
use crate::commands::told::{Told, in_words};
use crate::config::InstanceConfig;
use crate::iam::subject::{Kind, ObjectKey};

/// How the installation is doing.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its namespace.
    pub namespace: String,
    /// What needs somebody; empty when all is well.
    pub attention: Vec<Attention>,
    /// The server.
    pub minio: Minio,
    /// Who acts.
    pub leader: LeaderReport,
    /// `converge`, or `observe` where nothing is written.
    pub mode: &'static str,
    /// When the server was last compared with all objects.
    pub last_audit: Option<Timestamp>,
    /// How many objects there are of each kind, and how they are.
    pub objects: Vec<OfKind>,
    /// The objects that are not in force: those that need somebody first.
    pub not_in_force: Vec<NotInForce>,
    /// What waits for a person because it would take so much away, and how it is let go.
    pub held: Option<Held>,
    /// What is on the server and no object describes.
    pub unmanaged: UnmanagedReport,
    /// What is worth knowing and needs nobody.
    pub notes: Vec<String>,
    #[serde(skip)]
    pub now: Timestamp,
}

/// The server, as the controller sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Minio {
    /// Its address.
    pub endpoint: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Whether it is looked after: `Ready` of the MinioInstance, in one line.
    pub ready: String,
    /// Whether it answers here; absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers_here: Option<bool>,
    /// Whose it is: `Ours` or `Foreign`.
    pub claim: Option<ClaimState>,
    /// What it or the controller's identity cannot do, and what that costs.
    pub missing: Vec<MissingCapability>,
}

/// Who acts, as far as that can be told.
#[derive(Clone, Debug, Serialize)]
pub struct LeaderReport {
    /// Where the lease is: `kubernetes`, `redis` or `unknown`.
    pub lease: &'static str,
    /// Who has it.
    pub holder: Option<String>,
    /// When it was renewed.
    pub renewed: Option<Timestamp>,
    /// How many replicas are ready.
    pub ready_replicas: Option<i32>,
    /// Of how many.
    pub replicas: Option<i32>,
    /// The same in words.
    pub in_words: String,
}

/// The objects of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct OfKind {
    /// The kind.
    pub kind: Kind,
    /// How many there are.
    pub total: usize,
    /// How many are in force, locked and disabled ones included.
    pub ready: usize,
    /// How many are on their way.
    pub waiting: usize,
    /// How many are not in force and need something.
    pub not_ready: usize,
    /// How many are only watched.
    pub paused: usize,
    /// How many carry a lock.
    pub locked: usize,
}

/// An object that is not in force.
#[derive(Clone, Debug, Serialize)]
pub struct NotInForce {
    /// Which.
    #[serde(flatten)]
    pub object: ObjectKey,
    /// How it is.
    pub state: State,
    /// The reason of its `Ready`.
    pub reason: String,
    /// The same in words.
    pub message: String,
}

/// What waits for a person.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// What it is.
    #[serde(flatten)]
    pub change: HeldChange,
    /// What lets it go.
    pub command: String,
}

/// What is on the server and no object describes.
#[derive(Clone, Debug, Serialize)]
pub struct UnmanagedReport {
    /// As the controller has counted it.
    pub counts: Option<UnmanagedCounts>,
    /// Users, groups and policies by name; absent where MinIO was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<Unmanaged>>,
    /// Why MinIO has not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_asked: Option<String>,
    /// Access keys of managed users that were not issued here: what their users say of them.
    pub keys: Vec<ForeignKeys>,
}

/// Access keys of somebody else below a managed user.
#[derive(Clone, Debug, Serialize)]
pub struct ForeignKeys {
    /// The user's object.
    #[serde(flatten)]
    pub object: ObjectKey,
    /// Which keys.
    pub message: String,
}

/// What was gathered, sorted and judged.
pub fn of(gathered: &Gathered, instance: &InstanceConfig, stale_after: Duration) -> Report {
    let status = gathered.instance.as_ref().and_then(|instance| instance.status.clone()).unwrap_or_default();
    let mut report = Report {
        namespace: instance.home_namespace.clone(),
        attention: Vec::new(),
        minio: minio(gathered, &status),
        leader: leader(&gathered.leader, gathered.now),
        mode: if judge::is_observing(&gathered.objects) { "observe" } else { "converge" },
        last_audit: status.last_audit.as_ref().map(|at| at.0),
        objects: Kind::ALL.into_iter().map(|kind| of_kind(gathered, kind)).collect(),
        not_in_force: not_in_force(gathered),
        held: status.held_change.clone().map(|change| held(change, &instance.home_namespace)),
        unmanaged: unmanaged(gathered, instance, &status),
        notes: notes(gathered, instance, &status),
        now: gathered.now,
    };
    report.attention = judge::attention(gathered, &status, &report, stale_after);
    report
}

fn minio(gathered: &Gathered, status: &MinioInstanceStatus) -> Minio {
    let ready = crate::api::condition(&status.conditions, condition::READY);
    Minio {
        endpoint: status.endpoint.clone().or_else(|| Some(gathered.server.as_ref().ok()?.endpoint.clone())),
        version: status.version.clone(),
        ready: in_words(ready),
        answers_here: match gathered.server {
            Ok(_) => Some(true),
            Err(NotAsked::Unanswered(_)) => Some(false),
            Err(NotAsked::Untold(_)) => None,
        },
        claim: status.claim.as_ref().map(|claim| claim.state),
        missing: status.missing_capabilities.clone(),
    }
}

fn leader(leader: &Leader, now: Timestamp) -> LeaderReport {
    let plain = |lease, in_words| LeaderReport {
        lease,
        holder: None,
        renewed: None,
        ready_replicas: None,
        replicas: None,
        in_words,
    };
    match leader {
        Leader::Unknown(why) => plain("unknown", format!("not known: {why}")),
        Leader::Redis { kept: true } => plain("redis", "somebody renews the lease in Redis".to_owned()),
        Leader::Redis { kept: false } => plain("redis", "nobody keeps the lease in Redis".to_owned()),
        Leader::Kubernetes { holder, replicas } => LeaderReport {
            holder: Some(holder.identity.clone()).filter(|identity| !identity.is_empty()),
            renewed: holder.renewed,
            ready_replicas: replicas.map(|(ready, _)| ready),
            replicas: replicas.map(|(_, wanted)| wanted),
            ..plain("kubernetes", judge::holder_in_words(holder, *replicas, now))
        },
    }
}

fn of_kind(gathered: &Gathered, kind: Kind) -> OfKind {
    let mut row = OfKind { kind, total: 0, ready: 0, waiting: 0, not_ready: 0, paused: 0, locked: 0 };
    for (_, object) in gathered.objects.iter().filter(|(key, _)| key.kind == kind) {
        row.total += 1;
        match judge::state(object, &Told::by(object)) {
            State::Ready => row.ready += 1,
            State::Waiting => row.waiting += 1,
            State::NotReady => row.not_ready += 1,
            State::Paused => row.paused += 1,
        }
        let annotations = object.metadata.annotations.as_ref();
        row.locked += usize::from(annotations.is_some_and(|held| held.contains_key(annotation::LOCK)));
    }
    row
}

fn not_in_force(gathered: &Gathered) -> Vec<NotInForce> {
    let rows = gathered.objects.iter().filter_map(|(key, object)| {
        let told = Told::by(object);
        let state = judge::state(object, &told);
        let (reason, message) = match told.ready().filter(|_| told.is_current(object)) {
            Some(ready) => (ready.reason.clone(), ready.message.clone()),
            None => (String::new(), "nobody has looked at what it says now".to_owned()),
        };
        (state != State::Ready).then(|| NotInForce { object: key.clone(), state, reason, message })
    });
    let mut rows: Vec<NotInForce> = rows.collect();
    rows.sort_by(|one, another| (one.state, &one.object).cmp(&(another.state, &another.object)));
    rows
}

fn held(change: HeldChange, home: &str) -> Held {
    let command = format!(
        "kubectl -n {home} annotate minioinstance/{MINIO_INSTANCE_NAME} {}={} --overwrite",
        annotation::ACKNOWLEDGE_LARGE_CHANGE,
        change.hash
    );
    Held { change, command }
}

fn unmanaged(gathered: &Gathered, instance: &InstanceConfig, status: &MinioInstanceStatus) -> UnmanagedReport {
    let names = gathered.server.as_ref().ok().map(|server| {
        let config = instance.index(server.identity.clone(), Duration::ZERO);
        let (plan, _) = compute(config, gathered.objects.clone(), &server.holds, &gathered.instance_id, gathered.now);
        plan.unmanaged
    });
    let keys = gathered.objects.iter().filter_map(|(key, object)| {
        let told = Told::by(object);
        let foreign = told.condition(condition::FOREIGN_KEYS).filter(|foreign| foreign.status == "True")?;
        Some(ForeignKeys { object: key.clone(), message: foreign.message.clone() })
    });
    UnmanagedReport {
        counts: status.unmanaged,
        names,
        not_asked: gathered.server.as_ref().err().map(ToString::to_string),
        keys: keys.collect(),
    }
}

fn notes(gathered: &Gathered, instance: &InstanceConfig, status: &MinioInstanceStatus) -> Vec<String> {
    let mut notes = Vec::new();
    if status.layout_hash.as_deref().is_some_and(|hash| hash != instance.layout.hash()) {
        notes.push(
            "the controller works with another layout than this command; give it the same --config and --layout, else it \
             may call something unmanaged that is not"
                .to_owned(),
        );
    }
    let here = gathered.server.as_ref().ok().map(|server| &server.endpoint);
    if let (Some(here), Some(there)) = (here, &status.endpoint)
        && here != there
    {
        notes.push(format!("MinIO was asked at {here}, the controller knows it as {there}"));
    }
    notes
}
