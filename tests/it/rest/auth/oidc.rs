//! OpenID Connect: signatures of every accepted kind, keys that change, and tokens that are not what they seem.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use minio_manager::{
    config::BackendName,
    rest::auth::{AuthError, Authenticator},
};
use serde_json::{Value, json};

use super::{
    asked, authenticator, caller,
    issuer::{AUDIENCE, Provider, Signer},
};
use crate::support::world::PATIENCE;

const INVALID: AuthError = AuthError::InvalidToken;
const UNAVAILABLE: AuthError = AuthError::Unavailable { backend: BackendName::Oidc };

fn with(provider: &Provider, variables: &[(&str, &str)]) -> Authenticator {
    let own = [("AUTH", "oidc"), ("OIDC_ISSUER", provider.url.as_str()), ("OIDC_AUDIENCE", AUDIENCE)];
    authenticator(&[&own, variables].concat())
}

/// A provider with one key, and that key.
async fn provider() -> (Provider, Signer) {
    let signer = Signer::new("first", Algorithm::ES256);
    (Provider::start(vec![signer.public()]).await, signer)
}

#[tokio::test]
async fn signatures_of_every_kind_are_understood() {
    let signers: Vec<_> =
        [("rs", Algorithm::RS256), ("ps", Algorithm::PS256), ("es", Algorithm::ES256), ("ed", Algorithm::EdDSA)]
            .map(|(id, algorithm)| Signer::new(id, algorithm))
            .into();
    // What is not understood, or is for something else, does no harm.
    let mut keys = vec![json!({"kty": "future", "kid": "x"}), json!({"kty": "RSA"}), json!("nonsense")];
    keys.extend(signers.iter().map(Signer::public));
    let provider = Provider::start(keys).await;
    let auth = with(&provider, &[]);
    auth.check().await.unwrap();
    for signer in &signers {
        assert_eq!(asked(&auth, &signer.sign(&provider.claims())).await, Ok(caller("alice", false)));
    }
    assert_eq!(provider.fetched(), 1, "keys are fetched once");
}

#[tokio::test]
async fn a_key_without_an_id_is_found_by_trying() {
    let (first, second) = (Signer::new(None, Algorithm::ES256), Signer::new(None, Algorithm::ES256));
    let provider = Provider::start(vec![first.public(), second.public()]).await;
    let auth = with(&provider, &[]);
    for signer in [&first, &second] {
        assert!(asked(&auth, &signer.sign(&provider.claims())).await.is_ok());
    }
    let stranger = Signer::new(None, Algorithm::ES256);
    assert_eq!(asked(&auth, &stranger.sign(&provider.claims())).await, Err(INVALID));
    let expired = provider.claims_with(json!({"exp": Timestamp::now().as_second() - 120}));
    assert_eq!(asked(&auth, &second.sign(&expired)).await, Err(INVALID));
}

#[tokio::test]
async fn claims_are_checked() {
    let (provider, signer) = provider().await;
    let auth = with(&provider, &[]);
    let now = Timestamp::now().as_second();
    for (changes, fine) in [
        (json!({}), true),
        (json!({"exp": now - 30}), true),
        (json!({"exp": now - 120}), false),
        (json!({"exp": null}), false),
        (json!({"exp": "tomorrow"}), false),
        (json!({"nbf": now + 30}), true),
        (json!({"nbf": now + 120}), false),
        (json!({"nbf": "yesterday"}), false),
        (json!({"aud": ["other", AUDIENCE]}), true),
        (json!({"aud": "other"}), false),
        (json!({"aud": ["other"]}), false),
        (json!({"aud": []}), false),
        (json!({"aud": null}), false),
        (json!({"iss": "https://login.example.org/realms/lake"}), false),
        (json!({"iss": format!("{}/", provider.url)}), false),
        (json!({"iss": [provider.url]}), false),
        (json!({"iss": null}), false),
    ] {
        let answer = asked(&auth, &signer.sign(&provider.claims_with(changes.clone()))).await;
        let expected = if fine { Ok(caller("alice", false)) } else { Err(INVALID) };
        assert_eq!(answer, expected, "{changes}");
    }
}

#[tokio::test]
async fn forged_signatures_are_refused() {
    let (provider, signer) = provider().await;
    let auth = with(&provider, &[]);
    let claims = provider.claims();
    let good = signer.sign(&claims);
    assert!(asked(&auth, &good).await.is_ok());

    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other_claims = part(provider.claims_with(json!({"preferred_username": "boss"})));
    let public = serde_json::to_vec(&signer.public()).unwrap();
    let hmac = |secret: &[u8]| {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("first".to_owned());
        encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()
    };
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[10] ^= 1;
    for (what, token) in [
        ("no signature", format!("{}.{}.", part(json!({"alg": "none", "kid": "first"})), part(claims.clone()))),
        ("an empty signature", format!("{signed}.")),
        ("no dots", "abcdef".to_owned()),
        ("other claims", format!("{}.{other_claims}.{signature}", good.split_once('.').unwrap().0)),
        ("a changed signature", format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes))),
        ("the public key as a secret", hmac(&public)),
        ("an empty secret", hmac(b"")),
        ("a stranger's key", Signer::new("first", Algorithm::ES256).sign(&claims)),
        ("another kind of key", Signer::new("first", Algorithm::RS256).sign(&claims)),
        ("a key of its own", {
            let stranger = Signer::new("own", Algorithm::ES256);
            let public = serde_json::from_value(stranger.public()).unwrap();
            stranger.sign_with(&claims, |header| header.jwk = Some(public))
        }),
        ("something critical", signer.sign_with(&claims, |header| header.crit = Some(vec!["exp".to_owned()]))),
    ] {
        assert_eq!(asked(&auth, &token).await, Err(INVALID), "{what}");
    }
}

#[tokio::test]
async fn a_key_is_used_for_what_it_is_meant() {
    let (encryption, other) = (Signer::new("enc", Algorithm::ES256), Signer::new("rs", Algorithm::RS256));
    let mut for_encryption = encryption.public();
    for_encryption["use"] = json!("enc");
    let mut for_other_algorithm = other.public();
    for_other_algorithm["alg"] = json!("PS256");
    let secret = json!({"kty": "oct", "kid": "oct", "k": URL_SAFE_NO_PAD.encode("secret"), "use": "sig"});
    let provider = Provider::start(vec![for_encryption, for_other_algorithm, secret]).await;
    let auth = with(&provider, &[]);
    assert_eq!(asked(&auth, &encryption.sign(&provider.claims())).await, Err(INVALID));
    assert_eq!(asked(&auth, &other.sign(&provider.claims())).await, Err(INVALID));
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("oct".to_owned());
    let token = encode(&header, &provider.claims(), &EncodingKey::from_secret(b"secret")).unwrap();
    assert_eq!(asked(&auth, &token).await, Err(INVALID));
}

#[tokio::test]
async fn new_keys_are_fetched_when_a_token_names_one() {
    let (provider, first) = provider().await;
    let auth = with(&provider, &[]);
    let started = Instant::now();
    let old = first.sign(&provider.claims());
    assert!(asked(&auth, &old).await.is_ok());
    let second = Signer::new("second", Algorithm::RS256);
    provider.show(vec![second.public()]);
    assert!(asked(&auth, &second.sign(&provider.claims())).await.is_ok());
    assert_eq!(provider.fetched(), 2);
    let with_old_key = first.sign(&provider.claims_with(json!({"jti": "another"})));
    assert_eq!(asked(&auth, &with_old_key).await, Err(INVALID), "a withdrawn key signs nothing");
    let stranger = Signer::new("made-up", Algorithm::ES256);
    for number in 0..50 {
        let token = stranger.sign(&provider.claims_with(json!({"jti": number})));
        assert_eq!(asked(&auth, &token).await, Err(INVALID));
    }
    let intervals = started.elapsed().as_secs() / 10;
    assert!(provider.fetched() as u64 <= 2 + intervals, "made-up keys have the provider asked again and again");
}

#[tokio::test]
async fn many_at_once_have_the_keys_fetched_once() {
    let (provider, signer) = provider().await;
    let auth = Arc::new(with(&provider, &[]));
    let token = |number: usize| signer.sign(&provider.claims_with(json!({"jti": number.to_string()})));
    let asking = (0..20).map(token).map(|token| {
        let auth = auth.clone();
        tokio::spawn(async move { asked(&auth, &token).await })
    });
    for one in asking.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), Ok(caller("alice", false)));
    }
    assert_eq!(provider.fetched(), 1);
}

#[tokio::test]
async fn a_provider_that_is_away_matters_only_for_its_own_tokens() {
    let (provider, signer) = provider().await;
    provider.set_broken(true);
    let auth = with(&provider, &[]);
    assert_eq!(asked(&auth, &signer.sign(&provider.claims())).await, Err(UNAVAILABLE));
    let foreign = signer.sign(&provider.claims_with(json!({"iss": "https://login.example.org"})));
    assert_eq!(asked(&auth, &foreign).await, Err(INVALID));
    assert_eq!(asked(&auth, "opaque").await, Err(INVALID));
    assert!(auth.check().await.unwrap_err().to_string().starts_with("oidc cannot be used: it answered 502"));
}

#[tokio::test]
async fn known_keys_serve_while_the_provider_is_away() {
    let (provider, signer) = provider().await;
    let auth = with(&provider, &[("AUTH_CACHE_TTL", "0")]);
    assert!(asked(&auth, &signer.sign(&provider.claims())).await.is_ok());
    provider.set_broken(true);
    assert!(asked(&auth, &signer.sign(&provider.claims())).await.is_ok());
    let new = Signer::new("second", Algorithm::ES256).sign(&provider.claims());
    assert_eq!(asked(&auth, &new).await, Err(UNAVAILABLE), "whether it is valid cannot be known");
}

/// How long the service gives all backends together.
const AUTH_DEADLINE: Duration = Duration::from_secs(6);

/// Lets time pass for those who keep keys.
async fn later(minutes: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60 * minutes)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn known_keys_serve_while_the_provider_is_slow() {
    let (provider, first) = provider().await;
    let auth = with(&provider, &[("AUTH_CACHE_TTL", "0")]);
    let known = first.sign(&provider.claims());
    assert!(asked(&auth, &known).await.is_ok());
    later(20).await;
    provider.set_slow(true);
    let in_time = async |token: &str| tokio::time::timeout(AUTH_DEADLINE, asked(&auth, token)).await;
    assert_eq!(in_time(&known).await, Ok(Ok(caller("alice", false))), "nobody waits for newer keys");
    // Nor for somebody who waits for a key that nobody knows.
    let made_up = Signer::new("made-up", Algorithm::ES256).sign(&provider.claims());
    let (unknown, known_meanwhile) = tokio::join!(in_time(&made_up), in_time(&known));
    assert_eq!(unknown, Ok(Err(UNAVAILABLE)), "an answer comes before all backends together are late");
    assert_eq!(known_meanwhile, Ok(Ok(caller("alice", false))));
    // What was asked for in the background arrives once the provider is quick again.
    let second = Signer::new("second", Algorithm::ES256);
    provider.show(vec![second.public()]);
    provider.set_slow(false);
    let started = Instant::now();
    while asked(&auth, &known).await != Err(INVALID) {
        assert!(started.elapsed() < PATIENCE, "a withdrawn key goes on working");
        tokio::time::sleep(PATIENCE / 300).await;
    }
    assert!(asked(&auth, &second.sign(&provider.claims())).await.is_ok());
    // Keys that are too old serve nobody.
    provider.set_broken(true);
    later(25 * 60).await;
    assert_eq!(asked(&auth, &second.sign(&provider.claims())).await, Err(UNAVAILABLE));
}

#[tokio::test]
async fn a_provider_that_calls_itself_otherwise_is_not_trusted() {
    let (provider, signer) = provider().await;
    provider.call_itself(&format!("{}/", provider.url));
    let auth = with(&provider, &[]);
    assert_eq!(asked(&auth, &signer.sign(&provider.claims())).await, Err(UNAVAILABLE));
    let error = auth.check().await.unwrap_err().to_string();
    assert!(error.contains("OIDC_ISSUER is not what the provider calls itself"), "{error}");
}

#[tokio::test]
async fn the_name_comes_from_the_configured_claim() {
    let (provider, signer) = provider().await;
    let by_email = with(&provider, &[("OIDC_USERNAME_CLAIM", "email")]);
    let sign = |changes: Value| signer.sign(&provider.claims_with(changes));
    let verified = sign(json!({"email_verified": true}));
    assert_eq!(asked(&by_email, &verified).await, Ok(caller("alice@example.org", false)));
    for changes in [
        json!({}),
        json!({"email_verified": false}),
        json!({"email_verified": "true"}),
        json!({"email_verified": true, "email": null}),
    ] {
        let answer = asked(&by_email, &sign(changes.clone())).await;
        assert!(matches!(answer, Err(AuthError::InvalidUserName { .. })), "{changes}: {answer:?}");
    }
    let unverified = asked(&by_email, &sign(json!({}))).await.unwrap_err().to_string();
    assert!(unverified.contains("email_verified") && unverified.contains("OIDC_USERNAME_CLAIM"), "{unverified}");
    let auth = with(&provider, &[]);
    for name in [json!(null), json!(7), json!(["alice"]), json!("root"), json!("al ice")] {
        let answer = asked(&auth, &sign(json!({"preferred_username": name}))).await;
        assert!(matches!(answer, Err(AuthError::InvalidUserName { .. })), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn a_group_makes_administrators() {
    let (provider, signer) = provider().await;
    let auth = with(&provider, &[("OIDC_ADMIN_GROUP", "lake-admins"), ("OIDC_GROUPS_CLAIM", "roles")]);
    for (roles, admin) in [
        (json!(["people", "lake-admins"]), true),
        (json!("lake-admins"), true),
        (json!(["lake-admins-not"]), false),
        (json!([["lake-admins"]]), false),
        (json!({"lake-admins": true}), false),
        (json!(null), false),
    ] {
        let claims = provider.claims_with(json!({"roles": roles, "groups": ["lake-admins"]}));
        assert_eq!(asked(&auth, &signer.sign(&claims)).await, Ok(caller("alice", admin)), "{roles}");
    }
    let none = with(&provider, &[]);
    let claims = provider.claims_with(json!({"groups": ["", "lake-admins", "admin"]}));
    assert_eq!(asked(&none, &signer.sign(&claims)).await, Ok(caller("alice", false)));
}
