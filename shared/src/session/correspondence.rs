//! A session's letters: sealed and signed out, verified and opened in, each taken exactly once.

use std::collections::HashMap;

use rand::CryptoRng;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tracing::warn;
use zeroize::Zeroizing;

use super::{Seat, because};
use crate::admission::Pledge;
use crate::federated::round::Answered;
use crate::id::{PartyId, Round};
use crate::job::{Fence, Reason, ReasonCode};
use crate::limits::JOINT_ROUNDS_MAX;
use crate::message;
use crate::seal::{self, Header, SealPublic, SealSecret};

/// What an envelope carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Guest to host or arbiter: take part in this job.
    Offer = 1,
    /// The answer yes, with keys and counts.
    Accept = 2,
    /// The answer no, at any time, with a reason.
    Refuse = 3,
    /// Guest to everybody: all keys.
    Begin = 4,
    /// The answer: they are in order.
    Ready = 5,
    /// A step of the algorithm.
    Step = 6,
    /// Guest to everybody: it is over.
    Leave = 7,
    /// The trained model, for one party to keep.
    ModelPart = 8,
    /// Instead of an accept for now: an officer has yet to say yes.
    Awaiting = 9,
    /// Scores, for one reader.
    Scores = 10,
    /// A worker's hash of a joint computation's result.
    Opened = 11,
}

impl Kind {
    fn of(header: &Header) -> Option<Kind> {
        use Kind::{Accept, Awaiting, Begin, Leave, Offer, Opened, Ready, Refuse, Step};
        [
            Offer, Accept, Refuse, Begin, Ready, Step, Leave, Awaiting, Opened,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == header.kind)
    }
}

/// The (attempt, session) that an envelope is of; nothing is verified.
///
/// # Errors
/// When the bytes are no envelope.
pub fn fence_of(envelope: &[u8]) -> Result<Fence, seal::Error> {
    let Header {
        job,
        attempt,
        session,
        ..
    } = seal::peek(envelope)?;
    Ok(Fence {
        job,
        attempt,
        session,
    })
}

/// What came of a received envelope.
pub(super) enum Received {
    /// A letter to act on.
    New {
        kind: Kind,
        from: PartyId,
        round: Round,
        body: Zeroizing<Vec<u8>>,
    },
    /// A letter that was acted on already: what was sent in answer may be lost.
    Repeat { from: PartyId },
    /// Nothing to do with this session any more, or not genuine.
    Nothing,
}

/// One session's sealing key, fence and memory of letters.
pub(super) struct Correspondence {
    pub(super) seat: Seat,
    pub(super) fence: Fence,
    sealing: SealSecret,
    /// Who may write in this session; the first letter, an offer, names them.
    pub(super) writers: Vec<PartyId>,
    /// Whether a guest asks each round, so that steps of others are late or early.
    lockstep: bool,
    /// The latest round that steps belong to; earlier ones are late, and later ones not asked yet.
    round: Option<Round>,
    /// Hash of the letter that was taken, by writer, kind and round.
    taken: HashMap<(PartyId, Kind, Round), [u8; 32]>,
}

impl Correspondence {
    pub(super) fn new(secrets: &mut dyn CryptoRng, seat: Seat, fence: Fence) -> Self {
        let sealing = SealSecret::generate(secrets);
        Correspondence {
            seat,
            fence,
            sealing,
            writers: Vec::new(),
            lockstep: true,
            round: None,
            taken: HashMap::new(),
        }
    }

    /// Takes steps of any round, from now on: nobody asks for them.
    pub(super) fn go_freely(&mut self) {
        self.lockstep = false;
    }

    /// What others seal to in this session.
    pub(super) fn sealing(&self) -> SealPublic {
        self.sealing.public()
    }

    /// Enters a round: steps of earlier ones are late from now on.
    pub(super) fn enter(&mut self, round: Round) {
        if Some(round) > self.round {
            self.round = Some(round);
            self.taken
                .retain(|(_, kind, of), _| *kind != Kind::Step || *of >= round);
        }
    }

    /// What the ledger keeps of an answer of this session.
    pub(super) fn pledge(&self, round: Round, answered: Answered) -> Pledge {
        Pledge {
            job: self.fence.job,
            kind: answered.kind,
            round,
            batch: answered.batch,
            model: answered.model,
        }
    }

    /// Seals a body to `reader` under its session key.
    pub(super) fn write<T: Serialize>(
        &self,
        secrets: &mut dyn CryptoRng,
        kind: Kind,
        to: PartyId,
        reader: &SealPublic,
        body: &T,
    ) -> Result<Vec<u8>, seal::Error> {
        let body = Zeroizing::new(message::encode(body));
        self.write_bytes(secrets, kind, Round(0), (to, reader), &body)
    }

    /// Seals a step to `reader`.
    pub(super) fn write_bytes(
        &self,
        secrets: &mut dyn CryptoRng,
        kind: Kind,
        round: Round,
        (to, reader): (PartyId, &SealPublic),
        body: &[u8],
    ) -> Result<Vec<u8>, seal::Error> {
        let Fence {
            job,
            attempt,
            session,
        } = self.fence;
        let from = self.seat.party;
        let header = Header {
            kind: kind as u8,
            job,
            attempt,
            session,
            round,
            from,
            to,
        };
        seal::seal(secrets, &self.seat.identity, reader, &header, body)
    }

    /// Takes an envelope.
    ///
    /// # Errors
    /// When its writer sent two different letters where only one may be: the guest must not learn
    /// the answers to both.
    pub(super) fn read(&mut self, envelope: &[u8]) -> Result<Received, Reason> {
        let Ok(header) = seal::peek(envelope) else {
            return Ok(Received::Nothing);
        };
        let Header { from, round, .. } = header;
        let fence = Fence {
            job: header.job,
            attempt: header.attempt,
            session: header.session,
        };
        let Some(kind) = Kind::of(&header) else {
            return Ok(Received::Nothing);
        };
        let timely = match (kind, self.round) {
            (Kind::Step, Some(present)) => round == present || round == present.next(),
            (Kind::Step, None) => self.lockstep || round.0 < JOINT_ROUNDS_MAX,
            _ => round == Round(0),
        };
        let invited = kind == Kind::Offer || self.writers.contains(&from);
        if fence != self.fence || header.to != self.seat.party || !timely || !invited {
            return Ok(Received::Nothing);
        }
        let hash: [u8; 32] = Sha256::digest(envelope).into();
        let earlier = self.taken.get(&(from, kind, round));
        if earlier == Some(&hash) {
            #[cfg(test)]
            if crate::sabotage::is_off(crate::sabotage::Mechanism::Repeat) {
                return Ok(Received::Nothing);
            }
            return Ok(Received::Repeat { from });
        }
        let Some(writer) = self.seat.directory.get(&from) else {
            return Ok(Received::Nothing);
        };
        // An offer comes before the reader's session key is known.
        let reader = match kind {
            Kind::Offer => self.seat.identity.sealing(),
            _ => &self.sealing,
        };
        let body = match seal::open(envelope, writer, reader, &header) {
            Ok(body) => body,
            Err(error) => {
                warn!(job.id = %fence.job, party = %self.seat.party, %from, %error, "Dropped a letter that is not genuine");
                return Ok(Received::Nothing);
            }
        };
        // A party that lost its session joins anew; everything else is said once.
        let again = earlier.is_some() && !matches!(kind, Kind::Accept | Kind::Awaiting);
        #[cfg(test)]
        let again = again && !crate::sabotage::is_off(crate::sabotage::Mechanism::OneAnswer);
        if again {
            let text = format!("party {from} sent two different letters in one place");
            return Err(because(ReasonCode::Protocol, from, text));
        }
        self.taken.insert((from, kind, round), hash);
        if kind == Kind::Step && self.lockstep {
            self.enter(round);
        }
        Ok(Received::New {
            kind,
            from,
            round,
            body,
        })
    }
}
