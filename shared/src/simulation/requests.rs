//! A platform that changes what was asked for, or forgets what a job is about.
//!
//! Hosts know a request from the guest's signed offer alone, and the guest knows it from the
//! platform: a request that was forged from the start is a request, and each party's policy decides
//! about it. What must not be is one job with two of them.

use super::adversary::law;
use super::federation::{Federation, hyperparameters, rows};
use super::world::{Faults, Wire, World};
use crate::admission::Verdict;
use crate::hyperparameters::Optimizer;
use crate::id::{PartyId, SessionId};
use crate::job::{JobStatus, Protection};
use crate::message::Grant;
use crate::session::{Effect, Input, Session};

const HOST: PartyId = PartyId(4);
const GUEST: PartyId = PartyId(3);

fn world() -> World {
    let parameters = hyperparameters(Optimizer::Adam);
    let federation = Federation::new(5, 2, Protection::SecAgg, parameters, rows(2, 180, 2));
    World::new(11, federation, Faults::default())
}

/// The request with another start.
fn other_request(federation: &Federation) -> Vec<u8> {
    let mut spec = federation.spec.clone();
    spec.hyperparameters.random_seed = Some(8);
    serde_json::to_vec(&crate::job::Spec::Train(spec)).unwrap()
}

/// Runs until the next grant is under way, and changes it.
fn regrant(world: &mut World, change: impl Fn(&mut Grant)) {
    let granted = |wire: &Wire| matches!(wire, Wire::Granted { .. });
    world
        .run_until(|world| world.wires.iter().any(granted))
        .unwrap();
    for wire in &mut world.wires {
        if let Wire::Granted { grant, .. } = wire {
            change(grant);
        }
    }
}

#[test]
fn a_request_that_changes_between_attempts_is_refused() {
    let mut world = world();
    world.run_until(|world| world.round().0 >= 5).unwrap();
    let other = other_request(&world.federation);
    world.crash(world.process_of(GUEST));
    let attempt = world.row.attempt;
    world
        .run_until(|world| world.row.attempt > attempt)
        .unwrap();
    // Every later grant says the same, so that nothing mends it.
    for _ in 0..8 {
        if world.row.status.is_terminal() {
            break;
        }
        regrant(&mut world, |grant| grant.spec = other.clone());
        let attempt = world.row.attempt;
        world
            .run_until(|world| world.row.attempt > attempt || world.row.status.is_terminal())
            .unwrap();
    }
    world.run().unwrap();
    assert_eq!(law(&world), Ok(()));
    assert_eq!(world.row.status, JobStatus::Failed);
    assert_eq!(world.answers.two_models_in_one_session(), None);
}

#[test]
fn rows_that_changed_are_noticed_when_the_platform_forgets_them() {
    let mut world = world();
    world.run_until(|world| world.round().0 >= 5).unwrap();
    world.federation.edit(HOST);
    world.crash(world.process_of(HOST));
    world.crash(world.process_of(GUEST));
    let attempt = world.row.attempt;
    world
        .run_until(|world| world.row.attempt > attempt)
        .unwrap();
    world.row.digests.clear();
    let _ = world.run();
    assert_eq!(world.row.status, JobStatus::Failed);
}

/// Two sessions of one guest under one fence, each with its own request, and one host for each: the
/// nearest that a guest comes to showing two hosts two requests.
#[test]
fn hosts_that_were_shown_two_requests_never_begin() {
    let mut world = world();
    let fence = world
        .federation
        .fence((1, SessionId(uuid::Uuid::from_u128(77))));
    let specs = [
        world.federation.spec_bytes(),
        other_request(&world.federation),
    ];
    let hosts = world.federation.spec.parties.hosts.clone();
    // The host's letters reach both sessions.
    let mut guests = Vec::new();
    let mut offers = Vec::new();
    for (spec, host) in specs.into_iter().zip(&hosts) {
        let seat = world.federation.seat(GUEST, "session.3.77".into());
        let (mut session, _) = Session::claim(world.now, seat, fence);
        let grant = Grant {
            fence,
            spec,
            checkpoint: None,
            digests: Default::default(),
            model: None,
            inputs: Vec::new(),
            key: None,
        };
        let granted = Input::Granted(Box::new(grant));
        let mut effects = session.handle(&mut world.rng, world.now, granted);
        let rows = Input::Loaded(world.federation.read(GUEST));
        effects.extend(session.handle(&mut world.rng, world.now, rows));
        let admitted = Input::Admitted(Ok(Verdict::Admitted));
        effects.extend(session.handle(&mut world.rng, world.now, admitted));
        let queue = crate::message::queue::host(*host);
        let offer = effects.into_iter().find_map(|effect| match effect {
            Effect::Invite {
                queue: to,
                envelope,
                ..
            } if to == queue => Some(envelope),
            _ => None,
        });
        offers.push((*host, offer.unwrap()));
        guests.push(session);
    }
    let mut accepts = Vec::new();
    for (host, offer) in offers {
        let seat = world.federation.seat(host, format!("session.{host}.77"));
        let joined = Session::join(&mut world.rng, world.now, &seat, fence, &offer);
        let (mut session, _) = joined.ok().unwrap();
        let rows = Input::Loaded(world.federation.read(host));
        let asked = session.handle(&mut world.rng, world.now, rows);
        assert!(matches!(asked[..], [Effect::Admit(_)]));
        let admitted = Input::Admitted(Ok(Verdict::Admitted));
        accepts.extend(session.handle(&mut world.rng, world.now, admitted));
    }
    assert_eq!(accepts.len(), 2);
    for guest in &mut guests {
        for accept in &accepts {
            let Effect::Send { envelope, .. } = accept else {
                panic!("an accept is a letter");
            };
            let input = Input::Envelope(envelope.clone());
            let effects = guest.handle(&mut world.rng, world.now, input);
            assert!(effects.is_empty(), "nobody is told to begin");
        }
    }
}
