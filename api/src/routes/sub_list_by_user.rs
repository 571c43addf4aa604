//! `POST /sdk/computation/panel/subListByUser`: what a job's finished runs made, newest first; one
//! entry for each participant of each run. A page ends early when its results are long, after one run
//! at least; `totalCount` counts all the same, and smaller pages show the rest.

use axum::extract;
use serde_json::{Value, json};
use shared::computation::FileKind;
use shared::limits::{SUBMISSIONS_BYTES_MAX, SUBMISSIONS_PAGE_MAX};
use shared::store::{Email, Made, Panel, Submission};

use super::DOWNLOAD_RESULT;
use super::job_list_by_user::list;
use crate::State;
use crate::answer::{Error, Flat};
use crate::callers::Caller;
use crate::fields::Fields;
use crate::panel::{self, Page, Part};
use crate::request::{Body, InFlat};

pub(super) async fn handle(
    state: extract::State<State>,
    InFlat(caller): InFlat<Caller>,
    InFlat(Body(body)): InFlat<Body>,
) -> Flat {
    let asked = async {
        caller.paced(&state)?;
        let account = panel::account(&state, &caller)?;
        let mut fields = Fields::of(&body)?;
        let page = panel::page(&mut fields, SUBMISSIONS_PAGE_MAX)?;
        let id = fields.required("jobID")?;
        fields.finish()?;
        let Part { panel, .. } = panel::part(&state, account, &id).await?;
        let (entries, total) = entries(&state, &panel, page).await?;
        Ok(list(page, total, entries))
    };
    Flat(asked.await)
}

/// The entries of a page, and how many there are in all.
async fn entries(state: &State, panel: &Panel, page: Page) -> Result<(Vec<Value>, u64), Error> {
    let each = panel.parties.len();
    let first = (page.number - 1) as usize * page.size;
    let (mut entries, mut rounds, mut bytes) = (Vec::new(), 0, 0);
    let mut at = first;
    while at < first + page.size {
        // One run at a time: each may be long.
        let (found, total) = state
            .store
            .submissions_of(panel.id, (at / each) as u64 + 1, 1)
            .await?;
        rounds = total;
        let Some(submission) = found.first() else {
            break;
        };
        let last = (at / each + 1) * each;
        let whose = at % each..(first + page.size).min(last) - (last - each);
        at = last;
        let parties = &panel.parties[whose];
        bytes += length(submission) * parties.len();
        if bytes > SUBMISSIONS_BYTES_MAX && !entries.is_empty() {
            break;
        }
        entries.extend(parties.iter().map(|party| entry(panel, submission, party)));
    }
    Ok((entries, rounds * each as u64))
}

/// Bytes of what an entry says that a run made.
fn length(submission: &Submission) -> usize {
    match &submission.made {
        Made::Computed { exact, text } => exact.len() + text.len(),
        Made::Learned { metrics, .. } => metrics.len(),
    }
}

fn entry(panel: &Panel, submission: &Submission, party: &Email) -> Value {
    let mut entry = json!({
        "ccdCost": "0",
        "jobID": panel.id,
        "party": party.as_str(),
        "roundID": submission.round,
        "submitTime": submission.finished_at.div_euclid(1000),
        "txHash": "",
    });
    match &submission.made {
        Made::Computed { exact, text } => {
            entry["exact"] = exact.as_str().into();
            entry["result"] = text.as_str().into();
        }
        Made::Learned { metrics, files } => {
            let path = |kind: FileKind| {
                let (word, id, round) = (kind.as_str(), panel.id, submission.round);
                let path =
                    format!("{DOWNLOAD_RESULT}?jobID={id}&resultType={word}&roundID={round}");
                (word.to_owned(), Value::from(path))
            };
            let paths: Value = files.keys().map(|kind| path(*kind)).collect();
            entry["result"] = paths.to_string().into();
            entry["metrics"] = serde_json::from_str(metrics).unwrap_or(Value::Null);
        }
    }
    entry
}
