//! `GET /model/train_status?order_id=`: where a training stands.

use axum::extract;
use serde_json::json;

use crate::answer::{Answer, Data};
use crate::callers::Caller;
use crate::request::{Parameters, order_id};
use crate::{State, jobs, wording};

pub(super) async fn handle(
    state: extract::State<State>,
    caller: Caller,
    Parameters(parameters): Parameters,
) -> Answer {
    let order = order_id(&parameters)?;
    let (job, _) = jobs::training(&state, &caller, order).await?;
    let name = wording::job_name(job.created_at, order);
    Ok(Data(json!({
        "data_volum": wording::data_volum(&job.report),
        "model_id": job.model,
        "train_status": {
            "current_tasks": wording::current_tasks(job.status, &job.report, &name),
            "train_progress": wording::progress(job.status, &job.report),
            "train_status": wording::status(job.status),
        },
    })))
}
