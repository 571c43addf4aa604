//! Each party's ledger, in memory: it outlives every process.

use std::collections::{BTreeMap, BTreeSet};

use crate::admission::{Admission, Pledge, Verdict};
use crate::id::{PartyId, Round};
use crate::job::ReasonCode;
use crate::sabotage::{self, Mechanism};

/// One party's.
#[derive(Default)]
struct Book {
    /// Request, parties and digest of the job.
    pinned: Option<([u8; 32], Vec<PartyId>, Vec<u8>)>,
    /// The question that each round was answered for.
    answered: BTreeMap<Round, (u8, u32, [u8; 32])>,
}

/// All parties'.
#[derive(Default)]
pub(super) struct Books {
    all: BTreeMap<PartyId, Book>,
    /// Parties whose officer has yet to say yes.
    pub(super) undecided: BTreeSet<PartyId>,
    /// Parties whose officer says no.
    pub(super) rejecting: BTreeSet<PartyId>,
}

impl Books {
    pub(super) fn admit(&mut self, party: PartyId, admission: &Admission) -> Verdict {
        let Admission {
            request,
            parties,
            digest,
            ..
        } = admission;
        let book = self.all.entry(party).or_default();
        let wish = (*request, parties.clone(), digest.clone());
        let pinned = book.pinned.get_or_insert(wish);
        if (&pinned.0, &pinned.1) != (request, parties) {
            return Verdict::Refused(ReasonCode::RequestChanged);
        }
        if pinned.2 != *digest {
            return Verdict::Refused(ReasonCode::DataChanged);
        }
        self.review(party)
    }

    pub(super) fn review(&self, party: PartyId) -> Verdict {
        if self.rejecting.contains(&party) {
            return Verdict::Refused(ReasonCode::ApprovalRejected);
        }
        match self.undecided.contains(&party) {
            true => Verdict::Awaiting,
            false => Verdict::Admitted,
        }
    }

    /// Whether the answer may leave.
    pub(super) fn pledge(&mut self, party: PartyId, pledge: &Pledge) -> bool {
        if sabotage::is_off(Mechanism::OneAnswer) {
            return true;
        }
        let asked = (pledge.kind, pledge.batch, pledge.model);
        let book = self.all.entry(party).or_default();
        *book.answered.entry(pledge.round).or_insert(asked) == asked
    }

    /// As if a party had answered for other models.
    pub(super) fn swap_answers(&mut self, party: PartyId) {
        let book = self.all.entry(party).or_default();
        for (_, _, model) in book.answered.values_mut() {
            model[0] ^= 1;
        }
    }

    /// Questions that a party answered.
    pub(super) fn answers(&self, party: PartyId) -> usize {
        self.all.get(&party).map_or(0, |book| book.answered.len())
    }
}
