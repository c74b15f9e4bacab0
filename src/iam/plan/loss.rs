//! What a plan takes from somebody, counted as the breaker counts it.

use std::fmt;

use super::super::change::Holder;
use super::super::names::{DocumentName, PolicyName, ServerGroup, UserName};
use super::super::path::{Access, Scope};

/// One thing that somebody loses. A deleted user or group counts once, with everything below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// An account is deleted.
    User(UserName),
    /// An account is disabled.
    Disabled(UserName),
    /// A group or twin is deleted.
    Group(ServerGroup),
    /// A canned policy is deleted.
    Policy(PolicyName),
    /// A policy is detached (not one of a family: their grants are counted).
    Attachment {
        /// From whom.
        holder: Holder,
        /// The policy.
        policy: DocumentName,
    },
    /// A member leaves a group, or moves into its read-only twin.
    Member {
        /// The group.
        group: ServerGroup,
        /// Who leaves.
        member: String,
    },
    /// A right ends or is lowered.
    Grant {
        /// The first document of the family that held it.
        family: DocumentName,
        /// What it applied to.
        scope: Scope,
        /// What it allowed.
        access: Access,
    },
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::User(name) => write!(f, "user {name} is deleted"),
            Loss::Disabled(name) => write!(f, "user {name} is disabled"),
            Loss::Group(name) => write!(f, "group {name} is deleted"),
            Loss::Policy(name) => write!(f, "policy {name} is deleted"),
            Loss::Attachment { holder, policy } => write!(f, "{holder} loses policy {policy}"),
            Loss::Member { group, member } => write!(f, "{member} leaves group {group}"),
            Loss::Grant { family, scope, access } => write!(f, "{family} loses {access:?} on {scope}"),
        }
    }
}
