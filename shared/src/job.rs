//! A job: what was asked for, where it stands, and the only function that moves it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hyperparameters::Hyperparameters;
use crate::id::{Attempt, JobId, ModelId, PartyId, Round, SessionId};
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

/// What kind of job it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// [`Spec::Train`].
    Train,
    /// [`Spec::Infer`].
    Infer,
}

impl Kind {
    /// The word of the table and of the logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Train => "train",
            Kind::Infer => "infer",
        }
    }
}

impl Spec {
    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Spec::Train(_) => Kind::Train,
            Spec::Infer(_) => Kind::Infer,
        }
    }

    /// The party whose worker takes the job.
    pub fn guest(&self) -> PartyId {
        match self {
            Spec::Train(spec) => spec.parties.guest,
            Spec::Infer(spec) => spec.party,
        }
    }

    /// The parties whose rows it uses, ascending: who may know of the job.
    pub fn participants(&self) -> Vec<PartyId> {
        match self {
            Spec::Train(spec) => spec.parties.ascending(),
            Spec::Infer(spec) => vec![spec.party],
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
        use JobStatus::{AwaitingApproval, Cancelled, Failed, Finished, Pending, Running};
        match (self, transition) {
            (Finished | Failed | Cancelled, _) => None,
            (Pending, Transition::Claim) => Some(Running),
            (AwaitingApproval | Running, Transition::Claim) => None,
            (Running, Transition::Await) => Some(AwaitingApproval),
            (Pending | AwaitingApproval, Transition::Await) => None,
            (AwaitingApproval, Transition::Resume) => Some(Running),
            (Pending | Running, Transition::Resume) => None,
            (AwaitingApproval | Running, Transition::Release) => Some(Pending),
            (Pending, Transition::Release) => None,
            // The last of them said yes since the last beat.
            (AwaitingApproval | Running, Transition::Finish) => Some(Finished),
            (Pending, Transition::Finish) => None,
            (Pending | AwaitingApproval | Running, Transition::Fail) => Some(Failed),
            (Pending | AwaitingApproval | Running, Transition::Cancel) => Some(Cancelled),
        }
    }

    /// Whether nothing changes any more.
    pub fn is_terminal(self) -> bool {
        match self {
            JobStatus::Pending | JobStatus::AwaitingApproval | JobStatus::Running => false,
            JobStatus::Finished | JobStatus::Failed | JobStatus::Cancelled => true,
        }
    }

    /// The word of the table and of the logs.
    pub fn as_str(self) -> &'static str {
        match self {
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

/// Why a job or an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The kind of reason.
    pub code: ReasonCode,
    /// One sentence that names field, party and rule; never a row, weight, key or SQL text.
    pub text: String,
    /// Whose side it arose on.
    pub party: Option<PartyId>,
}

/// Kinds of reasons, stable words for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReasonCode {
    /// The source has no such relation.
    RelationUnknown,
    /// The relation lacks a column.
    ColumnUnknown,
    /// A needed column holds something that is no number.
    ColumnNotNumeric,
    /// One `unique_id` has two different rows, or both classes.
    DataError,
    /// A party's query selected no usable row.
    NoRows,
    /// More rows than allowed.
    TooManyRows,
    /// All rows of all parties are of one class.
    OneClass,
    /// The rows differ from those of an earlier attempt.
    DataChanged,
    /// A mini-batch holds so few rows of a party that they would show in the sum.
    BatchTooSmall,
    /// A number leaves the range that sums can carry, or is not finite.
    ValueRange,
    /// The party's source cannot be read now.
    SourceUnavailable,
    /// A party's policy does not allow unencrypted contributions.
    UnencryptedNotAllowed,
    /// A party's policy does not allow two-party training.
    TwoPartyNotAllowed,
    /// A party has no policy, and so allows nothing.
    PolicyMissing,
    /// A party's policy does not let this guest lead.
    GuestNotAllowed,
    /// A party's policy does not let it train with one of the others.
    PartnerNotAllowed,
    /// A party's policy does not allow this protection.
    ModeNotAllowed,
    /// A party's policy asks for a longer Paillier modulus.
    KeyTooShort,
    /// A party's policy does not allow this relation.
    RelationNotAllowed,
    /// A party's policy does not allow a column as what the request uses it for.
    ColumnNotAllowed,
    /// A party's policy does not allow this kind of job on the relation.
    PurposeNotAllowed,
    /// A party does not train on these rows: too few, too few of a class, too many attributes for
    /// them, or too close to those of an earlier job. Which of it is not told: it would be data.
    CohortPolicy,
    /// A party knows the job with another request, other parties or another guest.
    RequestChanged,
    /// A party answered this round of the job for another model already.
    ModelChanged,
    /// The job counted rows of a party before, and its ledger knows nothing of it.
    LedgerLost,
    /// A party cannot read or write its ledger now.
    LedgerUnavailable,
    /// A person at the party said no.
    ApprovalRejected,
    /// Nobody at the party decided in time.
    ApprovalExpired,
    /// The key that a result is asked for is none that the party pins.
    ResultKeyNotPinned,
    /// A party was sent a request that it has no part in or does not understand.
    RequestRefused,
    /// A party lacks the model it was to score with.
    ModelMissing,
    /// The sum failed its integrity check.
    AggIntegrity,
    /// A party broke the protocol.
    Protocol,
    /// A party stopped answering.
    PartySilent,
    /// The session's process died.
    SessionLost,
    /// The session's process was told to stop.
    WorkerStopped,
    /// Too many attempts failed in a row.
    TooManyFailures,
    /// The job's deadline passed.
    Deadline,
    /// A defect of Concord.
    Internal,
}

impl ReasonCode {
    /// Whether another attempt may end differently.
    pub fn retryable(self) -> bool {
        match self {
            ReasonCode::SourceUnavailable
            | ReasonCode::LedgerUnavailable
            | ReasonCode::AggIntegrity
            | ReasonCode::Protocol
            | ReasonCode::PartySilent
            | ReasonCode::SessionLost
            | ReasonCode::WorkerStopped => true,
            ReasonCode::RelationUnknown
            | ReasonCode::ColumnUnknown
            | ReasonCode::ColumnNotNumeric
            | ReasonCode::DataError
            | ReasonCode::NoRows
            | ReasonCode::TooManyRows
            | ReasonCode::OneClass
            | ReasonCode::DataChanged
            | ReasonCode::BatchTooSmall
            | ReasonCode::ValueRange
            | ReasonCode::UnencryptedNotAllowed
            | ReasonCode::TwoPartyNotAllowed
            | ReasonCode::PolicyMissing
            | ReasonCode::GuestNotAllowed
            | ReasonCode::PartnerNotAllowed
            | ReasonCode::ModeNotAllowed
            | ReasonCode::KeyTooShort
            | ReasonCode::RelationNotAllowed
            | ReasonCode::ColumnNotAllowed
            | ReasonCode::PurposeNotAllowed
            | ReasonCode::CohortPolicy
            | ReasonCode::RequestChanged
            | ReasonCode::ModelChanged
            | ReasonCode::LedgerLost
            | ReasonCode::ApprovalRejected
            | ReasonCode::ApprovalExpired
            | ReasonCode::ResultKeyNotPinned
            | ReasonCode::RequestRefused
            | ReasonCode::ModelMissing
            | ReasonCode::TooManyFailures
            | ReasonCode::Deadline
            | ReasonCode::Internal => false,
        }
    }

    /// What the requester or an operator can do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            ReasonCode::RelationUnknown => "Name a relation that the party's source has.",
            ReasonCode::ColumnUnknown => "Name columns that every party's relation has.",
            ReasonCode::ColumnNotNumeric => {
                "Leave the column out of `attributes`, or store it as numbers."
            }
            ReasonCode::DataError => {
                "Mend the rows that the text tells of: UTF-8, one line for each row, one `unique_id` and one class."
            }
            ReasonCode::NoRows => "Widen the query, or fill in missing values.",
            ReasonCode::TooManyRows => "Narrow the query.",
            ReasonCode::OneClass => {
                "Check `label_name` and `label_value`: both classes must occur."
            }
            ReasonCode::DataChanged => {
                "Submit the job again: it will use the rows as they are now."
            }
            ReasonCode::BatchTooSmall => "Raise `batch_size`, or set it to -1.",
            ReasonCode::ValueRange => {
                "Take out infinite and huge values; in training, lower the learning rate or set `standardize`."
            }
            ReasonCode::SourceUnavailable => "Check the party's source and its file or server.",
            ReasonCode::UnencryptedNotAllowed => {
                "Use Paillier or SecAgg, or ask the party to name \"None\" among its policy's modes."
            }
            ReasonCode::TwoPartyNotAllowed => {
                "Add a third data party, or ask both parties to set `two_party` in their policies."
            }
            ReasonCode::PolicyMissing => {
                "Ask the party to write a `[policy]` that names what may be used."
            }
            ReasonCode::GuestNotAllowed => {
                "Let another party lead, or ask this one to name the guest in `partners.guests`."
            }
            ReasonCode::PartnerNotAllowed => {
                "Train without the party that the text tells of, or ask for it in `partners.with`."
            }
            ReasonCode::ModeNotAllowed => "Ask for a protection that every party's policy allows.",
            ReasonCode::KeyTooShort => "Ask for a longer `key_length`.",
            ReasonCode::RelationNotAllowed
            | ReasonCode::ColumnNotAllowed
            | ReasonCode::PurposeNotAllowed => {
                "Ask for what the party's policy allows, or ask the party to allow more."
            }
            ReasonCode::CohortPolicy => {
                "Ask for more rows, fewer attributes, or the very rows of an earlier job."
            }
            ReasonCode::RequestChanged => {
                "Submit it as a new job; if nobody changed it, ask the party to look at its audit log."
            }
            ReasonCode::ModelChanged => {
                "Submit the job again; the party's audit log tells who asked for two models."
            }
            ReasonCode::LedgerLost => {
                "Submit it as a new job; the party should find out what became of its ledger."
            }
            ReasonCode::LedgerUnavailable => "Check the disk and the file of the party's ledger.",
            ReasonCode::ApprovalRejected => "Ask the party why it said no.",
            ReasonCode::ApprovalExpired => {
                "Ask the party to look at `concord party pending`, and submit the job again."
            }
            ReasonCode::ResultKeyNotPinned => {
                "Ask the party to name the key in `infer.result_keys` of its policy."
            }
            ReasonCode::RequestRefused => "Check the parties of the request and their versions.",
            ReasonCode::ModelMissing => "Train the model again with this party among its parties.",
            ReasonCode::AggIntegrity | ReasonCode::Protocol => {
                "Check that all parties run the same version; look at the party's log."
            }
            ReasonCode::PartySilent | ReasonCode::SessionLost | ReasonCode::WorkerStopped => {
                "Check that the party's worker is running and reaches the broker."
            }
            ReasonCode::TooManyFailures => "Mend the last attempt's reason and submit again.",
            ReasonCode::Deadline => "Bring the missing party back and submit again.",
            ReasonCode::Internal => "Report it with the job's id; the log has the details.",
        }
    }
}
