//! Everything a worker sees before the opening is noise: whatever the inputs are, and even to one
//! that knows all shares. Each test has a proof that it can fail.

use super::*;

/// Runs with fresh randomness.
const RUNS: u64 = 100;
/// Standard deviations from what is expected of uniform bytes. Seeds are fixed: it holds, or not.
const DEVIATIONS_MAX: f64 = 5.0;

/// How the randomness of one run is made.
#[derive(Clone, Copy)]
enum Chance {
    /// As it should be.
    Fresh,
    /// The same shares in every run.
    SharesRepeat,
    /// One seed for all: every part of zero is zero.
    NoZeros,
    /// Everything the same but for the seed that this worker does not know.
    UnknownSeedOnly(usize),
    /// As before, and no parts of zero: nothing hides the products from who knows all shares.
    Nothing,
}

/// What each worker sees in one run: its shares of the inputs, then what it is sent.
struct Views {
    shares: [Vec<u8>; 3],
    messages: [Vec<u8>; 3],
}

fn bytes(input: Input) -> Vec<u8> {
    fn of<R: Ring>(input: Input) -> Vec<u8> {
        let pair = input.shares::<R>().expect("of this ring");
        R::write_all(&[&pair.own[..], &pair.next].concat()).to_vec()
    }
    match input.domain() {
        crate::sharing::Domain::Sum => of::<crate::sharing::Z128>(input),
        crate::sharing::Domain::Product => of::<crate::sharing::Z256>(input),
        crate::sharing::Domain::Bits => of::<Bits>(input),
    }
}

fn copied(inputs: &[[Input; 3]; 3]) -> [[Input; 3]; 3] {
    inputs
        .each_ref()
        .map(|inputs| inputs.each_ref().map(Input::copy))
}

fn views(run: u64, operation: Operation, inputs: [[Input; 3]; 3], chance: Chance) -> Views {
    let shares = copied(&inputs).map(|inputs| inputs.map(bytes).concat());
    let mut keys: [[u8; 32]; 3] = draws(run + 1_000_000).random();
    match chance {
        Chance::Fresh | Chance::SharesRepeat => {}
        Chance::NoZeros | Chance::Nothing => keys = [[7; 32]; 3],
        // Key i is known to workers i - 1 and i.
        Chance::UnknownSeedOnly(worker) => {
            keys[worker] = [1; 32];
            keys[(worker + 1) % 3] = [2; 32];
        }
    }
    let mut workers = staffed(operation, inputs, &keys);
    let mut received: [Vec<(u32, Vec<u8>)>; 3] = Default::default();
    carried(&mut draws(run), &mut workers, |_, message| {
        if message.round < rounds(operation) {
            received[message.to].push((message.round, message.body.clone()));
        }
    })
    .expect("no worker deviates");
    let messages = received.map(|mut received| {
        received.sort();
        received.into_iter().flat_map(|(_, body)| body).collect()
    });
    Views { shares, messages }
}

/// How many standard deviations a chi-square lies above what is expected with so many degrees of
/// freedom, which are many.
fn deviations(chi_square: f64, freedom: usize) -> f64 {
    (chi_square - freedom as f64) / (2.0 * freedom as f64).sqrt()
}

/// How often each byte value occurs.
fn histogram(views: &[Vec<u8>]) -> [f64; 256] {
    let mut counts = [0.0; 256];
    views
        .iter()
        .flatten()
        .for_each(|byte| counts[usize::from(*byte)] += 1.0);
    counts
}

/// How often each bit of each place is set.
fn set_bits(views: &[Vec<u8>]) -> Vec<f64> {
    let bit = |at: usize| move |view: &Vec<u8>| f64::from(view[at / 8] >> (at % 8) & 1);
    let places = 0..8 * views[0].len();
    places.map(|at| views.iter().map(bit(at)).sum()).collect()
}

/// The worst of three tests: byte values over all places, each bit of each place over all runs, and
/// each bit of an element of 256 over all runs and elements.
fn unevenness(views: &[Vec<u8>]) -> f64 {
    let expected = (views.len() * views[0].len()) as f64 / 256.0;
    let bytes = histogram(views).map(|count| (count - expected).powi(2) / expected);
    let by_value = deviations(bytes.iter().sum(), 255);
    // The square of how many standard deviations a count of fair coins is off.
    let off = |count: f64, coins: usize| (2.0 * count - coins as f64).powi(2) / coins as f64;
    let bits = set_bits(views);
    let by_place = bits.iter().map(|count| off(*count, views.len())).sum();
    let of_index = |index: usize| {
        let counts = bits.iter().skip(index).step_by(256);
        off(counts.clone().sum(), views.len() * counts.len())
    };
    let indices = bits.len().min(256);
    let by_index = (0..indices).map(of_index).sum();
    let worst = by_value.max(deviations(by_place, bits.len()));
    worst.max(deviations(by_index, indices))
}

/// The same two tests of whether two sets of views are of one kind.
fn difference(views: &[Vec<u8>], others: &[Vec<u8>]) -> f64 {
    let pairs = histogram(views).into_iter().zip(histogram(others));
    let bytes = pairs.map(|(one, other)| (one - other).powi(2) / (one + other).max(1.0));
    let bits = set_bits(views).into_iter().zip(set_bits(others));
    let variance = views.len() as f64 / 2.0;
    let by_place = bits
        .clone()
        .map(|(one, other)| (one - other).powi(2) / variance);
    deviations(bytes.sum(), 255).max(deviations(by_place.sum(), bits.len()))
}

/// Two triples of inputs that have little in common, and whose results differ.
fn triples(operation: Operation) -> [[&'static str; 3]; 2] {
    match operation {
        Operation::Addition | Operation::Comparison(_) => [
            [
                "[[0,0,0,0,0,0,0,0]]",
                "[[0,0,0,0,0,0,0,0]]",
                "[[0,0,0,0,0,0,0,0]]",
            ],
            [
                "[[9e23,8e23,7e23,-9e23,1,2,3,4]]",
                "[[1e23,-5e23,7e23,-8e23,0,2,4,4]]",
                "[[-1,-1,-1,-1,-1,-1,-1,-1]]",
            ],
        ],
        Operation::Multiplication => [
            ["[[0],[0],[0],[0],[0],[0],[0],[0]]", "[[0]]", "[[0,0,0,0]]"],
            [
                "[[1],[2],[3],[4],[-5],[6],[1e-12],[9e11]]",
                "[[7e11]]",
                "[[-1,9e11,1e-12,3]]",
            ],
        ],
    }
}

/// One worker's views in all runs.
struct Seen {
    /// Shares and messages.
    all: Vec<Vec<u8>>,
    messages: Vec<Vec<u8>>,
}

fn seen(operation: Operation, texts: [&str; 3], chance: Chance, first_run: u64) -> [Seen; 3] {
    let matrices = parsed(texts);
    let deal = |run| dealt(&mut draws(run), operation, &matrices);
    let first = deal(0);
    let view = |run| {
        let inputs = match chance {
            Chance::Fresh | Chance::NoZeros => deal(run),
            Chance::SharesRepeat | Chance::UnknownSeedOnly(_) | Chance::Nothing => copied(&first),
        };
        views(run, operation, inputs, chance)
    };
    let views: Vec<Views> = (first_run..first_run + RUNS).map(view).collect();
    std::array::from_fn(|worker| {
        let all = |views: &Views| [&views.shares[worker][..], &views.messages[worker]].concat();
        let messages = |views: &Views| views.messages[worker].clone();
        Seen {
            all: views.iter().map(all).collect(),
            messages: views.iter().map(messages).collect(),
        }
    })
}

#[test]
fn what_a_worker_sees_is_uniform_and_the_same_for_all_inputs() {
    for operation in ALL {
        let [zeros, others] = triples(operation);
        let of_zeros = seen(operation, zeros, Chance::Fresh, 0);
        let of_others = seen(operation, others, Chance::Fresh, RUNS);
        for (zeros, others) in of_zeros.iter().zip(&of_others) {
            let (zeros, others) = (&zeros.all, &others.all);
            for found in [
                unevenness(zeros),
                unevenness(others),
                difference(zeros, others),
            ] {
                assert!(found < DEVIATIONS_MAX, "{}: {found}", operation.name());
            }
        }
    }
}

#[test]
fn without_random_shares_the_same_tests_fail() {
    for operation in ALL {
        let [zeros, others] = triples(operation);
        let of_zeros = seen(operation, zeros, Chance::SharesRepeat, 0);
        let of_others = seen(operation, others, Chance::SharesRepeat, RUNS);
        // Worker 0 has two random shares; the others have the third, which tells inputs apart.
        for (zeros, others) in of_zeros.iter().zip(&of_others).skip(1) {
            let (zeros, others) = (&zeros.all, &others.all);
            assert!(unevenness(zeros) > DEVIATIONS_MAX);
            assert!(difference(zeros, others) > DEVIATIONS_MAX);
        }
    }
}

#[test]
fn without_parts_of_zero_the_same_tests_fail() {
    for operation in [Operation::Multiplication, GREATER, MAX] {
        let [_, texts] = triples(operation);
        for worker in seen(operation, texts, Chance::NoZeros, 0) {
            assert!(unevenness(&worker.messages) > DEVIATIONS_MAX);
        }
    }
}

#[test]
fn messages_are_uniform_even_to_one_that_knows_all_shares() {
    for operation in [Operation::Multiplication, GREATER, MAX] {
        let [_, texts] = triples(operation);
        for worker in 0..3 {
            let found = |chance| unevenness(&seen(operation, texts, chance, 0)[worker].messages);
            let uneven = found(Chance::UnknownSeedOnly(worker));
            assert!(uneven < DEVIATIONS_MAX, "{}: {uneven}", operation.name());
            assert!(found(Chance::Nothing) > DEVIATIONS_MAX);
        }
    }
}
