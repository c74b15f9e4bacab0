//! Requests to authentication services: a deadline, a limit to the answer, no redirects, and nothing of it in a log.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use reqwest::{Url, redirect};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

/// How long one request may take, waiting for its turn included.
const DEADLINE: Duration = Duration::from_secs(5);
/// Longest answer that is read.
const ANSWER_LIMIT: usize = 1 << 20;
/// How many requests of one backend may be on their way. Somebody who sends random tokens shall not have us flood a service.
const AT_ONCE: usize = 64;
const USER_AGENT: &str = concat!("minio-manager/", env!("CARGO_PKG_VERSION"));

/// Why a service cannot be asked: for the log, without tokens and without what the service said.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Away(String);

impl Away {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }

    /// An answer with a status that says nothing about the token.
    pub(super) fn answered(status: StatusCode) -> Self {
        Self(format!("it answered {}", status.as_u16()))
    }
}

/// An answer.
pub(super) struct Answer {
    pub status: StatusCode,
    body: Bytes,
}

impl Answer {
    /// The body, which is not quoted where it is wrong.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Away> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let place = format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column());
            Away(format!("its answer {} is not the expected JSON: {place}", self.status.as_u16()))
        })
    }
}

/// Bounds what one backend does for tokens: in time, and in how much of it at once.
#[derive(Debug)]
pub(super) struct Turns(Semaphore);

impl Turns {
    pub(super) fn new() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }

    /// What `exchange` returns, unless it takes too long, waiting for its turn included.
    pub(super) async fn take<T>(&self, exchange: impl Future<Output = Result<T, Away>>) -> Result<T, Away> {
        let in_turn = async {
            let _turn = self.0.acquire().await.map_err(|_| Away::new("the process is ending"))?;
            exchange.await
        };
        let too_late = |_| Away(format!("it did not answer within {} s", DEADLINE.as_secs()));
        tokio::time::timeout(DEADLINE, in_turn).await.map_err(too_late)?
    }
}

/// The client of one service.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    turns: Turns,
}

impl Http {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            // A token is for one host.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            // Tokens are looked up once a minute: a connection would be closed by its other end just when it is used again.
            .pool_max_idle_per_host(0)
            .user_agent(USER_AGENT)
            .build()?;
        Ok(Self { client, turns: Turns::new() })
    }

    /// Asks for `url`, with an `Authorization` header or without.
    pub(super) async fn get(&self, url: Url, authorization: Option<HeaderValue>) -> Result<Answer, Away> {
        self.turns.take(self.exchange(url, authorization)).await
    }

    async fn exchange(&self, url: Url, authorization: Option<HeaderValue>) -> Result<Answer, Away> {
        let mut request = self.client.get(url).header(header::ACCEPT, "application/json");
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        let response = request.send().await.map_err(broken)?;
        Ok(Answer { status: response.status(), body: read_body(response).await? })
    }
}

async fn read_body(mut response: reqwest::Response) -> Result<Bytes, Away> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > ANSWER_LIMIT {
            return Err(Away(format!("its answer is longer than {ANSWER_LIMIT} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn broken(error: reqwest::Error) -> Away {
    Away(crate::telemetry::chain(&error.without_url()))
}
