//! Temporary credentials.

use minio_manager::minio::{Credentials, Holder};

use super::*;
use crate::support::sts::{Session, element};

#[tokio::test]
async fn temporary_credentials_end_when_they_are_revoked() {
    let client = client();
    let bucket = unique("sessions");
    client.create_bucket(&bucket).await.unwrap();
    client.put_object(&bucket, "k", "x", false).await.unwrap();
    let user = Credentials::new(unique("user"), secret());
    client.add_user(&user.access_key, &user.secret, true).await.unwrap();
    client.set_mapping(&Holder::User(user.access_key.clone()), &set(&["readonly"])).await.unwrap();
    let (session, path) = (Session::begin(Server::shared().endpoint(), &user).await, format!("{bucket}/k"));
    assert_eq!(session.get(&path).await.0, 200);
    client.revoke_tokens(&user.access_key).await.unwrap();
    let (status, body) = session.get(&path).await;
    assert_eq!((status, element(&body, "Code")), (403, "InvalidAccessKeyId"), "{body}");
    let own = client.probe_object(&user, http::Method::GET, &bucket, Some("k"), &[]).await.unwrap();
    assert_eq!(own, 200, "the user's own credentials stay");
    client.revoke_tokens(&unique("nobody")).await.unwrap();
}
