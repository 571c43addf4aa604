//! The body of `POST /model/infer`, checked.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use shared::id::{ModelId, PartyId};
use shared::query::Query;

use crate::answer::Error;
use crate::fields::{Field, Fields};
use crate::{sql, train_request};

/// What a client asked to score.
#[derive(Debug)]
pub(crate) struct InferRequest {
    /// With which model.
    pub(crate) model: ModelId,
    /// Whose rows.
    pub(crate) party: PartyId,
    /// Which rows.
    pub(crate) query: Query,
    /// Whom sealed scores are for, where it is not the party itself: X25519.
    pub(crate) result_key: Option<[u8; 32]>,
}

/// Reads a body. `registered` are the parties that jobs may name.
///
/// # Errors
/// `Error::Invalid` naming the first field that breaks a rule.
pub(crate) fn read(body: &Value, registered: &BTreeSet<PartyId>) -> Result<InferRequest, Error> {
    let mut fields = Fields::of(body)?;
    let model = ModelId(fields.required("model_id")?.outside_id()?);
    let mut input = fields.required("input_data")?.object()?;
    fields.finish()?;
    let party = train_request::party(&input.required("user_id")?, registered)?;
    let query = sql::query(&input.required("data_sql")?.confidential())?;
    let result_key = input
        .optional("result_key")
        .map(|field| key(&field))
        .transpose()?;
    input.finish()?;
    Ok(InferRequest {
        model,
        party,
        query,
        result_key,
    })
}

fn key(field: &Field<'_>) -> Result<[u8; 32], Error> {
    let bytes = STANDARD.decode(field.text()?).ok();
    let key = bytes.and_then(|bytes| bytes.try_into().ok());
    key.ok_or_else(|| field.must("be an X25519 key: 32 bytes in base64"))
}
