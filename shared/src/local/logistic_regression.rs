//! Binary logistic regression on one table: row-exact sums, descent, scores.
//!
//! A *row-exact* sum rounds each row's term once to a multiple of 2^-40 and adds integers, so it
//! does not depend on the order of rows, on who holds them, or on how many threads add them. Every
//! floating-point operation here is plain IEEE 754 in a fixed order, with `libm` for exp and log,
//! so that every machine gets the same bits.
//!
//! Weights are `columns + 1` numbers: coefficients, then the intercept (0 in a model without one).

mod descent;
mod pooled;

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Array2, ArrayView1, ArrayView2};

pub use descent::{Descent, Stop};
pub use pooled::fit;
pub(crate) use pooled::model;
use rayon::prelude::*;

use crate::draw::{self, Draw};
use crate::fixed_point::{self, RangeError};
use crate::limits::FRACTION_BITS;
use crate::model::{Model, Standardization};
use crate::table::Ids;

/// Sums over some rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GradientSum {
    /// `columns + 1` sums of `(p - y) x_j`, intercept last; unscaled by row count; 2^-40.
    pub gradient: Vec<i128>,
    /// Rows summed.
    pub rows: i128,
}

/// The logistic function, in the branch that does not overflow.
pub fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + libm::exp(-z))
    } else {
        let e = libm::exp(z);
        e / (1.0 + e)
    }
}

/// `log(1 + exp(z))`, without overflow.
fn softplus(z: f64) -> f64 {
    z.max(0.0) + libm::log1p(libm::exp(-z.abs()))
}

/// `w . x + b`, added in ascending order of the columns.
fn linear(row: ArrayView1<'_, f64>, weights: &[f64]) -> f64 {
    let mut z = weights[row.len()];
    for (w, x) in weights.iter().zip(row) {
        z += w * x;
    }
    z
}

/// Values in a table from which on a sum is split over the threads of the present pool; below, the
/// threads would cost more than they save.
const PARALLEL_VALUES_MIN: usize = 1 << 15;
/// Rows that one thread sums at a time.
const PARALLEL_ROWS: usize = 512;

/// Adds up `width` integers over rows: `add` adds one row's terms. Integers add up to the same sum
/// in any order, so threads change no bit.
fn sum_rows(
    values: ArrayView2<'_, f64>,
    width: usize,
    add: impl Fn(&mut [i128], usize, ArrayView1<'_, f64>) -> Result<(), RangeError> + Sync,
) -> Result<Vec<i128>, RangeError> {
    let over = |rows: Range<usize>| {
        let mut sums = vec![0; width];
        for index in rows {
            add(&mut sums, index, values.row(index))?;
        }
        Ok(sums)
    };
    let rows = values.nrows();
    if values.len() < PARALLEL_VALUES_MIN {
        return over(0..rows);
    }
    let plus = |mut sums: Vec<i128>, more: Vec<i128>| {
        for (sum, term) in sums.iter_mut().zip(more) {
            *sum += term;
        }
        Ok(sums)
    };
    (0..rows.div_ceil(PARALLEL_ROWS))
        .into_par_iter()
        .map(|chunk| over(chunk * PARALLEL_ROWS..rows.min((chunk + 1) * PARALLEL_ROWS)))
        .try_reduce(|| vec![0; width], plus)
}

/// Sums the gradient of the log loss over the rows for which `within` is true.
///
/// # Errors
/// When a term is not finite or leaves the range of a slot.
pub fn gradient_sum(
    values: ArrayView2<'_, f64>,
    positive: &[bool],
    weights: &[f64],
    within: impl Fn(usize) -> bool + Sync,
) -> Result<GradientSum, RangeError> {
    let columns = values.ncols();
    let mut gradient = sum_rows(values, columns + 2, |sums, index, row| {
        if !within(index) {
            return Ok(());
        }
        let error = sigmoid(linear(row, weights)) - f64::from(positive[index]);
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += fixed_point::encode(error * x, FRACTION_BITS)?;
        }
        sums[columns] += fixed_point::encode(error, FRACTION_BITS)?;
        sums[columns + 1] += 1;
        Ok(())
    })?;
    let rows = gradient.pop().unwrap_or_default();
    Ok(GradientSum { gradient, rows })
}

/// Sums the log loss over all rows; 2^-40.
///
/// # Errors
/// As [`gradient_sum`].
pub fn loss_sum(
    values: ArrayView2<'_, f64>,
    positive: &[bool],
    weights: &[f64],
) -> Result<i128, RangeError> {
    let sums = sum_rows(values, 1, |sums, index, row| {
        let z = linear(row, weights);
        let loss = softplus(if positive[index] { -z } else { z });
        sums[0] += fixed_point::encode(loss, FRACTION_BITS)?;
        Ok(())
    })?;
    Ok(sums[0])
}

/// Sums each column; 2^-40.
///
/// # Errors
/// When a value leaves the range of a slot.
pub fn column_sums(values: ArrayView2<'_, f64>) -> Result<Vec<i128>, RangeError> {
    sum_rows(values, values.ncols(), |sums, _, row| {
        for (sum, &x) in sums.iter_mut().zip(row) {
            *sum += fixed_point::encode(x, FRACTION_BITS)?;
        }
        Ok(())
    })
}

/// Sums each column's squared deviation from `mean`, in two limbs: all high limbs, then all low
/// ones (see [`fixed_point::square_limbs`]).
///
/// # Errors
/// When a square leaves the range of its limbs.
pub fn square_sums(values: ArrayView2<'_, f64>, mean: &[f64]) -> Result<Vec<i128>, RangeError> {
    let columns = values.ncols();
    sum_rows(values, 2 * columns, |sums, _, row| {
        for (column, &x) in row.iter().enumerate() {
            let (high, low) = fixed_point::square_limbs(x - mean[column])?;
            sums[column] += high;
            sums[columns + column] += low;
        }
        Ok(())
    })
}

/// The means that column sums over `rows` rows say.
pub fn means(sums: &[i128], rows: i128) -> Vec<f64> {
    sums.iter()
        .map(|&sum| fixed_point::decode(sum, FRACTION_BITS) / rows as f64)
        .collect()
}

/// The population deviations that squared sums (high limbs, then low ones) over `rows` rows say;
/// 1 for a constant column.
pub fn deviations(limbs: &[i128], rows: i128) -> Vec<f64> {
    let (high, low) = limbs.split_at(limbs.len() / 2);
    high.iter()
        .zip(low)
        .map(|(&high, &low)| {
            let deviation = libm::sqrt(fixed_point::from_square_limbs(high, low) / rows as f64);
            if deviation == 0.0 { 1.0 } else { deviation }
        })
        .collect()
}

/// Centres and scales every column in place.
pub fn standardize(values: &mut Array2<f64>, by: &Standardization) {
    for mut row in values.rows_mut() {
        for (column, x) in row.iter_mut().enumerate() {
            *x = (*x - by.mean[column]) / by.deviation[column];
        }
    }
}

/// Which mini-batch each row is in: a keyed hash of its name, so that a batch does not depend on
/// who holds a row or in which order.
pub struct Batches {
    count: u32,
    of_row: Vec<u32>,
}

impl Batches {
    /// Deals rows, named by `ids`, to `count` batches.
    pub fn new(shape: &[u8], ids: &Ids, count: u32) -> Self {
        let of_row = if count == 1 {
            Vec::new()
        } else {
            let key = Draw::new(shape, "batches").key();
            ids.iter().map(|id| draw::batch(&key, id, count)).collect()
        };
        Batches { count, of_row }
    }

    /// Number of batches.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Rows of the smallest batch that has any; `None` when all rows are one batch.
    pub fn smallest(&self) -> Option<u32> {
        let mut rows = BTreeMap::new();
        for batch in &self.of_row {
            *rows.entry(batch).or_insert(0) += 1;
        }
        rows.into_values().min()
    }

    /// Whether a row is in a batch.
    pub fn contains(&self, batch: u32, row: usize) -> bool {
        self.count == 1 || self.of_row[row] == batch
    }

    /// How many batches of about `batch_rows` rows there are in `rows` rows.
    pub fn count_for(rows: i128, batch_rows: Option<u64>) -> u32 {
        match batch_rows {
            Some(size) if i128::from(size) < rows => {
                (rows as f64 / size as f64).round_ties_even().max(1.0) as u32
            }
            _ => 1,
        }
    }
}

/// The probability that a row is of the positive class.
///
/// `row` holds the model's attributes in its order, in the data's own units.
pub fn score(model: &Model, row: ArrayView1<'_, f64>) -> f64 {
    let mut z = model.intercept;
    for (column, (&w, &x)) in model.coefficients.iter().zip(row).enumerate() {
        z += w * match &model.standardization {
            Some(by) => (x - by.mean[column]) / by.deviation[column],
            None => x,
        };
    }
    sigmoid(z)
}

#[cfg(test)]
mod tests;
