//! The end of all shares of a path and of everything below it.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};

use super::objects::{self, Edited};
use super::place::Place;
use crate::api::{Everyone, PathShare, Requests as _};
use crate::iam::declared::{Body, Declared, Owner};
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
    let makers: Vec<&UserName> = makers.iter().collect();
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

impl Share {
    fn of(object: PathShare) -> Self {
        let meta = &object.metadata;
        Self {
            written: Written {
                key: key_of(PathShare::KIND, &object),
                uid: meta.uid.clone().unwrap_or_default(),
                generation: meta.generation.unwrap_or_default(),
            },
            held: objects::held(object.lock(), object.spec.suspended),
            is_leaving: meta.deletion_timestamp.is_some(),
            version: Some(object),
        }
    }
}

/// Our shares within a place as the watch shows them, by uid.
fn seen(known: &Known, place: &Place) -> BTreeMap<String, Share> {
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
fn makers(known: &Known, place: &Place) -> Vec<UserName> {
    match &place.owner {
        Owner::User(user) => vec![user.clone()],
        Owner::Group(group) => match known.index.group(group).map(|declared: &Declared| &declared.body) {
            Some(Ok(Body::Group(group))) => group.stewards.iter().cloned().collect(),
            _ => vec![place.caller.clone()],
        },
    }
}

async fn end(call: &Call, place: &Place, share: Share) -> Result<Ended, ApiError> {
    let Share { written, version, held, is_leaving } = share;
    let key = written.key.clone();
    if is_leaving {
        return Ok(Ended { key, edited: Edited::Deleted(written), held: None });
    }
    if version.is_none() {
        // It cannot be emptied, so a person who holds on to it has to end it.
        if held.is_none() {
            call.app.editor.delete::<PathShare>(call, &key, &written.uid).await?;
        }
        let edited = if held.is_none() { Edited::Deleted(written) } else { Edited::Nothing };
        return Ok(Ended { key, edited, held });
    }
    let mut held = None;
    let revised = call.app.editor.revise(call, &key.name, version, |object: &mut PathShare| {
        held = objects::held(object.lock(), object.spec.suspended).filter(|_| objects::is_within(object, place));
        Ok(revision(object, place, held.is_some()))
    });
    let edited = match revised.await? {
        Revised::Done(object, written) if objects::is_within(&object, place) => Edited::Written(written),
        Revised::Deleted(written) => Edited::Deleted(written),
        Revised::Leaving(object, written) if objects::is_within(&object, place) => Edited::Deleted(written),
        Revised::Done(..) | Revised::Leaving(..) | Revised::Absent => Edited::Nothing,
    };
    Ok(Ended { key, edited, held })
}

/// A share that a person holds on to is emptied instead of deleted: made again, it would be in force.
fn revision(object: &mut PathShare, place: &Place, is_held: bool) -> Revision {
    if !objects::is_within(object, place) {
        return Revision::Keep;
    }
    if !is_held {
        return Revision::Delete;
    }
    if objects::is_empty(&object.spec) {
        return Revision::Keep;
    }
    object.spec.grants.clear();
    object.spec.everyone = Everyone::None;
    Revision::Replace
}
