//! What is shared, with whom, and by whom. Answered from what is known, without a request to anybody.

use std::collections::BTreeSet;

use axum::{Extension, Json};
use jiff::Timestamp;

use super::place::{is_concerned, owner_of};
use super::request;
use crate::iam::access;
use crate::iam::declared::{Body as Declaration, Declared, ShareDecl, Target};
use crate::iam::index::Given;
use crate::iam::names::{EVERYONE_GROUP, UserName};
use crate::iam::path::{Access, S3Path};
use crate::iam::subject::Kind;
use crate::rest::app::Call;
use crate::rest::error::ApiError;
use crate::rest::input::Body;
use crate::rest::models::{PathAccessResponse, SharedFolder, SharedGrant, SharedWithMeResponse, SharesResponse, Stamp};
use crate::rest::render::shows_everyone;
use crate::rest::view::Known;

/// POST /sharing/get_path_access_info
pub async fn path_access(call: Call, Extension(body): Extension<Body>) -> Result<Json<PathAccessResponse>, ApiError> {
    let asked = request::only_path(&body, call.app.alphabet)?;
    let caller = call.caller()?;
    let now = Timestamp::now();
    let mut answer = call.app.view.read(|known| {
        let reaches = || access::reaches(&known.index, &caller.user, &asked.path, now);
        let may_know = is_concerned(known, caller, &asked.path) || (known.index.is_on(&caller.user) && reaches());
        if may_know { everybody(known, &asked.path, now) } else { stranger(known, &asked.path, now) }
    });
    answer.path = asked.text;
    Ok(Json(answer))
}

/// All that somebody is told who has no access: whether everyone may read.
fn stranger(known: &Known, path: &S3Path, now: Timestamp) -> PathAccessResponse {
    let public = known.index.given_at(path, now).iter().any(|given| given.share.everyone)
        || known.index.config().layout.everyone().cover(&path.scope(), Access::Read);
    PathAccessResponse { users: Vec::new(), groups: Vec::new(), public, path: String::new() }
}

/// Who has access to the path, to a folder around it or to anything below it.
fn everybody(known: &Known, path: &S3Path, now: Timestamp) -> PathAccessResponse {
    let mut given = known.index.given_at(path, now);
    given.extend(known.index.given_below(path, now));
    let public = given.iter().any(|given| given.share.everyone) || stranger(known, path, now).public;
    let (mut users, mut groups) = (homes_on(known, path), group_folders_on(known, path));
    for target in given.iter().flat_map(|given: &Given<'_>| given.grants.iter().map(|(target, _)| *target)) {
        match target {
            Target::User(name) => users.insert(name.to_string()),
            Target::Group(name) => groups.insert(name.to_string()),
            Target::Impossible(..) => false,
        };
    }
    if public && shows_everyone(known) {
        groups.insert(EVERYONE_GROUP.to_owned());
    }
    PathAccessResponse {
        users: users.into_iter().collect(),
        groups: groups.into_iter().collect(),
        public,
        path: String::new(),
    }
}

/// Users with a home around the path or below it.
fn homes_on(known: &Known, path: &S3Path) -> BTreeSet<String> {
    let layout = &known.index.config().layout;
    let has_home = |user: &UserName| {
        let homes = layout.user_homes(user);
        let workspace = known.index.workspace_of(user);
        homes
            .iter()
            .any(|home| (home.contains(path) || path.contains(home)) && workspace.cover(&home.scope(), Access::Read))
    };
    let mut users: BTreeSet<UserName> = layout.users_around(path);
    if is_above(path, &UserName::parse("xxx").map(|sample| layout.user_homes(&sample)).unwrap_or_default()) {
        users.extend(known.index.objects_of(Kind::MinioUser).filter_map(user_name));
    }
    users.into_iter().filter(has_home).map(|user| user.to_string()).collect()
}

/// Groups and twins with a folder around the path or below it.
fn group_folders_on(known: &Known, path: &S3Path) -> BTreeSet<String> {
    let layout = &known.index.config().layout;
    let mut groups = layout.groups_around(path);
    if is_above(path, &"xxx".parse().map(|sample| layout.group_homes(&sample)).unwrap_or_default()) {
        groups.extend(known.index.objects_of(Kind::MinioGroup).filter_map(|declared| match &declared.body {
            Ok(Declaration::Group(group)) => Some(group.name.clone()),
            _ => None,
        }));
    }
    let mut names = BTreeSet::new();
    for name in groups {
        let declared = known.index.group(&name).filter(|_| known.index.group_is_on(&name));
        let Some(Ok(Declaration::Group(group))) = declared.map(|declared| &declared.body) else { continue };
        let has_folder = layout.group_homes(&name).iter().any(|home| home.contains(path) || path.contains(home));
        if group.workspace == crate::api::Workspace::Default && has_folder {
            names.insert(name.to_string());
            names.extend(group.twin.then(|| layout.twin(&name).to_string()));
        }
    }
    names
}

/// Whether a path is so high up that folders of all users or groups may lie below it.
fn is_above(path: &S3Path, sample: &[S3Path]) -> bool {
    sample.iter().any(|home| path.contains(home))
}

fn user_name(declared: &Declared) -> Option<UserName> {
    match &declared.body {
        Ok(Declaration::User(user)) => Some(user.name.clone()),
        _ => None,
    }
}

/// GET /sharing/mine
pub async fn mine(call: Call) -> Result<Json<SharesResponse>, ApiError> {
    let caller = &call.caller()?.user;
    let now = Timestamp::now();
    let shares: Vec<SharedFolder> = call.app.view.read(|known| {
        let mut shares: Vec<(&S3Path, SharedFolder)> = homes_of(known, caller)
            .iter()
            .flat_map(|(owner, home)| {
                let within = known.index.shares_within(home);
                within.map(|(declared, share)| (&share.path, folder(declared, share, owner, now))).collect::<Vec<_>>()
            })
            .filter(|(_, folder)| folder.public || !folder.grants.is_empty())
            .collect();
        shares.sort_by(|one, other| (one.0, &one.1.object).cmp(&(other.0, &other.1.object)));
        shares.into_iter().map(|(_, folder)| folder).collect()
    });
    Ok(Json(SharesResponse { total_count: shares.len(), shares }))
}

/// The folders below which somebody may share, with their owners; none for one who is disabled or locked.
fn homes_of(known: &Known, caller: &UserName) -> Vec<(String, S3Path)> {
    if !known.index.is_on(caller) {
        return Vec::new();
    }
    let layout = &known.index.config().layout;
    let own = layout.user_homes(caller).into_iter().map(|home| (format!("user {caller}"), home));
    let stewarded = known.index.objects_of(Kind::MinioGroup).filter_map(|declared| match &declared.body {
        Ok(Declaration::Group(group)) if group.stewards.contains(caller) => Some(&group.name),
        _ => None,
    });
    let folders = stewarded
        .flat_map(|group| layout.group_homes(group).into_iter().map(move |home| (format!("group {group}"), home)));
    let mut homes: Vec<(String, S3Path)> = own.chain(folders).collect();
    homes.retain(|(_, home)| owner_of(known, caller, home).is_some());
    homes
}

fn folder(declared: &Declared, share: &ShareDecl, owner: &str, now: Timestamp) -> SharedFolder {
    let live = share.grants.iter().filter(|(_, terms)| !terms.is_expired(now));
    SharedFolder {
        path: share.path.to_string(),
        owner: owner.to_owned(),
        public: share.everyone,
        grants: live
            .map(|(target, terms)| SharedGrant {
                kind: target.kind(),
                name: target.name().to_owned(),
                access: terms.access.into(),
                expires_at: terms.expires_at.map(Stamp),
                reason: terms.reason.clone(),
            })
            .collect(),
        object: declared.key().to_string(),
    }
}

/// GET /sharing/with-me
pub async fn with_me(call: Call) -> Result<Json<SharedWithMeResponse>, ApiError> {
    let caller = &call.caller()?.user;
    let shares: Vec<_> = call.app.view.read(|known| {
        let homes = known.index.config().layout.user_homes(caller);
        let rows = access::of(&known.index, caller, Timestamp::now()).into_iter();
        let others = rows.filter(|row| row.is_shared() && !homes.iter().any(|home| home.scope().contains(&row.scope)));
        others.map(Into::into).collect()
    });
    Ok(Json(SharedWithMeResponse { total_count: shares.len(), shares }))
}
