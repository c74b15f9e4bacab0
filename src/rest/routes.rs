//! The routes as one table: what the router serves is what the OpenAPI document says.

use std::collections::BTreeMap;
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
    /// The body that it expects, if any.
    pub body: Option<SchemaOf>,
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
    app.metrics.expect_http_routes(routes.iter().map(|route| (method_name(&route.method), route.path)));
    let mut paths: BTreeMap<String, MethodRouter> = BTreeMap::new();
    let mut methods: BTreeMap<&'static str, Vec<&'static str>> = BTreeMap::new();
    for route in routes {
        methods.entry(route.path).or_default().push(method_name(&route.method));
        let handler = middleware::around(&route);
        for path in spellings(route.path) {
            let held = paths.remove(&path).unwrap_or_default();
            paths.insert(path, held.merge(handler.clone()));
        }
    }
    let mut router = Router::new();
    for (path, handler) in paths {
        let allow = methods.iter().find(|(known, _)| spellings(known).contains(&path)).map(|(_, all)| all.join(", "));
        router = router.route(&path, middleware::only(handler, allow.unwrap_or_default()));
    }
    middleware::around_all(router.fallback(middleware::nothing_here), app)
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
