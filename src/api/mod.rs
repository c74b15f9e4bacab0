//! The kinds of `minio-manager.io/v1alpha1`.
//!
//! One file a kind. The Rust types hold plain strings: names and paths become newtypes in
//! [`crate::iam`], at the border of the pure core. What the API server can refuse by itself is in
//! [`rules`]; the names of annotations, labels, conditions and reasons are in [`meta`].
#![allow(clippy::duplicated_attributes, reason = "the printer columns of a kind share types and priorities")]

mod common;
mod group_membership;
mod minio_access_key;
mod minio_group;
mod minio_instance;
mod minio_policy;
mod minio_user;
mod path_share;

pub mod meta;
pub mod rules;
pub mod schema;

pub use common::{
    Access, AdoptionPolicy, DataDeletionPolicy, Declared, DeletionPolicy, DocumentSummary, GrantCounts, Origin,
    PendingReason, PendingReference, ReferenceKind, Requests, Subject, SubjectKind, Workspace, condition,
};
pub use group_membership::{GroupMember, GroupMembership, GroupMembershipSpec, GroupMembershipStatus};
pub use minio_access_key::{MinioAccessKey, MinioAccessKeySpec, MinioAccessKeyStatus, ScopePath};
pub use minio_group::{MemberCounts, MinioGroup, MinioGroupSpec, MinioGroupStatus, Twin};
pub use minio_instance::{
    Claim, ClaimState, HeldChange, MINIO_INSTANCE_NAME, MinioInstance, MinioInstanceFields, MinioInstanceStatus,
    MissingCapability, Unconverged, UnconvergedKind, UnmanagedCounts,
};
pub use minio_policy::{MinioPolicy, MinioPolicySpec, MinioPolicyStatus};
pub use minio_user::{
    AdoptedSecret, CredentialsSpec, CredentialsStatus, MinioUser, MinioUserSpec, MinioUserStatus, UserGrants,
};
pub use path_share::{Everyone, Grant, PathShare, PathShareSpec, PathShareStatus};

/// The API group of every kind.
pub const GROUP: &str = "minio-manager.io";
/// The API version of every kind.
pub const VERSION: &str = "v1alpha1";
