//! The end of all shares of a path and of everything below it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, stream};

use super::objects::{self, Edited};
use super::place::Place;
use crate::api::{Everyone, PathShare, Requests as _};
use crate::iam::declared::{Body, Owner};
use crate::iam::names::UserName;
use crate::iam::subject::ObjectKey;
use crate::kubernetes::{Watched as _, key_of};
use crate::rest::app::Call;
use crate::rest::edit::{AT_ONCE, Revised, Revision};
use crate::rest::error::ApiError;
use crate::rest::view::{Known, Written};

/// What became of one share.
pub struct Ended {
    /// Which share.
    pub key: ObjectKey,
    /// What the call left of it.
    pub edited: Edited,
    /// How a person holds on to it: then it stays, and gives nothing.
    pub held: Option<String>,
}

/// One of our shares.
struct Share {
    written: Written,
    /// As it is or was last seen; none where it cannot be decoded.
    version: Option<PathShare>,
    held: Option<String>,
    is_leaving: bool,
}

/// Ends our shares of a place and of everything below it. The API server is asked which there are, since the watch may be
/// behind; what somebody else has named as their maker is known from the watch.
///
/// # Errors
/// The Kubernetes API is away or refuses.
pub async fn end_all(call: &Call, place: &Place) -> Result<Vec<Ended>, ApiError> {
    let (mut shares, makers) = call.app.view.read(|known| (seen(known, place), makers(known, place)));
    for object in call.app.editor.made_by::<PathShare>(call, &makers).await? {
        if objects::is_within(&object, place) {
            let share = Share::of(object);
            shares.insert(share.written.uid.clone(), share);
        }
    }
    let ends: Vec<_> = shares.into_values().map(|share| end(call, place, share)).collect();
    let ended: Vec<Result<Ended, ApiError>> = stream::iter(ends).buffer_unordered(AT_ONCE).collect().await;
    ended.into_iter().collect()
}

impl Ended {
    fn deleted(written: Written) -> Self {
        Self { key: written.key.clone(), edited: Edited::Deleted(written), held: None }
    }
}

impl Share {
    fn of(object: PathShare) -> Self {
        let meta = &object.metadata;
        Self {
            written: Written {
                key: key_of(PathShare::KIND, &object),
                uid: meta.uid.as_deref().unwrap_or_default().into(),
                generation: meta.generation.unwrap_or_default(),
            },
            held: objects::held(object.lock(), object.spec.suspended),
            is_leaving: meta.deletion_timestamp.is_some(),
            version: Some(object),
        }
    }
}

/// Our shares within a place as the watch shows them, by uid.
fn seen(known: &Known, place: &Place) -> BTreeMap<Arc<str>, Share> {
    let live = objects::ours(known, &place.asked.path, &place.owner);
    let shares = live.chain(objects::leaving_within(known, place)).map(|(declared, share)| Share {
        written: Written::of(declared),
        version: objects::version(known, declared, share),
        held: objects::held(declared.meta.lock.as_deref(), share.suspended),
        is_leaving: declared.meta.deleting.is_some(),
    });
    shares.map(|share| (share.written.uid.clone(), share)).collect()
}

/// Who makes the shares of an owner: a user itself, for a group its stewards.
fn makers(known: &Known, place: &Place) -> BTreeSet<UserName> {
    let group = match &place.owner {
        Owner::User(_) => None,
        Owner::Group(group) => known.index.group(group),
    };
    let stewards = match group.map(|declared| &declared.body) {
        Some(Ok(Body::Group(group))) => Some(&group.stewards),
        _ => None,
    };
    stewards.into_iter().flatten().chain([&place.caller]).cloned().collect()
}

async fn end(call: &Call, place: &Place, share: Share) -> Result<Ended, ApiError> {
    let Share { written, version, held, is_leaving } = share;
    let key = written.key.clone();
    if is_leaving {
        return Ok(Ended::deleted(written));
    }
    if version.is_none() {
        // It cannot be emptied, so a person who holds on to it has to end it.
        if held.is_some() {
            return Ok(Ended { key, edited: Edited::Nothing, held });
        }
        call.app.editor.delete::<PathShare>(call, &key, &written.uid).await?;
        return Ok(Ended::deleted(written));
    }
    let seen = written;
    let revised =
        call.app.editor.revise(call, &key.name, version, |object: &mut PathShare| Ok(revision(object, place)));
    Ok(match revised.await? {
        Revised::Done(object, written) if objects::is_within(&object, place) => {
            let held = objects::held(object.lock(), object.spec.suspended);
            Ended { key, edited: Edited::Written(written), held }
        }
        Revised::Leaving(object, written) if objects::is_within(&object, place) => Ended::deleted(written),
        Revised::Deleted(written) => Ended::deleted(written),
        // The watch may still show it.
        Revised::Done(..) | Revised::Leaving(..) | Revised::Absent => Ended::deleted(seen),
    })
}

/// A share that a person holds on to is emptied instead of deleted: made again, it would be in force.
fn revision(object: &mut PathShare, place: &Place) -> Revision {
    if !objects::is_within(object, place) {
        return Revision::Keep;
    }
    if objects::held(object.lock(), object.spec.suspended).is_none() {
        return Revision::Delete;
    }
    if objects::is_empty(&object.spec) {
        return Revision::Keep;
    }
    object.spec.grants.clear();
    object.spec.everyone = Everyone::None;
    Revision::Replace
}
