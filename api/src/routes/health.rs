//! `GET /health`: whether this server can take jobs.

use axum::extract;
use serde_json::json;

use crate::answer::{Answer, Data};
use crate::{State, jobs};

pub(super) async fn handle(state: extract::State<State>) -> Answer {
    jobs::registered(&state).await?;
    Ok(Data(json!({ "status": "ok" })))
}
