//! Programs of PyPI: an environment for each list of pinned versions, which all checkouts share.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

use super::kube::tools_cache;

/// The folder with the programs of the pinned versions in `requirements`, installed where they are not there yet.
pub fn programs(name: &str, requirements: &Path) -> PathBuf {
    let digest = hex::encode(Sha256::digest(fs::read(requirements).unwrap()));
    let home = tools_cache().join(format!("{name}-{}", &digest[..12]));
    let (programs, done) = (home.join("bin"), home.join("installed"));
    fs::create_dir_all(home.parent().unwrap()).unwrap();
    let lock = File::create(home.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if !done.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"];
        run(Command::new(programs.join("python")).args(pip).arg(requirements));
        File::create(done).unwrap();
    }
    programs
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error} (apt-get install python3-venv)"));
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
}
