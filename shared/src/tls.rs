//! The client's side of TLS: who vouches for a server. TLS 1.2 and 1.3, by `ring`.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Whether what is said to a host stays on this machine.
pub fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Why nobody could vouch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not certificates.
    #[error("no certificate (PEM) is in it, or one is damaged: {0}")]
    Certificates(String),
}

/// A client that believes a server whose certificate names it and is vouched for by
/// `certificates` (PEM); without these by the system's own.
///
/// # Errors
/// [`Error::Certificates`]. That the system has none shows when a server is asked.
pub fn client(certificates: Option<&[u8]>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    match certificates {
        Some(pem) => {
            for certificate in authorities(pem)? {
                let added = roots.add(certificate);
                added.map_err(|error| Error::Certificates(error.to_string()))?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            // A system's odd certificate does not spoil its others.
            roots.add_parsable_certificates(system.certs);
        }
    }
    Ok(
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth(),
    )
}

/// The certificates of a PEM text, of which there is at least one.
///
/// # Errors
/// [`Error::Certificates`].
pub fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(Error::Certificates("it is empty".to_owned())),
        Err(error) => Err(Error::Certificates(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_vouches_for_nobody() {
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", "hello", "-----BEGIN CERTIFICATE-----\n", damaged] {
            assert!(client(Some(text.as_bytes())).is_err(), "{text}");
        }
    }
}
