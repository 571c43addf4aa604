//! Montgomery arithmetic on 64-bit limbs: the hot spots of the scheme.
//!
//! `num-bigint` stays the public number type; this kernel gives the same numbers in a third of the
//! time of multiply and `%`. Two ideas make it cheap:
//!
//! - Two rows of a schoolbook product at a time, each followed at once by its Montgomery reduction,
//!   so that a limb product costs one load and one store for every two multiplications.
//! - Digits base n (Takagi's representation): a number modulo n^2 is `low + high n`. The quotient
//!   of the low digit's reduction moves, negated, into the high digit before its own:
//!   low' = (T0 + q0 n) / R, high' = (T1 - q0 + q1 n) / R. A product costs 5 k^2 limb products
//!   instead of 8 k^2, and one by a single digit 4 k^2.
//!
//! No branch and no address depends on a value (the compiler permitting), only on lengths. All
//! buffers are wiped when dropped.

use num_bigint::BigUint;
use zeroize::Zeroizing;

/// A little-endian number of a fixed length, wiped when dropped.
pub(super) type Limbs = Zeroizing<Vec<u64>>;

/// Bits of one limb.
pub(super) const LIMB_BITS: usize = 64;
/// Numbers fill a multiple of so many limbs, which an inner loop takes at once.
const STRIDE: usize = 4;
/// Bits of one window of an exponent.
const WINDOW_BITS: usize = 5;

/// `value` as exactly `length` limbs. The caller knows that it fits.
pub(super) fn limbs(value: &BigUint, length: usize) -> Limbs {
    let mut out = Zeroizing::new(vec![0; length]);
    debug_assert!(value.bits() <= (length * LIMB_BITS) as u64);
    for (limb, digit) in out.iter_mut().zip(value.iter_u64_digits()) {
        *limb = digit;
    }
    out
}

/// The number that the limbs stand for.
pub(super) fn integer(limbs: &[u64]) -> BigUint {
    let halves = limbs
        .iter()
        .flat_map(|limb| [*limb as u32, (*limb >> 32) as u32]);
    BigUint::new(halves.collect())
}

/// A number modulo n^2, as `low + high n` with both digits below n.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Digits {
    pub(super) low: Limbs,
    pub(super) high: Limbs,
}

/// An odd modulus n, filled up to whole strides of limbs; R = 2^(64 limbs).
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Modulus {
    limbs: Limbs,
    /// -1/n modulo 2^64.
    negated_inverse: u64,
}

impl Modulus {
    /// Prepares `n`, which is odd.
    pub(super) fn new(n: &BigUint) -> Self {
        debug_assert!(n.bit(0));
        let length = (n.bits() as usize).div_ceil(STRIDE * LIMB_BITS) * STRIDE;
        let limbs = limbs(n, length);
        // Newton: each step doubles the number of right bits, and one bit is right at the start.
        let mut inverse = 1u64;
        for _ in 0..6 {
            let error = 2u64.wrapping_sub(limbs[0].wrapping_mul(inverse));
            inverse = inverse.wrapping_mul(error);
        }
        Self {
            limbs,
            negated_inverse: inverse.wrapping_neg(),
        }
    }

    /// Limbs of a digit.
    pub(super) fn len(&self) -> usize {
        self.limbs.len()
    }

    /// The modulus as limbs.
    pub(super) fn limbs(&self) -> &[u64] {
        &self.limbs
    }

    /// Working space for calculations with this modulus.
    pub(super) fn work(&self) -> Work<'_> {
        let k = self.len();
        Work {
            modulus: self,
            sum: Zeroizing::new(vec![0; 2 * k]),
            low_quotient: Zeroizing::new(vec![0; k]),
            high_quotient: Zeroizing::new(vec![0; k]),
            digit: Zeroizing::new(vec![0; k]),
        }
    }

    /// R^power modulo n, as limbs.
    pub(super) fn radix_power(&self, power: usize) -> Limbs {
        let radix = BigUint::from(1u32) << (LIMB_BITS * self.len() * power);
        limbs(&(radix % integer(&self.limbs)), self.len())
    }

    /// R^power modulo n^2, as digits.
    pub(super) fn radix_power_digits(&self, power: usize) -> Digits {
        let n = integer(&self.limbs);
        let radix = BigUint::from(1u32) << (LIMB_BITS * self.len() * power);
        let residue = radix % (&n * &n);
        Digits {
            low: limbs(&(&residue % &n), self.len()),
            high: limbs(&(residue / n), self.len()),
        }
    }

    /// x += y modulo n, both below n; 1 if n was taken off.
    pub(super) fn add(&self, x: &mut [u64], y: &[u64]) -> u64 {
        let carry = add_limbs(x, y);
        subtract_once(x, carry, &self.limbs).0
    }

    /// x += x modulo n, for x < n.
    pub(super) fn double(&self, x: &mut [u64]) {
        let carry = double(x);
        subtract_once(x, carry, &self.limbs);
    }

    /// x -= y modulo n, both below n.
    pub(super) fn subtract(&self, x: &mut [u64], y: &[u64]) {
        let mut negated = Zeroizing::new(self.limbs.to_vec());
        subtract_masked(&mut negated, y, u64::MAX);
        self.add(x, &negated);
    }

    /// x += y modulo n^2.
    pub(super) fn add_digits(&self, x: &mut Digits, y: &Digits) {
        let carry = self.add(&mut x.low, &y.low);
        self.add(&mut x.high, &y.high);
        let over = add_small(&mut x.high, carry);
        subtract_once(&mut x.high, over, &self.limbs);
    }
}

/// Calculations modulo one n (methods on slices) and modulo n^2 (methods on [`Digits`]).
pub(super) struct Work<'m> {
    modulus: &'m Modulus,
    sum: Limbs,
    low_quotient: Limbs,
    high_quotient: Limbs,
    digit: Limbs,
}

impl Work<'_> {
    /// out = a b / R modulo n, for a < n and any b of as many limbs.
    pub(super) fn multiply(&mut self, out: &mut [u64], a: &[u64], b: &[u64]) {
        self.sum.fill(0);
        let top = reduce(
            &mut self.sum,
            &mut self.low_quotient,
            [(a, b)],
            self.modulus,
        );
        self.settle(out, top, 1);
    }

    /// x = x b / R modulo n.
    pub(super) fn multiply_by(&mut self, x: &mut [u64], b: &[u64]) {
        self.sum.fill(0);
        let top = reduce(
            &mut self.sum,
            &mut self.low_quotient,
            [(&*x, b)],
            self.modulus,
        );
        self.settle(x, top, 1);
    }

    /// x = x^2 / R modulo n.
    pub(super) fn square(&mut self, x: &mut [u64]) {
        self.sum.fill(0);
        let top = reduce(
            &mut self.sum,
            &mut self.low_quotient,
            [(&*x, &*x)],
            self.modulus,
        );
        self.settle(x, top, 1);
    }

    /// out = wide / R modulo n, for `wide` < n R of twice as many limbs.
    pub(super) fn fold(&mut self, out: &mut [u64], wide: &[u64]) {
        self.sum.copy_from_slice(wide);
        let top = reduce(&mut self.sum, &mut self.low_quotient, [], self.modulus);
        self.settle(out, top, 1);
    }

    /// x = x a / R modulo n^2, for one digit `a` < R.
    pub(super) fn multiply_digit(&mut self, x: &mut Digits, a: &[u64]) {
        self.load(false);
        let top = reduce(
            &mut self.sum,
            &mut self.low_quotient,
            [(&x.low, a)],
            self.modulus,
        );
        let taken = self.settle(&mut x.low, top, 1);
        self.load(true);
        let top = reduce(
            &mut self.sum,
            &mut self.high_quotient,
            [(&x.high, a)],
            self.modulus,
        );
        self.settle_high(&mut x.high, top, 1, taken);
    }

    /// x = x y / R modulo n^2.
    pub(super) fn multiply_digits(&mut self, x: &mut Digits, y: &Digits) {
        self.load(false);
        let top = reduce(
            &mut self.sum,
            &mut self.low_quotient,
            [(&x.low, &y.low)],
            self.modulus,
        );
        let mut low = std::mem::take(&mut self.digit);
        let taken = self.settle(&mut low, top, 1);
        self.load(true);
        let pairs = [(&x.low[..], &y.high[..]), (&x.high[..], &y.low[..])];
        let top = reduce(&mut self.sum, &mut self.high_quotient, pairs, self.modulus);
        self.settle_high(&mut x.high, top, 2, taken);
        self.digit = std::mem::replace(&mut x.low, low);
    }

    /// x = x^2 / R modulo n^2.
    pub(super) fn square_digits(&mut self, x: &mut Digits) {
        self.load(false);
        let top = reduce(
            &mut self.sum,
            &mut self.low_quotient,
            [(&x.low, &x.low)],
            self.modulus,
        );
        let mut low = std::mem::take(&mut self.digit);
        let taken = self.settle(&mut low, top, 1);
        self.modulus.double(&mut x.high);
        self.load(true);
        let pairs = [(&x.low[..], &x.high[..])];
        let top = reduce(&mut self.sum, &mut self.high_quotient, pairs, self.modulus);
        self.settle_high(&mut x.high, top, 1, taken);
        self.digit = std::mem::replace(&mut x.low, low);
    }

    /// x = x / R modulo n^2: takes off the factor that the other methods work with.
    pub(super) fn strip(&mut self, x: &mut Digits) {
        let mut unit = Zeroizing::new(vec![0; self.modulus.len()]);
        unit[0] = 1;
        self.multiply_digit(x, &unit);
    }

    /// base^exponent, for a base times R modulo n; so is the result. `one` is R modulo n.
    pub(super) fn power(&mut self, one: &Limbs, base: &Limbs, exponent: &[u64]) -> Limbs {
        let multiply = |work: &mut Self, x: &mut Limbs, y: &Limbs| work.multiply_by(x, y);
        self.windows(one, base, exponent, multiply, |work, x| work.square(x))
    }

    /// base^exponent, for a base times R modulo n^2; so is the result. `one` is R modulo n^2.
    pub(super) fn power_digits(&mut self, one: &Digits, base: &Digits, exponent: &[u64]) -> Digits {
        self.windows(
            one,
            base,
            exponent,
            Self::multiply_digits,
            Self::square_digits,
        )
    }

    /// Fixed windows from the highest bit down. Every entry of the small table is read for every
    /// window, so that the cache tells nothing about the exponent.
    fn windows<T: Clone + Select>(
        &mut self,
        one: &T,
        base: &T,
        exponent: &[u64],
        multiply: impl Fn(&mut Self, &mut T, &T),
        square: impl Fn(&mut Self, &mut T),
    ) -> T {
        let mut table = vec![one.clone()];
        for entry in 1..1 << WINDOW_BITS {
            let mut next: T = table[entry - 1].clone();
            multiply(self, &mut next, base);
            table.push(next);
        }
        let mut result = one.clone();
        let mut chosen = one.clone();
        for window in (0..(exponent.len() * LIMB_BITS).div_ceil(WINDOW_BITS)).rev() {
            for _ in 0..WINDOW_BITS {
                square(self, &mut result);
            }
            let index = bits(exponent, window * WINDOW_BITS, WINDOW_BITS);
            for (entry, candidate) in table.iter().enumerate() {
                chosen.select(candidate, mask(entry == index));
            }
            multiply(self, &mut result, &chosen);
        }
        result
    }

    /// Starts a sum: at nothing, or at -(low quotient) + R, which is its complement plus one.
    fn load(&mut self, high: bool) {
        self.sum.fill(0);
        if high {
            for (sum, quotient) in self.sum.iter_mut().zip(self.low_quotient.iter()) {
                *sum = !*quotient;
            }
            add_small(&mut self.sum, 1);
        }
    }

    /// Writes the upper half of the sum, which is below (times + 1) n, modulo n; how often n was
    /// taken off.
    fn settle(&self, out: &mut [u64], mut top: u64, times: usize) -> u64 {
        out.copy_from_slice(&self.sum[self.modulus.len()..]);
        let mut taken = 0;
        for _ in 0..times {
            let (once, carry) = subtract_once(out, top, &self.modulus.limbs);
            taken += once;
            top = carry;
        }
        taken
    }

    /// The same for a high digit. An n that was taken off the low digit is 1 here; so, negative, is
    /// the R that `load` added.
    fn settle_high(&mut self, out: &mut [u64], mut top: u64, times: usize, taken: u64) {
        let mut borrow = 1 - taken;
        for limb in &mut self.sum[self.modulus.len()..] {
            (*limb, borrow) = subtract_limb(*limb, 0, borrow);
        }
        top -= borrow;
        self.settle(out, top, times);
    }
}

/// Reading one of several numbers without showing which.
trait Select {
    /// Becomes `other` where the mask is all ones.
    fn select(&mut self, other: &Self, mask: u64);
}

impl Select for Limbs {
    fn select(&mut self, other: &Self, mask: u64) {
        for (limb, other) in self.iter_mut().zip(other.iter()) {
            *limb ^= (*limb ^ other) & mask;
        }
    }
}

impl Select for Digits {
    fn select(&mut self, other: &Self, mask: u64) {
        self.low.select(&other.low, mask);
        self.high.select(&other.high, mask);
    }
}

fn mask(condition: bool) -> u64 {
    u64::from(condition).wrapping_neg()
}

/// `count` bits of the exponent from bit `start` up; bits beyond its end are 0.
pub(super) fn bits(exponent: &[u64], start: usize, count: usize) -> usize {
    let (limb, shift) = (start / LIMB_BITS, start % LIMB_BITS);
    let low = exponent.get(limb).map_or(0, |limb| u128::from(*limb));
    let high = exponent.get(limb + 1).map_or(0, |limb| u128::from(*limb));
    let window = ((high << LIMB_BITS | low) >> shift) as usize;
    window & ((1 << count) - 1)
}

/// x += y; the carry.
pub(super) fn add_limbs(x: &mut [u64], y: &[u64]) -> u64 {
    let mut carry = 0;
    for (x, y) in x.iter_mut().zip(y) {
        let sum = u128::from(*x) + u128::from(*y) + u128::from(carry);
        *x = sum as u64;
        carry = (sum >> LIMB_BITS) as u64;
    }
    carry
}

/// x -= y.
pub(super) fn subtract_limbs(x: &mut [u64], y: &[u64]) {
    subtract_masked(x, y, u64::MAX);
}

/// x += small; the carry.
fn add_small(x: &mut [u64], small: u64) -> u64 {
    let mut carry = small;
    for x in x.iter_mut() {
        let (sum, over) = x.overflowing_add(carry);
        *x = sum;
        carry = u64::from(over);
    }
    carry
}

/// x += x; the carry.
fn double(x: &mut [u64]) -> u64 {
    let mut carry = 0;
    for x in x.iter_mut() {
        let next = *x >> (LIMB_BITS - 1);
        *x = *x << 1 | carry;
        carry = next;
    }
    carry
}

/// Takes n off `carry 2^(64 k) + x` if that is at least n: 1 if it did, and the carry left.
fn subtract_once(x: &mut [u64], carry: u64, n: &[u64]) -> (u64, u64) {
    let mut borrow = 0;
    for (x, n) in x.iter().zip(n) {
        borrow = subtract_limb(*x, *n, borrow).1;
    }
    let taken = u64::from(carry != 0) | (borrow ^ 1);
    let borrow = subtract_masked(x, n, taken.wrapping_neg());
    (taken, carry - borrow)
}

/// x -= y where the mask is all ones; the borrow.
fn subtract_masked(x: &mut [u64], y: &[u64], mask: u64) -> u64 {
    let mut borrow = 0;
    for (x, y) in x.iter_mut().zip(y) {
        (*x, borrow) = subtract_limb(*x, *y & mask, borrow);
    }
    borrow
}

/// x - y - borrow, and the next borrow.
#[inline(always)]
fn subtract_limb(x: u64, y: u64, borrow: u64) -> (u64, u64) {
    let difference = u128::from(x)
        .wrapping_sub(u128::from(y))
        .wrapping_sub(u128::from(borrow));
    (difference as u64, (difference >> LIMB_BITS) as u64 & 1)
}

/// sum += a b, for a sum below R^2 of twice as many limbs.
pub(super) fn add_product(sum: &mut [u64], a: &[u64], b: &[u64]) {
    let k = a.len();
    let mut top = 0u64;
    for i in (0..k).step_by(2) {
        let rows = &mut sum[i..i + k + 2];
        let (limb, over) = rows[k].overflowing_add(top);
        rows[k] = limb;
        let carry = add_two_rows(&mut rows[..=k], a, b[i], b[i + 1]);
        let above = u128::from(rows[k + 1]) + u128::from(over) + carry;
        rows[k + 1] = above as u64;
        top = (above >> LIMB_BITS) as u64;
    }
}

/// sum += a (b0 + b1 2^64), for `sum` of one limb more than `a`; the carry, at most 2^64.
#[inline(always)]
fn add_two_rows(sum: &mut [u64], a: &[u64], b0: u64, b1: u64) -> u128 {
    let (head, last) = sum.split_at_mut(a.len());
    let (head, _) = head.as_chunks_mut::<STRIDE>();
    let (a, _) = a.as_chunks::<STRIDE>();
    let (mut carry0, mut carry1) = (0u64, 0u64);
    for (sum, a) in head.iter_mut().zip(a) {
        // By index: an eighth quicker than zipped iterators.
        for j in 0..STRIDE {
            let row0 = a[j] as u128 * b0 as u128 + sum[j] as u128 + carry0 as u128;
            sum[j] = row0 as u64;
            let row1 = a[j] as u128 * b1 as u128 + carry1 as u128 + (row0 >> LIMB_BITS);
            carry0 = row1 as u64;
            carry1 = (row1 >> LIMB_BITS) as u64;
        }
    }
    let (limb, over) = last[0].overflowing_add(carry0);
    last[0] = limb;
    u128::from(carry1) + u128::from(over)
}

/// Adds the products of the pairs to the 2k limbs of `sum`, and the multiple of n, `quotient n`,
/// that clears its lower half. The upper half is then the sum divided by R; its carry is returned.
#[inline(always)]
fn reduce<const PAIRS: usize>(
    sum: &mut [u64],
    quotient: &mut [u64],
    pairs: [(&[u64], &[u64]); PAIRS],
    modulus: &Modulus,
) -> u64 {
    let n = &modulus.limbs[..];
    let k = n.len();
    let mut top = 0u64;
    for i in (0..k).step_by(2) {
        let rows = &mut sum[i..i + k + 2];
        let (limb, over) = rows[k].overflowing_add(top);
        rows[k] = limb;
        let mut above = u128::from(rows[k + 1]) + u128::from(over);
        for (a, b) in pairs {
            above += add_two_rows(&mut rows[..=k], &a[..k], b[i], b[i + 1]);
        }
        let q0 = rows[0].wrapping_mul(modulus.negated_inverse);
        let first = u128::from(q0) * u128::from(n[0]) + u128::from(rows[0]);
        let second = q0
            .wrapping_mul(n[1])
            .wrapping_add(rows[1])
            .wrapping_add((first >> LIMB_BITS) as u64);
        let q1 = second.wrapping_mul(modulus.negated_inverse);
        above += add_two_rows(&mut rows[..=k], n, q0, q1);
        (quotient[i], quotient[i + 1]) = (q0, q1);
        rows[k + 1] = above as u64;
        top = (above >> LIMB_BITS) as u64;
    }
    top
}

#[cfg(test)]
mod tests;
