//! Fuzz targets of the pure core: paths and names, and policy documents. What must hold is said here once more, in other
//! words than in the code.

use std::collections::BTreeMap;

use serde_json::Value;

use super::check::{CheckOptions, MAX_FINDINGS, Warning, check};
use super::compile::uncovered;
use super::document::{Document, Effect, MAX_BYTES, Statement};
use super::evaluate::{Decision, Request, Undecided, decide};
use super::family::{self, Draft};
use super::index::PathPrefix;
use super::names::{DocumentName, GroupName, PolicyName, ServerGroup, UserName};
use super::path::{Access, Rights, S3Path, Scope};
use super::slug::{USER_SLUG_LENGTH, safe_slug};
use crate::fuzzing::assert_readable;

const LEVELS: [Access; 2] = [Access::Read, Access::ReadWrite];

/// Lines, each a path or a name.
pub(crate) fn paths(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines: Vec<&str> = text.split('\n').take(6).collect();
    for line in &lines {
        name(line);
    }
    let paths: Vec<S3Path> = lines.iter().filter_map(|line| path(line)).collect();
    containment(&paths);
    for path in &paths {
        grant_reaches_what_is_below(path, &paths);
        for line in &lines {
            prefix_holds_what_starts_with_it(line, path);
        }
    }
    leaves_out_only_what_is_covered(&paths);
}

fn path(text: &str) -> Option<S3Path> {
    match S3Path::parse(text) {
        Ok(path) => {
            let shown = path.to_string();
            let without_slash = shown.strip_suffix('/').expect("a path is shown with a slash at its end");
            for spelling in [&shown, without_slash, &shown.replacen("s3a://", "s3://", 1)] {
                assert_eq!(S3Path::parse(spelling).as_ref(), Ok(&path), "{spelling:?}");
            }
            assert_bucket(path.bucket().as_str());
            assert_literal(path.key());
            assert!(path.key_and_ancestors().all(|key| path.key() == key || is_below(path.key(), key)));
            Some(path)
        }
        Err(error) => {
            assert_readable(&error.to_string());
            None
        }
    }
}

fn assert_bucket(name: &str) {
    let bytes = name.as_bytes();
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    assert!((3..=63).contains(&bytes.len()) && bytes.iter().all(|b| alphanumeric(b) || b".-".contains(b)), "{name:?}");
    assert!(bytes.first().is_some_and(alphanumeric) && bytes.last().is_some_and(alphanumeric), "{name:?}");
    assert!(!name.contains(".."), "{name:?}");
}

fn assert_literal(key: &str) {
    assert!((1..=1024).contains(&key.len()), "{key:?}");
    assert!(!key.contains(['*', '?']) && !key.contains("${"), "{key:?}");
    let hides = |c: char| {
        c.is_control()
            || "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}"
                .contains(c)
    };
    assert!(!key.contains(hides), "{key:?}");
    let is_plain = |segment: &str| !matches!(segment, "" | "." | "..") && segment.len() <= 255;
    assert!(key.split('/').all(is_plain), "{key:?}");
}

fn is_below(key: &str, folder: &str) -> bool {
    key.starts_with(&format!("{folder}/"))
}

/// Containment is an order, and says the same as the keys that scopes hold.
fn containment(paths: &[S3Path]) {
    let open = |path: &S3Path| Scope::open(path.bucket().clone(), path.key()).expect("a key may begin keys");
    let scopes: Vec<Scope> = paths.iter().flat_map(|path| [path.scope(), open(path)]).collect();
    for (one, path) in paths.iter().flat_map(|path| [path, path]).enumerate() {
        assert!(scopes[one].contains(&scopes[one]));
        assert!(scopes[one].holds_key(path.bucket().as_str(), path.key()));
        for two in scopes.iter().filter(|two| scopes[one].contains(two)) {
            assert!(!two.contains(&scopes[one]) || *two == scopes[one], "{two} and {} hold each other", scopes[one]);
            for three in scopes.iter().filter(|three| two.contains(three)) {
                assert!(scopes[one].contains(three), "{} holds {two}, and that {three}", scopes[one]);
            }
            for path in paths {
                for key in [path.key().to_owned(), format!("{}x", path.key()), format!("{}/x", path.key())] {
                    let bucket = path.bucket().as_str();
                    assert!(!two.holds_key(bucket, &key) || scopes[one].holds_key(bucket, &key), "{two} {key:?}");
                }
            }
        }
    }
    for (one, two) in paths.iter().flat_map(|one| paths.iter().map(move |two| (one, two))) {
        let below = one.bucket() == two.bucket() && (one.key() == two.key() || is_below(two.key(), one.key()));
        assert_eq!(one.contains(two), below, "{one} {two}");
        assert_eq!(one.scope().contains(&two.scope()), below, "{one} {two}");
    }
}

/// The document of a grant allows what it is for, by the rules of the server, and nothing beside.
fn grant_reaches_what_is_below(path: &S3Path, others: &[S3Path]) {
    let keys = |other: &S3Path| {
        let key = other.key();
        let parent = key.rsplit_once('/').map_or("", |(parent, _)| parent);
        [key.to_owned(), format!("{key}/"), format!("{key}/x"), format!("{key}x"), parent.to_owned()]
            .map(|key| (other.bucket().clone(), key))
    };
    for access in LEVELS {
        let rights = Rights::from_iter([(path.scope(), access)]);
        let document = family::render(&rights, true, "fuzz");
        assert_eq!(family::rights_in(&document), rights);
        assert_eq!(Draft::read(&document, "fuzz").size(), document.size());
        for (bucket, key) in others.iter().flat_map(keys).filter(|(_, key)| !key.is_empty()) {
            let within = bucket == *path.bucket() && (key == path.key() || is_below(&key, path.key()));
            let allowed = |action: &str, key: &str, conditions| {
                is_allowed(&document, &Request { action, bucket: bucket.as_str(), key, conditions, username: "alice" })
            };
            let none = BTreeMap::new();
            assert_eq!(allowed("s3:GetObject", &key, &none), within, "{path} {key:?}");
            assert_eq!(allowed("s3:PutObject", &key, &none), within && access == Access::ReadWrite, "{path} {key:?}");
            assert!(!allowed("s3:DeleteBucket", "", &none) && !allowed("admin:CreateUser", "", &none));
            let listed = BTreeMap::from([("prefix".to_owned(), vec![key.clone()])]);
            let below = bucket == *path.bucket() && is_below(&key, path.key());
            assert_eq!(allowed("s3:ListBucket", "", &listed), below, "{path} {key:?}");
        }
    }
}

fn is_allowed(document: &Document, request: &Request<'_>) -> bool {
    decide([document].into_iter(), request).expect("our own documents can be evaluated").allowed
}

fn prefix_holds_what_starts_with_it(text: &str, path: &S3Path) {
    let Ok(prefix) = PathPrefix::parse(text) else { return };
    let text = text.replacen("s3://", "s3a://", 1);
    let text = format!("{}/", text.strip_suffix('/').unwrap_or(&text));
    assert_eq!(prefix.holds(path), path.to_string().starts_with(&text), "{text:?} {path}");
}

fn leaves_out_only_what_is_covered(paths: &[S3Path]) {
    let granted: Vec<(&S3Path, Access)> = paths.iter().zip(LEVELS.into_iter().cycle()).collect();
    let rights = uncovered(&Rights::default(), granted.iter().copied());
    for (path, access) in &granted {
        assert!(rights.cover(&path.scope(), *access), "{path} is lost");
    }
    for (scope, access) in rights.iter() {
        let others: Rights = rights.iter().filter(|(other, _)| *other != scope).map(|(s, a)| (s.clone(), a)).collect();
        assert!(!others.cover(scope, access), "{scope} is covered");
    }
}

fn name(text: &str) {
    let words = |separators: &str, min: usize, max: usize| {
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (min..=max).contains(&text.len()) && text.split(|c| separators.contains(c)).all(is_word)
    };
    let user = UserName::parse(text).map_err(|error| assert_readable(&error.to_string()));
    let group = GroupName::parse(text).map_err(|error| assert_readable(&error.to_string()));
    let policy = PolicyName::parse(text).map_err(|error| assert_readable(&error.to_string()));
    let target = ServerGroup::parse(text).map_err(|error| assert_readable(&error.to_string()));
    assert!(user.is_err() || words("._@-", 3, 64), "{text:?}");
    assert!(group.is_err() || words("._-", 2, 62), "{text:?}");
    assert!(policy.is_err() || words("._-", 2, 128), "{text:?}");
    assert_eq!(target.is_ok(), words("._-", 2, 72), "{text:?}");
    let user_documents = user.into_iter().flat_map(|user| {
        assert_eq!(user.as_str(), text);
        [DocumentName::user_home(&user), DocumentName::user_system(&user)]
    });
    let group_document = group.into_iter().map(|group| DocumentName::group(&ServerGroup::from(&group)));
    for base in user_documents.chain(group_document).chain([DocumentName::everyone()]) {
        for number in [1, 2, 10, 999] {
            let document = base.numbered(number);
            assert_eq!(document.number_in(&base), Some(number), "{document}");
            assert!(PolicyName::parse(document.as_str()).is_err(), "{document} can be declared");
        }
        if let Some(number) = DocumentName::from_server(text).number_in(&base) {
            assert_eq!(base.numbered(number).as_str(), text);
        }
    }
    slug(text);
}

fn slug(text: &str) {
    let slug = safe_slug(text, USER_SLUG_LENGTH);
    assert!((1..=USER_SLUG_LENGTH).contains(&slug.len()), "{slug:?}");
    assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{slug:?}");
    assert!(slug.starts_with(|c: char| c.is_ascii_lowercase()) && !slug.ends_with('-'), "{slug:?}");
    assert!(slug == text || slug.contains("---"), "{slug:?} of {text:?} has no hash");
}

/// JSON, as a policy document of a manifest or of the server.
pub(crate) fn documents(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let read = Document::from_value(&value);
    match check(&value, &CheckOptions { allow_unsafe_variables: true, ..CheckOptions::default() }) {
        Ok(checked) => {
            assert_eq!(read.as_ref(), Ok(&checked.document));
            assert!(checked.document.size() <= MAX_BYTES && !checked.document.statement.is_empty());
            assert!(checked.warnings.len() <= MAX_FINDINGS);
            checked.warnings.iter().for_each(|warning| assert_readable(&warning.to_string()));
            for request in requests(&checked.document) {
                let decision = ask(&[&checked.document], &request).expect("what passed the check can be evaluated");
                follows_the_rules(&checked.document, &request, decision);
                let of_server = !request.action.starts_with("s3:");
                assert!(!decision.allowed || !of_server || checked.carries_admin_actions, "{}", request.action);
            }
            unsafe_variables_need_leave(&value, &checked.warnings);
        }
        Err(findings) => {
            assert!((1..=MAX_FINDINGS).contains(&findings.len()));
            findings.iter().for_each(|finding| assert_readable(&finding.to_string()));
        }
    }
    if let Err(error) = &read {
        assert_readable(&error.to_string());
    }
    if let Ok(document) = read {
        survives_a_journey(&document);
        gives_the_rights_that_are_read(&document);
        for request in requests(&document) {
            if let Ok(decision) = ask(&[&document], &request) {
                follows_the_rules(&document, &request, decision);
            }
        }
    }
}

fn unsafe_variables_need_leave(value: &Value, warnings: &[Warning]) {
    let is_unsafe = warnings.iter().any(|warning| matches!(warning, Warning::UnsafeVariable { .. }));
    let strict = check(value, &CheckOptions::default());
    // Warnings are limited; with as many as there may be, the one of a variable can be missing.
    assert!(strict.is_ok() != is_unsafe || warnings.len() == MAX_FINDINGS);
}

fn survives_a_journey(document: &Document) {
    let text = document.to_json();
    let again = Document::from_value(&serde_json::from_str(&text).expect("it is JSON"));
    assert_eq!(again.as_ref(), Ok(document));
    assert_eq!(document.size(), text.len());
    let mut reordered = document.clone();
    reordered.statement.reverse();
    reordered.statement.extend(document.statement.first().cloned());
    assert!(reordered.same_meaning(document));
}

fn gives_the_rights_that_are_read(document: &Document) {
    let rights = family::rights_in(document);
    let draft = Draft::read(document, "fuzz");
    let rendered = draft.render();
    assert_eq!(draft.size(), rendered.size());
    assert_eq!(family::rights_in(&rendered), rights);
    assert_eq!(family::has_guard(&rendered), family::has_guard(document));
    assert!(family::is_no_narrower(Some(document), Some(document)));
    for (scope, access) in rights.iter() {
        assert!(rights.cover(scope, access));
    }
}

/// A request, with its texts.
#[derive(Debug)]
struct Asked {
    action: String,
    bucket: String,
    key: String,
    conditions: BTreeMap<String, Vec<String>>,
}

/// Requests that the document could be about, and some others.
fn requests(document: &Document) -> Vec<Asked> {
    let texts = |list: fn(&Statement) -> Vec<&String>, most: usize| {
        let texts = document.statement.iter().flat_map(list).take(most);
        texts.map(|text| text.replace('*', "x").replace('?', "y")).collect::<Vec<String>>()
    };
    let mut actions = texts(|statement| statement.action.iter().chain(&statement.not_action).collect(), 4);
    actions.extend(["s3:GetObject", "s3:ListBucket", "s3:DeleteObject", "admin:CreateUser"].map(str::to_owned));
    let mut places = texts(|statement| statement.resource.iter().chain(&statement.not_resource).collect(), 3);
    places.push("arn:aws:s3:::lake/homes/alice/x".to_owned());
    let mut values = texts(|statement| statement.condition.values().flat_map(|k| k.values().flatten()).collect(), 2);
    values.push("homes/alice/".to_owned());
    let conditions = |value: &String| {
        let names = ["prefix", "SourceIp", "versionid", "max-keys", "CurrentTime", "Prefix"];
        names.map(|name| (name.to_owned(), vec![value.clone()])).into()
    };
    let conditions: Vec<_> = values.iter().map(conditions).chain([BTreeMap::new()]).collect();
    let mut requests = Vec::new();
    for action in &actions {
        for place in &places {
            let place = place.strip_prefix("arn:aws:s3:::").unwrap_or(place);
            let (bucket, key) = place.split_once('/').unwrap_or((place, ""));
            requests.extend(conditions.iter().map(|conditions| Asked {
                action: action.clone(),
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                conditions: conditions.clone(),
            }));
        }
    }
    requests
}

fn ask(documents: &[&Document], asked: &Asked) -> Result<Decision, Undecided> {
    let Asked { action, bucket, key, conditions } = asked;
    decide(documents.iter().copied(), &Request { action, bucket, key, conditions, username: "alice" })
}

/// Denials win, whatever allows; nothing is allowed that no statement allows; the order of statements is of no matter.
fn follows_the_rules(document: &Document, asked: &Asked, decision: Decision) {
    assert!(!decision.allowed || decision.denied_by.is_none(), "{asked:?}");
    assert_eq!(decision.allowed, decision.by.is_some(), "{asked:?}");
    let effect_of = |at: Option<super::evaluate::At>| at.map(|at| document.statement[at.statement].effect);
    assert_ne!(effect_of(decision.by), Some(Effect::Deny), "{asked:?}");
    assert_ne!(effect_of(decision.denied_by), Some(Effect::Allow), "{asked:?}");

    let with = |effect: Effect| {
        Document::new(document.statement.iter().filter(|statement| statement.effect == effect).cloned().collect())
    };
    let (allowing, denying) = (with(Effect::Allow), with(Effect::Deny));
    if let Ok(decision) = ask(&[&denying], asked) {
        assert!(!decision.allowed, "{asked:?} is allowed by what only denies");
    }
    if decision.allowed {
        let alone = ask(&[&allowing], asked).map(|decision| decision.allowed);
        assert_eq!(alone, Ok(true), "{asked:?} is allowed only with what denies");
        let everything = Document::new(vec![Statement::new(Effect::Deny, ["s3:*", asked.action.as_str()], ["*"])]);
        let denied = ask(&[document, &everything], asked).map(|decision| decision.allowed);
        assert_eq!(denied, Ok(false), "{asked:?} is allowed against a denial of everything");
    }
    let mut reversed = document.clone();
    reversed.statement.reverse();
    let backwards = ask(&[&reversed], asked).map(|decision| decision.allowed);
    assert_eq!(backwards, Ok(decision.allowed), "{asked:?} depends on the order");
}
