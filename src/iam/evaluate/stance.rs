//! How a decision hangs on what is not known of a request.
//!
//! A statement with a condition on a key that the request says nothing about may hold or not. Of several documents each is
//! asked by itself, and the answers are put together: what one allows all allow, unless one denies it.

use std::collections::BTreeSet;

use super::condition::{hold, is_given};
use super::{At, Request, Resource, Undecided, concerns};
use crate::iam::document::{Conditions, Document, Effect, Statement};
use crate::iam::vocabulary::SAFE_VARIABLES;
use crate::iam::vocabulary::pattern::{self, Variable};

/// How surely something is so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Certainty {
    /// Not at all.
    #[default]
    Never,
    /// As the request says of these condition keys, and it does not say.
    Where(BTreeSet<String>),
    /// In any case.
    Always,
}

impl Certainty {
    /// Whether it may be so.
    pub fn is_possible(&self) -> bool {
        *self != Self::Never
    }

    /// The keys that it hangs on.
    pub fn keys(&self) -> BTreeSet<String> {
        match self {
            Self::Where(keys) => keys.clone(),
            Self::Never | Self::Always => BTreeSet::new(),
        }
    }

    /// Whether one or the other is so.
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Always, _) | (_, Self::Always) => Self::Always,
            (Self::Never, one) | (one, Self::Never) => one,
            (Self::Where(mut keys), Self::Where(more)) => {
                keys.extend(more);
                Self::Where(keys)
            }
        }
    }

    /// Whether the one is so, and the other is not.
    fn and_not(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Always) => Self::Never,
            (one, Self::Never) => one,
            (Self::Always, Self::Where(keys)) => Self::Where(keys),
            (Self::Where(mut keys), Self::Where(more)) => {
                keys.extend(more);
                Self::Where(keys)
            }
        }
    }
}

/// What a document says of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stance {
    /// Whether it allows it.
    pub allows: Certainty,
    /// Whether it denies it.
    pub denies: Certainty,
}

impl Stance {
    /// What both say.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { allows: self.allows.or(other.allows), denies: self.denies.or(other.denies) }
    }

    /// What the server makes of it.
    pub fn outcome(self) -> Certainty {
        self.allows.and_not(self.denies)
    }
}

/// What a document says of a request, by its action alone.
///
/// # Errors
/// [`Undecided`] for a statement that cannot be evaluated; its document counts as the first.
pub fn stance(document: &Document, request: &Request<'_>) -> Result<Stance, Undecided> {
    let resource = Resource::of(request);
    let mut stance = Stance::default();
    for (number, statement) in document.statement.iter().enumerate() {
        let at = At { document: 0, statement: number };
        let says = says(statement, request, &resource).map_err(|reason| Undecided { at, reason })?;
        let side = match statement.effect {
            Effect::Allow => &mut stance.allows,
            Effect::Deny => &mut stance.denies,
        };
        *side = std::mem::take(side).or(says);
    }
    Ok(stance)
}

/// Whether the server allows a request, by the rules of [`decide`](super::decide).
///
/// # Errors
/// [`Undecided`] where a statement cannot be evaluated.
pub fn certainty<'d>(
    documents: impl Iterator<Item = &'d Document> + Clone,
    request: &Request<'_>,
) -> Result<Certainty, Undecided> {
    let of = |action: &str| -> Result<Stance, Undecided> {
        let asked = Request { action, ..*request };
        let mut all = Stance::default();
        for (number, document) in documents.clone().enumerate() {
            let one = stance(document, &asked)
                .map_err(|error| Undecided { at: At { document: number, ..error.at }, ..error })?;
            all = all.and(one);
        }
        Ok(all)
    };
    let own = of(request.action)?;
    let is_of_version =
        request.conditions.get("versionid").and_then(|values| values.first()).is_some_and(|value| !value.is_empty());
    match request.action {
        "s3:HeadBucket" | "s3:ListBucketVersions" => Ok(own.outcome().or(of("s3:ListBucket")?.outcome())),
        "s3:DeleteObject" if is_of_version => {
            let denies = of("s3:DeleteObjectVersion")?.denies;
            Ok(own.and(Stance { denies, ..Stance::default() }).outcome())
        }
        _ => Ok(own.outcome()),
    }
}

fn says(statement: &Statement, request: &Request<'_>, resource: &Resource) -> Result<Certainty, String> {
    let mut unknown = BTreeSet::new();
    if !concerns(statement, request, resource)? {
        // A variable that nothing is known of may be filled in so that it does.
        unknown = variables(statement, request);
        if unknown.is_empty() || !concerns(&anywhere(statement), request, resource)? {
            return Ok(Certainty::Never);
        }
    }
    let mut known = Conditions::new();
    for (operator, keys) in &statement.condition {
        for (key, values) in keys {
            if is_given(key, request) {
                known.entry(operator.clone()).or_default().insert(key.clone(), values.clone());
            } else {
                unknown.insert(key.clone());
            }
        }
    }
    if !hold(&known, request)? {
        return Ok(Certainty::Never);
    }
    Ok(if unknown.is_empty() { Certainty::Always } else { Certainty::Where(unknown) })
}

/// The variables in the resources that the request does not fill in.
fn variables(statement: &Statement, request: &Request<'_>) -> BTreeSet<String> {
    let named = statement.resource.iter().flat_map(|resource| pattern::variables(resource));
    let names = named.filter_map(|variable| match variable {
        Variable::Named(name) if !SAFE_VARIABLES.contains(&name) && !is_given(name, request) => Some(name.to_owned()),
        _ => None,
    });
    names.collect()
}

/// The statement with a star in the place of every variable.
fn anywhere(statement: &Statement) -> Statement {
    let mut wide = statement.clone();
    wide.resource = statement
        .resource
        .iter()
        .map(|resource| {
            let open = pattern::variables(resource).filter_map(|variable| match variable {
                Variable::Named(name) if !SAFE_VARIABLES.contains(&name) => Some(format!("${{{name}}}")),
                _ => None,
            });
            open.fold(resource.clone(), |text, variable| text.replace(&variable, "*"))
        })
        .collect();
    wide
}
