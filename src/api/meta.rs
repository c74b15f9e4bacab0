//! Names that objects carry and people read: annotations, labels, conditions, reasons, field managers.

/// Set on every object before its first side effect, removed after its last.
pub const FINALIZER: &str = "minio-manager.io/finalizer";

/// Annotation keys and values.
pub mod annotation {
    /// On a user, group or policy: [`PAUSED`] stops every write for it.
    pub const RECONCILE: &str = "minio-manager.io/reconcile";
    /// The value of [`RECONCILE`] that has a meaning.
    pub const PAUSED: &str = "paused";
    /// On a user, group, share or key: takes its access away whatever the spec says. The value is the reason.
    pub const LOCK: &str = "minio-manager.io/lock";
    /// On a user: a new value issues a new key; the former one lives on for the overlap. While the user is disabled, it waits.
    pub const ROTATE: &str = "minio-manager.io/rotate";
    /// On a user: a new value issues a new key, and ends every other key and session at once. While the user is disabled, all
    /// keys end, and the new one comes when the user is enabled.
    pub const REVOKE: &str = "minio-manager.io/revoke";
    /// On an object under deletion: [`TRUE`] lets it go although MinIO could not be cleaned.
    pub const FORCE_DELETE: &str = "minio-manager.io/force-delete";
    /// On the `MinioInstance`: the hash of the held change that a person has looked at and wants.
    pub const ACKNOWLEDGE_LARGE_CHANGE: &str = "minio-manager.io/acknowledge-large-change";
    /// On the Lease of the controller: the id of the installation.
    pub const INSTANCE: &str = "minio-manager.io/instance";
    /// The value that switches an annotation on.
    pub const TRUE: &str = "true";
}

/// Label keys and values.
pub mod label {
    /// Who made the object: [`ORIGIN_REST`], or absent.
    pub const ORIGIN: &str = "minio-manager.io/origin";
    /// The value of [`ORIGIN`] on objects of the REST service.
    pub const ORIGIN_REST: &str = "rest";
    /// The slug of the user whose call made the object.
    pub const OWNER: &str = "minio-manager.io/owner";
    /// On a credentials Secret: the slug of its MinIO user.
    pub const USERNAME_SLUG: &str = "minio-manager.io/username-slug";
}

/// Field managers, one per writer.
pub mod field_manager {
    /// The controller, for finalizers, Secrets and the `MinioInstance`.
    pub const CONTROLLER: &str = "minio-manager";
    /// The controller's status writer.
    pub const STATUS: &str = "minio-manager-status";
    /// The REST service.
    pub const REST: &str = "minio-manager-rest";
    /// The command line: lock, unlock, rotate, revoke, release, import.
    pub const CLI: &str = "minio-manager-cli";
}

/// Condition types. Except for the first two, True is the state that somebody should look at.
pub mod condition {
    /// What this generation says is in force on the server, and what it no longer says is not.
    pub const READY: &str = "Ready";
    /// The user's Secret holds a key that works.
    pub const CREDENTIALS_READY: &str = "CredentialsReady";
    /// Work is under way, or waits for MinIO, Redis or the lease.
    pub const RECONCILING: &str = "Reconciling";
    /// Nothing more happens until a person changes something.
    pub const STALLED: &str = "Stalled";
    /// A document of the policy has conditions, which callers of community MinIO can spoof.
    pub const CONDITIONS_SPOOFABLE: &str = "ConditionsSpoofable";
    /// A document of the policy allows `s3:*` on objects, which includes actions on the bucket.
    pub const BUCKET_ACTIONS_INCLUDED: &str = "BucketActionsIncluded";
    /// The subject has more documents, statements or resources than a server answers quickly with.
    pub const TOO_MANY_DOCUMENTS: &str = "TooManyDocuments";
    /// Somebody may still know the secret that the adopted user had.
    pub const ADOPTED_SECRET_KEPT: &str = "AdoptedSecretKept";
    /// The user has access keys that were not issued here.
    pub const FOREIGN_KEYS: &str = "ForeignKeys";
}

/// Reasons of [`condition::READY`], and of [`condition::STALLED`] where the comment says so.
pub mod reason {
    /// Everything declared is in force.
    pub const CONVERGED: &str = "Converged";
    /// A change is on its way.
    pub const PROGRESSING: &str = "Progressing";
    /// In force as declared: disabled.
    pub const DISABLED: &str = "Disabled";
    /// In force as declared: suspended.
    pub const SUSPENDED: &str = "Suspended";
    /// A lock annotation has taken the access away.
    pub const LOCKED: &str = "Locked";
    /// Not looked after: paused, or in observe mode.
    pub const PAUSED: &str = "Paused";
    /// MinIO does not answer.
    pub const MINIO_UNAVAILABLE: &str = "MinioUnavailable";
    /// The lease store does not answer, so nothing is written.
    pub const LEASE_UNAVAILABLE: &str = "LeaseUnavailable";
    /// Another installation has claimed the server.
    pub const FOREIGN_CLAIM: &str = "ForeignClaim";
    /// The owner of a share does not exist, so nothing of it is in force.
    pub const OWNER_NOT_FOUND: &str = "OwnerNotFound";

    /// Only of an event: the object was let go by [`super::annotation::FORCE_DELETE`].
    pub const FORCE_DELETED: &str = "ForceDeleted";

    /// Stalled: another object claims the same name.
    pub const CONFLICT: &str = "Conflict";
    /// Stalled: this namespace may not declare it.
    pub const NOT_PERMITTED: &str = "NotPermitted";
    /// Stalled: the Secret exists and is not this object's.
    pub const SECRET_CONFLICT: &str = "SecretConflict";
    /// Stalled: it exists on the server already, and adoption is refused.
    pub const ALREADY_EXISTS: &str = "AlreadyExists";
    /// Stalled: the name is reserved.
    pub const RESERVED: &str = "Reserved";
    /// Stalled: the name is malformed.
    pub const INVALID_NAME: &str = "InvalidName";
    /// Stalled: the path is malformed.
    pub const INVALID_PATH: &str = "InvalidPath";
    /// Stalled: the scope of a key is malformed or too large.
    pub const INVALID_SCOPE: &str = "InvalidScope";
    /// Stalled: the policy document is refused.
    pub const INVALID_DOCUMENT: &str = "InvalidDocument";
    /// Stalled: the path is not below a folder of the owner.
    pub const OWNER_MISMATCH: &str = "OwnerMismatch";
    /// Stalled: held until a person acknowledges a large change.
    pub const LARGE_CHANGE: &str = "LargeChange";
}
