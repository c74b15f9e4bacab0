//! One subject, brought to what the objects say: observe, desire, plan, apply, report.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::api::meta::reason;
use crate::api::{AdoptionPolicy, Origin};
use crate::iam::change::Change;
use crate::iam::check::carries_admin_actions;
use crate::iam::declared::{Body, Declared};
use crate::iam::desired::{Desired, Fate};
use crate::iam::index::Event;
use crate::iam::names::{DocumentName, PolicyName};
use crate::iam::observed::{Observed, Surroundings};
use crate::iam::plan::{self, Plan};
use crate::iam::subject::{Kind, Subject};
use crate::minio;
use crate::telemetry::{AuditLine, audit, metrics};

use super::engine::{Engine, State};
use super::outcome::{Failure, Outcome, Report, Retry};
use super::queue::Urgency;
use super::{keys, workspace};

/// How often reading may reveal more to read: attachments name documents, documents name nothing further.
const READ_ROUNDS: usize = 64;

/// How often the clock is looked at while an expiry is awaited.
const CLOCK_CHECK: Duration = Duration::from_secs(30);

/// Takes subjects from the queue, one at a time, until `stop`; what was begun is finished.
pub async fn work(engine: Arc<Engine>, stop: CancellationToken) {
    loop {
        let next = async {
            engine.health.wait_up().await;
            engine.subjects.next().await
        };
        let (subject, urgency) = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            next = next => next,
        };
        converge(&engine, &subject, urgency).await;
        engine.subjects.done(&subject);
    }
}

/// Converges one subject and records what became of it.
pub async fn converge(engine: &Engine, subject: &Subject, urgency: Urgency) {
    let started = Instant::now();
    let failures = engine.state().outcomes.get(subject).map_or(0, |outcome| outcome.failures);
    let (desired, sequence) = engine.desired(subject);
    let result = run(engine, subject, &desired, urgency).await;
    engine.metrics.converged(subject, outcome_label(&result), started.elapsed());
    let failures = if result.is_ok() { 0 } else { failures.saturating_add(1) };
    if let Err(failure) = &result {
        recover(engine, &desired, failure, failures, subject);
    }
    engine.finish(subject, urgency, Outcome { sequence, failures, result });
}

fn outcome_label(result: &Result<Report, Failure>) -> metrics::Outcome {
    match result {
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
fn recover(engine: &Engine, desired: &Desired, failure: &Failure, failures: u32, subject: &Subject) {
    engine.state().mirror.forget(desired);
    if failure.retry == Retry::WhenUp && engine.health.is_down(failure.message.clone()) {
        tracing::warn!(problem = failure.message, "MinIO cannot be reached; changes wait until it answers");
    }
    if failures <= 1 {
        tracing::warn!(%subject, reason = failure.reason, message = failure.message, "not converged");
    }
}

async fn run(engine: &Engine, subject: &Subject, desired: &Desired, urgency: Urgency) -> Result<Report, Failure> {
    let owner = engine.state().index.object_of(subject).cloned();
    let fate = fate_of(desired);
    if fate == Fate::Untouched && !owner.as_ref().is_some_and(is_deleting) {
        return Ok(Report::default());
    }
    observe(engine, desired, fate).await?;
    if let Some(owner) = owner.as_ref().filter(|_| fate == Fate::Present && !engine.settings.observe) {
        claim(engine, subject, desired, owner).await?;
    }
    learn_policies(engine, desired);
    // The origin decides what happens to attachments that nobody declares, and what a policy on the server carries decides
    // whether it may be attached: both are known to the compiler only now.
    let (desired, _) = engine.desired(subject);
    let holders = policy_holders(engine, &desired).await?;
    let plan = make_plan(engine, subject, &desired, holders);
    let mut report = Report {
        missing_policies: plan.waiting.missing_policies.clone(),
        missing_users: plan.waiting.missing_users.clone(),
        holders: plan.waiting.holders.iter().cloned().chain(stale_members(&plan)).collect(),
        kept: kept(&plan),
        ..Report::default()
    };
    if engine.settings.observe {
        report.planned = plan.changes.iter().map(|change| change.describe().to_string()).collect();
        return Ok(report);
    }
    apply(engine, subject, &plan, urgency).await?;
    report.changes = plan.changes.len();
    report.documents = measure(engine, &desired);
    if let Some(owner) = &owner {
        settle(engine, subject, &desired, owner, &mut report).await?;
    }
    Ok(report)
}

fn is_deleting(owner: &Declared) -> bool {
    owner.meta.deleting.is_some()
}

fn fate_of(desired: &Desired) -> Fate {
    match desired {
        Desired::Everyone(_) => Fate::Present,
        Desired::Policy(policy) => policy.fate,
        Desired::User(user) => user.fate,
        Desired::Group(group) => group.fate,
    }
}

/// Reads what is not known yet.
async fn observe(engine: &Engine, desired: &Desired, fate: Fate) -> Result<(), Failure> {
    for _ in 0..READ_ROUNDS {
        let needs = engine.state().mirror.needs(desired, fate == Fate::Deleted);
        if needs.is_empty() {
            return Ok(());
        }
        let facts = engine.server.read_all(needs).await?;
        let mut state = engine.state();
        for fact in facts {
            fact.enter(&mut state.mirror);
        }
    }
    Err(Failure::transient("MinIO lists ever more documents of this subject; it is read again later"))
}

/// Who has a policy attached that shall go, unmanaged users and groups included: the server itself is asked.
async fn policy_holders(engine: &Engine, desired: &Desired) -> Result<BTreeSet<String>, Failure> {
    match desired {
        Desired::Policy(policy) if policy.fate == Fate::Deleted => {
            Ok(engine.server.policy_holders(policy.name.as_str()).await?)
        }
        _ => Ok(BTreeSet::new()),
    }
}

/// While an object that could touch the subject has never been readable, nothing is taken away.
fn make_plan(engine: &Engine, subject: &Subject, desired: &Desired, holders: BTreeSet<String>) -> Plan {
    let state = engine.state();
    let mut observed = state.mirror.observed(desired);
    if let Observed::Policy(policy) = &mut observed {
        policy.holders = holders;
    }
    let instance = &engine.settings.instance;
    if state.index.widen_only(subject) {
        return plan::plan_widening(desired, &observed, &state.mirror, instance);
    }
    plan::plan(desired, &observed, &state.mirror, instance)
}

/// Tells the index what the policies that the subject refers to are on the server: absent, ordinary, or with admin actions.
fn learn_policies(engine: &Engine, desired: &Desired) {
    let referred: Vec<&DocumentName> = match desired {
        Desired::User(user) => user.policies.iter().collect(),
        Desired::Group(group) => group.main.policies.iter().collect(),
        Desired::Everyone(_) | Desired::Policy(_) => return,
    };
    let mut state = engine.state();
    let mut known = state.policies.clone();
    for name in referred {
        let Ok(policy) = PolicyName::parse(name.as_str()) else { continue };
        if state.mirror.has_policy(name) {
            known.absent.remove(&policy)
        } else {
            known.absent.insert(policy.clone())
        };
        if state.mirror.document(name).is_some_and(carries_admin_actions) {
            known.admin.insert(policy);
        } else {
            known.admin.remove(&policy);
        }
    }
    if known != state.policies {
        state.policies = known.clone();
        let dirty = state.index.apply(Event::Policies(known));
        engine.spread(&mut state, dirty, None);
    }
}

/// Before the first side effect: decides whether what the server has under the name may be taken, and writes finalizer and
/// origin.
async fn claim(engine: &Engine, subject: &Subject, desired: &Desired, owner: &Declared) -> Result<(), Failure> {
    let needs_finalizer = !owner.meta.finalizer;
    let origin = match owner.meta.origin {
        Some(_) if !needs_finalizer => return Ok(()),
        Some(origin) => origin,
        None => {
            reread(engine, desired).await?;
            let observed = engine.state().mirror.observed(desired);
            decide_origin(subject, &observed, desired, owner, &engine.mark())?
        }
    };
    let key = &owner.meta.key;
    let Some(seen) = engine.state().seen.get(key).cloned() else { return Ok(()) };
    let finalized = engine.objects.add_finalizer(key, &seen).await?;
    let recorded = engine.objects.write_origin(key, &seen, subject_name(subject), origin).await?;
    let (Some(_), Some(object)) = (finalized, recorded) else {
        return Err(Failure::transient("the object went away before anything was done for it"));
    };
    engine.upsert(super::decode::decode_dynamic(key.kind, object));
    Ok(())
}

/// Somebody may have created the account, group or policy since it was last known to be absent.
async fn reread(engine: &Engine, desired: &Desired) -> Result<(), Failure> {
    engine.state().mirror.forget(desired);
    observe(engine, desired, Fate::Present).await
}

fn subject_name(subject: &Subject) -> &str {
    match subject {
        Subject::Everyone => "",
        Subject::Policy(name) => name.as_str(),
        Subject::User(name) => name.as_str(),
        Subject::Group(name) => name.as_str(),
    }
}

/// What the server has under the name of a subject that was never claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Absent,
    /// It carries the label of this installation: what is missing is only the status that said so.
    Ours,
    Foreign,
}

fn standing(observed: &Observed, mark: &str) -> Standing {
    let marked = |documents: &crate::iam::observed::Documents| {
        documents.values().flatten().any(|document| document.carries_sid(mark))
    };
    let (exists, ours) = match observed {
        Observed::Everyone(_) => (false, true),
        Observed::Policy(policy) => {
            let content = policy.document.as_ref();
            (content.is_some(), content.and_then(Option::as_ref).is_some_and(|document| document.carries_sid(mark)))
        }
        Observed::User(user) => (user.account.is_some(), marked(&user.documents)),
        Observed::Group(group) => (
            group.main.state.is_some() || group.twin.state.is_some(),
            marked(&group.main.documents) || marked(&group.twin.documents),
        ),
    };
    match (exists, ours) {
        (false, _) => Standing::Absent,
        (true, true) => Standing::Ours,
        (true, false) => Standing::Foreign,
    }
}

/// Whether a subject that was never claimed is created or adopted.
///
/// # Errors
/// What the server has under the name may not be taken.
pub fn decide_origin(
    subject: &Subject,
    observed: &Observed,
    desired: &Desired,
    owner: &Declared,
    mark: &str,
) -> Result<Origin, Failure> {
    match standing(observed, mark) {
        Standing::Absent | Standing::Ours => Ok(Origin::Created),
        Standing::Foreign if may_adopt(observed, desired, owner) => Ok(Origin::Adopted),
        Standing::Foreign => Err(Failure::stalled(
            reason::ALREADY_EXISTS,
            format!(
                "the {subject} exists on MinIO already and was not made by this object; \
                 set spec.adoptionPolicy to Adopt to take it over, or choose another name"
            ),
        )),
    }
}

fn may_adopt(observed: &Observed, desired: &Desired, owner: &Declared) -> bool {
    let policy = match &owner.body {
        Ok(Body::User(user)) => user.adoption,
        Ok(Body::Group(group)) => group.adoption,
        Ok(Body::Policy(policy)) => policy.adoption,
        _ => AdoptionPolicy::Refuse,
    };
    policy == AdoptionPolicy::Adopt || (owner.meta.rest && is_legacy_account(observed, desired))
}

/// Whether an account has exactly the attachments that the layout gives a user: it was made for the same purpose before.
fn is_legacy_account(observed: &Observed, desired: &Desired) -> bool {
    let (Observed::User(user), Desired::User(wanted)) = (observed, desired) else { return false };
    let expected: std::collections::BTreeSet<DocumentName> = [&wanted.home, &wanted.system]
        .into_iter()
        .filter(|family| !family.is_empty())
        .map(|family| family.base.clone())
        .collect();
    user.account.as_ref().is_some_and(|account| account.attached == expected)
}

/// Names in a group that are no users any more; the server refuses to take them out.
fn stale_members(plan: &Plan) -> impl Iterator<Item = String> {
    plan.waiting.stale_members.iter().flat_map(|(group, members)| {
        members.iter().map(move |member| format!("{member}, a member of group {group} that is no user any more"))
    })
}

/// What stays although no object declares it, in words.
fn kept(plan: &Plan) -> Vec<String> {
    let policies = plan.kept.policies.iter().map(|name| format!("policy {name}"));
    let members = plan
        .kept
        .members
        .iter()
        .flat_map(|(group, members)| members.iter().map(move |member| format!("member {member} of group {group}")));
    policies.chain(members).collect()
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
        let mut state = engine.state();
        let is_new = matches!(change, Change::PutDocument { name, .. } if !state.mirror.has_policy(name));
        state.mirror.apply(change);
        match change {
            Change::CreateUser { user, .. } => engine.appeared(&mut state, user.as_str()),
            Change::PutDocument { name, .. } => {
                engine.appeared(&mut state, name.as_str());
                if *subject == Subject::Everyone && is_new && name.number_in(&DocumentName::everyone()) > Some(1) {
                    attach_to_everybody(engine, &state);
                }
            }
            Change::SetMapping { policies, before, .. } => {
                for released in before.difference(policies) {
                    engine.appeared(&mut state, released.as_str());
                }
            }
            _ => {}
        }
    }
    tracing::info!(%subject, changes = plan.changes.len(), "converged");
    Ok(())
}

/// A further document for everyone takes effect only once every user has it attached.
fn attach_to_everybody(engine: &Engine, state: &State) {
    for declared in state.index.objects_of(Kind::MinioUser) {
        if let Ok(Body::User(user)) = &declared.body {
            engine.subjects.push(Subject::User(user.name.clone()), Urgency::Normal, Duration::ZERO);
        }
    }
}

/// How many documents the subject has now, and their bytes.
fn measure(engine: &Engine, desired: &Desired) -> (usize, usize) {
    let observed = engine.state().mirror.observed(desired);
    let sizes = |documents: &crate::iam::observed::Documents| {
        let bytes: usize = documents.values().flatten().map(crate::iam::document::Document::size).sum();
        (documents.len(), bytes)
    };
    match &observed {
        Observed::Everyone(documents) => sizes(documents),
        Observed::Policy(_) => (0, 0),
        Observed::User(user) => sizes(&user.documents),
        Observed::Group(group) => {
            let (main, twin) = (sizes(&group.main.documents), sizes(&group.twin.documents));
            (main.0 + twin.0, main.1 + twin.1)
        }
    }
}

/// What follows once the IAM is in place: folders and keys, or their end.
async fn settle(
    engine: &Engine,
    subject: &Subject,
    desired: &Desired,
    owner: &Declared,
    report: &mut Report,
) -> Result<(), Failure> {
    if is_deleting(owner) {
        if !report.holders.is_empty() {
            return Ok(());
        }
        workspace::remove(engine, owner, fate_of(desired)).await?;
        return keys::retire(engine, owner).await;
    }
    workspace::lay_out(engine, subject, owner).await?;
    if let Desired::User(user) = desired {
        match keys::ensure(engine, owner, user).await {
            Ok(issued) => {
                if let Some(issued) = &issued {
                    schedule_renewal(engine, subject, issued.next_rotation_at);
                }
                report.credentials = issued;
            }
            Err(failure) => keys_failed(engine, subject, report, failure)?,
        }
    }
    Ok(())
}

fn schedule_renewal(engine: &Engine, subject: &Subject, at: Timestamp) {
    let wait = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
    engine.subjects.push(subject.clone(), Urgency::Normal, wait.max(Duration::from_secs(1)));
}

/// A Secret that is somebody else's holds up the credentials and nothing else; other failures are tried again.
fn keys_failed(engine: &Engine, subject: &Subject, report: &mut Report, failure: Failure) -> Result<(), Failure> {
    if failure.retry != Retry::OnChange {
        return Err(failure);
    }
    engine.subjects.push(subject.clone(), Urgency::Normal, engine.settings.recheck);
    report.credentials_failure = Some(failure);
    Ok(())
}

/// Asks an unreachable server until it answers, for ever.
pub async fn probe(engine: Arc<Engine>) {
    let mut first = true;
    loop {
        engine.health.wait_down().await;
        engine.report_all();
        while engine.server.reach().await.is_err() {
            tokio::time::sleep(super::health::PROBE_INTERVAL).await;
        }
        // The server may have been restored or replaced meanwhile: what was known of it is read again.
        engine.state().forget_server();
        if engine.health.is_up() {
            tracing::info!("MinIO answers");
        }
        if !std::mem::take(&mut first) {
            match engine.learn_accounts().await {
                Ok(()) => engine.converge_all(),
                Err(error) => {
                    engine.health.is_down(format!("MinIO: {}", crate::telemetry::chain(&error)));
                }
            }
        }
        engine.subjects.hurry();
        engine.report_all();
    }
}

/// Lets grants and memberships end at their instant, for ever.
pub async fn keep_time(engine: Arc<Engine>) {
    loop {
        let changed = engine.expiry.notified();
        let next = engine.state().index.next_expiry(Timestamp::now());
        match next {
            None => changed.await,
            Some(at) => {
                // The clock of the machine may be set or stand still, so it is looked at again and again.
                let wait = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
                tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep(wait.min(CLOCK_CHECK)) => engine.tick(Timestamp::now()),
                }
            }
        }
    }
}
