//! Which key an object wants, handed to the issuer.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::CredentialsSpec;
use crate::iam::declared::{Body, Declared, KeyRequests};
use crate::iam::document::{Document, Effect, Statement};
use crate::iam::names::UserName;
use crate::iam::subject::Kind;
use crate::minio::{AccessKey, Urgency};
use crate::telemetry::metrics::{DriftKind, IssueOutcome};

use crate::config::duration as parse_duration;

use super::credentials::{Check, Forgotten, IssueReason, Issued, KeyOwner, Recorded, default_secret_name};
use super::engine::{Engine, Settings};
use super::observe::read_until_known;
use super::outcome::Failure;
use super::state::State;

/// How it stands with the keys of an object.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The published key; none while the user is disabled and has no key or none that was not revoked, and none where the
    /// object gives nothing.
    pub issued: Option<Issued>,
    /// Which requests have been handled.
    pub handled: KeyRequests,
    /// When they are to be seen to again; never while the user is disabled, whom a change has to enable first.
    pub next_visit_at: Option<Timestamp>,
}

/// Sees to it that the object's Secret holds a working key of the user, confined to `scope`, and that what was asked of it is
/// done.
pub async fn ensure(
    engine: &Engine,
    owner: &Declared,
    user: &UserName,
    scope: Option<&Document>,
) -> Result<Option<Keys>, Failure> {
    let Some(mut key_owner) = key_owner(engine, owner)? else { return Ok(None) };
    (key_owner.enabled, key_owner.session_policy) = standing(engine, user, scope).await?;
    // A restart trusts no memory: the first look at every key is a real one.
    let check = if engine.state().proven.contains(&owner.meta.uid) { Check::Watched } else { Check::Proven };
    // Behind a user of the REST service somebody waits for the first login.
    let is_awaited = owner.meta.rest && key_owner.last.is_none();
    let urgency = if is_awaited { Urgency::Urgent } else { key_owner.urgency() };
    let issued = engine.issuer.ensure(&key_owner, check, urgency, Timestamp::now()).await;
    let issued = issued.inspect_err(|_| engine.metrics.credentials_issued(IssueOutcome::Failed))?;
    if issued.is_some() {
        engine.state().proven.insert(owner.meta.uid.clone());
    }
    if key_owner.ends_all_keys && key_owner.owes_revocation() {
        look_at_other_keys(engine, user);
    }
    if let Some(issued) = issued.as_ref().filter(|issued| issued.is_new) {
        engine.metrics.credentials_issued(IssueOutcome::Published);
        let (secret, expires, because) = (&issued.secret_name, issued.expires_at, issued.because);
        tracing::info!(%user, secret, %expires, ?because, "key published");
        count_repair(engine, &key_owner, issued);
    }
    let next_visit_at = issued.as_ref().filter(|_| key_owner.enabled).map(Issued::next_visit_at);
    Ok(Some(Keys { issued, handled: key_owner.handled_by_a_run(), next_visit_at }))
}

/// Whether the Secret of an object holds the key that it should, which the server takes. Costs one read of MinIO, and writes
/// nothing: where the answer is no, a run has something to do.
pub async fn are_in_order(engine: &Engine, owner: &Declared, scope: Option<&Document>) -> Result<bool, Failure> {
    let Some(mut key_owner) = key_owner(engine, owner)? else { return Ok(true) };
    (key_owner.enabled, key_owner.session_policy) = standing(engine, &key_owner.user, scope).await?;
    Ok(engine.issuer.is_in_order(&key_owner, Timestamp::now()).await?)
}

/// The user's keys were all ended but one: those of workloads are to be proven, and replaced, now.
fn look_at_other_keys(engine: &Engine, user: &UserName) {
    let mut state = engine.state();
    let uids: Vec<Arc<str>> = state.index.keys_of(user).map(|declared| declared.meta.uid.clone()).collect();
    for uid in uids {
        state.proven.remove(&uid);
    }
    engine.queue_keys(&state, user);
}

/// Takes away what an object has that gives nothing for now: locked, ended, or without its user.
pub async fn withdraw(engine: &Engine, owner: &Declared) -> Result<Option<Keys>, Failure> {
    let Some(key_owner) = key_owner(engine, owner)? else { return Ok(None) };
    if engine.issuer.may_have_issued(&key_owner) {
        retire(engine, owner).await?;
        tracing::info!(object = %owner.meta.key, user = %key_owner.user, "key withdrawn");
    }
    Ok(Some(Keys { issued: None, handled: key_owner.requests, next_visit_at: None }))
}

/// Counts a key that was made because somebody took its Secret, or the key itself, away.
fn count_repair(engine: &Engine, owner: &KeyOwner, issued: &Issued) {
    let undone = match issued.because {
        Some(IssueReason::KeyGone) => DriftKind::Key,
        Some(IssueReason::Damaged | IssueReason::OtherUser) => DriftKind::Secret,
        Some(IssueReason::NoSecret) if owner.last.is_some() => DriftKind::Secret,
        _ => return,
    };
    engine.metrics.drift_repair(undone);
}

/// Takes away the Secrets of an object that goes, and the keys that were issued for it.
pub async fn retire(engine: &Engine, owner: &Declared) -> Result<(), Failure> {
    let Some(key_owner) = key_owner(engine, owner)? else { return Ok(()) };
    // What is not known of the account, such as after a failure, must not keep its keys alive.
    let may_exist = !engine.state().mirror.lacks_user(key_owner.user.as_str());
    engine.issuer.retire(&key_owner, may_exist, Urgency::Urgent).await?;
    engine.state().proven.remove(&owner.meta.uid);
    Ok(())
}

/// Deletes those of these keys that were issued for the object and had ended, and says which; see [`Issuer::end_forgotten`].
///
/// [`Issuer::end_forgotten`]: super::credentials::Issuer::end_forgotten
pub async fn end_forgotten(engine: &Engine, owner: &Declared, keys: &[AccessKey]) -> Result<Forgotten, Failure> {
    let Some(key_owner) = key_owner(engine, owner)? else { return Ok(Forgotten::default()) };
    Ok(engine.issuer.end_forgotten(&key_owner, keys, Timestamp::now()).await?)
}

/// Takes away the Secrets of an object that is let go by force. Its keys live on, as far as they are still there.
pub async fn abandon(engine: &Engine, owner: &Declared) -> Result<(), Failure> {
    let Some(key_owner) = key_owner(engine, owner)? else { return Ok(()) };
    Ok(engine.issuer.retire(&key_owner, false, Urgency::Urgent).await?)
}

/// The Secret that an object wants; none where it is of no kind with keys, or cannot be read.
pub fn secret_name(owner: &Declared) -> Option<String> {
    let (user, credentials) = match &owner.body {
        Ok(Body::User(user)) => (&user.name, &user.credentials),
        Ok(Body::Key(key)) => (&key.user, &key.credentials),
        _ => return None,
    };
    Some(credentials.secret_name.clone().unwrap_or_else(|| default_secret_name(user)))
}

/// The object as the issuer knows it, with a user that is not known to be enabled.
fn key_owner(engine: &Engine, owner: &Declared) -> Result<Option<KeyOwner>, Failure> {
    let (user, credentials, ends_at) = match &owner.body {
        Ok(Body::User(user)) => (&user.name, &user.credentials, None),
        Ok(Body::Key(key)) => (&key.user, &key.credentials, key.expires_at),
        _ => return Ok(None),
    };
    let Some(secret_name) = secret_name(owner) else { return Ok(None) };
    let (interval, overlap) = intervals(credentials, &engine.settings)?;
    let waits = engine.state().why_credentials_wait();
    let (last, handled) = recorded(engine, owner);
    Ok(Some(KeyOwner {
        kind: owner.meta.key.kind.as_str(),
        namespace: owner.meta.key.namespace.clone(),
        object_name: owner.meta.key.name.clone(),
        uid: owner.meta.uid.to_string(),
        user: user.clone(),
        secret_name,
        interval,
        overlap,
        ends_at,
        session_policy: None,
        enabled: false,
        waits,
        ends_all_keys: owner.meta.key.kind == Kind::MinioUser,
        last,
        cause: owner.cause(),
        requests: owner.meta.requests.clone(),
        handled,
    }))
}

/// What the status says of the key, and what it calls done.
fn recorded(engine: &Engine, owner: &Declared) -> (Option<Recorded>, KeyRequests) {
    let key = engine.state().seen.get(&owner.meta.key).map(|seen| seen.status.key()).unwrap_or_default();
    let handled = KeyRequests { rotate: key.last_handled_rotate, revoke: key.last_handled_revoke };
    let last = key.secret_name.zip(key.access_key);
    (last.map(|(secret_name, access_key)| Recorded { secret_name, access_key }), handled)
}

/// Whether the account may sign in, and what its keys must be confined to: read where it is not known, for what is not known
/// confines nobody. A scope names S3 actions only, so it keeps a key from admin rights by itself.
async fn standing(
    engine: &Engine,
    user: &UserName,
    scope: Option<&Document>,
) -> Result<(bool, Option<Document>), Failure> {
    let needs = |state: &State| state.mirror.needs_of_attachments(user.as_str(), &groups_of(state, user));
    read_until_known(engine, needs, |state| {
        let Some(account) = state.mirror.account(user.as_str()) else { return (false, None) };
        let groups = groups_of(state, user);
        let mut attachments = state.mirror.attachments(user.as_str(), &groups);
        let confined = attachments.any(|name| state.mirror.may_carry_admin_actions(name));
        (account.enabled, scope.cloned().or_else(|| confined.then(s3_only)))
    })
    .await
}

/// The groups that the user is to be in, and while removals are held also those that it still is in.
fn groups_of(state: &State, user: &UserName) -> BTreeSet<String> {
    let declared = state.index.groups_of(user, Timestamp::now());
    let mut groups: BTreeSet<String> = declared.keys().map(ToString::to_string).collect();
    if state.breaker.is_holding() {
        groups.append(&mut state.mirror.groups_with(user.as_str()));
    }
    groups
}

/// What keeps a key of a user with admin rights from using them.
fn s3_only() -> Document {
    Document::new(vec![Statement::new(Effect::Allow, ["s3:*"], ["arn:aws:s3:::*"])])
}

/// The renewal interval and the life of a replaced key. An absent overlap is the smaller of the configured one and the
/// interval; an absent interval the larger of the configured one and the overlap.
pub fn intervals(spec: &CredentialsSpec, settings: &Settings) -> Result<(SignedDuration, SignedDuration), Failure> {
    let parse = |field: &str, text: Option<&String>| {
        text.map(|text| parse_duration(text).map(signed)).transpose().map_err(|error| {
            Failure::stalled(crate::api::meta::reason::INVALID_NAME, format!("spec.credentials.{field}: {error}"))
        })
    };
    let interval = parse("rotationInterval", spec.rotation_interval.as_ref())?;
    let overlap = parse("overlap", spec.overlap.as_ref())?;
    Ok(match (interval, overlap) {
        (Some(interval), Some(overlap)) => (interval, overlap),
        (Some(interval), None) => (interval, settings.overlap.min(interval)),
        (None, Some(overlap)) => (settings.rotation_interval.max(overlap), overlap),
        (None, None) => (settings.rotation_interval, settings.overlap),
    })
}

fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
