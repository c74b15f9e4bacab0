//! The document against the one of the legacy service, which generated clients were made from.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{document, text};

const COMMITTED: &str = include_str!("../../../docs/openapi.json");

fn legacy() -> Value {
    serde_json::from_str(include_str!("legacy.json")).unwrap()
}

fn operations(document: &Value) -> BTreeMap<(String, String), Value> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(|(method, operation)| ((path.clone(), method.clone()), operation.clone()))
    });
    operations.collect()
}

fn texts(value: &Value) -> BTreeSet<String> {
    let list = value.as_array().into_iter().flatten();
    list.map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().into_iter().flat_map(|map| map.keys().cloned()).collect()
}

#[test]
fn committed_file_is_what_the_routes_say() {
    assert!(COMMITTED == text(), "docs/openapi.json is out of date: run `make generate`");
}

#[test]
fn every_legacy_operation_is_there_with_its_id_and_parameters() {
    let ours = operations(&document());
    for (place, theirs) in operations(&legacy()) {
        let ours = ours.get(&place).unwrap_or_else(|| panic!("{place:?} is missing"));
        assert_eq!(ours["operationId"], theirs["operationId"], "{place:?}");
        assert_eq!(texts(&ours["tags"]), texts(&theirs["tags"]), "{place:?}");
        assert_eq!(ours.get("security").is_some(), theirs.get("security").is_some(), "{place:?}");
        let body = "/requestBody/content/application~1json/schema";
        if let Some(schema) = theirs.pointer(body) {
            assert_eq!(ours.pointer(body), Some(schema), "{place:?}");
        }
        for parameter in theirs["parameters"].as_array().into_iter().flatten() {
            let named = |one: &&Value| one["name"] == parameter["name"];
            let ours = ours["parameters"].as_array().into_iter().flatten().find(named);
            let ours = ours.unwrap_or_else(|| panic!("{place:?}: {parameter}"));
            assert_eq!((&ours["in"], &ours["required"]), (&parameter["in"], &parameter["required"]), "{place:?}");
            assert_eq!(meaning(&ours["schema"]), meaning(&parameter["schema"]), "{place:?}: {parameter}");
        }
    }
}

#[test]
fn answers_have_the_legacy_schemas() {
    let ours = operations(&document());
    for (place, theirs) in operations(&legacy()) {
        for (status, theirs) in theirs["responses"].as_object().unwrap() {
            let schema = "/content/application~1json/schema/$ref";
            let (ours, theirs) = (ours[&place]["responses"][status].pointer(schema), theirs.pointer(schema));
            assert!(ours.is_some(), "{place:?} {status} has a named schema");
            assert!(theirs.is_none() || ours == theirs, "{place:?} {status}: {ours:?} for {theirs:?}");
        }
    }
    let partial = |path: &str| ours[&(path.to_owned(), "post".to_owned())]["responses"]["207"].clone();
    for (path, name) in [("/sharing/share", "ShareResponse"), ("/sharing/unshare", "UnshareResponse")] {
        let schema = partial(path).pointer("/content/application~1json/schema").cloned();
        assert_eq!(schema, Some(json!({"$ref": format!("#/components/schemas/{name}")})));
    }
}

#[test]
fn every_legacy_schema_is_there_with_its_properties() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    for (name, theirs) in legacy()["components"]["schemas"].as_object().unwrap() {
        let ours = schemas.get(name).unwrap_or_else(|| panic!("the schema {name} is missing"));
        assert_eq!(texts(&ours["required"]), texts(&theirs["required"]), "{name}");
        assert_eq!(texts(&ours["enum"]), texts(&theirs["enum"]), "{name}");
        let missing: Vec<_> = keys(&theirs["properties"]).difference(&keys(&ours["properties"])).cloned().collect();
        assert!(missing.is_empty(), "{name} lacks {missing:?}");
        for (property, theirs) in theirs["properties"].as_object().into_iter().flatten() {
            let ours = meaning(&ours["properties"][property]);
            let theirs = meaning(theirs);
            // Where they allow several types, one of them is enough: then a client has less to tell apart.
            assert!(ours.is_subset(&theirs), "{name}.{property}: {ours:?} is not among {theirs:?}");
        }
    }
    for request in ["ShareRequest", "UnshareRequest", "PathRequest"] {
        assert_eq!(schemas[request]["additionalProperties"], false, "{request}");
    }
}

/// What a schema allows, one text for each type, whatever the way of writing it.
fn meaning(schema: &Value) -> BTreeSet<String> {
    let mut rest = schema.clone();
    let map = rest.as_object_mut().unwrap();
    for silent in ["description", "title", "default"] {
        map.remove(silent);
    }
    if let Some(Value::Array(variants)) = map.remove("anyOf") {
        return variants.iter().flat_map(meaning).collect();
    }
    if let Some(Value::Array(types)) = map.get("type").cloned() {
        let one = |kind: &Value| {
            let mut one = rest.clone();
            if kind == "null" {
                one = json!({});
            }
            one["type"] = kind.clone();
            meaning(&one)
        };
        return types.iter().flat_map(one).collect();
    }
    let mut rest = schema_of_numbers(rest);
    if let Some(items) = rest.get("items").cloned() {
        rest["items"] = json!(meaning(&items));
    }
    BTreeSet::from([rest.to_string()])
}

/// `0.0` and `0` are one number; the width of an integer is nobody's business.
fn schema_of_numbers(mut schema: Value) -> Value {
    for limit in ["minimum", "maximum"] {
        if let Some(number) = schema.get(limit).and_then(Value::as_f64) {
            schema[limit] = json!(number);
        }
    }
    if schema["type"] == "integer" {
        schema.as_object_mut().unwrap().remove("format");
    }
    schema
}

#[test]
fn references_lead_somewhere_and_nothing_is_left_over() {
    let document = document();
    let names = keys(&document["components"]["schemas"]);
    let mut named = BTreeSet::new();
    collect_references(&document, &mut named);
    assert_eq!(named, names);
}

fn collect_references(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                names.insert(reference.strip_prefix("#/components/schemas/").unwrap().to_owned());
            }
            map.values().for_each(|value| collect_references(value, names));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_references(value, names)),
        _ => {}
    }
}

#[test]
fn operation_ids_are_unique() {
    let operations = operations(&document());
    let ids: BTreeSet<_> = operations.values().map(|operation| operation["operationId"].to_string()).collect();
    assert_eq!(ids.len(), operations.len());
}
