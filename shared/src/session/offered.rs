//! An offer as its reader found it: genuine, of a guest that the directory knows.

use rand::CryptoRng;

use super::correspondence::{Correspondence, Kind, Received};
use super::setup::{self, Offer};
use super::{Effect, Seat};
use crate::id::PartyId;
use crate::job::{Fence, Reason};
use crate::message;

/// A seat that a guest offers.
pub(super) struct Offered {
    pub(super) letters: Correspondence,
    /// Who offers it.
    pub(super) from: PartyId,
    pub(super) offer: Offer,
    pub(super) spec_hash: [u8; 32],
}

impl Offered {
    /// Opens an offer; `None` when it is not genuine.
    pub(super) fn open(
        secrets: &mut dyn CryptoRng,
        seat: &Seat,
        fence: Fence,
        envelope: &[u8],
    ) -> Option<Offered> {
        let mut letters = Correspondence::new(secrets, seat.clone(), fence);
        let Ok(Received::New {
            kind: Kind::Offer,
            from,
            body,
            ..
        }) = letters.read(envelope)
        else {
            return None;
        };
        let offer: Offer = message::decode(&body).ok()?;
        let spec_hash = setup::hash(&offer.spec);
        let genuine = offer.guest.party == from
            && offer.guest.is_genuine(&seat.directory, &fence, &spec_hash);
        genuine.then_some(Offered {
            letters,
            from,
            offer,
            spec_hash,
        })
    }

    /// Says no.
    pub(super) fn refuse(&self, secrets: &mut dyn CryptoRng, reason: &Reason) -> Option<Effect> {
        let guest = &self.offer.guest;
        let written = self
            .letters
            .write(secrets, Kind::Refuse, self.from, &guest.sealing, reason);
        let queue = guest.address.clone();
        written.ok().map(|envelope| Effect::letter(queue, envelope))
    }
}
