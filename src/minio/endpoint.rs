//! Where a MinIO is: scheme, host and port.

use std::{fmt, str::FromStr};

use reqwest::Url;

/// A server's address: `http://host:port` or `https://host:port`, without path, query and credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    https: bool,
    /// Host and, unless it is the scheme's own, port: what the `Host` header says.
    authority: String,
}

/// Why a text is no [`Endpoint`]; names what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No URL with a host.
    #[error("it must be a URL such as http://minio:9000")]
    NotAUrl,
    /// Another scheme than the two that MinIO speaks.
    #[error("its scheme must be http or https")]
    Scheme,
    /// MinIO is addressed by host alone; a path would be taken for a bucket.
    #[error("it must end after host and port: no path, query or fragment")]
    Path,
    /// Credentials belong in their own settings.
    #[error("it must not hold a user name or password")]
    Credentials,
}

impl Endpoint {
    /// Whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Host and port as in the `Host` header; the port is left out where it is the scheme's own.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text.trim()).map_err(|_| EndpointError::NotAUrl)?;
        let https = match url.scheme() {
            "http" => false,
            "https" => true,
            // "minio:9000" parses as a URL of the scheme "minio".
            _ if !text.contains("://") => return Err(EndpointError::NotAUrl),
            _ => return Err(EndpointError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError::Path);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(EndpointError::NotAUrl)?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Self { https, authority })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_normalised() {
        for (text, shown) in [
            ("http://minio:9000", "http://minio:9000"),
            ("http://MinIO:9000/", "http://minio:9000"),
            (" https://s3.example.org:443 ", "https://s3.example.org"),
            ("http://[::1]:9000", "http://[::1]:9000"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_the_reason() {
        for (text, error) in [
            ("", EndpointError::NotAUrl),
            ("minio:9000", EndpointError::NotAUrl),
            ("minio", EndpointError::NotAUrl),
            ("ftp://minio", EndpointError::Scheme),
            ("http://minio/prefix", EndpointError::Path),
            ("http://minio/?x=1", EndpointError::Path),
            ("http://minio/#x", EndpointError::Path),
            ("http://user:pass@minio", EndpointError::Credentials),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
        }
    }
}
