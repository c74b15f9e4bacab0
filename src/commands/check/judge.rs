//! What the observations mean, without asking anybody.

use std::fmt;

use jiff::SignedDuration;
use serde::Serialize;

use super::weaknesses;
use crate::iam::document::Document;
use crate::iam::evaluate::leaves_room;
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
    /// What the policies of the identity say together. `None` where the key does not work.
    pub policy: Option<Result<Document, String>>,
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
    let policy = seen.policy.as_ref();
    findings.extend(seen.abilities.iter().map(|(ability, verdict)| administration(*ability, verdict, policy)));
    findings.extend(policy.into_iter().flat_map(data));
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

/// Something that the identity has to be allowed to do.
struct Right {
    action: &'static str,
    /// What does not work without it.
    loss: &'static str,
    /// Whether the controller is of no use without it.
    needed: bool,
}

const fn needed(action: &'static str, loss: &'static str) -> Right {
    Right { action, loss, needed: true }
}

const fn useful(action: &'static str, loss: &'static str) -> Right {
    Right { action, loss, needed: false }
}

/// What the controller does with buckets and objects.
const DATA: [Right; 5] = [
    needed("s3:ListBucket", "nobody can tell whether the buckets of the layout are there, so that nothing is begun"),
    needed("s3:PutObject", "no folders are made, so that users and groups with a workspace do not become Ready"),
    useful("s3:GetObject", "shared folders that are empty are not marked, so that some clients do not find them"),
    useful("s3:CreateBucket", "you make the buckets of the layout yourself"),
    useful("s3:DeleteObject", "dataDeletionPolicy: Delete does not end"),
];

fn right_of(ability: Ability) -> Right {
    let action = ability.action();
    match ability {
        Ability::ListUsers => needed(action, "nothing can be compared with the server, and a new one is not taken on"),
        Ability::GetUser => needed(action, "no account can be read, so that no user becomes Ready"),
        Ability::CreateUser => needed(action, "no user is created"),
        Ability::EnableUser => needed(action, "users are neither disabled nor enabled again"),
        Ability::DeleteUser => needed(action, "deleted users keep their accounts"),
        Ability::GetGroup => needed(action, "no group can be read, so that none becomes Ready"),
        Ability::AddUserToGroup => needed(action, "no group is created or deleted, and nobody joins or leaves one"),
        Ability::EnableGroup => useful(action, "a group that somebody disables on the server stays disabled"),
        Ability::ListGroups | Ability::ListUserPolicies => useful(action, "minio-manager plan fails"),
        Ability::GetPolicy => needed(action, "nobody can tell whose this server is, so that nothing is written"),
        Ability::CreatePolicy => needed(action, "no right is given or changed"),
        Ability::DeletePolicy => needed(action, "documents that nobody needs any more stay on the server"),
        Ability::AttachPolicy => needed(action, "nobody is given what is written for them"),
        Ability::CreateServiceAccount => needed(action, "nobody gets an access key"),
        Ability::ListServiceAccounts => {
            needed(action, "no key is rotated or revoked, and keys of strangers are not found")
        }
        Ability::RemoveServiceAccount => needed(action, "no key ends, whether it is rotated, revoked or locked"),
        Ability::ServerTrace => useful(action, "foreign changes are noticed at the next audit instead of at once"),
        Ability::ServerInfo => {
            useful(action, "the server's version stays unknown, and with it which weaknesses it has")
        }
    }
}

/// What came of a probe; of what probes cannot tell apart, the policy says more.
fn administration(
    ability: Ability,
    verdict: &Result<Verdict, String>,
    policy: Option<&Result<Document, String>>,
) -> Finding {
    let right = right_of(ability);
    let is_shared = matches!(ability, Ability::ListGroups | Ability::ListUserPolicies);
    match (verdict, policy) {
        (Ok(Verdict::Allowed), Some(Ok(policy))) if is_shared => permission(&right, &Ok(by_policy(policy, &right))),
        _ => permission(&right, verdict),
    }
}

/// Rights on data are not probed, since nobody knows here which buckets the identity is for: that the policy leaves room for them
/// has to do.
fn data(policy: &Result<Document, String>) -> impl Iterator<Item = Finding> {
    DATA.iter().map(|right| match policy {
        Ok(policy) => permission(right, &Ok(by_policy(policy, right))),
        Err(error) => permission(right, &Err(error.clone())),
    })
}

fn by_policy(policy: &Document, right: &Right) -> Verdict {
    if leaves_room(policy, right.action) { Verdict::Allowed } else { Verdict::Denied }
}

fn permission(right: &Right, verdict: &Result<Verdict, String>) -> Finding {
    let Right { action, loss, needed } = right;
    let check = format!("permission {action}");
    let remedy = format!("allow {action} in the policy of the controller's identity");
    match verdict {
        Ok(Verdict::Allowed) => Finding::ok(check, "allowed"),
        Ok(Verdict::Denied) if *needed => Finding::fail(check, format!("denied: {loss}"), remedy),
        Ok(Verdict::Denied) => Finding::warn(check, format!("denied: {loss}"), remedy),
        Err(error) => {
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
