//! What tokens of an OpenID Connect provider say, in policies: every claim that MinIO knows as a variable.

use std::sync::Arc;

use jsonwebtoken::Algorithm;
use minio_manager::{iam::vocabulary::COMMON_KEYS, minio::Credentials};
use serde_json::{Value, json};

use super::examples;
use crate::{
    proxy::wire::{Answer, Ask, Line},
    rest::auth::issuer::{AUDIENCE, Provider, Signer},
    support::{kube::install_crypto, minio::Server, product::Setup, sts::element, world::World},
};

/// A provider, and a MinIO that believes it.
struct Scene {
    world: World,
    provider: Provider,
    signer: Signer,
    line: Line,
}

/// Somebody who has signed in with a token.
struct Session {
    key: Credentials,
    token: String,
}

impl Scene {
    async fn new() -> Self {
        install_crypto();
        let signer = Signer::new("first", Algorithm::RS256);
        let provider = Provider::start(vec![signer.public()]).await;
        let described = format!("{}/.well-known/openid-configuration", provider.url);
        // The server asks the provider while it starts, which this thread must not be busy with.
        let server = tokio::task::spawn_blocking(move || {
            Server::start_with_variables(&[
                ("MINIO_IDENTITY_OPENID_CONFIG_URL", &described),
                ("MINIO_IDENTITY_OPENID_CLIENT_ID", AUDIENCE),
                ("MINIO_IDENTITY_OPENID_CLAIM_NAME", "policy"),
            ])
        });
        let world = World::own(Setup { minio: Some(Arc::new(server.await.unwrap())), ..Setup::default() }).await;
        let line = Line::plain(world.product().minio().endpoint().authority());
        Self { world, provider, signer, line }
    }

    /// Signs in with a token that has these claims beside the necessary ones, and names these policies.
    async fn sign_in(&self, policies: &str, claims: Value) -> Session {
        let mut all = self
            .provider
            .claims_with(json!({"policy": policies, "preferred_username": null, "groups": null, "email": null}));
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let endpoint = self.world.product().minio().endpoint().to_string();
        let form = format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&DurationSeconds=3600&WebIdentityToken={}",
            self.signer.sign(&all)
        );
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.post(endpoint).header("content-type", "application/x-www-form-urlencoded").body(form);
        let answer = request.send().await.unwrap();
        let (status, xml) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{xml}");
        let key = Credentials::new(element(&xml, "AccessKeyId"), element(&xml, "SecretAccessKey"));
        Session { key, token: element(&xml, "SessionToken").to_owned() }
    }

    fn get(&self, who: &Session, path: &str, query: Option<&str>) -> Answer {
        let ask = Ask::get(format!("/{path}"));
        let ask = query.map_or(ask.clone(), |query| ask.query(query));
        self.line.send_with(&who.key, &who.token, &ask)
    }

    #[track_caller]
    fn done(&self, who: &Session, path: &str, query: Option<&str>) {
        let answer = self.get(who, path, query);
        assert!(answer.is_done(), "{path} {query:?}: {answer:?}");
    }

    #[track_caller]
    fn refused(&self, who: &Session, path: &str, query: Option<&str>) {
        let answer = self.get(who, path, query);
        assert_eq!((answer.status, answer.code()), (403, "AccessDenied"), "{path} {query:?}: {answer:?}");
    }
}

fn claims() -> impl Iterator<Item = &'static str> {
    COMMON_KEYS.iter().filter_map(|key| key.strip_prefix("jwt:"))
}

/// A policy that gives a folder for each claim, by its value.
fn policy_of_every_claim() -> String {
    let resources: Vec<String> =
        claims().map(|claim| format!("'arn:aws:s3:::lake/claims/{claim}/${{jwt:{claim}}}/*'")).collect();
    format!(
        "kind: MinioPolicy\nmetadata: {{name: every-claim}}\nspec:\n  allowUnsafeVariables: true\n  document:\n    \
         Version: '2012-10-17'\n    Statement:\n    - {{Effect: Allow, Action: ['s3:GetObject'], Resource: [{}]}}\n",
        resources.join(", ")
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_fill_in_variables_and_callers_fill_in_those_that_a_token_lacks() {
    let scene = Scene::new().await;
    let world = &scene.world;
    for name in ["variable-jwt", "variable-username"] {
        world.apply(&examples::file(name)).await;
        world.ready("MinioPolicy", name).await;
    }
    world.apply(&policy_of_every_claim()).await;
    world.ready("MinioPolicy", "every-claim").await;

    // The example: a folder each, by the name in the token.
    let (own, other) = ("lake/examples/jwt/jo/file", "lake/examples/jwt/other/file");
    world.seed(&[own, other]).await;
    let jo = scene.sign_in("variable-jwt", json!({"preferred_username": "jo"})).await;
    scene.done(&jo, own, None);
    scene.refused(&jo, other, None);
    scene.refused(&jo, other, Some("preferred_username=other"));

    // Every claim, said by the token: nobody says otherwise.
    let value = |claim: &str| if claim == "aud" { AUDIENCE } else { "mine" };
    let mut full: serde_json::Map<String, Value> =
        claims().map(|claim| (claim.to_owned(), json!(value(claim)))).collect();
    // Of a list the first counts.
    full["groups"] = json!(["mine", "other"]);
    let full = scene.sign_in("every-claim", full.into()).await;
    for claim in claims() {
        let [mine, other] = [value(claim), "other"].map(|value| format!("lake/claims/{claim}/{value}/file"));
        world.seed(&[&mine, &other]).await;
        scene.done(&full, &mine, None);
        scene.refused(&full, &other, None);
        scene.refused(&full, &other, Some(&format!("{claim}=other")));
    }

    // Every claim that the token lacks, said by the caller.
    let bare = scene.sign_in("every-claim", json!({})).await;
    let lacking: Vec<&str> = claims().filter(|claim| !["aud", "iss", "sub"].contains(claim)).collect();
    assert_eq!(lacking.len(), 19);
    for claim in lacking {
        let other = format!("lake/claims/{claim}/other/file");
        scene.refused(&bare, &other, None);
        scene.done(&bare, &other, Some(&format!("{claim}=other")));
    }

    // A claim that is called username is the name of the user for policies, too.
    let vera = "lake/examples/username/vera/file";
    world.seed(&[vera]).await;
    let named = scene.sign_in("variable-username", json!({"username": "vera"})).await;
    scene.done(&named, vera, None);
    let nameless = scene.sign_in("variable-username", json!({})).await;
    scene.refused(&nameless, vera, None);
    scene.refused(&nameless, vera, Some("username=vera"));
}
