//! An HTTP proxy that treats requests as a bad network does: it delays them, loses them before or after the server has seen
//! them, and sends them twice.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use super::random::Random;

/// More headers than this are no request.
const HEAD_LIMIT: u64 = 64 * 1024;
/// Both sides are given up when nothing moves for so long; streams say something every second.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

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
}

/// What happens to one request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passed,
    Lost,
    Unanswered,
    Repeated,
}

impl Flaky {
    /// A proxy in front of `server`, harmless at first.
    pub fn start(server: SocketAddr, random: Random) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (faults, random) = (Mutex::default(), Mutex::new(random));
        let wire = Arc::new(Wire { server, faults, random, hit: AtomicU64::new(0) });
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
}

impl Wire {
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        client.set_read_timeout(Some(SILENCE_LIMIT))?;
        let mut input = BufReader::new(client.try_clone()?);
        let Some(request) = read_request(&mut input)? else { return Ok(()) };
        let (fate, delay) = self.choose();
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
        }
        client.shutdown(Shutdown::Both)
    }

    fn choose(&self) -> (Fate, Duration) {
        let faults = *self.faults.lock().unwrap();
        let mut random = self.random.lock().unwrap();
        let delay = Duration::from_millis(random.below(faults.delay + 1) as u64);
        let chance = random.below(100);
        let fate = match chance {
            _ if chance < faults.lost => Fate::Lost,
            _ if chance < faults.lost + faults.unanswered => Fate::Unanswered,
            _ if chance < faults.lost + faults.unanswered + faults.repeated => Fate::Repeated,
            _ => Fate::Passed,
        };
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
