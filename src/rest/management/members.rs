//! Members of groups, for administrators and stewards.

use axum::http::Method;
use axum::routing::{delete, post};
use axum::{Extension, Json};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde_json::Value;

use super::memberships::ours;
use super::memberships::{Edit, Group};
use crate::api::{GroupMember, rules};
use crate::iam::declared::{self, Declared, Terms};
use crate::iam::names::{DocumentName, EVERYONE_GROUP, GroupName, ServerGroup, UserName};
use crate::iam::path::Access;
use crate::rest::app::Call;
use crate::rest::error::ApiError;
use crate::rest::input::{Body, Segments};
use crate::rest::models::{GroupManagementResponse, Stamp};
use crate::rest::routes::{self, Expects, Route, schema_of};
use crate::rest::terms::Lasting;
use crate::rest::view::{Known, Settled, Written, stall_of};

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    let add = Route {
        method: Method::POST,
        path: "/management/groups/{group_name}/members/{username}",
        id: "add_group_member_management_groups__group_name__members__username__post",
        tag: "management",
        summary: "Puts a user into a group, or into its read-only twin; for administrators and stewards of the group",
        access: routes::Access::User,
        body: Expects::Perhaps(schema_of::<MembershipRequest>),
        query: &[],
        answers: vec![(200, schema_of::<GroupManagementResponse>)],
        handler: post(add),
    };
    let remove = Route {
        method: Method::DELETE,
        id: "remove_group_member_management_groups__group_name__members__username__delete",
        summary: "Takes a user out of a group, or out of its read-only twin; for administrators and stewards of the group",
        body: Expects::Nothing,
        handler: delete(remove),
        ..add.clone()
    };
    vec![add, remove]
}

async fn add(
    call: Call,
    Segments([group, user]): Segments<2>,
    body: Option<Extension<Body>>,
) -> Result<Json<GroupManagementResponse>, ApiError> {
    let side = Side::of(&call, &group)?;
    let user = call.app.alphabet.user(&user)?;
    let terms = terms(body.map(|Extension(body)| body))?;
    await_user(&call, &user).await?;
    let others = call.app.view.read(|known| Elsewhere::of(known, &side.group.name, &user, Timestamp::now()));
    if side.access == Access::Read
        && let Some(more) = &others.write
    {
        let object = call.app.editor.describe(&call, &more.written.key).await;
        return Err(ApiError::group(format!(
            "User {user} reads and writes as a member of group {} through {object}, so that membership in {} changes nothing; remove it there first",
            side.group.name, side.name
        )));
    }
    match others.at(side.access) {
        Some(other) if !others.entry_of_ours && other.lasts_as_long_as(terms.expires_at) => {
            await_other(&call, &side.group.name, &other.written).await?;
        }
        _ => {
            let member = GroupMember {
                name: user.to_string(),
                access: side.access.into(),
                expires_at: terms.expires_at.map(Into::into),
                reason: terms.reason,
            };
            put(&call, &side.group, member).await?;
        }
    }
    if !call.app.view.read(|known| user_exists(known, &user)) {
        // It was deleted meanwhile; whoever gets the name next must not be a member.
        call.app.memberships.change(&call, &side.group, Edit::Remove(user.clone(), None)).await?;
        return Err(ApiError::group(format!("User {user} does not exist")));
    }
    let members = side.members(&call)?;
    if !members.contains(&user) && side.access == Access::ReadWrite {
        return Err(ApiError::unavailable(format!(
            "User {user} is not in group {} yet; it will be, try again",
            side.name
        )));
    }
    Ok(Json(answer(&call, "add_member", &side.name, None, members)?))
}

async fn remove(call: Call, Segments([group, user]): Segments<2>) -> Result<Json<GroupManagementResponse>, ApiError> {
    let side = Side::of(&call, &group)?;
    let user = call.app.alphabet.user(&user)?;
    let (exists, others) = call
        .app
        .view
        .read(|known| (user_exists(known, &user), Elsewhere::of(known, &side.group.name, &user, Timestamp::now())));
    if !exists && !others.entry_of_ours {
        return Err(ApiError::group(format!("Failed to remove user from group: User {user} does not exist")));
    }
    let edit = Edit::Remove(user.clone(), Some(side.access.into()));
    if let Some(written) = call.app.memberships.change(&call, &side.group, edit).await? {
        settle(&call, &side.group.name, &written).await?;
    }
    if let Some(other) = others.at(side.access) {
        let object = call.app.editor.describe(&call, &other.written.key).await;
        return Err(ApiError::group(format!(
            "User {user} is a member of group {} through {object}; remove it there",
            side.name
        )));
    }
    let members = side.members(&call)?;
    Ok(Json(answer(&call, "remove_member", &side.name, None, members)?))
}

/// Makes somebody a member and waits until that is in force.
///
/// # Errors
/// The list is full; 503/20050 where it takes too long.
pub async fn put(call: &Call, group: &Group, member: GroupMember) -> Result<(), ApiError> {
    match call.app.memberships.change(call, group, Edit::Put(member)).await? {
        Some(written) => settle(call, &group.name, &written).await,
        None => Err(ApiError::unavailable(format!("The members of group {} changed meanwhile; try again", group.name))),
    }
}

/// Waits until a version of an object that concerns a group is in force.
///
/// # Errors
/// 400/20040 with the words of the controller where it will not be, 503/20050 where it takes too long.
pub async fn settle(call: &Call, group: &GroupName, written: &Written) -> Result<(), ApiError> {
    match call.app.view.settled(written, call.deadline).await {
        Settled::InForce => Ok(()),
        Settled::Stalled { message, .. } => Err(ApiError::group(format!("Group {group}: {message}"))),
        Settled::Gone => Err(ApiError::group(format!("Group {group} not found: it was deleted meanwhile"))),
        Settled::TimedOut { message } => Err(ApiError::unavailable(format!(
            "The change of group {group} was accepted and will take effect, but has not yet: {message}"
        ))),
    }
}

/// Waits until what another object says of its members is in force; what else is wrong with it is not the caller's matter.
async fn await_other(call: &Call, group: &GroupName, written: &Written) -> Result<(), ApiError> {
    match call.app.view.settled(written, call.deadline).await {
        Settled::Stalled { .. } => Ok(()),
        _ => settle(call, group, written).await,
    }
}

/// What the legacy API answers about a group: its members as they are now.
///
/// # Errors
/// 401 for a call without a token.
pub fn answer(
    call: &Call,
    operation: &str,
    name: &ServerGroup,
    twin: Option<ServerGroup>,
    members: Vec<UserName>,
) -> Result<GroupManagementResponse, ApiError> {
    Ok(GroupManagementResponse {
        group_name: name.to_string(),
        ro_group_name: twin.map(|twin| twin.to_string()),
        member_count: members.len(),
        members: members.iter().map(ToString::to_string).collect(),
        policy_name: DocumentName::group(name).to_string(),
        operation: operation.to_owned(),
        performed_by: call.caller()?.user.to_string(),
        timestamp: Stamp::now(),
    })
}

/// The group or the twin that a call names.
struct Side {
    name: ServerGroup,
    group: Group,
    access: Access,
}

impl Side {
    /// Finds it, for somebody who may change its members.
    fn of(call: &Call, text: &str) -> Result<Self, ApiError> {
        let caller = call.caller()?;
        let found = ServerGroup::parse(text.trim())
            .ok()
            .and_then(|name| call.app.view.read(|known| Self::find(known, name, &caller.user)));
        match found {
            Some((side, steward)) if caller.admin || steward => Ok(side),
            _ if !caller.admin => Err(ApiError::not_admin()),
            _ if text.trim() == EVERYONE_GROUP => Err(ApiError::group(format!(
                "Every enabled user is a member of group {EVERYONE_GROUP}; its members cannot be changed"
            ))),
            _ => {
                let group = call.app.alphabet.group(text)?;
                Err(ApiError::group(format!("Group {group} not found")))
            }
        }
    }

    /// The side, and whether this user is a steward of its group who is neither disabled nor locked.
    fn find(known: &Known, name: ServerGroup, user: &UserName) -> Option<(Self, bool)> {
        let (group, twin) = known.index.server_group(&name)?;
        let declared = known.index.group(group).filter(|declared| declared.meta.deleting.is_none())?;
        let Ok(declared::Body::Group(body)) = &declared.body else { return None };
        if twin && !body.twin {
            return None;
        }
        let access = if twin { Access::Read } else { Access::ReadWrite };
        let group = Group::of(group, declared);
        let is_steward = body.stewards.contains(user) && known.index.is_on(user);
        Some((Self { name, group, access }, is_steward))
    }

    fn members(&self, call: &Call) -> Result<Vec<UserName>, ApiError> {
        members(call, &self.name)
    }
}

/// The members of a group or twin in force.
///
/// # Errors
/// 400/20040 where it was deleted meanwhile.
pub fn members(call: &Call, name: &ServerGroup) -> Result<Vec<UserName>, ApiError> {
    let members = call.app.view.read(|known| known.index.members(name, Timestamp::now()));
    let members =
        members.ok_or_else(|| ApiError::group(format!("Group {name} not found: it was deleted meanwhile")))?;
    Ok(members.into_iter().collect())
}

/// What other objects than those of this service say of a member, and whether one of this service's says anything.
struct Elsewhere {
    write: Option<Source>,
    read: Option<Source>,
    entry_of_ours: bool,
}

/// An object that declares a member.
struct Source {
    written: Written,
    ends: Option<Timestamp>,
}

impl Source {
    fn of(declared: &Declared, ends: Option<Timestamp>) -> Self {
        Self { written: Written::of(declared), ends }
    }

    fn lasts_as_long_as(&self, wanted: Option<Timestamp>) -> bool {
        self.ends.is_none_or(|ends| wanted.is_some_and(|wanted| wanted <= ends))
    }
}

impl Elsewhere {
    fn of(known: &Known, group: &GroupName, user: &UserName, now: Timestamp) -> Self {
        let mut found = Self { write: None, read: None, entry_of_ours: false };
        if let Some(declared) = known.index.group(group)
            && let Ok(declared::Body::Group(body)) = &declared.body
        {
            found.write = body.members.contains(user).then(|| Source::of(declared, None));
            found.read = body.read_only_members.contains(user).then(|| Source::of(declared, None));
        }
        let own: Vec<_> = ours(known, group).collect();
        for declared in known.index.memberships_of(group) {
            let Ok(declared::Body::Membership(body)) = &declared.body else { continue };
            let Some(terms) = body.members.get(user) else { continue };
            if own.contains(&&declared.meta.key) {
                found.entry_of_ours = true;
            } else if !terms.is_expired(now) && in_force(known, declared, now) {
                found.note(declared, terms);
            }
        }
        found
    }

    /// Keeps the one that lasts longest.
    fn note(&mut self, declared: &Declared, terms: &Terms) {
        let place = if terms.access == Access::ReadWrite { &mut self.write } else { &mut self.read };
        if place.as_ref().is_none_or(|held| !held.lasts_as_long_as(terms.expires_at)) {
            *place = Some(Source::of(declared, terms.expires_at));
        }
    }

    fn at(&self, access: Access) -> Option<&Source> {
        if access == Access::ReadWrite { self.write.as_ref() } else { self.read.as_ref() }
    }
}

fn in_force(known: &Known, declared: &Declared, now: Timestamp) -> bool {
    known.index.outcome(&declared.meta.key, now).is_some_and(|verdict| verdict.standing.is_in_force())
}

/// Whether a user is declared and there to stay.
fn user_exists(known: &Known, user: &UserName) -> bool {
    known.index.user(user).is_some_and(|declared| declared.meta.deleting.is_none())
}

/// Waits until a user that exists has its account: nobody can be in a group before.
///
/// # Errors
/// 400/20040 for an unknown user and one that will have no account, 503/20050 where it takes too long.
pub async fn await_user(call: &Call, user: &UserName) -> Result<(), ApiError> {
    let has_account = |known: &Known| {
        let Some(declared) = known.index.user(user).filter(|declared| declared.meta.deleting.is_none()) else {
            return Some(Err(ApiError::group(format!("User {user} does not exist"))));
        };
        if declared.meta.origin.is_some() {
            return Some(Ok(()));
        }
        let key = &declared.meta.key;
        let stall = known.seen.get(key).and_then(|seen| stall_of(seen))?;
        Some(Err(ApiError::group(format!("User {user} has no account: {}", stall.message))))
    };
    let late = || ApiError::unavailable(format!("User {user} has no account yet; it will have one, try again"));
    call.app.view.wait_for(call.deadline, has_account).await.unwrap_or_else(|| Err(late()))
}

/// How long a membership lasts, and why.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes the body; it is read field by field, so that errors come in their order")]
struct MembershipRequest {
    /// When the membership ends; without it, it does not. The last call for somebody holds.
    #[schemars(default)]
    expires_at: Option<Stamp>,
    /// Why, for people.
    #[schemars(default, length(max = rules::REASON_MAX))]
    reason: Option<String>,
}

/// What the body asks for. The legacy service ignored bodies here, and clients send some; one that names `expires_at` or
/// `reason` is meant for us, and is then read strictly: a membership must not last for ever because of a misspelt date.
fn terms(body: Option<Body>) -> Result<Lasting, ApiError> {
    let Some(body) = body.filter(names_terms) else { return Ok(Lasting::default()) };
    let mut fields = body.fields()?;
    let lasting = Lasting::read(&mut fields, Timestamp::now());
    fields.end()?;
    Ok(lasting)
}

fn names_terms(body: &Body) -> bool {
    matches!(&body.0, Value::Object(fields) if fields.contains_key("expires_at") || fields.contains_key("reason"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<Lasting, ApiError> {
        terms(Some(Body(body)))
    }

    #[test]
    fn bodies_that_are_meant_for_others_are_ignored() {
        assert_eq!(terms(None).unwrap(), Lasting::default());
        for body in [json!({"members": []}), json!([1]), json!("text"), json!({}), json!(null)] {
            assert_eq!(read(body).unwrap(), Lasting::default());
        }
    }

    #[test]
    fn those_that_are_meant_for_us_are_read_strictly() {
        assert_eq!(read(json!({"expires_at": null, "reason": "x"})).unwrap().reason.as_deref(), Some("x"));
        for body in [json!({"expires_at": "3000-01-01T00:00:00Z"}), json!({"reason": "x", "members": []})] {
            assert_eq!(read(body).unwrap_err().status(), 422);
        }
    }
}
