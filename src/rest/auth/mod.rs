//! Who asks: tokens are looked up in the configured backends, and what was found is remembered for a moment.

mod cache;
mod header;
mod jupyterhub;
mod kbase;
mod kubernetes;
mod oidc;
mod outbound;
mod statics;
mod token;

use http::HeaderMap;
use jiff::Timestamp;

use crate::config::{AuthConfig, BackendConfig, BackendName};
use crate::iam::names::{NameError, UserName};
use cache::Cache;
use jupyterhub::Jupyterhub;
use kbase::Kbase;
use kubernetes::Kubernetes;
use oidc::Oidc;
use outbound::{Away, Http};
use statics::Statics;
pub use token::{Token, TokenDigest};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user's name in MinIO.
    pub user: UserName,
    /// Whether this is an administrator.
    pub admin: bool,
}

/// Which names of the backends can be users: [`UserName::parse`], or a narrower rule.
pub type NameRule = fn(&str) -> Result<UserName, NameError>;

/// Why nobody is let in. The text is for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The header is there and is not of the right form.
    #[error(
        "Invalid authentication header: expected \"Authorization: Bearer TOKEN\" with a token of up to {} printable \
         ASCII characters",
        Token::LONGEST
    )]
    MalformedHeader,
    /// No backend knows the token.
    #[error("The token is not valid")]
    InvalidToken,
    /// The user lacks roles that everybody must have.
    #[error("The user lacks the required roles {}", missing.join(", "))]
    MissingRole {
        /// What is missing.
        missing: Vec<String>,
    },
    /// The token is somebody's, and was given away for something else.
    #[error(
        "The token lacks the scope {scope} of JupyterHub for its owner; use one that you made there yourself, or that of your \
         own server"
    )]
    MissingScope {
        /// What is missing.
        scope: String,
    },
    /// The token is valid, and its owner's name cannot be that of a user.
    #[error("The token of {backend} is of nobody who can use MinIO: {problem}")]
    InvalidUserName {
        /// Who knows the token.
        backend: BackendName,
        /// The rule that the name breaks.
        problem: String,
    },
    /// A backend that may know the token cannot be asked.
    #[error("The authentication service ({backend}) cannot be asked at the moment")]
    Unavailable {
        /// Which one.
        backend: BackendName,
    },
    /// All of them together took too long.
    #[error("Authentication takes too long; try again")]
    TooSlow,
}

/// Why authentication cannot work as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum AuthConfigError {
    /// The backend `kubernetes` without a cluster.
    #[error("the backend kubernetes needs a client of the Kubernetes API")]
    NoKubernetes,
    /// TLS cannot be set up.
    #[error("there is no way to ask authentication services")]
    Client(#[source] reqwest::Error),
    /// A configured user that the layout has no place for.
    #[error("the backend {backend} names a user who cannot be one")]
    Name {
        /// Whose configuration.
        backend: BackendName,
        /// The rule that the name breaks.
        source: NameError,
    },
    /// Backends that do not answer as they should; the others work.
    #[error("{}", shown(.0))]
    Backends(Vec<(BackendName, String)>),
}

fn shown(problems: &[(BackendName, String)]) -> String {
    let shown: Vec<_> = problems.iter().map(|(name, problem)| format!("{name} cannot be used: {problem}")).collect();
    shown.join("; ")
}

/// Finds out who asks.
#[derive(Debug)]
pub struct Authenticator {
    backends: Vec<Backend>,
    names: NameRule,
    cache: Cache,
}

/// A place where tokens are looked up.
#[derive(Debug)]
enum Backend {
    Kbase(Kbase),
    Oidc(Box<Oidc>),
    Jupyterhub(Jupyterhub),
    Kubernetes(Kubernetes),
    Static(Statics),
}

/// What a backend says about the owner of a token.
#[derive(Debug)]
struct Identity {
    /// The name as the backend has it.
    user: String,
    admin: bool,
    /// The token's own end, where the backend tells.
    expires: Option<Timestamp>,
}

/// Why a backend does not say whose a token is, other than that it does not know it.
#[derive(Debug)]
enum Failure {
    /// It cannot be asked.
    Away(Away),
    /// It knows the token, and its owner is not let in.
    Refused(AuthError),
}

impl From<Away> for Failure {
    fn from(away: Away) -> Self {
        Self::Away(away)
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        Self::Refused(error)
    }
}

impl Authenticator {
    /// An authenticator; nothing is asked yet. `kube` is needed by the backend `kubernetes` only.
    ///
    /// # Errors
    /// What is configured cannot work, whatever the backends answer.
    pub fn new(config: AuthConfig, names: NameRule, kube: Option<kube::Client>) -> Result<Self, AuthConfigError> {
        let backends = config.backends.into_iter().map(|backend| Backend::new(backend, names, kube.as_ref()));
        Ok(Self { backends: backends.collect::<Result<_, _>>()?, names, cache: Cache::new(config.cache_ttl) })
    }

    /// Who sends these headers; nobody where there is no `Authorization`.
    ///
    /// # Errors
    /// There is one, and it does not let anybody in.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Option<Caller>, AuthError> {
        let Some(token) = header::bearer(headers)? else { return Ok(None) };
        self.cache.get_or_look_up(token.digest(), self.look_up(&token)).await.map(Some)
    }

    /// Asks every backend whether it is what it is configured to be.
    ///
    /// # Errors
    /// Names all those that are not.
    pub async fn check(&self) -> Result<(), AuthConfigError> {
        let checks = self.backends.iter().map(async |backend| (backend.name(), backend.check().await));
        let answers = futures::future::join_all(checks).await.into_iter();
        let problems: Vec<_> = answers.filter_map(|(name, answer)| Some((name, answer.err()?.to_string()))).collect();
        if problems.is_empty() { Ok(()) } else { Err(AuthConfigError::Backends(problems)) }
    }

    /// Asks the backends in turn until one knows the token. One that is away matters only if no other knows it.
    async fn look_up(&self, token: &Token) -> Result<(Caller, Option<Timestamp>), AuthError> {
        let mut away = None;
        for backend in &self.backends {
            match backend.identify(token).await {
                Ok(Some(identity)) => return self.admit(backend.name(), identity),
                Ok(None) => {}
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Away(problem)) => {
                    tracing::warn!(backend = %backend.name(), %problem, "cannot ask whose a token is");
                    away.get_or_insert(backend.name());
                }
            }
        }
        Err(away.map_or(AuthError::InvalidToken, |backend| AuthError::Unavailable { backend }))
    }

    fn admit(&self, backend: BackendName, identity: Identity) -> Result<(Caller, Option<Timestamp>), AuthError> {
        match (self.names)(&identity.user) {
            Ok(user) => Ok((Caller { user, admin: identity.admin }, identity.expires)),
            Err(error) => Err(AuthError::InvalidUserName { backend, problem: error.to_string() }),
        }
    }
}

impl Backend {
    fn new(config: BackendConfig, names: NameRule, kube: Option<&kube::Client>) -> Result<Self, AuthConfigError> {
        let http = || Http::new().map_err(AuthConfigError::Client);
        Ok(match config {
            BackendConfig::Kbase(config) => Self::Kbase(Kbase::new(config, http()?)),
            BackendConfig::Oidc(config) => Self::Oidc(Box::new(Oidc::new(config, http()?))),
            BackendConfig::Jupyterhub(config) => Self::Jupyterhub(Jupyterhub::new(config, http()?)),
            BackendConfig::Kubernetes(config) => {
                check_names(BackendName::Kubernetes, names, config.users.values())?;
                Self::Kubernetes(Kubernetes::new(config, kube.cloned().ok_or(AuthConfigError::NoKubernetes)?))
            }
            BackendConfig::Static(tokens) => {
                check_names(BackendName::Static, names, tokens.iter().map(|token| &token.user))?;
                Self::Static(Statics::new(tokens))
            }
        })
    }

    fn name(&self) -> BackendName {
        match self {
            Self::Kbase(_) => BackendName::Kbase,
            Self::Oidc(_) => BackendName::Oidc,
            Self::Jupyterhub(_) => BackendName::Jupyterhub,
            Self::Kubernetes(_) => BackendName::Kubernetes,
            Self::Static(_) => BackendName::Static,
        }
    }

    /// Whose token this is; `None` if the backend does not know it.
    async fn identify(&self, token: &Token) -> Result<Option<Identity>, Failure> {
        match self {
            Self::Kbase(kbase) => kbase.identify(token).await,
            Self::Oidc(oidc) => oidc.identify(token).await,
            Self::Jupyterhub(hub) => hub.identify(token).await,
            Self::Kubernetes(kubernetes) => kubernetes.identify(token).await,
            Self::Static(tokens) => Ok(tokens.identify(token)),
        }
    }

    async fn check(&self) -> Result<(), Away> {
        match self {
            Self::Kbase(kbase) => kbase.check().await,
            Self::Oidc(oidc) => oidc.check().await,
            Self::Jupyterhub(hub) => hub.check().await,
            Self::Kubernetes(kubernetes) => kubernetes.check().await,
            Self::Static(_) => Ok(()),
        }
    }
}

fn check_names<'a>(
    backend: BackendName,
    names: NameRule,
    mut users: impl Iterator<Item = &'a UserName>,
) -> Result<(), AuthConfigError> {
    users
        .try_for_each(|user| names(user.as_str()).map(drop))
        .map_err(|source| AuthConfigError::Name { backend, source })
}
