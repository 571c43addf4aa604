//! The panel: jobs of accounts instead of parties (the second API document). A job computes over
//! three participants' matrices, or learns from one's files; each run of it is a job like all jobs.

mod files;
mod form;
mod input;
mod request;
mod table_shape;
mod turns;
mod upload;
mod workers;

use rand::Rng;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use serde::{Deserialize, Serialize};
use shared::id::PanelId;
use shared::job::Spec;
use shared::seal::{self, ContentKey};
use shared::store::{ECHO_OF_DELETED, Email, Job, Panel};

use crate::State;
use crate::answer::Error;
use crate::callers::{Account, Caller};
use crate::fields::{Field, Fields};

pub(crate) use files::{File, UPLOADED, download};
pub(crate) use input::{Input, split};
pub(crate) use request::{Joint, Page, joint, name_taken, page, queued};
pub(crate) use turns::Turns;
pub(crate) use upload::learn;
pub(crate) use workers::{own_worker, workers};

/// What jobs of the panel are made by.
pub(crate) const BY_INPUT: &str = "/sdk/computation/panel/createJobByInput";
/// What jobs of the panel that learn are made by: the one route that takes long bodies.
pub(crate) const BY_FILE: &str = "/sdk/computation/panel/createJobByFile";

/// A new job's name outside: nobody guesses it.
pub(crate) fn new_id() -> PanelId {
    let mut id = [0; 32];
    UnwrapErr(SysRng).fill_bytes(&mut id);
    PanelId(id)
}

/// What a run remembers of the request for its job.
#[derive(Serialize, Deserialize)]
pub(crate) struct Echo {
    #[serde(rename = "jobID")]
    pub(crate) id: PanelId,
    #[serde(rename = "jobName")]
    pub(crate) name: String,
    #[serde(with = "addresses")]
    pub(crate) parties: Vec<Email>,
}

impl Echo {
    /// Of a run; of another job, and of a deleted one's run, one that nobody takes part in.
    pub(crate) fn of(job: &Job) -> Echo {
        serde_json::from_str(&job.echo).unwrap_or_else(|_| {
            if job.echo != ECHO_OF_DELETED {
                tracing::error!(job = %job.id, "a run that does not say whose it is");
            }
            Echo {
                id: PanelId([0; 32]),
                name: String::new(),
                parties: Vec::new(),
            }
        })
    }

    /// As the store keeps it.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("plain data always serialises")
    }
}

/// E-mail addresses as JSON has them.
mod addresses {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use shared::store::Email;

    pub(super) fn serialize<S: Serializer>(all: &[Email], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().map(Email::as_str))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Email>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let emails = texts.iter().map(|text| Email::parse(text));
        let emails: Option<Vec<Email>> = emails.collect();
        emails.ok_or_else(|| D::Error::custom("no e-mail address"))
    }
}

/// The account that calls; jobs of the panel are nobody else's.
///
/// # Errors
/// [`Error::Conflict`] where there are no accounts.
pub(crate) fn account<'a>(state: &State, caller: &'a Caller) -> Result<&'a Account, Error> {
    state.callers.of_accounts()?;
    match caller {
        Caller::Account(account) => Ok(account),
        Caller::Anyone => Err(Error::Internal),
    }
}

/// A job of the panel that somebody takes part in, and in which place.
pub(crate) struct Part {
    pub(crate) panel: Panel,
    pub(crate) position: usize,
}

/// The job that `field` names. One that the account takes no part in is not there.
///
/// # Errors
/// [`Error::Unknown`], the same whether there is none or it is others'; an outage.
pub(crate) async fn part(
    state: &State,
    account: &Account,
    field: &Field<'_>,
) -> Result<Part, Error> {
    let id = request::id(field)?;
    let panel = state.store.panel(id).await?.ok_or_else(|| unknown(id))?;
    let position = panel.parties.iter().position(|own| *own == account.email);
    let position = position.ok_or_else(|| unknown(id))?;
    Ok(Part { panel, position })
}

/// The job that a body's one field names.
///
/// # Errors
/// As [`part`]; when the body has another field.
pub(crate) async fn part_of_body(
    state: &State,
    account: &Account,
    body: &serde_json::Value,
) -> Result<Part, Error> {
    let mut fields = Fields::of(body)?;
    let id = fields.required(request::JOB)?;
    fields.finish()?;
    part(state, account, &id).await
}

/// What is said of a job that is not there.
pub(crate) fn unknown(id: PanelId) -> Error {
    Error::Unknown(format!("`jobID` is {id}: there is no such job"))
}

impl Part {
    /// What only the creator may do.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; `done` continues "may be".
    pub(crate) fn of_creator(self, account: &Account, done: &str) -> Result<Panel, Error> {
        let Part { panel, .. } = self;
        match panel.creator == account.email {
            true => Ok(panel),
            false => Err(Error::Forbidden(format!(
                "`jobID` is {}: that job may be {done} by its creator alone",
                panel.id
            ))),
        }
    }
}

/// The key of a job's files; `None` when it has no files.
///
/// # Errors
/// [`Error::Internal`] when no secret of ours opens it any more, or it is that of other files.
pub(crate) fn content_key(state: &State, panel: &Panel) -> Result<Option<ContentKey>, Error> {
    let (Some(keys), Spec::Learn(spec)) = (&panel.keys, &panel.job.spec) else {
        return Ok(None);
    };
    let key = state
        .callers
        .of_accounts()?
        .secrets
        .unwrap(&spec.key_context(), &keys.api);
    let opened = key.map_err(|error: seal::Error| {
        let name = panel.id;
        tracing::error!(%error, %name, "the key of a job's files does not open: its secret is gone, or the job is not what it was");
        Error::Internal
    });
    opened.map(Some)
}

/// What a job computes, by its name in the document, in lower case.
pub(crate) fn computation(panel: &Panel) -> String {
    let name = match &panel.job.spec {
        Spec::Compute(spec) => spec.operation.name(),
        Spec::Learn(spec) => spec.learner.name(),
        Spec::Train(_) | Spec::Infer(_) => "",
    };
    name.to_lowercase()
}
