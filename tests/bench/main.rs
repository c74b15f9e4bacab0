//! How long changes take to be in force, each figure beside its floor: the least that any controller would have to do, measured
//! in the same run against the same servers.
//!
//! `make bench` runs it on a release build. Figures go to the terminal and, one file a measurement, to `bench/*.json` in the
//! target directory. It ends with 1 where a requirement is missed. `make bench ONLY=rest` measures one part; `paced`, `scale-large`,
//! `audit`, `idle` and `soak` take long, and are measured only where they are asked for. `MINIO_MANAGER_BENCH_USERS`, `_ROUNDS`,
//! `_SECONDS` and `_MINUTES` make some of them smaller or larger (`settings.rs`); what is asked for holds for what they are otherwise.

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../it/support/mod.rs"]
mod support;

#[allow(dead_code, unused_imports, reason = "shared with the tests, which use all of it")]
#[path = "../it/files/mod.rs"]
mod files;

mod access;
mod audit;
mod burst;
mod figures;
mod floor;
mod idle;
mod installation;
mod issuing;
mod login;
mod memory;
mod refresh;
mod relist;
mod repair;
mod rest;
mod restart;
mod revocation;
mod rotating;
mod scale;
mod settings;
mod sharing;
mod soak;
mod takeover;

use std::process::ExitCode;

use figures::Report;

fn main() -> ExitCode {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let [memory::CHILD, part, size] = chosen.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        let _entered = runtime.enter();
        memory::measure_this(part, size);
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new();
    let asked_for = |name: &str| chosen.iter().any(|one| one == name);
    let wanted = |name: &str| chosen.is_empty() || asked_for(name);
    runtime.block_on(async {
        if wanted("sharing") {
            sharing::measure(&mut report).await;
        }
        if wanted("issuing") {
            issuing::measure(&mut report).await;
        }
        if wanted("rotating") {
            rotating::measure(&mut report).await;
        }
        if wanted("burst") {
            burst::measure(&mut report).await;
        }
        if wanted("restart") {
            restart::measure(&mut report).await;
        }
        if wanted("login") {
            login::measure(&mut report).await;
        }
        if wanted("access") {
            access::measure(&mut report);
        }
        if wanted("relist") {
            relist::measure(&mut report).await;
        }
        if wanted("memory") {
            memory::measure(&mut report);
        }
        if wanted("scale") {
            scale::measure(&mut report).await;
        }
        if wanted("takeover") {
            takeover::measure(&mut report).await;
        }
        if wanted("repair") {
            repair::measure(&mut report).await;
        }
        if wanted("revocation") {
            revocation::measure(&mut report).await;
        }
        if asked_for("paced") {
            scale::measure_paced(&mut report).await;
        }
        if asked_for("scale-large") {
            scale::measure_large(&mut report).await;
        }
        if asked_for("audit") {
            audit::measure(&mut report).await;
        }
        if asked_for("idle") {
            idle::measure(&mut report).await;
        }
        if asked_for("soak") {
            soak::measure(&mut report).await;
        }
        if wanted("rest") {
            rest::measure(&mut report).await;
        }
    });
    report.conclude()
}
