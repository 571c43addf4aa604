use super::*;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[test]
fn a_far_server_is_verified_unless_it_is_said_otherwise() {
    let here = "postgres://u:p@127.0.0.1:1/d";
    let far = "postgres://u:p@db.example:1/d";
    for (url, verified) in [
        (here.to_owned(), false),
        ("postgres://u@localhost/d".to_owned(), false),
        ("postgresql://u@[::1]/d".to_owned(), false),
        ("postgres://u@%2Fvar%2Frun%2Fpostgresql/d".to_owned(), false),
        (format!("{here}?sslmode=verify-full"), true),
        (far.to_owned(), true),
        (format!("{far}?connect_timeout=3"), true),
        ("postgres://u@10.0.0.7/d".to_owned(), true),
        ("postgres://u@localhost,db.example/d".to_owned(), true),
        (
            "postgres://u@localhost/d?hostaddr=10.0.0.7".to_owned(),
            true,
        ),
        (format!("{far}?sslmode=disable"), false),
        (
            format!("{far}?connect_timeout=3&sslmode=disable&options=-c%20a%3Db"),
            false,
        ),
        (format!("{far}?sslmode=verify-full"), true),
    ] {
        let address = Address::parse(&url).unwrap();
        assert_eq!(address.tls().0.is_some(), verified, "{url}");
        let encrypts = address.config().get_ssl_mode() == SslMode::Require;
        assert_eq!(encrypts, verified, "{url}");
    }
}

#[test]
fn other_words_of_an_address_stay() {
    let url = "postgres://u:p%40@h:7/d?connect_timeout=3&sslmode=disable&application_name=x";
    let address = Address::parse(url).unwrap();
    assert_eq!(address.to_string(), "h:7/d");
    let config = address.config();
    assert_eq!(config.get_password(), Some(&b"p@"[..]));
    assert_eq!(config.get_application_name(), Some("x"));
    assert!(config.get_connect_timeout().is_some());
}

#[test]
fn half_measures_and_contradictions_are_refused_without_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (words, said) in [
        ("sslmode=require", "sslmode=require"),
        ("sslmode=prefer", "sslmode=prefer"),
        ("sslmode=allow", "verify-full"),
        ("sslmode=verify-ca", "verify-full"),
        ("sslmode=", "sslmode="),
        ("sslmode=disable&sslrootcert=/x", "one of them"),
        ("sslmode=disable&sslmode=verify-full", "the url is not"),
        ("sslmode=verify-full&sslrootcert=ca.pem", "whole path"),
        ("sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem"),
        (
            &format!("sslrootcert={}", empty.display()),
            "no certificate",
        ),
    ] {
        let url = format!("postgres://u:s3cret@localhost/d?{words}");
        let error = Address::parse(&url).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(said), "{words}: {text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn an_address_shows_itself_without_what_opens_it() {
    let address = Address::parse("postgres://somebody:s3cret@localhost:7/d").unwrap();
    assert_eq!(
        format!("{address} {address:?}"),
        "localhost:7/d localhost:7/d"
    );
}

/// A server that answers a client's wish for TLS with one letter, and tells what it got then.
async fn answering(letter: u8) -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 8]).await.unwrap();
        stream.write_all(&[letter]).await.unwrap();
        let mut rest = Vec::new();
        // A client that gives up may reset the connection.
        let _ = stream.read_to_end(&mut rest).await;
        rest
    });
    (port, server)
}

#[tokio::test]
async fn a_server_without_tls_is_told_neither_name_nor_password() {
    let (port, server) = answering(b'N').await;
    let url = format!("postgres://somebody:s3cret@127.0.0.1:{port}/d?sslmode=verify-full");
    let address = Address::parse(&url).unwrap();
    let error = address.config().connect(address.tls()).await.err().unwrap();
    let fault = tls_fault(&error).expect("it is about TLS");
    assert!(fault.contains("does not support TLS"), "{fault}");
    assert_eq!(server.await.unwrap(), b"", "nothing was said");
}
