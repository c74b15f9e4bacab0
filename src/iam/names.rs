//! Names of users, groups and policies, parsed once at the border.
//!
//! A *declared* name ([`UserName`], [`GroupName`], [`PolicyName`]) obeys the rules of the kinds. A name *on the server*
//! ([`ServerGroup`], [`DocumentName`]) may also be derived (a twin, a further document) or foreign.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::shared::shared;

/// User names that may never be declared, compared without regard to case.
pub const RESERVED_USERS: [&str; 12] = [
    "admin",
    "anonymous",
    "backup",
    "guest",
    "minio",
    "public",
    "root",
    "service",
    "shared",
    "site-replicator-0",
    "system",
    "warehouse",
];

/// Group names that may never be declared.
pub const RESERVED_GROUPS: [&str; 13] = [
    "admin",
    "all",
    "backup",
    "default",
    "everyone",
    "globalusers",
    "globalusersro",
    "minio",
    "public",
    "root",
    "service",
    "system",
    "warehouse",
];

/// Policies that every server has and that are never written by us.
pub const BUILT_IN_POLICIES: [&str; 5] = ["consoleAdmin", "diagnostics", "readonly", "readwrite", "writeonly"];

/// Prefixes of the policy names that minio-manager derives itself.
pub const DERIVED_POLICY_PREFIXES: [&str; 4] =
    ["group-policy-", "minio-manager--", "user-home-policy-", "user-system-policy-"];

/// The name under which grants to everyone live: a document, and in REST a group.
pub const EVERYONE_GROUP: &str = "globalusers";

/// Why a name was refused; the text says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Too short or too long.
    #[error("{what} {name:?} has {length} characters; use {min} to {max}")]
    Length {
        /// What was being named.
        what: &'static str,
        /// The refused name (shortened).
        name: String,
        /// Its length in bytes.
        length: usize,
        /// Least length.
        min: usize,
        /// Greatest length.
        max: usize,
    },
    /// A character outside the alphabet, at either end, or two separators in a row.
    #[error("{what} {name:?} must be letters and digits, with single {separators} between them")]
    Shape {
        /// What was being named.
        what: &'static str,
        /// The refused name (shortened).
        name: String,
        /// The separators that are allowed between letters and digits.
        separators: &'static str,
    },
    /// The name means something else already.
    #[error("{what} {name:?} is reserved; choose another name")]
    Reserved {
        /// What was being named.
        what: &'static str,
        /// The refused name.
        name: String,
    },
}

/// The alphabet rule that all declared names share: runs of letters and digits joined by single separators.
fn parse_words(
    what: &'static str,
    name: &str,
    separators: &'static str,
    min: usize,
    max: usize,
) -> Result<Arc<str>, NameError> {
    let length = name.len();
    if length < min || length > max {
        return Err(NameError::Length { what, name: shorten(name), length, min, max });
    }
    let mut after_word = false;
    for c in name.chars() {
        let word = c.is_ascii_alphanumeric();
        let single_separator = after_word && separators.contains(c);
        if !word && !single_separator {
            return Err(NameError::Shape { what, name: shorten(name), separators });
        }
        after_word = word;
    }
    if !after_word {
        return Err(NameError::Shape { what, name: shorten(name), separators });
    }
    Ok(shared(name))
}

fn shorten(name: &str) -> String {
    name.chars().take(80).collect()
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

macro_rules! parsed_name {
    ($type:ident, $error:ty) => {
        impl std::str::FromStr for $type {
            type Err = $error;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::parse(name)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Self::parse(&name).map_err(serde::de::Error::custom)
            }
        }
    };
}

name_type! {
    /// A MinIO user that an object declares: 3 to 64 characters, letters and digits joined by single `.`, `_`, `@` or `-`.
    UserName
}
name_type! {
    /// A MinIO group that an object declares: 2 to 62 characters, letters and digits joined by single `.`, `_` or `-`.
    GroupName
}
name_type! {
    /// A canned policy that an object declares or refers to: 2 to 128 characters, not a name that is derived.
    PolicyName
}
name_type! {
    /// A group as the server knows it: a declared group or its read-only twin.
    ServerGroup
}
name_type! {
    /// A policy document as the server knows it, whoever made it.
    DocumentName
}

parsed_name!(UserName, NameError);
parsed_name!(GroupName, NameError);
parsed_name!(PolicyName, NameError);
parsed_name!(ServerGroup, NameError);

impl UserName {
    /// Parses a declared user name.
    ///
    /// # Errors
    /// Says which rule is broken and what would be right.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let parsed = parse_words("username", name, "._@-", 3, 64)?;
        if RESERVED_USERS.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
            return Err(NameError::Reserved { what: "username", name: name.to_owned() });
        }
        Ok(Self(parsed))
    }
}

impl GroupName {
    /// Parses a declared group name.
    ///
    /// # Errors
    /// Says which rule is broken and what would be right.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let parsed = parse_words("groupName", name, "._-", 2, 62)?;
        if RESERVED_GROUPS.contains(&name) {
            return Err(NameError::Reserved { what: "groupName", name: name.to_owned() });
        }
        Ok(Self(parsed))
    }
}

impl PolicyName {
    /// Parses the name of a policy that a spec refers to; built-in ones are fine.
    ///
    /// # Errors
    /// Says which rule is broken and what would be right.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let parsed = parse_words("policy name", name, "._-", 2, 128).map_err(|error| {
            // Derived names hold two separators in a row; calling them reserved says more than calling them malformed.
            if name.starts_with("minio-manager--") {
                NameError::Reserved { what: "policy name", name: shorten(name) }
            } else {
                error
            }
        })?;
        if DERIVED_POLICY_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            return Err(NameError::Reserved { what: "policy name", name: name.to_owned() });
        }
        Ok(Self(parsed))
    }

    /// Parses the name under which a `MinioPolicy` declares a document: not a built-in one.
    ///
    /// # Errors
    /// Says which rule is broken and what would be right.
    pub fn parse_declared(name: &str) -> Result<Self, NameError> {
        if BUILT_IN_POLICIES.contains(&name) {
            return Err(NameError::Reserved { what: "policyName", name: name.to_owned() });
        }
        Self::parse(name)
    }
}

impl ServerGroup {
    /// Parses the target of a grant: a group or a twin, 2 to 72 characters.
    ///
    /// # Errors
    /// Says which rule is broken and what would be right.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        parse_words("group", name, "._-", 2, 72).map(Self)
    }
}

impl From<&GroupName> for ServerGroup {
    fn from(name: &GroupName) -> Self {
        Self(name.0.clone())
    }
}

impl From<&PolicyName> for DocumentName {
    fn from(name: &PolicyName) -> Self {
        Self(name.0.clone())
    }
}

impl DocumentName {
    /// A name that the server reported; nothing is checked.
    pub fn from_server(name: &str) -> Self {
        Self(name.into())
    }

    /// The first document of a user: home, grants and guard.
    pub fn user_home(user: &UserName) -> Self {
        Self(format!("user-home-policy-{user}").into())
    }

    /// The document of a user's system folders.
    pub fn user_system(user: &UserName) -> Self {
        Self(format!("user-system-policy-{user}").into())
    }

    /// The first document of a group or a twin.
    pub fn group(group: &ServerGroup) -> Self {
        Self(format!("group-policy-{group}").into())
    }

    /// The document that carries grants to everyone.
    pub fn everyone() -> Self {
        Self(format!("group-policy-{EVERYONE_GROUP}").into())
    }

    /// The `number`-th document of a family, counted from 1: the base itself, then `--2`, `--3`, ...
    pub fn numbered(&self, number: usize) -> Self {
        if number <= 1 { self.clone() } else { Self(format!("{}--{number}", self.0).into()) }
    }

    /// The first document of the family: the name without `--2`, `--3`, ...
    pub fn family_base(&self) -> DocumentName {
        let base = self.0.rsplit_once("--").map(|(base, _)| Self::from_server(base));
        base.filter(|base| self.number_in(base).is_some()).unwrap_or_else(|| self.clone())
    }

    /// Whether the name is one that only this program gives to documents.
    pub fn is_derived(&self) -> bool {
        DERIVED_POLICY_PREFIXES.iter().any(|prefix| self.0.starts_with(prefix))
    }

    /// The number of `self` within the family of `base`, if it belongs to it.
    pub fn number_in(&self, base: &DocumentName) -> Option<usize> {
        if self == base {
            return Some(1);
        }
        let digits = self.0.strip_prefix(&*base.0)?.strip_prefix("--")?;
        let number: usize = digits.parse().ok()?;
        (number >= 2 && !digits.starts_with('0') && !digits.starts_with('+')).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_follow_the_alphabet() {
        for good in ["abc", "alice", "a.b_c@d-e", "A1B", "u-1", &"x".repeat(64)] {
            assert_eq!(UserName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "ab", ".abc", "abc-", "a..b", "a._b", "äbc", "a b", "a/b", &"x".repeat(65)] {
            assert!(UserName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn reserved_names_are_refused() {
        assert!(matches!(UserName::parse("Root"), Err(NameError::Reserved { .. })));
        assert!(matches!(UserName::parse("site-replicator-0"), Err(NameError::Reserved { .. })));
        assert!(matches!(GroupName::parse("globalusersro"), Err(NameError::Reserved { .. })));
        assert!(matches!(PolicyName::parse("user-home-policy-bob"), Err(NameError::Reserved { .. })));
        assert!(matches!(PolicyName::parse("minio-manager--claim"), Err(NameError::Reserved { .. })));
        assert!(matches!(PolicyName::parse_declared("readonly"), Err(NameError::Reserved { .. })));
        assert!(PolicyName::parse("readonly").is_ok());
    }

    #[test]
    fn family_numbers_round_trip_and_never_collide_with_other_names() {
        let base = DocumentName::user_home(&UserName::parse("alice").unwrap());
        for number in [1, 2, 17] {
            assert_eq!(base.numbered(number).number_in(&base), Some(number));
        }
        for foreign in ["user-home-policy-alice2", "user-home-policy-alice--1", "user-home-policy-alice--02", "x"] {
            assert_eq!(DocumentName::from_server(foreign).number_in(&base), None, "{foreign}");
        }
    }
}
