//! Spectral clustering: K-Means on the eigenvectors of a similarity graph's normalised Laplacian
//! (von Luxburg, "A tutorial on spectral clustering", Statistics and Computing 17, 2007), and the
//! reference's grid search.
//!
//! The embedding is scikit-learn's: similarities `exp(-gamma |x - y|^2)`, the `k` eigenvectors of
//! the smallest eigenvalues of `1 - D^-1/2 A D^-1/2`, each divided by the root of the degrees. What
//! it finds by factorising the matrix for each setting is here found once for each gamma: the
//! vectors for fewer clusters are the first of those for more. scikit-learn also fixes the vectors'
//! signs, which changes no distance and is left out.

mod factor;
mod vectors;

use std::sync::atomic::AtomicBool;

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::Serialize;

use super::calinski_harabasz;
use super::clustering::{Best, Error, Found, Points, check, means, squared_distance};
use super::k_means;
use super::stopping::{Stopped, heed};
use crate::limits::SPECTRAL_ROWS_MAX;
use factor::Factor;

/// Widths of the similarity that the search tries.
const GAMMAS: [f64; 4] = [0.01, 0.1, 1.0, 10.0];
/// Numbers of clusters that the search tries.
const CLUSTERS: [usize; 4] = [3, 4, 5, 6];
/// Starts of K-Means on an embedding.
const STARTS: usize = 10;

/// Clusters of a similarity graph. It has no rule for rows that are not in the graph.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// The similarity of two rows is `exp(-gamma d^2)`, `d` their distance.
    pub gamma: f64,
    /// Clusters that were asked for.
    pub clusters: usize,
    /// The smallest eigenvalues of the graph's normalised Laplacian, as many as clusters, rising.
    pub eigenvalues: Vec<f64>,
    /// The mean of each cluster's rows, in the units of the rows.
    pub means: Vec<Vec<f64>>,
}

/// Clusters rows that are already scaled, by the gamma (0.01 to 10) and the number of clusters (3 to
/// 6) of the greatest Calinski-Harabasz index.
///
/// Holds one square matrix of the rows, 8 bytes a value: 200 MB for [`SPECTRAL_ROWS_MAX`] rows.
///
/// # Errors
/// When there are fewer than 3 rows or more than [`SPECTRAL_ROWS_MAX`], all are equal, a value is
/// out of range, or `stop` is set.
pub fn search(rows: ArrayView2<'_, f64>, stop: &AtomicBool) -> Result<Found<Model>, Error> {
    let rows = check(&rows, CLUSTERS[0])?;
    let rows = Points::of(&rows);
    if rows.len() > SPECTRAL_ROWS_MAX {
        return Err(Error::TooManyRows { rows: rows.len() });
    }
    let mut best = Best::new();
    for gamma in GAMMAS {
        let graph = Graph::new(rows, gamma, CLUSTERS[CLUSTERS.len() - 1], stop)?;
        for clusters in CLUSTERS.into_iter().filter(|&k| k <= rows.len()) {
            let (labels, found) = graph.cut(clusters, stop)?;
            let score = calinski_harabasz::score(rows, &labels, found);
            best.offer(score, || {
                let model = Model {
                    gamma,
                    clusters,
                    eigenvalues: graph.eigenvalues[..clusters].to_vec(),
                    means: means(rows, &labels, found),
                };
                (model, labels)
            });
        }
    }
    let (score, (model, labels)) = best.take().expect("there are rows for the first number");
    Ok(Found {
        model,
        labels,
        score,
    })
}

/// Where the rows lie in the space of the graph's slowest vibrations.
struct Graph {
    /// Rising; as many as dimensions.
    eigenvalues: Vec<f64>,
    /// Of each row, a dimension for each eigenvalue.
    embedding: Array2<f64>,
}

impl Graph {
    /// Embeds rows in at most `dimensions` dimensions.
    fn new(
        rows: Points<'_>,
        gamma: f64,
        dimensions: usize,
        stop: &AtomicBool,
    ) -> Result<Graph, Stopped> {
        let (laplacian, roots) = laplacian(rows, gamma, stop)?;
        let factor = Factor::new(laplacian, stop)?;
        let wanted = dimensions.min(rows.len());
        let (eigenvalues, mut embedding) = vectors::smallest(&factor, wanted, stop)?;
        for (mut row, root) in embedding.outer_iter_mut().zip(roots) {
            row /= root;
        }
        // A row that is hardly similar to any other may lie so far out that its square overflows.
        let most = embedding.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        embedding /= most;
        Ok(Graph {
            eigenvalues,
            embedding,
        })
    }

    /// The labels of rows by the first dimensions, as many as clusters, and how many there are.
    fn cut(&self, clusters: usize, stop: &AtomicBool) -> Result<(Vec<usize>, usize), Stopped> {
        let dimensions: Vec<usize> = (0..clusters).collect();
        let values = self.embedding.select(Axis(1), &dimensions);
        let values = values.as_standard_layout();
        let fit = k_means::fit(Points::of(&values), clusters, STARTS, stop)?;
        let found = fit.clusters();
        Ok((fit.labels, found))
    }
}

/// The graph's normalised Laplacian, and the roots of the rows' degrees. No row is a neighbour of
/// its own; one without any has degree 1 and, as in scikit-learn, 1 on the diagonal.
fn laplacian(
    rows: Points<'_>,
    gamma: f64,
    stop: &AtomicBool,
) -> Result<(Vec<f64>, Vec<f64>), Stopped> {
    let count = rows.len();
    let mut matrix = vec![0.0; count * count];
    let similarities = |(one, line): (usize, &mut [f64])| {
        heed(stop)?;
        for (other, value) in line.iter_mut().enumerate() {
            if other != one {
                let distance = squared_distance(rows.get(one), rows.get(other));
                *value = libm::exp(-gamma * distance);
            }
        }
        let degree: f64 = line.iter().sum();
        Ok(if degree == 0.0 {
            1.0
        } else {
            libm::sqrt(degree)
        })
    };
    let lines = matrix.par_chunks_mut(count).enumerate();
    let roots = lines
        .map(similarities)
        .collect::<Result<Vec<f64>, Stopped>>()?;
    matrix
        .par_chunks_mut(count)
        .enumerate()
        .for_each(|(one, line)| {
            for (value, root) in line.iter_mut().zip(&roots) {
                *value = -(*value / root / roots[one]);
            }
            line[one] = 1.0;
        });
    Ok((matrix, roots))
}

#[cfg(test)]
mod tests;
