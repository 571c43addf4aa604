//! `GET /model/infer_status?order_id=`: where an inference stands, and its scores.

use axum::extract;
use serde_json::{Value, json};
use shared::job::JobStatus;

use crate::answer::{Answer, Data};
use crate::callers::Caller;
use crate::request::{Parameters, order_id};
use crate::{State, jobs, wording};

pub(super) async fn handle(
    state: extract::State<State>,
    caller: Caller,
    Parameters(parameters): Parameters,
) -> Answer {
    let (job, _) = jobs::inference(&state, &caller, order_id(&parameters)?).await?;
    let scores = match job.status {
        JobStatus::Finished => jobs::scores(&state, &job).await?,
        JobStatus::Pending | JobStatus::Running | JobStatus::Failed | JobStatus::Cancelled => {
            Vec::new()
        }
    };
    let result: Vec<Value> = scores
        .into_iter()
        .map(|score| json!({ "label": score.label, "unique_id": score.unique_id }))
        .collect();
    Ok(Data(
        json!({ "infer_status": wording::status(job.status), "result": result }),
    ))
}
