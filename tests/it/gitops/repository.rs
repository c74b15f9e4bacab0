use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use super::{MANAGERS, all_ready, apply_as, difference, documents, examples, kubectl_says};
use crate::support::{
    minio::unique,
    product::Setup,
    world::{World, user},
};

/// What kustomize makes of an overlay of the sample repository.
fn overlay(world: &World, name: &str) -> Vec<Value> {
    let folder = examples().join("gitops/overlays").join(name);
    documents(world, &kubectl_says(&["kustomize", folder.to_str().unwrap()], ""))
}

/// The objects of a file, without those of other programs.
fn objects_of(world: &World, file: &Path) -> Vec<Value> {
    let mut found = documents(world, &fs::read_to_string(file).unwrap());
    found.retain(|document| {
        document["apiVersion"].as_str().is_some_and(|version| version.starts_with("minio-manager.io/"))
    });
    found
}

#[tokio::test]
async fn the_sample_repository_converges_and_then_differs_in_nothing() {
    for (name, manager) in ["staging", "production"].into_iter().zip(MANAGERS) {
        let world = World::own(Setup::default()).await;
        let objects = overlay(&world, name);
        let kinds: BTreeSet<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
        assert_eq!(kinds.len(), 7, "the sample shows every kind: {kinds:?}");
        apply_as(manager, &objects);
        all_ready(&world, &objects).await;
        assert_eq!(difference(manager, &objects), "", "{name}");
        // What people ask for by annotations is theirs, and no difference either.
        world.annotate("MinioUser", "frida", "rotate", Some("1")).await;
        world.annotate("PathShare", "variants-for-gustav", "lock", Some("under review")).await;
        world.ready_is("PathShare", "variants-for-gustav", "True", "Locked").await;
        assert_eq!(difference(manager, &objects), "", "{name}");
        apply_as(manager, &objects);
        let view = world.view("PathShare", "variants-for-gustav").await;
        assert_eq!(view.0["metadata"]["annotations"]["minio-manager.io/lock"], "under review");
        // What somebody changed by hand is one.
        world.patch("MinioUser", "gustav", json!({"spec": {"enabled": false}})).await;
        assert!(difference(manager, &objects).contains("enabled: true"), "{name}");
    }
}

#[tokio::test]
async fn every_example_differs_in_nothing_once_it_is_in_force() {
    let world = World::own(Setup::default()).await;
    let mut objects = Vec::new();
    for folder in [examples(), examples().join("quickstart")] {
        let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")) {
            objects.extend(objects_of(&world, &file));
        }
    }
    assert!(objects.len() > 20, "{}", objects.len());
    apply_as(MANAGERS[0], &objects);
    all_ready(&world, &objects).await;
    assert_eq!(difference(MANAGERS[0], &objects), "");
}

/// A spec that loses its last field must not be lost itself.
#[tokio::test]
async fn the_last_field_of_a_spec_can_be_taken_out_of_git() {
    let world = World::shared().await;
    let name = unique("alice");
    let with = |spec: &str| documents(&world, &format!("apiVersion: minio-manager.io/v1alpha1\n{}", user(&name, spec)));
    apply_as(MANAGERS[0], &with("enabled: false"));
    world.ready_is("MinioUser", &name, "True", "Disabled").await;
    apply_as(MANAGERS[0], &with(""));
    world.ready_is("MinioUser", &name, "True", "Converged").await;
    assert_eq!(difference(MANAGERS[0], &with("")), "");
}

#[tokio::test]
async fn what_is_set_in_argo_cd_leaves_its_other_settings_alone() {
    let world = World::shared().await;
    let existing = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", "namespace": world.namespace()},
        "data": {"url": "https://argocd.example.com"},
    });
    apply_as("helm", &[existing]);
    let keys = super::health::configured(world.namespace());
    assert_eq!(keys["url"], "https://argocd.example.com");
    let scripts: BTreeSet<&str> = keys
        .iter()
        .filter(|(key, _)| key.starts_with("resource.customizations.health.minio-manager.io_"))
        .map(|(_, script)| script.as_str().unwrap())
        .collect();
    assert_eq!(scripts.len(), 1, "one script for all kinds");
    assert_eq!(keys.len(), 1 + 7);
}
