use http::Method;
use jiff::{SignedDuration, Timestamp};
use minio_manager::minio::{Credentials, Holder, KeyState, NewAccessKey};

use super::*;

fn new_key(parent: &str) -> NewAccessKey {
    NewAccessKey {
        parent: parent.to_owned(),
        credentials: Credentials::generate(),
        name: "minio-manager".to_owned(),
        description: "issued by a test".to_owned(),
        expiration: Some(in_minutes(60)),
        session_policy: None,
    }
}

fn in_minutes(minutes: i64) -> Timestamp {
    let now = Timestamp::now() + SignedDuration::from_mins(minutes);
    Timestamp::from_second(now.as_second()).unwrap()
}

#[tokio::test]
async fn keys_are_created_listed_proven_and_deleted() {
    let client = client();
    let user = some_user(&client).await;
    let key = new_key(&user);
    let id = key.credentials.access_key.clone();
    assert_eq!(client.probe(&key.credentials).await.unwrap(), KeyState::Unknown);
    assert_eq!(client.access_key_info(&id).await.unwrap(), None);
    assert!(client.list_access_keys(&user).await.unwrap().is_empty());

    client.add_access_key(&key).await.unwrap();
    assert_eq!(client.probe(&key.credentials).await.unwrap(), KeyState::Works);
    let listed = client.list_access_keys(&user).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].access_key.as_str(), listed[0].expiration, listed[0].enabled),
        (id.as_str(), key.expiration, Some(true))
    );
    assert_eq!((listed[0].name.as_str(), listed[0].description.as_str()), ("minio-manager", "issued by a test"));
    let info = client.access_key_info(&id).await.unwrap().unwrap();
    assert_eq!((info.parent.as_str(), &info.session_policy), (user.as_str(), &None));
    assert_eq!((&info.key.access_key, info.key.expiration), (&id, key.expiration));

    assert!(client.delete_access_key(&id).await.unwrap());
    assert!(!client.delete_access_key(&id).await.unwrap());
    assert_eq!(client.probe(&key.credentials).await.unwrap(), KeyState::Unknown);
}

#[tokio::test]
async fn a_key_that_may_not_be_deleted_is_not_taken_for_absent() {
    let client = client();
    let user = some_user(&client).await;
    let key = new_key(&user);
    client.add_access_key(&key).await.unwrap();
    let reader = Credentials::new(unique("reader"), secret());
    let name = &reader.access_key;
    let document =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["admin:ListServiceAccounts"]}]});
    client.add_user(name, &reader.secret, true).await.unwrap();
    client.put_policy(name, document.to_string()).await.unwrap();
    client.set_mapping(&Holder::User(name.clone()), &set(&[name])).await.unwrap();
    let reader = client.with_credentials(reader);
    let refused = reader.delete_access_key(&key.credentials.access_key).await.unwrap_err();
    assert_eq!(refused.class(), Class::Refused, "{refused}");
    assert_eq!(client.probe(&key.credentials).await.unwrap(), KeyState::Works);
    let stranger = client.with_credentials(key.credentials);
    assert!(stranger.delete_access_key("NOSUCHKEY").await.is_err(), "nothing is known without the right to look");
}

#[tokio::test]
async fn keys_of_many_users_are_listed_in_bulk() {
    let client = client();
    let (with, without) = (some_user(&client).await, some_user(&client).await);
    let (first, second) = (new_key(&with), NewAccessKey { expiration: None, ..new_key(&with) });
    client.add_access_key(&first).await.unwrap();
    client.add_access_key(&second).await.unwrap();
    let mut asked: BTreeSet<String> = (0..250).map(|index| format!("nobody-{index}")).collect();
    asked.extend([with.clone(), without.clone()]);
    let listed = client.list_access_keys_bulk(&asked).await.unwrap();
    assert_eq!(listed.keys().collect::<Vec<_>>(), [&with]);
    let mut found: Vec<_> = listed[&with].iter().map(|key| (key.access_key.clone(), key.expiration)).collect();
    found.sort();
    let mut expected = vec![(first.credentials.access_key, first.expiration), (second.credentials.access_key, None)];
    expected.sort();
    assert_eq!(found, expected);
    assert!(client.list_access_keys_bulk(&BTreeSet::new()).await.unwrap().is_empty(), "nobody is not everybody");
}

#[tokio::test]
async fn an_id_is_used_once() {
    let client = client();
    let (user, other) = (some_user(&client).await, some_user(&client).await);
    let key = new_key(&user);
    client.add_access_key(&key).await.unwrap();
    let again = client.add_access_key(&key).await;
    assert_error(again, Class::Conflict, 400, "XMinioIAMServiceAccountNotAllowed");
    let taken = client.add_access_key(&NewAccessKey { parent: other, ..key }).await;
    assert_error(taken, Class::Conflict, 400, "XMinioIAMServiceAccountNotAllowed");
}

#[tokio::test]
async fn nobody_and_disabled_users_get_no_keys() {
    let client = client();
    assert_error(client.add_access_key(&new_key(&unique("nobody"))).await, Class::Absent, 404, "XMinioAdminNoSuchUser");
    let user = some_user(&client).await;
    client.set_user_status(&user, false).await.unwrap();
    assert_error(client.add_access_key(&new_key(&user)).await, Class::Absent, 404, "XMinioAdminNoSuchUser");
}

#[tokio::test]
async fn expirations_outside_the_servers_range_are_invalid() {
    let client = client();
    let user = some_user(&client).await;
    for minutes in [16, 364 * 24 * 60] {
        client.add_access_key(&NewAccessKey { expiration: Some(in_minutes(minutes)), ..new_key(&user) }).await.unwrap();
    }
    for minutes in [14, 366 * 24 * 60] {
        let result =
            client.add_access_key(&NewAccessKey { expiration: Some(in_minutes(minutes)), ..new_key(&user) }).await;
        assert_error(result, Class::Invalid, 500, "InternalError");
    }
    let past = client.add_access_key(&NewAccessKey { expiration: Some(in_minutes(-5)), ..new_key(&user) }).await;
    assert_eq!(past.unwrap_err().class(), Class::Invalid);
}

#[tokio::test]
async fn keys_and_names_against_the_rules_are_invalid() {
    let client = client();
    let user = some_user(&client).await;
    let with = |access_key: &str, secret: &str| NewAccessKey {
        credentials: Credentials::new(access_key, secret),
        ..new_key(&user)
    };
    let long = client.add_access_key(&with(&"A".repeat(21), "secretsecret")).await;
    assert_error(long, Class::Invalid, 400, "XMinioAdminInvalidAccessKey");
    let long = client.add_access_key(&with("LONGSECRET", &"s".repeat(41))).await;
    assert_error(long, Class::Invalid, 400, "XMinioAdminInvalidSecretKey");
    let named = client.add_access_key(&NewAccessKey { name: "n".repeat(33), ..new_key(&user) }).await;
    assert_eq!(named.unwrap_err().class(), Class::Invalid);
}

#[tokio::test]
async fn a_session_policy_confines_a_key() {
    let client = client();
    let (user, bucket) = (some_user(&client).await, unique("keys"));
    client.create_bucket(&bucket).await.unwrap();
    client.set_mapping(&Holder::User(user.clone()), &set(&["readwrite"])).await.unwrap();
    let confined = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [format!("arn:aws:s3:::{bucket}/out/*")]}
    ]});
    let key = NewAccessKey { session_policy: Some(confined.clone()), ..new_key(&user) };
    client.add_access_key(&key).await.unwrap();
    let info = client.access_key_info(&key.credentials.access_key).await.unwrap().unwrap();
    assert_eq!(info.session_policy, Some(confined));
    let put = async |key_name: &str| {
        client.probe_object(&key.credentials, Method::PUT, &bucket, Some(key_name), &[]).await.unwrap()
    };
    assert_eq!((put("out/x").await, put("elsewhere").await), (200, 403));
}

#[tokio::test]
async fn a_session_policy_may_take_4096_bytes() {
    let client = client();
    let user = some_user(&client).await;
    let resources: Vec<String> =
        (0..60).map(|index| format!("arn:aws:s3:::bucket/a-path-of-some-length-{index:040}/*")).collect();
    let large = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": resources}]});
    assert!(large.to_string().len() > 4_096);
    let result = client.add_access_key(&NewAccessKey { session_policy: Some(large), ..new_key(&user) }).await;
    assert_error(result, Class::Invalid, 400, "XMinioIAMServiceAccountSessionPolicyTooLarge");
}

#[tokio::test]
async fn a_probe_tells_why_a_key_does_not_work() {
    let client = client();
    let name = unique("probed");
    let credentials = Credentials::new(name.as_str(), secret());
    assert_eq!(client.probe(&credentials).await.unwrap(), KeyState::Unknown);
    client.add_user(&name, &credentials.secret, true).await.unwrap();
    assert_eq!(client.probe(&credentials).await.unwrap(), KeyState::Works, "without any policy");
    let wrong = Credentials::new(name.as_str(), secret());
    assert_eq!(client.probe(&wrong).await.unwrap(), KeyState::WrongSecret);
    let key = new_key(&name);
    client.add_access_key(&key).await.unwrap();
    client.set_user_status(&name, false).await.unwrap();
    assert_eq!(client.probe(&credentials).await.unwrap(), KeyState::Disabled);
    assert_eq!(
        client.probe(&key.credentials).await.unwrap(),
        KeyState::Works,
        "keys below a disabled user authenticate"
    );
    client.set_user_status(&name, true).await.unwrap();
    client.set_mapping(&Holder::User(name.clone()), &set(&["consoleAdmin"])).await.unwrap();
    assert_eq!(client.probe(&credentials).await.unwrap(), KeyState::Works);
    assert_eq!(client.probe(&key.credentials).await.unwrap(), KeyState::Works);
    client.remove_user(&name).await.unwrap();
    assert_eq!(client.probe(&key.credentials).await.unwrap(), KeyState::Unknown, "keys go with their user");
}
