//! From standing by to leading and back.
//!
//! A term begins with what nobody else may be doing any more: what this replica had under way in a former term has ended, and
//! the leader before has stopped. What was known of the server is forgotten, for others have changed it since.

use std::sync::Arc;
use std::time::Duration;

use crate::iam::subject::Subject;
use crate::kubernetes::watch::FirstLists;
use crate::lease::{MUTATION_DEADLINE, Standing, Term};
use crate::telemetry::Readiness;

use super::converge;
use super::duty::Phase;
use super::engine::Engine;
use super::instance;
use super::observe::learn_accounts;
use super::outcome::{Failure, backoff};
use super::queue::Urgency;
use super::server_claim::{self, Holder};

/// How long the first plan waits for objects to be given their finalizer, and how often it looks.
const ADMISSION_LIMIT: Duration = Duration::from_secs(30);
const ADMISSION_CHECK: Duration = Duration::from_millis(20);

/// Leads whenever the lease is held, for ever. Every replica is ready once it knows all objects.
pub async fn lead(engine: Arc<Engine>, lists: FirstLists, readiness: Readiness) {
    lists.wait().await;
    readiness.set_ready();
    tracing::info!(objects = engine.state().seen.len(), "all objects are known");
    let mut standing = engine.lease.standing();
    loop {
        let now = standing.borrow_and_update().clone();
        tokio::select! {
            () = stand(&engine, now) => {}
            // The sender lives as long as the engine.
            _ = standing.changed() => {}
        }
        engine.duty.enter(Phase::Idle);
    }
}

/// What is done while nothing changes in that, until it is dropped.
async fn stand(engine: &Engine, standing: Standing) {
    match standing {
        Standing::Leading(term) => serve(engine, term).await,
        // The last leader knows best what waits.
        Standing::Away { led: true, .. } => {
            engine.duty.enter(Phase::Telling);
            engine.report_all();
        }
        Standing::Away { led: false, .. } | Standing::StandingBy => {}
    }
    std::future::pending().await
}

/// One term, until it is dropped.
async fn serve(engine: &Engine, term: Term) {
    engine.duty.drained().await;
    engine.lease.begins(term).await;
    engine.lease.admit(term);
    engine.begin_term();
    engine.duty.enter(Phase::Admitting);
    all_admitted(engine).await;
    engine.metrics.set_queue_depth(engine.subjects.len());
    let mut is_doubtful = term.follows_a_crash();
    loop {
        take_up(engine).await;
        engine.converge_all();
        engine.duty.enter(Phase::Converging);
        engine.report_all();
        if std::mem::take(&mut is_doubtful) {
            look_twice(engine).await;
        }
        while_ours(engine).await;
        engine.duty.enter(Phase::Admitting);
        engine.report_all();
    }
}

/// Shares and memberships count once they carry our finalizer. Planning without those that only lack it would take away
/// what they give; but one that cannot be written must not hold up all others.
async fn all_admitted(engine: &Engine) {
    let admitted = async {
        while !engine.all_admitted() {
            tokio::time::sleep(ADMISSION_CHECK).await;
        }
    };
    if tokio::time::timeout(ADMISSION_LIMIT, admitted).await.is_err() {
        tracing::warn!("some objects cannot be given their finalizer; they do not count yet");
    }
}

/// Everything that must have happened before the first plan: an answer of MinIO, the claim, the buckets, and the document
/// that every user's attachments name.
async fn take_up(engine: &Engine) {
    let mut failures = 0;
    loop {
        engine.health.wait_up().await;
        let Some(under_way) = engine.duty.begin(Phase::Admitting).await else {
            return std::future::pending().await;
        };
        let pause = match prepare(engine).await {
            Ok(Holder::Ours) => {
                engine.health.set_obstacle(None);
                return converge::converge(engine, &Subject::Everyone, Urgency::Urgent).await;
            }
            Ok(Holder::OursSinceNow) => server_claim::TIME_TO_NOTICE,
            Ok(Holder::Foreign) => {
                engine.health.set_obstacle(None);
                engine.report_all();
                claim_interval(engine)
            }
            Err(failure) => {
                failures += 1;
                tracing::warn!(message = failure.message, "MinIO cannot be prepared; it is tried again");
                engine.health.set_obstacle(Some(failure.message));
                backoff(failures)
            }
        };
        drop(under_way);
        tokio::time::sleep(pause).await;
    }
}

/// Only a server that is ours is prepared.
async fn prepare(engine: &Engine) -> Result<Holder, Failure> {
    instance::recall(engine).await?;
    learn_accounts(engine).await?;
    if engine.settings.observe {
        return Ok(Holder::Ours);
    }
    let holder = server_claim::hold(engine).await?;
    if holder != Holder::Ours {
        return Ok(holder);
    }
    let (buckets, objects) = {
        let state = engine.state();
        let layout = &state.index.config().layout;
        (layout.buckets(), layout.objects_for_everyone())
    };
    let buckets: Vec<&str> = buckets.iter().map(|bucket| bucket.as_str()).collect();
    engine.server.ensure_buckets(buckets).await?;
    engine.server.ensure_objects(&objects).await?;
    Ok(Holder::Ours)
}

/// What the leader before sent last may have been carried out late, after it was read: everything is compared once more.
async fn look_twice(engine: &Engine) {
    tokio::time::sleep(2 * MUTATION_DEADLINE).await;
    engine.state().mirror.forget_all();
    if let Err(failure) = learn_accounts(engine).await {
        tracing::debug!(message = failure.message, "the accounts are read one by one");
    }
    engine.converge_all();
}

/// Looks at the claim until it is another installation's.
async fn while_ours(engine: &Engine) {
    loop {
        tokio::time::sleep(claim_interval(engine)).await;
        engine.health.wait_up().await;
        let Some(_under_way) = engine.duty.begin(Phase::Converging).await.filter(|_| !engine.settings.observe) else {
            continue;
        };
        match server_claim::hold(engine).await {
            Ok(Holder::Ours) => {}
            Ok(Holder::OursSinceNow | Holder::Foreign) => return,
            Err(failure) => {
                tracing::warn!(message = failure.message, "the claim cannot be looked at; it is tried again")
            }
        }
    }
}

fn claim_interval(engine: &Engine) -> Duration {
    engine.settings.recheck.min(server_claim::INTERVAL)
}
