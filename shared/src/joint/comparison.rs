//! Which of two shared values is greater, bit by bit, in a tree of ANDs (privacy-protocols 6.6).
//!
//! ```text
//! G = a AND NOT b                                                E = NOT (a XOR b)
//! 7 times, halving:  G' = G_high XOR (E_high AND G_low)          E' = E_high AND E_low
//! ```
//!
//! A level takes neighbours together. In the end `G` says that a > b, and `E` that a = b: eight
//! rounds, however many comparisons go on side by side, and 382 bits for each from each worker.

use num_bigint::BigInt;
use zeroize::Zeroizing;

use super::Program;
use super::gate::{Form, and, low_bits, pack, unpack};
use crate::computation::Reveal;
use crate::sharing::{Bits, Pair, Ring, Seeds};

const BITS: usize = 128;
/// The pairs of participants that [`Reveal::Max`] compares.
const PAIRS: [(usize, usize); 3] = [(0, 1), (0, 2), (1, 2)];

/// Comparisons of all places of two or three matrices.
pub(super) struct Comparison {
    worker: usize,
    reveal: Reveal,
    /// Values of one matrix.
    places: usize,
    /// The ANDs whose other parts are due.
    gate: Gate,
    /// `G` and `E` of each pair and place, of the lowest `width` bits; at first `a` and `NOT b`. In
    /// the end `greater` is what is opened.
    greater: Pair<Bits>,
    equal: Pair<Bits>,
    width: usize,
    /// This worker's parts of the ANDs under way.
    parts: Zeroizing<Vec<Bits>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// `a AND NOT b`.
    Bitwise,
    /// One level of the tree.
    Halving,
    /// For each participant, whether neither of the others has more.
    Winners,
}

impl Comparison {
    /// At worker `worker`, of inputs of one shape (P2's may be another where it is not used).
    pub(super) fn new(worker: usize, reveal: Reveal, inputs: [Pair<Bits>; 3]) -> Comparison {
        let pairs: &[(usize, usize)] = match reveal {
            Reveal::Greater => &PAIRS[..1],
            Reveal::Max => &PAIRS,
        };
        let of = |pick: fn(&(usize, usize)) -> usize| {
            let picked = || pairs.iter().map(|pair| &inputs[pick(pair)]);
            let words = Pair {
                own: joined(picked().map(|input| input.own.as_slice())),
                next: joined(picked().map(|input| input.next.as_slice())),
            };
            each(&words, |word| Bits(scattered(word.0)))
        };
        Comparison {
            worker,
            reveal,
            places: inputs[0].own.len(),
            gate: Gate::Bitwise,
            greater: of(|pair| pair.0),
            equal: plus(of(|pair| pair.1), worker, Bits(u128::MAX)),
            width: BITS,
            parts: Zeroizing::default(),
        }
    }

    /// Takes the other parts of the ANDs under way.
    fn take(&mut self, body: &[u8]) {
        let count = self.parts.len();
        let bits = self.width;
        let product = Pair {
            own: std::mem::take(&mut self.parts),
            next: unpack(body, Form { count, bits }),
        };
        match self.gate {
            Gate::Bitwise => {
                // NOT (a XOR b) = a XOR (NOT b).
                self.equal = both(&self.greater, &self.equal, |a, not_b| a.add(not_b));
                self.greater = product;
                self.gate = Gate::Halving;
            }
            Gate::Halving => {
                let half = self.width / 2;
                self.equal = each(&product, |product| Bits(product.0 >> half));
                self.greater = both(&self.greater, &product, |greater, product| {
                    Bits(greater.0 >> half ^ product.0 & low_bits(half))
                });
                self.width = half;
            }
            Gate::Winners => self.greater = product,
        }
    }

    /// What is next to be multiplied, if anything is.
    fn operands(&mut self) -> Option<(Pair<Bits>, Pair<Bits>)> {
        let copy = |bits: Bits| bits;
        match self.gate {
            Gate::Bitwise => Some((each(&self.greater, copy), each(&self.equal, copy))),
            Gate::Halving if self.width > 1 => {
                let half = self.width / 2;
                let high = each(&self.equal, |equal| {
                    let high = equal.0 >> half;
                    Bits(high << half | high)
                });
                let low = both(&self.greater, &self.equal, |greater, equal| {
                    Bits((equal.0 & low_bits(half)) << half | greater.0 & low_bits(half))
                });
                Some((high, low))
            }
            Gate::Halving if self.reveal == Reveal::Max => {
                self.gate = Gate::Winners;
                Some(self.winners())
            }
            Gate::Halving | Gate::Winners => None,
        }
    }

    /// Of P0, P1 and P2 that the one other is not greater, and that the other is not.
    fn winners(&self) -> (Pair<Bits>, Pair<Bits>) {
        let places = self.places;
        // NOT G(b, a) = G(a, b) XOR E(a, b).
        let least = both(&self.greater, &self.equal, |greater, equal| {
            greater.add(equal)
        });
        let most = plus(each(&self.greater, |bits| bits), self.worker, Bits(1));
        let of = |from: [(&Pair<Bits>, usize); 3]| {
            let range = |pair: usize| pair * places..(pair + 1) * places;
            Pair {
                own: joined(from.iter().map(|(bits, pair)| &bits.own[range(*pair)])),
                next: joined(from.iter().map(|(bits, pair)| &bits.next[range(*pair)])),
            }
        };
        (
            of([(&least, 0), (&most, 0), (&most, 1)]),
            of([(&least, 1), (&least, 2), (&most, 2)]),
        )
    }
}

impl Program for Comparison {
    fn forms(&self) -> Vec<Form> {
        let count = self.greater.own.len();
        let form = |bits| Form { count, bits };
        let mut forms = vec![form(BITS)];
        forms.extend((1..=BITS.ilog2()).rev().map(|level| form(1 << level)));
        forms.push(form(1));
        if self.reveal == Reveal::Max {
            forms.push(form(1));
        }
        forms
    }

    fn step(
        &mut self,
        seeds: &Seeds,
        gate: u64,
        received: Option<&[u8]>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        if let Some(body) = received {
            self.take(body);
        }
        let (left, right) = self.operands()?;
        let zeros = seeds.zeros(gate, left.own.len());
        self.parts = and(&left, &right, self.width, zeros);
        Some(pack(&self.parts, self.width))
    }

    fn shares(&self) -> [Zeroizing<Vec<u8>>; 2] {
        [&self.greater.own, &self.greater.next].map(|shares| pack(shares, 1))
    }

    fn open(&self, missing: &[u8]) -> Vec<BigInt> {
        let count = self.greater.own.len();
        let missing = unpack(missing, Form { count, bits: 1 });
        let shares = self.greater.own.iter().zip(&*self.greater.next);
        let bits = shares.zip(&*missing);
        bits.map(|((own, next), missing)| own.add(*next).add(*missing).0.into())
            .collect()
    }

    fn scale(&self) -> u32 {
        0
    }
}

/// Bit by bit to the place whose number has the same binary digits in the other order: neighbours
/// then lie half a word apart, and so do those of each level after it.
fn scattered(mut word: u128) -> u128 {
    const SWAPS: [(u32, u128); 3] = [swap(0, 6), swap(1, 5), swap(2, 4)];
    for (distance, places) in SWAPS {
        let differing = (word >> distance ^ word) & places;
        word ^= differing << distance | differing;
    }
    word
}

/// What swaps two binary digits of places' numbers: how far the bits move that do, and the places
/// of those that move up, which have the low digit and not the high one.
const fn swap(low: u32, high: u32) -> (u32, u128) {
    let mut places = 0;
    let mut place = 0;
    while place < BITS {
        if place >> low & 1 == 1 && place >> high & 1 == 0 {
            places |= 1 << place;
        }
        place += 1;
    }
    ((1 << high) - (1 << low), places)
}

fn joined<'a>(parts: impl Iterator<Item = &'a [Bits]>) -> Zeroizing<Vec<Bits>> {
    Zeroizing::new(parts.collect::<Vec<_>>().concat())
}

/// The same function of both shares: it has to be linear.
fn each(pair: &Pair<Bits>, linear: impl Fn(Bits) -> Bits) -> Pair<Bits> {
    let apply = |bits: &[Bits]| Zeroizing::new(bits.iter().map(|bits| linear(*bits)).collect());
    Pair {
        own: apply(&pair.own),
        next: apply(&pair.next),
    }
}

/// As [`each`], of two shared words.
fn both(left: &Pair<Bits>, right: &Pair<Bits>, linear: impl Fn(Bits, Bits) -> Bits) -> Pair<Bits> {
    let apply = |left: &[Bits], right: &[Bits]| {
        let words = left.iter().zip(right);
        Zeroizing::new(words.map(|(left, right)| linear(*left, *right)).collect())
    };
    Pair {
        own: apply(&left.own, &right.own),
        next: apply(&left.next, &right.next),
    }
}

/// A public constant added to each: share 0 takes it.
fn plus(mut pair: Pair<Bits>, worker: usize, constant: Bits) -> Pair<Bits> {
    let share_0 = match worker {
        0 => &mut pair.own,
        1 => return pair,
        _ => &mut pair.next,
    };
    share_0
        .iter_mut()
        .for_each(|bits| *bits = bits.add(constant));
    pair
}
