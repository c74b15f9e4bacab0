//! The answers as people read them.

use super::super::output::Table;
use super::answers::{Answer, ExplainAnswer, Live, OfAnswer, Origin, Row, WhoAnswer};
use crate::api::UnmanagedCounts;
use crate::iam::explain::{Cited, OTHERS_MAY, Question};
use crate::iam::names::DocumentName;
use crate::iam::path::S3Path;
use crate::stamp::Stamp;

/// How many characters of a statement are shown.
const STATEMENT: usize = 1_200;

pub(super) fn who(answer: &WhoAnswer, path: &S3Path) -> String {
    let mut table = Table::new(["KIND", "NAME", "ACCESS", "VIA", "UNTIL", described(answer)]);
    for Row { row, origin } in &answer.rows {
        table.row([
            row.kind.clone(),
            row.name.clone(),
            row.access.to_string(),
            row.via.clone(),
            until(row.until.as_ref()),
            mark(origin.as_ref()),
        ]);
    }
    let text = match (answer.rows.is_empty(), answer.live.is_some()) {
        (true, false) => format!("No object gives anybody access to {path}.\n"),
        (true, true) => format!("No object and nothing on the server gives anybody access to {path}.\n"),
        (false, _) => table.to_string(),
    };
    text + &beside(answer)
}

pub(super) fn of(answer: &OfAnswer, user: &str) -> String {
    let mut table = Table::new(["PATH", "ACCESS", "VIA", "UNTIL", described(answer)]);
    for Row { row, origin } in &answer.rows {
        table.row([
            row.path.clone(),
            row.access.to_string(),
            row.via.clone(),
            until(row.until.as_ref()),
            mark(origin.as_ref()),
        ]);
    }
    let text = match (answer.rows.is_empty(), answer.live.is_some()) {
        (true, false) => format!("No object gives {user} access to anything.\n"),
        (true, true) => format!("No object and nothing on the server gives {user} access to anything.\n"),
        (false, _) => table.to_string(),
    };
    text + &beside(answer)
}

pub(super) fn explain(answer: &ExplainAnswer, question: &Question) -> String {
    let ExplainAnswer { said, live } = answer;
    let verdict = if said.allowed { "ALLOWED" } else { "NOT ALLOWED" };
    let mut table = Table::new([verdict, ""]);
    let mut line = |label: &str, text: String| table.row([label.to_owned(), text]);
    line("request", format!("{} asks for {} on {}", said.user, said.action, said.resource));
    if let Some(prefix) = question.prefix() {
        line("prefix", prefix.to_owned());
    }
    for reason in &said.reasons {
        line(if reason.code == OTHERS_MAY { "beside" } else { "because" }, reason.message.clone());
    }
    for through in &said.through {
        let access = through.access.map(|access| format!(" ({access})")).unwrap_or_default();
        let end = through.until.as_ref().map(|end| format!(", until {}", end.0)).unwrap_or_default();
        line("through", format!("{}{access}{end}", through.via));
    }
    if let Some(end) = &said.until {
        line("until", end.0.to_string());
    }
    if let Some(cited) = &said.statement {
        let group = cited.group.as_ref().map(|group| format!(", which group {group} has")).unwrap_or_default();
        let object = cited.object.as_ref().map(|object| format!(", of {object}")).unwrap_or_default();
        line("by", format!("policy {}{group}{object}", cited.document));
        let whole = Cited {
            document: DocumentName::from_server(&cited.document),
            group: None,
            object: None,
            statement: cited.statement.clone(),
        };
        line("statement", statement(&whole, question));
    }
    for key in &said.depends_on {
        line("depends on", format!("{key}, of which nothing is known; say --condition {key}=VALUE"));
    }
    for policy in &said.unknown_policies {
        let group = policy.group.as_ref().map(|group| format!(", through group {group}")).unwrap_or_default();
        line(
            "open",
            format!(
                "{} has policy {}{group}, and no object says what it allows; ask with --live",
                said.user, policy.name
            ),
        );
    }
    for object in &said.not_ready {
        line("not ready", format!("{object}: the server may not know it yet"));
    }
    let mut text = table.to_string();
    if let Some(found) = live {
        if found.anonymous {
            text.push_str("\nAnybody may do this without a key: the policy of the bucket allows it.\n");
        }
        text.push_str(&found_beside(&found.live));
    }
    text
}

/// The statement as JSON, without resources that the request is not about.
fn statement(cited: &Cited, question: &Question) -> String {
    let cut = cited.cut_to(question);
    let left_out = cited.statement.resource.len() - cut.resource.len();
    let json = serde_json::to_string(&cut).unwrap_or_default();
    let json = match json.char_indices().nth(STATEMENT) {
        Some((end, _)) => format!("{}...", &json[..end]),
        None => json,
    };
    match left_out {
        0 => json,
        1 => format!("{json} and 1 resource more"),
        more => format!("{json} and {more} resources more"),
    }
}

fn until(end: Option<&Stamp>) -> String {
    end.map(|end| end.0.to_string()).unwrap_or_default()
}

/// The heading over where rows are from; none where only objects were asked.
fn described<R>(answer: &Answer<R>) -> &'static str {
    if answer.live.is_some() { "DESCRIBED" } else { "" }
}

fn mark(origin: Option<&Origin>) -> String {
    let Some(origin) = origin else { return String::new() };
    let keys: Vec<&str> = origin.conditions.iter().map(String::as_str).collect();
    let hangs = if keys.is_empty() { String::new() } else { format!(", if {} allow it", keys.join(", ")) };
    match (origin.managed, origin.source) {
        (true, "objects") => String::from("by objects"),
        (true, _) => format!("by objects, as a policy{hangs}"),
        (false, _) => format!("BY NO OBJECT{hangs}"),
    }
}

/// What else may give access, in words.
fn beside<R>(answer: &Answer<R>) -> String {
    match &answer.live {
        Some(live) => {
            let end = if answer.complete {
                "\nThis is everything but the root user of MinIO, who can do anything.\n"
            } else {
                "\nThis may not be everything.\n"
            };
            found_beside(live) + end
        }
        None => counted(answer.unmanaged),
    }
}

fn found_beside(live: &Live) -> String {
    let mut text = String::new();
    let mut paragraph = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            text.push_str(&format!("\n{title}\n"));
            lines.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
    };
    let differences = live.differences.iter().map(|told| format!("{} {}", told.user, told.detail));
    paragraph("Server and objects differ:", differences.collect());
    let keys = live.keys.iter().map(|key| {
        let end = key.until.as_ref().map_or("without an end".to_owned(), |end| format!("until {}", end.0));
        let confined = if key.confined { ", confined by a policy of its own" } else { "" };
        format!("{} of {}, {end}{confined}", key.access_key, key.user)
    });
    paragraph("Keys that no Secret names:", keys.collect());
    paragraph("Could not be read:", live.unread.iter().cloned().collect());
    text
}

/// What the controller has counted on the server beside what objects describe.
fn counted(unmanaged: Option<UnmanagedCounts>) -> String {
    let Some(counts) = unmanaged else {
        return "\nThe controller has not counted yet what else is on the server; --live asks the server itself.\n"
            .to_owned();
    };
    let parts = [(counts.users, "user"), (counts.groups, "group"), (counts.policies, "policy"), (counts.keys, "key")];
    let parts: Vec<String> = parts
        .into_iter()
        .filter_map(|(count, what)| Some((count.filter(|count| *count > 0)?, what)))
        .map(|(count, what)| match (count, what) {
            (1, what) => format!("1 {what}"),
            (count, "policy") => format!("{count} policies"),
            (count, what) => format!("{count} {what}s"),
        })
        .collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!(
            "\nOn the server, and described by no object: {}; --live says what of it gives access here.\n",
            parts.join(", ")
        ),
    }
}
