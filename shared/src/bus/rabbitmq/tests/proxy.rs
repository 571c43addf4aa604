//! What lies between a process and its broker, and can fail.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio_util::task::AbortOnDropHandle;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Open,
    /// Every connection ends, and no new one begins.
    Cut,
    /// Connections stay, and carry nothing.
    Silent,
}

pub(super) struct Proxy {
    mode: watch::Sender<Mode>,
    words: broadcast::Sender<&'static [u8]>,
    _listener: AbortOnDropHandle<()>,
}

/// `connection.blocked`, its reason empty, in a frame.
const BLOCKED: &[u8] = b"\x01\0\0\0\0\0\x05\0\x0a\0\x3c\0\xce";
/// `connection.unblocked` in a frame.
const UNBLOCKED: &[u8] = b"\x01\0\0\0\0\0\x04\0\x0a\0\x3d\xce";

impl Proxy {
    /// Also the address to use instead of the broker's `url`.
    pub(super) async fn start(url: &str) -> (Proxy, String) {
        let (_, host) = url.split_once('@').unwrap();
        let (host, _) = host.split_once('/').unwrap();
        let broker: SocketAddr = host.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap();
        let (mode, watched) = watch::channel(Mode::Open);
        let (words, _) = broadcast::channel(8);
        let heard = words.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (mode, words) = (watched.clone(), heard.subscribe());
                tokio::spawn(carry(client, broker, mode, words));
            }
        });
        let proxy = Proxy {
            mode,
            words,
            _listener: AbortOnDropHandle::new(accepting),
        };
        (proxy, url.replace(host, &own.to_string()))
    }

    pub(super) fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    pub(super) fn silence(&self) {
        self.mode.send_replace(Mode::Silent);
    }

    /// Ends what was cut or silent; new connections are sound.
    pub(super) fn mend(&self) {
        self.mode.send_replace(Mode::Open);
    }

    /// Speaks for a broker that runs full. Only while the broker itself has nothing to say: between
    /// two frames.
    pub(super) fn block(&self) {
        self.words.send(BLOCKED).unwrap();
    }

    pub(super) fn unblock(&self) {
        self.words.send(UNBLOCKED).unwrap();
    }
}

async fn carry(
    mut client: TcpStream,
    broker: SocketAddr,
    mut mode: watch::Receiver<Mode>,
    mut words: broadcast::Receiver<&'static [u8]>,
) {
    let first = *mode.borrow_and_update();
    if first == Mode::Open {
        let mut server = TcpStream::connect(broker).await.unwrap();
        let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
        loop {
            tokio::select! {
                read = client.read(&mut up) => match read {
                    Ok(1..) if server.write_all(&up[..read.unwrap()]).await.is_ok() => {}
                    _ => return,
                },
                read = server.read(&mut down) => match read {
                    Ok(1..) if client.write_all(&down[..read.unwrap()]).await.is_ok() => {}
                    _ => return,
                },
                word = words.recv() => client.write_all(word.unwrap()).await.unwrap(),
                _ = mode.changed() => break,
            }
        }
    }
    // Holding the socket is the silence.
    while *mode.borrow_and_update() == Mode::Silent {
        if mode.changed().await.is_err() {
            return;
        }
    }
}
