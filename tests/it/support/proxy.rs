//! A TCP proxy that can be cut, stalled or disturbed, for the time when a server cannot be reached or does not answer.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, Weak},
    thread,
    time::Duration,
};

use super::{minio::unique, random::Random};

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// The longest delay of what comes together, in milliseconds.
    pub delay: usize,
    /// In so many of a hundred cases the connection ends in the middle of what comes together.
    pub cut: usize,
    /// What the random choices follow from.
    pub seed: u64,
}

/// Passes connections on to a server; ends with the process.
pub struct Proxy {
    address: SocketAddr,
    wire: Arc<Wire>,
}

struct Wire {
    server: SocketAddr,
    stalled: Mutex<bool>,
    moves: Condvar,
    weather: Mutex<Option<(Weather, Random)>>,
    links: Mutex<Links>,
}

/// The connections.
#[derive(Default)]
struct Links {
    /// Whoever comes is hung up on.
    refused: bool,
    open: Vec<Weak<Link>>,
}

/// One connection, open for as long as either of its directions.
struct Link {
    client: TcpStream,
    server: TcpStream,
}

impl Proxy {
    /// A proxy of its own port in front of `server`.
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (stalled, moves, weather, links) = Default::default();
        let wire = Arc::new(Wire { server, stalled, moves, weather, links });
        let passing = wire.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client whose server does not answer is hung up on, as by a server that is down.
                let _ = passing.connect(client);
            }
        });
        Self { address, wire }
    }

    /// A proxy before the API server of a kubeconfig file, and a copy of that file which goes through it.
    pub fn before_api_server(kubeconfig: &Path) -> (Self, PathBuf) {
        let proxy = Self::start(api_server(&fs::read_to_string(kubeconfig).unwrap()).parse().unwrap());
        let copy = proxy.kubeconfig(kubeconfig);
        (proxy, copy)
    }

    /// A copy of a kubeconfig file of the same API server which goes through here.
    pub fn kubeconfig(&self, of: &Path) -> PathBuf {
        let text = fs::read_to_string(of).unwrap();
        let path = env::temp_dir().join(unique("minio-manager-kubeconfig"));
        fs::write(&path, text.replace(api_server(&text), &self.address.to_string())).unwrap();
        path
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hangs up on everybody, and on everybody who comes until [`Proxy::mend`].
    pub fn cut(&self) {
        let mut links = self.wire.links.lock().unwrap();
        links.refused = true;
        for link in links.open.drain(..).filter_map(|link| link.upgrade()) {
            link.hang_up();
        }
    }

    /// Keeps all connections open and passes nothing on.
    pub fn stall(&self) {
        *self.wire.stalled.lock().unwrap() = true;
    }

    /// Delays what passes, and ends connections in the middle of it, until [`Proxy::mend`].
    pub fn disturb(&self, weather: Weather) {
        *self.wire.weather.lock().unwrap() = Some((weather, Random::new(weather.seed)));
    }

    /// Lets connections through again, and what they carry at once.
    pub fn mend(&self) {
        self.wire.links.lock().unwrap().refused = false;
        *self.wire.weather.lock().unwrap() = None;
        *self.wire.stalled.lock().unwrap() = false;
        self.wire.moves.notify_all();
    }
}

impl Wire {
    fn connect(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.server)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let link = Arc::new(Link { client, server });
        let mut links = self.links.lock().unwrap();
        if links.refused {
            return Ok(());
        }
        links.open.retain(|link| link.strong_count() > 0);
        links.open.push(Arc::downgrade(&link));
        drop(links);
        self.pass(link.clone(), |link| (&link.client, &link.server));
        self.pass(link, |link| (&link.server, &link.client));
        Ok(())
    }

    /// Passes on what comes in one direction.
    fn pass(self: &Arc<Self>, link: Arc<Link>, direction: fn(&Link) -> (&TcpStream, &TcpStream)) {
        let wire = self.clone();
        thread::spawn(move || {
            let (mut from, mut to) = direction(&link);
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                let (delay, is_last) = wire.choose();
                thread::sleep(delay);
                drop(wire.moves.wait_while(wire.stalled.lock().unwrap(), |stalled| *stalled).unwrap());
                let passed = if is_last { length / 2 } else { length };
                if to.write_all(&buffer[..passed]).is_err() || is_last {
                    return link.hang_up();
                }
            }
            let _ = to.shutdown(Shutdown::Write);
        });
    }

    /// How long something is delayed, and whether the connection ends in the middle of it.
    fn choose(&self) -> (Duration, bool) {
        match &mut *self.weather.lock().unwrap() {
            Some((weather, random)) => {
                (Duration::from_millis(random.below(weather.delay + 1) as u64), random.percent(weather.cut))
            }
            None => (Duration::ZERO, false),
        }
    }
}

impl Link {
    /// Ends the connection for both sides, wherever they are.
    fn hang_up(&self) {
        for side in [&self.client, &self.server] {
            let _ = side.shutdown(Shutdown::Both);
        }
    }
}

/// Address and port of the API server in the text of a kubeconfig file.
fn api_server(kubeconfig: &str) -> &str {
    let rest = kubeconfig.split("https://").nth(1).expect("a kubeconfig file names its server");
    rest.split(['\'', '"', '\n', ',']).next().unwrap_or(rest)
}
