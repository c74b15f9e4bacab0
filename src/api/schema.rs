//! The parts of the schemas that do not follow from the Rust types, and the finished CRDs.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSONSchemaProps};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::{GroupMembership, MinioGroup, MinioInstance, MinioPolicy, MinioUser, PathShare, rules};

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
        MinioInstance::crd(),
    ]
    .into_iter()
    .map(finish)
    .collect()
}

fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) {
            describe_root(schema);
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
                    "minimum": 0,
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
        "maxLength": rules::INSTANT_MAX,
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
