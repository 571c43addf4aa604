//! What a database's client says to it, as PostgreSQL's protocol has it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Asks for TLS instead of starting.
const TLS_REQUEST: u32 = 80_877_103;

type Stream = Arc<Mutex<Vec<u8>>>;

/// Stands before a server and keeps what clients say.
pub(super) struct Wire {
    address: String,
    streams: Arc<Mutex<Vec<Stream>>>,
}

/// What reached the server.
#[derive(Default)]
pub(super) struct Said {
    /// Statements, simple and prepared.
    pub(super) statements: Vec<String>,
    /// Bind parameters.
    pub(super) values: Vec<Vec<u8>>,
}

impl Wire {
    /// Before the server at `host:port`; carries until the test's process ends.
    pub(super) fn before(server: &str) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let streams: Arc<Mutex<Vec<Stream>>> = Arc::default();
        let (server, kept) = (server.to_owned(), Arc::clone(&streams));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
                let stream = Stream::default();
                kept.lock().unwrap().push(Arc::clone(&stream));
                let ends = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || carry(ends.0, ends.1, Some(&stream)));
                std::thread::spawn(move || carry(server, client, None));
            }
        });
        Wire { address, streams }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Everything that was said.
    pub(super) fn said(&self) -> Said {
        let mut said = Said::default();
        for stream in self.streams.lock().unwrap().iter() {
            understand(&stream.lock().unwrap(), &mut said);
        }
        said
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, kept: Option<&Stream>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if let Some(kept) = kept {
            kept.lock().unwrap().extend(&bytes[..read]);
        }
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// The text before the next zero, which goes too.
fn text(bytes: &mut &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap();
    let text = String::from_utf8(bytes[..end].to_vec()).unwrap();
    *bytes = &bytes[end + 1..];
    text
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn understand(mut stream: &[u8], said: &mut Said) {
    let mut started = false;
    while !stream.is_empty() {
        if !started {
            let length = number(&stream[..4]);
            started = number(&stream[4..8]) != TLS_REQUEST as usize;
            take(&mut stream, length);
            continue;
        }
        let kind = take(&mut stream, 1)[0];
        let length = number(&stream[..4]);
        let mut body = &take(&mut stream, length)[4..];
        match kind {
            b'Q' => said.statements.push(text(&mut body)),
            b'P' => {
                text(&mut body);
                said.statements.push(text(&mut body));
            }
            b'B' => {
                text(&mut body);
                text(&mut body);
                let formats = number(take(&mut body, 2));
                take(&mut body, 2 * formats);
                for _ in 0..number(take(&mut body, 2)) {
                    let length = number(take(&mut body, 4));
                    said.values.push(take(&mut body, length).to_vec());
                }
            }
            // Describe, execute, close, sync, terminate, password: no text of a requester has a
            // place in any of them.
            b'D' | b'E' | b'C' | b'S' | b'X' | b'H' | b'p' => {}
            other => panic!("message {other} is none of a client that only reads"),
        }
    }
}
