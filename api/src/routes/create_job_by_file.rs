//! `POST /sdk/computation/panel/createJobByFile`: takes files to learn from, as a form.

use axum::extract::{self, Request};
use serde_json::json;

use crate::State;
use crate::answer::Flat;
use crate::callers::Caller;
use crate::panel;
use crate::request::InFlat;

pub(super) async fn handle(
    state: extract::State<State>,
    InFlat(caller): InFlat<Caller>,
    request: Request,
) -> Flat {
    let asked = async {
        caller.paced(&state)?;
        let account = panel::account(&state, &caller)?;
        let (head, body) = request.into_parts();
        let run = panel::learn(&state, account, &head.headers, body).await?;
        Ok(json!({ "jobID": run.panel }))
    };
    Flat(asked.await)
}
