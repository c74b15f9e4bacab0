//! SigV4 for MinIO: service `s3`, signature in the headers, paths encoded once and never normalised.

use std::time::SystemTime;

use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use super::secret::Credentials;

/// What is signed besides the credentials.
pub(super) struct Unsigned<'a> {
    pub method: &'a str,
    pub url: &'a str,
    /// Further headers; they are signed too.
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

/// The request could not be signed: a header or URL that no HTTP request can have.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be signed")]
pub(super) struct SignError;

/// The headers that prove `request` at the time `at`: `authorization`, `x-amz-date`, `x-amz-content-sha256`.
pub(super) fn sign_request(
    request: &Unsigned<'_>,
    credentials: &Credentials,
    region: &str,
    at: Timestamp,
) -> Result<HeaderMap, SignError> {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;

    let identity =
        AwsCredentials::new(&credentials.access_key, credentials.secret.expose(), None, None, "minio-manager").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(SystemTime::from(at))
        .settings(settings)
        .build()
        .map_err(|_| SignError)?
        .into();

    let mut headers = Vec::with_capacity(request.headers.len());
    for (name, value) in request.headers {
        headers.push((name.as_str(), value.to_str().map_err(|_| SignError)?));
    }
    let signable =
        SignableRequest::new(request.method, request.url, headers.into_iter(), SignableBody::Bytes(request.body))
            .map_err(|_| SignError)?;
    let (instructions, _) = sign(signable, &params).map_err(|_| SignError)?.into_parts();

    let mut signed = HeaderMap::new();
    for (name, value) in instructions.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| SignError)?;
        signed.insert(name, HeaderValue::from_str(value).map_err(|_| SignError)?);
    }
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(headers: &HeaderMap, name: &str) -> String {
        headers[name].to_str().unwrap().to_owned()
    }

    /// Signs as the examples in the S3 documentation of AWS do.
    fn documented(method: &str, url: &str, headers: &[(&'static str, &'static str)], body: &[u8]) -> HeaderMap {
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let headers = headers
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let request = Unsigned { method, url, headers: &headers, body };
        sign_request(&request, &credentials, "us-east-1", "2013-05-24T00:00:00Z".parse().unwrap()).unwrap()
    }

    #[test]
    fn the_documented_put_has_the_documented_signature() {
        let signed = documented(
            "PUT",
            "https://examplebucket.s3.amazonaws.com/test%24file.text",
            &[("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            b"Welcome to Amazon S3.",
        );
        assert_eq!(
            header(&signed, "authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, \
             Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
        assert_eq!(header(&signed, "x-amz-date"), "20130524T000000Z");
    }

    #[test]
    fn the_documented_get_with_query_has_the_documented_signature() {
        let signed = documented("GET", "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", &[], b"");
        assert!(
            header(&signed, "authorization")
                .ends_with("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
            "{signed:?}"
        );
        assert_eq!(
            header(&signed, "x-amz-content-sha256"),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
