//! What is asked: whether a user may do one thing with one path, and what the request says of itself.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::iam::check::{nearest_action, nearest_key};
use crate::iam::evaluate::instant::Instant;
use crate::iam::evaluate::{Request, bare_name};
use crate::iam::path::{Bucket, PathError, S3Path};
use crate::iam::vocabulary::{KEYS, Level, S3_ACTIONS, S3Action, SAFE_VARIABLES, TAG_KEYS};

const PREFIX: &str = "s3:prefix";

/// Short words for the four actions that people ask about most.
const SHORT: [(&str, &str); 4] =
    [("read", "s3:GetObject"), ("write", "s3:PutObject"), ("delete", "s3:DeleteObject"), ("list", "s3:ListBucket")];

/// What the server finds in a request that is signed in its headers with an access key, as those of every client are.
const OF_EVERY_KEY: [(&str, &str); 4] = [
    ("authType", "REST-HEADER"),
    ("principaltype", "AssumedRole"),
    ("signatureversion", "AWS4-HMAC-SHA256"),
    ("versionid", ""),
];

/// Why a question is none. The text says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// No such action.
    #[error("unknown action {text:?}{}", suggestion(nearest.as_deref(), "; say read, write, list, delete, or an S3 action such as s3:GetObject"))]
    Action {
        /// What was asked for.
        text: String,
        /// The nearest action that exists.
        nearest: Option<String>,
    },
    /// An action that is not about buckets and objects.
    #[error("{0} is not about a path; access explain answers for S3 actions such as s3:GetObject")]
    Service(String),
    /// No path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A whole bucket where an object is needed.
    #[error(
        "{action} is about an object, and the path names a whole bucket; name an object, for example s3a://{bucket}/data/file"
    )]
    NoObject {
        /// The action.
        action: &'static str,
        /// The bucket.
        bucket: Bucket,
    },
    /// No condition.
    #[error("condition {0:?} must be KEY=VALUE, for example aws:SourceIp=10.0.0.1")]
    Condition(String),
    /// No such key.
    #[error("unknown condition key {text:?}{}", suggestion(*nearest, "; docs/policy-vocabulary.md lists all of them"))]
    Key {
        /// What was given.
        text: String,
        /// The nearest key that exists.
        nearest: Option<&'static str>,
    },
    /// A value as which nothing compares its key.
    #[error("condition {key}={value:?} must be {right}")]
    Value {
        /// The key.
        key: String,
        /// What was given.
        value: String,
        /// What would be right.
        right: &'static str,
    },
    /// A key whose value follows from the question.
    #[error("condition {0} is the user that is asked about; leave it out")]
    Own(String),
}

/// Whether the server can compare such a value.
type Rule = fn(&str) -> bool;

/// The keys whose values are more than text, with what is right for them.
const TYPED: [(&str, Rule, &str); 8] = [
    ("aws:CurrentTime", is_instant, "an instant, for example 2026-01-01T00:00:00Z"),
    ("aws:EpochTime", is_whole, "a whole number of seconds"),
    ("aws:SecureTransport", is_bool, "true or false"),
    ("aws:SourceIp", is_address, "an address, for example 10.0.0.1"),
    ("s3:max-keys", is_whole, "a whole number"),
    ("s3:object-lock-remaining-retention-days", is_whole, "a whole number of days"),
    ("s3:object-lock-retain-until-date", is_instant, "an instant, for example 2026-01-01T00:00:00Z"),
    ("s3:signatureAge", is_whole, "a whole number of milliseconds"),
];

fn is_instant(text: &str) -> bool {
    Instant::parse(text).is_some()
}

fn is_whole(text: &str) -> bool {
    text.parse::<i64>().is_ok()
}

fn is_bool(text: &str) -> bool {
    text.parse::<bool>().is_ok()
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn suggestion(nearest: Option<&str>, otherwise: &str) -> String {
    nearest.map_or_else(|| otherwise.to_owned(), |nearest| format!("; did you mean {nearest:?}?"))
}

/// An S3 action that somebody asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action(&'static S3Action);

impl Action {
    /// Parses `s3:GetObject`, `GetObject`, or one of `read`, `write`, `list`, `delete`.
    ///
    /// # Errors
    /// Says which action was probably meant.
    pub fn parse(text: &str) -> Result<Self, QuestionError> {
        let short = SHORT.iter().find(|(word, _)| *word == text).map(|(_, action)| (*action).to_owned());
        let name = short.unwrap_or_else(|| if text.contains(':') { text.to_owned() } else { format!("s3:{text}") });
        match S3_ACTIONS.iter().find(|action| action.name == name) {
            Some(action) => Ok(Self(action)),
            None if ["admin:", "kms:", "sts:"].iter().any(|prefix| name.starts_with(prefix)) => {
                Err(QuestionError::Service(name))
            }
            None => {
                let nearest = nearest_action(text).or_else(|| nearest_action(&name));
                let nearest = nearest.filter(|nearest| nearest.starts_with("s3:"));
                Err(QuestionError::Action { text: text.chars().take(80).collect(), nearest })
            }
        }
    }

    /// The action as policies write it.
    pub fn name(self) -> &'static str {
        self.0.name
    }
}

/// A bucket, or an object or folder in it. Unlike an [`S3Path`] it keeps the slash at the end, which is part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    bucket: Bucket,
    key: String,
}

impl Place {
    /// Parses `s3a://BUCKET`, `s3a://BUCKET/KEY` or the same with `s3://`.
    ///
    /// # Errors
    /// Says which rule of paths is broken.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let rest = text.strip_prefix("s3a://").or_else(|| text.strip_prefix("s3://")).ok_or(PathError::Scheme)?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let bucket = Bucket::parse(bucket)?;
        if !key.is_empty() {
            S3Path::new(bucket.clone(), key)?;
        }
        Ok(Self { bucket, key: key.to_owned() })
    }

    /// A path as the folder that it is, with its slash.
    pub fn folder(path: &S3Path) -> Self {
        Self { bucket: path.bucket().clone(), key: format!("{}/", path.key()) }
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The object or folder; none for a whole bucket.
    pub fn path(&self) -> Option<S3Path> {
        S3Path::new(self.bucket.clone(), &self.key).ok()
    }
}

impl From<&S3Path> for Place {
    fn from(path: &S3Path) -> Self {
        Self { bucket: path.bucket().clone(), key: path.key().to_owned() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3a://{}/{}", self.bucket, self.key)
    }
}

/// A condition key with what a request says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    name: String,
    value: String,
}

impl Given {
    /// Parses `KEY=VALUE`, with the key as policies write it, such as `aws:SourceIp=10.0.0.1`.
    ///
    /// # Errors
    /// Says which key was probably meant, or which value would be right.
    pub fn parse(text: &str) -> Result<Self, QuestionError> {
        let (key, value) = text.split_once('=').ok_or_else(|| QuestionError::Condition(text.to_owned()))?;
        let (bare, tag) = key.split_once('/').map_or((key, None), |(bare, tag)| (bare, Some(tag)));
        let is_known = KEYS.contains(&bare) && tag.is_some() == TAG_KEYS.contains(&bare);
        if !is_known {
            return Err(QuestionError::Key { text: key.chars().take(80).collect(), nearest: nearest_key(bare) });
        }
        if SAFE_VARIABLES.contains(&key) {
            return Err(QuestionError::Own(key.to_owned()));
        }
        if let Some((_, _, right)) = TYPED.iter().find(|(typed, is_right, _)| *typed == key && !is_right(value)) {
            let value = value.chars().take(80).collect();
            return Err(QuestionError::Value { key: key.to_owned(), value, right });
        }
        Ok(Self { name: bare_name(key).to_owned(), value: value.to_owned() })
    }
}

/// Whether a user may do something.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who, by the name on the server.
    pub user: String,
    /// What.
    pub action: Action,
    /// With what.
    pub place: Place,
    /// What the request says of itself, named as [`Request::conditions`] names it.
    pub conditions: BTreeMap<String, Vec<String>>,
}

impl Question {
    /// A question about a request at an instant. A folder is listed with its slash, as every client does that lists folders.
    ///
    /// # Errors
    /// The action is about an object, and the place is a bucket.
    pub fn new(
        user: impl Into<String>,
        action: Action,
        place: Place,
        given: Vec<Given>,
        now: Timestamp,
    ) -> Result<Self, QuestionError> {
        if action.0.level == Level::Object && place.key.is_empty() {
            return Err(QuestionError::NoObject { action: action.name(), bucket: place.bucket });
        }
        let mut conditions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for Given { name, value } in given {
            conditions.entry(name).or_default().push(value);
        }
        if action.0.keys.contains(&PREFIX) && !place.key.is_empty() {
            let folder = format!("{}/", place.key.trim_end_matches('/'));
            conditions.entry(bare_name(PREFIX).to_owned()).or_insert_with(|| vec![folder]);
        }
        let second = now.as_second();
        let clock = Timestamp::from_second(second).unwrap_or(now).to_string();
        let of_now = [("CurrentTime", clock), ("EpochTime", second.to_string())];
        let of_every_key = OF_EVERY_KEY.map(|(name, value)| (name, value.to_owned()));
        for (name, value) in of_now.into_iter().chain(of_every_key) {
            conditions.entry(name.to_owned()).or_insert_with(|| vec![value]);
        }
        Ok(Self { user: user.into(), action, place, conditions })
    }

    /// The request, as policies are asked for it.
    pub fn request(&self) -> Request<'_> {
        let (bucket, key) = match self.action.0.level {
            Level::Object => (self.place.bucket.as_str(), self.place.key.as_str()),
            Level::Bucket => (self.place.bucket.as_str(), ""),
            Level::Server => ("", ""),
        };
        Request { action: self.action.name(), bucket, key, conditions: &self.conditions, username: &self.user }
    }

    /// What the request is about, as a policy names it.
    pub fn resource(&self) -> String {
        let Request { bucket, key, .. } = self.request();
        match (bucket, key) {
            ("", _) => "arn:aws:s3:::*".to_owned(),
            (bucket, "") => format!("arn:aws:s3:::{bucket}"),
            (bucket, key) => format!("arn:aws:s3:::{bucket}/{key}"),
        }
    }

    /// The folder that is listed, if one is.
    pub fn prefix(&self) -> Option<&str> {
        let takes_prefix = self.action.0.keys.contains(&PREFIX);
        self.conditions.get(bare_name(PREFIX)).filter(|_| takes_prefix)?.first().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(action: &str, place: &str, given: &[&str]) -> Result<Question, QuestionError> {
        let given = given.iter().map(|text| Given::parse(text)).collect::<Result<_, _>>()?;
        let (action, place) = (Action::parse(action)?, Place::parse(place)?);
        Question::new("bob", action, place, given, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn actions_have_short_words_and_mistakes_a_suggestion() {
        for (text, name) in [
            ("read", "s3:GetObject"),
            ("list", "s3:ListBucket"),
            ("GetObjectTagging", "s3:GetObjectTagging"),
            ("s3:PutObject", "s3:PutObject"),
        ] {
            assert_eq!(Action::parse(text).unwrap().name(), name);
        }
        for (text, expected) in [
            ("s3:GetObjct", "did you mean \"s3:GetObject\"?"),
            ("getobject", "did you mean \"s3:GetObject\"?"),
            ("ListObjectsV2", "did you mean \"s3:ListBucket\"?"),
            ("fly", "say read, write, list, delete"),
            ("admin:CreateUser", "is not about a path"),
        ] {
            let error = Action::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn requests_say_what_the_server_would_find() {
        let list = question("list", "s3a://lake/homes/alice", &[]).unwrap();
        assert_eq!((list.resource().as_str(), list.prefix()), ("arn:aws:s3:::lake", Some("homes/alice/")));
        let other = question("list", "s3a://lake/homes/alice/", &["s3:prefix=homes/"]).unwrap();
        assert_eq!(other.prefix(), Some("homes/"));
        assert_eq!(question("list", "s3a://lake", &[]).unwrap().prefix(), None);
        let read = question("read", "s3://lake/homes/alice/", &["aws:SourceIp=10.0.0.1", "s3:ExistingObjectTag/a=b=c"]);
        let read = read.unwrap();
        assert_eq!((read.request().bucket, read.request().key, read.prefix()), ("lake", "homes/alice/", None));
        assert_eq!(read.conditions["SourceIp"], ["10.0.0.1"]);
        assert_eq!(read.conditions["ExistingObjectTag/a"], ["b=c"]);
        assert_eq!(read.conditions["CurrentTime"], ["1970-01-01T00:00:00Z"]);
        assert_eq!(question("ListAllMyBuckets", "s3a://lake", &[]).unwrap().request().bucket, "");
    }

    #[test]
    fn what_is_no_question_is_refused() {
        for (action, place, given, expected) in [
            ("read", "s3a://lake", "", "names a whole bucket"),
            ("read", "lake/x", "", "s3a://"),
            ("read", "s3a://lake/a*", "", "literal"),
            ("read", "s3a://lake/a", "aws:SourceIp", "must be KEY=VALUE"),
            ("read", "s3a://lake/a", "aws:SourceIP=1.2.3.4", "did you mean \"aws:SourceIp\"?"),
            ("read", "s3a://lake/a", "s3:ExistingObjectTag=x", "unknown condition key"),
            ("read", "s3a://lake/a", "aws:SourceIp=nonsense", "aws:SourceIp=\"nonsense\" must be an address"),
            ("read", "s3a://lake/a", "aws:SourceIp=", "must be an address"),
            ("read", "s3a://lake/a", "aws:SecureTransport=yes", "must be true or false"),
            ("read", "s3a://lake/a", "aws:CurrentTime=today", "must be an instant"),
            ("read", "s3a://lake/a", "aws:CurrentTime=2026-01-01 00:00:00Z", "must be an instant"),
            ("list", "s3a://lake/a", "s3:max-keys=few", "must be a whole number"),
            ("read", "s3a://lake/a", "aws:username=alice", "leave it out"),
        ] {
            let given: Vec<&str> = [given].into_iter().filter(|given| !given.is_empty()).collect();
            let error = question(action, place, &given).unwrap_err().to_string();
            assert!(error.contains(expected), "{action} {place} {given:?}: {error}");
        }
    }
}
