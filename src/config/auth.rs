//! Who may ask the REST service: the flags and files of its authentication.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::Url;
use serde::Deserialize;

use super::{ConfigError, Environment, file, value};
use crate::iam::names::UserName;
use crate::minio::Secret;
use crate::rest::auth::{Token, TokenDigest};

/// Longest time that a token which was found is not looked up again.
const LONGEST_CACHE_TTL: Duration = Duration::from_secs(300);
/// A static token shorter than this can be guessed.
const SHORTEST_STATIC_TOKEN: usize = 16;

/// Who may ask, and where their tokens are looked up.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Authentication")]
pub struct AuthArgs {
    /// Where tokens are looked up, in this order: a comma list of kbase, oidc, jupyterhub, kubernetes, static
    #[arg(long, value_name = "NAMES", value_parser = BackendNames::parse)]
    pub auth: Option<BackendNames>,
    /// How long a token that was found is not looked up again: up to 5m, 0 looks it up each time
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = cache_ttl)]
    pub auth_cache_ttl: Duration,
    /// kbase: URL of the KBase authentication service
    #[arg(long, value_name = "URL", default_value = "https://ci.kbase.us/services/auth/", value_parser = base_url)]
    pub kbase_auth_url: Url,
    /// kbase: roles that everybody must have, a comma list; empty asks for none [default: BERDL_USER]
    #[arg(long, value_name = "ROLES", value_parser = roles)]
    pub kbase_required_roles: Option<Roles>,
    /// kbase: roles each of which makes an administrator, a comma list; empty makes none [default: KBASE_ADMIN]
    #[arg(long, value_name = "ROLES", value_parser = roles)]
    pub kbase_admin_roles: Option<Roles>,
    /// oidc: the issuer, exactly as its tokens name it
    #[arg(long, value_name = "URL", value_parser = Issuer::parse)]
    pub oidc_issuer: Option<Issuer>,
    /// oidc: the audience that tokens must be for
    #[arg(long, value_name = "NAME", value_parser = word)]
    pub oidc_audience: Option<String>,
    /// oidc: the claim with the user's name
    #[arg(long, value_name = "CLAIM", default_value = "preferred_username", value_parser = word)]
    pub oidc_username_claim: String,
    /// oidc: the claim with the user's groups
    #[arg(long, value_name = "CLAIM", default_value = "groups", value_parser = word)]
    pub oidc_groups_claim: String,
    /// oidc: the group whose members are administrators [default: none]
    #[arg(long, value_name = "NAME", value_parser = word)]
    pub oidc_admin_group: Option<String>,
    /// jupyterhub: URL of the hub's API, for example http://hub:8081/hub/api
    #[arg(long, value_name = "URL", value_parser = base_url)]
    pub jupyterhub_url: Option<Url>,
    /// jupyterhub: the scope that a token must have for its owner
    #[arg(long, value_name = "SCOPE", default_value = "users:activity", value_parser = scope)]
    pub jupyterhub_scope: String,
    /// kubernetes: the audience that tokens must be for [default: the API server's own]
    #[arg(long, value_name = "NAME", value_parser = word)]
    pub kubernetes_audience: Option<String>,
    /// kubernetes: YAML file with users, a map from names in Kubernetes to user names
    #[arg(long, value_name = "FILE")]
    pub kubernetes_users: Option<PathBuf>,
    /// kubernetes: the group whose members are administrators [default: none]
    #[arg(long, value_name = "NAME", value_parser = word)]
    pub kubernetes_admin_group: Option<String>,
    /// static: YAML file with tokens, a list of token, user and admin; for development
    #[arg(long, value_name = "FILE")]
    pub static_tokens: Option<PathBuf>,
}

/// A place where tokens are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum BackendName {
    /// The authentication service of KBase.
    Kbase,
    /// An OpenID Connect provider.
    Oidc,
    /// A JupyterHub.
    Jupyterhub,
    /// The Kubernetes API.
    Kubernetes,
    /// A file.
    Static,
}

impl BackendName {
    /// The name in `--auth`, in messages and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kbase => "kbase",
            Self::Oidc => "oidc",
            Self::Jupyterhub => "jupyterhub",
            Self::Kubernetes => "kubernetes",
            Self::Static => "static",
        }
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `--auth`: at least one backend, none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendNames(Vec<BackendName>);

impl BackendNames {
    fn parse(text: &str) -> Result<Self, String> {
        const EXPECTED: &str =
            "expected a comma list of kbase, oidc, jupyterhub, kubernetes and static, each at most once";
        let names: Result<Vec<_>, _> = text.split(',').map(|name| BackendName::from_str(name.trim(), false)).collect();
        let names = names.map_err(|_| EXPECTED)?;
        let distinct: BTreeSet<_> = names.iter().collect();
        if distinct.len() == names.len() { Ok(Self(names)) } else { Err(EXPECTED.to_owned()) }
    }
}

/// Names of roles.
pub type Roles = BTreeSet<String>;

/// An OpenID Connect issuer. The text counts: tokens name it exactly so, with or without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    discovery: Url,
}

impl Issuer {
    fn parse(text: &str) -> Result<Self, String> {
        let base = base_url(text)?;
        let discovery = base.join(".well-known/openid-configuration").map_err(|_| EXPECTED_URL)?;
        Ok(Self { text: text.to_owned(), discovery })
    }

    /// As tokens name it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where it describes itself.
    pub fn discovery(&self) -> &Url {
        &self.discovery
    }
}

/// How tokens are checked.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// The backends in the order in which they are asked; at least one.
    pub backends: Vec<BackendConfig>,
    /// How long a token that was found is not looked up again; zero looks it up each time.
    pub cache_ttl: Duration,
}

/// One backend.
#[derive(Clone, Debug)]
pub enum BackendConfig {
    /// The authentication service of KBase.
    Kbase(KbaseConfig),
    /// An OpenID Connect provider.
    Oidc(OidcConfig),
    /// A JupyterHub.
    Jupyterhub(JupyterhubConfig),
    /// The Kubernetes API.
    Kubernetes(KubernetesConfig),
    /// Tokens in a file.
    Static(Vec<StaticToken>),
}

/// `kbase`.
#[derive(Clone, Debug)]
pub struct KbaseConfig {
    /// The service; its path ends with a slash.
    pub url: Url,
    /// All of them are required.
    pub required_roles: Roles,
    /// Any of them makes an administrator.
    pub admin_roles: Roles,
}

/// `oidc`.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// Who signs.
    pub issuer: Issuer,
    /// Whom tokens must be for.
    pub audience: String,
    /// The claim with the user's name.
    pub username_claim: String,
    /// The claim with the user's groups.
    pub groups_claim: String,
    /// The group of administrators.
    pub admin_group: Option<String>,
}

/// `jupyterhub`.
#[derive(Clone, Debug)]
pub struct JupyterhubConfig {
    /// The hub's API; its path ends with a slash.
    pub url: Url,
    /// What a token must be allowed for its owner, without filter.
    pub scope: String,
}

/// `kubernetes`.
#[derive(Clone, Debug)]
pub struct KubernetesConfig {
    /// Whom tokens must be for; without it the API server itself.
    pub audience: Option<String>,
    /// From names in Kubernetes to users.
    pub users: BTreeMap<String, UserName>,
    /// The group of administrators.
    pub admin_group: Option<String>,
}

/// `static`: one token, known by its digest only.
#[derive(Clone, Debug)]
pub struct StaticToken {
    /// Of the token.
    pub digest: TokenDigest,
    /// Whose token it is.
    pub user: UserName,
    /// Whether that is an administrator.
    pub admin: bool,
}

impl AuthConfig {
    /// Checks what flags, environment and files say about authentication.
    ///
    /// # Errors
    /// The first wrong or missing value.
    pub fn resolve(args: AuthArgs, environment: &Environment) -> Result<Self, ConfigError> {
        let names = args.auth.clone().ok_or_else(|| {
            missing(
                "AUTH",
                "expected where tokens are looked up: a comma list of kbase, oidc, jupyterhub, kubernetes, static",
            )
        })?;
        let backends = names.0.iter().map(|name| match name {
            BackendName::Kbase => KbaseConfig::resolve(&args, environment).map(BackendConfig::Kbase),
            BackendName::Oidc => OidcConfig::resolve(&args).map(BackendConfig::Oidc),
            BackendName::Jupyterhub => JupyterhubConfig::resolve(&args).map(BackendConfig::Jupyterhub),
            BackendName::Kubernetes => KubernetesConfig::resolve(&args).map(BackendConfig::Kubernetes),
            BackendName::Static => static_tokens(&args).map(BackendConfig::Static),
        });
        Ok(Self { backends: backends.collect::<Result<_, _>>()?, cache_ttl: args.auth_cache_ttl })
    }
}

impl KbaseConfig {
    fn resolve(args: &AuthArgs, environment: &Environment) -> Result<Self, ConfigError> {
        let or_default = |given: &Option<Roles>, variable: &str, default: &str| match given {
            Some(roles) => roles.clone(),
            // Elsewhere an empty variable is an absent one; here it is the only way to ask for no role.
            None if environment.is_empty(variable) => Roles::new(),
            None => Roles::from([default.to_owned()]),
        };
        Ok(Self {
            url: args.kbase_auth_url.clone(),
            required_roles: or_default(&args.kbase_required_roles, "KBASE_REQUIRED_ROLES", "BERDL_USER"),
            admin_roles: or_default(&args.kbase_admin_roles, "KBASE_ADMIN_ROLES", "KBASE_ADMIN"),
        })
    }
}

impl OidcConfig {
    fn resolve(args: &AuthArgs) -> Result<Self, ConfigError> {
        Ok(Self {
            issuer: args.oidc_issuer.clone().ok_or_else(|| {
                missing(
                    "OIDC_ISSUER",
                    "expected the issuer as its tokens name it, for example https://login.example.org/",
                )
            })?,
            audience: args.oidc_audience.clone().ok_or_else(|| {
                missing(
                    "OIDC_AUDIENCE",
                    "expected the audience of the tokens, without which any token of the issuer would do",
                )
            })?,
            username_claim: args.oidc_username_claim.clone(),
            groups_claim: args.oidc_groups_claim.clone(),
            admin_group: args.oidc_admin_group.clone(),
        })
    }
}

impl JupyterhubConfig {
    fn resolve(args: &AuthArgs) -> Result<Self, ConfigError> {
        let url = args.jupyterhub_url.clone();
        Ok(Self {
            url: url.ok_or_else(|| {
                missing("JUPYTERHUB_URL", "expected the URL of the hub's API, for example http://hub:8081/hub/api")
            })?,
            scope: args.jupyterhub_scope.clone(),
        })
    }
}

impl KubernetesConfig {
    fn resolve(args: &AuthArgs) -> Result<Self, ConfigError> {
        let path = args.kubernetes_users.as_deref().ok_or_else(|| {
            missing("KUBERNETES_USERS", "expected a YAML file with users, a map from names in Kubernetes to user names")
        })?;
        Ok(Self {
            audience: args.kubernetes_audience.clone(),
            users: kubernetes_users(path)?,
            admin_group: args.kubernetes_admin_group.clone(),
        })
    }
}

const KUBERNETES_USERS: &str = "--kubernetes-users (KUBERNETES_USERS)";
const STATIC_TOKENS: &str = "--static-tokens (STATIC_TOKENS)";

fn kubernetes_users(path: &Path) -> Result<BTreeMap<String, UserName>, ConfigError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct UsersFile {
        users: BTreeMap<String, String>,
    }
    let file: UsersFile = file::read_yaml(KUBERNETES_USERS, path)?;
    let parse = |(name, user): (String, String)| match UserName::parse(&user) {
        Ok(user) => Ok((name, user)),
        Err(error) => {
            Err(ConfigError::invalid(KUBERNETES_USERS, format!("{}: users[{name:?}]: {error}", path.display())))
        }
    };
    file.users.into_iter().map(parse).collect()
}

fn static_tokens(args: &AuthArgs) -> Result<Vec<StaticToken>, ConfigError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct TokensFile {
        tokens: Vec<Entry>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        token: String,
        user: String,
        #[serde(default)]
        admin: bool,
    }
    let path = args
        .static_tokens
        .as_deref()
        .ok_or_else(|| missing("STATIC_TOKENS", "expected a YAML file with tokens, a list of token, user and admin"))?;
    let wrong = |problem: String| ConfigError::invalid(STATIC_TOKENS, format!("{}: {problem}", path.display()));
    let text = Secret::new(file::read_text(STATIC_TOKENS, path)?);
    let file: TokensFile = serde_saphyr::from_str(text.expose()).map_err(|error| {
        // The parser quotes what it did not expect, and that could be a token.
        let line = error.location().map_or(String::new(), |location| format!(" at line {}", location.line()));
        wrong(format!("expected tokens, a list of token, user and admin (a boolean){line}"))
    })?;
    let mut seen = BTreeMap::new();
    let mut tokens = Vec::with_capacity(file.tokens.len());
    for (index, entry) in file.tokens.into_iter().enumerate() {
        let token = Token::parse(Secret::new(entry.token)).filter(|token| token.len() >= SHORTEST_STATIC_TOKEN);
        let token = token.ok_or_else(|| {
            let most = Token::LONGEST;
            wrong(format!(
                "tokens[{index}].token: expected {SHORTEST_STATIC_TOKEN} to {most} printable ASCII characters without blanks"
            ))
        })?;
        if let Some(first) = seen.insert(token.digest(), index) {
            return Err(wrong(format!("tokens[{index}].token: expected another than that of tokens[{first}]")));
        }
        let user = UserName::parse(&entry.user).map_err(|error| wrong(format!("tokens[{index}].user: {error}")))?;
        tokens.push(StaticToken { digest: token.digest(), user, admin: entry.admin });
    }
    Ok(tokens)
}

fn missing(name: &str, expected: &str) -> ConfigError {
    ConfigError::Missing { name: name.to_owned(), expected: expected.to_owned() }
}

fn cache_ttl(text: &str) -> Result<Duration, String> {
    value::duration_within(text, Duration::ZERO, LONGEST_CACHE_TTL)
}

const EXPECTED_URL: &str = "expected a URL with http or https and a host, without password, query and fragment";

/// A URL below which others are: its path gets a slash at the end.
fn base_url(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|_| EXPECTED_URL)?;
    let plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
        return Err(EXPECTED_URL.to_owned());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

fn roles(text: &str) -> Result<Roles, String> {
    Ok(text.split(',').map(str::trim).filter(|role| !role.is_empty()).map(str::to_owned).collect())
}

/// A scope of JupyterHub without a filter, which is that of the token's owner.
fn scope(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_'))
    };
    if text.split(':').all(is_word) {
        Ok(text.to_owned())
    } else {
        Err("expected a scope without filter, such as users:activity or access:servers".to_owned())
    }
}

fn word(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("expected a name that is not empty".to_owned()),
        word => Ok(word.to_owned()),
    }
}

#[cfg(test)]
mod tests;
