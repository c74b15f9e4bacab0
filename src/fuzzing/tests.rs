//! A short run for every change: the committed corpus with the same mutations of it each time, and what long runs have grown.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{TARGETS, run};

/// Longest input that is made.
const LONGEST: usize = 8 << 10;

/// What is put into inputs, beside parts of other inputs.
const TOKENS: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "\n",
    "\0",
    "/",
    "//",
    "..",
    "*",
    "?",
    "${",
    "}",
    "s3a://",
    "--",
    "-ro",
    "null",
    "true",
    "-1",
    "0",
    "18446744073709551616",
    "1e400",
    "\\u0000",
    "\\ud800",
    "\u{202e}",
    "ä",
    "&amp;",
    "&#0;",
    "&x;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "<?xml",
    "%00",
    "%ff",
    "+",
    "9999-12-31T23:59:59Z",
];

/// Prints the input under which a target fails, so that it can become a part of the corpus.
struct Shown<'a> {
    target: &'a str,
    data: &'a [u8],
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the fuzz target {} fails on b\"{}\"", self.target, self.data.escape_ascii());
        }
    }
}

/// A generator whose every run is the same (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).expect("it is below a usize")
    }

    /// A range of at most `longest` bytes within `data`.
    fn range(&mut self, data: &[u8], longest: usize) -> std::ops::Range<usize> {
        let start = self.below(data.len() + 1);
        start..(start + self.below(longest + 1)).min(data.len())
    }

    /// `data` with one to four changes.
    fn mutate(&mut self, data: &[u8], corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut data = data.to_vec();
        for _ in 0..=self.below(4) {
            match self.below(6) {
                0 if !data.is_empty() => {
                    let at = self.below(data.len());
                    data[at] ^= 1 << self.below(8);
                }
                1 => {
                    let range = self.range(&data, 16);
                    data.drain(range);
                }
                2 => {
                    let range = self.range(&data, 64);
                    let (at, part) = (self.below(data.len() + 1), data[range].to_vec());
                    data.splice(at..at, part);
                }
                3 => {
                    let other = &corpus[self.below(corpus.len())];
                    let part = other[self.range(other, 256)].to_vec();
                    let range = self.range(&data, 64);
                    data.splice(range, part);
                }
                _ => {
                    let token = TOKENS[self.below(TOKENS.len())].bytes();
                    let range = self.range(&data, 4);
                    data.splice(range, token);
                }
            }
        }
        data.truncate(LONGEST);
        data
    }
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    inputs(&fuzz().join("corpus").join(target))
}

fn inputs(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "{} has hardly any file", folder.display());
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn try_with(target: &'static str, data: &[u8]) {
    let _shown = Shown { target, data };
    run(target, data);
}

/// Replays the corpus of a target, and this many mutations of it.
fn fire(target: &'static str, mutations: usize) {
    let corpus = corpus(target);
    for data in &corpus {
        try_with(target, data);
    }
    let mut chance = Chance(mutations as u64);
    for _ in 0..mutations {
        let start = &corpus[chance.below(corpus.len())];
        let data = chance.mutate(start, &corpus);
        try_with(target, &data);
    }
}

#[test]
fn any_text_is_a_path_or_a_name_or_refused() {
    fire("paths", 2_000);
}

#[test]
fn any_json_is_a_policy_or_refused() {
    fire("documents", 2_000);
}

#[test]
fn any_sealed_body_opens_or_is_refused() {
    fire("sealed", 150);
}

#[test]
fn any_answer_of_the_server_is_read_or_refused() {
    fire("answers", 10_000);
}

#[test]
fn any_trace_is_read_or_skipped() {
    fire("trace", 5_000);
}

#[test]
fn any_objects_are_indexed() {
    fire("objects", 1_000);
}

#[test]
fn any_configuration_is_safe_or_refused() {
    fire("config", 2_000);
}

/// `make fuzz` begins with all of them.
#[test]
fn one_in_ten_of_what_long_runs_have_grown_is_replayed() {
    let unpacked = std::env::temp_dir().join(format!("grown-{}", std::process::id()));
    std::fs::create_dir_all(&unpacked).unwrap();
    let mut tar = Command::new("tar");
    let tar = tar.arg("-xzf").arg(fuzz().join("grown.tar.gz")).arg("-C").arg(&unpacked).status().unwrap();
    assert!(tar.success(), "the archive cannot be unpacked");
    let grown = TARGETS.map(|(target, _)| (target, inputs(&unpacked.join(target))));
    std::fs::remove_dir_all(&unpacked).unwrap();
    std::thread::scope(|scope| {
        for (target, inputs) in &grown {
            scope.spawn(move || inputs.iter().step_by(10).for_each(|data| try_with(target, data)));
        }
    });
}

#[test]
fn every_target_has_its_corpus_and_its_program() {
    let fuzz = fuzz();
    for folder in ["corpus", "fuzz_targets"] {
        let entries = std::fs::read_dir(fuzz.join(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort();
        let mut targets = TARGETS.map(|(name, _)| name.to_owned());
        targets.sort();
        assert_eq!(names, targets, "{folder}");
    }
}
