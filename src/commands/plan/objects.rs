//! The objects that a plan is made for: those of the cluster, with files laid over them, or files alone.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::api::{DynamicObject, ListParams};
use kube::{Api, Client};
use serde_json::Value;

use crate::api;
use crate::iam::subject::{Kind, ObjectKey};
use crate::kubernetes::resource;

/// Largest file or folder entry that is read, in bytes.
const LARGEST_FILE: u64 = 64 << 20;
const PAGE: u32 = 500;
/// How long one page may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// Objects by key, so that two of one name cannot both count.
pub(in crate::commands) type Objects = BTreeMap<ObjectKey, DynamicObject>;

/// Why the objects cannot be had. The text says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is too large to be a manifest.
    #[error("{} is larger than {LARGEST_FILE} bytes", path.display())]
    Large {
        /// The file.
        path: PathBuf,
    },
    /// A file is not what it should be.
    #[error("{}: {problem}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// The cluster does not know the kinds.
    #[error("the cluster does not know {kind}; install the CRDs: minio-manager crds | kubectl apply -f -")]
    NoSuchKind {
        /// The kind.
        kind: Kind,
    },
    /// The cluster does not answer, or not to us.
    #[error("cannot list {kind} in namespace {namespace}; check the kubeconfig and its rights")]
    List {
        /// The kind.
        kind: Kind,
        /// The namespace.
        namespace: String,
        /// Why not.
        source: Box<kube::Error>,
    },
    /// The cluster is too slow.
    #[error("listing {kind} in namespace {namespace} took longer than {} s", DEADLINE.as_secs())]
    Slow {
        /// The kind.
        kind: Kind,
        /// The namespace.
        namespace: String,
    },
}

/// All objects of the cluster that take part in the compilation.
pub(in crate::commands) async fn of_cluster<'a>(
    client: &Client,
    namespaces: impl IntoIterator<Item = &'a String>,
) -> Result<Objects, ObjectsError> {
    let mut objects = Objects::new();
    for namespace in namespaces {
        for kind in Kind::ALL {
            let api = Api::namespaced_with(client.clone(), namespace, &resource(kind));
            list(&api, kind, namespace, &mut objects).await?;
        }
    }
    Ok(objects)
}

/// All objects of one kind in one namespace.
pub(in crate::commands) async fn of_kind(
    api: &Api<DynamicObject>,
    kind: Kind,
    namespace: &str,
) -> Result<Objects, ObjectsError> {
    let mut objects = Objects::new();
    list(api, kind, namespace, &mut objects).await?;
    Ok(objects)
}

async fn list(
    api: &Api<DynamicObject>,
    kind: Kind,
    namespace: &str,
    objects: &mut Objects,
) -> Result<(), ObjectsError> {
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let listed = tokio::time::timeout(DEADLINE, api.list(&page)).await;
        let answer = listed.map_err(|_| ObjectsError::Slow { kind, namespace: namespace.to_owned() })?;
        let answer = answer.map_err(|error| match error {
            kube::Error::Api(status) if status.code == 404 => ObjectsError::NoSuchKind { kind },
            source => ObjectsError::List { kind, namespace: namespace.to_owned(), source: Box::new(source) },
        })?;
        for object in answer.items {
            let name = object.metadata.name.clone().unwrap_or_default();
            objects.insert(ObjectKey::new(kind, namespace, name), object);
        }
        match answer.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(()),
        }
    }
}

/// The objects in files: YAML or JSON, several documents each, `List`s too; a folder stands for its `*.yaml`, `*.yml` and
/// `*.json`, and `-` for standard input. Objects of other groups and kinds are left out.
pub(super) fn of_files(paths: &[PathBuf], home_namespace: &str) -> Result<Objects, ObjectsError> {
    let mut objects = Objects::new();
    for path in paths {
        for file in files_at(path)? {
            let text = read(&file)?;
            let refuse = |problem: String| ObjectsError::Manifest { path: file.clone(), problem };
            let documents: Vec<Value> =
                serde_saphyr::from_multiple(&text).map_err(|error| refuse(first_line(&error.to_string())))?;
            for document in documents {
                take(document, home_namespace, &mut objects).map_err(refuse)?;
            }
        }
    }
    Ok(objects)
}

/// Takes one document in, or the items of a list.
fn take(document: Value, home_namespace: &str, objects: &mut Objects) -> Result<(), String> {
    let text = |field: &str| document.get(field).and_then(Value::as_str).unwrap_or_default();
    if document.is_null() {
        return Ok(());
    }
    if text("kind") == "List"
        && let Some(Value::Array(items)) = document.get("items")
    {
        return items.iter().try_for_each(|item| take(item.clone(), home_namespace, objects));
    }
    let Some(kind) = kind_of(text("apiVersion"), text("kind"))? else { return Ok(()) };
    let mut object: DynamicObject = serde_json::from_value(document).map_err(|error| format!("{kind}: {error}"))?;
    let name = object.metadata.name.clone().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| format!("a {kind} has no metadata.name"))?;
    let namespace = object.metadata.namespace.get_or_insert_with(|| home_namespace.to_owned()).clone();
    let key = ObjectKey::new(kind, namespace, name);
    match objects.contains_key(&key) {
        true => Err(format!("{key} is there twice")),
        false => {
            objects.insert(key, object);
            Ok(())
        }
    }
}

/// The kind, none where it is somebody else's or plays no part in a plan.
fn kind_of(api_version: &str, kind: &str) -> Result<Option<Kind>, String> {
    let Some((group, version)) = api_version.split_once('/') else { return Ok(None) };
    if group != api::GROUP {
        return Ok(None);
    }
    if version != api::VERSION {
        return Err(format!("{kind} has apiVersion {api_version}; expected {}/{}", api::GROUP, api::VERSION));
    }
    match kind {
        "MinioAccessKey" | "MinioInstance" => Ok(None),
        _ => match Kind::ALL.iter().find(|known| known.to_string() == kind) {
            Some(known) => Ok(Some(*known)),
            None => Err(format!("kind {kind:?} does not exist in {}", api::GROUP)),
        },
    }
}

/// Lays files over the objects of the cluster: what is there keeps its identity and status and gets the file's spec,
/// labels and annotations, as `kubectl apply` would do.
pub(super) fn overlay(cluster: &mut Objects, files: Objects) {
    for (key, file) in files {
        match cluster.get_mut(&key) {
            None => {
                cluster.insert(key, file);
            }
            Some(present) => {
                let spec = |object: &DynamicObject| object.data.get("spec").cloned().unwrap_or_default();
                if spec(present) != spec(&file) {
                    let generation = present.metadata.generation.get_or_insert(0);
                    *generation += 1;
                    if let Some(fields) = present.data.as_object_mut() {
                        fields.insert("spec".to_owned(), spec(&file));
                    }
                }
                let labels = present.metadata.labels.get_or_insert_default();
                labels.extend(file.metadata.labels.unwrap_or_default());
                let annotations = present.metadata.annotations.get_or_insert_default();
                annotations.extend(file.metadata.annotations.unwrap_or_default());
            }
        }
    }
}

fn files_at(path: &Path) -> Result<Vec<PathBuf>, ObjectsError> {
    let unreadable = |source| ObjectsError::Read { path: path.to_owned(), source };
    if path == Path::new("-") || !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let manifest = file.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known));
        if manifest && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, ObjectsError> {
    let unreadable = |source| ObjectsError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().take(LARGEST_FILE + 1).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        let file = fs::File::open(path).map_err(unreadable)?;
        file.take(LARGEST_FILE + 1).read_to_string(&mut text).map_err(unreadable)?;
    }
    if text.len() as u64 > LARGEST_FILE {
        return Err(ObjectsError::Large { path: path.to_owned() });
    }
    Ok(text)
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or("not valid YAML").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "apiVersion: minio-manager.io/v1alpha1\nkind: MinioUser\nmetadata: {name: bob}\nspec: {}\n";

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let folder = std::env::temp_dir().join(format!("plan-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            for (name, content) in files {
                fs::write(folder.join(name), content).unwrap();
            }
            Self(folder)
        }

        fn objects(&self) -> Result<Objects, String> {
            of_files(std::slice::from_ref(&self.0), "lake").map_err(|error| error.to_string())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn keys(objects: &Objects) -> Vec<String> {
        objects.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn a_folder_gives_all_its_manifests_and_nothing_else() {
        let list = r#"{"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "minio-manager.io/v1alpha1", "kind": "MinioGroup", "metadata": {"name": "g", "namespace": "spark"}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}]}"#;
        let several = format!("---\n{USER}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: lake}}\n");
        let folder = Folder::new("all", &[("a.yaml", &several), ("b.json", list), ("README.md", "kind: [")]);
        assert_eq!(keys(&folder.objects().unwrap()), ["MinioUser lake/bob", "MinioGroup spark/g"]);
    }

    #[test]
    fn mistakes_name_the_file() {
        for (name, content, expected) in [
            ("twice", format!("{USER}---\n{USER}"), "MinioUser lake/bob is there twice"),
            ("kind", USER.replace("MinioUser", "MinioUsr"), "\"MinioUsr\" does not exist"),
            ("version", USER.replace("v1alpha1", "v2"), "expected minio-manager.io/v1alpha1"),
            ("name", USER.replace("{name: bob}", "{}"), "no metadata.name"),
            ("yaml", "a: [".to_owned(), "line"),
        ] {
            let folder = Folder::new(name, &[("x.yaml", &content)]);
            let error = folder.objects().unwrap_err();
            assert!(error.contains("x.yaml") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn an_overlaid_object_keeps_identity_and_status() {
        let object = |yaml: &str| {
            let mut objects = Objects::new();
            take(serde_saphyr::from_str(yaml).unwrap(), "lake", &mut objects).unwrap();
            objects
        };
        let mut cluster = object(
            "apiVersion: minio-manager.io/v1alpha1\nkind: MinioUser\n\
             metadata: {name: bob, uid: u1, generation: 3, annotations: {a: '1'}}\n\
             spec: {enabled: true}\nstatus: {origin: Created}\n",
        );
        let file = object(
            "apiVersion: minio-manager.io/v1alpha1\nkind: MinioUser\n\
             metadata: {name: bob, annotations: {b: '2'}}\nspec: {enabled: false}\n",
        );
        overlay(&mut cluster, file.clone());
        let bob = cluster.values().next().unwrap();
        assert_eq!((bob.metadata.uid.as_deref(), bob.metadata.generation), (Some("u1"), Some(4)));
        assert_eq!(bob.data["spec"], serde_json::json!({"enabled": false}));
        assert_eq!(bob.data["status"], serde_json::json!({"origin": "Created"}));
        assert_eq!(bob.metadata.annotations.as_ref().unwrap().len(), 2);
        overlay(&mut cluster, file);
        assert_eq!(cluster.values().next().unwrap().metadata.generation, Some(4), "the same spec is no new generation");
    }
}
