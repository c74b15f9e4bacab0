//! Objects of other authors as people look for them.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::Api;
use kube::api::DynamicObject;

use super::{AT_ONCE, Editor};
use crate::iam::subject::ObjectKey;
use crate::kubernetes::{call_until, resource};
use crate::rest::app::Call;

impl Editor {
    /// An object of another author as a person looks for it: kind, namespace, name, and who manages its spec.
    pub async fn describe(&self, by: &Call, key: &ObjectKey) -> String {
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &key.namespace, &resource(key.kind));
        // Who manages it only helps to find the place; the name alone does too.
        let found = call_until(by.deadline, "read", key, api.get_metadata_opt(&key.name)).await.ok().flatten();
        let managers = found.map(|object| managers_of_spec(&object.metadata)).unwrap_or_default();
        if managers.is_empty() { key.to_string() } else { format!("{key} (managed by {})", managers.join(", ")) }
    }

    /// The same of several objects, each looked at once.
    pub async fn describe_all(&self, by: &Call, keys: BTreeSet<ObjectKey>) -> BTreeMap<ObjectKey, String> {
        let describe = |key: ObjectKey| async move {
            let described = self.describe(by, &key).await;
            (key, described)
        };
        stream::iter(keys).map(describe).buffer_unordered(AT_ONCE).collect().await
    }
}

/// The managers of what an object declares, without those that look after its metadata and status.
fn managers_of_spec(metadata: &ObjectMeta) -> Vec<String> {
    let owns_spec = |entry: &&ManagedFieldsEntry| {
        let fields = entry.fields_v1.as_ref().and_then(|fields| fields.0.as_object());
        entry.subresource.as_deref().unwrap_or_default().is_empty()
            && fields.is_some_and(|fields| fields.contains_key("f:spec"))
    };
    let entries = metadata.managed_fields.iter().flatten().filter(owns_spec);
    let names: BTreeSet<String> = entries.filter_map(|entry| entry.manager.clone()).collect();
    names.into_iter().collect()
}
