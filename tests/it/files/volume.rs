//! A Secret as a kubelet mounts it, and replaces it: in one step, so that nobody sees some files of one and some of another.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::minio::unique;

/// What a Secret holds.
pub type Data = BTreeMap<String, String>;

/// A mounted Secret: every file is a link through `..data`, which is a link to the folder with what is current.
pub struct Volume(PathBuf);

impl Volume {
    /// An empty volume.
    pub fn new(path: PathBuf) -> Self {
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Lays the Secret out, in place of what was there.
    pub fn lay_out(&self, secret: &Data) {
        let (current, next) = (self.0.join("..data"), self.0.join("..data_tmp"));
        let former = fs::read_link(&current).ok();
        let folder = unique("..2026_11_22");
        fs::create_dir(self.0.join(&folder)).unwrap();
        for (name, value) in secret {
            fs::write(self.0.join(&folder).join(name), value).unwrap();
        }
        symlink(&folder, &next).unwrap();
        fs::rename(&next, &current).unwrap();
        for name in secret.keys().filter(|name| !self.0.join(name).exists()) {
            symlink(Path::new("..data").join(name), self.0.join(name)).unwrap();
        }
        if let Some(former) = former {
            fs::remove_dir_all(self.0.join(former)).unwrap();
        }
    }
}
