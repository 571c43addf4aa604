//! Many seeds of every fault at once; and the same with a mechanism switched off.

use super::federation::{Federation, KEY_BITS, hyperparameters, rows};
use super::world::{Faults, World};
use crate::hyperparameters::Optimizer;
use crate::job::{JobStatus, Protection};
use crate::sabotage::{self, Mechanism};

/// Deaths and bad luck together stay below what fails a job for good ([`crate::limits::FAILURES_MAX`]
/// attempts without progress): losses alone may cost an attempt too.
const STORM: Faults = Faults {
    loss: 0.08,
    repeat: 0.12,
    crash: 0.004,
    forget: 0.004,
    deaths_max: 3,
    steps: 3_000,
};

fn federation(seed: u64) -> Federation {
    let protection = match seed % 5 {
        0 => Protection::Paillier { key_bits: KEY_BITS },
        _ => Protection::SecAgg,
    };
    let optimizer = Optimizer::ALL[seed as usize % Optimizer::ALL.len()];
    let hosts = 2 + seed as usize % 2;
    Federation::new(
        seed,
        hosts,
        protection,
        hyperparameters(optimizer),
        rows(1, 240, 2),
    )
}

/// Runs one seed; says what went wrong.
fn storm(seed: u64) -> Result<(), String> {
    let federation = federation(seed);
    let (reference, _) = federation.reference();
    let mut world = World::new(seed, federation, STORM);
    world.run()?;
    if world.row.status != JobStatus::Finished {
        return Err(format!(
            "ended {:?}: {:?}",
            world.row.status,
            world.reason()
        ));
    }
    super::adversary::law(&world)?;
    if world.strangers_heard {
        return Err("a session that did not have the job changed its row".into());
    }
    if world.finishes != 1 {
        return Err(format!("finished {} times", world.finishes));
    }
    for (party, sealed) in &world.parts {
        if world.federation.open(*party, sealed) != reference {
            return Err(format!("party {party} has other bits than pooled training"));
        }
    }
    Ok(())
}

/// The seeds of a range that went wrong, over two threads.
fn failures(seeds: std::ops::Range<u64>, off: Option<Mechanism>) -> Vec<(u64, String)> {
    let run = |parity: u64| {
        sabotage::switch_off(off);
        let mine = seeds.clone().filter(move |seed| seed % 2 == parity);
        mine.filter_map(|seed| storm(seed).err().map(|error| (seed, error)))
            .collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| run(1));
        let mut all = run(0);
        all.extend(other.join().unwrap());
        all
    })
}

#[test]
fn every_job_ends_with_the_fault_free_bits() {
    let failures = failures(0..1_000, None);
    assert!(
        failures.is_empty(),
        "{} seeds failed: {:?}",
        failures.len(),
        &failures[..1]
    );
}

#[test]
fn without_the_fence_the_simulation_fails() {
    assert!(!failures(0..60, Some(Mechanism::Fence)).is_empty());
}

#[test]
fn without_repeat_handling_the_simulation_fails() {
    assert!(!failures(0..60, Some(Mechanism::Repeat)).is_empty());
}

#[test]
fn without_the_silence_limit_the_simulation_fails() {
    assert!(!failures(0..60, Some(Mechanism::Silence)).is_empty());
}
