//! The Calinski-Harabasz index of a clustering (Calinski and Harabasz, "A dendrite method for
//! cluster analysis", Communications in Statistics 3, 1974): how much clusters lie apart beside how
//! much rows scatter within them. Greater is better.

use super::clustering::{Points, means, squared_distance};

/// The index of rows in clusters `0..clusters`, none of which is empty.
///
/// `(between / (clusters - 1)) / (within / (rows - clusters))`, where `between` sums the squared
/// distances of the clusters' means from the mean of all rows, once for each row, and `within` those
/// of the rows from their cluster's mean. As in scikit-learn, 1 where no row lies off its mean.
/// 0 where the index has no meaning: a single cluster, or one row in each.
pub(super) fn score(rows: Points<'_>, labels: &[usize], clusters: usize) -> f64 {
    let count = rows.len();
    if clusters < 2 || clusters >= count {
        return 0.0;
    }
    let centre = means(rows, &vec![0; count], 1).remove(0);
    let means = means(rows, labels, clusters);
    let apart: Vec<f64> = means
        .iter()
        .map(|mean| squared_distance(mean, &centre))
        .collect();
    let (mut between, mut within) = (0.0, 0.0);
    for (row, &label) in rows.iter().zip(labels) {
        between += apart[label];
        within += squared_distance(row, &means[label]);
    }
    if within == 0.0 {
        return 1.0;
    }
    between * (count - clusters) as f64 / (within * (clusters - 1) as f64)
}
