//! The parts of the schemas that do not follow from the Rust types, and the finished CRDs.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSONSchemaProps};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::{CustomResourceExt, ResourceExt};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::{GroupMembership, MinioAccessKey, MinioGroup, MinioInstance, MinioPolicy, MinioUser, PathShare, rules};

/// The CRDs of every kind, in the order of the manual.
///
/// Optional fields are not nullable, so that the API server takes an explicit null as absent.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    [
        MinioUser::crd(),
        MinioGroup::crd(),
        GroupMembership::crd(),
        PathShare::crd(),
        MinioPolicy::crd(),
        MinioAccessKey::crd(),
        MinioInstance::crd(),
    ]
    .into_iter()
    .map(finish)
    .collect()
}

fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    // Not by the attribute of the derive, which puts it on every object that is made here too.
    crd.annotations_mut().insert("helm.sh/resource-policy".to_owned(), "keep".to_owned());
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) {
            describe_root(schema);
            schema.title = None;
            visit(schema, &mut |s| s.nullable = None);
        }
    }
    crd
}

fn describe_root(schema: &mut JSONSchemaProps) {
    for (name, description) in [
        ("spec", "What is wanted."),
        ("status", "What the controller has found and done. Written by the controller only."),
    ] {
        if let Some(property) = schema.properties.as_mut().and_then(|p| p.get_mut(name)) {
            property.description = Some(description.into());
        }
    }
}

fn visit(schema: &mut JSONSchemaProps, change: &mut impl FnMut(&mut JSONSchemaProps)) {
    change(schema);
    for property in schema.properties.iter_mut().flat_map(|p| p.values_mut()) {
        visit(property, change);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        visit(items, change);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        visit(values, change);
    }
}

/// `metav1.Condition`, with the limits of its Go type, which the generated Rust type does not carry.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": rules::CONDITIONS_MAX,
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "type": "string",
                    "description": "What the condition is about.",
                    "maxLength": 316,
                    "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
                "status": {
                    "type": "string",
                    "description": "True, False or Unknown.",
                    "enum": ["True", "False", "Unknown"],
                },
                "reason": {
                    "type": "string",
                    "description": "Why, in one word for programs.",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {
                    "type": "string",
                    "description": "Why, in words for people.",
                    "maxLength": 32768,
                },
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "Since when the condition has had its status.",
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "description": "The metadata.generation that the condition speaks of.",
                },
            },
        },
    })
}

/// An instant that every program reads in the same way: `format` alone lets an offset be missing.
pub(super) fn instant(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "format": "date-time",
        "pattern": rules::INSTANT,
    })
}

/// A policy document: the two fields without which nothing can be said about it. The strict check is
/// [`crate::iam`]'s, because a schema could only drop what it does not know.
pub(super) fn policy_document(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["Version", "Statement"],
        "properties": {
            "Version": {
                "type": "string",
                "maxLength": 32,
                "description": "The version of the policy language: \"2012-10-17\".",
            },
            "Statement": {
                "description": "The statements, each with Effect, Action, Resource and perhaps Condition.",
                "x-kubernetes-preserve-unknown-fields": true,
            },
        },
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn each_property(schema: &Value, path: &str, check: &mut impl FnMut(&str, &Value)) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            check(&path, property);
            each_property(property, &path, check);
        }
        if schema["items"].is_object() {
            let path = format!("{path}[]");
            each_property(&schema["items"], &path, check);
        }
    }

    fn each_schema(schema: &Value, path: &str, check: &mut impl FnMut(&str, &Value)) {
        check(path, schema);
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            each_schema(property, &format!("{path}.{name}"), check);
        }
        if schema["items"].is_object() {
            each_schema(&schema["items"], &format!("{path}[]"), check);
        }
    }

    fn schemas() -> Vec<(String, Value)> {
        crds()
            .into_iter()
            .map(|crd| {
                let kind = crd.spec.names.kind.clone();
                let crd = serde_json::to_value(crd).unwrap();
                (kind, crd.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap().clone())
            })
            .collect()
    }

    #[test]
    fn every_field_is_described() {
        for (kind, schema) in schemas() {
            assert!(schema["description"].as_str().is_some_and(|text| text.ends_with('.')), "{kind}");
            each_property(&schema, &kind, &mut |path, property| {
                let description = property["description"].as_str().unwrap_or_default();
                assert!(description.ends_with('.') && !description.contains('`'), "{path}: {description:?}");
            });
        }
    }

    #[test]
    fn everything_is_bounded() {
        for (kind, schema) in schemas() {
            each_schema(&schema, &kind, &mut |path, part| match part["type"].as_str() {
                Some("array") => {
                    assert!(part["maxItems"].is_u64(), "{path}: no maxItems");
                    assert!(part["x-kubernetes-list-type"].is_string(), "{path}: no list type");
                }
                Some("string") => assert!(
                    part["maxLength"].is_u64() || part["enum"].is_array() || part["format"] == "date-time",
                    "{path}: no maxLength"
                ),
                Some("object" | "boolean") => {}
                Some("integer") => assert_eq!(part["format"], "int64", "{path}"),
                other => assert!(part["x-kubernetes-preserve-unknown-fields"] == true, "{path}: {other:?}"),
            });
        }
    }

    #[test]
    fn nothing_is_nullable_and_no_format_is_unknown() {
        for (kind, schema) in schemas() {
            each_schema(&schema, &kind, &mut |path, part| {
                assert!(part.get("nullable").is_none(), "{path}");
                let format = part["format"].as_str();
                assert!(matches!(format, None | Some("int64" | "date-time")), "{path}: {format:?}");
                assert!(part.get("default") != Some(&Value::Null), "{path}: default null");
            });
        }
    }

    #[test]
    fn helm_keeps_the_crds_and_kubectl_knows_short_names() {
        let crds = crds();
        for crd in &crds {
            let annotations = crd.metadata.annotations.as_ref().unwrap();
            assert_eq!(annotations["helm.sh/resource-policy"], "keep");
            assert_eq!(crd.spec.names.categories.as_deref(), Some(&["minio-manager".to_owned()][..]));
        }
        let short: Vec<_> = crds.iter().flat_map(|crd| crd.spec.names.short_names.clone().unwrap()).collect();
        assert_eq!(short, ["mu", "mg", "gm", "ps", "mp", "mk", "mi"]);
    }
}
