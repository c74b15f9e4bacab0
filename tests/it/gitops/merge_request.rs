//! `examples/ci/`: what the jobs of GitHub Actions and GitLab CI type, on a real cluster and a real MinIO with the rights that the
//! files there give, and the comment that the forge gets. In the forge's place is a server that keeps comments as it does.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path as Segments, State},
    http::{HeaderMap, StatusCode},
    routing::{get, patch, put},
};
use minio_manager::minio::{Ability, Credentials, Holder, Verdict};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{examples, kubectl_says};
use crate::support::{
    identity::{own_rules, service_account_token, wait_until_allowed},
    kube::Cluster,
    minio::unique,
    product::Setup,
    world::{World, user},
};

const ACCOUNT: &str = "minio-manager-plan";
const TOKEN: &str = "token-of-the-forge";

/// A comment of somebody else, which was there before.
const OTHER: &str = "Looks good to me.";

/// What a forge keeps of one merge request: comments by their number, and how each request for them was introduced.
#[derive(Clone, Default)]
struct Forge {
    comments: Arc<Mutex<Vec<String>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Forge {
    /// Both kinds at once; answers the address.
    async fn start() -> (Self, String) {
        let forge = Self::default();
        forge.comments.lock().unwrap().push(OTHER.to_owned());
        let app = Router::new()
            .route("/repos/lake/access/issues/7/comments", get(list).post(add))
            .route("/repos/lake/access/issues/comments/{number}", patch(change))
            .route("/api/v4/projects/12/merge_requests/7/notes", get(list).post(add))
            .route("/api/v4/projects/12/merge_requests/7/notes/{number}", put(change))
            .with_state(forge.clone());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        (forge, format!("http://{address}"))
    }

    fn heard(&self, what: &str, headers: &HeaderMap) -> Result<(), StatusCode> {
        let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let token = said("authorization").or(said("private-token")).unwrap_or_default();
        self.asked.lock().unwrap().push(what.to_owned());
        if token.trim_start_matches("Bearer ") == TOKEN { Ok(()) } else { Err(StatusCode::UNAUTHORIZED) }
    }

    /// The only comment beside that of somebody else.
    fn comment(&self) -> String {
        let comments = self.comments.lock().unwrap();
        assert_eq!((comments.len(), comments[0].as_str()), (2, OTHER), "{comments:?}");
        comments[1].clone()
    }

    /// What was asked for since the last look.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().drain(..).collect()
    }
}

async fn list(State(forge): State<Forge>, headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    forge.heard("list", &headers)?;
    let comments = forge.comments.lock().unwrap();
    Ok(Json(comments.iter().enumerate().map(|(number, body)| json!({"id": number, "body": body})).collect()))
}

async fn add(State(forge): State<Forge>, headers: HeaderMap, body: Json<Value>) -> Result<StatusCode, StatusCode> {
    forge.heard("add", &headers)?;
    forge.comments.lock().unwrap().push(body["body"].as_str().unwrap().to_owned());
    Ok(StatusCode::CREATED)
}

async fn change(
    State(forge): State<Forge>,
    Segments(number): Segments<usize>,
    headers: HeaderMap,
    body: Json<Value>,
) -> Result<StatusCode, StatusCode> {
    forge.heard("change", &headers)?;
    forge.comments.lock().unwrap()[number] = body["body"].as_str().unwrap().to_owned();
    Ok(StatusCode::OK)
}

/// What a job types, and the variables that it is given.
struct Job {
    script: String,
    variables: BTreeMap<String, String>,
}

fn parsed(file: &str) -> Value {
    let path = examples().join("ci").join(file);
    serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A scalar as a variable has it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn texts(variables: &Value) -> BTreeMap<String, String> {
    variables.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// The step that plans, with what GitHub puts in the place of its expressions.
fn of_github(given: &BTreeMap<&str, String>) -> Job {
    let workflow = parsed("github.yaml");
    let steps = workflow["jobs"]["plan"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == "Plan").unwrap();
    let mut variables = texts(&step["env"]);
    for value in variables.values_mut() {
        if let Some(expression) = value.strip_prefix("${{ ").and_then(|rest| rest.strip_suffix(" }}")) {
            *value = given[expression].clone();
        }
    }
    Job { script: text(&step["run"]), variables }
}

/// The job that plans, with the variables of the project.
fn of_gitlab(given: &BTreeMap<&str, String>) -> Job {
    let job = &parsed("gitlab.yaml")["plan"];
    let lines: Vec<String> = job["script"].as_array().unwrap().iter().map(text).collect();
    let mut variables = texts(&job["variables"]);
    variables.extend(given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Job { script: lines.join("\n"), variables }
}

/// A checkout with `ci/plan` and a folder `access/`; it goes when dropped.
struct Checkout(PathBuf);

impl Checkout {
    fn new() -> Self {
        let folder = env::temp_dir().join(unique("minio-manager-ci"));
        for part in ["ci", "access", "bin"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        fs::copy(examples().join("ci/plan"), folder.join("ci/plan")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_minio-manager"), folder.join("bin/minio-manager")).unwrap();
        Self(folder)
    }

    fn write(&self, manifest: &str) {
        fs::write(self.0.join("access/objects.yaml"), manifest).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap()
    }

    /// Runs a job as its forge does: by lines, of which the first that fails ends it.
    async fn run(&self, job: &Job, forge: &[(&str, String)]) -> Output {
        let path = format!("{}:{}", self.0.join("bin").display(), env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.args(["-e", "-o", "pipefail", "-c", &job.script]).current_dir(&self.0).env_clear();
        command.env("PATH", path).env("RUNNER_TEMP", &self.0).envs(&job.variables);
        command.envs(forge.iter().map(|(name, value)| (*name, value))).output().await.unwrap()
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A file of the examples for the namespace of a test.
fn moved(world: &World, file: &str) -> String {
    fs::read_to_string(examples().join("ci").join(file)).unwrap().replace("lake", world.namespace())
}

/// The identity of the job in the cluster: it may do what the file says and nothing else.
async fn in_the_cluster(world: &World) -> PathBuf {
    let (cluster, namespace) = (Cluster::shared(), world.namespace());
    kubectl_says(&["apply", "-f", "-"], &moved(world, "rbac.yaml"));
    let right =
        json!({"group": "minio-manager.io", "resource": "minioaccesskeys", "verb": "list", "namespace": namespace});
    wait_until_allowed(world.kube(), &format!("system:serviceaccount:{namespace}:{ACCOUNT}"), &[right]).await;
    let kubeconfig = cluster.kubeconfig_with(&service_account_token(cluster, namespace, ACCOUNT).await);
    let kinds = ["miniousers", "miniogroups", "groupmemberships", "pathshares", "miniopolicies", "minioaccesskeys"];
    let mut rights: BTreeSet<String> = kinds.iter().map(|kind| format!("list {kind}.minio-manager.io")).collect();
    rights.insert(format!("get namespaces. {namespace}"));
    assert_eq!(own_rules(&cluster.client_as(&kubeconfig).await, namespace).await, rights);
    kubeconfig
}

/// The identity of the job on MinIO: it may read what the file says.
async fn on_minio(world: &World) -> Credentials {
    let key = Credentials::new("plan", Credentials::generate().secret);
    let policy = fs::read_to_string(examples().join("ci/minio-policy.json")).unwrap();
    world.minio().put_policy("plan", policy).await.unwrap();
    world.minio().add_user("plan", &key.secret, true).await.unwrap();
    world.minio().set_mapping(&Holder::User("plan".to_owned()), &["plan".to_owned()].into()).await.unwrap();
    let plans = world.minio().with_credentials(key.clone());
    for ability in [Ability::CreateUser, Ability::CreatePolicy, Ability::AttachPolicy, Ability::ListServiceAccounts] {
        assert_eq!(plans.ability(ability).await.unwrap(), Verdict::Denied, "{ability:?}");
    }
    key
}

fn objects(specs: &[(&str, &str)]) -> String {
    let documents =
        specs.iter().map(|(name, spec)| format!("apiVersion: minio-manager.io/v1alpha1\n{}", user(name, spec)));
    documents.collect::<Vec<_>>().join("---\n")
}

#[tokio::test]
async fn a_merge_request_is_told_what_it_changes() {
    let world = World::own(Setup::default()).await;
    let (kubeconfig, key) = (in_the_cluster(&world).await, on_minio(&world).await);
    world.apply(&user("alice", "")).await;
    world.ready("MinioUser", "alice").await;
    let endpoint = world.product().minio().endpoint().to_string();
    let shared = [
        ("MINIO_ENDPOINT", endpoint.clone()),
        ("MINIO_ACCESS_KEY", key.access_key.clone()),
        ("MINIO_SECRET_KEY", key.secret.expose().to_owned()),
    ];
    let mut github = of_github(&BTreeMap::from([
        ("secrets.KUBECONFIG", fs::read_to_string(&kubeconfig).unwrap()),
        ("vars.MINIO_ENDPOINT", endpoint),
        ("secrets.MINIO_ACCESS_KEY", key.access_key.clone()),
        ("secrets.MINIO_SECRET_KEY", key.secret.expose().to_owned()),
        ("github.event.pull_request.number", "7".to_owned()),
        ("github.token", TOKEN.to_owned()),
    ]));
    let mut of_project = BTreeMap::from(shared);
    of_project.insert("KUBECONFIG", kubeconfig.display().to_string());
    of_project.insert("GITLAB_TOKEN", TOKEN.to_owned());
    let mut gitlab = of_gitlab(&of_project);
    for job in [&mut github, &mut gitlab] {
        assert_eq!(job.variables.insert("HOME_NAMESPACE".to_owned(), world.namespace().to_owned()).unwrap(), "lake");
        // Installations of tests are not called after the uid of their namespace.
        job.variables.insert("INSTANCE_ID".to_owned(), world.namespace().to_owned());
    }
    for (job, is_github) in [(github, true), (gitlab, false)] {
        let (forge, address) = Forge::start().await;
        let variables = if is_github {
            vec![
                ("GITHUB_ACTIONS", "true".to_owned()),
                ("GITHUB_API_URL", address),
                ("GITHUB_REPOSITORY", "lake/access".to_owned()),
            ]
        } else {
            vec![
                ("CI_API_V4_URL", format!("{address}/api/v4")),
                ("CI_PROJECT_ID", "12".to_owned()),
                ("CI_MERGE_REQUEST_IID", "7".to_owned()),
            ]
        };
        follows(&world, &job, &variables, &forge).await;
    }
}

/// A merge request as it changes: something new, nothing any more, and something that is none.
async fn follows(world: &World, job: &Job, variables: &[(&str, String)], forge: &Forge) {
    let checkout = Checkout::new();
    let run = async || {
        let output = checkout.run(job, variables).await;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!errors.contains(TOKEN) && !forge.comment().contains(TOKEN));
        (output.status.code().unwrap(), errors)
    };
    checkout.write(&objects(&[("alice", ""), ("bob", "")]));
    assert_eq!(run().await, (0, String::new()));
    assert_eq!(forge.asked(), ["list", "add"]);
    let comment = forge.comment();
    let plan: Value = serde_json::from_str(&checkout.read("plan.json")).unwrap();
    let changes = plan["changes"].as_array().unwrap().len();
    assert!(changes > 0 && comment.contains(&format!("**Changes on MinIO: {changes}**")), "{comment}");
    assert!(
        comment.contains(checkout.read("plan.txt").trim_end()) && comment.contains("bob becomes a user"),
        "{comment}"
    );
    assert!(world.account("bob").await.is_none() && world.find("MinioUser", "bob").await.is_none());

    checkout.write(&objects(&[("alice", "")]));
    assert_eq!(run().await, (0, String::new()));
    assert_eq!(forge.asked(), ["list", "change"]);
    assert!(forge.comment().contains("Nothing changes on MinIO"), "{}", forge.comment());

    checkout.write("apiVersion: minio-manager.io/v1alpha1\nkind: MinioUser\nmetadata: {}\n");
    let (code, errors) = run().await;
    assert!(code == 1 && errors.contains("has no metadata.name"), "{code}: {errors}");
    assert_eq!(forge.asked(), ["list", "change"]);
    let comment = forge.comment();
    assert!(comment.contains("There is no plan") && comment.contains("has no metadata.name"), "{comment}");
}

#[test]
fn the_files_are_as_their_forges_want_them() {
    let version = env!("CARGO_PKG_VERSION");
    let workflow = parsed("github.yaml");
    let job = &workflow["jobs"]["plan"];
    let get = job["steps"].as_array().unwrap().iter().find(|step| step["name"] == "Get minio-manager").unwrap();
    assert_eq!(get["env"]["VERSION"], version);
    assert_eq!(workflow["permissions"], json!({"contents": "read", "pull-requests": "write"}));
    assert!(workflow["on"]["pull_request"].is_object() && job["runs-on"].is_string());
    let gitlab = parsed("gitlab.yaml");
    assert_eq!(gitlab["plan"]["variables"]["VERSION"], version);
    assert_eq!(gitlab["plan"]["rules"][0]["if"], "$CI_PIPELINE_SOURCE == \"merge_request_event\"");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci/plan");
    assert_eq!(script.metadata().unwrap().permissions().mode() & 0o111, 0o111, "the script can be run");
}
