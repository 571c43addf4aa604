//! Jobs of the panel: named, of one or three accounts, and run again and again. Each run is a job
//! with an attempt, a lease and an end like any other.

mod create;
mod delete;
mod fill;
mod read;

use std::collections::BTreeMap;

use super::files::UploadId;
use super::{Email, Job, Key, Unclaimed};
use crate::computation::{FileKind, Shape, ShapeError};
use crate::id::{JobId, OrderId, PanelId, PartyId};
use crate::job::{JobStatus, Spec};
use crate::sharing::Bundle;

/// What is told of the request for a job that was deleted, instead of its [`NewPanel::echo`].
pub const ECHO_OF_DELETED: &str = "{}";

/// An account's input for one run.
pub struct Fill {
    /// The matrix, split among the three workers.
    pub bundle: Bundle,
    /// Who split it.
    pub protection: InputProtection,
}

/// Who split an input, and so who saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputProtection {
    /// The API, which forgot it.
    ServerSplit,
    /// The participant: nobody else saw it.
    ClientSealed,
}

impl InputProtection {
    /// Both.
    pub const ALL: [InputProtection; 2] =
        [InputProtection::ServerSplit, InputProtection::ClientSealed];

    /// The word of the table and of requests.
    pub fn as_str(self) -> &'static str {
        match self {
            InputProtection::ServerSplit => "server-split",
            InputProtection::ClientSealed => "client-sealed",
        }
    }
}

/// A panel job to be made.
pub struct NewPanel {
    /// Its name outside.
    pub id: PanelId,
    /// What its creator calls it: no other job that the creator has now.
    pub name: String,
    /// Who makes it.
    pub creator: Email,
    /// Its participants in order, one or three; the creator is one of them.
    pub parties: Vec<Email>,
    /// What its first run does: [`Spec::Compute`] or [`Spec::Learn`], round 1.
    pub spec: Spec,
    /// The party that the run counts for.
    pub owner: PartyId,
    /// What may be told of the request, as JSON; never an input.
    pub echo: String,
    /// The owner's name for the request, when it has one.
    pub key: Option<Key>,
    /// The creator's input.
    pub fill: Option<Fill>,
    /// Whether participants split their inputs themselves.
    pub client_sealed: bool,
    /// The files to learn from, with their key.
    pub upload: Option<(UploadId, Keys)>,
    /// Bytes of files that the creator's live jobs may have, the upload among them; see
    /// [`crate::limits::FILES_BYTES_PER_ACCOUNT_MAX`].
    pub files_bytes_max: u64,
}

/// The key of a panel job's files, twice.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// Sealed to the worker's party.
    pub worker: Vec<u8>,
    /// Wrapped for the API.
    pub api: Vec<u8>,
}

/// What came of a [`NewPanel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// Its first run; of a repeated request the one that it made then.
    Run(Run),
    /// The creator has a job of that name.
    NameTaken,
}

/// A run of a panel job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Of which job.
    pub panel: PanelId,
    /// Which run of it, from 1.
    pub round: u32,
    /// Its name inside.
    pub job: JobId,
    /// Its name outside.
    pub order: OrderId,
    /// Where it stands.
    pub status: JobStatus,
}

/// A panel job as it stands. Times are Unix milliseconds of the database's clock. Not to be
/// printed: it has keys.
#[derive(Clone, PartialEq)]
pub struct Panel {
    /// Its name outside.
    pub id: PanelId,
    /// What its creator calls it.
    pub name: String,
    /// Who made it.
    pub creator: Email,
    /// Its participants in order.
    pub parties: Vec<Email>,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// Whether participants split their inputs themselves.
    pub client_sealed: bool,
    /// The current run, from 1.
    pub round: u32,
    /// The current run.
    pub job: Job,
    /// Each participant's input to the current run: also when that has ended and the input is gone.
    pub filled: Vec<Option<(Shape, InputProtection)>>,
    /// The key of its files, if it has any.
    pub keys: Option<Keys>,
    /// Bytes of each uploaded file.
    pub files: BTreeMap<FileKind, u64>,
}

/// What came of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filled {
    /// It is kept; others are missing.
    Stored,
    /// It was the last one missing: the run waits for a worker.
    Complete(Unclaimed),
    /// The run does not wait for inputs (any more).
    TooLate(JobStatus),
    /// Its shape does not fit the others'.
    Unfit(ShapeError),
    /// There is no such job, run or participant.
    NotFound,
}

/// What came of the wish to run a panel job again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rerun {
    /// The new run.
    Run(Run),
    /// The current run has not ended.
    Open(JobStatus),
    /// There is no such job.
    NotFound,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Which, from 1.
    pub round: u32,
    /// Its name inside.
    pub job: JobId,
    /// When it ended: Unix milliseconds of the database's clock.
    pub finished_at: i64,
    /// What it made.
    pub made: Made,
}

/// What a run made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// A joint computation.
    Computed {
        /// Its exact numbers: JSON of a list of rows.
        exact: String,
        /// The same with six decimals.
        text: String,
    },
    /// Learning from files.
    Learned {
        /// How well it did: JSON.
        metrics: String,
        /// Bytes of each file made.
        files: BTreeMap<FileKind, u64>,
    },
}
