//! A guest that asks hosts about two models. (That their sum is noise then, over a thousand attempts:
//! `federated::secure_sum`.)

use super::adversary::law;
use super::federation::{Federation, KEY_BITS, hyperparameters, rows};
use super::world::{Faults, World};
use crate::hyperparameters::Optimizer;
use crate::job::{JobStatus, Protection, Reason, ReasonCode};
use crate::limits::FAILURES_MAX;
use crate::sabotage::{self, Falsehood, Mechanism};

const PAILLIER: Protection = Protection::Paillier { key_bits: KEY_BITS };

/// A job that a false guest leads, to its end.
fn led_falsely(protection: Protection, falsehood: Falsehood, off: Option<Mechanism>) -> World {
    let parameters = hyperparameters(Optimizer::Adam);
    let federation = Federation::new(5, 2, protection, parameters, rows(2, 180, 2));
    let mut world = World::new(12, federation, Faults::default());
    sabotage::play_false(Some(falsehood));
    sabotage::switch_off(off);
    world.run().unwrap();
    sabotage::play_false(None);
    sabotage::switch_off(None);
    world
}

/// Why the job failed: every attempt did, for the same reason.
fn fault(world: &World) -> Reason {
    assert_eq!(world.row.status, JobStatus::Failed);
    assert!(world.parts.is_empty(), "there is no model");
    let reason = world.reason().unwrap();
    assert_eq!(reason.code, ReasonCode::TooManyFailures);
    reason
}

#[test]
fn a_guest_that_asks_about_two_models_gets_no_sum() {
    let world = led_falsely(Protection::SecAgg, Falsehood::TwoModels, None);
    let reason = fault(&world);
    assert!(reason.text.contains("integrity check"), "{}", reason.text);
    assert!(world.row.attempt.0 as i32 >= FAILURES_MAX);
}

#[test]
fn an_arbiter_adds_no_answers_to_two_models() {
    let world = led_falsely(PAILLIER, Falsehood::TwoModels, None);
    let text = fault(&world).text;
    assert!(text.contains("different questions"), "{text}");
}

#[test]
fn without_the_model_in_the_masks_two_models_would_be_summed() {
    let off = Some(Mechanism::ModelInMasks);
    let world = led_falsely(Protection::SecAgg, Falsehood::TwoModels, off);
    assert_eq!(world.row.status, JobStatus::Finished);
}

#[test]
fn a_host_refuses_a_second_question_in_one_round_and_answers_none() {
    let mut laws = Vec::new();
    for protection in [Protection::SecAgg, PAILLIER] {
        let world = led_falsely(protection, Falsehood::TwoQuestions, None);
        assert_eq!(world.row.status, JobStatus::Failed);
        assert!(world.parts.is_empty(), "there is no model");
        let Reason { code, text, party } = world.reason().unwrap();
        match code {
            // Which question comes first is another one in another attempt.
            ReasonCode::ModelChanged => assert!(party.is_some()),
            _ => {
                assert_eq!(party, Some(world.federation.spec.parties.guest));
                assert!(text.contains("two different letters"), "{text}");
            }
        }
        assert_eq!(world.answers.two_models_in_one_session(), None);
        assert!(world.answers.places() > 0, "the first one was answered");
        laws.push(law(&world));
    }
    assert!(laws.iter().all(Result::is_ok), "{laws:?}");
}

#[test]
fn a_host_that_answers_twice_is_noticed() {
    let off = Some(Mechanism::OneAnswer);
    let world = led_falsely(Protection::SecAgg, Falsehood::TwoQuestions, off);
    assert!(world.answers.two_models_in_one_session().is_some());
    assert!(law(&world).is_err());
}
