//! The Kubernetes API: the client, calls under a deadline, objects decoded at the border, watches.

pub mod client;
pub mod decode;
pub mod finalizer;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod namespace;
pub mod object;
pub mod seen;
pub mod status;
pub mod watch;

pub use client::{ConnectError, client, connect, connect_in};
pub use decode::{Decoded, Watched, decode, decode_dynamic};
pub use object::{CALL_DEADLINE, Error, call, call_until, key_of, resource};
pub use seen::Seen;
pub use status::Status;
