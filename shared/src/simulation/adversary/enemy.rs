//! The platform as an enemy: it has everything that was ever under way in hand, keys of its own,
//! and habits.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::world::{Wire, World};
use super::{letters, store};
use crate::id::{PartyId, SessionId};
use crate::message::{Beat, Event, EventBody, Grant, Outcome};
use crate::seal::Identity;

/// What the platform kept of what passed through its hands.
#[derive(Default)]
pub(super) struct Hoard {
    /// With the queues they were for.
    pub(super) letters: Vec<(String, Vec<u8>)>,
    pub(super) offers: Vec<(PartyId, Vec<u8>)>,
    pub(super) grants: Vec<Grant>,
    pub(super) events: Vec<Event>,
    pub(super) beats: Vec<Beat>,
    pub(super) checkpoints: Vec<Vec<u8>>,
    /// Sealed models, by the party they are for, as guests' sessions made them.
    pub(super) models: Vec<BTreeMap<PartyId, Vec<u8>>>,
}

impl Hoard {
    pub(super) fn keep(&mut self, wires: Vec<Wire>) {
        for wire in wires {
            match wire {
                Wire::Letter {
                    queue, envelope, ..
                } => self.letters.push((queue, envelope)),
                Wire::Offer { party, envelope } => self.offers.push((party, envelope)),
                Wire::Granted { grant, .. } => self.grants.push(grant),
                Wire::Beat { beat } => self.beats.push(beat),
                Wire::Event {
                    fence,
                    party,
                    reply_to,
                    event: body,
                } => {
                    if let EventBody::Checkpoint { blob, .. } = &body {
                        self.checkpoints.push(blob.clone());
                    }
                    if let EventBody::Finished {
                        outcome: Outcome::Model(parts),
                        ..
                    } = &body
                    {
                        self.models.push(parts.clone());
                    }
                    self.events.push(Event {
                        fence,
                        party,
                        reply_to,
                        body,
                    });
                }
                Wire::Invitation { .. }
                | Wire::Ended { .. }
                | Wire::Answer { .. }
                | Wire::Returned { .. } => {}
            }
        }
    }
}

/// One thing that the platform does; `None` when there is nothing to do it to.
pub(super) type Attack = fn(&mut Enemy, &mut World) -> Option<()>;

/// Everything that it does, with its name.
pub(super) const ATTACKS: [(&str, Attack); 24] = [
    ("flips a bit", letters::flip),
    ("cuts a letter short", letters::truncate),
    ("makes a letter longer", letters::extend),
    ("drops a letter", letters::drop_one),
    ("exchanges two letters", letters::exchange),
    ("misdelivers a letter", letters::misdeliver),
    ("repeats an earlier letter", letters::replay),
    (
        "repeats an earlier letter to somebody else",
        letters::replay_elsewhere,
    ),
    ("repeats an earlier offer", letters::replay_offer),
    ("sends a letter of another job", letters::replay_foreign),
    ("sends an offer of another job", letters::offer_foreign),
    ("signs a letter anew", letters::sign_anew),
    ("writes another header and signs it", letters::readdress),
    ("writes a letter of its own", letters::invent),
    ("makes an offer of its own", letters::offer_own),
    ("rolls a checkpoint back", store::roll_back),
    (
        "hands out a checkpoint of another job",
        store::foreign_checkpoint,
    ),
    ("forges a checkpoint", store::forged_checkpoint),
    ("stores another checkpoint", store::misfile_checkpoint),
    ("forgets the digests", store::forget_digests),
    ("grants another attempt or session", store::misgrant),
    ("grants twice", store::grant_twice),
    ("lets two sessions lead", store::two_leaders),
    ("speaks as nobody", store::speak_as_nobody),
];

/// Things that can end a job without a model: a platform can always refuse to serve.
pub(super) const DENIALS: [(&str, Attack); 7] = [
    ("says that the session failed", store::deny_failed),
    ("says that the job is over", store::deny_ended),
    ("says that a process is gone", store::deny_returned),
    ("files forged models", store::deny_finished),
    ("files other digests", store::deny_started),
    ("keeps a dead session's lease", store::deny_lease),
    ("drops events and beats", store::deny_events),
];

/// The platform.
pub(super) struct Enemy<'a> {
    pub(super) rng: StdRng,
    /// Keys that nobody pinned.
    pub(super) identity: Identity,
    pub(super) signing: SigningKey,
    pub(super) kept: Hoard,
    /// Of another job of the same parties.
    pub(super) foreign: &'a Hoard,
    /// Offers by a guest with keys that nobody pinned.
    pub(super) forged: &'a Hoard,
    /// Grants that were meddled with.
    pub(super) regranted: BTreeSet<SessionId>,
    habits: Vec<(&'static str, Attack)>,
    rate: f64,
    /// How often it did what.
    pub(super) done: BTreeMap<&'static str, u32>,
}

impl<'a> Enemy<'a> {
    pub(super) fn new(seed: u64, foreign: &'a Hoard, forged: &'a Hoard) -> Enemy<'a> {
        let mut rng = StdRng::seed_from_u64(seed);
        let identity = Identity::generate(&mut rng);
        let bytes = identity.to_bytes();
        let signing = SigningKey::from_bytes(bytes.first_chunk().unwrap());
        let mut habits = Vec::new();
        for _ in 0..rng.random_range(2..=7) {
            habits.push(ATTACKS[rng.random_range(0..ATTACKS.len())]);
        }
        if rng.random_bool(0.4) {
            habits.push(DENIALS[rng.random_range(0..DENIALS.len())]);
        }
        let rate = rng.random_range(0.02..0.25);
        Enemy {
            rng,
            identity,
            signing,
            kept: Hoard::default(),
            foreign,
            forged,
            regranted: BTreeSet::new(),
            habits,
            rate,
            done: BTreeMap::new(),
        }
    }

    /// Looks at what is under way, and does something or nothing.
    pub(super) fn meddle(&mut self, world: &mut World) {
        self.kept.keep(world.tapped());
        let granting = world
            .wires
            .iter()
            .any(|wire| matches!(wire, Wire::Granted { .. }));
        // Grants are rare and soon gone.
        let rate = if granting { 0.5 } else { self.rate };
        if self.rng.random_bool(rate) {
            let (name, attack) = self.habits[self.rng.random_range(0..self.habits.len())];
            if attack(self, world).is_some() {
                *self.done.entry(name).or_default() += 1;
            }
        }
    }

    /// One of these.
    pub(super) fn any<'b, T>(&mut self, of: &'b [T]) -> Option<&'b T> {
        (!of.is_empty()).then(|| &of[self.rng.random_range(0..of.len())])
    }

    /// Where one of the messages under way is that are so.
    pub(super) fn find(&mut self, world: &World, like: impl Fn(&Wire) -> bool) -> Option<usize> {
        let found: Vec<usize> = (0..world.wires.len())
            .filter(|&index| like(&world.wires[index]))
            .collect();
        self.any(&found).copied()
    }
}
