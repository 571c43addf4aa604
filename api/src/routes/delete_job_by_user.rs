//! `POST /sdk/computation/panel/deleteJobByUser`: ends a job and forgets it, with all inputs, files
//! and results; for its creator.

use axum::extract;
use serde_json::json;

use crate::State;
use crate::answer::Flat;
use crate::callers::Caller;
use crate::panel;
use crate::request::{Body, InFlat};

pub(super) async fn handle(
    state: extract::State<State>,
    InFlat(caller): InFlat<Caller>,
    InFlat(Body(body)): InFlat<Body>,
) -> Flat {
    let asked = async {
        let account = panel::account(&state, &caller)?;
        let part = panel::part_of_body(&state, account, &body).await?;
        let panel = part.of_creator(account, "deleted")?;
        match state.store.delete_panel(panel.id).await? {
            true => Ok(json!({ "msg": "delete success" })),
            false => Err(panel::unknown(panel.id)),
        }
    };
    Flat(asked.await)
}
