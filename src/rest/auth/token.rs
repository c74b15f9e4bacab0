//! Tokens, which are not shown, and their digests, by which they are remembered.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderValue;
use sha2::{Digest, Sha256};

use crate::minio::Secret;

/// What a caller proves its identity with: printable ASCII without blanks.
#[derive(Clone, Debug)]
pub struct Token(Secret);

impl Token {
    /// Most characters of a token.
    pub const LONGEST: usize = 4096;

    /// A token, unless the text cannot be one.
    pub fn parse(text: impl Into<Secret>) -> Option<Self> {
        let text = text.into();
        let length = text.expose().len();
        let fine = (1..=Self::LONGEST).contains(&length) && text.expose().bytes().all(|byte| byte.is_ascii_graphic());
        fine.then_some(Self(text))
    }

    /// The token itself. Every use of this is a place where it may leak.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The number of its characters, at least one.
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.0.expose().len()
    }

    /// By what it is remembered.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.expose()).into())
    }

    /// A header with a scheme, or with the token alone.
    pub(super) fn header(&self, scheme: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(format!("{scheme} {}", self.expose()).trim_start()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// The SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Whether both are the same; takes the same time wherever they differ.
    pub(super) fn matches(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest([redacted])")
    }
}
