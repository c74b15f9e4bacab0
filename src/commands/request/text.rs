//! What a request has brought about, for people.

use super::Report;
use crate::commands::program;

/// The report for people: what was done, and how that is known.
pub(super) fn of(report: &Report) -> String {
    let mut text = format!("{} {}/{} {}\n", report.kind, report.namespace, report.name, headline(report));
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<8}{value}\n"));
    match report.seconds {
        Some(seconds) => line("status", &format!("{} (after {seconds:.1} s)", report.status)),
        None => line("status", &format!("{}, when it was asked for", report.status)),
    }
    key(report, &mut line);
    report.minio.iter().for_each(|says| line("MinIO", says));
    report.notes.iter().for_each(|note| line("note", note));
    if let Some(undo) = &report.undo {
        line("undo", &format!("{} {undo}", program()));
    }
    text
}

fn headline(report: &Report) -> String {
    let why = report.value.as_deref().unwrap_or_default();
    match (report.request, report.carried_out) {
        ("lock", true) => format!("is locked: {why}"),
        ("lock", false) => format!("is to be locked: {why}"),
        ("unlock", true) => "is no longer locked".to_owned(),
        ("unlock", false) => "is to be unlocked".to_owned(),
        ("rotate", true) => "has a new key".to_owned(),
        ("rotate", false) => "is to get a new key".to_owned(),
        (_, true) => "has lost every former key and session".to_owned(),
        (_, false) => "is to lose every key and session".to_owned(),
    }
}

fn key(report: &Report, line: &mut impl FnMut(&str, &str)) {
    let Some(credentials) = &report.credentials else { return };
    if let (Some(id), Some(secret)) = (&credentials.access_key, &credentials.secret_name) {
        let until = credentials.expires_at.as_ref().map_or(String::new(), |end| format!(", until {}", end.0));
        line("key", &format!("{id} in Secret {}/{secret}{until}", report.namespace));
    }
    if let Some(former) = &report.former_key {
        let lives_on = credentials.previous_expires_at.as_ref().filter(|_| report.request == "rotate");
        match lives_on {
            Some(end) => line("former", &format!("{former} works until {}", end.0)),
            None => line("former", &format!("{former} has ended")),
        }
    }
}
