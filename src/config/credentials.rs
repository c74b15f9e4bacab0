//! Where the controller's own MinIO credentials come from: variables, or files that are read again when they change.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::SystemTime;

use crate::minio::{Credentials, Secret};

use super::{ConfigError, Environment};

/// The pairs of variables, the first complete one wins.
const PAIRS: [[&str; 2]; 2] = [["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"], ["MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"]];

/// The credentials of one MinIO identity, loaded when asked for.
#[derive(Debug)]
pub struct CredentialsSource {
    /// The variable that names the identity.
    variable: &'static str,
    access_key: Item,
    secret_key: Item,
    /// What the files looked like when they were last loaded.
    loaded: Mutex<Option<Stamps>>,
}

/// One half of the pair.
#[derive(Debug)]
enum Item {
    Value(Secret),
    File { variable: String, path: PathBuf },
}

type Stamps = [Option<Stamp>; 2];

/// What changes when a file is replaced; a mounted Secret is replaced through a symbolic link, which this follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl CredentialsSource {
    /// Finds the pair in the environment: MINIO_ACCESS_KEY and MINIO_SECRET_KEY, else MINIO_ROOT_USER and
    /// MINIO_ROOT_PASSWORD, each also as a path in `*_FILE`. Files are not read yet.
    ///
    /// # Errors
    /// Names the variable that is missing, or set twice.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        for [key_variable, secret_variable] in PAIRS {
            let access_key = Item::find(key_variable, environment)?;
            let secret_key = Item::find(secret_variable, environment)?;
            match (access_key, secret_key) {
                (Some(access_key), Some(secret_key)) => {
                    return Ok(Self { variable: key_variable, access_key, secret_key, loaded: Mutex::new(None) });
                }
                (Some(_), None) => return Err(half_set(secret_variable, key_variable)),
                (None, Some(_)) => return Err(half_set(key_variable, secret_variable)),
                (None, None) => {}
            }
        }
        Err(ConfigError::Missing {
            name: "MINIO_ACCESS_KEY".to_owned(),
            expected: "expected it with MINIO_SECRET_KEY, or MINIO_ROOT_USER with MINIO_ROOT_PASSWORD, \
                       or their *_FILE forms"
                .to_owned(),
        })
    }

    /// Whether the identity was given as the server's root user.
    pub fn is_root(&self) -> bool {
        self.variable == "MINIO_ROOT_USER"
    }

    /// Reads the pair; files are read now, without their surrounding white space.
    ///
    /// # Errors
    /// Names the variable whose file cannot be read or is empty.
    pub fn load(&self) -> Result<Credentials, ConfigError> {
        // Taken before the content, so that a change in between is seen by the next look.
        let stamps = self.stamps();
        let credentials = Credentials::new(self.access_key.load()?.expose(), self.secret_key.load()?);
        *self.lock() = Some(stamps);
        Ok(credentials)
    }

    /// Whether a file differs from what was last loaded, or nothing was loaded yet.
    pub fn changed(&self) -> bool {
        *self.lock() != Some(self.stamps())
    }

    fn stamps(&self) -> Stamps {
        [self.access_key.stamp(), self.secret_key.stamp()]
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Stamps>> {
        self.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Item {
    fn find(variable: &'static str, environment: &Environment) -> Result<Option<Self>, ConfigError> {
        let file_variable = format!("{variable}_FILE");
        match (environment.get(variable)?, environment.get(&file_variable)?) {
            (Some(_), Some(_)) => Err(ConfigError::invalid(variable, format!("set it or {file_variable}, not both"))),
            (Some(value), None) => Ok(Some(Self::Value(checked(variable, value)?))),
            (None, Some(path)) => Ok(Some(Self::File { variable: file_variable, path: path.into() })),
            (None, None) => Ok(None),
        }
    }

    fn load(&self) -> Result<Secret, ConfigError> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::File { variable, path } => {
                let content = fs::read_to_string(path)
                    .map(zeroize::Zeroizing::new)
                    .map_err(|source| ConfigError::Unreadable { name: variable.clone(), path: path.clone(), source })?;
                checked(variable, &content)
            }
        }
    }

    fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::Value(_) => None,
            Self::File { path, .. } => {
                let metadata = fs::metadata(path).ok()?;
                Some(Stamp { modified: metadata.modified().ok(), length: metadata.len() })
            }
        }
    }
}

fn checked(variable: &str, value: &str) -> Result<Secret, ConfigError> {
    let value = value.trim();
    if value.is_empty() || value.contains(char::is_control) {
        return Err(ConfigError::invalid(variable, "expected one line that is not empty"));
    }
    Ok(Secret::new(value))
}

fn half_set(missing: &str, present: &str) -> ConfigError {
    ConfigError::Missing { name: missing.to_owned(), expected: format!("{present} is set and needs it") }
}
