//! The configuration file: layout, permissions, quotas.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::ConfigError;
use crate::iam::index::NamespaceRules;
use crate::iam::layout::LayoutSpec;
use crate::iam::names::PolicyName;

/// Largest file that is read, in bytes: far above any real one, far below what would exhaust memory.
const LARGEST: u64 = 4 << 20;

/// The file; what is absent has its default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct ConfigFile {
    /// The name of a preset, or a layout of one's own.
    pub layout: Option<LayoutSpec>,
    /// What each watched namespace may declare.
    pub namespaces: BTreeMap<String, NamespaceRules>,
    /// How many grants one owner may have in force.
    pub grants_per_owner: Option<usize>,
    /// Policies that carry administrative actions and may be attached all the same.
    pub allowed_admin_policies: BTreeSet<PolicyName>,
}

impl ConfigFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Names the file and the place in it.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        read_yaml("--config (CONFIG)", path)
    }
}

/// Reads a YAML file that the flag or variable `name` points to.
pub(super) fn read_yaml<T: serde::de::DeserializeOwned>(name: &str, path: &Path) -> Result<T, ConfigError> {
    parse_yaml(&read_text(name, path)?)
        .map_err(|problem| ConfigError::invalid(name, format!("{}: {problem}", path.display())))
}

/// Parses the text of a YAML file; an error is one line.
pub(super) fn parse_yaml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|error| {
        // The parser's message spans lines to draw the place; a start-up error is one line.
        let message = error.to_string();
        message.lines().next().unwrap_or("not valid").trim().to_owned()
    })
}

/// Reads a file that the flag or variable `name` points to.
pub(super) fn read_text(name: &str, path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { name: name.to_owned(), path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > LARGEST {
        return Err(ConfigError::invalid(name, format!("{} is larger than {LARGEST} bytes", path.display())));
    }
    fs::read_to_string(path).map_err(unreadable)
}
