//! Follows the server's trace, so that foreign changes are undone at once instead of at the next audit.
//!
//! Nothing depends on it: what it does not tell, or not in time, the audit finds. It has no memory, so whenever it begins,
//! everything is compared once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::api::MissingCapability;
use crate::minio::{self, Holder, Touched, TraceEvent, TraceStream, USER_AGENT};

use super::drift;
use super::duty::Phase;
use super::engine::Engine;
use super::lookout::Stream;
use super::mirror::Need;
use super::outcome::backoff;

/// A stream that lasted this long is not one that fails again and again.
const LASTING: Duration = Duration::from_secs(60);

/// The capability that is missing where the trace is refused.
const CAPABILITY: &str = "admin:ServerTrace";

/// Follows the trace while this replica leads, for ever.
pub async fn follow(engine: Arc<Engine>) {
    let mut failures = 0;
    loop {
        engine.duty.reaches(Phase::Converging).await;
        engine.health.wait_up().await;
        let opened = Instant::now();
        tokio::select! {
            ended = attend(&engine) => match ended {
                End::Refused(why) => {
                    refuse(&engine, why);
                    failures = 0;
                    // The rights of our identity may change.
                    sleep(engine.settings.full_audit_interval).await;
                }
                End::Broken(error) => {
                    failures = if opened.elapsed() >= LASTING { 1 } else { failures + 1 };
                    lose(&engine, &error);
                    sleep(backoff(failures)).await;
                }
            },
            () = engine.duty.falls_below(Phase::Converging) => drop(engine.lookout.set_stream(Stream::Away)),
        }
    }
}

/// Why a stream ended.
enum End {
    /// The server or our identity on it does not allow it.
    Refused(String),
    /// It broke, or could not be opened for now.
    Broken(minio::Error),
}

async fn attend(engine: &Engine) -> End {
    let mut stream = match engine.server.client.trace().await {
        Ok(stream) => stream,
        Err(error) if error.class() == minio::Class::Refused || error.is_missing_route() => {
            return End::Refused(error.to_string());
        }
        Err(error) => return End::Broken(error),
    };
    if engine.lookout.set_stream(Stream::Open) {
        tracing::info!("foreign changes on MinIO are noticed at once");
    }
    look_at_everything(engine);
    End::Broken(listen(engine, &mut stream).await)
}

async fn listen(engine: &Engine, stream: &mut TraceStream) -> minio::Error {
    loop {
        match stream.next().await {
            Ok(event) if is_ours(engine, &event) => {}
            Ok(event) => take_in(engine, event.touched()),
            Err(error) => return error,
        }
    }
}

/// What happened before the trace began may not be known.
fn look_at_everything(engine: &Engine) {
    engine.lookout.audits.ring();
    engine.lookout.sweeps.ring();
}

/// Anybody can say that he is called like us, but only we have our key; and a person may have it, too.
fn is_ours(engine: &Engine, event: &TraceEvent) -> bool {
    event.caller == engine.server.client.access_key() && event.agent == USER_AGENT
}

fn take_in(engine: &Engine, touched: Touched) {
    match touched {
        Touched::Nothing => {}
        Touched::Holder(Holder::User(name)) => look_at(engine, Need::Account(name)),
        Touched::Holder(Holder::Group(name)) => look_at(engine, Need::Group(name)),
        Touched::Policy(name) => {
            engine.appeared(&mut engine.state(), &name);
            look_at(engine, Need::Document(crate::iam::names::DocumentName::from_server(&name)));
        }
        Touched::AccessKey(id) => match engine.secrets.user_of_key(&id) {
            Some(user) => drift::notice_key(engine, &user),
            None => engine.state().foreign_keys.expect(),
        },
        // Whose key it is, the lists of keys tell.
        Touched::SomeKey => engine.state().foreign_keys.expect(),
        Touched::Something => engine.lookout.audits.ring(),
        Touched::Anything => look_at_everything(engine),
    }
}

fn look_at(engine: &Engine, name: Need) {
    drift::notice(engine, &BTreeSet::from([name]));
}

fn refuse(engine: &Engine, why: String) {
    // Nothing is known of the time before.
    look_at_everything(engine);
    let message = why.clone();
    if engine.lookout.set_stream(Stream::Refused(why)) {
        tracing::warn!(message, "the trace of MinIO is refused: foreign changes are noticed within the audit interval");
    }
}

fn lose(engine: &Engine, error: &minio::Error) {
    let error = crate::telemetry::chain(error);
    if engine.lookout.set_stream(Stream::Away) {
        tracing::info!(
            error,
            "the trace of MinIO is away: until it is back foreign changes are noticed within the audit interval"
        );
    } else {
        tracing::debug!(error, "the trace of MinIO cannot be followed; it is tried again");
    }
}

/// What it costs where the trace is refused.
pub fn missing_capability(stream: &Stream) -> Option<MissingCapability> {
    let Stream::Refused(why) = stream else { return None };
    let cost = format!("foreign changes are noticed within the audit interval instead of at once ({why})");
    Some(MissingCapability { name: CAPABILITY.to_owned(), cost })
}

/// Whether a missing capability is the one that is told of here.
pub fn is_told_here(missing: &MissingCapability) -> bool {
    missing.name == CAPABILITY
}
