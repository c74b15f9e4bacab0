use minio_manager::minio::Holder;

use super::*;

#[tokio::test]
async fn policies_are_written_read_and_removed() {
    let client = client();
    let name = unique("policy");
    assert_eq!(client.policy_info(&name).await.unwrap(), None);
    client.put_policy(&name, reading("one").to_string()).await.unwrap();
    let first = client.policy_info(&name).await.unwrap().unwrap();
    assert_eq!(first.document, reading("one"));
    client.put_policy(&name, reading("two").to_string()).await.unwrap();
    let second = client.policy_info(&name).await.unwrap().unwrap();
    assert_eq!((second.document, second.created), (reading("two"), first.created));
    assert!(first.created.is_some() && second.updated >= first.updated);
    let all = client.list_all_policies().await.unwrap();
    assert_eq!(all[&name], reading("two"));
    assert!(all.contains_key("readwrite"));
    client.remove_policy(&name).await.unwrap();
    client.remove_policy(&name).await.unwrap();
    assert_eq!(client.policy_info(&name).await.unwrap(), None);
}

#[tokio::test]
async fn the_sid_survives() {
    let client = client();
    let name = unique("policy");
    let mut document = reading("one");
    document["Statement"][0]["Sid"] = json!("minio-manager:0d1d9f42");
    client.put_policy(&name, document.to_string()).await.unwrap();
    assert_eq!(client.policy_info(&name).await.unwrap().unwrap().document, document);
}

#[tokio::test]
async fn a_document_that_the_server_cannot_say_is_there_and_can_be_replaced() {
    // It cannot start with such a document either, so it is one of the test's own.
    let server = Server::start();
    let client = server.client();
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "NotAction": ["s3:PutObject"], "Resource": ["arn:aws:s3:::bucket/*"]}
    ]});
    client.put_policy("odd", document.to_string()).await.unwrap();
    assert_eq!(client.policy_info("odd").await.unwrap().unwrap().document, json!(null));
    client.put_policy("odd", reading("one").to_string()).await.unwrap();
    assert_eq!(client.policy_info("odd").await.unwrap().unwrap().document, reading("one"));
}

#[tokio::test]
async fn a_policy_in_use_is_not_removed() {
    let client = client();
    let (user, policy) = (some_user(&client).await, some_policy(&client).await);
    let holder = Holder::User(user);
    client.set_mapping(&holder, &set(&[&policy])).await.unwrap();
    assert_error(client.remove_policy(&policy).await, Class::Conflict, 400, "XMinioIAMPolicyInUse");
    client.set_mapping(&holder, &BTreeSet::new()).await.unwrap();
    client.remove_policy(&policy).await.unwrap();
}

#[tokio::test]
async fn built_in_policies_are_not_removed() {
    assert_error(client().remove_policy("readonly").await, Class::Internal, 500, "InternalError");
}

#[tokio::test]
async fn documents_may_take_20480_bytes() {
    let client = client();
    let name = unique("policy");
    let mut document = reading("padded").to_string();
    document.push_str(&" ".repeat(20_480 - document.len()));
    client.put_policy(&name, document.clone()).await.unwrap();
    document.push(' ');
    assert_error(client.put_policy(&name, document).await, Class::Invalid, 400, "EntityTooLarge");
}

#[tokio::test]
async fn malformed_documents_are_refused() {
    let client = client();
    let name = unique("policy");
    for (document, code) in [
        ("{", "XMinioMalformedIAMPolicy"),
        (r#"{"Version":"","Statement":[]}"#, "MalformedPolicy"),
        (r#"{"Version":"2012-10-17","Statement":[]}"#, "XMinioAdminInvalidArgument"),
        (
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetBucketAcl"],"Resource":["arn:aws:s3:::b"]}]}"#,
            "XMinioMalformedIAMPolicy",
        ),
    ] {
        assert_error(client.put_policy(&name, document).await, Class::Invalid, 400, code);
    }
    assert_error(client.put_policy("a,b", reading("x").to_string()).await, Class::Invalid, 400, "PolicyInvalidName");
}
