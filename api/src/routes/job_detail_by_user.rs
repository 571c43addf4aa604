//! `POST /sdk/computation/panel/jobDetailByUser`: everything about a job but what is in it.

use std::collections::BTreeMap;

use axum::extract;
use serde_json::{Value, json};
use shared::computation::{FileKind, Operation, Reveal};
use shared::job::{JobStatus, Spec};
use shared::store::Panel;

use super::job_list_by_user::entry;
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
        Ok(detail(&part.panel))
    };
    Flat(asked.await)
}

fn detail(panel: &Panel) -> Value {
    let mut detail = entry(panel);
    detail["computationStr"] = panel::computation(panel).into();
    detail["order_id"] = json!(panel.job.order);
    detail["reason"] = reason(panel);
    match &panel.job.spec {
        Spec::Compute(spec) => {
            let protection = |fill: &Option<(_, shared::store::InputProtection)>| {
                fill.as_ref().map(|(_, protection)| protection.as_str())
            };
            detail["clientSealed"] = panel.client_sealed.into();
            detail["filled"] = panel.filled.iter().map(Option::is_some).collect();
            detail["inputProtection"] = panel.filled.iter().map(protection).collect();
            detail["privacy"] = "three-party shares (honest majority)".into();
            detail["workers"] = json!(spec.workers);
            if let Operation::Comparison(reveal) = spec.operation {
                detail["reveal"] = match reveal {
                    Reveal::Greater => "greater".into(),
                    Reveal::Max => "max".into(),
                };
            }
        }
        Spec::Learn(spec) => {
            detail["files"] = json!(bytes(&panel.files));
            detail["privacy"] = "none (single worker)".into();
            detail["workers"] = json!([spec.worker]);
        }
        Spec::Train(_) | Spec::Infer(_) => {}
    }
    detail
}

fn bytes(files: &BTreeMap<FileKind, u64>) -> BTreeMap<&'static str, u64> {
    files
        .iter()
        .map(|(kind, bytes)| (kind.as_str(), *bytes))
        .collect()
}

/// Why the current run failed, if it did.
fn reason(panel: &Panel) -> Value {
    let failed = panel.job.status == JobStatus::Failed;
    let reason = panel.job.report.reason.as_ref().filter(|_| failed);
    reason.map_or(
        Value::Null,
        |reason| json!({ "code": reason.code, "text": reason.text }),
    )
}
