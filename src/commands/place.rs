//! Which cluster, which namespace and which MinIO a command looks at: told as kubectl is told, and as the controller is.

use clap::Args;
use kube::Client;
use kube::config::Kubeconfig;

use super::Failure;
use crate::config::{ConfigError, Environment, InstanceArgs, InstanceConfig, MinioArgs, MinioConfig, namespace};
use crate::kubernetes;
use crate::minio;
use crate::telemetry::chain;

/// Where to look, as with kubectl.
#[derive(Args, Clone, Debug, Default)]
pub struct PlaceArgs {
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace to look in [default: that of the installation]
    #[arg(long, short = 'n', value_name = "NAME", value_parser = namespace)]
    pub namespace: Option<String>,
}

impl PlaceArgs {
    /// The installation; another context than the current one has a namespace of its own.
    ///
    /// # Errors
    /// The first wrong value, or a context that does not exist.
    pub fn instance(&self, mut args: InstanceArgs, environment: &Environment) -> Result<InstanceConfig, Failure> {
        if let (None, Some(context)) = (&args.home_namespace, &self.context) {
            args.home_namespace = Some(namespace_of(context)?);
        }
        Ok(InstanceConfig::resolve(args, environment)?)
    }

    /// The installation, whose own namespace is the one to look in.
    ///
    /// # Errors
    /// As [`PlaceArgs::instance`].
    pub fn installation(&self, args: InstanceArgs, environment: &Environment) -> Result<InstanceConfig, Failure> {
        let home_namespace = self.namespace.clone().or(args.home_namespace);
        self.instance(InstanceArgs { home_namespace, ..args }, environment)
    }

    /// A client for the cluster.
    ///
    /// # Errors
    /// There is no cluster to be found, with what to look at.
    pub async fn connect(&self) -> Result<Client, Failure> {
        let connected = kubernetes::connect_in(self.context.as_deref()).await;
        connected.map_err(|error| {
            format!("cannot use the Kubernetes API ({}); check KUBECONFIG and --context", chain(&error)).into()
        })
    }
}

fn namespace_of(context: &str) -> Result<String, Failure> {
    let kubeconfig = Kubeconfig::read()?;
    let found = kubeconfig.contexts.into_iter().find(|held| held.name == context).and_then(|held| held.context);
    let Some(found) = found else {
        return Err(
            format!("the kubeconfig has no context {context}; kubectl config get-contexts lists those it has").into()
        );
    };
    Ok(found.namespace.unwrap_or_else(|| "default".to_owned()))
}

/// A client for MinIO where flags or variables say enough for one; else what they lack.
///
/// # Errors
/// A value that is there and wrong.
pub fn minio(args: MinioArgs, environment: &Environment) -> Result<Result<minio::Client, String>, Failure> {
    let config = match MinioConfig::resolve(args, environment) {
        Err(missing @ ConfigError::Missing { .. }) => return Ok(Err(missing.to_string())),
        config => config?,
    };
    Ok(Ok(minio::Client::new(config.client(None)?)?))
}
