//! What the documentation says of tests: every one that is named exists, and none of the weaknesses is left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const LEGACY: &str = "docs/legacy-api.md";
const TRUST: &str = "docs/trust.md";
const SECURITY: &str = "docs/security.md";
/// The weaknesses of the legacy service: how many there are of each kind.
const WEAKNESSES: [(char, usize); 6] = [('A', 23), ('B', 7), ('C', 9), ('D', 7), ('E', 6), ('F', 13)];

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// The cells of every row of every table.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    rows.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

/// What is written `like::this`.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|code| code.contains("::"))
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
    for (document, at_least) in [(LEGACY, 100), (TRUST, 25), (SECURITY, 20)] {
        let text = read(document).unwrap();
        let missing: Vec<&str> = names(&text).filter(|name| !is_test(name)).collect();
        assert!(missing.is_empty(), "{document} names what is no test: {missing:#?}");
        assert!(names(&text).count() >= at_least, "the names in {document} were found");
    }
    assert!(!is_test("rest::sharing::share::no_such_test") && !is_test("no::such::module"));
    assert!(is_test("documentation::every_test_that_is_named_exists"));
}

/// Where the links of a text lead, but for other sites and places in the same text.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter(|target| !target.contains("://")).filter_map(|target| target.split('#').next());
    files.filter(|file| !file.is_empty())
}

#[test]
fn every_link_leads_to_a_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut seen = 0;
    for document in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        let Some(text) = document.extension().filter(|kind| *kind == "md").and(fs::read_to_string(&document).ok())
        else {
            continue;
        };
        let missing: Vec<&str> = links(&text).filter(|file| !folder.join(file).exists()).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", document.display());
        seen += links(&text).count();
    }
    assert!(seen > 20, "links were found");
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
