use super::*;

fn exit_code(arguments: &[&str]) -> ExitCode {
    let arguments = std::iter::once("minio-manager").chain(arguments.iter().copied()).map(OsString::from);
    main(arguments, &Environment::default())
}

#[test]
fn exit_codes_tell_success_errors_and_usage_apart() {
    assert_eq!(exit_code(&["--version"]), ExitCode::SUCCESS);
    assert_eq!(exit_code(&["crds", "--help"]), ExitCode::SUCCESS);
    assert_eq!(exit_code(&["crds", "--out", "/proc/nowhere"]), ExitCode::FAILURE);
    assert_eq!(exit_code(&["crds", "--no-such-flag"]), ExitCode::from(2));
    assert_eq!(exit_code(&[]), ExitCode::from(2));
}

#[test]
fn the_command_line_is_well_formed() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}
