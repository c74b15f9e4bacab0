//! From objects of the API server to declarations: decoded once, at the border.

use kube::core::{DeserializeGuard, DynamicObject};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api;
use crate::iam::declared::{Declared, Undecodable};
use crate::iam::index::Event;
use crate::iam::subject::{Kind, ObjectKey};

use super::seen::Seen;

/// An object, decoded.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// Which object.
    pub key: ObjectKey,
    /// Its Kubernetes side.
    pub seen: Box<Seen>,
    /// What it says to the index.
    pub event: Event,
}

/// A kind that takes part in the compilation.
pub trait Watched:
    Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// The kind.
    const KIND: Kind;

    /// What the object declares.
    fn declare(&self) -> Declared;

    /// Its status as JSON.
    fn status_value(&self) -> Option<Value>;
}

macro_rules! watched {
    ($($kind:ident => $read:ident),*) => {$(
        impl Watched for api::$kind {
            const KIND: Kind = Kind::$kind;

            fn declare(&self) -> Declared {
                Declared::$read(self)
            }

            fn status_value(&self) -> Option<Value> {
                // A status of plain data always serializes.
                self.status.as_ref().and_then(|status| serde_json::to_value(status).ok())
            }
        }
    )*};
}

watched!(
    MinioUser => user, MinioGroup => group, GroupMembership => membership, PathShare => share, MinioPolicy => policy,
    MinioAccessKey => access_key
);

/// Decodes an object from a watch; one that cannot be decoded keeps its identity and the reason.
pub fn decode<K: Watched>(object: DeserializeGuard<K>) -> Decoded {
    match object.0 {
        Ok(object) => decode_valid(&object),
        Err(invalid) => {
            let metadata = invalid.metadata;
            let found = Undecodable::new(K::KIND, metadata.clone(), invalid.error);
            let (key, seen) = (found.key.clone(), Box::new(Seen::new(&metadata, found.uid.clone(), None)));
            tracing::warn!(object = %key, error = found.error, "object cannot be decoded; its last good version stays in force");
            Decoded { event: Event::Undecodable(Box::new(found)), key, seen }
        }
    }
}

/// Decodes the answer to a write.
pub fn decode_dynamic(kind: Kind, object: DynamicObject) -> Decoded {
    match kind {
        Kind::MinioUser => decode_as::<api::MinioUser>(object),
        Kind::MinioGroup => decode_as::<api::MinioGroup>(object),
        Kind::GroupMembership => decode_as::<api::GroupMembership>(object),
        Kind::PathShare => decode_as::<api::PathShare>(object),
        Kind::MinioPolicy => decode_as::<api::MinioPolicy>(object),
        Kind::MinioAccessKey => decode_as::<api::MinioAccessKey>(object),
    }
}

fn decode_as<K: Watched>(object: DynamicObject) -> Decoded {
    let metadata = object.metadata.clone();
    let guarded = match object.try_parse::<K>() {
        Ok(object) => DeserializeGuard(Ok(object)),
        Err(error) => {
            DeserializeGuard(Err(kube::core::error_boundary::InvalidObject { error: error.to_string(), metadata }))
        }
    };
    decode(guarded)
}

fn decode_valid<K: Watched>(object: &K) -> Decoded {
    let declared = object.declare();
    let key = declared.key().clone();
    let seen = Box::new(Seen::new(object.meta(), declared.meta.uid.clone(), object.status_value().as_ref()));
    debug_assert_eq!(key.name, object.name_any());
    Decoded { event: Event::Upsert(Box::new(declared)), key, seen }
}
