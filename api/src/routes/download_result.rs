//! `GET /sdk/computation/panel/downloadResult?jobID=&resultType=&roundID=`: a file that a finished
//! run made; that of the last one, when no round is named.

use axum::extract;
use axum::response::{IntoResponse, Response};
use shared::computation::FileKind;
use shared::store::Made;

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
        let id = fields.required("jobID")?;
        let kind = fields.required("resultType")?;
        let round = fields.optional("roundID");
        fields.finish()?;
        let words = [FileKind::Result, FileKind::Model];
        let kind = kind.word(&words.map(|kind| (kind.as_str(), kind)))?;
        let round = round
            .map(|field| field.id(u64::from(u32::MAX)))
            .transpose()?;
        let round = round.map(|round| u32::try_from(round).expect("as the line above checks"));
        let Part { panel, .. } = panel::part(&state, account, &id).await?;
        let key = panel::content_key(&state, &panel)?;
        let made = state.store.submission(panel.id, round).await?;
        let found = made.and_then(|submission| match submission.made {
            Made::Learned { files, .. } => {
                let bytes = *files.get(&kind)?;
                Some((submission.job, submission.round, bytes))
            }
            Made::Computed { .. } => None,
        });
        let (Some(key), Some((job, round, bytes))) = (key, found) else {
            let word = kind.as_str();
            return Err(Error::Unknown(format!(
                "`jobID` is {}: no such finished run of that job has made a {word} file that is kept",
                panel.id
            )));
        };
        let file = File {
            panel: panel.id,
            job,
            round,
            kind,
            bytes,
            key,
        };
        panel::download(&state.store, file).await
    };
    asked
        .await
        .unwrap_or_else(|error| Flat(Err(error)).into_response())
}
