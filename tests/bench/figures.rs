//! Samples, their medians, and whether they are good enough.

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use serde_json::{Value, json};

/// So much of the details is shown beside a figure; all of them are in its file.
const BRIEF: usize = 400;

/// Durations of one thing.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// These.
    pub fn of(samples: Vec<Duration>) -> Self {
        Self(samples)
    }

    /// One more.
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// The duration that so many of a hundred samples do not exceed.
    fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        let last = sorted.len().checked_sub(1).expect("there are samples");
        sorted[(last * percent).div_ceil(100)]
    }

    /// The duration that half of the samples do not exceed.
    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// The duration that all but the longest hundredth do not exceed.
    pub fn p99(&self) -> Duration {
        self.percentile(99)
    }

    /// The longest of all; nothing where there are none.
    pub fn longest(&self) -> Duration {
        self.0.iter().copied().max().unwrap_or_default()
    }
}

/// Requests that some callers made at once.
pub struct Load {
    /// How many callers.
    pub callers: usize,
    /// How long each request took.
    pub samples: Samples,
    /// How long all of them took.
    pub took: Duration,
}

impl Load {
    fn per_second(&self) -> f64 {
        self.samples.0.len() as f64 / self.took.as_secs_f64()
    }
}

/// All results of a run.
pub struct Report {
    directory: PathBuf,
    passed: bool,
}

impl Report {
    /// Nothing measured yet.
    pub fn new() -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
        fs::create_dir_all(&directory).unwrap();
        println!("{:<58} {:>5} {:>17} {:>17} {:>13}", "", "N", "median (floor)", "p99 (floor)", "ratio");
        Self { directory, passed: true }
    }

    /// Durations beside those of the floor: at the median and at p99 at most so many times as long.
    pub fn compare(&mut self, name: &str, samples: &Samples, floor: &Samples, limit: f64, limit_p99: f64) {
        let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
        let at_median = ratio(samples.median(), floor.median());
        let at_p99 = ratio(samples.p99(), floor.p99());
        let passed = at_median <= limit && at_p99 <= limit_p99;
        println!(
            "{name:<58} {:>5} {:>8} ({:>6}) {:>8} ({:>6}) {at_median:>5.2} {at_p99:>6.2}  {}",
            samples.0.len(),
            shown(samples.median()),
            shown(floor.median()),
            shown(samples.p99()),
            shown(floor.p99()),
            verdict(passed)
        );
        self.note(
            name,
            passed,
            json!({
                "samples": samples.0.len(),
                "medianMilliseconds": milliseconds(samples.median()),
                "p99Milliseconds": milliseconds(samples.p99()),
                "floorMedianMilliseconds": milliseconds(floor.median()),
                "floorP99Milliseconds": milliseconds(floor.p99()),
                "ratioAtMedian": at_median,
                "ratioAtP99": at_p99,
                "limitAtMedian": limit,
                "limitAtP99": limit_p99,
            }),
        );
    }

    /// One duration beside that of the floor: at most so many times as long.
    pub fn once(&mut self, name: &str, took: Duration, floor: Duration, limit: f64) {
        let ratio = took.as_secs_f64() / floor.as_secs_f64();
        let passed = ratio <= limit;
        println!("{name:<58} {:>5} {:>8} ({:>6}) {ratio:>24.2}  {}", 1, shown(took), shown(floor), verdict(passed));
        let figures = json!({
            "milliseconds": milliseconds(took),
            "floorMilliseconds": milliseconds(floor),
            "ratio": ratio,
            "limit": limit,
        });
        self.note(name, passed, figures);
    }

    /// Durations none of which may exceed a limit.
    pub fn within(&mut self, name: &str, samples: &Samples, limit: Duration) {
        let longest = samples.longest();
        let passed = longest <= limit;
        let median = samples.median();
        println!(
            "{name:<58} {:>5} {:>8}            longest {:>8} (at most {})  {}",
            samples.0.len(),
            shown(median),
            shown(longest),
            shown(limit),
            verdict(passed)
        );
        let figures = json!({
            "samples": samples.0.len(),
            "medianMilliseconds": milliseconds(median),
            "longestMilliseconds": milliseconds(longest),
            "limitMilliseconds": milliseconds(limit),
        });
        self.note(name, passed, figures);
    }

    /// Durations that must not be exceeded at the median and at p99; without the former only at p99.
    pub fn percentiles(&mut self, name: &str, samples: &Samples, median: Option<Duration>, p99: Duration) {
        let passed = samples.p99() <= p99 && median.is_none_or(|limit| samples.median() <= limit);
        let at_median = median.map(|limit| format!(" (at most {})", shown(limit))).unwrap_or_default();
        println!(
            "{name:<58} {:>5} {:>8}{at_median}  p99 {:>8} (at most {})  {}",
            samples.0.len(),
            shown(samples.median()),
            shown(samples.p99()),
            shown(p99),
            verdict(passed)
        );
        let figures = json!({
            "samples": samples.0.len(),
            "medianMilliseconds": milliseconds(samples.median()),
            "p99Milliseconds": milliseconds(samples.p99()),
            "limitAtMedianMilliseconds": median.map(milliseconds),
            "limitAtP99Milliseconds": milliseconds(p99),
        });
        self.note(name, passed, figures);
    }

    /// Something that is told and not judged.
    pub fn tell(&mut self, name: &str, value: f64, unit: &str, details: Value) {
        println!("{name:<58} {value:>13.1} {unit} {}", brief(&details));
        self.note(name, true, json!({"value": value, "unit": unit, "details": details}));
    }

    /// Something that must not be exceeded.
    pub fn at_most(&mut self, name: &str, value: f64, limit: f64, unit: &str, details: Value) {
        let passed = value <= limit;
        let limits = format!("(at most {limit:.1} {unit})");
        println!("{name:<58} {value:>13.1} {unit} {limits} {}  {}", brief(&details), verdict(passed));
        self.note(name, passed, json!({"value": value, "limit": limit, "unit": unit, "details": details}));
    }

    /// Durations that must not be exceeded: at the median for one caller after the other, at p99 for many callers at once.
    pub fn latencies(&mut self, name: &str, alone: &Load, together: &Load, median: Duration, p99: Duration) {
        let passed = alone.samples.median() <= median && together.samples.p99() <= p99;
        println!(
            "{name:<58} {:>5} 1: {:>7} p99 {:>7} {:>6.0}/s   {}: {:>7} p99 {:>7} {:>6.0}/s  {}",
            together.samples.0.len(),
            shown(alone.samples.median()),
            shown(alone.samples.p99()),
            alone.per_second(),
            together.callers,
            shown(together.samples.median()),
            shown(together.samples.p99()),
            together.per_second(),
            verdict(passed)
        );
        let figures = |load: &Load| {
            json!({
                "callers": load.callers,
                "samples": load.samples.0.len(),
                "medianMilliseconds": milliseconds(load.samples.median()),
                "p99Milliseconds": milliseconds(load.samples.p99()),
                "requestsPerSecond": load.per_second(),
            })
        };
        let limits = json!({"medianMilliseconds": milliseconds(median), "p99Milliseconds": milliseconds(p99)});
        self.note(name, passed, json!({"alone": figures(alone), "together": figures(together), "limits": limits}));
    }

    /// A count that must not be exceeded.
    pub fn count(&mut self, name: &str, count: u64, limit: u64, details: Value) {
        let passed = count <= limit;
        println!("{name:<58} {count:>5} (at most {limit}) {details}  {}", verdict(passed));
        self.note(name, passed, json!({"count": count, "limit": limit, "details": details}));
    }

    /// How the process is to end.
    pub fn conclude(self) -> ExitCode {
        println!("figures are in {}", self.directory.display());
        if self.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn note(&mut self, name: &str, passed: bool, mut figures: Value) {
        self.passed &= passed;
        figures["name"] = json!(name);
        figures["passed"] = json!(passed);
        let file = name.replace([' ', ',', '/', '(', ')', ':'], "-").replace("--", "-");
        fs::write(self.directory.join(format!("{file}.json")), format!("{figures:#}\n")).unwrap();
    }
}

fn verdict(passed: bool) -> &'static str {
    if passed { "PASS" } else { "FAIL" }
}

/// What there is to see on a line.
fn brief(details: &Value) -> String {
    let text = details.to_string();
    if text.len() <= BRIEF { text } else { String::new() }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn shown(duration: Duration) -> String {
    format!("{:.1}ms", milliseconds(duration))
}
