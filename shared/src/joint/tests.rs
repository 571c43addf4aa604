//! Three workers over a wire that shuffles and repeats, against exact arithmetic.

mod privacy;

use num_bigint::BigInt;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::gate::{low_bits, pack, unpack};
use super::*;
use crate::decimal::Matrix;
use crate::limits::{DECIMALS_MAX, PRODUCT_DIGITS_MAX, SUM_DIGITS_MAX};
use crate::seal::SealSecret;
use crate::sharing::{Bits, open, split};

const GREATER: Operation = Operation::Comparison(Reveal::Greater);
const MAX: Operation = Operation::Comparison(Reveal::Max);
const ALL: [Operation; 4] = [Operation::Addition, Operation::Multiplication, GREATER, MAX];
const ONE: i128 = 10i128.pow(DECIMALS_MAX);

fn draws(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn matrix(rows: u32, columns: u32, values: &[i128]) -> Matrix {
    Matrix {
        rows,
        columns,
        values: values.to_vec(),
    }
}

fn parsed(texts: [&str; 3]) -> [Matrix; 3] {
    texts.map(|text| Matrix::parse(text, SUM_DIGITS_MAX).expect("a matrix"))
}

/// What each worker has of each participant's matrix.
fn dealt(draws: &mut StdRng, operation: Operation, matrices: &[Matrix; 3]) -> [[Input; 3]; 3] {
    let secrets: [SealSecret; 3] = std::array::from_fn(|_| SealSecret::generate(draws));
    let readers = secrets.each_ref().map(SealSecret::public);
    let domain = operation.domain();
    let bundles = matrices
        .each_ref()
        .map(|matrix| split(draws, domain, b"context", matrix, &readers).expect("in range"));
    std::array::from_fn(|worker| {
        let opened = |bundle| open(&secrets[worker], worker, domain, b"context", bundle);
        bundles
            .each_ref()
            .map(|bundle| opened(bundle).expect("its own"))
    })
}

/// The three workers; key i is known to workers i - 1 and i.
fn staffed(operation: Operation, inputs: [[Input; 3]; 3], keys: &[[u8; 32]; 3]) -> [Worker; 3] {
    let mut index = 0..3;
    inputs.map(|inputs| {
        let index = index.next().expect("three");
        let seeds = Seeds::new(keys[index], keys[(index + 1) % 3]);
        Worker::new(index, operation, inputs, seeds).expect("fitting")
    })
}

fn workers(draws: &mut StdRng, operation: Operation, matrices: &[Matrix; 3]) -> [Worker; 3] {
    let inputs = dealt(draws, operation, matrices);
    staffed(operation, inputs, &draws.random())
}

/// Starts them and carries their messages, in an order and with repeats that are drawn; shows each
/// message, which may be changed on the way.
fn carried(
    draws: &mut StdRng,
    workers: &mut [Worker; 3],
    mut show: impl FnMut(usize, &mut Message),
) -> Result<(), Error> {
    let mut waiting: Vec<(usize, Option<Message>)> = vec![(0, None), (1, None), (2, None)];
    while !waiting.is_empty() {
        let at = draws.random_range(0..waiting.len());
        let (from, message) = match draws.random_bool(0.2) && waiting[at].1.is_some() {
            true => waiting[at].clone(),
            false => waiting.swap_remove(at),
        };
        let (to, sent) = match message {
            None => (from, workers[from].start()?),
            Some(Message { to, round, body }) => (to, workers[to].receive(from, round, &body)?),
        };
        waiting.extend(sent.into_iter().map(|mut message| {
            show(to, &mut message);
            (to, Some(message))
        }));
    }
    Ok(())
}

/// What all three find.
fn computed(draws: &mut StdRng, operation: Operation, matrices: &[Matrix; 3]) -> Opened {
    let mut workers = workers(draws, operation, matrices);
    carried(draws, &mut workers, |_, _| {}).expect("no worker deviates");
    let [first, second, third] = workers
        .each_ref()
        .map(|worker| worker.result().expect("open"));
    assert!(first == second && second == third && first.digest() == third.digest());
    first.clone()
}

/// An exact text times ten to the power of `scale`.
fn scaled(text: &str, scale: u32) -> BigInt {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let padded = format!("{part:0<width$}", width = scale as usize);
    assert_eq!(padded.len(), scale as usize, "too many places");
    format!("{whole}{padded}").parse().expect("a decimal")
}

/// Values of all sizes, near zero, near a power of ten and near the bound.
fn drawn(draws: &mut StdRng, digits: u32, count: usize) -> Vec<i128> {
    let bound = 10i128.pow(digits + DECIMALS_MAX);
    let mut value = || match draws.random_range(0..8) {
        0 => draws.random_range(-2..=2),
        1 => (bound - draws.random_range(1..3)) * [1, -1][draws.random_range(0..2)],
        2 => ONE * draws.random_range(-99..99),
        _ => draws.random_range(-bound + 1..bound) / 10i128.pow(draws.random_range(0..30)),
    };
    (0..count).map(|_| value()).collect()
}

fn product(left: &[BigInt], right: &[BigInt], inner: usize, columns: usize) -> Vec<BigInt> {
    let of = |row: &[BigInt], column: usize| -> BigInt {
        let terms = row.iter().enumerate();
        terms
            .map(|(at, value)| value * &right[at * columns + column])
            .sum()
    };
    let rows = left.chunks(inner);
    rows.flat_map(|row| (0..columns).map(move |column| of(row, column)))
        .collect()
}

fn big(matrix: &Matrix) -> Vec<BigInt> {
    matrix.values.iter().copied().map(BigInt::from).collect()
}

#[test]
fn sums_are_those_of_exact_arithmetic() {
    let mut draws = draws(1);
    let mut seen = 0;
    for (rows, columns) in [(1, 1), (1, 40), (40, 1), (100, 50), (7, 13), (5_000, 1)] {
        let count = (rows * columns) as usize;
        let inputs: [Matrix; 3] = std::array::from_fn(|_| {
            matrix(rows, columns, &drawn(&mut draws, SUM_DIGITS_MAX, count))
        });
        let opened = computed(&mut draws, Operation::Addition, &inputs);
        assert_eq!(opened.shape, Shape { rows, columns });
        let [first, second, third] = inputs.each_ref().map(big);
        for at in 0..count {
            let sum = &first[at] + &second[at] + &third[at];
            assert_eq!(scaled(&opened.exact[at], DECIMALS_MAX), sum);
        }
        seen += count;
    }
    assert!(seen >= 10_000);
}

#[test]
fn products_are_those_of_exact_arithmetic() {
    let mut draws = draws(2);
    let mut seen = 0;
    for _ in 0..400 {
        let mut side = || draws.random_range(1..=5u32);
        let sides = [side(), side(), side(), side()];
        let [first, second, third]: [Matrix; 3] = std::array::from_fn(|at| {
            let count = (sides[at] * sides[at + 1]) as usize;
            let values = drawn(&mut draws, PRODUCT_DIGITS_MAX, count);
            matrix(sides[at], sides[at + 1], &values)
        });
        let [rows, inner, middle, columns] = sides.map(|side| side as usize);
        let left = product(&big(&first), &big(&second), inner, middle);
        let all = product(&left, &big(&third), middle, columns);
        let opened = computed(
            &mut draws,
            Operation::Multiplication,
            &[first, second, third],
        );
        assert_eq!(opened.exact.len(), rows * columns);
        for (text, value) in opened.exact.iter().zip(&all) {
            assert_eq!(&scaled(text, 3 * DECIMALS_MAX), value);
        }
        seen += all.len();
    }
    assert!(seen >= 2_000, "{seen}");
}

#[test]
fn the_largest_products_do_not_leave_the_ring() {
    let edge = 10i128.pow(24) - 1;
    for sign in [1, -1] {
        let (row, square) = (vec![edge; 181], vec![sign * edge; 181 * 181]);
        let inputs = [
            matrix(1, 181, &row),
            matrix(181, 181, &square),
            matrix(181, 1, &row),
        ];
        let opened = computed(&mut draws(3), Operation::Multiplication, &inputs);
        let all = BigInt::from(edge).pow(3) * (181 * 181 * sign as i32);
        assert_eq!(scaled(&opened.exact[0], 36), all);
    }
}

/// Pairs of values that differ by nothing, by the least, by sign, or by all there is.
fn rivals(draws: &mut StdRng, count: usize) -> [Vec<i128>; 3] {
    let edge = 10i128.pow(36) - 1;
    let [first, mut second, mut third] = [(); 3].map(|()| drawn(draws, SUM_DIGITS_MAX, count));
    for others in [&mut second, &mut third] {
        for (other, first) in others.iter_mut().zip(&first) {
            *other = match draws.random_range(0..6) {
                0 => *first,
                1 => (first + 1).min(edge),
                2 => (first - 1).max(-edge),
                3 => -first,
                4 => [edge, -edge][draws.random_range(0..2)],
                _ => *other,
            };
        }
    }
    [first, second, third]
}

#[test]
fn comparisons_are_those_of_integers() {
    let mut draws = draws(4);
    for (rows, columns) in [(1, 1), (100, 100), (3, 1), (1, 7)] {
        let values = rivals(&mut draws, (rows * columns) as usize);
        let inputs = values
            .each_ref()
            .map(|values| matrix(rows, columns, values));
        let opened = computed(&mut draws, GREATER, &inputs);
        assert_eq!(opened.shape, Shape { rows, columns });
        for (at, text) in opened.exact.iter().enumerate() {
            let greater = values[0][at] > values[1][at];
            assert_eq!(text, if greater { "1" } else { "0" });
        }
    }
}

#[test]
fn the_greatest_are_those_whom_nobody_exceeds() {
    let mut draws = draws(5);
    for (rows, columns) in [(1, 1), (60, 60), (2, 3)] {
        let values = rivals(&mut draws, (rows * columns) as usize);
        let inputs = values
            .each_ref()
            .map(|values| matrix(rows, columns, values));
        let opened = computed(&mut draws, MAX, &inputs);
        let rows = 3 * rows;
        assert_eq!(opened.shape, Shape { rows, columns });
        let places = values[0].len();
        for (at, text) in opened.exact.iter().enumerate() {
            let (participant, place) = (at / places, at % places);
            let most = values
                .iter()
                .all(|of| of[place] <= values[participant][place]);
            assert_eq!(text, if most { "1" } else { "0" });
        }
    }
}

#[test]
fn a_comparison_of_two_needs_no_third_of_their_shape() {
    let sample = "239483279483298918390";
    for (first, second, said) in [
        (sample, "239483279483298918389.999999999999", "[[1]]"),
        (sample, sample, "[[0]]"),
        ("-1", sample, "[[0]]"),
        ("-1", "-1.000000000001", "[[1]]"),
    ] {
        let inputs = parsed([first, second, "[[1,2,3],[4,5,6]]"]);
        let opened = computed(&mut draws(6), GREATER, &inputs);
        assert_eq!(opened.exact_json(), said);
    }
}

#[test]
fn the_documents_samples_come_out_exactly() {
    let row = "[[18,34,18.2]]";
    let opened = computed(&mut draws(7), Operation::Addition, &parsed([row; 3]));
    assert_eq!(opened.exact_json(), "[[54,102,54.6]]");
    assert_eq!(opened.text(), r#"[["54.000000","102.000000","54.600000"]]"#);

    let sample = "239483279483298918390";
    let opened = computed(
        &mut draws(8),
        Operation::Addition,
        &parsed([sample, "-0.5", "1e-12"]),
    );
    assert_eq!(
        opened.exact_json(),
        "[[239483279483298918389.500000000001]]"
    );
    assert_eq!(opened.text(), r#"[["239483279483298918389.500000"]]"#);

    let inputs = parsed(["[[1,2],[3,4],[5,6]]", "[[18.2],[-0.1]]", "[[1,3.2,0]]"]);
    let opened = computed(&mut draws(9), Operation::Multiplication, &inputs);
    assert_eq!(
        opened.exact_json(),
        "[[18,57.6,0],[54.2,173.44,0],[90.4,289.28,0]]"
    );
    let inputs = parsed(["0.000000000001"; 3]);
    let opened = computed(&mut draws(9), Operation::Multiplication, &inputs);
    assert_eq!(opened.exact_json(), format!("[[0.{:0>36}]]", 1));

    let opened = computed(
        &mut draws(10),
        MAX,
        &parsed(["[[2,5]]", "[[2,4]]", "[[-2,6]]"]),
    );
    assert_eq!(opened.exact_json(), "[[1,0],[1,0],[0,1]]");
    let text = r#"[["1.000000","0.000000"],["1.000000","0.000000"],["0.000000","1.000000"]]"#;
    assert_eq!(opened.text(), text);
}

#[test]
fn every_order_of_messages_leads_to_the_result() {
    for operation in ALL {
        let inputs = parsed(["[[1,2],[3,4]]", "[[4,3],[2,1]]", "[[0,5],[9,1]]"]);
        let said = computed(&mut draws(0), operation, &inputs).digest();
        for seed in 1..20 {
            assert!(computed(&mut draws(seed), operation, &inputs).digest() == said);
        }
    }
}

#[test]
fn results_that_differ_have_other_digests() {
    let of = |operation, texts| computed(&mut draws(0), operation, &parsed(texts)).digest();
    let mut digests = vec![
        of(Operation::Addition, ["[[1,2]]", "[[0,0]]", "[[0,0]]"]),
        of(Operation::Addition, ["[[1],[2]]", "[[0],[0]]", "[[0],[0]]"]),
        of(
            Operation::Addition,
            ["[[1,2.000000000001]]", "[[0,0]]", "[[0,0]]"],
        ),
        of(Operation::Addition, ["12", "0", "0"]),
    ];
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 4);
}

#[test]
fn workers_send_as_much_as_the_table_says() {
    // Eight places, so that no bit of a byte is unused.
    let row = "[[1,2,3,4,5,6,7,8]]";
    for (operation, texts, due) in [
        (Operation::Addition, [row; 3], 0),
        (GREATER, [row; 3], 382),
        (MAX, [row; 3], 1_149),
        (
            Operation::Multiplication,
            ["[[1,2]]", "[[1,2,3],[4,5,6]]", "[[1],[2],[3]]"],
            32 * 4,
        ),
    ] {
        let draws = &mut draws(11);
        let mut workers = workers(draws, operation, &parsed(texts));
        let mut bytes = [0; 3];
        let mut openings = 0;
        carried(draws, &mut workers, |from, message| match message.round {
            round if round < rounds(operation) => {
                assert_eq!(message.to, (from + 2) % 3);
                bytes[from] += message.body.len();
            }
            _ => openings += 1,
        })
        .unwrap();
        assert_eq!((bytes, openings), ([due; 3], 6));
    }
}

#[test]
fn a_changed_share_of_the_result_is_noticed_by_whoever_gets_it() {
    for operation in ALL {
        for (liar, lied_to) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
            let draws = &mut draws(12);
            let inputs = parsed(["[[1,2],[3,4]]", "[[4,3],[2,1]]", "[[0,5],[9,1]]"]);
            let mut workers = workers(draws, operation, &inputs);
            let noticed = carried(draws, &mut workers, |from, message| {
                if (from, message.to, message.round) == (liar, lied_to, rounds(operation)) {
                    message.body[0] ^= 1;
                }
            });
            assert_eq!(noticed, Err(Error::Opening));
            assert!(workers[lied_to].result().is_none());
            assert_eq!(Error::Opening.code(), ReasonCode::AggIntegrity);
        }
    }
}

/// Worker 0's rule for a message, if it breaks one.
fn rule(worker: &mut Worker, from: usize, round: u32, body: &[u8]) -> Option<&'static str> {
    match worker.receive(from, round, body) {
        Err(Error::Message { rule, .. }) => Some(rule),
        Ok(_) => None,
        Err(_) => panic!("another error"),
    }
}

#[test]
fn a_message_that_does_not_belong_is_refused_and_changes_nothing() {
    let draws = &mut draws(13);
    let inputs = parsed(["[[1,2,3]]", "[[1,2,4]]", "[[1,2,5]]"]);
    let mut workers = workers(draws, GREATER, &inputs);
    let sent = workers[1].start().unwrap().remove(0).body;
    let [worker, _, _] = &mut workers;
    let foreign = Some("it has to come from one of the other two");
    assert_eq!(rule(worker, 0, 1, &sent), foreign);
    assert_eq!(rule(worker, 3, 1, &sent), foreign);
    let none = Some("the computation has no such round");
    assert_eq!(rule(worker, 1, 0, &sent), none);
    assert_eq!(rule(worker, 1, 10, &sent), none);
    assert_eq!(rule(worker, 1, u32::MAX, &sent), none);
    let early = Some("only the next worker sends its part before the opening");
    assert_eq!(rule(worker, 2, 1, &sent), early);
    let length = Some("its length follows from the shapes, and unused bits are zero");
    assert_eq!(rule(worker, 1, 1, &sent[1..]), length);
    assert_eq!(rule(worker, 1, 1, &[&sent[..], &[0]].concat()), length);
    assert_eq!(rule(worker, 1, 1, &[]), length);
    // Three bits.
    assert_eq!(rule(worker, 1, 9, &[8]), length);
    assert_eq!(rule(worker, 1, 9, &[128]), length);
    assert_eq!(rule(worker, 1, 9, &[7]), None);

    assert_eq!(rule(worker, 1, 1, &sent), None);
    assert_eq!(rule(worker, 1, 1, &sent), None);
    let mut other = sent.clone();
    other[0] ^= 1;
    let twice = Some("it has to be what was sent before");
    assert_eq!(rule(worker, 1, 1, &other), twice);
    assert_eq!(worker.start().unwrap().len(), 2);
    assert_eq!(rule(worker, 1, 1, &sent), None);
    assert_eq!(rule(worker, 1, 1, &other), twice);
    assert_eq!(worker.start(), Err(Error::Started));
}

#[test]
fn a_worker_takes_its_own_shares_for_its_own_operation_only() {
    let draws = &mut draws(14);
    let inputs = |draws: &mut StdRng, operation| {
        dealt(draws, operation, &parsed(["[[1]]", "[[2]]", "[[3]]"]))
    };
    let seeds = || Seeds::new([1; 32], [2; 32]);
    for operation in ALL {
        for other in ALL
            .into_iter()
            .filter(|other| other.domain() != operation.domain())
        {
            let [first, _, _] = inputs(draws, other);
            let refused = Worker::new(0, operation, first, seeds()).err();
            assert!(matches!(refused, Some(Error::Input { participant: 0, .. })));
        }
        let [[first, _, _], [_, second, _], [_, _, third]] = inputs(draws, operation);
        let mixed = [first, second, third];
        let refused = Worker::new(0, operation, mixed, seeds()).err();
        assert!(matches!(refused, Some(Error::Input { participant: 1, .. })));
        let [first, _, _] = inputs(draws, operation);
        let beyond = Worker::new(3, operation, first, seeds()).err();
        assert_eq!(beyond, Some(Error::Worker { worker: 3 }));
    }
    let unfit = parsed(["[[1,2]]", "[[2]]", "[[3]]"]);
    for operation in ALL {
        let [first, _, _] = dealt(draws, operation, &unfit);
        let refused = Worker::new(0, operation, first, seeds()).err();
        assert!(matches!(
            refused,
            Some(Error::Shape(ShapeError::Unfit { .. }))
        ));
    }
}

#[test]
fn a_computation_has_the_rounds_that_it_says() {
    for operation in ALL {
        let inputs = parsed(["[[1]]", "[[2]]", "[[3]]"]);
        let [worker, _, _] = workers(&mut draws(15), operation, &inputs);
        assert_eq!(worker.last(), rounds(operation));
    }
}

proptest! {
    #[test]
    fn packed_bits_are_unpacked(
        words in proptest::collection::vec(any::<u128>(), 1..40),
        level in 0u32..8,
    ) {
        let bits = 1usize << level;
        let form = Form { count: words.len(), bits };
        let words: Vec<Bits> = words.into_iter().map(Bits).collect();
        let packed = pack(&words, bits);
        prop_assert!(form.fits(&packed));
        prop_assert_eq!(packed.len(), (words.len() * bits).div_ceil(8));
        let back = unpack(&packed, form);
        for (word, back) in words.iter().zip(&*back) {
            prop_assert_eq!(word.0 & low_bits(bits), back.0);
        }
    }
}
