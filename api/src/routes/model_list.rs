//! `GET /model/list?before=&size=`: jobs, newest first.
//!
//! `next_before` is the `before` of the next page, and null when this one is not full. Pages are cut at an `order_id`, not at a place in the list: a new job shifts nobody's page.

use axum::extract;
use serde_json::{Value, json};
use shared::id::OrderId;
use shared::limits::JOBS_PAGE_MAX;
use shared::store::Job;

use crate::answer::{Answer, Data, Error};
use crate::callers::Caller;
use crate::fields::{Field, Fields};
use crate::request::Parameters;
use crate::{State, jobs, wording};

/// Jobs on a page when the caller names no size.
const SIZE_DEFAULT: usize = 20;

pub(super) async fn handle(
    state: extract::State<State>,
    caller: Caller,
    Parameters(parameters): Parameters,
) -> Answer {
    let mut fields = Fields::of(&parameters)?;
    let before = fields
        .optional("before")
        .map(|field| field.outside_id())
        .transpose()?;
    let size = fields
        .optional("size")
        .map_or(Ok(SIZE_DEFAULT), |field| size(&field))?;
    fields.finish()?;
    let jobs = jobs::page(&state, &caller, before.map(OrderId), size).await?;
    let next = jobs
        .last()
        .filter(|_| jobs.len() == size)
        .map(|job| job.order);
    let jobs: Vec<Value> = jobs.iter().map(entry).collect();
    Ok(Data(
        json!({ "jobs": jobs, "next_before": next, "size": size }),
    ))
}

fn size(field: &Field<'_>) -> Result<usize, Error> {
    let size = field.id(JOBS_PAGE_MAX as u64)?;
    Ok(usize::try_from(size).expect("at most JOBS_PAGE_MAX, which is a usize"))
}

fn entry(job: &Job) -> Value {
    json!({
        "created": job.created_at,
        "ended": wording::ended(job),
        "job_name": wording::job_name(job.created_at, job.order),
        "kind": job.spec.kind().as_str(),
        "model_id": job.model,
        "order_id": job.order,
        "progress": wording::progress(job.status, &job.report),
        "status": wording::status(job.status),
        "user_id": job.owner,
    })
}
