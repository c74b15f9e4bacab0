//! Everything that a status is made of, asked for once.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use crate::api::{MINIO_INSTANCE_NAME, MinioInstance};
use crate::commands::output::Progress;
use crate::commands::plan::compute::Server;
use crate::commands::plan::objects::{self, Objects};
use crate::commands::{Failure, plan};
use crate::config::{InstanceConfig, LeaseConfig};
use crate::kubernetes::call;
use crate::lease::{Holder, InKubernetes, InRedis, is_kept, since_boot};
use crate::minio;
use crate::telemetry::chain;

/// What the chart and the manifests call the pods of the controller.
const CONTROLLERS: &str = "app.kubernetes.io/component=controller";

/// What was found.
#[derive(Debug)]
pub struct Gathered {
    /// What the controller says of the server.
    pub instance: Option<MinioInstance>,
    /// All objects.
    pub objects: Objects,
    /// Who leads.
    pub leader: Leader,
    /// What MinIO says when it is asked from here.
    pub server: Result<Asked, NotAsked>,
    /// The uid of the home namespace, or what is given instead.
    pub instance_id: String,
    /// When.
    pub now: Timestamp,
}

/// Who acts, as far as that can be told from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leader {
    /// Whose name is in the Lease, and how many replicas of its Deployment are ready, of how many.
    Kubernetes { holder: Holder, replicas: Option<(i32, i32)> },
    /// Whether somebody keeps the key in Redis.
    Redis { kept: bool },
    /// It cannot be told, and why.
    Unknown(String),
}

/// What MinIO itself says.
#[derive(Debug)]
pub struct Asked {
    /// Where it was asked.
    pub endpoint: String,
    /// Who has asked.
    pub identity: String,
    /// All that it holds.
    pub holds: Server,
}

/// Why it is not known what MinIO says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAsked {
    /// It was not asked: nobody has said where it is and who asks, or it was not wanted.
    Untold(String),
    /// It was asked and does not answer, or not to these credentials.
    Unanswered(String),
}

impl fmt::Display for NotAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untold(why) => write!(f, "it was not asked: {why}"),
            Self::Unanswered(why) => write!(f, "it does not answer here: {why}"),
        }
    }
}

/// Asks the cluster, the store of the lease, and MinIO.
pub async fn gather(
    client: &Client,
    instance: &InstanceConfig,
    lease: &LeaseConfig,
    server: Result<minio::Client, String>,
) -> Result<Gathered, Failure> {
    let progress = Progress::on_terminal();
    let home = &instance.home_namespace;
    progress.say("reading the cluster's objects");
    let api = Api::<MinioInstance>::namespaced(client.clone(), home);
    let kept = call("read", "the MinioInstance", api.get_opt(MINIO_INSTANCE_NAME)).await?;
    let objects = objects::of_cluster(client, &instance.watch_namespaces).await?;
    let instance_id = match &instance.instance_id {
        Some(id) => id.clone(),
        None => plan::namespace_uid(client, home).await?.unwrap_or_default(),
    };
    progress.say("looking who leads");
    let leader = leader(client, home, lease, &instance_id).await;
    let server = match server {
        Ok(server) => ask(&server, &progress).await,
        Err(why) => Err(NotAsked::Untold(why)),
    };
    Ok(Gathered { instance: kept, objects, leader, server, instance_id, now: Timestamp::now() })
}

async fn leader(client: &Client, home: &str, lease: &LeaseConfig, instance_id: &str) -> Leader {
    match lease {
        LeaseConfig::InProcess => Leader::Unknown("with --lease none only its process knows".to_owned()),
        LeaseConfig::Redis(redis) => {
            let store = InRedis::new(redis, instance_id);
            let kept = match store {
                Ok(store) => is_kept(store).await,
                Err(error) => Err(error),
            };
            kept.map_or_else(|error| Leader::Unknown(chain(&error)), |kept| Leader::Redis { kept })
        }
        LeaseConfig::Kubernetes => {
            let clock = std::sync::Arc::new(since_boot);
            match InKubernetes::new(client.clone(), home, "", clock).holder().await {
                Ok(Some(holder)) => {
                    let replicas = replicas(client, &holder.identity).await;
                    Leader::Kubernetes { holder, replicas }
                }
                Ok(None) => Leader::Unknown(format!(
                    "there is no Lease in namespace {home}; where it is in Redis, set REDIS_URL, and with --lease none only its \
                     process knows"
                )),
                Err(error) => Leader::Unknown(chain(&error)),
            }
        }
    }
}

/// The ready and the wanted replicas of the Deployment whose pod leads; nothing where none is, or nobody may look.
async fn replicas(client: &Client, holder: &str) -> Option<(i32, i32)> {
    let api = Api::<Deployment>::all(client.clone());
    let params = ListParams::default().labels(CONTROLLERS);
    let all = call("list", "the Deployments of controllers", api.list(&params)).await.ok()?;
    let its = all.into_iter().find(|deployment| holder.starts_with(&format!("{}-", deployment.name_any())))?;
    let status = its.status.unwrap_or_default();
    Some((status.ready_replicas.unwrap_or(0), its.spec.and_then(|spec| spec.replicas).unwrap_or(1)))
}

async fn ask(server: &minio::Client, progress: &Progress) -> Result<Asked, NotAsked> {
    progress.say(&format!("asking {}", server.endpoint()));
    let holds = plan::read_server(server, progress).await;
    Ok(Asked {
        endpoint: server.endpoint().to_string(),
        identity: server.access_key(),
        holds: holds.map_err(|error| NotAsked::Unanswered(chain(&error)))?,
    })
}
