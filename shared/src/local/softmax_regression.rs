//! Logistic regression of two classes or more: the softmax of linear scores, for two classes one
//! score against zero. The mean log loss plus `|coefficients|^2 / (2 C n)` is made small by L-BFGS
//! (no intercept is punished), from zero, until no partial derivative exceeds the tolerance.
//!
//! Scikit-learn's `LogisticRegression(C=1, tol=0.01)` with the steps of its minimiser, so that a
//! tolerance as wide as that ends at the same coefficients. linfa-logistic 0.8.1 was measured first:
//! its loss is a sum, so that the tolerance means another point (first coefficient 1.2801 where
//! scikit-learn has 1.2382 on 20,000 x 20), and it is slower than scikit-learn (44 ms to 33 ms with
//! two classes, 183 ms to 38 ms with four).

mod minimum;

use std::sync::atomic::AtomicBool;

use ndarray::{ArrayView1, ArrayView2, Axis, Slice};
use rayon::prelude::*;
use serde::Serialize;

use self::minimum::minimum;
use super::stopping::{Stopped, heed};
use crate::limits::COEFFICIENTS_MAX;

/// Weight of the loss beside the squared coefficients.
const C: f64 = 1.0;
/// Largest partial derivative at the end.
const TOLERANCE: f64 = 0.01;
/// Pieces of the rows that are summed by themselves, then added in order.
const PIECES: usize = 16;
/// Rows of such a piece at least.
const PIECE_ROWS_MIN: usize = 256;

/// Why there is no regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody waits for it any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// More than can be fitted.
    #[error(
        "a logistic regression takes at most {COEFFICIENTS_MAX} coefficients; {classes} classes of \
         {columns} columns, counting one for each value of a text column, are more"
    )]
    Coefficients {
        /// Classes.
        classes: usize,
        /// Encoded columns.
        columns: usize,
    },
}

/// A linear model of the classes' log odds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// For each class one coefficient for each encoded column; with two classes only the second's,
    /// whose score is compared with 0.
    pub coefficients: Vec<Vec<f64>>,
    /// What is added to each score.
    pub intercepts: Vec<f64>,
    /// Steps that the fit took.
    pub iterations: u32,
    /// Whether the fit ended by its tolerance.
    pub converged: bool,
}

/// Fits rows x columns of scaled values; `classes` has each row's class, below `count`, at least 2.
///
/// # Errors
/// When there are too many coefficients, or `stop` is set.
///
/// # Panics
/// When there are no rows, or not one class for each.
pub fn fit(
    rows: ArrayView2<'_, f64>,
    classes: &[u32],
    count: usize,
    stop: &AtomicBool,
) -> Result<Model, Error> {
    assert!(rows.nrows() == classes.len() && !classes.is_empty() && count >= 2);
    let scores = if count == 2 { 1 } else { count };
    let width = rows.ncols() + 1;
    if scores * width > COEFFICIENTS_MAX {
        return Err(Error::Coefficients {
            classes: count,
            columns: rows.ncols(),
        });
    }
    let found = minimum(vec![0.0; scores * width], TOLERANCE, |weights| {
        loss(rows, classes, (scores, weights), stop)
    })?;
    let weights: Vec<&[f64]> = found.place.chunks(width).collect();
    Ok(Model {
        coefficients: weights.iter().map(|w| w[..width - 1].to_vec()).collect(),
        intercepts: weights.iter().map(|w| w[width - 1]).collect(),
        iterations: found.iterations,
        converged: found.converged,
    })
}

/// The loss and its gradient. `weights` holds for each score the coefficients, then the intercept.
fn loss(
    rows: ArrayView2<'_, f64>,
    classes: &[u32],
    (scores, weights): (usize, &[f64]),
    stop: &AtomicBool,
) -> Result<(f64, Vec<f64>), Stopped> {
    let (count, width) = (rows.nrows(), rows.ncols() + 1);
    let piece = count.div_ceil(PIECES).max(PIECE_ROWS_MIN);
    let sums = (0..count.div_ceil(piece))
        .into_par_iter()
        .map(|index| {
            let piece = index * piece..count.min((index + 1) * piece);
            sums(
                rows.slice_axis(Axis(0), Slice::from(piece.clone())),
                &classes[piece],
                (scores, weights),
                stop,
            )
        })
        .collect::<Result<Vec<(f64, Vec<f64>)>, Stopped>>()?;
    let (mut loss, mut gradient) = (0.0, vec![0.0; weights.len()]);
    for (part, parts) in sums {
        loss += part;
        for (sum, part) in gradient.iter_mut().zip(parts) {
            *sum += part;
        }
    }
    let (n, strength) = (count as f64, 1.0 / (C * count as f64));
    loss /= n;
    for (index, (sum, weight)) in gradient.iter_mut().zip(weights).enumerate() {
        *sum /= n;
        if index % width < width - 1 {
            *sum += strength * weight;
            loss += 0.5 * strength * weight * weight;
        }
    }
    Ok((loss, gradient))
}

/// The sums over some rows of the loss and its gradient.
fn sums(
    rows: ArrayView2<'_, f64>,
    classes: &[u32],
    (scores, weights): (usize, &[f64]),
    stop: &AtomicBool,
) -> Result<(f64, Vec<f64>), Stopped> {
    let width = rows.ncols() + 1;
    let (mut loss, mut gradient) = (0.0, vec![0.0; weights.len()]);
    let mut errors = vec![0.0; scores];
    for (values, class) in rows.outer_iter().zip(classes) {
        heed(stop)?;
        for (score, weights) in errors.iter_mut().zip(weights.chunks(width)) {
            *score = linear(values, weights);
        }
        loss += to_errors(&mut errors, *class as usize);
        for (error, sums) in errors.iter().zip(gradient.chunks_mut(width)) {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += error * value;
            }
            sums[width - 1] += error;
        }
    }
    Ok((loss, gradient))
}

fn linear(values: ArrayView1<'_, f64>, weights: &[f64]) -> f64 {
    let mut score = weights[values.len()];
    for (weight, value) in weights.iter().zip(values) {
        score += weight * value;
    }
    score
}

/// Turns a row's scores into its probabilities less the truth, and returns its loss.
fn to_errors(scores: &mut [f64], class: usize) -> f64 {
    if let [score] = scores {
        let (z, truth) = (*score, class as f64);
        let small = libm::exp(-z.abs());
        let probability = if z >= 0.0 { 1.0 } else { small } / (1.0 + small);
        *score = probability - truth;
        return z.max(0.0) + libm::log1p(small) - truth * z;
    }
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let own = scores[class];
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = libm::exp(*score - most);
        sum += *score;
    }
    for score in scores.iter_mut() {
        *score /= sum;
    }
    scores[class] -= 1.0;
    libm::log(sum) + most - own
}

impl Model {
    /// The class of the greatest score of each row; the lowest of several.
    ///
    /// # Errors
    /// When `stop` is set.
    pub fn predict(
        &self,
        rows: ArrayView2<'_, f64>,
        stop: &AtomicBool,
    ) -> Result<Vec<u32>, Stopped> {
        let weights: Vec<Vec<f64>> = self
            .coefficients
            .iter()
            .zip(&self.intercepts)
            .map(|(coefficients, intercept)| [coefficients, &[*intercept][..]].concat())
            .collect();
        let class = |row: usize| {
            heed(stop)?;
            let score = |weights: &Vec<f64>| linear(rows.row(row), weights);
            if let [weights] = weights.as_slice() {
                return Ok(u32::from(score(weights) > 0.0));
            }
            let first = (0, f64::NEG_INFINITY);
            let scores = weights.iter().map(score).zip(0..);
            let best = scores.fold(
                first,
                |best: (u32, f64), (score, class)| {
                    if score > best.1 { (class, score) } else { best }
                },
            );
            Ok(best.0)
        };
        (0..rows.nrows()).into_par_iter().map(class).collect()
    }
}

#[cfg(test)]
mod tests;
