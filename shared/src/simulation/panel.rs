//! The panel's jobs under many seeds of every fault: joint computations and learning from files.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::federation::{Federation, hyperparameters, rows};
use super::world::{Faults, World};
use crate::computation::{FileKind, Learner, Operation, Reveal};
use crate::decimal::{self, Matrix};
use crate::hyperparameters::Optimizer;
use crate::id::{PanelId, PartyId};
use crate::job::{ComputeSpec, JobStatus, LearnSpec, Protection, ReasonCode, Spec};
use crate::limits::PIECE_BYTES;
use crate::message::Outcome;
use crate::sabotage::{self, Mechanism};
use crate::seal::{ContentKey, seal_input};
use crate::sharing::{self, Bundle};

/// Deaths stay below what fails a job for good: these jobs make no checkpoint, so every failure counts,
/// and losses alone may cost an attempt.
const STORM: Faults = Faults {
    loss: 0.05,
    repeat: 0.12,
    crash: 0.005,
    forget: 0.005,
    deaths_max: 2,
    steps: 2_000,
};
const PANEL: PanelId = PanelId([7; 32]);
const WORKERS: [PartyId; 3] = [PartyId(3), PartyId(2), PartyId(4)];

/// A run of a panel's job, as the platform has it.
pub(super) struct Panel {
    pub(super) spec: Spec,
    pub(super) inputs: Vec<Bundle>,
    pub(super) key: Option<Vec<u8>>,
    /// Uploaded pieces.
    pub(super) files: BTreeMap<(FileKind, u32), Vec<u8>>,
}

fn federation(seed: u64) -> Federation {
    Federation::new(
        seed,
        2,
        Protection::SecAgg,
        hyperparameters(Optimizer::Sgd),
        rows(1, 12, 2),
    )
}

/// Matrices of thousandths, of which some places are equal.
fn thousandths(rng: &mut StdRng, rows: usize, columns: usize) -> Vec<Vec<i64>> {
    let value = |rng: &mut StdRng| rng.random_range(-3_000..3_000) / 500 * 500;
    let row = |rng: &mut StdRng| (0..columns).map(|_| value(rng)).collect();
    (0..rows).map(|_| row(rng)).collect()
}

fn text(matrix: &[Vec<i64>]) -> String {
    let value = |value: &i64| decimal::exact(&BigInt::from(*value), 3);
    let row = |row: &Vec<i64>| row.iter().map(value).collect::<Vec<_>>().join(",");
    let rows: Vec<String> = matrix
        .iter()
        .map(|line| format!("[{}]", row(line)))
        .collect();
    format!("[{}]", rows.join(","))
}

/// What comes of it, by integers alone.
fn expected(operation: Operation, inputs: &[Vec<Vec<i64>>; 3]) -> String {
    let [p0, p1, p2] = inputs;
    let shown = |matrix: Vec<Vec<BigInt>>, scale: u32| {
        let row = |row: &Vec<BigInt>| {
            let values: Vec<String> = row.iter().map(|v| decimal::exact(v, scale)).collect();
            format!("[{}]", values.join(","))
        };
        let rows: Vec<String> = matrix.iter().map(row).collect();
        format!("[{}]", rows.join(","))
    };
    let place = |f: &dyn Fn(i64, i64, i64) -> i64| -> Vec<Vec<BigInt>> {
        let row = |r: usize| {
            let column = |c: usize| BigInt::from(f(p0[r][c], p1[r][c], p2[r][c]));
            (0..p0[r].len()).map(column).collect()
        };
        (0..p0.len()).map(row).collect()
    };
    let times = |a: &[Vec<BigInt>], b: &[Vec<BigInt>]| -> Vec<Vec<BigInt>> {
        let cell = |row: &Vec<BigInt>, c: usize| row.iter().zip(b).map(|(x, y)| x * &y[c]).sum();
        let line = |row: &Vec<BigInt>| (0..b[0].len()).map(|c| cell(row, c)).collect();
        a.iter().map(line).collect()
    };
    let big = |matrix: &[Vec<i64>]| -> Vec<Vec<BigInt>> {
        let line = |row: &Vec<i64>| row.iter().copied().map(BigInt::from).collect();
        matrix.iter().map(line).collect()
    };
    match operation {
        Operation::Addition => shown(place(&|a, b, c| a + b + c), 3),
        Operation::Multiplication => shown(times(&times(&big(p0), &big(p1)), &big(p2)), 9),
        Operation::Comparison(Reveal::Greater) => shown(place(&|a, b, _| i64::from(a > b)), 0),
        Operation::Comparison(Reveal::Max) => {
            let mut all = place(&|a, b, c| i64::from(a >= b && a >= c));
            all.extend(place(&|a, b, c| i64::from(b >= a && b >= c)));
            all.extend(place(&|a, b, c| i64::from(c >= a && c >= b)));
            shown(all, 0)
        }
    }
}

/// A joint computation of small matrices, and what must come of it.
fn computation(seed: u64) -> (Federation, String) {
    let mut rng = StdRng::seed_from_u64(seed);
    let operation = [
        Operation::Addition,
        Operation::Multiplication,
        Operation::Comparison(Reveal::Greater),
        Operation::Comparison(Reveal::Max),
    ][seed as usize % 4];
    let sides: [usize; 4] = std::array::from_fn(|_| rng.random_range(1..4));
    let shape = |index: usize| match operation {
        Operation::Multiplication => (sides[index], sides[index + 1]),
        Operation::Addition | Operation::Comparison(_) => (sides[0], sides[1]),
    };
    let inputs: [Vec<Vec<i64>>; 3] = std::array::from_fn(|index| {
        let (rows, columns) = shape(index);
        thousandths(&mut rng, rows, columns)
    });
    let spec = ComputeSpec {
        panel: PANEL,
        round: 1,
        operation,
        workers: WORKERS,
        parties: WORKERS.to_vec(),
    };
    let mut federation = federation(seed);
    let bundles = split(&mut rng, &federation, &spec, &inputs);
    federation.panel = Some(Panel {
        spec: Spec::Compute(spec),
        inputs: bundles,
        key: None,
        files: BTreeMap::new(),
    });
    let expected = expected(operation, &inputs);
    (federation, expected)
}

fn split(
    rng: &mut StdRng,
    federation: &Federation,
    spec: &ComputeSpec,
    inputs: &[Vec<Vec<i64>>; 3],
) -> Vec<Bundle> {
    let readers = spec.workers.map(|worker| federation.sealing(worker));
    let domain = spec.operation.domain();
    let bundle = |(position, input): (usize, &Vec<Vec<i64>>)| {
        let matrix = Matrix::parse(&text(input), domain.digits()).unwrap();
        let context = spec.input_context(position);
        sharing::split(rng, domain, &context, &matrix, &readers).unwrap()
    };
    inputs.iter().enumerate().map(bundle).collect()
}

/// Runs one seed; says what went wrong.
fn storm(seed: u64) -> Result<(), String> {
    let (federation, expected) = computation(seed);
    let mut world = World::new(seed, federation, STORM);
    world.run()?;
    if world.row.status != JobStatus::Finished {
        let reason = world.reason();
        return Err(format!("ended {:?}: {reason:?}", world.row.status));
    }
    match &world.outcome {
        Some(Outcome::Computed { exact, .. }) if *exact == expected => {}
        Some(Outcome::Computed { exact, .. }) => {
            return Err(format!("{exact}, not {expected}"));
        }
        _ => return Err("another outcome".to_owned()),
    }
    match (world.strangers_heard, world.finishes) {
        (false, 1) => Ok(()),
        (strangers, finishes) => Err(format!("strangers {strangers}, finishes {finishes}")),
    }
}

/// The seeds of a range that went wrong, over two threads.
fn failures(
    seeds: std::ops::Range<u64>,
    off: Option<Mechanism>,
    run: fn(u64) -> Result<(), String>,
) -> Vec<(u64, String)> {
    let half = |parity: u64| {
        sabotage::switch_off(off);
        let mine = seeds.clone().filter(move |seed| seed % 2 == parity);
        mine.filter_map(|seed| run(seed).err().map(|error| (seed, error)))
            .collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let mut all = half(0);
        all.extend(other.join().unwrap());
        all
    })
}

#[test]
fn every_joint_computation_ends_with_the_right_result() {
    let failures = failures(0..1_000, None, storm);
    let first = failures.first();
    assert!(failures.is_empty(), "{} seeds: {first:?}", failures.len());
}

#[test]
fn without_the_fence_a_computation_is_moved_by_strangers() {
    assert!(!failures(0..100, Some(Mechanism::Fence), storm).is_empty());
}

#[test]
fn a_run_is_computed_with_one_set_of_inputs() {
    let (federation, _) = computation(0);
    let mut world = World::new(0, federation, Faults::default());
    world.run().unwrap();
    assert_eq!(world.row.status, JobStatus::Finished);
    // The platform asks again with another input in one place; one honest ledger is enough.
    let (mut again, _) = computation(0);
    let Some(Panel {
        spec: Spec::Compute(spec),
        inputs,
        ..
    }) = &again.panel
    else {
        unreachable!("it computes");
    };
    let (rows, columns) = (inputs[1].rows as usize, inputs[1].columns as usize);
    let other: [Vec<Vec<i64>>; 3] = std::array::from_fn(|_| vec![vec![500; columns]; rows]);
    let mut rng = StdRng::seed_from_u64(99);
    let others = split(&mut rng, &again, spec, &other);
    again.panel.as_mut().unwrap().inputs[1] = others[1].clone();
    let mut second = World::new(1, again, Faults::default());
    second.books = world.books;
    second.run().unwrap();
    assert_eq!(second.row.status, JobStatus::Failed);
    assert_eq!(second.reason().unwrap().code, ReasonCode::InputsChanged);
}

/// A tree learned from three files.
fn learning(seed: u64) -> Federation {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut federation = federation(seed);
    let worker = WORKERS[seed as usize % 3];
    let key = ContentKey::generate(&mut rng);
    let mut feature = "a,b\n".to_owned();
    let mut target = "class\n".to_owned();
    for row in 0..40 {
        feature.push_str(&format!("{row},{}\n", rng.random_range(0..9)));
        target.push_str(if row < 20 { "sick\n" } else { "well\n" });
    }
    let testing = feature.clone();
    let plain = [
        (FileKind::Feature, feature),
        (FileKind::Target, target),
        (FileKind::Testing, testing),
    ];
    let mut files = BTreeMap::new();
    for (kind, text) in &plain {
        for (piece, bytes) in text.as_bytes().chunks(PIECE_BYTES).enumerate() {
            let context = LearnSpec::piece_context(PANEL, 0, *kind, piece as u32, 0);
            let sealed = key.seal_piece(&mut rng, &context, bytes);
            files.insert((*kind, piece as u32), sealed);
        }
    }
    let sizes = plain.iter().map(|(kind, text)| (*kind, text.len() as u64));
    let spec = LearnSpec {
        panel: PANEL,
        round: 1,
        learner: Learner::DecisionTree,
        worker,
        party: Some(worker),
        files: sizes.collect(),
    };
    let (context, reader) = (spec.key_context(), federation.sealing(worker));
    let sealed = seal_input(&mut rng, &reader, &context, &*key.to_bytes()).unwrap();
    federation.panel = Some(Panel {
        spec: Spec::Learn(spec),
        inputs: Vec::new(),
        key: Some(sealed),
        files,
    });
    federation
}

fn learning_storm(seed: u64) -> Result<(), String> {
    let mut world = World::new(seed, learning(seed), STORM);
    world.run()?;
    if world.row.status != JobStatus::Finished {
        let reason = world.reason();
        return Err(format!("ended {:?}: {reason:?}", world.row.status));
    }
    let Some(Outcome::Learned { files, .. }) = &world.outcome else {
        return Err("another outcome".to_owned());
    };
    for (kind, bytes) in files {
        let pieces = bytes.div_ceil(PIECE_BYTES as u64) as usize;
        let kept = world.kept.keys().filter(|(_, of, _)| of == kind).count();
        if kept != pieces {
            return Err(format!("{kept} pieces of {pieces}"));
        }
    }
    match (world.strangers_heard, world.finishes) {
        (false, 1) => Ok(()),
        (strangers, finishes) => Err(format!("strangers {strangers}, finishes {finishes}")),
    }
}

#[test]
fn every_learning_ends_with_its_files() {
    let failures = failures(0..200, None, learning_storm);
    let first = failures.first();
    assert!(failures.is_empty(), "{} seeds: {first:?}", failures.len());
}
