//! Users, groups and members through REST, beside those that git and people declare.

mod beside_git;
mod ending;
mod groups;
mod members;
mod users;

use std::sync::Arc;

use serde_json::Value;

use crate::support::rest::{Answer, Person, Service, ServiceSetup, with_layout};
use crate::support::s3::Caller;
use crate::support::world::{View, World};

/// A world with a service, an administrator who has a user, and people who have none yet.
struct Stage {
    world: World,
    service: Arc<Service>,
    boss: Person,
}

impl Stage {
    async fn begin(layout: &str, people: &[&str]) -> Self {
        Self::with(layout, people, &[]).await
    }

    async fn with(layout: &str, people: &[&str], arguments: &[&str]) -> Self {
        let setup = ServiceSetup::default().person("boss", true).with(&["--rest-writes-per-second", "0"]);
        let setup = people.iter().fold(setup, |setup, name| setup.person(name, false)).with(arguments);
        let (world, service) = with_layout(layout, setup).await;
        let boss = service.person("boss");
        boss.post("/management/users/boss").await.expect(201);
        Self { world, service, boss }
    }

    fn person(&self, name: &str) -> Person {
        self.service.person(name)
    }

    /// Makes the user and gives its key.
    async fn user(&self, name: &str) -> Caller {
        self.boss.post(&format!("/management/users/{name}")).await.expect(201);
        self.person(name).at_s3(&self.world).await
    }

    /// Makes the group and gives the path of a file in its folder.
    async fn group(&self, name: &str) -> String {
        self.boss.post(&format!("/management/groups/{name}")).await.expect(201);
        self.file_of(name).await
    }

    /// A file in the folder of a group.
    async fn file_of(&self, group: &str) -> String {
        let path = format!("cdm-lake/tenant-general-warehouse/{group}/data/file");
        self.world.seed(&[&path]).await;
        path
    }

    async fn add(&self, group: &str, user: &str) -> Answer {
        self.boss.post(&member(group, user)).await
    }

    async fn take_out(&self, group: &str, user: &str) -> Answer {
        self.boss.delete(&member(group, user)).await
    }

    /// The entries of the membership that REST keeps for a group, by name and access.
    async fn entries(&self, object: &str) -> Option<Vec<(String, String)>> {
        let view: View = self.world.find("GroupMembership", object).await?;
        let text = |member: &Value, field: &str| member[field].as_str().unwrap_or_default().to_owned();
        let members = view.0["spec"]["members"].as_array().cloned().unwrap_or_default();
        Some(members.iter().map(|member| (text(member, "name"), text(member, "access"))).collect())
    }
}

fn member(group: &str, user: &str) -> String {
    format!("/management/groups/{group}/members/{user}")
}

/// Status, code, and the message that an error carries; it must be in `detail` too.
#[track_caller]
fn refusal(answer: &Answer) -> (u16, Option<i64>, String) {
    assert_eq!(answer.body["detail"], answer.body["message"], "{}", answer.text);
    let (status, code) = answer.code();
    (status, code, answer.body["message"].as_str().unwrap_or_default().to_owned())
}

/// Fails unless the answer is this error, with these words in its message.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: Option<i64>, words: &[&str]) {
    let (got_status, got_code, message) = refusal(answer);
    assert_eq!((got_status, got_code), (status, code), "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().expect("a list").iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
}
