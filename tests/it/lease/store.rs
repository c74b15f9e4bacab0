use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    minio::{Server, unique},
    product::Setup,
    redis::Redis,
    replicas::Replicas,
    world::{World, user},
};

#[tokio::test]
async fn while_redis_is_away_nothing_is_written_and_what_waits_says_so() {
    let redis = Redis::start();
    let replicas = Replicas::in_redis(2, &redis).await;
    let world = &replicas.world;
    let alice = world.user("alice").await;
    let (leader, _) = replicas.leader_and_rest().await;
    redis.stop();
    world.eventually("it notices", async || !leader.leads()).await;
    let writes = || replicas.all().iter().map(|product| product.metrics().writes()).sum::<u64>();
    let before = writes();
    let late = unique("late");
    world.apply(&user(&late, "")).await;
    let view = world.ready_is("MinioUser", &late, "Unknown", "LeaseUnavailable").await;
    assert!(view.says("Reconciling", "True") && view.message("Ready").contains("Redis"), "{:#}", view.0["status"]);
    world.ready_is("MinioInstance", "default", "Unknown", "LeaseUnavailable").await;
    assert!(world.view("MinioUser", &alice.name).await.says("Ready", "True"), "what is in force is in force");
    assert_eq!(writes(), before, "nothing is written");
    assert_eq!(world.account(&late).await, None);
    for product in replicas.all() {
        assert_eq!((product.get("/live").0, product.get("/ready").0), (200, 200));
    }
    redis.start_again();
    world.person(&late).await;
    world.ready("MinioInstance", "default").await;
    assert_eq!(replicas.all().iter().filter(|product| product.leads()).count(), 1);
}

#[tokio::test]
async fn an_empty_redis_is_not_believed_that_nobody_leads() {
    let redis = Redis::start();
    let replicas = Replicas::in_redis(2, &redis).await;
    replicas.newcomer().await;
    let (leader, rest) = replicas.leader_and_rest().await;
    // Stopped in the midst of its lease, it would go on if it were let.
    leader.freeze();
    redis.stop();
    redis.start_again();
    replicas.leader_among(&rest).await;
    let writes = rest[0].metrics().writes();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(rest[0].metrics().writes(), writes, "the lease of the former leader may not be over yet");
    replicas.newcomer().await;
    assert!(rest[0].metrics().writes() > writes);
}

#[tokio::test]
async fn redis_may_want_a_password_and_have_a_certificate_of_its_own() {
    let redis = Redis::start_with_tls("hunter2");
    let authority = redis.authority().to_str().unwrap().to_owned();
    let variables = [("REDIS_URL", redis.url()), ("REDIS_CA_FILE", authority)];
    let replicas = Replicas::start(1, "redis", &variables).await;
    replicas.newcomer().await;
    let product = replicas.world.product();
    assert!(product.leads());
    let output = product.stdout() + &product.stderr();
    assert!(!output.contains("hunter2"), "the password is in the log");
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let redis = Redis::start_with_tls("hunter2");
    let url = redis.url_with(Some("letmein"));
    let authority = redis.authority().to_str().unwrap().to_owned();
    let variables = vec![("REDIS_URL".to_owned(), url), ("REDIS_CA_FILE".to_owned(), authority)];
    let setup = Setup {
        lease: Some("redis".to_owned()),
        variables,
        minio: Some(Arc::new(Server::start())),
        ..Setup::default()
    };
    let world = World::own(setup).await;
    let product = world.product();
    let told = "refuses the user and password of REDIS_URL";
    world.eventually("it says so", async || product.stderr().contains(told)).await;
    world.apply(&user(&unique("alice"), "")).await;
    world.eventually("it is ready", async || product.get("/ready").0 == 200).await;
    assert!(!product.leads() && product.metrics().writes() == 0);
    let output = product.stdout() + &product.stderr();
    assert!(!output.contains("letmein"), "the password is in the log");
    assert_eq!(product.terminate().code(), Some(0));
}
