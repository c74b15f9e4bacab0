//! Subcommands, one file each.

pub mod access;
pub mod all;
pub mod check;
pub mod completions;
pub mod controller;
pub mod crds;
pub mod import;
pub mod openapi;
pub mod output;
mod place;
pub mod plan;
pub mod release;
pub mod request;
pub mod rest;
pub mod status;
mod told;
pub mod vocabulary;

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{self, AllArgs, ControllerArgs, Environment, ParseError, RestArgs};
use crate::telemetry;

/// What the program is called.
const NAME: &str = "minio-manager";

/// Governs who may touch what in MinIO.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version,
    about,
    after_help = "Every flag --foo-bar below a heading is also read from the variable FOO_BAR; the flag wins."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether a MinIO is fit for the controller, and what to do where it is not
    Check(check::CheckArgs),
    /// Watch the objects and converge MinIO to them
    Controller(Box<ControllerArgs>),
    /// Run the controller and the REST service in one process
    All(Box<AllArgs>),
    /// Serve the REST API by editing and watching objects
    Rest(Box<RestArgs>),
    /// Say how the installation is doing: exit code 0 well, 2 something needs somebody
    Status(Box<status::StatusArgs>),
    /// Take the access of a user, group, share or key away, whatever its spec says
    Lock(Box<request::LockArgs>),
    /// Give back what the spec of a locked user, group, share or key says
    Unlock(Box<request::UnlockArgs>),
    /// Have a user or workload get a new key; the former one lives on for the overlap
    Rotate(Box<request::RotateArgs>),
    /// Have a user or workload get a new key, and end every other key and session at once
    Revoke(Box<request::RevokeArgs>),
    /// Say what the objects would change: exit code 0 nothing, 2 something
    Plan(Box<plan::PlanArgs>),
    /// Say who can reach a path, and what a user can reach, with the object that gives it
    Access(Box<access::AccessArgs>),
    /// Take our finalizers off before an uninstall, so that MinIO stays as it is
    Release(Box<release::ReleaseArgs>),
    /// Write manifests for what a live MinIO holds, so that it can be taken over from the legacy service
    Import(Box<import::ImportArgs>),
    /// Print the OpenAPI document of the REST API
    Openapi {
        /// Write it into this file instead
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print what policy documents may say, as a page of the documentation
    Vocabulary {
        /// Write it into this file instead
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: completions::Shell,
    },
    /// Print the CRDs as YAML
    Crds {
        /// Write one file a CRD into this directory instead
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// What went wrong in a command, to be shown with its causes on one line.
type Failure = Box<dyn Error + Send + Sync>;

/// Parses the command line, runs the command and says how it ended: 0, 1 for an error, 2 for a command line that is not
/// understood (and for `plan` with changes, for `status` where something needs somebody).
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> ExitCode {
    let cli: Cli = match config::parse(arguments, environment) {
        Ok(cli) => cli,
        Err(ParseError::Value(error)) => return fail(&error),
        Err(ParseError::Usage(error)) => {
            // Nobody is left to tell when the terminal is gone.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    run(cli.command, environment).unwrap_or_else(|error| fail(&*error))
}

fn run(command: Command, environment: &Environment) -> Result<ExitCode, Failure> {
    match command {
        Command::Check(args) => return check::run(args, environment),
        Command::Status(args) => return status::run(*args, environment),
        Command::Lock(args) => return request::lock(*args, environment),
        Command::Unlock(args) => return request::unlock(*args, environment),
        Command::Rotate(args) => return request::rotate(*args, environment),
        Command::Revoke(args) => return request::revoke(*args, environment),
        Command::Plan(args) => return plan::run(*args, environment),
        Command::Access(args) => return access::run(*args, environment),
        Command::Release(args) => return release::run(*args, environment),
        Command::Import(args) => return import::run(*args, environment),
        Command::Controller(args) => controller::run(*args, environment, crate::controller::run)?,
        Command::All(args) => all::run(*args, environment)?,
        Command::Rest(args) => rest::run(*args, environment)?,
        Command::Openapi { out } => openapi::run(out.as_deref())?,
        Command::Vocabulary { out } => vocabulary::run(out.as_deref())?,
        Command::Completions { shell } => output::print(&completions::script(Cli::command(), shell))?,
        Command::Crds { out: Some(directory) } => crds::write(&directory)?,
        Command::Crds { out: None } => output::print(&crds::stream()?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What people type to start this program: as a plugin of kubectl it has another name.
fn program() -> String {
    std::env::args_os().next().and_then(config::plugin_of_kubectl).unwrap_or_else(|| NAME.to_owned())
}

fn fail(error: &dyn Error) -> ExitCode {
    eprintln!("error: {}", telemetry::chain(error));
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests;
