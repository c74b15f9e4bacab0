//! What an installation allows: layout, permissions of namespaces, quotas.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};

use crate::iam::desired::Extras;
use crate::iam::layout::Layout;
use crate::iam::names::{PolicyName, UserName};
use crate::iam::path::{Bucket, PathError, S3Path};

/// What the index needs to know beside the objects.
#[derive(Clone, Debug)]
pub struct IndexConfig {
    /// What homes and tenant folders are.
    pub layout: Layout,
    /// The namespace in which everything may be declared, unless `namespaces` says less.
    pub home_namespace: String,
    /// What watched namespaces may declare; one that is not listed (and not home) may declare nothing.
    pub namespaces: BTreeMap<String, NamespaceRules>,
    /// How many grants one owner may make.
    pub grants_per_owner: usize,
    /// Policies with admin actions that users and groups may have, and that objects may declare.
    pub allowed_admin_policies: BTreeSet<PolicyName>,
    /// How long before its end a grant counts as expiring.
    pub expiry_warning: SignedDuration,
    /// Accounts of the server that no object may declare: the root user, the identity of the controller.
    pub reserved_users: BTreeSet<String>,
    /// What to do with attachments and members that adopted users and groups came with.
    pub adopted_extras: Extras,
    /// Whether users are put into groups only once their object has an origin. Not so where nobody writes origins (observe
    /// mode): there everything that is declared counts.
    pub origin_required: bool,
}

impl IndexConfig {
    /// A configuration in which the home namespace may declare everything, and no other anything.
    pub fn new(layout: Layout, home_namespace: impl Into<String>) -> Self {
        Self {
            layout,
            home_namespace: home_namespace.into(),
            namespaces: BTreeMap::new(),
            grants_per_owner: 1000,
            allowed_admin_policies: BTreeSet::new(),
            expiry_warning: SignedDuration::from_hours(24),
            reserved_users: BTreeSet::new(),
            adopted_extras: Extras::Keep,
            origin_required: true,
        }
    }

    /// What a namespace may declare.
    pub fn permissions(&self, namespace: &str) -> Permissions<'_> {
        match self.namespaces.get(namespace) {
            Some(rules) => Permissions::Listed(rules),
            None if namespace == self.home_namespace => Permissions::All,
            None => Permissions::Nothing,
        }
    }
}

/// What a permission is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// Users to declare.
    Users,
    /// Groups to declare, and to add members to.
    Groups,
    /// Folders to share.
    Paths,
    /// Policies to declare and to refer to.
    Policies,
    /// Users to hold keys of.
    Keys,
}

/// How many entries of a permission a message names.
const ENTRIES_SHOWN: usize = 5;

/// What one namespace may declare.
#[derive(Clone, Copy, Debug)]
pub enum Permissions<'a> {
    /// Everything.
    All,
    /// What the rules list.
    Listed(&'a NamespaceRules),
    /// Nothing.
    Nothing,
}

impl Permissions<'_> {
    fn allows(self, listed: impl FnOnce(&NamespaceRules) -> bool) -> bool {
        match self {
            Self::All => true,
            Self::Listed(rules) => listed(rules),
            Self::Nothing => false,
        }
    }

    /// Whether this user may be declared.
    pub fn user(self, name: &UserName) -> bool {
        self.allows(|rules| any(&rules.usernames, name.as_str()))
    }

    /// Whether this group and its members may be declared.
    pub fn group(self, name: &str) -> bool {
        self.allows(|rules| any(&rules.groups, name))
    }

    /// Whether this path may be shared.
    pub fn path(self, path: &S3Path) -> bool {
        self.allows(|rules| rules.paths.iter().any(|prefix| prefix.holds(path)))
    }

    /// Whether this policy may be declared and referred to.
    pub fn policy(self, name: &PolicyName) -> bool {
        self.allows(|rules| any(&rules.policies, name.as_str()))
    }

    /// Whether the namespace may hold access keys of this user.
    pub fn key_for(self, name: &UserName) -> bool {
        self.allows(|rules| any(&rules.keys_for, name.as_str()))
    }

    /// What of an area is permitted, for the message to whoever asked for something else.
    pub fn in_words(self, area: Area) -> String {
        let listed = match self {
            Self::All => return "everything".to_owned(),
            Self::Nothing => Vec::new(),
            Self::Listed(rules) => rules.entries(area),
        };
        if listed.is_empty() {
            return "nothing".to_owned();
        }
        let more = listed.len().saturating_sub(ENTRIES_SHOWN);
        let shown = listed[..listed.len() - more].join(", ");
        if more > 0 { format!("{shown} and {more} more") } else { shown }
    }
}

fn any(globs: &[Glob], text: &str) -> bool {
    globs.iter().any(|glob| glob.matches(text))
}

/// What a watched namespace may declare, as the configuration file writes it. What is absent is not allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NamespaceRules {
    /// Users, as patterns with `*` and `?`.
    pub usernames: Vec<Glob>,
    /// Groups, as patterns.
    pub groups: Vec<Glob>,
    /// Folders below which paths may be shared.
    pub paths: Vec<PathPrefix>,
    /// Policies that may be declared and referred to, as patterns.
    pub policies: Vec<Glob>,
    /// Users whose access keys may be kept here, as patterns.
    pub keys_for: Vec<Glob>,
}

impl NamespaceRules {
    fn entries(&self, area: Area) -> Vec<String> {
        let patterns = match area {
            Area::Users => &self.usernames,
            Area::Groups => &self.groups,
            Area::Policies => &self.policies,
            Area::Keys => &self.keys_for,
            Area::Paths => return self.paths.iter().map(ToString::to_string).collect(),
        };
        patterns.iter().map(|glob| glob.0.clone()).collect()
    }
}

/// A pattern over a whole text: `*` for any characters, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    /// A pattern.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole text fits.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text): (Vec<char>, Vec<char>) = (self.0.chars().collect(), text.chars().collect());
        let (mut at, mut seen) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while seen < text.len() {
            match pattern.get(at) {
                Some('*') => {
                    retry = Some((at + 1, seen));
                    at += 1;
                }
                Some(&c) if c == '?' || c == text[seen] => (at, seen) = (at + 1, seen + 1),
                _ => match retry {
                    // The last star takes one character more.
                    Some((after_star, taken)) => {
                        (at, seen) = (after_star, taken + 1);
                        retry = Some((after_star, taken + 1));
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|c| *c == '*')
    }
}

/// A bucket, or a folder in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix {
    bucket: Bucket,
    folder: Option<S3Path>,
}

impl PathPrefix {
    /// Parses `s3a://bucket/` or `s3a://bucket/folder/`.
    ///
    /// # Errors
    /// Says which rule of paths is broken.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let rest = text.strip_prefix("s3a://").or_else(|| text.strip_prefix("s3://")).ok_or(PathError::Scheme)?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let bucket = Bucket::parse(bucket)?;
        let folder = if key.is_empty() { None } else { Some(S3Path::new(bucket.clone(), key)?) };
        Ok(Self { bucket, folder })
    }

    /// Whether the path is the prefix or lies below it.
    pub fn holds(&self, path: &S3Path) -> bool {
        match &self.folder {
            None => &self.bucket == path.bucket(),
            Some(folder) => folder.contains(path),
        }
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.folder {
            None => write!(f, "s3a://{}/", self.bucket),
            Some(folder) => write!(f, "{folder}"),
        }
    }
}

impl<'de> Deserialize<'de> for PathPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_texts() {
        for (pattern, text, expected) in [
            ("alice", "alice", true),
            ("alice", "alice2", false),
            ("spark-*", "spark-", true),
            ("spark-*", "my-spark-1", false),
            ("*-*-x", "a-b-c-x", true),
            ("*-*-x", "a-b-c-xy", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn prefixes_stop_at_slashes() {
        let path = |text: &str| S3Path::parse(text).unwrap();
        let prefix = PathPrefix::parse("s3://lake/homes/alice").unwrap();
        assert!(prefix.holds(&path("s3a://lake/homes/alice/x")));
        assert!(!prefix.holds(&path("s3a://lake/homes/alice2")));
        assert!(PathPrefix::parse("s3a://lake/").unwrap().holds(&path("s3a://lake/x")));
        assert!(!PathPrefix::parse("s3a://lake").unwrap().holds(&path("s3a://pond/x")));
    }

    #[test]
    fn rules_refuse_unknown_fields_and_allow_nothing_by_default() {
        let rules: NamespaceRules = serde_saphyr::from_str("usernames: ['spark-*']\npaths: [s3a://lake/a/]").unwrap();
        let permissions = Permissions::Listed(&rules);
        assert!(permissions.user(&UserName::parse("spark-1").unwrap()));
        assert!(!permissions.group("kbase"));
        assert_eq!(permissions.in_words(Area::Users), "spark-*");
        assert_eq!(permissions.in_words(Area::Paths), "s3a://lake/a/");
        assert_eq!(permissions.in_words(Area::Groups), "nothing");
        let many = NamespaceRules { groups: ('a'..='h').map(Glob::new).collect(), ..rules.clone() };
        assert_eq!(Permissions::Listed(&many).in_words(Area::Groups), "a, b, c, d, e and 3 more");
        assert!(serde_saphyr::from_str::<NamespaceRules>("users: [a]").is_err());
    }
}
