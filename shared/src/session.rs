//! A party's seat in a job: joining, keys, the fence, repeats, silence, the end. Pure.
//!
//! ```text
//! guest                         host                          arbiter (Paillier only)
//!   Offer  ---------------------> reads its rows --------------> |
//!   <- Awaiting (its officer), or Accept        <--------- Accept
//!   Begin  ---------------------> checks every key -----------> |
//!   <------------------- Ready                 <--------- Ready
//!   Step (asks)  ---------------> Step (contributes) ---------> Step (sum) --> guest
//!   Leave  ---------------------> gone           ---------------> gone
//! ```
//!
//! Every message may be lost, repeated or late. The guest repeats what is unanswered, with the same
//! bytes; whoever gets a repeat repeats what it sent last. Whatever is of another (attempt, session)
//! is dropped before anything is computed. A party that cannot go on says `Refuse` with a reason to
//! the guest, and the guest ends the attempt. A shell hands in rows, keys, time and randomness.

mod claim;
mod computing;
mod correspondence;
mod guest;
mod intake;
mod learning;
mod member;
mod offered;
mod repeat;
mod scoring;
mod setup;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::CryptoRng;

pub use claim::Claim;
pub use computing::{Host, Lead};
pub use correspondence::{Kind, fence_of};
pub use guest::Guest;
pub use learning::Learning;
pub use member::Member;
use offered::Offered;
pub use scoring::{Scoring, open_scores};

use crate::admission::{Admission, Mark, Pledge, Verdict};
use crate::computation::{FileKind, Learner};
use crate::federated;
use crate::id::{JobId, PartyId};
use crate::job::{Cohort, Fence, Reason, ReasonCode, Spec};
use crate::local::learning::{Files, Learned};
use crate::message::{EventBody, Grant, Progress};
use crate::model::Model;
use crate::paillier::{self, PrivateKey, PublicKey};
use crate::policy::Policy;
use crate::query::Query;
use crate::seal::{self, Header, Identity, PublicIdentity};
use crate::table::{Dropped, Label, Needed, Table};

/// The public identity of every party, pinned out of band; the platform cannot change it.
pub type Directory = BTreeMap<PartyId, PublicIdentity>;

/// Who sits, with what is the same in all its sessions.
#[derive(Clone)]
pub struct Seat {
    /// The party.
    pub party: PartyId,
    /// Its long-term keys.
    pub identity: Arc<Identity>,
    /// Everybody's public keys.
    pub directory: Arc<Directory>,
    /// What it allows; asked by data parties only.
    pub policy: Arc<Policy>,
    /// The queue of the process it sits in.
    pub address: String,
    /// Reads a received modulus; a simulation hands in one that takes small keys.
    pub read_key: fn(&[u8]) -> Result<PublicKey, paillier::Error>,
}

/// One party's rows for one job, as the shell read them.
pub struct Rows {
    /// The rows.
    pub table: Table,
    /// What was left out.
    pub dropped: Dropped,
    /// Keyed digest of the rows and columns used.
    pub digest: Vec<u8>,
    /// Keyed marks of the rows of a training, by which the ledger compares cohorts.
    pub marks: Vec<Mark>,
    /// How long reading took: a measure of how long a round may take.
    pub took: Duration,
}

/// What a session is told.
pub enum Input {
    /// The platform's yes to a claim.
    Granted(Box<Grant>),
    /// A sealed envelope.
    Envelope(Vec<u8>),
    /// The rows that [`Effect::Load`] asked for.
    Loaded(Result<Box<Rows>, Reason>),
    /// What the ledger said to [`Effect::Admit`] or [`Effect::Review`].
    Admitted(Result<Verdict, Reason>),
    /// A piece of a file, sealed; `None`: it is not there.
    Piece(FileKind, u32, Option<Vec<u8>>),
    /// The platform has a piece of a file on disk.
    Kept(FileKind, u32),
    /// The ledger did not take the pledge of an [`Effect::Send`], which did not leave.
    Unpledged(Reason),
    /// The key that [`Effect::MakeKey`] asked for, or why there is none.
    Key(Result<Box<PrivateKey>, Reason>),
    /// The turn that [`Effect::Turn`] asked for.
    Turn,
    /// What [`Effect::Learn`] asked for, or why there is nothing.
    Learned(Box<Result<Learned, Reason>>),
    /// A message came back: its queue is gone, and with it the process behind it.
    Returned {
        /// The queue.
        queue: String,
    },
    /// The platform says that the job ended or went on without this session.
    Ended,
    /// The worker stops.
    Stop,
}

/// What a session wants done.
#[derive(Clone)]
pub enum Effect {
    /// A sealed envelope for a session's queue.
    Send {
        /// The queue.
        queue: String,
        /// The envelope.
        envelope: Vec<u8>,
        /// What the ledger must have on record before the envelope leaves; see
        /// [`Input::Unpledged`].
        pledge: Option<Pledge>,
    },
    /// A sealed offer for a role's queue; worthless once the next repeat is due.
    Invite {
        /// The queue.
        queue: String,
        /// The envelope.
        envelope: Vec<u8>,
        /// When it is worthless.
        expires: Duration,
    },
    /// An event for the status aggregator.
    Report(EventBody),
    /// Read this party's rows; answer with [`Input::Loaded`].
    Load(Box<Reading>),
    /// Ask the party's ledger whether it admits what was read; answer with [`Input::Admitted`].
    Admit(Box<Admission>),
    /// Ask the ledger for the officer's decision; answer with [`Input::Admitted`].
    Review,
    /// Make a Paillier key of so many bits in the background; answer with [`Input::Key`].
    MakeKey(u32),
    /// Wait for this session's turn to learn; answer with [`Input::Turn`]. The turn lasts as long as
    /// the session.
    Turn,
    /// Learn from files in the background; answer with [`Input::Learned`].
    Learn(Learner, Arc<Files>),
    /// The session is over.
    Close,
}

impl Effect {
    /// A letter that nothing has to be on record for.
    fn letter(queue: String, envelope: Vec<u8>) -> Effect {
        Effect::Send {
            queue,
            envelope,
            pledge: None,
        }
    }
}

/// What a shell is asked to read from the party's source.
#[derive(Clone)]
pub enum Reading {
    /// Labelled rows.
    Training {
        /// Which rows.
        cohort: Box<Cohort>,
        /// Which columns.
        needed: Needed,
        /// Which of them are positive.
        label: Label,
    },
    /// Rows to score.
    Scoring {
        /// Which rows.
        query: Query,
        /// Which columns.
        needed: Needed,
    },
}

/// What a beat says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Where training stands.
    pub progress: Progress,
    /// Parties that have kept it waiting for longer than usual, or that await approval.
    pub waiting: Vec<PartyId>,
    /// Whether one of them awaits approval.
    pub awaiting: bool,
}

/// One party's seat in one attempt at a job. `now` is monotonic time since any fixed moment.
pub enum Session {
    /// Not a seat yet: a wish for one.
    Claim(Box<Claim>),
    /// The guest's in a training.
    Guest(Box<Guest>),
    /// A host's or the arbiter's in a training.
    Member(Box<Member>),
    /// The only one in an inference.
    Scoring(Box<Scoring>),
    /// The first worker's in a joint computation.
    Lead(Box<Lead>),
    /// Another worker's in a joint computation.
    Host(Box<Host>),
    /// The only one in a learning.
    Learning(Box<Learning>),
}

impl Session {
    /// Asks for a job that the seat's party was invited to.
    pub fn claim(now: Duration, seat: Seat, fence: Fence) -> (Session, Vec<Effect>) {
        let (claim, effects) = Claim::new(now, seat, fence);
        (Session::Claim(Box::new(claim)), effects)
    }

    /// Takes the seat that a guest's offer asks for.
    ///
    /// # Errors
    /// What to do about an offer that can't be taken: nothing, or refuse it.
    pub fn join(
        secrets: &mut dyn CryptoRng,
        now: Duration,
        seat: &Seat,
        fence: Fence,
        offer: &[u8],
    ) -> Result<(Session, Vec<Effect>), Vec<Effect>> {
        let offered = Offered::open(secrets, seat, fence, offer).ok_or_else(Vec::new)?;
        let joined = match serde_json::from_slice(&offered.offer.spec) {
            Ok(Spec::Compute(_)) => Host::join(secrets, now, offered)
                .map(|(host, effects)| (Session::Host(Box::new(host)), effects)),
            _ => Member::join(secrets, now, seat, offered)
                .map(|(member, effects)| (Session::Member(Box::new(member)), effects)),
        };
        joined.map_err(|refusal| refusal.into_iter().collect())
    }

    /// Takes an input.
    pub fn handle(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        input: Input,
    ) -> Vec<Effect> {
        match (self, input) {
            (Session::Guest(guest), input) => guest.handle(secrets, now, input),
            (Session::Member(member), input) => member.handle(secrets, now, input),
            (Session::Lead(lead), input) => lead.handle(secrets, now, input),
            (Session::Host(host), input) => host.handle(secrets, now, input),
            (Session::Learning(learning), input) => learning.handle(secrets, now, input),
            (Session::Claim(_), Input::Stop)
            | (Session::Claim(_) | Session::Scoring(_), Input::Ended) => vec![Effect::Close],
            (Session::Scoring(scoring), Input::Stop) => scoring.stop(),
            (Session::Scoring(scoring), Input::Loaded(rows)) => scoring.loaded(rows),
            (Session::Scoring(scoring), Input::Admitted(verdict)) => {
                scoring.admitted(secrets, verdict)
            }
            (this @ Session::Claim(_), Input::Granted(grant)) => {
                let Session::Claim(claim) = this else {
                    return Vec::new();
                };
                let (seated, effects) = claim.granted(secrets, now, *grant);
                if let Some(session) = seated {
                    *this = session;
                }
                effects
            }
            (Session::Claim(_) | Session::Scoring(_), _) => Vec::new(),
        }
    }

    /// Lets time pass: repeats, silence limits, the end of idle sessions.
    pub fn tick(&mut self, secrets: &mut dyn CryptoRng, now: Duration) -> Vec<Effect> {
        match self {
            Session::Claim(claim) => claim.tick(now),
            Session::Guest(guest) => guest.tick(secrets, now),
            Session::Member(member) => member.tick(now),
            Session::Scoring(scoring) => scoring.tick(now),
            Session::Lead(lead) => lead.tick(secrets, now),
            Session::Host(host) => host.tick(now),
            Session::Learning(learning) => learning.tick(now),
        }
    }

    /// Does one piece of work that nobody else waits for; `None` when there is none.
    pub fn idle(&mut self, secrets: &mut dyn CryptoRng, now: Duration) -> Option<Vec<Effect>> {
        match self {
            Session::Guest(guest) => guest.idle(secrets, now),
            Session::Member(member) => member.idle(secrets),
            Session::Claim(_)
            | Session::Scoring(_)
            | Session::Lead(_)
            | Session::Host(_)
            | Session::Learning(_) => None,
        }
    }

    /// What the beat says; `None` for those that don't beat.
    pub fn standing(&self, now: Duration) -> Option<Standing> {
        match self {
            Session::Guest(guest) => Some(guest.standing(now)),
            Session::Scoring(scoring) => Some(scoring.standing()),
            Session::Lead(lead) => Some(lead.standing(now)),
            Session::Learning(learning) => Some(learning.standing()),
            Session::Claim(_) | Session::Member(_) | Session::Host(_) => None,
        }
    }
}

/// What is said of an attempt whose leader's worker was told to stop, or no longer waits for it.
pub fn stopped(party: PartyId) -> EventBody {
    let text = format!("the worker of party {party} was stopped");
    EventBody::Failed {
        reason: because(ReasonCode::WorkerStopped, party, text),
    }
}

/// A participant's fault as a reason in the report.
fn reason(party: PartyId, error: &federated::Error) -> Reason {
    let party = match error {
        federated::Error::Step(from, _) => *from,
        _ => party,
    };
    because(error.code(), party, error.to_string())
}

/// A sentence about a party as a reason in the report.
fn because(code: ReasonCode, party: PartyId, text: impl Into<String>) -> Reason {
    Reason {
        code,
        text: text.into(),
        party: Some(party),
    }
}

/// Opens a model that the guest of the job `trained_by` sealed to this party.
///
/// # Errors
/// When it is of another job, not of a hospital that the directory knows, changed, for somebody
/// else, or no model.
pub fn open_model(
    identity: &Identity,
    directory: &Directory,
    party: PartyId,
    trained_by: JobId,
    sealed: &[u8],
) -> Result<Model, seal::Error> {
    let header: Header = seal::peek(sealed)?;
    let of_a_guest = header.kind == Kind::ModelPart as u8 && header.from != PartyId::ARBITER;
    if !of_a_guest || header.to != party || header.job != trained_by {
        return Err(seal::Error::Header);
    }
    let writer = directory
        .get(&header.from)
        .ok_or(seal::Error::Signature { from: header.from })?;
    let bytes = seal::open(sealed, writer, identity.sealing(), &header)?;
    let model: Option<Model> = crate::message::decode(&bytes).ok();
    model.filter(Model::is_sound).ok_or(seal::Error::Sealed)
}
