//! Flags, environment and the configuration file.
