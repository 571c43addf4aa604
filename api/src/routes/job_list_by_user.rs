//! `POST /sdk/computation/panel/jobListByUser`: the jobs that the account takes part in, newest
//! first.

use axum::extract;
use serde_json::{Value, json};
use shared::job::Spec;
use shared::limits::JOBS_PAGE_MAX;
use shared::store::{Email, Panel};

use crate::State;
use crate::answer::Flat;
use crate::callers::Caller;
use crate::fields::Fields;
use crate::panel::{self, Page};
use crate::request::{Body, InFlat};

pub(super) async fn handle(
    state: extract::State<State>,
    InFlat(caller): InFlat<Caller>,
    InFlat(Body(body)): InFlat<Body>,
) -> Flat {
    let asked = async {
        let account = panel::account(&state, &caller)?;
        let mut fields = Fields::of(&body)?;
        let page = panel::page(&mut fields, JOBS_PAGE_MAX)?;
        fields.finish()?;
        let own = state
            .store
            .panels_of(&account.email, page.number, page.size);
        let (panels, total) = own.await?;
        Ok(list(page, total, panels.iter().map(entry).collect()))
    };
    Flat(asked.await)
}

/// The shape of every list of the document.
pub(super) fn list(page: Page, total: u64, data: Vec<Value>) -> Value {
    json!({
        "data": data,
        "page": page.number,
        "size": page.size,
        "totalCount": total,
        "totalPages": total.div_ceil(page.size as u64),
    })
}

/// What lists and details say of a job. Times are Unix seconds; there is no chain, and so the
/// address of the contract is empty.
pub(super) fn entry(panel: &Panel) -> Value {
    let kind = match &panel.job.spec {
        Spec::Learn(_) => "Upload",
        Spec::Compute(_) | Spec::Train(_) | Spec::Infer(_) => "Input",
    };
    let parties: Vec<&str> = panel.parties.iter().map(Email::as_str).collect();
    json!({
        "contractAddr": "",
        "creationTime": panel.created_at.div_euclid(1000),
        "creator": panel.creator.as_str(),
        "jobID": panel.id,
        "jobName": panel.name,
        "parties": parties,
        "roundID": panel.round,
        "status": panel.job.status.as_str(),
        "typeStr": kind,
        "updateTime": panel.updated_at.div_euclid(1000),
    })
}
