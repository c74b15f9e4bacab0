//! The examples of docs/clients.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::volume::Data;

/// Where the document mounts the Secret.
pub const MOUNT: &str = "/var/run/secrets/minio";

/// A fenced block.
pub struct Example {
    /// The heading above it.
    pub section: String,
    /// Its language: what follows the fence.
    pub language: String,
    /// What is in it.
    pub text: String,
}

/// All examples, in their order.
pub fn examples() -> Vec<Example> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clients.md");
    let document = fs::read_to_string(path).unwrap();
    let (mut section, mut examples) = (String::new(), Vec::new());
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.to_owned();
        } else if let Some(language) = line.strip_prefix("```") {
            let text =
                lines.by_ref().take_while(|line| *line != "```").fold(String::new(), |text, line| text + line + "\n");
            examples.push(Example { section: section.clone(), language: language.to_owned(), text });
        }
    }
    examples
}

/// The environment of the first container of a pod with this Secret.
pub fn environment(pod: &str, secret: &Data) -> Data {
    let pod: Value = serde_saphyr::from_str(pod).unwrap();
    let container = &pod["containers"][0];
    let list = |name: &str| container[name].as_array().cloned().unwrap_or_default();
    let mut variables = BTreeMap::new();
    for source in list("envFrom") {
        assert!(source["secretRef"]["name"].is_string(), "{source}");
        // A kubelet leaves out what no variable can be called.
        let names_variable = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        variables.extend(secret.clone().into_iter().filter(|(name, _)| names_variable(name)));
    }
    for variable in list("env") {
        let name = variable["name"].as_str().expect("a variable has a name").to_owned();
        let reference = &variable["valueFrom"]["secretKeyRef"];
        let value = match (variable["value"].as_str(), reference["key"].as_str()) {
            (Some(value), None) => Some(value.to_owned()),
            (None, Some(key)) => {
                assert!(secret.contains_key(key) || reference["optional"] == true, "the pod does not start: no {key}");
                secret.get(key).cloned()
            }
            _ => panic!("neither a value nor a key of the Secret: {variable}"),
        };
        variables.extend(value.map(|value| (name, value)));
    }
    variables
}

/// The text of a document with the Secret mounted elsewhere.
pub fn mounted_at(text: &str, path: &Path) -> String {
    text.replace(MOUNT, path.to_str().expect("a path of text"))
}

/// The pod that mounts the Secret, and the pod that has it in its environment.
pub fn pods(path: &Path) -> [String; 2] {
    let pods: Vec<String> =
        examples().iter().filter(|example| example.language == "yaml").map(|pod| mounted_at(&pod.text, path)).collect();
    pods.try_into().expect("two pods")
}
