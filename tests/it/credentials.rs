//! Access keys and their Secrets, against a real MinIO and a real API server.

mod crash;
mod issue;
mod keep;
mod months;
mod request;
mod slugs;
mod stage;
mod watch;
