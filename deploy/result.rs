//! `concord result`: what a job made for one party, opened with the party's own key.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::bus::Token;
use shared::id::{JobId, ModelId, PartyId};
use shared::session::{open_model, open_scores};
use shared::source::Environment;
use uuid::Uuid;

use crate::data_dir::read_key_file;
use crate::export;
use crate::office::Office;
use crate::submit::client::Client;

/// Which result, and how to get at it.
pub struct Options {
    /// The job, as the API numbers it.
    pub order: i64,
    /// Where the API is: `http[s]://HOST:PORT`.
    pub api: String,
    /// Certificates (PEM) that vouch for it; without them the system's own.
    pub authorities: Option<String>,
    /// Who asks, where the API wants to know.
    pub token: Option<Token>,
    /// `party.toml`, or `federation.toml` with `party`.
    pub config: PathBuf,
    /// Whose result, in a federation of one process.
    pub party: Option<u64>,
    /// Another key file than the party's: the one whose public key the request named.
    pub key: Option<PathBuf>,
}

/// `/model/result`.
#[derive(Deserialize)]
struct Sealed {
    job: Uuid,
    kind: String,
    model_id: i64,
    sealed: String,
}

/// The scores as `/model/infer_status` shows them in the clear, or the model as `concord export`
/// prints it.
///
/// # Errors
/// When the API does not answer, the job has no result for this party, or it is not what its writer
/// sealed to this key.
pub async fn open(options: &Options, environment: Environment<'_>) -> anyhow::Result<Value> {
    let office = Office::find(&options.config, options.party, environment)?;
    let party = office.party;
    let path: &Path = options.key.as_deref().unwrap_or(office.key());
    let reader = read_key_file(path)?;
    let authorities = options.authorities.as_deref();
    let client = Client::new(&options.api, authorities, options.token.clone())?;
    let (order, PartyId(user)) = (options.order, party);
    let asked = format!("/model/result?order_id={order}&user_id={user}");
    let answer: Sealed = client.get(&asked).await?;
    let sealed = STANDARD.decode(&answer.sealed);
    let sealed = sealed.context("the API's answer is not in base64")?;
    let job = JobId(answer.job);
    let spoilt = "the result does not open: it is another job's, was changed on the way, or is for \
        another key (--key)";
    match answer.kind.as_str() {
        "train" => {
            let leader = office.ledger()?.leader(job)?;
            let writer = shared::seal::peek(&sealed).context(spoilt)?.from;
            ensure!(
                leader == Some(writer),
                "party {writer} signed this model, and did not lead its training as party {party} \
                 knows it"
            );
            let model = open_model(&reader, &office.peers, party, job, &sealed).context(spoilt)?;
            Ok(export::to_json(ModelId(answer.model_id), &model))
        }
        kind => {
            ensure!(
                kind == "infer",
                "the API sent a result of the kind {kind:?}"
            );
            let owner = (party, &office.own);
            let scores = open_scores(owner, reader.sealing(), job, &sealed).context(spoilt)?;
            let shown = |score: &shared::message::Score| json!({ "label": score.label, "unique_id": score.unique_id });
            Ok(scores.iter().map(shown).collect())
        }
    }
}
