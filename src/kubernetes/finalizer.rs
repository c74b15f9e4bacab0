//! Our finalizer on an object: put there and taken away without losing anybody else's.

use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ObjectMeta;
use serde_json::json;

use super::object::{Error, call};
use crate::api::meta::FINALIZER;
use crate::iam::subject::ObjectKey;

/// How often a write is tried again when somebody else wrote meanwhile.
const CONFLICT_TRIES: usize = 5;

/// Adds our finalizer to an object whose metadata was seen; answers the object as it is then, `None` where it is gone.
///
/// # Errors
/// The answer of the API server.
pub async fn add_finalizer(
    api: &Api<DynamicObject>,
    key: &ObjectKey,
    seen: &ObjectMeta,
    manager: &str,
) -> Result<Option<DynamicObject>, Error> {
    edit(api, key, seen, manager, |finalizers| {
        if finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            return false;
        }
        finalizers.push(FINALIZER.to_owned());
        true
    })
    .await
}

/// Removes our finalizer, which lets a deleted object go.
///
/// # Errors
/// The answer of the API server; an object that is gone already is fine.
pub async fn remove_finalizer(
    api: &Api<DynamicObject>,
    key: &ObjectKey,
    seen: &ObjectMeta,
    manager: &str,
) -> Result<(), Error> {
    edit(api, key, seen, manager, |finalizers| {
        let before = finalizers.len();
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        finalizers.len() != before
    })
    .await
    .map(|_| ())
}

/// Changes the finalizers under the resource version, so that nobody else's are lost.
async fn edit(
    api: &Api<DynamicObject>,
    key: &ObjectKey,
    seen: &ObjectMeta,
    manager: &str,
    edit: impl Fn(&mut Vec<String>) -> bool,
) -> Result<Option<DynamicObject>, Error> {
    let mut meta = seen.clone();
    for _ in 0..CONFLICT_TRIES {
        let mut finalizers = meta.finalizers.clone().unwrap_or_default();
        if !edit(&mut finalizers) {
            return call("read", key, api.get_opt(&key.name)).await;
        }
        let patch = json!({"metadata": {
            "uid": meta.uid, "resourceVersion": meta.resource_version, "finalizers": finalizers
        }});
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..Default::default() };
        match call("change the finalizers of", key, api.patch(&key.name, &params, &Patch::Merge(&patch))).await {
            Ok(object) => return Ok(Some(object)),
            Err(error) if error.code() == Some(404) => return Ok(None),
            Err(error) if error.code() == Some(409) => match call("read", key, api.get_opt(&key.name)).await? {
                Some(object) if object.metadata.uid == meta.uid => meta = object.metadata,
                _ => return Ok(None),
            },
            Err(error) => return Err(error),
        }
    }
    Err(Error::Contended { object: key.to_string() })
}
