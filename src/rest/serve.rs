//! The port of the service: connections one by one, slow ones cut off, all of them ended in order.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::error::ApiError;

/// How long a client may take to send the head of a request.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// How long a client may take no byte of an answer.
const STUCK: Duration = Duration::from_secs(10);
/// How many connections are open at once; further ones wait in the backlog of the system.
const CONNECTIONS: usize = 2_048;
/// How long an orderly stop waits for calls that are under way.
const GRACE: Duration = Duration::from_secs(10);
/// The pause after a connection that could not be accepted, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, then lets calls that are under way end.
pub async fn serve(listener: TcpListener, router: Router, calls: &TaskTracker, shutdown: &CancellationToken) {
    let open = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let permit = tokio::select! {
            permit = open.clone().acquire_owned() => permit,
            () = shutdown.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let connection = graceful.watch(connection(stream, router.clone(), calls.clone()));
        tokio::spawn(async move {
            // A connection that breaks is the client's matter.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(permit);
        });
    }
    let end = async {
        graceful.shutdown().await;
        calls.close();
        calls.wait().await;
    };
    if tokio::time::timeout(GRACE, end).await.is_err() {
        tracing::warn!("some calls did not end in time");
    }
}

fn connection(
    stream: TcpStream,
    router: Router,
    calls: TaskTracker,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    // Without it an answer of two segments waits for the client's delayed acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection without TCP_NODELAY");
    }
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        work(&calls, router.clone().oneshot(request.map(Body::new)))
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STUCK));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
}

/// Works on a call to its end, also when its client goes away: a change must neither be left half made nor go unrecorded.
fn work<F>(calls: &TaskTracker, call: F) -> impl Future<Output = Result<Response, Infallible>> + use<F>
where
    F: Future<Output = Result<Response, Infallible>> + Send + 'static,
{
    let task = calls.spawn(call);
    async move {
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a call broke off");
            Ok(ApiError::unavailable("The call broke off; what it had changed by then stays, and takes effect")
                .into_response())
        })
    }
}
