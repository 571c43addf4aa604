//! `POST /sdk/computation/panel/fillData`: takes a participant's input to a joint computation. It
//! may be replaced until the last one is there, by which the computation starts.

use std::time::Duration;

use axum::extract;
use serde_json::{Value, json};
use shared::job::Spec;
use shared::limits::JOB_DEADLINE_SECONDS;
use shared::store::{Filled, Panel};
use zeroize::Zeroizing;

use crate::answer::{Error, Flat};
use crate::callers::Caller;
use crate::fields::Fields;
use crate::panel::{self, Input, Part};
use crate::request::{InFlat, WithInput};
use crate::{State, jobs};

pub(super) async fn handle(
    state: extract::State<State>,
    InFlat(caller): InFlat<Caller>,
    InFlat(WithInput(body, input)): InFlat<WithInput>,
) -> Flat {
    let filled = fill(&state, &caller, &body, input).await;
    Flat(filled.map(|()| json!({ "msg": "fill success" })))
}

async fn fill(
    state: &State,
    caller: &Caller,
    body: &Value,
    input: Option<Zeroizing<String>>,
) -> Result<(), Error> {
    caller.paced(state)?;
    let account = panel::account(state, caller)?;
    let mut fields = Fields::of(body)?;
    let id = fields.required("jobID")?;
    // It is known by its name, and is not here.
    fields.optional("input");
    fields.finish()?;
    let input = input
        .ok_or_else(|| Error::Invalid("`input` is missing: it is required".to_owned()))
        .and_then(Input::read)?;
    let Part { panel, position } = panel::part(state, account, &id).await?;
    let Spec::Compute(spec) = &panel.job.spec else {
        return Err(conflict(&panel, "learns from files and takes no input"));
    };
    let fill = panel::split(state, spec, position, panel.client_sealed, input)?;
    let deadline = Duration::from_secs(JOB_DEADLINE_SECONDS.unsigned_abs());
    let filled = state
        .store
        .fill(panel.id, panel.round, position, fill, deadline);
    match filled.await? {
        Filled::Stored => Ok(()),
        Filled::Complete(run) => {
            jobs::hint(state, &run.queue, run.job, run.attempt).await;
            Ok(())
        }
        Filled::TooLate(status) => {
            let word = status.as_str();
            Err(conflict(
                &panel,
                &format!("is {word} and takes no input any more"),
            ))
        }
        Filled::Unfit(error) => Err(Error::Unfit(format!("`input` does not fit: {error}"))),
        Filled::NotFound => Err(panel::unknown(panel.id)),
    }
}

fn conflict(panel: &Panel, problem: &str) -> Error {
    Error::Conflict(format!("`jobID` is {}: its run {problem}", panel.id))
}
