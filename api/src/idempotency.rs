//! A caller's name for its request, so that sending it again submits nothing twice.
//!
//! The same name means the same by HTTP and by queue. What makes a request another one is its
//! route and its JSON as a value: spaces and the order of fields do not.

use axum::http::HeaderMap;
use serde_json::Value;
use sha2::{Digest, Sha256};
use shared::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use shared::store::Key;

use crate::answer::Error;

/// Where HTTP has the name.
const HEADER: &str = "Idempotency-Key";

/// A request's name.
pub(crate) struct Idempotency {
    /// What the store keeps.
    pub(crate) key: Key,
    /// Where the caller wrote it.
    pub(crate) field: &'static str,
}

impl Idempotency {
    /// The name `text`, which stands in `field`, of a request.
    ///
    /// # Errors
    /// When it is no name.
    pub(crate) fn new(
        field: &'static str,
        text: &str,
        path: &str,
        body: &Value,
    ) -> Result<Idempotency, Error> {
        let mut hash = Sha256::new();
        hash.update(path);
        hash.update(body.to_string());
        let key = Key::new(text.to_owned(), hash.finalize().into()).map_err(|_| {
            Error::Invalid(format!(
                "`{field}` must be 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters, \
                 without spaces"
            ))
        })?;
        Ok(Idempotency { key, field })
    }

    /// The name that an HTTP request has, if any.
    ///
    /// # Errors
    /// When it is no name, or there are several.
    pub(crate) fn of_headers(
        headers: &HeaderMap,
        path: &str,
        body: &Value,
    ) -> Result<Option<Idempotency>, Error> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Error::Invalid(format!(
                "the header `{HEADER}` must be there once at most"
            )));
        }
        // What is no text is no name either.
        let text = value.to_str().unwrap_or_default();
        Idempotency::new(HEADER, text, path, body).map(Some)
    }
}

/// What is said of a name that its owner gave to another request.
pub(crate) fn reused(field: &str) -> Error {
    Error::Conflict(format!(
        "`{field}` is that of an earlier request, which was another one: send that one again to \
         see what came of it, or name this one anew"
    ))
}
