//! What travels on the bus around the parties' sealed envelopes. Bodies are `postcard`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::computation::FileKind;
use crate::id::{Attempt, JobId, PartyId, Round};
use crate::job::{Fence, Phase, Privacy, Reason};
use crate::sharing::Bundle;
use crate::table::Dropped;

/// On `party.<id>.guest`, `.infer` and `.compute`: a job waits to be claimed. A hint, not a right:
/// only a grant lets a session start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The job.
    pub job: JobId,
    /// Its current attempt.
    pub attempt: Attempt,
}

/// On a session queue.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum ToSession {
    /// The platform's yes to a claim.
    Granted(Box<Grant>),
    /// The platform's no to a claim, or word that the job ended or moved on.
    Ended(Fence),
    /// A sealed envelope of another party (see `seal`).
    Envelope(Vec<u8>),
    /// The answer to [`EventBody::Fetch`].
    Piece {
        /// Whom it is for.
        fence: Fence,
        /// Which file.
        file: FileKind,
        /// Which piece of it, from 0.
        piece: u32,
        /// It, sealed under the key of the job's files; `None`: it is not there.
        sealed: Option<Vec<u8>>,
    },
    /// The answer to [`EventBody::Keep`]: the piece is on disk.
    Kept {
        /// Whom it is for.
        fence: Fence,
        /// Which file.
        file: FileKind,
        /// Which piece of it.
        piece: u32,
    },
}

/// What a granted session starts from.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// Whom it is for.
    pub fence: Fence,
    /// The job's canonical request: the JSON of `job::Spec`.
    pub spec: Vec<u8>,
    /// The guest's last sealed checkpoint, if one was stored.
    pub checkpoint: Option<Vec<u8>>,
    /// Each party's data digest of an earlier attempt; empty in the first.
    pub digests: BTreeMap<PartyId, Vec<u8>>,
    /// For inference: the model, sealed to this party.
    pub model: Option<Vec<u8>>,
    /// For a joint computation: the participants' inputs in their order, each split and sealed to
    /// the three workers.
    pub inputs: Vec<Bundle>,
    /// For learning: the key of the job's files, sealed to this party.
    pub key: Option<Vec<u8>>,
}

/// On `events`: what a guest's session tells the status aggregator.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Who speaks.
    pub fence: Fence,
    /// The speaking party.
    pub party: PartyId,
    /// The session's queue, where a claim and a last word are answered.
    pub reply_to: String,
    /// What happened.
    pub body: EventBody,
}

/// What happened in a session.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum EventBody {
    /// A worker wants the job.
    Claimed,
    /// Every party joined and has its rows.
    Started {
        /// Rows each party uses.
        rows: BTreeMap<PartyId, u64>,
        /// Rows each party left out.
        dropped: BTreeMap<PartyId, Dropped>,
        /// Each party's keyed digest of its rows.
        digests: BTreeMap<PartyId, Vec<u8>>,
        /// How contributions are protected; `None` for inference.
        privacy: Option<Privacy>,
    },
    /// A round ended and its checkpoint is due.
    Checkpoint {
        /// Where the job stands.
        progress: Progress,
        /// Sealed under the guest's own secret.
        blob: Vec<u8>,
    },
    /// The job is done.
    Finished {
        /// Where it ended.
        progress: Progress,
        /// What it made.
        outcome: Outcome,
    },
    /// A session that learns wants a piece of a file.
    Fetch {
        /// Which file.
        file: FileKind,
        /// Which piece of it, from 0.
        piece: u32,
    },
    /// A piece of a file that a session made, to be shown when the job has finished.
    Keep {
        /// Which file.
        file: FileKind,
        /// Which piece of it, from 0, in order.
        piece: u32,
        /// It, sealed under the key of the job's files.
        sealed: Vec<u8>,
    },
    /// The session gives up; `reason.code.retryable()` says whether another attempt may mend it.
    Failed {
        /// Why.
        reason: Reason,
    },
}

/// What a job made.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// A model part for each party, each sealed to its party.
    Model(BTreeMap<PartyId, Vec<u8>>),
    /// An inference's, which is one reading of rows: nothing of it is known before its end.
    Scores {
        /// Scores the data owner releases in the clear.
        scores: Vec<Score>,
        /// Rows it left out.
        dropped: Dropped,
    },
    /// The same, sealed: an envelope of [`Score`]s that only its reader can open.
    SealedScores {
        /// The envelope.
        sealed: Vec<u8>,
        /// How many rows were scored, and how many left out; `None` where a policy hides it.
        told: Option<(u64, Dropped)>,
    },
    /// A joint computation's, in the clear: it is for all participants.
    Computed {
        /// Its exact numbers: JSON of a list of rows.
        exact: String,
        /// The same as the API document's own workers print them: six decimals.
        text: String,
    },
    /// A learning's, beside the files that were kept.
    Learned {
        /// How well it did: JSON.
        metrics: String,
        /// Bytes of each file made.
        files: BTreeMap<FileKind, u64>,
    },
}

/// One scored row.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Name of the row.
    pub unique_id: String,
    /// Probability of the positive class, rounded to 4 decimals.
    pub label: f64,
}

/// Where a session stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Rounds done over the whole job.
    pub round: Round,
    /// Iterations done.
    pub iterations: u32,
    /// Iterations at most.
    pub iterations_max: u32,
    /// Mini-batches of one iteration.
    pub batches: u32,
    /// Whether the convergence test was met; `None` while training.
    pub converged: Option<bool>,
    /// Milliseconds of this attempt's median round.
    pub round_milliseconds: Option<f64>,
    /// Bytes of contributions each party sent in this attempt, as the guest knows them.
    pub bytes: BTreeMap<PartyId, u64>,
}

/// On `beats`: a session is alive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// Who.
    pub fence: Fence,
    /// Where a word that the job ended would reach it.
    pub reply_to: String,
    /// Where it stands.
    pub progress: Progress,
    /// Parties it waits for; empty when none.
    pub waiting: Vec<PartyId>,
    /// Whether one of them waits for its officer's approval.
    pub awaiting: bool,
}

/// A body that is not what its queue carries.
#[derive(Debug, thiserror::Error)]
#[error("a message of {bytes} bytes is no {kind}")]
pub struct Malformed {
    /// What was expected.
    pub kind: &'static str,
    /// How long it was.
    pub bytes: usize,
}

/// Encodes a body.
pub fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    postcard::to_stdvec(body).expect("plain data of known length always serialises")
}

/// Decodes a body.
///
/// # Errors
/// When the bytes are not exactly one `T`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    let malformed = || Malformed {
        kind: std::any::type_name::<T>(),
        bytes: bytes.len(),
    };
    match postcard::take_from_bytes(bytes) {
        Ok((body, [])) => Ok(body),
        _ => Err(malformed()),
    }
}

/// Users at the broker, which vouches for who sent a message.
pub mod user {
    /// What the names of the parties' users begin with: that of party 2 is `party-2`.
    pub const PARTIES: &str = "party-";
    /// Who may only submit jobs.
    pub const SUBMITTER: &str = "submitter";
}

/// Queue names.
pub mod queue {
    use crate::id::PartyId;
    use crate::job::Kind;

    /// Events of sessions.
    pub const EVENTS: &str = "events";
    /// Signs of life.
    pub const BEATS: &str = "beats";
    /// Invitations to the arbiter.
    pub const ARBITER: &str = "arbiter";
    /// What nobody could read.
    pub const DEAD: &str = "dead";
    /// Jobs to accept, as HTTP takes them.
    pub const SUBMISSIONS: &str = "submissions";
    /// What the name of every queue for answers begins with.
    pub const REPLIES: &str = "replies.";
    /// What names begin with that the broker itself gave; no other queue's does.
    pub const GIVEN_BY_BROKER: &str = "amq.";

    /// Whether a stranger may name the queue as the place for an answer. All others are ours, and
    /// an answer there would be taken for something else.
    pub fn takes_answers(queue: &str) -> bool {
        queue.starts_with(REPLIES) || queue.starts_with(GIVEN_BY_BROKER)
    }

    /// Training jobs for a party to claim.
    pub fn guest(party: PartyId) -> String {
        format!("party.{party}.guest")
    }

    /// Sealed offers of guests to this party.
    pub fn host(party: PartyId) -> String {
        format!("party.{party}.host")
    }

    /// Inference jobs for a party to claim.
    pub fn infer(party: PartyId) -> String {
        format!("party.{party}.infer")
    }

    /// Joint computations, and learning from files, for a party to claim.
    pub fn compute(party: PartyId) -> String {
        format!("party.{party}.compute")
    }

    /// Where a job's invitations go: to its guest's workers for that kind.
    pub fn invitations(kind: Kind, guest: PartyId) -> String {
        match kind {
            Kind::Train => self::guest(guest),
            Kind::Infer => infer(guest),
            Kind::Compute | Kind::Learn => compute(guest),
        }
    }

    /// What the name of every session queue begins with.
    pub const SESSIONS: &str = "session.";

    /// What every session queue of a party's processes begins with.
    pub fn sessions_of(party: PartyId) -> String {
        format!("{SESSIONS}{party}.")
    }

    /// Whose processes a session queue belongs to; `None` of any other queue.
    pub fn sits_at(queue: &str) -> Option<PartyId> {
        let (party, _) = queue.strip_prefix(SESSIONS)?.split_once('.')?;
        let party = PartyId(party.parse().ok()?);
        queue.starts_with(&sessions_of(party)).then_some(party)
    }

    /// One worker process' own queue.
    pub fn session(party: PartyId, process: uuid::Uuid) -> String {
        format!("{}{process}", sessions_of(party))
    }
}
