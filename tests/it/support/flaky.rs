//! An HTTP proxy that treats requests as a bad network does: it delays them, loses them before or after the server has seen
//! them, and sends them twice, at once or when they are long answered.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::random::Random;

/// More headers than this are no request.
const HEAD_LIMIT: u64 = 64 * 1024;
/// Both sides are given up when nothing moves for so long; streams say something every second.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// When a request comes late, in milliseconds after its answer.
const LATE: Range<usize> = 1000..5000;

/// What happens to requests, in percent of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The longest delay, in milliseconds.
    pub delay: usize,
    /// They never reach the server.
    pub lost: usize,
    /// The server acts on them, and its answer is lost.
    pub unanswered: usize,
    /// The server gets them twice.
    pub repeated: usize,
    /// Of those that write: the server gets them once more when the answer was given some seconds ago.
    pub late: usize,
}

/// Passes requests on to a server; ends with the process.
pub struct Flaky {
    address: SocketAddr,
    wire: Arc<Wire>,
}

struct Wire {
    server: SocketAddr,
    faults: Mutex<Faults>,
    random: Mutex<Random>,
    /// How many requests something happened to.
    hit: AtomicU64,
    /// How many requests are still to come late.
    to_come: AtomicUsize,
    /// How many requests have come late.
    late: AtomicU64,
}

/// What happens to one request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passed,
    Lost,
    Unanswered,
    Repeated,
    RepeatedLate(Duration),
}

impl Flaky {
    /// A proxy in front of `server`, harmless at first.
    pub fn start(server: SocketAddr, random: Random) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let random = Mutex::new(random);
        let (faults, hit, to_come, late) = Default::default();
        let wire = Arc::new(Wire { server, faults, random, hit, to_come, late });
        let passing = wire.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let wire = passing.clone();
                // Whatever breaks, breaks for the client, as on a network.
                thread::spawn(move || drop(wire.serve(client)));
            }
        });
        Self { address, wire }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this happens to requests.
    pub fn set(&self, faults: Faults) {
        *self.wire.faults.lock().unwrap() = faults;
    }

    /// How many requests were lost, unanswered or repeated.
    pub fn hit(&self) -> u64 {
        self.wire.hit.load(Ordering::Relaxed)
    }

    /// Whether nothing is left that comes late.
    pub fn is_quiet(&self) -> bool {
        self.wire.to_come.load(Ordering::Relaxed) == 0
    }

    /// How many requests have come late.
    pub fn late(&self) -> u64 {
        self.wire.late.load(Ordering::Relaxed)
    }
}

impl Wire {
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        client.set_read_timeout(Some(SILENCE_LIMIT))?;
        let mut input = BufReader::new(client.try_clone()?);
        let Some(request) = read_request(&mut input)? else { return Ok(()) };
        let (fate, delay) = self.choose(&request);
        thread::sleep(delay);
        if fate != Fate::Passed {
            self.hit.fetch_add(1, Ordering::Relaxed);
        }
        match fate {
            Fate::Lost => {}
            Fate::Passed => self.forward(&request, &client)?,
            Fate::Unanswered => self.forward(&request, io::sink())?,
            Fate::Repeated => {
                self.forward(&request, io::sink())?;
                self.forward(&request, &client)?;
            }
            Fate::RepeatedLate(pause) => {
                self.to_come.fetch_add(1, Ordering::Relaxed);
                let answered = self.forward(&request, &client).and_then(|()| client.shutdown(Shutdown::Both));
                thread::sleep(pause);
                let came = self.forward(&request, io::sink());
                self.late.fetch_add(u64::from(came.is_ok()), Ordering::Relaxed);
                self.to_come.fetch_sub(1, Ordering::Relaxed);
                return answered.and(came);
            }
        }
        client.shutdown(Shutdown::Both)
    }

    fn choose(&self, request: &[u8]) -> (Fate, Duration) {
        let faults = *self.faults.lock().unwrap();
        let mut random = self.random.lock().unwrap();
        let delay = Duration::from_millis(random.below(faults.delay + 1) as u64);
        let late = Duration::from_millis((LATE.start + random.below(LATE.len())) as u64);
        let chance = random.below(100);
        let fates = [
            (faults.lost, Fate::Lost),
            (faults.unanswered, Fate::Unanswered),
            (faults.repeated, Fate::Repeated),
            (if writes(request) { faults.late } else { 0 }, Fate::RepeatedLate(late)),
        ];
        let mut limit = 0;
        let fate = fates.into_iter().find(|(share, _)| {
            limit += share;
            chance < limit
        });
        let fate = fate.map_or(Fate::Passed, |(_, fate)| fate);
        (fate, delay)
    }

    /// One request on a connection of its own; what comes back goes on as it comes.
    fn forward(&self, request: &[u8], mut answer: impl Write) -> io::Result<()> {
        let mut server = TcpStream::connect(self.server)?;
        server.set_nodelay(true)?;
        server.set_read_timeout(Some(SILENCE_LIMIT))?;
        server.write_all(request)?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match server.read(&mut buffer)? {
                0 => return Ok(()),
                length => answer.write_all(&buffer[..length])?,
            }
        }
    }
}

/// Whether a request changes something.
fn writes(request: &[u8]) -> bool {
    !request.starts_with(b"GET ") && !request.starts_with(b"HEAD ")
}

/// A request with its body, told to be the last on its connection; none at the end of the connection.
fn read_request(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut length = 0;
    loop {
        let start = head.len();
        if input.by_ref().take(HEAD_LIMIT).read_until(b'\n', &mut head)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&head[start..]).trim_end().to_ascii_lowercase();
        if line.is_empty() {
            head.truncate(start);
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    head.extend_from_slice(b"connection: close\r\n\r\n");
    input.by_ref().take(length).read_to_end(&mut head)?;
    Ok(Some(head))
}
