//! The client of the Kubernetes API: that of kube, over sockets that do not wait before they send.

use std::time::Duration;

use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Builder};
use hyper_util::rt::TokioExecutor;
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::config::{KubeConfigOptions, KubeconfigError};
use kube::{Client, Config};
use tower::retry::RetryLayer;
use tower::{BoxError, ServiceBuilder};

/// How long it may take to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection on which nothing moves is probed after this long: a watch may be silent for minutes, and its peer gone.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// A request that the API server is too busy for is sent again after this long, and then after twice as long, ...
const RETRY_AFTER: Duration = Duration::from_millis(20);
/// ... but never longer than this, ...
const RETRY_AFTER_AT_MOST: Duration = Duration::from_secs(2);
/// ... and this often.
const RETRIES: u32 = 5;

/// Why there is no client of the Kubernetes API.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither a kubeconfig nor a service account says where the API server is.
    #[error(transparent)]
    Config(#[from] kube::config::InferConfigError),
    /// The kubeconfig has no such context, or it cannot be used.
    #[error("the kubeconfig cannot be used with context {context}")]
    Context {
        /// The context that was asked for.
        context: String,
        /// Why not.
        source: KubeconfigError,
    },
    /// What says so cannot be used.
    #[error(transparent)]
    Client(#[from] kube::Error),
}

/// A client for the cluster that the kubeconfig or the service account of the pod names.
///
/// # Errors
/// Neither is there, or it cannot be used.
pub async fn connect() -> Result<Client, ConnectError> {
    connected(Config::infer().await?)
}

/// A client for the cluster of a context of the kubeconfig; without a name as [`connect`].
///
/// # Errors
/// There is no such context, or it cannot be used.
pub async fn connect_in(context: Option<&str>) -> Result<Client, ConnectError> {
    let Some(context) = context else { return connect().await };
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let config = Config::from_kubeconfig(&options).await;
    connected(config.map_err(|source| ConnectError::Context { context: context.to_owned(), source })?)
}

fn connected(mut config: Config) -> Result<Client, ConnectError> {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    Ok(client(config)?)
}

/// A client for one cluster.
///
/// kube's own leaves Nagle's algorithm on: a request whose head and body are two segments then waits 40 ms for the server's
/// delayed acknowledgement of the first (kube-rs/kube#2056). Behind a proxy that costs nothing more, so there kube's own will do.
///
/// # Errors
/// The credentials of the configuration cannot be used.
pub fn client(config: Config) -> Result<Client, kube::Error> {
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let mut sockets = HttpConnector::new();
    sockets.enforce_http(false);
    sockets.set_nodelay(true);
    sockets.set_keepalive(Some(KEEPALIVE));
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(sockets)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let http: legacy::Client<_, Body> = Builder::new(TokioExecutor::new()).build(connector);
    let retries = RetryPolicy::new(RETRY_AFTER, RETRY_AFTER_AT_MOST, RETRIES, true)
        .map_err(|error| kube::Error::Service(error.into()))?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(RetryLayer::new(retries))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}
