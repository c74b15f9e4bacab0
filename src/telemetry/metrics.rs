//! Metrics. Every series exists from the start, at zero; labels come from closed sets and never hold names of objects.

use std::borrow::Cow;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::iam::subject::{Kind, Subject};
use crate::minio;

/// Upper bounds of the buckets of every `*_seconds`, in seconds: from a local answer to a call that hangs.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Defines a closed set of label values and the list of all of them.
macro_rules! labels {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $($(#[$variant_doc])* $variant,)+ }

        impl $type {
            /// All values.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The value as a label.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

labels! {
    /// How a run for a subject ended.
    Outcome {
        /// Nothing had to change.
        Unchanged => "unchanged",
        /// Something changed.
        Changed => "changed",
        /// A removal is held until somebody acknowledges it.
        Held => "held",
        /// A person must change an object first.
        Stalled => "stalled",
        /// Something else must come back first: MinIO, the lease.
        Waiting => "waiting",
        /// It failed and is tried again.
        Failed => "failed",
    }
}

labels! {
    /// What a subject is.
    SubjectKind {
        /// The document for everyone.
        Everyone => "everyone",
        /// A canned policy.
        Policy => "policy",
        /// A user.
        User => "user",
        /// A group with its twin.
        Group => "group",
        /// An access key of a workload.
        Key => "key",
    }
}

labels! {
    /// The kinds of objects.
    ObjectKind {
        /// `MinioUser`.
        MinioUser => "MinioUser",
        /// `MinioGroup`.
        MinioGroup => "MinioGroup",
        /// `GroupMembership`.
        GroupMembership => "GroupMembership",
        /// `PathShare`.
        PathShare => "PathShare",
        /// `MinioPolicy`.
        MinioPolicy => "MinioPolicy",
        /// `MinioAccessKey`.
        MinioAccessKey => "MinioAccessKey",
    }
}

labels! {
    /// The status of the condition Ready.
    Ready {
        /// In force.
        True => "True",
        /// Not in force, and that is known.
        False => "False",
        /// Not known.
        Unknown => "Unknown",
    }
}

labels! {
    /// How a try to issue a key ended.
    IssueOutcome {
        /// The key is in its Secret.
        Published => "published",
        /// It is not, and is tried again.
        Failed => "failed",
    }
}

labels! {
    /// What somebody else changed and we changed back.
    DriftKind {
        /// An account or its status.
        User => "user",
        /// A group.
        Group => "group",
        /// Members of a group.
        Membership => "membership",
        /// Attached policies.
        Attachment => "attachment",
        /// The content of a document.
        Document => "document",
        /// An access key.
        Key => "key",
        /// A Secret.
        Secret => "secret",
    }
}

labels! {
    /// What no object describes.
    UnmanagedKind {
        /// Users.
        Users => "users",
        /// Groups.
        Groups => "groups",
        /// Policies.
        Policies => "policies",
        /// Access keys.
        Keys => "keys",
    }
}

impl From<&Subject> for SubjectKind {
    fn from(subject: &Subject) -> Self {
        match subject {
            Subject::Everyone => Self::Everyone,
            Subject::Policy(_) => Self::Policy,
            Subject::User(_) => Self::User,
            Subject::Group(_) => Self::Group,
            Subject::Key(_) => Self::Key,
        }
    }
}

impl From<Kind> for ObjectKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::MinioUser => Self::MinioUser,
            Kind::MinioGroup => Self::MinioGroup,
            Kind::GroupMembership => Self::GroupMembership,
            Kind::PathShare => Self::PathShare,
            Kind::MinioPolicy => Self::MinioPolicy,
            Kind::MinioAccessKey => Self::MinioAccessKey,
        }
    }
}

/// A label value that is a word of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Word(&'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySubject {
    subject: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySubjectAndOutcome {
    subject: Word,
    outcome: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    kind: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKindAndReady {
    kind: Word,
    ready: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCall {
    call: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCallAndCode {
    call: Word,
    code: Cow<'static, str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    route: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRouteMethodAndCode {
    route: Word,
    method: Word,
    code: u16,
}

/// Makes histograms with the buckets of [`SECONDS`].
#[derive(Clone, Copy, Debug)]
struct SecondsHistogram;

impl MetricConstructor<Histogram> for SecondsHistogram {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

type Seconds<L> = Family<L, Histogram, SecondsHistogram>;

/// All metrics of the process, with one method for each thing that is worth counting.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    converge: Family<BySubjectAndOutcome, Counter>,
    converge_duration: Seconds<BySubject>,
    convergence: Seconds<ByKind>,
    revocation: Histogram,
    minio_requests: Family<ByCallAndCode, Counter>,
    minio_request_duration: Seconds<ByCall>,
    drift_repairs: Family<ByKind, Counter>,
    unmanaged: Family<ByKind, Gauge>,
    audit_duration: Histogram,
    queue_depth: Gauge,
    documents_bytes: Gauge,
    held_removals: Gauge,
    credentials_expiring: Gauge,
    credentials_issued: Family<ByOutcome, Counter>,
    leader: Gauge,
    objects: Family<ByKindAndReady, Gauge>,
    http_requests: Family<ByRouteMethodAndCode, Counter>,
    http_request_duration: Seconds<ByRoute>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("minio_manager");
        let mut metrics = Self {
            converge: register(&mut registry, "converge", "Runs for a subject by outcome", Family::default()),
            converge_duration: register(
                &mut registry,
                "converge_duration_seconds",
                "Time of one run for a subject",
                Family::new_with_constructor(SecondsHistogram),
            ),
            convergence: register(
                &mut registry,
                "convergence_seconds",
                "From seeing a change of an object to having it in force",
                Family::new_with_constructor(SecondsHistogram),
            ),
            revocation: register(
                &mut registry,
                "revocation_seconds",
                "From seeing that access is withdrawn to having it withdrawn",
                SecondsHistogram.new_metric(),
            ),
            minio_requests: register(
                &mut registry,
                "minio_requests",
                "Requests to MinIO by call and status; none where no answer came",
                Family::default(),
            ),
            minio_request_duration: register(
                &mut registry,
                "minio_request_duration_seconds",
                "Time of a request to MinIO",
                Family::new_with_constructor(SecondsHistogram),
            ),
            drift_repairs: register(
                &mut registry,
                "drift_repairs",
                "Foreign changes that were undone",
                Family::default(),
            ),
            unmanaged: register(
                &mut registry,
                "unmanaged",
                "What exists on MinIO and no object describes",
                Family::default(),
            ),
            audit_duration: register(
                &mut registry,
                "audit_duration_seconds",
                "Time of a comparison of the server with all objects",
                SecondsHistogram.new_metric(),
            ),
            queue_depth: register(&mut registry, "queue_depth", "Subjects that wait for a run", Gauge::default()),
            documents_bytes: register(
                &mut registry,
                "documents_bytes",
                "Size of all policy documents of managed subjects",
                Gauge::default(),
            ),
            held_removals: register(
                &mut registry,
                "held_removals",
                "Removals that wait for a person, because they are too many at once",
                Gauge::default(),
            ),
            credentials_expiring: register(
                &mut registry,
                "credentials_expiring",
                "Issued keys that expire soon because they could not be replaced in time",
                Gauge::default(),
            ),
            credentials_issued: register(
                &mut registry,
                "credentials_issued",
                "Keys that were published, first ones and successors, and tries that failed",
                Family::default(),
            ),
            leader: register(&mut registry, "leader", "1 while this process holds the lease", Gauge::default()),
            objects: register(&mut registry, "objects", "Objects by kind and Ready", Family::default()),
            http_requests: register(
                &mut registry,
                "http_requests",
                "Answered HTTP requests by route, method and status",
                Family::default(),
            ),
            http_request_duration: register(
                &mut registry,
                "http_request_duration_seconds",
                "Time to answer an HTTP request",
                Family::new_with_constructor(SecondsHistogram),
            ),
            registry: Registry::default(),
        };
        metrics.registry = registry;
        metrics.create_series();
        metrics
    }

    /// Creates every series of the closed sets, so that rates and alerts work from the first event on.
    fn create_series(&self) {
        for subject in SubjectKind::ALL {
            drop(self.converge_duration.get_or_create(&BySubject { subject: Word(subject.as_str()) }));
            for outcome in Outcome::ALL {
                drop(self.converge.get_or_create(&by_outcome(*subject, *outcome)));
            }
        }
        for kind in ObjectKind::ALL {
            drop(self.convergence.get_or_create(&ByKind { kind: Word(kind.as_str()) }));
            for ready in Ready::ALL {
                drop(self.objects.get_or_create(&by_ready(*kind, *ready)));
            }
        }
        for kind in DriftKind::ALL {
            drop(self.drift_repairs.get_or_create(&ByKind { kind: Word(kind.as_str()) }));
        }
        for kind in UnmanagedKind::ALL {
            drop(self.unmanaged.get_or_create(&ByKind { kind: Word(kind.as_str()) }));
        }
        for outcome in IssueOutcome::ALL {
            drop(self.credentials_issued.get_or_create(&ByOutcome { outcome: Word(outcome.as_str()) }));
        }
        self.create_minio_series();
    }

    fn create_minio_series(&self) {
        for call in minio::Call::ALL.iter().map(|call| Word(call.as_str())) {
            drop(self.minio_requests.get_or_create(&ByCallAndCode { call, code: Cow::Borrowed("200") }));
            drop(self.minio_request_duration.get_or_create(&ByCall { call }));
        }
    }

    /// Creates the series of HTTP routes, before the first request.
    pub fn expect_http_routes(&self, routes: impl IntoIterator<Item = (&'static str, &'static str)>) {
        for (method, route) in routes {
            let (route, method) = (Word(route), Word(method));
            drop(self.http_requests.get_or_create(&ByRouteMethodAndCode { route, method, code: 200 }));
            drop(self.http_request_duration.get_or_create(&ByRoute { route }));
        }
    }

    /// A run for a subject ended.
    pub fn converged(&self, subject: impl Into<SubjectKind>, outcome: Outcome, took: Duration) {
        let subject = subject.into();
        self.converge.get_or_create(&by_outcome(subject, outcome)).inc();
        self.converge_duration
            .get_or_create(&BySubject { subject: Word(subject.as_str()) })
            .observe(took.as_secs_f64());
    }

    /// What an object says is in force, so long after its change was seen.
    pub fn convergence(&self, kind: impl Into<ObjectKind>, took: Duration) {
        let kind = Word(kind.into().as_str());
        self.convergence.get_or_create(&ByKind { kind }).observe(took.as_secs_f64());
    }

    /// Access is gone, so long after its withdrawal was seen.
    pub fn revocation(&self, took: Duration) {
        self.revocation.observe(took.as_secs_f64());
    }

    /// A request to MinIO ended.
    pub fn minio_request(&self, call: minio::Call, outcome: minio::Outcome, took: Duration) {
        let call = Word(call.as_str());
        self.minio_requests.get_or_create(&ByCallAndCode { call, code: outcome.as_label() }).inc();
        self.minio_request_duration.get_or_create(&ByCall { call }).observe(took.as_secs_f64());
    }

    /// A foreign change was undone.
    pub fn drift_repair(&self, kind: DriftKind) {
        self.drift_repairs.get_or_create(&ByKind { kind: Word(kind.as_str()) }).inc();
    }

    /// So many things on MinIO are described by no object.
    pub fn set_unmanaged(&self, kind: UnmanagedKind, count: u64) {
        self.unmanaged.get_or_create(&ByKind { kind: Word(kind.as_str()) }).set(signed(count));
    }

    /// A comparison with the server took so long.
    pub fn audited(&self, took: Duration) {
        self.audit_duration.observe(took.as_secs_f64());
    }

    /// So many subjects wait.
    pub fn set_queue_depth(&self, subjects: usize) {
        self.queue_depth.set(signed(subjects as u64));
    }

    /// All documents together have this size.
    pub fn set_documents_bytes(&self, bytes: u64) {
        self.documents_bytes.set(signed(bytes));
    }

    /// So many removals wait for a person.
    pub fn set_held_removals(&self, removals: u64) {
        self.held_removals.set(signed(removals));
    }

    /// So many keys expire soon without a successor.
    pub fn set_credentials_expiring(&self, keys: u64) {
        self.credentials_expiring.set(signed(keys));
    }

    /// A key was published, or could not be.
    pub fn credentials_issued(&self, outcome: IssueOutcome) {
        self.credentials_issued.get_or_create(&ByOutcome { outcome: Word(outcome.as_str()) }).inc();
    }

    /// Whether this process holds the lease.
    pub fn set_leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// So many objects of a kind have this Ready.
    pub fn set_objects(&self, kind: impl Into<ObjectKind>, ready: Ready, count: u64) {
        self.objects.get_or_create(&by_ready(kind.into(), ready)).set(signed(count));
    }

    /// An HTTP request was answered. `route` is the pattern, never the path; `method` one of the HTTP standard.
    pub fn http_request(&self, route: &'static str, method: &'static str, code: u16, took: Duration) {
        let (route, method) = (Word(route), Word(method));
        self.http_requests.get_or_create(&ByRouteMethodAndCode { route, method, code }).inc();
        self.http_request_duration.get_or_create(&ByRoute { route }).observe(took.as_secs_f64());
    }

    /// The exposition in the text format of OpenMetrics.
    ///
    /// # Errors
    /// When a metric refuses to be written, which the types here rule out.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut exposition = String::new();
        text::encode(&mut exposition, &self.registry)?;
        Ok(exposition)
    }
}

impl minio::Observer for Metrics {
    fn observe(&self, call: minio::Call, outcome: minio::Outcome, duration: Duration) {
        self.minio_request(call, outcome, duration);
    }
}

fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn by_outcome(subject: SubjectKind, outcome: Outcome) -> BySubjectAndOutcome {
    BySubjectAndOutcome { subject: Word(subject.as_str()), outcome: Word(outcome.as_str()) }
}

fn by_ready(kind: ObjectKind, ready: Ready) -> ByKindAndReady {
    ByKindAndReady { kind: Word(kind.as_str()), ready: Word(ready.as_str()) }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
