//! K-Means: Lloyd's iteration from several starts, and the reference's search for the number of
//! clusters.
//!
//! The reference scores each number with one run of mini-batches and then fits once more from one
//! start, both of which end where their seed happens to lead. Here each number is scored by the
//! best of several starts, the best one run to its end, and what was scored is what is returned.
//!
//! Not linfa's: its best of ten starts ends farther out (inertia 89,923 for 4 clusters of digits
//! against 89,199 here and 89,113 by scikit-learn's best of fifty; 9,336 for 4 of wdbc against 9,259
//! and 9,257), takes three to six times as long on 20,000 rows of 20 columns, and brings crates.

use std::ops::RangeInclusive;
use std::sync::atomic::AtomicBool;

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::Serialize;

use super::calinski_harabasz;
use super::clustering::{Best, Error, Found, Points, check, means, number, squared_distance};
use super::stopping::{Stopped, heed};
use crate::draw::Draw;

/// Numbers of clusters that the search tries.
const CLUSTERS: [usize; 4] = [2, 3, 4, 5];
/// Starts for each number, at least and at most.
const STARTS: RangeInclusive<usize> = 10..=50;
/// Values that all starts together may pass over at once: small tables get more starts.
const STARTS_VALUES: usize = 2_000_000;
/// Passes over the rows after which a start ends even if rows still move.
const ITERATIONS_MAX: usize = 300;
/// The sum of squared moves of the means at which a start ends, in mean variances of a column.
const TOLERANCE: f64 = 1e-4;

/// Clusters around means: a row belongs to the nearest one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// The mean of each cluster's rows, in the units of the rows.
    pub centroids: Vec<Vec<f64>>,
    /// The sum over rows of the squared distance to the nearest centroid.
    pub inertia: f64,
}

/// Clusters rows that are already scaled, into the number of clusters from 2 to 5 of the greatest
/// Calinski-Harabasz index.
///
/// # Errors
/// When there are fewer than 2 rows, all are equal, or a value is out of range, or `stop` is set.
pub fn search(rows: ArrayView2<'_, f64>, stop: &AtomicBool) -> Result<Found<Model>, Error> {
    let rows = check(&rows, CLUSTERS[0])?;
    let rows = Points::of(&rows);
    let mut best = Best::new();
    for clusters in CLUSTERS.into_iter().filter(|&k| k <= rows.len()) {
        let fit = fit(rows, clusters, starts(rows), stop)?;
        let score = calinski_harabasz::score(rows, &fit.labels, fit.clusters());
        best.offer(score, || fit);
    }
    let (score, fit) = best.take().expect("there are rows for the first number");
    Ok(Found {
        model: Model {
            centroids: fit
                .centroids
                .chunks(rows.columns())
                .map(Vec::from)
                .collect(),
            inertia: fit.inertia,
        },
        labels: fit.labels,
        score,
    })
}

/// Starts for some rows.
fn starts(rows: Points<'_>) -> usize {
    let affordable = STARTS_VALUES / (rows.len() * rows.columns());
    affordable.clamp(*STARTS.start(), *STARTS.end())
}

/// What one start, or the best of several, ended in.
pub(super) struct Fit {
    /// Numbered as in [`Found::labels`].
    pub(super) labels: Vec<usize>,
    /// One after another.
    centroids: Vec<f64>,
    inertia: f64,
}

impl Fit {
    /// Clusters that have rows: fewer than asked for where there are fewer distinct rows.
    pub(super) fn clusters(&self) -> usize {
        self.labels.iter().max().map_or(0, |last| last + 1)
    }
}

/// The fit of the least inertia, the first of equal ones, of several starts. Starts end when means
/// hardly move, as scikit-learn's do; the best one goes on until no row changes its cluster.
pub(super) fn fit(
    rows: Points<'_>,
    clusters: usize,
    starts: usize,
    stop: &AtomicBool,
) -> Result<Fit, Stopped> {
    let least = |one: Fit, other: Fit| {
        if other.inertia < one.inertia {
            Ok(other)
        } else {
            Ok(one)
        }
    };
    let tolerance = TOLERANCE * mean_variance(rows);
    let best = (0..starts)
        .into_par_iter()
        .map(|start| {
            let mut draw = Draw::new(b"k-means", &format!("{clusters} clusters, start {start}"));
            let first = plus_plus(rows, clusters, &mut draw, stop)?;
            lloyd(rows, first, tolerance, stop)
        })
        .try_reduce_with(least)
        .expect("there is a start")?;
    let mut fit = lloyd(rows, best.centroids, 0.0, stop)?;
    let former = number(&mut fit.labels);
    let centroids = Points::new(&fit.centroids, rows.columns());
    fit.centroids = former
        .iter()
        .flat_map(|&cluster| centroids.get(cluster))
        .copied()
        .collect();
    Ok(fit)
}

/// The mean over the columns of their population variances.
fn mean_variance(rows: Points<'_>) -> f64 {
    let mean = means(rows, &vec![0; rows.len()], 1).remove(0);
    let sum: f64 = rows.iter().map(|row| squared_distance(row, &mean)).sum();
    sum / (rows.len() * rows.columns()) as f64
}

/// First means: rows that lie far from each other, by the greedy variant of k-means++ (Arthur and
/// Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007). Each next one is the
/// best of a few rows, drawn by their squared distance from the nearest before. Fewer than asked
/// for when there are fewer distinct rows.
fn plus_plus(
    rows: Points<'_>,
    clusters: usize,
    draw: &mut Draw,
    stop: &AtomicBool,
) -> Result<Vec<f64>, Stopped> {
    let trials = 2 + libm::log(clusters as f64) as usize;
    let first = ((draw.uniform() * rows.len() as f64) as usize).min(rows.len() - 1);
    let mut centroids = rows.get(first).to_vec();
    let mut nearest: Vec<f64> = rows
        .iter()
        .map(|row| squared_distance(row, rows.get(first)))
        .collect();
    for _ in 1..clusters {
        let total: f64 = nearest.iter().sum();
        if total == 0.0 {
            break;
        }
        let mut best = Best::new();
        for _ in 0..trials {
            heed(stop)?;
            let candidate = rows.get(drawn(&nearest, draw.uniform() * total));
            let nearest: Vec<f64> = rows
                .iter()
                .zip(&nearest)
                .map(|(row, before)| before.min(squared_distance(row, candidate)))
                .collect();
            best.offer(-nearest.iter().sum::<f64>(), || (candidate, nearest));
        }
        let (_, (candidate, nearer)) = best.take().expect("there are trials");
        centroids.extend(candidate);
        nearest = nearer;
    }
    Ok(centroids)
}

/// The place at which the running sum of weights passes a mark: one of positive weight.
fn drawn(weights: &[f64], mark: f64) -> usize {
    let mut sum = 0.0;
    let mut last = 0;
    for (place, weight) in weights.iter().enumerate() {
        if *weight > 0.0 {
            last = place;
            sum += weight;
            if sum > mark {
                break;
            }
        }
    }
    last
}

/// Moves every mean to the mean of the rows nearest to it, again and again (Lloyd, "Least squares
/// quantization in PCM", 1982), until no row changes its cluster or the sum of the means' squared
/// moves is at most `tolerance`. A mean without rows stays where it is.
fn lloyd(
    rows: Points<'_>,
    mut centroids: Vec<f64>,
    tolerance: f64,
    stop: &AtomicBool,
) -> Result<Fit, Stopped> {
    let columns = rows.columns();
    let mut labels = vec![usize::MAX; rows.len()];
    for iteration in 0.. {
        heed(stop)?;
        let mut sums = vec![0.0; centroids.len()];
        let mut counts = vec![0usize; centroids.len() / columns];
        let (mut inertia, mut changed) = (0.0, false);
        for (row, label) in rows.iter().zip(&mut labels) {
            let (nearest, distance) = nearest(row, Points::new(&centroids, columns));
            changed |= *label != nearest;
            *label = nearest;
            inertia += distance;
            counts[nearest] += 1;
            for (sum, x) in sums[nearest * columns..].iter_mut().zip(row) {
                *sum += x;
            }
        }
        let mut moved = 0.0;
        let clusters = centroids
            .chunks_exact_mut(columns)
            .zip(sums.chunks_exact_mut(columns));
        for ((centroid, mean), &count) in clusters.zip(&counts).filter(|(_, count)| **count > 0) {
            mean.iter_mut().for_each(|x| *x /= count as f64);
            moved += squared_distance(centroid, mean);
            centroid.copy_from_slice(mean);
        }
        if !changed || moved <= tolerance || iteration == ITERATIONS_MAX {
            return Ok(Fit {
                labels,
                centroids,
                inertia,
            });
        }
    }
    unreachable!("the iterations are bounded")
}

/// The nearest centroid, the first of equally near ones, and its squared distance.
fn nearest(row: &[f64], centroids: Points<'_>) -> (usize, f64) {
    let mut best = (0, f64::INFINITY);
    for (cluster, centroid) in centroids.iter().enumerate() {
        let distance = squared_distance(row, centroid);
        if distance < best.1 {
            best = (cluster, distance);
        }
    }
    best
}

#[cfg(test)]
mod tests;
