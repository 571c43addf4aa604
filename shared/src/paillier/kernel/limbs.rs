//! Numbers as rows of 64-bit limbs, lowest first: the loops that everything else is made of.
//!
//! No branch and no address depends on a value (the compiler permitting), only on lengths.

use num_bigint::BigUint;
use zeroize::Zeroizing;

/// A little-endian number of a fixed length, wiped when dropped.
pub(in crate::paillier) type Limbs = Zeroizing<Vec<u64>>;

/// Bits of one limb.
pub(in crate::paillier) const LIMB_BITS: usize = 64;
/// Numbers fill a multiple of so many limbs, which an inner loop takes at once.
pub(super) const STRIDE: usize = 4;

/// `value` as exactly `length` limbs. The caller knows that it fits.
pub(in crate::paillier) fn limbs(value: &BigUint, length: usize) -> Limbs {
    let mut out = Zeroizing::new(vec![0; length]);
    debug_assert!(value.bits() <= (length * LIMB_BITS) as u64);
    for (limb, digit) in out.iter_mut().zip(value.iter_u64_digits()) {
        *limb = digit;
    }
    out
}

/// The number that the limbs stand for.
pub(in crate::paillier) fn integer(limbs: &[u64]) -> BigUint {
    let halves = limbs
        .iter()
        .flat_map(|limb| [*limb as u32, (*limb >> 32) as u32]);
    BigUint::new(halves.collect())
}

/// All ones or nothing.
pub(super) fn mask(condition: bool) -> u64 {
    u64::from(condition).wrapping_neg()
}

/// `count` bits of the exponent from bit `start` up; bits beyond its end are 0.
pub(in crate::paillier) fn bits(exponent: &[u64], start: usize, count: usize) -> usize {
    let (limb, shift) = (start / LIMB_BITS, start % LIMB_BITS);
    let low = exponent.get(limb).map_or(0, |limb| u128::from(*limb));
    let high = exponent.get(limb + 1).map_or(0, |limb| u128::from(*limb));
    let window = ((high << LIMB_BITS | low) >> shift) as usize;
    window & ((1 << count) - 1)
}

/// x += y; the carry.
pub(in crate::paillier) fn add_limbs(x: &mut [u64], y: &[u64]) -> u64 {
    let mut carry = 0;
    for (x, y) in x.iter_mut().zip(y) {
        let sum = u128::from(*x) + u128::from(*y) + u128::from(carry);
        *x = sum as u64;
        carry = (sum >> LIMB_BITS) as u64;
    }
    carry
}

/// x -= y.
pub(in crate::paillier) fn subtract_limbs(x: &mut [u64], y: &[u64]) {
    subtract_masked(x, y, u64::MAX);
}

/// x += small; the carry.
pub(super) fn add_small(x: &mut [u64], small: u64) -> u64 {
    let mut carry = small;
    for x in x.iter_mut() {
        let (sum, over) = x.overflowing_add(carry);
        *x = sum;
        carry = u64::from(over);
    }
    carry
}

/// x += x; the carry.
pub(super) fn double(x: &mut [u64]) -> u64 {
    let mut carry = 0;
    for x in x.iter_mut() {
        let next = *x >> (LIMB_BITS - 1);
        *x = *x << 1 | carry;
        carry = next;
    }
    carry
}

/// Takes n off `carry 2^(64 k) + x` if that is at least n: 1 if it did, and the carry left.
pub(super) fn subtract_once(x: &mut [u64], carry: u64, n: &[u64]) -> (u64, u64) {
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
pub(super) fn subtract_limb(x: u64, y: u64, borrow: u64) -> (u64, u64) {
    let difference = u128::from(x)
        .wrapping_sub(u128::from(y))
        .wrapping_sub(u128::from(borrow));
    (difference as u64, (difference >> LIMB_BITS) as u64 & 1)
}

/// sum += a b, for a sum below R^2 of twice as many limbs.
pub(in crate::paillier) fn add_product(sum: &mut [u64], a: &[u64], b: &[u64]) {
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
pub(super) fn add_two_rows(sum: &mut [u64], a: &[u64], b0: u64, b1: u64) -> u128 {
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
