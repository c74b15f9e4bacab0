//! What the API server refuses by itself: patterns, lengths, reserved names, and the CEL rules made of them.
//!
//! The pure core validates the same things once more, because not everything comes through the API server;
//! its validators are tested against these strings. What CEL cannot count cheaply is left to the controller.
//! Patterns are RE2, anchored at both ends. A rule reads as what must hold; its message says what to write.

use kube::core::Rule;

pub use crate::iam::names::{
    BUILT_IN_POLICIES, DERIVED_POLICY_PREFIXES, EVERYONE_GROUP, RESERVED_GROUPS, RESERVED_USERS,
};

/// The alphabet of user names.
pub const USER_NAME: &str = "^[A-Za-z0-9]+([._@-][A-Za-z0-9]+)*$";
/// The shortest user name, in characters.
pub const USER_NAME_MIN: usize = 3;
/// The longest user name, in characters.
pub const USER_NAME_MAX: usize = 64;

/// The alphabet of group names, and of the names of read-only twins.
pub const GROUP_NAME: &str = "^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$";
/// The shortest group name, in characters.
pub const GROUP_NAME_MIN: usize = 2;
/// The longest group name, in characters. Its twin's is longer.
pub const GROUP_NAME_MAX: usize = 62;
/// The names of the group of everyone and of its twin, which stand for `everyone: Read` of a share.
pub const EVERYONE_GROUP_NAMES: [&str; 2] = [EVERYONE_GROUP, "globalusersro"];

/// The longest name in a grant, in characters: that of a twin.
pub const GRANT_NAME_MAX: usize = 72;

/// The alphabet of policy names.
pub const POLICY_NAME: &str = "^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$";
/// The shortest policy name, in characters.
pub const POLICY_NAME_MIN: usize = 2;
/// The longest policy name, in characters.
pub const POLICY_NAME_MAX: usize = 128;

/// A path: scheme, bucket, and a key that is not empty. The rules below say more about the key.
pub const PATH: &str = "^s3a?://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^/]";
/// The shortest path, in characters.
pub const PATH_MIN: usize = 10;
/// The longest path, in characters: scheme, bucket, key and the slash at the end that makes no difference.
pub const PATH_MAX: usize = 6 + 63 + 1 + PATH_KEY_BYTES_MAX + 1;
/// The longest key, in bytes, without the slash at its end.
pub const PATH_KEY_BYTES_MAX: usize = 1024;
/// The longest part of a key between two slashes, in bytes: the server stores it as a file name.
pub const PATH_SEGMENT_BYTES_MAX: usize = 255;
/// Found in a path with two dots in a row in the bucket.
pub const PATH_BUCKET_DOTS: &str = "^s3a?://[^/]*[.][.]";
/// Found in a path with an empty segment.
pub const PATH_EMPTY_SEGMENT: &str = "^s3a?://.*//";
/// Found in a path with a segment `.` or `..`.
pub const PATH_DOT_SEGMENT: &str = "/[.][.]?(/|$)";
/// Found in a path with a wildcard or a variable of policy documents.
pub const PATH_WILDCARD: &str = "[*?]|[$][{]";
/// Found in a path with a control character or one that changes the direction of writing.
pub const PATH_CONTROL: &str =
    "[\\x00-\\x1f\\x7f-\\x{9f}\\x{61c}\\x{200e}\\x{200f}\\x{202a}-\\x{202e}\\x{2066}-\\x{2069}]";

/// A duration of hours, minutes and seconds in Go's notation.
pub const DURATION: &str = "^([0-9]{1,8}([.][0-9]{1,9})?[hms]){1,3}$";
/// The shortest duration, in characters.
pub const DURATION_MIN: usize = 2;
/// The longest duration, in characters.
pub const DURATION_MAX: usize = 32;
/// The shortest rotation interval.
pub const ROTATION_INTERVAL_MIN: &str = "1h";
/// The longest rotation interval and overlap.
pub const ROTATION_INTERVAL_MAX: &str = "4320h";

/// An instant of RFC 3339 with its offset, in this millennium.
pub const INSTANT: &str = "^2[0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// The name of a Kubernetes object.
pub const DNS_SUBDOMAIN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// The longest Secret name, in characters: the suffix of a pending one must fit behind it.
pub const SECRET_NAME_MAX: usize = 245;
/// The suffix of the Secret in which a key waits until it is proven.
pub const PENDING_SECRET_SUFFIX: &str = ".pending";

/// The longest `metadata.name` of a `MinioAccessKey`, in characters: its Secret is named after it.
pub const ACCESS_KEY_OBJECT_NAME_MAX: usize = 200;
/// The most paths that a key can be confined to.
pub const SCOPE_MAX: usize = 15;

/// The most members in one `MinioGroup`.
pub const MEMBERS_MAX: usize = 10_000;
/// The most read-only members in one `MinioGroup`.
pub const READ_ONLY_MEMBERS_MAX: usize = 1_000;
/// The most stewards of one group.
pub const STEWARDS_MAX: usize = 100;
/// The most members in one `GroupMembership`.
pub const MEMBERSHIP_MEMBERS_MAX: usize = 1_000;
/// The most grants in one `PathShare`.
pub const GRANTS_MAX: usize = 1_000;
/// The most further policies of a user or group.
pub const POLICIES_MAX: usize = 64;
/// The longest reason of a grant or membership, in characters.
pub const REASON_MAX: usize = 512;

/// The most pending references in a status.
pub const PENDING_MAX: usize = 20;
/// The most lines in the sample of a held change.
pub const HELD_SAMPLE_MAX: usize = 20;
/// The most capabilities in a status.
pub const CAPABILITIES_MAX: usize = 64;
/// The most conditions in a status.
pub const CONDITIONS_MAX: usize = 32;
/// The longest name in a status, in characters: wider than any rule, so that a status can always be written.
pub const STATUS_NAME_MAX: usize = 256;
/// The longest sentence in a status, in characters.
pub const SENTENCE_MAX: usize = 1024;
/// The longest hash in a status, in characters.
pub const HASH_MAX: usize = 128;
/// The longest uid in a status, in characters.
pub const UID_MAX: usize = 64;
/// The longest endpoint in a status, in characters.
pub const ENDPOINT_MAX: usize = 2048;
/// How much of the value of a rotate or revoke annotation is compared and kept, in characters.
pub const HANDLED_VALUE_MAX: usize = 256;

// The name that an object declares: the field, or metadata.name where it is absent. A status update is
// validated too, so that `spec` may be missing.

fn declared(object: &str, field: &str) -> String {
    format!("(has({object}.spec.{field}) ? {object}.spec.{field} : {object}.metadata.name)")
}

fn immutable(field: &str, kind: &str) -> Rule {
    rule_about(
        &format!(".spec.{field}"),
        format!(
            "!has(self.spec) || !has(oldSelf.spec) || {} == {}",
            declared("self", field),
            declared("oldSelf", field)
        ),
        format!(
            "{field} is immutable (absent, it is metadata.name): keep the old value, or create another {kind} and delete this one"
        ),
    )
}

fn must(field: &str, condition: impl FnOnce(&str) -> String, message: String) -> Rule {
    rule_about(
        &format!(".spec.{field}"),
        format!("!has(self.spec) || {}", condition(&declared("self", field))),
        message,
    )
}

fn shape(field: &str, pattern: &str, min: usize, max: usize, separators: &str, examples: &str) -> Rule {
    must(
        field,
        |name| format!("({name}.matches('{pattern}') && size({name}) >= {min} && size({name}) <= {max})"),
        format!(
            "{field} must be {min} to {max} letters and digits with single {separators} between them, for example {examples}; \
             absent, it is metadata.name, which must then follow the same rule"
        ),
    )
}

/// `MinioUser.spec.username` never changes.
pub fn username_immutable() -> Rule {
    immutable("username", "MinioUser")
}

/// A username, also one taken from `metadata.name`, is well formed.
pub fn username_shape() -> Rule {
    shape("username", USER_NAME, USER_NAME_MIN, USER_NAME_MAX, ". _ @ or -", "alice or alice.b")
}

/// A username, also one taken from `metadata.name`, is not reserved.
pub fn username_reserved() -> Rule {
    must(
        "username",
        |name| format!("!({name}.lowerAscii() in {})", list(&RESERVED_USERS)),
        format!(
            "username (absent, it is metadata.name) is reserved, choose another than: {}",
            RESERVED_USERS.join(", ")
        ),
    )
}

/// `MinioGroup.spec.groupName` never changes.
pub fn group_name_immutable() -> Rule {
    immutable("groupName", "MinioGroup")
}

/// A group name, also one taken from `metadata.name`, is well formed.
pub fn group_name_shape() -> Rule {
    shape("groupName", GROUP_NAME, GROUP_NAME_MIN, GROUP_NAME_MAX, ". _ or -", "kbase or climate-lab")
}

/// A group name, also one taken from `metadata.name`, is not reserved.
pub fn group_name_reserved() -> Rule {
    must(
        "groupName",
        |name| format!("!({name} in {})", list(&RESERVED_GROUPS)),
        format!(
            "groupName (absent, it is metadata.name) is reserved, choose another than: {}",
            RESERVED_GROUPS.join(", ")
        ),
    )
}

/// `readOnlyMembers` without a twin would be members of nothing.
pub fn read_only_members_need_twin() -> Rule {
    rule_about(
        ".readOnlyMembers",
        "self.readOnlyTwin != 'Disabled' || !has(self.readOnlyMembers) || size(self.readOnlyMembers) == 0",
        "readOnlyMembers need the read-only twin: set readOnlyTwin to Enabled, or remove readOnlyMembers",
    )
}

/// `GroupMembership.spec.group` never changes.
pub fn membership_group_immutable() -> Rule {
    rule(
        "self == oldSelf",
        "group is immutable: keep the old value, or create another GroupMembership and delete this one",
    )
}

/// A membership names a group that can exist.
pub fn membership_group_reserved() -> Rule {
    rule(
        format!("!(self in {})", list(&RESERVED_GROUPS)),
        format!(
            "group is reserved, no MinioGroup can have the name; name another than: {}",
            RESERVED_GROUPS.join(", ")
        ),
    )
}

/// The controller's own policies are not to be attached by hand.
pub fn policies_not_derived() -> Rule {
    rule(
        format!("self.all(p, !p.matches('{}'))", derived_policy_pattern()),
        format!(
            "policies must not name {}: the controller writes and attaches these itself; use a PathShare, a GroupMembership or a MinioPolicy",
            derived_policy_names()
        ),
    )
}

/// `MinioPolicy.spec.policyName` never changes.
pub fn policy_name_immutable() -> Rule {
    immutable("policyName", "MinioPolicy")
}

/// A policy name, also one taken from `metadata.name`, is well formed.
pub fn policy_name_shape() -> Rule {
    shape("policyName", POLICY_NAME, POLICY_NAME_MIN, POLICY_NAME_MAX, ". _ or -", "getonly or climate-readers")
}

/// The controller's own policies are not to be declared by hand.
pub fn policy_name_derived() -> Rule {
    must(
        "policyName",
        |name| format!("!{name}.matches('{}')", derived_policy_pattern()),
        format!(
            "policyName (absent, it is metadata.name) must not be {}: the controller writes these itself; choose another name",
            derived_policy_names()
        ),
    )
}

/// The server's built-in policies are not to be declared.
pub fn policy_name_built_in() -> Rule {
    must(
        "policyName",
        |name| format!("!({name} in {})", list(&BUILT_IN_POLICIES)),
        format!(
            "policyName (absent, it is metadata.name) must not be a built-in policy of MinIO ({}): choose another name",
            BUILT_IN_POLICIES.join(", ")
        ),
    )
}

/// A `MinioAccessKey` leaves room for the name of its Secret.
pub fn access_key_object_name() -> Rule {
    rule(
        format!("size(self.metadata.name) <= {ACCESS_KEY_OBJECT_NAME_MAX}"),
        format!(
            "metadata.name must have at most {ACCESS_KEY_OBJECT_NAME_MAX} characters: the Secret is named after it"
        ),
    )
}

/// `MinioAccessKey.spec.user` never changes.
pub fn access_key_user_immutable() -> Rule {
    rule(
        "self == oldSelf",
        "user is immutable: keep the old value, or create another MinioAccessKey and delete this one",
    )
}

/// The interval is in its range.
pub fn rotation_interval_range() -> Rule {
    duration_range("rotationInterval", ROTATION_INTERVAL_MIN, "24h or 36h30m")
}

/// The overlap is in its range.
pub fn overlap_range() -> Rule {
    duration_range("overlap", "0s", "12h or 90m")
}

/// A key that is replaced more often than it lives on would pile up.
pub fn overlap_within_interval() -> Rule {
    rule_about(
        ".overlap",
        format!(
            "!has(self.overlap) || !has(self.rotationInterval) || !self.overlap.matches('{DURATION}') || \
         !self.rotationInterval.matches('{DURATION}') || duration(self.overlap) <= duration(self.rotationInterval)"
        ),
        "overlap must not be longer than rotationInterval: shorten overlap, or lengthen rotationInterval",
    )
}

/// The suffix belongs to the controller.
pub fn secret_name_not_pending() -> Rule {
    rule(
        format!("!self.endsWith('{PENDING_SECRET_SUFFIX}')"),
        format!(
            "secretName must not end in {PENDING_SECRET_SUFFIX}: the controller keeps keys there that are not proven yet; choose another name"
        ),
    )
}

/// A subject's name follows the rule of its kind.
pub fn subject_name() -> Rule {
    name_of_kind("owner", GROUP_NAME_MAX)
}

/// A grant's name follows the rule of its kind.
pub fn grant_name() -> Rule {
    name_of_kind("a grant", GRANT_NAME_MAX)
}

/// The group of everyone has a field of its own.
pub fn grant_not_everyone() -> Rule {
    rule_about(
        ".name",
        format!("self.kind != 'Group' || !(self.name in {})", list(&EVERYONE_GROUP_NAMES)),
        format!("a grant must not name the group {}: write everyone: Read instead", EVERYONE_GROUP_NAMES.join(" or ")),
    )
}

/// `PathShare.spec.path` never changes.
pub fn path_immutable() -> Rule {
    rule("self == oldSelf", "path is immutable: keep the old value, or create another PathShare and delete this one")
}

/// Scheme, bucket and key are there.
pub fn path_form() -> Rule {
    rule(
        format!("self.matches('{PATH}')"),
        "path must be s3://BUCKET/KEY or s3a://BUCKET/KEY with a key that is not empty, for example s3a://lake/homes/alice/data/; \
         a bucket is 3 to 63 of a-z, 0-9, . and -, with a letter or digit at both ends",
    )
}

/// The bucket has no empty label.
pub fn path_bucket() -> Rule {
    path_without(
        PATH_BUCKET_DOTS,
        "path must not have two dots in a row in its bucket: write the bucket as it is called on the server",
    )
}

/// No segment is empty.
pub fn path_empty_segment() -> Rule {
    path_without(PATH_EMPTY_SEGMENT, "path must not contain // after its scheme: write single slashes")
}

/// No segment is `.` or `..`.
pub fn path_dot_segment() -> Rule {
    path_without(PATH_DOT_SEGMENT, "path must not have . or .. between slashes: write the path out")
}

/// Nothing in the path is more than itself.
pub fn path_wildcard() -> Rule {
    path_without(
        PATH_WILDCARD,
        "path must not contain *, ? or ${: it is taken literally and includes everything below, so name the folder itself",
    )
}

/// Everything in the path can be seen.
pub fn path_control_character() -> Rule {
    path_without(
        PATH_CONTROL,
        "path must not contain control characters, line ends or characters that change the direction of writing: remove them",
    )
}

/// The key is one that S3 can hold.
pub fn path_key_length() -> Rule {
    rule(
        format!(
            "!self.matches('{PATH}') || size(bytes(self)) <= {} + self.indexOf('/', 6) + (self.endsWith('/') ? 1 : 0)",
            PATH_KEY_BYTES_MAX + 1
        ),
        format!("path must have at most {PATH_KEY_BYTES_MAX} bytes after its bucket: share a folder further up"),
    )
}

/// Every segment is one that the server can store.
pub fn path_segment_length() -> Rule {
    rule(
        format!("self.split('/').all(s, size(bytes(s)) <= {PATH_SEGMENT_BYTES_MAX})"),
        format!(
            "path must have at most {PATH_SEGMENT_BYTES_MAX} bytes between two slashes: the server cannot store longer names"
        ),
    )
}

fn rule(holds: impl Into<String>, message: impl AsRef<str>) -> Rule {
    Rule::new(holds).message(message.as_ref())
}

/// A rule that needs more than one field, and is about this one of them.
fn rule_about(field: &str, holds: impl Into<String>, message: impl AsRef<str>) -> Rule {
    Rule { field_path: Some(field.to_owned()), ..rule(holds, message) }
}

fn name_of_kind(field: &str, group_max: usize) -> Rule {
    rule_about(
        ".name",
        format!(
            "self.kind == 'User' ? \
         self.name.matches('{USER_NAME}') && size(self.name) >= {USER_NAME_MIN} && size(self.name) <= {USER_NAME_MAX} : \
         self.name.matches('{GROUP_NAME}') && size(self.name) >= {GROUP_NAME_MIN} && size(self.name) <= {group_max}"
        ),
        format!(
            "name of {field} must be a MinIO name: letters and digits with single . _ or - between them, {USER_NAME_MIN} to {USER_NAME_MAX} \
         (also with single @) for kind User, {GROUP_NAME_MIN} to {group_max} for kind Group"
        ),
    )
}

fn duration_range(field: &str, min: &str, examples: &str) -> Rule {
    rule(
        format!(
            "self.matches('{DURATION}') && duration(self) >= duration('{min}') && duration(self) <= duration('{ROTATION_INTERVAL_MAX}')"
        ),
        format!(
            "{field} must be from {min} to {ROTATION_INTERVAL_MAX}, written in hours, minutes and seconds (h, m, s), for example {examples}"
        ),
    )
}

fn path_without(pattern: &str, message: &str) -> Rule {
    rule(format!("!self.matches(r'{pattern}')"), message)
}

fn derived_policy_pattern() -> String {
    format!("^({})", DERIVED_POLICY_PREFIXES.join("|"))
}

fn derived_policy_names() -> String {
    DERIVED_POLICY_PREFIXES.map(|prefix| format!("{prefix}*")).join(", ")
}

fn list(names: &[&str]) -> String {
    format!("['{}']", names.join("', '"))
}
