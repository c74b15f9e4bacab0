//! What is well and what needs somebody. Without asking anybody.

use std::time::Duration;

use jiff::Timestamp;
use kube::api::DynamicObject;
use serde::Serialize;
use serde_json::Value;

use super::gather::{Gathered, Leader};
use super::report::Report;
use crate::api::meta::{condition, reason};
use crate::api::{self, MinioInstanceStatus};
use crate::commands::plan::objects::Objects;
use crate::commands::program;
use crate::commands::told::{Told, in_words};
use crate::config::show_duration;
use crate::controller::measure;
use crate::controller::status::OBSERVING;
use crate::kubernetes::Status;
use crate::lease::Holder;

/// A leader renews its lease several times while it lasts. The clock that has written when is another machine's, so that is
/// believed only after so many times its length.
const LIVES: u32 = 3;

/// The server is compared once a minute by default: whoever compared it so long ago may well be at work. In Redis another
/// place looks like one that nobody keeps.
const JUST_NOW: Duration = Duration::from_secs(120);

/// How an object is. In this order they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not in force, and it needs something.
    NotReady,
    /// On its way.
    Waiting,
    /// Only watched: paused, or in observe mode.
    Paused,
    /// What it says is in force.
    Ready,
}

/// Something that needs somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attention {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// The alert of `examples/monitoring/alerts.yaml` that tells of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<&'static str>,
}

/// How an object is, as its status tells.
pub fn state(object: &DynamicObject, told: &Told) -> State {
    let Some(ready) = told.ready().filter(|_| told.is_current(object)) else { return State::Waiting };
    match (ready.status.as_str(), ready.reason.as_str()) {
        ("True", _) => State::Ready,
        (_, reason::PAUSED) => State::Paused,
        ("Unknown", reason::PROGRESSING) => State::Waiting,
        _ => State::NotReady,
    }
}

/// Whether the controller writes nothing at all.
pub fn is_observing(objects: &Objects) -> bool {
    objects.values().any(|object| {
        let told = Told::by(object);
        told.ready().is_some_and(|ready| ready.reason == reason::PAUSED && ready.message.starts_with(OBSERVING))
    })
}

/// Who leads, in words.
pub fn holder_in_words(holder: &Holder, replicas: Option<(i32, i32)>, now: Timestamp) -> String {
    if holder.identity.is_empty() {
        return "nobody: the last one has given it up".to_owned();
    }
    let renewed = holder.renewed.map_or("never renewed".to_owned(), |at| format!("renewed {}", ago(at, now)));
    let replicas =
        replicas.map_or(String::new(), |(ready, wanted)| format!("; {ready} of {wanted} replicas are ready"));
    format!("{}, {renewed}{replicas}", holder.identity)
}

/// How long ago, as people say it.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    match seconds {
        ..=1 => "just now".to_owned(),
        2..=119 => format!("{seconds} s ago"),
        120..=7199 => format!("{} min ago", seconds / 60),
        7200..=172_799 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Everything that needs somebody, what concerns most first.
pub fn attention(
    gathered: &Gathered,
    status: &MinioInstanceStatus,
    report: &Report,
    stale_after: Duration,
) -> Vec<Attention> {
    let all = [
        no_instance(gathered, report),
        not_looked_after(status),
        held(report),
        nobody_leads(&gathered.leader, status, gathered.now),
        stale(status, gathered, stale_after),
        not_in_force(report),
        keys_near_their_end(gathered),
        foreign_keys(status, report),
    ];
    all.into_iter().flatten().collect()
}

fn needs(what: impl Into<String>, remedy: impl Into<String>, alert: Option<&'static str>) -> Attention {
    Attention { what: what.into(), remedy: remedy.into(), alert }
}

fn no_instance(gathered: &Gathered, report: &Report) -> Option<Attention> {
    let home = &report.namespace;
    gathered.instance.is_none().then(|| {
        needs(
            format!("there is no MinioInstance in namespace {home}: no controller has worked for it yet"),
            "name the namespace of the installation with -n, or start the controller",
            Some("MinioManagerAway"),
        )
    })
}

fn not_looked_after(status: &MinioInstanceStatus) -> Option<Attention> {
    let ready = api::condition(&status.conditions, condition::READY)?;
    let (what, remedy) = (in_words(Some(ready)), "see to MinIO; what was declared meanwhile is made up for by itself");
    match ready.reason.as_str() {
        _ if ready.status == "True" => None,
        // What is held says it with its remedy.
        reason::LARGE_CHANGE => None,
        reason::MINIO_UNAVAILABLE => Some(needs(what, remedy, Some("MinioManagerMinioAway"))),
        reason::LEASE_UNAVAILABLE => Some(needs(what, "see to the store of the lease", Some("MinioManagerAway"))),
        reason::FOREIGN_CLAIM => Some(needs(what, "see whose MinIO this is before anything else", None)),
        _ => Some(needs(what, "see the log of the controller", None)),
    }
}

fn held(report: &Report) -> Option<Attention> {
    let held = report.held.as_ref()?;
    Some(needs(
        format!("{} removals are held, because they are so many that they may be a mistake", held.change.removals),
        format!("repair the objects; or, if it is meant: {}", held.command),
        Some("MinioManagerRemovalsHeld"),
    ))
}

fn nobody_leads(leader: &Leader, status: &MinioInstanceStatus, now: Timestamp) -> Option<Attention> {
    if let (Leader::Redis { kept: false }, Some(last)) = (leader, just_compared(status, now)) {
        return Some(needs(
            format!("nobody keeps the lease in Redis, and yet MinIO was compared with the objects {}", ago(last, now)),
            "say with --lease where the controller keeps it; where the controller has just ended, start it",
            None,
        ));
    }
    let is_led = match leader {
        Leader::Unknown(_) => true,
        Leader::Redis { kept } => *kept,
        Leader::Kubernetes { holder, .. } => {
            let since = holder.renewed.map(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default());
            !holder.identity.is_empty() && since.is_some_and(|since| since < holder.life * LIVES)
        }
    };
    (!is_led).then(|| {
        needs(
            "no controller leads: nothing changes on MinIO, and no key is replaced",
            "start the controller, or see in its log why it does not lead",
            Some("MinioManagerAway"),
        )
    })
}

/// When the server was compared, if some controller was at work just now.
fn just_compared(status: &MinioInstanceStatus, now: Timestamp) -> Option<Timestamp> {
    let last = status.last_audit.as_ref()?.0;
    (Duration::try_from(now.duration_since(last)).unwrap_or_default() < JUST_NOW).then_some(last)
}

fn stale(status: &MinioInstanceStatus, gathered: &Gathered, stale_after: Duration) -> Option<Attention> {
    let last = status.last_audit.as_ref()?.0;
    let age = Duration::try_from(gathered.now.duration_since(last)).unwrap_or_default();
    (age > stale_after).then(|| {
        needs(
            format!(
                "MinIO was compared with the objects {}, longer than {} ago",
                ago(last, gathered.now),
                show_duration(stale_after)
            ),
            "see whether a controller runs; where --audit-interval is longer, say --stale-after",
            Some("MinioManagerAway"),
        )
    })
}

fn not_in_force(report: &Report) -> Option<Attention> {
    let count: usize = report.objects.iter().map(|row| row.not_ready).sum();
    (count > 0).then(|| {
        let what = match count {
            1 => "1 object is not in force".to_owned(),
            count => format!("{count} objects are not in force"),
        };
        needs(what, "see their messages above; each says what has to change", None)
    })
}

fn keys_near_their_end(gathered: &Gathered) -> Option<Attention> {
    const SHOWN: usize = 5;
    let expiring = gathered
        .objects
        .iter()
        .filter(|(_, object)| object.metadata.deletion_timestamp.is_none() && is_expiring(object, gathered.now));
    let expiring: Vec<String> = expiring.map(|(key, _)| key.to_string()).collect();
    if expiring.is_empty() {
        return None;
    }
    let shown = expiring.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    let more = expiring.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(needs(
        format!("keys end soon and have no successor: {shown}{more}"),
        "see the condition CredentialsReady of each",
        Some("MinioManagerKeysNearExpiry"),
    ))
}

fn is_expiring(object: &DynamicObject, now: Timestamp) -> bool {
    let status = object.data.get("status").and_then(Value::as_object);
    status.is_some_and(|status| measure::is_expiring(&Status::from(status), now))
}

fn foreign_keys(status: &MinioInstanceStatus, report: &Report) -> Option<Attention> {
    let counted = status.unmanaged.and_then(|counts| counts.keys).unwrap_or(0);
    (counted > 0 || !report.unmanaged.keys.is_empty()).then(|| {
        needs(
            "managed users have access keys that were not issued here",
            format!(
                "let those who use one take the key of the Secret or a MinioAccessKey, then end the others: {} revoke USER, \
                 or --foreign-keys Prune for all",
                program()
            ),
            Some("MinioManagerForeignKeys"),
        )
    })
}

#[cfg(test)]
mod tests;
