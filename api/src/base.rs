//! How clients reach this server: what the addresses in answers start with.

use axum::http::uri::{Authority, Scheme};
use axum::http::{HeaderMap, Uri, header};

/// Bytes of a host name with its port.
const HOST_BYTES_MAX: usize = 255 + 6;

/// Scheme, host and perhaps a path, such as `https://concord.example.org/api`; no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base(String);

/// A text that is no base.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} must be http:// or https://, a host and perhaps a path, and nothing more")]
pub struct BaseError {
    /// What was given.
    pub text: String,
}

impl Base {
    /// Reads a configured base.
    ///
    /// # Errors
    /// When it is not `http(s)://host[:port][/path]`.
    pub fn parse(text: &str) -> Result<Base, BaseError> {
        let refused = || BaseError {
            text: text.to_owned(),
        };
        let uri: Uri = text.parse().map_err(|_| refused())?;
        let web = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri
            .authority()
            .is_some_and(|host| !host.as_str().contains('@'));
        if web && host && uri.query().is_none() && !text.contains('#') {
            Ok(Base(text.trim_end_matches('/').to_owned()))
        } else {
            Err(refused())
        }
    }

    /// The name by which the client of a request reached this server. `None` when the header Host is
    /// missing, repeated, or no host.
    pub(crate) fn of_host(headers: &HeaderMap, encrypted: bool) -> Option<Base> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return None;
        };
        let host = host
            .to_str()
            .ok()
            .filter(|host| host.len() <= HOST_BYTES_MAX)?;
        let host: Authority = host.parse().ok().filter(|_| !host.contains('@'))?;
        let scheme = if encrypted { "https" } else { "http" };
        Some(Base(format!("{scheme}://{host}")))
    }

    /// As it stands in an address.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_base_is_an_address_and_nothing_more() {
        for (text, base) in [
            ("http://192.168.25.105:5000", "http://192.168.25.105:5000"),
            (
                "https://concord.example.org/api/",
                "https://concord.example.org/api",
            ),
            ("http://[::1]:5000", "http://[::1]:5000"),
        ] {
            assert_eq!(Base::parse(text).expect("valid").as_str(), base);
        }
        let refused = [
            "",
            "concord",
            "/api",
            "ftp://x",
            "http://",
            "http://u:p@x",
            "http://x?y",
        ];
        for text in refused
            .into_iter()
            .chain(["http://x/#y", "http://x y", "javascript:alert(1)"])
        {
            assert!(Base::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_header_is_taken_only_when_it_is_one_host() {
        let of = |hosts: &[&str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, host.parse().expect("a header's value"));
            }
            Base::of_host(&headers, false)
        };
        assert_eq!(of(&["x:5000"]).expect("a host").as_str(), "http://x:5000");
        let long = "x".repeat(HOST_BYTES_MAX + 1);
        for hosts in [
            &[][..],
            &["x", "x"],
            &["a b"],
            &["u@x"],
            &["x/y"],
            &["x?y"],
            &[""],
            &[&long],
        ] {
            assert_eq!(of(hosts), None, "{hosts:?}");
        }
    }
}
