//! What all endpoints share, and what one call carries along.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

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
use crate::telemetry::{Metrics, Readiness, audit};

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
    /// What is worked on, whether a client still waits for it or not.
    pub calls: TaskTracker,
}

/// What the service was told to be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where objects of this service live.
    pub home_namespace: String,
    /// The id of the installation, if it was told one.
    pub instance_id: Option<String>,
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
    journal: Arc<Mutex<Journal>>,
}

/// What a call has written, and how it was answered.
#[derive(Default)]
struct Journal {
    written: Vec<Written>,
    answered: Option<Answered>,
}

/// How a call was answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// The method.
    pub method: &'static str,
    /// The route.
    pub route: &'static str,
    /// Whether the route is one that changes things.
    pub writes: bool,
    /// The status of the answer.
    pub status: StatusCode,
}

impl Call {
    /// A call that begins now.
    pub fn begin(app: Arc<App>, request_id: Arc<str>) -> Self {
        Self { app, request_id, deadline: Instant::now() + CALL_LIMIT, caller: None, journal: Arc::default() }
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

    /// Takes one change off what the caller may do for now.
    ///
    /// # Errors
    /// 429 where nothing is left.
    pub fn take_write(&self) -> Result<(), ApiError> {
        let Some(caller) = &self.caller else { return Ok(()) };
        self.app.writes.take(caller.user.as_str(), self.app.settings.writes_per_second)
    }

    /// The same call, whose writes are noted apart: it writes for others too.
    #[must_use]
    pub fn unrecorded(&self) -> Self {
        Self { journal: Arc::default(), ..self.clone() }
    }

    /// What the call has written so far.
    pub fn written(&self) -> Vec<Written> {
        self.journal().written.clone()
    }

    /// Notes that the call has written an object, for the audit trail. What is written only after the answer has a line of its
    /// own there.
    pub fn wrote(&self, written: &Written) {
        let mut journal = self.journal();
        if journal.written.contains(written) {
            return;
        }
        journal.written.push(written.clone());
        if let Some(answered) = journal.answered {
            self.record(answered, std::slice::from_ref(written));
        }
    }

    /// Notes that the call is answered, and tells the audit trail what it has changed.
    pub fn answered(&self, answered: Answered) {
        let mut journal = self.journal();
        journal.answered = Some(answered);
        if !journal.written.is_empty() || (answered.writes && answered.status.is_success()) {
            self.record(answered, &journal.written);
        }
    }

    fn record(&self, answered: Answered, written: &[Written]) {
        let Answered { method, route, status, .. } = answered;
        let caller = self.caller.as_ref().map(|caller| caller.user.to_string()).unwrap_or_default();
        let wrote = written.iter().map(|one| one.clone().cause());
        audit::record(&audit::CallLine::new(
            caller,
            format!("{method} {route}"),
            status.as_u16(),
            &self.request_id,
            wrote,
        ));
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Call>().cloned().ok_or_else(|| ApiError::unavailable("the call was not prepared"))
    }
}
