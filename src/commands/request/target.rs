//! Whom a request is about: as it is typed, and the object that is meant.

use std::collections::BTreeSet;
use std::fmt;

use kube::api::DynamicObject;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use crate::commands::Failure;
use crate::commands::plan::objects;
use crate::iam::names::UserName;
use crate::iam::subject::{Kind, ObjectKey};
use crate::kubernetes::{call, resource};

/// The kinds with the names that kubectl has for them.
const NAMES: [(Kind, [&str; 4]); 6] = [
    (Kind::MinioUser, ["user", "miniouser", "miniousers", "mu"]),
    (Kind::MinioGroup, ["group", "miniogroup", "miniogroups", "mg"]),
    (Kind::GroupMembership, ["membership", "groupmembership", "groupmemberships", "gm"]),
    (Kind::PathShare, ["share", "pathshare", "pathshares", "ps"]),
    (Kind::MinioPolicy, ["policy", "miniopolicy", "miniopolicies", "mp"]),
    (Kind::MinioAccessKey, ["key", "minioaccesskey", "minioaccesskeys", "mk"]),
];

/// Whom a request is about, as it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A user by its name on MinIO.
    User(UserName),
    /// An object by its kind and `metadata.name`.
    Object(Kind, String),
}

impl Target {
    /// Reads `alice`, `share/exp` or `miniouser.minio-manager.io/alice`.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((kind, name)) = text.split_once('/') else {
            return UserName::parse(text).map(Self::User).map_err(|error| {
                format!("{error}; expected a user by its MinIO name, or KIND/NAME, for example share/exp")
            });
        };
        let plain = kind.to_ascii_lowercase();
        let plain = plain.strip_suffix(&format!(".{}", crate::api::GROUP)).unwrap_or(&plain);
        let known = NAMES.iter().find(|(_, names)| names.contains(&plain));
        match known {
            None => Err(format!("there is no kind {kind}; expected user, group, share or key before the slash")),
            Some(_) if !is_object_name(name) => Err(format!("{name:?} is not the name of an object")),
            Some((kind, _)) => Ok(Self::Object(*kind, name.to_owned())),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "{name}"),
            Self::Object(kind, name) => write!(f, "{kind} {name}"),
        }
    }
}

/// What becomes part of the path of a request.
fn is_object_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        && !name.starts_with('.')
}

/// The object that is meant.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which.
    pub key: ObjectKey,
    /// How to reach it.
    pub api: Api<DynamicObject>,
    /// As it was when it was found.
    pub object: DynamicObject,
}

impl Found {
    /// The MinIO name that the object declares: of a key that of its user, and of a share its path.
    pub fn identity(&self) -> String {
        let spec = |field: &str| self.object.data.pointer(&format!("/spec/{field}")).and_then(Value::as_str);
        let declared = match self.key.kind {
            Kind::MinioUser => spec("username"),
            Kind::MinioGroup => spec("groupName"),
            Kind::MinioPolicy => spec("policyName"),
            Kind::GroupMembership => spec("group"),
            Kind::PathShare => spec("path"),
            Kind::MinioAccessKey => spec("user"),
        };
        declared.map_or_else(|| self.object.name_any(), str::to_owned)
    }

    /// How a command of ours is told it.
    pub fn for_us(&self) -> String {
        let known = NAMES.iter().find(|(kind, _)| *kind == self.key.kind);
        let kind = known.map_or("user", |(_, [shortest, ..])| *shortest);
        format!("{kind}/{} -n {}", self.key.name, self.key.namespace)
    }
}

/// Finds the object in the namespaces.
///
/// # Errors
/// There is none, there are several, or the cluster does not answer.
pub async fn find(client: &Client, namespaces: &BTreeSet<String>, target: &Target) -> Result<Found, Failure> {
    let mut found = match target {
        Target::Object(kind, name) => by_object(client, namespaces, *kind, name).await?,
        Target::User(name) => by_user(client, namespaces, name).await?,
    };
    match (found.pop(), found.pop()) {
        (Some(found), None) => Ok(found),
        (None, _) => Err(nothing(target, namespaces).into()),
        (Some(one), Some(another)) => {
            Err(format!("{target} is both {} and {}; say which with -n NAMESPACE", another.key, one.key).into())
        }
    }
}

fn nothing(target: &Target, namespaces: &BTreeSet<String>) -> String {
    let places: Vec<&str> = namespaces.iter().map(String::as_str).collect();
    let places = places.join(", ");
    match target {
        Target::User(name) => format!(
            "no MinioUser declares user {name} in namespace {places}; -n names another one, and kubectl get miniousers -A \
             lists all"
        ),
        Target::Object(kind, name) => format!(
            "there is no {kind} {name} in namespace {places}; -n names another one, and kubectl get {} -A lists all",
            kind.as_str().to_ascii_lowercase()
        ),
    }
}

async fn by_object(
    client: &Client,
    namespaces: &BTreeSet<String>,
    kind: Kind,
    name: &str,
) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for namespace in namespaces {
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource(kind));
        let key = ObjectKey::new(kind, namespace, name);
        if let Some(object) = call("read", &key, api.get_opt(name)).await? {
            found.push(Found { key, api, object });
        }
    }
    Ok(found)
}

/// Two objects that claim one name are a conflict that only a person can tell apart.
async fn by_user(client: &Client, namespaces: &BTreeSet<String>, name: &UserName) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for namespace in namespaces {
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource(Kind::MinioUser));
        for (key, object) in objects::of_kind(&api, Kind::MinioUser, namespace).await? {
            let candidate = Found { key, api: api.clone(), object };
            if candidate.identity() == name.as_str() {
                found.push(candidate);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_objects_are_told_as_kubectl_is_told() {
        let object = |kind, name: &str| Ok(Target::Object(kind, name.to_owned()));
        assert_eq!(Target::parse("Alice.B"), Ok(Target::User(UserName::parse("Alice.B").unwrap())));
        assert_eq!(Target::parse("share/exp"), object(Kind::PathShare, "exp"));
        assert_eq!(Target::parse("MinioUser/alice"), object(Kind::MinioUser, "alice"));
        assert_eq!(Target::parse("minioaccesskey.minio-manager.io/etl"), object(Kind::MinioAccessKey, "etl"));
        for (wrong, said) in [
            ("bucket/x", "no kind bucket"),
            ("share/", "not the name"),
            ("share/a/b", "not the name"),
            ("a", "KIND/NAME"),
        ] {
            let error = Target::parse(wrong).unwrap_err();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }

    #[test]
    fn every_kind_has_the_names_that_its_crd_has() {
        for (kind, names) in NAMES {
            let resource = resource(kind);
            assert!(names.contains(&resource.plural.as_str()), "{kind}");
            assert!(names.contains(&resource.kind.to_ascii_lowercase().as_str()), "{kind}");
        }
        let crds = crate::api::schema::crds();
        for (kind, names) in NAMES {
            let crd = crds.iter().find(|crd| crd.spec.names.kind == kind.as_str()).unwrap();
            let short = crd.spec.names.short_names.as_ref().unwrap();
            assert!(short.iter().all(|short| names.contains(&short.as_str())), "{kind}");
        }
    }
}
