//! Ward's hierarchical clustering: always merge the two clusters whose merging scatters points least
//! (Ward, "Hierarchical grouping to optimize an objective function", JASA 58, 1963), by chains of
//! nearest neighbours (Murtagh, "A survey of recent advances in hierarchical clustering algorithms",
//! Computer Journal 26, 1983).
//!
//! A distance is computed from the two centres and counts each time it is asked for: time grows
//! with the square of the points, memory with the points alone. scipy's, which scikit-learn calls,
//! holds every distance: 8 bytes for each pair, 1.6 GB for 20,000 points.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use crate::local::clustering::{Points, squared_distance};
use crate::local::stopping::{Stopped, heed};

/// The merges of points to one cluster, in the order of their distances: between the cluster of one
/// point and that of another.
pub(super) struct Dendrogram {
    points: usize,
    merges: Vec<(usize, usize)>,
}

impl Dendrogram {
    /// Merges points until one cluster is left.
    pub(super) fn build(points: Points<'_>, stop: &AtomicBool) -> Result<Dendrogram, Stopped> {
        let mut clusters = Clusters::new(points);
        let mut chain: Vec<usize> = Vec::new();
        let mut merges = Vec::with_capacity(points.len().saturating_sub(1));
        while merges.len() + 1 < points.len() {
            clusters.compact(&mut chain);
            if chain.is_empty() {
                chain.push(clusters.first());
            }
            let (distance, one, other) = clusters.follow(&mut chain, stop)?;
            merges.push((distance, clusters.names[one], clusters.names[other]));
            clusters.merge(one, other);
        }
        // Stable, so that equal distances stay in the order in which they were found.
        merges.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(Dendrogram {
            points: points.len(),
            merges: merges.into_iter().map(|(_, a, b)| (a, b)).collect(),
        })
    }

    /// The cluster, in any numbering from 0, of each point when `clusters` are left, or as many as
    /// there are points.
    pub(super) fn cut(&self, clusters: usize) -> Vec<usize> {
        let mut parents: Vec<usize> = (0..self.points).collect();
        let kept = self.points.saturating_sub(clusters);
        for &(one, other) in &self.merges[..kept] {
            let (one, other) = (root(&mut parents, one), root(&mut parents, other));
            parents[one] = other;
        }
        (0..self.points)
            .map(|point| root(&mut parents, point))
            .collect()
    }
}

/// The point that stands for the cluster of another; halves the way to it.
fn root(parents: &mut [usize], mut point: usize) -> usize {
    while parents[point] != point {
        parents[point] = parents[parents[point]];
        point = parents[point];
    }
    point
}

/// Clusters by place; those merged into others have no points, until they are cleared away.
struct Clusters {
    columns: usize,
    centres: Vec<f64>,
    counts: Vec<f64>,
    /// A point of each.
    names: Vec<usize>,
    living: usize,
}

/// Values that one thread compares at a time.
const PARALLEL_VALUES: usize = 1 << 15;

impl Clusters {
    fn new(points: Points<'_>) -> Self {
        Clusters {
            columns: points.columns(),
            centres: points.iter().flatten().copied().collect(),
            counts: vec![1.0; points.len()],
            names: (0..points.len()).collect(),
            living: points.len(),
        }
    }

    fn centre(&self, place: usize) -> &[f64] {
        &self.centres[place * self.columns..][..self.columns]
    }

    fn first(&self) -> usize {
        let living = |count: &f64| *count > 0.0;
        self.counts
            .iter()
            .position(living)
            .expect("two clusters are left")
    }

    /// Goes on to the nearest cluster until two are each other's nearest, and takes those two off
    /// the chain. Of equally near ones it prefers the one it came from, then the first.
    fn follow(
        &self,
        chain: &mut Vec<usize>,
        stop: &AtomicBool,
    ) -> Result<(f64, usize, usize), Stopped> {
        loop {
            heed(stop)?;
            let last = chain[chain.len() - 1];
            let before = chain.len().checked_sub(2).map(|place| chain[place]);
            let start = before.map_or((f64::INFINITY, last), |place| {
                (self.squared(last, place), place)
            });
            let (distance, nearest) = self.nearest(last, start);
            if Some(nearest) == before {
                chain.truncate(chain.len() - 2);
                return Ok((distance, last.min(nearest), last.max(nearest)));
            }
            chain.push(nearest);
        }
    }

    /// The square of Ward's distance: `2 n m / (n + m)` times that of the centres.
    fn squared(&self, one: usize, other: usize) -> f64 {
        let (n, m) = (self.counts[one], self.counts[other]);
        2.0 * n * m / (n + m) * squared_distance(self.centre(one), self.centre(other))
    }

    /// The nearest cluster of one, by squared distance, unless none is nearer than `start`.
    fn nearest(&self, of: usize, start: (f64, usize)) -> (f64, usize) {
        let places = self.counts.len();
        let chunk = (PARALLEL_VALUES / self.columns).max(1);
        if places <= 2 * chunk {
            return self.nearest_within(0..places, of, start);
        }
        let nearer = |one: (f64, usize), other: (f64, usize)| {
            if other.0 < one.0 { other } else { one }
        };
        (0..places.div_ceil(chunk))
            .into_par_iter()
            .map(|index| index * chunk..places.min((index + 1) * chunk))
            .map(|range| self.nearest_within(range, of, start))
            .reduce(|| start, nearer)
    }

    fn nearest_within(
        &self,
        places: Range<usize>,
        of: usize,
        mut nearest: (f64, usize),
    ) -> (f64, usize) {
        for place in places {
            if self.counts[place] > 0.0 && place != of {
                let distance = self.squared(of, place);
                if distance < nearest.0 {
                    nearest = (distance, place);
                }
            }
        }
        nearest
    }

    /// Moves the points of one cluster to another.
    fn merge(&mut self, from: usize, to: usize) {
        let (n, m) = (self.counts[from], self.counts[to]);
        for column in 0..self.columns {
            let x = self.centres[from * self.columns + column];
            let y = &mut self.centres[to * self.columns + column];
            *y = (n * x + m * *y) / (n + m);
        }
        self.counts[to] = n + m;
        self.counts[from] = 0.0;
        self.living -= 1;
    }

    /// Clears empty clusters away once they are a quarter; the others keep their order.
    fn compact(&mut self, chain: &mut [usize]) {
        let places = self.counts.len();
        if self.living * 4 > places * 3 {
            return;
        }
        let mut moved = Vec::with_capacity(places);
        let mut next = 0;
        for place in 0..places {
            moved.push(next);
            if self.counts[place] > 0.0 {
                let from = place * self.columns;
                let to = next * self.columns;
                self.centres.copy_within(from..from + self.columns, to);
                self.counts[next] = self.counts[place];
                self.names[next] = self.names[place];
                next += 1;
            }
        }
        self.centres.truncate(next * self.columns);
        self.counts.truncate(next);
        self.names.truncate(next);
        for place in chain {
            *place = moved[*place];
        }
    }
}
