//! `examples/jupyterhub/` as it is: a JupyterHub with KubeSpawner from PyPI makes Pods, and what those refer to works. No
//! kubelet runs here; what it would do for a Pod, the test does.

mod hub;
mod kubelet;
mod login;
mod mount;
mod notebook;

use k8s_openapi::api::core::v1::{Pod, PodSpec, SecretVolumeSource};
use minio_manager::iam::{names::UserName, slug::user_slug};

use crate::support::world::World;

use self::{kubelet::Mount, notebook::Notebook};

/// Names that Kubernetes cannot have, that are shortened, or that look like what is made of another one.
const NAMES: [&str; 10] = [
    "alice",
    "ada.lovelace",
    "ada-2elovelace",
    "erwin@cats.example.org",
    "CamelCase",
    "camelcase",
    "snake_case",
    "20261122",
    "x-20261122",
    "a.person_whose-name@is.as.long.as.the.rules.allow.it.to.be.12345",
];

/// Where the Secret is in the Pod.
const MOUNT_PATH: &str = "/var/run/secrets/minio";

fn secret_name(user: &str) -> String {
    format!("minio-{}", user_slug(&UserName::parse(user).unwrap()))
}

fn spec(pod: &Pod) -> &PodSpec {
    pod.spec.as_ref().expect("a Pod has a spec")
}

/// The Secret that a Pod mounts, of which there must be one.
fn mounted_secret(pod: &Pod) -> &SecretVolumeSource {
    let volumes = spec(pod).volumes.iter().flatten();
    let secrets: Vec<_> = volumes.filter_map(|volume| Some((&volume.name, volume.secret.as_ref()?))).collect();
    let [(volume, secret)] = secrets[..] else { panic!("not one Secret is mounted: {:#?}", spec(pod)) };
    let mounts = spec(pod).containers[0].volume_mounts.iter().flatten();
    let mounts: Vec<_> = mounts.filter(|mount| mount.name == *volume).collect();
    let [mount] = mounts[..] else { panic!("{volume} is not mounted once: {:#?}", spec(pod)) };
    assert_eq!(mount.mount_path, MOUNT_PATH);
    assert_eq!(mount.read_only, Some(true));
    assert!(mount.sub_path.is_none() && mount.sub_path_expr.is_none(), "such a mount is never written again");
    secret
}

/// Fails where something of the key is in the environment, in which it would outlive the key.
fn expect_no_key_in_environment(pod: &Pod) {
    let container = &spec(pod).containers[0];
    assert!(container.env_from.iter().flatten().next().is_none(), "{:?}", container.env_from);
    for variable in container.env.iter().flatten() {
        let source = variable.value_from.as_ref().and_then(|source| source.secret_key_ref.as_ref());
        let named = [Some(variable.name.as_str()), source.map(|source| source.key.as_str())];
        for name in named.into_iter().flatten() {
            let part_of_key = ["ACCESS_KEY", "SESSION_TOKEN", "EXPIRATION", "credential"];
            assert!(!part_of_key.iter().any(|part| name.contains(part)), "{variable:?}");
        }
    }
}

/// What runs in a Pod, with the Secret that the Pod mounts as the kubelet mounts it.
async fn run(world: &World, pod: &Pod, user: &str) -> (Notebook, Mount) {
    let name = mounted_secret(pod).secret_name.as_deref().expect("the volume names a Secret");
    assert_eq!(name, secret_name(user));
    assert_eq!(pod.metadata.namespace.as_deref(), Some(world.namespace()));
    expect_no_key_in_environment(pod);
    let secret =
        world.secret(name).await.unwrap_or_else(|| panic!("{user}'s Pod refers to {name}, which is not there"));
    let mount = Mount::new(MOUNT_PATH, &secret);
    let environment = kubelet::environment(world, pod, &mount).await;
    let variable = |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!((variable("S3_USER"), variable("JUPYTERHUB_USER")), (Some(user), Some(user)));
    (Notebook::start(&environment), mount)
}

/// An object in somebody's home folder.
fn in_home(user: &str) -> String {
    format!("s3://lake/homes/{user}/notebooks/result.txt")
}
