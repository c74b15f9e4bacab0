//! The server's trace of IAM calls: who changes what besides us, within a millisecond, without any configuration of the server.
//!
//! The stream has no memory: what happened before it was opened, or while it was away, is not in it.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use bytes::BytesMut;
use http::Method;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::{
    call::{Call, Outcome},
    client::{Client, Request},
    error::Error,
    types::Holder,
};

/// The server sends a blank every second; a stream silent for this long is dead.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);
/// Longest event that is read; the largest is a policy document, which MinIO limits to 20 KiB.
const EVENT_LIMIT: usize = 4 << 20;

/// The calls that may change something of users, groups, policies or keys, and how to tell what it was. The trace tells of every
/// other one, too.
const CHANGES: [(&str, Change); 17] = [
    ("AddCannedPolicy", Change::Policy),
    ("AddServiceAccount", Change::NewKey),
    ("AddServiceAccountLDAP", Change::NewKey),
    ("AddUser", Change::User),
    ("AttachDetachPolicyBuiltin", Change::Unnamed),
    ("AttachDetachPolicyLDAP", Change::Unnamed),
    ("DeleteServiceAccount", Change::Key),
    ("ImportIAM", Change::Everything),
    ("ImportIAMV2", Change::Everything),
    ("RemoveCannedPolicy", Change::Policy),
    ("RemoveUser", Change::User),
    ("SRPeerReplicateIAMItem", Change::Everything),
    ("SetGroupStatus", Change::Group),
    ("SetPolicyForUserOrGroup", Change::Attachments),
    ("SetUserStatus", Change::User),
    ("UpdateGroupMembers", Change::Unnamed),
    ("UpdateServiceAccount", Change::Key),
];

/// What a call changes, and where it says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// The user `accessKey`.
    User,
    /// The group `group`.
    Group,
    /// What is attached to `userOrGroup`, a group where `isGroup` says so.
    Attachments,
    /// The policy `name`.
    Policy,
    /// The key `accessKey`.
    Key,
    /// A key that the call makes.
    NewKey,
    /// A user or a group, in the sealed body.
    Unnamed,
    /// Anything.
    Everything,
}

/// One call of the admin API that may change something, by anybody, as the server traced it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEvent {
    /// The server's name for the call, such as `AddUser`.
    pub function: &'static str,
    /// The access key that signed it; empty where it was not signed.
    pub caller: String,
    /// The caller's `User-Agent`; ours starts with `minio-manager/`.
    pub agent: String,
    /// The HTTP status of the answer.
    pub status: u16,
    change: Change,
    query: BTreeMap<String, String>,
}

/// What a traced call changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// Nothing: it failed.
    Nothing,
    /// A user or group: itself or its attachments.
    Holder(Holder),
    /// A policy's document.
    Policy(String),
    /// An access key.
    AccessKey(String),
    /// A new access key; the trace does not say whose.
    SomeKey,
    /// A user, a group or its attachments, but the trace does not say which.
    Something,
    /// Anything: everything may be different.
    Anything,
}

impl TraceEvent {
    /// What the call changed, as far as the trace tells.
    pub fn touched(&self) -> Touched {
        if self.status >= 400 {
            return Touched::Nothing;
        }
        let named =
            |name: &str, make: fn(String) -> Touched| self.query.get(name).cloned().map_or(Touched::Something, make);
        let user = |name| Touched::Holder(Holder::User(name));
        let group = |name| Touched::Holder(Holder::Group(name));
        match self.change {
            Change::User => named("accessKey", user),
            Change::Group => named("group", group),
            Change::Attachments if self.query.get("isGroup").is_some_and(|value| value == "true") => {
                named("userOrGroup", group)
            }
            Change::Attachments => named("userOrGroup", user),
            Change::Policy => named("name", Touched::Policy),
            Change::Key => named("accessKey", Touched::AccessKey),
            Change::NewKey => Touched::SomeKey,
            Change::Unnamed => Touched::Something,
            Change::Everything => Touched::Anything,
        }
    }
}

/// An open trace.
#[derive(Debug)]
pub struct TraceStream {
    response: reqwest::Response,
    events: Events,
}

impl Client {
    /// Follows all admin calls that change something from now on, our own included. Needs `admin:ServerTrace`.
    pub async fn trace(&self) -> Result<TraceStream, Error> {
        let request = Request::admin(Call::Trace, Method::GET, "trace").query("internal", "true");
        let response = self.open_stream(request).await?;
        Ok(TraceStream { response, events: Events::default() })
    }
}

impl TraceStream {
    /// The next event; waits for it. Safe to cancel.
    ///
    /// # Errors
    /// When the stream ended or fell silent: events may have been missed, so compare everything after opening a new one.
    pub async fn next(&mut self) -> Result<TraceEvent, Error> {
        loop {
            if let Some(event) = self.events.take() {
                return Ok(event);
            }
            if self.events.is_oversize() {
                return Err(Error::transport(Call::Trace, Outcome::Oversize, None));
            }
            match tokio::time::timeout(SILENCE_LIMIT, self.response.chunk()).await {
                Err(_) => return Err(Error::transport(Call::Trace, Outcome::Timeout, None)),
                Ok(Err(error)) => return Err(Error::transport(Call::Trace, Outcome::Broken, Some(error))),
                Ok(Ok(None)) => return Err(Error::transport(Call::Trace, Outcome::Broken, None)),
                Ok(Ok(Some(chunk))) => self.events.push(&chunk),
            }
        }
    }
}

/// What has arrived of a trace and was not read yet.
#[derive(Debug, Default)]
pub(super) struct Events(BytesMut);

impl Events {
    /// Takes in what arrived.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.0.extend_from_slice(chunk);
    }

    /// Whether what waits is longer than any event.
    pub(super) fn is_oversize(&self) -> bool {
        self.0.len() > EVENT_LIMIT
    }

    /// The first complete line that is an event. Lines that are none are of no interest: the server traces more than admin calls
    /// that change something.
    pub(super) fn take(&mut self) -> Option<TraceEvent> {
        while let Some(end) = self.0.iter().position(|&byte| byte == b'\n') {
            let line = self.0.split_to(end + 1);
            if let Some(event) = parse(&line) {
                return Some(event);
            }
        }
        // Keep-alive blanks are not the beginning of a line.
        if self.0.iter().all(|&byte| byte == b' ') {
            self.0.clear();
        }
        None
    }
}

fn parse(line: &[u8]) -> Option<TraceEvent> {
    // Nearly all events are our own reads: of these nothing but the name is taken in.
    let named: RawName<'_> = serde_json::from_slice(line).ok()?;
    let function = named.function.strip_prefix("admin.")?;
    let (function, change) = *CHANGES.iter().find(|(name, _)| *name == function)?;
    let raw: RawEvent = serde_json::from_slice(line).ok()?;
    let http = raw.http?;
    let header =
        |name: &str| http.request.headers.get(name).and_then(|values| values.first()).cloned().unwrap_or_default();
    Some(TraceEvent {
        function,
        change,
        caller: signer(&header("Authorization")),
        agent: header("User-Agent"),
        status: http.response.status,
        query: http.request.query.split('&').filter_map(pair).collect(),
    })
}

/// The access key in a SigV4 authorization; the rest of it is nobody's business.
fn signer(authorization: &str) -> String {
    let credential = authorization.split_once("Credential=").map(|(_, rest)| rest).unwrap_or_default();
    // Date, region, service and terminator follow; the key itself may hold slashes.
    credential.split(',').next().unwrap_or_default().rsplitn(5, '/').nth(4).unwrap_or_default().to_owned()
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    Some((decode(name), decode(value)))
}

#[derive(Deserialize)]
struct RawName<'a> {
    #[serde(borrow, default, rename = "funcname", alias = "funcName")]
    function: Cow<'a, str>,
}

#[derive(Deserialize)]
struct RawEvent {
    #[serde(default)]
    http: Option<RawHttp>,
}

#[derive(Deserialize)]
struct RawHttp {
    #[serde(default)]
    request: RawRequest,
    #[serde(default)]
    response: RawResponse,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawRequest {
    #[serde(rename = "rawquery", alias = "rawQuery")]
    query: String,
    headers: BTreeMap<String, Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawResponse {
    #[serde(rename = "statuscode", alias = "statusCode")]
    status: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the server sent it, shortened.
    fn line(function: &str, query: &str, status: u16) -> Vec<u8> {
        let headers = r#"{"Authorization":["AWS4-HMAC-SHA256 Credential=a/root/20261121/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=41"],"User-Agent":["curl/7"]}"#;
        format!(
            r#" {{"type":8,"funcname":"admin.{function}","http":{{"request":{{"method":"PUT","rawquery":"{query}","headers":{headers}}},"response":{{"headers":{{}},"statuscode":{status}}}}}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn an_event_names_caller_and_subject() {
        let event = parse(&line("AddUser", r"accessKey=b+c%2Bd\u0026x=1", 200)).unwrap();
        assert_eq!((event.caller.as_str(), event.agent.as_str(), event.status), ("a/root", "curl/7", 200));
        assert_eq!(event.touched(), Touched::Holder(Holder::User("b c+d".to_owned())));
    }

    #[test]
    fn calls_are_mapped_to_what_they_touch() {
        let group = |name: &str| Touched::Holder(Holder::Group(name.to_owned()));
        for (function, query, touched) in [
            ("SetPolicyForUserOrGroup", r"isGroup=true\u0026policyName=p\u0026userOrGroup=g", group("g")),
            (
                "SetPolicyForUserOrGroup",
                r"isGroup=false\u0026userOrGroup=u",
                Touched::Holder(Holder::User("u".to_owned())),
            ),
            ("SetGroupStatus", "group=g", group("g")),
            ("AddCannedPolicy", "name=p", Touched::Policy("p".to_owned())),
            ("DeleteServiceAccount", "accessKey=K", Touched::AccessKey("K".to_owned())),
            ("UpdateGroupMembers", "", Touched::Something),
            ("AddServiceAccount", "", Touched::SomeKey),
            ("ImportIAMV2", "", Touched::Anything),
            ("RemoveUser", "", Touched::Something),
        ] {
            assert_eq!(parse(&line(function, query, 200)).unwrap().touched(), touched, "{function} {query}");
        }
        assert_eq!(parse(&line("RemoveUser", "accessKey=u", 404)).unwrap().touched(), Touched::Nothing);
    }

    #[test]
    fn what_changes_nothing_is_skipped() {
        assert_eq!(parse(b" \n"), None);
        assert_eq!(parse(br#"{"funcname":"s3.GetObject","http":{}}"#), None);
        assert_eq!(parse(&line("GetUserInfo", "accessKey=u", 200)), None);
    }

    #[test]
    fn every_change_touches_something() {
        for (function, _) in CHANGES {
            assert_ne!(parse(&line(function, "", 200)).unwrap().touched(), Touched::Nothing, "{function}");
        }
    }
}
