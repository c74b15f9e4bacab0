//! What the kubelet does with a Secret for a Pod: the mount, which changes with the Secret, and the environment, which does
//! not.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use k8s_openapi::{
    ByteString,
    api::core::v1::{EnvVar, Pod, Secret},
};

use crate::support::{minio::unique, world::World};

/// A Secret in a folder: each file is a link through `..data`, which is swapped at once. Goes when dropped.
pub struct Mount {
    /// Where the Pod sees it.
    path: String,
    /// Where it is.
    folder: PathBuf,
    versions: usize,
}

impl Mount {
    pub fn new(path: &str, secret: &Secret) -> Self {
        let folder = env::temp_dir().join(unique("minio-manager-mount"));
        fs::create_dir_all(&folder).unwrap();
        let mut mount = Self { path: path.to_owned(), folder, versions: 0 };
        mount.update(secret);
        mount
    }

    /// Writes what the Secret holds now beside what it held before, and then puts it in its place.
    pub fn update(&mut self, secret: &Secret) {
        let data = secret.data.as_ref().expect("the Secret holds something");
        let current = self.folder.join("..data");
        let former = fs::read_link(&current).ok();
        self.versions += 1;
        let version = format!("..version-{}", self.versions);
        self.write(&self.folder.join(&version), data);
        let next = self.folder.join("..data_tmp");
        symlink(&version, &next).unwrap();
        fs::rename(&next, &current).unwrap();
        for name in data.keys().filter(|name| !self.folder.join(name).is_symlink()) {
            symlink(Path::new("..data").join(name), self.folder.join(name)).unwrap();
        }
        if let Some(former) = former {
            fs::remove_dir_all(self.folder.join(former)).unwrap();
        }
    }

    fn write(&self, folder: &Path, data: &BTreeMap<String, ByteString>) {
        fs::create_dir(folder).unwrap();
        for (name, value) in data {
            fs::write(folder.join(name), self.moved(str::from_utf8(&value.0).unwrap())).unwrap();
        }
    }

    /// A text that names the mount, for a program that runs in no container.
    fn moved(&self, text: &str) -> String {
        text.replace(&self.path, self.folder.to_str().unwrap())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The environment of a Pod's container.
pub async fn environment(world: &World, pod: &Pod, mount: &Mount) -> Vec<(String, String)> {
    let mut environment = Vec::new();
    for variable in pod.spec.iter().flat_map(|spec| spec.containers[0].env.iter().flatten()) {
        if let Some(value) = value(world, variable).await {
            environment.push((variable.name.clone(), mount.moved(&value)));
        }
    }
    environment
}

async fn value(world: &World, variable: &EnvVar) -> Option<String> {
    let Some(source) = &variable.value_from else { return Some(variable.value.clone().unwrap_or_default()) };
    let reference = source.secret_key_ref.as_ref().unwrap_or_else(|| panic!("tests know nothing of {variable:?}"));
    let held = world.secret(&reference.name).await.and_then(|secret| secret.data?.remove(&reference.key));
    assert!(held.is_some() || reference.optional == Some(true), "the Pod cannot start without {reference:?}");
    held.map(|value| String::from_utf8(value.0).unwrap())
}
