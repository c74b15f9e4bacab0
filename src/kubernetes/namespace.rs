//! Whether a namespace is still there to be looked into.

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};

use super::object::call;

/// Whether a namespace is gone, or on its way out. The Role that let somebody look into it may be gone already, and what it does
/// not hold back by finalizers with it. Where that cannot be told, it is not.
pub async fn is_going(client: Client, name: &str) -> bool {
    let api = Api::<Namespace>::all(client);
    match call("read", format!("namespace {name}"), api.get_metadata_opt(name)).await {
        Ok(None) => true,
        Ok(Some(namespace)) => namespace.metadata.deletion_timestamp.is_some(),
        Err(_) => false,
    }
}
