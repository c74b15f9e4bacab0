//! What this service gave to a user or a group, and what it shared of theirs, goes with them: whoever gets the name later gets
//! none of it.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::memberships::{Edit, Group, ours};
use crate::api::{DataDeletionPolicy, Everyone, GroupMembership, PathShare, Requests as _, SubjectKind};
use crate::iam::declared::{Body, Declared, Owner, Target};
use crate::iam::names::{GroupName, ServerGroup, UserName};
use crate::iam::subject::{Kind, ObjectKey};
use crate::kubernetes::Watched;
use crate::rest::app::Call;
use crate::rest::edit::{AT_ONCE, Changed};
use crate::rest::error::ApiError;
use crate::rest::view::Known;

/// How often the deletion of a share is tried that others keep writing. One that is left gives nothing.
const DELETIONS: usize = 5;

/// An object to be deleted: its key and uid.
type Doomed = (ObjectKey, Arc<str>);

/// Deletes a user or a group, and all that goes with it, and waits until that is gone. `policy` is the field of the object that
/// says what becomes of the data.
///
/// The object goes last: should a step before fail, the call can be repeated. Repeated while the object is on its way out, it
/// does what is left and waits for what an earlier call has begun.
///
/// # Errors
/// The Kubernetes API is away or refuses; 503/20050 where it takes too long.
pub async fn delete_with_all<K: Watched>(
    call: &Call,
    owner: &Owner,
    declared: &Declared,
    policy: fn(&mut K) -> &mut DataDeletionPolicy,
) -> Result<(), ApiError> {
    let work = async {
        let doomed = take_away::<K>(call, owner, declared, policy).await?;
        all_gone(call, owner, &doomed).await?;
        // What other calls gave it meanwhile must not be there for whoever gets the name next.
        if let Owner::User(user) = owner {
            leave_groups(call, user).await?;
        }
        all_gone(call, owner, &give_back(call, &targets_of(call, owner)).await?).await
    };
    let late = |_| unfinished(owner, "what it was given is being taken back");
    tokio::time::timeout_at(call.deadline, work).await.map_err(late)?
}

/// Waits for what goes with a user or group that is gone itself; false where nothing is left of it.
///
/// # Errors
/// 503/20050 where it takes too long.
pub async fn finish(call: &Call, owner: &Owner) -> Result<bool, ApiError> {
    let left = call.app.view.read(|known| leaving(known, owner));
    all_gone(call, owner, &left).await?;
    Ok(!left.is_empty())
}

async fn take_away<K: Watched>(
    call: &Call,
    owner: &Owner,
    declared: &Declared,
    policy: fn(&mut K) -> &mut DataDeletionPolicy,
) -> Result<Vec<Doomed>, ApiError> {
    let meta = &declared.meta;
    // First, because an installation may refuse it.
    if meta.deleting.is_none() && call.app.settings.delete_data {
        let with_data = call.app.editor.change::<K>(call, &meta.key.name, |object| {
            let before = std::mem::replace(policy(object), DataDeletionPolicy::Delete);
            Ok(before != DataDeletionPolicy::Delete)
        });
        with_data.await?;
    }
    if let Owner::User(user) = owner {
        leave_groups(call, user).await?;
    }
    let mut doomed = give_back(call, &targets_of(call, owner)).await?;
    doomed.extend(end_shares(call, owner).await?);
    if let Owner::Group(group) = owner {
        doomed.extend(end_memberships(call, group).await?);
    }
    if meta.deleting.is_none() {
        call.app.editor.delete::<K>(call, &meta.key, &meta.uid).await?;
    }
    doomed.extend(call.app.view.read(|known| leaving(known, owner)));
    doomed.push(identity(declared));
    Ok(doomed)
}

/// As whom grants name a user or a group.
fn targets_of(call: &Call, owner: &Owner) -> Vec<Target> {
    match owner {
        Owner::User(user) => vec![Target::User(user.clone())],
        Owner::Group(group) => [ServerGroup::from(group), call.app.layout.twin(group)].map(Target::Group).to_vec(),
    }
}

/// What this service made for a user or group, and what is on its way out already.
fn leaving(known: &Known, owner: &Owner) -> Vec<Doomed> {
    let home = &known.index.config().home_namespace;
    let goes_with_it = |declared: &&Declared| match (&declared.body, owner) {
        (Ok(Body::Share(share)), _) => share.owner.as_ref() == Some(owner),
        (Ok(Body::Membership(membership)), Owner::Group(group)) => membership.group == *group,
        _ => false,
    };
    let ours = known.index.leaving().filter(|declared| declared.meta.rest && &declared.meta.key.namespace == home);
    ours.filter(goes_with_it).map(identity).collect()
}

/// Takes a user out of the groups that this service put it into.
async fn leave_groups(call: &Call, user: &UserName) -> Result<(), ApiError> {
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
        known.index.group(&name).filter(|_| ours(known, &name).any(lists)).map(|declared| Group::of(&name, declared))
    });
    listing.collect()
}

/// Takes grants back that this service made to any of these; answers the shares that give nothing more and were deleted.
async fn give_back(call: &Call, targets: &[Target]) -> Result<Vec<Doomed>, ApiError> {
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
async fn end_shares(call: &Call, owner: &Owner) -> Result<Vec<Doomed>, ApiError> {
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
async fn end_memberships(call: &Call, group: &GroupName) -> Result<Vec<Doomed>, ApiError> {
    let doomed = call.app.view.read(|known| {
        let own = ours(known, group).filter_map(|key| known.index.get(key));
        own.map(identity).collect::<Vec<_>>()
    });
    delete_all::<GroupMembership>(call, &doomed).await?;
    Ok(doomed)
}

/// Waits until all of these are gone.
async fn all_gone(call: &Call, owner: &Owner, doomed: &[Doomed]) -> Result<(), ApiError> {
    for (key, uid) in doomed {
        if !call.app.view.gone(key, uid, call.deadline).await {
            return Err(unfinished(owner, &call.app.view.read(|known| known.message(key))));
        }
    }
    Ok(())
}

fn unfinished(owner: &Owner, said: &str) -> ApiError {
    let who = match owner {
        Owner::User(user) => format!("User {user}"),
        Owner::Group(group) => format!("Group {group}"),
    };
    ApiError::unavailable(format!("{who} is being deleted, which is not finished yet; try again. {said}"))
}

async fn delete_all<K: Watched>(call: &Call, doomed: &[Doomed]) -> Result<(), ApiError> {
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
