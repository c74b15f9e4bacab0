//! What MinIO's admin API answers, read leniently: lists may be null, fields may be missing, and key spelling varies between servers.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

/// Whose policies are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A user, by name.
    User(String),
    /// A group, by name.
    Group(String),
}

impl Holder {
    /// The user's or group's name.
    pub fn name(&self) -> &str {
        match self {
            Self::User(name) | Self::Group(name) => name,
        }
    }

    /// Whether it is a group.
    pub fn is_group(&self) -> bool {
        matches!(self, Self::Group(_))
    }
}

/// A user as the server has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserEntry {
    /// Whether the user may authenticate.
    pub enabled: bool,
    /// Names of the policies attached to the user itself, also of policies that no longer exist.
    pub policies: BTreeSet<String>,
    /// Groups the user is in.
    pub member_of: BTreeSet<String>,
}

/// A group as the server has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupInfo {
    /// False strips the members of everything they have, not only through the group.
    pub enabled: bool,
    /// The members.
    pub members: BTreeSet<String>,
    /// Names of attached policies. **Always empty while the group is disabled**, whatever is attached.
    pub policies: BTreeSet<String>,
}

/// A policy as the server has it.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyInfo {
    /// The document, in the server's own order and spelling: compare by meaning, not as text. Null where the server has one that
    /// it cannot say.
    pub document: serde_json::Value,
    /// When it was first written.
    pub created: Option<Timestamp>,
    /// When it was last written.
    pub updated: Option<Timestamp>,
}

/// Who holds a policy directly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyHolders {
    /// Users with the policy attached to themselves.
    pub users: BTreeSet<String>,
    /// Groups with the policy attached.
    pub groups: BTreeSet<String>,
}

/// Attachments, as far as they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyEntities {
    /// Direct policies of the users that were asked for.
    pub users: BTreeMap<String, BTreeSet<String>>,
    /// Policies of the groups that were asked for.
    pub groups: BTreeMap<String, BTreeSet<String>>,
    /// Holders of the policies that were asked for; of every attached policy, where nothing was asked for.
    pub policies: BTreeMap<String, PolicyHolders>,
}

impl PolicyEntities {
    /// The holders the other way round: which policies each user and group holds directly.
    pub fn by_holder(&self) -> BTreeMap<Holder, BTreeSet<String>> {
        let mut held: BTreeMap<Holder, BTreeSet<String>> = BTreeMap::new();
        for (policy, holders) in &self.policies {
            let users = holders.users.iter().cloned().map(Holder::User);
            let groups = holders.groups.iter().cloned().map(Holder::Group);
            for holder in users.chain(groups) {
                held.entry(holder).or_default().insert(policy.clone());
            }
        }
        held
    }
}

/// An access key (service account) as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id.
    pub access_key: String,
    /// When the server drops it; none: never.
    pub expiration: Option<Timestamp>,
    /// Whether it may authenticate; the bulk list does not say.
    pub enabled: Option<bool>,
    /// Its name; empty in the bulk list.
    pub name: String,
    /// Its description; empty in the bulk list.
    pub description: String,
}

/// An access key with what only a look at the key itself tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKeyInfo {
    /// What lists tell too.
    pub key: AccessKey,
    /// The user it acts as.
    pub parent: String,
    /// Its session policy; none where it has its parent's rights.
    pub session_policy: Option<serde_json::Value>,
}

/// Takes null for the default.
fn lenient<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A timestamp where there is one that means something: Go's and Unix' zero stand for none.
fn meaningful_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    let time = text.and_then(|text| text.parse::<Timestamp>().ok());
    Ok(time.filter(|time| *time > Timestamp::UNIX_EPOCH))
}

/// Policy names of MinIO's comma separated form.
fn names(csv: &str) -> BTreeSet<String> {
    csv.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn is_enabled(status: &str) -> bool {
    matches!(status, "enabled" | "on")
}

#[derive(Deserialize)]
pub(super) struct RawUser {
    #[serde(default, deserialize_with = "lenient", alias = "policy_name", alias = "PolicyName")]
    #[serde(rename = "policyName")]
    policy_name: String,
    #[serde(default, deserialize_with = "lenient", alias = "Status")]
    status: String,
    #[serde(default, deserialize_with = "lenient", alias = "member_of", alias = "MemberOf")]
    #[serde(rename = "memberOf")]
    member_of: BTreeSet<String>,
}

impl From<RawUser> for UserEntry {
    fn from(raw: RawUser) -> Self {
        Self { enabled: is_enabled(&raw.status), policies: names(&raw.policy_name), member_of: raw.member_of }
    }
}

#[derive(Deserialize)]
pub(super) struct RawGroup {
    #[serde(default, deserialize_with = "lenient", alias = "Status")]
    status: String,
    #[serde(default, deserialize_with = "lenient", alias = "Members")]
    members: BTreeSet<String>,
    #[serde(default, deserialize_with = "lenient", alias = "Policy")]
    policy: String,
}

impl From<RawGroup> for GroupInfo {
    fn from(raw: RawGroup) -> Self {
        Self { enabled: is_enabled(&raw.status), members: raw.members, policies: names(&raw.policy) }
    }
}

#[derive(Deserialize)]
pub(super) struct RawPolicy {
    #[serde(rename = "Policy", alias = "policy")]
    policy: serde_json::Value,
    #[serde(default, rename = "CreateDate", alias = "create_date", deserialize_with = "meaningful_time")]
    created: Option<Timestamp>,
    #[serde(default, rename = "UpdateDate", alias = "update_date", deserialize_with = "meaningful_time")]
    updated: Option<Timestamp>,
}

impl From<RawPolicy> for PolicyInfo {
    fn from(raw: RawPolicy) -> Self {
        Self { document: raw.policy, created: raw.created, updated: raw.updated }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RawEntities {
    #[serde(rename = "userMappings", deserialize_with = "lenient")]
    users: Vec<RawUserMapping>,
    #[serde(rename = "groupMappings", deserialize_with = "lenient")]
    groups: Vec<RawGroupMapping>,
    #[serde(rename = "policyMappings", deserialize_with = "lenient")]
    policies: Vec<RawPolicyMapping>,
}

#[derive(Deserialize)]
struct RawUserMapping {
    user: String,
    #[serde(default, deserialize_with = "lenient")]
    policies: BTreeSet<String>,
}

#[derive(Deserialize)]
struct RawGroupMapping {
    group: String,
    #[serde(default, deserialize_with = "lenient")]
    policies: BTreeSet<String>,
}

#[derive(Deserialize)]
struct RawPolicyMapping {
    policy: String,
    #[serde(default, deserialize_with = "lenient")]
    users: BTreeSet<String>,
    #[serde(default, deserialize_with = "lenient")]
    groups: BTreeSet<String>,
}

impl From<RawEntities> for PolicyEntities {
    fn from(raw: RawEntities) -> Self {
        let holders = |mapping: RawPolicyMapping| {
            (mapping.policy, PolicyHolders { users: mapping.users, groups: mapping.groups })
        };
        Self {
            users: raw.users.into_iter().map(|mapping| (mapping.user, mapping.policies)).collect(),
            groups: raw.groups.into_iter().map(|mapping| (mapping.group, mapping.policies)).collect(),
            policies: raw.policies.into_iter().map(holders).collect(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct RawAccessKey {
    #[serde(rename = "accessKey", alias = "access_key", alias = "AccessKey", default, deserialize_with = "lenient")]
    access_key: String,
    #[serde(default, deserialize_with = "meaningful_time")]
    expiration: Option<Timestamp>,
    #[serde(rename = "accountStatus", alias = "account_status", default, deserialize_with = "lenient")]
    status: String,
    #[serde(default, deserialize_with = "lenient")]
    name: String,
    #[serde(default, deserialize_with = "lenient")]
    description: String,
}

impl From<RawAccessKey> for AccessKey {
    fn from(raw: RawAccessKey) -> Self {
        let enabled = (!raw.status.is_empty()).then(|| is_enabled(&raw.status));
        Self {
            access_key: raw.access_key,
            expiration: raw.expiration,
            enabled,
            name: raw.name,
            description: raw.description,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct RawAccessKeyInfo {
    #[serde(flatten)]
    key: RawAccessKey,
    #[serde(rename = "parentUser", alias = "parent_user", default, deserialize_with = "lenient")]
    parent: String,
    #[serde(rename = "impliedPolicy", alias = "implied_policy", default, deserialize_with = "lenient")]
    implied: bool,
    #[serde(default, deserialize_with = "lenient")]
    policy: String,
}

impl From<RawAccessKeyInfo> for AccessKeyInfo {
    fn from(raw: RawAccessKeyInfo) -> Self {
        // With an implied policy the server shows the parent's effective one, which is not the key's. An unreadable one is still one.
        let session_policy = (!raw.implied).then(|| serde_json::from_str(&raw.policy).unwrap_or_default());
        Self { key: raw.key.into(), parent: raw.parent, session_policy }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RawAccessKeys {
    #[serde(deserialize_with = "lenient")]
    accounts: Vec<RawAccessKey>,
    #[serde(rename = "serviceAccounts", alias = "service_accounts", deserialize_with = "lenient")]
    service_accounts: Vec<RawAccessKey>,
}

impl From<RawAccessKeys> for Vec<AccessKey> {
    fn from(raw: RawAccessKeys) -> Self {
        let mut keys: Self = raw.accounts.into_iter().chain(raw.service_accounts).map(AccessKey::from).collect();
        keys.sort_by(|a, b| a.access_key.cmp(&b.access_key));
        keys
    }
}

#[cfg(test)]
mod tests;
