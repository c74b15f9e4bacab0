//! One subject, brought to what the objects say: observe, desire, plan, apply, report.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::iam::change::{Change, Holder};
use crate::iam::check::carries_admin_actions;
use crate::iam::declared::{Body, Declared};
use crate::iam::desired::{Desired, Fate};
use crate::iam::document::Document;
use crate::iam::index::Index;
use crate::iam::names::DocumentName;
use crate::iam::observed::{Documents, Observed, Surroundings};
use crate::iam::plan::{self, Plan};
use crate::iam::subject::{Kind, Subject};
use crate::minio;
use crate::telemetry::{AuditLine, audit, metrics};

use super::adopted_secret::{self, FormerSecret};
use super::claim::claim;
use super::crds;
use super::drift;
use super::duty::Phase;
use super::engine::Engine;
use super::foreign_keys;
use super::keys::{self, Keys};
use super::large_change;
use super::observe::{learn_policies, policy_holders, read_until_known};
use super::outcome::{Failure, Outcome, Report, Retry, backoff};
use super::queue::Urgency;
use super::state::State;
use super::wipe;
use super::workspace;

/// How often in a row a look at what was there before may fail before that is news.
const HICCUPS: u32 = 2;

/// How often a run starts over because its object changed while the server was asked.
const STARTS: usize = 4;

/// Takes subjects that are at least so urgent from the queue, one at a time, until `stop`; what was begun is finished.
pub async fn work(engine: Arc<Engine>, least: Urgency, stop: CancellationToken) {
    loop {
        let next = async {
            engine.health.wait_up().await;
            let next = engine.duty.next(&engine.subjects, least, Phase::Converging).await;
            // The server may have gone while there was nothing to do.
            engine.health.wait_up().await;
            next
        };
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            next = next => next,
        };
        let (subject, urgency) = next.clone();
        let converged = converge(&engine, &subject, urgency);
        engine.duty.carry_out(&engine.subjects, Phase::Converging, next, converged).await;
    }
}

/// Converges one subject and records what became of it.
pub async fn converge(engine: &Engine, subject: &Subject, urgency: Urgency) {
    let started = Instant::now();
    let failures = engine.state().outcomes.get(subject).map_or(0, |outcome| outcome.failures);
    let mut sequence = engine.state().index.seq();
    let result = run(engine, subject, urgency, &mut sequence).await;
    engine.metrics.converged(subject, outcome_label(&result), started.elapsed());
    let failures = if result.is_ok() { 0 } else { failures.saturating_add(1) };
    if let Err(failure) = &result {
        recover(engine, subject, failure, failures);
    }
    let outcome = Outcome { sequence, failures, result };
    large_change::looked_at(engine, subject, &outcome);
    engine.finish(subject, urgency, outcome);
}

fn outcome_label(result: &Result<Report, Failure>) -> metrics::Outcome {
    match result {
        Ok(report) if report.large_change => metrics::Outcome::Held,
        Ok(report) if report.changes > 0 => metrics::Outcome::Changed,
        Ok(_) => metrics::Outcome::Unchanged,
        Err(failure) => match failure.retry {
            Retry::OnChange => metrics::Outcome::Stalled,
            Retry::WhenUp => metrics::Outcome::Waiting,
            Retry::Backoff => metrics::Outcome::Failed,
        },
    }
}

/// After a failure nothing is certain about the subject any more; an unreachable server is known to everybody at once.
fn recover(engine: &Engine, subject: &Subject, failure: &Failure, failures: u32) {
    let mut state = engine.state();
    let desired = state.index.desired(subject, Timestamp::now());
    state.mirror.forget(&desired);
    drop(state);
    if failure.retry == Retry::WhenUp && engine.health.is_down(failure.message.clone()) {
        tracing::warn!(problem = failure.message, "MinIO cannot be reached; changes wait until it answers");
    }
    if failures <= 1 {
        tracing::warn!(%subject, reason = failure.reason, message = failure.message, "not converged");
    }
}

/// What the declarations say of a subject at one moment: read under one lock, so that the parts belong together.
struct Ground {
    owner: Option<Declared>,
    desired: Desired,
    /// The number of the last change of the declarations that it includes.
    sequence: u64,
}

/// What can be done for a subject at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Nothing: nobody declares it, or its object may not touch the server.
    Nothing,
    /// It is only watched: what would be done is said.
    Foresee,
    /// Its object must record first that it may take what the server has under the name.
    Claim,
    /// It is brought to what the objects say.
    Plan,
}

impl Ground {
    fn of(index: &Index, subject: &Subject) -> Self {
        let owner = index.object_of(subject).cloned();
        Self { owner, desired: index.desired(subject, Timestamp::now()), sequence: index.seq() }
    }

    fn next(&self, observe: bool) -> Next {
        let is_deleting = self.owner.as_ref().is_some_and(is_deleting);
        let takes_name = |owner: &Declared| owner.meta.key.kind != Kind::MinioAccessKey;
        let is_claimed = |owner: &Declared| owner.meta.finalizer && (owner.meta.origin.is_some() || !takes_name(owner));
        if observe || self.owner.as_ref().is_some_and(|owner| owner.meta.paused) {
            return Next::Foresee;
        }
        match self.desired.fate() {
            Fate::Untouched if !is_deleting => Next::Nothing,
            Fate::Present if !self.owner.as_ref().is_none_or(is_claimed) => Next::Claim,
            _ => Next::Plan,
        }
    }
}

/// `sequence` becomes the number of the last change of the declarations that the run includes.
async fn run(engine: &Engine, subject: &Subject, urgency: Urgency, sequence: &mut u64) -> Result<Report, Failure> {
    let observe = engine.settings.observe;
    for _ in 0..STARTS {
        let ground = Ground::of(&engine.state().index, subject);
        match (ground.next(observe), &ground.owner) {
            (Next::Nothing, _) => return Ok(Report::default()),
            (Next::Foresee, _) => return foresee(engine, subject, ground).await,
            (Next::Claim, Some(owner)) => claim(engine, subject, &ground.desired, owner).await?,
            (Next::Claim, None) | (Next::Plan, _) => {}
        }
        // What a policy on the server carries decides whether it may be attached, so that is known to the compiler first.
        learn_policies(engine, subject).await?;
        // Meanwhile the object may have been deleted, or made anew.
        let (ground, doubtful) = {
            let state = engine.state();
            (Ground::of(&state.index, subject), state.crds.doubtful())
        };
        if crds::look(engine, doubtful).await? {
            continue;
        }
        if ground.next(observe) == Next::Plan {
            *sequence = ground.sequence;
            return carry_out(engine, subject, urgency, &ground).await;
        }
    }
    Err(Failure::transient("the object changes faster than it can be looked at; it is looked at again later"))
}

/// Brings the server to what the objects say.
async fn carry_out(engine: &Engine, subject: &Subject, urgency: Urgency, ground: &Ground) -> Result<Report, Failure> {
    let Ground { owner, desired, sequence } = ground;
    let holders = policy_holders(engine, desired).await?;
    let restrained = plan_for(engine, subject, desired, holders, |state, observed, plan| {
        large_change::restrain(state, desired, observed, plan, &engine.settings)
    })
    .await?;
    let plan = &restrained.plan;
    let mut report = report_of(plan);
    if owner.as_ref().is_some_and(|owner| large_change::goes_with_its_user(&engine.state(), desired, owner)) {
        return Ok(Report { held_back: true, leaves_undone: true, ..report });
    }
    wipe::confirm_losses(engine, owner.as_ref(), plan).await?;
    let is_repair = engine.state().is_suspect(subject);
    apply(engine, subject, plan, urgency).await?;
    engine.state().breaker.carried_out(subject, &restrained.losses);
    report.changes = plan.changes.len();
    look_back(engine, subject, plan, is_repair).await;
    // A group that was just enabled has attachments that could not be read before; the next run sees to them.
    let is_enabled = plan.changes.iter().any(|change| matches!(change, Change::EnableGroup { .. }));
    report.held_back |= is_enabled;
    report.leaves_undone |= is_enabled;
    report.large_change = restrained.is_held;
    report.documents = Some(measure(engine, desired));
    // What waits to be taken away holds up the end of an object, and nobody's key.
    if let Some(owner) = owner.as_ref().filter(|owner| !report.held_back || !is_deleting(owner)) {
        if !is_deleting(owner) && !report.held_back && !engine.state().awaits(&report) {
            engine.in_force(subject, *sequence);
        }
        settle(engine, subject, desired, owner, &mut report).await?;
    }
    Ok(report)
}

/// The plan was carried out; with `is_repair` it undid what somebody else had changed. What waits for a user is not over yet.
async fn look_back(engine: &Engine, subject: &Subject, plan: &Plan, is_repair: bool) {
    if plan.waiting.missing_users.is_empty() {
        engine.state().clear(subject);
    }
    if is_repair && !plan.changes.is_empty() {
        drift::tell_of_repair(engine, subject, &plan.changes).await;
    }
}

fn is_deleting(owner: &Declared) -> bool {
    owner.meta.deleting.is_some()
}

/// What would be done for a subject that is only watched: planned, reported, not applied.
async fn foresee(engine: &Engine, subject: &Subject, ground: Ground) -> Result<Report, Failure> {
    let Ground { owner, mut desired, .. } = ground;
    learn_policies(engine, subject).await?;
    if let Some(owner) = owner.as_ref().filter(|_| desired.fate() == Fate::Untouched) {
        let fate = match (is_deleting(owner), owner.deletion_policy()) {
            (false, _) => Fate::Present,
            (true, crate::api::DeletionPolicy::Delete) if owner.meta.origin.is_some() => Fate::Deleted,
            (true, _) => Fate::Untouched,
        };
        desired.set_fate(fate);
    }
    let plan = plan_for(engine, subject, &desired, BTreeSet::new(), |_, _, plan| plan).await?;
    let planned = plan.changes.iter().map(|change| change.describe().to_string()).collect();
    let leaves_undone = plan.withheld || !plan.changes.is_empty();
    Ok(Report { planned, held_back: true, leaves_undone, ..report_of(&plan) })
}

/// Plans from what the server holds. While an object that could touch the subject has never been readable, nothing is taken
/// away. `look` sees the plan under the same lock.
async fn plan_for<T>(
    engine: &Engine,
    subject: &Subject,
    desired: &Desired,
    holders: BTreeSet<String>,
    look: impl FnOnce(&mut State, &Observed, Plan) -> T,
) -> Result<T, Failure> {
    let needs = |state: &State| state.mirror.needs(desired, desired.fate() == Fate::Deleted);
    read_until_known(engine, needs, |state| {
        let mut observed = state.mirror.observed(desired);
        if let Observed::Policy(policy) = &mut observed {
            policy.holders = holders;
        }
        let instance = &engine.settings.instance;
        let plan = plan::plan(desired, &observed, &state.mirror, instance);
        if !state.index.widen_only(subject) {
            return look(state, &observed, plan);
        }
        let widening = plan::plan_widening(desired, &observed, &state.mirror, instance);
        let plan = Plan { withheld: widening.changes != plan.changes, ..widening };
        look(state, &observed, plan)
    })
    .await
}

fn report_of(plan: &Plan) -> Report {
    let policies = plan.kept.policies.iter().map(|name| format!("policy {name}"));
    let members = plan.kept.members.iter();
    let members =
        members.flat_map(|(group, members)| members.iter().map(move |name| format!("member {name} of {group}")));
    let stale = plan.waiting.stale_members.iter();
    let stale = stale.flat_map(|(group, members)| members.iter().map(move |name| format!("{name} in group {group}")));
    Report {
        missing_policies: plan.waiting.missing_policies.clone(),
        missing_users: plan.waiting.missing_users.clone(),
        holders: plan.waiting.holders.clone(),
        awaited_user: plan.waiting.user.clone(),
        stale_members: stale.collect(),
        kept: policies.chain(members).collect(),
        held_back: plan.withheld,
        leaves_undone: plan.withheld,
        ..Report::default()
    }
}

/// Carries the plan out, change by change; each is known to the mirror, the audit trail and whoever waited for it.
async fn apply(engine: &Engine, subject: &Subject, plan: &Plan, urgency: Urgency) -> Result<(), Failure> {
    if plan.changes.is_empty() {
        return Ok(());
    }
    let causes = engine.state().index.causes(subject);
    let turn = match urgency {
        Urgency::Urgent => minio::Urgency::Urgent,
        Urgency::Normal => minio::Urgency::Routine,
    };
    for change in &plan.changes {
        engine.server.apply(change, turn).await?;
        audit::record(&AuditLine::of_change(subject, change, causes.clone()));
        happened(engine, &mut engine.state(), subject, change);
    }
    tracing::info!(%subject, changes = plan.changes.len(), "converged");
    Ok(())
}

/// Takes a change that was carried out into the mirror, and wakes those who waited for it.
fn happened(engine: &Engine, state: &mut State, subject: &Subject, change: &Change) {
    let everyone = DocumentName::everyone();
    match change {
        Change::CreateUser { user, .. } => {
            // Whatever keys it had before went with the account, and where the server lost everything, its folders too.
            drift::doubt_keys(state, user.as_str());
            state.doubt_folders(subject.clone());
            engine.appeared(state, user.as_str());
        }
        Change::PutDocument { name, document, .. } => {
            let is_new = !state.mirror.has_policy(name);
            // A further document for everyone takes effect only once every user has it attached.
            if *subject == Subject::Everyone && is_new && name.number_in(&everyone) > Some(1) {
                queue_users(engine, state, |_| true);
            }
            engine.appeared(state, name.as_str());
            // Keys of those who hold it are confined from now on, or no more.
            let carries = carries_admin_actions(document);
            if matches!(subject, Subject::Policy(_)) && state.mirror.may_carry_admin_actions(name) != carries {
                let holders = state.mirror.holders(name);
                queue_users(engine, state, |user| holders.contains(user));
            }
        }
        Change::SetMapping { holder, policies, before } => {
            for released in before.difference(policies) {
                engine.appeared(state, released.as_str());
            }
            let admin = |name: &DocumentName| state.mirror.may_carry_admin_actions(name);
            // Keys of members are confined while the group carries admin actions.
            if let Holder::Group(group) = holder
                && policies.symmetric_difference(before).any(admin)
            {
                let members = state.mirror.members(group.as_str());
                queue_users(engine, state, |user| members.contains(user));
            }
        }
        Change::AddMembers { group, members } => {
            if matches!(state.mirror.known_group(group.as_str()), Some(None)) {
                state.doubt_folders(subject.clone());
            }
            let groups = BTreeSet::from([group.to_string()]);
            let carries = state.mirror.attachments("", &groups).any(|name| state.mirror.may_carry_admin_actions(name));
            if carries {
                queue_users(engine, state, |user| members.contains(user));
            }
        }
        // Only now its attachments can be read.
        Change::EnableGroup { .. } => engine.subjects.push(subject.clone(), Urgency::Normal, Duration::ZERO),
        Change::DeleteUser { user } => {
            let released: Vec<DocumentName> =
                state.mirror.attachments(user.as_str(), &BTreeSet::new()).cloned().collect();
            for name in released {
                engine.appeared(state, name.as_str());
            }
        }
        _ => {}
    }
    state.mirror.apply(change);
}

/// Queues the managed users that are chosen by name, and their keys.
fn queue_users(engine: &Engine, state: &State, chosen: impl Fn(&str) -> bool) {
    for declared in state.index.objects_of(Kind::MinioUser) {
        if let Ok(Body::User(user)) = &declared.body
            && chosen(user.name.as_str())
        {
            engine.subjects.push(Subject::User(user.name.clone()), Urgency::Normal, Duration::ZERO);
            engine.queue_keys(state, &user.name);
        }
    }
}

/// How many documents the subject has now, and their bytes.
fn measure(engine: &Engine, desired: &Desired) -> (usize, usize) {
    let observed = engine.state().mirror.observed(desired);
    let sizes =
        |documents: &Documents| (documents.len(), documents.values().flatten().map(Document::size).sum::<usize>());
    match &observed {
        Observed::Everyone(documents) => sizes(documents),
        Observed::Policy(policy) => {
            policy.document.iter().flatten().map(|document| (1, document.size())).next().unwrap_or_default()
        }
        Observed::User(user) => sizes(&user.documents),
        Observed::Group(group) => {
            let (main, twin) = (sizes(&group.main.documents), sizes(&group.twin.documents));
            (main.0 + twin.0, main.1 + twin.1)
        }
        Observed::Key(_) => (0, 0),
    }
}

/// What follows once the IAM is in place: folders and keys, or their end. What fails there does not hold up those who only
/// wait for the IAM.
async fn settle(
    engine: &Engine,
    subject: &Subject,
    desired: &Desired,
    owner: &Declared,
    report: &mut Report,
) -> Result<(), Failure> {
    if is_deleting(owner) {
        // Whoever insists wants the object to go, and nothing else.
        if report.is_stuck() || owner.meta.force_delete {
            return Ok(());
        }
        keys::retire(engine, owner).await?;
        report.erasing = workspace::remove(engine, owner, desired.fate()).await?;
        if let Some(erasing) = &report.erasing {
            report.held_back = true;
            engine.subjects.push(subject.clone(), Urgency::Normal, erasing.pause());
        }
        return Ok(());
    }
    // What is waited for comes first: a user without the guard could mint keys with its key.
    if report.awaited_user.is_some() {
        return Ok(());
    }
    let (folders, keys) = tokio::join!(workspace::lay_out(engine, subject, owner), issue(engine, desired, owner));
    if let Err(failure) = folders {
        unfinished(engine, subject, report, failure);
    }
    match keys {
        Ok(keys) => {
            if let Some(at) = keys.as_ref().and_then(|keys| keys.next_visit_at) {
                schedule_visit(engine, subject, at);
            }
            report.keys = keys.map(Box::new);
            see_to_former_keys(engine, subject, owner, report).await;
        }
        Err(failure) => unfinished(engine, subject, report, failure),
    }
    Ok(())
}

/// What a user could sign in with beside the keys of ours: the secret of an adopted account, and keys of others.
async fn see_to_former_keys(engine: &Engine, subject: &Subject, owner: &Declared, report: &mut Report) {
    let Subject::User(user) = subject else { return };
    match adopted_secret::see_to(engine, owner, report.keys.as_deref()).await {
        Ok(former) => {
            report.former_secret = former;
            if let Some(at) = former.and_then(FormerSecret::next_visit_at) {
                schedule_visit(engine, subject, at);
            }
        }
        Err(failure) => unfinished(engine, subject, report, failure),
    }
    let may_prune = adopted_secret::has_changed_over(engine, owner, report.keys.as_deref()).unwrap_or(false);
    foreign_keys::look(engine, owner, user, may_prune).await;
}

/// The key of a user or a workload; groups and policies have none.
async fn issue(engine: &Engine, desired: &Desired, owner: &Declared) -> Result<Option<Keys>, Failure> {
    match desired {
        Desired::User(user) => keys::ensure(engine, owner, &user.name, None).await,
        Desired::Key(key) => match (key.fate, &key.user) {
            (Fate::Present, Some(user)) => keys::ensure(engine, owner, user, key.scope.as_ref()).await,
            (Fate::Deleted, _) => keys::withdraw(engine, owner).await,
            (Fate::Present | Fate::Untouched, _) => Ok(None),
        },
        Desired::Everyone(_) | Desired::Policy(_) | Desired::Group(_) => Ok(None),
    }
}

fn schedule_visit(engine: &Engine, subject: &Subject, at: Timestamp) {
    let wait = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
    engine.subjects.push(subject.clone(), Urgency::Normal, wait.max(Duration::from_secs(1)));
}

/// Folders or keys are not there yet: the subject is taken up again, and its object says why. Where they were there, and only
/// another look at them failed, that is said when it has failed some times.
fn unfinished(engine: &Engine, subject: &Subject, report: &mut Report, failure: Failure) {
    let before = engine
        .state()
        .outcomes
        .get(subject)
        .and_then(|outcome| outcome.result.as_ref().ok())
        .map_or(0, |last| last.tries);
    report.tries = before.saturating_add(1);
    let delay = match failure.retry {
        Retry::OnChange => engine.settings.recheck,
        Retry::Backoff => backoff(report.tries),
        Retry::WhenUp => {
            engine.health.is_down(failure.message.clone());
            Duration::ZERO
        }
    };
    if report.tries == 1 {
        tracing::warn!(%subject, reason = failure.reason, message = failure.message, "folders or keys are not ready");
    }
    engine.subjects.push(subject.clone(), Urgency::Normal, delay);
    let may_be_hiccup = report.tries <= HICCUPS && failure.retry != Retry::OnChange;
    match engine.state().keys_in_place(subject).filter(|_| may_be_hiccup) {
        Some(keys) => {
            report.keys.get_or_insert_with(|| Box::new(keys.clone()));
        }
        None => {
            report.unfinished.get_or_insert(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::meta::{FINALIZER, annotation};
    use crate::iam::index::IndexConfig;
    use crate::iam::layout::{BerdlParameters, Layout, LayoutSpec};
    use crate::iam::names::UserName;
    use crate::kubernetes::decode_dynamic;

    /// What comes next for alice, whose object has this metadata and this origin.
    fn next(metadata: Value, origin: Option<&str>) -> Next {
        let mut object = json!({
            "apiVersion": "minio-manager.io/v1alpha1", "kind": "MinioUser", "spec": {}, "metadata": metadata,
        });
        object["metadata"]["name"] = "alice".into();
        object["metadata"]["namespace"] = "lake".into();
        if let Some(origin) = origin {
            object["status"] = json!({"username": "alice", "origin": origin});
        }
        let layout = Layout::new(&LayoutSpec::Simple, &BerdlParameters::default()).unwrap();
        let mut index = Index::new(IndexConfig::new(layout, "lake"));
        let subject = Subject::User(UserName::parse("alice").unwrap());
        assert_eq!(Ground::of(&index, &subject).next(false), Next::Nothing, "nobody declares alice");
        index.apply(decode_dynamic(Kind::MinioUser, serde_json::from_value(object).unwrap()).event);
        let ground = Ground::of(&index, &subject);
        assert_eq!(ground.next(true), Next::Foresee, "nothing is done in observe mode");
        ground.next(false)
    }

    #[test]
    fn an_account_is_claimed_before_anything_is_planned_for_it() {
        let ours = json!({"finalizers": [FINALIZER]});
        assert_eq!(next(json!({}), None), Next::Claim);
        assert_eq!(next(ours.clone(), None), Next::Claim);
        assert_eq!(next(json!({}), Some("Created")), Next::Claim, "somebody took our finalizer away");
        assert_eq!(next(ours, Some("Created")), Next::Plan);
    }

    #[test]
    fn a_deletion_is_planned_and_a_pause_only_told() {
        let going = json!({"finalizers": [FINALIZER], "deletionTimestamp": "2026-01-01T00:00:00Z"});
        assert_eq!(next(going.clone(), Some("Created")), Next::Plan);
        assert_eq!(next(going, None), Next::Plan, "nothing was taken, but its Secrets go");
        let paused = json!({"finalizers": [FINALIZER], "annotations": {annotation::RECONCILE: annotation::PAUSED}});
        assert_eq!(next(paused, Some("Created")), Next::Foresee);
    }
}
