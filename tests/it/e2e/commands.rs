//! What people type: status, lock, unlock, rotate and revoke, and all of it as a plugin of kubectl.

use std::{collections::BTreeSet, env, fs, os::unix::fs::symlink, path::PathBuf, process::Command};

use minio_manager::minio::{Credentials, Holder, KeyState};
use serde_json::{Value, json};

use super::keys::{access_key, holder};
use crate::support::{
    kube::{kubectl, tool},
    minio::unique,
    product::Setup,
    s3::{Caller, Try},
    world::{World, grant, group, share, user},
};

/// What a command that succeeds answers to programs.
#[track_caller]
fn told(world: &World, arguments: &[&str]) -> Value {
    let (code, text, errors) = world.product().tell(&[arguments, &["-o", "json"]].concat());
    assert_eq!((code, errors.as_str()), (0, ""), "{arguments:?}\n{text}");
    serde_json::from_str(&text).unwrap()
}

/// What a command that fails says.
#[track_caller]
fn refused(world: &World, arguments: &[&str]) -> String {
    let (code, text, errors) = world.product().tell(arguments);
    assert_eq!((code, text.as_str()), (1, ""), "{arguments:?}\n{errors}");
    errors
}

/// How the installation is, and whether something needs somebody.
fn status(world: &World, arguments: &[&str]) -> (bool, Value) {
    let (code, text, errors) = world.product().tell(&[&["status", "-o", "json"], arguments].concat());
    assert!((code == 0 || code == 2) && errors.is_empty(), "{code} {errors}");
    (code == 0, serde_json::from_str(&text).unwrap())
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

async fn annotation(world: &World, kind: &str, name: &str, annotation: &str) -> Value {
    let annotations = &world.view(kind, name).await.0["metadata"]["annotations"];
    annotations[format!("minio-manager.io/{annotation}")].clone()
}

async fn state(world: &World, caller: &Caller) -> KeyState {
    world.minio().probe(caller.credentials()).await.unwrap()
}

#[tokio::test]
async fn a_lock_is_in_force_when_the_command_ends_and_so_is_its_end() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (name, team, key) = (unique("share"), unique("team"), unique("etl"));
    let [home, shared, team_file] = [bob.home("file"), alice.home("exp/file"), format!("lake/teams/{team}/file")];
    world.seed(&[&home, &shared, &team_file]).await;
    world.apply(&share(&name, &alice.home("exp"), &format!("grants: [{}]", grant(&bob.name, "Read")))).await;
    world.apply(&group(&team, &format!("members: [{}]", bob.name))).await;
    world.apply(&access_key(&key, &alice.name, "")).await;
    world.ready("PathShare", &name).await;
    world.ready("MinioGroup", &team).await;
    let etl = holder(&world, &key).await;
    bob.expect(&shared, "GL").await;
    bob.expect(&team_file, "GPDL").await;

    let [share, group, key] = [format!("share/{name}"), format!("MinioGroup/{team}"), format!("mk/{key}")];
    for target in [&share, &group, &key] {
        let answer = told(&world, &["lock", target, "--reason", "under review"]);
        assert_eq!((&answer["carried_out"], &answer["value"]), (&json!(true), &json!("under review")));
        assert_eq!(answer["status"], "Ready=True, Locked: locked: under review", "{target}");
    }
    bob.expect(&shared, "").await;
    bob.expect(&team_file, "").await;
    assert_eq!(state(&world, &etl).await, KeyState::Unknown);
    // The reason stays where none is given.
    assert_eq!(told(&world, &["lock", &share])["value"], "under review");
    let answer = told(&world, &["lock", &bob.name, "--reason", "incident 4711"]);
    assert_eq!(texts(&answer["minio"]), [format!("user {} is disabled", bob.name)]);
    bob.expect(&home, "").await;

    for target in [&share, &group, &key, &bob.name] {
        let answer = told(&world, &["unlock", target]);
        assert!(answer["status"].as_str().unwrap().starts_with("Ready=True, Converged"), "{answer:#}");
    }
    bob.expect(&home, "GPDL").await;
    bob.expect(&shared, "GL").await;
    bob.expect(&team_file, "GPDL").await;
    assert_eq!(annotation(&world, "PathShare", &name, "lock").await, Value::Null);

    let (code, text, _) = world.product().tell(&["lock", &bob.name, "--reason", "for people", "--no-wait"]);
    assert!(code == 0 && text.contains("is to be locked: for people\n"), "{text}");
    world.ready_is("MinioUser", &bob.name, "True", "Locked").await;
}

#[tokio::test]
async fn a_rotation_shows_the_new_key_and_a_revocation_ends_the_former_ones() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    let id = |caller: &Caller| caller.credentials().access_key.clone();

    let answer = told(&world, &["rotate", &alice.name]);
    let second = world.caller(&alice.secret).await;
    assert_eq!(answer["former_key"], id(&alice));
    assert_eq!(answer["credentials"]["accessKey"], id(&second));
    assert!(answer["credentials"]["previousExpiresAt"].is_string(), "{answer:#}");
    let minio = texts(&answer["minio"]).join("\n");
    assert!(minio.contains(&id(&alice)) && minio.contains(&id(&second)) && !minio.contains("gone"), "{minio}");
    assert!(alice.may(Try::Get, &file).await && second.may(Try::Get, &file).await, "the former key lives on");

    let asks = refused(&world, &["revoke", &alice.name]);
    assert!(asks.contains("every key of user") && asks.contains("--yes"), "{asks}");
    assert_eq!(annotation(&world, "MinioUser", &alice.name, "revoke").await, Value::Null);
    let (code, text, errors) = world.product().tell(&["revoke", &alice.name, "--yes"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let third = world.caller(&alice.secret).await;
    assert!(
        text.contains(&format!("key     {} in Secret {}/{}", id(&third), world.namespace(), alice.secret)),
        "{text}"
    );
    assert!(text.contains(&format!("former  {} has ended", id(&second))), "{text}");
    for secret in [&alice.caller, &second, &third].map(|caller| caller.credentials().secret.expose()) {
        assert!(!text.contains(secret) && !answer.to_string().contains(secret), "secrets are not shown");
    }
    assert_eq!(state(&world, &alice).await, KeyState::Unknown);
    assert_eq!(state(&world, &second).await, KeyState::Unknown);
    assert_eq!(state(&world, &third).await, KeyState::Works);

    // Who is locked has no key to replace.
    told(&world, &["lock", &alice.name]);
    assert!(refused(&world, &["rotate", &alice.name]).contains("nothing was done"));
}

#[tokio::test]
async fn what_is_not_carried_out_is_said_and_stays_asked_for() {
    let world = World::shared().await;
    let [alice, taken] = [unique("alice"), unique("taken")];
    world.minio().add_user(&taken, &Credentials::generate().secret, true).await.unwrap();
    world.apply(&format!("{}---\n{}", user(&alice, ""), user(&taken, ""))).await;
    world.ready("MinioUser", &alice).await;
    world.stalled("MinioUser", &taken, "AlreadyExists").await;

    world.annotate("MinioUser", &alice, "reconcile", Some("paused")).await;
    world.ready_is("MinioUser", &alice, "Unknown", "Paused").await;
    let held = refused(&world, &["lock", &alice, "--reason", "leak"]);
    assert!(held.contains("while nothing is written") && held.contains("Paused"), "{held}");
    assert_eq!(annotation(&world, "MinioUser", &alice, "lock").await, "leak");
    world.annotate("MinioUser", &alice, "reconcile", None).await;
    world.ready_is("MinioUser", &alice, "True", "Locked").await;

    let late = refused(&world, &["lock", &taken, "--timeout", "1s"]);
    assert!(late.contains("not carried out within 1s") && late.contains("AlreadyExists"), "{late}");
    assert_eq!(annotation(&world, "MinioUser", &taken, "lock").await, "locked with minio-manager lock");

    for (arguments, said) in [
        (["lock", "nobody-at-all"], "no MinioUser declares user nobody-at-all"),
        (["lock", "share/nothing"], "there is no PathShare nothing"),
        (["rotate", "group/nothing"], "there is no MinioGroup nothing"),
    ] {
        let error = refused(&world, &arguments);
        assert!(error.contains(said) && error.contains("-n names another one"), "{error}");
    }
    let (code, _, errors) = world.product().tell(&["lock", "bucket/exp"]);
    assert!(code == 2 && errors.contains("there is no kind bucket"), "{code} {errors}");
}

#[tokio::test]
async fn an_annotation_that_git_declares_is_told_of() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let [kept, free] = [unique("kept"), unique("free")];
    let manifest = |name: &str, more: &str| {
        format!(
            "apiVersion: minio-manager.io/v1alpha1\nkind: PathShare\nmetadata:\n  name: {name}\n  annotations:\n    \
             argocd.argoproj.io/tracking-id: lake-access:minio-manager.io/PathShare:lake/{name}\n{more}\
             spec: {{path: 's3a://{}'}}\n",
            alice.home(name)
        )
    };
    let argo = ["apply", "--server-side", "--field-manager=argocd-controller"];
    kubectl(world.namespace(), &argo, &manifest(&kept, "    minio-manager.io/lock: leak\n"));
    kubectl(world.namespace(), &argo, &manifest(&free, ""));
    world.ready_is("PathShare", &kept, "True", "Locked").await;
    world.ready("PathShare", &free).await;

    let answer = told(&world, &["unlock", &format!("share/{kept}")]);
    let notes = texts(&answer["notes"]);
    assert!(notes.len() == 1 && notes[0].contains("Argo CD (Application lake-access)"), "{notes:?}");
    let answer = told(&world, &["lock", &format!("share/{free}")]);
    assert_eq!(answer["notes"], json!([]), "git has no say in it");
    kubectl(world.namespace(), &argo, &manifest(&free, ""));
    world.ready_is("PathShare", &free, "True", "Locked").await;
}

/// A folder with the program under the name of a plugin; it goes with the test.
struct Plugin(PathBuf);

impl Plugin {
    fn install() -> Self {
        let folder = env::temp_dir().join(unique("minio-manager-plugin"));
        fs::create_dir_all(&folder).unwrap();
        symlink(env!("CARGO_BIN_EXE_minio-manager"), folder.join("kubectl-minio_manager")).unwrap();
        Self(folder)
    }

    /// Runs kubectl, which finds the plugin.
    fn kubectl(&self, world: &World, arguments: &[&str]) -> (i32, String, String) {
        let mut kubectl = Command::new(tool("kubectl", "MINIO_MANAGER_KUBECTL_BIN"));
        let output = world.product().as_administrator(kubectl.args(arguments)).env("PATH", &self.0).output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code().unwrap(), stdout, stderr)
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn kubectl_runs_it_as_its_plugin() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let plugin = Plugin::install();
    let (code, help, _) = plugin.kubectl(&world, &["minio-manager", "lock", "--help"]);
    assert!(code == 0 && help.contains("Usage: kubectl minio-manager lock"), "{help}");
    let target = format!("user/{}", alice.name);
    let place = ["-n", world.namespace(), "--context", "tests"];
    let lock = [&["minio-manager", "lock", &target], &place[..]].concat();
    let (code, said, errors) = plugin.kubectl(&world, &lock);
    assert_eq!((code, errors.as_str()), (0, ""));
    let undo = format!("undo    kubectl minio-manager unlock {target} -n {}\n", world.namespace());
    assert!(said.contains(&undo), "{said}");
    // The way back is what it says.
    let undo: Vec<&str> = undo.split_whitespace().skip(2).collect();
    let (code, said, _) = plugin.kubectl(&world, &undo);
    assert!(code == 0 && said.contains("is no longer locked"), "{said}");
    let of_alice = ["minio-manager", "access", "of", &alice.name];
    let (code, said, errors) = plugin.kubectl(&world, &[&of_alice[..], &place].concat());
    assert_eq!((code, errors.as_str()), (0, ""));
    assert_eq!(said, world.product().ask(&of_alice[1..]).1);
    for command in [&["minio-manager", "unlock", &target][..], &["minio-manager", "plan"], &of_alice] {
        let (code, _, errors) = plugin.kubectl(&world, &[command, &["--context", "nowhere"]].concat());
        assert!(code == 1 && errors.contains("nowhere"), "{command:?}: {errors}");
    }
}

#[tokio::test]
async fn the_status_says_what_needs_somebody_and_how_it_is_mended() {
    let world = World::own(Setup::default().with(&["--large-change-limit", "1,1%", "--audit-interval", "1s"])).await;
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let team = |members: &str| group("team", &format!("members: [{members}]"));
    world.apply(&team(&format!("{}, {}, {}", alice.name, bob.name, carol.name))).await;
    world.ready("MinioGroup", "team").await;
    world.ready("MinioInstance", "default").await;
    let (well, said) = status(&world, &[]);
    assert!(well, "{said:#}");
    assert_eq!((&said["mode"], &said["minio"]["answers_here"]), (&json!("converge"), &json!(true)));
    assert_eq!(said["minio"]["endpoint"], world.product().minio().endpoint().to_string());
    assert_eq!((&said["objects"][0]["total"], &said["objects"][0]["ready"]), (&json!(3), &json!(3)));
    assert_eq!(said["unmanaged"]["names"], json!([]));

    // Two objects claim one name.
    world.apply(&format!("kind: MinioUser\nmetadata: {{name: again}}\nspec: {{username: {}}}\n", alice.name)).await;
    world.stalled("MinioUser", "again", "Conflict").await;
    let (well, said) = status(&world, &["--no-server"]);
    assert!(!well && said["not_in_force"][0]["name"] == "again", "{said:#}");
    assert_eq!(said["not_in_force"][0]["reason"], "Conflict");
    assert!(said["unmanaged"]["not_asked"].as_str().unwrap().contains("--no-server"), "{said:#}");
    world.delete_and_wait("MinioUser", "again").await;

    // So much at once is held until somebody types what the status says.
    world.apply(&team("")).await;
    world.stalled("MinioInstance", "default", "LargeChange").await;
    let (well, said) = status(&world, &[]);
    assert!(!well && said["held"]["removals"] == 3, "{said:#}");
    let alerts: Vec<&Value> = said["attention"].as_array().unwrap().iter().map(|need| &need["alert"]).collect();
    assert!(alerts.contains(&&json!("MinioManagerRemovalsHeld")), "{alerts:?}");
    let command: Vec<&str> = said["held"]["command"].as_str().unwrap().split(' ').skip(1).collect();
    let mut kubectl = Command::new(tool("kubectl", "MINIO_MANAGER_KUBECTL_BIN"));
    assert!(world.product().as_administrator(kubectl.args(command)).output().unwrap().status.success());
    world.ready("MinioGroup", "team").await;
    world.ready("MinioInstance", "default").await;
    let (well, said) = status(&world, &[]);
    assert!(well, "{said:#}");
}

#[tokio::test]
async fn what_no_object_describes_is_named_and_taken_over_with_its_manifests() {
    let world = World::own(Setup::default()).await;
    let alice = world.user("alice").await;
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::archive/*"]},
    ]});
    let minio = world.minio();
    minio.add_user("dora", &Credentials::generate().secret, true).await.unwrap();
    minio.put_policy("archive", document.to_string()).await.unwrap();
    minio.set_mapping(&Holder::User("dora".to_owned()), &BTreeSet::from(["archive".to_owned()])).await.unwrap();
    minio.update_group_members("people", &BTreeSet::from(["dora".to_owned()]), false).await.unwrap();
    world.seed(&["archive/file"]).await;

    let unmanaged = |said: &Value| said["unmanaged"]["names"].clone();
    let expected = [("group", "people"), ("policy", "archive"), ("user", "dora")]
        .map(|(kind, name)| json!({"kind": kind, "name": name}));
    assert_eq!(unmanaged(&status(&world, &[]).1), json!(expected));
    let (code, text, _) = world.product().tell(&["status"]);
    assert!(code == 0 && text.contains("user dora\n") && text.contains("status --manifests"), "{text}");

    let (code, manifests, errors) = world.product().tell(&["status", "--manifests"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{manifests}");
    assert!(manifests.contains("adoptionPolicy: Adopt") && !manifests.contains(&alice.name), "{manifests}");
    world.apply(&manifests).await;
    for (kind, name) in [("MinioUser", "dora"), ("MinioGroup", "people"), ("MinioPolicy", "archive")] {
        let view = world.ready(kind, name).await;
        assert_eq!(view.status("/origin"), "Adopted", "{kind}");
    }
    assert_eq!(unmanaged(&status(&world, &[]).1), json!([]));
    world.person("dora").await.expect("archive/file", "G").await;
    assert_eq!(world.members("people").await, Some(BTreeSet::from(["dora".to_owned()])), "nothing is taken away");

    // Who has no credentials is told how many, and why not who.
    let (_, text, _) = world.product().ask(&["status"]);
    assert!(text.starts_with("minio-manager in namespace") && !text.contains("user dora"), "{text}");
}
