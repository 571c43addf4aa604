//! `POST /model/train`: takes a training job.

use axum::extract;
use axum::http::HeaderMap;
use serde_json::{Value, json};
use shared::id::OrderId;
use shared::job::Spec;

use crate::answer::{Answer, Data};
use crate::callers::Caller;
use crate::idempotency::Idempotency;
use crate::request::Body;
use crate::submission::Route;
use crate::{State, jobs, train_request};

pub(super) async fn handle(
    state: extract::State<State>,
    caller: Caller,
    headers: HeaderMap,
    Body(body): Body,
) -> Answer {
    caller.paced(&state)?;
    let name = Idempotency::of_headers(&headers, Route::Train.path(), &body)?;
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
    let request = train_request::read(body, &registered)?;
    caller.speaks_for("user_id", request.spec.parties.guest)?;
    let (spec, echo) = (Spec::Train(request.spec), request.echo.to_string());
    let submitted = jobs::submit(state, caller, spec, echo, name).await?;
    let OrderId(order) = submitted.order;
    Ok(Data(
        json!({ "model_id": submitted.model, "order_id": order }),
    ))
}
