//! The accept loop on real sockets, with limits of a fraction of a second. The clients
//! are blocking ones; the server has threads of its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use axum::routing::{get, post};
use axum::{Extension, Router};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::answer::Data;
use crate::panel::BY_FILE;
use crate::request::Body;
use crate::serve::{Limits, Peer, serve};
use crate::tls::Tls;

pub(super) const SHORT: Duration = Duration::from_millis(100);
pub(super) const LONG: Duration = Duration::from_secs(20);

pub(super) const LENIENT: Limits = Limits {
    connections: 100,
    first_byte: LONG,
    handshake: LONG,
    header: LONG,
    chunk: LONG,
    request: LONG,
    upload: LONG,
    connection: LONG,
    drain: LONG,
};

pub(super) struct Served {
    pub(super) address: SocketAddr,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
}

async fn served(limits: Limits) -> Served {
    served_by(None, limits).await
}

/// A route that echoes JSON, one that answers 64 MiB, one that says who asks, and one that takes
/// 200 ms.
pub(super) async fn served_by(tls: Option<Tls>, limits: Limits) -> Served {
    let app = Router::new()
        .route("/echo", post(async |Body(value): Body| Data(value)))
        .route(BY_FILE, post(async |Body(value): Body| Data(value)))
        .route("/big", get(async || vec![b' '; 64 << 20]))
        .route(
            "/peer",
            get(async |Extension(Peer(address))| format!("{address}")),
        )
        .route("/slow", get(async || sleep(2 * SHORT).await));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(serve(listener, app, tls, limits, shutdown.clone()));
    Served {
        address,
        shutdown,
        server,
    }
}

impl Served {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("listening");
        stream
            .set_read_timeout(Some(LONG / 2))
            .expect("a limit above zero");
        stream
    }

    /// Sends `text` and reads until the server closes.
    fn exchange(&self, text: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).expect("sent");
        until_closed(stream)
    }
}

/// What the server sends until it closes; a reset after the answer is as good an end as a close.
fn until_closed(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(
            error.kind(),
            ErrorKind::ConnectionReset,
            "the server ends it: {text}"
        );
    }
    String::from_utf8(answer).expect("UTF-8")
}

pub(super) const BODY_TO_COME: &str =
    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n[";

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_request_knows_the_address_it_comes_from() {
    let server = served(LENIENT).await;
    // Whatever it says itself.
    let request =
        "GET /peer HTTP/1.0\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n\r\n";
    let answer = server.exchange(request);
    assert!(answer.ends_with("\r\n\r\n127.0.0.1"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_kept_connection_that_idles_is_let_go_after_its_answer() {
    let server = served(Limits {
        header: SHORT,
        ..LENIENT
    })
    .await;
    let request = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    assert!(server.exchange(request).starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_ends_with_the_request_it_is_at_when_its_time_is_over() {
    let server = served(Limits {
        connection: SHORT,
        ..LENIENT
    })
    .await;
    let answer = server.exchange("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn files_may_take_longer_than_other_requests() {
    let server = served(Limits {
        request: SHORT,
        connection: SHORT,
        drain: SHORT,
        ..LENIENT
    })
    .await;
    for (path, answered) in [(BY_FILE, "HTTP/1.1 200"), ("/echo", "HTTP/1.1 408")] {
        let mut stream = server.connect();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        for byte in b"{\"input\":[]}" {
            // Once it is refused the rest does not arrive.
            let _ = stream.write_all(&[*byte]);
            sleep(SHORT / 2).await;
        }
        let answer = until_closed(stream);
        assert!(answer.starts_with(answered), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connections_over_the_limit_wait_and_are_served_then() {
    let server = served(Limits {
        connections: 1,
        first_byte: 2 * SHORT,
        ..LENIENT
    })
    .await;
    let begun = Instant::now();
    let first = server.connect();
    let request = "GET /slow HTTP/1.0\r\n\r\n";
    assert!(server.exchange(request).starts_with("HTTP/1.0 200 OK"));
    assert!(
        begun.elapsed() >= 4 * SHORT,
        "it waited for the first to be let go"
    );
    drop(first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_shutdown_lets_a_request_end_and_takes_no_other() {
    let server = served(LENIENT).await;
    let mut stream = server.connect();
    let idle = server.connect();
    stream
        .write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("sent");
    sleep(SHORT).await;
    server.shutdown.cancel();
    assert!(until_closed(stream).starts_with("HTTP/1.1 200 OK"));
    timeout(LONG / 2, server.server)
        .await
        .expect("drained")
        .expect("no panic");
    assert!(
        TcpStream::connect(server.address).is_err(),
        "nobody listens"
    );
    drop(idle);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_shutdown_cuts_what_does_not_end_within_the_drain() {
    let server = served(Limits {
        drain: SHORT,
        ..LENIENT
    })
    .await;
    let mut stream = server.connect();
    stream.write_all(BODY_TO_COME.as_bytes()).expect("sent");
    sleep(SHORT / 2).await;
    server.shutdown.cancel();
    timeout(LONG / 2, server.server)
        .await
        .expect("cut")
        .expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_body_over_the_limit_is_answered_413_to_a_client_that_sends_it_all_first() {
    let server = served(LENIENT).await;
    let head = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let body = " ".repeat(3_000_000);
    let length = body.len();
    let whole = format!("{head}Content-Length: {length}\r\n\r\n{body}");
    assert!(server.exchange(&whole).starts_with("HTTP/1.1 413"));
    let chunked =
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n");
    assert!(server.exchange(&chunked).starts_with("HTTP/1.1 413"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_body_over_the_limit_is_answered_413_unread_to_a_client_that_asks_first() {
    let server = served(LENIENT).await;
    let head = "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n";
    let answer = server.exchange(&format!("{head}Content-Length: 3000000\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let endless = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n";
    assert!(server.exchange(endless).starts_with("HTTP/1.1 413"));
}
