//! `GET /model/result?order_id=&user_id=`: what a job made for one party, sealed to it: a training's
//! model, or an inference's scores where they are not released in the clear. `concord result` opens
//! it.

use axum::extract;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use shared::id::{JobId, OrderId, PartyId};
use shared::job::{JobStatus, Spec};

use crate::answer::{Answer, Data, Error};
use crate::callers::Caller;
use crate::fields::Fields;
use crate::request::Parameters;
use crate::{State, jobs, train_request, wording};

pub(super) async fn handle(
    state: extract::State<State>,
    caller: Caller,
    Parameters(parameters): Parameters,
) -> Answer {
    let registered = jobs::registered(&state).await?;
    let mut fields = Fields::of(&parameters)?;
    let order = OrderId(fields.required("order_id")?.outside_id()?);
    let party = train_request::party(&fields.required("user_id")?, &registered)?;
    fields.finish()?;
    let job = jobs::any(&state, &caller, order).await?;
    let (OrderId(id), PartyId(user)) = (order, party);
    if !job.spec.participants().contains(&party) {
        return Err(Error::Forbidden(format!(
            "`user_id` is {user}: it must be a participant of the job"
        )));
    }
    caller.speaks_for("user_id", party)?;
    if job.status != JobStatus::Finished {
        let status = wording::status(job.status);
        return Err(Error::Conflict(format!(
            "`order_id` is {id}: the job must be finished, and is {status}"
        )));
    }
    let sealed = match (&job.spec, job.model) {
        (Spec::Train(_), Some(model)) => state.store.model_part(model, party).await?,
        _ => state.store.sealed_scores(job.id).await?,
    };
    let sealed = sealed.ok_or_else(|| {
        Error::Conflict(format!(
            "`order_id` is {id}: its scores are not sealed; GET /model/infer_status has them"
        ))
    })?;
    let JobId(name) = job.id;
    Ok(Data(json!({
        "job": name,
        "kind": job.spec.kind().as_str(),
        "model_id": job.model,
        "sealed": STANDARD.encode(sealed),
        "user_id": party,
    })))
}
