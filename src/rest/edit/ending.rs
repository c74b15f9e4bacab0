//! Whether an object is gone, also where the watch is behind.

use std::time::Duration;

use kube::Api;
use kube::api::DynamicObject;
use tokio::time::{Instant, sleep_until};

use super::Editor;
use crate::iam::subject::ObjectKey;
use crate::kubernetes::{call_until, resource};
use crate::rest::app::Call;
use crate::rest::error::ApiError;
use crate::rest::view::Written;

/// The pause before the API server is asked again, at first ...
const PAUSE: Duration = Duration::from_millis(20);
/// ... and at most.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl Editor {
    /// Waits until an object is gone; false where it is still there at the deadline. Of what the watch has not shown yet, its
    /// silence says nothing: then the API server is asked.
    pub async fn gone(&self, by: &Call, written: &Written) -> bool {
        let Written { key, uid, .. } = written;
        if by.app.view.read(|known| known.shows(key, uid)) {
            return by.app.view.gone(key, uid, by.deadline).await;
        }
        let mut pause = PAUSE;
        while Instant::now() < by.deadline {
            if self.uid_of(by, key).await.is_ok_and(|found| found.as_deref() != Some(uid)) {
                return true;
            }
            sleep_until(by.deadline.min(Instant::now() + pause)).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
        false
    }

    /// The uid that the API server has for an object now; `None` where there is no such object.
    ///
    /// # Errors
    /// The Kubernetes API is away or refuses.
    pub async fn uid_of(&self, by: &Call, key: &ObjectKey) -> Result<Option<String>, ApiError> {
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &key.namespace, &resource(key.kind));
        let found = call_until(by.deadline, "read", key, api.get_metadata_opt(&key.name)).await?;
        Ok(found.and_then(|object| object.metadata.uid))
    }
}
