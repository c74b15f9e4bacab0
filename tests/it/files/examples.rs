//! docs/clients.md, run: every example, in both pods, by somebody who may read and write one folder and nothing else.

use std::process::{Output, Stdio};
use std::time::Duration;

use super::document::{Example, environment, examples, mounted_at, pods};
use super::volume::Data;
use super::workplace::{Programs, Workplace};

/// Generous, because tests share a small machine.
const DEADLINE: Duration = Duration::from_secs(180);
/// The sections with something to run, and whether it needs the volume.
const SECTIONS: [(&str, bool); 8] = [
    ("boto3", false),
    ("s3fs and pandas", false),
    ("Polars", false),
    ("delta-rs", false),
    ("pyarrow", false),
    ("aws-cli", false),
    ("mc", true),
    ("DuckDB", true),
];
/// The extension of DuckDB comes from PyPI here; where it can, DuckDB gets it by itself.
const EXTENSION: &str = "import duckdb_extensions; duckdb_extensions.import_extension('httpfs')\n";

/// What an example does is over with its last line. Libraries that are torn down with threads of theirs still running may end
/// the process with a failure.
const LEAVE: &str = "\nimport os; os._exit(0)\n";

async fn run(work: &Workplace, example: &Example, text: &str, variables: &Data) -> Output {
    let (programs, prelude) = match example.section.as_str() {
        "boto3" | "aws-cli" => (Programs::Boto, ""),
        "DuckDB" => (Programs::Httpfs, EXTENSION),
        _ => (Programs::Data, ""),
    };
    let (program, options, postlude) =
        if example.language == "python" { ("python", "-c", LEAVE) } else { ("sh", "-euc", "") };
    let text = mounted_at(text, work.volume.path());
    let mut command = work.command(program, &[programs.folder()], variables);
    command.arg(options).arg(format!("{prelude}{text}{postlude}")).stdin(Stdio::null());
    let output = tokio::time::timeout(DEADLINE, command.output()).await;
    output.unwrap_or_else(|_| panic!("{} does not end:\n{text}", example.section)).unwrap()
}

#[tokio::test]
async fn every_example_works_in_both_pods() {
    let work = Workplace::start().await;
    let secret = work.secret().await;
    work.volume.lay_out(&secret);
    let examples = examples();
    let runnable: Vec<&Example> =
        examples.iter().filter(|example| ["python", "sh"].contains(&example.language.as_str())).collect();
    let mut sections: Vec<&str> = runnable.iter().map(|example| example.section.as_str()).collect();
    sections.dedup();
    assert_eq!(sections, SECTIONS.map(|(section, _)| section));
    let [with_volume, with_environment] = pods(work.volume.path());
    for (pod, is_mounted) in [(with_volume, true), (with_environment, false)] {
        let variables = environment(&pod, &secret);
        assert_eq!(variables.contains_key("AWS_SECRET_ACCESS_KEY"), !is_mounted);
        for example in &runnable {
            let needs_volume = SECTIONS.contains(&(&example.section, true));
            if needs_volume && !is_mounted {
                continue;
            }
            let output = run(&work, example, &example.text, &variables).await;
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}, mounted: {is_mounted}\n{}\n{said}", example.section, example.text);
        }
        let written = work.world.keys_below(&format!("{}/", Workplace::SHARED)).await;
        assert!(written.len() > SECTIONS.len(), "every client has written: {written:?}");
        work.tidy().await;
    }
}

/// The examples would also work for somebody who may do everything: here is what Bob may not.
#[tokio::test]
async fn beside_the_shared_folder_the_same_examples_fail() {
    let work = Workplace::start().await;
    let secret = work.secret().await;
    work.volume.lay_out(&secret);
    let variables = environment(&pods(work.volume.path())[0], &secret);
    for example in examples().iter().filter(|example| ["boto3", "delta-rs"].contains(&example.section.as_str())) {
        let elsewhere = example.text.replace("alice/results", "alice/diary");
        assert_ne!(elsewhere, example.text);
        let output = run(&work, example, &elsewhere, &variables).await;
        let said = String::from_utf8_lossy(&output.stderr);
        let refused = ["AccessDenied", "lacked the necessary privileges"].iter().any(|words| said.contains(words));
        assert!(!output.status.success() && refused, "{}:\n{said}", example.section);
    }
}
