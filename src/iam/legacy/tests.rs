//! The documents of the legacy service, written by its own rules, and what becomes of them.
