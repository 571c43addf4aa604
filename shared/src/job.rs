//! A job: what was asked for, where it stands, and the only function that moves it.

mod reason;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::reason::{Reason, ReasonCode};
use crate::computation::{FileKind, Learner, Operation};
use crate::hyperparameters::Hyperparameters;
use crate::id::{Attempt, JobId, ModelId, PanelId, PartyId, Round, SessionId};
use crate::party::Parties;
use crate::query::Query;
use crate::table::{Dropped, Label, Needed};

/// What a job is to do. Its JSON is the job's canonical request: stored once, hashed, and carried
/// to every party as the same bytes.
// No `tag`: serde reads a tagged enum through a buffer, where a map's numeric keys stay text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spec {
    /// Train one model over the rows of several parties.
    Train(TrainSpec),
    /// Score one party's rows with a trained model.
    Infer(InferSpec),
    /// Compute over three participants' matrices.
    Compute(ComputeSpec),
    /// Learn from one participant's files.
    Learn(LearnSpec),
}

/// A checked training request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSpec {
    /// Who takes part.
    pub parties: Parties,
    /// What each data party reads.
    pub cohorts: BTreeMap<PartyId, Cohort>,
    /// Column that names a row.
    pub unique_id: String,
    /// Columns, in the order of the coefficients.
    pub attributes: Vec<String>,
    /// Which rows are positive.
    pub label: Label,
    /// What shapes the model.
    pub hyperparameters: Hyperparameters,
    /// How the sums are protected.
    pub protection: Protection,
}

/// One party's rows: those of `pos`, and those of `neg`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cohort {
    /// Positive rows, where the relation has no class column.
    pub pos: Query,
    /// Negative rows, where the relation has no class column.
    pub neg: Query,
}

/// A checked inference request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InferSpec {
    /// The model, outside.
    pub model: ModelId,
    /// The job that trained it.
    pub trained_by: JobId,
    /// Whose rows are scored, and by whom.
    pub party: PartyId,
    /// Which rows.
    pub query: Query,
    /// Whom the scores are for (X25519), where it is not the party itself. The party seals to keys
    /// only that its policy pins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_key: Option<[u8; 32]>,
}

/// One run of a joint computation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComputeSpec {
    /// The panel's job.
    pub panel: PanelId,
    /// Which run of it, from 1.
    pub round: u32,
    /// What is computed.
    pub operation: Operation,
    /// The parties whose workers compute, each with two of three shares of everything.
    pub workers: [PartyId; 3],
    /// The participants' own parties, of those that have one.
    pub parties: Vec<PartyId>,
}

impl ComputeSpec {
    /// What the input of the participant at `position` (0 to 2) is bound to: it opens as nothing
    /// else, in no other job and no other run.
    pub fn input_context(&self, position: usize) -> Vec<u8> {
        let Self {
            panel,
            round,
            operation,
            workers,
            ..
        } = self;
        serde_json::to_vec(&(
            "concord/v1 input",
            panel,
            round,
            operation,
            workers,
            position,
        ))
        .expect("plain data always serialises")
    }
}

/// One run of learning from files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnSpec {
    /// The panel's job.
    pub panel: PanelId,
    /// Which run of it, from 1.
    pub round: u32,
    /// What is learned.
    pub learner: Learner,
    /// The party whose worker learns: it sees the files.
    pub worker: PartyId,
    /// The participant's own party, if it has one.
    pub party: Option<PartyId>,
    /// The bytes of each file.
    pub files: BTreeMap<FileKind, u64>,
}

impl LearnSpec {
    /// What a piece of a file is bound to; the files of one job have one key. `pieces` is how many
    /// the whole file has where a run made it (`round` from 1), so that nobody can cut it; 0 of an
    /// uploaded one (`round` 0), whose length the key is bound to.
    pub fn piece_context(
        panel: PanelId,
        round: u32,
        kind: FileKind,
        piece: u32,
        pieces: u32,
    ) -> Vec<u8> {
        serde_json::to_vec(&("concord/v1 piece", panel, round, kind, piece, pieces))
            .expect("plain data always serialises")
    }

    /// What the key of a job's files is bound to, in all its runs: what is learned, by whom, and
    /// from how many bytes of which file.
    pub fn key_context(&self) -> Vec<u8> {
        let Self {
            panel,
            learner,
            worker,
            files,
            ..
        } = self;
        serde_json::to_vec(&("concord/v1 files", panel, learner, worker, files))
            .expect("plain data with text keys always serialises")
    }
}

/// What kind of job it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// [`Spec::Train`].
    Train,
    /// [`Spec::Infer`].
    Infer,
    /// [`Spec::Compute`].
    Compute,
    /// [`Spec::Learn`].
    Learn,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Train, Kind::Infer, Kind::Compute, Kind::Learn];

    /// The word of the table and of the logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Train => "train",
            Kind::Infer => "infer",
            Kind::Compute => "compute",
            Kind::Learn => "learn",
        }
    }
}

impl Spec {
    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Spec::Train(_) => Kind::Train,
            Spec::Infer(_) => Kind::Infer,
            Spec::Compute(_) => Kind::Compute,
            Spec::Learn(_) => Kind::Learn,
        }
    }

    /// The party whose worker takes the job.
    pub fn guest(&self) -> PartyId {
        match self {
            Spec::Train(spec) => spec.parties.guest,
            Spec::Infer(spec) => spec.party,
            Spec::Compute(spec) => spec.workers[0],
            Spec::Learn(spec) => spec.worker,
        }
    }

    /// The parties whose rows it uses, ascending: who may know of the job. None for the panel's
    /// jobs, whose participants are accounts.
    pub fn participants(&self) -> Vec<PartyId> {
        match self {
            Spec::Train(spec) => spec.parties.ascending(),
            Spec::Infer(spec) => vec![spec.party],
            Spec::Compute(_) | Spec::Learn(_) => Vec::new(),
        }
    }
}

impl TrainSpec {
    /// The columns that every data party reads.
    pub fn needed(&self) -> Needed {
        Needed {
            unique_id: self.unique_id.clone(),
            attributes: self.attributes.clone(),
            label: Some(self.label.column.clone()),
        }
    }

    /// The words of the request that shape the model, and none that say who holds which row or how
    /// sums are protected: what every [`crate::draw::Draw`] starts from.
    pub fn shape(&self) -> Vec<u8> {
        serde_json::to_vec(&(
            &self.unique_id,
            &self.attributes,
            &self.label,
            &self.hyperparameters,
        ))
        .expect("plain data with text keys always serialises")
    }
}

/// How a party's contribution to a sum is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Pairwise masks, then Paillier under the guest's key; the arbiter adds.
    Paillier {
        /// Bits of the modulus.
        key_bits: u32,
    },
    /// Pairwise masks, sealed to the guest, which adds.
    SecAgg,
    /// Contributions in the clear to the guest; only where every party's policy allows it.
    None,
}

/// Where a job stands. The words are those of the table's check constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Accepted; not all participants have filled in their data.
    AwaitingInput,
    /// Accepted; no session has it yet, or its last one was lost.
    Pending,
    /// A guest's session has it, and an officer of a party has yet to say yes.
    AwaitingApproval,
    /// A guest's session has it.
    Running,
    /// Done; its result is there.
    Finished,
    /// Ended without a result; the report says why.
    Failed,
    /// Ended by its owner.
    Cancelled,
}

/// What can happen to a job's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The last participant filled in its data.
    Fill,
    /// A session was granted.
    Claim,
    /// A party waits for its officer.
    Await,
    /// No party waits for its officer any more.
    Resume,
    /// The session was lost or gave up in a way that another attempt may mend.
    Release,
    /// The session delivered its outcome.
    Finish,
    /// It ended for a reason that no attempt mends, or too often, or too late.
    Fail,
    /// Its owner ended it.
    Cancel,
}

impl JobStatus {
    /// The status after a transition; `None` when the transition changes nothing any more.
    pub fn after(self, transition: Transition) -> Option<JobStatus> {
        use JobStatus::{
            AwaitingApproval, AwaitingInput, Cancelled, Failed, Finished, Pending, Running,
        };
        match (self, transition) {
            (Finished | Failed | Cancelled, _) => None,
            (AwaitingInput, Transition::Fill) => Some(Pending),
            (Pending | AwaitingApproval | Running, Transition::Fill) => None,
            (Pending, Transition::Claim) => Some(Running),
            (AwaitingInput | AwaitingApproval | Running, Transition::Claim) => None,
            (Running, Transition::Await) => Some(AwaitingApproval),
            (AwaitingInput | Pending | AwaitingApproval, Transition::Await) => None,
            (AwaitingApproval, Transition::Resume) => Some(Running),
            (AwaitingInput | Pending | Running, Transition::Resume) => None,
            (AwaitingApproval | Running, Transition::Release) => Some(Pending),
            (AwaitingInput | Pending, Transition::Release) => None,
            // The last of them said yes since the last beat.
            (AwaitingApproval | Running, Transition::Finish) => Some(Finished),
            (AwaitingInput | Pending, Transition::Finish) => None,
            (AwaitingInput | Pending | AwaitingApproval | Running, Transition::Fail) => {
                Some(Failed)
            }
            (AwaitingInput | Pending | AwaitingApproval | Running, Transition::Cancel) => {
                Some(Cancelled)
            }
        }
    }

    /// Whether nothing changes any more.
    pub fn is_terminal(self) -> bool {
        match self {
            JobStatus::AwaitingInput
            | JobStatus::Pending
            | JobStatus::AwaitingApproval
            | JobStatus::Running => false,
            JobStatus::Finished | JobStatus::Failed | JobStatus::Cancelled => true,
        }
    }

    /// The word of the table and of the logs.
    pub fn as_str(self) -> &'static str {
        match self {
            JobStatus::AwaitingInput => "awaiting_input",
            JobStatus::Pending => "pending",
            JobStatus::AwaitingApproval => "awaiting_approval",
            JobStatus::Running => "running",
            JobStatus::Finished => "finished",
            JobStatus::Failed => "failed",
            JobStatus::Cancelled => "cancelled",
        }
    }
}

/// Which session of which attempt speaks. Whoever is not the current one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: Attempt,
    /// The session.
    pub session: SessionId,
}

/// What a job is doing, for progress and for the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Parties join, read their rows and agree on keys.
    #[default]
    Preparing,
    /// Counts, means and deviations are summed.
    Counting,
    /// Gradients are summed.
    Training,
    /// One party scores rows.
    Scoring,
    /// Three workers compute on shares.
    Computing,
    /// One worker learns from files.
    Learning,
}

/// Everything `/model/report` may show: no row, gradient, weight, loss or key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// What the job is doing, or was doing last.
    pub phase: Phase,
    /// When a session first had the job, in Unix milliseconds of the database's clock.
    pub started_at: Option<i64>,
    /// Rounds done, over all attempts.
    pub round: Round,
    /// Iterations done.
    pub iterations: u32,
    /// Iterations at most; 0 until known.
    pub iterations_max: u32,
    /// Mini-batches of one iteration; 0 until known.
    pub batches: u32,
    /// Whether training met its convergence test; `None` until it ended.
    pub converged: Option<bool>,
    /// Rows each party uses.
    pub rows: BTreeMap<PartyId, u64>,
    /// Rows each party left out, and why.
    pub dropped: BTreeMap<PartyId, Dropped>,
    /// What was encrypted and how.
    pub privacy: Option<Privacy>,
    /// Whom the job waits for, and since when.
    pub waiting: Option<Waiting>,
    /// Why the job failed, or why its last attempt did.
    pub reason: Option<Reason>,
    /// Milliseconds of the median round of the current attempt; `None` before the first.
    pub round_milliseconds: Option<f64>,
}

/// What left the parties, and in which form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Privacy {
    /// The protection.
    pub protection: Protection,
    /// Plaintext slots of one contribution in training.
    pub slots: u32,
    /// Ciphertexts of one contribution in training; 0 without Paillier.
    pub ciphertexts: u32,
    /// Bytes of contributions each party sent in this attempt.
    pub bytes: BTreeMap<PartyId, u64>,
}

/// Who is being waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Parties that have not joined or answered.
    pub parties: Vec<PartyId>,
    /// Unix milliseconds, database clock.
    pub since: i64,
}
