//! Tells people: status, events, finalizers. One worker per object at a time; only differences are written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::api::meta::{annotation, reason};
use crate::iam::declared::{Body, Declared};
use crate::iam::index::Verdict;
use crate::iam::path::{Access, S3Path};
use crate::iam::subject::{Kind, ObjectKey, Subject};
use crate::kubernetes::status::ready_and_reason;
use crate::kubernetes::watch::FirstLists;
use crate::kubernetes::{Seen, Status};
use crate::telemetry::metrics::Ready;

use super::duty::Phase;
use super::engine::Engine;
use super::keys;
use super::large_change;
use super::outcome::{Failure, Outcome, Retry};
use super::queue::Urgency;
use super::state::{Pending, State};
use super::status::{self, Inputs};

/// Most changes are in force within this time; before it a status "in progress" would only be written to be replaced.
pub const GRACE: Duration = Duration::from_millis(30);

/// The same for a user whose key is being issued: MinIO and Kubernetes take many times as long for it as for a grant.
const GRACE_OF_KEYS: Duration = Duration::from_millis(500);

/// The first wait of minor news for a moment when nothing is converged; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// How often minor news wait; together less than a second.
const WAITS: u32 = 4;

/// What a status counts: news to nobody who waits.
const COUNTS: [&str; 2] = ["grants", "documents"];

/// The pause after a failed write.
const RETRY: Duration = Duration::from_secs(1);

/// Reports on objects from the queue for ever, once all of them are known: before, what they name would seem to be missing.
pub async fn work(engine: Arc<Engine>, lists: FirstLists) {
    lists.wait().await;
    loop {
        let next = engine.duty.next(&engine.reports, Urgency::Normal, Phase::Telling).await;
        let key = next.0.clone();
        let told = async {
            if let Err(failure) = report(&engine, &key).await {
                tracing::warn!(object = %key, message = failure.message, "status not written; it is tried again");
                engine.reports.push(key.clone(), Urgency::Normal, RETRY);
            }
        };
        engine.duty.carry_out(&engine.reports, Phase::Telling, next, told).await;
    }
}

/// An object that could never be read has no declaration to judge, only a reason. Under deletion it goes once nothing can be
/// in force any more that it may have said before this process started.
async fn report_unreadable(engine: &Engine, key: &ObjectKey) -> Result<(), Failure> {
    let (seen, wanted, may_go, forced) = {
        let state = engine.state();
        let (Some(seen), Some(found)) = (state.seen.get(key), state.index.undecodable().get(key)) else {
            return Ok(());
        };
        let is_done = state.index.may_finish_unread(key);
        let forced = !is_done && found.deleting.is_some() && found.force_delete;
        let may_go = seen.has_finalizer() && (is_done || forced);
        (Seen::clone(seen), status::unreadable(seen, &found.error, Timestamp::now()), may_go, forced)
    };
    let phase = engine.duty.phase();
    if may_go && !engine.settings.observe && phase >= Phase::Admitting {
        engine.objects.remove_finalizer(key, &seen).await?;
        if forced {
            announce_force(engine, key, &seen, "whatever it stands for, because it could not be read").await;
        }
    } else {
        engine.objects.write_status(key, &seen, &seen.status.fields(), &wanted, phase == Phase::Telling).await?;
    }
    Ok(())
}

/// What is known of an object at one moment.
struct View {
    seen: Seen,
    /// Its status.
    before: Map<String, Value>,
    declared: Declared,
    verdict: Verdict,
    pending: Option<Pending>,
    /// Whether a subject that it waits for could not be converged.
    failing: bool,
    /// Whether its IAM is in force and only folders and keys are seen to.
    settling: bool,
    wanted: Map<String, Value>,
}

async fn report(engine: &Engine, key: &ObjectKey) -> Result<(), Failure> {
    let Some(view) = look(engine, key) else { return report_unreadable(engine, key).await };
    if view.seen.is_deleting() && may_let_go(engine, &view) {
        return let_go(engine, key, &view).await;
    }
    if let Some(path) = wants_marker(engine, &view) {
        see_to_marker(engine, key, &view, &path).await?;
        engine.reports.push(key.clone(), Urgency::Normal, Duration::ZERO);
        return Ok(());
    }
    if is_first_look(engine, &view) {
        return Ok(());
    }
    if let Some(left) = grace_left(&view) {
        engine.reports.push(key.clone(), Urgency::Normal, left);
        return Ok(());
    }
    if let Some(wait) = wait_of_minor_news(engine, key, &view) {
        engine.reports.push(key.clone(), Urgency::Normal, wait);
        return Ok(());
    }
    if view.before == view.wanted {
        return write(engine, key, &view).await;
    }
    engine.pace.turn().await;
    // Much may have changed meanwhile.
    match look(engine, key) {
        Some(view) => write(engine, key, &view).await,
        None => Ok(()),
    }
}

fn look(engine: &Engine, key: &ObjectKey) -> Option<View> {
    let problem = engine.problem();
    let state = engine.state();
    let seen = Seen::clone(state.seen.get(key)?);
    let before = seen.status.fields();
    let now = Timestamp::now();
    let verdict = state.index.outcome(key, now)?;
    let declared = state.index.get(key)?.clone();
    let own_subject = declared
        .own_subject()
        .filter(|subject| state.index.object_of(subject).is_some_and(|holder| holder.meta.key == *key));
    let own = own_subject.as_ref().and_then(|subject| state.outcomes.get(subject)).map(Box::as_ref);
    let twin = match &declared.body {
        Ok(Body::Group(group)) if group.twin => Some(state.index.config().layout.twin(&group.name).to_string()),
        _ => None,
    };
    let failure = own.and_then(failed).or_else(|| failure_of(&state, &verdict)).cloned();
    let settling = own_subject.as_ref().is_some_and(|subject| state.settling.contains(subject));
    let wanted = status::status(&Inputs {
        before: &before,
        declared: &declared,
        verdict: &verdict,
        own,
        failure: failure.as_ref(),
        problem,
        foreign_claim: engine.duty.foreign_claim(),
        settling,
        held: large_change::of_object(&state, own_subject.as_ref(), &verdict, &engine.settings),
        observing: engine.settings.observe,
        twin,
        keys: own_subject.as_ref().and_then(|subject| match subject {
            Subject::User(user) => state.foreign_keys.of(user),
            _ => None,
        }),
        marker: state.markers.get(seen.uid()).and_then(|(_, note)| note.as_deref()),
        now,
    });
    let pending = state.pending.get(key).copied();
    Some(View { seen, before, declared, verdict, pending, failing: failure.is_some(), settling, wanted })
}

fn failed(outcome: &Outcome) -> Option<&Failure> {
    outcome.result.as_ref().err()
}

/// The failure of a subject that the object waits for. What only another object's author can end is that object's matter.
fn failure_of<'a>(state: &'a State, verdict: &Verdict) -> Option<&'a Failure> {
    let outcomes = verdict.outstanding.iter().filter_map(|subject| state.outcomes.get(subject));
    outcomes.filter_map(|outcome| failed(outcome)).find(|failure| failure.retry != Retry::OnChange)
}

/// Whether our finalizer may go: nothing is left to undo, or somebody insists.
fn may_let_go(engine: &Engine, view: &View) -> bool {
    if !view.seen.has_finalizer() || engine.settings.observe || engine.duty.phase() < Phase::Admitting {
        return false;
    }
    view.declared.meta.force_delete || view.verdict.may_finish
}

async fn let_go(engine: &Engine, key: &ObjectKey, view: &View) -> Result<(), Failure> {
    let left = left_behind(view);
    if left.is_some()
        && let Err(failure) = keys::abandon(engine, &view.declared).await
    {
        tracing::warn!(object = %key, message = failure.message, "its Secrets are left to the garbage collector");
    }
    engine.objects.remove_finalizer(key, &view.seen).await?;
    settled(engine, key, view);
    match left {
        Some(left) => announce_force(engine, key, &view.seen, &left).await,
        None => tracing::info!(object = %key, "let go"),
    }
    Ok(())
}

/// What may still be on the server of an object that is let go because somebody insists; `None` where nothing is.
fn left_behind(view: &View) -> Option<String> {
    if view.verdict.may_finish {
        return None;
    }
    let is_claimed = view.declared.meta.origin.is_some();
    match &view.declared.body {
        Ok(Body::User(user)) => {
            is_claimed.then(|| format!("user {} with its policies, memberships and keys", user.name))
        }
        Ok(Body::Group(group)) => is_claimed.then(|| format!("group {} with its members and policies", group.name)),
        Ok(Body::Policy(policy)) => is_claimed.then(|| format!("policy {}", policy.name)),
        Ok(Body::Key(key)) => Some(format!("its keys below user {}, until they end by themselves", key.user)),
        Ok(Body::Share(_) | Body::Membership(_)) => {
            Some("what it gave, until it can be compared with the objects that are left".to_owned())
        }
        Err(_) => None,
    }
}

async fn announce_force(engine: &Engine, key: &ObjectKey, seen: &Seen, left: &str) {
    tracing::warn!(object = %key, left, "let go by force-delete; this may still be on MinIO");
    let note = format!("let go by the annotation {}; this may still be on MinIO: {left}", annotation::FORCE_DELETE);
    engine.objects.event(key, seen, true, reason::FORCE_DELETED, &note).await;
}

/// A share in force that lets somebody write should show its folder to clients that look for it first.
fn wants_marker(engine: &Engine, view: &View) -> Option<S3Path> {
    let Ok(Body::Share(share)) = &view.declared.body else { return None };
    let writes = share.grants.values().any(|terms| terms.access == Access::ReadWrite);
    let in_force = view.verdict.standing.is_in_force() && view.verdict.is_settled() && view.verdict.counts.active > 0;
    let generation = view.verdict.generation;
    let seen_to = view.seen.status.is_ready_at(generation)
        || engine.state().markers.get(view.seen.uid()).is_some_and(|(seen_to, _)| *seen_to == generation);
    let up = engine.problem().is_none() && engine.duty.phase() == Phase::Converging && !engine.settings.observe;
    (writes && in_force && !seen_to && up).then(|| share.path.clone())
}

async fn see_to_marker(engine: &Engine, key: &ObjectKey, view: &View, path: &S3Path) -> Result<(), Failure> {
    let note = match engine.server.ensure_marker(path).await {
        Ok(true) => None,
        Ok(false) => Some(format!("the bucket {} does not exist", path.bucket())),
        // A convenience must not hold up what is in force.
        Err(failure) => Some(format!("the folder could not be marked: {}", failure.message)),
    };
    if let Some(note) = &note {
        tracing::warn!(object = %key, note, "no folder marker");
    }
    engine.state().markers.insert(view.seen.uid().into(), (view.verdict.generation, note));
    Ok(())
}

/// Whether the object was in force before this process started, and it only has not been looked at yet: a start is no news.
/// What comes of the look is reported then.
fn is_first_look(engine: &Engine, view: &View) -> bool {
    let in_progress = (Ready::Unknown, reason::PROGRESSING.to_owned());
    view.seen.status.is_ready_at(view.verdict.generation)
        && !view.failing
        && ready_and_reason(&view.wanted) == in_progress
        && is_unseen(engine, view)
}

/// Whether this process has yet to see how it stands with a subject that the object waits for.
fn is_unseen(engine: &Engine, view: &View) -> bool {
    let state = engine.state();
    let mut awaited = view.verdict.outstanding.iter();
    !state.index.is_compared() && (view.settling || awaited.any(|subject| !state.outcomes.contains_key(subject)))
}

/// How long to hold back a status that says "in progress".
fn grace_left(view: &View) -> Option<Duration> {
    let (ready, _) = ready_and_reason(&view.wanted);
    let since = view.pending?.since;
    let grace = if view.settling { GRACE_OF_KEYS } else { GRACE };
    (ready == Ready::Unknown).then(|| grace.checked_sub(since.elapsed())).flatten()
}

/// How long to hold back minor news: a share with a hundred people changes the counts of a hundred users, and says a hundred
/// times for whom it still waits; to write all that would slow down what the hundred wait for. Bounded, as something may be
/// converged all the time.
fn wait_of_minor_news(engine: &Engine, key: &ObjectKey, view: &View) -> Option<Duration> {
    let is_busy = !engine.subjects.is_empty();
    let mut state = engine.state();
    let waits = state.minor_news.remove(key).unwrap_or(0);
    if !is_busy || waits >= WAITS || !is_minor(&view.before, &view.wanted) {
        return None;
    }
    state.minor_news.insert(key.clone(), waits + 1);
    Some(FIRST_WAIT * 2_u32.pow(waits))
}

/// Whether two statuses differ in counts only, or in what work in progress is said to wait for.
fn is_minor(before: &Map<String, Value>, after: &Map<String, Value>) -> bool {
    let in_progress = |status| ready_and_reason(status) == (Ready::Unknown, reason::PROGRESSING.to_owned());
    let in_progress = in_progress(before) && in_progress(after);
    let rest = |status: &Map<String, Value>| {
        let mut rest = status.clone();
        rest.retain(|name, _| !COUNTS.contains(&name.as_str()));
        let conditions = rest.get_mut("conditions").and_then(Value::as_array_mut).filter(|_| in_progress);
        for condition in conditions.into_iter().flatten().filter_map(Value::as_object_mut) {
            condition.remove("message");
        }
        rest
    };
    before != after && rest(before) == rest(after)
}

async fn write(engine: &Engine, key: &ObjectKey, view: &View) -> Result<(), Failure> {
    // Without the lease somebody else may lead, who knows better: what is in force for that one is not talked about.
    let is_unsure = engine.duty.phase() == Phase::Telling;
    if is_unsure && view.seen.status.is_ready_at(view.verdict.generation) {
        return Ok(());
    }
    let written = engine.objects.write_status(key, &view.seen, &view.before, &view.wanted, is_unsure).await?;
    if view.verdict.is_settled() {
        settled(engine, key, view);
    }
    if !written {
        return Ok(());
    }
    let (before, after) = (ready_and_reason(&view.before), ready_and_reason(&view.wanted));
    if let Some(held) = engine.state().seen.get_mut(key) {
        remember(held, &view.seen, &view.wanted);
    }
    if before != after {
        announce(engine, key, view, after).await;
    }
    Ok(())
}

/// Takes a status that was written into what is held of the object, unless something newer came in since it was made.
fn remember(held: &mut Seen, seen: &Seen, written: &Map<String, Value>) {
    if held.uid() == seen.uid() && held.status == seen.status {
        held.status = Status::from(written);
    }
}

/// Transitions become events; work in progress is not news.
async fn announce(engine: &Engine, key: &ObjectKey, view: &View, (ready, reason): (Ready, String)) {
    if ready == Ready::Unknown && reason == reason::PROGRESSING {
        return;
    }
    let message = status::ready_message(&view.wanted);
    let warning = ready == Ready::False;
    tracing::info!(object = %key, ready = ready.as_str(), reason, message, "status");
    engine.objects.event(key, &view.seen, warning, &reason, &message).await;
}

/// The object is in force: measures how long that took.
fn settled(engine: &Engine, key: &ObjectKey, view: &View) {
    let Some(pending) = engine.state().pending.remove(key) else { return };
    let took = Instant::now().saturating_duration_since(pending.since);
    engine.metrics.convergence(view.declared.meta.key.kind, took);
    if pending.revokes || view.seen.is_deleting() && matches!(key.kind, Kind::PathShare | Kind::GroupMembership) {
        engine.metrics.revocation(took);
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::json;

    use super::*;

    fn seen(uid: &str, status: &Value) -> Seen {
        Seen::new(&ObjectMeta::default(), uid.into(), Some(status))
    }

    #[test]
    fn only_counts_and_progress_are_minor() {
        let status = |active: u32, status: &str, reason: &str, message: &str| {
            let ready = json!({"type": "Ready", "status": status, "reason": reason, "message": message});
            let status = json!({"observedGeneration": 1, "grants": {"active": active}, "conditions": [ready]});
            status.as_object().cloned().unwrap()
        };
        let ready = status(1, "True", "Converged", "in force");
        assert!(is_minor(&ready, &status(2, "True", "Converged", "in force")));
        assert!(!is_minor(&ready, &ready), "there is nothing to write");
        assert!(!is_minor(&ready, &status(1, "True", "Converged", "in force; one path is covered")));
        assert!(!is_minor(&ready, &status(2, "False", "Conflict", "taken")));
        assert!(!is_minor(&Map::new(), &ready), "the first status");
        let waiting = status(0, "Unknown", "Progressing", "waiting for user alice");
        assert!(is_minor(&waiting, &status(1, "Unknown", "Progressing", "waiting for user bob")));
        assert!(!is_minor(&waiting, &status(0, "Unknown", "MinioUnavailable", "waiting for user alice")));
    }

    #[test]
    fn a_written_status_replaces_only_what_it_was_made_from() {
        let before = seen("a", &json!({"observedGeneration": 1}));
        let written = json!({"observedGeneration": 2}).as_object().cloned().unwrap();
        let mut held = before.clone();
        remember(&mut held, &before, &written);
        assert_eq!(held.status.fields(), written);
        // The origin was recorded while the status was on its way.
        let newer = seen("a", &json!({"observedGeneration": 1, "origin": "Created"}));
        let another = seen("b", &json!({"observedGeneration": 1}));
        for untouched in [newer, another] {
            let mut held = untouched.clone();
            remember(&mut held, &before, &written);
            assert_eq!(held.status, untouched.status);
        }
    }
}
