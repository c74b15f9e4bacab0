//! Several replicas of one installation.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    minio::{Server, unique},
    product::{Product, Setup},
    redis::Redis,
    world::{World, user},
};

/// Replicas of one installation. The first belongs to the world.
pub struct Replicas {
    /// The installation.
    pub world: World,
    others: Vec<Product>,
}

impl Replicas {
    /// So many replicas whose lease is in Redis.
    pub async fn in_redis(count: usize, redis: &Redis) -> Self {
        Self::start(count, "auto", &[("REDIS_URL", redis.url())]).await
    }

    /// So many replicas whose lease is where `--lease` and these variables say.
    pub async fn start(count: usize, lease: &str, variables: &[(&str, String)]) -> Self {
        let setup = Setup {
            minio: Some(Arc::new(Server::start())),
            lease: Some(lease.to_owned()),
            variables: variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            ..Setup::default()
        };
        let world = World::own(setup.clone()).await;
        let mut others = Vec::new();
        for _ in 1..count {
            let namespace = Some(world.namespace().to_owned());
            others.push(Product::start(Setup { namespace, ..setup.clone() }).await);
        }
        Self { world, others }
    }

    /// All of them.
    pub fn all(&self) -> Vec<&Product> {
        [self.world.product()].into_iter().chain(&self.others).collect()
    }

    /// Waits until one of them leads, other than those left out, and answers which.
    pub async fn leader_among(&self, products: &[&Product]) -> usize {
        let leads = async || products.iter().any(|product| product.leads());
        self.world.eventually("one of them leads", leads).await;
        products.iter().position(|product| product.leads()).expect("it still leads")
    }

    /// Splits them into the leader and those that stand by.
    pub async fn leader_and_rest(&self) -> (&Product, Vec<&Product>) {
        let mut all = self.all();
        let leader = self.leader_among(&all).await;
        let leader = all.remove(leader);
        (leader, all)
    }

    /// Declares a user and waits until it can sign in; answers how long that took.
    pub async fn newcomer(&self) -> Duration {
        let (name, since) = (unique("newcomer"), Instant::now());
        self.world.apply(&user(&name, "")).await;
        self.world.person(&name).await;
        since.elapsed()
    }
}
