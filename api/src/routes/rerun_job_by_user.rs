//! `POST /sdk/computation/panel/rerunJobByUser`: runs a job again that has ended, for its creator. A
//! joint computation awaits new inputs; learning starts at once from the same files.

use std::time::Duration;

use axum::extract;
use serde_json::json;
use shared::id::Attempt;
use shared::job::{JobStatus, Spec};
use shared::limits::JOB_DEADLINE_SECONDS;
use shared::message::queue;
use shared::store::Rerun;

use crate::answer::{Error, Flat};
use crate::callers::Caller;
use crate::request::{Body, InFlat};
use crate::{State, jobs, panel};

pub(super) async fn handle(
    state: extract::State<State>,
    InFlat(caller): InFlat<Caller>,
    InFlat(Body(body)): InFlat<Body>,
) -> Flat {
    let asked = async {
        caller.paced(&state)?;
        let account = panel::account(&state, &caller)?;
        let part = panel::part_of_body(&state, account, &body).await?;
        let panel = part.of_creator(account, "run again")?;
        if let Spec::Learn(spec) = &panel.job.spec
            && panel::own_worker(&state, account).await? != spec.worker
        {
            return Err(Error::Conflict(format!(
                "`jobID` is {}: its files are sealed to party {}, which is not the token's \
                 account's (any more)",
                panel.id, spec.worker
            )));
        }
        let deadline = Duration::from_secs(JOB_DEADLINE_SECONDS.unsigned_abs());
        match state.store.rerun(panel.id, deadline).await? {
            Rerun::Run(run) => {
                if run.status == JobStatus::Pending {
                    let queue = queue::compute(panel.job.spec.guest());
                    jobs::hint(&state, &queue, run.job, Attempt(1)).await;
                }
                Ok(json!({ "roundID": run.round }))
            }
            Rerun::Open(status) => Err(Error::Conflict(format!(
                "`jobID` is {}: its run must have ended, and is {}",
                panel.id,
                status.as_str()
            ))),
            Rerun::NotFound => Err(panel::unknown(panel.id)),
        }
    };
    Flat(asked.await)
}
