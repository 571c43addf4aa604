//! The law that holds whatever the platform does: a party answers one place of a job (kind, round,
//! batch) about one model, and puts one plaintext under one set of masks.

use std::collections::{BTreeMap, BTreeSet};

use super::world::Wire;
use crate::id::{PartyId, SessionId};
use crate::job::Fence;
use crate::seal;
use crate::session::{Kind, fence_of};
use crate::witness::{self, Answered};

/// A place in a job that a party answers: party, kind, round, batch.
type Place = (PartyId, u8, u32, u32);
type Hash = [u8; 32];

/// What every party of a world computed and sent.
#[derive(Default)]
pub(super) struct Answers {
    /// By party and session.
    computed: BTreeMap<(PartyId, u32, SessionId), Vec<Answered>>,
    /// Models that were answered about, with the sessions in which they were.
    sent: BTreeMap<Place, BTreeMap<Hash, BTreeSet<SessionId>>>,
    /// Plaintexts under a context.
    plaintexts: BTreeMap<(PartyId, Hash), BTreeSet<Hash>>,
}

impl Answers {
    /// A session did something: takes in what it computed.
    pub(super) fn computed(&mut self, party: PartyId, (attempt, session): (u32, SessionId)) {
        let answered = witness::drain();
        for answer in &answered {
            let plaintexts = self.plaintexts.entry((party, answer.context));
            plaintexts.or_default().insert(answer.values);
        }
        let computed = self.computed.entry((party, attempt, session));
        computed.or_default().extend(answered);
    }

    /// A message left a process: if it is a contribution, its party has answered.
    pub(super) fn left(&mut self, wire: &Wire, guest: PartyId) {
        let Wire::Letter { envelope, .. } = wire else {
            return;
        };
        let (Ok(header), Ok(fence)) = (seal::peek(envelope), fence_of(envelope)) else {
            return;
        };
        // What a guest sends to others than the arbiter are questions.
        let contributes = header.from != PartyId::ARBITER
            && (header.from != guest || header.to == PartyId::ARBITER);
        if header.kind == Kind::Step as u8 && contributes {
            self.sent_in(header.from, fence, header.round.0);
        }
    }

    fn sent_in(&mut self, party: PartyId, fence: Fence, round: u32) {
        let key = (party, fence.attempt.0, fence.session);
        let computed = self.computed.get(&key).into_iter().flatten();
        for asked in computed.map(|answer| answer.asked) {
            if asked.round == round {
                let place = (party, asked.kind, asked.round, asked.batch);
                let models = self.sent.entry(place).or_default();
                models.entry(asked.model).or_default().insert(fence.session);
            }
        }
    }

    /// The first place that was answered about two models.
    pub(super) fn two_models(&self) -> Option<Place> {
        let two = self.sent.iter().find(|(_, models)| models.len() > 1);
        two.map(|(place, _)| *place)
    }

    /// The first place that one session answered about two models.
    pub(super) fn two_models_in_one_session(&self) -> Option<Place> {
        let shared = |models: &BTreeMap<Hash, BTreeSet<SessionId>>| {
            let all = models.values().flatten().count();
            let distinct: BTreeSet<_> = models.values().flatten().collect();
            distinct.len() < all
        };
        let two = self.sent.iter().find(|(_, models)| shared(models));
        two.map(|(place, _)| *place)
    }

    /// The first party that put two plaintexts under the same masks.
    pub(super) fn two_plaintexts(&self) -> Option<PartyId> {
        let two = self.plaintexts.iter().find(|(_, values)| values.len() > 1);
        two.map(|((party, _), _)| *party)
    }

    /// Places that were answered in more than one session: what repeats cost nothing.
    pub(super) fn repeated(&self) -> usize {
        let sessions = |models: &BTreeMap<Hash, BTreeSet<SessionId>>| {
            models.values().flatten().collect::<BTreeSet<_>>().len()
        };
        (self.sent.values().filter(|models| sessions(models) > 1)).count()
    }

    /// Places that were answered.
    pub(super) fn places(&self) -> usize {
        self.sent.len()
    }
}
