//! The process environment, and its merge with the command line: a flag `--foo-bar` has the twin `FOO_BAR`, the flag wins.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory, FromArgMatches};

use super::ConfigError;

/// A snapshot of environment variables. An empty variable counts as absent, as a chart's unset value leaves one behind,
/// except for who asks with [`Environment::is_empty`].
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The variables of this process.
    pub fn process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The variables of a list, for callers that must not depend on the process.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The value of a variable.
    ///
    /// # Errors
    /// A value that is not UTF-8.
    pub fn get(&self, name: &str) -> Result<Option<&str>, ConfigError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match value.to_str() {
            Some(text) => Ok(Some(text)),
            None => Err(ConfigError::invalid(name, "the value is not UTF-8")),
        }
    }

    /// Whether a variable is there and says nothing, for those few where that is an answer.
    pub(super) fn is_empty(&self, name: &str) -> bool {
        self.0.get(OsStr::new(name)).is_some_and(|value| value.is_empty())
    }

    fn value(&self, name: &str) -> Option<&OsString> {
        self.0.get(OsStr::new(name)).filter(|value| !value.is_empty())
    }
}

/// Why no command was started.
#[derive(Debug)]
pub enum ParseError {
    /// A value is wrong: one line for people, exit code 1.
    Value(ConfigError),
    /// Help, the version, or a command line that clap does not understand: clap prints it and knows the exit code.
    Usage(clap::Error),
}

/// Parses a command line in which unset flags of the configuration are filled from their environment twins.
///
/// Only flags below a help heading are configuration and have a twin; `--output` and the like belong to one invocation.
///
/// # Errors
/// See [`ParseError`].
pub fn parse<T: CommandFactory + FromArgMatches>(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<T, ParseError> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut command = T::command();
    if let Some(name) = arguments.first().and_then(plugin_of_kubectl) {
        command = command.bin_name(name);
    }
    command.build();
    let merged = Merged::new(&command, arguments, environment);
    let matches = command.clone().try_get_matches_from(merged.arguments.clone());
    let parsed = matches.and_then(|mut matches| T::from_arg_matches_mut(&mut matches));
    parsed.map_err(|error| match merged.explain(&error) {
        Some(explained) => ParseError::Value(explained),
        None => ParseError::Usage(error),
    })
}

/// What people type for a program of this name, where kubectl starts it as its plugin: `kubectl-minio_manager` is
/// `kubectl minio-manager`.
pub fn plugin_of_kubectl(program: impl AsRef<OsStr>) -> Option<String> {
    let name = Path::new(program.as_ref()).file_name()?.to_str()?.strip_prefix("kubectl-")?;
    Some(format!("kubectl {}", name.replace('_', "-")))
}

/// A command line with the twins filled in.
struct Merged<'a> {
    /// The subcommand that was chosen.
    command: &'a Command,
    /// The whole command line.
    arguments: Vec<OsString>,
    /// The flags whose value comes from the environment.
    from_environment: Vec<String>,
}

impl<'a> Merged<'a> {
    fn new(root: &'a Command, mut arguments: Vec<OsString>, environment: &Environment) -> Self {
        let (command, depth) = deepest_subcommand(root, &arguments);
        let twins: Vec<(String, OsString)> = command
            .get_arguments()
            .filter_map(|arg| {
                let flag = configuration_flag(arg)?;
                let value = environment.value(&twin(flag))?;
                (!is_given(flag, &arguments)).then(|| (flag.to_owned(), value.clone()))
            })
            .collect();
        let tokens = twins.iter().map(|(flag, value)| {
            let mut token = OsString::from(format!("--{flag}="));
            token.push(value);
            token
        });
        arguments.splice(depth..depth, tokens.collect::<Vec<_>>());
        Self { command, arguments, from_environment: twins.into_iter().map(|(flag, _)| flag).collect() }
    }

    /// A wrong value as one line that names the flag or variable it came from.
    fn explain(&self, error: &clap::Error) -> Option<ConfigError> {
        if !matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::InvalidUtf8) {
            return None;
        }
        let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return None };
        let arg = self.command.get_arguments().find(|arg| arg.to_string() == *shown)?;
        let flag = arg.get_long()?;
        let name =
            if self.from_environment.iter().any(|known| known == flag) { twin(flag) } else { format!("--{flag}") };
        let value = match error.get(ContextKind::InvalidValue) {
            Some(ContextValue::String(value)) if !arg.is_hide_env_values_set() => format!("{value:?}: "),
            _ => String::new(),
        };
        Some(ConfigError::invalid(name, format!("{value}{}", expectation(error))))
    }
}

/// What would have been right, from clap's list of values or from the value's own parser.
fn expectation(error: &clap::Error) -> String {
    if let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue)
        && let Some((last, others)) = values.split_last()
    {
        return match others {
            [] => format!("expected {last}"),
            _ => format!("expected {} or {last}", others.join(", ")),
        };
    }
    std::error::Error::source(error).map_or_else(|| "not valid".to_owned(), ToString::to_string)
}

/// The subcommand that the command line chooses, and how many tokens name it (the program's name included).
fn deepest_subcommand<'a>(root: &'a Command, arguments: &[OsString]) -> (&'a Command, usize) {
    let mut command = root;
    let mut depth = arguments.len().min(1);
    while let Some(next) = arguments.get(depth).and_then(|token| command.find_subcommand(token)) {
        command = next;
        depth += 1;
    }
    (command, depth)
}

fn configuration_flag(arg: &Arg) -> Option<&str> {
    arg.get_help_heading().and_then(|_| arg.get_long())
}

fn twin(flag: &str) -> String {
    flag.to_ascii_uppercase().replace('-', "_")
}

fn is_given(flag: &str, arguments: &[OsString]) -> bool {
    arguments.iter().take_while(|token| *token != "--").any(|token| {
        token
            .to_str()
            .and_then(|token| token.strip_prefix("--"))
            .is_some_and(|token| token.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
    })
}
