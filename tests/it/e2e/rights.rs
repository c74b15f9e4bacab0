//! Who the controllers of all these tests are in Kubernetes: the ServiceAccount of `deploy/kubernetes/`, with the rights that the
//! chart gives it. They are enough, and none of them is there for nothing.

use std::{collections::BTreeSet, fs};

use k8s_openapi::api::{authentication::v1::SelfSubjectReview, core::v1::Secret, rbac::v1::Role};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::{
    identity::{CONTROLLER, CONTROLLER_ELSEWHERE, CONTROLLER_NAME, own_rules, rights},
    kube::{AUDITED, Cluster},
    minio::unique,
    product::Setup,
    world::{View, World, grant, group, share, user},
};

/// What the Role or ClusterRole of a file gives to a controller with this home namespace.
fn given(manifest: &str, kind: &str, home: &str) -> BTreeSet<String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
    let role = documents.iter().find(|document| document["kind"] == kind).expect("the file has one");
    let all = role["rules"].as_array().unwrap().iter().flat_map(rights);
    all.map(|right| right.replace(" lake", &format!(" {home}"))).collect()
}

/// What a round may come to its end without, or uses without a record.
fn is_seldom(right: &str) -> bool {
    // An object is read where somebody else wrote it at the same moment.
    right.starts_with("get ") && right.ends_with("s.minio-manager.io")
        // The controllers of the tests are told who they are; those of the chart's tests ask. Others are read where they go.
        || right.starts_with("get namespaces.")
        // Whether a Secret may hold its owner up is asked within the API server.
        || right.starts_with("update ") && right.ends_with("/finalizers.minio-manager.io")
        // The same was told of the same version of an object before.
        || right == "patch events.events.k8s.io"
}

#[tokio::test]
async fn a_product_is_the_service_account_of_the_chart_and_may_do_nothing_else() {
    let world = World::shared().await;
    let client = Cluster::shared().client_as(world.product().kubeconfig()).await;
    let review = Api::all(client.clone()).create(&PostParams::default(), &SelfSubjectReview::default()).await.unwrap();
    let name = review.status.unwrap().user_info.unwrap().username;
    assert_eq!(name, Some(format!("system:serviceaccount:{}:{CONTROLLER_NAME}", world.namespace())));

    let everywhere = given(CONTROLLER, "ClusterRole", world.namespace());
    let at_home: BTreeSet<String> = given(CONTROLLER, "Role", world.namespace()).union(&everywhere).cloned().collect();
    assert_eq!(own_rules(&client, world.namespace()).await, at_home);
    assert_eq!(own_rules(&client, &Cluster::shared().namespace("rights").await).await, everywhere);
}

/// A product whose requests the API server keeps, and a namespace beside it.
struct Watched {
    world: World,
    beside: String,
}

impl Watched {
    async fn start(cluster: &Cluster) -> Self {
        cluster.create_namespace(AUDITED).await;
        let beside = cluster.namespace("rights").await;
        let config = std::env::temp_dir().join(unique("rights-config"));
        let everything = "{usernames: ['*'], groups: ['*'], paths: ['s3a://lake/'], policies: ['*'], keysFor: ['*']}";
        fs::write(&config, format!("namespaces: {{{beside}: {everything}}}\n")).unwrap();
        let setup = Setup {
            namespace: Some(AUDITED.to_owned()),
            beside: vec![beside.clone()],
            lease: Some("kubernetes".to_owned()),
            ..Setup::default()
        };
        let arguments = ["--config", config.to_str().unwrap(), "--large-change-limit", "0"];
        let world = World::elsewhere(cluster, setup.with(&arguments)).await;
        fs::remove_file(config).unwrap();
        Self { world, beside }
    }

    /// What was asked for in a namespace, and outside of all: each with and without the name of the object.
    fn used(&self, cluster: &Cluster, namespace: &str) -> BTreeSet<String> {
        let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
        let mut used = BTreeSet::new();
        for request in cluster.requests() {
            let (what, resource) = (&request["objectRef"], text(&request["objectRef"], "resource"));
            if !["", namespace].contains(&text(what, "namespace").as_str()) || resource.is_empty() {
                continue;
            }
            let resource = match text(what, "subresource").as_str() {
                "" => resource,
                subresource => format!("{resource}/{subresource}"),
            };
            let right = format!("{} {resource}.{}", text(&request, "verb"), text(what, "apiGroup"));
            used.insert(format!("{right} {}", text(what, "name")));
            used.insert(right);
        }
        used
    }
}

/// Everything that objects in a namespace can ask for: they come into force, change, and end.
async fn round(world: &World, prefix: &str) {
    let name = |name: &str| format!("{prefix}-{name}");
    let (alice, team, rule, exp, etl) = (name("alice"), name("team"), name("rule"), name("exp"), name("etl"));
    let rule_of = format!(
        "kind: MinioPolicy\nmetadata: {{name: {rule}}}\nspec:\n  document:\n    Version: '2012-10-17'\n    \
         Statement: [{{Effect: Allow, Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::lake/rule/*']}}]\n"
    );
    let member = format!(
        "kind: GroupMembership\nmetadata: {{name: {team}}}\nspec: {{group: {team}, members: [{{name: {alice}, access: \
         ReadWrite}}]}}\n"
    );
    let grants = format!("owner: {{kind: Group, name: {team}}}, grants: [{}]", grant(&alice, "Read"));
    let key = format!("kind: MinioAccessKey\nmetadata: {{name: {etl}}}\nspec: {{user: {alice}}}\n");
    let objects = [
        user(&alice, &format!("dataDeletionPolicy: Delete, policies: [{rule}]")),
        group(&team, ""),
        share(&exp, &format!("lake/teams/{team}/exp"), &grants),
        rule_of,
        member,
        key,
    ];
    world.apply(&objects.join("---\n")).await;
    let all = [
        ("MinioAccessKey", &etl),
        ("PathShare", &exp),
        ("GroupMembership", &team),
        ("MinioGroup", &team),
        ("MinioUser", &alice),
        ("MinioPolicy", &rule),
    ];
    for (kind, name) in all {
        world.ready(kind, name).await;
    }
    world.annotate("MinioUser", &alice, "rotate", Some("1")).await;
    let rotated = |view: &View| view.status("/credentials/lastHandledRotate") == "1";
    world.observed("MinioUser", &alice, "it is rotated", rotated).await;
    world.patch("MinioGroup", &team, json!({"spec": {"enabled": false}})).await;
    world.ready_is("MinioGroup", &team, "True", "Disabled").await;
    for (kind, name) in all {
        world.delete_and_wait(kind, name).await;
    }
}

#[tokio::test]
async fn every_right_is_used_and_nothing_is_refused() {
    let own = match Cluster::shared().is_own() {
        true => None,
        false => Some(Cluster::own().await),
    };
    let cluster = own.as_ref().unwrap_or_else(|| Cluster::shared());
    let watched = Watched::start(cluster).await;
    let elsewhere = watched.world.as_seen_from(&watched.beside, cluster.client().await);
    tokio::join!(round(&watched.world, "home"), round(&elsewhere, "beside"));

    let account = format!("system:serviceaccount:{AUDITED}:{CONTROLLER_NAME}");
    for request in cluster.requests() {
        assert_eq!(request["user"]["username"], json!(account), "{request:#}");
        assert_ne!(request["responseStatus"]["code"], 403, "{request:#}");
    }
    let everywhere = given(CONTROLLER, "ClusterRole", AUDITED);
    let elsewhere = given(CONTROLLER_ELSEWHERE, "ClusterRole", AUDITED);
    for (namespace, file, of_objects) in
        [(AUDITED, CONTROLLER, &BTreeSet::new()), (&watched.beside, CONTROLLER_ELSEWHERE, &elsewhere)]
    {
        let given_there: BTreeSet<String> =
            given(file, "Role", AUDITED).iter().chain(&everywhere).chain(of_objects).cloned().collect();
        let used = watched.used(cluster, namespace);
        let unused: Vec<&String> = given_there.difference(&used).filter(|right| !is_seldom(right)).collect();
        assert_eq!(unused, [""; 0], "nobody needs these in {namespace}; used: {used:#?}");
    }
}

#[tokio::test]
async fn a_right_that_is_taken_away_is_missed_and_told_of() {
    let world = World::own(Setup::default()).await;
    world.eventually("everything is known", async || world.product().get("/ready").0 == 200).await;
    let cluster = Cluster::shared();
    let roles: Api<Role> = Api::namespaced(cluster.client().await, world.namespace());
    let name = format!("{CONTROLLER_NAME}.{}", world.namespace());
    let whole = roles.get(&name).await.unwrap();
    let mut less = whole.clone();
    less.rules.iter_mut().flatten().for_each(|rule| {
        let secrets = rule.resources.iter_mut().flatten().filter(|resource| *resource == "secrets");
        secrets.for_each(|resource| *resource = "none".to_owned());
    });
    let less = roles.replace(&name, &PostParams::default(), &less).await.unwrap();
    let as_it = cluster.client_as(world.product().kubeconfig()).await;
    let secrets: Api<Secret> = Api::namespaced(as_it, world.namespace());
    world.eventually("the right is taken", async || secrets.list(&ListParams::default()).await.is_err()).await;
    world.apply(&user("alice", "")).await;
    let is_told = |view: &View| {
        let message = view.message("Ready");
        message.contains("Secret") && message.contains("403 Forbidden")
    };
    let view = world.observed("MinioUser", "alice", "it says what it lacks", is_told).await;
    assert!(!view.says("Ready", "True"), "{view:?}");
    assert_eq!(world.secret_names().await.len(), 0);
    let whole = Role { metadata: less.metadata, ..whole };
    roles.replace(&name, &PostParams::default(), &whole).await.unwrap();
    world.person("alice").await;
}
