//! `GET /model/info?model_id=`: what a model was asked to be.

use axum::extract;
use serde_json::{Value, json};
use shared::id::ModelId;

use crate::answer::{Answer, Data, Error};
use crate::callers::Caller;
use crate::fields::Fields;
use crate::request::Parameters;
use crate::{State, jobs, wording};

pub(super) async fn handle(
    state: extract::State<State>,
    caller: Caller,
    Parameters(parameters): Parameters,
) -> Answer {
    let mut fields = Fields::of(&parameters)?;
    let model = ModelId(fields.required("model_id")?.outside_id()?);
    fields.finish()?;
    let (job, spec) = jobs::training_of(&state, &caller, model).await?;
    let params: Value = serde_json::from_str(&job.echo).map_err(|error| {
        tracing::error!(job = %job.id, %error, "the stored echo is not JSON");
        Error::Internal
    })?;
    Ok(Data(json!({
        "data_volum": wording::data_volum(&job.report),
        "model_params": params,
        "model_type": wording::LOGISTIC_REGRESSION,
        "party_id": spec.parties.hosts,
        "user_id": spec.parties.guest,
    })))
}
