//! Real numbers as integers, so that sums don't depend on the order or the split of the rows.
//!
//! A value is multiplied by a power of two and rounded once, half to even; everything after that is
//! integer addition, which is exact (privacy-protocols 3.2 and 4.2).

use thiserror::Error;

use crate::limits::{SLOT_VALUE_BITS, SQUARE_FRACTION_BITS};

/// Why a number does not fit a slot. It never carries the number: that may be a row's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RangeError {
    /// Not a number, or infinite.
    #[error("a value is infinite or not a number")]
    NotFinite,
    /// Beyond plus or minus 2^90 units of its fixed-point scale.
    #[error("a value or a party's sum exceeds 2^{SLOT_VALUE_BITS} fixed-point units")]
    TooLarge,
}

/// The largest magnitude of a party's slot, in fixed-point units.
const BOUND: i128 = 1 << SLOT_VALUE_BITS;
/// Below this magnitude, adding `MAGIC` rounds to an integer in one addition.
const MAGIC_BELOW: f64 = power_of_two(51);
/// Numbers near 1.5 * 2^52 have a last place of one, so adding it makes the hardware round half to
/// even, and the low bits of the sum are the rounded integer.
const MAGIC: f64 = 1.5 * power_of_two(52);

const fn power_of_two(exponent: i32) -> f64 {
    assert!(exponent > -1023 && exponent < 1024, "a normal f64");
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// `value * 2^fraction_bits`, rounded half to even. `fraction_bits` is at most 64.
///
/// The product itself is exact, so there is one rounding, and none where the product is an integer.
///
/// # Errors
/// Not a number, infinite, or a result beyond plus or minus 2^90.
#[inline]
pub fn encode(value: f64, fraction_bits: u32) -> Result<i128, RangeError> {
    assert!(
        fraction_bits <= SQUARE_FRACTION_BITS,
        "no layout has a finer scale"
    );
    let scaled = value * power_of_two(fraction_bits as i32);
    if scaled.abs() < MAGIC_BELOW {
        let rounded = (scaled + MAGIC).to_bits() as i64 - MAGIC.to_bits() as i64;
        return Ok(i128::from(rounded));
    }
    encode_large(scaled)
}

/// The rest of [`encode`]: what one addition can't round.
#[cold]
fn encode_large(scaled: f64) -> Result<i128, RangeError> {
    if !scaled.is_finite() {
        return Err(RangeError::NotFinite);
    }
    let integer = scaled.round_ties_even();
    if integer.abs() > BOUND as f64 {
        return Err(RangeError::TooLarge);
    }
    Ok(integer as i128)
}

/// The real number that a sum of [`encode`]d values stands for: `sum * 2^-fraction_bits`, rounded
/// to the nearest f64. `fraction_bits` is at most 64.
pub fn decode(sum: i128, fraction_bits: u32) -> f64 {
    assert!(
        fraction_bits <= SQUARE_FRACTION_BITS,
        "no layout has a finer scale"
    );
    sum as f64 * power_of_two(-(fraction_bits as i32))
}

/// The square of a deviation as two slots, `(high, low)` with `0 <= low < 2^64`, so that
/// `high * 2^64 + low` is the f64 square times 2^64, rounded half to even (privacy-protocols 3.2,
/// `MOM2`: one limb would overflow or lose columns of small variance).
///
/// # Errors
/// Not a number, infinite, or a square beyond 2^90.
pub fn square_limbs(deviation: f64) -> Result<(i128, i128), RangeError> {
    let square = deviation * deviation;
    if !deviation.is_finite() {
        return Err(RangeError::NotFinite);
    }
    if square > BOUND as f64 {
        return Err(RangeError::TooLarge);
    }
    let high = square.floor();
    // Exact but for the rounding, and below 2^64: the largest f64 below one is 1 - 2^-53.
    let low = ((square - high) * power_of_two(SQUARE_FRACTION_BITS as i32)).round_ties_even();
    Ok((high as i128, low as i128))
}

/// The sum of squares that the sums of [`square_limbs`] stand for: `high + low * 2^-64`.
pub fn from_square_limbs(high: i128, low: i128) -> f64 {
    high as f64 + decode(low, SQUARE_FRACTION_BITS)
}

/// Whether a party's whole slot lies within plus or minus 2^90, which its rows alone don't ensure.
///
/// # Errors
/// It does not.
pub fn check_sum(sum: i128) -> Result<(), RangeError> {
    if (-BOUND..=BOUND).contains(&sum) {
        Ok(())
    } else {
        Err(RangeError::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::FRACTION_BITS;

    fn slow(value: f64, fraction_bits: u32) -> i128 {
        (value * power_of_two(fraction_bits as i32)).round_ties_even() as i128
    }

    #[test]
    fn ties_go_to_the_even_neighbour() {
        for (halves, expected) in [(1, 0), (3, 2), (5, 2), (-1, 0), (-3, -2), (-5, -2), (7, 4)] {
            assert_eq!(
                encode(f64::from(halves) / 2.0, 0),
                Ok(expected),
                "{halves}/2"
            );
            let value = f64::from(halves) * power_of_two(-(FRACTION_BITS as i32) - 1);
            assert_eq!(
                encode(value, FRACTION_BITS),
                Ok(expected),
                "{halves} * 2^-41"
            );
        }
    }

    #[test]
    fn both_ways_of_rounding_agree_where_they_meet() {
        for base in [MAGIC_BELOW, MAGIC_BELOW / 2.0, 2.0 * MAGIC_BELOW, 1.0] {
            for step in -8..=8 {
                for value in [
                    base + f64::from(step) * 0.25,
                    -base + f64::from(step) * 0.25,
                ] {
                    assert_eq!(encode(value, 0), Ok(slow(value, 0)), "{value}");
                }
            }
        }
    }

    #[test]
    fn the_range_ends_at_exactly_two_to_the_ninetieth() {
        let bound = power_of_two(90);
        assert_eq!(encode(bound, 0), Ok(BOUND));
        assert_eq!(encode(-bound, 0), Ok(-BOUND));
        assert_eq!(encode(bound.next_up(), 0), Err(RangeError::TooLarge));
        assert_eq!(encode((-bound).next_down(), 0), Err(RangeError::TooLarge));
        assert_eq!(encode(power_of_two(50), 40), Ok(BOUND));
        assert_eq!(
            encode(power_of_two(50).next_up(), 40),
            Err(RangeError::TooLarge)
        );
        assert_eq!(check_sum(BOUND), Ok(()));
        assert_eq!(check_sum(-BOUND), Ok(()));
        assert_eq!(check_sum(BOUND + 1), Err(RangeError::TooLarge));
        assert_eq!(check_sum(-BOUND - 1), Err(RangeError::TooLarge));
        assert_eq!(check_sum(i128::MIN), Err(RangeError::TooLarge));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(encode(value, 40), Err(RangeError::NotFinite));
            assert_eq!(square_limbs(value), Err(RangeError::NotFinite));
        }
        assert_eq!(
            encode(f64::MAX, 40),
            Err(RangeError::NotFinite),
            "overflows when scaled"
        );
        assert_eq!(square_limbs(1e200), Err(RangeError::TooLarge));
    }

    #[test]
    fn squares_fit_up_to_two_to_the_ninetieth() {
        assert_eq!(square_limbs(power_of_two(45)), Ok((BOUND, 0)));
        assert_eq!(
            square_limbs(power_of_two(45).next_up()),
            Err(RangeError::TooLarge)
        );
        assert_eq!(square_limbs(0.0), Ok((0, 0)));
        assert_eq!(square_limbs(-1.5), Ok((2, 1 << 62)));
        assert_eq!(
            square_limbs(1.0f64.next_down()).map(|(high, _)| high),
            Ok(0)
        );
    }

    #[test]
    fn limbs_of_many_rows_give_the_sum_of_squares() {
        let deviations = [1e-6, -3.25, 1e6, 0.1, -123.456, 7e-9];
        let (mut high, mut low, mut direct) = (0, 0, 0.0);
        for deviation in deviations {
            let limbs = square_limbs(deviation).unwrap();
            (high, low) = (high + limbs.0, low + limbs.1);
            direct += deviation * deviation;
        }
        let sum = from_square_limbs(high, low);
        assert!((sum - direct).abs() <= 1e-15 * direct, "{sum} {direct}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn the_fast_way_equals_round_ties_even(bits: u64, exponent in -70i32..90) {
            let fraction = f64::from_bits((bits & (1 << 63 | ((1 << 52) - 1))) | 1023 << 52);
            let value = fraction * power_of_two(exponent);
            if (value * power_of_two(40)).abs() <= power_of_two(90) {
                prop_assert_eq!(encode(value, 40), Ok(slow(value, 40)));
            }
            prop_assert_eq!(encode(value, 0), Ok(slow(value, 0)));
        }

        #[test]
        fn quarters_near_integers_round_as_the_hardware_does(
            integer in -(1i64 << 51)..(1 << 51), quarter in 0u8..4
        ) {
            let value = integer as f64 + f64::from(quarter) * 0.25;
            prop_assert_eq!(encode(value, 0), Ok(slow(value, 0)));
        }

        #[test]
        fn decoding_is_within_half_a_unit(value in -1000.0..1000.0f64) {
            let back = decode(encode(value, 40).unwrap(), 40);
            prop_assert!((back - value).abs() <= power_of_two(-41));
        }

        #[test]
        fn limbs_split_the_rounded_square(bits: u64, exponent in -60i32..31) {
            let fraction = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
            let deviation = fraction * power_of_two(exponent);
            let (high, low) = square_limbs(deviation).unwrap();
            prop_assert!((0..1 << 64).contains(&low));
            prop_assert_eq!((high << 64) + low, slow(deviation * deviation, 64));
        }
    }
}
