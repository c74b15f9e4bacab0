//! Temporary.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::{ConfigError, Environment};
use crate::iam::names::UserName;
use crate::rest::auth::Caller;

/// Who may ask.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Authentication")]
pub struct AuthArgs {
    /// Backends
    #[arg(long, value_name = "NAMES")]
    pub auth: Option<String>,
    /// Tokens
    #[arg(long, value_name = "FILE")]
    pub static_tokens: Option<PathBuf>,
}

/// Resolved.
#[derive(Debug)]
pub struct AuthConfig(pub HashMap<String, Caller>);

#[derive(Deserialize)]
struct File {
    tokens: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    token: String,
    user: String,
    #[serde(default)]
    admin: bool,
}

impl AuthConfig {
    /// Reads.
    ///
    /// # Errors
    /// Wrong.
    pub fn resolve(args: AuthArgs, _: &Environment) -> Result<Self, ConfigError> {
        let Some(path) = args.static_tokens else { return Ok(Self(HashMap::new())) };
        let file: File = super::file::read_yaml("--static-tokens", &path)?;
        let caller =
            |entry: Entry| (entry.token, Caller { user: UserName::parse(&entry.user).unwrap(), admin: entry.admin });
        Ok(Self(file.tokens.into_iter().map(caller).collect()))
    }
}
