//! The image's recipe, where no builder is: it says what chart, toolchain and release say. `deploy/image/try` runs its steps.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{objects, repository, succeed, template, value_sets};

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rest of each line that begins with a word.
fn lines<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ')).collect()
}

#[test]
fn the_image_is_made_for_the_pods_of_the_chart() {
    let recipe = read("Dockerfile");
    let user: i64 = lines(&recipe, "USER")[0].split_once(':').unwrap().0.parse().unwrap();
    let exposed: BTreeSet<i64> = lines(&recipe, "EXPOSE")[0].split(' ').map(|port| port.parse().unwrap()).collect();
    let mut ports = BTreeSet::new();
    for (name, values) in value_sets() {
        for object in objects(&succeed(&mut template(&["--values", values.to_str().unwrap()]))) {
            let Some(pod) = object.pointer("/spec/template/spec") else { continue };
            assert_eq!(pod["securityContext"]["runAsUser"], user, "{name}");
            for container in pod["containers"].as_array().unwrap() {
                assert!(container["command"].is_null(), "{name}: the image's entry point is used");
                ports.extend(
                    container["ports"].as_array().unwrap().iter().map(|port| port["containerPort"].as_i64().unwrap()),
                );
            }
        }
    }
    assert_eq!(exposed, ports);
    assert_eq!(lines(&recipe, "ENTRYPOINT"), ["[\"/usr/local/bin/minio-manager\"]"]);
}

#[test]
fn the_image_is_built_with_our_toolchain_from_files_that_reach_it() {
    let (recipe, ignored) = (read("Dockerfile"), read(".dockerignore"));
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    assert!(lines(&recipe, "FROM")[0].starts_with(&format!("rust:{channel}-")), "{channel}");
    for copied in lines(&recipe, "COPY").iter().filter(|line| !line.starts_with("--from")) {
        let words: Vec<&str> = copied.split(' ').collect();
        for source in &words[..words.len() - 1] {
            assert!(repository().join(source).exists(), "{source}");
            assert!(ignored.lines().any(|line| line == format!("!{source}")), "{source} does not reach the builder");
        }
    }
}

#[test]
fn a_release_names_every_action_by_its_version_and_checks_before_it_publishes() {
    let workflow: Value = serde_saphyr::from_str(&read(".github/workflows/release.yml")).unwrap();
    assert_eq!(workflow["permissions"], serde_json::json!({"contents": "read"}));
    let jobs = workflow["jobs"].as_object().unwrap();
    let mut actions = BTreeSet::new();
    for (name, job) in jobs {
        for step in job["steps"].as_array().unwrap() {
            let Some(action) = step["uses"].as_str() else { continue };
            let (action, version) = action.split_once('@').unwrap();
            assert!(version.starts_with('v') && version.len() > 1, "{name}: {action}");
            actions.insert(action);
        }
        let publishes = job["permissions"]
            .as_object()
            .into_iter()
            .flatten()
            .any(|(what, right)| right == "write" && ["contents", "packages"].contains(&what.as_str()));
        let needs = job["needs"].to_string();
        assert!(!publishes || needs.contains("\"check\""), "{name} publishes unchecked");
    }
    assert!(actions.contains("actions/attest") && actions.contains("anchore/sbom-action"), "{actions:?}");
}
