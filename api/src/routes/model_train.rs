//! `POST /model/train`: takes a training job.

use axum::extract;
use serde_json::json;
use shared::id::{ModelId, OrderId};
use shared::job::Spec;

use crate::answer::{Answer, Data};
use crate::request::Body;
use crate::{State, jobs, train_request};

pub(super) async fn handle(state: extract::State<State>, Body(body): Body) -> Answer {
    let registered = jobs::registered(&state).await?;
    let request = train_request::read(&body, &registered)?;
    let submitted =
        jobs::submit(&state, Spec::Train(request.spec), request.echo.to_string()).await?;
    let OrderId(order) = submitted.order;
    let ModelId(model) = submitted.model;
    Ok(Data(json!({ "model_id": model, "order_id": order })))
}
