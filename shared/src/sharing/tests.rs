//! Laws of the rings, bundles that open, and everything that must not.

use num_bigint::{BigInt, BigUint};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::decimal::Matrix;
use crate::id::PartyId;
use crate::mask::{MaskPublic, MaskSecret};
use crate::seal::{SealPublic, SealSecret, seal_input};

const CONTEXT: &[u8] = b"job 7, round 1, P0";
const DOMAINS: [Domain; 3] = [Domain::Sum, Domain::Product, Domain::Bits];

fn draws(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn workers() -> [SealSecret; 3] {
    std::array::from_fn(|at| SealSecret::generate(&mut draws(100 + at as u64)))
}

fn matrix(rows: u32, columns: u32, values: &[i128]) -> Matrix {
    Matrix {
        rows,
        columns,
        values: values.to_vec(),
    }
}

fn bundle(seed: u64, domain: Domain, matrix: &Matrix) -> Result<Bundle, Error> {
    let readers = workers().each_ref().map(SealSecret::public);
    split(&mut draws(seed), domain, CONTEXT, matrix, &readers)
}

fn pair<R: Ring>(input: Input) -> Pair<R> {
    input.shares().expect("of this ring")
}

fn refused(worker: usize, domain: Domain, context: &[u8], bundle: &Bundle) -> Error {
    let opened = open(&workers()[worker], worker, domain, context, bundle);
    opened.err().expect("refused")
}

/// Opens all parts; checks that neighbours agree, and adds.
fn joined<R: Ring>(domain: Domain, bundle: &Bundle) -> Vec<R> {
    let secrets = workers();
    let pairs: [Pair<R>; 3] = std::array::from_fn(|at| {
        let input = open(&secrets[at], at, domain, CONTEXT, bundle).unwrap();
        assert_eq!((input.worker(), input.domain()), (at, domain));
        pair(input)
    });
    for (at, pair) in pairs.iter().enumerate() {
        assert!(pair.next == pairs[(at + 1) % 3].own);
    }
    let of = |at: usize| {
        pairs
            .iter()
            .fold(zero::<R>(), |sum, pair| sum.add(pair.own[at]))
    };
    (0..pairs[0].own.len()).map(of).collect()
}

fn zero<R: Ring>() -> R {
    R::read(&[0; 32])
}

fn number(element: Z256) -> BigUint {
    BigUint::from_bytes_le(&Z256::write_all(&[element]))
}

#[test]
fn integers_of_256_bits_obey_arithmetic_modulo_2_to_256() {
    let mut draws = draws(1);
    let modulus = BigUint::from(1u8) << 256;
    for _ in 0..5_000 {
        // Limbs of ones and zeros carry far.
        let mut limb = || match draws.random_range(0..4) {
            0 => 0,
            1 => u64::MAX,
            _ => draws.random(),
        };
        let (a, b) = (
            Z256([(); 4].map(|()| limb())),
            Z256([(); 4].map(|()| limb())),
        );
        let (x, y) = (number(a), number(b));
        assert_eq!(number(a.add(b)), (&x + &y) % &modulus);
        assert_eq!(number(a.sub(b)), (&modulus + &x - &y) % &modulus);
        assert_eq!(number(a.mul(b)), (&x * &y) % &modulus);
        assert!(Z256::read(&Z256::write_all(&[a])) == a);
    }
    for value in [0, 1, -1, i128::MAX, i128::MIN, -(1 << 64), 1 << 64] {
        let bytes = Z256::write_all(&[Z256::encode(value)]);
        assert_eq!(BigInt::from_signed_bytes_le(&bytes), BigInt::from(value));
    }
}

#[test]
fn words_of_bits_are_ordered_as_the_values_are() {
    let values = [
        i128::MIN,
        -10i128.pow(36),
        -2,
        -1,
        0,
        1,
        2,
        10i128.pow(36),
        i128::MAX,
    ];
    let words = values.map(|value| Bits::encode(value).0);
    assert!(words.is_sorted_by(|low, high| low < high));
}

#[test]
fn three_workers_have_the_input_together_and_neighbours_share() {
    let edge = 10i128.pow(24) - 1;
    let values = [0, 1, -1, edge, -edge, 18_200_000_000_000];
    let input = matrix(2, 3, &values);
    let of = |domain| bundle(2, domain, &input).unwrap();
    assert!(joined::<Z128>(Domain::Sum, &of(Domain::Sum)) == values.map(Z128::encode));
    assert!(joined::<Z256>(Domain::Product, &of(Domain::Product)) == values.map(Z256::encode));
    assert!(joined::<Bits>(Domain::Bits, &of(Domain::Bits)) == values.map(Bits::encode));
}

#[test]
fn random_shares_travel_as_seeds() {
    let bundle = bundle(3, Domain::Product, &matrix(10, 10, &[5; 100])).unwrap();
    let overhead = 32 + 16 + 2 * 32;
    let lengths = bundle.sealed.each_ref().map(|part| part.len() - overhead);
    assert_eq!(lengths, [64, 32 + 3_200, 3_200 + 32]);
}

#[test]
fn no_input_is_shared_that_results_have_no_room_for() {
    let edge = 10i128.pow(24);
    let error = bundle(4, Domain::Product, &matrix(2, 2, &[0, 0, -edge, 0])).unwrap_err();
    let said = "row 2, column 1: a value has at most 12 digits before the point";
    assert_eq!(error.to_string(), said);
    let edge = 10i128.pow(36);
    for domain in [Domain::Sum, Domain::Bits] {
        for value in [edge, -edge, i128::MAX, i128::MIN] {
            assert!(bundle(4, domain, &matrix(1, 1, &[value])).is_err());
        }
        assert!(bundle(4, domain, &matrix(1, 2, &[edge - 1, 1 - edge])).is_ok());
    }
    for (rows, columns, values) in [
        (0, 1, 0),
        (1, 0, 0),
        (2, 2, 3),
        (1, 1, 2),
        (1, 32_769, 32_769),
    ] {
        let refused = bundle(4, Domain::Sum, &matrix(rows, columns, &vec![0; values]));
        assert!(matches!(refused, Err(Error::Shape { .. })));
    }
}

#[test]
fn a_part_opens_for_its_worker_domain_and_context_only() {
    for domain in DOMAINS {
        let sent = bundle(5, domain, &matrix(1, 2, &[1, 2])).unwrap();
        let secrets = workers();
        for worker in 0..3 {
            assert!(open(&secrets[worker], worker, domain, CONTEXT, &sent).is_ok());
            let other = (worker + 1) % 3;
            let sealed = Error::Seal(seal::Error::Input);
            assert_eq!(
                refused(worker, domain, b"job 7, round 2, P0", &sent),
                sealed
            );
            assert_eq!(refused(worker, domain, b"", &sent), sealed);
            for another in DOMAINS.into_iter().filter(|another| *another != domain) {
                assert_eq!(refused(worker, another, CONTEXT, &sent), sealed);
            }
            // Its own key does not open another's part, nor its own in another's place.
            let swapped = |secret, place| open(secret, place, domain, CONTEXT, &sent).err();
            assert_eq!(swapped(&secrets[worker], other), Some(sealed));
            assert_eq!(swapped(&secrets[other], worker), Some(sealed));
            let mut moved = sent.clone();
            moved.sealed[other] = sent.sealed[worker].clone();
            assert_eq!(
                open(&secrets[worker], other, domain, CONTEXT, &moved).err(),
                Some(sealed)
            );
        }
        let beyond = open(&secrets[0], 3, domain, CONTEXT, &sent).err();
        assert_eq!(beyond, Some(Error::Worker { worker: 3 }));
    }
}

#[test]
fn a_bundle_that_is_cut_or_changed_anywhere_does_not_open() {
    let sent = bundle(6, Domain::Sum, &matrix(1, 2, &[1, 2])).unwrap();
    for worker in 0..3 {
        for at in 0..sent.sealed[worker].len() {
            let mut cut = sent.clone();
            cut.sealed[worker].truncate(at);
            refused(worker, Domain::Sum, CONTEXT, &cut);
            let mut changed = sent.clone();
            changed.sealed[worker][at] ^= 1;
            refused(worker, Domain::Sum, CONTEXT, &changed);
        }
        let mut longer = sent.clone();
        longer.sealed[worker].push(0);
        refused(worker, Domain::Sum, CONTEXT, &longer);
        for share in 0..3 {
            let mut changed = sent.clone();
            changed.commitments[share][31] ^= 128;
            refused(worker, Domain::Sum, CONTEXT, &changed);
        }
        for (rows, columns) in [(2, 1), (1, 1), (1, 3), (0, 2), (u32::MAX, u32::MAX)] {
            let mut changed = sent.clone();
            (changed.rows, changed.columns) = (rows, columns);
            refused(worker, Domain::Sum, CONTEXT, &changed);
        }
    }
    let bytes = postcard::to_stdvec(&sent).unwrap();
    assert_eq!(postcard::from_bytes(&bytes), Ok(sent));
    for at in 0..bytes.len() {
        assert!(postcard::from_bytes::<Bundle>(&bytes[..at]).is_err());
    }
}

/// Whoever has an input may seal whatever it likes: what it committed to, and what it did not.
#[test]
fn a_share_that_was_not_committed_to_is_noticed_by_the_worker_that_got_it() {
    let mut sent = bundle(7, Domain::Sum, &matrix(1, 2, &[1, 2])).unwrap();
    let secrets = workers();
    for (worker, secret) in secrets.iter().enumerate() {
        let bound = sent.context(worker, Domain::Sum, CONTEXT);
        let part = seal::open_input(secret, &bound, &sent.sealed[worker]).unwrap();
        let reader = secret.public();
        let mut sealed = |part: &[u8]| {
            sent.sealed[worker] = seal_input(&mut draws(8), &reader, &bound, part).unwrap();
            open(secret, worker, Domain::Sum, CONTEXT, &sent).err()
        };
        // Two elements of 16 bytes are as long as a seed.
        let first = 32 + 32;
        for at in 0..part.len() {
            let mut other = part.to_vec();
            other[at] ^= 4;
            let share = (worker + usize::from(at >= first)) % 3;
            assert_eq!(
                sealed(&other),
                Some(Error::Commitment { share }),
                "{worker} {at}"
            );
            let length = sealed(&part[..at]);
            assert!(matches!(length, Some(Error::Length { bytes, .. }) if bytes == at));
        }
        let longer = [&part[..], &[0]].concat();
        assert!(matches!(sealed(&longer), Some(Error::Length { .. })));
        assert_eq!(sealed(&part), None);
    }
}

#[test]
fn a_bundle_is_named_by_its_context_shape_and_commitments() {
    let sent = bundle(9, Domain::Sum, &matrix(1, 2, &[1, 2])).unwrap();
    let again = bundle(10, Domain::Sum, &matrix(1, 2, &[1, 2])).unwrap();
    let mut turned = sent.clone();
    (turned.rows, turned.columns) = (2, 1);
    let mut names = vec![
        sent.digest(CONTEXT),
        sent.digest(b"other"),
        again.digest(CONTEXT),
    ];
    names.push(turned.digest(CONTEXT));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 4);
    assert_eq!(sent.digest(CONTEXT), sent.clone().digest(CONTEXT));
}

#[test]
fn nothing_is_sealed_to_a_weak_key() {
    let mut readers = workers().each_ref().map(SealSecret::public);
    readers[1] = SealPublic([0; 32]);
    let refused = split(
        &mut draws(1),
        Domain::Sum,
        CONTEXT,
        &matrix(1, 1, &[1]),
        &readers,
    );
    assert_eq!(refused, Err(Error::Seal(seal::Error::Reader)));
}

/// The seeds of three workers that were told these hashes.
fn agreed(hashes: [[u8; 32]; 3]) -> [Seeds; 3] {
    let secrets: [MaskSecret; 3] =
        std::array::from_fn(|at| MaskSecret::generate(&mut draws(at as u64)));
    let key = |at: usize| (PartyId(at as u64 + 2), secrets[at].public());
    std::array::from_fn(|at| {
        let (previous, next) = (key((at + 2) % 3), key((at + 1) % 3));
        Seeds::agree(at, &secrets[at], previous, next, &hashes[at]).unwrap()
    })
}

fn sum_of_zeros<R: Ring>(seeds: &[Seeds; 3], gate: u64) -> bool {
    let parts = seeds.each_ref().map(|seeds| seeds.zeros::<R>(gate, 50));
    let total = |at: usize| {
        parts
            .iter()
            .fold(zero::<R>(), |sum, part| sum.add(part[at]))
    };
    assert!(
        parts
            .iter()
            .all(|part| part.iter().any(|element| *element != zero()))
    );
    (0..50).all(|at| total(at) == zero())
}

#[test]
fn workers_that_were_told_the_same_have_parts_of_zero() {
    let seeds = agreed([[7; 32]; 3]);
    for gate in [0, 1, u64::MAX] {
        assert!(sum_of_zeros::<Z128>(&seeds, gate));
        assert!(sum_of_zeros::<Z256>(&seeds, gate));
        assert!(sum_of_zeros::<Bits>(&seeds, gate));
    }
    let told = agreed([[7; 32], [7; 32], [8; 32]]);
    assert!(!sum_of_zeros::<Z128>(&told, 0));
}

#[test]
fn no_two_gates_and_no_two_pairs_of_workers_use_one_stream() {
    let seeds = agreed([[7; 32]; 3]);
    let mut parts: Vec<Vec<u128>> = Vec::new();
    for seeds in &seeds {
        for gate in 0..3 {
            parts.push(
                seeds
                    .zeros::<Z128>(gate, 4)
                    .iter()
                    .map(|zero| zero.0)
                    .collect(),
            );
        }
    }
    let mut words = parts.concat();
    words.sort();
    words.dedup();
    assert_eq!(words.len(), 3 * 3 * 4);
    assert!(seeds[0].next == seeds[1].previous && seeds[2].next == seeds[0].previous);
    assert!(seeds[0].next != seeds[0].previous);
}

#[test]
fn a_weak_key_and_a_fourth_worker_are_refused() {
    let mine = MaskSecret::generate(&mut draws(1));
    let good = (PartyId(5), mine.public());
    let weak = (PartyId(6), MaskPublic([0; 32]));
    let party = PartyId(6);
    for (previous, next) in [(weak, good), (good, weak)] {
        let refused = Seeds::agree(0, &mine, previous, next, &[0; 32]).err();
        assert_eq!(refused, Some(Error::Mask(mask::Error::WeakKey { party })));
    }
    let refused = Seeds::agree(3, &mine, good, good, &[0; 32]).err();
    assert_eq!(refused, Some(Error::Worker { worker: 3 }));
}
