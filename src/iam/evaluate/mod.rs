//! Would the server allow this request? The server's own rules, without the server.
//!
//! Deny wins, nothing is allowed that no statement allows. Whatever a server would not have stored (an unknown operator, a
//! number that is none) is not guessed at: where the answer hangs on it, it is [`Undecided`].

mod condition;
pub(crate) mod instant;
pub(crate) mod network;
mod stance;

pub(crate) use condition::{bare_name, truth};
pub use stance::{Certainty, Stance, certainty, stance};

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, Effect, Statement};
use super::vocabulary::pattern::{clean, matches};
use super::vocabulary::{ADMIN_ACTIONS, KMS_ACTIONS, STS_ACTIONS};

const S3_ARN: &str = "arn:aws:s3:::";
const KMS_ARN: &str = "arn:minio:kms:::";
/// A bucket, a key and a user that no document names.
const UNNAMED: &str = "minio-manager--nobody";

/// What a server is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The action that the server asks the policies for, such as `s3:GetObject` (also for reading an older version).
    pub action: &'a str,
    /// The bucket; empty for actions on the server; the key's name for `kms:` actions.
    pub bucket: &'a str,
    /// The key of the object; empty for actions on the bucket.
    pub key: &'a str,
    /// What the request says about condition keys, named as the server names them: a query parameter under its name without
    /// `aws:` or `s3:` (`prefix`, `SourceIp`), a header in its canonical form (`Prefix`). A version to delete is `versionid`.
    pub conditions: &'a BTreeMap<String, Vec<String>>,
    /// The user who asks; the parent of the key that signs.
    pub username: &'a str,
}

/// A statement among several documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// The number of the document, from 0.
    pub document: usize,
    /// The number of the statement in it, from 0.
    pub statement: usize,
}

/// The server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the request is allowed.
    pub allowed: bool,
    /// The first statement that allows it, where it is allowed.
    pub by: Option<At>,
    /// The first statement that denies it, if one does.
    pub denied_by: Option<At>,
}

/// The answer depends on a statement that no server would have stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("document {}, statement {} cannot be evaluated: {reason}", at.document, at.statement)]
pub struct Undecided {
    /// Which statement.
    pub at: At,
    /// Why.
    pub reason: String,
}

/// Decides a request on all documents of a user and of the groups the user is in.
///
/// As on the server, `ListBucket` also allows `s3:ListBucketVersions` and `s3:HeadBucket`, `GetObjectVersion` also allows
/// `s3:GetObject`, and deleting a version needs `DeleteObject` and no denial of `DeleteObjectVersion`. The server asks for
/// `s3:GetObjectVersion` only when attributes of a version are read, and then `GetObject` does not do.
///
/// # Errors
/// [`Undecided`] where the answer depends on a statement that cannot be evaluated.
pub fn decide<'d>(
    documents: impl Iterator<Item = &'d Document> + Clone,
    request: &Request<'_>,
) -> Result<Decision, Undecided> {
    let versions = request.conditions.get("versionid").and_then(|values| values.first());
    if request.action == "s3:DeleteObject" && versions.is_some_and(|version| !version.is_empty()) {
        let deletion = Request { action: "s3:DeleteObjectVersion", ..*request };
        if let Some(at) = denial(documents.clone(), &deletion)? {
            return Ok(Decision { allowed: false, by: None, denied_by: Some(at) });
        }
    }
    let decision = decide_action(documents.clone(), request)?;
    match request.action {
        "s3:HeadBucket" | "s3:ListBucketVersions" if !decision.allowed => {
            let listing = decide_action(documents, &Request { action: "s3:ListBucket", ..*request })?;
            Ok(if listing.allowed { listing } else { decision })
        }
        _ => Ok(decision),
    }
}

/// The first statement that denies a request. Calls of a user on its own account (new keys, its own password) need nothing
/// but that there is none, and that the user has some policy.
///
/// # Errors
/// [`Undecided`] where that depends on a statement that cannot be evaluated.
pub fn denial<'d>(
    documents: impl Iterator<Item = &'d Document>,
    request: &Request<'_>,
) -> Result<Option<At>, Undecided> {
    let resource = Resource::of(request);
    first_match(documents, Effect::Deny, request, &resource)
}

/// Whether a document leaves room for an action: some statement allows it, for whatever resources and under whatever conditions,
/// and none denies it on a resource that nobody has named, which is to say on all of them.
pub fn leaves_room(document: &Document, action: &str) -> bool {
    let allows = |statement: &Statement| {
        let named = statement.action.is_empty() || has_action(statement.action.iter(), action);
        statement.effect == Effect::Allow && named && !has_action(statement.not_action.iter(), action)
    };
    let unnamed = Request { action, bucket: UNNAMED, key: UNNAMED, conditions: &BTreeMap::new(), username: UNNAMED };
    let is_denied = matches!(denial(std::iter::once(document), &unnamed), Ok(Some(_)));
    document.statement.iter().any(allows) && !is_denied
}

fn decide_action<'d>(
    documents: impl Iterator<Item = &'d Document> + Clone,
    request: &Request<'_>,
) -> Result<Decision, Undecided> {
    let resource = Resource::of(request);
    if let Some(at) = first_match(documents.clone(), Effect::Deny, request, &resource)? {
        return Ok(Decision { allowed: false, by: None, denied_by: Some(at) });
    }
    let by = first_match(documents, Effect::Allow, request, &resource)?;
    Ok(Decision { allowed: by.is_some(), by, denied_by: None })
}

/// The first statement with an effect that applies; what cannot be evaluated counts only where none does.
fn first_match<'d>(
    documents: impl Iterator<Item = &'d Document>,
    effect: Effect,
    request: &Request<'_>,
    resource: &Resource,
) -> Result<Option<At>, Undecided> {
    let mut undecided = None;
    for (document, content) in documents.enumerate() {
        for (statement, content) in content.statement.iter().enumerate().filter(|(_, content)| content.effect == effect)
        {
            let at = At { document, statement };
            match applies(content, request, resource) {
                Ok(true) => return Ok(Some(at)),
                Ok(false) => {}
                Err(reason) => undecided = undecided.or(Some(Undecided { at, reason })),
            }
        }
    }
    undecided.map_or(Ok(None), Err)
}

fn applies(statement: &Statement, request: &Request<'_>, resource: &Resource) -> Result<bool, String> {
    Ok(concerns(statement, request, resource)? && condition::hold(&statement.condition, request)?)
}

/// Whether a statement speaks of the action and the resource of a request.
fn concerns(statement: &Statement, request: &Request<'_>, resource: &Resource) -> Result<bool, String> {
    let named = statement.action.is_empty() || has_action(statement.action.iter(), request.action);
    if !named || has_action(statement.not_action.iter(), request.action) {
        return Ok(false);
    }
    if !ignores_resources(statement, resource) {
        let met = |patterns: &BTreeSet<String>| resource.meets_any(patterns.iter(), request);
        if !statement.resource.is_empty() && !met(&statement.resource)? {
            return Ok(false);
        }
        if !statement.not_resource.is_empty() && met(&statement.not_resource)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has_action<'s>(mut patterns: impl Iterator<Item = &'s String>, action: &str) -> bool {
    patterns.any(|pattern| matches(pattern, action) || (pattern == "s3:GetObjectVersion" && action == "s3:GetObject"))
}

/// Statements about administration and temporary credentials apply to everything, whatever they name; those about encryption
/// keys do where they name none, or where the request names none.
fn ignores_resources(statement: &Statement, resource: &Resource) -> bool {
    let names = |known: &[&str]| statement.action.iter().any(|action| known.binary_search(&action.as_str()).is_ok());
    names(&ADMIN_ACTIONS)
        || names(&STS_ACTIONS)
        || statement.action.contains("*")
        || (names(&KMS_ACTIONS) && (statement.resource.is_empty() || resource.full == "/"))
}

/// What a request is about, in the two forms that the server compares.
struct Resource {
    full: String,
    clean: String,
}

impl Resource {
    fn of(request: &Request<'_>) -> Self {
        let separator = if request.key.starts_with('/') { "" } else { "/" };
        let full = format!("{}{separator}{}", request.bucket, request.key);
        let clean = clean(&full).into_owned();
        Self { full, clean }
    }

    fn meets_any<'s>(&self, patterns: impl Iterator<Item = &'s String>, request: &Request<'_>) -> Result<bool, String> {
        let mut unclear = None;
        for arn in patterns {
            match pattern_of(arn).and_then(|pattern| condition::substitute(pattern, request)) {
                Ok(pattern) if self.meets(&pattern) => return Ok(true),
                Ok(_) => {}
                Err(reason) => unclear = Some(reason),
            }
        }
        unclear.map_or(Ok(false), Err)
    }

    fn meets(&self, pattern: &str) -> bool {
        (self.clean == pattern && self.clean != ".") || matches(pattern, &self.full)
    }
}

/// What an ARN says after its prefix; a star in front stands for any prefix.
fn pattern_of(arn: &str) -> Result<&str, String> {
    match arn.strip_prefix(S3_ARN).or_else(|| arn.strip_prefix(KMS_ARN)) {
        Some(pattern) => Ok(pattern),
        None if arn == "*" => Ok("*"),
        None => arn.strip_prefix('*').ok_or_else(|| format!("{arn:?} is not a resource")),
    }
}

#[cfg(test)]
mod tests;
