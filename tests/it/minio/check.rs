use minio_manager::minio::{Ability, Credentials, Holder, Verdict};

use super::*;

#[tokio::test]
async fn the_server_tells_its_version() {
    let info = client().server_info().await.unwrap();
    let version = info.version.unwrap();
    assert!(version.starts_with("20") && version.contains('T'), "{version}");
    assert!(info.deployment_id.is_some());
    assert_eq!(info.mode.as_deref(), Some("online"));
}

#[tokio::test]
async fn clocks_are_compared() {
    let client = client();
    client.list_users().await.unwrap();
    assert!(client.clock_skew().unwrap().abs() < jiff::SignedDuration::from_secs(3));
}

#[tokio::test]
async fn root_may_everything_and_probing_leaves_nothing_behind() {
    let server = Server::start();
    let client = server.client();
    let names = async || {
        let policies: Vec<String> = client.list_all_policies().await.unwrap().into_keys().collect();
        (client.list_all_groups().await.unwrap(), policies)
    };
    let before = names().await;
    for ability in Ability::ALL {
        assert_eq!(client.ability(*ability).await.unwrap(), Verdict::Allowed, "{ability:?}");
    }
    assert_eq!(names().await, before);
    assert!(client.list_users().await.unwrap().is_empty());
}

/// The identity that has `actions` and nothing else.
async fn identity(client: &Client, actions: &[&str]) -> Client {
    let credentials = Credentials::new(unique("identity"), secret());
    let name = &credentials.access_key;
    let document = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions}]});
    client.add_user(name, &credentials.secret, true).await.unwrap();
    client.put_policy(name, document.to_string()).await.unwrap();
    client.set_mapping(&Holder::User(name.clone()), &set(&[name])).await.unwrap();
    client.with_credentials(credentials)
}

/// These two are asked through a call that any of the three allows.
const SHARED: [Ability; 3] = [Ability::ListUsers, Ability::ListGroups, Ability::ListUserPolicies];

#[tokio::test]
async fn each_ability_is_told_from_the_others() {
    let root = client();
    for granted in Ability::ALL {
        let client = identity(&root, &[granted.action()]).await;
        for asked in Ability::ALL {
            let shared = *asked != Ability::ListUsers && SHARED.contains(asked) && SHARED.contains(granted);
            let expected = if asked == granted || shared { Verdict::Allowed } else { Verdict::Denied };
            assert_eq!(client.ability(*asked).await.unwrap(), expected, "{asked:?} with {granted:?}");
        }
    }
}

#[tokio::test]
async fn wrong_credentials_prove_nothing_about_abilities() {
    let stranger = client().with_credentials(Credentials::new(unique("nobody"), secret()));
    assert_error(stranger.ability(Ability::GetUser).await, Class::Refused, 403, "InvalidAccessKeyId");
}

#[tokio::test]
async fn a_private_certificate_is_trusted_through_the_bundle_only() {
    let server = Server::start_with_tls();
    assert!(server.endpoint().is_https());
    server.client().server_info().await.unwrap();
    let mut config = server.config();
    config.ca_bundle = None;
    let error = Client::new(config).unwrap().server_info().await.unwrap_err();
    assert_eq!((error.class(), error.status()), (Class::Unavailable, None), "{error}");
}
