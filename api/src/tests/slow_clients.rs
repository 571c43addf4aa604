//! Clients that take their time, over plain HTTP and over TLS: each is let go, and its place is the
//! next client's. The server has one place, and only the limit that is meant is short.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::serving::{BODY_TO_COME, LENIENT, LONG, SHORT, Served, served_by};
use crate::serve::Limits;
use crate::tls::Tls;

/// What a slow client does after it connected.
enum Client {
    /// Sends this and waits.
    Stalls(&'static str),
    /// Sends this, and then a byte again and again.
    Drips(&'static str, u8),
    /// Asks for this and reads nothing.
    NeverReads(&'static str),
}

use Client::{Drips, NeverReads, Stalls};

struct Case {
    limits: Limits,
    client: Client,
    /// What it is told; nothing where there is no request yet.
    told: &'static str,
}

const HALF_LINE: &str = "POST /ec";
const HALF_HEADER: &str = "POST /echo HTTP/1.1\r\nHost: x\r\nX-Slow: ";
const BIG: &str = "GET /big HTTP/1.1\r\nHost: x\r\n\r\n";
const TOO_LATE: &str = "HTTP/1.1 408";

/// The six cases of a slow client.
fn cases() -> Vec<Case> {
    let one = Limits {
        connections: 1,
        ..LENIENT
    };
    let case = |limits, client, told| Case {
        limits,
        client,
        told,
    };
    let first_byte = Limits {
        first_byte: SHORT,
        ..one
    };
    let header = Limits {
        header: SHORT,
        ..one
    };
    let chunk = Limits {
        chunk: SHORT,
        ..one
    };
    let request = Limits {
        request: 3 * SHORT,
        ..one
    };
    let connection = Limits {
        connection: SHORT,
        drain: 3 * SHORT,
        ..one
    };
    vec![
        case(first_byte, Stalls(""), ""),
        case(header, Stalls(HALF_LINE), ""),
        case(header, Drips(HALF_HEADER, b'x'), ""),
        case(chunk, Stalls(BODY_TO_COME), TOO_LATE),
        case(request, Drips(BODY_TO_COME, b' '), TOO_LATE),
        case(connection, NeverReads(BIG), ""),
    ]
}

/// A server's certificate, and a client that believes it.
fn certified() -> (Tls, Arc<rustls::ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("names");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let tls = Tls::new(certificate.as_bytes(), key.as_bytes()).expect("they fit");
    let client = shared::tls::client(Some(certificate.as_bytes())).expect("a certificate");
    (tls, Arc::new(client))
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// A connection whose reads give up after a moment.
fn connect(server: &Served, tls: Option<&Arc<rustls::ClientConfig>>) -> Box<dyn Wire> {
    let stream = TcpStream::connect(server.address).expect("listening");
    stream
        .set_read_timeout(Some(SHORT / 5))
        .expect("a limit above zero");
    let Some(client) = tls else {
        return Box::new(stream);
    };
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::clone(client), name).expect("in order");
    let mut stream = StreamOwned::new(session, stream);
    while stream.conn.is_handshaking() {
        match stream.conn.complete_io(&mut stream.sock) {
            Err(error) if waits(error.kind()) => {}
            done => drop(done.expect("a handshake")),
        }
    }
    Box::new(stream)
}

fn waits(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// What comes until the server ends the connection; between two looks `say` is said.
fn until_ended(wire: &mut dyn Wire, say: &[u8]) -> String {
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < LONG / 2, "the server ends it");
        // Once it has ended there is only to read.
        let _ = wire.write_all(say).and_then(|()| wire.flush());
        match wire.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
            Err(error) if waits(error.kind()) => {}
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// That a client gets an answer, for which it needs the server's one place.
fn is_served(server: &Served, tls: Option<&Arc<rustls::ClientConfig>>) {
    let request =
        "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    let mut wire = connect(server, tls);
    wire.write_all(request.as_bytes()).expect("sent");
    let answer = until_ended(&mut *wire, b"");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

fn plays(case: &Case, server: &Served, tls: Option<&Arc<rustls::ClientConfig>>) {
    let mut wire = connect(server, tls);
    let (Stalls(start) | Drips(start, _) | NeverReads(start)) = case.client;
    wire.write_all(start.as_bytes()).expect("sent");
    let answer = match case.client {
        Stalls(_) => until_ended(&mut *wire, b""),
        Drips(_, byte) => until_ended(&mut *wire, &[byte]),
        NeverReads(_) => String::new(),
    };
    match case.told {
        "" => assert!(!answer.contains("200"), "{answer}"),
        told => assert!(answer.starts_with(told), "{answer}"),
    }
    is_served(server, tls);
    drop(wire);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_slow_client_is_let_go_and_the_next_is_served() {
    for case in cases() {
        plays(&case, &served_by(None, case.limits).await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_slow_client_is_let_go_by_tls_too() {
    let (tls, client) = certified();
    for case in cases() {
        let server = served_by(Some(tls.clone()), case.limits).await;
        plays(&case, &server, Some(&client));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_handshake_that_stops_or_is_none_is_let_go() {
    let (tls, client) = certified();
    let limits = |first_byte, handshake| Limits {
        connections: 1,
        first_byte,
        handshake,
        ..LENIENT
    };
    // The first bytes of a greeting; a whole one's head, and then a byte at a time; none at all.
    for (limits, start, more) in [
        (limits(LONG, SHORT), &b"\x16\x03\x01"[..], &b""[..]),
        (limits(LONG, SHORT), b"\x16\x03\x01\x02\x00\x01", b"\x00"),
        (limits(SHORT, LONG), b"", b""),
    ] {
        let server = served_by(Some(tls.clone()), limits).await;
        let mut slow = connect(&server, None);
        slow.write_all(start).expect("sent");
        let answer = until_ended(&mut *slow, more);
        assert!(!answer.contains("HTTP"), "{answer}");
        is_served(&server, Some(&client));
    }
    let server = served_by(Some(tls), limits(LONG, LONG)).await;
    let mut plain = connect(&server, None);
    plain.write_all(BIG.as_bytes()).expect("sent");
    let answer = until_ended(&mut *plain, b"");
    assert!(!answer.contains("HTTP"), "{answer}");
    is_served(&server, Some(&client));
}

#[test]
fn a_certificate_and_a_key_fit_each_other() {
    let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("names");
    let (one, other) = (make(), make());
    let certificate = one.cert.pem();
    let said = |certificate: &str, key: &str| {
        let tls = Tls::new(certificate.as_bytes(), key.as_bytes());
        tls.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let key = one.signing_key.serialize_pem();
    assert_eq!(said(&certificate, &key), "");
    let foreign = other.signing_key.serialize_pem();
    for (certificate, key, sentence) in [
        (
            certificate.as_str(),
            foreign.as_str(),
            "certificate and key",
        ),
        (&certificate, &certificate, "the key is no private key"),
        (&certificate, "", "the key is no private key"),
        (&key, &key, "the certificate"),
        ("", &key, "the certificate"),
    ] {
        let said = said(certificate, key);
        assert!(said.starts_with(sentence), "{said}");
        assert!(!said.contains("PRIVATE"), "{said}");
    }
}
