//! Entry point: crypto provider, then hand-over to the command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use minio_manager::commands;
use minio_manager::config::Environment;

fn main() -> ExitCode {
    // Only fails where a provider is installed already, and then that one serves.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    commands::main(std::env::args_os(), &Environment::process())
}
