use minio_manager::minio::{Credentials, KeyState};

use super::*;

#[tokio::test]
async fn users_are_created_changed_listed_and_removed() {
    let client = client();
    let name = unique("alice");
    assert_eq!(client.user_info(&name).await.unwrap(), None);

    client.add_user(&name, &secret(), false).await.unwrap();
    assert!(!client.user_info(&name).await.unwrap().unwrap().enabled);
    client.set_user_status(&name, true).await.unwrap();
    client.set_user_status(&name, true).await.unwrap();
    let (group, policy) = (unique("group"), some_policy(&client).await);
    client.update_group_members(&group, &set(&[&name]), false).await.unwrap();
    client.set_mapping(&minio_manager::minio::Holder::User(name.clone()), &set(&[&policy])).await.unwrap();

    let read = client.user_info(&name).await.unwrap().unwrap();
    assert!(read.enabled);
    assert_eq!((&read.policies, &read.member_of), (&set(&[&policy]), &set(&[&group])));
    assert_eq!(client.list_users().await.unwrap()[&name], read);

    assert!(client.remove_user(&name).await.unwrap());
    assert!(!client.remove_user(&name).await.unwrap());
    assert_eq!(client.user_info(&name).await.unwrap(), None);
    assert!(!client.list_users().await.unwrap().contains_key(&name));
    assert!(client.group_info(&group).await.unwrap().unwrap().members.is_empty(), "removal ends memberships");
}

#[tokio::test]
async fn adding_a_user_again_replaces_secret_and_status_only() {
    let client = client();
    let (name, policy) = (some_user(&client).await, some_policy(&client).await);
    client.set_mapping(&minio_manager::minio::Holder::User(name.clone()), &set(&[&policy])).await.unwrap();
    let new = secret();
    client.add_user(&name, &new, true).await.unwrap();
    assert_eq!(client.user_info(&name).await.unwrap().unwrap().policies, set(&[policy]));
    assert_eq!(client.probe(&Credentials::new(name, new)).await.unwrap(), KeyState::Works);
}

#[tokio::test]
async fn the_status_of_nobody_cannot_be_set() {
    let result = client().set_user_status(&unique("nobody"), true).await;
    assert_error(result, Class::Absent, 404, "XMinioAdminNoSuchUser");
}

#[tokio::test]
async fn short_names_and_secrets_are_refused() {
    let client = client();
    assert_error(client.add_user("ab", &secret(), true).await, Class::Invalid, 400, "XMinioAdminInvalidAccessKey");
    let short = Secret::new("1234567");
    assert_error(client.add_user(&unique("u"), &short, true).await, Class::Invalid, 400, "XMinioAdminInvalidSecretKey");
}

#[tokio::test]
async fn the_root_user_is_out_of_reach() {
    let client = client();
    let root = Server::shared().root().access_key;
    assert_eq!(client.add_user(&root, &secret(), true).await.unwrap_err().class(), Class::Refused);
    assert!(!client.remove_user(&root).await.unwrap(), "to the server it is no user");
    client.list_users().await.unwrap();
}

#[tokio::test]
async fn names_with_awkward_characters_survive() {
    let client = client();
    for name in ["a b+c%d", "ünï~cödé", "x@example.org", "semi;colon&amp", "a/b", "q?u#e"] {
        let name = unique(name);
        client.add_user(&name, &secret(), true).await.unwrap();
        assert!(client.user_info(&name).await.unwrap().unwrap().enabled, "{name}");
        assert!(client.list_users().await.unwrap().contains_key(&name), "{name}");
        assert!(client.remove_user(&name).await.unwrap(), "{name}");
    }
}

#[tokio::test]
async fn credentials_are_refused_and_exchanged_at_run_time() {
    let client = client();
    let root = Server::shared().root();
    client.set_credentials(Credentials::new(root.access_key.as_str(), "not-the-secret"));
    assert_error(client.list_users().await, Class::Refused, 403, "SignatureDoesNotMatch");
    client.set_credentials(root);
    client.list_users().await.unwrap();
}

#[tokio::test]
async fn a_clock_far_off_is_not_taken_for_wrong_credentials() {
    let mut config = Server::shared().config();
    config.clock = std::sync::Arc::new(|| jiff::Timestamp::now() - jiff::SignedDuration::from_mins(20));
    let client = Client::new(config).unwrap();
    assert_error(client.list_users().await, Class::Unavailable, 403, "RequestTimeTooSkewed");
    let skew = client.clock_skew().unwrap();
    assert!((skew - jiff::SignedDuration::from_mins(20)).abs() < jiff::SignedDuration::from_secs(5), "{skew}");
}
