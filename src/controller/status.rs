//! The status of an object, from what the index and the last convergence say of it. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Map, Value};

use crate::api::meta::{condition, reason};
use crate::api::{
    CredentialsStatus, DocumentSummary, GroupMembershipStatus, MemberCounts, MinioAccessKeyStatus, MinioGroupStatus,
    MinioPolicyStatus, MinioUserStatus, Origin, PathShareStatus, PendingReason, PendingReference, ReferenceKind,
};
use crate::iam::check::Warning;
use crate::iam::declared::{Body, Declared};
use crate::iam::index::{Standing, Verdict};
use crate::iam::subject::Kind;

use super::adopted_secret::{self, FormerSecret};
use super::conditions::{Facts, Remark, Said, conditions};
use super::credentials::SortedKeys;
use super::foreign_keys;
use super::outcome::{Failure, Outcome, Report};
use crate::kubernetes::Seen;
use crate::kubernetes::status::condition_of_type;

/// How the message of an object begins of which nothing is written, since the controller only observes.
pub const OBSERVING: &str = "observe mode: nothing is written";

/// How many pending references a status lists.
const PENDING_SHOWN: usize = 20;

/// How many names a message lists.
const NAMES_SHOWN: usize = 5;

/// More documents than this cost every request of the user noticeable time.
const DOCUMENTS_NOTICED: usize = 10;

/// Everything that a status follows from.
pub struct Inputs<'a> {
    /// Its status as last seen.
    pub before: &'a Map<String, Value>,
    /// What it declares.
    pub declared: &'a Declared,
    /// What the index says of it.
    pub verdict: &'a Verdict,
    /// What became of its own subject.
    pub own: Option<&'a Outcome>,
    /// The last failure of a subject that it waits for.
    pub failure: Option<&'a Failure>,
    /// Why what waits cannot be worked on.
    pub problem: Option<Said>,
    /// Why nothing is done for any object: another installation claims the server.
    pub foreign_claim: Option<String>,
    /// Whether its folders and keys are being seen to.
    pub settling: bool,
    /// That something is held because it is too much at once.
    pub held: Option<Said>,
    /// Whether nothing is written at all.
    pub observing: bool,
    /// The name of the group's twin, for groups.
    pub twin: Option<String>,
    /// The keys of the user, for users whose keys were looked at.
    pub keys: Option<&'a SortedKeys>,
    /// A sentence about the folder of a share.
    pub marker: Option<&'a str>,
    /// The time.
    pub now: Timestamp,
}

/// The status as JSON.
pub fn status(inputs: &Inputs<'_>) -> Map<String, Value> {
    let conditions = all_conditions(inputs);
    let verdict = inputs.verdict;
    let observed_generation = Some(verdict.generation);
    let pending = pending(inputs);
    let next_expiry = verdict.next_expiry.map(Time);
    let value = match inputs.declared.meta.key.kind {
        Kind::MinioUser => serde_json::to_value(MinioUserStatus {
            observed_generation,
            conditions,
            username: holds_name(inputs).then(|| own_name(inputs)).flatten(),
            origin: inputs.declared.meta.origin,
            documents: documents(inputs),
            grants: verdict.user_grants,
            pending,
            credentials: credentials(inputs),
        }),
        Kind::MinioGroup => serde_json::to_value(MinioGroupStatus {
            observed_generation,
            conditions,
            group_name: holds_name(inputs).then(|| own_name(inputs)).flatten(),
            twin_name: inputs.twin.clone(),
            origin: inputs.declared.meta.origin,
            documents: documents(inputs),
            members: verdict.members.map(|members| MemberCounts {
                read_write: i64::try_from(members.read_write).unwrap_or(i64::MAX),
                read_only: i64::try_from(members.read_only).unwrap_or(i64::MAX),
            }),
            pending,
        }),
        Kind::GroupMembership => serde_json::to_value(GroupMembershipStatus {
            observed_generation,
            conditions,
            group_uid: verdict.bound_uid.as_deref().map(str::to_owned),
            grants: Some(verdict.counts),
            pending,
            next_expiry,
        }),
        Kind::PathShare => serde_json::to_value(PathShareStatus {
            observed_generation,
            conditions,
            owner_uid: verdict.bound_uid.as_deref().map(str::to_owned),
            grants: Some(verdict.counts),
            pending,
            next_expiry,
        }),
        Kind::MinioPolicy => serde_json::to_value(MinioPolicyStatus {
            observed_generation,
            conditions,
            policy_name: holds_name(inputs).then(|| own_name(inputs)).flatten(),
            origin: inputs.declared.meta.origin,
        }),
        Kind::MinioAccessKey => serde_json::to_value(MinioAccessKeyStatus {
            observed_generation,
            conditions,
            user_uid: verdict.bound_uid.as_deref().map(str::to_owned),
            credentials: credentials(inputs),
        }),
    };
    match value {
        Ok(Value::Object(status)) => status,
        // A status is plain data with text keys: it always becomes an object.
        _ => Map::new(),
    }
}

/// The status of an object that could never be read.
pub fn unreadable(seen: &Seen, error: &str, now: Timestamp) -> Map<String, Value> {
    let (generation, mut status) = (seen.generation(), seen.status.fields());
    let said = Said::new(
        reason::INVALID_DOCUMENT,
        format!("the object cannot be read, so nothing it says is in force: {error}"),
    );
    let facts = Facts { stalled: Some(said), ..Facts::default() };
    let conditions = conditions(&facts, generation, &previous(&status), now);
    status.insert("observedGeneration".to_owned(), generation.into());
    status.insert("conditions".to_owned(), serde_json::to_value(conditions).unwrap_or_default());
    status
}

/// A name is only held once the object has claimed it: the status would make it an incumbent.
fn holds_name(inputs: &Inputs<'_>) -> bool {
    inputs.declared.meta.origin.is_some()
}

fn own_name(inputs: &Inputs<'_>) -> Option<String> {
    match &inputs.declared.body {
        Ok(Body::User(user)) => Some(user.name.to_string()),
        Ok(Body::Group(group)) => Some(group.name.to_string()),
        Ok(Body::Policy(policy)) => Some(policy.name.to_string()),
        _ => None,
    }
}

fn report<'a>(inputs: &Inputs<'a>) -> Option<&'a Report> {
    inputs.own.and_then(|outcome| outcome.result.as_ref().ok())
}

fn documents(inputs: &Inputs<'_>) -> Option<DocumentSummary> {
    let Some((count, bytes)) = report(inputs).and_then(|report| report.documents) else {
        return inputs.before.get("documents").and_then(|held| serde_json::from_value(held.clone()).ok());
    };
    Some(DocumentSummary { count: i64::try_from(count).ok()?, bytes: i64::try_from(bytes).ok()? })
}

/// What the status shows of the key: what was issued and handled, else what it showed before.
fn credentials(inputs: &Inputs<'_>) -> Option<CredentialsStatus> {
    let before: Option<CredentialsStatus> =
        inputs.before.get("credentials").and_then(|held| serde_json::from_value(held.clone()).ok());
    let Some(keys) = report(inputs).and_then(|report| report.keys.as_ref()) else { return before };
    let before = before.unwrap_or_default();
    let handled = CredentialsStatus {
        last_handled_rotate: keys.handled.rotate.clone().or(before.last_handled_rotate),
        last_handled_revoke: keys.handled.revoke.clone().or(before.last_handled_revoke),
        ..CredentialsStatus::default()
    };
    let handled = CredentialsStatus {
        first_issued_at: first_issued_at(inputs).map(Time),
        adopted_secret_reset_at: reset_at(inputs).map(Time),
        ..handled
    };
    let Some(issued) = &keys.issued else { return (handled != CredentialsStatus::default()).then_some(handled) };
    Some(CredentialsStatus {
        secret_name: Some(issued.secret_name.clone()),
        access_key: Some(issued.access_key.clone()),
        issued_at: Some(Time(issued.issued_at)),
        expires_at: Some(Time(issued.expires_at)),
        next_rotation_at: Some(Time(issued.next_rotation_at)),
        previous_expires_at: issued.previous_expires_at.map(Time),
        ..handled
    })
}

/// When an adopted user got its first key; of others nobody asks.
fn first_issued_at(inputs: &Inputs<'_>) -> Option<Timestamp> {
    let issued = report(inputs).and_then(|report| report.keys.as_ref()?.issued.as_ref()).map(|issued| issued.issued_at);
    let is_adopted = inputs.declared.meta.origin == Some(Origin::Adopted);
    adopted_secret::first_issued_at(inputs.before).or(issued).filter(|_| is_adopted)
}

/// When the secret that an adopted account had was replaced.
fn reset_at(inputs: &Inputs<'_>) -> Option<Timestamp> {
    match report(inputs).and_then(|report| report.former_secret) {
        Some(FormerSecret::Reset(at)) => Some(at),
        _ => adopted_secret::reset_at(inputs.before),
    }
}

/// What is named and not in force, as far as the status lists it.
fn pending(inputs: &Inputs<'_>) -> Vec<PendingReference> {
    let mut pending = inputs.verdict.pending.clone();
    if let Some(report) = report(inputs) {
        let missing = report.missing_policies.iter().map(|name| PendingReference {
            kind: ReferenceKind::Policy,
            name: name.to_string(),
            reason: PendingReason::PolicyNotFound,
        });
        pending.extend(missing);
    }
    pending.sort();
    pending.dedup();
    pending.truncate(PENDING_SHOWN);
    pending
}

fn all_conditions(inputs: &Inputs<'_>) -> Vec<Condition> {
    let facts = facts(inputs);
    conditions(&facts, inputs.verdict.generation, &previous(inputs.before), inputs.now)
}

fn previous(before: &Map<String, Value>) -> Vec<Condition> {
    before.get("conditions").and_then(|held| serde_json::from_value(held.clone()).ok()).unwrap_or_default()
}

fn facts(inputs: &Inputs<'_>) -> Facts {
    let verdict = inputs.verdict;
    let mut facts = Facts {
        problem: inputs.problem.clone(),
        failure: inputs.failure.cloned(),
        outstanding: outstanding(inputs),
        summary: summary(inputs),
        remarks: remarks(inputs),
        ..Facts::default()
    };
    match &verdict.standing {
        Standing::Stalled(invalid) => {
            facts.stalled = Some(Said::new(invalid.reason.as_str(), invalid.message.clone()));
        }
        Standing::Inactive { reason, message } => {
            let said = Said::new(reason, message.clone());
            match *reason {
                reason::PAUSED => facts.held_back = Some(with_plan(said, inputs)),
                reason::OWNER_NOT_FOUND => facts.missing = Some(said),
                _ => facts.resting = Some(said),
            }
        }
        Standing::InForce | Standing::Deleting => {}
    }
    if facts.stalled.is_none() && facts.held_back.is_none() {
        facts.stalled.clone_from(&inputs.held);
    }
    if inputs.observing && facts.stalled.is_none() {
        let said = Said::new(reason::PAUSED, OBSERVING);
        facts.held_back = Some(with_plan(said, inputs));
    }
    if let Some(message) = &inputs.foreign_claim {
        facts.held_back = Some(Said::new(reason::FOREIGN_CLAIM, message.clone()));
    }
    if let Some(error) = &verdict.undecodable {
        facts.stalled = Some(Said::new(
            reason::INVALID_DOCUMENT,
            format!("this version cannot be read, so the last good one stays in force: {error}"),
        ));
    }
    let unfinished = report(inputs).and_then(|report| report.unfinished.as_ref());
    if unfinished.is_some() || inputs.settling {
        let what = match inputs.declared.meta.key.kind {
            Kind::MinioAccessKey => "its key",
            _ => "its folders and its key",
        };
        facts.outstanding.push(what.to_owned());
    }
    if let Some(failure) = unfinished {
        facts.failure.get_or_insert_with(|| failure.clone());
    }
    facts
}

/// What would be done, for objects that are only watched.
fn with_plan(mut said: Said, inputs: &Inputs<'_>) -> Said {
    if let Some(report) = report(inputs).filter(|report| !report.planned.is_empty()) {
        said.message = format!("{}; planned: {}", said.message, some_of(&report.planned));
    }
    said
}

fn outstanding(inputs: &Inputs<'_>) -> Vec<String> {
    let verdict = inputs.verdict;
    let mut waits: Vec<String> = verdict.outstanding.iter().take(NAMES_SHOWN).map(ToString::to_string).collect();
    let more = verdict.outstanding.len().saturating_sub(NAMES_SHOWN);
    if more > 0 {
        waits.push(format!("{more} more"));
    }
    if verdict.former_unknown {
        waits.push("the first comparison with the server".to_owned());
    }
    if let Some(user) = report(inputs).and_then(|report| report.awaited_user.as_ref()) {
        waits.push(format!("user {user} to be in force"));
    }
    if let Some(report) = report(inputs).filter(|report| !report.holders.is_empty()) {
        let holders: Vec<String> = report.holders.iter().cloned().collect();
        waits.push(format!("those who still hold the policy to give it up: {}", some_of(&holders)));
    }
    if let Some(erasing) = report(inputs).and_then(|report| report.erasing.as_ref()) {
        waits.push(erasing.to_string());
    }
    for kind in &verdict.missing_kinds {
        waits.push(format!("the CustomResourceDefinition of {kind}, without which nothing is taken away"));
    }
    if inputs.declared.meta.deleting.is_some()
        && let Some(report) = report(inputs).filter(|report| !report.stale_members.is_empty())
    {
        waits.push(format!("MinIO to forget members that are no users any more: {}", some_of(&report.stale_members)));
    }
    waits
}

/// What there is to say of an object in force.
fn summary(inputs: &Inputs<'_>) -> String {
    let verdict = inputs.verdict;
    let mut parts = vec!["in force on MinIO".to_owned()];
    if verdict.counts.pending > 0 {
        let names: Vec<String> =
            verdict.pending.iter().map(|pending| format!("{} ({:?})", pending.name, pending.reason)).collect();
        parts.push(format!("waiting for {}", some_of(&names)));
    }
    if let Some(report) = report(inputs) {
        if !report.missing_users.is_empty() {
            let names: Vec<String> = report.missing_users.iter().map(ToString::to_string).collect();
            parts.push(format!("members without an account yet: {}", some_of(&names)));
        }
        if !report.kept.is_empty() {
            parts.push(format!("kept although no object declares it: {}", some_of(&report.kept)));
        }
    }
    parts.extend(verdict.notes.iter().cloned());
    parts.extend(inputs.marker.map(str::to_owned));
    parts.join("; ")
}

fn some_of(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn remarks(inputs: &Inputs<'_>) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = credentials_remark(inputs).into_iter().collect();
    let documents = report(inputs).and_then(|report| report.documents);
    if let Some((count, bytes)) = documents.filter(|(count, _)| *count > DOCUMENTS_NOTICED) {
        let message =
            format!("{count} documents of {bytes} bytes slow every request down; grant whole folders, or to groups");
        let said = Said::new(condition::TOO_MANY_DOCUMENTS, message);
        remarks.push(Remark { type_: condition::TOO_MANY_DOCUMENTS, said, holds: true });
    }
    remarks.extend(adopted_secret_remark(inputs));
    remarks.extend(foreign_keys_remark(inputs));
    let mut warnings: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for warning in &inputs.verdict.warnings {
        warnings.entry(condition_of(warning)).or_default().push(warning.to_string());
    }
    remarks.extend(warnings.into_iter().map(|(type_, messages)| Remark {
        type_,
        said: Said::new(type_, some_of(&messages)),
        holds: true,
    }));
    remarks
}

/// Whether somebody may still sign in with the secret that an adopted account had.
fn adopted_secret_remark(inputs: &Inputs<'_>) -> Option<Remark> {
    match report(inputs).and_then(|report| report.former_secret) {
        Some(former) => remark(condition::ADOPTED_SECRET_KEPT, former.sentence()?),
        None => said_before(inputs, condition::ADOPTED_SECRET_KEPT),
    }
}

/// Whether there are keys that were not issued here.
fn foreign_keys_remark(inputs: &Inputs<'_>) -> Option<Remark> {
    match inputs.keys {
        Some(keys) => remark(condition::FOREIGN_KEYS, foreign_keys::sentence(keys)?),
        None => said_before(inputs, condition::FOREIGN_KEYS),
    }
}

fn remark(type_: &'static str, message: String) -> Option<Remark> {
    Some(Remark { type_, said: Said::new(type_, message), holds: true })
}

/// What was said last holds until there is news.
fn said_before(inputs: &Inputs<'_>, type_: &'static str) -> Option<Remark> {
    let held = previous(inputs.before).into_iter().find(|held| held.type_ == type_ && held.status == "True")?;
    remark(type_, held.message)
}

/// Whether the Secret holds a proven key; what was said last holds until there is news.
fn credentials_remark(inputs: &Inputs<'_>) -> Option<Remark> {
    if !matches!(inputs.declared.meta.key.kind, Kind::MinioUser | Kind::MinioAccessKey) {
        return None;
    }
    let remark = |said, holds| Some(Remark { type_: condition::CREDENTIALS_READY, said, holds });
    if let Some(report) = report(inputs) {
        if let Some(failure) = &report.unfinished {
            return remark(Said::new(failure.reason, failure.message.clone()), false);
        }
        match report.keys.as_ref().map(|keys| &keys.issued) {
            Some(Some(issued)) => {
                let message = format!("Secret {} holds a proven key", issued.secret_name);
                return remark(Said::new(reason::CONVERGED, message), true);
            }
            Some(None) => {
                let message = match inputs.declared.meta.key.kind {
                    Kind::MinioAccessKey => "there is no key, because nothing of the object is in force",
                    _ => "there is no key, and a disabled user gets none",
                };
                return remark(Said::new(reason::DISABLED, message), false);
            }
            None => {}
        }
    }
    let held = previous(inputs.before).into_iter().find(|held| held.type_ == condition::CREDENTIALS_READY)?;
    let is_ready = held.status == "True";
    let reason = if is_ready { reason::CONVERGED } else { reason::PROGRESSING };
    remark(Said::new(reason, held.message), is_ready)
}

/// The condition that tells of a warning.
fn condition_of(warning: &Warning) -> &'static str {
    match warning {
        Warning::ConditionsSpoofable { .. } | Warning::UnsafeVariable { .. } => condition::CONDITIONS_SPOOFABLE,
        Warning::BucketActionsIncluded { .. } => condition::BUCKET_ACTIONS_INCLUDED,
    }
}

/// The sentence of the condition Ready.
pub fn ready_message(status: &Map<String, Value>) -> String {
    let message =
        condition_of_type(status, condition::READY).and_then(|held| held.get("message")).and_then(Value::as_str);
    message.unwrap_or_default().to_owned()
}
