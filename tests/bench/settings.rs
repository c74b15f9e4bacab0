//! What a run can be told by its environment, such as to be a small one.

use std::{env, time::Duration};

/// How many users there are.
pub fn users(otherwise: usize) -> usize {
    number("MINIO_MANAGER_BENCH_USERS", otherwise)
}

/// How often each thing is measured.
pub fn rounds(otherwise: usize) -> usize {
    number("MINIO_MANAGER_BENCH_ROUNDS", otherwise)
}

/// How long somebody watches what happens while nothing happens.
pub fn seconds(otherwise: usize) -> Duration {
    Duration::from_secs(number("MINIO_MANAGER_BENCH_SECONDS", otherwise) as u64)
}

/// How long people go on changing things.
pub fn minutes(otherwise: usize) -> Duration {
    Duration::from_secs(60 * number("MINIO_MANAGER_BENCH_MINUTES", otherwise) as u64)
}

fn number(variable: &str, otherwise: usize) -> usize {
    match env::var(variable) {
        Ok(text) => match text.parse() {
            Ok(number @ 1..) => number,
            _ => panic!("{variable} is {text:?}, and not a number of at least 1"),
        },
        Err(_) => otherwise,
    }
}
