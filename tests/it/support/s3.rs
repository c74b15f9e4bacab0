//! S3 as people use it: real requests with somebody's own key, and what the server answered.

use http::Method;
use minio_manager::minio::{Client, Credentials, Error};

/// Somebody with a key.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    credentials: Credentials,
}

/// What may be tried on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Try {
    /// Read an object.
    Get,
    /// Write an object.
    Put,
    /// Delete an object.
    Delete,
    /// List what is below a prefix.
    List,
}

impl Try {
    /// Everything that may be tried.
    pub const ALL: [Self; 4] = [Self::Get, Self::Put, Self::Delete, Self::List];
}

impl Caller {
    /// Somebody who signs with these credentials.
    pub fn new(client: Client, credentials: Credentials) -> Self {
        Self { client, credentials }
    }

    /// The key.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// A client that signs with the key, for calls of the admin API.
    pub fn client(&self) -> Client {
        self.client.with_credentials(self.credentials.clone())
    }

    /// The status of one request for `bucket/key`; a list takes what follows the bucket as its prefix.
    pub async fn status(&self, what: Try, path: &str) -> u16 {
        let answer = self.try_status(what, path).await;
        answer.unwrap_or_else(|error| panic!("{what:?} {path} got no answer: {error}"))
    }

    /// As [`Caller::status`]; that nobody answers is an answer.
    pub async fn try_status(&self, what: Try, path: &str) -> Result<u16, Error> {
        let (bucket, key) = path.split_once('/').expect("a path has a bucket and a key");
        let (method, key, query) = match what {
            Try::Get => (Method::GET, Some(key), vec![]),
            Try::Put => (Method::PUT, Some(key), vec![]),
            Try::Delete => (Method::DELETE, Some(key), vec![]),
            Try::List => (Method::GET, None, vec![("list-type", "2"), ("prefix", key)]),
        };
        self.client.probe_object(&self.credentials, method, bucket, key, &query).await
    }

    /// Whether the server does it: anything else than yes or 403 fails the test.
    pub async fn may(&self, what: Try, path: &str) -> bool {
        match self.status(what, path).await {
            200..=299 => true,
            403 => false,
            other => panic!("{what:?} {path} as {} was answered {other}", self.credentials.access_key),
        }
    }

    /// What of [`Try::ALL`] the server does on a path, as letters: `GPDL`, `GL`, or nothing. The object is there afterwards
    /// where it may be written.
    pub async fn rights(&self, path: &str) -> String {
        let mut rights = String::new();
        for (what, letter) in [(Try::Get, 'G'), (Try::Put, 'P'), (Try::Delete, 'D'), (Try::List, 'L')] {
            let asked = if what == Try::List { folder_of(path) } else { path };
            if self.may(what, asked).await {
                rights.push(letter);
            }
            if what == Try::Delete && rights.ends_with("PD") {
                assert!(self.may(Try::Put, path).await, "what was deleted can be written again");
            }
        }
        rights
    }

    /// Fails unless exactly `expected` (see [`Caller::rights`]) is allowed.
    #[track_caller]
    pub fn expect<'a>(&'a self, path: &'a str, expected: &'a str) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let rights = self.rights(path).await;
            assert_eq!(rights, expected, "rights on {path} at {place}");
        }
    }
}

/// `bucket/a/b/` of `bucket/a/b/c`.
fn folder_of(path: &str) -> &str {
    path.rfind('/').map_or(path, |slash| &path[..=slash])
}
