//! Temporary credentials: the client only revokes them, so the tests get them by themselves.

use std::time::SystemTime;

use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use minio_manager::minio::{Credentials, Holder};

use super::*;

/// Signs for `service` and sends; status and body of the answer.
async fn send(
    service: &str,
    credentials: &AwsCredentials,
    method: &str,
    path: &str,
    body: &'static str,
) -> (u16, String) {
    let url = format!("{}{path}", Server::shared().endpoint());
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder().identity(&identity).region("us-east-1").name(service);
    let params = params.time(SystemTime::now()).settings(settings).build().unwrap().into();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let request =
        SignableRequest::new(method, &url, headers.into_iter(), SignableBody::Bytes(body.as_bytes())).unwrap();
    let (signature, _) = sign(request, &params).unwrap().into_parts();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut message = http.request(method.parse().unwrap(), &url).header(headers[0].0, headers[0].1).body(body);
    for (name, value) in signature.headers() {
        message = message.header(name, value);
    }
    let answer = message.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap();
    rest.split_once(&format!("</{name}>")).unwrap().0
}

async fn assume(user: &Credentials) -> AwsCredentials {
    let user = AwsCredentials::new(&user.access_key, user.secret.expose(), None, None, "test");
    let (status, xml) =
        send("sts", &user, "POST", "/", "Action=AssumeRole&Version=2011-06-15&DurationSeconds=3600").await;
    assert_eq!(status, 200, "{xml}");
    let token = Some(element(&xml, "SessionToken").to_owned());
    AwsCredentials::new(element(&xml, "AccessKeyId"), element(&xml, "SecretAccessKey"), token, None, "test")
}

#[tokio::test]
async fn temporary_credentials_end_when_they_are_revoked() {
    let client = client();
    let bucket = unique("sessions");
    client.create_bucket(&bucket).await.unwrap();
    client.put_object(&bucket, "k", "x", false).await.unwrap();
    let user = Credentials::new(unique("user"), secret());
    client.add_user(&user.access_key, &user.secret, true).await.unwrap();
    client.set_mapping(&Holder::User(user.access_key.clone()), &set(&["readonly"])).await.unwrap();
    let (session, path) = (assume(&user).await, format!("/{bucket}/k"));
    assert_eq!(send("s3", &session, "GET", &path, "").await.0, 200);
    client.revoke_tokens(&user.access_key).await.unwrap();
    let (status, body) = send("s3", &session, "GET", &path, "").await;
    assert_eq!((status, element(&body, "Code")), (403, "InvalidAccessKeyId"), "{body}");
    let own = client.probe_object(&user, http::Method::GET, &bucket, Some("k"), &[]).await.unwrap();
    assert_eq!(own, 200, "the user's own credentials stay");
    client.revoke_tokens(&unique("nobody")).await.unwrap();
}
