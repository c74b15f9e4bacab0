//! Subcommands, one file each.

pub mod crds;
