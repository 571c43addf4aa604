//! The tag: a linear one-time MAC over the slots, in the integers modulo the prime 2^107 - 1.
//!
//! Each party tags its own values; the tags add up as the values do, so the guest checks the sum's
//! tag without ever seeing a single one. Who doesn't know the key and changes the sum passes with
//! probability 2^-107 (privacy-protocols 3.7). Each tag is blinded by a pairwise mask: its size, as
//! an integer, would otherwise tell something of a single party.

use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{RoundContext, TagKey, stream, words};
use crate::fixed_point::{RangeError, check_sum};
use crate::limits::{SLOT_VALUE_BITS, TAG_BITS};

/// The prime 2^107 - 1.
const PRIME: u128 = (1 << TAG_BITS) - 1;

/// A round's sum is not the sum of the parties' contributions to that very round. There is no more
/// to it, on purpose: which test failed would tell a tampering server something about the sum.
/// Whoever finds the sum malformed before [`check`] (a residue, a slot in use that should be zero)
/// answers with the same error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the sum of the round is not authentic")]
pub struct Integrity;

/// What hides a party's tag within the sum of all tags. For one round, used up by [`tag`].
#[derive(Default, Zeroize, ZeroizeOnDrop)]
pub struct TagBlinding(u128);

impl TagBlinding {
    /// Adds a pair's word to the blinding, or takes it away.
    pub(super) fn add(&mut self, word: u128, adds: bool) {
        let word = residue(word);
        self.0 = residue(self.0 + if adds { word } else { PRIME - word });
    }
}

/// The tag of one party's `values`, all slots but the tag's own: `0 <= tag < 2^107 - 1`.
///
/// # Errors
/// A value is beyond plus or minus 2^90: its sum might overflow a slot.
pub fn tag(
    key: &TagKey,
    context: &RoundContext,
    values: &[i128],
    blinding: TagBlinding,
) -> Result<i128, RangeError> {
    values.iter().try_for_each(|value| check_sum(*value))?;
    Ok(residue(combine(key, context, values) + blinding.0) as i128)
}

/// Checks the sums of `parties` contributions, and the sum of their tags, before anything else may
/// look at them.
///
/// # Errors
/// Some sum or the tag's is out of range, or the tag is not the sums' one. Every test is made in
/// any case.
pub fn check(
    key: &TagKey,
    context: &RoundContext,
    sums: &[i128],
    tag_sum: i128,
    parties: usize,
) -> Result<(), Integrity> {
    let parties = parties as i128;
    let bound = parties << SLOT_VALUE_BITS;
    // Without the ranges a multiple of the prime, added on the way, would go unseen.
    let mut authentic = true;
    for sum in sums {
        authentic &= (-bound..=bound).contains(sum);
    }
    authentic &= (0..=parties * (PRIME as i128 - 1)).contains(&tag_sum);
    authentic &= combine(key, context, sums) == residue(reduce(tag_sum));
    if authentic { Ok(()) } else { Err(Integrity) }
}

/// The values' combination with the round's secret coefficients.
fn combine(key: &TagKey, context: &RoundContext, values: &[i128]) -> u128 {
    let mut stream = stream(&key.0, context, &[b"concord/v1 mac"]);
    let coefficients = words(&mut stream, values.len());
    let mut sum = 0;
    for (coefficient, value) in coefficients.iter().zip(values) {
        sum = fold(sum + multiply(coefficient & PRIME, residue(reduce(*value))));
    }
    residue(sum)
}

/// Congruent, and below 2^107 + 2^21: 2^107 is one.
fn fold(number: u128) -> u128 {
    (number & PRIME) + (number >> TAG_BITS)
}

/// The representative below the prime.
fn residue(number: u128) -> u128 {
    let folded = fold(fold(number));
    if folded == PRIME { 0 } else { folded }
}

/// Congruent to a signed number, and below 2^109.
fn reduce(number: i128) -> u128 {
    // As an unsigned word a negative number is 2^128 too large, and that is 2^21 modulo the prime.
    let excess = if number < 0 {
        PRIME - (1 << (128 - TAG_BITS))
    } else {
        0
    };
    fold(number as u128) + excess
}

/// Congruent to the product of two numbers up to 2^107 - 1, and below 2^109.
fn multiply(left: u128, right: u128) -> u128 {
    const LOW: u128 = u64::MAX as u128;
    const SPLIT: u32 = TAG_BITS - 64;
    let (left_high, left_low) = (left >> 64, left & LOW);
    let (right_high, right_low) = (right >> 64, right & LOW);
    let high = left_high * right_high;
    let middle = left_high * right_low + left_low * right_high;
    let low = left_low * right_low;
    // high * 2^128 is high * 2^21; middle * 2^64 splits at the bit that 2^64 lifts to 2^107.
    let middle = (middle >> SPLIT) + ((middle & ((1 << SPLIT) - 1)) << 64);
    fold(high << (128 - TAG_BITS)) + middle + fold(low)
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use num_integer::Integer;
    use proptest::prelude::*;

    use super::*;

    const EDGES: [u128; 8] = [
        0,
        1,
        PRIME - 1,
        PRIME,
        1 << 64,
        (1 << 64) - 1,
        1 << 106,
        PRIME - (1 << 64),
    ];

    fn product(left: u128, right: u128) -> u128 {
        let product = BigUint::from(left) * BigUint::from(right);
        u128::try_from(product % BigUint::from(PRIME)).unwrap()
    }

    #[test]
    fn the_field_is_right_at_its_edges() {
        for left in EDGES {
            for right in EDGES {
                let raw = multiply(left, right);
                assert!(raw < 1 << 109);
                assert_eq!(residue(raw), product(left, right), "{left} * {right}");
            }
        }
        for number in [
            0,
            1,
            -1,
            i128::MIN,
            i128::MAX,
            PRIME as i128,
            -(PRIME as i128),
        ] {
            assert!(reduce(number) < 1 << 109);
            let expected = number.mod_floor(&(PRIME as i128)) as u128;
            assert_eq!(residue(reduce(number)), expected, "{number}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn the_field_agrees_with_big_integers(left: u128, right: u128, number: i128) {
            let (left, right) = (left & PRIME, right & PRIME);
            prop_assert_eq!(residue(multiply(left, right)), product(left, right));
            let expected = number.mod_floor(&(PRIME as i128)) as u128;
            prop_assert_eq!(residue(reduce(number)), expected);
        }
    }
}
