//! `minio-manager lock`, `unlock`, `rotate` and `revoke`: what an annotation asks for, done, waited for and shown.
//!
//! The annotations are the interface, so what these commands do can be done with kubectl too, and outlives them.

mod git;
mod proof;
mod target;
mod text;
mod wait;

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde::Serialize;
use serde_json::json;

use self::target::{Found, Target, find};
use self::wait::{Asked, until_done};
use super::Failure;
use super::output::{Progress, print, render};
use super::place::{self, PlaceArgs};
use super::told::{Told, in_words};
use crate::api::CredentialsStatus;
use crate::api::meta::{annotation, field_manager, reason};
use crate::api::rules::REASON_MAX;
use crate::config::{
    Environment, InstanceArgs, LogArgs, LogConfig, MinioArgs, Namespaces, OutputFormat, duration, namespace,
};
use crate::iam::subject::Kind;
use crate::kubernetes::call;
use crate::minio;
use crate::telemetry::{chain, logs};

/// The reason of a lock for which nobody gives one.
const NO_REASON: &str = "locked with minio-manager lock";

/// What `lock` is told.
#[derive(Args, Clone, Debug)]
pub struct LockArgs {
    /// A user by its MinIO name, or KIND/NAME with kind user, group, share or key
    #[arg(value_name = "USER|KIND/NAME", value_parser = Target::parse)]
    target: Target,
    /// Why, for people; it shows in the object's status
    #[arg(long, value_name = "TEXT", value_parser = why)]
    reason: Option<String>,
    #[command(flatten)]
    common: CommonArgs,
}

/// What `unlock` is told.
#[derive(Args, Clone, Debug)]
pub struct UnlockArgs {
    /// A user by its MinIO name, or KIND/NAME with kind user, group, share or key
    #[arg(value_name = "USER|KIND/NAME", value_parser = Target::parse)]
    target: Target,
    #[command(flatten)]
    common: CommonArgs,
}

/// What `rotate` is told.
#[derive(Args, Clone, Debug)]
pub struct RotateArgs {
    /// A user by its MinIO name, or KIND/NAME with kind user or key
    #[arg(value_name = "USER|KIND/NAME", value_parser = Target::parse)]
    target: Target,
    #[command(flatten)]
    common: CommonArgs,
}

/// What `revoke` is told.
#[derive(Args, Clone, Debug)]
pub struct RevokeArgs {
    /// A user by its MinIO name, or KIND/NAME with kind user or key
    #[arg(value_name = "USER|KIND/NAME", value_parser = Target::parse)]
    target: Target,
    /// Do it without asking back
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Args, Clone, Debug)]
struct CommonArgs {
    /// Ask for it, and do not wait until it is carried out
    #[arg(long)]
    no_wait: bool,
    /// How long to wait until it is carried out
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    /// How to print the result
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    home: HomeArgs,
    #[command(flatten)]
    minio: MinioArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Where objects are looked for, as the controller is told it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Instance")]
struct HomeArgs {
    /// Namespace of the installation [default: POD_NAMESPACE, the service account's, the kubeconfig context's, default]
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    home_namespace: Option<String>,
    /// Namespaces to look in where -n names none, separated by commas [default: the home namespace]
    #[arg(long, value_name = "NAMES", value_parser = Namespaces::parse)]
    watch_namespaces: Option<Namespaces>,
}

/// What is wanted.
#[derive(Clone, Debug)]
enum Wish {
    Lock(Option<String>),
    Unlock,
    Rotate,
    Revoke { confirmed: bool },
}

/// Takes the access of a user, group, share or key away, whatever its spec says.
///
/// # Errors
/// There is no such object, or it was not carried out; the text says how far it is.
pub fn lock(args: LockArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    run(&args.target, &Wish::Lock(args.reason), args.common, environment)
}

/// Gives back what the spec says.
///
/// # Errors
/// As [`lock`].
pub fn unlock(args: UnlockArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    run(&args.target, &Wish::Unlock, args.common, environment)
}

/// Has a new key issued; the former one lives on for the overlap.
///
/// # Errors
/// As [`lock`]; and whoever is disabled or locked gets no key.
pub fn rotate(args: RotateArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    run(&args.target, &Wish::Rotate, args.common, environment)
}

/// Has a new key issued, and every other key and session ended.
///
/// # Errors
/// As [`lock`]; and nobody has said yes.
pub fn revoke(args: RevokeArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    run(&args.target, &Wish::Revoke { confirmed: args.yes }, args.common, environment)
}

fn run(target: &Target, wish: &Wish, args: CommonArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    logs::start(&LogConfig::resolve(&args.log, environment)?)?;
    let namespaces = namespaces(&args, environment)?;
    let server = place::minio(args.minio.clone(), environment)?.ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let client = args.place.connect().await?;
        let found = find(&client, &namespaces, target).await?;
        let asked = ask_for(wish, &found)?;
        if let Wish::Revoke { confirmed: false } = wish {
            confirm(&found)?;
        }
        carry_out(&found, &asked, &args, server.as_ref()).await
    })?;
    print(&render(&report, args.output, text::of)?)?;
    match report.agrees {
        true => Ok(ExitCode::SUCCESS),
        false => {
            Err("the object says that it is carried out, and MinIO says otherwise; is this the controller's MinIO?"
                .into())
        }
    }
}

fn namespaces(args: &CommonArgs, environment: &Environment) -> Result<BTreeSet<String>, Failure> {
    if let Some(namespace) = &args.place.namespace {
        return Ok(BTreeSet::from([namespace.clone()]));
    }
    let instance = InstanceArgs {
        home_namespace: args.home.home_namespace.clone(),
        watch_namespaces: args.home.watch_namespaces.clone(),
        ..InstanceArgs::default()
    };
    Ok(args.place.instance(instance, environment)?.watch_namespaces)
}

/// What is to be asked for, unless it makes no sense for the object.
fn ask_for(wish: &Wish, found: &Found) -> Result<Asked, Failure> {
    let now = || Timestamp::now().to_string();
    let held = found.object.metadata.annotations.as_ref().and_then(|held| held.get(annotation::LOCK));
    match wish {
        Wish::Lock(_) | Wish::Unlock if !is_lockable(found.key.kind) => Err(not_for(found, "locked")),
        // Who locked it before has said why.
        Wish::Lock(why) => Ok(Asked::Lock(why.as_ref().or(held).map_or(NO_REASON, String::as_str).to_owned())),
        Wish::Unlock => Ok(Asked::Unlock),
        Wish::Rotate | Wish::Revoke { .. } if !has_keys(found.key.kind) => Err(not_for(found, "given another key")),
        Wish::Rotate => without_key(found).map_or_else(|| Ok(Asked::Rotate(now())), Err),
        Wish::Revoke { .. } if found.key.kind == Kind::MinioAccessKey => {
            without_key(found).map_or_else(|| Ok(Asked::Revoke(now())), Err)
        }
        Wish::Revoke { .. } => Ok(Asked::Revoke(now())),
    }
}

fn is_lockable(kind: Kind) -> bool {
    matches!(kind, Kind::MinioUser | Kind::MinioGroup | Kind::PathShare | Kind::MinioAccessKey)
}

fn has_keys(kind: Kind) -> bool {
    matches!(kind, Kind::MinioUser | Kind::MinioAccessKey)
}

/// Whether the request may end keys or make some: a locked user keeps its key, which does nothing meanwhile.
fn concerns_keys(kind: Kind, asked: &Asked) -> bool {
    kind == Kind::MinioAccessKey || matches!(asked, Asked::Rotate(_) | Asked::Revoke(_))
}

fn not_for(found: &Found, what: &str) -> Failure {
    let instead = match found.key.kind {
        Kind::MinioGroup | Kind::PathShare => "lock it, or change what it says",
        Kind::GroupMembership => "lock its group, or take the members out of it",
        _ => "lock the users that have it, or take it from them",
    };
    format!("a {} cannot be {what}; {instead}", found.key.kind).into()
}

/// Why an object has no key that could be replaced.
fn without_key(found: &Found) -> Option<Failure> {
    let told = Told::by(&found.object);
    let ready = told.ready()?;
    let gives_nothing = [reason::DISABLED, reason::LOCKED, reason::SUSPENDED, reason::OWNER_NOT_FOUND];
    gives_nothing.contains(&ready.reason.as_str()).then(|| {
        format!(
            "{} has no key at present and gets one as soon as that changes ({}); nothing was done",
            found.key,
            in_words(Some(ready))
        )
        .into()
    })
}

/// Says what a revocation does, and asks whether that is meant.
fn confirm(found: &Found) -> Result<(), Failure> {
    let credentials = Told::by(&found.object).credentials;
    let secret = match &credentials.secret_name {
        Some(secret) => format!("the Secret {}/{secret}", found.key.namespace),
        None => "the Secret".to_owned(),
    };
    let what = match found.key.kind {
        Kind::MinioAccessKey => format!("every key of {} ends at once", found.key),
        _ => format!(
            "every key of user {} ends at once, those of its MinioAccessKeys and of others too, and every session (STS)",
            found.identity()
        ),
    };
    let what = format!("{what}; programs go on when they have read the new key in {secret}");
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(format!("{what}. Nothing was done: say --yes where nobody can be asked").into());
    }
    eprint!("{what}.\nGo on? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err("nothing was done".into()),
    }
}

/// What was done, and what is known of it.
#[derive(Clone, Debug, Serialize)]
struct Report {
    /// The kind of the object.
    kind: Kind,
    /// Its namespace.
    namespace: String,
    /// Its `metadata.name`.
    name: String,
    /// What was asked for: `lock`, `unlock`, `rotate` or `revoke`.
    request: &'static str,
    /// Why, of a lock; the value of the annotation, of a rotation or revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// Whether it is carried out; false where nobody waited.
    carried_out: bool,
    /// After how many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    /// What the status says, in one line.
    status: String,
    /// The key, for users and keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<CredentialsStatus>,
    /// The key that there was before, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_key: Option<String>,
    /// What MinIO says; empty where it was not asked.
    minio: Vec<String>,
    /// What else people should know.
    notes: Vec<String>,
    /// How the way back is typed.
    #[serde(skip)]
    undo: Option<String>,
    /// Whether MinIO, if it was asked, says the same.
    #[serde(skip)]
    agrees: bool,
}

async fn carry_out(
    found: &Found,
    asked: &Asked,
    args: &CommonArgs,
    server: Option<&minio::Client>,
) -> Result<Report, Failure> {
    let progress = Progress::on_terminal();
    progress.say(&format!("changing {}", found.key));
    annotate(found, asked).await?;
    let mut report = begun(found, asked);
    if args.no_wait {
        return Ok(report);
    }
    let (object, took) = until_done(found, asked, args.timeout, &progress).await?;
    let (before, after) = (Told::by(&found.object), Told::by(&object));
    (report.carried_out, report.seconds) = (true, Some((took.as_secs_f64() * 10.0).round() / 10.0));
    report.status = in_words(after.ready());
    if concerns_keys(found.key.kind, asked) {
        let id = &before.credentials.access_key;
        report.former_key = id.clone().filter(|_| *id != after.credentials.access_key);
        report.credentials = Some(after.credentials.clone());
    }
    if let Some(server) = server {
        progress.say(&format!("asking {}", server.endpoint()));
        match proof::ask(server, found, asked, &before, &after).await {
            Ok(Some(answer)) => (report.minio, report.agrees) = (answer.says, answer.agrees),
            Ok(None) => {}
            Err(error) => report.notes.push(format!("MinIO could not be asked: {}", chain(&error))),
        }
    }
    Ok(report)
}

/// Sets or removes the annotation of exactly the object that was found.
async fn annotate(found: &Found, asked: &Asked) -> Result<DynamicObject, Failure> {
    let (key, value) = written(asked);
    let patch = json!({"metadata": {"uid": found.object.metadata.uid, "annotations": {key: value}}});
    let params = PatchParams { field_manager: Some(field_manager::CLI.to_owned()), ..PatchParams::default() };
    Ok(call("annotate", &found.key, found.api.patch(&found.key.name, &params, &Patch::Merge(&patch))).await?)
}

/// The annotation, and what it is to say.
fn written(asked: &Asked) -> (&'static str, Option<&str>) {
    match asked {
        Asked::Lock(why) => (annotation::LOCK, Some(why)),
        Asked::Unlock => (annotation::LOCK, None),
        Asked::Rotate(value) => (annotation::ROTATE, Some(value)),
        Asked::Revoke(value) => (annotation::REVOKE, Some(value)),
    }
}

/// The report of what was asked for and not waited for yet.
fn begun(found: &Found, asked: &Asked) -> Report {
    let (annotation, value) = written(asked);
    let request = match asked {
        Asked::Lock(_) => "lock",
        Asked::Unlock => "unlock",
        Asked::Rotate(_) => "rotate",
        Asked::Revoke(_) => "revoke",
    };
    let undo = matches!(asked, Asked::Lock(_)).then(|| format!("unlock {}", found.for_us()));
    Report {
        kind: found.key.kind,
        namespace: found.key.namespace.clone(),
        name: found.key.name.clone(),
        request,
        value: value.map(str::to_owned),
        carried_out: false,
        seconds: None,
        status: in_words(Told::by(&found.object).ready()),
        credentials: None,
        former_key: None,
        minio: Vec::new(),
        notes: git::keeper(&found.object.metadata, annotation).map(|by| kept(annotation, &by)).into_iter().collect(),
        undo,
        agrees: true,
    }
}

fn kept(annotation: &str, by: &str) -> String {
    let again = match annotation {
        annotation::LOCK => "and with it the lock",
        _ => "and that is one more request",
    };
    format!(
        "the annotation {annotation} is declared in git and kept by {by}: it comes back with the next sync, {again}; change \
         it there too"
    )
}

fn why(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        1..=REASON_MAX if !text.contains(char::is_control) => Ok(text.to_owned()),
        _ => Err(format!("expected one line of 1 to {REASON_MAX} characters")),
    }
}

#[cfg(test)]
mod tests;
