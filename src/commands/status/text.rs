//! The installation at a glance, for people: what matters first, bounded everywhere.

use std::fmt::Write as _;

use super::judge::{Attention, State, ago};
use super::report::{Held, Minio, NotInForce, OfKind, Report, UnmanagedReport};
use crate::api::{ClaimState, UnmanagedCounts};
use crate::commands::output::Table;
use crate::commands::program;

/// How many lines of one sort are shown.
const SHOWN: usize = 10;
/// How much of a message is shown in a table, in characters.
const MESSAGE: usize = 120;

/// The report for people.
pub(super) fn of(report: &Report) -> String {
    let verdict = match report.attention.len() {
        0 => "all is well".to_owned(),
        1 => "1 thing needs somebody".to_owned(),
        more => format!("{more} things need somebody"),
    };
    let mut text = format!("minio-manager in namespace {}: {verdict}\n\n", report.namespace);
    text.push_str(&facts(report));
    text.push_str(&kinds(&report.objects));
    text.push_str(&not_in_force(&report.not_in_force));
    text.push_str(&report.held.as_ref().map(held).unwrap_or_default());
    text.push_str(&unmanaged(&report.unmanaged));
    text.push_str(&attention(&report.attention));
    text.push_str(&section("Notes", report.notes.iter().cloned()));
    text
}

/// A heading with its lines; nothing where there are none.
fn section(title: &str, lines: impl IntoIterator<Item = String>) -> String {
    let lines: String = lines.into_iter().map(|line| format!("  {line}\n")).collect();
    if lines.is_empty() { String::new() } else { format!("\n{title}:\n{lines}") }
}

/// The first of many, and how many more there are.
fn bounded(all: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let more = all.len().saturating_sub(SHOWN);
    let mut shown: Vec<String> = all.take(SHOWN).collect();
    if more > 0 {
        shown.push(format!("and {more} more (-o json has all)"));
    }
    shown
}

fn facts(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing into a text never fails.
        let _ = writeln!(text, "{name:<8}{value}");
    };
    line("MinIO", minio(&report.minio));
    line("", report.minio.ready.clone());
    line("Leader", report.leader.in_words.clone());
    line(
        "Mode",
        match report.mode {
            "observe" => "observe: it is said what would be done, and nothing is written".to_owned(),
            mode => mode.to_owned(),
        },
    );
    line("Audit", report.last_audit.map_or("not yet".to_owned(), |at| ago(at, report.now)));
    if report.minio.claim == Some(ClaimState::Foreign) {
        line("Claim", "another installation has claimed this MinIO".to_owned());
    }
    for missing in &report.minio.missing {
        line("Lacks", format!("{}: {}", missing.name, missing.cost));
    }
    text
}

fn minio(minio: &Minio) -> String {
    let endpoint = minio.endpoint.as_deref().unwrap_or("its address is not known");
    let version = minio.version.as_deref().map_or(String::new(), |version| format!(", version {version}"));
    let here = match minio.answers_here {
        None => "",
        Some(true) => "; answers here too",
        Some(false) => "; does not answer here",
    };
    format!("{endpoint}{version}{here}")
}

fn kinds(rows: &[OfKind]) -> String {
    let mut table = Table::new(["KIND", "TOTAL", "READY", "WAITING", "NOT READY", "PAUSED", "LOCKED"]);
    for row in rows.iter().filter(|row| row.total > 0) {
        let number = |number: usize| number.to_string();
        table.row([
            row.kind.to_string(),
            number(row.total),
            number(row.ready),
            number(row.waiting),
            number(row.not_ready),
            number(row.paused),
            number(row.locked),
        ]);
    }
    match rows.iter().any(|row| row.total > 0) {
        true => format!("\n{table}"),
        false => "\nThere are no objects yet.\n".to_owned(),
    }
}

fn not_in_force(rows: &[NotInForce]) -> String {
    let line = |row: &NotInForce| {
        let state = match row.state {
            State::NotReady => "",
            State::Waiting => "waits: ",
            State::Paused | State::Ready => "only watched: ",
        };
        let message = shorten(&row.message);
        match row.reason.as_str() {
            "" => format!("{}: {state}{message}", row.object),
            reason => format!("{}: {state}{reason}: {message}", row.object),
        }
    };
    section("Not in force", bounded(rows.iter().map(line)))
}

fn held(held: &Held) -> String {
    let mut lines = bounded(held.change.sample.iter().cloned());
    let told = held.change.sample.len();
    let more = usize::try_from(held.change.removals).unwrap_or(0).saturating_sub(told);
    if more > 0 {
        lines.push(format!("and {more} more that are not told of"));
    }
    lines.push(format!("If it is meant: {}", held.command));
    section(&format!("Held, because it is so much at once ({} removals)", held.change.removals), lines)
}

fn unmanaged(unmanaged: &UnmanagedReport) -> String {
    let mut lines = match &unmanaged.names {
        Some(names) => bounded(names.iter().map(|thing| format!("{} {}", thing.kind, thing.name))),
        None => unmanaged.counts.map(in_numbers).into_iter().flatten().collect(),
    };
    let keys = unmanaged.keys.iter().map(|keys| format!("{}: {}", keys.object, shorten(&keys.message)));
    let (is_empty, keys) = (lines.is_empty(), bounded(keys));
    lines.extend(keys);
    match &unmanaged.names {
        _ if is_empty => {}
        Some(_) => lines.push(format!("Manifests that take them over: {} status --manifests", program())),
        None => {
            let why = unmanaged.not_asked.as_deref().unwrap_or_default();
            lines.push(format!("Who they are only MinIO knows; {why}"));
        }
    }
    section("Only on MinIO, described by no object and left as it is", lines)
}

fn in_numbers(counts: UnmanagedCounts) -> Option<String> {
    let all =
        [("users", counts.users), ("groups", counts.groups), ("policies", counts.policies), ("keys", counts.keys)];
    let counted: Vec<String> =
        all.iter().filter_map(|(what, count)| Some(format!("{what}: {}", count.filter(|count| *count > 0)?))).collect();
    (!counted.is_empty()).then(|| counted.join(", "))
}

fn attention(all: &[Attention]) -> String {
    let lines = all.iter().flat_map(|Attention { what, remedy, .. }| [what.clone(), format!("-> {remedy}")]);
    section("Needs somebody", lines)
}

/// A message that fits on a line.
fn shorten(message: &str) -> String {
    let message: String = message.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    match message.char_indices().nth(MESSAGE) {
        None => message,
        Some((end, _)) => format!("{}...", message.get(..end).unwrap_or(&message)),
    }
}
