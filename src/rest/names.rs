//! What callers send, parsed at the border. Under the layout `berdl` the narrower alphabets of the legacy service hold.

use super::auth::NameRule;
use super::error::{ApiError, Code};
use crate::iam::explain::Place;
use crate::iam::layout::Layout;
use crate::iam::names::{GroupName, NameError, UserName};
use crate::iam::path::{Bucket, S3Path};

/// The name of the layout that the legacy service had.
const LEGACY_LAYOUT: &str = "berdl";

/// Which names are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// Everything that MinIO and the objects accept.
    Full,
    /// What the legacy service accepted: users without `@`, groups of `a-z0-9`, buckets without a dot.
    Legacy,
}

impl Alphabet {
    /// The alphabet that goes with a layout.
    pub fn of(layout: &Layout) -> Self {
        if layout.name() == LEGACY_LAYOUT { Self::Legacy } else { Self::Full }
    }

    /// A user name; blanks around it are taken off.
    ///
    /// # Errors
    /// 400/20030 with the rule.
    pub fn user(self, text: &str) -> Result<UserName, ApiError> {
        self.user_rule()(text.trim()).map_err(|error| ApiError::user(error.to_string()))
    }

    /// What a user name must be to the letter.
    pub fn user_rule(self) -> NameRule {
        match self {
            Self::Full => UserName::parse,
            Self::Legacy => legacy_user,
        }
    }

    /// A group name; blanks around it are taken off.
    ///
    /// # Errors
    /// 400/20040 with the rule.
    pub fn group(self, text: &str) -> Result<GroupName, ApiError> {
        let text = text.trim();
        let legal = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_lowercase())
                && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        if self == Self::Legacy && !legal(text) {
            let shown: String = text.chars().take(80).collect();
            return Err(ApiError::group(format!(
                "group name {shown:?} must consist of lower-case letters and digits, and begin with a letter"
            )));
        }
        GroupName::parse(text).map_err(|error| ApiError::group(error.to_string()))
    }

    /// A path; blanks around it are taken off.
    ///
    /// # Errors
    /// 400/30020 for the bucket, 400/20015 for all else, with the rule.
    pub fn path(self, text: &str) -> Result<S3Path, ApiError> {
        let path = S3Path::parse(with_bucket(text.trim())?)?;
        check_bucket(path.bucket())?;
        Ok(path)
    }

    /// A path, or a bucket alone; blanks around it are taken off, a slash at its end is not.
    ///
    /// # Errors
    /// As [`Alphabet::path`].
    pub fn place(self, text: &str) -> Result<Place, ApiError> {
        let place = Place::parse(with_bucket(text.trim())?)?;
        check_bucket(place.bucket())?;
        Ok(place)
    }
}

fn with_bucket(text: &str) -> Result<&str, ApiError> {
    let is_bare = |scheme: &&str| text.strip_prefix(*scheme).is_some_and(starts_without_bucket);
    if ["s3://", "s3a://"].iter().any(is_bare) {
        return Err(ApiError::new(Code::Path, "an S3 path must name a bucket: s3a://bucket/folder/"));
    }
    Ok(text)
}

fn check_bucket(bucket: &Bucket) -> Result<(), ApiError> {
    if bucket.as_str().contains('.') {
        return Err(ApiError::new(Code::Bucket, format!("bucket {:?} must not contain a dot", bucket.as_str())));
    }
    Ok(())
}

fn legacy_user(text: &str) -> Result<UserName, NameError> {
    if text.contains('@') {
        let name = text.chars().take(80).collect();
        return Err(NameError::Shape { what: "username", name, separators: ". _ -" });
    }
    UserName::parse(text)
}

fn starts_without_bucket(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}
