//! What an object tells in its status, for commands that take any kind.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::DynamicObject;
use serde::Deserialize;

use crate::api::meta::condition;
use crate::api::{self, CredentialsStatus};

/// The part of a status that the kinds have in common, and the key of those that have one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Told {
    /// The generation that it speaks of.
    pub observed_generation: Option<i64>,
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// The key.
    pub credentials: CredentialsStatus,
}

impl Told {
    /// What the object tells; nothing where it has no status, or one that nobody can read.
    pub fn by(object: &DynamicObject) -> Self {
        let status = object.data.get("status").cloned().unwrap_or_default();
        serde_json::from_value(status).unwrap_or_default()
    }

    /// The condition of this type.
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        api::condition(&self.conditions, type_)
    }

    /// `Ready`, where it was said at all.
    pub fn ready(&self) -> Option<&Condition> {
        self.condition(condition::READY)
    }

    /// Whether it speaks of the object as it is now.
    pub fn is_current(&self, object: &DynamicObject) -> bool {
        self.observed_generation.is_some() && self.observed_generation == object.metadata.generation
    }
}

/// `Ready=True, Converged: in force on MinIO`, in one line.
pub fn in_words(ready: Option<&Condition>) -> String {
    match ready {
        None => "nobody has looked at it yet".to_owned(),
        Some(Condition { status, reason, message, .. }) if message.is_empty() => format!("Ready={status}, {reason}"),
        Some(Condition { status, reason, message, .. }) => format!("Ready={status}, {reason}: {message}"),
    }
}
