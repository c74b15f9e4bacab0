//! The calls that the client makes, as labels, with what sets their limits.

use std::{borrow::Cow, fmt, time::Duration};

/// What a call does to the server and how much it may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// A small answer.
    Read,
    /// An answer about everything there is.
    BulkRead,
    /// Changes the server.
    Mutation,
    /// Never ends by itself.
    Stream,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $label:literal, $weight:ident;)*) => {
        /// One kind of request to MinIO: the closed set of values of the metric label `call`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Call { $($(#[$doc])* $name,)* }

        impl Call {
            /// Every call, so that metrics can be present from the start.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The metric label.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            pub(super) fn weight(self) -> Weight {
                match self { $(Self::$name => Weight::$weight,)* }
            }
        }
    };
}

calls! {
    /// Creates or overwrites a user.
    AddUser = "add-user", Mutation;
    /// Enables or disables a user.
    SetUserStatus = "set-user-status", Mutation;
    /// Enables or disables a group.
    SetGroupStatus = "set-group-status", Mutation;
    /// Deletes a user with everything below it.
    RemoveUser = "remove-user", Mutation;
    /// Reads one user.
    UserInfo = "user-info", Read;
    /// Reads all users.
    ListUsers = "list-users", BulkRead;
    /// Adds or removes members, creates or deletes a group.
    UpdateGroupMembers = "update-group-members", Mutation;
    /// Reads one group.
    GroupInfo = "group", Read;
    /// Names all groups; stops all other requests meanwhile.
    ListGroups = "groups", BulkRead;
    /// Creates or overwrites a policy.
    PutPolicy = "add-canned-policy", Mutation;
    /// Reads one policy.
    PolicyInfo = "info-canned-policy", Read;
    /// Deletes a policy.
    RemovePolicy = "remove-canned-policy", Mutation;
    /// Reads all policies; stops all other requests meanwhile.
    ListPolicies = "list-canned-policies", BulkRead;
    /// Replaces the policies of a user or group.
    SetMapping = "set-user-or-group-policy", Mutation;
    /// Adds policies to a user or group.
    AttachPolicy = "attach-policy", Mutation;
    /// Takes policies from a user or group.
    DetachPolicy = "detach-policy", Mutation;
    /// Reads who holds which policy.
    PolicyEntities = "policy-entities", BulkRead;
    /// Creates an access key.
    AddAccessKey = "add-service-account", Mutation;
    /// Deletes an access key.
    DeleteAccessKey = "delete-service-account", Mutation;
    /// Reads the access keys of one user.
    ListAccessKeys = "list-service-accounts", Read;
    /// Reads the access keys of many users.
    ListAccessKeysBulk = "list-access-keys-bulk", BulkRead;
    /// Reads one access key.
    AccessKeyInfo = "info-access-key", Read;
    /// Ends all temporary credentials of a user.
    RevokeTokens = "revoke-tokens", Mutation;
    /// A cheap request signed with somebody's own key.
    Probe = "probe", Read;
    /// A request that tells whether an action is allowed and changes nothing.
    AbilityProbe = "ability-probe", Read;
    /// Reads what our own policies say.
    AccountInfo = "accountinfo", BulkRead;
    /// Reads version and kind of the server.
    ServerInfo = "info", Read;
    /// Follows what others change.
    Trace = "trace", Stream;
    /// Asks whether a bucket exists.
    HeadBucket = "head-bucket", Read;
    /// Names all buckets.
    ListBuckets = "list-buckets", Read;
    /// Reads what anybody may do in a bucket without a key.
    BucketPolicy = "get-bucket-policy", Read;
    /// Creates a bucket.
    CreateBucket = "create-bucket", Mutation;
    /// Asks whether an object exists.
    HeadObject = "head-object", Read;
    /// Reads an object.
    GetObject = "get-object", Read;
    /// Writes an object.
    PutObject = "put-object", Mutation;
    /// Deletes one object.
    DeleteObject = "delete-object", Mutation;
    /// Deletes many objects.
    DeleteObjects = "delete-objects", Mutation;
    /// Reads one page of objects.
    ListObjects = "list-objects", Read;
    /// A plain S3 request of a test or demonstration.
    RawObject = "raw-object", Read;
}

impl Call {
    /// Whether the call may change the server.
    pub fn is_mutation(self) -> bool {
        self.weight() == Weight::Mutation
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an exchange ended, as far as the transport can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server answered with this status.
    Status(u16),
    /// No connection.
    Connect,
    /// No answer within the deadline.
    Timeout,
    /// The connection ended before the answer did.
    Broken,
    /// The answer is larger than the call allows.
    Oversize,
}

impl Outcome {
    /// The metric label `code`: the status in digits, or one word.
    pub fn as_label(self) -> Cow<'static, str> {
        match self {
            Self::Status(status) => Cow::Owned(status.to_string()),
            Self::Connect => Cow::Borrowed("connect"),
            Self::Timeout => Cow::Borrowed("timeout"),
            Self::Broken => Cow::Borrowed("broken"),
            Self::Oversize => Cow::Borrowed("oversize"),
        }
    }
}

/// Told about every exchange with the server, once each, repeated reads included.
pub trait Observer: Send + Sync + 'static {
    /// `call` ended as `outcome` says, after `duration` (first byte sent to last byte read).
    fn observe(&self, call: Call, outcome: Outcome, duration: Duration);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn labels_are_distinct_and_fit_for_metrics() {
        let labels: BTreeSet<_> = Call::ALL.iter().map(|call| call.as_str()).collect();
        assert_eq!(labels.len(), Call::ALL.len());
        assert!(labels.iter().all(|label| label.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
    }

    #[test]
    fn mutations_are_known_as_such() {
        assert!(Call::AddUser.is_mutation() && Call::DeleteObjects.is_mutation());
        assert!(!Call::UserInfo.is_mutation() && !Call::ListUsers.is_mutation());
    }
}
