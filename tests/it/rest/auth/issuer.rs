//! An OpenID Connect provider: its discovery document, its keys, and tokens that it signs.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use axum::{Json, Router, extract::State, routing::get};
use http::StatusCode;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use tokio::sync::watch;

/// How late a slow provider describes itself.
const LATE: Duration = Duration::from_secs(2);
/// Whom the tokens are for.
pub const AUDIENCE: &str = "lake";

/// A key pair with an id.
#[derive(Clone)]
pub struct Signer {
    id: Option<&'static str>,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    pub fn new(id: impl Into<Option<&'static str>>, algorithm: Algorithm) -> Self {
        let key = match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => {
                let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
                let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
                // The PKCS#1 form is what the outer one ends with: in a key of this size after 26 bytes.
                EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..])
            }
            Algorithm::ES256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
                EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref())
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::generate().unwrap();
                EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref())
            }
            _ => unreachable!("no provider of the tests signs so"),
        };
        Self { id: id.into(), algorithm, key }
    }

    /// A token with these claims, in whose header the key is named.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(claims, |_| {})
    }

    /// The same with another header.
    pub fn sign_with(&self, claims: &Value, change: impl FnOnce(&mut Header)) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = self.id.map(str::to_owned);
        change(&mut header);
        encode(&header, claims, &self.key).unwrap()
    }

    /// The public half, as a provider shows it.
    pub fn public(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()).unwrap();
        jwk["use"] = json!("sig");
        if let Some(id) = self.id {
            jwk["kid"] = json!(id);
        }
        jwk
    }
}

/// The provider.
pub struct Provider {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    url: Mutex<String>,
    keys: Mutex<Vec<Value>>,
    fetched: AtomicUsize,
    broken: AtomicBool,
    slow: watch::Sender<bool>,
}

impl Provider {
    /// A provider that shows these keys.
    pub async fn start(keys: Vec<Value>) -> Self {
        let shared = Arc::new(Shared {
            url: Mutex::default(),
            keys: Mutex::new(keys),
            fetched: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            slow: watch::Sender::new(false),
        });
        let app = Router::new()
            .route("/realms/lake/.well-known/openid-configuration", get(discovery))
            .route("/realms/lake/keys", get(jwks))
            .with_state(shared.clone());
        let url = format!("{}/realms/lake", super::serve(app).await);
        shared.url.lock().unwrap().clone_from(&url);
        Self { url, shared }
    }

    pub fn show(&self, keys: Vec<Value>) {
        *self.shared.keys.lock().unwrap() = keys;
    }

    /// How often its keys were fetched.
    pub fn fetched(&self) -> usize {
        self.shared.fetched.load(Ordering::SeqCst)
    }

    /// Whether it answers with errors from now on.
    pub fn set_broken(&self, broken: bool) {
        self.shared.broken.store(broken, Ordering::SeqCst);
    }

    /// Whether it takes its time from now on: its description comes late, and its keys do not come at all until it is quick
    /// again.
    pub fn set_slow(&self, slow: bool) {
        self.shared.slow.send_replace(slow);
    }

    /// What it says it is called.
    pub fn call_itself(&self, url: &str) {
        *self.shared.url.lock().unwrap() = url.to_owned();
    }

    /// The claims of a token for Alice, good for an hour.
    pub fn claims(&self) -> Value {
        let now = Timestamp::now().as_second();
        json!({
            "iss": self.url, "aud": AUDIENCE, "sub": "f3b0c442", "iat": now, "exp": now + 3600,
            "preferred_username": "alice", "email": "alice@example.org", "groups": ["people"],
        })
    }

    /// These claims with some of them changed; null takes one away.
    pub fn claims_with(&self, changes: Value) -> Value {
        let mut claims = self.claims();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, StatusCode> {
    if shared.broken.load(Ordering::SeqCst) {
        return Err(StatusCode::BAD_GATEWAY);
    }
    let mut slow = shared.slow.subscribe();
    let _ = tokio::time::timeout(LATE, slow.wait_for(|slow| !slow)).await;
    let url = shared.url.lock().unwrap().clone();
    Ok(Json(json!({
        "issuer": url, "jwks_uri": format!("{url}/keys"), "authorization_endpoint": format!("{url}/auth"),
        "token_endpoint": format!("{url}/token"), "response_types_supported": ["code"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256", "ES256"],
    })))
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.fetched.fetch_add(1, Ordering::SeqCst);
    let _ = shared.slow.subscribe().wait_for(|slow| !slow).await;
    Json(json!({"keys": *shared.keys.lock().unwrap()}))
}
