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
    MINIO_INSTANCE_NAME, MinioInstance, MinioInstanceFields, MinioInstanceStatus, Unconverged, UnconvergedKind,
    UnmanagedCounts,
};
use crate::iam::subject::Subject;

use super::conditions::{Facts, Said, conditions};
use super::duty::Phase;
use super::engine::Engine;
use crate::kubernetes::{self, call};

/// How often the status is looked at; it is written only when something else than time has changed.
const INTERVAL: Duration = Duration::from_secs(2);

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
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn report(
    engine: &Engine,
    api: &Api<MinioInstance>,
    version: Option<String>,
    last: &mut Option<MinioInstanceStatus>,
) -> Result<(), kubernetes::Error> {
    let held = match call("read", "the MinioInstance", api.get_opt(MINIO_INSTANCE_NAME)).await? {
        Some(held) => held,
        None => {
            let fresh = MinioInstance::new(MINIO_INSTANCE_NAME, MinioInstanceFields::default());
            call("create", "the MinioInstance", api.create(&PostParams::default(), &fresh)).await?
        }
    };
    let before = held.status.unwrap_or_default();
    // Without the lease somebody else may lead, who then has written.
    if engine.duty.phase() < Phase::Admitting && last.as_ref() != Some(&before) {
        return Ok(());
    }
    let wanted = status(engine, held.metadata.generation.unwrap_or(0), &before.conditions, version);
    // Fields that this part does not know stay.
    let wanted = MinioInstanceStatus {
        version: wanted.version.clone().or_else(|| before.version.clone()),
        vendor: wanted.vendor.clone().or_else(|| before.vendor.clone()),
        capabilities: before.capabilities.clone(),
        missing_capabilities: before.missing_capabilities.clone(),
        claim: engine.duty.claim().or_else(|| before.claim.clone()),
        last_audit: before.last_audit.clone(),
        unmanaged: unmanaged(engine, before.unmanaged),
        held_change: before.held_change.clone(),
        ..wanted
    };
    if wanted == before {
        *last = Some(before);
        return Ok(());
    }
    let mut patch = json!({"status": wanted});
    if wanted.oldest_unconverged.is_none() && before.oldest_unconverged.is_some() {
        patch["status"]["oldestUnconverged"] = serde_json::Value::Null;
    }
    let params = PatchParams { field_manager: Some(field_manager::STATUS.into()), ..Default::default() };
    let patch = Patch::Merge(&patch);
    let written = api.patch_status(MINIO_INSTANCE_NAME, &params, &patch);
    let written = call("write the status of", "the MinioInstance", written).await?;
    *last = written.status;
    Ok(())
}

fn status(engine: &Engine, generation: i64, previous: &[Condition], version: Option<String>) -> MinioInstanceStatus {
    let facts = Facts {
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

/// What no object describes, as far as this part knows: the keys, once everybody's were looked at.
fn unmanaged(engine: &Engine, before: Option<UnmanagedCounts>) -> Option<UnmanagedCounts> {
    let Some(keys) = engine.state().foreign_keys.total() else { return before };
    Some(UnmanagedCounts { keys: Some(i64::try_from(keys).unwrap_or(i64::MAX)), ..before.unwrap_or_default() })
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
