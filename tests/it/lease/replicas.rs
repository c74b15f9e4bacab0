use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt};

use super::assert_only_watches;
use crate::support::{
    kube::Cluster,
    minio::unique,
    redis::Redis,
    replicas::Replicas,
    world::{grant, share, user},
};

/// What is asked for, and a little more: these machines are slow.
const AFTER_A_CRASH: Duration = Duration::from_secs(15 + 10);
const AFTER_AN_END: Duration = Duration::from_secs(2 + 4);

/// One acts; after its orderly end the next one does at once, and after a crash soon.
async fn one_acts_and_the_next_takes_over(replicas: &Replicas) {
    replicas.newcomer().await;
    let (leader, rest) = replicas.leader_and_rest().await;
    assert!(leader.metrics().writes() > 0 && !leader.audit().is_empty());
    for product in &rest {
        assert!(!product.leads());
        assert_only_watches(product);
    }
    let late = unique("late");
    assert_eq!(leader.terminate().code(), Some(0), "{}", leader.log_tail());
    let ended = Instant::now();
    replicas.world.apply(&user(&late, "")).await;
    let next = rest[replicas.leader_among(&rest).await];
    replicas.world.person(&late).await;
    assert!(ended.elapsed() < AFTER_AN_END, "{:?}", ended.elapsed());

    let last: Vec<_> = rest.into_iter().filter(|product| !std::ptr::eq(*product, next)).collect();
    next.kill();
    let crashed = Instant::now();
    replicas.leader_among(&last).await;
    replicas.newcomer().await;
    assert!(crashed.elapsed() < AFTER_A_CRASH, "{:?}", crashed.elapsed());
    assert!(last[0].is_alive());
}

#[tokio::test]
async fn with_redis_one_of_three_acts_and_the_next_takes_over() {
    let redis = Redis::start();
    one_acts_and_the_next_takes_over(&Replicas::in_redis(3, &redis).await).await;
}

#[tokio::test]
async fn with_kubernetes_one_of_three_acts_and_the_next_takes_over() {
    let replicas = Replicas::start(3, "auto", &[]).await;
    one_acts_and_the_next_takes_over(&replicas).await;
    let leases = Api::<Lease>::namespaced(Cluster::shared().client().await, replicas.world.namespace());
    let lease = leases.get("minio-manager").await.unwrap();
    assert_eq!(lease.annotations()["minio-manager.io/instance"], replicas.world.namespace());
    assert!(lease.spec.unwrap().lease_transitions >= Some(2));
}

#[tokio::test]
async fn a_leader_that_was_stopped_for_longer_than_its_lease_writes_nothing_any_more() {
    let redis = Redis::start();
    let replicas = Replicas::in_redis(2, &redis).await;
    let world = &replicas.world;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (leader, rest) = replicas.leader_and_rest().await;
    let name = unique("share");
    world.apply(&share(&name, &alice.home("exp"), &format!("grants: [{}]", grant(&bob.name, "Read")))).await;
    world.ready("PathShare", &name).await;
    let many: Vec<String> = (0..40).map(|_| unique("many")).collect();
    let yaml: Vec<String> = many.iter().map(|name| user(name, "")).collect();
    let audited = leader.audit().len();
    world.apply(&yaml.join("---\n")).await;
    world.eventually("it is in the midst of it", async || leader.audit().len() > audited + 4).await;
    leader.freeze();
    let audited = leader.audit().len();
    assert!(audited < 2 + many.len() * 3, "it was too fast for this test");
    // What it planned is no longer what is declared.
    world.delete("PathShare", &name).await;
    replicas.leader_among(&rest).await;
    world.gone("PathShare", &name).await;
    for name in &many {
        world.ready("MinioUser", name).await;
    }
    let file = alice.home("exp/file");
    world.seed(&[&file]).await;
    bob.expect(&file, "").await;
    leader.thaw();
    world.eventually("it knows that it does not lead", async || !leader.leads()).await;
    assert_eq!(leader.get("/ready").0, 200);
    replicas.newcomer().await;
    // Of what was on its way when it was stopped, it heard only now.
    assert!(leader.audit().len() <= audited + 1, "{}", leader.log_tail());
    bob.expect(&file, "").await;
    assert!(rest[0].leads());
}
