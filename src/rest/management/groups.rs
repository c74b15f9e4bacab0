//! Groups, for administrators.

use axum::Json;
use axum::http::{Method, StatusCode};
use axum::routing::{delete, post};

use super::departure;
use super::members::{self, answer, await_user, put, settle};
use super::memberships::{Group, ours};
use super::users::may_delete;
use crate::api::meta::label;
use crate::api::{Access as Level, DataDeletionPolicy, GroupMember, MinioGroup, MinioGroupSpec};
use crate::iam::declared::{Body, Declared, Owner};
use crate::iam::names::{GroupName, ServerGroup, UserName};
use crate::iam::slug::user_slug;
use crate::iam::subject::{Kind, ObjectKey};
use crate::rest::app::Call;
use crate::rest::edit::{self, Created};
use crate::rest::error::ApiError;
use crate::rest::input::Segments;
use crate::rest::models::{GroupManagementResponse, ResourceDeleteResponse};
use crate::rest::routes::{Access, Expects, Route, schema_of};
use crate::rest::view::{Known, Written};

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    let create = Route {
        method: Method::POST,
        path: "/management/groups/{group_name}",
        id: "create_group_management_groups__group_name__post",
        tag: "management",
        summary: "Makes a group with the caller as its member; repeated, it answers what there is",
        access: Access::Admin,
        body: Expects::Nothing,
        query: &[],
        answers: vec![(201, schema_of::<GroupManagementResponse>)],
        handler: post(create),
    };
    let delete = Route {
        method: Method::DELETE,
        id: "delete_group_management_groups__group_name__delete",
        summary: "Empties and deletes a group that this service made, and its twin; its data stays unless configured otherwise",
        answers: vec![(200, schema_of::<ResourceDeleteResponse>)],
        handler: delete(remove),
        ..create.clone()
    };
    vec![create, delete]
}

async fn create(
    call: Call,
    Segments([text]): Segments<1>,
) -> Result<(StatusCode, Json<GroupManagementResponse>), ApiError> {
    refuse_name_of_twin(&call, &text)?;
    let group = call.app.alphabet.group(&text)?;
    let creator = call.caller()?.user.clone();
    await_user(&call, &creator).await?;
    await_end_of_former(&call, &group).await?;
    match call.app.view.read(|known| known.index.group(&group).cloned()) {
        Some(declared) => complete(&call, &declared, &group, &creator).await?,
        None => make(&call, &group, &creator).await?,
    }
    Ok((StatusCode::CREATED, Json(created(&call, &group)?)))
}

fn created(call: &Call, group: &GroupName) -> Result<GroupManagementResponse, ApiError> {
    let name = ServerGroup::from(group);
    let twin = call.app.view.read(|known| match known.index.group(group).map(|declared| &declared.body) {
        Some(Ok(Body::Group(body))) => body.twin.then(|| call.app.layout.twin(group)),
        _ => None,
    });
    let members = members::members(call, &name)?;
    answer(call, "create", &name, twin, members)
}

/// A group of such a name could not be told from the twin of another one. This comes ahead of all other rules.
fn refuse_name_of_twin(call: &Call, text: &str) -> Result<(), ApiError> {
    let text = text.trim();
    if !call.app.layout.looks_like_twin(text) {
        return Ok(());
    }
    Err(ApiError::governance(match call.app.layout.twin_suffix() {
        Some(suffix) => {
            format!("Group name cannot end with '{suffix}' - this suffix is reserved for read-only group variants")
        }
        None => "Group name cannot be that of a read-only group variant".to_owned(),
    }))
}

/// Waits until a group of this name that is being deleted is gone.
async fn await_end_of_former(call: &Call, group: &GroupName) -> Result<(), ApiError> {
    let not_deleting = |known: &Known| match known.index.group(group) {
        Some(declared) if declared.meta.deleting.is_some() => None,
        _ => Some(()),
    };
    let ended = call.app.view.wait_for(call.deadline, not_deleting).await;
    ended.ok_or_else(|| ApiError::unavailable(format!("Group {group} is still being deleted; try again")))
}

/// Makes the object of a group, and its creator a member. Where the object's name is taken by that of another group, a name of
/// its own is made.
async fn make(call: &Call, group: &GroupName, creator: &UserName) -> Result<(), ApiError> {
    for name in object_names(group) {
        match call.app.editor.create(call, &object_of(call, group, &name, creator)).await? {
            Created::New(_, written) => return open(call, group, &written, creator).await,
            Created::Taken => {
                if let Some(declared) = taken_by(call, &name, group).await {
                    return complete(call, &declared, group, creator).await;
                }
            }
        }
    }
    Err(ApiError::group(format!("The name of the object for group {group} is taken by that of another group")))
}

async fn open(call: &Call, group: &GroupName, written: &Written, creator: &UserName) -> Result<(), ApiError> {
    let with_creator = async {
        let group = Group { name: group.clone(), key: written.key.clone(), uid: written.uid.clone() };
        let reason = Some("creator of the group".to_owned());
        let creator = GroupMember { name: creator.to_string(), access: Level::ReadWrite, expires_at: None, reason };
        put(call, &group, creator).await
    };
    // What is wrong with the group says more than what follows for its members.
    let (group, members) = tokio::join!(settle(call, group, written), with_creator);
    group.and(members)
}

/// A group that is there stays as it is. Its creator gets in where an earlier call of the same caller was cut short.
async fn complete(call: &Call, declared: &Declared, group: &GroupName, creator: &UserName) -> Result<(), ApiError> {
    let meta = &declared.meta;
    let written = Written { key: meta.key.clone(), uid: meta.uid.clone(), generation: meta.generation };
    let cut_short = call.app.view.read(|known| {
        let labels = known.seen.get(&meta.key).and_then(|seen| seen.meta(&meta.key).labels);
        let maker = labels.as_ref().and_then(|labels| labels.get(label::OWNER));
        meta.rest && maker == Some(&user_slug(creator)) && ours(known, group).next().is_none()
    });
    if cut_short {
        return open(call, group, &written, creator).await;
    }
    if meta.origin.is_none() {
        settle(call, group, &written).await?;
    }
    Ok(())
}

/// The object of a name, if it holds this group.
async fn taken_by(call: &Call, name: &str, group: &GroupName) -> Option<Declared> {
    let namespace = call.app.editor.namespace().to_owned();
    let key = ObjectKey::new(Kind::MinioGroup, namespace, name);
    let found = call.app.view.wait_for(call.deadline, |known| known.index.get(&key).cloned()).await?;
    let is_of_group = |declared: &Declared| matches!(&declared.body, Ok(Body::Group(body)) if &body.name == group);
    Some(found).filter(is_of_group)
}

/// The name of the object of a group, and that in case another group's has it.
fn object_names(group: &GroupName) -> [String; 2] {
    edit::group_names(group)
}

fn object_of(call: &Call, group: &GroupName, name: &str, creator: &UserName) -> MinioGroup {
    let spec = MinioGroupSpec { group_name: Some(group.to_string()), ..MinioGroupSpec::default() };
    let mut object = MinioGroup::new(name, spec);
    object.metadata = call.app.editor.metadata(name, creator);
    object
}

async fn remove(call: Call, Segments([text]): Segments<1>) -> Result<Json<ResourceDeleteResponse>, ApiError> {
    let (group, declared) = to_delete(&call, &text)?;
    let owner = Owner::Group(group.clone());
    match declared {
        Some(declared) => {
            if declared.meta.deleting.is_none() {
                may_delete(&call, &declared).await.map_err(|reason| failed(group.as_str(), &reason))?;
            }
            departure::delete_with_all(&call, &owner, &declared, data_policy).await?;
        }
        None if departure::finish(&call, &owner).await? => {}
        None => return Err(failed(group.as_str(), "it does not exist")),
    }
    Ok(Json(ResourceDeleteResponse::group(&group)))
}

fn data_policy(object: &mut MinioGroup) -> &mut DataDeletionPolicy {
    &mut object.spec.data_deletion_policy
}

/// The group that a call names, and its object if it is there.
fn to_delete(call: &Call, text: &str) -> Result<(GroupName, Option<Declared>), ApiError> {
    let text = text.trim();
    let named = ServerGroup::parse(text).ok().and_then(|name| {
        call.app.view.read(|known| {
            let (group, twin) = known.index.server_group(&name)?;
            Some((group.clone(), twin, known.index.group(group)?.clone()))
        })
    });
    match named {
        Some((group, false, declared)) => Ok((group, Some(declared))),
        Some((group, true, _)) => Err(failed(text, &format!("it is the read-only twin of {group} and goes with it"))),
        None => Ok((call.app.alphabet.group(text)?, None)),
    }
}

fn failed(group: &str, reason: &str) -> ApiError {
    ApiError::group(format!("Failed to delete group {group}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_by_the_group_where_that_is_legal() {
        let names = |group: &str| object_names(&GroupName::parse(group).unwrap());
        assert_eq!(names("kbase")[0], "kbase");
        assert_eq!(names("Team-1")[0], "team-1");
        assert_eq!(names("1ab")[0], "1ab");
        assert!(names("team.one")[0].starts_with("team-one---"));
        assert_ne!(names("Team")[1], names("team")[1], "a name of its own differs");
        assert_eq!(names("team")[1].len(), "team-".len() + 10);
    }
}
