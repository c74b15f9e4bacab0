//! The routes as one table: what the router serves is what the OpenAPI document says.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::routing::MethodRouter;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::app::App;
use super::{access, credentials, docs, health, management, middleware, sharing, workspaces};

/// Makes the schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of a type as a value.
pub fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a token.
    Public,
    /// Everybody with a token.
    User,
    /// Administrators.
    Admin,
}

/// A parameter of the query.
#[derive(Clone, Copy, Debug)]
pub struct QueryParameter {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub description: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it may be.
    pub schema: fn() -> serde_json::Value,
}

/// The body that an operation expects.
#[derive(Clone, Copy, Debug)]
pub enum Expects {
    /// None; what is sent is not looked at.
    Nothing,
    /// Such a body.
    Body(SchemaOf),
    /// Such a body, or none.
    Perhaps(SchemaOf),
}

/// One operation.
#[derive(Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// The operation id: generated clients name their modules after it.
    pub id: &'static str,
    /// The group of operations that it belongs to.
    pub tag: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Who may call.
    pub access: Access,
    /// The body that it expects.
    pub body: Expects,
    /// Parameters of the query.
    pub query: &'static [QueryParameter],
    /// The successful answers.
    pub answers: Vec<(u16, SchemaOf)>,
    /// What serves it.
    pub handler: MethodRouter,
}

impl Route {
    /// Whether it changes anything.
    pub fn writes(&self) -> bool {
        self.method != Method::GET && self.path != "/sharing/get_path_access_info"
    }
}

/// All operations.
pub fn table() -> Vec<Route> {
    [
        health::routes(),
        credentials::routes(),
        sharing::routes(),
        workspaces::routes(),
        management::routes(),
        access::routes(),
        docs::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The router of all operations. A path is also served with the other spelling of its last slash.
pub fn router(app: &Arc<App>) -> Router {
    let routes = table();
    let known = routes.iter().map(|route| (method_name(&route.method), route.path));
    app.metrics.expect_http_routes(known.chain([(method_name(&Method::GET), middleware::NO_ROUTE)]));
    let mut router = Router::new();
    for path in routes.iter().map(|route| route.path).collect::<BTreeSet<_>>() {
        let served: Vec<&Route> = routes.iter().filter(|route| serves(route, path, &routes)).collect();
        // What the document says of this path; that a name may be such a word is said with the names.
        let documented = served.iter().filter(|route| route.path == path);
        let allow: Vec<&str> = documented.map(|route| method_name(&route.method)).collect();
        let handlers =
            served.iter().map(|route| middleware::around(route)).fold(MethodRouter::new(), MethodRouter::merge);
        let handlers = middleware::only(handlers, allow.join(", "));
        for spelling in spellings(path) {
            router = router.route(&spelling, handlers.clone());
        }
    }
    middleware::around_all(router.fallback(middleware::nothing_here), app)
}

/// Whether an operation is found at a path of the table: its own, or one that says literally what is a name in its own, such
/// as the list of names, which a user may be called too.
fn serves(route: &Route, path: &str, table: &[Route]) -> bool {
    let is_own = |other: &Route| other.path == path && other.method == route.method;
    route.path == path || (segments(route.path, path).is_some() && !table.iter().any(is_own))
}

/// What stands in a path where a template has names in braces; `None` where they do not fit.
pub fn segments<'a>(template: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let parts = |path: &'a str| path.strip_suffix('/').unwrap_or(path).split('/');
    let (template, parts): (Vec<&str>, Vec<&str>) =
        (template.trim_end_matches('/').split('/').collect(), parts(path).collect());
    let pairs = || template.iter().zip(&parts);
    let is_name = |part: &str| part.starts_with('{');
    let fits = template.len() == parts.len() && pairs().all(|(name, part)| is_name(name) || name == part);
    fits.then(|| pairs().filter(|(name, _)| is_name(name)).map(|(_, part)| *part).collect())
}

fn spellings(path: &str) -> [String; 2] {
    match path.strip_suffix('/') {
        Some(bare) => [path.to_owned(), bare.to_owned()],
        None => [path.to_owned(), format!("{path}/")],
    }
}

/// The name of a method that some operation has.
pub fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "GET",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_like_an_operation_can_be_managed() {
        let table = table();
        let served = |path: &str| -> Vec<&str> {
            let mut ids: Vec<&str> =
                table.iter().filter(|route| serves(route, path, &table)).map(|route| route.id).collect();
            ids.sort_unstable();
            ids
        };
        let ids = served("/management/groups/names");
        assert_eq!(ids.len(), 3, "{ids:?}");
        assert!(
            ids.iter().any(|id| id.starts_with("create_group")) && ids.iter().any(|id| id.starts_with("delete_group"))
        );
        // Where both say something, the literal path holds.
        assert!(!served("/workspaces/me/policies").iter().any(|id| id.contains("_group_name_")));
        assert_eq!(served("/health/live"), ["health_live_health_live_get"]);
    }

    #[test]
    fn names_are_where_the_template_has_them() {
        let template = "/management/groups/{group_name}/members/{username}";
        assert_eq!(segments(template, "/management/groups/kbase/members/alice"), Some(vec!["kbase", "alice"]));
        assert_eq!(segments(template, "/management/groups/kbase/members/alice/"), Some(vec!["kbase", "alice"]));
        assert_eq!(segments(template, "/management/groups/kbase/members"), None);
        assert_eq!(segments("/health/", "/health"), Some(vec![]));
        assert_eq!(segments("/health", "/healthy"), None);
    }
}
