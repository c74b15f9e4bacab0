//! The operators, keys and variables that conditions may use.

use super::Values::{self, Base64, Bool, Date, Network, Number, Text};

/// A condition operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Its name, such as `StringLike`.
    pub name: &'static str,
    /// The values that it compares.
    pub values: Values,
}

const fn op(name: &'static str, values: Values) -> Operator {
    Operator { name, values }
}

/// Every operator, ordered by name; of the `...IfExists` operators of AWS only one exists.
pub const OPERATORS: [Operator; 24] = [
    op("BinaryEquals", Base64),
    op("Bool", Bool),
    op("DateEquals", Date),
    op("DateGreaterThan", Date),
    op("DateGreaterThanEquals", Date),
    op("DateLessThan", Date),
    op("DateLessThanEquals", Date),
    op("DateNotEquals", Date),
    op("IpAddress", Network),
    op("NotIpAddress", Network),
    op("Null", Bool),
    op("NumericEquals", Number),
    op("NumericGreaterThan", Number),
    op("NumericGreaterThanEquals", Number),
    op("NumericGreaterThanIfExists", Number),
    op("NumericLessThan", Number),
    op("NumericLessThanEquals", Number),
    op("NumericNotEquals", Number),
    op("StringEquals", Text),
    op("StringEqualsIgnoreCase", Text),
    op("StringLike", Text),
    op("StringNotEquals", Text),
    op("StringNotEqualsIgnoreCase", Text),
    op("StringNotLike", Text),
];

/// The qualifiers that may stand before an operator on texts, with a colon between; elsewhere the server drops them.
pub const QUALIFIERS: [&str; 2] = ["ForAllValues", "ForAnyValue"];

/// The keys that every S3 action takes, ordered. They are also the names of all policy variables.
pub const COMMON_KEYS: [&str; 40] = [
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:Referer",
    "aws:SecureTransport",
    "aws:SourceIp",
    "aws:UserAgent",
    "aws:groups",
    "aws:principaltype",
    "aws:userid",
    "aws:username",
    "jwt:address",
    "jwt:aud",
    "jwt:birthdate",
    "jwt:client_id",
    "jwt:email",
    "jwt:family_name",
    "jwt:gender",
    "jwt:given_name",
    "jwt:groups",
    "jwt:iss",
    "jwt:jti",
    "jwt:middle_name",
    "jwt:name",
    "jwt:nickname",
    "jwt:phone_number",
    "jwt:picture",
    "jwt:preferred_username",
    "jwt:profile",
    "jwt:scope",
    "jwt:sub",
    "jwt:upn",
    "jwt:website",
    "ldap:groups",
    "ldap:user",
    "ldap:username",
    "s3:LocationConstraint",
    "s3:authType",
    "s3:signatureAge",
    "s3:signatureversion",
    "s3:x-amz-content-sha256",
];

/// The keys that `admin:` actions take, ordered.
pub const ADMIN_KEYS: [&str; 36] = [
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:Referer",
    "aws:SecureTransport",
    "aws:SourceIp",
    "aws:UserAgent",
    "aws:groups",
    "aws:principaltype",
    "aws:userid",
    "aws:username",
    "jwt:address",
    "jwt:aud",
    "jwt:birthdate",
    "jwt:client_id",
    "jwt:email",
    "jwt:family_name",
    "jwt:gender",
    "jwt:given_name",
    "jwt:groups",
    "jwt:iss",
    "jwt:jti",
    "jwt:middle_name",
    "jwt:name",
    "jwt:nickname",
    "jwt:phone_number",
    "jwt:picture",
    "jwt:preferred_username",
    "jwt:profile",
    "jwt:scope",
    "jwt:sub",
    "jwt:upn",
    "jwt:website",
    "ldap:groups",
    "ldap:user",
    "ldap:username",
    "svc:DurationSeconds",
];

/// The keys that `sts:` actions take.
pub const STS_KEYS: [&str; 1] = ["sts:DurationSeconds"];

/// The keys that name one tag after a slash, such as `s3:ExistingObjectTag/team`, ordered.
pub const TAG_KEYS: [&str; 2] = ["s3:ExistingObjectTag", "s3:RequestObjectTag"];

/// Every key, ordered.
pub const KEYS: [&str; 59] = [
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:Referer",
    "aws:SecureTransport",
    "aws:SourceIp",
    "aws:UserAgent",
    "aws:groups",
    "aws:principaltype",
    "aws:userid",
    "aws:username",
    "jwt:address",
    "jwt:aud",
    "jwt:birthdate",
    "jwt:client_id",
    "jwt:email",
    "jwt:family_name",
    "jwt:gender",
    "jwt:given_name",
    "jwt:groups",
    "jwt:iss",
    "jwt:jti",
    "jwt:middle_name",
    "jwt:name",
    "jwt:nickname",
    "jwt:phone_number",
    "jwt:picture",
    "jwt:preferred_username",
    "jwt:profile",
    "jwt:scope",
    "jwt:sub",
    "jwt:upn",
    "jwt:website",
    "ldap:groups",
    "ldap:user",
    "ldap:username",
    "s3:ExistingObjectTag",
    "s3:LocationConstraint",
    "s3:RequestObjectTag",
    "s3:RequestObjectTagKeys",
    "s3:authType",
    "s3:delimiter",
    "s3:max-keys",
    "s3:object-lock-legal-hold",
    "s3:object-lock-mode",
    "s3:object-lock-remaining-retention-days",
    "s3:object-lock-retain-until-date",
    "s3:prefix",
    "s3:signatureAge",
    "s3:signatureversion",
    "s3:versionid",
    "s3:x-amz-content-sha256",
    "s3:x-amz-copy-source",
    "s3:x-amz-metadata-directive",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-server-side-encryption-customer-algorithm",
    "s3:x-amz-storage-class",
    "sts:DurationSeconds",
    "svc:DurationSeconds",
];

/// The policy variables whose value a caller cannot choose, ordered.
pub const SAFE_VARIABLES: [&str; 2] = ["aws:userid", "aws:username"];
