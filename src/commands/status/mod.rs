//! `minio-manager status`: the installation at a glance, and what of it needs somebody.

mod gather;
mod judge;
mod report;
mod text;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use self::gather::{Gathered, gather};
use super::output::{print, render};
use super::place::{self, PlaceArgs};
use super::{Failure, import};
use crate::config::{
    Environment, InstanceArgs, InstanceConfig, LeaseArgs, LeaseConfig, LogArgs, LogConfig, MinioArgs, OutputFormat,
    duration,
};
use crate::telemetry::logs;

/// The exit code where something needs somebody.
const NEEDS_ATTENTION: u8 = 2;

/// What `status` is told.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// Print manifests that adopt the users, groups and policies of MinIO that no object describes, and nothing else
    #[arg(long, conflicts_with = "no_server")]
    manifests: bool,
    /// Do not ask MinIO, though there are credentials: on a server with thousands of groups or policies the question takes
    /// seconds in which it answers nobody else
    #[arg(long)]
    no_server: bool,
    /// How long ago the server may have been compared with the objects
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    stale_after: Duration,
    /// How to print the result
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    minio: MinioArgs,
    #[command(flatten)]
    lease: LeaseArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Prints how the installation is doing. Exit code 0 when all is well, 2 when something needs somebody.
///
/// # Errors
/// A wrong configuration, or a cluster that does not answer.
pub fn run(args: StatusArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    logs::start(&LogConfig::resolve(&args.log, environment)?)?;
    let instance = args.place.installation(args.instance.clone(), environment)?;
    let lease = LeaseConfig::resolve(&args.lease)?;
    let server = match args.no_server {
        true => Err("--no-server".to_owned()),
        false => place::minio(args.minio.clone(), environment)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let gathered = runtime.block_on(async {
        let client = args.place.connect().await?;
        gather(&client, &instance, &lease, server).await
    })?;
    if args.manifests {
        return manifests(gathered, &instance);
    }
    let report = report::of(&gathered, &instance, args.stale_after);
    print(&render(&report, args.output, text::of)?)?;
    match report.attention.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::from(NEEDS_ATTENTION)),
    }
}

/// Prints what would adopt everything that no object describes, and says what cannot be declared.
fn manifests(gathered: Gathered, instance: &InstanceConfig) -> Result<ExitCode, Failure> {
    let server = gathered.server.map_err(|why| format!("MinIO has to say who is on it; {why}"))?;
    let identity = server.identity;
    let (manifests, impossible) = import::adopting(server.holds, gathered.objects, instance, identity)?;
    print(&manifests)?;
    for finding in impossible {
        eprintln!("{finding}");
    }
    Ok(ExitCode::SUCCESS)
}
