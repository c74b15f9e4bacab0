//! The keys of an OpenID Connect provider: fetched when needed, kept for a while, fetched again when a token names another.
//! Nobody whose token names a known key waits for the provider.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header};
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::Issuer;
use crate::rest::auth::outbound::{Away, Http};

/// After this time keys are fetched again, so that one that the provider has withdrawn goes.
const FRESH: Duration = Duration::from_secs(15 * 60);
/// As long as this they are used while newer ones are fetched, or the provider is away.
const USABLE: Duration = Duration::from_secs(24 * 3600);
/// How long it may take to fetch them, which are two requests; less than a caller waits for all backends together.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long a provider that does not answer is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// How often unknown keys in tokens, which anybody can make up, have the keys fetched.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(10);
/// How many keys are kept.
const MOST_KEYS: usize = 100;

/// Keys that signatures are checked with.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    family: AlgorithmFamily,
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

impl KeySet {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys that may have made the signature of a token with this header.
    pub(super) fn candidates(&self, header: &Header) -> impl Iterator<Item = &DecodingKey> {
        let fits = |key: &&Key| {
            key.family == header.alg.family()
                && key.algorithm.is_none_or(|algorithm| algorithm == header.alg)
                && (header.kid.is_none() || header.kid == key.id)
        };
        self.0.iter().filter(fits).map(|key| &key.key)
    }

    /// Those keys of a provider's set that are for signatures and that we understand.
    fn understood(keys: Vec<Value>) -> Self {
        Self(keys.into_iter().filter_map(Key::understood).take(MOST_KEYS).collect())
    }
}

impl Key {
    fn understood(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        if jwk.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        let algorithm = jwk.common.key_algorithm.map(Algorithm::try_from).transpose().ok()?;
        (key.family() != AlgorithmFamily::Hmac).then(|| Self {
            id: jwk.common.key_id,
            family: key.family(),
            algorithm,
            key,
        })
    }
}

/// The keys of one provider.
#[derive(Debug)]
pub(super) struct Keys {
    provider: Arc<Provider>,
    /// At most one task that fetches newer keys, for nobody in particular.
    refreshing: Mutex<JoinSet<()>>,
}

/// A provider, and its keys as far as they are known.
#[derive(Debug)]
struct Provider {
    issuer: Issuer,
    http: Http,
    known: Mutex<Known>,
    /// Held while they are fetched, so that all who need others than the known ones wait for one answer.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    keys: Option<(Arc<KeySet>, Instant)>,
    failed: Option<(Away, Instant)>,
    unknown_key: Option<Instant>,
}

/// How a provider describes itself.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Value>,
}

impl Keys {
    pub(super) fn new(issuer: Issuer, http: Http) -> Self {
        let provider = Provider { issuer, http, known: Mutex::default(), fetching: tokio::sync::Mutex::default() };
        Self { provider: Arc::new(provider), refreshing: Mutex::default() }
    }

    /// The keys; fetched if none are known, and in the background if they are old.
    pub(super) async fn current(&self) -> Result<Arc<KeySet>, Away> {
        let held = self.provider.known().not_older_than(USABLE);
        match held {
            Some(keys) => {
                self.refresh();
                Ok(keys)
            }
            None => self.provider.keys_not_older_than(USABLE).await,
        }
    }

    /// Keys that are newer than these, if there are any; fetched unless that was done a moment ago.
    pub(super) async fn newer_than(&self, old: &Arc<KeySet>) -> Result<Option<Arc<KeySet>>, Away> {
        self.provider.newer_than(old).await
    }

    /// Has old keys replaced, unless that is under way or was tried a moment ago.
    fn refresh(&self) {
        {
            let known = self.provider.known();
            if known.not_older_than(FRESH).is_some() || known.failed_lately().is_some() {
                return;
            }
        }
        let mut tasks = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = tasks.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "newer keys of the OpenID Connect provider were not fetched to the end");
            }
        }
        if tasks.is_empty() {
            let provider = self.provider.clone();
            tasks.spawn(async move {
                if let Err(problem) = provider.keys_not_older_than(FRESH).await {
                    tracing::warn!(%problem, "the OpenID Connect provider shows no newer keys; the known ones are used");
                }
            });
        }
    }
}

impl Provider {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keys of no more than this age, fetched where they are older and nobody else does so.
    async fn keys_not_older_than(&self, age: Duration) -> Result<Arc<KeySet>, Away> {
        let _turn = self.fetching.lock().await;
        {
            let known = self.known();
            if let Some(keys) = known.not_older_than(age) {
                return Ok(keys);
            }
            if let Some(away) = known.failed_lately() {
                return Err(away);
            }
        }
        self.fetch().await
    }

    async fn newer_than(&self, old: &Arc<KeySet>) -> Result<Option<Arc<KeySet>>, Away> {
        let _turn = self.fetching.lock().await;
        {
            let known = self.known();
            if let Some((keys, _)) = &known.keys
                && !Arc::ptr_eq(keys, old)
            {
                return Ok(Some(keys.clone()));
            }
            if let Some(away) = known.failed_lately() {
                return Err(away);
            }
            if known.unknown_key.is_some_and(|at| at.elapsed() < UNKNOWN_KEY_INTERVAL) {
                return Ok(None);
            }
        }
        let newer = self.fetch().await?;
        self.known().unknown_key = Some(Instant::now());
        Ok(Some(newer))
    }

    /// Fetches the keys; whoever calls this holds the turn.
    async fn fetch(&self) -> Result<Arc<KeySet>, Away> {
        let too_late = |_| Err(Away::new(format!("it did not show its keys within {} s", DEADLINE.as_secs())));
        let downloaded = tokio::time::timeout(DEADLINE, self.download()).await.unwrap_or_else(too_late);
        let mut known = self.known();
        match downloaded {
            Ok(keys) => {
                let keys = Arc::new(keys);
                known.keys = Some((keys.clone(), Instant::now()));
                known.failed = None;
                Ok(keys)
            }
            Err(away) => {
                known.failed = Some((away.clone(), Instant::now()));
                Err(away)
            }
        }
    }

    async fn download(&self) -> Result<KeySet, Away> {
        let discovery: Discovery = self.get(self.issuer.discovery().clone()).await?;
        if discovery.issuer != self.issuer.as_str() {
            return Err(Away::new("OIDC_ISSUER is not what the provider calls itself in its discovery document"));
        }
        let keys = Url::parse(&discovery.jwks_uri).map_err(|_| Away::new("its jwks_uri is not a URL"))?;
        if self.issuer.discovery().scheme() == "https" && keys.scheme() != "https" {
            return Err(Away::new("its keys are not to be had over https"));
        }
        let jwks: Jwks = self.get(keys).await?;
        Ok(KeySet::understood(jwks.keys))
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, Away> {
        let answer = self.http.get(url, None).await?;
        if answer.status.is_success() { answer.json() } else { Err(Away::answered(answer.status)) }
    }
}

impl Known {
    fn not_older_than(&self, age: Duration) -> Option<Arc<KeySet>> {
        self.keys.as_ref().filter(|(_, at)| at.elapsed() < age).map(|(keys, _)| keys.clone())
    }

    fn failed_lately(&self) -> Option<Away> {
        self.failed.as_ref().filter(|(_, at)| at.elapsed() < RETRY_AFTER).map(|(away, _)| away.clone())
    }
}
