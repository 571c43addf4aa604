//! Rounds: the guest asks all data parties one question, and gets the sum of their answers.
//!
//! | step | from -> to | carries |
//! |---|---|---|
//! | `Ask` | guest -> each host | the question, with the present weights |
//! | `Contribution` | each data party -> arbiter (Paillier) or guest (otherwise) | its protected answer |
//! | `Sum` | arbiter -> guest (Paillier only) | the product of all parties' ciphertexts |
//!
//! Trust: parties follow the protocol for correctness; for confidentiality the guest, the arbiter
//! and K - 2 of K data parties may do what they like together and learn only the sum over the
//! honest rest (see [`super::secure_sum`]). Everybody who is asked sees the weights of each round.

mod arbiter;
mod guest;
mod host;

pub use arbiter::Arbiter;
pub use guest::Guest;
pub use host::Host;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Error;
use crate::id::PartyId;
use crate::message::{self, Progress};
use crate::model::Model;

/// What an algorithm asks of every data party in one round.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Which question of the algorithm; says what a slot means.
    pub kind: u8,
    /// The mini-batch that is asked about.
    pub batch: u32,
    /// Mini-batches of one iteration.
    pub batches: u32,
    /// Every number the answer depends on: masks cancel only between parties that were sent the
    /// same ones.
    pub numbers: Vec<f64>,
}

/// What a contribution answers. A party answers one question in one place, whatever the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Which question of the algorithm.
    pub kind: u8,
    /// The mini-batch that was asked about.
    pub batch: u32,
    /// SHA-256 of the whole question, the present weights included.
    pub model: [u8; 32],
}

impl From<&Question> for Answered {
    fn from(question: &Question) -> Answered {
        Answered {
            kind: question.kind,
            batch: question.batch,
            model: Sha256::digest(message::encode(question)).into(),
        }
    }
}

/// The guest's side of an algorithm: asks, takes sums, ends with a model.
pub trait Guide: Send {
    /// The next question; `None` when the model is ready.
    fn question(&self) -> Option<Question>;

    /// Takes the sums that answer the present question.
    ///
    /// # Errors
    /// When they cannot be right or training cannot go on.
    fn absorb(&mut self, sums: &[i128]) -> Result<(), Error>;

    /// Where it stands; bytes and durations are not its business.
    fn progress(&self) -> Progress;

    /// What [`super::guide`] resumes from.
    fn checkpoint(&self) -> Vec<u8>;

    /// The model, once there is no question left.
    fn model(&self) -> Model;
}

/// A data party's side of an algorithm.
pub trait Answer: Send {
    /// How many rounds the job may have at most, where an iteration has so many mini-batches.
    fn rounds_max(&self, batches: u32) -> u64;

    /// How many slots a question's answer has; `None` when the question is none of the algorithm's
    /// or its shape is wrong.
    fn slots(&self, question: &Question) -> Option<usize>;

    /// The party's own part of the sums, [`Answer::slots`] numbers.
    ///
    /// # Errors
    /// When a number leaves its range.
    fn answer(&mut self, question: &Question) -> Result<Vec<i128>, Error>;
}

/// A step on the wire. `context` is an opaque label that all contributions to a sum share.
#[derive(Serialize, Deserialize)]
enum Step {
    Ask(Question),
    Contribution { context: [u8; 32], body: Vec<u8> },
    Sum { context: [u8; 32], body: Vec<u8> },
}

impl Step {
    fn to_bytes(&self) -> Vec<u8> {
        message::encode(self)
    }

    fn from_bytes(from: PartyId, bytes: &[u8]) -> Result<Step, Error> {
        message::decode(bytes).map_err(|_| Error::Step(from, "it cannot be read"))
    }
}
