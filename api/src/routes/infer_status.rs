//! `GET /model/infer_status?order_id=`: where an inference stands, and its scores; null
//! where the data owner's policy seals them (`/model/result` has those).

use axum::extract;
use serde_json::{Value, json};
use shared::job::JobStatus;
use shared::message::Score;

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
        // None where they are sealed.
        JobStatus::Finished => jobs::scores(&state, &job).await?,
        JobStatus::AwaitingInput
        | JobStatus::Pending
        | JobStatus::AwaitingApproval
        | JobStatus::Running
        | JobStatus::Failed
        | JobStatus::Cancelled => Some(Vec::new()),
    };
    let shown = |score: Score| json!({ "label": score.label, "unique_id": score.unique_id });
    let result = scores.map(|scores| scores.into_iter().map(shown).collect::<Vec<Value>>());
    Ok(Data(
        json!({ "infer_status": wording::status(job.status), "result": result }),
    ))
}
