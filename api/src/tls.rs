//! The server's side of TLS: 1.2 and 1.3, by `ring`. Clients show no certificate.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A server's certificate and its key.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Tls")
    }
}

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate cannot be read.
    #[error("the certificate: {0}")]
    Certificate(#[from] shared::tls::Error),
    /// The key cannot be read; nothing of it is told.
    #[error("the key is no private key (PEM)")]
    Key,
    /// They are not of one kind, or not made for each other.
    #[error("certificate and key: {0}")]
    Pair(rustls::Error),
}

/// What a request that came by TLS carries.
#[derive(Clone, Copy)]
pub(crate) struct Encrypted;

impl Tls {
    /// Takes a certificate, followed by those between it and a known authority, and its private key
    /// (both PEM).
    ///
    /// # Errors
    /// When one cannot be read, or they do not fit each other.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Tls, TlsError> {
        let chain = shared::tls::authorities(certificates)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Pair)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls(TlsAcceptor::from(Arc::new(config))))
    }

    /// The client's greeting, answered.
    pub(crate) async fn greet(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.0.accept(stream).await
    }
}
