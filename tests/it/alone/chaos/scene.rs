//! The servers, the replicas and the people.

use std::{
    collections::BTreeSet,
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use minio_manager::minio::{self, Client, Credentials, Holder, Secret, generate_secret};

use super::faults::blocking;
use crate::support::{
    flaky::Flaky,
    identity::{controller_kubeconfig, rest_kubeconfig},
    kube::Cluster,
    minio::{Server, unique},
    product::{Product, Setup},
    proxy::Proxy,
    random::Random,
    redis::Redis,
    rest::{Person, Service, ServiceSetup},
    world::{World, group, user},
};

/// How many controllers there are.
pub const CONTROLLERS: usize = 3;
/// How many REST services there are.
pub const SERVICES: usize = 2;

/// People who are there all the time and share their folders.
pub const OWNERS: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
/// Somebody whom nobody ever grants anything.
pub const STRANGER: &str = "mallory";
/// People who come and go.
pub const GUESTS: [&str; 3] = ["guest-1", "guest-2", "guest-3"];
/// Groups that are there all the time.
pub const GROUPS: [&str; 2] = ["physics", "biology"];
/// An administrator of the REST service, who is no user of MinIO.
pub const BOSS: &str = "boss";
/// An administrator of MinIO beside the controllers' identity.
pub const OTHER_ADMIN: &str = "other-admin";

/// Everything that runs.
pub struct Scene {
    /// What tests see of the first controller's installation.
    pub world: World,
    others: Vec<Product>,
    services: Vec<Mutex<Arc<Service>>>,
    /// Keeps the lease.
    pub redis: Redis,
    /// Between the controllers and Redis.
    pub before_redis: Proxy,
    /// Between the controllers and MinIO.
    pub flaky: Flaky,
    /// Between the controllers and services and the API server.
    pub before_api_server: Proxy,
    /// MinIO as [`OTHER_ADMIN`].
    pub other_admin: Client,
    other_admin_secret: Secret,
    /// How controllers and services find the API server.
    kubeconfigs: [PathBuf; 2],
    backup: PathBuf,
    acting: AtomicBool,
    kills: AtomicUsize,
}

impl Scene {
    /// Starts everything and everybody.
    pub async fn set(random: &mut Random) -> Self {
        let redis = Redis::start();
        let before_redis = Proxy::start(redis.address());
        let namespace = Cluster::shared().namespace("chaos").await;
        let identity = controller_kubeconfig(Cluster::shared(), &namespace, &[]).await;
        let (before_api_server, for_controllers) = Proxy::before_api_server(&identity);
        let minio = Arc::new(Server::start());
        let address: SocketAddr = minio.endpoint().authority().parse().expect("an address");
        let flaky = Flaky::start(address, Random::new(random.below(usize::MAX) as u64));
        let endpoint = format!("http://{}", flaky.address()).parse().expect("an address is an endpoint");
        let other_admin_secret = generate_secret();
        let other = Credentials::new(OTHER_ADMIN, other_admin_secret.clone());
        let other_admin = Client::new(minio::Config::new(minio.endpoint(), other)).expect("a client can be built");
        let setup = Setup {
            minio: Some(minio),
            endpoint: Some(endpoint),
            kubeconfig: Some(for_controllers.clone()),
            namespace: Some(namespace),
            lease: Some("auto".to_owned()),
            variables: vec![("REDIS_URL".to_owned(), format!("redis://{}/0", before_redis.address()))],
            ..Setup::default()
        };
        // What people change here in a minute is a large change. Somebody who takes things away has the key of the product itself,
        // so that only the audits can tell.
        let audits = ["--audit-interval", "5s", "--full-audit-interval", "10s"];
        let setup = setup.with(&["--large-change-limit", "100000,10%"]).with(&audits);
        let world = World::own(setup.clone()).await;
        let mut others = Vec::new();
        for _ in 1..CONTROLLERS {
            others.push(Product::start(setup.clone()).await);
        }
        let identity = rest_kubeconfig(Cluster::shared(), world.namespace()).await;
        let for_services = before_api_server.kubeconfig(&identity);
        let mut services = Vec::new();
        for _ in 0..SERVICES {
            services.push(Mutex::new(service(&world, &for_services).await));
        }
        let scene = Self {
            world,
            others,
            services,
            redis,
            before_redis,
            flaky,
            before_api_server,
            other_admin,
            other_admin_secret,
            kubeconfigs: [for_controllers, for_services],
            backup: env::temp_dir().join(unique("minio-manager-backup")),
            acting: AtomicBool::new(true),
            kills: AtomicUsize::new(0),
        };
        scene.people().await;
        scene.keep_backup();
        scene
    }

    async fn people(&self) {
        let people = OWNERS.iter().chain([&STRANGER]).map(|name| user(name, "credentials: {overlap: 1h}"));
        let groups = GROUPS.iter().map(|name| group(name, ""));
        let yaml: Vec<String> = people.chain(groups).collect();
        self.world.apply(&yaml.join("---\n")).await;
        for name in OWNERS.iter().chain([&STRANGER]) {
            self.world.person(name).await;
        }
        for name in GROUPS {
            self.world.ready("MinioGroup", name).await;
        }
    }

    /// All controllers.
    pub fn controllers(&self) -> Vec<&Product> {
        [self.world.product()].into_iter().chain(&self.others).collect()
    }

    /// All REST services as they are now.
    pub fn services(&self) -> Vec<Arc<Service>> {
        self.services.iter().map(|service| service.lock().unwrap().clone()).collect()
    }

    /// Somebody who calls one of the services.
    pub fn caller(&self, name: &str, service: usize) -> Person {
        self.services[service].lock().unwrap().person(name)
    }

    /// The controller that leads, or any where none does at this moment.
    pub fn leader(&self) -> &Product {
        let controllers = self.controllers();
        controllers.iter().copied().find(|product| product.leads()).unwrap_or(controllers[0])
    }

    /// Waits until a controller leads and writes what people change.
    pub async fn someone_writes(&self) {
        let written =
            || self.controllers().into_iter().map(|product| product.metrics()).map(|metrics| metrics.writes());
        let before: Vec<u64> = written().collect();
        let writes = async || written().zip(&before).any(|(now, before)| now > *before);
        self.world.eventually("a controller writes", writes).await;
    }

    /// The server, by the way that people take.
    pub fn minio(&self) -> &Server {
        self.world.product().minio()
    }

    /// Has the other administrator on MinIO, which may have lost it.
    pub async fn let_other_admin_in(&self) {
        let (minio, secret) = (self.world.minio(), &self.other_admin_secret);
        minio.add_user(OTHER_ADMIN, secret, true).await.unwrap();
        let everything = BTreeSet::from(["consoleAdmin".to_owned()]);
        minio.set_mapping(&Holder::User(OTHER_ADMIN.to_owned()), &everything).await.unwrap();
    }

    /// Kills a controller, or the leader, and starts it again.
    pub fn kill_controller(&self, whom: Option<usize>) {
        let product = whom.map_or_else(|| self.leader(), |number| self.controllers()[number]);
        self.kills.fetch_add(1, Ordering::Relaxed);
        blocking(|| {
            product.kill();
            product.launch();
        });
    }

    /// Kills a REST service and starts another one.
    pub async fn replace_service(&self, number: usize) {
        self.services[number].lock().unwrap().kill();
        let fresh = service(&self.world, &self.kubeconfigs[1]).await;
        *self.services[number].lock().unwrap() = fresh;
    }

    /// Has no API server while something else takes its time.
    pub async fn without_api_server(&self, time: impl Future<Output = ()>) {
        let cluster = Cluster::shared();
        if cluster.stop() {
            time.await;
            cluster.start_again().await;
        }
    }

    /// MinIO comes back with nothing, or with an older state.
    pub async fn lose_everything(&self, state: Option<&Path>) {
        blocking(|| {
            self.minio().stop();
            match state {
                Some(state) => self.minio().restore(state),
                None => self.minio().wipe(),
            }
            self.minio().start_again();
        });
    }

    fn keep_backup(&self) {
        blocking(|| {
            self.minio().stop();
            self.minio().back_up(&self.backup);
            self.minio().start_again();
        });
    }

    /// What MinIO was at the start.
    pub fn backup(&self) -> &Path {
        &self.backup
    }

    /// Whether people go on changing things.
    pub fn is_acting(&self) -> bool {
        self.acting.load(Ordering::Relaxed)
    }

    /// They go on.
    pub fn go_on_acting(&self) {
        self.acting.store(true, Ordering::Relaxed);
    }

    /// They come to an end.
    pub fn stop_acting(&self) {
        self.acting.store(false, Ordering::Relaxed);
    }

    /// How often a controller was killed.
    pub fn kills(&self) -> usize {
        self.kills.load(Ordering::Relaxed)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.backup);
        for path in &self.kubeconfigs {
            let _ = fs::remove_file(path);
        }
    }
}

async fn service(world: &World, kubeconfig: &Path) -> Arc<Service> {
    let setup = ServiceSetup { kubeconfig: Some(kubeconfig.to_owned()), ..ServiceSetup::default() };
    let setup = setup.with(&["--rest-writes-per-second", "0"]).person(BOSS, true);
    let setup = OWNERS.iter().fold(setup, |setup, name| setup.person(name, false));
    Service::start(world, setup).await
}
