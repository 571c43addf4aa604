//! Exact decimals: what participants of a joint computation write and read.
//!
//! A number never passes through a float: `18.2 + 3.2` is `21.4`. It is kept as an integer of
//! [`DECIMALS_MAX`] places after the point, and printed from an integer of any number of places.

#[cfg(test)]
mod tests;
mod text;

use num_bigint::{BigInt, BigUint, Sign};
use num_integer::Integer;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::limits::{DECIMALS_MAX, MATRIX_VALUES_MAX};

/// Places after the point of [`fixed`].
const FIXED_PLACES: u32 = 6;

/// Why a text is no matrix. Never carries a value: inputs are secret. Rows and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a JSON number, or an array of arrays of them.
    #[error("row {row}, column {column}: expected {expected}")]
    Syntax {
        /// Where reading stopped.
        row: usize,
        /// Where reading stopped.
        column: usize,
        /// What has to stand there.
        expected: &'static str,
    },
    /// A matrix or a row without values.
    #[error("row {row}: it has no values")]
    Empty {
        /// The first such row.
        row: usize,
    },
    /// Rows of different lengths.
    #[error("row {row}: it does not have {columns} values as row 1 has")]
    Ragged {
        /// The first row that differs from row 1.
        row: usize,
        /// Values in row 1.
        columns: usize,
    },
    /// More values than a matrix may have.
    #[error("row {row}, column {column}: a matrix has at most {MATRIX_VALUES_MAX} values")]
    TooMany {
        /// Of the first value too many.
        row: usize,
        /// Of the first value too many.
        column: usize,
    },
    /// Too fine a number.
    #[error("row {row}, column {column}: at most {DECIMALS_MAX} decimals after the point")]
    Decimals {
        /// Of the value.
        row: usize,
        /// Of the value.
        column: usize,
    },
    /// Too large a number.
    #[error("row {row}, column {column}: a value has at most {digits} digits before the point")]
    Digits {
        /// Of the value.
        row: usize,
        /// Of the value.
        column: usize,
        /// How many there may be.
        digits: u32,
    },
}

/// A participant's secret input; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Matrix {
    /// Rows, at least 1.
    pub rows: u32,
    /// Columns, at least 1.
    pub columns: u32,
    /// Row by row, each times ten to the power of [`DECIMALS_MAX`].
    pub values: Vec<i128>,
}

impl Matrix {
    /// Reads JSON: rows of numbers (`[[18, 34, 18.2]]`), or one number for a 1 x 1 matrix. A value
    /// has at most `digits` digits before the point (1 to
    /// [`SUM_DIGITS_MAX`](crate::limits::SUM_DIGITS_MAX)) and [`DECIMALS_MAX`] after it, zeros at
    /// its ends and its exponent taken off. Time and memory are linear in the text, whatever
    /// exponents it names.
    ///
    /// # Errors
    /// Names the first place that breaks a rule, and the rule.
    pub fn parse(text: &str, digits: u32) -> Result<Matrix, Error> {
        text::matrix(text.as_bytes(), digits)
    }
}

/// `value` times ten to the power of minus `scale`, with all its places and no more: `54.6`, `-3`.
pub fn exact(value: &BigInt, scale: u32) -> String {
    let text = pointed(value.magnitude(), scale);
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    signed(value, text)
}

/// `value` times ten to the power of minus `scale` with six places, as C's `%.6f` prints a number:
/// rounded to the nearest, of two equally near ones to the one whose last digit is even (of the
/// exact decimal, which `%.6f` has no way to know). What is negative keeps its sign even if it
/// rounds to zero.
pub fn fixed(value: &BigInt, scale: u32) -> String {
    let ten = BigUint::from(10u8);
    let units = match scale.checked_sub(FIXED_PLACES) {
        None => value.magnitude() * ten.pow(FIXED_PLACES - scale),
        Some(beyond) => {
            let unit = ten.pow(beyond);
            let (units, rest) = value.magnitude().div_rem(&unit);
            let twice = rest * 2u8;
            match twice > unit || twice == unit && units.is_odd() {
                true => units + 1u8,
                false => units,
            }
        }
    };
    signed(value, &pointed(&units, FIXED_PLACES))
}

/// With at least one digit before the point, and `places` after it.
fn pointed(magnitude: &BigUint, places: u32) -> String {
    let places = places as usize;
    let mut text = format!("{:0>width$}", magnitude.to_string(), width = places + 1);
    if places > 0 {
        text.insert(text.len() - places, '.');
    }
    text
}

fn signed(value: &BigInt, text: &str) -> String {
    match value.sign() {
        Sign::Minus => format!("-{text}"),
        Sign::NoSign | Sign::Plus => text.to_owned(),
    }
}
