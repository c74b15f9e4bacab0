//! What the API server has, where the watch may be behind.

use std::collections::BTreeSet;

use kube::Api;
use kube::api::ListParams;
use kube::core::DeserializeGuard;

use super::Editor;
use crate::api::meta::label;
use crate::iam::names::UserName;
use crate::iam::slug::user_slug;
use crate::kubernetes::{Watched, call_until};
use crate::rest::app::Call;
use crate::rest::error::ApiError;

impl Editor {
    /// The objects of a kind that calls of these users have made. One that cannot be decoded is left out.
    ///
    /// # Errors
    /// The Kubernetes API is away or refuses.
    pub async fn made_by<K: Watched>(&self, by: &Call, makers: &BTreeSet<UserName>) -> Result<Vec<K>, ApiError> {
        let slugs: Vec<String> = makers.iter().map(user_slug).collect();
        let ours = format!("{}={}", label::ORIGIN, label::ORIGIN_REST);
        let params = ListParams::default().labels(&format!("{ours},{} in ({})", label::OWNER, slugs.join(",")));
        let api = Api::<DeserializeGuard<K>>::namespaced(self.client.clone(), &self.namespace);
        let listed = call_until(by.deadline, "list", format!("{:?}s", K::KIND), api.list(&params)).await?;
        Ok(listed.items.into_iter().filter_map(|object| object.0.ok()).collect())
    }
}
