//! `minio-manager openapi`: the OpenAPI document of the REST API.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::Failure;
use super::output;
use crate::rest::openapi;

/// The document cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct Error {
    path: PathBuf,
    source: io::Error,
}

/// Prints the document, or writes it into a file.
///
/// # Errors
/// When the file or the standard output cannot be written.
pub fn run(file: Option<&Path>) -> Result<(), Failure> {
    let text = openapi::text();
    match file {
        Some(file) => fs::write(file, text).map_err(|source| Error { path: file.to_owned(), source })?,
        None => output::print(&text)?,
    }
    Ok(())
}
