//! One exchange with the server: sign, send, wait no longer than allowed, read no more than allowed, classify.

use std::{
    array, fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};
use reqwest::{Certificate, Url, redirect};
use serde::de::DeserializeOwned;
use tokio::{sync::Semaphore, time::Instant};
use zeroize::Zeroizing;

use super::{
    call::{Call, Observer, Outcome, Weight},
    encode,
    endpoint::Endpoint,
    error::{ClientError, Error},
    sealed::{self, Workspace},
    secret::Credentials,
    sign::{Unsigned, sign_request},
};

/// Longest answer of an ordinary call.
const ANSWER_LIMIT: usize = 4 << 20;
/// Longest answer about everything there is.
const BULK_ANSWER_LIMIT: usize = 256 << 20;
/// Longest error answer that is read.
const ERROR_LIMIT: usize = 100 << 10;
const ADMIN_PREFIX: &str = "/minio/admin/v3/";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// MinIO closes connections after 30 idle seconds; a change sent at that moment would be ambiguous.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// What every request of ours says it comes from.
pub const USER_AGENT: &str = concat!("minio-manager/", env!("CARGO_PKG_VERSION"));

/// Opening a sealed answer takes 64 MiB and a core: one at a time per process.
static OPENING: Semaphore = Semaphore::const_new(1);

/// Tells the time, for signatures and clock skew.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How long calls may take from the first byte sent to the last byte read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Reads of one thing: 10 s by default.
    pub read: Duration,
    /// Reads of everything: 60 s by default.
    pub bulk_read: Duration,
    /// Changes: 3 s by default, so that one ends within the time a lease is kept for it.
    pub mutation: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { read: Duration::from_secs(10), bulk_read: Duration::from_secs(60), mutation: Duration::from_secs(3) }
    }
}

/// What a [`Client`] needs to know.
#[derive(Clone)]
pub struct Config {
    /// Where MinIO is.
    pub endpoint: Endpoint,
    /// The region in signatures, such as `us-east-1`.
    pub region: String,
    /// Whose requests these are.
    pub credentials: Credentials,
    /// PEM certificates to trust instead of the system's.
    pub ca_bundle: Option<Vec<u8>>,
    /// How long calls may take.
    pub deadlines: Deadlines,
    /// Told about every exchange.
    pub observer: Option<Arc<dyn Observer>>,
    /// Tells the time; [`Timestamp::now`] by default.
    pub clock: Clock,
}

impl Config {
    /// The default configuration for `endpoint`: region us-east-1, system certificates, default deadlines, nobody told.
    pub fn new(endpoint: Endpoint, credentials: Credentials) -> Self {
        Self {
            endpoint,
            region: "us-east-1".to_owned(),
            credentials,
            ca_bundle: None,
            deadlines: Deadlines::default(),
            observer: None,
            clock: Arc::new(Timestamp::now),
        }
    }
}

/// A connection to one MinIO as one identity. Clones share connections and credentials.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    credentials: Arc<RwLock<Arc<Credentials>>>,
}

struct Shared {
    http: reqwest::Client,
    endpoint: Endpoint,
    region: String,
    deadlines: Deadlines,
    observer: Option<Arc<dyn Observer>>,
    clock: Clock,
    /// Set once the server has shown that it does not know `set-user-or-group-policy`.
    lacks_set_mapping: AtomicBool,
    /// Server time less our time in milliseconds, as of the last answer; `i64::MIN` before the first.
    skew: AtomicI64,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access_key = &self.credentials().access_key;
        f.debug_struct("Client")
            .field("endpoint", &self.shared.endpoint)
            .field("access_key", access_key)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client; connects when first used. Proxy settings of the environment are ignored: MinIO is a neighbour.
    ///
    /// # Errors
    /// When the CA bundle is unusable or TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, ClientError> {
        let mut http = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            // A signature holds for one host and path only.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(USER_AGENT);
        if let Some(bundle) = &config.ca_bundle {
            let certificates =
                Certificate::from_pem_bundle(bundle).map_err(|error| ClientError::CaBundle(Some(error)))?;
            if certificates.is_empty() {
                return Err(ClientError::CaBundle(None));
            }
            http = http.tls_certs_only(certificates);
        }
        let shared = Shared {
            http: http.build().map_err(ClientError::Build)?,
            endpoint: config.endpoint,
            region: config.region,
            deadlines: config.deadlines,
            observer: config.observer,
            clock: config.clock,
            lacks_set_mapping: AtomicBool::new(false),
            skew: AtomicI64::new(i64::MIN),
        };
        Ok(Self { shared: Arc::new(shared), credentials: Arc::new(RwLock::new(Arc::new(config.credentials))) })
    }

    /// The same server and connections as somebody else.
    pub fn with_credentials(&self, credentials: Credentials) -> Self {
        Self { shared: Arc::clone(&self.shared), credentials: Arc::new(RwLock::new(Arc::new(credentials))) }
    }

    /// Replaces the credentials of this client and its clones; requests on their way keep theirs.
    pub fn set_credentials(&self, credentials: Credentials) {
        *self.credentials.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(credentials);
    }

    /// The access key that signs requests now.
    pub fn access_key(&self) -> String {
        self.credentials().access_key.clone()
    }

    /// Where requests go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// The server's clock less ours, from the last answer's `Date` header (whole seconds); none before the first answer.
    /// MinIO refuses signatures more than 15 minutes apart.
    pub fn clock_skew(&self) -> Option<SignedDuration> {
        match self.shared.skew.load(Ordering::Relaxed) {
            i64::MIN => None,
            skew => Some(SignedDuration::from_millis(skew)),
        }
    }

    pub(super) fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn lacks_set_mapping(&self) -> bool {
        self.shared.lacks_set_mapping.load(Ordering::Relaxed)
    }

    pub(super) fn remember_missing_set_mapping(&self) {
        self.shared.lacks_set_mapping.store(true, Ordering::Relaxed);
    }

    /// Sends `request` and reads its answer, which has a success status.
    pub(super) async fn send(&self, request: Request) -> Result<Answer, Error> {
        let call = request.call;
        let answer = self.exchange(request).await?;
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(Error::answered(call, answer.status, &answer.headers, &answer.body))
        }
    }

    /// Sends `request` and reads its answer, whatever its status; a reset read is repeated once.
    pub(super) async fn exchange(&self, request: Request) -> Result<Answer, Error> {
        let deadline = Instant::now() + self.deadline(request.call);
        let repeatable = request.method == Method::GET || request.method == Method::HEAD;
        match self.exchange_once(&request, deadline).await {
            Err(Failure { before_answer: true, outcome: Outcome::Broken, .. }) if repeatable => {
                self.exchange_once(&request, deadline).await.map_err(|failure| failure.error)
            }
            result => result.map_err(|failure| failure.error),
        }
    }

    /// Sends `request` and returns once the headers are there; the body is the caller's. Only the headers have a deadline.
    pub(super) async fn open_stream(&self, request: Request) -> Result<reqwest::Response, Error> {
        let call = request.call;
        let deadline = Instant::now() + self.shared.deadlines.read;
        let (message, _) = self.prepare(&request)?;
        let started = Instant::now();
        let response = match tokio::time::timeout_at(deadline, self.shared.http.execute(message)).await {
            Err(_) => Err((Outcome::Timeout, None)),
            Ok(Err(error)) => Err((transport_outcome(&error), Some(error))),
            Ok(Ok(response)) => Ok(response),
        };
        let outcome = match &response {
            Ok(response) => Outcome::Status(response.status().as_u16()),
            Err((outcome, _)) => *outcome,
        };
        self.observe(call, outcome, started.elapsed());
        let response = response.map_err(|(outcome, source)| Error::transport(call, outcome, source))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = match tokio::time::timeout_at(deadline, read_body(response, ERROR_LIMIT)).await {
            Ok(Ok(body)) => body,
            _ => Bytes::new(),
        };
        Err(Error::answered(call, status, &headers, &body))
    }

    async fn exchange_once(&self, request: &Request, deadline: Instant) -> Result<Answer, Failure> {
        let call = request.call;
        let (message, credentials) = self.prepare(request).map_err(Failure::unsent)?;
        let started = Instant::now();
        let mut answered = false;
        let exchange = async {
            let response =
                self.shared.http.execute(message).await.map_err(|error| (transport_outcome(&error), Some(error)))?;
            answered = true;
            let status = response.status();
            let headers = response.headers().clone();
            self.note_skew(&headers);
            let limit = if status.is_success() { answer_limit(call) } else { ERROR_LIMIT };
            let body = read_body(response, limit).await?;
            Ok(Answer { status, headers, body, credentials })
        };
        let result = match tokio::time::timeout_at(deadline, exchange).await {
            Ok(result) => result,
            Err(_) => Err((Outcome::Timeout, None)),
        };
        let outcome = match &result {
            Ok(answer) => Outcome::Status(answer.status.as_u16()),
            Err((outcome, _)) => *outcome,
        };
        self.observe(call, outcome, started.elapsed());
        result.map_err(|(outcome, source)| Failure {
            before_answer: !answered,
            outcome,
            error: Error::transport(call, outcome, source),
        })
    }

    /// The signed message, and the credentials that signed it.
    fn prepare(&self, request: &Request) -> Result<(reqwest::Request, Arc<Credentials>), Error> {
        let call = request.call;
        let credentials = request.signer.clone().unwrap_or_else(|| self.credentials());
        let text = request.url(&self.shared.endpoint);
        let url = Url::parse(&text).map_err(|_| Error::unsendable(call, "the request has no valid URL"))?;
        // The URL type resolves dot segments, which would address something else than what was asked for.
        if url.as_str() != text {
            return Err(Error::unsendable(call, "a path with '.' or '..' segments cannot be addressed"));
        }
        let unsigned =
            Unsigned { method: request.method.as_str(), url: &text, headers: &request.headers, body: &request.body };
        let signature = sign_request(&unsigned, &credentials, &self.shared.region, (self.shared.clock)())
            .map_err(|error| Error::unsendable(call, error.to_string()))?;
        let mut message = reqwest::Request::new(request.method.clone(), url);
        message.headers_mut().extend(request.headers.clone());
        message.headers_mut().extend(signature);
        if request.method != Method::GET && request.method != Method::HEAD {
            *message.body_mut() = Some(request.body.clone().into());
        }
        Ok((message, credentials))
    }

    fn deadline(&self, call: Call) -> Duration {
        match call.weight() {
            Weight::Read | Weight::Stream => self.shared.deadlines.read,
            Weight::BulkRead => self.shared.deadlines.bulk_read,
            Weight::Mutation => self.shared.deadlines.mutation,
        }
    }

    fn observe(&self, call: Call, outcome: Outcome, duration: Duration) {
        if let Some(observer) = &self.shared.observer {
            observer.observe(call, outcome, duration);
        }
    }

    fn note_skew(&self, headers: &HeaderMap) {
        let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
        if let Some(theirs) = date {
            let skew = theirs.as_millisecond() - (self.shared.clock)().as_millisecond();
            self.shared.skew.store(skew, Ordering::Relaxed);
        }
    }
}

/// A request before it is signed.
pub(super) struct Request {
    call: Call,
    method: Method,
    /// Percent-encoded, with a leading slash.
    path: String,
    query: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: Bytes,
    /// Credentials to sign with instead of the client's current ones.
    signer: Option<Arc<Credentials>>,
}

impl Request {
    pub(super) fn new(call: Call, method: Method, path: String) -> Self {
        Self { call, method, path, query: Vec::new(), headers: HeaderMap::new(), body: Bytes::new(), signer: None }
    }

    /// A request to the admin API; `route` is a constant without characters that need encoding.
    pub(super) fn admin(call: Call, method: Method, route: &str) -> Self {
        Self::new(call, method, format!("{ADMIN_PREFIX}{route}"))
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn queries<'a>(mut self, name: &'static str, values: impl IntoIterator<Item = &'a String>) -> Self {
        self.query.extend(values.into_iter().map(|value| (name, value.clone())));
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Signed with these credentials, whatever the client's are by then.
    pub(super) fn signed_by(mut self, credentials: Arc<Credentials>) -> Self {
        self.signer = Some(credentials);
        self
    }

    fn url(&self, endpoint: &Endpoint) -> String {
        let query = encode::query(&self.query);
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{endpoint}{}{mark}{query}", self.path)
    }
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    credentials: Arc<Credentials>,
}

impl Answer {
    /// The JSON in the body.
    pub(super) fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        parse_json(call, &self.body)
    }

    /// The JSON in a sealed body.
    pub(super) async fn sealed_json<T: DeserializeOwned>(self, call: Call) -> Result<T, Error> {
        let [plain] = open([(call, self)]).await?;
        parse_json(call, &plain)
    }
}

/// The JSON in two sealed bodies, for less than each by itself costs.
pub(super) async fn both_sealed_json<A: DeserializeOwned, B: DeserializeOwned>(
    first: (Call, Answer),
    second: (Call, Answer),
) -> Result<(A, B), Error> {
    let calls = (first.0, second.0);
    let plain = open([first, second]).await?;
    Ok((parse_json(calls.0, &plain[0])?, parse_json(calls.1, &plain[1])?))
}

/// Opens sealed bodies one after the other.
async fn open<const N: usize>(answers: [(Call, Answer); N]) -> Result<[Zeroizing<Vec<u8>>; N], Error> {
    let first = answers[0].0;
    let failed = |why: &'static str| Error::malformed(first, why);
    let turn = OPENING.acquire().await.map_err(|_| failed("the process is ending"))?;
    let opened = tokio::task::spawn_blocking(move || {
        // Moved here, so that the turn lasts as long as the work, also when the caller stops waiting.
        let _turn = turn;
        let mut workspace = Workspace::default();
        let mut plain = array::from_fn(|_| Zeroizing::default());
        for (place, (call, answer)) in plain.iter_mut().zip(answers) {
            let opened = sealed::open(&answer.credentials.secret, &answer.body, &mut workspace);
            *place = opened.map_err(|error| Error::malformed(call, error.to_string()))?;
        }
        Ok(plain)
    });
    opened.await.map_err(|_| failed("opening it was interrupted"))?
}

/// What of a body was wrong, without quoting it: it may hold a secret.
pub(super) fn parse_json<T: DeserializeOwned>(call: Call, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        let place = format!("JSON {:?} error at line {} column {}", error.classify(), error.line(), error.column());
        Error::malformed(call, place)
    })
}

struct Failure {
    before_answer: bool,
    outcome: Outcome,
    error: Error,
}

impl Failure {
    fn unsent(error: Error) -> Self {
        Self { before_answer: true, outcome: Outcome::Connect, error }
    }
}

fn transport_outcome(error: &reqwest::Error) -> Outcome {
    if error.is_connect() {
        Outcome::Connect
    } else if error.is_timeout() {
        Outcome::Timeout
    } else {
        Outcome::Broken
    }
}

fn answer_limit(call: Call) -> usize {
    if call.weight() == Weight::BulkRead { BULK_ANSWER_LIMIT } else { ANSWER_LIMIT }
}

async fn read_body(mut response: reqwest::Response, limit: usize) -> Result<Bytes, (Outcome, Option<reqwest::Error>)> {
    let announced = response.content_length().unwrap_or(0);
    if announced > limit as u64 {
        return Err((Outcome::Oversize, None));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| (transport_outcome(&error), Some(error)))? {
        if body.len() + chunk.len() > limit {
            return Err((Outcome::Oversize, None));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests;
