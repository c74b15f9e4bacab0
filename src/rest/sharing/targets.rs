//! With whom a path can be shared, and why not.

use super::place::Place;
use super::request::Named;
use crate::api::{PendingReason, SubjectKind};
use crate::iam::declared::{Body, Owner, Target};
use crate::iam::names::{EVERYONE_GROUP, ServerGroup, UserName};
use crate::iam::path::Access;
use crate::rest::app::Call;
use crate::rest::view::{Known, stall_of};

/// Somebody by name, whether there is such a user or group or not.
///
/// # Errors
/// Why nobody can have the name.
pub fn parse(call: &Call, named: &Named) -> Result<Target, String> {
    let (alphabet, layout) = (call.app.alphabet, &call.app.layout);
    match named.kind {
        SubjectKind::User => alphabet.user(&named.name).map(Target::User).map_err(|error| error.message().to_owned()),
        SubjectKind::Group if named.name == EVERYONE_GROUP => {
            Err("everybody is in it; POST /sharing/make-public and /sharing/make-private are for everybody".to_owned())
        }
        SubjectKind::Group => match (alphabet.group(&named.name), layout.group_of_twin(&named.name)) {
            (Ok(group), _) => Ok(Target::Group(ServerGroup::from(&group))),
            // A twin may be longer than any group.
            (Err(_), Some(group)) => Ok(Target::Group(layout.twin(&group))),
            (Err(error), None) => Err(error.message().to_owned()),
        },
    }
}

/// Refuses whom a path cannot be shared with at this level.
///
/// # Errors
/// Why not.
pub fn check(known: &Known, place: &Place, target: &Target, access: Access) -> Result<(), String> {
    match target {
        Target::User(user) => check_user(known, place, user),
        Target::Group(group) => check_group(known, place, group, access),
        Target::Impossible(_, name) => Err(format!("nobody can have the name {name:?}")),
    }
}

fn check_user(known: &Known, place: &Place, user: &UserName) -> Result<(), String> {
    if *user == place.caller {
        return Err("nobody shares with themselves; your access stays as it is".to_owned());
    }
    exists(known, &Target::User(user.clone()))?;
    let declared = known.index.user(user).filter(|declared| declared.meta.origin.is_none());
    match declared.and_then(|declared| stall_of(known.seen.get(declared.key())?)) {
        Some(stall) => Err(format!("the user cannot be used: {}", stall.message)),
        None => Ok(()),
    }
}

fn check_group(known: &Known, place: &Place, name: &ServerGroup, access: Access) -> Result<(), String> {
    exists(known, &Target::Group(name.clone()))?;
    let Some((group, is_twin)) = known.index.server_group(name) else { return Ok(()) };
    let declared = known.index.group(group).map(|declared| &declared.body);
    let has_twin = matches!(declared, Some(Ok(Body::Group(declared))) if declared.twin);
    match (is_twin, access) {
        (true, Access::ReadWrite) => Err(format!("its members only read; share with permission read, or with {group}")),
        (true, Access::Read) if !has_twin => Err(format!("group {group} has no read-only members")),
        (false, _) if place.owner == Owner::Group(group.clone()) => {
            Err("the group owns the folder; its access stays as it is".to_owned())
        }
        _ => Ok(()),
    }
}

/// Refuses names that nobody has.
///
/// # Errors
/// Who does not exist.
pub fn exists(known: &Known, target: &Target) -> Result<(), String> {
    let holder = match target {
        Target::User(user) => known.index.user(user),
        Target::Group(name) => known.index.server_group(name).and_then(|(group, _)| known.index.group(group)),
        Target::Impossible(..) => None,
    };
    let there = holder.is_some_and(|declared| declared.meta.deleting.is_none());
    if there { Ok(()) } else { Err(format!("{} {} does not exist", word(target), target.name())) }
}

/// `user` or `group`.
pub fn word(target: &Target) -> &'static str {
    match target.kind() {
        SubjectKind::User => "user",
        SubjectKind::Group => "group",
    }
}

/// Why a grant is not in force although its share is.
pub fn waits_for(reason: PendingReason, quota: usize) -> String {
    match reason {
        PendingReason::UserNotFound => "the user does not exist any more".to_owned(),
        PendingReason::GroupNotFound | PendingReason::PolicyNotFound => "the group does not exist any more".to_owned(),
        PendingReason::QuotaExceeded => over_quota(quota),
        PendingReason::ReadOnlyGroup => "its members only read; share with permission read".to_owned(),
        PendingReason::TwinDisabled => "the group has no read-only members".to_owned(),
    }
}

/// What somebody is told who has shared as much as is allowed.
pub fn over_quota(quota: usize) -> String {
    format!("the owner of the folder has {quota} shares already, which is the limit; unshare something first")
}
