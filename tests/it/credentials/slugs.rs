//! Slugs beside those of the package that JupyterHub's users have.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use minio_manager::iam::names::UserName;
use minio_manager::iam::slug::{USER_SLUG_LENGTH, safe_slug, user_slug};

use crate::support::python::programs;
use crate::support::random::Random;

const NAMES: usize = 6_000;
/// Letters, digits and what may stand between them in the name of a user.
const LEGAL: &[&str] = &["a", "b", "z", "A", "Q", "0", "7", ".", "_", "-", "@"];
/// What no user of ours is called, and people of other hubs are.
const ODD: &[&str] = &["--", "---", " ", "/", "+", "é", "İ", "ß", "Σ", "用", "\u{1f600}", "\n", "ſ", "…"];

/// Different names, legal ones and others, of all lengths.
fn names(random: &mut Random) -> Vec<String> {
    let mut names = BTreeSet::new();
    while names.len() < NAMES {
        let odd = random.percent(40);
        let longest = if random.percent(50) { 12 } else { 70 };
        let length = 1 + random.below(longest);
        let part = |random: &mut Random| {
            let set = if odd && random.percent(20) { ODD } else { LEGAL };
            set[random.below(set.len())]
        };
        names.insert((0..length).map(|_| part(random)).collect::<String>());
    }
    names.into_iter().collect()
}

fn slugs_of_kubespawner(names: &[String]) -> Vec<String> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/credentials/kubespawner");
    let python = programs("kubespawner", &home.join("requirements.txt")).join("python");
    let mut program =
        Command::new(python).arg(home.join("slugs.py")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    program.stdin.take().unwrap().write_all(&serde_json::to_vec(names).unwrap()).unwrap();
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_slug_is_that_of_kubespawner() {
    let names = names(&mut Random::from_environment("slugs"));
    let theirs = slugs_of_kubespawner(&names);
    assert_eq!(theirs.len(), names.len());
    let mut users = 0;
    for (name, theirs) in names.iter().zip(&theirs) {
        assert_eq!(&safe_slug(name, USER_SLUG_LENGTH), theirs, "{name:?}");
        if let Ok(user) = UserName::parse(name) {
            assert_eq!(&user_slug(&user), theirs);
            users += 1;
        }
    }
    assert!(users > 500, "only {users} of the names are those of users");
    assert_eq!(theirs.iter().collect::<BTreeSet<_>>().len(), names.len(), "no two names have one slug");
}
