//! Buckets and objects: what a workspace needs, no more.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    call::Call,
    client::{Answer, Client, Request},
    encode,
    error::{Class, Error},
    secret::Credentials,
};

/// Most keys that one deletion takes, on every S3 server.
const DELETE_LIMIT: usize = 1_000;
const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectPage {
    /// The objects, in the order of their keys.
    pub objects: Vec<ObjectSummary>,
    /// What to ask for the next page with; none on the last.
    pub next: Option<String>,
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectSummary {
    /// The whole key.
    pub key: String,
    /// In bytes.
    pub size: u64,
}

/// An object that was not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteFailure {
    /// The whole key.
    pub key: String,
    /// The server's error code.
    pub code: String,
    /// The server's message.
    pub message: String,
}

/// Buckets.
impl Client {
    /// Whether `bucket` exists.
    pub async fn bucket_exists(&self, bucket: &str) -> Result<bool, Error> {
        exists(self.send(Request::new(Call::HeadBucket, Method::HEAD, encode::object_path(bucket, None))).await)
    }

    /// Creates `bucket`; one that is there already is fine. True where it was created.
    ///
    /// # Errors
    /// [`Class::Invalid`] for a name against the rules.
    pub async fn create_bucket(&self, bucket: &str) -> Result<bool, Error> {
        let request = Request::new(Call::CreateBucket, Method::PUT, encode::object_path(bucket, None));
        match self.send(request).await {
            Ok(_) => Ok(true),
            Err(error) if error.class() == Class::AlreadyApplied => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The names of all buckets. Needs `s3:ListAllMyBuckets`; without it only those come that may be listed.
    pub async fn list_buckets(&self) -> Result<Vec<String>, Error> {
        let answer = self.send(Request::new(Call::ListBuckets, Method::GET, "/".to_owned())).await?;
        let raw: RawBuckets = xml(Call::ListBuckets, &answer.body)?;
        Ok(raw.buckets.bucket.into_iter().map(|bucket| bucket.name).collect())
    }

    /// The policy of `bucket`, which says what anybody may do there without a key; none where it has no policy, or where there is
    /// no such bucket. Needs `s3:GetBucketPolicy`.
    pub async fn bucket_policy(&self, bucket: &str) -> Result<Option<serde_json::Value>, Error> {
        let request = Request::new(Call::BucketPolicy, Method::GET, encode::object_path(bucket, None));
        match self.send(request.query("policy", "")).await {
            Ok(answer) => answer.json(Call::BucketPolicy).map(Some),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Objects.
impl Client {
    /// Writes an object. With `if_absent` only where there is none under this key, decided by the server. True where it was written.
    ///
    /// # Errors
    /// [`Class::Absent`] where there is no such bucket.
    pub async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        body: impl Into<Bytes>,
        if_absent: bool,
    ) -> Result<bool, Error> {
        let mut request = object(Call::PutObject, Method::PUT, bucket, key).body(body);
        if if_absent {
            request = request.header(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        match self.send(request).await {
            Ok(_) => Ok(true),
            Err(error) if if_absent && error.status() == Some(StatusCode::PRECONDITION_FAILED.as_u16()) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether an object exists under exactly this key.
    pub async fn head_object(&self, bucket: &str, key: &str) -> Result<bool, Error> {
        exists(self.send(object(Call::HeadObject, Method::HEAD, bucket, key)).await)
    }

    /// An object of at most 4 MiB; none where there is no such object or bucket.
    pub async fn get_object(&self, bucket: &str, key: &str) -> Result<Option<Bytes>, Error> {
        match self.send(object(Call::GetObject, Method::GET, bucket, key)).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether any key starts with `prefix`. False where there is no such bucket.
    pub async fn any_object_below(&self, bucket: &str, prefix: &str) -> Result<bool, Error> {
        match self.list_objects(bucket, prefix, None, 1).await {
            Ok(page) => Ok(!page.objects.is_empty()),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One page of at most `limit` (1..=1000) objects whose keys start with `prefix`, from the beginning or from a page's `next`.
    ///
    /// # Errors
    /// [`Class::Absent`] where there is no such bucket.
    pub async fn list_objects(
        &self,
        bucket: &str,
        prefix: &str,
        from: Option<&str>,
        limit: u16,
    ) -> Result<ObjectPage, Error> {
        let mut request = Request::new(Call::ListObjects, Method::GET, encode::object_path(bucket, None))
            .query("list-type", "2")
            // Keys may hold characters that XML cannot.
            .query("encoding-type", "url")
            .query("max-keys", limit.to_string())
            .query("prefix", prefix);
        if let Some(token) = from {
            request = request.query("continuation-token", token);
        }
        read_page(&self.send(request).await?.body)
    }

    /// Deletes `keys` of `bucket`, in requests of at most 1,000; missing ones count as deleted. What is not deleted comes back.
    pub async fn delete_objects(&self, bucket: &str, keys: &[String]) -> Result<Vec<DeleteFailure>, Error> {
        let mut failures = Vec::new();
        let (plain, awkward): (Vec<&String>, Vec<&String>) = keys.iter().partition(|key| fits_xml(key));
        for some in plain.chunks(DELETE_LIMIT) {
            failures.extend(self.delete_batch(bucket, some).await?);
        }
        for key in awkward {
            self.delete_object(bucket, key).await?;
        }
        Ok(failures)
    }

    /// Deletes one object; a missing one is fine.
    pub async fn delete_object(&self, bucket: &str, key: &str) -> Result<(), Error> {
        self.send(object(Call::DeleteObject, Method::DELETE, bucket, key)).await.map(drop)
    }

    async fn delete_batch(&self, bucket: &str, keys: &[&String]) -> Result<Vec<DeleteFailure>, Error> {
        let objects: String = keys.iter().map(|key| format!("<Object><Key>{}</Key></Object>", escape(key))).collect();
        let body = format!("<Delete><Quiet>true</Quiet>{objects}</Delete>");
        let checksum = HeaderValue::from_str(&BASE64.encode(Sha256::digest(&body))).expect("base64 is a header value");
        let request = Request::new(Call::DeleteObjects, Method::POST, encode::object_path(bucket, None));
        let answer = self.send(request.query("delete", "").header(CHECKSUM, checksum).body(body)).await?;
        read_failures(&answer.body)
    }

    /// The status of one S3 request made as `credentials`, for tests and demonstrations of who may do what.
    ///
    /// Without `key` it is a request to the bucket, with `query` for instance a listing; a body is sent with PUT and POST.
    pub async fn probe_object(
        &self,
        credentials: &Credentials,
        method: Method,
        bucket: &str,
        key: Option<&str>,
        query: &[(&'static str, &str)],
    ) -> Result<u16, Error> {
        let mut request = Request::new(Call::RawObject, method, encode::object_path(bucket, key));
        for (name, value) in query {
            request = request.query(name, *value);
        }
        let answer = self.with_credentials(credentials.clone()).exchange(request).await?;
        Ok(answer.status.as_u16())
    }
}

fn object(call: Call, method: Method, bucket: &str, key: &str) -> Request {
    Request::new(call, method, encode::object_path(bucket, Some(key)))
}

fn exists(answer: Result<Answer, Error>) -> Result<bool, Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.is_absent() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The page in the answer to a listing.
pub(super) fn read_page(body: &[u8]) -> Result<ObjectPage, Error> {
    let listing: RawListing = xml(Call::ListObjects, body)?;
    listing.try_into()
}

/// What is left, by the answer to a deletion.
pub(super) fn read_failures(body: &[u8]) -> Result<Vec<DeleteFailure>, Error> {
    let result: RawDeletion = xml(Call::DeleteObjects, body)?;
    let failure = |raw: RawFailure| DeleteFailure { key: raw.key, code: raw.code, message: raw.message };
    Ok(result.errors.into_iter().map(failure).collect())
}

fn xml<T: for<'de> Deserialize<'de>>(call: Call, body: &[u8]) -> Result<T, Error> {
    let text = std::str::from_utf8(body).map_err(|_| Error::malformed(call, "it is no UTF-8"))?;
    quick_xml::de::from_str(text).map_err(|_| Error::malformed(call, "it is not the expected XML"))
}

/// Whether XML 1.0 can hold every character of `key`.
fn fits_xml(key: &str) -> bool {
    !key.chars().any(|c| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'))
}

/// `key` as XML text; line ends as references, since a parser would turn them into others.
fn escape(key: &str) -> String {
    key.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\r', "&#13;")
        .replace('\n', "&#10;")
        .replace('\t', "&#9;")
}

#[derive(Deserialize)]
struct RawBuckets {
    #[serde(default, rename = "Buckets")]
    buckets: RawBucketList,
}

#[derive(Default, Deserialize)]
struct RawBucketList {
    #[serde(default, rename = "Bucket")]
    bucket: Vec<RawBucket>,
}

#[derive(Deserialize)]
struct RawBucket {
    #[serde(rename = "Name")]
    name: String,
}

#[derive(Deserialize)]
struct RawListing {
    #[serde(default, rename = "IsTruncated")]
    truncated: bool,
    #[serde(default, rename = "NextContinuationToken")]
    next: Option<String>,
    #[serde(default, rename = "EncodingType")]
    encoding: Option<String>,
    #[serde(default, rename = "Contents")]
    contents: Vec<RawSummary>,
}

#[derive(Deserialize)]
struct RawSummary {
    #[serde(rename = "Key")]
    key: String,
    #[serde(default, rename = "Size")]
    size: u64,
}

impl TryFrom<RawListing> for ObjectPage {
    type Error = Error;

    fn try_from(raw: RawListing) -> Result<Self, Error> {
        let encoded = raw.encoding.as_deref() == Some("url");
        let decode = |key: String| {
            if !encoded {
                return Ok(key);
            }
            // A blank is a plus here, and a plus is %2B.
            let spaced = key.replace('+', " ");
            let decoded = percent_decode_str(&spaced).decode_utf8().map(|key| key.into_owned());
            decoded.map_err(|_| Error::malformed(Call::ListObjects, "a key is no UTF-8"))
        };
        let objects =
            raw.contents.into_iter().map(|summary| Ok(ObjectSummary { key: decode(summary.key)?, size: summary.size }));
        let objects = objects.collect::<Result<_, Error>>()?;
        let next = if raw.truncated { raw.next } else { None };
        if raw.truncated && next.is_none() {
            return Err(Error::malformed(Call::ListObjects, "it is cut off without saying how to go on"));
        }
        Ok(Self { objects, next })
    }
}

#[derive(Default, Deserialize)]
struct RawDeletion {
    #[serde(default, rename = "Error")]
    errors: Vec<RawFailure>,
}

#[derive(Deserialize)]
struct RawFailure {
    #[serde(default, rename = "Key")]
    key: String,
    #[serde(default, rename = "Code")]
    code: String,
    #[serde(default, rename = "Message")]
    message: String,
}

#[cfg(test)]
mod tests;
