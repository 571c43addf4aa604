//! Decimal numbers as text, compared exactly.

use std::cmp::Ordering;

/// A decimal number in text. Comparing is exact for any number of digits: ids of 18 digits are
/// common and do not fit a float. `38`, `38.0` and `3.8e1` are equal.
#[derive(Clone, Copy, Debug)]
pub struct Number<'a> {
    /// -1, 0 or 1.
    sign: i8,
    /// Power of ten of the first digit that is not 0.
    power: i32,
    /// Digits from that one on, before the point and after it.
    digits: (&'a [u8], &'a [u8]),
}

/// Digits of an exponent at most; a longer one makes the text no number.
const EXPONENT_DIGITS_MAX: usize = 4;

impl<'a> Number<'a> {
    /// Reads `[+-]digits[.digits][e[+-]digits]`, with a digit before or after the point; `None`
    /// for every other text.
    pub fn parse(text: &'a str) -> Option<Number<'a>> {
        let (negative, rest) = split_sign(text.as_bytes());
        let (whole, rest) = split_digits(rest);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => split_digits(rest),
            _ => (&rest[..0], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => exponent(rest)?,
            _ => return None,
        };
        let whole = skip_zeros(whole);
        let significant = if whole.is_empty() {
            skip_zeros(fraction)
        } else {
            fraction
        };
        if whole.is_empty() && significant.is_empty() {
            return Some(Number {
                sign: 0,
                power: 0,
                digits: (&[], &[]),
            });
        }
        let places = i32::try_from(if whole.is_empty() {
            fraction.len() - significant.len()
        } else {
            whole.len()
        })
        .ok()?;
        let power = if whole.is_empty() {
            -1 - places
        } else {
            places - 1
        };
        Some(Number {
            sign: if negative { -1 } else { 1 },
            power: power.checked_add(exponent)?,
            digits: (whole, significant),
        })
    }

    fn magnitude(&self, other: &Number<'_>) -> Ordering {
        let mut left = self.digits.0.iter().chain(self.digits.1);
        let mut right = other.digits.0.iter().chain(other.digits.1);
        self.power.cmp(&other.power).then_with(|| {
            loop {
                let (a, b) = match (left.next(), right.next()) {
                    (None, None) => return Ordering::Equal,
                    (a, b) => (a.unwrap_or(&b'0'), b.unwrap_or(&b'0')),
                };
                if a != b {
                    return a.cmp(b);
                }
            }
        })
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sign.cmp(&other.sign).then_with(|| match self.sign {
            -1 => other.magnitude(self),
            _ => self.magnitude(other),
        })
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number<'_> {}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

fn skip_zeros(digits: &[u8]) -> &[u8] {
    let start = digits.iter().position(|digit| *digit != b'0');
    &digits[start.unwrap_or(digits.len())..]
}

fn exponent(text: &[u8]) -> Option<i32> {
    let (negative, rest) = split_sign(text);
    let (digits, rest) = split_digits(rest);
    if digits.is_empty() || digits.len() > EXPONENT_DIGITS_MAX || !rest.is_empty() {
        return None;
    }
    let value = digits
        .iter()
        .fold(0, |value, digit| value * 10 + i32::from(digit - b'0'));
    Some(if negative { -value } else { value })
}
