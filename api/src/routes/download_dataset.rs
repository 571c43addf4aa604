//! `GET /sdk/computation/panel/downloadDataset?datasetType=&jobID=`: an uploaded file.

use axum::extract;
use axum::response::{IntoResponse, Response};
use shared::computation::FileKind;

use crate::State;
use crate::answer::{Error, Flat};
use crate::callers::Caller;
use crate::fields::Fields;
use crate::panel::{self, File, Part};
use crate::request::{InFlat, Parameters};

pub(super) async fn handle(
    state: extract::State<State>,
    InFlat(caller): InFlat<Caller>,
    InFlat(Parameters(parameters)): InFlat<Parameters>,
) -> Response {
    let asked = async {
        let account = panel::account(&state, &caller)?;
        let mut fields = Fields::of(&parameters)?;
        let words = [FileKind::Feature, FileKind::Target, FileKind::Testing];
        let kind = fields.required("datasetType")?;
        let id = fields.required("jobID")?;
        fields.finish()?;
        let kind = kind.word(&words.map(|kind| (kind.as_str(), kind)))?;
        let Part { panel, .. } = panel::part(&state, account, &id).await?;
        let key = panel::content_key(&state, &panel)?;
        let (Some(key), Some(bytes)) = (key, panel.files.get(&kind)) else {
            let word = kind.as_str();
            return Err(Error::Unknown(format!(
                "`jobID` is {}: that job has no {word} file",
                panel.id
            )));
        };
        let file = File {
            panel: panel.id,
            job: panel.job.id,
            round: panel::EVERY_ROUND,
            kind,
            bytes: *bytes,
            key,
        };
        panel::download(&state.store, file).await
    };
    asked
        .await
        .unwrap_or_else(|error| Flat(Err(error)).into_response())
}
