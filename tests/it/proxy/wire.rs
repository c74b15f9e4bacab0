//! Requests to the letter: an ordinary client would tidy up what a caller with bad intentions sends.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
        SigningInstructions, SigningSettings, UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use minio_manager::minio::Credentials;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use crate::support::kube::install_crypto;

const PATIENCE: Duration = Duration::from_secs(30);
/// Of a presigned request.
const VALID: Duration = Duration::from_secs(300);

/// Where requests go to.
pub struct Line {
    authority: String,
    encryption: Option<Arc<ClientConfig>>,
}

/// A request.
#[derive(Clone, Debug, Default)]
pub struct Ask<'a> {
    pub method: &'a str,
    /// Path and query, as they are signed.
    pub target: String,
    /// As they are sent, where that is something else.
    pub sent: Option<String>,
    /// Those of S3 are signed, as MinIO demands; others are not.
    pub headers: Vec<(&'a str, &'a str)>,
    pub body: &'a [u8],
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub text: String,
}

impl<'a> Ask<'a> {
    pub fn get(target: impl Into<String>) -> Self {
        Self { method: "GET", target: target.into(), ..Self::default() }
    }

    pub fn put(target: impl Into<String>) -> Self {
        Self { method: "PUT", target: target.into(), body: b"content", ..Self::default() }
    }

    /// The same with a header more.
    pub fn header(&self, name: &'a str, value: &'a str) -> Self {
        let mut more = self.clone();
        more.headers.push((name, value));
        more
    }

    /// The same with a parameter more.
    pub fn query(&self, parameter: &str) -> Self {
        let separator = if self.target.contains('?') { '&' } else { '?' };
        Self { target: format!("{}{separator}{parameter}", self.target), ..self.clone() }
    }

    /// The same, sent in another spelling than it is signed in.
    pub fn sent_as(&self, target: impl Into<String>) -> Self {
        Self { sent: Some(target.into()), ..self.clone() }
    }
}

impl Answer {
    pub fn is_done(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Refused by the proxy, or by MinIO, to which the proxy passed on what is left: MinIO answers 400 with this code where a
    /// header that is signed does not come.
    pub fn is_refused(&self) -> bool {
        self.is_refused_by_proxy() || (matches!(self.status, 400 | 403) && self.code() == "AccessDenied")
    }

    pub fn is_refused_by_proxy(&self) -> bool {
        matches!(self.status, 400 | 403) && self.text.contains("The proxy does not pass on")
    }

    /// The error code in the body.
    pub fn code(&self) -> &str {
        self.text.split("<Code>").nth(1).and_then(|rest| rest.split("</Code>").next()).unwrap_or_default()
    }
}

impl Line {
    pub fn plain(authority: &str) -> Self {
        Self { authority: authority.to_owned(), encryption: None }
    }

    pub fn encrypted(authority: &str, certificate: &[u8]) -> Self {
        install_crypto();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate).unwrap()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Self { authority: authority.to_owned(), encryption: Some(Arc::new(config)) }
    }

    /// Signs for S3 and sends.
    pub fn send(&self, who: &Credentials, ask: &Ask<'_>) -> Answer {
        self.send_for("s3", &known(who, None), ask)
    }

    /// As [`Line::send`], with a session.
    pub fn send_with(&self, who: &Credentials, token: &str, ask: &Ask<'_>) -> Answer {
        self.send_for("s3", &known(who, Some(token)), ask)
    }

    /// Asks for a session.
    pub fn sign_in(&self, who: &Credentials) -> Answer {
        let ask = Ask {
            method: "POST",
            target: "/".to_owned(),
            headers: vec![("content-type", "application/x-www-form-urlencoded")],
            body: b"Action=AssumeRole&Version=2011-06-15&DurationSeconds=3600",
            ..Ask::default()
        };
        self.send_for("sts", &known(who, None), &ask)
    }

    fn send_for(&self, service: &str, who: &AwsCredentials, ask: &Ask<'_>) -> Answer {
        let signature = self.sign(service, who, ask, SignatureLocation::Headers);
        let signed: Vec<_> = signature.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.exchange(ask, &signed)
    }

    /// A request that carries its signature in its query, as links do; to be sent by [`Line::send_unsigned`].
    pub fn presign<'a>(&self, who: &Credentials, ask: &Ask<'a>) -> Ask<'a> {
        let signature = self.sign("s3", &known(who, None), ask, SignatureLocation::QueryParams);
        signature.params().iter().fold(ask.clone(), |ask, (name, value)| {
            ask.query(&format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        })
    }

    /// Sends as it is.
    pub fn send_unsigned(&self, ask: &Ask<'_>) -> Answer {
        self.exchange(ask, &[])
    }

    fn sign(
        &self,
        service: &str,
        who: &AwsCredentials,
        ask: &Ask<'_>,
        location: SignatureLocation,
    ) -> SigningInstructions {
        let in_query = location == SignatureLocation::QueryParams;
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.signature_location = location;
        settings.expires_in = in_query.then_some(VALID);
        let body = if in_query { SignableBody::UnsignedPayload } else { SignableBody::Bytes(ask.body) };
        if !in_query {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let identity = who.clone().into();
        let params = v4::SigningParams::builder().identity(&identity).region("us-east-1").name(service);
        let params = params.time(SystemTime::now()).settings(settings).build().unwrap().into();
        let url = format!("http://{}{}", self.authority, ask.target);
        let headers = ask.headers.iter().filter(|(name, _)| is_of_s3(name)).copied();
        sign(SignableRequest::new(ask.method, &url, headers, body).unwrap(), &params).unwrap().into_parts().0
    }

    fn exchange(&self, ask: &Ask<'_>, signed: &[(String, String)]) -> Answer {
        let target = ask.sent.as_ref().unwrap_or(&ask.target);
        let mut message = format!("{} {target} HTTP/1.1\r\nHost: {}\r\n", ask.method, self.authority);
        let own = ask.headers.iter().copied();
        for (name, value) in own.chain(signed.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
            message.push_str(&format!("{name}: {value}\r\n"));
        }
        if !ask.body.is_empty() {
            message.push_str(&format!("Content-Length: {}\r\n", ask.body.len()));
        }
        message.push_str("Connection: close\r\n\r\n");
        let mut message = message.into_bytes();
        message.extend_from_slice(ask.body);
        let stream = TcpStream::connect(&self.authority).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match &self.encryption {
            None => talk(stream, &message),
            Some(config) => {
                let name = ServerName::try_from("127.0.0.1").unwrap();
                let connection = ClientConnection::new(config.clone(), name).unwrap();
                talk(StreamOwned::new(connection, stream), &message)
            }
        }
    }
}

fn known(who: &Credentials, token: Option<&str>) -> AwsCredentials {
    AwsCredentials::new(&who.access_key, who.secret.expose(), token.map(str::to_owned), None, "test")
}

fn is_of_s3(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("x-amz-") || name == "content-type"
}

/// One request and its answer, with which the connection ends.
fn talk(mut stream: impl Read + Write, message: &[u8]) -> Answer {
    stream.write_all(message).unwrap();
    let mut answer = Vec::new();
    // Some servers hang up without saying so.
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert!(!answer.is_empty(), "no answer: {error}");
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer { status: status.unwrap_or_else(|| panic!("this is no answer: {text}")), text }
}
