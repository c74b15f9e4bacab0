//! The flags of the REST service.

use std::net::SocketAddr;

use clap::Args;

use super::{
    AuthArgs, AuthConfig, ConfigError, ControllerArgs, ControllerConfig, Environment, InstanceArgs, InstanceConfig,
    LogArgs, LogConfig,
};

/// What the REST service does.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "REST")]
pub struct ServiceArgs {
    /// Address of the REST API
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8000")]
    pub listen: SocketAddr,
    /// Whether the first GET /credentials/ of somebody makes the user
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value_t = true, action = clap::ArgAction::Set)]
    pub auto_create: bool,
    /// Whether deleting a user or a group through the API deletes the data in its folders
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value_t = false, action = clap::ArgAction::Set)]
    pub rest_deletes_data: bool,
    /// Changes per second that one user may make, ten times as many at once; 0 is no limit
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub rest_writes_per_second: u32,
}

/// Address of metrics and health of the REST service.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Metrics")]
pub struct RestMetricsArgs {
    /// Address of /metrics, /live and /ready
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8081")]
    pub metrics_listen: SocketAddr,
}

/// The command line of `rest`.
#[derive(Args, Clone, Debug)]
pub struct RestArgs {
    #[command(flatten)]
    pub(super) service: ServiceArgs,
    #[command(flatten)]
    pub(super) auth: AuthArgs,
    #[command(flatten)]
    pub(super) instance: InstanceArgs,
    #[command(flatten)]
    pub(super) log: LogArgs,
    #[command(flatten)]
    pub(super) metrics: RestMetricsArgs,
}

/// The command line of `all`.
#[derive(Args, Clone, Debug)]
pub struct AllArgs {
    #[command(flatten)]
    pub(super) service: ServiceArgs,
    #[command(flatten)]
    pub(super) auth: AuthArgs,
    /// The controller's part.
    #[command(flatten)]
    pub controller: ControllerArgs,
}

/// Everything a REST service is told.
#[derive(Debug)]
pub struct RestConfig {
    /// The service.
    pub service: ServiceConfig,
    /// The log.
    pub log: LogConfig,
    /// Address of /metrics, /live and /ready.
    pub metrics_listen: SocketAddr,
}

/// What the service itself is told.
#[derive(Debug)]
pub struct ServiceConfig {
    /// Address of the API.
    pub listen: SocketAddr,
    /// Whether the first login makes a user.
    pub auto_create: bool,
    /// Whether deleting a user or group deletes its data.
    pub delete_data: bool,
    /// Changes per second that one user may make; 0 is no limit.
    pub writes_per_second: u32,
    /// Who may ask.
    pub auth: AuthConfig,
    /// The objects.
    pub instance: InstanceConfig,
}

impl RestConfig {
    /// Checks everything that flags, environment and files say.
    ///
    /// # Errors
    /// The first wrong or missing value.
    pub fn resolve(args: RestArgs, environment: &Environment) -> Result<Self, ConfigError> {
        let RestArgs { service, auth, instance, log, metrics } = args;
        Ok(Self {
            log: LogConfig::resolve(&log, environment)?,
            metrics_listen: metrics.metrics_listen,
            service: ServiceConfig::resolve(
                &service,
                auth,
                InstanceConfig::resolve(instance, environment)?,
                environment,
            )?,
        })
    }
}

impl ServiceConfig {
    fn resolve(
        args: &ServiceArgs,
        auth: AuthArgs,
        instance: InstanceConfig,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            auth: AuthConfig::resolve(auth, environment)?,
            instance,
            listen: args.listen,
            auto_create: args.auto_create,
            delete_data: args.rest_deletes_data,
            writes_per_second: args.rest_writes_per_second,
        })
    }

    /// The service beside a controller, and the controller.
    ///
    /// # Errors
    /// The first wrong or missing value.
    pub fn beside(args: AllArgs, environment: &Environment) -> Result<(Self, ControllerConfig), ConfigError> {
        let controller = ControllerConfig::resolve(args.controller, environment)?;
        let service = Self::resolve(&args.service, args.auth, controller.instance.clone(), environment)?;
        Ok((service, controller))
    }
}
