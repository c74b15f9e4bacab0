//! Values of flags and variables, parsed once. Every error says what was expected.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use redis::IntoConnectionInfo as _;

use crate::controller::credentials::{SecretFile, UnknownSecretFile};
use serde::{Deserialize, Serialize};

use crate::iam::breaker::LargeChangeLimit;
use crate::minio::{Endpoint, EndpointError};

/// Parses a duration as Go writes it: numbers with the units `h`, `m`, `s` and `ms`, for example `90s` or `1h30m`.
///
/// # Errors
/// Says what was expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "expected a duration such as 90s, 1h30m or 24h";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(EXPECTED)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let seconds_per_unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return Err(EXPECTED.to_owned()),
        };
        let number: f64 = number.parse().map_err(|_| EXPECTED)?;
        let part = Duration::try_from_secs_f64(number * seconds_per_unit).map_err(|_| EXPECTED)?;
        total = total.checked_add(part).ok_or(EXPECTED)?;
        rest = tail;
    }
    if text.is_empty() { Err(EXPECTED.to_owned()) } else { Ok(total) }
}

/// Writes a duration as Go does, in whole units: `24h`, `1h30m`, `90s` becomes `1m30s`.
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    match duration.subsec_millis() {
        0 if text.is_empty() => "0s".to_owned(),
        0 => text,
        millis => format!("{text}{millis}ms"),
    }
}

/// A duration between two bounds, for flags whose small values would hammer a server.
pub(super) fn duration_within(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let parsed = duration(text)?;
    if parsed < least || parsed > most {
        return Err(format!("expected a duration from {} to {}", show_duration(least), show_duration(most)));
    }
    Ok(parsed)
}

const HOUR: Duration = Duration::from_secs(3600);

/// `--rotation-interval`: the same bounds as `spec.credentials.rotationInterval`.
pub(super) fn rotation_interval(text: &str) -> Result<Duration, String> {
    duration_within(text, HOUR, 4320 * HOUR)
}

/// `--overlap`: from nothing to the longest rotation interval.
pub(super) fn overlap(text: &str) -> Result<Duration, String> {
    duration_within(text, Duration::ZERO, 4320 * HOUR)
}

/// `--audit-interval` and `--full-audit-interval`: one second keeps the server usable, one day keeps drift bounded.
pub(super) fn audit_interval(text: &str) -> Result<Duration, String> {
    duration_within(text, Duration::from_secs(1), 24 * HOUR)
}

/// A MinIO endpoint; the error says what is wrong with it and what would be right.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, String> {
    text.parse().map_err(|error: EndpointError| format!("expected a URL with scheme and host: {error}"))
}

/// `REDIS_URL`: may hold a password, so it never shows.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// Parses `redis://` or `rediss://`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let host = text.strip_prefix("redis://").or_else(|| text.strip_prefix("rediss://"));
        match host {
            Some(host) if !host.is_empty() && !host.starts_with('/') && text.into_connection_info().is_ok() => {
                Ok(Self(text.to_owned()))
            }
            _ => Err("expected redis://HOST:PORT/DB or rediss://HOST:PORT/DB".to_owned()),
        }
    }

    /// The URL with its password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisUrl([redacted])")
    }
}

/// `--lease`: where the leader's lease lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LeaseKind {
    /// Redis if REDIS_URL is set, else Kubernetes.
    Auto,
    /// In this process: one replica only.
    None,
    /// A Kubernetes Lease.
    Kubernetes,
    /// Redis.
    Redis,
}

/// `--mode`: whether the controller acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Converge MinIO and write Secrets.
    #[default]
    Converge,
    /// Compute and report what would change; write status and events only.
    Observe,
}

/// `--adopted-extras`: what becomes of undeclared attachments and memberships of adopted subjects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum AdoptedExtras {
    /// They stay, and are reported.
    #[default]
    Keep,
    /// They are removed.
    Prune,
}

/// `--foreign-keys`: what becomes of access keys of managed users that the controller did not issue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum ForeignKeys {
    /// They stay, and are reported.
    #[default]
    Report,
    /// They are deleted.
    Prune,
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object per line.
    Json,
}

/// `--secret-files`: a comma list, or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFiles(pub BTreeSet<SecretFile>);

impl SecretFiles {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(BTreeSet::new()));
        }
        let files: Result<BTreeSet<_>, _> = text.split(',').map(|name| name.trim().parse()).collect();
        files.map(Self).map_err(|unknown: UnknownSecretFile| {
            let known = SecretFile::ALL.map(SecretFile::name).join(", ");
            format!("expected none or a comma list of {known}, and {:?} is not one of them", unknown.0)
        })
    }
}

/// `--large-change-limit`: a number and a percentage, or 0.
pub(super) fn large_change_limit(text: &str) -> Result<LargeChangeLimit, String> {
    const EXPECTED: &str = "expected a number and a percentage such as 20,10%, or 0 to switch the limit off";
    if text == "0" {
        return Ok(LargeChangeLimit::Off);
    }
    let (removals, percent) = text.split_once(',').ok_or(EXPECTED)?;
    let removals = removals.trim().parse().map_err(|_| EXPECTED)?;
    let percent = percent.trim().strip_suffix('%').ok_or(EXPECTED)?.parse().map_err(|_| EXPECTED)?;
    if percent > 100 { Err(EXPECTED.to_owned()) } else { Ok(LargeChangeLimit::AtLeast { removals, percent }) }
}

/// `--layout`: a preset or a file of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayoutName {
    /// `simple`.
    Simple,
    /// `berdl`.
    Berdl,
    /// A YAML file.
    File(PathBuf),
}

impl LayoutName {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "simple" => Ok(Self::Simple),
            "berdl" => Ok(Self::Berdl),
            path if path.contains(['/', '.']) => Ok(Self::File(path.into())),
            _ => Err("expected simple, berdl or the path of a YAML file".to_owned()),
        }
    }
}

/// The name of a Kubernetes namespace.
pub fn namespace(text: &str) -> Result<String, String> {
    let shape = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fine =
        (1..=63).contains(&text.len()) && text.chars().all(shape) && !text.starts_with('-') && !text.ends_with('-');
    if fine {
        Ok(text.to_owned())
    } else {
        Err("expected the name of a namespace: 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends"
            .to_owned())
    }
}

/// `WATCH_NAMESPACES`: a comma list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespaces(pub BTreeSet<String>);

impl Namespaces {
    /// Parses the list.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let names: Result<BTreeSet<_>, _> = text.split(',').map(|name| namespace(name.trim())).collect();
        names.map(Self).map_err(|_| "expected a comma list of namespace names, for example lake,spark".to_owned())
    }
}

/// `INSTANCE_ID`: becomes part of a Sid, a Redis key and an annotation.
pub(super) fn instance_id(text: &str) -> Result<String, String> {
    let fine = (1..=63).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if fine { Ok(text.to_owned()) } else { Err("expected 1 to 63 letters, digits and -".to_owned()) }
}

/// `MINIO_REGION`.
pub(super) fn region(text: &str) -> Result<String, String> {
    let fine = (1..=63).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if fine { Ok(text.to_owned()) } else { Err("expected a region name, for example us-east-1".to_owned()) }
}

/// `--secret-mount-path`.
pub(super) fn mount_path(text: &str) -> Result<String, String> {
    let quotes = |c: char| c.is_whitespace() || c.is_control() || "\"'\\$".contains(c);
    if text.starts_with('/') && !text.contains(quotes) {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err("expected an absolute path without blanks and quotes, for example /var/run/secrets/minio".to_owned())
    }
}

/// A bucket or a prefix of the layout `berdl` (CDM_DEFAULT_*).
pub(super) fn path_segment(text: &str) -> Result<String, String> {
    let fine = (1..=63).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if fine { Ok(text.to_owned()) } else { Err("expected 1 to 63 letters, digits, dots, - and _".to_owned()) }
}

/// `--log-level`: a level, or directives as in RUST_LOG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(pub String);

impl LogLevel {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const EXPECTED: &str =
            "expected error, warn, info, debug, trace or directives such as info,minio_manager=debug";
        match text.to_ascii_lowercase().as_str() {
            level @ ("error" | "warn" | "info" | "debug" | "trace" | "off") => Ok(Self(level.to_owned())),
            // The spellings of the service that platforms used before.
            "warning" => Ok(Self("warn".to_owned())),
            "critical" => Ok(Self("error".to_owned())),
            _ if text.contains('=') && text.parse::<tracing_subscriber::EnvFilter>().is_ok() => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(EXPECTED.to_owned()),
        }
    }
}

/// `-o`: how a command prints its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// A table for people.
    #[default]
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}
