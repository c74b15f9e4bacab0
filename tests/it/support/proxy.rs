//! A TCP proxy that can be cut or stalled, for the time when a server cannot be reached or does not answer.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::minio::unique;

/// Passes connections on to a server; ends with the process.
pub struct Proxy {
    address: SocketAddr,
    wire: Arc<Wire>,
}

struct Wire {
    server: SocketAddr,
    cut: AtomicBool,
    stalled: Mutex<bool>,
    moves: Condvar,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy of its own port in front of `server`.
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let wire = Arc::new(Wire {
            server,
            cut: AtomicBool::new(false),
            stalled: Mutex::default(),
            moves: Condvar::new(),
            open: Mutex::default(),
        });
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
        let text = fs::read_to_string(kubeconfig).unwrap();
        let server = text.split("https://").nth(1).unwrap().split(['\'', '"', '\n', ',']).next().unwrap().to_owned();
        let proxy = Self::start(server.parse().unwrap());
        let path = env::temp_dir().join(unique("minio-manager-kubeconfig"));
        fs::write(&path, text.replace(&server, &proxy.address().to_string())).unwrap();
        (proxy, path)
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hangs up on everybody, and on everybody who comes until [`Proxy::mend`].
    pub fn cut(&self) {
        self.wire.cut.store(true, Ordering::SeqCst);
        for stream in self.wire.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Keeps all connections open and passes nothing on.
    pub fn stall(&self) {
        *self.wire.stalled.lock().unwrap() = true;
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.wire.cut.store(false, Ordering::SeqCst);
        *self.wire.stalled.lock().unwrap() = false;
        self.wire.moves.notify_all();
    }
}

impl Wire {
    fn connect(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        if self.cut.load(Ordering::SeqCst) {
            return client.shutdown(Shutdown::Both);
        }
        let server = TcpStream::connect(self.server)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let mut open = self.open.lock().unwrap();
        open.push(client.try_clone()?);
        open.push(server.try_clone()?);
        drop(open);
        self.pass(client.try_clone()?, server.try_clone()?);
        self.pass(server, client);
        Ok(())
    }

    fn pass(self: &Arc<Self>, mut from: TcpStream, mut to: TcpStream) {
        let wire = self.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                drop(wire.moves.wait_while(wire.stalled.lock().unwrap(), |stalled| *stalled).unwrap());
                if to.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}
