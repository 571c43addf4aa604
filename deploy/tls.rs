//! TLS as configurations ask for it: the API's certificate, and who vouches for others.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::data_dir::read_private_file;

/// Reads `tls_certificate` and `tls_key` of a configuration, relative to its folder.
///
/// # Errors
/// When one is there without the other, cannot be used, or others than its owner may read the key.
pub(crate) fn read(
    folder: &Path,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> anyhow::Result<Option<api::Tls>> {
    let (certificate, key) = match (certificate, key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (folder.join(certificate), folder.join(key)),
        (Some(_), None) => bail!("tls_key: it is missing, beside tls_certificate"),
        (None, Some(_)) => bail!("tls_certificate: it is missing, beside tls_key"),
    };
    let chain = fs::read(&certificate)
        .with_context(|| format!("tls_certificate: cannot read {}", certificate.display()))?;
    let secret = read_private_file(&key).context("tls_key")?;
    let tls = api::Tls::new(&chain, &secret).with_context(|| {
        format!(
            "tls_certificate {}, tls_key {}",
            certificate.display(),
            key.display()
        )
    })?;
    Ok(Some(tls))
}

/// Says aloud when what clients say can be heard on the way; the scheme of the server's addresses.
pub(crate) fn warn_if_open(address: SocketAddr, tls: Option<&api::Tls>) -> &'static str {
    if tls.is_some() {
        return "https";
    }
    if !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "PLAIN HTTP ON A NETWORK: whoever is on the way reads and changes every request; set \
             tls_certificate and tls_key, or let only a proxy with TLS reach this address"
        );
    }
    "http"
}

/// Reads certificates (PEM) that vouch for a server.
///
/// # Errors
/// Names the field and the file.
pub fn authorities(field: &str, path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("{field}: cannot read {shown}"))?;
    shared::tls::authorities(text.as_bytes()).with_context(|| format!("{field}: {shown}"))?;
    Ok(text)
}

/// What speaks HTTP, with TLS to servers that `authorities` (PEM) vouch for; without these the
/// system's own.
///
/// # Errors
/// When they are no certificates.
pub fn http_client(authorities: Option<&str>) -> anyhow::Result<reqwest::ClientBuilder> {
    let tls = shared::tls::client(authorities.map(str::as_bytes))?;
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls))
}
