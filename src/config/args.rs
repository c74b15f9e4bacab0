//! The flags of the configuration. A help heading marks a flag as configuration: it then has an environment twin.
//!
//! A command lists its own flags before it flattens these groups, because clap lets a group's heading run on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::value::{
    self, AdoptedExtras, ForeignKeys, LayoutName, LeaseKind, LogFormat, LogLevel, Mode, Namespaces, RedisUrl,
    SecretFiles,
};
use crate::iam::breaker::LargeChangeLimit;
use crate::iam::layout::BerdlParameters;
use crate::minio::Endpoint;

/// How to reach MinIO. Credentials come from variables only, because a command line is visible to everybody on the
/// machine: MINIO_ACCESS_KEY and MINIO_SECRET_KEY, or MINIO_ROOT_USER and MINIO_ROOT_PASSWORD; each also as `*_FILE`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "MinIO (credentials: MINIO_ACCESS_KEY and MINIO_SECRET_KEY, or *_FILE)")]
pub struct MinioArgs {
    /// URL of MinIO with scheme, for example https://minio.minio.svc:9000
    #[arg(long, value_name = "URL", value_parser = value::endpoint)]
    pub minio_endpoint: Option<Endpoint>,
    /// URL that is written into Secrets [default: the endpoint]
    #[arg(long, value_name = "URL", value_parser = value::endpoint)]
    pub minio_public_endpoint: Option<Endpoint>,
    /// Region that requests are signed for
    #[arg(long, value_name = "NAME", default_value = "us-east-1", value_parser = value::region)]
    pub minio_region: String,
    /// PEM bundle of the authorities that may have signed MinIO's certificate
    #[arg(long, value_name = "FILE")]
    pub minio_ca_file: Option<PathBuf>,
}

/// Which objects, and what they mean.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Instance")]
pub struct InstanceArgs {
    /// YAML file with layout, namespaces, grantsPerOwner, allowedAdminPolicies
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Namespace of the installation [default: POD_NAMESPACE, the service account's, the kubeconfig context's, default]
    #[arg(long, value_name = "NAME", value_parser = value::namespace)]
    pub home_namespace: Option<String>,
    /// Namespaces whose objects count, separated by commas [default: the home namespace]
    #[arg(long, value_name = "NAMES", value_parser = Namespaces::parse)]
    pub watch_namespaces: Option<Namespaces>,
    /// Identity of this installation on the server [default: the uid of the home namespace]
    #[arg(long, value_name = "ID", value_parser = value::instance_id)]
    pub instance_id: Option<String>,
    /// Where homes and team folders are: simple, berdl, or a YAML file [default: the configuration file's, or simple]
    #[arg(long, value_name = "NAME|FILE", value_parser = LayoutName::parse)]
    pub layout: Option<LayoutName>,
    /// What becomes of undeclared attachments and memberships of adopted users and groups
    #[arg(long, value_name = "WHAT", default_value = "Keep", ignore_case = true)]
    pub adopted_extras: AdoptedExtras,
    /// Bucket of the layout berdl [default: cdm-lake]
    #[arg(long, value_name = "NAME", value_parser = value::path_segment, hide_short_help = true)]
    pub cdm_default_bucket: Option<String>,
    /// Folder of the users' SQL warehouses in the layout berdl [default: users-sql-warehouse]
    #[arg(long, value_name = "NAME", value_parser = value::path_segment, hide_short_help = true)]
    pub cdm_default_users_sql_warehouse_prefix: Option<String>,
    /// Folder of the users' general warehouses in the layout berdl [default: users-general-warehouse]
    #[arg(long, value_name = "NAME", value_parser = value::path_segment, hide_short_help = true)]
    pub cdm_default_users_general_warehouse_prefix: Option<String>,
    /// Folder of the groups' general warehouses in the layout berdl [default: tenant-general-warehouse]
    #[arg(long, value_name = "NAME", value_parser = value::path_segment, hide_short_help = true)]
    pub cdm_default_tenant_general_warehouse_prefix: Option<String>,
    /// Folder of the groups' SQL warehouses in the layout berdl [default: tenant-sql-warehouse]
    #[arg(long, value_name = "NAME", value_parser = value::path_segment, hide_short_help = true)]
    pub cdm_default_tenant_sql_warehouse_prefix: Option<String>,
}

impl InstanceArgs {
    /// The names in the layout `berdl`; absent variables keep the preset's.
    pub(super) fn berdl(&self) -> BerdlParameters {
        let preset = BerdlParameters::default();
        let named = |given: &Option<String>, preset: String| given.clone().unwrap_or(preset);
        BerdlParameters {
            bucket: named(&self.cdm_default_bucket, preset.bucket),
            users_sql_warehouse_prefix: named(
                &self.cdm_default_users_sql_warehouse_prefix,
                preset.users_sql_warehouse_prefix,
            ),
            users_general_warehouse_prefix: named(
                &self.cdm_default_users_general_warehouse_prefix,
                preset.users_general_warehouse_prefix,
            ),
            tenant_general_warehouse_prefix: named(
                &self.cdm_default_tenant_general_warehouse_prefix,
                preset.tenant_general_warehouse_prefix,
            ),
            tenant_sql_warehouse_prefix: named(
                &self.cdm_default_tenant_sql_warehouse_prefix,
                preset.tenant_sql_warehouse_prefix,
            ),
        }
    }
}

/// Who acts.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Lease")]
pub struct LeaseArgs {
    /// Where the leader's lease lives; auto is redis if REDIS_URL is set, else kubernetes
    #[arg(long, value_name = "KIND", default_value = "auto")]
    pub lease: LeaseKind,
    /// URL of Redis, redis:// or rediss://
    #[arg(long, value_name = "URL", value_parser = RedisUrl::parse, hide_env_values = true)]
    pub redis_url: Option<RedisUrl>,
    /// PEM certificates to trust for rediss:// instead of the system's
    #[arg(long, value_name = "FILE")]
    pub redis_ca_file: Option<PathBuf>,
    /// Take a MinIO over that another installation claims; remove it once that has happened
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value_t = false, action = clap::ArgAction::Set)]
    pub take_over: bool,
}

/// How the controller converges.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Converging")]
pub struct ConvergeArgs {
    /// Whether to act, or to report only what would change
    #[arg(long, value_name = "MODE", default_value = "converge")]
    pub mode: Mode,
    /// How many removals within 10 minutes are ordinary: a number and a share of what is in force; 0 is no limit
    #[arg(long, value_name = "LIMIT", default_value = "20,10%", value_parser = value::large_change_limit)]
    pub large_change_limit: LargeChangeLimit,
    /// What becomes of access keys of managed users that were not issued here; adopted users keep theirs for one overlap
    #[arg(long, value_name = "WHAT", default_value = "Report", ignore_case = true)]
    pub foreign_keys: ForeignKeys,
    /// How often attachments and accounts are compared with all objects, and up to 1,000 keys are proven
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = value::audit_interval)]
    pub audit_interval: Duration,
    /// Within which time every document, group and key has been compared [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = value::audit_interval)]
    pub full_audit_interval: Option<Duration>,
    /// IAM writes per second without haste, and three times as many finalizers and statuses; 0 is unpaced
    #[arg(long, value_name = "NUMBER", default_value_t = 60, value_parser = writes_per_second)]
    pub minio_writes_per_second: u32,
}

/// How access keys are issued.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Credentials")]
pub struct IssuingArgs {
    /// How often keys are replaced where the object does not say: 1h to 4320h [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = value::rotation_interval)]
    pub rotation_interval: Option<Duration>,
    /// How long the previous key goes on working where the object does not say; at most the rotation interval [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = value::overlap)]
    pub overlap: Option<Duration>,
    /// How long before its end a grant counts as expiring
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = value::duration)]
    pub expiry_warning: Duration,
    /// Files in each Secret: none, or a list of config, credential.json, spark-defaults.conf, mc-config.json, duckdb.sql
    #[arg(long, value_name = "NAMES", default_value = "config,credential.json", value_parser = SecretFiles::parse)]
    pub secret_files: SecretFiles,
    /// Where workloads mount the Secret
    #[arg(long, value_name = "PATH", default_value = "/var/run/secrets/minio", value_parser = value::mount_path)]
    pub secret_mount_path: String,
}

/// Logs of any command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telemetry")]
pub struct LogArgs {
    /// How log lines look (audit lines are always JSON)
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// error, warn, info, debug, trace, or directives as in RUST_LOG [default: RUST_LOG, or info]
    #[arg(long, value_name = "LEVEL", value_parser = LogLevel::parse)]
    pub log_level: Option<LogLevel>,
}

/// Where a long-running command serves metrics and health.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telemetry")]
pub struct MetricsArgs {
    /// Address of /metrics, /live and /ready
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080", value_parser = listen_address)]
    pub metrics_listen: SocketAddr,
}

/// Everything a controller can be told.
#[derive(Args, Clone, Debug)]
#[expect(missing_docs, reason = "each group says what it holds")]
pub struct ControllerArgs {
    #[command(flatten)]
    pub minio: MinioArgs,
    #[command(flatten)]
    pub instance: InstanceArgs,
    #[command(flatten)]
    pub lease: LeaseArgs,
    #[command(flatten)]
    pub converge: ConvergeArgs,
    #[command(flatten)]
    pub issuing: IssuingArgs,
    #[command(flatten)]
    pub log: LogArgs,
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an address and a port, for example 0.0.0.0:8080".to_owned())
}

fn writes_per_second(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number) if number <= 100_000 => Ok(number),
        _ => Err("expected a whole number from 0 (unpaced) to 100000".to_owned()),
    }
}
