//! The files that other programs than SDKs read: their syntax by the programs themselves, or by the rules that these document.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use jiff::Timestamp;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use super::document::examples;
use super::workplace::{Programs, Workplace};

/// The settings of S3A that Hadoop 3.5.0 (that of Spark 4.3) documents, of those that we use: all but the region in core-default.xml
/// (hadoop-common), the region in hadoop-aws, page tools/hadoop-aws/connecting.html.
const S3A: [&str; 7] = [
    "fs.s3a.access.key",
    "fs.s3a.aws.credentials.provider",
    "fs.s3a.connection.ssl.enabled",
    "fs.s3a.endpoint",
    "fs.s3a.endpoint.region",
    "fs.s3a.path.style.access",
    "fs.s3a.secret.key",
];

/// Reads a file as Spark does, which is as Java reads properties: a name ends with the first blank, `=` or `:`.
fn properties(text: &str) -> BTreeMap<&str, &str> {
    assert!(!text.contains('\\'), "a backslash would escape what follows it");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    let pairs = lines.map(|line| {
        let (name, value) = line.split_once([' ', '\t', '=', ':']).unwrap_or_else(|| panic!("no value: {line}"));
        let value = value.trim_start();
        (name, value.strip_prefix(['=', ':']).unwrap_or(value).trim_start())
    });
    pairs.collect()
}

#[tokio::test]
async fn spark_reads_settings_that_hadoop_documents() {
    let work = Workplace::start().await;
    let secret = work.secret().await;
    let settings = properties(&secret["spark-defaults.conf"]);
    let names: Vec<&str> =
        settings.keys().map(|name| name.strip_prefix("spark.hadoop.").expect("Spark hands it to Hadoop")).collect();
    assert_eq!(names, S3A);
    for (name, value) in [
        ("endpoint", secret["AWS_ENDPOINT_URL"].as_str()),
        ("endpoint.region", &secret["AWS_REGION"]),
        ("access.key", &secret["AWS_ACCESS_KEY_ID"]),
        ("secret.key", &secret["AWS_SECRET_ACCESS_KEY"]),
        ("path.style.access", "true"),
        ("connection.ssl.enabled", "false"),
        ("aws.credentials.provider", "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider"),
    ] {
        assert_eq!(settings[format!("spark.hadoop.fs.s3a.{name}").as_str()], value, "{name}");
    }
    let examples = examples();
    let of_spark =
        examples.iter().filter(|example| example.section == "Spark").flat_map(|spark| spark.text.split_whitespace());
    for word in of_spark.filter_map(|word| word.strip_prefix("spark.hadoop.")) {
        let (name, _) = word.split_once('=').expect("a setting has a value");
        assert!(S3A.contains(&name), "{name}");
    }
}

#[tokio::test]
async fn programs_are_told_to_ask_again_before_the_former_key_ends() {
    let work = Workplace::start().await;
    let secret = work.secret().await;
    let credential: Value = serde_json::from_str(&secret["credential.json"]).unwrap();
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let told = time(credential["Expiration"].as_str().expect("an end"));
    let view = work.world.view("MinioUser", "bob").await;
    let replaced = time(view.status("/credentials/nextRotationAt").as_str().expect("a next rotation"));
    // 24 hours is the overlap.
    assert_eq!(told.as_second(), replaced.as_second() + 24 * 60 * 60);
    assert!(told <= time(&secret["S3_EXPIRATION"]));
}

/// Whether DuckDB can use it with its extension is shown by the example of the document; here is what the newest DuckDB says,
/// for which the extension may not be there yet.
#[tokio::test]
async fn duckdb_parses_the_secret() {
    let work = Workplace::start().await;
    let text = work.secret().await["duckdb.sql"].clone();
    let damaged = [text.replacen(',', "", 1), text.replacen('\'', "", 1), text.replacen(')', "", 1)];
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/files/parse.py");
    let mut command = work.command("python", &[Programs::Data.folder()], &BTreeMap::new());
    let mut child = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let texts: Vec<&String> = [&text].into_iter().chain(&damaged).collect();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(&texts).unwrap()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said: Vec<[String; 2]> = serde_json::from_slice(&output.stdout).unwrap();
    let ([error, words], of_damaged) = said.split_first().expect("an answer for each");
    assert!(
        error == "InvalidInputException" && words.contains("it exists in the httpfs extension"),
        "{error}: {words}"
    );
    assert_eq!(of_damaged.len(), damaged.len());
    for [error, words] in of_damaged {
        assert_eq!(error, "ParserException", "{words}");
    }
}
