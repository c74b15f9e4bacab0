//! `jupyterhub_config.py`: users that are declared, whatever their name, and notebooks that go on when the key is replaced.

use std::{collections::BTreeSet, path::Path, process::Command};

use futures::future::join_all;
use serde_json::json;

use super::{
    NAMES,
    hub::{Hub, HubSetup, example},
    in_home, mounted_secret, run, secret_name,
};
use crate::support::{product::Setup, python::programs, world::World};

/// A user whose object has the name of its Secret, since not every name of a user can be that of an object.
fn declared(user: &str) -> String {
    format!("kind: MinioUser\nmetadata: {{name: {}}}\nspec: {{username: '{user}'}}\n", secret_name(user))
}

/// The id of the key that a user's Secret holds once the request is answered.
async fn rotate(world: &World, user: &str) -> String {
    let object = secret_name(user);
    world.annotate("MinioUser", &object, "rotate", Some("now")).await;
    let handled = |view: &crate::support::world::View| *view.status("/credentials/lastHandledRotate") == json!("now");
    let view = world.observed("MinioUser", &object, "the key is replaced", handled).await;
    view.status("/credentials/accessKey").as_str().expect("a key").to_owned()
}

/// A notebook writes with the key that it found, with that same key after a rotation, and with the new one when the old one
/// is about to end.
async fn survives_a_rotation(world: &World, hub: &Hub, user: &str) {
    let pod = hub.pod(user).await;
    let (mut notebook, mut mount) = run(world, &pod, user).await;
    let first = notebook.write(&in_home(user)).await;
    let second = rotate(world, user).await;
    assert_ne!(first, second);
    let after = hub.pod(user).await;
    assert_eq!((&after.metadata.uid, &after.spec), (&pod.metadata.uid, &pod.spec), "the Pod is as it was");
    let name = mounted_secret(&after).secret_name.as_deref().unwrap();
    mount.update(&world.secret(name).await.expect("the Pod still refers to a Secret that is there"));
    assert_eq!(notebook.write(&in_home(user)).await, first, "the overlap lets it go on");
    notebook.be_near_the_end().await;
    assert_eq!(notebook.write(&in_home(user)).await, second);
}

#[tokio::test]
async fn notebooks_of_declared_users_survive_rotations() {
    let world = World::own(Setup::default()).await;
    world.apply(&NAMES.map(declared).join("---\n")).await;
    let hub = Hub::start(HubSetup::new("jupyterhub_config.py", world.namespace())).await;
    join_all(NAMES.map(|user| hub.start_server(user))).await;
    join_all(NAMES.map(async |user| world.ready("MinioUser", &secret_name(user)).await)).await;
    for user in NAMES {
        survives_a_rotation(&world, &hub, user).await;
    }
    join_all(NAMES.map(|user| hub.stop_server(user))).await;
    assert_eq!(NAMES.map(secret_name).into_iter().collect::<BTreeSet<_>>().len(), NAMES.len());
}

#[tokio::test]
async fn nobody_is_let_in_whom_minio_cannot_know() {
    let world = World::own(Setup::default()).await;
    let hub = Hub::start(HubSetup::new("jupyterhub_config.py", world.namespace())).await;
    for name in ["al", "-alice", "alice.", "ali--ce", "ali ce", "älice", "alice+bob", &"a".repeat(65)] {
        assert!(!hub.accepts(name).await, "{name}");
    }
    for name in ["ali", "Alice", &"a".repeat(64)] {
        assert!(hub.accepts(name).await, "{name}");
    }
    let (status, page) = hub.log_in_as_stranger("alice").await;
    assert!(status == 403 && page.contains("Invalid username or password"), "{status}: {page}");
    // Whose MinioUser does not exist gets a Pod that waits for the Secret.
    hub.start_server("early.bird").await;
    let pod = hub.pod("early.bird").await;
    let name = mounted_secret(&pod).secret_name.clone().unwrap();
    assert!(mounted_secret(&pod).optional != Some(true) && world.secret(&name).await.is_none());
    world.apply(&declared("early.bird")).await;
    world.ready("MinioUser", &secret_name("early.bird")).await;
    let (mut notebook, _mount) = run(&world, &pod, "early.bird").await;
    notebook.write(&in_home("early.bird")).await;
}

#[test]
fn both_files_are_python() {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/jupyterhub/notebook-requirements.txt");
    let python = programs("notebook", &requirements).join("python");
    for file in ["jupyterhub_config.py", "jupyterhub_config_rest.py"] {
        // As `python -m py_compile`, which would leave a file beside the example.
        let compile = "import sys; compile(open(sys.argv[1]).read(), sys.argv[1], 'exec')";
        let output = Command::new(&python).args(["-W", "error", "-c", compile]).arg(example(file)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
