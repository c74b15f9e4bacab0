//! What a user can reach on the server.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::compare::{Described, Managed};
use super::{Findings, FoundPath, Snapshot, differences, via};
use crate::iam::document::{Document, Effect, Statement};
use crate::iam::family::{level_of, scope_of};
use crate::iam::index::Index;
use crate::iam::path::{Access, Scope};
use crate::iam::vocabulary::{Level, s3_actions};

const ARN: &str = "arn:aws:s3:::";

/// What a user can reach on the server in a way that the objects do not tell, everything without a key included; and where a
/// managed user is otherwise there. Folders and patterns are told as the documents name them, denials are not taken off.
pub fn of(index: &Index, snapshot: &Snapshot, user: &str, now: Timestamp) -> Findings<FoundPath> {
    let everyone = index.everyone_family();
    let managed = Managed::of(index, &everyone, user, now);
    let mut rows = Vec::new();
    for has in snapshot.has(user) {
        for place in places(has.document) {
            let described = match &managed {
                Some(managed) => managed.describes(&has, place.scope.as_ref(), place.access),
                None => Described::Not,
            };
            match described {
                Described::ByRights => {}
                Described::ByPolicy(until) => rows.push(place.row(via(&has), until, true)),
                // What a compiled document says of its bucket goes with its folders.
                Described::Not if has.name.is_derived() && place.is_about_buckets => {}
                Described::Not => rows.push(place.row(via(&has), None, false)),
            }
        }
    }
    for (bucket, document) in &snapshot.public {
        let through = format!("the policy of bucket {bucket}; without a key");
        rows.extend(places(document).into_iter().map(|place| place.row(through.clone(), None, false)));
    }
    rows.sort();
    rows.dedup();
    Findings { rows, differences: differences(index, snapshot, user, now) }
}

/// What one resource of an allowing statement gives.
struct Place {
    path: String,
    scope: Option<Scope>,
    access: Access,
    actions: BTreeSet<String>,
    conditions: BTreeSet<String>,
    is_about_buckets: bool,
}

impl Place {
    fn row(self, via: String, until: Option<Timestamp>, managed: bool) -> FoundPath {
        let Self { path, access, actions, conditions, .. } = self;
        FoundPath { path, access, actions, via, until, managed, conditions }
    }
}

/// Everything that a document allows in buckets, a folder once.
fn places(document: &Document) -> Vec<Place> {
    let allowing = document.statement.iter().filter(|statement| statement.effect == Effect::Allow);
    allowing.flat_map(of_statement).collect()
}

fn of_statement(statement: &Statement) -> Vec<Place> {
    let known: Vec<_> = statement.action.iter().flat_map(|action| s3_actions(action)).collect();
    let is_everything = statement.action.contains("*") || !statement.not_action.is_empty();
    if known.is_empty() && !is_everything {
        return Vec::new();
    }
    let writes = is_everything || known.iter().any(|action| !is_reading(action.name));
    let level = level_of(&statement.action);
    let access = level.unwrap_or(if writes { Access::ReadWrite } else { Access::Read });
    let is_about_buckets = !is_everything && known.iter().all(|action| action.level != Level::Object);
    let folders: BTreeSet<Scope> =
        statement.resource.iter().filter(|_| level.is_some()).filter_map(|resource| scope_of(resource)).collect();
    let conditions: BTreeSet<String> = statement.condition.values().flat_map(|keys| keys.keys().cloned()).collect();
    let place = |path: String, scope: Option<Scope>| Place {
        path,
        scope,
        access,
        actions: statement.action.clone(),
        conditions: conditions.clone(),
        is_about_buckets,
    };
    let mut places: Vec<Place> = folders.iter().map(|scope| place(scope.to_string(), Some(scope.clone()))).collect();
    // The folder itself, beside everything below it.
    let is_told = |resource: &&String| {
        scope_of(resource).is_some_and(|scope| folders.contains(&scope))
            || scope_of(&format!("{resource}/*")).is_some_and(|scope| folders.contains(&scope))
    };
    let others = statement.resource.iter().filter(|resource| !is_told(resource));
    places.extend(others.map(|resource| place(in_words(resource), None)));
    if statement.resource.is_empty() {
        let except: Vec<String> = statement.not_resource.iter().map(|resource| in_words(resource)).collect();
        let path = if except.is_empty() { "s3a://*".to_owned() } else { format!("all but {}", except.join(", ")) };
        places.push(place(path, None));
    }
    places
}

fn is_reading(action: &str) -> bool {
    ["s3:Get", "s3:List", "s3:Head"].iter().any(|prefix| action.starts_with(prefix))
}

fn in_words(resource: &str) -> String {
    format!("s3a://{}", resource.strip_prefix(ARN).unwrap_or(resource))
}
