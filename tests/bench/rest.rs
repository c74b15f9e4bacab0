//! How fast the REST service answers: reads alone and in a crowd, and a share until its answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, future::join_all, stream};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use minio_manager::{
    api::{MinioGroup, MinioUser, PathShare, meta::FINALIZER},
    kubernetes::Watched,
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    figures::{Load, Report, Samples},
    support::{
        kube::Cluster,
        product::Setup,
        rest::{Person, Service, ServiceSetup},
        s3::Try,
        world::{PATIENCE, View, World},
    },
};

const MEDIAN: Duration = Duration::from_millis(3);
const P99: Duration = Duration::from_millis(25);
const ALONE: usize = 300;
const CROWD: usize = 32;
const TOGETHER: usize = 3_200;

const USERS: usize = 1_000;
const GROUPS: usize = 100;
const SHARES: usize = 10_000;
/// Whose they are: each is within the quota of an owner.
const OWNERS: usize = 20;
/// How many objects are created at once.
const CREATORS: usize = 16;

const SHARINGS: usize = 60;
const WARM_UP: usize = 5;
const TARGETS: usize = 50;
/// How often so many; the owner stays within the quota.
const MANY: usize = 15;
/// The pause after a poll that was too early; part of the figure, so short beside it.
const POLL: Duration = Duration::from_micros(500);

pub async fn measure(report: &mut Report) {
    reads(report).await;
    writes(report).await;
}

/// Reads cost no request to anybody, but for the Secret, so what has to be there is only the objects.
async fn reads(report: &mut Report) {
    let namespace = Cluster::shared().namespace("bench-rest").await;
    people_and_shares(&namespace).await;
    let setup = ServiceSetup::default().person("user0", true).person("user1", false);
    let service = Service::start_in(&namespace, setup).await;
    let (many, one) = (service.person("user0"), service.person("user1"));
    let path = "s3a://lake/homes/user0/data/5000/";
    for (name, person, call) in [
        ("GET /workspaces/me, 1 group", &one, Call::Get("/workspaces/me")),
        ("GET /workspaces/me, 100 groups", &many, Call::Get("/workspaces/me")),
        ("GET /management/users, 50 of 1,000", &many, Call::Get("/management/users?page=3&page_size=50")),
        (
            "get_path_access_info, 10,000 shares",
            &many,
            Call::Post("/sharing/get_path_access_info", json!({"path": path})),
        ),
    ] {
        latencies(report, name, person, &call).await;
    }
    let world = World::own(Setup::default()).await;
    let service = Service::start(&world, ServiceSetup::default().person("alice", false)).await;
    latencies(report, "GET /credentials/", &service.person("alice"), &Call::Get("/credentials/")).await;
}

enum Call {
    Get(&'static str),
    Post(&'static str, Value),
}

async fn latencies(report: &mut Report, name: &str, person: &Person, call: &Call) {
    load(person, call, 1, ALONE / 10).await;
    let alone = load(person, call, 1, ALONE).await;
    let together = load(person, call, CROWD, TOGETHER).await;
    report.latencies(name, &alone, &together, MEDIAN, P99);
}

async fn load(person: &Person, call: &Call, callers: usize, requests: usize) -> Load {
    let left = Arc::new(AtomicUsize::new(requests));
    let started = Instant::now();
    let caller = || async {
        let mut samples = Vec::new();
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            let started = Instant::now();
            // Answers are read and not parsed: that would take longer than to make them, on the same processors.
            let answer = request(person, call).send().await.unwrap();
            let status = answer.status().as_u16();
            answer.bytes().await.unwrap();
            samples.push(started.elapsed());
            assert_eq!(status, 200);
        }
        samples
    };
    let all = join_all((0..callers).map(|_| caller())).await;
    let took = started.elapsed();
    let mut samples = Samples::default();
    all.into_iter().flatten().for_each(|sample| samples.push(sample));
    Load { callers, samples, took }
}

fn request(person: &Person, call: &Call) -> RequestBuilder {
    match call {
        Call::Get(path) => person.request(Method::GET, path),
        Call::Post(path, body) => {
            let request = person.request(Method::POST, path).header("Content-Type", "application/json");
            request.body(body.to_string())
        }
    }
}

/// Objects as a controller leaves them: claimed.
async fn people_and_shares(namespace: &str) {
    let kube = Cluster::shared().client().await;
    let user = |number: usize| {
        let name = format!("user{number}");
        claimed(
            &kube,
            namespace,
            "MinioUser",
            name.clone(),
            json!({}),
            Some(json!({"username": name, "origin": "Created"})),
        )
    };
    all::<MinioUser>(stream::iter(0..USERS).map(user)).await;
    let group = |number: usize| {
        let name = format!("group{number}");
        let members: Vec<String> =
            if number == 0 { vec!["user0".into(), "user1".into()] } else { vec!["user0".into()] };
        let status = json!({"groupName": name, "origin": "Created"});
        claimed(&kube, namespace, "MinioGroup", name, json!({ "members": members }), Some(status))
    };
    all::<MinioGroup>(stream::iter(0..GROUPS).map(group)).await;
    let share = |number: usize| {
        let owner = format!("user{}", number % OWNERS);
        let spec = json!({
            "path": format!("s3a://lake/homes/{owner}/data/{number}"), "owner": {"kind": "User", "name": owner},
            "grants": [{"kind": "User", "name": format!("user{}", number % USERS), "access": "Read"}],
        });
        claimed(&kube, namespace, "PathShare", format!("share{number}"), spec, None)
    };
    all::<PathShare>(stream::iter(0..SHARES).map(share)).await;
}

async fn all<K: Watched>(objects: impl futures::Stream<Item = Claimed>) {
    objects.for_each_concurrent(CREATORS, Claimed::make::<K>).await;
}

struct Claimed {
    kube: Client,
    namespace: String,
    name: String,
    object: Value,
    status: Option<Value>,
}

fn claimed(kube: &Client, namespace: &str, kind: &str, name: String, spec: Value, status: Option<Value>) -> Claimed {
    let object = json!({
        "apiVersion": "minio-manager.io/v1alpha1", "kind": kind,
        "metadata": {"name": name, "finalizers": [FINALIZER]}, "spec": spec,
    });
    Claimed { kube: kube.clone(), namespace: namespace.to_owned(), name, object, status }
}

impl Claimed {
    async fn make<K: Watched>(self) {
        let api: Api<K> = Api::namespaced(self.kube, &self.namespace);
        let object: K = serde_json::from_value(self.object).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
        if let Some(status) = self.status {
            let patch = Patch::Merge(json!({ "status": status }));
            api.patch_status(&self.name, &PatchParams::default(), &patch).await.unwrap();
        }
    }
}

/// A share until its answer, beside a share that is applied until it is in force.
async fn writes(report: &mut Report) {
    let world = World::own(Setup::default()).await;
    let names: Vec<String> = (0..TARGETS).map(|number| format!("target{number}")).collect();
    let setup = names.iter().fold(ServiceSetup::default(), |setup, name| setup.person(name, false));
    let arguments = ["--rest-writes-per-second", "0"];
    let service = Service::start(&world, setup.person("alice", false).with(&arguments)).await;
    let alice = service.person("alice");
    alice.get("/credentials/").await.expect(200);
    for name in &names {
        while service.person(name).get("/credentials/").await.status == 503 {}
    }
    let bob = service.person(&names[0]).at_s3(&world).await;
    // Whoever gets both kinds of shares would have bursts, which are gathered.
    let carol = world.user("carol").await;
    let shares: Api<PathShare> = Api::namespaced(Cluster::shared().client().await, world.namespace());
    let [mut one, mut fifty, mut applied, mut least] = [const { Samples::new() }; 4];
    for round in 0..WARM_UP + SHARINGS {
        let (single, by_hand) = (format!("one{round}"), format!("applied{round}"));
        let files = [&single, &by_hand].map(|folder| format!("lake/homes/alice/{folder}/file"));
        world.seed(&files.each_ref().map(String::as_str)).await;
        let to_one = share(&alice, &single, &names[..1]).await;
        assert!(bob.may(Try::Get, &files[0]).await, "in force when the answer comes");
        let object: PathShare = serde_json::from_value(json!({
            "apiVersion": "minio-manager.io/v1alpha1", "kind": "PathShare", "metadata": {"name": by_hand},
            "spec": {"path": format!("s3a://lake/homes/alice/{by_hand}"),
                     "grants": [{"kind": "User", "name": carol.name, "access": "Read"}]},
        }))
        .unwrap();
        let started = Instant::now();
        shares.create(&PostParams::default(), &object).await.unwrap();
        while !carol.may(Try::Get, &files[1]).await {
            assert!(started.elapsed() < PATIENCE, "an applied share comes into force");
            tokio::time::sleep(POLL).await;
        }
        let to_apply = started.elapsed();
        if round >= WARM_UP {
            one.push(to_one);
            applied.push(to_apply);
        }
    }
    // After the others: so many urgent writes use up the tokens of those that wait their turn.
    let minio = world.product().minio().client();
    for round in 0..MANY {
        let folder = format!("many{round}");
        let file = format!("lake/homes/alice/{folder}/file");
        world.seed(&[&file]).await;
        fifty.push(share(&alice, &folder, &names).await);
        assert!(bob.may(Try::Get, &file).await, "in force when the answer comes");
        // The next call shall not meet what this one left to be written: counts.
        world
            .eventually("the grants are counted", async || {
                let users = world.objects("MinioUser").await;
                let counted = |user: &View| user.status("/grants/active").as_u64() > Some(round as u64);
                users.iter().filter(|user| counted(user)).count() >= TARGETS
            })
            .await;
        least.push(one.median() + documents(&minio, TARGETS - 1).await);
    }
    report.compare("POST /sharing/share (beside: applied)", &one, &applied, 2.0, 5.0);
    report.compare("POST /sharing/share, 50 targets (beside: 1 + 49 documents)", &fifty, &least, 2.0, 5.0);
}

/// So many documents of the size of a user's, written one after the other: MinIO makes all changes under one lock.
async fn documents(minio: &minio_manager::minio::Client, number: usize) -> Duration {
    let resources = vec!["arn:aws:s3:::lake/homes/alice/data/*"; 55];
    let statement = json!({"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": resources});
    let document = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let started = Instant::now();
    for number in 0..number {
        minio.put_policy(&format!("floor{number}"), document.clone()).await.unwrap();
    }
    started.elapsed()
}

fn folder_of(name: &str) -> String {
    format!("s3a://lake/homes/alice/{name}/")
}

async fn share(owner: &Person, folder: &str, with: &[String]) -> Duration {
    let body = json!({"path": folder_of(folder), "with_users": with, "permission": "read"});
    let started = Instant::now();
    let answer = owner.post_json("/sharing/share", body).await;
    let took = started.elapsed();
    answer.expect(200);
    took
}
