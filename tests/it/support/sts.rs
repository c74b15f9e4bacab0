//! Temporary credentials as people get them, and keys that administrators make by hand; the product only takes them away.

use std::time::SystemTime;

use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use minio_manager::minio::{Credentials, Endpoint, NewAccessKey};

use super::{s3::Caller, world::World};

/// Somebody's session.
pub struct Session {
    endpoint: Endpoint,
    credentials: AwsCredentials,
}

impl Session {
    /// Signs in as a user, with the user's own secret: keys below a user get no session.
    pub async fn begin(endpoint: Endpoint, user: &Credentials) -> Self {
        let (status, xml) = Self::with_key(endpoint.clone(), user).assume_role().await;
        assert_eq!(status, 200, "{xml}");
        let token = Some(element(&xml, "SessionToken").to_owned());
        let (id, secret) = (element(&xml, "AccessKeyId"), element(&xml, "SecretAccessKey"));
        Self { endpoint, credentials: AwsCredentials::new(id, secret, token, None, "test") }
    }

    /// Somebody with a key, for requests to S3 whose answers are to be read.
    pub fn with_key(endpoint: Endpoint, key: &Credentials) -> Self {
        let credentials = AwsCredentials::new(&key.access_key, key.secret.expose(), None, None, "test");
        Self { endpoint, credentials }
    }

    /// Asks for a session of the longest time that there is; status and body of the answer.
    pub async fn assume_role(&self) -> (u16, String) {
        self.send("sts", "POST", "/", "Action=AssumeRole&Version=2011-06-15&DurationSeconds=604800").await
    }

    /// Key, secret and token, as programs want them.
    pub fn parts(&self) -> [&str; 3] {
        let token = self.credentials.session_token().unwrap_or_default();
        [self.credentials.access_key_id(), self.credentials.secret_access_key(), token]
    }

    /// Status and body of a request for `bucket/key`, with a query where it has one.
    pub async fn s3(&self, method: &str, path: &str, body: &'static str) -> (u16, String) {
        self.send("s3", method, &format!("/{path}"), body).await
    }

    /// Status and body of a GET for `bucket/key`.
    pub async fn get(&self, path: &str) -> (u16, String) {
        self.s3("GET", path, "").await
    }

    /// Signs for `service` and sends; status and body of the answer.
    async fn send(&self, service: &str, method: &str, path: &str, body: &'static str) -> (u16, String) {
        let url = format!("{}{path}", self.endpoint);
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = self.credentials.clone().into();
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
}

impl World {
    /// Somebody with a key that an administrator made for a user.
    pub async fn foreign_key(&self, user: &str) -> Caller {
        let key = NewAccessKey {
            parent: user.to_owned(),
            credentials: Credentials::generate(),
            name: "laptop".to_owned(),
            description: String::new(),
            expiration: None,
            session_policy: None,
        };
        self.minio().add_access_key(&key).await.unwrap();
        Caller::new(self.minio().clone(), key.credentials)
    }

    /// A session of a user whose secret an administrator has set.
    pub async fn session(&self, user: &str) -> Session {
        let credentials = Credentials::new(user, Credentials::generate().secret);
        self.minio().add_user(user, &credentials.secret, true).await.unwrap();
        Session::begin(self.product().minio().endpoint(), &credentials).await
    }
}

/// The text of an element of an answer.
pub fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap();
    rest.split_once(&format!("</{name}>")).unwrap().0
}
