//! What a party writes down about a job before it answers anything: the words between its sessions,
//! which compute and never write, and its ledger, which writes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hyperparameters::Hyperparameters;
use crate::id::{Attempt, JobId, PartyId, Round};
use crate::job::{
    Cohort as Queries, Fence, InferSpec, Kind, Protection, Reason, ReasonCode, TrainSpec,
};
use crate::policy::cohort_refused;
pub use crate::table::Mark;
use crate::table::Needed;

/// One session's wish that the party take part in its job with the rows that it read. Holds no row,
/// no id and no text of a query.
#[derive(Clone)]
pub struct Admission {
    /// Which session of which attempt.
    pub fence: Fence,
    /// The party that leads the job.
    pub guest: PartyId,
    /// Every data party, ascending.
    pub parties: Vec<PartyId>,
    /// SHA-256 of the job's canonical request.
    pub request: [u8; 32],
    /// Keyed digest of the rows and columns that the party read.
    pub digest: Vec<u8>,
    /// That digest of an earlier attempt, as the platform remembers it.
    pub earlier: Option<Vec<u8>>,
    /// What the difference rule looks at; `None` for an inference, which has none.
    pub cohort: Option<Cohort>,
    /// Whether a person must say yes.
    pub manual: bool,
    /// How long after the first wish the person may take.
    pub approval: Duration,
    /// [`crate::policy::Train::ndiff`].
    pub ndiff: usize,
    /// What a person is shown.
    pub summary: Summary,
    /// For an inference: the job that trained the model, and who signed the model.
    pub model: Option<(JobId, PartyId)>,
}

/// A training's rows, as far as the difference rule looks at them.
#[derive(Clone)]
pub struct Cohort {
    /// The relations they are of, as the policy names them ([`crate::policy::Policy::relations`]).
    pub relations: Vec<String>,
    /// SHA-256 of the columns' names in an order of its own: contents are compared where it is equal.
    pub columns: [u8; 32],
    /// One for each row, ascending by id.
    pub marks: Vec<Mark>,
}

/// What a person is shown before saying yes or no.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// `train` or `infer`.
    pub kind: String,
    /// The party that leads.
    pub guest: PartyId,
    /// Every data party, ascending.
    pub parties: Vec<PartyId>,
    /// The relations that this party reads.
    pub relations: Vec<String>,
    /// Attributes, in order.
    pub columns: Vec<String>,
    /// Column that carries the class.
    pub label: Option<String>,
    /// Columns that the queries ask about; not what they ask.
    pub filters: Vec<String>,
    /// Rows that this party would use.
    pub rows: u64,
    /// How sums are protected; `None` for an inference.
    pub protection: Option<Protection>,
    /// What shapes the model; `None` for an inference.
    pub hyperparameters: Option<Hyperparameters>,
}

/// A promise: this is the one model that the party answers this question of the job for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pledge {
    /// The job.
    pub job: JobId,
    /// What is asked; 0 is the first kind of question of an algorithm.
    pub kind: u8,
    /// The round.
    pub round: Round,
    /// The mini-batch; 0 where there is one.
    pub batch: u32,
    /// SHA-256 of the model, or of whatever else the question carries.
    pub model: [u8; 32],
}

impl Pledge {
    /// The kind of a pledge that is no answer to a question.
    const INPUTS: u8 = 255;

    /// That a run is computed with one set of inputs.
    pub fn of_inputs(run: JobId, digest: [u8; 32]) -> Pledge {
        Pledge {
            job: run,
            kind: Pledge::INPUTS,
            round: Round(0),
            batch: 0,
            model: digest,
        }
    }

    /// That an attempt at a run is computed in one setting: session, parties and their keys.
    pub fn of_attempt(run: JobId, attempt: Attempt, setup: [u8; 32]) -> Pledge {
        Pledge {
            round: Round(attempt.0),
            ..Pledge::of_inputs(run, setup)
        }
    }

    /// Why nothing leaves when the ledger has another pledge in its place.
    pub fn broken(&self) -> ReasonCode {
        match self.kind {
            Pledge::INPUTS => ReasonCode::InputsChanged,
            _ => ReasonCode::ModelChanged,
        }
    }
}

/// The ledger's answer to an [`Admission`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Take part.
    Admitted,
    /// A person has not decided yet.
    Awaiting,
    /// Don't.
    Refused(ReasonCode),
}

impl Cohort {
    /// A cohort of the rows that `marks` stand for ([`crate::table::Table::marks`]), with the same
    /// needed columns.
    pub fn new(relations: Vec<String>, needed: &Needed, marks: Vec<Mark>) -> Cohort {
        let mut names: Vec<String> = needed.attributes.iter().map(|name| folded(name)).collect();
        names.sort_unstable();
        names.insert(0, folded(&needed.unique_id));
        let mut hash = Sha256::new();
        for name in names {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
        }
        Cohort {
            relations,
            columns: hash.finalize().into(),
            marks,
        }
    }
}

fn folded(name: &str) -> String {
    name.to_lowercase()
}

impl Summary {
    /// Of a training, at the party `me`, which would use so many rows of these relations.
    pub fn of_training(
        spec: &TrainSpec,
        me: PartyId,
        relations: Vec<String>,
        rows: u64,
    ) -> Summary {
        let cohort = spec.cohorts.get(&me);
        let queries = cohort
            .into_iter()
            .flat_map(|Queries { pos, neg }| [pos, neg]);
        Summary {
            kind: Kind::Train.as_str().to_owned(),
            guest: spec.parties.guest,
            parties: spec.parties.ascending(),
            relations,
            columns: spec.attributes.clone(),
            label: Some(spec.label.column.clone()),
            filters: tested(queries.filter_map(|query| query.filter.as_ref())),
            rows,
            protection: Some(spec.protection),
            hyperparameters: Some(spec.hyperparameters.clone()),
        }
    }

    /// Of an inference over so many rows.
    pub fn of_inference(spec: &InferSpec, needed: &Needed, rows: u64) -> Summary {
        Summary {
            kind: Kind::Infer.as_str().to_owned(),
            guest: spec.party,
            parties: vec![spec.party],
            relations: vec![spec.query.relation.to_string()],
            columns: needed.attributes.clone(),
            label: None,
            filters: tested(spec.query.filter.iter()),
            rows,
            protection: None,
            hyperparameters: None,
        }
    }
}

fn tested<'a>(filters: impl Iterator<Item = &'a crate::query::Predicate>) -> Vec<String> {
    let mut names = Vec::new();
    for filter in filters {
        filter.columns(&mut |name| names.push(name.to_owned()));
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The sentence to a code of a ledger's, at the party `me`.
pub fn refused(me: PartyId, code: ReasonCode) -> Reason {
    let what = match code {
        ReasonCode::CohortPolicy => return cohort_refused(me),
        ReasonCode::RequestChanged => {
            "knows the job with another request, other parties or another guest"
        }
        ReasonCode::DataChanged => "has other rows than when the job began",
        ReasonCode::LedgerLost => {
            "counted rows for the job before, and its ledger knows nothing of it"
        }
        ReasonCode::ModelMissing => "was given a model that another party signed than trained it",
        ReasonCode::LedgerUnavailable => "cannot use its ledger now",
        ReasonCode::ModelChanged => "answered this round for another model already",
        ReasonCode::InputsChanged => "computed this run with other inputs already",
        ReasonCode::ApprovalRejected => "did not approve the job",
        ReasonCode::ApprovalExpired => "did not decide on the job in time",
        _ => "refused the job",
    };
    Reason {
        code,
        text: format!("party {me} {what}"),
        party: Some(me),
    }
}
