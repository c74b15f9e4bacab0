//! What all endpoints share, and what one call carries along.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::time::Instant;

use super::answers::Answers;
use super::auth::{Authenticator, Caller};
use super::credentials::Keys;
use super::edit::Editor;
use super::error::{ApiError, Code};
use super::management::Memberships;
use super::middleware::Writes;
use super::names::Alphabet;
use super::turns::Turns;
use super::view::{View, Written};
use crate::iam::layout::Layout;
use crate::telemetry::{Metrics, Readiness};

/// After this long a call answers, whatever has happened: clients give up at 10 s.
pub const CALL_LIMIT: Duration = Duration::from_secs(8);

/// What all endpoints share.
pub struct App {
    /// What the objects say.
    pub view: Arc<View>,
    /// Changes what they say.
    pub editor: Editor,
    /// Changes who is in a group.
    pub memberships: Memberships,
    /// Lets the calls that change one share take turns.
    pub shares: Turns,
    /// Answers that were made lately.
    pub answers: Answers,
    /// Keys that were read a moment ago.
    pub keys: Keys,
    /// Says who asks.
    pub auth: Authenticator,
    /// Where homes and group folders are.
    pub layout: Layout,
    /// Which names are accepted.
    pub alphabet: Alphabet,
    /// What the service was told to be.
    pub settings: Settings,
    /// How much each user has changed lately.
    pub writes: Writes,
    /// Counts and measures.
    pub metrics: Arc<Metrics>,
    /// Whether the service is ready.
    pub readiness: Readiness,
}

/// What the service was told to be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where objects of this service live.
    pub home_namespace: String,
    /// Whether the first login makes a user.
    pub auto_create: bool,
    /// Whether deleting a user or group deletes its data.
    pub delete_data: bool,
    /// Changes per second that one user may make for long, and ten times as many at once.
    pub writes_per_second: u32,
}

/// One call: who asks, since when, and which objects it has written.
#[derive(Clone)]
pub struct Call {
    /// What all endpoints share.
    pub app: Arc<App>,
    /// Identifies the call in answer, log and audit.
    pub request_id: Arc<str>,
    /// When the call has to be answered.
    pub deadline: Instant,
    caller: Option<Caller>,
    written: Arc<Mutex<Vec<Written>>>,
}

impl Call {
    /// A call that begins now.
    pub fn begin(app: Arc<App>, request_id: Arc<str>) -> Self {
        Self { app, request_id, deadline: Instant::now() + CALL_LIMIT, caller: None, written: Arc::default() }
    }

    /// The call, made by somebody.
    #[must_use]
    pub fn by(self, caller: Option<Caller>) -> Self {
        Self { caller, ..self }
    }

    /// Who asks.
    ///
    /// # Errors
    /// 401/10010 for a call without a token.
    pub fn caller(&self) -> Result<&Caller, ApiError> {
        self.caller.as_ref().ok_or_else(|| ApiError::new(Code::NoToken, "Authorization header required"))
    }

    /// Who asks, if that is known.
    pub fn known_caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// Notes that the call has written an object, for the audit trail.
    pub fn wrote(&self, written: &Written) {
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(written) {
            all.push(written.clone());
        }
    }

    /// The objects that the call has written so far.
    pub fn written(&self) -> Vec<Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Call>().cloned().ok_or_else(|| ApiError::unavailable("the call was not prepared"))
    }
}
