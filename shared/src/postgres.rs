//! How to reach a PostgreSQL server: its address, and TLS that knows whom it talks to.
//!
//! Of libpq's ways (`sslmode`) there are two. `verify-full`: encrypted, and the server's certificate
//! names it and is vouched for. `disable`: nothing of it. Without a word on it, a server on this
//! machine is spoken to in the open, and any other by `verify-full`. Those between encrypt for
//! whoever answers, or perhaps: they are refused.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use crate::tls;

/// Why an address is none. It may hold a password and is not told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be understood.
    #[error("the url is not postgres://ROLE:PASSWORD@HOST:PORT/DATABASE")]
    Url,
    /// It asks for TLS that proves nothing.
    #[error(
        "the url says sslmode={mode}: write sslmode=verify-full (with sslrootcert=FILE, unless the \
         system knows who vouches for the server), or sslmode=disable where nobody can listen"
    )]
    Mode {
        /// What it says.
        mode: String,
    },
    /// It names who vouches for a server that need not show a certificate.
    #[error("the url says sslmode=disable and names a sslrootcert: one of them is meant")]
    Contradiction,
    /// The file of certificates is not there or none.
    #[error("sslrootcert={}: {reason}", path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// Where a database is, who enters it, and how the way there is protected. Shows itself without
/// what opens it.
#[derive(Clone)]
pub struct Address {
    /// Without what only we understand.
    url: Arc<Zeroizing<String>>,
    tls: Tls,
    shown: String,
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.shown)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.shown)
    }
}

impl Address {
    /// Reads `postgres://ROLE:PASSWORD@HOST:PORT/DATABASE?sslmode=..&sslrootcert=FILE` and the
    /// certificates in FILE; nothing is connected yet.
    ///
    /// # Errors
    /// [`Error`], which does not show it.
    pub fn parse(url: &str) -> Result<Address, Error> {
        let Split { plain, mode, roots } = split(url)?;
        // The parser's own words may quote the password.
        let config: Config = plain.parse().map_err(|_| Error::Url)?;
        let verified = match mode {
            None => roots.is_some() || !is_here(&config),
            Some("disable") if roots.is_some() => return Err(Error::Contradiction),
            Some("disable") => false,
            Some("verify-full") => true,
            Some(other) => {
                let mode = other.chars().take(MODE_CHARACTERS_SHOWN).collect();
                return Err(Error::Mode { mode });
            }
        };
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => return Err(Error::Url),
        };
        let port = config.get_ports().first().unwrap_or(&5432);
        let database = config.get_dbname().ok_or(Error::Url)?;
        Ok(Address {
            shown: format!("{host}:{port}/{database}"),
            tls: Tls(verified.then(|| client(roots)).transpose()?),
            url: Arc::new(plain),
        })
    }

    /// What to connect with, by [`Address::tls`]; a secret.
    pub fn config(&self) -> Config {
        let mut config: Config = self.url.parse().expect("it was parsed before");
        config.ssl_mode(match self.tls.0 {
            Some(_) => SslMode::Require,
            None => SslMode::Disable,
        });
        config
    }

    /// How the way there is protected.
    pub fn tls(&self) -> Tls {
        self.tls.clone()
    }
}

/// Of a word that is no way.
const MODE_CHARACTERS_SHOWN: usize = 20;

struct Split<'a> {
    plain: Zeroizing<String>,
    mode: Option<&'a str>,
    roots: Option<&'a str>,
}

/// Takes out what tokio-postgres does not understand.
fn split(url: &str) -> Result<Split<'_>, Error> {
    let is_url = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    if !is_url {
        return Err(Error::Url);
    }
    let (start, words) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut roots) = (None, None);
    let mut others = Vec::new();
    for word in words.split('&').filter(|word| !word.is_empty()) {
        let place = match word.split_once('=') {
            Some(("sslmode", value)) => mode.replace(value),
            Some(("sslrootcert", value)) => roots.replace(value),
            _ => {
                others.push(word);
                None
            }
        };
        if place.is_some() {
            return Err(Error::Url);
        }
    }
    let plain = Zeroizing::new(match others.is_empty() {
        true => start.to_owned(),
        false => format!("{start}?{}", others.join("&")),
    });
    Ok(Split { plain, mode, roots })
}

/// Whether nothing leaves this machine.
fn is_here(config: &Config) -> bool {
    let here = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => tls::is_here(name),
    };
    config.get_hosts().iter().all(here) && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

fn client(roots: Option<&str>) -> Result<Arc<ClientConfig>, Error> {
    let failed = |reason: String| Error::Roots {
        path: roots.map(PathBuf::from).unwrap_or_default(),
        reason,
    };
    let pem = roots.map(|path| {
        // It would depend on where the process was started.
        match Path::new(path).is_absolute() {
            true => std::fs::read(path).map_err(|error| failed(error.to_string())),
            false => Err(failed("write the whole path, from /".to_owned())),
        }
    });
    let client = tls::client(pem.transpose()?.as_deref());
    client
        .map(Arc::new)
        .map_err(|error| failed(error.to_string()))
}

/// What went wrong with the protection of a connection, if that went wrong; it holds no secret.
pub fn tls_fault(error: &tokio_postgres::Error) -> Option<String> {
    // The library names the kind of an error by these words alone.
    let is_tls = error.to_string() == "error performing TLS handshake";
    let cause = error.source().filter(|_| is_tls)?;
    Some(format!("TLS: {cause}"))
}

/// Protects connections, where they are to be protected.
#[derive(Clone)]
pub struct Tls(Option<Arc<ClientConfig>>);

/// One connection's protection.
pub struct Handshake {
    client: Option<Arc<ClientConfig>>,
    server: String,
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Protected<S>;
    type TlsConnect = Handshake;
    type Error = Infallible;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Handshake, Infallible> {
        Ok(Handshake {
            client: self.0.clone(),
            server: domain.to_owned(),
        })
    }
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Protected<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Protected<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let client = self.client.ok_or(io::ErrorKind::Unsupported)?;
            let server = ServerName::try_from(self.server).map_err(io::Error::other)?;
            let connecting = TlsConnector::from(client).connect(server, stream);
            Ok(Protected(connecting.await?))
        })
    }
}

/// A protected connection.
pub struct Protected<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Protected<S> {
    /// The certificate is verified; a password's proof is not tied to it beside.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Protected<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Protected<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
