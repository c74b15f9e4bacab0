//! `minio-manager access`: who can reach a path, and what a user can reach, each with the object that gives it. As far as the
//! cluster's objects say; the answers are those of the REST service.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use kube::Api;
use serde::Serialize;

use super::Failure;
use super::output::{Progress, Table, print, render};
use super::plan::objects;
use crate::api::{MINIO_INSTANCE_NAME, MinioInstance, UnmanagedCounts};
use crate::config::{Environment, InstanceArgs, InstanceConfig, LogArgs, LogConfig, OutputFormat};
use crate::iam::access;
use crate::iam::index::Index;
use crate::iam::names::UserName;
use crate::iam::path::S3Path;
use crate::kubernetes::decode::decode_dynamic;
use crate::kubernetes::{self, call};
use crate::rest::access::{row_of, who_row};
use crate::rest::models::{AccessOfResponse, AccessWhoResponse, Stamp};
use crate::telemetry::logs;

/// What `access` is asked.
#[derive(Args, Clone, Debug)]
pub struct AccessArgs {
    #[command(subcommand)]
    question: Question,
}

#[derive(Clone, Debug, Subcommand)]
enum Question {
    /// Say who can reach a path, and through which object
    Who {
        /// The folder or object, s3a://BUCKET/KEY
        #[arg(value_name = "PATH", value_parser = S3Path::parse)]
        path: S3Path,
        #[command(flatten)]
        common: Common,
    },
    /// Say what a user can reach, and through which object
    Of {
        /// The name of the user on MinIO
        #[arg(value_name = "USER", value_parser = UserName::parse)]
        user: UserName,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args, Clone, Debug)]
struct Common {
    /// How to print the result
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Prints the answer. Exit code 1 where the user is not known.
///
/// # Errors
/// A wrong configuration, an unknown user, or a cluster that does not answer.
pub fn run(args: AccessArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    match args.question {
        Question::Who { path, common } => {
            let known = Known::read(&common, environment)?;
            show(&known.who(&path), &common, |answer| who_text(answer, &path))?;
        }
        Question::Of { user, common } => {
            let known = Known::read(&common, environment)?;
            show(&known.of(&user)?, &common, |answer| of_text(answer, &user))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show<T: Serialize>(answer: &T, common: &Common, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
    Ok(print(&render(answer, common.output, text)?)?)
}

/// The cluster's objects, and what the controller has counted beside them.
struct Known {
    index: Index,
    unmanaged: Option<UnmanagedCounts>,
    now: Timestamp,
}

impl Known {
    fn read(common: &Common, environment: &Environment) -> Result<Self, Failure> {
        logs::start(&LogConfig::resolve(&common.log, environment)?)?;
        let instance = InstanceConfig::resolve(common.instance.clone(), environment)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let progress = Progress::on_terminal();
        progress.say("reading the cluster's objects");
        let (objects, unmanaged) = runtime.block_on(async {
            let client = kubernetes::connect().await?;
            let objects = objects::of_cluster(&client, &instance.watch_namespaces).await?;
            let api = Api::<MinioInstance>::namespaced(client, &instance.home_namespace);
            let found = call("read", "the MinioInstance", api.get_opt(MINIO_INSTANCE_NAME)).await?;
            Ok::<_, Failure>((objects, found.and_then(|found| found.status?.unmanaged)))
        })?;
        let (mut index, now) = (Index::new(instance.index(String::new(), Duration::ZERO)), Timestamp::now());
        for (key, object) in objects {
            index.apply(decode_dynamic(key.kind, object).event);
        }
        index.tick(now);
        Ok(Self { index, unmanaged, now })
    }

    fn who(&self, path: &S3Path) -> AccessWhoResponse {
        let rows = access::who(&self.index, path, self.now).into_iter().map(who_row).collect();
        // Nothing tells of bucket policies here, so the answer never claims to be complete.
        AccessWhoResponse { complete: false, unmanaged: self.unmanaged, rows }
    }

    fn of(&self, user: &UserName) -> Result<AccessOfResponse, Failure> {
        if self.index.user(user).is_none_or(|declared| declared.meta.deleting.is_some()) {
            return Err(format!(
                "no MinioUser declares user {user} in the namespaces that are watched; kubectl get miniousers -A lists them"
            )
            .into());
        }
        let rows = access::of(&self.index, user, self.now).into_iter().map(row_of).collect();
        Ok(AccessOfResponse { complete: false, unmanaged: self.unmanaged, rows })
    }
}

fn who_text(answer: &AccessWhoResponse, path: &S3Path) -> String {
    let mut table = Table::new(["KIND", "NAME", "ACCESS", "VIA", "UNTIL"]);
    for row in &answer.rows {
        table.row([
            row.kind.clone(),
            row.name.clone(),
            row.access.to_string(),
            row.via.clone(),
            until(row.until.as_ref()),
        ]);
    }
    let text = match answer.rows.is_empty() {
        true => format!("No object gives anybody access to {path}.\n"),
        false => table.to_string(),
    };
    text + &beside(answer.unmanaged)
}

fn of_text(answer: &AccessOfResponse, user: &UserName) -> String {
    let mut table = Table::new(["PATH", "ACCESS", "VIA", "UNTIL"]);
    for row in &answer.rows {
        table.row([row.path.clone(), row.access.to_string(), row.via.clone(), until(row.until.as_ref())]);
    }
    let text = match answer.rows.is_empty() {
        true => format!("No object gives {user} access to anything.\n"),
        false => table.to_string(),
    };
    text + &beside(answer.unmanaged)
}

fn until(end: Option<&Stamp>) -> String {
    end.map(|end| end.0.to_string()).unwrap_or_default()
}

/// What else may give access, in words.
fn beside(unmanaged: Option<UnmanagedCounts>) -> String {
    let Some(counts) = unmanaged else {
        return "\nThe controller has not counted yet what else is on the server.\n".to_owned();
    };
    let parts = [(counts.users, "user"), (counts.groups, "group"), (counts.policies, "policy"), (counts.keys, "key")];
    let parts: Vec<String> = parts
        .into_iter()
        .filter_map(|(count, what)| Some((count.filter(|count| *count > 0)?, what)))
        .map(|(count, what)| match (count, what) {
            (1, what) => format!("1 {what}"),
            (count, "policy") => format!("{count} policies"),
            (count, what) => format!("{count} {what}s"),
        })
        .collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!(
            "\nOn the server, and described by no object: {}; minio-manager plan lists them, and the condition \
             ForeignKeys of a MinioUser its keys.\n",
            parts.join(", ")
        ),
    }
}
