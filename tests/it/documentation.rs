//! The documentation: every test that it names exists, none of the weaknesses is left out, every command on every page is run, and
//! what is shown as YAML or JSON is taken by whom it is for.

mod blocks;
mod coverage;
mod from_mc;
mod manifests;
mod operations;
mod story;
mod walks;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use self::blocks::{documents, parse};
use crate::support::world::World;

const LEGACY: &str = "docs/legacy-api.md";
const TRUST: &str = "docs/trust.md";
const SECURITY: &str = "docs/security.md";
const POLICIES: &str = "docs/policies.md";
const VOCABULARY: &str = "docs/policy-vocabulary.md";
const MANUAL: &str = "docs/operations.md";
const ALERTS: &str = "examples/monitoring/alerts.yaml";
/// The weaknesses of the legacy service: how many there are of each kind.
const WEAKNESSES: [(char, usize); 6] = [('A', 23), ('B', 7), ('C', 9), ('D', 7), ('E', 6), ('F', 13)];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(repository().join(path)).ok()
}

/// The cells of every row of every table.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    rows.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

/// What is written `like::this`; resources of policies have a colon more.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let is_path = |code: &str| code.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b':'));
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(move |code| is_path(code) && code.contains("::") && !code.contains(":::"))
}

/// Whether a function is there and is run as a test: `module::path::function`, of the tests on real servers or beside the code.
fn is_test(name: &str) -> bool {
    let Some((module, function)) = name.rsplit_once("::") else { return false };
    let path = module.replace("::", "/");
    let mut places = vec![format!("tests/it/{path}.rs"), format!("src/{path}.rs"), format!("src/{path}/mod.rs")];
    if let Some(beside) = path.strip_suffix("/tests") {
        places.extend([format!("src/{beside}.rs"), format!("src/{beside}/mod.rs")]);
    }
    places.iter().filter_map(|place| read(place)).any(|source| has_test(&source, function))
}

fn has_test(source: &str, function: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    lines.windows(2).any(|pair| {
        let definition = pair[1].strip_prefix("async ").unwrap_or(pair[1]);
        let rest = definition.strip_prefix("fn ").and_then(|rest| rest.strip_prefix(function));
        (pair[0] == "#[test]" || pair[0].starts_with("#[tokio::test")) && rest.is_some_and(|rest| rest.starts_with('('))
    })
}

#[test]
fn every_test_that_is_named_exists() {
    for (document, at_least) in
        [(LEGACY, 100), (TRUST, 25), (SECURITY, 20), (MANUAL, 1), (POLICIES, 10), (VOCABULARY, 1)]
    {
        let text = read(document).unwrap();
        let missing: Vec<&str> = names(&text).filter(|name| !is_test(name)).collect();
        assert!(missing.is_empty(), "{document} names what is no test: {missing:#?}");
        assert!(names(&text).count() >= at_least, "the names in {document} were found");
    }
    assert!(!is_test("rest::sharing::share::no_such_test") && !is_test("no::such::module"));
    assert!(is_test("documentation::every_test_that_is_named_exists"));
}

#[test]
fn every_weakness_has_one_row_with_a_test() {
    let text = read(LEGACY).unwrap();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows(&text).filter(|row| row.len() == 4) {
        for id in row[0].split(", ").filter(|id| !id.is_empty()) {
            *found.entry(id.to_owned()).or_default() += 1;
        }
        assert!(row[0].is_empty() || names(row[3]).next().is_some(), "{} has no test", row[0]);
    }
    let expected =
        WEAKNESSES.iter().flat_map(|(kind, count)| (1..=*count).map(move |number| format!("{kind}{number}")));
    assert_eq!(found, expected.map(|id| (id, 1)).collect());
}

/// All words of a text that begin in this way.
fn words<'a>(text: &'a str, begin: &str) -> BTreeSet<&'a str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with(begin))
        .collect()
}

#[tokio::test]
async fn every_metric_and_alert_that_is_named_exists() {
    let world = World::shared().await;
    let (_, exposition) = world.product().get("/metrics");
    let alerts: Value = serde_saphyr::from_str(&read(ALERTS).unwrap()).unwrap();
    let alerts: Vec<&Value> =
        alerts["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    let mut found = (0, 0);
    // What the legacy service was called begins in the same way.
    for document in documents().into_iter().filter(|document| document != LEGACY) {
        let text = read(&document).unwrap();
        for metric in words(&text, "minio_manager_") {
            let exists = exposition.lines().any(|line| line.starts_with(metric));
            assert!(exists, "{document}: there is no metric {metric}");
            found.0 += 1;
        }
        for alert in words(&text, "MinioManager") {
            assert!(alerts.iter().any(|rule| rule["alert"] == alert), "{document}: there is no alert {alert}");
            found.1 += 1;
        }
    }
    assert!(found.0 >= 8 && found.1 >= 3, "{found:?}");
}

#[test]
fn every_link_leads_somewhere() {
    let mut found = 0;
    for document in documents() {
        let text = read(&document).unwrap();
        for (target, _) in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            if target.contains("://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&document).parent().unwrap();
            let place = if path.is_empty() { Path::new(&document).to_owned() } else { folder.join(path) };
            assert!(repository().join(&place).exists(), "{document}: {target} is not there");
            if !anchor.is_empty() {
                let there = fs::read_to_string(repository().join(&place)).unwrap();
                let has = there.lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == anchor);
                assert!(has, "{document}: {} has no heading #{anchor}", place.display());
            }
            found += 1;
        }
    }
    assert!(found > 50, "{found} links");
    assert_eq!(slug("## Is it in force?"), "is-it-in-force");
}

/// The anchor of a heading.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let letters = text.chars().filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter));
    letters.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[test]
fn blocks_are_found_as_people_see_them() {
    let text = "# One\n```console\n$ a \\\n    b\n$ c <<END\nd\nEND\n```\n1. x\n\n   ```sh\n   e\n     f\n   ```\n";
    let blocks = parse("page.md", text);
    let texts: Vec<Vec<String>> =
        blocks.iter().map(|block| blocks::commands(block).into_iter().map(|command| command.text).collect()).collect();
    assert_eq!(texts, [vec!["a \\\n    b", "c <<END\nd\nEND"], vec!["e\n  f\n"]]);
    let places: Vec<_> = blocks.iter().map(|block| (block.heading.as_str(), block.line)).collect();
    assert_eq!(places, [("One", 2), ("One", 11)]);
    for wrong in ["```sh\nls\n", "~~~\nls\n~~~\n", "    $ ls\n"] {
        assert!(std::panic::catch_unwind(|| parse("page.md", wrong)).is_err(), "{wrong}");
    }
}
