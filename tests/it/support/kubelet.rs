//! A node for the pods of a cluster of a test's own: Kubernetes' controllers make Pods of Deployments, and what stands in for
//! the kubelet runs their containers as processes, as the Pods say: arguments, environment, volumes, identity, probes.
//!
//! Only images of the product are known. Its ports are free ones, because the processes share the machine's.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use k8s_openapi::{
    ByteString,
    api::core::v1::{
        Binding, ConfigMap, Container, EnvVar, KeyToPath, Pod, Probe, Secret, Volume, VolumeMount, VolumeProjection,
    },
    jiff::Timestamp,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{identity::service_account_token, kube::Cluster, minio::unique, program::Program};

/// What of Kubernetes itself makes Pods of Deployments, and takes away what belonged to deleted objects.
const CONTROLLERS: [&str; 6] = [
    "deployment-controller",
    "replicaset-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-token-controller",
];

const NODE: &str = "node";
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const PAUSE: Duration = Duration::from_millis(50);
/// How often mounted Secrets are looked at; a real kubelet takes up to two minutes.
const LOOKS_BETWEEN_REFRESHES: u64 = 20;

/// Which port the program opens instead of which, in its environment.
const PORTS: [(&str, &str); 2] = [("METRICS_LISTEN", "127.0.0.1:0"), ("LISTEN", "127.0.0.1:0")];

/// A node that takes every Pod of some namespaces. Its processes end with it.
pub struct Node {
    running: Arc<Mutex<BTreeMap<String, Vec<Process>>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    controllers: Child,
}

/// A container that runs.
struct Process {
    pod: String,
    container: String,
    program: Program,
    /// The addresses by the number of the container's port.
    addresses: BTreeMap<i32, String>,
    kubeconfig: PathBuf,
    directory: PathBuf,
}

/// What a test may know of a container.
#[derive(Clone, Debug)]
pub struct Running {
    /// The Pod.
    pub pod: String,
    /// The kubeconfig file of its identity.
    pub kubeconfig: PathBuf,
    /// The addresses by the number of the container's port.
    pub addresses: BTreeMap<i32, String>,
    log: PathBuf,
}

impl Running {
    /// What it has said on standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Node {
    /// Starts the node for the Pods of a namespace.
    pub fn start(cluster: &Arc<Cluster>, namespace: &str) -> Self {
        let running = Arc::<Mutex<BTreeMap<String, Vec<Process>>>>::default();
        let ends = Arc::new(AtomicBool::new(false));
        let kubelet = Kubelet { cluster: cluster.clone(), namespace: namespace.to_owned(), running: running.clone() };
        let stop = ends.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = kubelet.cluster.client().await;
                for round in 1_u64.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    kubelet.look(&client, round.is_multiple_of(LOOKS_BETWEEN_REFRESHES)).await;
                    tokio::time::sleep(PAUSE).await;
                }
            });
        });
        Self { running, ends, thread: Some(thread), controllers: cluster.controller_manager(&CONTROLLERS) }
    }

    /// The containers of this name that run.
    pub fn containers(&self, name: &str) -> Vec<Running> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let of_name = running.values().flatten().filter(|process| process.container == name);
        of_name.map(Process::seen).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the kubelet failed");
        }
        for process in self.running.lock().unwrap_or_else(PoisonError::into_inner).values().flatten() {
            if std::thread::panicking() {
                eprintln!("{} of {}:\n{}", process.container, process.pod, super::program::tail(&process.output()));
            }
        }
        drop(self.controllers.stdin.take());
        let _ = self.controllers.wait();
    }
}

struct Kubelet {
    cluster: Arc<Cluster>,
    namespace: String,
    /// The containers of each Pod, by its uid.
    running: Arc<Mutex<BTreeMap<String, Vec<Process>>>>,
}

impl Kubelet {
    async fn look(&self, client: &Client, refreshes: bool) {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &self.namespace);
        // The API server may be busy; the next look comes soon.
        let Ok(listed) = pods.list(&ListParams::default()).await else { return };
        for pod in &listed.items {
            let uid = pod.uid().expect("a Pod has a uid");
            let runs = self.running.lock().unwrap().contains_key(&uid);
            if pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_none()) {
                self.bind(client, pod).await;
            } else if pod.metadata.deletion_timestamp.is_some() {
                self.end(&pods, pod).await;
            } else if !runs && let Some(processes) = self.begin(client, pod).await {
                self.running.lock().unwrap().insert(uid, processes);
            } else if runs {
                if refreshes {
                    self.refresh(client, pod).await;
                }
                self.report(&pods, pod).await;
            }
        }
    }

    async fn bind(&self, client: &Client, pod: &Pod) {
        let target = json!({"metadata": {"name": pod.name_any()}, "target": {"kind": "Node", "name": NODE}});
        let binding: Binding = serde_json::from_value(target).unwrap();
        let pods: Api<Pod> = Api::namespaced(client.clone(), &self.namespace);
        let _: Result<Value, _> =
            pods.create_subresource("binding", &pod.name_any(), &PostParams::default(), &binding).await;
    }

    /// Ends the containers in order, then lets the Pod go.
    async fn end(&self, pods: &Api<Pod>, pod: &Pod) {
        let processes = self.running.lock().unwrap().remove(&pod.uid().unwrap()).unwrap_or_default();
        for process in processes {
            let name = format!("{} of {}", process.container, process.pod);
            let output = process.output();
            let status = process.program.terminate();
            assert!(status.success(), "{name} ended with {status}:\n{output}");
        }
        let _ =
            pods.delete(&pod.name_any(), &DeleteParams { grace_period_seconds: Some(0), ..Default::default() }).await;
    }

    /// Starts the containers; nothing where a volume cannot be made yet.
    async fn begin(&self, client: &Client, pod: &Pod) -> Option<Vec<Process>> {
        let spec = pod.spec.as_ref()?;
        let mut volumes = BTreeMap::new();
        for volume in spec.volumes.iter().flatten() {
            volumes.insert(volume.name.clone(), self.content(client, pod, volume).await?);
        }
        let mut processes = Vec::new();
        for container in &spec.containers {
            processes.push(self.run(client, pod, container, &volumes).await?);
        }
        Some(processes)
    }

    async fn run(&self, client: &Client, pod: &Pod, container: &Container, volumes: &Volumes) -> Option<Process> {
        let image = container.image.as_deref().unwrap_or_default();
        assert!(image.contains("minio-manager"), "tests know nothing of image {image}");
        let directory = env::temp_dir().join(unique("minio-manager-container"));
        let mounts = Mounts::make(&directory, container, volumes);
        let mut command = Command::new(env!("CARGO_BIN_EXE_minio-manager"));
        command.env_clear().args(container.args.iter().flatten().map(|text| mounts.moved(text)));
        for variable in container.env.iter().flatten() {
            command.env(&variable.name, mounts.moved(&self.value(client, pod, variable).await?));
        }
        let token = self.token(pod, container, volumes).await;
        let kubeconfig = self.cluster.kubeconfig_with(&token);
        command.env("KUBECONFIG", &kubeconfig).envs(PORTS);
        let mut program = Program::start(command, &directory, &directory.join("stdout"), directory.join("stderr"));
        let addresses = program.says(addresses);
        let (pod, container) = (pod.name_any(), container.name.clone());
        Some(Process { pod, container, program, addresses, kubeconfig, directory })
    }

    /// Puts what Secrets say now into the volumes of a Pod that runs.
    async fn refresh(&self, client: &Client, pod: &Pod) {
        let mounted = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        for volume in mounted.filter(|volume| volume.secret.is_some()) {
            let Some(files) = self.content(client, pod, volume).await else { continue };
            let running = self.running.lock().unwrap();
            let folders = running[&pod.uid().unwrap()].iter().map(|process| process.directory.join(&volume.name));
            folders.filter(|folder| folder.is_dir()).for_each(|folder| replace(&folder, &files));
        }
    }

    /// The token that the container finds where programs look for it.
    async fn token(&self, pod: &Pod, container: &Container, volumes: &Volumes) -> String {
        let at = |mount: &&VolumeMount| mount.mount_path == TOKEN;
        if let Some(mount) = container.volume_mounts.iter().flatten().find(at) {
            return String::from_utf8(volumes[&mount.name]["token"].clone()).unwrap();
        }
        let spec = pod.spec.as_ref().unwrap();
        assert_ne!(spec.automount_service_account_token, Some(false), "{} gets no token", container.name);
        service_account_token(&self.cluster, &self.namespace, spec.service_account_name.as_deref().unwrap()).await
    }

    /// The files of a volume.
    async fn content(&self, client: &Client, pod: &Pod, volume: &Volume) -> Option<Files> {
        if let Some(source) = &volume.secret {
            let data = self.secret(client, source.secret_name.as_deref()?).await?;
            return Some(chosen(data, source.items.as_deref()));
        }
        if let Some(source) = &volume.config_map {
            return Some(chosen(self.config_map(client, &source.name).await?, source.items.as_deref()));
        }
        let projected = volume.projected.as_ref().unwrap_or_else(|| panic!("tests know nothing of {volume:?}"));
        let mut files = Files::new();
        for source in projected.sources.iter().flatten() {
            files.extend(self.projection(client, pod, source).await?);
        }
        Some(files)
    }

    async fn projection(&self, client: &Client, pod: &Pod, source: &VolumeProjection) -> Option<Files> {
        if let Some(token) = &source.service_account_token {
            let account = pod.spec.as_ref()?.service_account_name.as_deref()?;
            let issued = service_account_token(&self.cluster, &self.namespace, account).await;
            return Some(Files::from([(token.path.clone(), issued.into_bytes())]));
        }
        if let Some(source) = &source.config_map {
            return Some(chosen(self.config_map(client, &source.name).await?, source.items.as_deref()));
        }
        let items = source.downward_api.as_ref().and_then(|source| source.items.clone());
        let items = items.unwrap_or_else(|| panic!("tests know nothing of {source:?}"));
        let file = |path: String, field: &str| (path, field_of(pod, field).into_bytes());
        Some(items.into_iter().map(|item| file(item.path, &item.field_ref.expect("a field").field_path)).collect())
    }

    async fn secret(&self, client: &Client, name: &str) -> Option<Files> {
        let secret = Api::<Secret>::namespaced(client.clone(), &self.namespace).get_opt(name).await.ok()??;
        let bytes = |(key, ByteString(value))| (key, value);
        // That of a token is filled in a moment later.
        secret.data.filter(|data| !data.is_empty()).map(|data| data.into_iter().map(bytes).collect())
    }

    async fn config_map(&self, client: &Client, name: &str) -> Option<Files> {
        let map = Api::<ConfigMap>::namespaced(client.clone(), &self.namespace).get_opt(name).await.ok()??;
        Some(map.data?.into_iter().map(|(key, value)| (key, value.into_bytes())).collect())
    }

    async fn value(&self, client: &Client, pod: &Pod, variable: &EnvVar) -> Option<String> {
        let Some(source) = &variable.value_from else { return Some(variable.value.clone().unwrap_or_default()) };
        if let Some(field) = &source.field_ref {
            return Some(field_of(pod, &field.field_path));
        }
        let reference = source.secret_key_ref.as_ref().unwrap_or_else(|| panic!("tests know nothing of {variable:?}"));
        let held = self.secret(client, &reference.name).await?.remove(&reference.key)?;
        Some(String::from_utf8(held).unwrap())
    }

    /// Writes what the probes say into the Pod's status.
    async fn report(&self, pods: &Api<Pod>, pod: &Pod) {
        let mut statuses = Vec::new();
        for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
            let (alive, address) = self.state_of(pod, container);
            let path = container.readiness_probe.as_ref().and_then(|probe| probe.http_get.as_ref()?.path.clone());
            let url = format!("http://{address}{}", path.unwrap_or_default());
            let ready = alive && reqwest::get(url).await.is_ok_and(|answer| answer.status().is_success());
            let state = if alive { json!({"running": {}}) } else { json!({"terminated": {"exitCode": 1}}) };
            statuses.push(json!({
                "name": container.name, "ready": ready, "state": state, "image": container.image, "imageID": "", "restartCount": 0,
            }));
        }
        let all_ready = statuses.iter().all(|status| status["ready"] == true);
        let ended = statuses.iter().any(|status| status["state"]["terminated"].is_object());
        let was =
            pod.status.as_ref().and_then(|status| status.conditions.as_ref()?.iter().find(|c| c.type_ == "Ready"));
        let truth = if all_ready { "True" } else { "False" };
        if was.is_some_and(|condition| condition.status == truth) && !ended {
            return;
        }
        let condition = |type_: &str| json!({"type": type_, "status": truth, "lastTransitionTime": Timestamp::now()});
        let status = json!({"status": {
            "phase": if ended { "Failed" } else { "Running" },
            "conditions": [condition("Ready"), condition("ContainersReady")], "containerStatuses": statuses,
        }});
        let _ = pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await;
    }

    /// Whether the container's process lives, and where its readiness probe asks.
    fn state_of(&self, pod: &Pod, container: &Container) -> (bool, String) {
        let mut running = self.running.lock().unwrap();
        let processes = running.get_mut(&pod.uid().unwrap()).expect("it runs");
        let process = processes.iter_mut().find(|process| process.container == container.name).expect("it runs");
        let port = container.readiness_probe.as_ref().map(|probe| probed_port(container, probe));
        let address = port.and_then(|port| process.addresses.get(&port).cloned());
        (process.program.is_alive(), address.expect("the probe asks at a port that the program opens"))
    }
}

impl Process {
    fn output(&self) -> String {
        ["stdout", "stderr"].map(|name| fs::read_to_string(self.directory.join(name)).unwrap_or_default()).concat()
    }

    fn seen(&self) -> Running {
        Running {
            pod: self.pod.clone(),
            kubeconfig: self.kubeconfig.clone(),
            addresses: self.addresses.clone(),
            log: self.directory.join("stderr"),
        }
    }
}

type Files = BTreeMap<String, Vec<u8>>;
type Volumes = BTreeMap<String, Files>;

/// The volumes of a container as folders, and where it believes them to be.
struct Mounts(Vec<(String, PathBuf)>);

impl Mounts {
    fn make(directory: &Path, container: &Container, volumes: &Volumes) -> Self {
        fs::create_dir_all(directory).unwrap();
        let mount = |mount: &VolumeMount| {
            assert_eq!(mount.read_only, Some(true), "{}: nothing is written into mounts", mount.mount_path);
            let folder = directory.join(&mount.name);
            fs::create_dir(&folder).unwrap();
            for (name, content) in &volumes[&mount.name] {
                fs::write(folder.join(name), content).unwrap();
            }
            (mount.mount_path.clone(), folder)
        };
        Self(container.volume_mounts.iter().flatten().map(mount).collect())
    }

    fn moved(&self, text: &str) -> String {
        let place = |text: String, (path, folder): &(String, PathBuf)| text.replace(path, folder.to_str().unwrap());
        self.0.iter().fold(text.to_owned(), place)
    }
}

/// Replaces the files that differ, each at once.
fn replace(folder: &Path, files: &Files) {
    for (name, content) in files {
        let path = folder.join(name);
        if fs::read(&path).is_ok_and(|before| before != *content) {
            let new = folder.join(unique(".new"));
            fs::write(&new, content).unwrap();
            fs::rename(new, path).unwrap();
        }
    }
}

/// All files, or those that are named, under the names that they get.
fn chosen(mut data: Files, items: Option<&[KeyToPath]>) -> Files {
    let Some(items) = items else { return data };
    let take = |item: &KeyToPath| {
        let content = data.remove(&item.key).unwrap_or_else(|| panic!("there is no key {}", item.key));
        (item.path.clone(), content)
    };
    items.iter().map(take).collect()
}

fn field_of(pod: &Pod, path: &str) -> String {
    match path {
        "metadata.name" => pod.name_any(),
        "metadata.namespace" => pod.namespace().expect("a Pod has a namespace"),
        other => panic!("tests know nothing of the field {other}"),
    }
}

fn probed_port(container: &Container, probe: &Probe) -> i32 {
    let port = &probe.http_get.as_ref().expect("tests know probes by HTTP only").port;
    let name = serde_json::to_value(port).unwrap();
    let named = container.ports.iter().flatten().find(|port| port.name.as_deref() == name.as_str());
    named.unwrap_or_else(|| panic!("{} has no port {name}", container.name)).container_port
}

/// What the program says in its log about where it listens, by the ports that are its defaults.
fn addresses(log: &str) -> Option<BTreeMap<i32, String>> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |line: &Value, name: &str| line[name].as_str().map(str::to_owned);
    lines
        .filter_map(|line| {
            let metrics = text(&line, "metrics")?;
            Some(match text(&line, "rest") {
                Some(rest) => BTreeMap::from([(8000, rest), (8081, metrics)]),
                None => BTreeMap::from([(8080, metrics)]),
            })
        })
        .next()
}
