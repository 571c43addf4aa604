//! The body of `POST /model/infer`, checked.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::id::{ModelId, PartyId};
use shared::query::Query;

use crate::answer::Error;
use crate::fields::Fields;
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
    input.finish()?;
    Ok(InferRequest {
        model,
        party,
        query,
    })
}
