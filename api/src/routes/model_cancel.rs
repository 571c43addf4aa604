//! `POST /model/cancel`: ends a job, for the account that asked for it.

use axum::extract;
use serde_json::json;
use shared::id::OrderId;
use shared::job::JobStatus;

use crate::answer::{Answer, Data, Error};
use crate::callers::Caller;
use crate::request::{Body, order_id};
use crate::{State, jobs, wording};

pub(super) async fn handle(
    state: extract::State<State>,
    caller: Caller,
    Body(body): Body,
) -> Answer {
    let order = order_id(&body)?;
    let OrderId(id) = order;
    caller.may_cancel(&jobs::any(&state, &caller, order).await?)?;
    if jobs::cancel(&state, order).await? {
        let status = wording::status(JobStatus::Cancelled);
        return Ok(Data(json!({ "order_id": id, "status": status })));
    }
    let status = wording::status(jobs::any(&state, &caller, order).await?.status);
    Err(Error::Conflict(format!(
        "`order_id` is {id}: that job is {status} already and cannot be canceled"
    )))
}
