//! What a store and a status aggregator can do with grants, checkpoints and events.

use rand::{Rng, RngExt};
use uuid::Uuid;

use super::super::world::{Wire, World};
use super::enemy::{Enemy, Hoard};
use crate::id::{Attempt, PartyId, SessionId};
use crate::job::{Fence, Reason, ReasonCode};
use crate::message::{Beat, EventBody, Grant, Outcome, Progress};

fn is_event(wire: &Wire) -> bool {
    matches!(wire, Wire::Event { .. })
}

impl Enemy<'_> {
    /// A grant under way that is still as it was.
    fn grant<'a>(&mut self, world: &'a mut World) -> Option<&'a mut Grant> {
        let untouched = world.wires.iter().position(|wire| match wire {
            Wire::Granted { grant, .. } => !self.regranted.contains(&grant.fence.session),
            _ => false,
        })?;
        match &mut world.wires[untouched] {
            Wire::Granted { grant, .. } => {
                self.regranted.insert(grant.fence.session);
                Some(grant)
            }
            _ => None,
        }
    }

    /// An earlier checkpoint of this job, or none.
    fn old_checkpoint(&mut self) -> Option<Vec<u8>> {
        let earlier = self.kept.checkpoints.len().saturating_sub(1);
        match self.rng.random_range(0..=earlier) {
            0 => None,
            index => Some(self.kept.checkpoints[index - 1].clone()),
        }
    }

    fn wrong_checkpoint(&mut self) -> Option<Vec<u8>> {
        match self.rng.random_range(0..3) {
            0 => self.old_checkpoint(),
            1 => self.any(&self.foreign.checkpoints).cloned(),
            _ => self.forged(),
        }
    }

    /// A checkpoint with a bit changed, or of random bytes.
    fn forged(&mut self) -> Option<Vec<u8>> {
        let hoard: &Hoard = &self.kept;
        let genuine = hoard.checkpoints.last().cloned();
        match genuine {
            Some(mut genuine) if self.rng.random_bool(0.7) => {
                let bit = self.rng.random_range(0..genuine.len() * 8);
                genuine[bit / 8] ^= 1 << (bit % 8);
                Some(genuine)
            }
            _ => {
                let mut bytes = vec![0; 200];
                self.rng.fill_bytes(&mut bytes);
                Some(bytes)
            }
        }
    }

    /// The session that has the job.
    fn current(&self, world: &World) -> Option<Fence> {
        world.row.fence()
    }

    fn say(&self, world: &mut World, fence: Fence, party: PartyId, event: EventBody) -> Option<()> {
        world.inject(Wire::Event {
            fence,
            party,
            reply_to: "nobody".into(),
            event,
        });
        Some(())
    }
}

pub(super) fn roll_back(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let old = enemy.old_checkpoint();
    let grant = enemy.grant(world)?;
    let changed = grant.checkpoint != old;
    grant.checkpoint = old;
    changed.then_some(())
}

pub(super) fn foreign_checkpoint(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let foreign = enemy.any(&enemy.foreign.checkpoints).cloned();
    enemy.grant(world)?.checkpoint = foreign;
    Some(())
}

pub(super) fn forged_checkpoint(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let forged = enemy.forged();
    enemy.grant(world)?.checkpoint = forged;
    Some(())
}

/// Puts another checkpoint in the place of the one that a session sends.
pub(super) fn misfile_checkpoint(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let wrong = enemy.wrong_checkpoint()?;
    let index = enemy.find(world, |wire| match wire {
        Wire::Event { event, .. } => matches!(event, EventBody::Checkpoint { .. }),
        _ => false,
    })?;
    if let Wire::Event {
        event: EventBody::Checkpoint { blob, .. },
        ..
    } = &mut world.wires[index]
    {
        *blob = wrong;
    }
    Some(())
}

/// The rows have not changed; that they had would go unnoticed.
pub(super) fn forget_digests(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let grant = enemy.grant(world)?;
    let changed = !grant.digests.is_empty();
    grant.digests.clear();
    changed.then_some(())
}

pub(super) fn misgrant(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let session = SessionId(Uuid::from_u128(enemy.rng.random()));
    let other = enemy.rng.random_bool(0.5);
    let grant = enemy.grant(world)?;
    match other {
        true => grant.fence.session = session,
        false => grant.fence.attempt = Attempt(grant.fence.attempt.0 + 1),
    }
    Some(())
}

/// Two grants for one claim, with different checkpoints: which of them comes first is open.
pub(super) fn grant_twice(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let checkpoint = enemy.wrong_checkpoint();
    let session = enemy.grant(world)?.fence.session;
    let granted = world.wires.iter().find_map(|wire| match wire {
        Wire::Granted { queue, grant } if grant.fence.session == session => {
            Some((queue.clone(), grant.clone()))
        }
        _ => None,
    });
    let (queue, grant) = granted?;
    let grant = Grant {
        checkpoint,
        ..grant
    };
    world.inject(Wire::Granted { queue, grant });
    Some(())
}

/// Grants a claim that the platform refused, and lets a session go on that it took the job from.
pub(super) fn two_leaders(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let checkpoint = enemy.wrong_checkpoint();
    let like = enemy.kept.grants.last()?.clone();
    let attempt = world.row.attempt;
    world.inject(Wire::Invitation { attempt });
    let index = enemy.find(world, |wire| matches!(wire, Wire::Ended { .. }))?;
    let Wire::Ended { queue, fence } = world.seize(index) else {
        return None;
    };
    let grant = Grant {
        fence,
        checkpoint,
        ..like
    };
    world.inject(Wire::Granted { queue, grant });
    Some(())
}

/// An event of a session, an attempt or a party that there is not, or of an earlier attempt.
pub(super) fn speak_as_nobody(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let kept = std::mem::take(&mut enemy.kept.events);
    let event = enemy.any(&kept).cloned();
    enemy.kept.events = kept;
    let event = event?;
    let mut fence = event.fence;
    match enemy.rng.random_range(0..3) {
        0 => fence.session = SessionId(Uuid::from_u128(enemy.rng.random())),
        1 => fence.attempt = Attempt(fence.attempt.0 + enemy.rng.random_range(1..3)),
        _ if Some(fence) != enemy.current(world) => {}
        _ => fence.session = SessionId(Uuid::nil()),
    }
    let body = match enemy.rng.random_range(0..3) {
        0 => EventBody::Failed {
            reason: refused(ReasonCode::RequestRefused),
        },
        1 => EventBody::Finished {
            progress: Progress::default(),
            outcome: Outcome::Model(enemy.any(&enemy.foreign.models)?.clone()),
        },
        _ => event.body,
    };
    // A claim of nobody would be granted, as it should be.
    if matches!(body, EventBody::Claimed) {
        return None;
    }
    enemy.say(world, fence, PartyId(99), body)
}

fn refused(code: ReasonCode) -> Reason {
    Reason {
        code,
        text: "the platform says so".into(),
        party: None,
    }
}

/// Denial of service: the reason may be one that no attempt mends.
pub(super) fn deny_failed(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let fence = enemy.current(world)?;
    let code = match enemy.rng.random_bool(0.5) {
        true => ReasonCode::PartySilent,
        false => ReasonCode::NoRows,
    };
    let reason = refused(code);
    let guest = world.federation.spec.parties.guest;
    enemy.say(world, fence, guest, EventBody::Failed { reason })
}

/// Denial of service: the session leaves.
pub(super) fn deny_ended(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let process = enemy.any(&world.processes)?;
    let queue = process.seat.address.clone();
    let fence = world.federation.fence(*process.sessions.keys().next()?);
    world.inject(Wire::Ended { queue, fence });
    Some(())
}

/// Denial of service: the guest gives up.
pub(super) fn deny_returned(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let fence = enemy.current(world)?;
    let guest = world.federation.spec.parties.guest;
    let sender = world.processes[world.process_of(guest)]
        .seat
        .address
        .clone();
    let queue = enemy.any(&world.processes)?.seat.address.clone();
    world.inject(Wire::Returned {
        sender,
        fence,
        queue,
    });
    Some(())
}

/// Denial of service: what is filed as the model are bytes, or models of another job, or true ones
/// under each other's names.
pub(super) fn deny_finished(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let fence = enemy.current(world)?;
    let guest = world.federation.spec.parties.guest;
    let foreign = enemy.any(&enemy.foreign.models)?;
    let parts = match enemy.rng.random_range(0..3) {
        0 => foreign.clone(),
        1 => {
            let parties = foreign.keys().copied();
            parties.zip(foreign.values().skip(1).cloned()).collect()
        }
        _ => [(guest, vec![7; 300])].into(),
    };
    let event = EventBody::Finished {
        progress: Progress::default(),
        outcome: Outcome::Model(parts),
    };
    enemy.say(world, fence, guest, event)
}

/// Denial of service: in the next attempt rows seem to have changed.
pub(super) fn deny_started(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let index = enemy.find(world, |wire| match wire {
        Wire::Event { event, .. } => matches!(event, EventBody::Started { .. }),
        _ => false,
    })?;
    if let Wire::Event {
        event: EventBody::Started { digests, .. },
        ..
    } = &mut world.wires[index]
    {
        digests.values_mut().for_each(|digest| digest[0] ^= 1);
    }
    Some(())
}

/// Denial of service: a session that has died seems alive.
pub(super) fn deny_lease(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let fence = enemy.current(world)?;
    let beat = enemy.kept.beats.last()?.clone();
    let beat = Beat { fence, ..beat };
    world.inject(Wire::Beat { beat });
    Some(())
}

/// Denial of service: the platform hears nothing.
pub(super) fn deny_events(enemy: &mut Enemy, world: &mut World) -> Option<()> {
    let deaf = |wire: &Wire| is_event(wire) || matches!(wire, Wire::Beat { .. });
    let index = enemy.find(world, deaf)?;
    world.seize(index);
    Some(())
}
