//! Single faults, each with its name.

use super::federation::{Federation, KEY_BITS, hyperparameters, rows};
use super::world::{Faults, Wire, World};
use crate::hyperparameters::Optimizer;
use crate::id::PartyId;
use crate::job::{JobStatus, Protection, ReasonCode};
use crate::message::EventBody;

const HOST: PartyId = PartyId(4);
const GUEST: PartyId = PartyId(3);

fn world(protection: Protection) -> World {
    let parameters = hyperparameters(Optimizer::Adam);
    let federation = Federation::new(5, 2, protection, parameters, rows(2, 180, 2));
    World::new(11, federation, Faults::default())
}

fn finish_with_the_pooled_bits(mut world: World) -> World {
    world.run().unwrap();
    assert_eq!(
        world.row.status,
        JobStatus::Finished,
        "{:?}",
        world.reason()
    );
    let (reference, _) = world.federation.reference();
    assert_eq!(world.parts.len(), 3, "every data party gets the model");
    for (party, sealed) in &world.parts {
        assert!(world.federation.open(*party, sealed) == reference);
    }
    assert_eq!(world.finishes, 1);
    world
}

#[test]
fn without_faults_one_attempt_gives_the_pooled_bits() {
    for protection in [
        Protection::SecAgg,
        Protection::Paillier { key_bits: KEY_BITS },
    ] {
        let world = finish_with_the_pooled_bits(world(protection));
        assert_eq!(world.row.attempt.0, 1);
    }
}

#[test]
fn a_host_that_dies_in_mid_round_costs_one_attempt() {
    let mut world = world(Protection::SecAgg);
    world
        .run_until(|world| world.is_training() && world.step_for(HOST).is_some())
        .unwrap();
    world.crash(world.process_of(HOST));
    let world = finish_with_the_pooled_bits(world);
    assert_eq!(world.row.attempt.0, 2);
}

#[test]
fn a_guest_that_dies_goes_on_from_its_checkpoint() {
    let mut world = world(Protection::SecAgg);
    world.run_until(|world| world.round().0 >= 2).unwrap();
    world.crash(world.process_of(GUEST));
    let world = finish_with_the_pooled_bits(world);
    assert_eq!(world.row.attempt.0, 2);
}

#[test]
fn a_guest_that_is_stopped_gives_its_job_back_at_once() {
    let mut world = world(Protection::SecAgg);
    world.run_until(|world| world.round().0 >= 2).unwrap();
    let stopped = world.now;
    world.stop(world.process_of(GUEST));
    world.run_until(|world| world.row.attempt.0 == 2).unwrap();
    let lease = std::time::Duration::from_secs(crate::limits::LEASE_SECONDS);
    assert!(world.now - stopped < lease / 2);
    finish_with_the_pooled_bits(world);
}

#[test]
fn a_guest_that_is_stopped_after_its_last_word_takes_nothing_back() {
    let mut world = world(Protection::SecAgg);
    let finished = |wire: &Wire| {
        matches!(
            wire,
            Wire::Event {
                event: EventBody::Finished { .. },
                ..
            }
        )
    };
    world
        .run_until(|world| world.wires.iter().any(finished))
        .unwrap();
    world.stop(world.process_of(GUEST));
    let world = finish_with_the_pooled_bits(world);
    assert_eq!(world.row.attempt.0, 1);
}

#[test]
fn a_lost_step_is_sent_again() {
    let mut world = world(Protection::Paillier { key_bits: KEY_BITS });
    world
        .run_until(|world| world.is_training() && world.step_for(HOST).is_some())
        .unwrap();
    let lost = world.step_for(HOST).unwrap();
    world.wires.remove(lost);
    let world = finish_with_the_pooled_bits(world);
    assert_eq!(
        world.row.attempt.0, 1,
        "a repeat mends it within the attempt"
    );
}

#[test]
fn of_two_guest_workers_that_take_one_invitation_one_trains() {
    let mut world = world(Protection::SecAgg);
    world.employ(GUEST);
    let attempt = world.row.attempt;
    for _ in 0..6 {
        world.wires.push(Wire::Invitation { attempt });
    }
    let claims = |world: &World| {
        world
            .processes
            .iter()
            .filter(|p| p.seat.party == GUEST && !p.sessions.is_empty())
            .count()
    };
    world.run_until(|world| claims(world) == 2).unwrap();
    let world = finish_with_the_pooled_bits(world);
    assert_eq!(world.holders.len(), 1, "one session had the job");
    assert_eq!(world.row.attempt.0, 1);
}

#[test]
fn a_cancel_during_joining_ends_every_session() {
    let mut world = world(Protection::SecAgg);
    world.away.insert(HOST);
    world
        .run_until(|world| world.row.report.waiting.is_some())
        .unwrap();
    world.cancel();
    world.run().unwrap();
    assert_eq!(world.row.status, JobStatus::Cancelled);
    assert!(world.parts.is_empty());
}

#[test]
fn a_party_that_is_away_is_named_and_burns_no_attempt() {
    let mut world = world(Protection::Paillier { key_bits: KEY_BITS });
    world.away.insert(HOST);
    let since = world.now;
    world
        .run_until(|world| world.now > since + std::time::Duration::from_secs(600))
        .unwrap();
    let waiting = world.row.report.waiting.clone().unwrap();
    assert_eq!(waiting.parties, [HOST]);
    assert_eq!(world.row.attempt.0, 1);
    world.away.clear();
    let world = finish_with_the_pooled_bits(world);
    assert_eq!(world.row.attempt.0, 1);
}

#[test]
fn rows_that_changed_between_attempts_end_the_job() {
    let mut world = world(Protection::SecAgg);
    world.run_until(|world| world.round().0 >= 2).unwrap();
    world.federation.edit(HOST);
    world.crash(world.process_of(HOST));
    world.run().unwrap();
    assert_eq!(world.row.status, JobStatus::Failed);
    let reason = world.reason().unwrap();
    assert_eq!(
        (reason.code, reason.party),
        (ReasonCode::DataChanged, Some(HOST))
    );
}

#[test]
fn a_checkpoint_that_does_not_open_changes_no_bit() {
    let mut world = world(Protection::SecAgg);
    world.run_until(|world| world.round().0 >= 2).unwrap();
    world.spoil_checkpoint();
    world.crash(world.process_of(GUEST));
    finish_with_the_pooled_bits(world);
}

#[test]
fn a_source_that_cannot_be_read_for_a_while_burns_no_attempt() {
    for party in [HOST, GUEST] {
        let mut world = world(Protection::SecAgg);
        world.federation.lock_up(party);
        let since = world.now;
        let minutes = std::time::Duration::from_secs(300);
        world
            .run_until(|world| world.now > since + minutes)
            .unwrap();
        assert_eq!(
            world.row.report.waiting.clone().map(|w| w.parties),
            Some(vec![party]),
            "{party} {:?}",
            world.row
        );
        world.federation.unlock(party);
        let world = finish_with_the_pooled_bits(world);
        assert_eq!(world.row.attempt.0, 1);
    }
}

#[test]
fn a_lost_word_of_everybodys_rows_hides_no_change() {
    let mut world = world(Protection::SecAgg);
    let started = |wire: &Wire| {
        matches!(
            wire,
            Wire::Event {
                event: EventBody::Started { .. },
                ..
            }
        )
    };
    world
        .run_until(|world| world.wires.iter().any(started))
        .unwrap();
    world.wires.retain(|wire| !started(wire));
    world.run_until(|world| world.round().0 >= 2).unwrap();
    world.federation.edit(HOST);
    world.crash(world.process_of(HOST));
    world.run().unwrap();
    assert_eq!(world.row.status, JobStatus::Failed);
    assert_eq!(world.reason().unwrap().code, ReasonCode::DataChanged);
}

#[test]
fn the_arbiter_is_no_data_party() {
    let mut world = world(Protection::SecAgg);
    // Two hospitals and the arbiter are two hospitals: each would learn the other's part.
    world.federation.spec.parties.hosts = vec![HOST, PartyId::ARBITER];
    let cohort = world.federation.spec.cohorts[&HOST].clone();
    world.federation.spec.cohorts.remove(&PartyId(2));
    world
        .federation
        .spec
        .cohorts
        .insert(PartyId::ARBITER, cohort);
    world.run().unwrap();
    assert_eq!(world.row.status, JobStatus::Failed);
    assert_eq!(world.reason().unwrap().code, ReasonCode::RequestRefused);
}

#[test]
fn a_party_whose_officer_thinks_is_waited_for() {
    for party in [HOST, GUEST] {
        let mut world = world(Protection::Paillier { key_bits: KEY_BITS });
        world.books.undecided.insert(party);
        let awaits = |world: &World| {
            let waiting = world.row.report.waiting.as_ref();
            world.row.status == JobStatus::AwaitingApproval
                && waiting.is_some_and(|waiting| waiting.parties == [party])
        };
        world.run_until(awaits).unwrap();
        let later = world.now + std::time::Duration::from_secs(3600);
        world.run_until(|world| world.now > later).unwrap();
        assert!(awaits(&world), "an hour later it still does");
        assert_eq!(world.books.answers(HOST) + world.books.answers(GUEST), 0);
        world.books.undecided.clear();
        let world = finish_with_the_pooled_bits(world);
        assert_eq!(world.row.attempt.0, 1, "waiting costs no attempt");
    }
}

#[test]
fn a_no_of_an_officer_ends_the_job() {
    let mut world = world(Protection::SecAgg);
    world.books.undecided.insert(HOST);
    let awaits = |world: &World| world.row.status == JobStatus::AwaitingApproval;
    world.run_until(awaits).unwrap();
    world.books.rejecting.insert(HOST);
    world.run().unwrap();
    assert_eq!(world.row.status, JobStatus::Failed);
    let reason = world.reason().unwrap();
    assert_eq!(reason.code, ReasonCode::ApprovalRejected);
    assert_eq!(reason.party, Some(HOST));
}

#[test]
fn what_a_party_answered_for_binds_its_next_attempts() {
    let mut world = world(Protection::SecAgg);
    world.run_until(|world| world.round().0 >= 2).unwrap();
    let answered = world.books.answers(HOST);
    // The guest's start is another one: it would ask at other weights in the rounds that were
    // answered already.
    world.forget_checkpoint();
    world.books.swap_answers(HOST);
    world.crash(world.process_of(GUEST));
    world.run().unwrap();
    assert_eq!(world.row.status, JobStatus::Failed);
    assert_eq!(world.reason().unwrap().code, ReasonCode::ModelChanged);
    assert_eq!(
        world.books.answers(HOST),
        answered,
        "nothing new was answered"
    );
}
