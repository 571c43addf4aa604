//! `POST /model/infer`: takes a job that scores one party's rows with a trained model.

use axum::extract;
use axum::http::HeaderMap;
use serde_json::{Value, json};
use shared::id::{ModelId, OrderId, PartyId};
use shared::job::{InferSpec, JobStatus, Spec};
use shared::party::Role;

use crate::answer::{Answer, Data, Error};
use crate::callers::Caller;
use crate::idempotency::Idempotency;
use crate::request::Body;
use crate::submission::Route;
use crate::{State, infer_request, jobs, wording};

pub(super) async fn handle(
    state: extract::State<State>,
    caller: Caller,
    headers: HeaderMap,
    Body(body): Body,
) -> Answer {
    caller.paced(&state)?;
    let name = Idempotency::of_headers(&headers, Route::Infer.path(), &body)?;
    take(&state, &caller, &body, name).await
}

/// Through any door.
pub(crate) async fn take(
    state: &State,
    caller: &Caller,
    body: &Value,
    name: Option<Idempotency>,
) -> Answer {
    let registered = jobs::registered(state).await?;
    let request = infer_request::read(body, &registered)?;
    let (training, spec) = jobs::training_of(state, caller, request.model).await?;
    let (ModelId(model), PartyId(party)) = (request.model, request.party);
    match spec.parties.role(request.party) {
        Some(Role::Guest | Role::Host) => {}
        Some(Role::Arbiter) | None => {
            return Err(Error::Forbidden(format!(
                "`input_data.user_id` is {party}: it must be a participant of model {model}"
            )));
        }
    }
    caller.speaks_for("input_data.user_id", request.party)?;
    if training.status != JobStatus::Finished {
        let status = wording::status(training.status);
        return Err(Error::Conflict(format!(
            "`model_id` is {model}: its training must be finished, and is {status}"
        )));
    }
    let spec = InferSpec {
        model: request.model,
        trained_by: training.id,
        party: request.party,
        query: request.query,
        result_key: request.result_key,
    };
    let submitted = jobs::submit(state, caller, Spec::Infer(spec), "{}".to_owned(), name).await?;
    let OrderId(order) = submitted.order;
    Ok(Data(json!({ "order_id": order })))
}
