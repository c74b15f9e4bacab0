//! Somebody deletes our CRDs, by mistake or before an uninstall: what the objects stood for stays on the server.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::rbac::v1::ClusterRoleBinding, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
};
use minio_manager::{api::schema, minio::UserEntry};
use serde_json::Value;

use crate::support::{
    identity::CONTROLLER_NAME,
    kube::Cluster,
    product::Setup,
    world::{Person, World, grant, group, share, user},
};

/// A product in a cluster of its own.
struct Scene {
    world: World,
    cluster: Cluster,
}

impl Scene {
    async fn set() -> Self {
        let cluster = Cluster::own().await;
        let world = World::elsewhere(&cluster, Setup::default().with(&["--large-change-limit", "0"])).await;
        Self { world, cluster }
    }

    async fn crds(&self) -> Api<CustomResourceDefinition> {
        Api::all(self.cluster.client().await)
    }

    /// Deletes CRDs and waits until they are gone with their objects.
    async fn delete_crds(&self, plurals: &[&str]) {
        let crds = self.crds().await;
        let names: Vec<String> = schema::crds().iter().map(ResourceExt::name_any).collect();
        let chosen =
            || names.iter().filter(|name| plurals.iter().any(|plural| name.starts_with(&format!("{plural}."))));
        for name in chosen() {
            crds.delete(name, &DeleteParams::default()).await.unwrap();
        }
        for name in chosen() {
            let is_gone = async || crds.get_opt(name).await.unwrap().is_none();
            self.world.eventually("the CRD is gone with its objects", is_gone).await;
        }
    }

    /// What the server holds, but for keys: accounts with their policies, members, documents.
    async fn server(&self, people: &[&Person]) -> (BTreeMap<String, UserEntry>, Option<BTreeSet<String>>, Vec<Value>) {
        let names = people.iter().map(|person| format!("user-home-policy-{}", person.name));
        let mut documents = Vec::new();
        for name in names.chain(["group-policy-team", "rule", "group-policy-globalusers"].map(str::to_owned)) {
            documents.push(self.world.meaning(&name).await.unwrap_or_else(|| panic!("{name} is gone")));
        }
        let accounts = self.world.minio().list_users().await.unwrap();
        (accounts.into_iter().collect(), self.world.members("team").await, documents)
    }
}

fn shares(alice: &Person, bob: &Person) -> String {
    let owner = format!("owner: {{kind: User, name: {}}}", alice.name);
    [
        share("exp", &alice.home("exp"), &format!("{owner}, grants: [{}]", grant(&bob.name, "Read"))),
        share("public", &alice.home("public"), &format!("{owner}, everyone: Read")),
        share("ours", "lake/teams/team/ours", "owner: {kind: Group, name: team}, everyone: Read"),
    ]
    .join("---\n")
}

#[tokio::test]
async fn what_objects_stood_for_outlives_their_crds() {
    let scene = Scene::set().await;
    let world = &scene.world;
    let rule = "kind: MinioPolicy\nmetadata: {name: rule}\nspec:\n  document:\n    Version: '2012-10-17'\n    \
                Statement: [{Effect: Allow, Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::lake/rule/*']}]\n";
    world.apply(rule).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let adopted =
        |person: &Person| user(&person.name, "adoptionPolicy: Adopt, dataDeletionPolicy: Delete, policies: [rule]");
    let members = format!(
        "kind: GroupMembership\nmetadata: {{name: members}}\nspec: {{group: team, members: [{{name: {}, access: \
         ReadWrite}}]}}\n",
        bob.name
    );
    let people = [adopted(&alice), adopted(&bob), group("team", "adoptionPolicy: Adopt, dataDeletionPolicy: Delete")];
    world.apply(&people.join("---\n")).await;
    world.apply(&format!("{}---\n{members}", shares(&alice, &bob))).await;
    let all = [
        ("PathShare", "exp"),
        ("PathShare", "public"),
        ("PathShare", "ours"),
        ("GroupMembership", "members"),
        ("MinioGroup", "team"),
        ("MinioPolicy", "rule"),
        ("MinioUser", alice.name.as_str()),
        ("MinioUser", bob.name.as_str()),
    ];
    for (kind, name) in all {
        world.ready(kind, name).await;
    }
    let (file, public) = (alice.home("exp/file"), alice.home("public/file"));
    world.seed(&[&file, &public, "lake/teams/team/file"]).await;
    bob.expect(&file, "GL").await;
    let before = scene.server(&[&alice, &bob]).await;

    // Only shares: everybody goes on working, and nobody loses anything.
    scene.delete_crds(&["pathshares"]).await;
    world.eventually("it is said", async || world.product().stderr().contains("\"kind\":\"PathShare\"")).await;
    assert_eq!(scene.server(&[&alice, &bob]).await, before);
    bob.expect(&file, "GL").await;
    bob.expect(&public, "GL").await;
    scene.cluster.install_crds().await;
    world.apply(&shares(&alice, &bob)).await;
    for name in ["exp", "public", "ours"] {
        world.ready("PathShare", name).await;
    }
    let is_back = async || world.product().stderr().contains("CustomResourceDefinition is back");
    world.eventually("the kind is back", is_back).await;
    assert_eq!(scene.server(&[&alice, &bob]).await, before);
    // An object that somebody deletes ends as ever.
    world.delete_and_wait("PathShare", "public").await;
    bob.expect(&public, "").await;
    world.apply(&shares(&alice, &bob)).await;
    world.ready("PathShare", "public").await;

    // Everything: accounts, groups, policies and data stay; the keys that were issued go, as with Retain.
    let kinds = ["miniousers", "miniogroups", "groupmemberships", "pathshares", "miniopolicies", "minioaccesskeys"];
    scene.delete_crds(&kinds).await;
    assert_eq!(scene.server(&[&alice, &bob]).await, before);
    assert_eq!(world.keys_below("lake/homes/").await.iter().filter(|key| key.ends_with("/file")).count(), 2);
    for person in [&alice, &bob] {
        assert_eq!(world.access_keys(&person.name).await, []);
        assert!(world.secret(&person.secret).await.is_none());
    }
    assert!(world.product().is_alive());

    // The objects come back, those that give something first.
    scene.cluster.install_crds().await;
    world.apply(&format!("{}---\n{members}---\n{rule}", shares(&alice, &bob))).await;
    world.apply(&people.join("---\n")).await;
    for (kind, name) in all {
        world.ready(kind, name).await;
    }
    assert_eq!(scene.server(&[&alice, &bob]).await, before);
    let view = world.view("MinioUser", &bob.name).await;
    assert_eq!(view.status("/origin"), "Created", "the label of its documents tells whose it is");
    let bob = world.person(&bob.name).await;
    bob.expect(&file, "GL").await;
    bob.expect("lake/teams/team/file", "GPDL").await;
    // And end as ever, data included.
    let are_back = async || world.product().stderr().matches("CustomResourceDefinition is back").count() == 6;
    world.eventually("all kinds are back", are_back).await;
    world.delete_and_wait("MinioUser", &alice.name).await;
    assert_eq!(world.account(&alice.name).await, None);
    assert_eq!(world.keys_below(&alice.home("")).await, Vec::<String>::new());
    bob.expect(&file, "").await;
}

#[tokio::test]
async fn who_may_not_look_at_crds_deletes_no_data() {
    let scene = Scene::set().await;
    let world = &scene.world;
    world.apply(&user("alice", "dataDeletionPolicy: Delete")).await;
    let alice = world.person("alice").await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    let bindings: Api<ClusterRoleBinding> = Api::all(scene.cluster.client().await);
    let name = format!("{CONTROLLER_NAME}.{}", world.namespace());
    let mut binding = bindings.get(&name).await.unwrap();
    bindings.delete(&name, &DeleteParams::default()).await.unwrap();
    let may_look = async |client: kube::Client| {
        Api::<CustomResourceDefinition>::all(client).get("miniousers.minio-manager.io").await.is_ok()
    };
    let client = scene.cluster.client_as(world.product().kubeconfig()).await;
    world.eventually("the right is taken", async || !may_look(client.clone()).await).await;
    world.delete("MinioUser", "alice").await;
    let says = |view: &crate::support::world::View| view.message("Ready").contains("customresourcedefinitions");
    world.observed("MinioUser", "alice", "it says what it lacks", says).await;
    alice.expect(&file, "").await;
    assert_eq!(world.account("alice").await, None, "access ends in any case");
    assert_eq!(world.keys_below(&file).await.len(), 1);
    binding.metadata.resource_version = None;
    binding.metadata.uid = None;
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    world.gone("MinioUser", "alice").await;
    assert_eq!(world.keys_below(&file).await, Vec::<String>::new());
}
