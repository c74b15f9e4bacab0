//! `minio-manager check`: whether a MinIO is fit for the controller, and what to do where it is not.

mod judge;
mod weaknesses;

use std::process::ExitCode;

use clap::Args;

use self::judge::{Observations, judge};
use super::Failure;
use super::output::{Progress, Table, print, render};
use crate::config::{Environment, LogArgs, LogConfig, MinioArgs, MinioConfig, OutputFormat};
use crate::iam::document::Document;
use crate::minio::{Ability, Client, Credentials, KeyState};
use crate::telemetry::{chain, logs};

pub use judge::{Finding, Level};

/// What `check` is told.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// How to print the result
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
    #[command(flatten)]
    minio: MinioArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Checks the server and prints what was found; fails when something required is missing.
///
/// # Errors
/// A wrong configuration, or a result that cannot be printed.
pub fn run(args: CheckArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    logs::start(&LogConfig::resolve(&args.log, environment)?)?;
    let minio = MinioConfig::resolve(args.minio, environment)?;
    let settings = minio.client(None)?;
    let credentials = settings.credentials.clone();
    let client = Client::new(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let observations = runtime.block_on(observe(&client, &credentials, minio.credentials.is_root()));
    let findings = judge(&observations);
    print(&render(&findings, args.output, |findings| table(findings))?)?;
    let failed = findings.iter().any(|finding| finding.level == Level::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Everything that is read from the server; nothing is changed on it.
async fn observe(client: &Client, credentials: &Credentials, root_variables: bool) -> Observations {
    let progress = Progress::on_terminal();
    progress.say(&format!("asking {}", client.endpoint()));
    let mut observations = Observations {
        endpoint: client.endpoint().clone(),
        access_key: client.access_key(),
        root_variables,
        key: client.probe(credentials).await.map_err(|error| chain(&error)),
        skew: None,
        abilities: Vec::new(),
        policy: None,
        info: None,
    };
    observations.skew = client.clock_skew();
    if observations.key != Ok(KeyState::Works) {
        return observations;
    }
    for &ability in Ability::ALL {
        progress.say(&format!("trying {}", ability.action()));
        let verdict = client.ability(ability).await.map_err(|error| chain(&error));
        observations.abilities.push((ability, verdict));
    }
    progress.say("reading our own policy");
    observations.policy = Some(own_policy(client).await);
    progress.say("reading the server's version");
    observations.info = Some(client.server_info().await.map_err(|error| chain(&error)));
    observations
}

async fn own_policy(client: &Client) -> Result<Document, String> {
    let policy = client.own_policy().await.map_err(|error| chain(&error))?;
    Document::from_value(&policy).map_err(|error| chain(&error))
}

fn table(findings: &[Finding]) -> String {
    let mut table = Table::new(["LEVEL", "CHECK", "MESSAGE"]);
    for finding in findings {
        table.row([finding.level.to_string(), finding.check.clone(), finding.message.clone()]);
        if let Some(remedy) = &finding.remedy {
            table.row([String::new(), String::new(), format!("-> {remedy}")]);
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (ok, warn, fail) = (count(Level::Ok), count(Level::Warn), count(Level::Fail));
    let verdict = if fail > 0 { "not fit: mend what failed and run check again" } else { "fit for the controller" };
    format!("{table}\n{ok} ok, {warn} warnings, {fail} failed: {verdict}\n")
}

#[cfg(test)]
mod tests;
