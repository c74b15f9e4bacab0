use std::collections::BTreeSet;

use super::*;

/// The page of all commands.
const PAGE: &str = include_str!("../../docs/commands.md");

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
    Cli::command().debug_assert();
}

/// Every command that can be typed, with what it is for: those with questions by their questions.
fn commands(command: &clap::Command, before: &str) -> Vec<(String, clap::Command)> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    below
        .flat_map(|below| {
            let name = format!("{before}{}", below.get_name());
            match below.has_subcommands() {
                true => commands(below, &format!("{name} ")),
                false => vec![(name, below.clone())],
            }
        })
        .collect()
}

#[test]
fn the_page_of_the_commands_lists_all_of_them_in_their_own_words() {
    let rows: BTreeSet<String> = PAGE.lines().filter(|line| line.starts_with("| [`")).map(str::to_owned).collect();
    let expected: BTreeSet<String> = commands(&Cli::command(), "")
        .iter()
        .map(|(name, command)| {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let anchor = name.split(' ').next().unwrap_or_default();
            format!("| [`{name}`](#{anchor}) | {about} |")
        })
        .collect();
    assert_eq!(rows, expected);
}

/// What stands below a heading of the page, up to the next one.
fn section(heading: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    rest.split("\n## ").next().unwrap_or(rest)
}

#[test]
fn every_command_has_a_section_with_an_example_and_flags_that_exist() {
    for (name, command) in commands(&Cli::command(), "") {
        let section = section(name.split(' ').next().unwrap_or_default());
        assert!(section.contains(&format!("minio-manager {name}")), "{name} has no example");
        let known: BTreeSet<String> =
            command.get_arguments().filter_map(|flag| Some(format!("--{}", flag.get_long()?))).collect();
        let text = section.split('`').skip(1).step_by(2);
        for flag in text.filter_map(|code| code.split([' ', '=']).next()).filter(|code| code.starts_with("--")) {
            let of_another = commands(&Cli::command(), "")
                .iter()
                .filter(|(other, _)| other.split(' ').next() == name.split(' ').next())
                .any(|(_, other)| other.get_arguments().any(|held| held.get_long() == flag.strip_prefix("--")));
            assert!(known.contains(flag) || of_another, "{name}: there is no {flag}");
        }
    }
}

#[test]
fn a_plugin_of_kubectl_is_called_as_people_type_it() {
    let arguments = ["/usr/bin/kubectl-minio_manager", "crds", "--no-such-flag"].map(OsString::from);
    let Err(ParseError::Usage(error)) = config::parse::<Cli>(arguments, &Environment::default()) else {
        panic!("the flag does not exist")
    };
    assert!(error.to_string().contains("Usage: kubectl minio-manager crds"), "{error}");
    let arguments = ["/usr/bin/minio-manager", "crds", "--no-such-flag"].map(OsString::from);
    let Err(ParseError::Usage(error)) = config::parse::<Cli>(arguments, &Environment::default()) else {
        panic!("the flag does not exist")
    };
    assert!(error.to_string().contains("Usage: minio-manager crds"), "{error}");
}

#[test]
fn completions_know_the_commands_and_their_flags() {
    for shell in [completions::Shell::Bash, completions::Shell::Zsh, completions::Shell::Fish] {
        let script = completions::script(Cli::command(), shell);
        for known in ["status", "unlock", "no-wait", "manifests"] {
            assert!(script.contains(known), "{shell:?} knows {known}");
        }
    }
}
