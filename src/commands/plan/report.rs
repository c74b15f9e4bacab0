//! What `plan` prints: people first, then the server, then what nobody describes.

use serde::Serialize;

use super::super::output::Table;
use crate::iam::change::Change;
use crate::iam::subject::{Cause, ObjectKey};

/// The result of `plan`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Who gains and loses what, in sentences.
    pub people: Vec<String>,
    /// The changes on the server, in their order.
    pub changes: Vec<PlannedChange>,
    /// What is on the server and no object describes; nothing happens to it.
    pub unmanaged: Vec<Unmanaged>,
}

/// One change on the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedChange {
    /// What is done.
    pub action: String,
    /// To what: `policy`, `user` or `group`.
    pub kind: String,
    /// To which.
    pub name: String,
    /// What else matters; empty where nothing does.
    pub detail: String,
    /// The objects from which it follows.
    pub because: Vec<ObjectKey>,
}

/// Something on the server that no object describes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unmanaged {
    /// `user`, `group` or `policy`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
}

impl PlannedChange {
    /// A change and its causes, in words.
    pub fn new(change: &Change, because: &[Cause]) -> Self {
        let description = change.describe();
        Self {
            action: description.action.to_owned(),
            kind: description.kind.to_owned(),
            name: description.name,
            detail: description.detail,
            because: because.iter().map(|cause| cause.object.clone()).collect(),
        }
    }
}

impl Report {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The report for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        if self.is_empty() {
            text.push_str("Nothing changes: the server is as the objects say.\n");
        } else {
            section(&mut text, "For people", &self.people);
            let mut table = Table::new(["ACTION", "KIND", "NAME", "DETAIL", "BECAUSE OF"]);
            for change in &self.changes {
                let PlannedChange { action, kind, name, detail, .. } = change;
                table.row([action.clone(), kind.clone(), name.clone(), shorten(detail), causes(&change.because)]);
            }
            text.push_str(&format!("\nOn the server ({} changes):\n{table}", self.changes.len()));
        }
        if !self.unmanaged.is_empty() {
            text.push('\n');
            let lines: Vec<String> =
                self.unmanaged.iter().map(|thing| format!("{} {}", thing.kind, thing.name)).collect();
            section(&mut text, "Described by no object (left as it is)", &lines);
        }
        text
    }
}

fn section(text: &mut String, title: &str, lines: &[String]) {
    text.push_str(title);
    text.push_str(":\n");
    if lines.is_empty() {
        text.push_str("  nobody gains or loses anything\n");
    }
    for line in lines {
        text.push_str("  ");
        text.push_str(line);
        text.push('\n');
    }
}

/// The first causes; a change may follow from thousands.
fn causes(because: &[ObjectKey]) -> String {
    const SHOWN: usize = 2;
    let shown: Vec<String> = because.iter().take(SHOWN).map(ToString::to_string).collect();
    match because.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A detail that fits on a screen; JSON has all of it.
fn shorten(detail: &str) -> String {
    const SHOWN: usize = 80;
    match detail.char_indices().nth(SHOWN) {
        None => detail.to_owned(),
        Some((end, _)) => format!("{}...", detail.get(..end).unwrap_or(detail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::names::UserName;
    use crate::iam::subject::Kind;

    fn cause(name: &str) -> Cause {
        let object = ObjectKey::new(Kind::PathShare, "lake", name);
        Cause { object, uid: "u".into(), generation: 1 }
    }

    fn report() -> Report {
        let change = Change::DeleteUser { user: UserName::parse("bob").unwrap() };
        Report {
            people: vec!["bob is deleted, with all keys".to_owned()],
            changes: vec![PlannedChange::new(&change, &[cause("a"), cause("b"), cause("c")])],
            unmanaged: vec![Unmanaged { kind: "user", name: "carol".to_owned() }],
        }
    }

    #[test]
    fn json_has_the_documented_fields() {
        let json = serde_json::to_value(report()).unwrap();
        let expected = serde_json::json!({
            "people": ["bob is deleted, with all keys"],
            "changes": [{
                "action": "delete", "kind": "user", "name": "bob", "detail": "",
                "because": [
                    {"kind": "PathShare", "namespace": "lake", "name": "a"},
                    {"kind": "PathShare", "namespace": "lake", "name": "b"},
                    {"kind": "PathShare", "namespace": "lake", "name": "c"},
                ],
            }],
            "unmanaged": [{"kind": "user", "name": "carol"}],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn people_come_before_the_server() {
        let text = report().to_text();
        let people = text.find("bob is deleted").unwrap();
        let server = text.find("On the server (1 changes)").unwrap();
        assert!(people < server && server < text.find("user carol").unwrap(), "{text}");
        assert!(text.contains("PathShare lake/a, PathShare lake/b and 1 more"), "{text}");
    }

    #[test]
    fn an_empty_plan_says_so() {
        assert!(Report::default().to_text().starts_with("Nothing changes"));
    }

    #[test]
    fn long_details_are_shortened_between_characters() {
        let shown = shorten(&"é".repeat(200));
        assert_eq!(shown.chars().count(), 83);
    }
}
