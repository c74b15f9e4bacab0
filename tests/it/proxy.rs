//! `deploy/proxy/nginx.conf` in a real nginx before a real MinIO: what callers can tell MinIO about themselves, and cannot any
//! more once this proxy is between them.

mod clients;
mod keys;
mod manifest;
mod nginx;
mod places;
mod tricks;
pub mod wire;

use std::collections::BTreeSet;

use minio_manager::minio::{Client, Credentials, Holder};
use serde_json::{Value, json};

use crate::support::minio::{Server, unique};
use nginx::Nginx;
use wire::{Answer, Ask, Line};

/// A MinIO with a bucket, reached directly and through the proxy.
struct Scene {
    root: Client,
    bucket: String,
    /// To MinIO itself.
    bare: Line,
    /// Through the proxy.
    guarded: Line,
    nginx: Nginx,
}

impl Scene {
    async fn new() -> Self {
        let server = Server::shared();
        let nginx = Nginx::before(server);
        let (root, bucket) = (server.client(), unique("proxy"));
        root.create_bucket(&bucket).await.unwrap();
        let bare = Line::plain(server.endpoint().authority());
        Self { root, bucket, bare, guarded: nginx.line(), nginx }
    }

    /// Writes an object into the bucket.
    async fn put(&self, key: &str) {
        self.root.put_object(&self.bucket, key, "content", false).await.unwrap();
    }

    /// A new user whom these statements allow what they say.
    async fn user(&self, statements: Vec<Value>) -> Credentials {
        let user = Credentials::new(unique("caller"), Credentials::generate().secret);
        let name = &user.access_key;
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        self.root.put_policy(name, document.to_string()).await.unwrap();
        self.root.add_user(name, &user.secret, true).await.unwrap();
        self.root.set_mapping(&Holder::User(name.clone()), &BTreeSet::from([name.clone()])).await.unwrap();
        user
    }

    /// Fails unless a request works on MinIO itself and is stopped by the proxy.
    #[track_caller]
    fn stopped(&self, who: &Credentials, trick: &Ask<'_>) {
        let answer = self.bare.send(who, trick);
        assert!(answer.is_done(), "this does not work even without the proxy: {trick:?}: {answer:?}");
        let answer = self.guarded.send(who, trick);
        assert!(answer.is_refused(), "{trick:?} through the proxy: {answer:?}");
    }

    /// Fails unless both answer as MinIO does to whoever may not do it.
    #[track_caller]
    fn denied(&self, who: &Credentials, ask: &Ask<'_>) {
        for line in [&self.bare, &self.guarded] {
            let answer = line.send(who, ask);
            assert_eq!((answer.status, answer.code()), (403, "AccessDenied"), "{ask:?}: {answer:?}");
        }
    }

    /// Fails unless a request works through the proxy.
    #[track_caller]
    fn works(&self, who: &Credentials, ask: &Ask<'_>) -> Answer {
        let answer = self.guarded.send(who, ask);
        assert!(answer.is_done(), "{ask:?} through the proxy: {answer:?}");
        answer
    }
}

/// A statement that allows something under a condition.
fn allow(action: &str, resource: &str, condition: Value) -> Value {
    json!({"Effect": "Allow", "Action": [action], "Resource": [format!("arn:aws:s3:::{resource}")], "Condition": condition})
}
