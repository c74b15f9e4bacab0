//! What is kept of an object besides its declaration: enough to write its metadata and status.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::status::Status;
use crate::api::meta::FINALIZER;
use crate::iam::subject::ObjectKey;

/// The finalizers of nearly every object.
static OURS: LazyLock<Arc<[String]>> = LazyLock::new(|| [FINALIZER.to_owned()].into());

/// One version of an object, as it was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    uid: Arc<str>,
    version: Option<Box<str>>,
    generation: i64,
    deleting: Option<Timestamp>,
    finalizers: Arc<[String]>,
    /// [`Others`] as JSON, where there is any of it.
    others: Option<Box<str>>,
    /// `status` as last seen or written.
    pub status: Status,
}

/// What is in the metadata for others than us: kept for whoever writes the whole object.
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Others {
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_references: Option<Vec<OwnerReference>>,
}

impl Seen {
    /// Keeps what is needed of an object; `uid` is that of its metadata, shared with whoever else keeps it.
    pub fn new(meta: &ObjectMeta, uid: Arc<str>, status: Option<&Value>) -> Self {
        Self {
            uid,
            version: meta.resource_version.as_deref().map(Into::into),
            generation: meta.generation.unwrap_or_default(),
            deleting: meta.deletion_timestamp.as_ref().map(|time| time.0),
            finalizers: finalizers(meta),
            others: others(meta),
            status: status.and_then(Value::as_object).map(Status::from).unwrap_or_default(),
        }
    }

    /// Drops what is kept for whoever writes the whole object.
    pub fn forget_others(&mut self) {
        self.others = None;
    }

    /// Whether our finalizer is on the object.
    pub fn has_finalizer(&self) -> bool {
        self.finalizers.iter().any(|finalizer| finalizer == FINALIZER)
    }

    /// Whether the object is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.deleting.is_some()
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// `metadata.resourceVersion`.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// `metadata.generation`.
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// `metadata`, as far as it is kept: without managed fields.
    pub fn meta(&self, key: &ObjectKey) -> ObjectMeta {
        // What was written as JSON can be read again.
        let others =
            self.others.as_deref().and_then(|text| serde_json::from_str::<Others>(text).ok()).unwrap_or_default();
        ObjectMeta {
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            uid: Some(self.uid.to_string()).filter(|uid| !uid.is_empty()),
            resource_version: self.version.as_deref().map(str::to_owned),
            generation: Some(self.generation),
            deletion_timestamp: self.deleting.map(Time),
            finalizers: Some(self.finalizers.to_vec()).filter(|finalizers| !finalizers.is_empty()),
            labels: others.labels,
            annotations: others.annotations,
            owner_references: others.owner_references,
            ..ObjectMeta::default()
        }
    }
}

fn finalizers(meta: &ObjectMeta) -> Arc<[String]> {
    let finalizers = meta.finalizers.as_deref().unwrap_or_default();
    if *finalizers == **OURS { OURS.clone() } else { finalizers.into() }
}

fn others(meta: &ObjectMeta) -> Option<Box<str>> {
    let others = Others {
        labels: meta.labels.clone(),
        annotations: meta.annotations.clone(),
        owner_references: meta.owner_references.clone(),
    };
    // Plain data always serializes.
    (others != Others::default()).then(|| serde_json::to_string(&others).unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::iam::subject::Kind;

    #[test]
    fn the_metadata_is_kept_as_far_as_an_object_is_written_with_it() {
        let mut meta: ObjectMeta = serde_json::from_value(json!({
            "name": "exp1", "namespace": "lake", "uid": "u", "resourceVersion": "7", "generation": 3,
            "finalizers": [FINALIZER, "example.com/other"], "labels": {"a": "b"}, "annotations": {"c": "\"d\""},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "p"}],
            "deletionTimestamp": "2026-01-01T00:00:00Z",
        }))
        .unwrap();
        let key = ObjectKey::new(Kind::PathShare, "lake", "exp1");
        let mut seen = Seen::new(&meta, "u".into(), None);
        assert!(seen.has_finalizer() && seen.is_deleting());
        assert_eq!((seen.meta(&key), seen.uid(), seen.version()), (meta.clone(), "u", Some("7")));
        (meta.labels, meta.annotations, meta.owner_references) = (None, None, None);
        seen.forget_others();
        assert_eq!(seen.meta(&key), meta);
    }
}
