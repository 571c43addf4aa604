//! Why a job ended, in words that clients may rely on.

use serde::{Deserialize, Serialize};

use crate::id::PartyId;

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
    /// A worker cannot use the inputs that it was sent: not sealed to it, changed, or unfit.
    InputRefused,
    /// A worker computed the run with other inputs already.
    InputsChanged,
    /// A file holds what cannot be learned from.
    FileRefused,
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
            | ReasonCode::InputRefused
            | ReasonCode::InputsChanged
            | ReasonCode::FileRefused
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
            ReasonCode::InputRefused => {
                "Fill in the data again; what is sealed must be sealed to the job's own workers."
            }
            ReasonCode::InputsChanged => {
                "Run the job again, with new inputs; the worker's audit log tells more."
            }
            ReasonCode::FileRefused => "Mend what the text tells of, and upload the files again.",
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
