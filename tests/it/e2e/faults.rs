use std::{collections::BTreeSet, sync::Arc, time::Duration};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use minio_manager::{
    api::{PathShare, schema},
    minio::{Credentials, Holder},
};
use serde_json::json;

use crate::support::{
    identity::controller_kubeconfig,
    kube::Cluster,
    minio::{Server, unique},
    product::Setup,
    proxy::Proxy,
    s3::Try,
    world::{View, World, from_now, grant, group, share, user},
};

/// How many requests MinIO is sent within `time`.
async fn requests_within(world: &World, time: Duration) -> u64 {
    let before = world.product().metrics().all_requests();
    tokio::time::sleep(time).await;
    world.product().metrics().all_requests() - before
}

#[tokio::test]
async fn while_minio_is_down_everything_waits_and_says_so() {
    let world = World::own(Setup::default()).await;
    let [alice, bob, gone] = world.users(["alice", "bob", "gone"]).await;
    let (name, late) = (unique("share"), unique("late"));
    let file = alice.home("exp/file");
    world.seed(&[&file]).await;
    world.product().minio().stop();
    world.apply(&share(&name, &alice.home("exp"), &format!("grants: [{}]", grant(&bob.name, "Read")))).await;
    world.apply(&user(&late, "")).await;
    world.delete("MinioUser", &gone.name).await;
    let view = world.ready_is("PathShare", &name, "Unknown", "MinioUnavailable").await;
    assert!(view.says("Reconciling", "True") && !view.says("Stalled", "True"), "{:#}", view.0["status"]);
    world.ready_is("MinioUser", &late, "Unknown", "MinioUnavailable").await;
    world.ready_is("MinioInstance", "default", "Unknown", "MinioUnavailable").await;
    let view = world.view("MinioUser", &gone.name).await;
    assert!(!view.0["metadata"]["deletionTimestamp"].is_null(), "deletion waits");
    assert_eq!(world.product().get("/live").0, 200);
    assert_eq!(world.product().get("/ready").0, 200, "ready, whatever MinIO does");
    let asked = requests_within(&world, Duration::from_secs(2)).await;
    assert!(asked <= 20, "{asked} requests in 2 s to a server that is down");
    world.product().minio().start_again();
    world.ready("PathShare", &name).await;
    bob.expect(&file, "GL").await;
    let late = world.person(&late).await;
    late.may(Try::Put, &late.home("file")).await;
    late.expect(&late.home("file"), "GPDL").await;
    world.gone("MinioUser", &gone.name).await;
    assert_eq!(world.account(&gone.name).await, None);
    world.ready("MinioInstance", "default").await;
}

#[tokio::test]
async fn what_others_changed_is_repaired_once_minio_is_back() {
    let world = World::own(Setup::default()).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (file, own) = (alice.home("file"), bob.home("file"));
    world.seed(&[&file, &own]).await;
    let home = format!("user-home-policy-{}", bob.name);
    let everything =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#;
    world.minio().put_policy(&home, everything).await.unwrap();
    let attached = BTreeSet::from([home, "readwrite".to_owned()]);
    world.minio().set_mapping(&Holder::User(bob.name.clone()), &attached).await.unwrap();
    bob.expect(&file, "GPDL").await;
    world.product().minio().stop();
    let late = unique("late");
    world.apply(&user(&late, "")).await;
    world.ready_is("MinioUser", &late, "Unknown", "MinioUnavailable").await;
    world.product().minio().start_again();
    world.eventually("bob has what is declared", async || !bob.may(Try::Get, &file).await).await;
    bob.expect(&file, "").await;
    bob.expect(&own, "GPDL").await;
    let policies = world.expect_account(&bob.name).await.policies;
    assert!(!policies.contains("readwrite") && policies.contains("group-policy-globalusers"), "{policies:?}");
}

#[tokio::test]
async fn a_minio_that_hangs_is_waited_for_no_longer_than_the_deadline() {
    let world = World::own(Setup::default()).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let name = unique("share");
    let file = alice.home("exp/file");
    world.seed(&[&file]).await;
    world.product().minio().freeze();
    world.apply(&share(&name, &alice.home("exp"), &format!("grants: [{}]", grant(&bob.name, "Read")))).await;
    world
        .observed("PathShare", &name, "it says that it waits", |view| {
            view.says("Ready", "Unknown") && !view.message("Ready").is_empty()
        })
        .await;
    assert_eq!(world.product().get("/live").0, 200);
    world.product().minio().thaw();
    world.ready("PathShare", &name).await;
    bob.expect(&file, "GL").await;
}

#[tokio::test]
async fn started_before_minio_it_is_ready_and_begins_when_minio_comes() {
    let minio = Arc::new(Server::start());
    minio.stop();
    let world = World::own(Setup { minio: Some(minio), ..Setup::default() }).await;
    let name = unique("alice");
    world.apply(&user(&name, "")).await;
    world.ready_is("MinioUser", &name, "Unknown", "MinioUnavailable").await;
    assert_eq!(world.product().get("/ready").0, 200);
    world.product().minio().start_again();
    let alice = world.person(&name).await;
    let file = alice.home("file");
    alice.may(Try::Put, &file).await;
    alice.expect(&file, "GPDL").await;
}

/// A product with a proxy before its API server, to which something is done before it starts.
async fn behind_proxy(prepare: impl FnOnce(&Proxy)) -> (Proxy, World) {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("e2e").await;
    let (proxy, kubeconfig) = Proxy::before_api_server(&controller_kubeconfig(cluster, &namespace, &[]).await);
    prepare(&proxy);
    let setup = Setup { kubeconfig: Some(kubeconfig.clone()), namespace: Some(namespace), ..Setup::default() };
    let world = World::own(setup).await;
    // It was read at the start.
    std::fs::remove_file(kubeconfig).unwrap();
    (proxy, world)
}

#[tokio::test]
async fn while_the_cluster_cannot_be_reached_time_goes_on_and_changes_are_caught_up() {
    let (proxy, world) = behind_proxy(|_| ()).await;
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let (name, removed) = (unique("share"), unique("removed"));
    let (file, other) = (alice.home("exp/file"), alice.home("other/file"));
    world.seed(&[&file, &other]).await;
    let end = from_now(Duration::from_secs(3));
    let grants = format!("grants: [{{kind: User, name: {}, access: Read, expiresAt: '{end}'}}]", bob.name);
    world.apply(&share(&name, &alice.home("exp"), &grants)).await;
    world.apply(&share(&removed, &alice.home("other"), &format!("grants: [{}]", grant(&bob.name, "Read")))).await;
    world.ready("PathShare", &name).await;
    world.ready("PathShare", &removed).await;
    bob.expect(&file, "GL").await;
    proxy.cut();
    // The objects say otherwise now, but nobody tells the controller.
    world.apply(&share(&removed, &alice.home("other"), &format!("grants: [{}]", grant(&carol.name, "Read")))).await;
    let newcomer = unique("newcomer");
    world.apply(&user(&newcomer, "")).await;
    world.eventually("the grant ends by itself", async || !bob.may(Try::Get, &file).await).await;
    assert!(from_now(Duration::ZERO) >= end);
    bob.expect(&other, "GL").await;
    assert!(world.product().is_alive());
    proxy.mend();
    world.ready("PathShare", &removed).await;
    bob.expect(&other, "").await;
    carol.expect(&other, "GL").await;
    world.person(&newcomer).await;
    world.observed("PathShare", &name, "the end is reported", |view| view.status("/grants/expired") == 1).await;
}

#[tokio::test]
async fn a_status_that_somebody_else_wrote_last_is_set_right() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let name = unique("share");
    world.apply(&share(&name, &alice.home("exp"), &format!("grants: [{}]", grant(&bob.name, "Read")))).await;
    let told = world.ready("PathShare", &name).await;
    // As of a leader that stood still for longer than its lease, and goes on with what it knew.
    let late = json!({"status": {"grants": {"active": 7}}});
    let shares = Api::<PathShare>::namespaced(world.kube().clone(), world.namespace());
    shares.patch_status(&name, &PatchParams::default(), &Patch::Merge(late)).await.unwrap();
    let same = |view: &View| view.0["status"] == told.0["status"];
    world.observed("PathShare", &name, "it says what is so", same).await;
}

#[tokio::test]
async fn before_the_first_lists_it_is_alive_and_not_ready() {
    let (proxy, world) = behind_proxy(Proxy::cut).await;
    let name = unique("alice");
    world.apply(&user(&name, "")).await;
    assert_eq!(world.product().get("/live").0, 200);
    let (status, reason) = world.product().get("/ready");
    assert_eq!(status, 503);
    assert!(!reason.trim().is_empty(), "it says why");
    assert_eq!(world.product().metrics().writes(), 0, "nothing is done before everything is known");
    proxy.mend();
    world.person(&name).await;
    assert_eq!(world.product().get("/ready").0, 200);
}

#[tokio::test]
async fn an_identity_with_too_few_rights_says_what_it_lacks_and_goes_on_when_it_has_them() {
    let minio = Arc::new(Server::start());
    let root = minio.client();
    let identity = Credentials::new("controller", Credentials::generate().secret);
    let policy = |actions: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":[{actions}]}},
                {{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}}]}}"#
        )
    };
    let few = r#""admin:ListUsers","admin:GetUser","admin:GetGroup","admin:GetPolicy","admin:ListGroups","admin:ListUserPolicies","admin:CreatePolicy","admin:ServerInfo""#;
    root.put_policy("identity", policy(few)).await.unwrap();
    root.add_user("controller", &identity.secret, true).await.unwrap();
    root.set_mapping(&Holder::User("controller".to_owned()), &BTreeSet::from(["identity".to_owned()])).await.unwrap();
    let world = World::own(Setup { minio: Some(minio), credentials: Some(identity), ..Setup::default() }).await;
    let name = unique("alice");
    world.apply(&user(&name, "")).await;
    let view = world
        .observed("MinioUser", &name, "it says that MinIO refuses", |view| {
            !view.says("Ready", "True") && view.message("Ready").to_lowercase().contains("add-user")
        })
        .await;
    assert!(view.message("Ready").contains("Denied"), "{}", view.message("Ready"));
    let asked = requests_within(&world, Duration::from_secs(3)).await;
    assert!(asked <= 40, "{asked} requests in 3 s while refused");
    root.put_policy("identity", policy("\"admin:*\"")).await.unwrap();
    let alice = world.person(&name).await;
    let file = alice.home("file");
    alice.may(Try::Put, &file).await;
    alice.expect(&file, "GPDL").await;
}

#[tokio::test]
async fn what_waits_for_people_asks_nobody() {
    let world = World::own(Setup::default()).await;
    let [name, team, policy, other] = ["alice", "team", "policy", "other"].map(unique);
    world.minio().add_user(&other, &Credentials::generate().secret, true).await.unwrap();
    world.apply(&user(&name, "policies: [none-such]")).await;
    world.apply(&user(&other, "")).await;
    world.apply(&group(&team, "members: [nobody-yet], policies: [none-such]")).await;
    world
        .apply(&format!(
            "kind: MinioPolicy\nmetadata: {{name: {policy}}}\nspec:\n  document:\n    Version: '2012-10-17'\n    \
             Statement: [{{Effect: Allow, Action: ['s3:GetObjct'], Resource: ['arn:aws:s3:::x/*']}}]"
        ))
        .await;
    world.apply(&share(&unique("share"), "lake/x/y", &format!("grants: [{}]", grant("nobody-yet", "Read")))).await;
    world.ready("MinioUser", &name).await;
    world.ready("MinioGroup", &team).await;
    world.stalled("MinioUser", &other, "AlreadyExists").await;
    world.stalled("MinioPolicy", &policy, "InvalidDocument").await;
    // At its start it looks at everything once.
    let is_quiet = async || requests_within(&world, Duration::from_secs(2)).await <= 10;
    world.eventually("nobody is asked, as nothing can change", is_quiet).await;
}

#[tokio::test]
async fn a_missing_bucket_of_the_layout_holds_up_until_it_is_back() {
    let world = World::own(Setup::default()).await;
    let first = world.user("first").await;
    // The server deletes no bucket that holds something.
    world.minio().delete_object("lake", &format!("homes/{}/", first.name)).await.unwrap();
    let root = world.product().minio().root();
    let status = world.minio().probe_object(&root, http::Method::DELETE, "lake", None, &[]).await.unwrap();
    assert_eq!(status, 204);
    let name = unique("alice");
    world.apply(&user(&name, "")).await;
    // Either it is made again, or it is said to be missing until somebody makes it.
    let view = world
        .observed("MinioUser", &name, "it is Ready or says what is missing", |view| {
            view.says("Ready", "True") || view.message("Ready").contains("bucket")
        })
        .await;
    if !view.says("Ready", "True") {
        let asked = requests_within(&world, Duration::from_secs(2)).await;
        assert!(asked <= 60, "{asked} requests in 2 s for a missing bucket");
        world.minio().create_bucket("lake").await.unwrap();
    }
    let alice = world.person(&name).await;
    let file = alice.home("file");
    alice.may(Try::Put, &file).await;
    alice.expect(&file, "GPDL").await;
}

#[tokio::test]
async fn an_object_that_cannot_be_decoded_keeps_its_last_good_version() {
    let world = World::own(Setup::default()).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (file, newcomer) = (alice.home("file"), unique("newcomer"));
    world.seed(&[&file]).await;
    // A newer version of the CRD knows a value that this program does not.
    let crds: Api<CustomResourceDefinition> = Api::all(Cluster::shared().client().await);
    let ours = schema::crds().into_iter().find(|crd| crd.spec.names.kind == "MinioUser").unwrap();
    let name = ours.metadata.name.clone().unwrap();
    let params = PatchParams::apply("minio-manager-tests").force();
    let mut newer = json!(ours);
    let values = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/dataDeletionPolicy/enum";
    newer.pointer_mut(values).and_then(|values| values.as_array_mut()).expect("an enum").push(json!("Shred"));
    crds.patch(&name, &params, &Patch::Apply(&newer)).await.unwrap();
    let strange = format!(
        "kind: MinioUser\nmetadata: {{name: {}}}\nspec: {{dataDeletionPolicy: Shred, enabled: false}}\n",
        alice.name
    );
    world.eventually("the API server takes the newer value", async || world.try_apply(&strange).await.is_ok()).await;
    crds.patch(&name, &params, &Patch::Apply(&ours)).await.unwrap();
    world.apply(&user(&newcomer, "")).await;
    let newcomer = world.person(&newcomer).await;
    newcomer.may(Try::Put, &newcomer.home("file")).await;
    newcomer.expect(&newcomer.home("file"), "GPDL").await;
    assert!(world.product().is_alive());
    alice.expect(&file, "GPDL").await;
    world.apply(&user(&bob.name, "enabled: false")).await;
    world.ready_is("MinioUser", &bob.name, "True", "Disabled").await;
    // Mended, it counts again.
    world.apply(&user(&alice.name, "enabled: false, dataDeletionPolicy: Retain")).await;
    world.ready_is("MinioUser", &alice.name, "True", "Disabled").await;
    alice.expect(&file, "").await;
}
