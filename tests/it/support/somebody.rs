//! Somebody else who changes things on the same MinIO.

use std::{collections::BTreeSet, process::Command, sync::Arc};

use minio_manager::minio::{Client, Credentials, Holder};

use super::{
    kube::tool,
    minio::{Server, unique},
    world::World,
};

/// Another administrator of the same MinIO, with a client of another maker.
pub struct Somebody {
    /// The administrator's own client, for what scripts do in one request.
    pub client: Client,
    host: String,
}

impl Somebody {
    /// An administrator beside a product.
    pub async fn of(world: &World) -> Self {
        let credentials = Credentials::new(unique("somebody"), Credentials::generate().secret);
        world.minio().add_user(&credentials.access_key, &credentials.secret, true).await.unwrap();
        let holder = Holder::User(credentials.access_key.clone());
        world.minio().set_mapping(&holder, &BTreeSet::from(["consoleAdmin".to_owned()])).await.unwrap();
        let authority = world.product().minio().endpoint().authority().to_owned();
        let host = format!("http://{}:{}@{authority}", credentials.access_key, credentials.secret.expose());
        Self { client: world.minio().with_credentials(credentials), host }
    }

    /// Runs `mc admin ...`, whose words are parted by blanks; `M` is the server.
    pub fn does(&self, words: &str) {
        let output = Command::new(tool("mc", "MINIO_MANAGER_MC_BIN"))
            .args(["--quiet", "admin"])
            .args(words.split(' '))
            .env("MC_CONFIG_DIR", std::env::temp_dir().join("minio-manager-mc"))
            .env("MC_HOST_M", &self.host)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "mc admin {words}: {said}");
    }
}

/// A policy that allows everything.
pub const EVERYTHING: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#;

/// Waits until the trace is followed and the audit that this causes is over.
pub async fn is_followed(world: &World) {
    world.eventually("the trace is followed", async || world.product().stderr().contains("noticed at once")).await;
    let audits = || world.product().metrics().sum("minio_manager_audit_duration_seconds_count", &[]);
    world.eventually("an audit", async || audits() > 0.0).await;
}

/// A MinIO, and an identity on it that may do everything but follow the trace.
pub async fn without_trace() -> (Arc<Server>, Credentials) {
    let minio = Arc::new(Server::start());
    let root = minio.client();
    let identity = Credentials::new("controller", Credentials::generate().secret);
    let policy = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":["admin:*"]},{"Effect":"Deny","Action":["admin:ServerTrace"]},
        {"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#;
    root.put_policy("identity", policy).await.unwrap();
    root.add_user("controller", &identity.secret, true).await.unwrap();
    root.set_mapping(&Holder::User("controller".to_owned()), &BTreeSet::from(["identity".to_owned()])).await.unwrap();
    (minio, identity)
}
