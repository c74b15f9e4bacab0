//! What `minio-manager access` and the REST service answer: who can reach a path, what a user can reach, and whether and why a
//! request is allowed. Both answer with these types, made from the same questions to the index, so that they say the same.

mod answers;

pub use answers::{
    AccessExplainResponse, AccessOfResponse, AccessRow, AccessWhoResponse, CitedStatement, ReasonRow, Through,
    UnknownPolicy, WhoRow,
};

use crate::api::{ClaimState, MinioInstance, UnmanagedCounts};

/// What the controller says of the server, as far as answers need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// What is on the server and described by no object.
    pub unmanaged: Option<UnmanagedCounts>,
    /// The installation that has claimed the server, if it is this one.
    pub claimed: Option<String>,
}

impl Reported {
    /// What the controller has written into its object.
    pub fn of(instance: MinioInstance) -> Self {
        let Some(status) = instance.status else { return Self::default() };
        let claim = status.claim.filter(|claim| claim.state == ClaimState::Ours);
        Self { unmanaged: status.unmanaged, claimed: claim.map(|claim| claim.instance) }
    }

    /// What compiled documents are labelled with: the id that this process was told, else the one that the controller claims the
    /// server with; nothing before that is known.
    pub fn label<'a>(&'a self, told: Option<&'a str>) -> &'a str {
        told.or(self.claimed.as_deref()).unwrap_or_default()
    }
}
