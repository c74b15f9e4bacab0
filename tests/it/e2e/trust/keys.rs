//! Access keys for workloads.

use minio_manager::minio::KeyState;

use super::Trust;
use crate::e2e::keys::{access_key, holder};
use crate::support::{minio::unique, world::user};

#[tokio::test]
async fn keys_of_users_elsewhere_are_held_only_where_that_is_permitted() {
    let trust = Trust::enter().await;
    let [alice, pal, etl] = ["alice", "pal-bob", "etl"].map(unique);
    for name in [&alice, &pal] {
        trust.home.apply(&user(name, "")).await;
    }
    let alice = trust.home.person(&alice).await;
    let pal = trust.home.person(&pal).await;
    for owner in [&trust.team, &trust.unlisted] {
        owner.apply(&access_key(&etl, &alice.name, "")).await;
        let message = owner.stalled("MinioAccessKey", &etl, "NotPermitted").await;
        let permitted = if owner.namespace() == trust.team.namespace() { "pal-*" } else { "nothing" };
        assert!(message.contains(&alice.name) && message.contains(permitted), "{message}");
        assert!(owner.secret(&format!("miniokey-{etl}")).await.is_none());
    }
    assert_eq!(trust.home.access_keys(&alice.name).await.len(), 1);

    let (of_alice, of_pal) = (alice.home("file"), pal.home("file"));
    trust.home.seed(&[&of_alice, &of_pal]).await;
    let everything = unique("etl");
    let scope = format!(
        "scope: [{{path: 's3a://{}', access: ReadWrite}}, {{path: 's3a://{}', access: ReadWrite}}]",
        alice.home(""),
        pal.home("")
    );
    for (name, spec) in [(&unique("etl"), ""), (&everything, scope.as_str())] {
        trust.team.apply(&access_key(name, &pal.name, spec)).await;
        let key = holder(&trust.team, name).await;
        key.expect(&of_pal, "GPDL").await;
        key.expect(&of_alice, "").await;
        assert!(key.client().list_users().await.is_err());
    }
}

#[tokio::test]
async fn a_key_is_not_that_of_a_later_user_of_the_name() {
    let trust = Trust::enter().await;
    let [pal, etl] = ["pal-carol", "etl"].map(unique);
    trust.home.apply(&user(&pal, "")).await;
    trust.home.ready("MinioUser", &pal).await;
    trust.team.apply(&access_key(&etl, &pal, "")).await;
    let key = holder(&trust.team, &etl).await;
    trust.home.delete_and_wait("MinioUser", &pal).await;
    trust.team.ready_is("MinioAccessKey", &etl, "True", "Suspended").await;
    trust.home.apply(&user(&pal, "")).await;
    trust.home.ready("MinioUser", &pal).await;
    let view = trust.team.ready_is("MinioAccessKey", &etl, "True", "Suspended").await;
    assert!(view.message("Ready").contains(&pal), "{}", view.message("Ready"));
    assert_eq!(trust.home.minio().probe(key.credentials()).await.unwrap(), KeyState::Unknown);
    assert_eq!(trust.home.access_keys(&pal).await.len(), 1);
    assert!(trust.team.secret(&format!("miniokey-{etl}")).await.is_none());
}
