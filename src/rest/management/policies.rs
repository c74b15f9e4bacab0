//! Policies, for administrators.

use axum::Json;
use axum::http::Method;
use axum::routing::delete;

use crate::iam::declared::{Body, Declared};
use crate::iam::names::{DocumentName, EVERYONE_GROUP, PolicyName, ServerGroup};
use crate::rest::app::Call;
use crate::rest::error::{ApiError, Code};
use crate::rest::input::Segments;
use crate::rest::models::ResourceDeleteResponse;
use crate::rest::render::{self, Holder};
use crate::rest::routes::{Access, Expects, Route, schema_of};
use crate::rest::view::Known;

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::DELETE,
        path: "/management/policies/{policy_name}",
        id: "delete_policy_management_policies__policy_name__delete",
        tag: "management",
        summary: "Refused for policies that follow from objects; says which object to delete",
        access: Access::Admin,
        body: Expects::Nothing,
        query: &[],
        answers: vec![(200, schema_of::<ResourceDeleteResponse>)],
        handler: delete(delete_policy),
    }]
}

/// What follows from objects would come back at once; all else on the server is not this service's to delete.
async fn delete_policy(call: Call, Segments([asked]): Segments<1>) -> Result<Json<ResourceDeleteResponse>, ApiError> {
    let name = asked.trim();
    match call.app.view.read(|known| reason_to_stay(known, name)) {
        Some(reason) => Err(ApiError::new(Code::Path, format!("Policy {name} {reason}"))),
        None => Ok(Json(ResourceDeleteResponse::absent_policy(name))),
    }
}

fn reason_to_stay(known: &Known, name: &str) -> Option<String> {
    let declared = PolicyName::parse(name).ok().and_then(|name| known.index.policy(&name));
    if let Some(declared) = declared {
        return Some(format!("is declared by {}; delete that object", declared.key()));
    }
    let declared = match Holder::of(&DocumentName::from_server(name))? {
        Holder::Home(user) => known.index.user(&user)?,
        Holder::System(user) => known.index.user(&user).filter(|_| render::has_system(known, &user))?,
        Holder::Group(group) if group == EVERYONE_GROUP => {
            return Some("is derived from the PathShares that everyone may read; make their paths private".to_owned());
        }
        Holder::Group(group) => declared_group(known, &group)?,
    };
    Some(format!("is derived from {}; delete that object", declared.key()))
}

/// The object of a group or of an enabled twin.
fn declared_group<'a>(known: &'a Known, name: &str) -> Option<&'a Declared> {
    let (group, twin) = known.index.server_group(&ServerGroup::parse(name).ok()?)?;
    let declared = known.index.group(group)?;
    match &declared.body {
        Ok(Body::Group(body)) if twin && !body.twin => None,
        _ => Some(declared),
    }
}
