//! A classification tree: CART with the Gini impurity, grown until every leaf is of one class or
//! cannot be told apart (Breiman, Friedman, Olshen and Stone, 1984), as scikit-learn's
//! `DecisionTreeClassifier` grows it by default.
//!
//! Where several splits are equally good scikit-learn takes one at random; here it is the lowest
//! column's, with the lowest threshold. It also compares 32-bit floats and takes values within 1e-7
//! of each other for equal; here they are 64-bit and different when they differ.
//!
//! Every column is sorted once; a split then divides each column's order, which keeps it sorted.

use std::sync::atomic::AtomicBool;

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::Serialize;

use super::stopping::{Stopped, heed};
use crate::limits::{MADE_FILE_BYTES_MAX, TREE_NODES_MAX};

/// Why there is no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody waits for it any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// A tree that no file could hold.
    #[error(
        "the tree would have more than {TREE_NODES_MAX} nodes, and its file more than \
         {MADE_FILE_BYTES_MAX} bytes: use fewer rows"
    )]
    Nodes,
}

/// A question, or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Node {
    /// Rows go to `left` when their value in column `feature` is at most `threshold`.
    Split {
        /// Encoded column.
        feature: u32,
        /// Half way between two values.
        threshold: f64,
        /// Place of the node for those.
        left: u32,
        /// Place of the node for the others.
        right: u32,
    },
    /// The class of all rows that come here.
    Leaf {
        /// The most frequent one of the training; the lowest of several.
        class: u32,
        /// How many rows of the training came here.
        rows: u32,
    },
}

/// A tree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// The first is the root; others come after the node that leads to them.
    pub nodes: Vec<Node>,
}

/// Values in a node from which on threads share its columns.
const PARALLEL_VALUES_MIN: usize = 1 << 15;

/// One row in a column's order.
#[derive(Clone, Copy, Default)]
struct Place {
    row: u32,
    /// Equal where the values are, ascending.
    rank: u32,
}

/// A column: its rows in ascending order, in the pieces that are the nodes.
struct Order {
    places: Vec<Place>,
    /// The value of each rank.
    values: Vec<f64>,
}

#[derive(Clone, Copy)]
struct Split {
    gain: f64,
    feature: usize,
    /// Rows of the left side.
    left: usize,
    threshold: f64,
}

/// Grows a tree on rows x columns of finite values; `classes` has each row's class, below `count`.
///
/// # Errors
/// When the tree grows beyond [`TREE_NODES_MAX`], or `stop` is set.
///
/// # Panics
/// When there are no rows, or not one class for each.
pub fn fit(
    rows: ArrayView2<'_, f64>,
    classes: &[u32],
    count: usize,
    stop: &AtomicBool,
) -> Result<Model, Error> {
    grow(rows, (classes, count), TREE_NODES_MAX, stop)
}

fn grow(
    rows: ArrayView2<'_, f64>,
    (classes, count): (&[u32], usize),
    nodes_max: usize,
    stop: &AtomicBool,
) -> Result<Model, Error> {
    assert!(rows.nrows() == classes.len() && !classes.is_empty());
    let mut orders: Vec<Order> = (0..rows.ncols())
        .into_par_iter()
        .map(|column| heed(stop).map(|()| order(rows, column)))
        .collect::<Result<_, Stopped>>()?;
    let mut goes_left = vec![false; rows.nrows()];
    let mut nodes = vec![Node::Leaf { class: 0, rows: 0 }];
    let mut open = vec![(0, 0..rows.nrows())];
    while let Some((at, range)) = open.pop() {
        heed(stop)?;
        let totals = totals(&orders, range.clone(), classes, count);
        let most = (0..count).rev().max_by_key(|class| totals[*class]);
        let leaf = Node::Leaf {
            class: most.unwrap_or(0) as u32,
            rows: range.len() as u32,
        };
        let pure = totals.iter().filter(|rows| **rows > 0).count() == 1;
        let found = (!pure).then(|| best(&orders, range.clone(), classes, &totals));
        let Some(split) = found.flatten() else {
            nodes[at] = leaf;
            continue;
        };
        let middle = range.start + split.left;
        for place in &orders[split.feature].places[range.clone()][..split.left] {
            goes_left[place.row as usize] = true;
        }
        divide(&mut orders, range.clone(), &goes_left);
        for place in &orders[split.feature].places[range.start..middle] {
            goes_left[place.row as usize] = false;
        }
        let left = nodes.len();
        if left + 2 > nodes_max {
            return Err(Error::Nodes);
        }
        nodes[at] = Node::Split {
            feature: split.feature as u32,
            threshold: split.threshold,
            left: left as u32,
            right: left as u32 + 1,
        };
        nodes.extend([leaf, leaf]);
        open.push((left + 1, middle..range.end));
        open.push((left, range.start..middle));
    }
    Ok(Model { nodes })
}

fn order(rows: ArrayView2<'_, f64>, column: usize) -> Order {
    let column = rows.column(column);
    let mut sorted: Vec<(f64, u32)> = column.iter().copied().zip(0..).collect();
    sorted.sort_unstable_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let mut values: Vec<f64> = Vec::new();
    let mut places = Vec::with_capacity(sorted.len());
    for (value, row) in sorted {
        // Compared as numbers: 0 and -0 are one value.
        if values.last() != Some(&value) {
            values.push(value);
        }
        let rank = values.len() as u32 - 1;
        places.push(Place { row, rank });
    }
    Order { places, values }
}

type Range = std::ops::Range<usize>;

fn totals(orders: &[Order], range: Range, classes: &[u32], count: usize) -> Vec<u64> {
    let mut totals = vec![0; count];
    for place in &orders[0].places[range] {
        totals[classes[place.row as usize] as usize] += 1;
    }
    totals
}

/// The best split of a node over all columns; `None` when all its rows are equal.
fn best(orders: &[Order], range: Range, classes: &[u32], totals: &[u64]) -> Option<Split> {
    let of = |feature| best_of(&orders[feature], feature, range.clone(), classes, totals);
    let better = |one: Option<Split>, other: Option<Split>| match (one, other) {
        (Some(one), Some(other)) => Some(if other.gain > one.gain { other } else { one }),
        (one, other) => one.or(other),
    };
    let features = 0..orders.len();
    if range.len() * orders.len() < PARALLEL_VALUES_MIN {
        return features.map(of).fold(None, better);
    }
    let found: Vec<Option<Split>> = features.into_par_iter().map(of).collect();
    found.into_iter().fold(None, better)
}

/// The best split of one column: the greatest sum over both sides of the squared class counts by
/// the side's rows, which is the least Gini impurity. Counts are exact integers.
fn best_of(
    order: &Order,
    feature: usize,
    range: Range,
    classes: &[u32],
    totals: &[u64],
) -> Option<Split> {
    let places = &order.places[range];
    let (first, last) = (places.first()?, places.last()?);
    if first.rank == last.rank {
        return None;
    }
    let (mut left, mut right) = (vec![0; totals.len()], totals.to_vec());
    let (mut left_squares, mut right_squares) = (0, right.iter().map(|n| n * n).sum::<u64>());
    let mut found: Option<(f64, usize)> = None;
    for (index, pair) in places.windows(2).enumerate() {
        let class = classes[pair[0].row as usize] as usize;
        left_squares += 2 * left[class] + 1;
        right_squares -= 2 * right[class] - 1;
        left[class] += 1;
        right[class] -= 1;
        if pair[0].rank == pair[1].rank {
            continue;
        }
        let rows = index + 1;
        let gain =
            left_squares as f64 / rows as f64 + right_squares as f64 / (places.len() - rows) as f64;
        if found.is_none_or(|(best, _)| gain > best) {
            found = Some((gain, rows));
        }
    }
    let (gain, left) = found?;
    let value = |place: Place| order.values[place.rank as usize];
    let (below, above) = (value(places[left - 1]), value(places[left]));
    let middle = below / 2.0 + above / 2.0;
    Some(Split {
        gain,
        feature,
        left,
        threshold: if middle < above { middle } else { below },
    })
}

/// Moves a node's left rows before its right ones in every column, each in the order it had.
fn divide(orders: &mut [Order], range: Range, goes_left: &[bool]) {
    let values = range.len() * orders.len();
    let divide = |aside: &mut Vec<Place>, order: &mut Order| {
        let places = &mut order.places[range.clone()];
        aside.clear();
        let mut kept = 0;
        for index in 0..places.len() {
            let place = places[index];
            if goes_left[place.row as usize] {
                places[kept] = place;
                kept += 1;
            } else {
                aside.push(place);
            }
        }
        places[kept..].copy_from_slice(aside);
    };
    if values < PARALLEL_VALUES_MIN {
        let mut aside = Vec::with_capacity(range.len());
        orders
            .iter_mut()
            .for_each(|order| divide(&mut aside, order));
    } else {
        orders.par_iter_mut().for_each_init(Vec::new, divide);
    }
}

impl Model {
    /// The class of each row.
    ///
    /// # Errors
    /// When `stop` is set.
    pub fn predict(
        &self,
        rows: ArrayView2<'_, f64>,
        stop: &AtomicBool,
    ) -> Result<Vec<u32>, Stopped> {
        let class = |row: usize| {
            heed(stop)?;
            let mut at = 0;
            loop {
                match self.nodes[at] {
                    Node::Leaf { class, .. } => return Ok(class),
                    Node::Split {
                        feature,
                        threshold,
                        left,
                        right,
                    } => {
                        let below = rows[[row, feature as usize]] <= threshold;
                        at = if below { left } else { right } as usize;
                    }
                }
            }
        };
        (0..rows.nrows()).into_par_iter().map(class).collect()
    }
}

#[cfg(test)]
mod tests;
