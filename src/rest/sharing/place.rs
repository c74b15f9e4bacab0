//! Whose path it is. Users share what is below their homes, stewards what is below the folders of their groups.

use std::sync::Arc;

use super::request::Asked;
use crate::api::Workspace;
use crate::iam::declared::{Body, Owner};
use crate::iam::names::UserName;
use crate::iam::path::S3Path;
use crate::rest::app::Call;
use crate::rest::auth::Caller;
use crate::rest::error::{ApiError, Code};
use crate::rest::view::Known;

/// A path that the caller may share.
#[derive(Clone, Debug)]
pub struct Place {
    /// The path.
    pub asked: Asked,
    /// Who owns it.
    pub owner: Owner,
    /// `metadata.uid` of the owner's object.
    pub owner_uid: Arc<str>,
    /// Who asks.
    pub caller: UserName,
}

/// The path as one that the caller may share.
///
/// # Errors
/// 400/20015 for another bucket, 403/20042 for somebody else's path, 400/20030 for a caller without MinIO user, 403/20030 for
/// a disabled one.
pub fn owned(call: &Call, asked: Asked) -> Result<Place, ApiError> {
    let caller = call.caller()?.user.clone();
    check_bucket(call, &asked.path)?;
    call.app.view.read(|known| {
        let owner = owner_of(known, &caller, &asked.path).filter(|_| !is_bare_home(known, &caller, &asked));
        let owner = owner.ok_or_else(|| {
            ApiError::governance(format!("User {caller} does not have admin privileges for path {}", asked.text))
        })?;
        let user = known.index.user(&caller).filter(|declared| declared.meta.deleting.is_none());
        let user =
            user.ok_or_else(|| ApiError::user(format!("User {caller} not found; GET /credentials/ makes it")))?;
        if !known.index.is_on(&caller) {
            return Err(ApiError::user(format!("User {caller} is disabled")).with_status(http::StatusCode::FORBIDDEN));
        }
        let holder = match &owner {
            Owner::User(_) => Some(user),
            Owner::Group(group) => known.index.group(group),
        };
        let owner_uid = holder.map(|declared| declared.meta.uid.clone()).unwrap_or_default();
        Ok(Place { asked, owner, owner_uid, caller })
    })
}

fn check_bucket(call: &Call, path: &S3Path) -> Result<(), ApiError> {
    let buckets = call.app.layout.home_buckets();
    if buckets.contains(path.bucket()) {
        return Ok(());
    }
    let buckets: Vec<String> = buckets.iter().map(|bucket| format!("'{bucket}'")).collect();
    Err(ApiError::new(
        Code::Path,
        format!("Path bucket '{}' does not match configured bucket {}", path.bucket(), buckets.join(" or ")),
    ))
}

/// The owner for whom somebody may share a path: itself, or a group that it is a steward of.
pub fn owner_of(known: &Known, caller: &UserName, path: &S3Path) -> Option<Owner> {
    let layout = &known.index.config().layout;
    let has_home = match known.index.user(caller).map(|declared| &declared.body) {
        Some(Ok(Body::User(user))) => user.workspace == Workspace::Default,
        _ => true,
    };
    if has_home && layout.user_homes(caller).iter().any(|home| home.contains(path)) {
        return Some(Owner::User(caller.clone()));
    }
    let mut groups = layout.groups_around(path).into_iter();
    let group = groups.find(|group| {
        let declared = known.index.group(group).filter(|declared| declared.meta.deleting.is_none());
        let Some(Ok(Body::Group(declared))) = declared.map(|declared| &declared.body) else { return false };
        declared.stewards.contains(caller)
            && declared.workspace == Workspace::Default
            && layout.group_homes(group).iter().any(|home| home.contains(path))
    });
    group.map(Owner::Group)
}

/// Whether somebody may know all about a path: an administrator, and whoever it belongs to, unless disabled or locked.
pub fn is_concerned(known: &Known, caller: &Caller, path: &S3Path) -> bool {
    caller.admin || (known.index.is_on(&caller.user) && owner_of(known, &caller.user, path).is_some())
}

/// A home is meant as a folder only where its slash is there.
fn is_bare_home(known: &Known, caller: &UserName, asked: &Asked) -> bool {
    let layout = &known.index.config().layout;
    let groups = layout.groups_around(&asked.path);
    let mut homes = layout.user_homes(caller);
    homes.extend(groups.iter().flat_map(|group| layout.group_homes(group)));
    !asked.text.ends_with('/') && homes.contains(&asked.path)
}
