//! Support vectors under the kernel `exp(-gamma |x - z|^2)`: a soft margin (C = 1) between each two
//! classes, a vote among all pairs (Chang and Lin, "LIBSVM", 2011), as scikit-learn's `SVC` by
//! default, with `gamma = 1 / (columns * variance of all values)`.
//!
//! linfa-svm holds the whole kernel (3.2 GB at 20,000 rows); here rows of it are kept in a cache of
//! bounded size and made again when they are needed again.

mod kernel;
mod margin;

use std::sync::atomic::AtomicBool;

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::Serialize;

use self::kernel::Kernel;
use super::stopping::{Stopped, heed};
use crate::limits::{MODEL_VALUES_MAX, SUPPORT_COEFFICIENTS_MAX, SUPPORT_ROWS_MAX};

/// Bytes of kernel rows that one fit keeps, all threads together.
const CACHE_BYTES: usize = 200 * 1024 * 1024;
/// Steps of one fit at most, but for more rows than a hundredth of them: as libsvm.
const ITERATIONS_MAX: usize = 10_000_000;
/// Steps for each row, with so many rows.
const ROW_ITERATIONS_MAX: usize = 100;

/// Why there are no support vectors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody waits for it any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// Too many rows.
    #[error("an SVM takes at most {SUPPORT_ROWS_MAX} rows; there are {0}")]
    Rows(usize),
    /// Rows that no model file could hold if all were support vectors.
    #[error(
        "an SVM takes at most {MODEL_VALUES_MAX} values; there are {rows} rows of {columns} \
         columns, counting one for each value of a text column: use fewer rows or columns"
    )]
    Values {
        /// Rows.
        rows: usize,
        /// Encoded columns.
        columns: usize,
    },
    /// Too many rows for so many classes.
    #[error(
        "an SVM takes at most {SUPPORT_COEFFICIENTS_MAX} coefficients, which are rows times \
         classes less one; there are {rows} rows of {classes} classes"
    )]
    Coefficients {
        /// Rows.
        rows: usize,
        /// Classes.
        classes: usize,
    },
}

/// What separates two classes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The class of positive scores.
    pub positive: u32,
    /// The class of the others.
    pub negative: u32,
    /// Places in [`Model::support_vectors`].
    pub support: Vec<u32>,
    /// What each of those weighs: the score is the sum of weights times kernels, plus the
    /// intercept.
    pub coefficients: Vec<f64>,
    /// What is added.
    pub intercept: f64,
}

/// Support vectors and their weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// Factor of the squared distance in the kernel.
    pub gamma: f64,
    /// Rows of the training that some pair of classes needs, in its order.
    pub support_vectors: Vec<Vec<f64>>,
    /// Each two classes; ordered by the first, then the second.
    pub pairs: Vec<Pair>,
    /// Whether each pair's fit ended by its tolerance, and not by the number of its steps.
    pub converged: bool,
}

/// Fits rows x columns of finite values; `classes` has each row's class, below `count`; each class
/// has a row.
///
/// # Errors
/// When there are too many rows or values, or `stop` is set.
///
/// # Panics
/// When there is not one class for each row.
pub fn fit(
    rows: ArrayView2<'_, f64>,
    classes: &[u32],
    count: usize,
    stop: &AtomicBool,
) -> Result<Model, Error> {
    assert_eq!(rows.nrows(), classes.len());
    check(rows, count)?;
    let gamma = gamma(rows);
    let mut members = vec![Vec::new(); count];
    for (row, class) in classes.iter().enumerate() {
        members[*class as usize].push(row);
    }
    let couples: Vec<(usize, usize)> = (0..count)
        .flat_map(|positive| (positive + 1..count).map(move |negative| (positive, negative)))
        .collect();
    let cache = CACHE_BYTES / couples.len().min(rayon::current_num_threads()).max(1);
    let fitted: Vec<(Pair, bool)> = couples
        .into_par_iter()
        .map(|(positive, negative)| {
            let both = [members[positive].as_slice(), &members[negative]].concat();
            let kernel = Kernel::new(rows, &both, gamma);
            let steps = ITERATIONS_MAX.max(ROW_ITERATIONS_MAX * both.len());
            let first = members[positive].len();
            let margin = margin::fit(&kernel, first, (cache, steps), stop)?;
            let (support, coefficients) = margin
                .weights
                .iter()
                .zip(&both)
                .filter(|(weight, _)| **weight != 0.0)
                .map(|(weight, row)| (*row as u32, *weight))
                .unzip();
            let pair = Pair {
                positive: positive as u32,
                negative: negative as u32,
                support,
                coefficients,
                intercept: margin.intercept,
            };
            Ok((pair, margin.converged))
        })
        .collect::<Result<_, Stopped>>()?;
    let converged = fitted.iter().all(|(_, converged)| *converged);
    let mut pairs: Vec<Pair> = fitted.into_iter().map(|(pair, _)| pair).collect();
    let support_vectors = support_vectors(rows, &mut pairs);
    Ok(Model {
        gamma,
        support_vectors,
        pairs,
        converged,
    })
}

/// Refuses what takes too long, or leaves a model that is too large.
fn check(rows: ArrayView2<'_, f64>, classes: usize) -> Result<(), Error> {
    let (rows, columns) = rows.dim();
    if rows > SUPPORT_ROWS_MAX {
        return Err(Error::Rows(rows));
    }
    if rows * columns > MODEL_VALUES_MAX {
        return Err(Error::Values { rows, columns });
    }
    if rows * (classes - 1) > SUPPORT_COEFFICIENTS_MAX {
        return Err(Error::Coefficients { rows, classes });
    }
    Ok(())
}

/// The rows that some pair needs; the pairs' rows become places among them.
fn support_vectors(rows: ArrayView2<'_, f64>, pairs: &mut [Pair]) -> Vec<Vec<f64>> {
    let mut places = vec![u32::MAX; rows.nrows()];
    for row in pairs.iter().flat_map(|pair| &pair.support) {
        places[*row as usize] = 0;
    }
    let mut support_vectors = Vec::new();
    for (row, place) in places.iter_mut().enumerate() {
        if *place == 0 {
            *place = support_vectors.len() as u32;
            support_vectors.push(rows.row(row).to_vec());
        }
    }
    for row in pairs.iter_mut().flat_map(|pair| &mut pair.support) {
        *row = places[*row as usize];
    }
    support_vectors
}

/// One over the columns times the variance of all values; 1 when they are all the same.
fn gamma(rows: ArrayView2<'_, f64>) -> f64 {
    // Compared, since rounding could make a tiny variance of equal values.
    if rows.iter().all(|value| Some(value) == rows.first()) {
        return 1.0;
    }
    let count = rows.len() as f64;
    let mean = rows.iter().map(|value| value / count).sum::<f64>();
    let squares: f64 = rows.iter().map(|value| (value - mean).powi(2)).sum();
    1.0 / (rows.ncols() as f64 * (squares / count))
}

impl Model {
    /// The class with most votes for each row; the lowest of several. `count` classes are known.
    ///
    /// # Errors
    /// When `stop` is set.
    pub fn predict(
        &self,
        rows: ArrayView2<'_, f64>,
        count: usize,
        stop: &AtomicBool,
    ) -> Result<Vec<u32>, Stopped> {
        let all: Vec<usize> = (0..self.support_vectors.len()).collect();
        let columns = rows.ncols();
        let vectors = Array2::from_shape_fn((all.len(), columns), |(row, column)| {
            self.support_vectors[row][column]
        });
        let kernel = Kernel::new(vectors.view(), &all, self.gamma);
        let class = |kernels: &mut Vec<f64>, row: usize| {
            heed(stop)?;
            let mut votes = vec![0_u32; count];
            kernel.row(&rows.row(row).to_vec(), kernels);
            for pair in &self.pairs {
                let mut score = pair.intercept;
                for (place, weight) in pair.support.iter().zip(&pair.coefficients) {
                    score += weight * kernels[*place as usize];
                }
                let winner = if score > 0.0 {
                    pair.positive
                } else {
                    pair.negative
                };
                votes[winner as usize] += 1;
            }
            let winner = (0..count).rev().max_by_key(|class| votes[*class]);
            Ok(winner.unwrap_or(0) as u32)
        };
        (0..rows.nrows())
            .into_par_iter()
            .map_init(|| vec![0.0; all.len()], class)
            .collect()
    }
}

#[cfg(test)]
mod tests;
