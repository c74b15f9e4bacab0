//! How commands print: tables for people, JSON and YAML for programs, progress on a terminal only.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::OutputFormat;

/// Why a result could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Standard output is gone.
    #[error("cannot write to standard output")]
    Write(#[from] io::Error),
    /// The file that was asked for cannot be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The result has no JSON form.
    #[error("cannot write the result as JSON")]
    Json(#[from] serde_json::Error),
    /// The result has no YAML form.
    #[error("cannot write the result as YAML")]
    Yaml(#[from] serde_saphyr::SerializeError),
}

/// Writes text to standard output. A reader that has seen enough (`| head`) is no error.
///
/// # Errors
/// Standard output cannot be written.
pub fn print(text: &str) -> Result<(), OutputError> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes text into a file, or to standard output where none is named.
///
/// # Errors
/// The file or standard output cannot be written.
pub fn deliver(text: &str, file: Option<&Path>) -> Result<(), OutputError> {
    let Some(path) = file else { return print(text) };
    fs::write(path, text).map_err(|source| OutputError::File { path: path.to_owned(), source })
}

/// A result in the form that was asked for; `table` makes the one for people.
///
/// # Errors
/// The result has no such form.
pub fn render<T: Serialize>(
    result: &T,
    format: OutputFormat,
    table: impl FnOnce(&T) -> String,
) -> Result<String, OutputError> {
    match format {
        OutputFormat::Table => Ok(table(result)),
        OutputFormat::Json => Ok(serde_json::to_string_pretty(result)? + "\n"),
        OutputFormat::Yaml => Ok(serde_saphyr::to_string(result)?),
    }
}

/// A table: columns as wide as their widest cell, two blanks between them, none at the end of a line.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_owned).to_vec()] }
    }

    /// Adds a row. Line breaks within a cell become blanks.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| cell.replace(['\n', '\r', '\t'], " ")).to_vec());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// What a long command is doing, on one line of a terminal; silent everywhere else.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
}

impl Progress {
    /// Shows progress if standard error is a terminal.
    pub fn on_terminal() -> Self {
        Self { terminal: io::stderr().is_terminal() }
    }

    /// Replaces what is shown.
    pub fn say(&self, what: &str) {
        if self.terminal {
            eprint!("\r\x1b[K{what} ...");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Row {
        check: &'static str,
        remedy: Option<&'static str>,
    }

    const ROWS: [Row; 2] = [Row { check: "clock", remedy: None }, Row { check: "tls: yes", remedy: Some("a\nb") }];

    #[test]
    fn programs_get_json_and_yaml() {
        let json = render(&ROWS, OutputFormat::Json, |_| String::new()).unwrap();
        let yaml = render(&ROWS, OutputFormat::Yaml, |_| String::new()).unwrap();
        let from_json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let from_yaml: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(from_json, serde_json::to_value(ROWS).unwrap());
        assert_eq!(from_yaml, from_json);
        assert!(json.ends_with("]\n"));
    }

    #[test]
    fn tables_align_and_have_no_trailing_blanks() {
        let mut table = Table::new(["CHECK", "LEVEL", ""]);
        table.row(["connection".to_owned(), "ok".to_owned(), String::new()]);
        table.row(["é".to_owned(), "fail".to_owned(), "two\nlines".to_owned()]);
        assert_eq!(table.to_string(), "CHECK       LEVEL\nconnection  ok\né           fail   two lines\n");
    }
}
