//! `minio-manager openapi`: the OpenAPI document of the REST API.

use std::path::Path;

use super::Failure;
use super::output;
use crate::rest::openapi;

/// Prints the document, or writes it into a file.
///
/// # Errors
/// When the file or the standard output cannot be written.
pub fn run(file: Option<&Path>) -> Result<(), Failure> {
    Ok(output::deliver(&openapi::text(), file)?)
}
