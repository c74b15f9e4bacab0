//! Flags, environment and the configuration file, checked once at the start and handed on as plain values.

mod args;
mod auth;
mod credentials;
mod environment;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod rest;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kube::config::Kubeconfig;

use crate::controller::credentials::SecretFile;
use crate::iam::breaker::LargeChangeLimit;
use crate::iam::desired::Extras;
use crate::iam::index::{IndexConfig, NamespaceRules};
use crate::iam::layout::{Layout, LayoutSpec};
use crate::iam::names::PolicyName;

use crate::minio::{self, Endpoint, Observer};

pub use args::{ControllerArgs, ConvergeArgs, InstanceArgs, IssuingArgs, LeaseArgs, LogArgs, MetricsArgs, MinioArgs};
pub use auth::{
    AuthArgs, AuthConfig, BackendConfig, BackendName, BackendNames, Issuer, JupyterhubConfig, KbaseConfig,
    KubernetesConfig, OidcConfig, Roles, StaticToken,
};
pub use credentials::CredentialsSource;
pub use environment::{Environment, ParseError, parse, plugin_of_kubectl};
use file::ConfigFile;
pub use rest::{AllArgs, RestArgs, RestConfig, ServiceConfig};
pub use value::{
    AdoptedExtras, ForeignKeys, LayoutName, LeaseKind, LogFormat, LogLevel, Mode, Namespaces, OutputFormat, RedisUrl,
    SecretFiles, duration, namespace, show_duration,
};

/// Where Kubernetes tells a pod its namespace.
const SERVICE_ACCOUNT_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// A wrong or missing value. The text is one line that names the flag, variable or file, and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value that is not what was expected.
    #[error("{name}: {problem}")]
    Invalid {
        /// The flag or variable.
        name: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A value that must be there.
    #[error("{name} is not set: {expected}")]
    Missing {
        /// The variable.
        name: String,
        /// What would be right.
        expected: String,
    },
    /// A file that cannot be read.
    #[error("{name}: cannot read {}", path.display())]
    Unreadable {
        /// The flag or variable that names the file.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl ConfigError {
    fn invalid(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { name: name.into(), problem: problem.into() }
    }
}

/// How to reach MinIO as what identity.
#[derive(Debug)]
pub struct MinioConfig {
    /// Where the API is.
    pub endpoint: Endpoint,
    /// What goes into Secrets.
    pub public_endpoint: Endpoint,
    /// What requests are signed for.
    pub region: String,
    /// Who asks.
    pub credentials: CredentialsSource,
    /// PEM certificates to trust instead of the system's.
    pub ca_bundle: Option<Vec<u8>>,
}

impl MinioConfig {
    /// Checks what flags and environment say about MinIO.
    ///
    /// # Errors
    /// The first wrong or missing value.
    pub fn resolve(args: MinioArgs, environment: &Environment) -> Result<Self, ConfigError> {
        let endpoint = args.minio_endpoint.ok_or_else(|| ConfigError::Missing {
            name: "MINIO_ENDPOINT".to_owned(),
            expected: "expected the URL of MinIO, for example https://minio.minio.svc:9000".to_owned(),
        })?;
        Ok(Self {
            public_endpoint: args.minio_public_endpoint.unwrap_or_else(|| endpoint.clone()),
            endpoint,
            region: args.minio_region,
            credentials: CredentialsSource::from_environment(environment)?,
            ca_bundle: args.minio_ca_file.as_deref().map(|path| read_ca_bundle("MINIO_CA_FILE", path)).transpose()?,
        })
    }
}

impl MinioConfig {
    /// What a client needs to know; reads the credentials.
    ///
    /// # Errors
    /// Credentials in a file that cannot be read.
    pub fn client(&self, observer: Option<Arc<dyn Observer>>) -> Result<minio::Config, ConfigError> {
        let mut config = minio::Config::new(self.endpoint.clone(), self.credentials.load()?);
        config.region.clone_from(&self.region);
        config.ca_bundle.clone_from(&self.ca_bundle);
        config.observer = observer;
        Ok(config)
    }
}

fn read_ca_bundle(name: &str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let pem = std::fs::read(path).map_err(|source| ConfigError::Unreadable {
        name: name.to_owned(),
        path: path.to_owned(),
        source,
    })?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(pem),
        _ => Err(ConfigError::invalid(name, format!("expected PEM certificates in {}, found none", path.display()))),
    }
}

/// Which objects count and what they may say.
#[derive(Clone, Debug)]
pub struct InstanceConfig {
    /// The namespace of the installation.
    pub home_namespace: String,
    /// The namespaces whose objects count.
    pub watch_namespaces: BTreeSet<String>,
    /// INSTANCE_ID; without it the uid of the home namespace.
    pub instance_id: Option<String>,
    /// Where homes and team folders are.
    pub layout: Layout,
    /// What each watched namespace may declare; one that is not listed (and not home) may declare nothing.
    pub namespaces: BTreeMap<String, NamespaceRules>,
    /// How many grants one owner may have in force.
    pub grants_per_owner: Option<usize>,
    /// Policies that carry administrative actions and may be attached all the same.
    pub allowed_admin_policies: BTreeSet<PolicyName>,
    /// Undeclared attachments and memberships of adopted subjects.
    pub adopted_extras: AdoptedExtras,
}

impl InstanceConfig {
    /// Checks flags, finds the home namespace and reads the configuration file.
    ///
    /// # Errors
    /// The first wrong value, or a file that cannot be read.
    pub fn resolve(args: InstanceArgs, environment: &Environment) -> Result<Self, ConfigError> {
        let file = args.config.as_deref().map(ConfigFile::read).transpose()?.unwrap_or_default();
        let layout = choose_layout(&args, file.layout)?;
        let home_namespace = match args.home_namespace {
            Some(name) => name,
            None => find_home_namespace(environment, Path::new(SERVICE_ACCOUNT_NAMESPACE), kubeconfig_namespace)?,
        };
        Ok(Self {
            watch_namespaces: match args.watch_namespaces {
                Some(names) => names.0,
                None => BTreeSet::from([home_namespace.clone()]),
            },
            home_namespace,
            instance_id: args.instance_id,
            layout,
            namespaces: file.namespaces,
            grants_per_owner: file.grants_per_owner,
            allowed_admin_policies: file.allowed_admin_policies,
            adopted_extras: args.adopted_extras,
        })
    }

    /// What the index needs to know. `identity` is the user that the controller is on the server: nobody may declare it.
    pub fn index(&self, identity: String, expiry_warning: Duration) -> IndexConfig {
        let defaults = IndexConfig::new(self.layout.clone(), self.home_namespace.clone());
        IndexConfig {
            namespaces: self.namespaces.clone(),
            grants_per_owner: self.grants_per_owner.unwrap_or(defaults.grants_per_owner),
            allowed_admin_policies: self.allowed_admin_policies.clone(),
            expiry_warning: SignedDuration::try_from(expiry_warning).unwrap_or(SignedDuration::MAX),
            reserved_users: BTreeSet::from([identity]),
            adopted_extras: match self.adopted_extras {
                AdoptedExtras::Keep => Extras::Keep,
                AdoptedExtras::Prune => Extras::Remove,
            },
            ..defaults
        }
    }
}

/// The home namespace where no flag gives it.
fn find_home_namespace(
    environment: &Environment,
    service_account_file: &Path,
    kubeconfig_namespace: impl FnOnce() -> Option<String>,
) -> Result<String, ConfigError> {
    if let Some(name) = environment.get("POD_NAMESPACE")? {
        return value::namespace(name).map_err(|expected| ConfigError::invalid("POD_NAMESPACE", expected));
    }
    let mounted = std::fs::read_to_string(service_account_file).ok();
    let mounted = mounted.and_then(|name| value::namespace(name.trim()).ok());
    Ok(mounted.or_else(kubeconfig_namespace).unwrap_or_else(|| "default".to_owned()))
}

/// The namespace of the current context; an unreadable kubeconfig is reported when the client is made, not here.
fn kubeconfig_namespace() -> Option<String> {
    let kubeconfig = Kubeconfig::read().ok()?;
    let current = kubeconfig.current_context?;
    let context = kubeconfig.contexts.into_iter().find(|context| context.name == current)?.context?;
    context.namespace.and_then(|name| value::namespace(&name).ok())
}

/// The layout of the command line wins over that of the configuration file.
fn choose_layout(args: &InstanceArgs, in_file: Option<LayoutSpec>) -> Result<Layout, ConfigError> {
    let (name, spec) = match &args.layout {
        Some(LayoutName::Simple) => ("--layout (LAYOUT)", LayoutSpec::Simple),
        Some(LayoutName::Berdl) => ("--layout (LAYOUT)", LayoutSpec::Berdl),
        Some(LayoutName::File(path)) => ("--layout (LAYOUT)", file::read_yaml("--layout (LAYOUT)", path)?),
        None => ("--config (CONFIG)", in_file.unwrap_or_default()),
    };
    // A wrong part of the preset can only come from its variables.
    let name = if spec == LayoutSpec::Berdl { "CDM_DEFAULT_*" } else { name };
    Layout::new(&spec, &args.berdl()).map_err(|error| ConfigError::invalid(name, error.to_string()))
}

/// Where the leader's lease lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseConfig {
    /// In this process: one replica.
    InProcess,
    /// A Kubernetes Lease in the home namespace.
    Kubernetes,
    /// Redis.
    Redis(RedisConfig),
}

/// How to reach Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisConfig {
    /// Where it is, and as whom.
    pub url: RedisUrl,
    /// PEM certificates to trust instead of the system's.
    pub ca_bundle: Option<Vec<u8>>,
}

impl LeaseConfig {
    /// Checks what flags and environment say about the lease.
    ///
    /// # Errors
    /// The first wrong or missing value.
    pub fn resolve(args: &LeaseArgs) -> Result<Self, ConfigError> {
        match (args.lease, &args.redis_url) {
            (LeaseKind::None, _) => Ok(Self::InProcess),
            (LeaseKind::Kubernetes, _) | (LeaseKind::Auto, None) => Ok(Self::Kubernetes),
            (LeaseKind::Redis | LeaseKind::Auto, Some(url)) => {
                let ca_bundle = args.redis_ca_file.as_deref().map(|path| read_ca_bundle("REDIS_CA_FILE", path));
                Ok(Self::Redis(RedisConfig { url: url.clone(), ca_bundle: ca_bundle.transpose()? }))
            }
            (LeaseKind::Redis, None) => Err(ConfigError::Missing {
                name: "REDIS_URL".to_owned(),
                expected: "the lease is redis and needs redis://HOST:PORT/DB".to_owned(),
            }),
        }
    }
}

/// How the controller converges.
#[derive(Clone, Debug)]
pub struct ConvergeConfig {
    /// Act or observe.
    pub mode: Mode,
    /// Act on a server that another installation claims.
    pub take_over: bool,
    /// How many removals are ordinary.
    pub large_change_limit: LargeChangeLimit,
    /// Keys that were not issued here.
    pub foreign_keys: ForeignKeys,
    /// How often accounts and attachments are compared.
    pub audit_interval: Duration,
    /// Within which time everything is compared.
    pub full_audit_interval: Duration,
    /// IAM writes per second; `None` is unpaced.
    pub writes_per_second: Option<u32>,
}

/// How access keys are issued.
#[derive(Clone, Debug)]
pub struct IssuingConfig {
    /// How often keys are replaced where the object does not say.
    pub rotation_interval: Duration,
    /// How long the previous key works where the object does not say.
    pub overlap: Duration,
    /// How long before its end a grant counts as expiring.
    pub expiry_warning: Duration,
    /// The files in each Secret.
    pub secret_files: BTreeSet<SecretFile>,
    /// Where workloads mount the Secret, without a trailing slash.
    pub secret_mount_path: String,
}

/// How log lines look and which are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Text or JSON.
    pub format: LogFormat,
    /// Directives of an `EnvFilter`.
    pub directives: String,
}

impl LogConfig {
    /// The flag, else RUST_LOG, else `info`.
    ///
    /// # Errors
    /// A wrong RUST_LOG.
    pub fn resolve(args: &LogArgs, environment: &Environment) -> Result<Self, ConfigError> {
        let directives = match (&args.log_level, environment.get("RUST_LOG")?) {
            (Some(level), _) => level.0.clone(),
            (None, Some(directives)) if directives.parse::<tracing_subscriber::EnvFilter>().is_ok() => {
                directives.to_owned()
            }
            (None, Some(_)) => {
                return Err(ConfigError::invalid("RUST_LOG", "expected directives such as info,kube=warn"));
            }
            (None, None) => "info".to_owned(),
        };
        Ok(Self { format: args.log_format, directives })
    }
}

/// Everything a controller is told.
#[derive(Debug)]
pub struct ControllerConfig {
    /// The server.
    pub minio: MinioConfig,
    /// The objects.
    pub instance: InstanceConfig,
    /// Who acts.
    pub lease: LeaseConfig,
    /// How it converges.
    pub converge: ConvergeConfig,
    /// How keys are issued.
    pub issuing: IssuingConfig,
    /// The log.
    pub log: LogConfig,
    /// Address of /metrics, /live and /ready.
    pub metrics_listen: SocketAddr,
}

impl ControllerConfig {
    /// Checks everything that flags, environment and files say.
    ///
    /// # Errors
    /// The first wrong or missing value.
    pub fn resolve(args: ControllerArgs, environment: &Environment) -> Result<Self, ConfigError> {
        let ControllerArgs { minio, instance, lease, converge, issuing, log, metrics } = args;
        let (rotation_interval, overlap) = rotation(issuing.rotation_interval, issuing.overlap)?;
        let full_audit_interval = full_audit(converge.full_audit_interval, converge.audit_interval)?;
        Ok(Self {
            log: LogConfig::resolve(&log, environment)?,
            minio: MinioConfig::resolve(minio, environment)?,
            instance: InstanceConfig::resolve(instance, environment)?,
            converge: ConvergeConfig {
                mode: converge.mode,
                take_over: lease.take_over,
                large_change_limit: converge.large_change_limit,
                foreign_keys: converge.foreign_keys,
                audit_interval: converge.audit_interval,
                full_audit_interval,
                writes_per_second: (converge.minio_writes_per_second > 0).then_some(converge.minio_writes_per_second),
            },
            lease: LeaseConfig::resolve(&lease)?,
            issuing: IssuingConfig {
                rotation_interval,
                overlap,
                expiry_warning: issuing.expiry_warning,
                secret_files: issuing.secret_files.0,
                secret_mount_path: issuing.secret_mount_path,
            },
            metrics_listen: metrics.metrics_listen,
        })
    }
}

impl ControllerConfig {
    /// What the index needs to know; reads the credentials for the name of our own user.
    ///
    /// # Errors
    /// Credentials in a file that cannot be read.
    pub fn index(&self) -> Result<IndexConfig, ConfigError> {
        let identity = self.minio.credentials.load()?.access_key;
        let index = self.instance.index(identity, self.issuing.expiry_warning);
        Ok(IndexConfig { origin_required: self.converge.mode != Mode::Observe, ..index })
    }
}

/// What keys are issued with where nothing is configured.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The rule of the objects holds here too: an absent overlap is the smaller of a day and the interval, an absent interval
/// the larger of a day and the overlap.
fn rotation(interval: Option<Duration>, overlap: Option<Duration>) -> Result<(Duration, Duration), ConfigError> {
    let (interval, overlap) = match (interval, overlap) {
        (Some(interval), Some(overlap)) => (interval, overlap),
        (Some(interval), None) => (interval, interval.min(DAY)),
        (None, overlap) => (overlap.unwrap_or(DAY).max(DAY), overlap.unwrap_or(DAY)),
    };
    if overlap > interval {
        let most = show_duration(interval);
        return Err(ConfigError::invalid(
            "--overlap (OVERLAP)",
            format!("expected at most the rotation interval, {most}"),
        ));
    }
    Ok((interval, overlap))
}

/// A full comparison takes at least one interval of the ordinary ones.
fn full_audit(full: Option<Duration>, ordinary: Duration) -> Result<Duration, ConfigError> {
    let full = full.unwrap_or(Duration::from_secs(600).max(ordinary));
    if full < ordinary {
        let least = show_duration(ordinary);
        let expected = format!("expected at least the audit interval, {least}");
        return Err(ConfigError::invalid("--full-audit-interval (FULL_AUDIT_INTERVAL)", expected));
    }
    Ok(full)
}
