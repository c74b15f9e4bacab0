//! Who asks: tokens against the real services where those can run here, and against faithful ones where they cannot.

mod chain;
mod hub;
pub mod issuer;
mod jupyterhub;
mod kbase;
mod kbase_server;
mod kubernetes;
mod oidc;
mod secrecy;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use axum::Router;
use clap::Parser;
use http::{HeaderMap, header};
use minio_manager::{
    config::{AuthArgs, AuthConfig, Environment, parse},
    iam::names::UserName,
    rest::auth::{AuthError, Authenticator, Caller},
};
use tokio::net::TcpListener;

use super::super::support::kube::install_crypto;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    auth: AuthArgs,
}

/// What a process with these variables is configured to do.
fn config(variables: &[(&str, &str)]) -> AuthConfig {
    let environment = Environment::of(variables.iter().copied());
    let cli: Cli = parse([OsString::from("tests")], &environment).unwrap();
    AuthConfig::resolve(cli.auth, &environment).unwrap()
}

/// The authenticator of a process with these variables and no cluster.
fn authenticator(variables: &[(&str, &str)]) -> Authenticator {
    install_crypto();
    Authenticator::new(config(variables), UserName::parse, None).unwrap()
}

/// Who the owner of a token is.
async fn asked(authenticator: &Authenticator, token: &str) -> Result<Caller, AuthError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    authenticator.authenticate(&headers).await.map(|caller| caller.expect("there is a token"))
}

fn caller(name: &str, admin: bool) -> Caller {
    Caller { user: UserName::parse(name).unwrap(), admin }
}

/// Serves on a port of its own until the test ends.
async fn serve(app: Router) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

/// Nobody listens there.
fn nowhere() -> String {
    format!("http://127.0.0.1:{}", super::super::support::kube::free_port())
}

/// A file that goes when dropped.
struct File(PathBuf);

impl File {
    fn new(content: &str) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("minio-manager-auth-{}-{number}.yaml", std::process::id()));
        fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        Path::to_str(&self.0).unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
