//! The shares that this service keeps: one object for each path and owner. Objects of others are never touched.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::place::Place;
use crate::api::meta::label;
use crate::api::{self, Everyone, Grant, PathShare, PathShareSpec, Subject, SubjectKind};
use crate::iam::declared::{Declared, Owner, ShareDecl, Target, Terms};
use crate::iam::index::Standing;
use crate::iam::path::{Access, S3Path};
use crate::iam::slug::{USER_SLUG_LENGTH, safe_slug, short_hash};
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
    let [name, _] = names(place);
    let _turn = call.app.shares.take(&name, call.deadline).await.ok_or_else(moving)?;
    while tokio::time::Instant::now() < call.deadline {
        let edited = match call.app.view.read(|known| find(known, place)) {
            Some(found) if found.is_replaced => {
                delete(call, &found.key, &found.uid).await?;
                None
            }
            Some(found) => {
                let revised = call
                    .app
                    .editor
                    .revise(call, &found.key.name, found.version, |object| Ok(revision(object, &mut change)));
                match revised.await? {
                    Revised::Done(_, written) => Some(Edited::Written(written)),
                    Revised::Deleted(written) => Some(Edited::Deleted(written)),
                    Revised::Absent if call.app.view.gone(&found.key, &found.uid, call.deadline).await => None,
                    Revised::Absent => return Err(moving()),
                }
            }
            None if create => make(call, place, &mut change).await?,
            None => Some(Edited::Nothing),
        };
        if let Some(edited) = edited {
            return Ok(edited);
        }
    }
    Err(moving())
}

fn moving() -> ApiError {
    ApiError::unavailable("The share is being changed by other calls; try again")
}

/// Deletes one of our objects and waits until it is gone; false where that takes too long.
///
/// # Errors
/// The Kubernetes API is away or refuses.
pub async fn delete(call: &Call, key: &ObjectKey, uid: &str) -> Result<bool, ApiError> {
    call.app.editor.delete::<PathShare>(call, key, uid).await?;
    Ok(call.app.view.gone(key, uid, call.deadline).await)
}

/// Waits until an edit is in force.
///
/// # Errors
/// Why it is not.
pub async fn in_force(call: &Call, edited: &Edited) -> Result<(), Problem> {
    let late = |message: String| Problem { message, is_late: true };
    match edited {
        Edited::Nothing => Ok(()),
        Edited::Deleted(written) if call.app.view.gone(&written.key, &written.uid, call.deadline).await => Ok(()),
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
        Some(Standing::Deleting) | None => Some("another call has ended the share meanwhile".to_owned()),
    }
}

/// One of our objects, as it was last seen.
struct Found {
    key: ObjectKey,
    uid: String,
    version: Option<PathShare>,
    /// Whether it belongs to a former owner of the name; it must not come to life again.
    is_replaced: bool,
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
    })
}

/// The object as it was last seen, so that it need not be read before it is written.
fn version(known: &Known, declared: &Declared, share: &ShareDecl) -> Option<PathShare> {
    if known.index.undecodable().contains_key(declared.key()) {
        return None;
    }
    let metadata = known.seen.get(declared.key())?.meta.clone();
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

/// Makes the object; `None` where one is there that is on its way out.
async fn make(
    call: &Call,
    place: &Place,
    change: &mut impl FnMut(&mut PathShareSpec),
) -> Result<Option<Edited>, ApiError> {
    for name in names(place) {
        let mut object = new_object(call, place, &name);
        change(&mut object.spec);
        if is_empty(&object.spec) {
            return Ok(Some(Edited::Nothing));
        }
        if let Created::New(_, written) = call.app.editor.create(call, &object).await? {
            return Ok(Some(Edited::Written(written)));
        }
        let mut is_other = false;
        let revised = call.app.editor.revise(call, &name, None, |object: &mut PathShare| {
            is_other = !is_of(object, place);
            Ok(if is_other { Revision::Keep } else { revision(object, change) })
        });
        match revised.await? {
            Revised::Done(..) if is_other => {}
            Revised::Done(_, written) => return Ok(Some(Edited::Written(written))),
            Revised::Deleted(written) => return Ok(Some(Edited::Deleted(written))),
            Revised::Absent => {
                tokio::time::sleep(PAUSE).await;
                return Ok(None);
            }
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
    if is_empty(&object.spec) { Revision::Delete } else { Revision::Replace }
}

fn is_empty(spec: &PathShareSpec) -> bool {
    spec.grants.is_empty() && spec.everyone == Everyone::None
}

/// Whether an object that has one of our names is our share of this place.
fn is_of(object: &PathShare, place: &Place) -> bool {
    object.labels().get(label::ORIGIN).is_some_and(|origin| origin == label::ORIGIN_REST)
        && S3Path::parse(&object.spec.path).is_ok_and(|path| path == place.asked.path)
        && object.spec.owner == Some(subject(&place.owner))
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
    let path = &place.asked.path;
    let owner = subject(&place.owner);
    let slug = safe_slug(&owner.name, USER_SLUG_LENGTH);
    let plain = format!("share-{slug}-{}", short_hash(&format!("{}/{}", path.bucket(), path.key())));
    edit::names(plain, &format!("{} {} {path}", owner.kind, owner.name))
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
        access: level(terms.access),
        expires_at: terms.expires_at.map(Time),
        reason: terms.reason.clone(),
    }
}

/// A level as objects have it.
pub fn level(access: Access) -> api::Access {
    match access {
        Access::Read => api::Access::Read,
        Access::ReadWrite => api::Access::ReadWrite,
    }
}
