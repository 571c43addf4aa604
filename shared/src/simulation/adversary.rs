//! The harness is the broker and the store, and it is hostile: it has every letter, event, grant and
//! checkpoint in hand, those of another job of the same parties too, and keys of its own. Whatever it
//! does, a job ends without a model or with the untampered one, bit for bit, and no party answers
//! one place for two models. That it can keep a job from ending well is allowed: these attacks are
//! named denials.

mod enemy;
mod letters;
mod store;

use std::collections::BTreeMap;

use self::enemy::{ATTACKS, DENIALS, Enemy, Hoard};
use super::federation::{Federation, KEY_BITS, hyperparameters, rows};
use super::world::{Faults, Wire, World};
use crate::hyperparameters::{Hyperparameters, Optimizer};
use crate::id::JobId;
use crate::job::{JobStatus, Protection};
use crate::model::Model;
use crate::sabotage::{self, Mechanism};

/// Seeds of the siege.
const SEEDS: u64 = 600;
/// Steps after which the platform behaves, so that every job ends.
const STEPS: u32 = 1_200;

/// Processes die too: only then are grants of later attempts there to be forged.
const FAULTS: Faults = Faults {
    loss: 0.01,
    repeat: 0.03,
    crash: 0.004,
    forget: 0.002,
    deaths_max: 2,
    steps: STEPS,
};

/// What is the same for each seed.
struct Theatre {
    protection: Protection,
    reference: Model,
    /// Of another job of the same parties, with another model.
    foreign: Hoard,
    /// Of a guest's session whose keys nobody pinned.
    forged: Hoard,
}

fn parameters() -> Hyperparameters {
    Hyperparameters {
        batch_rows: None,
        standardize: false,
        iterations_max: 5,
        ..hyperparameters(Optimizer::Adam)
    }
}

/// Parties and rows: always the same ones.
fn federation(protection: Protection) -> Federation {
    Federation::new(9, 2, protection, parameters(), rows(9, 60, 1))
}

/// What passes through the platform's hands in so many steps of an honest run.
fn hoard(federation: Federation, steps: u32) -> Hoard {
    let mut world = World::new(77, federation, Faults::default());
    world.tap();
    let _ = world.run_until(|world| world.steps >= steps || world.row.status.is_terminal());
    let mut hoard = Hoard::default();
    hoard.keep(world.tapped());
    hoard
}

impl Theatre {
    fn new(protection: Protection) -> Theatre {
        let mut other = federation(protection);
        other.job = JobId(uuid::Uuid::from_u128(1_000));
        other.spec.hyperparameters.random_seed = Some(8);
        let mut imposter = federation(protection);
        imposter.replace_guest();
        Theatre {
            protection,
            reference: federation(protection).reference().0,
            foreign: hoard(other, u32::MAX),
            forged: hoard(imposter, 300),
        }
    }
}

/// How a besieged job ended.
struct Ending {
    status: JobStatus,
    attempts: u32,
    /// Places that were answered in several sessions.
    repeated: usize,
    done: BTreeMap<&'static str, u32>,
}

/// Runs one seed; says what must not be.
fn siege(seed: u64, theatre: &Theatre) -> Result<Ending, String> {
    let mut world = World::new(seed, federation(theatre.protection), FAULTS);
    world.tap();
    let mut enemy = Enemy::new(seed ^ 0xbad, &theatre.foreign, &theatre.forged);
    while world.steps < STEPS && !world.row.status.is_terminal() {
        world.step();
        enemy.meddle(&mut world);
    }
    world.run()?;
    enemy.kept.keep(world.tapped());
    law(&world)?;
    for parts in &enemy.kept.models {
        for (party, sealed) in parts {
            if world.federation.opened(*party, sealed).as_ref() != Some(&theatre.reference) {
                return Err(format!("a session made another model for party {party}"));
            }
        }
    }
    if world.strangers_heard {
        return Err("a session that did not have the job changed its row".into());
    }
    let filed = |name| enemy.done.contains_key(name);
    for (party, sealed) in &world.parts {
        match world.federation.opened(*party, sealed) {
            Some(model) if model == theatre.reference => {}
            None if filed("files forged models") => {}
            Some(_) => return Err(format!("party {party} opens another model")),
            None => return Err(format!("party {party} opens no model")),
        }
    }
    match world.row.status {
        JobStatus::Finished => {}
        JobStatus::Failed if !enemy.done.is_empty() => {}
        status => return Err(format!("ended {status:?}: {:?}", world.reason())),
    }
    Ok(Ending {
        status: world.row.status,
        attempts: world.row.attempt.0,
        repeated: world.answers.repeated(),
        done: enemy.done,
    })
}

/// What holds in every world.
pub(super) fn law(world: &World) -> Result<(), String> {
    if let Some(place) = world.answers.two_models() {
        return Err(format!("answered about two models: {place:?}"));
    }
    match world.answers.two_plaintexts() {
        Some(party) => Err(format!("party {party} put two plaintexts under one mask")),
        None => Ok(()),
    }
}

/// The endings of a range of seeds, over two threads.
fn besiege(
    seeds: std::ops::Range<u64>,
    off: Option<Mechanism>,
) -> Vec<(u64, Result<Ending, String>)> {
    // What is kept of other jobs was made without it too.
    sabotage::switch_off(off);
    let paillier = Protection::Paillier { key_bits: KEY_BITS };
    let theatres = [Protection::SecAgg, paillier].map(Theatre::new);
    let run = |parity: u64| {
        sabotage::switch_off(off);
        let mine = seeds.clone().filter(move |seed| seed % 2 == parity);
        mine.map(|seed| (seed, siege(seed, &theatres[usize::from(seed % 8 == 5)])))
            .collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| run(1));
        let mut all = run(0);
        sabotage::switch_off(None);
        all.extend(other.join().unwrap());
        all
    })
}

#[test]
fn under_siege_a_job_ends_without_a_model_or_with_the_untampered_one() {
    let endings = besiege(0..SEEDS, None);
    let wrong: Vec<_> = (endings.iter())
        .filter_map(|(seed, ending)| Some((seed, ending.as_ref().err()?)))
        .collect();
    assert!(wrong.is_empty(), "{} seeds: {:?}", wrong.len(), &wrong[..1]);
    let endings: Vec<&Ending> = endings.iter().flat_map(|(_, ending)| ending).collect();
    // It must not pass because nothing is done, or because nothing survives.
    for (name, _) in ATTACKS.iter().chain(&DENIALS) {
        let times: u32 = endings
            .iter()
            .filter_map(|ending| ending.done.get(name))
            .sum();
        assert!(times >= 5, "the platform {name} {times} times");
    }
    let finished = |ending: &&&Ending| ending.status == JobStatus::Finished;
    let finished = endings.iter().filter(finished).count();
    assert!(
        finished > endings.len() / 2,
        "{finished} jobs got their model"
    );
    assert!(finished < endings.len(), "some did not");
    let again = endings.iter().filter(|ending| ending.attempts > 1).count();
    assert!(again > endings.len() / 5, "{again} jobs were tried again");
    let repeated = endings.iter().filter(|ending| ending.repeated > 0).count();
    assert!(repeated > endings.len() / 10, "{repeated} jobs asked again");
}

/// Whether a siege without a mechanism ends in what must not be.
fn succeeds_without(mechanism: Mechanism) -> bool {
    let mut few = (0..10).map(|few| 40 * few..40 * (few + 1));
    few.any(|seeds| {
        let endings = besiege(seeds, Some(mechanism));
        endings.iter().any(|(_, ending)| ending.is_err())
    })
}

#[test]
fn without_the_context_of_checkpoints_the_siege_succeeds() {
    assert!(succeeds_without(Mechanism::CheckpointContext));
}

#[test]
fn without_the_fence_the_siege_succeeds() {
    assert!(succeeds_without(Mechanism::Fence));
}

#[test]
fn nobody_answers_a_guest_whose_keys_nobody_pinned() {
    let mut imposter = federation(Protection::SecAgg);
    imposter.replace_guest();
    let forged = hoard(imposter, 400);
    assert!(!forged.offers.is_empty());
    assert!(forged.letters.is_empty());
}

#[test]
fn a_checkpoint_of_long_ago_leads_to_the_same_questions_and_the_same_bits() {
    let mut federation = federation(Protection::SecAgg);
    federation.spec.hyperparameters.iterations_max = 40;
    let mut world = World::new(3, federation, Faults::default());
    world.tap();
    let mut kept = Hoard::default();
    world.run_until(|world| world.round().0 >= 8).unwrap();
    kept.keep(world.tapped());
    world.crash(world.process_of(world.federation.spec.parties.guest));
    let granted = |wire: &Wire| matches!(wire, Wire::Granted { .. });
    world
        .run_until(|world| world.wires.iter().any(granted))
        .unwrap();
    for wire in &mut world.wires {
        if let Wire::Granted { grant, .. } = wire {
            grant.checkpoint = kept.checkpoints.first().cloned();
        }
    }
    world.run().unwrap();
    assert_eq!(world.row.status, JobStatus::Finished);
    assert!(world.answers.repeated() >= 2, "rounds were asked again");
    law(&world).unwrap();
    let reference = world.federation.reference().0;
    for (party, sealed) in &world.parts {
        assert!(world.federation.opened(*party, sealed).as_ref() == Some(&reference));
    }
}
