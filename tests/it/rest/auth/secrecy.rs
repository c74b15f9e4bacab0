//! Nothing of a token in what is logged, not even at the finest level, and not in errors.

use std::{
    io,
    sync::{Arc, Mutex},
};

use jsonwebtoken::Algorithm;
use minio_manager::{
    iam::names::UserName,
    rest::auth::{AuthError, Authenticator},
};
use serde_json::json;
use tracing_subscriber::{fmt::MakeWriter, util::SubscriberInitExt};

use super::{
    File, asked, config,
    hub::Hub,
    issuer::{AUDIENCE, Provider, Signer},
    kbase_server::{KbaseServer, Says},
    kubernetes::Account,
    nowhere,
};
use crate::support::kube::Cluster;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// One authenticator with all backends, of which KBase is as given, and one token for each.
async fn all(kbase: &str, order: &str) -> (Authenticator, Vec<String>) {
    let signer = Signer::new("key", Algorithm::ES256);
    let provider = Provider::start(vec![signer.public()]).await;
    let hub = Hub::shared().await;
    let name = format!("hub-secret-{}", order.len());
    hub.create_user(&name, false).await;
    let (of_hub, _) = hub.create_token(&name, json!({})).await;
    let account = Account::create("auth-secrecy").await;
    let users = account.users("etl-nightly");
    let tokens = File::new("tokens: [{token: static-secret-token, user: alice}]\n");
    let config = config(&[
        ("AUTH", order),
        ("KBASE_AUTH_URL", kbase),
        ("OIDC_ISSUER", &provider.url),
        ("OIDC_AUDIENCE", AUDIENCE),
        ("JUPYTERHUB_URL", &hub.url),
        ("KUBERNETES_USERS", users.path()),
        ("STATIC_TOKENS", tokens.path()),
    ]);
    let auth = Authenticator::new(config, UserName::parse, Some(Cluster::shared().client().await)).unwrap();
    let stranger = Signer::new("other", Algorithm::ES256);
    let tokens = vec![
        signer.sign(&provider.claims()),
        signer.sign(&provider.claims_with(json!({"preferred_username": "root"}))),
        stranger.sign(&provider.claims()),
        account.token(None).await,
        of_hub,
        "kbase-secret-token".to_owned(),
        "static-secret-token".to_owned(),
        "unknown-secret-token".to_owned(),
    ];
    (auth, tokens)
}

/// Asks with every token, and returns the log and the errors.
async fn recorded(auth: &Authenticator, tokens: &[String]) -> (String, Vec<AuthError>) {
    let log = Log::default();
    // The tests' runtimes have one thread, so that everything that happens here is seen.
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let guard = subscriber.set_default();
    let mut errors = Vec::new();
    for token in tokens {
        errors.extend(asked(auth, token).await.err());
    }
    drop(guard);
    (log.text(), errors)
}

/// What of a token must not be found: all of it, or a longer part such as a signature.
fn parts(token: &str) -> impl Iterator<Item = &str> {
    token.split('.').filter(|part| part.len() > 15)
}

fn assert_silent(text: &str, tokens: &[String]) {
    for part in tokens.iter().flat_map(|token| parts(token)) {
        let place = text.find(part);
        let line = place.and_then(|at| text[..at + part.len()].lines().last());
        assert_eq!(place, None, "a token shows: {line:?}");
    }
}

#[tokio::test]
async fn tokens_show_nowhere() {
    let kbase = KbaseServer::start().await.told("kbase-secret-token", Says::Is("carol", &["BERDL_USER"]));
    let away = nowhere();
    let mut lines = 0;
    for (url, order) in
        [(&kbase.url, "oidc,kubernetes,jupyterhub,kbase,static"), (&away, "kbase,static,oidc,kubernetes")]
    {
        let (auth, tokens) = all(url, order).await;
        let (log, errors) = recorded(&auth, &tokens).await;
        assert_silent(&log, &tokens);
        assert!(errors.len() >= 3, "{errors:?}");
        assert_silent(&format!("{errors:?} {auth:?}"), &tokens);
        lines += log.lines().count();
        if *url == away {
            assert!(log.contains("cannot ask whose a token is"), "{log}");
        }
    }
    assert!(lines > 100, "the log was recorded at the finest level: {lines} lines");
}
