//! What a broker can do to letters.

use ed25519_dalek::Signer;
use rand::{Rng, RngExt};
use sha2::{Digest, Sha256};

use super::super::world::{Wire, World};
use super::enemy::Enemy;
use crate::id::{PartyId, Round, SessionId};
use crate::job::{Fence, Reason, ReasonCode};
use crate::message;
use crate::seal::{self, Header, SealSecret};
use crate::session::fence_of;

/// Bytes of a signature, and of the header before the payload.
const SIGNATURE_BYTES: usize = 64;
const HEADER_BYTES: usize = 68;

fn is_letter(wire: &Wire) -> bool {
    matches!(wire, Wire::Letter { .. } | Wire::Offer { .. })
}

fn envelope(wire: &mut Wire) -> Option<&mut Vec<u8>> {
    match wire {
        Wire::Letter { envelope, .. } | Wire::Offer { envelope, .. } => Some(envelope),
        _ => None,
    }
}

impl Enemy<'_> {
    /// A letter under way.
    fn letter<'a>(&mut self, world: &'a mut World) -> Option<&'a mut Vec<u8>> {
        let index = self.find(world, is_letter)?;
        envelope(&mut world.wires[index]).filter(|envelope| !envelope.is_empty())
    }

    /// The queue of some process.
    fn queue(&mut self, world: &World) -> Option<String> {
        let process = self.any(&world.processes)?;
        Some(process.seat.address.clone())
    }

    fn send(&mut self, world: &mut World, queue: String, envelope: Vec<u8>) -> Option<()> {
        let fence = fence_of(&envelope).ok()?;
        let sender = "nobody".to_owned();
        world.inject(Wire::Letter {
            queue,
            envelope,
            sender,
            fence,
        });
        Some(())
    }

    fn sign(&self, envelope: &mut Vec<u8>) {
        envelope.truncate(envelope.len() - SIGNATURE_BYTES);
        let mut message = b"concord/v1 envelope".to_vec();
        message.extend(&envelope[..HEADER_BYTES]);
        message.extend(Sha256::digest(&envelope[HEADER_BYTES..]));
        envelope.extend(self.signing.sign(&message).to_bytes());
    }
}

pub(super) fn flip(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let envelope = enemy.letter(world)?;
    let bit = enemy.rng.random_range(0..envelope.len() * 8);
    envelope[bit / 8] ^= 1 << (bit % 8);
    Some(())
}

pub(super) fn truncate(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let envelope = enemy.letter(world)?;
    envelope.truncate(enemy.rng.random_range(0..envelope.len()));
    Some(())
}

pub(super) fn extend(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let envelope = enemy.letter(world)?;
    envelope.push(enemy.rng.random());
    Some(())
}

pub(super) fn drop_one(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let index = enemy.find(world, is_letter)?;
    world.seize(index);
    Some(())
}

pub(super) fn exchange(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let (one, two) = (enemy.find(world, is_letter)?, enemy.find(world, is_letter)?);
    let first = std::mem::take(envelope(&mut world.wires[one])?);
    let second = std::mem::replace(envelope(&mut world.wires[two])?, first);
    *envelope(&mut world.wires[one])? = second;
    (one != two).then_some(())
}

pub(super) fn misdeliver(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let other = enemy.queue(world)?;
    let index = enemy.find(world, |wire| matches!(wire, Wire::Letter { .. }))?;
    if let Wire::Letter { queue, .. } = &mut world.wires[index] {
        *queue = other;
    }
    Some(())
}

pub(super) fn replay(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let kept = std::mem::take(&mut enemy.kept.letters);
    let letter = enemy.any(&kept).cloned();
    enemy.kept.letters = kept;
    let (queue, envelope) = letter?;
    enemy.send(world, queue, envelope)
}

pub(super) fn replay_elsewhere(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let kept = std::mem::take(&mut enemy.kept.letters);
    let letter = enemy.any(&kept).cloned();
    enemy.kept.letters = kept;
    let queue = enemy.queue(world)?;
    enemy.send(world, queue, letter?.1)
}

pub(super) fn replay_offer(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let kept = std::mem::take(&mut enemy.kept.offers);
    let offer = enemy.any(&kept).cloned();
    enemy.kept.offers = kept;
    let (party, envelope) = offer?;
    world.inject(Wire::Offer { party, envelope });
    Some(())
}

pub(super) fn replay_foreign(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let (queue, envelope) = enemy.any(&enemy.foreign.letters)?.clone();
    enemy.send(world, queue, envelope)
}

pub(super) fn offer_foreign(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let (party, envelope) = enemy.any(&enemy.foreign.offers)?.clone();
    world.inject(Wire::Offer { party, envelope });
    Some(())
}

pub(super) fn sign_anew(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let index = enemy.find(world, is_letter)?;
    let mut letter = envelope(&mut world.wires[index])?.clone();
    seal::peek(&letter).ok()?;
    enemy.sign(&mut letter);
    *envelope(&mut world.wires[index])? = letter;
    Some(())
}

/// A copy with another kind, attempt, session, round, writer or reader.
pub(super) fn readdress(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let index = enemy.find(world, is_letter)?;
    let mut letter = envelope(&mut world.wires[index])?.clone();
    seal::peek(&letter).ok()?;
    let fields = [5..6, 24..28, 28..44, 44..48, 48..56, 56..64];
    let field = enemy.any(&fields)?.clone();
    let last = field.end - 1;
    letter[last] = enemy.rng.random_range(0..8);
    // Sometimes the writer's own signature stays.
    if enemy.rng.random_bool(0.7) {
        enemy.sign(&mut letter);
    }
    *envelope(&mut world.wires[index])? = letter;
    Some(())
}

/// A letter in the name of some party, or of one that nobody knows, sealed to the key that the
/// directory has or to none that anybody has.
pub(super) fn invent(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let everybody = world.federation.everybody();
    let process = enemy.any(&world.processes)?;
    let (to, queue) = (process.seat.party, process.seat.address.clone());
    let fence = match process.sessions.keys().next() {
        Some(key) => world.federation.fence(*key),
        None => Fence {
            session: SessionId(uuid::Uuid::from_u128(enemy.rng.random())),
            ..world
                .federation
                .fence((world.row.attempt.0, SessionId(uuid::Uuid::nil())))
        },
    };
    let from = match enemy.rng.random_bool(0.2) {
        true => PartyId(99),
        false => *enemy.any(&everybody)?,
    };
    let header = Header {
        kind: enemy.rng.random_range(1..=8),
        job: fence.job,
        attempt: fence.attempt,
        session: fence.session,
        round: Round(enemy.rng.random_range(0..4)),
        from,
        to,
    };
    let body = match enemy.rng.random_range(0..3) {
        0 => message::encode(&Reason {
            code: ReasonCode::Protocol,
            text: "no".into(),
            party: Some(from),
        }),
        // An ask, as `federated::round` has it.
        1 => message::encode(&(0_u8, 4_u8, 0_u32, 1_u32, vec![0.25_f64; 3])),
        _ => {
            let mut bytes = vec![0; 40];
            enemy.rng.fill_bytes(&mut bytes);
            bytes
        }
    };
    let reader = match enemy.rng.random_bool(0.5) {
        true => world.federation.pinned(to),
        false => SealSecret::generate(&mut enemy.rng).public(),
    };
    let envelope = seal::seal(&mut enemy.rng, &enemy.identity, &reader, &header, &body).ok()?;
    enemy.send(world, queue, envelope)
}

/// An offer of a whole guest's session, but for its keys.
pub(super) fn offer_own(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let (party, envelope) = enemy.any(&enemy.forged.offers)?.clone();
    world.inject(Wire::Offer { party, envelope });
    Some(())
}
