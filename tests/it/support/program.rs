//! A program under test as a child process: its log in files, its end with the test's.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use super::vitals::Vitals;

const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// How much of a log a failed test shows, in lines.
const SHOWN_LINES: usize = 60;

/// What `make test` says about memory holds for programs, too, which else know nothing of the environment of the tests.
const ALLOCATOR: &str = "GLIBC_TUNABLES";

/// Kills the program when the test process has ended, however that came, and removes its files.
const WATCH: &str = r#"trap '' INT; cat > /dev/null; kill -9 "$1" 2> /dev/null; rm -rf "$2""#;

/// A program that runs. Dropped, it is killed.
pub struct Program {
    child: Child,
    /// Kills the program when its input ends.
    watchdog: Child,
    stderr: PathBuf,
}

impl Program {
    /// Starts a program whose output goes to the two files, both below `directory`.
    pub fn start(mut command: Command, directory: &Path, stdout: &Path, stderr: PathBuf) -> Self {
        command.stdin(Stdio::null()).stdout(File::create(stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        if let Some(tunables) = env::var_os(ALLOCATOR) {
            command.env(ALLOCATOR, tunables);
        }
        let child = command.spawn().unwrap();
        let watchdog = Command::new("sh")
            .args(["-c", WATCH, "watchdog", &child.id().to_string()])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, watchdog, stderr }
    }

    /// Waits until the log says something.
    pub fn says<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let log = fs::read_to_string(&self.stderr).unwrap_or_default();
            if let Some(found) = read(&log) {
                return found;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the program ended with {status}:\n{log}");
            }
            assert!(Instant::now() < deadline, "the program does not say what the test waits for:\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether it has not ended by itself.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it uses now.
    #[allow(dead_code, reason = "measured by the benchmarks")]
    pub fn vitals(&self) -> Vitals {
        Vitals::of(self.child.id())
    }

    /// Sends it a signal, such as `-STOP`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Asks it to end and waits until it has.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal("-TERM");
        let deadline = Instant::now() + STOP_TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the program does not end within {STOP_TIMEOUT:?} of SIGTERM");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Its target is gone, and the number may be somebody else's soon.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
    }
}

/// The last lines of a text.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}
