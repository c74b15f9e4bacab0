//! What to do next, decided from what is there: no call is made here.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::secret::{KeyFacts, SecretFacts, pending_name};
use super::{Error, KeyOwner};
use crate::iam::document::Document;
use crate::iam::family;
use crate::minio::{KeyState, is_generated_access_key};

/// The shortest life of a key: the server takes 15 minutes, and clocks differ.
const SHORTEST_LIFE: SignedDuration = SignedDuration::from_mins(16);
/// The longest life of a key: the server takes 365 days, and clocks differ.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(364 * 24);

/// How closely a run looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// What the watch knows is enough: nothing is called where everything is well.
    Watched,
    /// The key that the watch shows is proven with a signed request: one MinIO read.
    Proven,
}

/// Whether the server takes the key in the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOnServer {
    /// Nobody asked.
    Unchecked,
    /// It does.
    Works,
    /// It does not: deleted, disabled, expired, or with another secret.
    Gone,
}

/// Why a new key is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssueReason {
    /// There is no Secret.
    NoSecret,
    /// Somebody else wrote the Secret, or it lacks something.
    Damaged,
    /// The key acts as another user.
    OtherUser,
    /// The key is confined in another way than its owner wants.
    OtherPolicy,
    /// The key was made before the last revocation.
    Revoked,
    /// Somebody asks for another key.
    Requested,
    /// The server does not take the key.
    KeyGone,
    /// The key is as old as its owner wants it, or nears its end.
    Due,
}

/// What an enabled user's Secret needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Keep,
    /// The same key in today's words: endpoint, region, files or label changed.
    Rewrite,
    /// A new key.
    Issue(IssueReason),
}

/// What an enabled user's Secret needs, from what is known of it.
pub fn judge(owner: &KeyOwner, secret: Option<&SecretFacts>, server: KeyOnServer, now: Timestamp) -> Verdict {
    let Some(secret) = secret else { return Verdict::Issue(IssueReason::NoSecret) };
    let Some(key) = &secret.key else { return Verdict::Issue(IssueReason::Damaged) };
    let rotation = owner.wanted().rotate;
    if key.user != owner.user.as_str() {
        Verdict::Issue(IssueReason::OtherUser)
    } else if key.session_policy != owner.session_policy_text() {
        Verdict::Issue(IssueReason::OtherPolicy)
    } else if owner.is_revoked(key) {
        Verdict::Issue(IssueReason::Revoked)
    } else if rotation.is_some() && key.made_for.rotate != rotation {
        Verdict::Issue(IssueReason::Requested)
    } else if server == KeyOnServer::Gone {
        Verdict::Issue(IssueReason::KeyGone)
    } else if now >= next_rotation(owner, key) {
        Verdict::Issue(IssueReason::Due)
    } else if !secret.current {
        Verdict::Rewrite
    } else {
        Verdict::Keep
    }
}

/// When a key is to be replaced: after the interval less some jitter, but not while the key before it still lives, and early
/// enough before its end if the interval was made longer since. The last key of all is only replaced for its age.
///
/// A longer overlap does not take its time from the key before, whose end was told already, unless half of it would be missing.
pub fn next_rotation(owner: &KeyOwner, key: &KeyFacts) -> Timestamp {
    let wanted = saturating_add(key.issued_at, owner.interval - jitter(owner, key));
    let previous_ends = key.previous_expires_at.unwrap_or(Timestamp::MIN);
    let after_previous = wanted.max(previous_ends);
    if owner.ends_at.is_some_and(|end| end <= key.expires_at) {
        return after_previous;
    }
    let life = key.expires_at.duration_since(key.issued_at);
    let reserve = owner.overlap.min(life / 2).max(SignedDuration::ZERO);
    let early_enough = saturating_add(key.serves_until, -reserve);
    let latest = saturating_add(key.serves_until, -reserve / 2);
    after_previous.min(early_enough.max(previous_ends.min(latest)))
}

/// Until when a key that is published now serves those who read it: the overlap after it is replaced.
///
/// Programs ask for the next key shortly before this instant, so none may be promised longer than it lives.
pub(super) fn serves_until(owner: &KeyOwner, key: &KeyFacts) -> Timestamp {
    let longest = KeyFacts { serves_until: key.expires_at, ..key.clone() };
    whole_seconds(saturating_add(next_rotation(owner, &longest), owner.overlap)).min(key.expires_at)
}

/// Up to a tenth of the interval, always the same for a key: users who came together shall not be renewed together for ever.
fn jitter(owner: &KeyOwner, key: &KeyFacts) -> SignedDuration {
    let hash = Sha256::digest(format!("{} {}", owner.uid, key.access_key));
    let fraction = i64::from(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]));
    let tenth = owner.interval.as_secs().max(0) / 10;
    SignedDuration::from_secs(tenth.saturating_mul(fraction) >> 32)
}

/// When a key made now ends on the server, which knows whole seconds: with its owner at the latest, or as soon after that as
/// the server can.
pub(super) fn expiration(owner: &KeyOwner, now: Timestamp) -> Timestamp {
    let life = owner.interval.saturating_add(owner.overlap);
    let left = owner.ends_at.map_or(SignedDuration::MAX, |end| end.duration_since(now));
    whole_seconds(saturating_add(now, life.min(left).clamp(SHORTEST_LIFE, LONGEST_LIFE)))
}

/// When a key that is replaced now ends: with the overlap, or on the server before that. One that may do what keys of its
/// owner must not do any more ends at once.
pub(super) fn end_of_previous(
    owner: &KeyOwner,
    former: Option<&KeyFacts>,
    on_server: Timestamp,
    now: Timestamp,
) -> Timestamp {
    if former.is_some_and(|key| may_do_more(key, owner)) {
        return now;
    }
    on_server.min(whole_seconds(saturating_add(now, owner.overlap)))
}

fn may_do_more(key: &KeyFacts, owner: &KeyOwner) -> bool {
    let wanted = owner.session_policy.as_ref();
    let Some(text) = &key.session_policy else { return wanted.is_some() };
    let held = serde_json::from_str(text).ok().and_then(|value| Document::from_value(&value).ok());
    held.is_none_or(|held| !family::is_no_narrower(wanted, Some(&held)))
}

/// A time as the server keeps it.
pub(super) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn saturating_add(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(time)
}

/// What is known of one of the two Secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing that may be relied on.
    Unread,
    /// It does not exist.
    Absent,
    /// It is the owner's.
    Ours(Arc<SecretFacts>),
    /// It is somebody else's, here in words.
    Foreign(String),
}

impl Seen {
    pub(super) fn ours(&self) -> Option<&SecretFacts> {
        match self {
            Self::Ours(facts) => Some(facts),
            _ => None,
        }
    }
}

/// How far the pending pair has come on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// A former run may have created it.
    Unknown,
    /// It does not exist.
    Missing,
    /// This run created it.
    Created,
    /// The server says that the id is taken: by an attempt whose answer was lost, or by something else.
    Taken,
    /// It works.
    Proven,
    /// The id is taken and the pair does not work: it never will.
    Spoilt,
}

impl Progress {
    /// How far the pair has come, now that the server was asked; none where a pair that was just created does not work yet.
    pub(super) fn after_probe(self, state: KeyState) -> Option<Self> {
        match (state, self) {
            (KeyState::Works, _) => Some(Self::Proven),
            (KeyState::Unknown, Self::Created) => None,
            (KeyState::Unknown, Self::Unknown | Self::Missing) => Some(Self::Missing),
            _ => Some(Self::Spoilt),
        }
    }
}

/// Everything that the next step depends on.
#[derive(Clone, Debug)]
pub(super) struct Situation {
    pub check: Check,
    pub secret: Seen,
    pub pending: Seen,
    /// Of the pair in the pending Secret.
    pub progress: Progress,
    /// Of the key in the Secret.
    pub server: KeyOnServer,
    /// The object never had a key, so there is nothing to look for.
    pub first: bool,
    /// Both Secrets were read in this run: the watch may lag, and a key is not made on hearsay.
    pub read: bool,
    /// At most one living key of ours is left on the server.
    pub trimmed: bool,
    /// Every other key and session was ended in this run.
    pub revoked: bool,
    /// Secrets under names that the object had before.
    pub former: BTreeSet<String>,
}

impl Situation {
    /// The key in the owner's Secret, where that is as we wrote it.
    pub(super) fn key(&self) -> Option<&KeyFacts> {
        self.secret.ours()?.key.as_ref()
    }
}

/// One step, of one or two calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the Secret and the pending Secret.
    ReadSecrets,
    /// Prove the key in the Secret.
    ProbeKey,
    /// Delete the older of our keys, where two live.
    TrimKeys,
    /// End every session and every key, ours and foreign, but the one in the Secret if it was made for this revocation.
    RevokeKeys,
    /// Generate a pair and write it to the pending Secret.
    WritePending,
    /// Find out whether the server has the pending pair.
    ProbePending,
    /// Create the pending pair on the server.
    CreateKey,
    /// Write the proven pair to the Secret.
    WriteSecret,
    /// Write the key in the Secret again, in today's words.
    RewriteSecret,
    /// Delete the pending Secret, whose pair the Secret has.
    RemovePending,
    /// Delete the pending Secret and its key, which are of no use.
    DiscardPending,
    /// Delete the Secret under a former name.
    RemoveFormer(String),
    /// Nothing is left to do.
    Finish,
}

/// The next step. Repeated with what each step led to, it ends in [`Step::Finish`].
///
/// While new keys wait for a person, only a key that works is replaced.
pub(super) fn next(owner: &KeyOwner, situation: &Situation, now: Timestamp) -> Result<Step, Error> {
    let step = wanted(owner, situation, now)?;
    let Some(why) = &owner.waits else { return Ok(step) };
    let has_key = situation.secret.ours().is_some_and(|secret| secret.key.is_some());
    match (&step, situation.server) {
        (Step::TrimKeys | Step::WritePending | Step::CreateKey, KeyOnServer::Unchecked) if has_key => {
            Ok(Step::ProbeKey)
        }
        (Step::TrimKeys | Step::WritePending | Step::CreateKey, KeyOnServer::Unchecked | KeyOnServer::Gone) => {
            Err(Error::Waits(why.clone()))
        }
        _ => Ok(step),
    }
}

fn wanted(owner: &KeyOwner, situation: &Situation, now: Timestamp) -> Result<Step, Error> {
    if !owner.enabled {
        return Ok(match situation.secret {
            Seen::Unread => Step::ReadSecrets,
            _ if owner.owes_revocation() && !situation.revoked => Step::RevokeKeys,
            _ => Step::Finish,
        });
    }
    match (&situation.pending, &situation.secret) {
        (Seen::Unread, _) | (_, Seen::Unread) => Ok(Step::ReadSecrets),
        // Its place is taken, and where it waits it would be in the way of whoever took it.
        (Seen::Ours(_), Seen::Foreign(_)) => Ok(Step::DiscardPending),
        // Nobody gets a new key here; the old ones end all the same.
        (Seen::Foreign(_), _) | (_, Seen::Foreign(_)) if owner.owes_revocation() && !situation.revoked => {
            Ok(Step::RevokeKeys)
        }
        (Seen::Foreign(holder), _) => Err(conflict(owner, pending_name(&owner.secret_name), holder)),
        (_, Seen::Foreign(holder)) => Err(conflict(owner, owner.secret_name.clone(), holder)),
        (Seen::Ours(pending), secret) => Ok(resume(owner, pending, secret.ours(), situation.progress, now)),
        (Seen::Absent, secret) => Ok(maintain(owner, secret.ours(), situation, now)),
    }
}

/// A pair waits: it is finished, whatever it was made for. One that has waited for long is replaced: its time is counted from
/// its making, so the key before it would be cut short.
fn resume(
    owner: &KeyOwner,
    pending: &SecretFacts,
    secret: Option<&SecretFacts>,
    progress: Progress,
    now: Timestamp,
) -> Step {
    let useful = |key: &&KeyFacts| {
        key.user == owner.user.as_str()
            && key.session_policy == owner.session_policy_text()
            // Whoever may write the Secret could take the name of a user to come.
            && is_generated_access_key(&key.access_key)
            && !owner.is_revoked(key)
            && now.duration_since(key.issued_at) <= owner.interval / 10
            && now < next_rotation(owner, key)
    };
    let in_secret = secret.and_then(|secret| secret.key.as_ref()).map(|key| &key.access_key);
    match pending.key.as_ref() {
        Some(key) if in_secret == Some(&key.access_key) => return Step::RemovePending,
        key if key.filter(useful).is_none() => return Step::DiscardPending,
        _ => {}
    }
    match progress {
        Progress::Unknown | Progress::Created | Progress::Taken => Step::ProbePending,
        Progress::Missing => Step::CreateKey,
        Progress::Proven => Step::WriteSecret,
        Progress::Spoilt => Step::DiscardPending,
    }
}

/// No pair waits: the Secret is looked after.
fn maintain(owner: &KeyOwner, secret: Option<&SecretFacts>, situation: &Situation, now: Timestamp) -> Step {
    let revocation = owner.owes_revocation() && !situation.revoked;
    let previous_ends = secret.is_some_and(|secret| is_previous_over(secret, now));
    match judge(owner, secret, situation.server, now) {
        Verdict::Issue(_) if situation.first => Step::WritePending,
        Verdict::Issue(_) | Verdict::Rewrite if !situation.read => Step::ReadSecrets,
        Verdict::Issue(_) if !situation.trimmed => Step::TrimKeys,
        Verdict::Issue(_) => Step::WritePending,
        // What is deleted is everything but the key in the Secret, so that must not be hearsay either.
        _ if (revocation || previous_ends) && !situation.read => Step::ReadSecrets,
        _ if revocation => Step::RevokeKeys,
        _ if previous_ends && !situation.trimmed => Step::TrimKeys,
        _ if previous_ends => Step::RewriteSecret,
        Verdict::Rewrite => Step::RewriteSecret,
        Verdict::Keep if situation.check == Check::Proven && situation.server == KeyOnServer::Unchecked => {
            Step::ProbeKey
        }
        Verdict::Keep => match situation.former.first() {
            Some(name) => Step::RemoveFormer(name.clone()),
            None => Step::Finish,
        },
    }
}

/// Whether the time of the key before the one in the Secret is over, and the Secret still speaks of it.
fn is_previous_over(secret: &SecretFacts, now: Timestamp) -> bool {
    let end = secret.key.as_ref().and_then(|key| key.previous_expires_at);
    end.is_some_and(|end| end <= now)
}

fn conflict(owner: &KeyOwner, name: String, holder: &str) -> Error {
    Error::SecretConflict { namespace: owner.namespace.clone(), name, owner: holder.to_owned() }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod model;
