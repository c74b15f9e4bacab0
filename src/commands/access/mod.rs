//! `minio-manager access`: who can reach a path, what a user can reach, and why a request is allowed or not, each with the object
//! that gives it. As far as the cluster's objects say, with the answers of the REST service; with `--live` the server is asked too,
//! and what no object describes is marked.

mod answers;
mod server;
mod text;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use kube::Api;
use serde::Serialize;

use self::answers::{ExplainAnswer, OfAnswer, WhoAnswer};
use self::server::Server;
use super::Failure;
use super::output::{Progress, print, render};
use super::place::PlaceArgs;
use super::plan::objects;
use crate::access::Reported;
use crate::api::{MINIO_INSTANCE_NAME, MinioInstance};
use crate::config::{Environment, InstanceArgs, LogArgs, LogConfig, MinioArgs, MinioConfig, OutputFormat};
use crate::iam::access;
use crate::iam::explain::{Action, Given, Place, Question as Asked, explain};
use crate::iam::index::Index;
use crate::iam::live::Snapshot;
use crate::iam::names::UserName;
use crate::iam::path::S3Path;
use crate::kubernetes::call;
use crate::kubernetes::decode::decode_dynamic;
use crate::minio;
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
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        common: Common,
    },
    /// Say whether a user may do something with a path, by which statement and through which object, or why not: exit code 0
    /// allowed, 2 not allowed, 1 an error
    Explain {
        /// The name of the user on MinIO
        #[arg(value_name = "USER")]
        user: String,
        /// read, write, list, delete, or an S3 action such as s3:GetObjectTagging
        #[arg(value_name = "ACTION")]
        action: String,
        /// The object or folder, s3a://BUCKET/KEY, or the bucket, s3a://BUCKET
        #[arg(value_name = "PATH")]
        path: String,
        /// What the request says of itself, such as aws:SourceIp=10.0.0.1; may be given several times
        #[arg(long = "condition", value_name = "KEY=VALUE")]
        conditions: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args, Clone, Debug)]
struct Common {
    /// Ask the server, too, and mark what no object describes; needs the credentials of an administrator of MinIO
    #[arg(long)]
    live: bool,
    /// How to print the result
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    minio: MinioArgs,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Prints the answer. Exit code 2 where `explain` finds that it is not allowed.
///
/// # Errors
/// A wrong configuration, an unknown user, a question that is none, or a cluster or server that does not answer.
pub fn run(args: AccessArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    match args.question {
        Question::Who { path, common } => {
            let answer = Known::read(&common, environment)?.who(&path)?;
            show(&answer, &common, |answer| text::who(answer, &path))?;
        }
        Question::Of { user, common } => {
            let answer = Known::read(&common, environment)?.of(&user)?;
            show(&answer, &common, |answer| text::of(answer, &user))?;
        }
        Question::Explain { user, action, path, conditions, common } => {
            // Not parsed with the command line, whose mistakes end with the code that says "not allowed" here.
            let given = conditions.iter().map(|text| Given::parse(text)).collect::<Result<_, _>>()?;
            let (action, place) = (Action::parse(&action)?, Place::parse(&path)?);
            let question = Asked::new(user, action, place, given, Timestamp::now())?;
            let answer = Known::read(&common, environment)?.explain(&question)?;
            show(&answer, &common, |answer| text::explain(answer, &question))?;
            if !answer.said.allowed {
                return Ok(ExitCode::from(2));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show<T: Serialize>(answer: &T, common: &Common, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
    Ok(print(&render(answer, common.output, text)?)?)
}

/// The cluster's objects, what the controller has counted beside them, and the server if it is to be asked.
struct Known {
    index: Index,
    reported: Reported,
    /// The id of the installation, if the command was told one.
    instance_id: Option<String>,
    now: Timestamp,
    runtime: tokio::runtime::Runtime,
    server: Option<Server>,
}

impl Known {
    fn read(common: &Common, environment: &Environment) -> Result<Self, Failure> {
        logs::start(&LogConfig::resolve(&common.log, environment)?)?;
        let instance = common.place.installation(common.instance.clone(), environment)?;
        let settings = match common.live {
            true => Some(MinioConfig::resolve(common.minio.clone(), environment)?.client(None)?),
            false => None,
        };
        let identity = settings.as_ref().map(|settings| settings.credentials.access_key.clone()).unwrap_or_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let progress = Progress::on_terminal();
        progress.say("reading the cluster's objects");
        let (client, objects, found) = runtime.block_on(async {
            let client = common.place.connect().await?;
            let objects = objects::of_cluster(&client, &instance.watch_namespaces).await?;
            let api = Api::<MinioInstance>::namespaced(client.clone(), &instance.home_namespace);
            let found = call("read", "the MinioInstance", api.get_opt(MINIO_INSTANCE_NAME)).await?;
            Ok::<_, Failure>((client, objects, found))
        })?;
        if objects.is_empty() && found.is_none() && settings.is_none() {
            return Err(nothing_known(&instance.home_namespace));
        }
        let (mut index, now) = (Index::new(instance.index(identity, Duration::ZERO)), Timestamp::now());
        for (key, object) in objects {
            index.apply(decode_dynamic(key.kind, object).event);
        }
        index.tick(now);
        let server = match settings {
            Some(settings) => Some(Server::new(minio::Client::new(settings)?, client, instance.watch_namespaces)),
            None => None,
        };
        Ok(Self {
            index,
            reported: found.map(Reported::of).unwrap_or_default(),
            instance_id: instance.instance_id,
            now,
            runtime,
            server,
        })
    }

    /// What the server holds, as far as `read` asks for it.
    fn live<'a, F>(&'a self, read: impl FnOnce(&'a Server, &'a Index) -> F) -> Result<Option<Snapshot>, Failure>
    where
        F: Future<Output = Result<Snapshot, Failure>>,
    {
        self.server.as_ref().map(|server| self.runtime.block_on(read(server, &self.index))).transpose()
    }

    fn who(&self, path: &S3Path) -> Result<WhoAnswer, Failure> {
        let said = access::who(&self.index, path, self.now);
        let live = self.live(|server, index| server.for_path(index, path, self.now))?;
        Ok(WhoAnswer::new(self, path, said, live.as_ref()))
    }

    fn of(&self, user: &str) -> Result<OfAnswer, Failure> {
        let live = self.live(|server, index| server.for_user(index, user, None))?;
        let name = UserName::parse(user);
        let declared = name.as_ref().ok().and_then(|name| self.index.user(name));
        let is_declared = declared.is_some_and(|declared| declared.meta.deleting.is_none());
        let is_live = live.as_ref().is_some_and(|live| live.users.contains_key(user));
        if !is_declared && !is_live {
            let beside = if live.is_some() { ", and the server has none of this name" } else { "" };
            return Err(format!(
                "no MinioUser declares user {user} in the namespaces that are watched{beside}; kubectl get miniousers -A lists them"
            )
            .into());
        }
        let said = name.map(|name| access::of(&self.index, &name, self.now)).unwrap_or_default();
        Ok(OfAnswer::new(self, user, said, live.as_ref()))
    }

    fn explain(&self, question: &Asked) -> Result<ExplainAnswer, Failure> {
        let declared = explain(&self.index, question, self.reported.label(self.instance_id.as_deref()), self.now)?;
        let bucket = question.place.bucket().as_str();
        let live = self.live(|server, index| server.for_user(index, &question.user, Some(bucket)))?;
        ExplainAnswer::new(self, question, declared, live.as_ref())
    }
}

/// "Nobody" would be the answer to every question, and most likely a wrong one.
fn nothing_known(home_namespace: &str) -> Failure {
    format!(
        "namespace {home_namespace} has no MinioInstance, and no object here says who may do what: is the installation in \
         another one? kubectl get minioinstances -A lists them, --namespace names one; --live asks the server itself"
    )
    .into()
}
