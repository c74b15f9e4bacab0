//! What the kernel tells of a process.

use std::{collections::BTreeSet, fs, time::Duration};

/// Ticks in a second, as the kernel counts them for programs, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// The state of a connection that is open, as the kernel writes it.
const ESTABLISHED: &str = "01";

/// What a process uses at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    /// Memory in use.
    pub resident_bytes: u64,
    /// Open files, sockets among them.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
    /// Open TCP connections.
    pub connections: u64,
    /// How long its threads have run since it began.
    pub processor: Duration,
}

impl Vitals {
    /// Those of a running process.
    pub fn of(process: u32) -> Self {
        let status = read(process, "status");
        let of_status = |name: &str| -> u64 {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells");
            value.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        let descriptors = descriptors(process);
        Self {
            resident_bytes: of_status("VmRSS:") << 10,
            descriptors: descriptors.len() as u64,
            threads: of_status("Threads:"),
            connections: connections(process, &descriptors),
            processor: processor(process),
        }
    }
}

/// What each open file of the process is.
fn descriptors(process: u32) -> Vec<String> {
    let open = fs::read_dir(format!("/proc/{process}/fd")).expect("the process runs");
    // One that is closed meanwhile is no longer open.
    open.flatten().filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string())).collect()
}

/// How many of these files are connections that are open.
fn connections(process: u32, descriptors: &[String]) -> u64 {
    let socket = |name: &String| Some(name.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    let sockets: BTreeSet<String> = descriptors.iter().filter_map(socket).collect();
    // The tables hold everybody's connections.
    let tables = read(process, "net/tcp") + &read(process, "net/tcp6");
    let is_ours = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(3) == Some(&ESTABLISHED) && fields.get(9).is_some_and(|inode| sockets.contains(*inode))
    };
    tables.lines().filter(is_ours).count() as u64
}

fn processor(process: u32) -> Duration {
    let stat = read(process, "stat");
    // The name of the program, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(") ").expect("the kernel tells");
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks = |place: usize| -> u64 { fields[place].parse().expect("a number") };
    Duration::from_secs_f64((ticks(11) + ticks(12)) as f64 / TICKS_PER_SECOND)
}

fn read(process: u32, name: &str) -> String {
    fs::read_to_string(format!("/proc/{process}/{name}")).expect("the process runs")
}
