//! Birch: rows condensed to subclusters by a tree, which are then merged by Ward's method (Zhang,
//! Ramakrishnan and Livny, "BIRCH: an efficient data clustering method for very large databases",
//! SIGMOD 1996), and the reference's grid search.
//!
//! The decisions are scikit-learn's. Its grid builds a tree and a dendrogram for each of the 64
//! settings; here each pair of threshold and branching is built once and cut four times, and pairs
//! that condense no row at all are built once together. Ward's distances are computed when asked
//! for rather than held, so that memory grows with the subclusters and not with their square.

mod tree;
mod ward;

use std::sync::atomic::AtomicBool;

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::Serialize;

use super::calinski_harabasz;
use super::clustering::{Best, Error, Found, Points, check, dot, number};
use super::stopping::{Stopped, heed};
use crate::limits::{BIRCH_SUBCLUSTERS_MAX, MODEL_VALUES_MAX};
use tree::Tree;
use ward::Dendrogram;

const CLUSTERS: [usize; 4] = [2, 3, 4, 5];
const THRESHOLDS: [f64; 4] = [0.1, 0.3, 0.5, 0.7];
const BRANCHINGS: [usize; 4] = [10, 20, 50, 70];

/// Subclusters and the clusters they are in: a row belongs to that of the nearest centre.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// Clusters that were asked for.
    pub clusters: usize,
    /// The greatest radius of a subcluster, in the units of the rows.
    pub threshold: f64,
    /// Subclusters that a node of the tree may hold.
    pub branching: usize,
    /// The centre of each subcluster, in the units of the rows.
    pub centres: Vec<Vec<f64>>,
    /// The cluster of each subcluster.
    pub labels: Vec<usize>,
}

/// Clusters rows that are already scaled, by the setting of the greatest Calinski-Harabasz index:
/// 2 to 5 clusters, thresholds 0.1 to 0.7, branching 10 to 70. A setting that leaves more than
/// [`BIRCH_SUBCLUSTERS_MAX`] subclusters, or [`MODEL_VALUES_MAX`] coordinates of their centres, is
/// passed over.
///
/// # Errors
/// When there are fewer than 2 rows, all are equal, a value is out of range, every setting is
/// passed over, or `stop` is set.
pub fn search(rows: ArrayView2<'_, f64>, stop: &AtomicBool) -> Result<Found<Model>, Error> {
    let rows = check(&rows, CLUSTERS[0])?;
    let most = BIRCH_SUBCLUSTERS_MAX.min(MODEL_VALUES_MAX / rows.ncols());
    search_within(Points::of(&rows), most, stop)
}

fn search_within(
    rows: Points<'_>,
    subclusters_max: usize,
    stop: &AtomicBool,
) -> Result<Found<Model>, Error> {
    // The reference tries all trees for one number of clusters before the next number: the first
    // best tree of each number, and of those the first best number, are what it finds.
    let mut bests = CLUSTERS.map(|_| Best::new());
    let mut scattered = false;
    for threshold in THRESHOLDS {
        for branching in BRANCHINGS {
            let Some(tree) = Tree::build(rows, threshold, branching, subclusters_max, stop)? else {
                continue;
            };
            // A second tree that condensed nothing could only score as the first did.
            if scattered && tree.subclusters() == rows.len() {
                continue;
            }
            scattered |= tree.subclusters() == rows.len();
            let condensed = Condensed::new(rows, tree, stop)?;
            for (best, clusters) in bests.iter_mut().zip(CLUSTERS) {
                let cut = condensed.cut(clusters);
                let score = calinski_harabasz::score(rows, &cut.labels, cut.found);
                best.offer(score, || {
                    let model = Model {
                        clusters,
                        threshold,
                        branching,
                        centres: condensed
                            .centres
                            .chunks(condensed.columns)
                            .map(Vec::from)
                            .collect(),
                        labels: cut.of_centres,
                    };
                    (model, cut.labels)
                });
            }
        }
    }
    let mut best = Best::new();
    for (score, found) in bests.into_iter().filter_map(Best::take) {
        best.offer(score, || found);
    }
    let found = best.take().ok_or(Error::TooScattered {
        rows: rows.len(),
        most: subclusters_max,
    })?;
    let (score, (model, labels)) = found;
    Ok(Found {
        model,
        labels,
        score,
    })
}

/// Rows condensed by a tree, and how their subclusters merge.
struct Condensed {
    columns: usize,
    /// One after another.
    centres: Vec<f64>,
    /// For each row, the nearest centre.
    nearest: Vec<usize>,
    dendrogram: Dendrogram,
}

/// Rows and subclusters in some number of clusters.
struct Cut {
    /// Of rows, numbered as in [`Found::labels`].
    labels: Vec<usize>,
    /// Of subclusters.
    of_centres: Vec<usize>,
    /// Clusters that have rows.
    found: usize,
}

impl Condensed {
    fn new(rows: Points<'_>, tree: Tree, stop: &AtomicBool) -> Result<Self, Stopped> {
        let centres = tree.centres();
        drop(tree);
        let points = Points::new(&centres, rows.columns());
        Ok(Condensed {
            columns: rows.columns(),
            nearest: nearest(rows, points, stop)?,
            dendrogram: Dendrogram::build(points, stop)?,
            centres,
        })
    }

    /// Merges subclusters until so many clusters are left, or as many as there are subclusters.
    fn cut(&self, clusters: usize) -> Cut {
        let of_centres = self.dendrogram.cut(clusters);
        let rows = self.nearest.len();
        let mut labels: Vec<usize> = self.nearest.iter().map(|&at| of_centres[at]).collect();
        labels.extend(of_centres);
        number(&mut labels);
        let of_centres = labels.split_off(rows);
        let found = labels.iter().max().map_or(0, |last| last + 1);
        Cut {
            labels,
            of_centres,
            found,
        }
    }
}

/// Rows, and centres, of which one thread compares all pairs at a time.
const ROWS_AT_ONCE: usize = 128;
const CENTRES_AT_ONCE: usize = 512;

/// The place of the centre nearest to each row, the first of equally near ones.
///
/// By `|c|^2 - 2 x.c`, whose products one matrix multiplication gives for many pairs.
fn nearest(
    rows: Points<'_>,
    centres: Points<'_>,
    stop: &AtomicBool,
) -> Result<Vec<usize>, Stopped> {
    let norms: Vec<f64> = centres.iter().map(|centre| dot(centre, centre)).collect();
    let of_chunk = |start: usize| {
        let chunk = rows.range(start..rows.len().min(start + ROWS_AT_ONCE));
        let mut best = vec![(f64::INFINITY, 0); chunk.len()];
        for first in (0..centres.len()).step_by(CENTRES_AT_ONCE) {
            heed(stop)?;
            let block = centres.range(first..centres.len().min(first + CENTRES_AT_ONCE));
            let products = chunk.view().dot(&block.view().t());
            for (best, products) in best.iter_mut().zip(products.outer_iter()) {
                for (at, (product, norm)) in (first..).zip(products.iter().zip(&norms[first..])) {
                    let distance = norm - 2.0 * product;
                    if distance < best.0 {
                        *best = (distance, at);
                    }
                }
            }
        }
        Ok(best.into_iter().map(|(_, at)| at).collect())
    };
    let starts: Vec<usize> = (0..rows.len()).step_by(ROWS_AT_ONCE).collect();
    let chunks: Result<Vec<Vec<usize>>, Stopped> = starts.into_par_iter().map(of_chunk).collect();
    Ok(chunks?.concat())
}

#[cfg(test)]
mod tests;
