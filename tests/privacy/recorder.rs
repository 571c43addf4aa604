//! A proxy that keeps every byte that passes, in both directions.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// One direction of one connection.
type Stream = Arc<Mutex<Vec<u8>>>;

/// Stands before one server.
pub(super) struct Recorder {
    own: SocketAddr,
    server: SocketAddr,
    streams: Arc<Mutex<Vec<Stream>>>,
    over: Arc<AtomicBool>,
}

impl Recorder {
    /// Before the server whose address a text holds, as `[user@]host:port[/path]`.
    pub(super) fn before(url: &str) -> Recorder {
        let place = url.rsplit('@').next().expect("one part at least");
        let place = place.split('/').next().expect("one part at least");
        let server: SocketAddr = place.parse().expect("host:port");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let recorder = Recorder {
            own: listener.local_addr().expect("bound"),
            server,
            streams: Arc::default(),
            over: Arc::default(),
        };
        let (streams, over) = (Arc::clone(&recorder.streams), Arc::clone(&recorder.over));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(client) = client {
                    // Whoever connects sees a server that is away as a connection that ends.
                    let _ = carry(&client, server, &streams);
                }
            }
        });
        recorder
    }

    /// The same address, through here.
    pub(super) fn instead_of(&self, url: &str) -> String {
        let changed = url.replace(&self.server.to_string(), &self.own.to_string());
        assert_ne!(changed, url, "{url} is another server");
        changed
    }

    /// Every stream so far; each is what one end said on one connection.
    pub(super) fn streams(&self) -> Vec<Vec<u8>> {
        let streams = self.streams.lock().expect("nobody panics");
        let bytes = |stream: &Stream| stream.lock().expect("nobody panics").clone();
        streams.iter().map(bytes).collect()
    }

    /// Forgets what passed, and goes on.
    pub(super) fn forget(&self) {
        for stream in self.streams.lock().expect("nobody panics").iter() {
            stream.lock().expect("nobody panics").clear();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // So that the listener looks.
        let _ = TcpStream::connect(self.own);
    }
}

fn carry(
    client: &TcpStream,
    server: SocketAddr,
    streams: &Mutex<Vec<Stream>>,
) -> std::io::Result<()> {
    let server = TcpStream::connect(server)?;
    for (from, to) in [(client, &server), (&server, client)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        to.set_nodelay(true)?;
        let stream = Stream::default();
        streams
            .lock()
            .expect("nobody panics")
            .push(Arc::clone(&stream));
        std::thread::spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                // Kept before it goes on: who hears an answer finds the question here.
                stream.lock().expect("nobody panics").extend(&bytes[..read]);
                if to.write_all(&bytes[..read]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Write);
            let _ = from.shutdown(Shutdown::Read);
        });
    }
    Ok(())
}
