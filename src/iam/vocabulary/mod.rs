//! What the policies of a MinIO server can say: the names of actions, operators, condition keys and variables.
//!
//! Read from `github.com/minio/pkg/v3` v3.1.3, which the community server uses from RELEASE.2025-10-15T17-29-55Z to its last
//! commit (2026-02-12).

mod actions;
mod conditions;
pub mod pattern;

pub use actions::{ADMIN_ACTIONS, KMS_ACTIONS, OPERATIONS, S3_ACTIONS, S3Action, STS_ACTIONS};
pub use conditions::{
    ADMIN_KEYS, COMMON_KEYS, KEYS, OPERATORS, Operator, QUALIFIERS, SAFE_VARIABLES, STS_KEYS, TAG_KEYS,
};

/// Where the names are from.
pub const SOURCE: &str = "`github.com/minio/pkg/v3` v3.1.3";

/// The first and the last server of that source.
pub const SERVERS: [&str; 2] = ["RELEASE.2025-10-15T17-29-55Z", "its last commit (2026-02-12)"];

/// What a request of an S3 action is about, which decides what its resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// An object: the resource is `bucket/key`.
    Object,
    /// A bucket: the resource is `bucket/`.
    Bucket,
    /// All buckets: the resource is `/`.
    Server,
}

/// The values that an operator compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Texts, in which variables are replaced.
    Text,
    /// Bytes written in base64.
    Base64,
    /// One `true` or `false`.
    Bool,
    /// One instant in RFC 3339.
    Date,
    /// Addresses and networks.
    Network,
    /// One whole number.
    Number,
}

/// The part of the server that an action speaks to; a statement speaks to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Buckets and objects.
    S3,
    /// Administration; such a statement ignores Resource.
    Admin,
    /// Encryption keys.
    Kms,
    /// Temporary credentials; such a statement ignores Resource.
    Sts,
}

impl Service {
    /// Which service the prefix of an action names, whether or not the action exists.
    pub fn of(action: &str) -> Option<Self> {
        match action.split_once(':')?.0 {
            "s3" => Some(Self::S3),
            "admin" => Some(Self::Admin),
            "kms" => Some(Self::Kms),
            "sts" => Some(Self::Sts),
            _ => None,
        }
    }

    /// The prefix of its actions, without colon.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Admin => "admin",
            Self::Kms => "kms",
            Self::Sts => "sts",
        }
    }
}

/// The S3 actions that an action or a pattern such as `s3:Get*` stands for; none where it is unknown.
pub fn s3_actions(pattern: &str) -> impl Iterator<Item = &'static S3Action> {
    S3_ACTIONS.iter().filter(move |action| pattern::matches(pattern, action.name))
}

/// The service of an action or pattern that the server accepts.
pub fn known_action(action: &str) -> Option<Service> {
    let service = Service::of(action)?;
    let known = match service {
        Service::S3 => s3_actions(action).next().is_some(),
        Service::Admin => ADMIN_ACTIONS.binary_search(&action).is_ok(),
        Service::Kms => KMS_ACTIONS.binary_search(&action).is_ok(),
        Service::Sts => STS_ACTIONS.contains(&action),
    };
    known.then_some(service)
}

/// Whether an action, as a policy writes it, stands for some `admin:`, `kms:` or `sts:` action (`*` does).
pub fn reaches_admin(action: &str) -> bool {
    let literal = action.split(['*', '?']).next().unwrap_or_default();
    let pattern = literal.len() < action.len();
    ["admin:", "kms:", "sts:"]
        .iter()
        .any(|prefix| literal.starts_with(prefix) || (pattern && prefix.starts_with(literal)))
}

/// The operator of this name.
pub fn operator(name: &str) -> Option<&'static Operator> {
    OPERATORS.binary_search_by_key(&name, |operator| operator.name).ok().map(|at| &OPERATORS[at])
}

/// Whether an action that the server takes takes a condition key (without the tag after a slash). A pattern takes what any of
/// its actions takes; `*` is one of temporary credentials.
pub fn takes_key(action: &str, key: &str) -> bool {
    match Service::of(action) {
        Some(Service::Admin | Service::Kms) => ADMIN_KEYS.binary_search(&key).is_ok(),
        Some(Service::Sts) => STS_KEYS.contains(&key),
        None if action == "*" => STS_KEYS.contains(&key),
        Some(Service::S3) | None => {
            COMMON_KEYS.binary_search(&key).is_ok() || s3_actions(action).any(|action| action.keys.contains(&key))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered<'a>(names: impl IntoIterator<Item = &'a str>) -> bool {
        let names: Vec<&str> = names.into_iter().collect();
        names.windows(2).all(|pair| pair[0] < pair[1])
    }

    #[test]
    fn tables_are_ordered_and_without_repetition() {
        assert!(ordered(S3_ACTIONS.iter().map(|action| action.name)));
        assert!(S3_ACTIONS.iter().all(|action| ordered(action.keys.iter().copied())));
        assert!(ordered(ADMIN_ACTIONS));
        assert!(ordered(KMS_ACTIONS));
        assert!(ordered(OPERATIONS.map(|(operation, _)| operation)));
        assert!(ordered(OPERATORS.iter().map(|operator| operator.name)));
        assert!(ordered(QUALIFIERS));
        assert!(ordered(COMMON_KEYS));
        assert!(ordered(ADMIN_KEYS));
        assert!(ordered(TAG_KEYS));
        assert!(ordered(KEYS));
        assert!(ordered(SAFE_VARIABLES));
    }

    #[test]
    fn tables_refer_to_each_other() {
        for key in COMMON_KEYS.iter().chain(&ADMIN_KEYS).chain(&STS_KEYS).chain(&TAG_KEYS) {
            assert!(KEYS.contains(key), "{key}");
        }
        for key in S3_ACTIONS.iter().flat_map(|action| action.keys) {
            assert!(KEYS.contains(key) && !COMMON_KEYS.contains(key), "{key}");
        }
        for variable in SAFE_VARIABLES {
            assert!(COMMON_KEYS.contains(&variable), "{variable}");
        }
        for (operation, action) in OPERATIONS {
            assert_eq!(known_action(operation), None, "{operation}");
            assert_eq!(known_action(action), Some(Service::S3), "{action}");
        }
    }

    #[test]
    fn actions_and_patterns_are_known_where_they_stand_for_something() {
        for action in ["s3:GetObject", "s3:*", "s3:Get*", "s3:?etObject"] {
            assert_eq!(known_action(action), Some(Service::S3), "{action}");
        }
        assert_eq!(known_action("admin:*"), Some(Service::Admin));
        assert_eq!(known_action("kms:Status"), Some(Service::Kms));
        assert_eq!(known_action("sts:AssumeRoleWithWebIdentity"), Some(Service::Sts));
        for action in
            ["*", "s3:getobject", "s3:GetObjct", "admin:Get*", "sts:*", "ec2:Run", "S3:GetObject", "s3:GetBucketAcl"]
        {
            assert_eq!(known_action(action), None, "{action}");
        }
    }

    #[test]
    fn patterns_that_stand_for_admin_actions_are_recognised() {
        for action in
            ["*", "**", "?*", "a*", "admin:*", "admin:Heal", "kms:Status", "s*", "sts:AssumeRoleWithWebIdentity"]
        {
            assert!(reaches_admin(action), "{action}");
        }
        for action in ["s3:*", "s3:Get*", "s3:GetObject", "s3*"] {
            assert!(!reaches_admin(action), "{action}");
        }
    }
}
