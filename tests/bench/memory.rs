//! How much memory whole installations take: what the watches show, and what is known of the server beside it. No server takes
//! part. Each figure is that of a process of its own, which is this program again.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;
use minio_manager::api::meta::{FINALIZER, label};
use minio_manager::api::{MinioGroup, MinioUser, PathShare};
use minio_manager::controller::credentials::{Issued, Scope};
use minio_manager::controller::engine::Engine;
use minio_manager::controller::keys::Keys;
use minio_manager::controller::outcome::{Outcome, Report as Convergence};
use minio_manager::controller::queue::Urgency;
use minio_manager::iam::plan::plan;
use minio_manager::iam::subject::Subject;
use minio_manager::kubernetes::watch::Sink;
use minio_manager::kubernetes::{Watched, decode};
use minio_manager::rest::view::View;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::figures::Report;
use crate::relist::{self, NAMESPACE};

/// The first argument of a process that measures itself.
pub const CHILD: &str = "memory-of";
const PAGE: usize = 500;
const KIBIBYTES: u64 = 1024;
const ISSUED: &str = "2026-01-01T10:00:00Z";
const ROTATION: &str = "2026-01-02T08:30:00Z";
const EXPIRY: &str = "2026-01-03T10:00:00Z";

/// How large an installation is, and how many mebibytes it may take beyond those of an empty process.
struct Size {
    name: &'static str,
    users: usize,
    groups: usize,
    members: usize,
    shares: usize,
    mebibytes: u64,
}

const SIZES: [Size; 2] = [
    Size { name: "typical", users: 2_000, groups: 200, members: 20, shares: 10_000, mebibytes: 100 },
    Size { name: "large", users: 10_000, groups: 1_000, members: 20, shares: 50_000, mebibytes: 170 },
];

/// Both sizes, in the controller and in REST.
pub fn measure(report: &mut Report) {
    for size in &SIZES {
        for part in ["controller", "REST"] {
            let output =
                Command::new(std::env::current_exe().unwrap()).args([CHILD, part, size.name]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
            let empty = figures["empty"].as_u64().unwrap();
            let beyond = |name: &str| figures[name].as_u64().unwrap() - empty;
            let title = format!("{} users, {} groups, {} shares, {part}", size.users, size.groups, size.shares);
            report.count(&format!("{title}, MiB"), beyond("resident"), size.mebibytes, figures.clone());
            report.count(&format!("{title}, MiB at most"), beyond("peak"), size.mebibytes, json!({}));
        }
    }
}

/// Measures this process, and prints the figures.
pub fn measure_this(part: &str, size: &str) {
    let size = SIZES.iter().find(|known| known.name == size).unwrap();
    let figures = if part == "REST" { measure_view(size) } else { measure_engine(size) };
    println!("{figures}");
}

fn measure_view(size: &Size) -> Value {
    let view = View::new(relist::index());
    let empty = of_process("VmRSS");
    size.list(&view);
    figures(empty, json!({"watches": of_process("VmRSS")}))
}

fn measure_engine(size: &Size) -> Value {
    let engine = relist::engine();
    let empty = of_process("VmRSS");
    size.list(&engine);
    let watches = of_process("VmRSS");
    list_secrets(&engine, size.users);
    let secrets = of_process("VmRSS");
    converge(&engine);
    let converged = of_process("VmRSS");
    figures(empty, json!({"watches": watches, "secrets": secrets, "converged": converged}))
}

fn figures(empty: u64, mut figures: Value) -> Value {
    figures["empty"] = json!(empty);
    figures["resident"] = json!(of_process("VmRSS"));
    figures["peak"] = json!(of_process("VmHWM"));
    figures
}

/// A figure of this process, in mebibytes.
fn of_process(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / KIBIBYTES
}

impl Size {
    /// What the watches show at a start.
    fn list(&self, sink: &impl Sink) {
        list::<MinioUser>(sink, self.users, user);
        list::<MinioGroup>(sink, self.groups, |number| self.group(number));
        list::<PathShare>(sink, self.shares, |number| self.share(number));
    }

    fn group(&self, number: usize) -> Value {
        let name = group_name(number);
        let members: Vec<String> =
            (0..self.members).map(|member| user_name((number * self.members + member) % self.users)).collect();
        let status = json!({
            "observedGeneration": 1,
            "conditions": [ready("in force")],
            "groupName": name, "twinName": format!("{name}-ro"), "origin": "Created",
            "documents": {"count": 1, "bytes": 1312},
            "members": {"readWrite": self.members, "readOnly": 0},
        });
        object("MinioGroup", &name, &json!({}), &json!({"groupName": name, "members": members}), &status)
    }

    /// A folder of one user for another or for a group, as REST makes them.
    fn share(&self, number: usize) -> Value {
        let owner = number % self.users;
        let grant = match number % 10 {
            0 => json!({"kind": "Group", "name": group_name(number / 10 % self.groups), "access": "Read"}),
            _ => {
                json!({"kind": "User", "name": user_name((owner + 1 + number / self.users) % self.users), "access": "Read"})
            }
        };
        let spec = json!({
            "path": format!("s3a://lake/homes/{}/data/{number}/", user_name(owner)),
            "owner": {"kind": "User", "name": user_name(owner)}, "grants": [grant], "everyone": "None", "suspended": false,
        });
        let status = json!({
            "observedGeneration": 1, "conditions": [ready("1 grant is in force")], "ownerUID": uid(1, owner),
            "grants": {"active": 1, "pending": 0, "expired": 0},
        });
        let labels = json!({label::ORIGIN: "rest", label::OWNER: user_name(owner)});
        object("PathShare", &format!("share-{number:05}"), &labels, &spec, &status)
    }
}

fn list<K: Watched>(sink: &impl Sink, count: usize, object: impl Fn(usize) -> Value) {
    let mut listed = Vec::new();
    for start in (0..count).step_by(PAGE) {
        let page: Vec<Value> = (start..count.min(start + PAGE)).map(&object).collect();
        let page = Value::Array(page).to_string();
        let page: Vec<DeserializeGuard<K>> = serde_json::from_str(&page).unwrap();
        listed.extend(page.into_iter().map(decode));
    }
    sink.relist(K::KIND, NAMESPACE, listed);
}

fn user(number: usize) -> Value {
    let name = user_name(number);
    let status = json!({
        "observedGeneration": 1,
        "conditions": [ready("in force; the key is in the Secret"), condition("CredentialsReady", "issued")],
        "username": name, "origin": "Created",
        "documents": {"count": 1, "bytes": 2411}, "grants": {"active": 5, "expiring": 0},
        "credentials": {
            "secretName": format!("minio-{name}"), "accessKey": access_key(number),
            "issuedAt": ISSUED, "expiresAt": EXPIRY, "nextRotationAt": ROTATION,
        },
    });
    object("MinioUser", &name, &json!({}), &json!({"username": name}), &status)
}

fn object(kind: &str, name: &str, labels: &Value, spec: &Value, status: &Value) -> Value {
    let fields = |of: &Value| of.as_object().unwrap().keys().map(|field| (format!("f:{field}"), json!({}))).collect();
    let managed = |manager: &str, part: &str, of: &Value| {
        let fields: serde_json::Map<String, Value> = fields(of);
        json!({
            "apiVersion": "minio-manager.io/v1alpha1", "fieldsType": "FieldsV1", "fieldsV1": {format!("f:{part}"): fields},
            "manager": manager, "operation": "Apply", "time": ISSUED,
        })
    };
    let number = name.bytes().fold(0, |hash: usize, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    let uid = match kind {
        "MinioUser" => uid(1, name.trim_start_matches("user").parse().unwrap()),
        _ => uid(2, number),
    };
    json!({
        "apiVersion": "minio-manager.io/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name, "namespace": NAMESPACE, "uid": uid, "generation": 1,
            "resourceVersion": (1_000_000 + number % 1_000_000).to_string(), "creationTimestamp": ISSUED,
            "finalizers": [FINALIZER], "labels": labels,
            "managedFields": [
                managed("minio-manager-rest", "spec", spec), managed("minio-manager", "metadata", labels),
                managed("minio-manager-status", "status", status),
            ],
        },
        "spec": spec,
        "status": status,
    })
}

fn ready(message: &str) -> Value {
    condition("Ready", message)
}

fn condition(kind: &str, message: &str) -> Value {
    json!({
        "type": kind, "status": "True", "reason": "Converged", "message": message, "observedGeneration": 1,
        "lastTransitionTime": ISSUED,
    })
}

fn list_secrets(engine: &Engine, users: usize) {
    let scope = Scope::Namespace(NAMESPACE.to_owned());
    engine.secrets.handle(&scope, Event::Init);
    for number in 0..users {
        engine.secrets.handle(&scope, Event::InitApply(secret(number)));
    }
    engine.secrets.handle(&scope, Event::InitDone);
}

/// The Secret of a user, as it was written.
fn secret(number: usize) -> Secret {
    let user = user_name(number);
    let credential = json!({"Version": 1, "AccessKeyId": access_key(number), "Expiration": EXPIRY}).to_string();
    let texts = [
        ("AWS_ACCESS_KEY_ID", access_key(number)),
        ("AWS_ENDPOINT_URL", relist::NOWHERE.to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "x".repeat(40)),
        ("S3_EXPIRATION", EXPIRY.to_owned()),
        ("S3_USER", user.clone()),
        ("credential.json", credential),
    ];
    let mut hash = Sha256::new();
    for part in texts.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]) {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let data: BTreeMap<_, _> =
        texts.into_iter().map(|(name, text)| (name.to_owned(), k8s_openapi::ByteString(text.into_bytes()))).collect();
    let metadata = json!({
        "name": format!("minio-{user}"), "namespace": NAMESPACE, "uid": uid(3, number),
        "resourceVersion": (2_000_000 + number).to_string(), "labels": {label::USERNAME_SLUG: user},
        "annotations": {
            "minio-manager.io/issued-at": ISSUED, "minio-manager.io/serves-until": EXPIRY,
            "minio-manager.io/content-hash": hex::encode(hash.finalize()),
        },
        "ownerReferences": [{
            "apiVersion": "minio-manager.io/v1alpha1", "kind": "MinioUser", "name": user, "uid": uid(1, number),
            "controller": true, "blockOwnerDeletion": true,
        }],
    });
    Secret { metadata: serde_json::from_value(metadata).unwrap(), data: Some(data), ..Secret::default() }
}

/// Every subject is looked at, and the server holds what it should.
fn converge(engine: &Engine) {
    engine.converge_all();
    let now = Timestamp::now();
    let subjects = engine.state().index.subjects();
    for subject in subjects {
        let sequence = {
            let mut state = engine.state();
            let desired = state.index.desired(&subject, now);
            let observed = state.mirror.observed(&desired);
            for change in plan(&desired, &observed, &state.mirror, &engine.settings.instance).changes {
                state.mirror.apply(&change);
            }
            state.index.seq()
        };
        let keys = match &subject {
            Subject::User(user) => Some(Box::new(keys(user.as_str()))),
            _ => None,
        };
        let report = Convergence { documents: Some((1, 2411)), keys, ..Convergence::default() };
        engine.finish(&subject, Urgency::Normal, Outcome { sequence, failures: 0, result: Ok(report) });
    }
}

fn keys(user: &str) -> Keys {
    let at = |time: &str| time.parse().unwrap();
    let issued = Issued {
        secret_name: format!("minio-{user}"),
        access_key: access_key(0),
        issued_at: at(ISSUED),
        expires_at: at(EXPIRY),
        previous_expires_at: None,
        next_rotation_at: at(ROTATION),
        is_new: false,
        because: None,
    };
    Keys { next_visit_at: Some(issued.next_visit_at()), issued: Some(issued), handled: Default::default() }
}

fn user_name(number: usize) -> String {
    format!("user{number:05}")
}

fn group_name(number: usize) -> String {
    format!("team{number:04}")
}

fn access_key(number: usize) -> String {
    format!("AK{number:018}")
}

fn uid(kind: usize, number: usize) -> String {
    format!("{kind:08x}-0000-4000-8000-{:012x}", number & 0xffff_ffff_ffff)
}
