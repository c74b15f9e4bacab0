//! Which test runs the commands below which heading, and which commands nothing runs. Whatever is in neither table fails.

use std::{collections::BTreeSet, fs, process::Command as Process};

use super::{
    blocks::{Command, blocks, commands_of, documents, is_shell},
    is_test, repository,
    story::programs,
};

/// What follows an install until its end, as the manual has it.
pub const MANUAL: &str = "documentation::operations::the_manual_is_followed_from_install_to_uninstall";
/// The way of who tries it from a checkout.
pub const FROM_A_SHELL: &str = "documentation::walks::who_starts_it_from_a_shell_gets_all_that_is_promised";
/// The manifests for Kustomize, and the identities in them.
pub const WITH_KUSTOMIZE: &str = "documentation::walks::kustomize_installs_identities_that_are_in_force";
/// The servers for development.
pub const STACK: &str = "documentation::walks::the_development_stack_does_what_its_page_says";
/// The steps of the guide for mc, and what replaces them.
pub const FROM_MC: &str = "documentation::from_mc::each_step_by_hand_has_the_same_effect_as_its_manifest";
/// What each command is for.
pub const COMMANDS: &str = "documentation::walks::every_command_does_what_its_page_says";
const CLIENTS: &str = "files::examples::every_example_works_in_both_pods";
const MIGRATION: &str = "import::a_legacy_installation_is_taken_over_and_back";

/// The test that runs all commands below a heading.
pub const RUN_BY: &[(&str, &str, &str)] = &[
    ("README.md", "Use it with your MinIO", FROM_A_SHELL),
    ("README.md", "In the cluster", MANUAL),
    ("README.md", "The REST API", FROM_A_SHELL),
    ("charts/minio-manager/README.md", "Install", MANUAL),
    ("charts/minio-manager/README.md", "Uninstall", MANUAL),
    ("deploy/dev/README.md", "Development stack", STACK),
    ("deploy/dev/README.md", "Cleaning up", STACK),
    ("deploy/kubernetes/README.md", "What a stolen token of the service is worth", WITH_KUSTOMIZE),
    ("deploy/kubernetes/README.md", "Is it in force?", WITH_KUSTOMIZE),
    ("deploy/kustomize/README.md", "Kustomize", WITH_KUSTOMIZE),
    ("docs/access.md", "Who can", FROM_A_SHELL),
    ("docs/access.md", "Why, and why not", FROM_A_SHELL),
    ("docs/access.md", "What is on the server beside", FROM_A_SHELL),
    ("docs/clients.md", "aws-cli", CLIENTS),
    ("docs/clients.md", "mc", CLIENTS),
    ("docs/commands.md", "Commands", COMMANDS),
    ("docs/commands.md", "controller", COMMANDS),
    ("docs/commands.md", "rest", COMMANDS),
    ("docs/commands.md", "all", COMMANDS),
    ("docs/commands.md", "check", COMMANDS),
    ("docs/commands.md", "status", COMMANDS),
    ("docs/commands.md", "lock", COMMANDS),
    ("docs/commands.md", "unlock", COMMANDS),
    ("docs/commands.md", "rotate", COMMANDS),
    ("docs/commands.md", "revoke", COMMANDS),
    ("docs/commands.md", "plan", COMMANDS),
    ("docs/commands.md", "access", COMMANDS),
    ("docs/commands.md", "import", COMMANDS),
    ("docs/commands.md", "release", COMMANDS),
    ("docs/commands.md", "completions", COMMANDS),
    ("docs/commands.md", "crds", COMMANDS),
    ("docs/commands.md", "openapi", COMMANDS),
    ("docs/commands.md", "vocabulary", COMMANDS),
    ("docs/deletion.md", "When MinIO is away, or something is in the way", FROM_A_SHELL),
    ("docs/deletion.md", "Uninstall", WITH_KUSTOMIZE),
    ("docs/from-mc.md", "Start", FROM_MC),
    ("docs/from-mc.md", "Create a policy", FROM_MC),
    ("docs/from-mc.md", "Create a user with a policy", FROM_MC),
    ("docs/from-mc.md", "Create a group with a policy", FROM_MC),
    ("docs/from-mc.md", "Disable a user", FROM_MC),
    ("docs/from-mc.md", "Enable a user", FROM_MC),
    ("docs/from-mc.md", "Disable a group", FROM_MC),
    ("docs/from-mc.md", "Enable a group", FROM_MC),
    ("docs/from-mc.md", "Change the policies of a user or a group", FROM_MC),
    ("docs/from-mc.md", "Change a policy", FROM_MC),
    ("docs/from-mc.md", "List users and groups", FROM_MC),
    ("docs/from-mc.md", "Find what nobody has declared", FROM_MC),
    ("docs/from-mc.md", "Configure mc for a user", FROM_MC),
    ("docs/from-mc.md", "Remove a user from a group", FROM_MC),
    ("docs/from-mc.md", "Remove users, groups and policies", FROM_MC),
    ("docs/gitops.md", "Argo CD", FROM_A_SHELL),
    ("docs/gitops.md", "What pruning does", FROM_A_SHELL),
    ("docs/migrate-from-mms.md", "1. Save what is there", MIGRATION),
    ("docs/migrate-from-mms.md", "2. Observe", MIGRATION),
    ("docs/migrate-from-mms.md", "3. Import", MIGRATION),
    ("docs/migrate-from-mms.md", "4. Repeat until you are content", MIGRATION),
    ("docs/migrate-from-mms.md", "5. Freeze, and switch", MIGRATION),
    ("docs/migrate-from-mms.md", "6. Let objects have the last word", MIGRATION),
    ("docs/migrate-from-mms.md", "The way back", MIGRATION),
    ("docs/operations.md", "Install", MANUAL),
    ("docs/operations.md", "Is it well?", MANUAL),
    ("docs/operations.md", "Lock somebody out", MANUAL),
    ("docs/operations.md", "Much would be taken away", MANUAL),
    ("docs/operations.md", "Upgrade", MANUAL),
    ("docs/operations.md", "Roll back", MANUAL),
    ("docs/operations.md", "Back up", MANUAL),
    ("docs/operations.md", "A snapshot of etcd was restored", MANUAL),
    ("docs/operations.md", "The namespace is gone", MANUAL),
    ("docs/operations.md", "Objects are gone", MANUAL),
    ("docs/operations.md", "Into an older state", MANUAL),
    ("docs/operations.md", "Into nothing", MANUAL),
    ("docs/operations.md", "The identity for MinIO", MANUAL),
    ("docs/operations.md", "Uninstall", MANUAL),
    ("docs/rest.md", "Start it", FROM_A_SHELL),
    ("docs/security.md", "Where secrets are", MANUAL),
    ("docs/security.md", "The controller's identity on MinIO", MANUAL),
    ("examples/jupyterhub/README.md", "Try it", FROM_A_SHELL),
];

/// Commands that no test can run: how they begin, and why. Their shell is parsed, and the flags that they use are looked up.
pub const NOT_RUN: &[(&str, &str, &str)] = &[
    ("README.md", "git clone", "a clone of this repository; `make test-demo` runs the demo"),
    ("README.md", "make demo", "`make test-demo` runs it"),
    ("README.md", "sudo apt-get", "changes the machine"),
    ("README.md", "make release", "builds for minutes; tests have a binary"),
    ("README.md", "alias", "a script has no aliases; tests have the binary in their PATH"),
    (
        "docs/clients.md",
        "spark-submit",
        "Spark is not among the programs of the tests, `docs/clients.md` says what was tried",
    ),
    ("docs/operations.md", "kubectl -n minio-manager logs", "no kubelet serves logs; the test reads them itself"),
    ("deploy/dev/README.md", "sudo apt-get", "changes the machine"),
    ("deploy/dev/README.md", "kind create", "needs containers"),
    ("deploy/dev/README.md", "KUBECONFIG=$PWD/kind.kubeconfig", "needs the cluster of kind"),
    ("deploy/dev/README.md", "eval \"$(KUBECONFIG=", "needs the cluster of kind"),
    ("deploy/dev/README.md", "rm -rf ~/.cache/minio-manager", "would take the tools from all other tests"),
    ("deploy/dev/README.md", "go clean", "would take what other projects have built"),
    ("examples/jupyterhub/README.md", "jupyterhub -f", "tests of jupyterhub:: start the hub with this file"),
];

/// Why a command is not run, if it is not.
pub fn why_not_run(command: &Command) -> Option<&'static str> {
    let row =
        NOT_RUN.iter().find(|(document, begin, _)| *document == command.document && command.text.starts_with(begin));
    row.map(|(_, _, why)| *why)
}

/// All commands that a test has to run.
pub fn to_run_by(test: &str) -> Vec<Command> {
    let is_its = |command: &Command| {
        RUN_BY
            .iter()
            .any(|(document, heading, by)| *by == test && *document == command.document && *heading == command.heading)
    };
    let all = documents().into_iter().flat_map(|document| commands_of(&document));
    all.filter(|command| is_its(command) && why_not_run(command).is_none()).collect()
}

#[test]
fn every_command_is_run_by_a_test_or_listed_with_the_reason() {
    let mut headings = BTreeSet::new();
    let mut begins = BTreeSet::new();
    for command in documents().iter().flat_map(|document| commands_of(document)) {
        let row =
            RUN_BY.iter().find(|(document, heading, _)| *document == command.document && *heading == command.heading);
        headings.extend(row.map(|(document, heading, _)| (*document, *heading)));
        let listed = NOT_RUN
            .iter()
            .filter(|(document, begin, _)| *document == command.document && command.text.starts_with(begin));
        begins.extend(listed.map(|(document, begin, _)| (*document, *begin)));
        let is_known = row.is_some() || why_not_run(&command).is_some();
        assert!(
            is_known,
            "{}: no test runs `{}`. Run it in the story of its document and add {:?} to RUN_BY in {}",
            command.place(),
            command.text,
            command.heading,
            file!()
        );
    }
    for &(document, heading, test) in RUN_BY {
        assert!(headings.contains(&(document, heading)), "RUN_BY: {document} has no commands below {heading:?}");
        assert!(is_test(test), "RUN_BY: {test} is no test");
    }
    for &(document, begin, why) in NOT_RUN {
        assert!(begins.contains(&(document, begin)), "NOT_RUN: {document} has no command {begin:?}");
        assert!(why.len() > 10);
    }
}

#[test]
fn every_block_says_what_it_is() {
    let known = ["yaml", "json", "python", "text"];
    let mut found = BTreeSet::new();
    for block in documents().iter().flat_map(|document| blocks(document)) {
        let language = block.language.as_str();
        assert!(
            is_shell(&block) || known.contains(&language),
            "{}:{}: no test knows what {language:?} is",
            block.document,
            block.line
        );
        found.insert(block.language);
    }
    assert!(found.len() > 4, "blocks were found: {found:?}");
}

#[test]
fn what_is_not_run_could_be() {
    let listed = documents().into_iter().flat_map(|document| commands_of(&document));
    for command in listed.filter(|command| why_not_run(command).is_some()) {
        let parsed = Process::new("bash").args(["-n", "-c", &command.text]).output().unwrap();
        let said = String::from_utf8_lossy(&parsed.stderr).into_owned();
        assert!(parsed.status.success() && said.is_empty(), "{}: {said}", command.place());
        for part in command.text.split(['|', '&', ';']) {
            assert_known(&command, part.trim());
        }
    }
}

/// Fails where a program, a target or a version that a command names does not exist.
#[track_caller]
fn assert_known(command: &Command, part: &str) {
    let words: Vec<&str> = part.split_whitespace().collect();
    match words.as_slice() {
        ["make", target, ..] => {
            let makefile = fs::read_to_string(repository().join("Makefile")).unwrap();
            assert!(makefile.contains(&format!("\n{target}:")), "{}: no target {target}", command.place());
        }
        ["alias", rest] => {
            let toolchain = fs::read_to_string(repository().join("rust-toolchain.toml")).unwrap();
            let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap();
            let folder = format!("/rustc-{}/release/", channel.trim_matches('"'));
            assert!(rest.contains(&folder), "{}: make release writes into {folder}", command.place());
        }
        ["kubectl", ..] => {
            let [options, subcommand] = [true, false].map(|is_option| {
                let mut skip = false;
                words[1..]
                    .iter()
                    .filter(|word| {
                        let of_namespace = std::mem::replace(&mut skip, **word == "-n");
                        !of_namespace && **word != "-n" && word.starts_with('-') == is_option
                    })
                    .copied()
                    .collect::<Vec<&str>>()
            });
            let help =
                Process::new("kubectl").args([subcommand[0], "--help"]).env("PATH", programs()).output().unwrap();
            let help = String::from_utf8(help.stdout).unwrap();
            assert!(help.contains("Usage:"), "{}: no subcommand {}", command.place(), subcommand[0]);
            for option in options {
                let name = option.split('=').next().unwrap();
                assert!(help.contains(&format!("{name}=")), "{}: no option {name}", command.place());
            }
        }
        _ => {}
    }
}
