use clap::Args as _;
use clap::FromArgMatches as _;

use super::*;

fn config() -> ControllerConfig {
    let command = ControllerArgs::augment_args(clap::Command::new("controller"));
    let flags = ["controller", "--metrics-listen=127.0.0.1:0", "--home-namespace=lake", "--lease=none"];
    let matches = command.get_matches_from(flags.iter().chain(&["--minio-endpoint=http://127.0.0.1:1"]));
    let args = ControllerArgs::from_arg_matches(&matches).unwrap();
    let environment = Environment::of([("MINIO_ACCESS_KEY", "manager"), ("MINIO_SECRET_KEY", "secret-key")]);
    ControllerConfig::resolve(args, &environment).unwrap()
}

#[tokio::test]
async fn the_stage_stands_before_the_controller_runs_and_falls_after_it() {
    let mut seen = None;
    let ended = staged(config(), |config, stage| {
        seen = Some(stage.clone());
        async move {
            assert_eq!(config.instance.home_namespace, "lake");
            assert!(stage.readiness.get().is_err());
            stage.shutdown.cancel();
            Ok::<(), std::io::Error>(())
        }
    });
    ended.await.unwrap();
    let stage = seen.unwrap();
    assert!(stage.shutdown.is_cancelled());
}

#[tokio::test]
async fn an_error_of_the_controller_ends_everything_with_it() {
    let failing = |_, _| async { Err::<(), _>(std::io::Error::other("watch broke")) };
    assert_eq!(staged(config(), failing).await.unwrap_err().to_string(), "watch broke");
}

#[tokio::test]
async fn a_taken_port_ends_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = ControllerConfig { metrics_listen: taken.local_addr().unwrap(), ..config() };
    let never = |_, _| async { Err::<(), _>(std::io::Error::other("started all the same")) };
    let error = staged(config, never).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot listen on 127.0.0.1:"), "{error}");
}
