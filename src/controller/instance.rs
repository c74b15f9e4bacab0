//! `MinioInstance`: how the server and the controller are doing, as one object in the home namespace.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use crate::api::meta::{field_manager, reason};
use crate::api::{
    HeldChange, MINIO_INSTANCE_NAME, MinioInstance, MinioInstanceFields, MinioInstanceStatus, MissingCapability,
    Unconverged, UnconvergedKind, UnmanagedCounts,
};
use crate::iam::subject::Subject;

use super::conditions::{Facts, Said, conditions};
use super::duty::Phase;
use super::engine::Engine;
use super::lookout::Stream;
use super::{large_change, trace, wipe};
use crate::kubernetes::{self, call};

/// How often the status is looked at; it is written only when something else than time has changed.
const INTERVAL: Duration = Duration::from_secs(2);

/// The same while somebody may be about to acknowledge a large change.
const INTERVAL_WHILE_HOLDING: Duration = Duration::from_millis(500);

/// A subject that waits for longer than this is named.
const NOTICEABLE: Duration = Duration::from_secs(5);

/// Keeps the object and its status for ever.
pub async fn keep(engine: Arc<Engine>, client: Client) {
    let api = Api::<MinioInstance>::namespaced(client, &engine.settings.home_namespace);
    let mut version = None;
    let mut failing = false;
    let mut last = None;
    loop {
        engine.duty.reaches(Phase::Telling).await;
        if version.is_none() && engine.health.problem().is_none() {
            version = engine.server.client.server_info().await.ok().and_then(|info| info.version);
        }
        let outcome = report(&engine, &api, version.clone(), &mut last).await;
        if let Err(error) = &outcome
            && !failing
        {
            tracing::warn!(error = %crate::telemetry::chain(error), "the MinioInstance cannot be written; it is tried again");
        }
        failing = outcome.is_err();
        let is_awaited = engine.state().breaker.is_holding();
        tokio::time::sleep(if is_awaited { INTERVAL_WHILE_HOLDING } else { INTERVAL }).await;
    }
}

/// Shows at once what waits for a person, beside what is shown already.
///
/// # Errors
/// The answer of the API server.
pub async fn hold(engine: &Engine, held: &HeldChange) -> Result<(), kubernetes::Error> {
    let api = Api::<MinioInstance>::namespaced(engine.objects.client(), &engine.settings.home_namespace);
    find_or_create(&api).await?;
    write(&api, &json!({"status": {"heldChange": held}})).await.map(drop)
}

async fn find_or_create(api: &Api<MinioInstance>) -> Result<MinioInstance, kubernetes::Error> {
    if let Some(held) = call("read", "the MinioInstance", api.get_opt(MINIO_INSTANCE_NAME)).await? {
        return Ok(held);
    }
    let fresh = MinioInstance::new(MINIO_INSTANCE_NAME, MinioInstanceFields::default());
    call("create", "the MinioInstance", api.create(&PostParams::default(), &fresh)).await
}

async fn write(api: &Api<MinioInstance>, patch: &serde_json::Value) -> Result<MinioInstance, kubernetes::Error> {
    let params = PatchParams { field_manager: Some(field_manager::STATUS.into()), ..Default::default() };
    let patch = Patch::Merge(patch);
    let written = api.patch_status(MINIO_INSTANCE_NAME, &params, &patch);
    call("write the status of", "the MinioInstance", written).await
}

async fn report(
    engine: &Engine,
    api: &Api<MinioInstance>,
    version: Option<String>,
    last: &mut Option<MinioInstanceStatus>,
) -> Result<(), kubernetes::Error> {
    let held = find_or_create(api).await?;
    wipe::acknowledge(engine, held.acknowledged_change());
    let before = held.status.clone().unwrap_or_default();
    // Without the lease somebody else may lead, who then has written.
    if engine.duty.phase() < Phase::Admitting && last.as_ref() != Some(&before) {
        return Ok(());
    }
    let large_change = large_change::see_to(engine, &held).await.filter(|held| !wipe::is_wipe(held));
    let (lost, said) = {
        let state = engine.state();
        (wipe::held_change(&state), wipe::said(&state))
    };
    // One after the other: that the server has lost its users goes before what is to be taken from it. Before anything is done,
    // what was held by whoever led last is not known here.
    let held_change = match engine.duty.phase() {
        Phase::Converging => lost.or_else(|| large_change.clone()),
        _ => before.held_change.clone(),
    };
    let stalled = said.or_else(|| large_change::of_instance(engine, large_change.as_ref()));
    let wanted = status(engine, held.metadata.generation.unwrap_or(0), &before.conditions, version, stalled);
    // Fields that this part does not know stay.
    let wanted = MinioInstanceStatus {
        version: wanted.version.clone().or_else(|| before.version.clone()),
        vendor: wanted.vendor.clone().or_else(|| before.vendor.clone()),
        capabilities: before.capabilities.clone(),
        missing_capabilities: missing_capabilities(engine, &before.missing_capabilities),
        claim: engine.duty.claim().or_else(|| before.claim.clone()),
        last_audit: last_audit(engine, before.last_audit.as_ref()),
        unmanaged: unmanaged(engine, before.unmanaged),
        held_change,
        ..wanted
    };
    if wanted == before {
        *last = Some(before);
        return Ok(());
    }
    let mut patch = json!({"status": wanted});
    if wanted.held_change.is_none() && before.held_change.is_some() {
        patch["status"]["heldChange"] = serde_json::Value::Null;
    }
    if wanted.missing_capabilities.is_empty() && !before.missing_capabilities.is_empty() {
        patch["status"]["missingCapabilities"] = json!([]);
    }
    if wanted.oldest_unconverged.is_none() && before.oldest_unconverged.is_some() {
        patch["status"]["oldestUnconverged"] = serde_json::Value::Null;
    }
    *last = write(api, &patch).await?.status;
    Ok(())
}

fn status(
    engine: &Engine,
    generation: i64,
    previous: &[Condition],
    version: Option<String>,
    stalled: Option<Said>,
) -> MinioInstanceStatus {
    let facts = Facts {
        stalled,
        held_back: engine.duty.foreign_claim().map(|message| Said::new(reason::FOREIGN_CLAIM, message)),
        outstanding: engine.problem().iter().map(|said| said.message.clone()).collect(),
        problem: engine.problem(),
        summary: "MinIO answers and is looked after".to_owned(),
        ..Facts::default()
    };
    let layout_hash = engine.state().index.config().layout.hash().to_owned();
    MinioInstanceStatus {
        observed_generation: Some(generation),
        conditions: conditions(&facts, generation, previous, Timestamp::now()),
        endpoint: Some(engine.settings.endpoint.clone()),
        vendor: version.as_ref().map(|_| "MinIO".to_owned()),
        version,
        layout_hash: Some(layout_hash),
        oldest_unconverged: oldest(engine),
        ..MinioInstanceStatus::default()
    }
}

/// What no object describes, as far as it was counted: the keys once everybody's were looked at, the rest by the audit.
fn unmanaged(engine: &Engine, before: Option<UnmanagedCounts>) -> Option<UnmanagedCounts> {
    let state = engine.state();
    let (audited, keys) = (state.drift.audited, state.foreign_keys.total());
    if audited.is_none() && keys.is_none() {
        return before;
    }
    let before = before.unwrap_or_default();
    let or_before =
        |count: Option<usize>, before| count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)).or(before);
    Some(UnmanagedCounts {
        users: or_before(audited.map(|audited| audited.users), before.users),
        groups: or_before(audited.map(|audited| audited.groups), before.groups),
        policies: or_before(audited.map(|audited| audited.policies), before.policies),
        keys: or_before(keys, before.keys),
    })
}

/// When the last audit ended. Foreign changes cause further ones, which are not worth a write each.
fn last_audit(engine: &Engine, before: Option<&Time>) -> Option<Time> {
    let Some(audited) = engine.state().drift.audited else { return before.cloned() };
    let at = Timestamp::from_second(audited.at.as_second()).unwrap_or(audited.at);
    let told = before.filter(|told| {
        let since = Duration::try_from(at.duration_since(told.0)).unwrap_or_default();
        at >= told.0 && since < engine.settings.recheck.mul_f64(0.9)
    });
    Some(told.cloned().unwrap_or(Time(at)))
}

/// What is missing besides what others have found missing.
fn missing_capabilities(engine: &Engine, before: &[MissingCapability]) -> Vec<MissingCapability> {
    let others = before.iter().filter(|missing| !trace::is_told_here(missing)).cloned();
    let stream = engine.lookout.stream();
    // Before it was asked for the trace, the server has not changed its mind.
    let told = before.iter().find(|missing| trace::is_told_here(missing) && stream == Stream::Away).cloned();
    others.chain(trace::missing_capability(&stream).or(told)).collect()
}

/// Takes up, once a term and before anything is done, what was held when a controller last ended.
///
/// # Errors
/// The answer of the API server.
pub async fn recall(engine: &Engine) -> Result<(), kubernetes::Error> {
    if engine.state().recalled {
        return Ok(());
    }
    let instance = engine.objects.instance(&engine.settings.home_namespace).await?;
    let held = instance.and_then(|instance| instance.status?.held_change);
    let mut state = engine.state();
    wipe::recall(&mut state, held.as_ref());
    large_change::recall(&mut state, held.as_ref());
    state.recalled = true;
    Ok(())
}

/// The subject behind the object that has waited longest.
fn oldest(engine: &Engine) -> Option<Unconverged> {
    let state = engine.state();
    let (key, pending) = state.pending.iter().min_by_key(|(_, pending)| pending.since)?;
    let age = pending.since.elapsed();
    if age < NOTICEABLE {
        return None;
    }
    let subject = state.index.outstanding(key).into_iter().next()?;
    let (kind, name) = match &subject {
        Subject::User(name) => (UnconvergedKind::User, name.to_string()),
        Subject::Group(name) => (UnconvergedKind::Group, name.to_string()),
        Subject::Everyone => (UnconvergedKind::Everyone, String::new()),
        Subject::Policy(name) => (UnconvergedKind::Policy, name.to_string()),
        Subject::Key(name) => (UnconvergedKind::Key, name.to_string()),
    };
    Some(Unconverged { kind, name, since: Time(wall_clock(pending.since)) })
}

/// The wall clock at an instant of the past, to the second: a status that names it must not change by itself.
fn wall_clock(instant: Instant) -> Timestamp {
    let ago = SignedDuration::try_from(instant.elapsed()).unwrap_or_default();
    let then = Timestamp::now().saturating_sub(ago).unwrap_or(Timestamp::MIN);
    Timestamp::from_second(then.as_second()).unwrap_or(then)
}
