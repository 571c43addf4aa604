//! What the clusterings share: their result, what they refuse, distances, the names of clusters.

use std::ops::Range;

use ndarray::{ArrayView2, CowArray, Ix2};

use super::stopping::Stopped;
use crate::limits::SPECTRAL_ROWS_MAX;

/// The outcome of a grid search.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<M> {
    /// What was fitted, by the best parameters of the grid.
    pub model: M,
    /// The cluster of each row. Clusters are numbered from 0 in the order in which rows first are
    /// in them, without gaps.
    pub labels: Vec<usize>,
    /// The Calinski-Harabasz index of the labels; 0 where it has no meaning (one cluster, or one
    /// row in each).
    pub score: f64,
}

/// Rows that cannot be clustered. Names counts and places, never a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody waits for it any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// Fewer rows than the least number of clusters.
    #[error("{rows} rows are too few: clustering takes at least {least}")]
    TooFewRows {
        /// Rows there are.
        rows: usize,
        /// Clusters in the smallest clustering of the grid.
        least: usize,
    },
    /// Nothing tells one row from another.
    #[error("all rows are equal: there is nothing to cluster by")]
    EqualRows,
    /// A value is infinite, not a number, or so large that its square would be.
    #[error("row {row}, column {column} (both from 0) is not a number within {MAGNITUDE_MAX:e}")]
    OutOfRange {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
    },
    /// The similarities of so many rows would not fit.
    #[error("{rows} rows are too many: spectral clustering takes at most {SPECTRAL_ROWS_MAX}")]
    TooManyRows {
        /// Rows there are.
        rows: usize,
    },
    /// No setting of Birch's grid condenses the rows enough.
    #[error(
        "{rows} rows are too scattered: Birch condenses them to more than {most} subclusters at \
         every threshold"
    )]
    TooScattered {
        /// Rows there are.
        rows: usize,
        /// Subclusters of as many columns that are taken.
        most: usize,
    },
}

/// The greatest magnitude of a value: squares of such values can be summed.
const MAGNITUDE_MAX: f64 = 1e100;

/// Checks what every clustering needs of its rows, and lays them out one after another.
///
/// # Errors
/// When there are fewer than `least`, one is out of range, or all are equal.
pub(super) fn check<'a>(
    rows: &'a ArrayView2<'_, f64>,
    least: usize,
) -> Result<CowArray<'a, f64, Ix2>, Error> {
    let count = rows.nrows();
    if count < least {
        return Err(Error::TooFewRows { rows: count, least });
    }
    let outside = |x: f64| x.is_nan() || x.abs() > MAGNITUDE_MAX;
    if let Some(((row, column), _)) = rows.indexed_iter().find(|&(_, &x)| outside(x)) {
        return Err(Error::OutOfRange { row, column });
    }
    if rows.outer_iter().all(|row| row == rows.row(0)) {
        return Err(Error::EqualRows);
    }
    Ok(rows.as_standard_layout())
}

/// Points one after another, of at least one coordinate each.
#[derive(Clone, Copy)]
pub(super) struct Points<'a> {
    values: &'a [f64],
    columns: usize,
}

impl<'a> Points<'a> {
    /// The points that `values` lists.
    pub(super) fn new(values: &'a [f64], columns: usize) -> Self {
        Points { values, columns }
    }

    /// The rows that [`check`] laid out.
    pub(super) fn of(rows: &'a CowArray<'_, f64, Ix2>) -> Self {
        let values = rows.as_slice().expect("`check` lays them out so");
        Points::new(values, rows.ncols())
    }

    /// Coordinates of a point.
    pub(super) fn columns(self) -> usize {
        self.columns
    }

    /// Number of points.
    pub(super) fn len(self) -> usize {
        self.values.len() / self.columns
    }

    /// The point at a place.
    pub(super) fn get(self, index: usize) -> &'a [f64] {
        &self.values[index * self.columns..][..self.columns]
    }

    /// All of them, in order.
    pub(super) fn iter(self) -> std::slice::ChunksExact<'a, f64> {
        self.values.chunks_exact(self.columns)
    }

    /// The points of a range of places.
    pub(super) fn range(self, places: Range<usize>) -> Points<'a> {
        let values = &self.values[places.start * self.columns..places.end * self.columns];
        Points { values, ..self }
    }

    /// As an array of rows.
    pub(super) fn view(self) -> ArrayView2<'a, f64> {
        ArrayView2::from_shape((self.len(), self.columns), self.values)
            .expect("the points are whole")
    }
}

/// Sums that are carried beside each other, so that a processor can add several at once: a fixed
/// order, but not that of the coordinates.
const LANES: usize = 4;

/// Sums `term` of the coordinates of two points.
#[inline(always)]
fn sum_of(a: &[f64], b: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += term(x[lane], y[lane]);
        }
    }
    for (lane, (&x, &y)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += term(x, y);
    }
    (sums[0] + sums[2]) + (sums[1] + sums[3])
}

/// The square of the Euclidean distance of two points; the same bits either way round.
#[inline]
pub(super) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    sum_of(a, b, |x, y| (x - y) * (x - y))
}

/// The inner product of two points.
#[inline]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    sum_of(a, b, |x, y| x * y)
}

/// Numbers clusters anew, from 0 in the order in which rows first are in them. Returns the former
/// number of each; those of clusters without rows are gone.
pub(super) fn number(labels: &mut [usize]) -> Vec<usize> {
    let mut former = Vec::new();
    let mut latter = Vec::new();
    for label in labels {
        if *label >= latter.len() {
            latter.resize(*label + 1, None);
        }
        *label = *latter[*label].get_or_insert_with(|| {
            former.push(*label);
            former.len() - 1
        });
    }
    former
}

/// The mean of the rows in each of `clusters` clusters, none of which is empty, one after another.
pub(super) fn means(rows: Points<'_>, labels: &[usize], clusters: usize) -> Vec<Vec<f64>> {
    let mut means = vec![vec![0.0; rows.columns()]; clusters];
    let mut counts = vec![0usize; clusters];
    for (row, &label) in rows.iter().zip(labels) {
        counts[label] += 1;
        for (sum, x) in means[label].iter_mut().zip(row) {
            *sum += x;
        }
    }
    for (mean, count) in means.iter_mut().zip(counts) {
        for x in mean {
            *x /= count as f64;
        }
    }
    means
}

/// The best of what a grid search tries: the first of the greatest scores.
pub(super) struct Best<T> {
    found: Option<(f64, T)>,
}

impl<T> Best<T> {
    /// Nothing tried yet.
    pub(super) fn new() -> Self {
        Best { found: None }
    }

    /// Keeps a candidate when none was offered before or its score is strictly greater.
    pub(super) fn offer(&mut self, score: f64, candidate: impl FnOnce() -> T) {
        if self.found.as_ref().is_none_or(|(best, _)| score > *best) {
            self.found = Some((score, candidate()));
        }
    }

    /// The best candidate and its score; `None` when none was offered.
    pub(super) fn take(self) -> Option<(f64, T)> {
        self.found
    }
}

#[cfg(test)]
pub(super) mod tests;
