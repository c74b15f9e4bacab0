//! What this service gave to a user or a group, and what it shared of theirs, goes with them: whoever gets the name later gets
//! none of it.

use futures::stream::{self, StreamExt, TryStreamExt};

use super::memberships::{Edit, Group, ours};
use crate::api::{Everyone, GroupMembership, PathShare, Requests as _, SubjectKind};
use crate::iam::declared::{Body, Declared, Owner, Target};
use crate::iam::names::{GroupName, UserName};
use crate::iam::subject::{Kind, ObjectKey};
use crate::rest::app::Call;
use crate::rest::edit::Changed;
use crate::rest::error::ApiError;
use crate::rest::view::Known;

/// How many objects are changed at once.
const AT_ONCE: usize = 8;

/// How often the deletion of a share is tried that others keep writing. One that is left gives nothing.
const DELETIONS: usize = 5;

/// An object to be deleted: its key and uid.
pub type Doomed = (ObjectKey, String);

/// Takes a user out of the groups that this service put it into.
pub async fn leave_groups(call: &Call, user: &UserName) -> Result<(), ApiError> {
    let groups = call.app.view.read(|known| groups_listing(known, user));
    let leave = |group: Group| async move {
        call.app.memberships.change(call, &group, Edit::Remove(user.clone(), None)).await.map(drop)
    };
    stream::iter(groups).map(leave).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.map(drop)
}

fn groups_listing(known: &Known, user: &UserName) -> Vec<Group> {
    let listing = known.index.dependents(user).into_iter().filter_map(|name| {
        let lists = |key: &ObjectKey| {
            let body = known.index.get(key).map(|declared| &declared.body);
            matches!(body, Some(Ok(Body::Membership(held))) if held.members.contains_key(user))
        };
        let uid = known.index.group(&name).map(|declared| declared.meta.uid.clone());
        ours(known, &name).any(lists).then(|| uid.map(|uid| Group { name: name.clone(), uid })).flatten()
    });
    listing.collect()
}

/// Takes grants back that this service made to any of these; answers the shares that give nothing more and were deleted.
pub async fn give_back(call: &Call, targets: &[Target]) -> Result<Vec<Doomed>, ApiError> {
    let shares = call.app.view.read(|known| {
        let names = |declared: &&Declared| matches!(&declared.body, Ok(Body::Share(share)) if targets.iter().any(|target| share.grants.contains_key(target)));
        shares(known).filter(names).map(|declared| declared.meta.key.name.clone()).collect::<Vec<_>>()
    });
    let edit = |name: String| async move { take_grants(call, &name, targets).await };
    let deleted = stream::iter(shares).map(edit).buffer_unordered(AT_ONCE).try_collect::<Vec<Option<Doomed>>>().await?;
    Ok(deleted.into_iter().flatten().collect())
}

async fn take_grants(call: &Call, name: &str, targets: &[Target]) -> Result<Option<Doomed>, ApiError> {
    let is_target = |kind: SubjectKind, name: &str| targets.iter().any(|one| one.kind() == kind && one.name() == name);
    let take = |share: &mut PathShare| {
        let before = share.spec.grants.len();
        if share.is_origin_rest() {
            share.spec.grants.retain(|grant| !is_target(grant.kind, &grant.name));
        }
        Ok(share.spec.grants.len() != before)
    };
    // Its status is written while it is deleted, which makes it another version.
    for _ in 0..DELETIONS {
        let Changed::Done(share, written) = call.app.editor.change::<PathShare>(call, name, take).await? else { break };
        let gives_nothing = share.spec.grants.is_empty() && share.spec.everyone == Everyone::None;
        if !gives_nothing || !share.is_origin_rest() || share.lock().is_some() || share.spec.suspended {
            break;
        }
        if call.app.editor.delete_unchanged(call, &share).await? {
            return Ok(Some((written.key, written.uid)));
        }
    }
    Ok(None)
}

/// Deletes the shares that this service made of paths that an owner has. Those that a person has locked or suspended stay:
/// without their owner they give nothing.
pub async fn end_shares(call: &Call, owner: &Owner) -> Result<Vec<Doomed>, ApiError> {
    let doomed = call.app.view.read(|known| {
        let of_owner = |declared: &&Declared| match &declared.body {
            Ok(Body::Share(share)) => {
                share.owner.as_ref() == Some(owner) && declared.meta.lock.is_none() && !share.suspended
            }
            _ => false,
        };
        shares(known).filter(of_owner).map(identity).collect::<Vec<_>>()
    });
    delete_all::<PathShare>(call, &doomed).await?;
    Ok(doomed)
}

/// Deletes the memberships that this service keeps for a group.
pub async fn end_memberships(call: &Call, group: &GroupName) -> Result<Vec<Doomed>, ApiError> {
    let doomed = call.app.view.read(|known| {
        let own = ours(known, group).filter_map(|key| known.index.get(key));
        own.map(identity).collect::<Vec<_>>()
    });
    delete_all::<GroupMembership>(call, &doomed).await?;
    Ok(doomed)
}

/// Waits until all of these are gone; the first that is not in time.
pub async fn all_gone(call: &Call, doomed: &[Doomed]) -> Result<(), ObjectKey> {
    for (key, uid) in doomed {
        if !call.app.view.gone(key, uid, call.deadline).await {
            return Err(key.clone());
        }
    }
    Ok(())
}

async fn delete_all<K: crate::kubernetes::Watched>(call: &Call, doomed: &[Doomed]) -> Result<(), ApiError> {
    let delete = |(key, uid): &Doomed| {
        let (key, uid) = (key.clone(), uid.clone());
        async move { call.app.editor.delete::<K>(call, &key, &uid).await.map(drop) }
    };
    stream::iter(doomed).map(delete).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.map(drop)
}

fn identity(declared: &Declared) -> Doomed {
    (declared.meta.key.clone(), declared.meta.uid.clone())
}

/// The shares that this service made.
fn shares(known: &Known) -> impl Iterator<Item = &Declared> {
    let home = &known.index.config().home_namespace;
    let shares = known.index.objects_of(Kind::PathShare);
    shares.filter(move |declared| {
        declared.meta.rest && &declared.meta.key.namespace == home && declared.meta.deleting.is_none()
    })
}
