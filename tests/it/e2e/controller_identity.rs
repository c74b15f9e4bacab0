//! The identity that `deploy/minio/controller-policy.json` describes, as the controller's own: it is enough, and nothing of it
//! is missed by nobody.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::Arc,
};

use minio_manager::minio::{Client, Credentials, Holder};
use serde_json::{Value, json};

use crate::support::{
    minio::{Server, unique},
    product::Setup,
    s3::Try,
    somebody::{Somebody, is_followed},
    world::{View, World, grant, group, share},
};

const POLICY: &str = include_str!("../../../deploy/minio/controller-policy.json");
const NAME: &str = "controller";

fn policy() -> Value {
    serde_json::from_str(POLICY).unwrap()
}

/// A MinIO with the identity, and a product that has it.
async fn setup() -> Setup {
    let minio = Arc::new(Server::start());
    let root = minio.client();
    let identity = Credentials::new(NAME, Credentials::generate().secret);
    root.put_policy(NAME, POLICY).await.unwrap();
    root.add_user(NAME, &identity.secret, true).await.unwrap();
    root.set_mapping(&Holder::User(NAME.to_owned()), &BTreeSet::from([NAME.to_owned()])).await.unwrap();
    // For the other commands.
    let variables = [
        ("MINIO_ENDPOINT", minio.endpoint().to_string()),
        ("MINIO_ACCESS_KEY", NAME.to_owned()),
        ("MINIO_SECRET_KEY", identity.secret.expose().to_owned()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Setup { minio: Some(minio), credentials: Some(identity), variables, ..Setup::default() }
}

/// The calls that MinIO refused, but for those with the keys of others.
fn refusals(world: &World) -> Vec<String> {
    let metrics = world.product().metrics();
    let of_ours = metrics.series("minio_manager_minio_requests_total").filter(|(labels, count)| {
        *count > 0.0 && labels.contains("code=\"403\"") && !labels.contains("call=\"probe\"")
    });
    of_ours.map(|(labels, _)| labels.to_owned()).collect()
}

#[tokio::test]
async fn it_does_a_whole_round() {
    let setup =
        setup().await.with(&["--audit-interval", "1s", "--full-audit-interval", "5s", "--foreign-keys", "Prune"]);
    let world = World::own(setup).await;
    is_followed(&world).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (team, data, reading) = (unique("team"), unique("data"), unique("reading"));
    world.apply(&group(&team, &format!("members: [{}], policies: [{reading}]", alice.name))).await;
    world
        .apply(&format!(
            "kind: MinioPolicy\nmetadata: {{name: {reading}}}\nspec:\n  document:\n    Version: '2012-10-17'\n    \
             Statement: [{{Effect: Allow, Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::reading/*']}}]"
        ))
        .await;
    let folder = alice.home("data");
    let owner = format!("owner: {{kind: User, name: {}}}, grants: [{}]", alice.name, grant(&bob.name, "ReadWrite"));
    world.apply(&share(&data, &folder, &owner)).await;
    world.ready("MinioGroup", &team).await;
    world.ready("MinioPolicy", &reading).await;
    world.ready("PathShare", &data).await;
    let file = format!("{folder}/file");
    assert!(bob.may(Try::Put, &file).await);
    bob.expect(&file, "GPDL").await;
    assert!(alice.may(Try::Put, &format!("lake/teams/{team}/file")).await);

    // Keys: another one, the end of all others, and the end of one that is not ours.
    world.annotate("MinioUser", &bob.name, "rotate", Some("1")).await;
    let rotated = |view: &View| view.status("/credentials/lastHandledRotate") == "1";
    world.observed("MinioUser", &bob.name, "it is rotated", rotated).await;
    world.annotate("MinioUser", &bob.name, "revoke", Some("1")).await;
    let revoked = |view: &View| view.status("/credentials/lastHandledRevoke") == "1";
    world.observed("MinioUser", &bob.name, "it is revoked", revoked).await;
    let foreign = world.foreign_key(&alice.name).await;
    world.eventually("a foreign key ends", async || foreign.status(Try::Get, &file).await == 403).await;

    // What somebody else does is seen and undone.
    let somebody = Somebody::of(&world).await;
    for words in [format!("group disable M {team}"), format!("user disable M {}", bob.name)] {
        somebody.does(&words);
        let is_undone = async || {
            let group = world.minio().group_info(&team).await.unwrap();
            group.is_some_and(|group| group.enabled) && world.expect_account(&bob.name).await.enabled
        };
        world.eventually(&format!("{words} is undone"), is_undone).await;
    }

    // And the end of everything, with data.
    world.patch("MinioUser", &alice.name, json!({"spec": {"dataDeletionPolicy": "Delete"}})).await;
    for (kind, name) in
        [("PathShare", &data), ("MinioGroup", &team), ("MinioPolicy", &reading), ("MinioUser", &alice.name)]
    {
        world.delete_and_wait(kind, name).await;
    }
    assert_eq!(world.keys_below(&alice.home("")).await, [""; 0]);
    assert!(world.account(&alice.name).await.is_none());

    assert_eq!(refusals(&world), [""; 0]);
    let view = world.view("MinioInstance", "default").await;
    assert_eq!(view.status("/missingCapabilities").as_array().map_or(0, Vec::len), 0, "{view:?}");
    let (code, out, errors) = world.product().run("plan", &[]);
    assert_eq!(code, 0, "{out}{errors}");
}

/// What `minio-manager check` says of the identity.
fn check(identity: &[(String, String)]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_minio-manager"));
    let output = command.args(["check", "-o", "json"]).env_clear().envs(identity.iter().cloned()).output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Writes the policy anew, without one action.
async fn without(root: &Client, action: &str) {
    let mut policy = policy();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement["Action"].as_array_mut().unwrap().retain(|known| known != action);
    }
    root.put_policy(NAME, policy.to_string()).await.unwrap();
}

/// What `check` says of each action: its level, and the sentence.
fn judged(identity: &[(String, String)]) -> BTreeMap<String, (String, String)> {
    let rows = check(identity);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let permission = |row: &Value| row["check"].as_str()?.strip_prefix("permission ").map(str::to_owned);
    rows.as_array()
        .unwrap()
        .iter()
        .filter_map(|row| Some((permission(row)?, (text(&row["level"]), text(&row["message"])))))
        .collect()
}

/// The actions of the policy.
fn actions() -> Vec<String> {
    let statements = policy()["Statement"].take();
    statements
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|one| -> Vec<String> { serde_json::from_value(one["Action"].clone()).unwrap() })
        .collect()
}

/// The policy is enough for the check; without any one of its actions, the check names that one and no other.
#[tokio::test]
async fn each_action_that_is_taken_away_is_named_by_the_check() {
    let setup = setup().await;
    let (identity, root) = (setup.variables, setup.minio.as_ref().unwrap().client());
    let actions = actions();
    let complete = judged(&identity);
    assert_eq!(complete.keys().collect::<BTreeSet<_>>(), actions.iter().collect());
    assert!(complete.values().all(|(level, _)| level == "ok"), "{complete:?}");
    for action in &actions {
        without(&root, action).await;
        let mut found = judged(&identity);
        found.retain(|_, (level, _)| level != "ok");
        let (_, message) = &found[action];
        assert!(message.starts_with("denied: "), "{action}: {message}");
        assert_eq!(found.keys().collect::<Vec<_>>(), [action], "{found:?}");
    }
}

/// What the check cannot try is missed where it is used.
#[tokio::test]
async fn a_plan_needs_all_lists() {
    let world = World::own(setup().await).await;
    for action in ["admin:ListGroups", "admin:ListUserPolicies"] {
        without(world.minio(), action).await;
        let (code, out, errors) = world.product().run("plan", &[]);
        assert!(code == 1 && errors.contains("Access Denied"), "plan without {action}: {code}, {out}{errors}");
    }
}

/// Whether the identity may do what needs an action, in the way in which the controller does it.
async fn may(client: &Client, action: &str) -> bool {
    let [bucket, file] = ["bucket", "file"];
    let done = match action {
        "s3:CreateBucket" => client.create_bucket(&unique("bucket")).await.map(drop),
        "s3:DeleteObject" => match client.delete_objects(bucket, &[file.to_owned()]).await {
            Ok(failures) => return failures.is_empty(),
            Err(error) => Err(error),
        },
        "s3:GetObject" => client.head_object(bucket, file).await.map(drop),
        "s3:ListBucket" => client.list_objects(bucket, "", None, 1).await.map(drop),
        "s3:PutObject" => client.put_object(bucket, file, "text", true).await.map(drop),
        other => panic!("nobody knows what {other} is for"),
    };
    match done {
        Ok(()) => true,
        Err(error) if error.status() == Some(403) => false,
        Err(error) => panic!("{action}: {error}"),
    }
}

#[tokio::test]
async fn each_action_on_data_that_is_taken_away_is_missed() {
    let setup = setup().await;
    let root = setup.minio.as_ref().unwrap().client();
    let identity = root.with_credentials(setup.credentials.unwrap());
    root.create_bucket("bucket").await.unwrap();
    let actions: Vec<String> = serde_json::from_value(policy()["Statement"][1]["Action"].clone()).unwrap();
    for action in &actions {
        root.put_policy(NAME, POLICY).await.unwrap();
        assert!(may(&identity, action).await, "{action} is allowed");
        without(&root, action).await;
        assert!(!may(&identity, action).await, "{action} is not needed");
    }
}
