//! Protocols among parties, as state machines without I/O.
//!
//! A participant is one party's side of one attempt. It is told each step exactly once and in an
//! order that [`crate::session`] keeps; it sees no clock, no queue and no key of an envelope.
//!
//! Algorithms so far: [`logistic_regression`]. To add one: a file with a guest's side
//! ([`round::Guide`]) and a host's side ([`round::Answer`]), and an arm in [`guide`] and [`answer`].

pub mod logistic_regression;
pub mod round;
pub mod secure_sum;

use rand::CryptoRng;

use crate::fixed_point::RangeError;
use crate::id::{PartyId, Round};
use crate::job::{ReasonCode, TrainSpec};
use crate::message::Progress;
use crate::model::Model;
use crate::policy::Train;
use crate::table::Table;

/// One party's side of one attempt.
pub trait Participant: Send {
    /// The first words. Only the guest has any.
    ///
    /// # Errors
    /// As [`Participant::receive`].
    fn start(&mut self, secrets: &mut dyn CryptoRng) -> Result<Vec<Output>, Error>;

    /// Takes a step of another party.
    ///
    /// # Errors
    /// When the attempt cannot go on: a malformed or untimely step, a failed integrity check, a
    /// number out of range.
    fn receive(
        &mut self,
        secrets: &mut dyn CryptoRng,
        from: PartyId,
        round: Round,
        step: &[u8],
    ) -> Result<Vec<Output>, Error>;

    /// Does one piece of the work that was put off so that others need not wait for it; `None`
    /// when there is none left.
    ///
    /// # Errors
    /// As [`Participant::receive`].
    fn idle(&mut self, secrets: &mut dyn CryptoRng) -> Result<Option<Vec<Output>>, Error>;
}

/// What a participant wants done.
pub enum Output {
    /// A step for another party.
    Send {
        /// To whom.
        to: PartyId,
        /// The round it belongs to.
        round: Round,
        /// The step.
        step: Vec<u8>,
        /// The question that it answers, if it is an answer.
        answers: Option<round::Answered>,
    },
    /// The guest has the sum of a round and took it in.
    RoundFinished {
        /// Where training stands.
        progress: Progress,
        /// What resumes it, to be sealed before it leaves.
        checkpoint: Vec<u8>,
    },
    /// The guest has the model.
    Finished {
        /// Where training ended.
        progress: Progress,
        /// The model, to be sealed to each party.
        model: Box<Model>,
    },
}

/// Why an attempt cannot go on. Never carries a number of the computation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A step that no version of the protocol sends here and now.
    #[error("{0} sent a step that does not belong here: {1}")]
    Step(PartyId, &'static str),
    /// The sum is not the sum of what the parties sent.
    #[error("the sum of round {} failed its integrity check", .0.0)]
    Integrity(Round),
    /// A term, a sum or a weight left its range.
    #[error("{0}")]
    Range(#[from] RangeError),
    /// The weights grew out of bounds.
    #[error("the weights left their range: training diverged")]
    Diverged,
    /// A mini-batch holds some of this party's rows, and too few of them.
    #[error("a mini-batch holds fewer rows of a party than its policy asks for")]
    BatchTooSmall,
    /// All rows are of one class.
    #[error("all rows of all parties are of one class")]
    OneClass,
    /// More rounds than a job may have.
    #[error("training would take {0} rounds")]
    TooManyRounds(u64),
    /// A checkpoint of another version or shape.
    #[error("the checkpoint does not fit this job")]
    Checkpoint,
}

impl Error {
    /// The reason's code in the report.
    pub fn code(&self) -> ReasonCode {
        match self {
            Error::Step(..) => ReasonCode::Protocol,
            Error::Integrity(_) => ReasonCode::AggIntegrity,
            Error::Range(_) | Error::Diverged | Error::TooManyRounds(_) => ReasonCode::ValueRange,
            Error::BatchTooSmall => ReasonCode::BatchTooSmall,
            Error::OneClass => ReasonCode::OneClass,
            Error::Checkpoint => ReasonCode::Internal,
        }
    }
}

/// The guest's side of a training algorithm; `checkpoint` is the plaintext of an earlier one.
///
/// # Errors
/// When the checkpoint does not fit the job.
pub fn guide(spec: &TrainSpec, checkpoint: Option<&[u8]>) -> Result<Box<dyn round::Guide>, Error> {
    Ok(Box::new(match checkpoint {
        Some(bytes) => logistic_regression::Guide::resume(spec, bytes)?,
        None => logistic_regression::Guide::new(spec),
    }))
}

/// A data party's side of a training algorithm, within its policy's limits.
pub fn answer(spec: &TrainSpec, table: Table, limits: &Train) -> Box<dyn round::Answer> {
    Box::new(logistic_regression::Answer::new(spec, table, limits))
}
