//! Fuzz targets of what a server sends: sealed bodies, answers and traces. A server, or whoever answers in its place, may send
//! anything; what comes of it is a value or an error that quotes nothing.

use std::collections::BTreeMap;
use std::error::Error as _;

use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::call::Call;
use super::check::RawInfo;
use super::client::parse_json;
use super::error::Error;
use super::objects::{read_failures, read_page};
use super::sealed::{SealedError, Workspace};
use super::secret::Secret;
use super::trace::{Events, Touched, TraceEvent};
use super::types::{
    AccessKey, AccessKeyInfo, GroupInfo, PolicyEntities, PolicyInfo, RawAccessKeyInfo, RawAccessKeys, RawEntities,
    RawGroup, RawPolicy, RawUser, UserEntry,
};
use super::{check::ServerInfo, sealed};
use crate::fuzzing::{Feed, assert_readable};

const PASSWORD: &str = "correct horse battery staple";

/// Where the body of a sealed one says how it is sealed.
const ALGORITHM: usize = 32;

/// A body to open as it is, or one to seal, damage and open.
pub(crate) fn sealed(data: &[u8]) {
    let mut feed = Feed::new(data);
    match feed.byte() % 4 {
        0 => open_as_it_is(feed.rest()),
        damage => open_damaged(damage, feed),
    }
}

fn open(password: &Secret, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealedError> {
    sealed::open(password, body, &mut Workspace::default())
}

fn open_as_it_is(body: &[u8]) {
    let mut body = body.to_vec();
    // Argon2 takes a thousand times longer and does not depend on the rest.
    if let Some(algorithm) = body.get_mut(ALGORITHM)
        && *algorithm < 2
    {
        *algorithm = 2;
    }
    if let Ok(plain) = open(&Secret::new(PASSWORD), &body) {
        assert!(plain.len() < body.len());
    }
}

fn open_damaged(damage: u8, mut feed: Feed<'_>) {
    let password = Secret::new(PASSWORD);
    let length = feed.below(3 * 16_384 + 64);
    let (place, change) = (feed.below(usize::MAX), feed.byte());
    let text = feed.rest();
    let plain: Vec<u8> = text.iter().copied().cycle().chain(std::iter::repeat(0)).take(length).collect();
    let plain = if text.is_empty() { vec![0; length] } else { plain };
    let whole = sealed::seal(&password, &plain);
    assert_eq!(open(&password, &whole).expect("what is sealed opens").as_slice(), plain);
    let mut body = whole.clone();
    match damage {
        1 => body.truncate(place % whole.len()),
        2 => body.extend(std::iter::repeat_n(change, place % 40 + 1)),
        _ => {
            let at = place % whole.len();
            // Other algorithms are none of a body's contents: they are tried with known answers.
            body[at] ^= if at == ALGORITHM { change | 4 } else { change.max(1) };
        }
    }
    assert!(open(&password, &body).is_err(), "damage {damage} at {place} is not noticed");
}

/// An answer: the first byte says to which call, the rest is the body.
pub(crate) fn answers(data: &[u8]) {
    let mut feed = Feed::new(data);
    let kind = feed.byte();
    let body = feed.rest();
    match kind % 12 {
        0 => user(read::<RawUser>(Call::UserInfo, body).map(UserEntry::from)),
        1 => {
            let users: Option<BTreeMap<String, RawUser>> = read(Call::ListUsers, body);
            users.into_iter().flatten().for_each(|(_, raw)| user(Some(raw.into())));
        }
        2 => {
            let group = read::<RawGroup>(Call::GroupInfo, body).map(GroupInfo::from);
            assert_names(group.iter().flat_map(|group| &group.policies));
        }
        3 => {
            let policy = read::<RawPolicy>(Call::PolicyInfo, body).map(PolicyInfo::from);
            policy.into_iter().flat_map(|policy| [policy.created, policy.updated]).for_each(assert_time);
        }
        4 => entities(read::<RawEntities>(Call::PolicyEntities, body).map(PolicyEntities::from)),
        5 => keys(read::<RawAccessKeys>(Call::ListAccessKeys, body)),
        6 => {
            let all: Option<BTreeMap<String, RawAccessKeys>> = read(Call::ListAccessKeysBulk, body);
            all.into_iter().flatten().for_each(|(_, raw)| keys(Some(raw)));
        }
        7 => {
            let info = read::<RawAccessKeyInfo>(Call::AccessKeyInfo, body).map(AccessKeyInfo::from);
            assert_time(info.and_then(|info| info.key.expiration));
        }
        8 => drop(read::<RawInfo>(Call::ServerInfo, body).map(ServerInfo::from)),
        9 => page(body),
        10 => drop(understood(Call::DeleteObjects, read_failures(body))),
        _ => refusal(body),
    }
}

fn read<T: DeserializeOwned>(call: Call, body: &[u8]) -> Option<T> {
    understood(call, parse_json(call, body))
}

/// The value of an answer. An error names the call and the place, and nothing of what stands there.
fn understood<T>(call: Call, result: Result<T, Error>) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    let text = error.to_string();
    let start = format!("{call}: the server's answer cannot be understood: ");
    let what = text.strip_prefix(&start).unwrap_or_else(|| panic!("{text:?} does not say which call failed"));
    let what: String = what.chars().filter(|c| !c.is_ascii_digit()).collect();
    let known = [
        "JSON Syntax error at line  column ",
        "JSON Data error at line  column ",
        "JSON Eof error at line  column ",
        "it is no UTF-",
        "it is not the expected XML",
        "a key is no UTF-",
        "it is cut off without saying how to go on",
    ];
    assert!(known.contains(&what.as_str()), "{text:?} may quote the answer");
    assert!(error.source().is_none() && error.call() == call);
    None
}

fn user(user: Option<UserEntry>) {
    assert_names(user.iter().flat_map(|user| &user.policies));
}

/// Policy names come as one text with commas.
fn assert_names<'a>(mut names: impl Iterator<Item = &'a String>) {
    assert!(names.all(|name| !name.is_empty() && !name.contains(',') && name.trim() == name));
}

fn assert_time(time: Option<Timestamp>) {
    assert!(time.is_none_or(|time| time > Timestamp::UNIX_EPOCH));
}

fn entities(entities: Option<PolicyEntities>) {
    let Some(entities) = entities else { return };
    let held = entities.by_holder();
    let both_ways = |(holder, policies): (&super::types::Holder, &std::collections::BTreeSet<String>)| {
        policies.iter().all(|policy| {
            let holders = &entities.policies[policy];
            let names = if holder.is_group() { &holders.groups } else { &holders.users };
            names.contains(holder.name())
        })
    };
    assert!(held.iter().all(both_ways));
    let count: usize = entities.policies.values().map(|holders| holders.users.len() + holders.groups.len()).sum();
    assert_eq!(held.values().map(|policies| policies.len()).sum::<usize>(), count);
}

fn keys(raw: Option<RawAccessKeys>) {
    let keys: Vec<AccessKey> = raw.map(Vec::from).unwrap_or_default();
    assert!(keys.is_sorted_by(|one, two| one.access_key <= two.access_key));
    keys.iter().for_each(|key| assert_time(key.expiration));
}

fn page(body: &[u8]) {
    let Some(page) = understood(Call::ListObjects, read_page(body)) else { return };
    assert!(page.objects.len() <= body.len() && page.objects.iter().all(|object| object.key.len() <= body.len()));
}

/// A refusal: two bytes for the status, then what may stand in headers up to a line end, then the body.
fn refusal(data: &[u8]) {
    let mut feed = Feed::new(data);
    let status = StatusCode::from_u16(400 + u16::try_from(feed.below(200)).expect("it is below 200"));
    let call = Call::ALL[feed.below(Call::ALL.len())];
    let rest = feed.rest();
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (header, body) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(header) {
        headers.insert("x-minio-error-code", value.clone());
        headers.insert("x-minio-error-desc", value);
    }
    let error = Error::answered(call, status.expect("400 to 599 are statuses"), &headers, body);
    assert!(!error.message().is_empty() && error.message().chars().count() <= 500);
    assert_readable(error.message());
    assert_readable(error.code());
    assert!(error.to_string().starts_with(call.as_str()) && error.call() == call && error.source().is_none());
}

/// A stream of trace events: the first byte says in what pieces it arrives.
pub(crate) fn trace(data: &[u8]) {
    let mut feed = Feed::new(data);
    let piece = usize::from(feed.byte()) + 1;
    let stream = feed.rest();
    let at_once = events(stream.chunks(stream.len().max(1)));
    assert_eq!(events(stream.chunks(piece)), at_once, "pieces of {piece} bytes make another stream");
    for event in at_once {
        let touched = event.touched();
        assert!(event.status < 400 || touched == Touched::Nothing);
        assert!(!event.caller.contains(','), "{:?} has more than the access key", event.caller);
    }
}

fn events<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<TraceEvent> {
    let mut waiting = Events::default();
    let mut events = Vec::new();
    for piece in pieces {
        waiting.push(piece);
        events.extend(std::iter::from_fn(|| waiting.take()));
        assert!(!waiting.is_oversize());
    }
    events
}
