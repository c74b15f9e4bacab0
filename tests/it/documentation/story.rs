//! Somebody who types what the documents say, command by command, in a folder with a copy of what they name.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::{Command as Process, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    blocks::{Command, commands_of},
    coverage::{RUN_BY, to_run_by, why_not_run},
    repository,
};
use crate::support::{kube::tool, minio::unique, program::Program, world::PATIENCE};

/// What of the repository the documents name.
const NAMED: [&str; 3] = ["charts", "deploy", "examples"];
/// What makes a failure one that the document tells of: a comment in the command itself.
const OR: &str = "# or: ";
/// Where a command leaves the variables that it has set.
const DECLARED: &str = ".declared";
const PAUSE: Duration = Duration::from_millis(200);

/// Where a shell finds the programs that the documents use.
pub fn programs() -> String {
    let folder = |path: &Path| path.parent().expect("a program has a folder").display().to_string();
    let tools = [("kubectl", "KUBECTL"), ("helm", "HELM"), ("mc", "MC")]
        .map(|(name, variable)| folder(&tool(name, &format!("MINIO_MANAGER_{variable}_BIN"))));
    format!("{}:{}:/usr/bin:/bin", folder(Path::new(env!("CARGO_BIN_EXE_minio-manager"))), tools.join(":"))
}

/// A shell in a folder, and what was typed there.
pub struct Story {
    test: &'static str,
    directory: PathBuf,
    environment: BTreeMap<String, String>,
    /// What stands in the documents, and what is meant here.
    meanings: Vec<(String, String)>,
    /// Commands that later ones count on: variables and functions.
    remembered: String,
    /// Where the commands stand that were run, and their texts.
    places: BTreeSet<String>,
    texts: BTreeSet<String>,
    /// Programs that do not end by themselves, by their subcommand.
    running: BTreeMap<String, Program>,
}

impl Story {
    /// A shell that finds this kubeconfig, for the test of this name in [`RUN_BY`].
    pub fn begin(test: &'static str, kubeconfig: Option<&Path>) -> Self {
        let directory = env::temp_dir().join(unique("minio-manager-story"));
        fs::create_dir_all(&directory).unwrap();
        for folder in NAMED {
            let copied = Process::new("cp").arg("-a").arg(repository().join(folder)).arg(&directory).status();
            assert!(copied.unwrap().success());
        }
        let mut environment = BTreeMap::from([
            ("PATH".to_owned(), programs()),
            ("HOME".to_owned(), directory.display().to_string()),
            // The programs share the machine's ports with others.
            ("LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("METRICS_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("LOG_FORMAT".to_owned(), "json".to_owned()),
        ]);
        environment.extend(kubeconfig.map(|path| ("KUBECONFIG".to_owned(), path.display().to_string())));
        Self {
            test,
            directory,
            environment,
            meanings: Vec::new(),
            remembered: String::new(),
            places: BTreeSet::new(),
            texts: BTreeSet::new(),
            running: BTreeMap::new(),
        }
    }

    /// A folder with a copy of what the documents name, and no story.
    pub fn aside() -> Self {
        Self::begin("", None)
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Sets a variable.
    pub fn set(&mut self, variable: &str, value: &str) {
        self.environment.insert(variable.to_owned(), value.to_owned());
    }

    /// Says what is meant by something that stands in the documents, from now on.
    pub fn means(&mut self, text: &str, here: &str) {
        self.meanings.insert(0, (text.to_owned(), here.to_owned()));
    }

    /// The commands below a heading that are to be run.
    pub fn commands(&self, document: &str, heading: &str) -> Vec<Command> {
        assert!(RUN_BY.contains(&(document, heading, self.test)), "{document}: {heading} is another test's");
        let below = commands_of(document).into_iter().filter(|command| command.heading == heading);
        let commands: Vec<Command> = below.filter(|command| why_not_run(command).is_none()).collect();
        assert!(!commands.is_empty(), "{document} has no commands below {heading:?}");
        commands
    }

    /// Runs all commands below a heading, and answers what each wrote.
    pub fn run(&mut self, document: &str, heading: &str) -> Vec<String> {
        self.commands(document, heading).iter().map(|command| self.run_command(command)).collect()
    }

    /// Runs one command.
    pub fn run_command(&mut self, command: &Command) -> String {
        let text = self.note(command);
        let starts =
            ["controller", "rest", "all"].into_iter().find(|name| text.starts_with(&format!("minio-manager {name} ")));
        if let Some(name) = starts {
            self.start(name, &text);
            return String::new();
        }
        let names = assigned(&text);
        let keeping = if names.is_empty() { String::new() } else { format!("\ndeclare -p {names} > {DECLARED}") };
        let (ended, stdout, stderr) = self.script(&format!("{text}{keeping}"));
        let foreseen =
            text.split_once(OR).is_some_and(|(_, said)| stderr.contains(said.lines().next().unwrap().trim()));
        assert!(ended || foreseen, "{}\n$ {text}\n{stdout}\n{stderr}", command.place());
        if !names.is_empty() {
            self.remembered.push_str(&fs::read_to_string(self.path(DECLARED)).unwrap());
        } else if text.starts_with("eval ") || text.contains("() {") {
            self.remembered.push_str(&text);
            self.remembered.push('\n');
        }
        stdout
    }

    /// Runs the commands below a heading, which must fail and say why, as soon as what they ask for is in force.
    pub fn run_in_vain(&mut self, document: &str, heading: &str, why: &str) {
        for command in self.commands(document, heading) {
            let text = self.note(&command);
            let deadline = Instant::now() + PATIENCE;
            loop {
                let (ended, stdout, stderr) = self.script(&text);
                if !ended && stderr.contains(why) {
                    break;
                }
                assert!(Instant::now() < deadline, "{}\n$ {text}\n{stdout}\n{stderr}", command.place());
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// The commands below a heading are those that were run already, word by word.
    pub fn repeats(&mut self, document: &str, heading: &str) {
        for command in self.commands(document, heading) {
            let text = meaning(&self.meant(&command.text));
            assert!(self.texts.contains(&text), "{}: this was not run yet, or otherwise: {text}", command.place());
            self.places.insert(command.place());
        }
    }

    /// Runs what stands in no document.
    #[track_caller]
    pub fn shell(&self, script: &str) -> String {
        let (ended, stdout, stderr) = self.script(script);
        assert!(ended, "$ {script}\n{stdout}\n{stderr}");
        stdout
    }

    /// Runs what stands in no document again and again, until what it writes is as wanted.
    #[track_caller]
    pub fn until(&self, script: &str, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (_, stdout, stderr) = self.script(script);
            if stdout.trim() == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "not {wanted:?}\n$ {script}\n{stdout}\n{stderr}");
            std::thread::sleep(PAUSE);
        }
    }

    /// Ends a program that a command has started.
    pub fn end(&mut self, name: &str) {
        let program = self.running.remove(name).expect("it runs");
        assert!(program.terminate().success());
    }

    /// Fails unless every command that is this story's was run.
    pub fn finish(self) {
        let commands = to_run_by(self.test);
        assert!(!commands.is_empty(), "{} runs nothing", self.test);
        let missing: Vec<String> =
            commands.iter().map(Command::place).filter(|place| !self.places.contains(place)).collect();
        assert!(missing.is_empty(), "these commands were not run: {missing:#?}");
    }

    /// What a command means here; it counts as run.
    fn note(&mut self, command: &Command) -> String {
        let text = self.meant(&command.text);
        self.places.insert(command.place());
        self.texts.insert(meaning(&text));
        text
    }

    fn meant(&self, text: &str) -> String {
        self.meanings.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
    }

    fn script(&self, text: &str) -> (bool, String, String) {
        let output = self.shell_with(text).stdin(Stdio::null()).output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.success(), stdout, stderr)
    }

    fn shell_with(&self, text: &str) -> Process {
        let mut shell = Process::new("bash");
        // What earlier commands wrote was seen then.
        let before = format!("{{ {}:; }} > /dev/null 2>&1\n", self.remembered);
        shell.args(["-euo", "pipefail", "-c", &format!("{before}{text}")]);
        shell.current_dir(&self.directory).env_clear().envs(&self.environment);
        shell
    }

    /// Starts a program that does not end by itself, in the place of the one before, and waits until it answers.
    fn start(&mut self, name: &str, text: &str) {
        drop(self.running.remove(name));
        let directory = self.directory.join(unique(name));
        fs::create_dir(&directory).unwrap();
        let command = self.shell_with(&format!("exec {text}"));
        let mut program = Program::start(command, &directory, &directory.join("stdout"), directory.join("stderr"));
        let address = program.says(|log| {
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.filter_map(|line| line["metrics"].as_str().map(str::to_owned)).next()
        });
        self.shell(&format!("curl --silent --show-error --fail --max-time 30 http://{address}/live"));
        self.running.insert(name.to_owned(), program);
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        self.running.clear();
        if std::thread::panicking() {
            eprintln!("the files are in {}", self.directory.display());
        } else {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// The variables that a command sets in the shell itself: `NAME=value`, `export NAME=value NAME=value`.
fn assigned(text: &str) -> String {
    let (words, most) = match text.strip_prefix("export ") {
        Some(words) => (words, usize::MAX),
        None => (text, 1),
    };
    let name = |word: &str| {
        let (name, _) = word.split_once('=')?;
        let is_name = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
        is_name.then(|| name.to_owned())
    };
    let names: Vec<String> = words.split_whitespace().take(most).map_while(name).collect();
    names.join(" ")
}

/// A command without comments, and with single blanks.
fn meaning(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_once(" #").map_or(line, |(before, _)| before));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).filter(|word| *word != "\\").collect();
    words.join(" ")
}
