//! Reading a matrix, byte by byte: RFC 8259's numbers, arrays and white space.

use super::{Error, Matrix};
use crate::limits::{DECIMALS_MAX, MATRIX_VALUES_MAX, SUM_DIGITS_MAX};

/// Exponents stop counting here: no text has digits enough to make up for so many places.
const EXPONENT_MAX: i64 = 1_000_000_000_000_000;

pub(super) fn matrix(text: &[u8], digits: u32) -> Result<Matrix, Error> {
    let mut reader = Reader {
        rest: text,
        row: 1,
        column: 1,
        digits: digits.min(SUM_DIGITS_MAX),
    };
    // Large enough at once: a vector that grew would leave secrets behind.
    let commas = text.iter().filter(|byte| **byte == b',').count();
    let mut matrix = Matrix {
        rows: 1,
        columns: 1,
        values: Vec::with_capacity(MATRIX_VALUES_MAX.min(commas + 1)),
    };
    if reader.take(b'[') {
        reader.rows(&mut matrix)?;
    } else {
        matrix.values.push(reader.number()?);
    }
    reader.space();
    match reader.rest {
        [] => Ok(matrix),
        [_, ..] => Err(reader.expected("the end")),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    /// Where it is, for errors.
    row: usize,
    column: usize,
    /// That a value may have before the point.
    digits: u32,
}

impl Reader<'_> {
    fn expected(&self, expected: &'static str) -> Error {
        Error::Syntax {
            row: self.row,
            column: self.column,
            expected,
        }
    }

    fn space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Takes this byte, and the white space before it, if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    /// Whether an array goes on; takes its comma or its end.
    fn more(&mut self) -> Result<bool, Error> {
        if self.take(b',') {
            return Ok(true);
        }
        match self.take(b']') {
            true => Ok(false),
            false => Err(self.expected("`,` or `]` after it")),
        }
    }

    /// What follows the outer bracket.
    fn rows(&mut self, matrix: &mut Matrix) -> Result<(), Error> {
        if self.take(b']') {
            return Err(Error::Empty { row: 1 });
        }
        let mut columns = None;
        loop {
            if !self.take(b'[') {
                return Err(self.expected("`[`, for a matrix is an array of rows"));
            }
            let found = self.values(matrix, columns)?;
            let columns = *columns.get_or_insert(found);
            if found != columns {
                let row = self.row;
                return Err(Error::Ragged { row, columns });
            }
            // Both are at most MATRIX_VALUES_MAX.
            matrix.rows = self.row as u32;
            matrix.columns = columns as u32;
            if !self.more()? {
                return Ok(());
            }
            self.row += 1;
            self.column = 1;
        }
    }

    /// What follows a row's bracket; how many they were.
    fn values(&mut self, matrix: &mut Matrix, columns: Option<usize>) -> Result<usize, Error> {
        let row = self.row;
        if self.take(b']') {
            return Err(Error::Empty { row });
        }
        loop {
            let column = self.column;
            if let Some(columns) = columns.filter(|columns| column > *columns) {
                return Err(Error::Ragged { row, columns });
            }
            if matrix.values.len() == MATRIX_VALUES_MAX {
                return Err(Error::TooMany { row, column });
            }
            self.space();
            matrix.values.push(self.number()?);
            if !self.more()? {
                return Ok(column);
            }
            self.column += 1;
        }
    }

    /// A number, scaled.
    fn number(&mut self) -> Result<i128, Error> {
        const EXPECTED: &str = "a number as JSON writes it";
        let negative = self.next_if(|byte| byte == b'-').is_some();
        let mut digits = Digits::default();
        match self.next_if(|byte| byte.is_ascii_digit()) {
            None => return Err(self.expected(EXPECTED)),
            Some(b'0') => {}
            Some(first) => {
                digits.push(first);
                self.digits_into(&mut digits);
            }
        }
        let mut places = 0;
        if self.next_if(|byte| byte == b'.').is_some() {
            places = self.digits_into(&mut digits);
            if places == 0 {
                return Err(self.expected(EXPECTED));
            }
        }
        let mut exponent = 0;
        if self.next_if(|byte| matches!(byte, b'e' | b'E')).is_some() {
            exponent = self.exponent().ok_or(self.expected(EXPECTED))?;
        }
        let value = self.scaled(&digits, exponent - places)?;
        Ok(if negative { -value } else { value })
    }

    fn next_if(&mut self, wanted: impl Fn(u8) -> bool) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        wanted(byte).then(|| {
            self.rest = rest;
            byte
        })
    }

    /// How many digits followed.
    fn digits_into(&mut self, digits: &mut Digits) -> i64 {
        let mut count = 0;
        while let Some(digit) = self.next_if(|byte| byte.is_ascii_digit()) {
            digits.push(digit);
            count += 1;
        }
        count
    }

    /// What follows an `e`, up to [`EXPONENT_MAX`].
    fn exponent(&mut self) -> Option<i64> {
        let sign = self.next_if(|byte| matches!(byte, b'+' | b'-'));
        let mut exponent = None;
        while let Some(digit) = self.next_if(|byte| byte.is_ascii_digit()) {
            let more = exponent.unwrap_or(0) * 10 + i64::from(digit - b'0');
            exponent = Some(more.min(EXPONENT_MAX));
        }
        exponent.map(|exponent| {
            if sign == Some(b'-') {
                -exponent
            } else {
                exponent
            }
        })
    }

    /// The value of digits of which the last stands for ten to the power of `place`.
    fn scaled(&self, digits: &Digits, place: i64) -> Result<i128, Error> {
        let (row, column) = (self.row, self.column);
        if digits.significant == 0 {
            return Ok(0);
        }
        let last = place + (digits.count - digits.significant);
        if last + digits.significant > i64::from(self.digits) {
            return Err(Error::Digits {
                row,
                column,
                digits: self.digits,
            });
        }
        match u32::try_from(last + i64::from(DECIMALS_MAX)) {
            Err(_) => Err(Error::Decimals { row, column }),
            // At most 36 digits by now: the mantissa is exact and the product below 10^36.
            Ok(zeros) => Ok((digits.mantissa * 10u128.pow(zeros)) as i128),
        }
    }
}

/// The digits of a number from its first that is not zero.
#[derive(Default)]
struct Digits {
    /// How many.
    count: i64,
    /// How many up to the last that is not zero.
    significant: i64,
    /// These; exact while they are not more than 38.
    mantissa: u128,
}

impl Digits {
    fn push(&mut self, digit: u8) {
        let digit = u128::from(digit - b'0');
        if self.count == 0 && digit == 0 {
            return;
        }
        self.count += 1;
        if digit == 0 {
            return;
        }
        let places = (self.count - self.significant).min(64) as u32;
        let shifted = self.mantissa.wrapping_mul(10u128.wrapping_pow(places));
        self.mantissa = shifted.wrapping_add(digit);
        self.significant = self.count;
    }
}
