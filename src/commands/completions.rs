//! `minio-manager completions`: what a shell completes.

use clap::{Command, ValueEnum};

use super::NAME;

/// The shells that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash, with its completions installed.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
}

/// The script that the shell reads.
pub fn script(mut command: Command, shell: Shell) -> String {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, NAME, &mut script);
    // It is made of names and help texts of ours.
    String::from_utf8_lossy(&script).into_owned()
}
