//! The Secrets with a user's key: what is in them, whose they are, and what they tell when read back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::KeyOwner;
use crate::api::{self, meta::label};
use crate::iam::declared::KeyRequests;
use crate::iam::names::UserName;
use crate::iam::slug;
use crate::minio::{self, Credentials, Endpoint};

/// Ends the name of the Secret that holds a pair before the server knows it.
pub const PENDING_SUFFIX: &str = ".pending";

/// When the key was made, RFC 3339.
const ISSUED_AT: &str = "minio-manager.io/issued-at";
/// When the key before this one ends, RFC 3339; while it is there, that key is still to be ended.
const PREVIOUS_EXPIRES_AT: &str = "minio-manager.io/previous-expires-at";
/// The id of the key before this one, where there was one.
const PREVIOUS_ACCESS_KEY: &str = "minio-manager.io/previous-access-key";
/// Until when those who read the key may count on it, RFC 3339.
const SERVES_UNTIL: &str = "minio-manager.io/serves-until";
/// The value of the user's rotate annotation that the key answers.
const ROTATED_FOR: &str = "minio-manager.io/rotated-for";
/// The value of the user's revoke annotation that the key answers.
const REVOKED_FOR: &str = "minio-manager.io/revoked-for";
/// The key's session policy as JSON; absent where it has none.
const SESSION_POLICY: &str = "minio-manager.io/session-policy";
/// Hash of the data as we wrote it: another hash means that somebody else wrote.
const CONTENT_HASH: &str = "minio-manager.io/content-hash";

const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const USER: &str = "S3_USER";
const EXPIRATION: &str = "S3_EXPIRATION";

/// The name that a user's Secret has unless another one is asked for.
pub fn default_secret_name(user: &UserName) -> String {
    format!("minio-{}", slug::user_slug(user))
}

/// The name of the Secret in which the next pair of `secret_name` waits.
pub fn pending_name(secret_name: &str) -> String {
    format!("{secret_name}{PENDING_SUFFIX}")
}

/// A file that a Secret can hold beside the environment variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretFile {
    /// `config`: an AWS configuration that reads `credential.json` whenever a key is about to end.
    Config,
    /// `credential.json`: what an AWS `credential_process` answers.
    CredentialJson,
    /// `spark-defaults.conf`: the S3A file system of Spark.
    SparkDefaults,
    /// `mc-config.json`: the alias `minio` of MinIO's command line client.
    McConfig,
    /// `duckdb.sql`: a DuckDB secret.
    DuckDb,
}

impl SecretFile {
    /// Every file there is.
    pub const ALL: [Self; 5] = [Self::Config, Self::CredentialJson, Self::SparkDefaults, Self::McConfig, Self::DuckDb];
    /// The files that a Secret holds unless others are asked for.
    pub const DEFAULT: [Self; 2] = [Self::Config, Self::CredentialJson];

    /// The key in the Secret, which is the file's name in a mount.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::CredentialJson => "credential.json",
            Self::SparkDefaults => "spark-defaults.conf",
            Self::McConfig => "mc-config.json",
            Self::DuckDb => "duckdb.sql",
        }
    }
}

/// The text names no [`SecretFile`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no file of the Secrets; use config, credential.json, spark-defaults.conf, mc-config.json or duckdb.sql"
)]
pub struct UnknownSecretFile(pub String);

impl FromStr for SecretFile {
    type Err = UnknownSecretFile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|file| file.name() == text).ok_or_else(|| UnknownSecretFile(text.to_owned()))
    }
}

/// What Secrets say about the server, the same for every user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Where people reach MinIO.
    pub endpoint: Endpoint,
    /// The region that clients sign with.
    pub region: String,
    /// Which files Secrets hold.
    pub files: BTreeSet<SecretFile>,
    /// Where pods mount a Secret: the `config` file names `credential.json` by its full path.
    pub mount_path: String,
}

impl Template {
    /// The default files, mounted at `/var/run/secrets/minio`.
    pub fn new(endpoint: Endpoint, region: impl Into<String>) -> Self {
        Self {
            endpoint,
            region: region.into(),
            files: SecretFile::DEFAULT.into(),
            mount_path: "/var/run/secrets/minio".to_owned(),
        }
    }
}

/// A pair with what is known about it: all that a Secret tells about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedKey {
    /// The MinIO user it acts as.
    pub user: String,
    /// The pair.
    pub credentials: Credentials,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When the server drops it.
    pub expires_at: Timestamp,
    /// Until when those who read it may count on it, if it is replaced in the ordinary way: programs ask for the next one by then.
    pub serves_until: Timestamp,
    /// When the key before this one ends, if there is one: on the server in a pending Secret, for people otherwise.
    pub previous_expires_at: Option<Timestamp>,
    /// The id of the key before this one, if there is one.
    pub previous_access_key: Option<String>,
    /// Its session policy as JSON, if it has one.
    pub session_policy: Option<String>,
    /// The requests that it answers.
    pub made_for: KeyRequests,
}

impl IssuedKey {
    /// The key in a Secret of ours; none where something is missing or was written by somebody else.
    pub fn read(secret: &Secret) -> Option<Self> {
        let data = secret.data.as_ref()?;
        if annotation(secret, CONTENT_HASH)? != hex::encode(data_hash(data)) {
            return None;
        }
        let text = |key: &str| data.get(key).and_then(|value| std::str::from_utf8(&value.0).ok());
        let time = |text: &str| text.parse::<Timestamp>().ok();
        let expires_at = text(EXPIRATION).and_then(time)?;
        Some(Self {
            user: text(USER)?.to_owned(),
            credentials: Credentials::new(text(ACCESS_KEY_ID)?, text(SECRET_ACCESS_KEY)?),
            issued_at: annotation(secret, ISSUED_AT).and_then(time)?,
            expires_at,
            serves_until: annotation(secret, SERVES_UNTIL).and_then(time).map_or(expires_at, |end| end.min(expires_at)),
            previous_expires_at: annotation(secret, PREVIOUS_EXPIRES_AT).and_then(time),
            previous_access_key: annotation(secret, PREVIOUS_ACCESS_KEY).map(str::to_owned),
            session_policy: annotation(secret, SESSION_POLICY).map(str::to_owned),
            made_for: KeyRequests {
                rotate: annotation(secret, ROTATED_FOR).map(str::to_owned),
                revoke: annotation(secret, REVOKED_FOR).map(str::to_owned),
            },
        })
    }

    /// The environment variables that name the key.
    fn identity(&self) -> BTreeMap<String, ByteString> {
        let values = [
            (ACCESS_KEY_ID, self.credentials.access_key.clone()),
            (SECRET_ACCESS_KEY, self.credentials.secret.expose().to_owned()),
            (USER, self.user.clone()),
            (EXPIRATION, self.expires_at.to_string()),
        ];
        values.into_iter().map(|(name, value)| (name.to_owned(), ByteString(value.into_bytes()))).collect()
    }

    /// Everything that people get: environment variables and files.
    fn content(&self, template: &Template) -> BTreeMap<String, ByteString> {
        let mut data = self.identity();
        let mut put = |name: &str, value: String| {
            data.insert(name.to_owned(), ByteString(value.into_bytes()));
        };
        let endpoint = template.endpoint.to_string();
        put("AWS_ENDPOINT_URL", endpoint.clone());
        put("AWS_ENDPOINT_URL_S3", endpoint);
        put("AWS_REGION", template.region.clone());
        put("AWS_DEFAULT_REGION", template.region.clone());
        // delta-rs and its relatives refuse plain HTTP unless told so; where it is encrypted there is nothing to allow.
        if !template.endpoint.is_https() {
            put("AWS_ALLOW_HTTP", "true".to_owned());
        }
        for file in &template.files {
            put(file.name(), self.file(*file, template));
        }
        data
    }

    fn file(&self, file: SecretFile, template: &Template) -> String {
        match file {
            SecretFile::Config => aws_config(template),
            SecretFile::CredentialJson => self.credential_json(),
            SecretFile::SparkDefaults => self.spark_defaults(template),
            SecretFile::McConfig => self.mc_config(template),
            SecretFile::DuckDb => self.duckdb(template),
        }
    }

    fn credential_json(&self) -> String {
        json!({
            "Version": 1,
            "AccessKeyId": self.credentials.access_key,
            "SecretAccessKey": self.credentials.secret.expose(),
            // Not when the server drops it: by then the overlap after its replacement is over, and it has been ended.
            "Expiration": self.serves_until.to_string(),
        })
        .to_string()
    }

    fn spark_defaults(&self, template: &Template) -> String {
        let settings = [
            ("endpoint", template.endpoint.to_string()),
            ("endpoint.region", template.region.clone()),
            ("path.style.access", "true".to_owned()),
            ("connection.ssl.enabled", template.endpoint.is_https().to_string()),
            ("aws.credentials.provider", "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider".to_owned()),
            ("access.key", self.credentials.access_key.clone()),
            ("secret.key", self.credentials.secret.expose().to_owned()),
        ];
        settings.into_iter().fold(String::new(), |mut text, (name, value)| {
            let _ = writeln!(text, "spark.hadoop.fs.s3a.{name} {value}");
            text
        })
    }

    fn mc_config(&self, template: &Template) -> String {
        json!({
            "version": "10",
            "aliases": {
                "minio": {
                    "url": template.endpoint.to_string(),
                    "accessKey": self.credentials.access_key,
                    "secretKey": self.credentials.secret.expose(),
                    "api": "S3v4",
                    "path": "auto",
                },
            },
        })
        .to_string()
    }

    fn duckdb(&self, template: &Template) -> String {
        let text = |value: &str| format!("'{}'", value.replace('\'', "''"));
        format!(
            "CREATE OR REPLACE SECRET minio (\n    TYPE s3,\n    KEY_ID {},\n    SECRET {},\n    ENDPOINT {},\n    \
             REGION {},\n    USE_SSL {},\n    URL_STYLE 'path'\n);\n",
            text(&self.credentials.access_key),
            text(self.credentials.secret.expose()),
            text(template.endpoint.authority()),
            text(&template.region),
            template.endpoint.is_https(),
        )
    }
}

fn aws_config(template: &Template) -> String {
    let path = format!("{}/{}", template.mount_path.trim_end_matches('/'), SecretFile::CredentialJson.name());
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let path = if plain { path } else { format!("\"{path}\"") };
    format!(
        "[default]\nregion = {}\nendpoint_url = {}\ncredential_process = cat {path}\n",
        template.region, template.endpoint,
    )
}

/// The Secret that people use. `held` is the metadata of the Secret that it replaces: what others wrote there stays.
pub fn secret(owner: &KeyOwner, template: &Template, key: &IssuedKey, held: Option<&ObjectMeta>) -> Secret {
    build(owner, owner.secret_name.clone(), key.content(template), key, held)
}

/// The Secret in which a pair waits until it is proven.
pub fn pending(owner: &KeyOwner, key: &IssuedKey) -> Secret {
    build(owner, pending_name(&owner.secret_name), key.identity(), key, None)
}

fn build(
    owner: &KeyOwner,
    name: String,
    data: BTreeMap<String, ByteString>,
    key: &IssuedKey,
    held: Option<&ObjectMeta>,
) -> Secret {
    let mut metadata = held.cloned().unwrap_or_default();
    metadata.managed_fields = None;
    metadata.name = Some(name);
    metadata.namespace = Some(owner.namespace.clone());
    metadata.labels.get_or_insert_default().insert(label::USERNAME_SLUG.to_owned(), slug::user_slug(&owner.user));
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.insert(ISSUED_AT.to_owned(), key.issued_at.to_string());
    annotations.insert(SERVES_UNTIL.to_owned(), key.serves_until.to_string());
    annotations.insert(CONTENT_HASH.to_owned(), hex::encode(data_hash(&data)));
    let optional = [
        (PREVIOUS_EXPIRES_AT, key.previous_expires_at.map(|time| time.to_string())),
        (PREVIOUS_ACCESS_KEY, key.previous_access_key.clone()),
        (SESSION_POLICY, key.session_policy.clone()),
        (ROTATED_FOR, key.made_for.rotate.clone()),
        (REVOKED_FOR, key.made_for.revoke.clone()),
    ];
    for (name, value) in optional {
        match value {
            Some(value) => annotations.insert(name.to_owned(), value),
            None => annotations.remove(name),
        };
    }
    let owners = metadata.owner_references.get_or_insert_default();
    owners.retain(|reference| reference.uid != owner.uid);
    owners.push(owner_reference(owner));
    Secret { metadata, data: Some(data), type_: Some("Opaque".to_owned()), ..Secret::default() }
}

fn owner_reference(owner: &KeyOwner) -> OwnerReference {
    OwnerReference {
        api_version: format!("{}/{}", api::GROUP, api::VERSION),
        kind: owner.kind.to_owned(),
        name: owner.object_name.clone(),
        uid: owner.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// What is remembered of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFacts {
    /// The Secret's own uid.
    pub uid: String,
    /// The version under which it may be replaced.
    pub resource_version: String,
    /// The uids of its owners.
    pub owners: Box<[Arc<str>]>,
    /// The owner in words, for people.
    pub owner_in_words: String,
    /// The id of the key that it names, whoever wrote it.
    pub access_key: Option<String>,
    /// Hash of everything that it holds.
    pub hash: [u8; 32],
    /// What we know of the key, where the Secret is as we wrote it.
    pub key: Option<KeyFacts>,
    /// Whether it would be written the same today: content, label and owner.
    pub current: bool,
}

/// What is remembered of a key. Its secret is, too, for every look signs with it: to read it anew each time would cost the API
/// server more than all else that is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its id.
    pub access_key: String,
    /// What it signs with.
    pub(super) secret: minio::Secret,
    /// The MinIO user it acts as.
    pub user: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When the server drops it.
    pub expires_at: Timestamp,
    /// Until when those who read it may count on it, if it is replaced in the ordinary way: programs ask for the next one by then.
    pub serves_until: Timestamp,
    /// When the key before this one ends, if there is one: on the server in a pending Secret, for people otherwise.
    pub previous_expires_at: Option<Timestamp>,
    /// The id of the key before this one, if there is one.
    pub previous_access_key: Option<String>,
    /// Its session policy as JSON, if it has one.
    pub session_policy: Option<String>,
    /// The requests that it answers.
    pub made_for: KeyRequests,
}

impl From<&IssuedKey> for KeyFacts {
    fn from(key: &IssuedKey) -> Self {
        Self {
            access_key: key.credentials.access_key.clone(),
            secret: key.credentials.secret.clone(),
            user: key.user.clone(),
            issued_at: key.issued_at,
            expires_at: key.expires_at,
            serves_until: key.serves_until,
            previous_expires_at: key.previous_expires_at,
            previous_access_key: key.previous_access_key.clone(),
            session_policy: key.session_policy.clone(),
            made_for: key.made_for.clone(),
        }
    }
}

impl KeyFacts {
    /// The pair.
    pub(super) fn credentials(&self) -> Credentials {
        Credentials::new(self.access_key.clone(), self.secret.clone())
    }

    /// The ids that it tells: its own, and that of the key before it.
    pub fn ids(&self) -> impl Iterator<Item = &String> {
        [&self.access_key].into_iter().chain(&self.previous_access_key)
    }
}

/// The ids of the keys that a Secret of ours names: the one in it, and the one before.
pub fn keys_named_in(secret: &Secret) -> BTreeSet<String> {
    let published = secret.data.as_ref().and_then(|data| data.get(ACCESS_KEY_ID));
    let published = published.and_then(|value| String::from_utf8(value.0.clone()).ok());
    let before = annotation(secret, PREVIOUS_ACCESS_KEY).map(str::to_owned);
    published.into_iter().chain(before).collect()
}

impl SecretFacts {
    /// What `secret`, as the API server has it, tells.
    pub fn of(secret: &Secret, template: &Template) -> Self {
        let nothing = BTreeMap::new();
        let data = secret.data.as_ref().unwrap_or(&nothing);
        let key = IssuedKey::read(secret);
        let access_key = data.get(ACCESS_KEY_ID).and_then(|value| String::from_utf8(value.0.clone()).ok());
        Self {
            uid: secret.metadata.uid.clone().unwrap_or_default(),
            resource_version: secret.metadata.resource_version.clone().unwrap_or_default(),
            owners: owner_references(secret).iter().map(|owner| owner.uid.as_str().into()).collect(),
            owner_in_words: owner_in_words(secret),
            access_key,
            hash: data_hash(data),
            current: key
                .as_ref()
                .is_some_and(|key| key.content(template) == *data && is_labelled_for(secret, &key.user)),
            key: key.as_ref().map(KeyFacts::from),
        }
    }

    /// The ids of keys that it names.
    pub(super) fn named_keys(&self) -> impl Iterator<Item = String> {
        self.access_key.iter().chain(self.key.iter().flat_map(KeyFacts::ids)).cloned()
    }

    /// Whether the object with this uid may write it.
    pub fn is_owned_by(&self, uid: &str) -> bool {
        self.owners.iter().any(|owner| **owner == *uid)
    }

    /// The uids of its owners.
    pub(super) fn owners(&self) -> impl Iterator<Item = String> {
        self.owners.iter().map(ToString::to_string)
    }
}

fn is_labelled_for(secret: &Secret, user: &str) -> bool {
    let slug = secret.metadata.labels.as_ref().and_then(|labels| labels.get(label::USERNAME_SLUG));
    slug.is_some_and(|slug| *slug == slug::safe_slug(user, slug::USER_SLUG_LENGTH))
}

fn owner_references(secret: &Secret) -> &[OwnerReference] {
    secret.metadata.owner_references.as_deref().unwrap_or_default()
}

fn owner_in_words(secret: &Secret) -> String {
    let owners = owner_references(secret);
    match owners.iter().find(|owner| owner.controller == Some(true)).or(owners.first()) {
        Some(owner) => format!("{} {}", owner.kind, owner.name),
        None => "nobody".to_owned(),
    }
}

fn annotation<'a>(secret: &'a Secret, name: &str) -> Option<&'a str> {
    secret.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// A hash that tells any two contents apart: names and values with their lengths.
fn data_hash(data: &BTreeMap<String, ByteString>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (name, value) in data {
        for part in [name.as_bytes(), &value.0] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
