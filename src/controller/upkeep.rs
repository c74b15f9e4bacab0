//! What runs beside the convergence: the clock, and the look at an unreachable server.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::engine::Engine;
use super::health::PROBE_INTERVAL;
use super::observe::learn_accounts;
use super::outcome::Failure;
use super::wipe::Wipe;

/// How often the clock is looked at while an expiry is awaited.
const CLOCK_CHECK: Duration = Duration::from_secs(30);

/// A clock that goes back further was set, not slewed.
const CLOCK_STEP: SignedDuration = SignedDuration::from_secs(1);

/// Lets grants and memberships end at their instant, for ever.
pub async fn keep_time(engine: Arc<Engine>) {
    // What is due is asked from the last tick on, not from now: an instant that passes between two looks is not missed.
    let mut ticked = engine.state().index.clock();
    loop {
        let changed = engine.expiry.notified();
        let now = Timestamp::now();
        if now < ticked.saturating_sub(CLOCK_STEP).unwrap_or(ticked) {
            tracing::warn!(from = %ticked, to = %now, "the clock was set back; everything is compared again");
            engine.tick(now);
            ticked = now;
            engine.converge_all();
        }
        let next = engine.state().index.next_expiry(ticked);
        match next {
            None => changed.await,
            Some(at) if at <= now => {
                engine.tick(now);
                ticked = now;
            }
            Some(at) => {
                // The clock of the machine may be set or stand still, so it is looked at again and again.
                let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep(wait.min(CLOCK_CHECK)) => {}
                }
            }
        }
    }
}

/// Asks an unreachable server until it answers, for ever. The server may have been restored or replaced meanwhile, so what
/// was known of it is read again, and everything is compared once more.
pub async fn probe(engine: Arc<Engine>) {
    let mut first = true;
    loop {
        engine.health.wait_down().await;
        // One call may fail although the server is well: a full disk, a rate limit. Only its subject tries again, with backoff.
        let may_be_hiccup = !first && !matches!(engine.state().wipe, Wipe::Suspected(_));
        if may_be_hiccup && engine.server.reach().await.is_ok() {
            engine.health.is_up();
            continue;
        }
        engine.report_all();
        while let Err(failure) = greet(&engine).await {
            engine.health.is_down(failure.message);
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
        if !std::mem::take(&mut first) {
            engine.converge_all();
        }
        engine.subjects.hurry();
        if engine.health.is_up() {
            tracing::info!("MinIO answers");
        }
        engine.report_all();
    }
}

/// The first words with a server: it answers, and it has loaded its IAM.
async fn greet(engine: &Engine) -> Result<(), Failure> {
    engine.server.reach().await?;
    {
        let mut state = engine.state();
        state.suspect_all();
        state.forget_server();
        state.foreign_keys.outdate();
    }
    learn_accounts(engine).await
}
