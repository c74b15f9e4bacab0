//! What somebody sees who has nothing but kubectl: dry runs, differences, waiting, columns, short names, explanations.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::support::{
    kube::{self, Cluster, tool},
    minio::unique,
    world::World,
};

/// Each kind with its short name, its columns, and what they say of the objects of [`Scene`]; ages and instants are any.
const KINDS: [(&str, &str, &str, &str); 7] = [
    ("MinioUser", "mu", "NAME|USER|READY|REASON|KEY EXPIRES|AGE", "USER|USER|True|Converged|*|*"),
    ("MinioGroup", "mg", "NAME|GROUP|MEMBERS|READERS|READY|REASON|AGE", "TEAM|TEAM|1|0|True|Converged|*"),
    ("GroupMembership", "gm", "NAME|GROUP|ACTIVE|READY|REASON|AGE", "TEAM|TEAM|1|True|Converged|*"),
    (
        "PathShare",
        "ps",
        "NAME|PATH|OWNER|EVERYONE|ACTIVE|READY|REASON|AGE",
        "TEAM|s3a://lake/homes/USER/data/|USER|None|1|True|Converged|*",
    ),
    ("MinioPolicy", "mp", "NAME|POLICY|READY|REASON|AGE", "TEAM|TEAM|True|Converged|*"),
    ("MinioAccessKey", "mk", "NAME|USER|READY|REASON|KEY EXPIRES|AGE", "TEAM|USER|True|Converged|*|*"),
    ("MinioInstance", "mi", "NAME|ENDPOINT|VERSION|READY|REASON|AGE", "default|*|*|True|*|*"),
];

/// One object of each kind that people write.
const MANIFEST: &str = r#"
apiVersion: minio-manager.io/v1alpha1
kind: MinioUser
metadata: {name: USER}
spec: {}
---
apiVersion: minio-manager.io/v1alpha1
kind: MinioGroup
metadata: {name: TEAM}
spec: {}
---
apiVersion: minio-manager.io/v1alpha1
kind: GroupMembership
metadata: {name: TEAM}
spec: {group: TEAM, members: [{name: USER, access: ReadWrite}]}
---
apiVersion: minio-manager.io/v1alpha1
kind: PathShare
metadata: {name: TEAM}
spec:
  path: s3a://lake/homes/USER/data/
  owner: {kind: User, name: USER}
  grants: [{kind: Group, name: TEAM, access: Read}]
---
apiVersion: minio-manager.io/v1alpha1
kind: MinioPolicy
metadata: {name: TEAM}
spec:
  document:
    Version: "2012-10-17"
    Statement: [{Effect: Allow, Action: "s3:GetObject", Resource: "arn:aws:s3:::lake/incoming/*"}]
---
apiVersion: minio-manager.io/v1alpha1
kind: MinioAccessKey
metadata: {name: TEAM}
spec: {user: USER}
"#;

/// The objects of one test, and whoever types.
struct Scene {
    world: World,
    user: String,
    team: String,
}

/// What a command has said.
struct Said {
    code: i32,
    output: String,
    errors: String,
}

impl Scene {
    async fn new() -> Self {
        Self { world: World::shared().await, user: unique("alice"), team: unique("team") }
    }

    /// A text about the objects of this test.
    fn about(&self, text: &str) -> String {
        text.replace("USER", &self.user).replace("TEAM", &self.team)
    }

    /// Runs kubectl with a manifest on its standard input.
    fn types(&self, arguments: &[&str], manifest: &str) -> Said {
        let mut child = Command::new(tool("kubectl", "MINIO_MANAGER_KUBECTL_BIN"))
            .arg("--kubeconfig")
            .arg(Cluster::shared().kubeconfig())
            .args(["--namespace", self.world.namespace()])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(self.about(manifest).as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap(), output: text(output.stdout), errors: text(output.stderr) }
    }

    /// As [`Scene::types`], of a command that does its work.
    #[track_caller]
    fn sees(&self, arguments: &[&str], manifest: &str) -> String {
        let said = self.types(arguments, manifest);
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.output, said.errors);
        said.output
    }

    /// What applying this would change: exit code 1 where it changes anything.
    fn differs(&self, manifest: &str) -> Said {
        kube::difference(|| self.types(&["diff", "-f", "-"], manifest), |said| said.output.as_str())
    }

    /// Whether anything of the test is in the cluster or on MinIO.
    async fn is_there(&self) -> bool {
        let found = self.types(&["get", "-f", "-"], MANIFEST);
        !found.output.is_empty()
            || self.world.account(&self.user).await.is_some()
            || self.world.members(&self.team).await.is_some()
            || self.world.document(&self.team).await.is_some()
    }
}

/// The cells of a line of a table.
fn cells(line: &str) -> Vec<&str> {
    line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

/// What is typed before anything is applied: it shows what would be, and changes nothing.
async fn tries(scene: &Scene) {
    let tried = scene.sees(&["apply", "--dry-run=server", "-f", "-"], MANIFEST);
    assert_eq!(tried.lines().filter(|line| line.ends_with("created (server dry run)")).count(), 6, "{tried}");
    for (wrong, right, reason) in [
        ("access: Read}", "access: Reed}", "spec.grants[0].access: Unsupported value: \"Reed\""),
        ("lake/homes/USER/data/", "lake//data/", "spec.path: Invalid value"),
        ("spec: {user: USER}", "spec: {overlap: 1h}", "spec.user: Required value"),
        ("spec: {user: USER}", "spec: {user: USER, overlapp: 1h}", "unknown field \"spec.overlapp\""),
    ] {
        let manifest = MANIFEST.replace(wrong, right);
        assert_ne!(manifest, MANIFEST);
        let refused = scene.types(&["apply", "--dry-run=server", "-f", "-"], &manifest);
        assert!(refused.code == 1 && refused.errors.contains(reason), "{right}: {}{}", refused.output, refused.errors);
    }
    let difference = scene.differs(MANIFEST);
    assert_eq!(difference.code, 1, "{}", difference.errors);
    assert!(difference.output.contains("+kind: PathShare"), "{}", difference.output);
    assert!(!scene.is_there().await);
}

/// What is typed to have it.
fn applies(scene: &Scene) {
    scene.sees(&["apply", "-f", "-"], MANIFEST);
    let waited = scene.sees(&["wait", "--for=condition=Ready", "--timeout=60s", "-f", "-"], MANIFEST);
    assert_eq!(waited.lines().filter(|line| line.ends_with("condition met")).count(), 6, "{waited}");
}

/// What differs from what was applied: nothing, since defaults stay as they are, and then what is changed.
fn compares(scene: &Scene) {
    let difference = scene.differs(MANIFEST);
    assert_eq!((difference.code, difference.output.as_str()), (0, ""), "{}", difference.errors);
    let changed = MANIFEST.replace("grants: [{kind: Group, name: TEAM, access: Read}]", "everyone: Read");
    let difference = scene.differs(&changed);
    assert_eq!(difference.code, 1, "{}", difference.errors);
    for line in ["-  everyone: None", "+  everyone: Read", "-  - access: Read"] {
        assert!(difference.output.contains(line), "{line}: {}", difference.output);
    }
}

/// What lists show, by the short names.
fn lists(scene: &Scene) {
    for (kind, short, columns, row) in KINDS {
        let row = scene.about(row);
        let expected: Vec<&str> = row.split('|').collect();
        let table = scene.sees(&["get", short, expected[0]], "");
        let lines: Vec<Vec<&str>> = table.lines().map(cells).collect();
        assert_eq!(lines[0], columns.split('|').collect::<Vec<_>>(), "{kind}");
        let shown: Vec<&str> =
            lines[1].iter().zip(&expected).map(|(cell, any)| if *any == "*" { any } else { cell }).copied().collect();
        assert_eq!(shown, expected, "{kind}: {table}");
        let wide = scene.sees(&["get", short, expected[0], "-o", "wide"], "");
        assert!(cells(wide.lines().next().unwrap()).ends_with(&["MESSAGE"]), "{kind}: {wide}");
    }
    let all = scene.sees(&["get", "minio-manager", "-o", "json"], "");
    let all: Value = serde_json::from_str(&all).unwrap();
    for (kind, ..) in KINDS {
        assert!(all["items"].as_array().unwrap().iter().any(|item| item["kind"] == kind), "no {kind} in the category");
    }
}

/// What is said of each field; a `MinioInstance` has nothing that people write.
fn asks(scene: &Scene) {
    for (kind, ..) in KINDS {
        let part = if kind == "MinioInstance" { "status" } else { "spec" };
        let explained = scene.sees(&["explain", &format!("{}.{part}", kind.to_lowercase())], "");
        let is_silent = explained.contains("<no description>") || explained.contains("Auto-generated");
        assert!(explained.contains("FIELDS:") && !is_silent, "{kind}: {explained}");
    }
}

#[tokio::test]
async fn kubectl_is_all_that_one_needs() {
    let scene = Scene::new().await;
    tries(&scene).await;
    applies(&scene);
    compares(&scene);
    lists(&scene);
    asks(&scene);
}
