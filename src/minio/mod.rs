//! The MinIO client: signing, sealed bodies, admin and object calls.
//!
//! Everything that is known about talking to MinIO's admin API lives here: which calls exist ([`Call`]), how they are signed and
//! sealed, what their answers look like, and what an error means ([`Class`]). The client retries nothing but an idempotent read
//! whose connection was reset before any answer; whether and when to try again is its caller's decision.

mod admin;
mod call;
mod check;
mod client;
mod encode;
mod endpoint;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod keys;
mod objects;
mod pace;
mod sealed;
mod secret;
mod sign;
mod trace;
mod types;

pub use self::{
    call::{Call, Observer, Outcome},
    check::{Ability, ServerInfo, Verdict},
    client::{Client, Clock, Config, Deadlines, USER_AGENT},
    endpoint::{Endpoint, EndpointError},
    error::{Class, ClientError, Error},
    keys::{KeyState, NewAccessKey},
    objects::{DeleteFailure, ObjectPage, ObjectSummary},
    pace::{Pacer, Permit, Urgency},
    secret::{Credentials, Secret, generate_access_key, generate_secret, is_generated_access_key},
    trace::{Touched, TraceEvent, TraceStream},
    types::{AccessKey, AccessKeyInfo, GroupInfo, Holder, PolicyEntities, PolicyHolders, PolicyInfo, UserEntry},
};
