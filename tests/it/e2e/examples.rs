use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{product::Setup, world::World};

/// Every file under a folder, in the order in which `kubectl apply -f -R` takes them.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            files.extend(files_below(&entry));
        } else {
            files.push(entry);
        }
    }
    files
}

#[tokio::test]
async fn every_example_is_accepted_and_converges() {
    let world = World::own(Setup::default()).await;
    let files = files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"));
    let mut objects = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "yaml")) {
        let text = std::fs::read_to_string(file).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        // The namespace is the test's, and what is for other programs is tried with these.
        let is_ours = |document: &Value| {
            document["apiVersion"].as_str().is_some_and(|version| version.starts_with("minio-manager.io/"))
        };
        for document in documents.into_iter().filter(is_ours) {
            let (kind, name) =
                (document["kind"].as_str().unwrap().to_owned(), document["metadata"]["name"].as_str().unwrap());
            world.try_apply(&document.to_string()).await.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            objects.push((kind, name.to_owned()));
        }
    }
    assert!(objects.len() > 10, "{objects:?}");
    for (kind, name) in &objects {
        world.ready(kind, name).await;
    }
}
