//! Sharing through REST: every answer, and after every success the proof at S3 without a second try.

mod beside;
mod crowd;
mod ending;
mod info;
mod public;
mod refusals;
mod share;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::rest::{Answer, Service, ServiceSetup, with_layout};
use crate::support::s3::Caller;
use crate::support::world::World;

const SHARE: &str = "/sharing/share";
const UNSHARE: &str = "/sharing/unshare";
const PUBLIC: &str = "/sharing/make-public";
const PRIVATE: &str = "/sharing/make-private";
const INFO: &str = "/sharing/get_path_access_info";

/// A service with people who have signed in.
struct Stage {
    world: World,
    service: Arc<Service>,
}

impl Stage {
    async fn start(layout: &str, people: &[&str]) -> Self {
        let setup = ServiceSetup::default().with(&["--rest-writes-per-second", "0"]).person("boss", true);
        let setup = people.iter().fold(setup, |setup, name| setup.person(name, false));
        let (world, service) = with_layout(layout, setup).await;
        for name in people.iter().chain(&["boss"]) {
            service.person(name).get("/credentials/").await.expect(200);
        }
        Self { world, service }
    }

    async fn post(&self, who: &str, path: &str, body: Value) -> Answer {
        self.service.person(who).post_json(path, body).await
    }

    async fn get(&self, who: &str, path: &str) -> Value {
        self.service.person(who).get(path).await.expect(200)
    }

    async fn s3(&self, who: &str) -> Caller {
        self.service.person(who).at_s3(&self.world).await
    }

    /// Shares and expects that it worked for all.
    async fn share(&self, who: &str, path: &str, with: &[&str], permission: &str) -> Value {
        let body = json!({"path": path, "with_users": with, "permission": permission});
        self.post(who, SHARE, body).await.expect(200)
    }

    /// The objects of this service.
    async fn shares(&self) -> Vec<Value> {
        self.world.objects("PathShare").await.into_iter().map(|view| view.0).collect()
    }
}

/// `bucket/key` below a general home of the layout `berdl`.
fn home(user: &str, rest: &str) -> String {
    format!("cdm-lake/users-general-warehouse/{user}/{rest}")
}

fn s3a(path: &str) -> String {
    format!("s3a://{path}")
}

#[track_caller]
fn error_of(body: &Value, number: usize) -> &str {
    body["errors"][number].as_str().unwrap_or_else(|| panic!("no error {number} in {body}"))
}
