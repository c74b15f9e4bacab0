//! The OpenAPI document, made from the table of routes and the schemas of the bodies, so that it cannot say something else
//! than the service does.

use schemars::generate::SchemaSettings;
use schemars::{SchemaGenerator, transform::RecursiveTransform};
use serde_json::{Map, Value, json};

use super::docs;
use super::models::ErrorResponse;
use super::routes::{Access, Expects, Route, schema_of, table};

/// The name of the security scheme.
const BEARER: &str = "bearer";

/// The document.
pub fn document() -> Value {
    let mut schemas = generator();
    let error = schema_of::<ErrorResponse>(&mut schemas).to_value();
    let mut paths = Map::new();
    let mut tags: Vec<&str> = Vec::new();
    for route in table().iter().filter(|route| route.tag != docs::TAG) {
        if !tags.contains(&route.tag) {
            tags.push(route.tag);
        }
        let operations = paths.entry(route.path).or_insert_with(|| json!({}));
        operations[route.method.as_str().to_ascii_lowercase()] = operation(route, &error, &mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "minio-manager",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Who may touch what in MinIO: users, groups, sharing, workspaces and credentials.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": tags.iter().map(|tag| json!({"name": tag})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {BEARER: {"type": "http", "scheme": "bearer"}},
        },
    })
}

/// The document as the text that is served and committed.
pub fn text() -> String {
    format!("{:#}\n", document())
}

fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.transforms.push(Box::new(RecursiveTransform(simplify)));
    });
    settings.into_generator()
}

/// Says it as generators of clients understand it: an enumeration as one list, and no formats that only Rust knows.
fn simplify(schema: &mut schemars::Schema) {
    let unsigned = |format: &Value| format.as_str().is_some_and(|format| format.starts_with("uint"));
    if schema.get("format").is_some_and(unsigned) {
        schema.remove("format");
    }
    let words = schema.get("oneOf").and_then(Value::as_array).map(|variants| {
        variants.iter().map(|variant| variant.get("const").filter(|word| word.is_string()).cloned()).collect()
    });
    if let Some(Some(words)) = words {
        let words: Vec<Value> = words;
        schema.remove("oneOf");
        schema.insert("type".to_owned(), json!("string"));
        schema.insert("enum".to_owned(), json!(words));
    } else if let Some(word) = schema.get("const").filter(|word| word.is_string()).cloned() {
        schema.remove("const");
        schema.insert("enum".to_owned(), json!([word]));
    }
}

fn operation(route: &Route, error: &Value, schemas: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": route.id,
        "tags": [route.tag],
        "summary": route.summary,
        "responses": responses(route, error, schemas),
    });
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if let Some((body, required)) = match route.body {
        Expects::Nothing => None,
        Expects::Body(body) => Some((body, true)),
        Expects::Perhaps(body) => Some((body, false)),
    } {
        operation["requestBody"] = json!({"required": required, "content": json_of(body(schemas).to_value())});
    }
    if route.access != Access::Public {
        operation["security"] = json!([{BEARER: []}]);
    }
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = names_in(route.path).map(
        |name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}),
    );
    let in_query = route.query.iter().map(|parameter| {
        json!({
            "name": parameter.name,
            "in": "query",
            "required": parameter.required,
            "description": parameter.description,
            "schema": (parameter.schema)(),
        })
    });
    in_path.chain(in_query).collect()
}

/// The names in braces.
fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn responses(route: &Route, error: &Value, schemas: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    for (status, answer) in &route.answers {
        let description = if *status == 207 { "Done in part, see errors" } else { "Done" };
        let content = json_of(answer(schemas).to_value());
        responses.insert(status.to_string(), json!({"description": description, "content": content}));
    }
    for (class, description) in [("4XX", "Refused"), ("5XX", "Not done, or not yet")] {
        responses.insert(class.to_owned(), json!({"description": description, "content": json_of(error.clone())}));
    }
    Value::Object(responses)
}

fn json_of(schema: Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

#[cfg(test)]
mod tests;
