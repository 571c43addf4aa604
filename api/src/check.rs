//! What a client can know about a request before it sends it: the server's own rules, except those
//! that need the store.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::id::PartyId;
use shared::limits::{BODY_BYTES_MAX, PARTY_ID_MAX};

use crate::answer::Error;
use crate::batch::unknown;
use crate::idempotency::Idempotency;
use crate::submission::Route;
use crate::{infer_request, json, panel, train_request};

/// Reads one JSON value as strictly as the server reads a body.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(bytes: &[u8]) -> Result<Value, String> {
    json::read(bytes)
}

/// Whether a server could take `body` at the path `route`, under the name `key`.
///
/// # Errors
/// The server's own words; they name the field and the rule.
pub fn request(route: &str, key: &str, body: &Value) -> Result<(), String> {
    check(route, key, body).map_err(|error| error.to_string())
}

fn check(path: &str, key: &str, body: &Value) -> Result<(), Error> {
    let route = Route::of(path).ok_or_else(|| unknown(path))?;
    Idempotency::new("key", key, route.path(), body)?;
    if body.to_string().len() > BODY_BYTES_MAX {
        return Err(Error::TooLarge(BODY_BYTES_MAX));
    }
    // Who is registered the server knows.
    let anybody: BTreeSet<PartyId> = (1..=PARTY_ID_MAX).map(PartyId).collect();
    match route {
        Route::Train => train_request::read(body, &anybody).map(drop),
        Route::Infer => infer_request::read(body, &anybody).map(drop),
        Route::Compute => panel::queued(body).map(drop),
    }
}
