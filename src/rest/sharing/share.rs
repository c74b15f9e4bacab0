//! Sharing and unsharing: one write for a call, whatever the number of targets, then one wait.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::future::join_all;
use jiff::Timestamp;

use super::objects::{self, Edited, grant};
use super::place::{self, Place};
use super::request::{self, Named};
use super::targets;
use crate::api::rules::GRANTS_MAX;
use crate::api::{Grant, PathShareSpec, PendingReason, PendingReference};
use crate::iam::declared::{Target, Terms};
use crate::iam::index::Given;
use crate::iam::path::S3Path;
use crate::iam::subject::ObjectKey;
use crate::rest::app::Call;
use crate::rest::error::ApiError;
use crate::rest::input::Body;
use crate::rest::models::{ShareResponse, Stamp, UnshareResponse};
use crate::rest::view::{Known, Written};

/// Somebody who is named in a call, and what became of it so far.
struct Case {
    named: Named,
    result: Result<Target, String>,
}

impl Case {
    fn fail(&mut self, cause: impl Into<String>) {
        self.result = Err(cause.into());
    }
}

/// POST /sharing/share
pub async fn share(call: Call, Extension(body): Extension<Body>) -> Result<Response, ApiError> {
    let now = Timestamp::now();
    let request::Share { asked, named, terms } = request::share(&body, call.app.alphabet, now)?;
    let place = place::owned(&call, asked)?;
    let mut cases = call.app.view.read(|known| judge(&call, known, &place, named, &terms, now));
    let elsewhere = call.app.view.read(|known| given_elsewhere(known, &place, &cases, &terms, now));
    let targets = cases.iter().filter_map(|case| case.result.as_ref().ok());
    let wanted: Vec<Target> = targets.filter(|target| !elsewhere.contains_key(target)).cloned().collect();
    if !wanted.is_empty() {
        let grants: Vec<Grant> = wanted.iter().map(|target| grant(target, &terms)).collect();
        let edited = objects::edit(&call, &place, true, |spec| put(spec, &grants)).await?;
        let vanished = await_grants(&call, &edited, &wanted, &mut cases).await;
        take_back(&call, &place, &vanished, &mut cases).await;
    }
    await_elsewhere(&call, &elsewhere, &mut cases).await;
    refuse_more(&call, &place, &terms, &mut cases, now).await;
    let (users, groups, errors) = told(cases, "sharing with");
    let status = status_of(&errors);
    let answer = ShareResponse {
        path: place.asked.text,
        success_count: users.len() + groups.len(),
        shared_with_users: users,
        shared_with_groups: groups,
        errors,
        shared_by: place.caller.to_string(),
        shared_at: Stamp::now(),
    };
    Ok((status, Json(answer)).into_response())
}

/// POST /sharing/unshare
pub async fn unshare(call: Call, Extension(body): Extension<Body>) -> Result<Response, ApiError> {
    let request::Unshare { asked, named } = request::unshare(&body, call.app.alphabet)?;
    let place = place::owned(&call, asked)?;
    let mut cases: Vec<Case> =
        named.into_iter().map(|named| Case { result: targets::parse(&call, &named), named }).collect();
    let leaving: Vec<Target> = cases.iter().filter_map(|case| case.result.clone().ok()).collect();
    let mut listed: Vec<Target> = Vec::new();
    if !leaving.is_empty() {
        let edited = objects::edit(&call, &place, false, |spec| {
            listed =
                leaving.iter().filter(|target| spec.grants.iter().any(|grant| names(grant, target))).cloned().collect();
            spec.grants.retain(|grant| !leaving.iter().any(|target| names(grant, target)));
        });
        let edited = edited.await?;
        if let Err(problem) = objects::in_force(&call, &edited).await {
            fail_all(&mut cases, |_| true, &still_there(&problem));
        }
    }
    refuse_unknown(&call, &place, &listed, &mut cases);
    refuse_remaining(&call, &place, &mut cases).await;
    let (users, groups, errors) = told(cases, "unsharing from");
    let status = status_of(&errors);
    let answer = UnshareResponse {
        path: place.asked.text,
        success_count: users.len() + groups.len(),
        unshared_from_users: users,
        unshared_from_groups: groups,
        errors,
        unshared_by: place.caller.to_string(),
        unshared_at: Stamp::now(),
    };
    Ok((status, Json(answer)).into_response())
}

/// Who can be shared with, within the quota of the owner.
fn judge(call: &Call, known: &Known, place: &Place, named: Vec<Named>, terms: &Terms, now: Timestamp) -> Vec<Case> {
    let quota = known.index.config().grants_per_owner;
    let held: Vec<&Target> = objects::ours(known, &place.asked.path, &place.owner)
        .filter(|(_, share)| share.path == place.asked.path)
        .flat_map(|(_, share)| share.grants.iter().filter(|(_, terms)| !terms.is_expired(now)))
        .map(|(target, _)| target)
        .collect();
    let of_owner = quota.saturating_sub(known.index.grants_of(&place.owner, now));
    let mut room = of_owner.min(GRANTS_MAX.saturating_sub(held.len()));
    let mut judged = |named: &Named| {
        let target = targets::parse(call, named)?;
        targets::check(known, place, &target, terms.access)?;
        if !held.contains(&&target) {
            room = room.checked_sub(1).ok_or_else(|| targets::over_quota(quota.min(GRANTS_MAX)))?;
        }
        Ok(target)
    };
    named.into_iter().map(|named| Case { result: judged(&named), named }).collect()
}

/// Those to whom another object gives exactly this already, and which object.
fn given_elsewhere(
    known: &Known,
    place: &Place,
    cases: &[Case],
    terms: &Terms,
    now: Timestamp,
) -> BTreeMap<Target, Written> {
    let path = &place.asked.path;
    let is_listed = |target: &Target| {
        let mut shares = objects::ours(known, path, &place.owner).filter(|(_, share)| share.path == *path);
        shares.any(|(_, share)| share.grants.contains_key(target))
    };
    let others: Vec<Given<'_>> = objects::elsewhere(known, place, now).collect();
    let gives = |given: &&Given<'_>, target: &Target| {
        given.grants.iter().any(|(held, held_terms)| {
            *held == target && held_terms.access == terms.access && held_terms.expires_at == terms.expires_at
        })
    };
    let targets = cases.iter().filter_map(|case| case.result.as_ref().ok()).filter(|target| !is_listed(target));
    let given = targets.filter_map(|target| {
        let other = others.iter().find(|given| gives(given, target))?;
        Some((target.clone(), Written::of(other.declared)))
    });
    given.collect()
}

/// The last call for somebody says all: level, end and reason.
fn put(spec: &mut PathShareSpec, grants: &[Grant]) {
    for grant in grants {
        match spec.grants.iter_mut().find(|held| held.kind == grant.kind && held.name == grant.name) {
            Some(held) => held.clone_from(grant),
            None => spec.grants.push(grant.clone()),
        }
    }
}

fn names(grant: &Grant, target: &Target) -> bool {
    grant.kind == target.kind() && grant.name == target.name()
}

/// Waits for the whole call at once, and then looks at each target; answers those that do not exist any more.
async fn await_grants(call: &Call, edited: &Edited, wanted: &[Target], cases: &mut [Case]) -> Vec<Target> {
    let Edited::Written(written) = edited else { return Vec::new() };
    let is_wanted = |target: &Target| wanted.contains(target);
    if let Err(problem) = objects::in_force(call, edited).await {
        fail_all(cases, is_wanted, &not_there_yet(&problem));
        return Vec::new();
    }
    let now = Timestamp::now();
    let (inactive, pending) = call.app.view.read(|known| {
        let pending = known.index.outcome(&written.key, now).map(|verdict| verdict.pending).unwrap_or_default();
        (objects::inactive(known, &written.key, now), pending)
    });
    if let Some(message) = inactive {
        fail_all(cases, is_wanted, &message);
        return Vec::new();
    }
    let quota = call.app.view.read(|known| known.index.config().grants_per_owner);
    let mut vanished = Vec::new();
    for case in cases {
        let is_it =
            |one: &&PendingReference, target: &Target| one.name == target.name() && one.kind == target.kind().into();
        let waiting = case.result.as_ref().ok().and_then(|target| pending.iter().find(|one| is_it(one, target)));
        if let Some(one) = waiting {
            if matches!(one.reason, PendingReason::UserNotFound | PendingReason::GroupNotFound) {
                vanished.extend(case.result.clone());
            }
            case.fail(targets::waits_for(one.reason, quota));
        }
    }
    vanished
}

/// Takes the grants back of those who were deleted while the call was made: whoever gets the name next must not have them.
async fn take_back(call: &Call, place: &Place, vanished: &[Target], cases: &mut [Case]) {
    if vanished.is_empty() {
        return;
    }
    let is_theirs = |grant: &Grant| vanished.iter().any(|target| names(grant, target));
    let edited = objects::edit(call, place, false, |spec| spec.grants.retain(|grant| !is_theirs(grant))).await;
    let left = match edited {
        Ok(edited) => objects::in_force(call, &edited).await.err().map(|problem| problem.message),
        Err(error) => Some(error.message().to_owned()),
    };
    let Some(left) = left else { return };
    let is_theirs =
        |named: &Named| vanished.iter().any(|target| target.kind() == named.kind && target.name() == named.name);
    for case in cases.iter_mut().filter(|case| is_theirs(&case.named)) {
        case.fail(format!("it does not exist any more, and the share still names it: {left}"));
    }
}

/// Waits until what other objects give is in force.
async fn await_elsewhere(call: &Call, elsewhere: &BTreeMap<Target, Written>, cases: &mut [Case]) {
    let objects: BTreeMap<&ObjectKey, &Written> = elsewhere.values().map(|other| (&other.key, other)).collect();
    let waits = join_all(objects.into_values().map(|other| async move {
        let edited = Edited::Written(other.clone());
        (&other.key, objects::in_force(call, &edited).await)
    }));
    for (key, wait) in waits.await {
        let inactive = || call.app.view.read(|known| objects::inactive(known, key, Timestamp::now()));
        if let Some(cause) = wait.map_or_else(|problem| Some(not_there_yet(&problem)), |()| inactive()) {
            let is_given = |target: &Target| elsewhere.get(target).is_some_and(|other| other.key == *key);
            fail_all(cases, is_given, &cause);
        }
    }
}

fn fail_all(cases: &mut [Case], concerned: impl Fn(&Target) -> bool, cause: &str) {
    for case in cases.iter_mut().filter(|case| case.result.as_ref().is_ok_and(&concerned)) {
        case.fail(cause);
    }
}

fn not_there_yet(problem: &objects::Problem) -> String {
    let late = if problem.is_late { "it is not in force yet and will be by itself: " } else { "" };
    format!("{late}{}", problem.message)
}

fn still_there(problem: &objects::Problem) -> String {
    if problem.is_late {
        format!("it is still in force and will end by itself: {}", problem.message)
    } else {
        problem.message.clone()
    }
}

/// What somebody has on the same path through another object, beyond what was asked for, is not ours to take away.
async fn refuse_more(call: &Call, place: &Place, terms: &Terms, cases: &mut [Case], now: Timestamp) {
    let lasts_longer = |held: &Terms| match (held.expires_at, terms.expires_at) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(held), Some(asked)) => held > asked,
    };
    let has_more = |held: &Terms| held.access > terms.access || (held.access == terms.access && lasts_longer(held));
    let found = call.app.view.read(|known| {
        let mut found: BTreeMap<Target, (ObjectKey, Terms)> = BTreeMap::new();
        for given in objects::elsewhere(known, place, now) {
            for (target, held) in given.grants.into_iter().filter(|(_, held)| has_more(held)) {
                found.insert(target.clone(), (given.declared.key().clone(), held.clone()));
            }
        }
        found
    });
    let objects = describe_for(call, cases, |target| found.get(target).map(|(key, _)| key)).await;
    for case in cases {
        let Some((key, held)) = case.result.as_ref().ok().and_then(|target| found.get(target)) else { continue };
        let object = objects.get(key).cloned().unwrap_or_else(|| key.to_string());
        case.fail(format!("{} gives {} {}; change it there", object, describe_terms(held), place.asked.text));
    }
}

/// The objects that stand in the way of some, in words, each looked at once.
async fn describe_for<'a>(
    call: &Call,
    cases: &[Case],
    of: impl Fn(&Target) -> Option<&'a ObjectKey>,
) -> BTreeMap<ObjectKey, String> {
    let keys = cases.iter().filter_map(|case| of(case.result.as_ref().ok()?).cloned()).collect();
    call.app.editor.describe_all(call, keys).await
}

/// A level and its end in words.
pub fn describe_terms(terms: &Terms) -> String {
    let level = match terms.access {
        crate::iam::path::Access::Read => "read access to",
        crate::iam::path::Access::ReadWrite => "write access to",
    };
    match terms.expires_at {
        None => level.to_owned(),
        Some(end) => format!("until {end} {level}"),
    }
}

/// Names that nobody has and that were not in the share either.
fn refuse_unknown(call: &Call, place: &Place, listed: &[Target], cases: &mut [Case]) {
    call.app.view.read(|known| {
        for case in cases {
            let Ok(target) = &case.result else { continue };
            if listed.contains(target) {
                continue;
            }
            match targets::exists(known, target) {
                Err(cause) => case.fail(cause),
                Ok(()) if *target == Target::User(place.caller.clone()) => {
                    case.fail("nobody unshares from themselves; your access stays as it is");
                }
                Ok(()) => {}
            }
        }
    });
}

/// What somebody still has through another object, or through a share of a folder around the path.
async fn refuse_remaining(call: &Call, place: &Place, cases: &mut [Case]) {
    let now = Timestamp::now();
    let remaining = call.app.view.read(|known| {
        let mut remaining: BTreeMap<Target, Remaining> = BTreeMap::new();
        for given in known.index.given_at(&place.asked.path, now) {
            for (target, terms) in &given.grants {
                // The nearest comes first and is the one to be named.
                remaining.entry((*target).clone()).or_insert_with(|| Remaining {
                    key: given.declared.key().clone(),
                    path: given.share.path.clone(),
                    terms: (*terms).clone(),
                });
            }
        }
        remaining
    });
    let objects = describe_for(call, cases, |target| remaining.get(target).map(|rest| &rest.key)).await;
    for case in cases {
        let Some(rest) = case.result.as_ref().ok().and_then(|target| remaining.get(target)) else { continue };
        let object = objects.get(&rest.key).cloned().unwrap_or_else(|| rest.key.to_string());
        case.fail(rest.told(&object, &place.asked.path));
    }
}

/// Access that somebody keeps.
struct Remaining {
    key: ObjectKey,
    path: S3Path,
    terms: Terms,
}

impl Remaining {
    fn told(&self, object: &str, asked: &S3Path) -> String {
        let place = if self.path == *asked { "it".to_owned() } else { format!("{} around it", self.path) };
        format!("{object} still gives {} {place}; end it there", describe_terms(&self.terms))
    }
}

/// Users and groups for whom it worked, and one sentence for each other.
fn told(cases: Vec<Case>, what: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
    let (mut users, mut groups, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for Case { named, result } in cases {
        match result {
            Ok(Target::User(name)) => users.push(name.to_string()),
            Ok(target) => groups.push(target.name().to_owned()),
            Err(cause) => errors.push(format!("Error {what} {} {}: {cause}", named.word(), named.name)),
        }
    }
    (users, groups, errors)
}

fn status_of(errors: &[String]) -> StatusCode {
    if errors.is_empty() { StatusCode::OK } else { StatusCode::MULTI_STATUS }
}
