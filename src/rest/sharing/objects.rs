//! The shares that this service keeps: one object for each path and owner. Objects of others are never touched.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;

use super::place::Place;
use crate::api::{Everyone, Grant, PathShare, PathShareSpec, Requests as _, Subject, SubjectKind};
use crate::iam::declared::{Body, Declared, Owner, ShareDecl, Target, Terms};
use crate::iam::index::{Given, Standing};
use crate::iam::path::S3Path;
use crate::iam::subject::ObjectKey;
use crate::rest::app::Call;
use crate::rest::edit::{self, Created, Revised, Revision};
use crate::rest::error::ApiError;
use crate::rest::view::{Known, Settled, Written};

/// The pause before looking again at an object that is on its way out.
const PAUSE: Duration = Duration::from_millis(20);

/// What an edit left behind.
#[derive(Clone, Debug)]
pub enum Edited {
    /// The object in this version.
    Written(Written),
    /// Nothing: the object is on its way out.
    Deleted(Written),
    /// There was nothing to edit.
    Nothing,
}

/// Why what was written is not in force.
#[derive(Clone, Debug)]
pub struct Problem {
    /// In words.
    pub message: String,
    /// Whether it will be by itself.
    pub is_late: bool,
}

/// Our shares of a path, as the objects stand.
pub fn ours<'a>(
    known: &'a Known,
    path: &'a S3Path,
    owner: &'a Owner,
) -> impl Iterator<Item = (&'a Declared, &'a ShareDecl)> {
    let home = known.index.config().home_namespace.as_str();
    let shares = known.index.shares_within(path);
    shares.filter(move |(declared, share)| is_ours(declared, home) && share.owner.as_ref() == Some(owner))
}

/// Whether an object is one that this service may edit.
pub fn is_ours(declared: &Declared, home: &str) -> bool {
    declared.meta.rest && declared.meta.key.namespace == home
}

/// What objects of others, and shares of ours with another owner, give on exactly the path of a place.
pub fn elsewhere<'a>(known: &'a Known, place: &'a Place, now: Timestamp) -> impl Iterator<Item = Given<'a>> {
    let home = known.index.config().home_namespace.as_str();
    known.index.given_at(&place.asked.path, now).into_iter().filter(move |given| {
        let is_of_place = is_ours(given.declared, home) && given.share.owner.as_ref() == Some(&place.owner);
        given.share.path == place.asked.path && !is_of_place
    })
}

/// How far an edit came.
enum Step {
    /// To its end.
    Done(Edited),
    /// The object is on its way out already.
    Leaving(Written),
    /// The object of this name is not the share of the place.
    Foreign,
    /// There is no such object.
    Absent,
}

/// Changes the share of a place; it is made where it is absent and `create` says so, and deleted where nothing is left in it.
/// What has expired is cleaned away on the way.
///
/// # Errors
/// The Kubernetes API is away or refuses, or the object does not hold still.
pub async fn edit(
    call: &Call,
    place: &Place,
    create: bool,
    mut change: impl FnMut(&mut PathShareSpec),
) -> Result<Edited, ApiError> {
    while Instant::now() < call.deadline {
        match step(call, place, create, &mut change).await? {
            Step::Done(edited) => return Ok(edited),
            Step::Leaving(written) => {
                if !call.app.editor.gone(call, &written).await && !create {
                    return Ok(Edited::Deleted(written));
                }
            }
            Step::Foreign | Step::Absent => tokio::time::sleep(PAUSE).await,
        }
    }
    Err(moving())
}

async fn step(
    call: &Call,
    place: &Place,
    create: bool,
    change: &mut impl FnMut(&mut PathShareSpec),
) -> Result<Step, ApiError> {
    let [name, _] = names(place);
    let _turn = call.app.shares.take(&name, call.deadline).await.ok_or_else(moving)?;
    match call.app.view.read(|known| find(known, place)) {
        Some(found) if found.is_replaced => end_former(call, found, create).await,
        Some(found) => {
            let step = edit_at(call, place, &found.key.name, found.version, change).await?;
            if matches!(step, Step::Foreign | Step::Absent) {
                call.app.view.gone(&found.key, &found.uid, call.deadline).await;
            }
            Ok(step)
        }
        None if create => make(call, place, change).await,
        None => edit_unseen(call, place, change).await,
    }
}

fn moving() -> ApiError {
    ApiError::unavailable("The share is being changed by other calls; try again")
}

/// Deletes the share that a former owner of the name has left: it must not come to life again. One that a person holds on to
/// gives nothing either, and stays.
async fn end_former(call: &Call, found: Found, create: bool) -> Result<Step, ApiError> {
    match found.held {
        Some(why) if create => {
            Err(ApiError::governance(format!("{} of a former owner {why}; it has to go first", found.key)))
        }
        Some(_) => Ok(Step::Done(Edited::Nothing)),
        None => {
            call.app.editor.delete::<PathShare>(call, &found.key, &found.uid).await?;
            Ok(Step::Leaving(Written { key: found.key, uid: found.uid, generation: 0 }))
        }
    }
}

/// Edits the share of a place where none is known. That the watch shows none proves nothing: it may be behind, and what is on
/// its way out is still in force.
async fn edit_unseen(
    call: &Call,
    place: &Place,
    change: &mut impl FnMut(&mut PathShareSpec),
) -> Result<Step, ApiError> {
    if let Some(written) = call.app.view.read(|known| leaving(known, place)) {
        return Ok(Step::Leaving(written));
    }
    for name in names(place) {
        match edit_at(call, place, &name, None, change).await? {
            Step::Foreign | Step::Absent => {}
            step => return Ok(step),
        }
    }
    Ok(Step::Done(Edited::Nothing))
}

/// Edits the object of a name, if it is the share of the place.
async fn edit_at(
    call: &Call,
    place: &Place,
    name: &str,
    version: Option<PathShare>,
    change: &mut impl FnMut(&mut PathShareSpec),
) -> Result<Step, ApiError> {
    let mut is_other = false;
    let revised = call.app.editor.revise(call, name, version, |object: &mut PathShare| {
        is_other = !is_of(object, place);
        Ok(if is_other { Revision::Keep } else { revision(object, change) })
    });
    Ok(match revised.await? {
        Revised::Done(..) if is_other => Step::Foreign,
        Revised::Done(_, written) => Step::Done(Edited::Written(written)),
        Revised::Deleted(written) => Step::Done(Edited::Deleted(written)),
        Revised::Leaving(object, written) if is_of(&object, place) => Step::Leaving(written),
        Revised::Leaving(..) => Step::Foreign,
        Revised::Absent => Step::Absent,
    })
}

/// Waits until an edit is in force.
///
/// # Errors
/// Why it is not.
pub async fn in_force(call: &Call, edited: &Edited) -> Result<(), Problem> {
    let late = |message: String| Problem { message, is_late: true };
    match edited {
        Edited::Nothing => Ok(()),
        Edited::Deleted(written) if call.app.editor.gone(call, written).await => Ok(()),
        Edited::Deleted(written) => Err(late(call.app.view.read(|known| known.message(&written.key)))),
        Edited::Written(written) => match call.app.view.settled(written, call.deadline).await {
            Settled::InForce | Settled::Gone => Ok(()),
            Settled::Stalled { message, .. } => Err(Problem { message, is_late: false }),
            Settled::TimedOut { message } => Err(late(message)),
        },
    }
}

/// Why nothing of an object holds that is settled: it is gone, suspended or locked.
pub fn inactive(known: &Known, key: &ObjectKey, now: Timestamp) -> Option<String> {
    match known.index.outcome(key, now).map(|verdict| verdict.standing) {
        Some(Standing::InForce) => None,
        Some(Standing::Inactive { message, .. }) => Some(message),
        Some(Standing::Stalled(invalid)) => Some(invalid.message),
        Some(Standing::Deleting) | None => Some("somebody has ended the share meanwhile".to_owned()),
    }
}

/// One of our objects, as it was last seen.
struct Found {
    key: ObjectKey,
    uid: Arc<str>,
    version: Option<PathShare>,
    /// Whether it belongs to a former owner of the name; it must not come to life again.
    is_replaced: bool,
    /// How a person holds on to it.
    held: Option<String>,
}

fn find(known: &Known, place: &Place) -> Option<Found> {
    let mut at = ours(known, &place.asked.path, &place.owner).filter(|(_, share)| share.path == place.asked.path);
    let (declared, share) = at.next()?;
    let meta = &declared.meta;
    Some(Found {
        key: meta.key.clone(),
        uid: meta.uid.clone(),
        version: version(known, declared, share),
        is_replaced: meta.bound_uid.as_ref().is_some_and(|bound| *bound != place.owner_uid),
        held: held(meta.lock.as_deref(), share.suspended),
    })
}

/// A share of ours of a place that is on its way out.
fn leaving(known: &Known, place: &Place) -> Option<Written> {
    let mut at = leaving_within(known, place).filter(|(_, share)| share.path == place.asked.path);
    at.next().map(|(declared, _)| Written::of(declared))
}

/// Our shares of a place and of everything below it that are on their way out.
pub fn leaving_within<'a>(known: &'a Known, place: &'a Place) -> impl Iterator<Item = (&'a Declared, &'a ShareDecl)> {
    let home = known.index.config().home_namespace.as_str();
    let shares = known.index.leaving().filter_map(|declared| match &declared.body {
        Ok(Body::Share(share)) => Some((declared, share)),
        _ => None,
    });
    shares.filter(move |(declared, share)| {
        is_ours(declared, home) && share.owner.as_ref() == Some(&place.owner) && place.asked.path.contains(&share.path)
    })
}

/// How a person holds on to a share, if one does: deleted and made again, it would be in force.
pub fn held(lock: Option<&str>, suspended: bool) -> Option<String> {
    match lock {
        Some(lock) => Some(format!("is locked by a person ({lock})")),
        None => suspended.then(|| "is suspended by a person".to_owned()),
    }
}

/// The object as it was last seen, so that it need not be read before it is written.
pub fn version(known: &Known, declared: &Declared, share: &ShareDecl) -> Option<PathShare> {
    if known.index.undecodable().contains_key(declared.key()) {
        return None;
    }
    let metadata = known.seen.get(declared.key())?.meta(declared.key());
    let grants = share.grants.iter().map(|(target, terms)| grant(target, terms)).collect();
    let spec = PathShareSpec {
        path: share.path.to_string(),
        owner: share.owner.as_ref().map(subject),
        grants,
        everyone: if share.everyone { Everyone::Read } else { Everyone::None },
        suspended: share.suspended,
    };
    Some(PathShare { metadata, spec, status: None })
}

/// Makes the object, or edits that which another call has made.
async fn make(call: &Call, place: &Place, change: &mut impl FnMut(&mut PathShareSpec)) -> Result<Step, ApiError> {
    for name in names(place) {
        let mut object = new_object(call, place, &name);
        change(&mut object.spec);
        if is_empty(&object.spec) {
            return Ok(Step::Done(Edited::Nothing));
        }
        if let Created::New(_, written) = call.app.editor.create(call, &object).await? {
            return Ok(Step::Done(Edited::Written(written)));
        }
        match edit_at(call, place, &name, None, change).await? {
            Step::Foreign => {}
            step => return Ok(step),
        }
    }
    Err(ApiError::unavailable(format!("The names for a share of {} are taken by other objects", place.asked.text)))
}

fn revision(object: &mut PathShare, change: &mut impl FnMut(&mut PathShareSpec)) -> Revision {
    let before = object.spec.clone();
    change(&mut object.spec);
    if object.spec == before {
        return Revision::Keep;
    }
    let now = Timestamp::now();
    object.spec.grants.retain(|grant| grant.expires_at.as_ref().is_none_or(|end| end.0 > now));
    let is_held = held(object.lock(), object.spec.suspended).is_some();
    if is_empty(&object.spec) && !is_held { Revision::Delete } else { Revision::Replace }
}

/// Whether a share gives nothing to anybody.
pub fn is_empty(spec: &PathShareSpec) -> bool {
    spec.grants.is_empty() && spec.everyone == Everyone::None
}

/// Whether an object that has one of our names is our share of this place.
fn is_of(object: &PathShare, place: &Place) -> bool {
    is_within(object, place) && S3Path::parse(&object.spec.path).is_ok_and(|path| path == place.asked.path)
}

/// Whether an object is our share of a place or of anything below it.
pub fn is_within(object: &PathShare, place: &Place) -> bool {
    object.is_origin_rest()
        && object.spec.owner == Some(subject(&place.owner))
        && S3Path::parse(&object.spec.path).is_ok_and(|path| place.asked.path.contains(&path))
}

fn new_object(call: &Call, place: &Place, name: &str) -> PathShare {
    let spec = PathShareSpec {
        path: place.asked.path.to_string(),
        owner: Some(subject(&place.owner)),
        ..PathShareSpec::default()
    };
    let mut object = PathShare::new(name, spec);
    object.metadata = call.app.editor.metadata(name, &place.caller);
    object
}

/// The name of the share of a place, and the one that it has where that is taken.
fn names(place: &Place) -> [String; 2] {
    edit::share_names(&place.owner, &place.asked.path)
}

fn subject(owner: &Owner) -> Subject {
    match owner {
        Owner::User(name) => Subject { kind: SubjectKind::User, name: name.to_string() },
        Owner::Group(name) => Subject { kind: SubjectKind::Group, name: name.to_string() },
    }
}

/// A grant as objects have it.
pub fn grant(target: &Target, terms: &Terms) -> Grant {
    Grant {
        kind: target.kind(),
        name: target.name().to_owned(),
        access: terms.access.into(),
        expires_at: terms.expires_at.map(Time),
        reason: terms.reason.clone(),
    }
}
