//! The MinIO client against a real MinIO: every call, with the errors that it is known for.

mod check;
mod groups;
mod keys;
mod mappings;
mod objects;
mod policies;
mod sessions;
mod trace;
mod users;

use std::collections::BTreeSet;

use minio_manager::minio::{Class, Client, Error, Secret};
use serde_json::{Value, json};

use crate::support::minio::{Server, unique};

fn client() -> Client {
    Server::shared().client()
}

fn set<T: AsRef<str>>(names: &[T]) -> BTreeSet<String> {
    names.iter().map(|name| name.as_ref().to_owned()).collect()
}

fn secret() -> Secret {
    minio_manager::minio::generate_secret()
}

/// A new enabled user.
async fn some_user(client: &Client) -> String {
    let name = unique("user");
    client.add_user(&name, &secret(), true).await.unwrap();
    name
}

/// A document that allows reading below `bucket`.
fn reading(bucket: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [format!("arn:aws:s3:::{bucket}/*")]}
    ]})
}

/// A new policy.
async fn some_policy(client: &Client) -> String {
    let name = unique("policy");
    client.put_policy(&name, reading("some").to_string()).await.unwrap();
    name
}

#[track_caller]
fn assert_error<T: std::fmt::Debug>(result: Result<T, Error>, class: Class, status: u16, code: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.class(), error.status(), error.code()), (class, Some(status), code), "{error}");
}
