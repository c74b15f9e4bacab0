//! Buckets, paths and the rights on them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::shared::shared;

/// Why a bucket or a path was refused; the text says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No `s3://` or `s3a://` in front.
    #[error("path must start with s3:// or s3a://, for example s3a://lake/homes/alice/data/")]
    Scheme,
    /// Not a bucket name.
    #[error("bucket {0:?} must be 3 to 63 of a-z, 0-9, '.' and '-', alphanumeric at both ends and without '..'")]
    Bucket(String),
    /// Nothing after the bucket.
    #[error("path names a whole bucket; name a folder in it, for example s3a://{0}/data/")]
    EmptyKey(String),
    /// More than 1,024 bytes.
    #[error("path has {0} bytes after the bucket; at most 1024 are possible")]
    TooLong(usize),
    /// One segment is longer than the server can store.
    #[error("path has a segment of {0} bytes; the server stores at most 255")]
    SegmentTooLong(usize),
    /// `//` somewhere.
    #[error("path has an empty segment ('//'); use single slashes")]
    EmptySegment,
    /// `.` or `..` as a segment.
    #[error("path has the segment {0:?}; write the path without it")]
    DotSegment(String),
    /// A character that policies treat as a pattern or a variable.
    #[error("path has {0:?}, which policies treat as a pattern; paths are literal")]
    Pattern(&'static str),
    /// A control or bidirectional character.
    #[error("path has the invisible character U+{0:04X}; remove it")]
    Invisible(u32),
}

/// A bucket name that MinIO accepts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Bucket(Arc<str>);

impl Bucket {
    /// Parses a bucket name: 3 to 63 of `a-z 0-9 . -`, alphanumeric at both ends, no `..`.
    ///
    /// # Errors
    /// [`PathError::Bucket`] with the rule.
    pub fn parse(name: &str) -> Result<Self, PathError> {
        let alphanumeric = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let legal = (3..=63).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-')
            && alphanumeric(name.chars().next())
            && alphanumeric(name.chars().last())
            && !name.contains("..");
        if legal { Ok(Self(shared(name))) } else { Err(PathError::Bucket(name.chars().take(80).collect())) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bucket {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&name).map_err(serde::de::Error::custom)
    }
}

/// A literal folder or object: a bucket and a key without trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct S3Path {
    bucket: Bucket,
    key: Arc<str>,
}

impl S3Path {
    /// Parses `s3://bucket/key` or `s3a://bucket/key`; one trailing slash is ignored.
    ///
    /// # Errors
    /// Says which rule of paths is broken.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let rest = text.strip_prefix("s3a://").or_else(|| text.strip_prefix("s3://")).ok_or(PathError::Scheme)?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        Self::new(Bucket::parse(bucket)?, key)
    }

    /// A path from a bucket and a key; one trailing slash is ignored.
    ///
    /// # Errors
    /// Says which rule of keys is broken.
    pub fn new(bucket: Bucket, key: &str) -> Result<Self, PathError> {
        let key = key.strip_suffix('/').unwrap_or(key);
        if key.is_empty() {
            return Err(PathError::EmptyKey(bucket.to_string()));
        }
        check_key(key)?;
        Ok(Self { bucket, key: key.into() })
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The key, without trailing slash.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The key, and those of the folders around it, the nearest first.
    pub fn key_and_ancestors(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self.key()), |key| key.rsplit_once('/').map(|(above, _)| above))
    }

    /// The bucket and the key, to be looked up by.
    pub(super) fn place(&self) -> (Bucket, Arc<str>) {
        (self.bucket.clone(), self.key.clone())
    }

    /// The scope that a grant on this path has.
    pub fn scope(&self) -> Scope {
        Scope { bucket: self.bucket.clone(), key: self.key.clone(), open: false }
    }

    /// Whether `other` is this path or lies below it.
    pub fn contains(&self, other: &S3Path) -> bool {
        self.bucket == other.bucket && below_or_equal(&self.key, &other.key)
    }
}

impl fmt::Display for S3Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3a://{}/{}/", self.bucket, self.key)
    }
}

fn below_or_equal(ancestor: &str, key: &str) -> bool {
    key.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Checks a key without trailing slash.
fn check_key(key: &str) -> Result<(), PathError> {
    if key.len() > 1024 {
        return Err(PathError::TooLong(key.len()));
    }
    if let Some(c) = key.chars().find(|c| is_invisible(*c)) {
        return Err(PathError::Invisible(c.into()));
    }
    for pattern in ["*", "?", "${"] {
        if key.contains(pattern) {
            return Err(PathError::Pattern(pattern));
        }
    }
    for segment in key.split('/') {
        match segment {
            "" => return Err(PathError::EmptySegment),
            "." | ".." => return Err(PathError::DotSegment(segment.to_owned())),
            _ if segment.len() > 255 => return Err(PathError::SegmentTooLong(segment.len())),
            _ => {}
        }
    }
    Ok(())
}

/// Control characters, and those that change the reading direction (they make a path look like another one).
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// How much a grant allows; the greater includes the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Access {
    /// List and read.
    Read,
    /// Read, write and delete.
    ReadWrite,
}

/// What a right applies to: a path and everything below it, or (in layouts only) every key that starts with a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    bucket: Bucket,
    key: Arc<str>,
    open: bool,
}

impl Scope {
    /// Every key of the bucket that starts with `start`, such as `users/alice/u_alice__`.
    ///
    /// # Errors
    /// The text must obey the rules of keys.
    pub fn open(bucket: Bucket, start: &str) -> Result<Self, PathError> {
        if start.is_empty() {
            return Err(PathError::EmptyKey(bucket.to_string()));
        }
        check_key(start)?;
        Ok(Self { bucket, key: start.into(), open: true })
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The key as a policy writes it: with a star at the end where the scope is open.
    pub fn pattern(&self) -> String {
        format!("{}{}", self.key, if self.open { "*" } else { "" })
    }

    /// Whether the scope takes in every key that starts with its text.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether everything in `other` is in `self`.
    pub fn contains(&self, other: &Scope) -> bool {
        if self.bucket != other.bucket {
            return false;
        }
        match (self.open, other.open) {
            (true, _) => other.key.starts_with(&*self.key),
            (false, false) => below_or_equal(&self.key, &other.key),
            // `a/b` holds every key that starts with `a/b/c`, but not every key that starts with `a/b`.
            (false, true) => other.key.strip_prefix(&*self.key).is_some_and(|rest| rest.starts_with('/')),
        }
    }

    /// Whether a key of an object lies in the scope.
    pub fn holds_key(&self, bucket: &str, key: &str) -> bool {
        self.bucket.as_str() == bucket
            && if self.open { key.starts_with(&*self.key) } else { below_or_equal(&self.key, key) }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3a://{}/{}/", self.bucket, self.pattern())
    }
}

/// Rights by scope. Adding keeps the greater access.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights(BTreeMap<Scope, Access>);

impl Rights {
    /// Adds a right; where the scope has one already, the greater stays.
    pub fn add(&mut self, scope: Scope, access: Access) {
        let held = self.0.entry(scope).or_insert(access);
        *held = (*held).max(access);
    }

    /// Takes a scope out.
    pub fn remove(&mut self, scope: &Scope) -> Option<Access> {
        self.0.remove(scope)
    }

    /// The access on exactly this scope.
    pub fn get(&self, scope: &Scope) -> Option<Access> {
        self.0.get(scope).copied()
    }

    /// All rights, ordered by scope.
    pub fn iter(&self) -> impl Iterator<Item = (&Scope, Access)> {
        self.0.iter().map(|(scope, access)| (scope, *access))
    }

    /// The number of rights.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether some right gives at least `access` on everything in `scope`.
    pub fn cover(&self, scope: &Scope, access: Access) -> bool {
        self.0.iter().any(|(held, level)| *level >= access && held.contains(scope))
    }
}

impl IntoIterator for Rights {
    type Item = (Scope, Access);
    type IntoIter = std::collections::btree_map::IntoIter<Scope, Access>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<(Scope, Access)> for Rights {
    fn from_iter<T: IntoIterator<Item = (Scope, Access)>>(rights: T) -> Self {
        let mut all = Self::default();
        for (scope, access) in rights {
            all.add(scope, access);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> S3Path {
        S3Path::parse(text).unwrap()
    }

    #[test]
    fn paths_parse_and_normalise() {
        assert_eq!(path("s3://lake/a/b/"), path("s3a://lake/a/b"));
        assert_eq!(path("s3a://lake/a/b").to_string(), "s3a://lake/a/b/");
        assert_eq!(path("s3a://lake/ä b+c%2F/'\"\\").key(), "ä b+c%2F/'\"\\");
    }

    #[test]
    fn bad_paths_name_the_rule() {
        use PathError::*;
        let long = format!("s3://lake/{}", "a/".repeat(520));
        type Expected = fn(&PathError) -> bool;
        let cases: Vec<(&str, Expected)> = vec![
            ("lake/a", |e| matches!(e, Scheme)),
            ("S3://lake/a", |e| matches!(e, Scheme)),
            ("s3://La/a", |e| matches!(e, Bucket(_))),
            ("s3://a..b/a", |e| matches!(e, Bucket(_))),
            ("s3://-ab/a", |e| matches!(e, Bucket(_))),
            ("s3://lake", |e| matches!(e, EmptyKey(_))),
            ("s3://lake/", |e| matches!(e, EmptyKey(_))),
            ("s3://lake//", |e| matches!(e, EmptyKey(_))),
            ("s3://lake//a", |e| matches!(e, EmptySegment)),
            ("s3://lake/a//", |e| matches!(e, EmptySegment)),
            ("s3://lake/a/../b", |e| matches!(e, DotSegment(_))),
            ("s3://lake/./b", |e| matches!(e, DotSegment(_))),
            ("s3://lake/a*", |e| matches!(e, Pattern("*"))),
            ("s3://lake/a?", |e| matches!(e, Pattern("?"))),
            ("s3://lake/${aws:username}", |e| matches!(e, Pattern("${"))),
            ("s3://lake/a\u{202e}b", |e| matches!(e, Invisible(_))),
            ("s3://lake/a\nb", |e| matches!(e, Invisible(_))),
            (&long, |e| matches!(e, TooLong(_))),
        ];
        for (text, expected) in cases {
            let error = S3Path::parse(text).unwrap_err();
            assert!(expected(&error), "{text:?}: {error:?}");
        }
        let segment = format!("s3://lake/{}", "x".repeat(256));
        assert!(matches!(S3Path::parse(&segment), Err(SegmentTooLong(256))));
    }

    #[test]
    fn siblings_are_not_contained() {
        assert!(path("s3://lake/a").contains(&path("s3://lake/a/b")));
        assert!(!path("s3://lake/a").contains(&path("s3://lake/ab")));
        assert!(!path("s3://lake/a").contains(&path("s3://pond/a")));
        let open = Scope::open(Bucket::parse("lake").unwrap(), "u/al/u_al__").unwrap();
        let home = path("s3://lake/u/al").scope();
        assert!(home.contains(&open) && !open.contains(&home));
        assert!(open.contains(&path("s3://lake/u/al/u_al__db").scope()));
        assert!(!path("s3://lake/u/al/u_al__").scope().contains(&open));
    }
}
