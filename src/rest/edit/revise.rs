//! Changes or deletes an object, whatever others do to it meanwhile.

use kube::api::{DeleteParams, Preconditions};

use super::{Editor, TRIES};
use crate::kubernetes::{Watched, call_until};
use crate::rest::app::Call;
use crate::rest::error::ApiError;
use crate::rest::view::Written;

/// What is to become of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// It is as it should be.
    Keep,
    /// It is to be as it was edited.
    Replace,
    /// It is to go.
    Delete,
}

/// What became of it.
#[derive(Debug)]
pub enum Revised<K> {
    /// It is there, changed or as it should be already.
    Done(K, Written),
    /// This call has deleted it.
    Deleted(Written),
    /// Somebody has deleted it before, and it is on its way out.
    Leaving(K, Written),
    /// There is no such object.
    Absent,
}

impl Editor {
    /// Changes or deletes an object as it is now, as `edit` decides; it may be called again, on a newer version. With a version
    /// that was `seen` the object need not be read first: what is written holds only if nobody wrote in between.
    ///
    /// # Errors
    /// What `edit` refuses; the Kubernetes API is away or refuses; others keep writing the object.
    pub async fn revise<K: Watched>(
        &self,
        by: &Call,
        name: &str,
        mut seen: Option<K>,
        mut edit: impl FnMut(&mut K) -> Result<Revision, ApiError>,
    ) -> Result<Revised<K>, ApiError> {
        let api = self.api::<K>();
        for attempt in 0..TRIES {
            let (mut object, is_seen) = match seen.take() {
                Some(object) => (object, true),
                None => match call_until(by.deadline, "read", name, api.get_opt(name)).await? {
                    Some(object) => (object, false),
                    None => return Ok(Revised::Absent),
                },
            };
            if object.meta().deletion_timestamp.is_some() {
                let written = super::written(&object);
                return Ok(Revised::Leaving(object, written));
            }
            let refused = match edit(&mut object)? {
                // What was seen may be old; only what is written, or read just now, is certain.
                Revision::Keep if is_seen => continue,
                Revision::Keep => {
                    let written = super::written(&object);
                    return Ok(Revised::Done(object, written));
                }
                Revision::Replace => {
                    let params = super::params();
                    let replaced = api.replace(name, &params, &object);
                    match call_until(by.deadline, "change", name, replaced).await {
                        Ok(made) => {
                            let written = super::written(&made);
                            by.wrote(&written);
                            return Ok(Revised::Done(made, written));
                        }
                        Err(error) => error,
                    }
                }
                Revision::Delete => {
                    match call_until(by.deadline, "delete", name, api.delete(name, &unchanged(&object))).await {
                        Ok(_) => {
                            let written = super::written(&object);
                            by.wrote(&written);
                            return Ok(Revised::Deleted(written));
                        }
                        Err(error) => error,
                    }
                }
            };
            match refused.code() {
                Some(409) if !is_seen => super::pause(attempt).await,
                Some(404) => return Ok(Revised::Absent),
                // Something else than the version may be wrong with what was seen, such as the spelling of its path.
                _ if is_seen && refused.is_without_effect() => {}
                _ => return Err(super::refused(refused)),
            }
        }
        Err(ApiError::unavailable("The object is being changed by many callers at once; try again"))
    }
}

/// Only as long as nobody has changed the object since.
fn unchanged<K: Watched>(object: &K) -> DeleteParams {
    let meta = object.meta();
    let preconditions = Preconditions { uid: meta.uid.clone(), resource_version: meta.resource_version.clone() };
    DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() }
}
