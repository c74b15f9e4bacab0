//! Secrets that cannot be printed, and random credentials.

use std::fmt;

use aws_lc_rs::{constant_time::verify_slices_are_equal, rand};
use zeroize::Zeroizing;

/// Length of generated access keys: the longest that MinIO takes for a service account.
const ACCESS_KEY_LENGTH: usize = 20;
/// Length of generated secrets: the longest that MinIO takes for a service account (238 random bits).
const SECRET_LENGTH: usize = 40;

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const UPPER_ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A secret string: wiped from memory when dropped, never shown by `Debug`, without `Display` and `Serialize`.
///
/// Comparison takes the same time wherever two secrets of one length differ.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The secret itself. Every use of this is a place where it may leak.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }
}

impl Eq for Secret {}

/// An access key and its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The key's id: a user's name or a service account's access key.
    pub access_key: String,
    /// What signs.
    pub secret: Secret,
}

impl Credentials {
    /// Credentials of the two parts.
    pub fn new(access_key: impl Into<String>, secret: impl Into<Secret>) -> Self {
        Self { access_key: access_key.into(), secret: secret.into() }
    }

    /// A fresh random pair that MinIO takes for users and for service accounts.
    pub fn generate() -> Self {
        Self { access_key: generate_access_key(), secret: generate_secret() }
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}

/// A random access key: 20 characters of `A-Z0-9`, the first a letter.
pub fn generate_access_key() -> String {
    let mut key = random_string(LETTERS, 1);
    key.push_str(&random_string(UPPER_ALPHANUMERIC, ACCESS_KEY_LENGTH - 1));
    key
}

/// Whether an access key has the form of those that [`generate_access_key`] makes.
pub fn is_generated_access_key(access_key: &str) -> bool {
    let bytes = access_key.as_bytes();
    bytes.len() == ACCESS_KEY_LENGTH
        && bytes.first().is_some_and(|first| LETTERS.contains(first))
        && bytes.iter().all(|byte| UPPER_ALPHANUMERIC.contains(byte))
}

/// A random secret: 40 ASCII letters and digits, so that it needs no quoting in URLs, ini files and shells.
pub fn generate_secret() -> Secret {
    Secret(Zeroizing::new(random_string(ALPHANUMERIC, SECRET_LENGTH)))
}

/// Characters of `alphabet`, each with the same probability.
fn random_string(alphabet: &[u8], length: usize) -> String {
    // Bytes at or above the largest multiple of the alphabet's size would favour its first characters.
    let fair = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(length);
    let mut buffer = Zeroizing::new([0_u8; 64]);
    while text.len() < length {
        rand::fill(buffer.as_mut_slice()).expect("the operating system's random generator works");
        let chosen = buffer.iter().map(|&byte| usize::from(byte)).filter(|&byte| byte < fair);
        text.extend(chosen.take(length - text.len()).map(|byte| char::from(alphabet[byte % alphabet.len()])));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn secrets_do_not_show() {
        let credentials = Credentials::new("alice", "hunter2hunter2");
        assert_eq!(format!("{:?}", credentials.secret), "Secret([redacted])");
        assert_eq!(format!("{}", credentials.secret), "[redacted]");
        let shown = format!("{credentials:?}");
        assert!(shown.contains("alice") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn secrets_compare_by_value() {
        assert_eq!(Secret::new("abc"), Secret::new("abc"));
        assert_ne!(Secret::new("abc"), Secret::new("abd"));
        assert_ne!(Secret::new("abc"), Secret::new("abcd"));
    }

    #[test]
    fn generated_pairs_have_the_promised_form() {
        let pairs: Vec<_> = (0..200).map(|_| Credentials::generate()).collect();
        for pair in &pairs {
            assert!(is_generated_access_key(&pair.access_key));
            assert_eq!(pair.access_key.len(), 20);
            assert!(pair.access_key.starts_with(|c: char| c.is_ascii_uppercase()));
            assert!(pair.access_key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));
            assert_eq!(pair.secret.expose().len(), 40);
            assert!(pair.secret.expose().bytes().all(|b| b.is_ascii_alphanumeric()));
        }
        let keys: BTreeSet<_> = pairs.iter().map(|pair| &pair.access_key).collect();
        let secrets: BTreeSet<_> = pairs.iter().map(|pair| pair.secret.expose()).collect();
        assert_eq!((keys.len(), secrets.len()), (200, 200));
    }

    #[test]
    fn names_of_users_are_not_taken_for_generated_access_keys() {
        for name in
            ["", "bob", "AKEXAMPLE0000000000", "1KEXAMPLE00000000000", "AKEXAMPLE0000000000a", "AKEXAMPLE-0000000000"]
        {
            assert!(!is_generated_access_key(name), "{name}");
        }
    }

    #[test]
    fn every_character_of_the_alphabet_is_used() {
        let drawn: BTreeSet<_> = random_string(ALPHANUMERIC, 10_000).bytes().collect();
        assert_eq!(drawn, ALPHANUMERIC.iter().copied().collect());
    }
}
