//! What the observations mean, without asking anybody.

use std::fmt;

use jiff::SignedDuration;
use serde::Serialize;

use super::weaknesses;
use crate::minio::{Ability, Endpoint, KeyState, ServerInfo, Verdict};

/// A server's clock may differ by this much before it is worth a word.
const SKEW_TO_MENTION: SignedDuration = SignedDuration::from_secs(30);
/// The server refuses requests beyond this.
const SKEW_LIMIT: SignedDuration = SignedDuration::from_mins(15);

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// The controller works, with a limit that people should know.
    Warn,
    /// The controller does not work.
    Fail,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        })
    }
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked: a stable word.
    pub check: String,
    /// How it ended.
    pub level: Level,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: impl Into<String>, message: impl Into<String>) -> Self {
        Self { check: check.into(), level: Level::Ok, message: message.into(), remedy: None }
    }

    pub(super) fn warn(check: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check: check.into(), level: Level::Warn, message: message.into(), remedy: Some(remedy.into()) }
    }

    fn fail(check: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check: check.into(), level: Level::Fail, message: message.into(), remedy: Some(remedy.into()) }
    }
}

/// What was read from the server; errors are in words.
#[derive(Clone, Debug)]
pub(super) struct Observations {
    pub endpoint: Endpoint,
    pub access_key: String,
    /// Whether the credentials came from the variables of the root user.
    pub root_variables: bool,
    pub key: Result<KeyState, String>,
    /// The server's clock less ours, where it answered.
    pub skew: Option<SignedDuration>,
    /// Empty where the key does not work.
    pub abilities: Vec<(Ability, Result<Verdict, String>)>,
    /// `None` where the key does not work.
    pub info: Option<Result<ServerInfo, String>>,
}

/// All findings, the basic ones first.
pub(super) fn judge(seen: &Observations) -> Vec<Finding> {
    let mut findings = vec![connection(seen)];
    if seen.skew.is_some() || seen.key.is_ok() {
        findings.push(clock(seen.skew));
    }
    if let Ok(state) = &seen.key {
        findings.push(credentials(seen, *state));
    }
    findings.extend(seen.abilities.iter().map(|(ability, verdict)| permission(*ability, verdict)));
    if let Some(info) = &seen.info {
        findings.push(version(info));
        let version = info.as_ref().ok().and_then(|info| info.version.as_deref());
        findings.extend(weaknesses::of(version));
    }
    findings
}

fn connection(seen: &Observations) -> Finding {
    let endpoint = &seen.endpoint;
    match &seen.key {
        Err(error) if seen.skew.is_none() => Finding::fail(
            "connection",
            format!("{endpoint} does not answer: {error}"),
            "check MINIO_ENDPOINT, the name service and network policies, and MINIO_CA_FILE where a private authority signed",
        ),
        Err(error) => Finding::fail(
            "connection",
            format!("{endpoint} answers, but not as MinIO does: {error}"),
            "check that MINIO_ENDPOINT is the S3 port of MinIO and not its console, and that the clocks agree",
        ),
        Ok(_) if !endpoint.is_https() => Finding::warn(
            "connection",
            format!("{endpoint} answers, in plain text"),
            "use https wherever the network is not yours alone: names, policies and data are readable on the way",
        ),
        Ok(_) => Finding::ok("connection", format!("{endpoint} answers")),
    }
}

fn clock(skew: Option<SignedDuration>) -> Finding {
    let Some(skew) = skew else {
        return Finding::warn(
            "clock",
            "the server does not say what time it is",
            "make sure that its clock and ours are synchronised",
        );
    };
    let off = skew.abs();
    let seconds = off.as_secs();
    let which = if skew.is_negative() { "behind" } else { "ahead of" };
    let remedy = "synchronise both clocks (NTP)";
    if off >= SKEW_LIMIT {
        Finding::fail(
            "clock",
            format!("the server is {seconds} s {which} us; it refuses requests beyond 900 s"),
            remedy,
        )
    } else if off > SKEW_TO_MENTION {
        Finding::warn("clock", format!("the server is {seconds} s {which} us; keys expire by its clock"), remedy)
    } else {
        Finding::ok("clock", format!("the server's clock agrees with ours to {} s", seconds.max(1)))
    }
}

fn credentials(seen: &Observations, state: KeyState) -> Finding {
    let key = &seen.access_key;
    let remedy = "check MINIO_ACCESS_KEY and MINIO_SECRET_KEY (or MINIO_ROOT_USER and MINIO_ROOT_PASSWORD)";
    match state {
        KeyState::Works if seen.root_variables => Finding::warn(
            "credentials",
            format!("the server accepts {key}, given as its root user"),
            "give the controller an identity of its own with MINIO_ACCESS_KEY and MINIO_SECRET_KEY, so that it can be revoked alone",
        ),
        KeyState::Works => Finding::ok("credentials", format!("the server accepts {key}")),
        KeyState::WrongSecret => {
            Finding::fail("credentials", format!("the server knows {key}, but with another secret"), remedy)
        }
        KeyState::Unknown => Finding::fail("credentials", format!("the server does not know {key}"), remedy),
        KeyState::Disabled => Finding::fail(
            "credentials",
            format!("{key} is disabled on the server"),
            "enable it, or use another identity",
        ),
    }
}

/// What is lost without an ability, for those without which the controller still works.
fn cost(ability: Ability) -> Option<&'static str> {
    match ability {
        Ability::ListGroups | Ability::ListUserPolicies => Some("plan and status cannot list what nobody manages"),
        Ability::EnableGroup => Some("a group that somebody disables on the server stays disabled"),
        Ability::ServerTrace => Some("foreign changes are noticed at the next audit instead of at once"),
        Ability::ServerInfo => Some("the server's version stays unknown"),
        Ability::ListUsers
        | Ability::GetUser
        | Ability::CreateUser
        | Ability::EnableUser
        | Ability::DeleteUser
        | Ability::GetGroup
        | Ability::AddUserToGroup
        | Ability::GetPolicy
        | Ability::CreatePolicy
        | Ability::DeletePolicy
        | Ability::AttachPolicy
        | Ability::CreateServiceAccount
        | Ability::ListServiceAccounts
        | Ability::RemoveServiceAccount => None,
    }
}

fn permission(ability: Ability, verdict: &Result<Verdict, String>) -> Finding {
    let action = ability.action();
    let check = format!("permission {action}");
    let remedy = format!("allow {action} in the policy of the controller's identity");
    match (verdict, cost(ability)) {
        (Ok(Verdict::Allowed), _) => Finding::ok(check, "allowed"),
        (Ok(Verdict::Denied), None) => Finding::fail(check, "denied, and the controller needs it", remedy),
        (Ok(Verdict::Denied), Some(cost)) => Finding::warn(check, format!("denied: {cost}"), remedy),
        (Err(error), _) => {
            Finding::warn(check, format!("cannot be told: {error}"), "run check again when the server answers")
        }
    }
}

fn version(info: &Result<ServerInfo, String>) -> Finding {
    match info {
        Ok(ServerInfo { version: Some(version), .. }) => Finding::ok("version", format!("MinIO {version}")),
        Ok(_) => Finding::warn("version", "the server does not say its version", "compare it with the manual by hand"),
        Err(error) => Finding::warn(
            "version",
            format!("the server does not say its version: {error}"),
            "allow admin:ServerInfo in the policy of the controller's identity",
        ),
    }
}
