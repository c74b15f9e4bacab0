//! What is in a Secret of somebody else is given to nobody.

use minio_manager::minio::KeyState;
use serde_json::json;

use crate::support::rest::{Person, ServiceSetup, with_layout};
use crate::support::world::{World, user};

const KEY: &str = "/credentials/";
/// What must never be in an answer.
const FOREIGN: &str = "the-secret-of-somebody-else-0123456789";

/// Asks for the key in every way there is; none of them gives one.
async fn assert_refused(person: &Person, status: u16, code: i64) -> String {
    let answers = [
        person.get(KEY).await,
        person.get("/credentials/process").await,
        person.post("/credentials/rotate").await,
        person.post("/credentials/rotate?revoke=true").await,
    ];
    for answer in &answers {
        assert_eq!(answer.code(), (status, Some(code)), "{}", answer.text);
        assert!(!answer.text.contains(FOREIGN) && !answer.text.contains("secret_key"), "{}", answer.text);
    }
    answers[0].text.clone()
}

async fn assert_key_works(world: &World, person: &Person) {
    // The service hears of it from a watch of its own.
    world.eventually("the key is given out", async || person.get(KEY).await.status == 200).await;
    let caller = person.at_s3(world).await;
    assert_eq!(world.minio().probe(caller.credentials()).await.unwrap(), KeyState::Works);
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_never_given_out() {
    let people = ["alice", "bob", "carol"];
    let setup = people.iter().fold(ServiceSetup::default(), |setup, name| setup.person(name, false));
    let (world, service) = with_layout("berdl", setup).await;
    let reference = |kind: &str, name: &str| {
        let version = if kind == "Deployment" { "apps/v1" } else { "minio-manager.io/v1alpha1" };
        json!([{"apiVersion": version, "kind": kind, "name": name, "uid": "11111111-2222-3333-4444-555555555555"}])
    };
    let owners = [json!([]), reference("Deployment", "web"), reference("MinioUser", "carol")];
    let holders = ["nobody", "Deployment web", "a former MinioUser carol"];
    for ((name, owners), holder) in people.iter().zip(owners).zip(holders) {
        // It looks like a Secret of ours, as far as anybody can make it look so.
        let secret = json!({
            "kind": "Secret",
            "metadata": {
                "name": format!("minio-{name}"), "ownerReferences": owners,
                "labels": {"minio-manager.io/username-slug": name},
            },
            "stringData": {
                "AWS_ACCESS_KEY_ID": "AKEXAMPLE00000000000", "AWS_SECRET_ACCESS_KEY": FOREIGN, "S3_USER": name,
                "S3_EXPIRATION": "2037-01-01T00:00:00Z",
            },
        });
        world.apply(&secret.to_string()).await;
        world.apply(&user(name, "")).await;
        world.stalled("MinioUser", name, "SecretConflict").await;
        let person = service.person(name);
        let said = assert_refused(&person, 400, 20030).await;
        assert!(said.contains(&format!("belongs to {holder}")), "{said}");
        world.delete("Secret", &format!("minio-{name}")).await;
        world.apply(&user(name, "enabled: true")).await;
        world.ready("MinioUser", name).await;
        assert_key_works(&world, &person).await;
    }
}

/// Nobody is there to notice it: the status still says that all is well.
#[tokio::test]
async fn a_secret_that_somebody_put_in_place_of_the_users_is_not_given_out() {
    let (world, service) = with_layout("berdl", ServiceSetup::default().person("alice", false)).await;
    world.apply(&user("alice", "")).await;
    let own = world.person("alice").await;
    let service = service.person("alice");
    world.product().kill();
    let held = world.secret(&own.secret).await.unwrap();
    let mut owners = json!(held.metadata.owner_references);
    owners[0]["uid"] = json!("11111111-2222-3333-4444-555555555555");
    world.delete("Secret", &own.secret).await;
    // All but the owner is as it was.
    let metadata = json!({
        "name": own.secret, "labels": held.metadata.labels, "annotations": held.metadata.annotations,
        "ownerReferences": owners,
    });
    world.apply(&json!({"kind": "Secret", "metadata": metadata, "data": held.data}).to_string()).await;
    let answer = service.get(KEY).await;
    assert_eq!(answer.code(), (503, Some(20050)), "{}", answer.text);
    assert!(!answer.text.contains(own.credentials().secret.expose()));

    world.product().launch();
    world.stalled("MinioUser", "alice", "SecretConflict").await;
    // The service hears of it from a watch of its own.
    world.eventually("the service knows", async || service.get(KEY).await.status == 400).await;
    assert_refused(&service, 400, 20030).await;
    world.delete("Secret", &own.secret).await;
    world.ready("MinioUser", "alice").await;
    assert_key_works(&world, &service).await;
}
