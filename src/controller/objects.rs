//! What the controller writes on the Kubernetes side of an object: its finalizer, its status, its events.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client, Resource as _};
use serde_json::{Map, Value, json};

use super::crds::Standing;
use super::events::Events;
use crate::api::meta::field_manager;
use crate::api::{self, MINIO_INSTANCE_NAME, MinioInstance};
use crate::iam::declared::KeyRequests;
use crate::iam::subject::{Kind, ObjectKey};
use crate::kubernetes::{Error, Seen, call, finalizer, resource};

/// Writes metadata, status and events of the kinds.
#[derive(Clone)]
pub struct Objects {
    client: Client,
    events: Events,
}

impl Objects {
    /// Objects behind `client`, and the events about them.
    pub fn new(client: Client, events: Events) -> Self {
        Self { client, events }
    }

    /// The client behind them.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    fn api(&self, key: &ObjectKey) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &key.namespace, &resource(key.kind))
    }

    /// Adds our finalizer; answers the object as it is then, `None` where it is gone or being deleted.
    ///
    /// # Errors
    /// The answer of the API server.
    pub async fn add_finalizer(&self, key: &ObjectKey, seen: &Seen) -> Result<Option<DynamicObject>, Error> {
        let object = finalizer::add_finalizer(&self.api(key), key, &seen.meta(key), field_manager::CONTROLLER).await?;
        Ok(object.filter(|object| object.metadata.deletion_timestamp.is_none()))
    }

    /// Removes our finalizer, which lets a deleted object go.
    ///
    /// # Errors
    /// The answer of the API server; an object that is gone already is fine.
    pub async fn remove_finalizer(&self, key: &ObjectKey, seen: &Seen) -> Result<(), Error> {
        finalizer::remove_finalizer(&self.api(key), key, &seen.meta(key), field_manager::CONTROLLER).await
    }

    /// How it stands with the CRD of a kind.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn standing_of_crd(&self, kind: Kind) -> Result<Standing, Error> {
        let resource = resource(kind);
        let name = format!("{}.{}", resource.plural, resource.group);
        let api = Api::<CustomResourceDefinition>::all(self.client.clone());
        match call("read", &name, api.get_metadata_opt(&name)).await {
            Ok(Some(crd)) if crd.metadata.deletion_timestamp.is_none() => Ok(Standing::There),
            Ok(_) => Ok(Standing::Going),
            Err(error) if error.code() == Some(403) => Ok(Standing::Unreadable),
            Err(error) => Err(error),
        }
    }

    /// Writes what differs between the status last seen, `before`, and `wanted`; answers whether anything was written. With `unchanged`
    /// only if nobody else has written the object since it was seen.
    ///
    /// # Errors
    /// The answer of the API server; an object that is gone already is fine.
    pub async fn write_status(
        &self,
        key: &ObjectKey,
        seen: &Seen,
        before: &Map<String, Value>,
        wanted: &Map<String, Value>,
        unchanged: bool,
    ) -> Result<bool, Error> {
        let changes = status_changes(before, wanted);
        if changes.is_empty() {
            return Ok(false);
        }
        let version = seen.version().filter(|_| unchanged);
        match self.patch_status(key, seen, version, Value::Object(changes)).await {
            Ok(_) => Ok(true),
            // Gone, or another object of the same name: there is nothing to report on any more.
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Records, before the first side effect, under which name the object acts, whether it made what bears that name, and
    /// which requests for its key are none because they came with it. Answers the object as it is then, `None` where it is gone.
    ///
    /// # Errors
    /// The answer of the API server.
    pub async fn write_origin(
        &self,
        key: &ObjectKey,
        seen: &Seen,
        name: &str,
        origin: api::Origin,
        handled: KeyRequests,
    ) -> Result<Option<DynamicObject>, Error> {
        let field = match key.kind {
            Kind::MinioUser => "username",
            Kind::MinioGroup => "groupName",
            Kind::MinioPolicy => "policyName",
            Kind::GroupMembership | Kind::PathShare | Kind::MinioAccessKey => return Ok(None),
        };
        let mut status = json!({field: name, "origin": origin});
        for (field, value) in [("lastHandledRotate", handled.rotate), ("lastHandledRevoke", handled.revoke)] {
            if let Some(value) = value.filter(|_| key.kind == Kind::MinioUser) {
                status["credentials"][field] = value.into();
            }
        }
        match self.patch_status(key, seen, None, status).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn patch_status(
        &self,
        key: &ObjectKey,
        seen: &Seen,
        version: Option<&str>,
        status: Value,
    ) -> Result<DynamicObject, Error> {
        let mut patch = json!({"metadata": {"uid": seen.uid()}, "status": status});
        if let Some(version) = version {
            patch["metadata"]["resourceVersion"] = version.into();
        }
        let patch = Patch::Merge(patch);
        let params = PatchParams { field_manager: Some(field_manager::STATUS.into()), ..Default::default() };
        let api = self.api(key);
        call("write the status of", key, api.patch_status(&key.name, &params, &patch)).await
    }

    /// Publishes an event on an object.
    pub async fn event(&self, key: &ObjectKey, seen: &Seen, warning: bool, reason: &str, note: &str) {
        let resource = resource(key.kind);
        let about = ObjectReference {
            api_version: Some(resource.api_version.clone()),
            kind: Some(resource.kind.clone()),
            namespace: Some(key.namespace.clone()),
            name: Some(key.name.clone()),
            uid: Some(seen.uid().to_owned()),
            resource_version: seen.version().map(str::to_owned),
            ..Default::default()
        };
        self.events.publish(&about, key, warning, reason, note).await;
    }

    /// Reads the `MinioInstance`; `None` where there is none yet.
    ///
    /// # Errors
    /// The answer of the API server.
    pub async fn instance(&self, namespace: &str) -> Result<Option<MinioInstance>, Error> {
        let api = Api::<MinioInstance>::namespaced(self.client.clone(), namespace);
        call("read", "the MinioInstance", api.get_opt(MINIO_INSTANCE_NAME)).await
    }

    /// Publishes a warning on the `MinioInstance`.
    pub async fn event_on_instance(&self, instance: &MinioInstance, reason: &str, note: &str) {
        self.events.publish(&instance.object_ref(&()), "the MinioInstance", true, reason, note).await;
    }
}

/// What to patch: fields that differ, and `null` for those that go.
fn status_changes(seen: &Map<String, Value>, wanted: &Map<String, Value>) -> Map<String, Value> {
    let changed = wanted.iter().filter(|(name, value)| seen.get(*name) != Some(*value));
    let gone = seen.keys().filter(|name| !wanted.contains_key(*name));
    let mut changes = Map::new();
    for (name, value) in changed {
        changes.insert(name.clone(), replacement(seen.get(name), value));
    }
    for name in gone {
        changes.insert(name.clone(), Value::Null);
    }
    changes
}

/// A merge patch merges objects: fields of the old one that the new one lacks must be named to go.
fn replacement(old: Option<&Value>, new: &Value) -> Value {
    let (Some(Value::Object(old)), Value::Object(new)) = (old, new) else { return new.clone() };
    let mut merged = new.clone();
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        merged.insert(name.clone(), Value::Null);
    }
    Value::Object(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_status_patch_names_only_what_differs() {
        let seen = map(json!({"observedGeneration": 1, "grants": {"active": 1, "expired": 2}, "nextExpiry": "x"}));
        let wanted = map(json!({"observedGeneration": 1, "grants": {"active": 2}}));
        assert_eq!(
            Value::Object(status_changes(&seen, &wanted)),
            json!({"grants": {"active": 2, "expired": null}, "nextExpiry": null})
        );
        assert!(status_changes(&seen, &seen).is_empty());
    }
}
