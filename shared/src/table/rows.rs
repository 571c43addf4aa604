//! Rows on their way into a [`Table`], in the one array that the table then has.

use std::cmp::Ordering;

use ndarray::Array2;
use rayon::slice::ParallelSliceMut;

use super::{DataError, Dropped, Ids, Table};
use crate::query::Number;

/// What one or several queries selected, in the order it was read. A row that lacks anything is
/// counted and not kept.
pub struct Rows {
    attributes: usize,
    ids: Ids,
    /// rows x attributes, row by row, finite.
    values: Vec<f64>,
    positive: Vec<bool>,
    missing: u64,
}

impl Rows {
    /// None yet, of so many attributes each.
    pub fn new(attributes: usize) -> Rows {
        Rows {
            attributes,
            ids: Ids::default(),
            values: Vec::new(),
            positive: Vec::new(),
            missing: 0,
        }
    }

    /// Makes room for so many more: what is reserved at once is never copied, and takes no memory
    /// until it is filled. Without room for as many, rows come as far as they come.
    pub fn reserve(&mut self, rows: usize) {
        let values = rows.saturating_mul(self.attributes);
        if self.values.try_reserve_exact(values).is_ok() {
            self.ids.reserve(rows);
            self.positive.reserve_exact(rows);
        }
    }

    /// Adds a row, `None` or NaN for what it lacks.
    ///
    /// # Errors
    /// Those of `values`; what was read before is of no use then.
    ///
    /// # Panics
    /// When there are not as many values as attributes; when all ids together reach 4 GiB.
    pub fn push(
        &mut self,
        id: Option<&str>,
        positive: Option<bool>,
        values: impl IntoIterator<Item = Result<f64, DataError>>,
    ) -> Result<(), DataError> {
        let start = self.values.len();
        for value in values {
            self.values.push(value?);
        }
        let own = &self.values[start..];
        assert_eq!(own.len(), self.attributes, "a row has all attributes");
        let is_complete = !own.iter().any(|value| value.is_nan());
        match (id, positive) {
            (Some(id), Some(positive)) if is_complete => {
                self.ids.push(id);
                self.positive.push(positive);
            }
            _ => {
                self.values.truncate(start);
                self.missing += 1;
            }
        }
        Ok(())
    }

    pub(super) fn into_table(mut self, classes: bool) -> Result<(Table, Dropped), DataError> {
        if self.ids.is_empty() {
            return Err(DataError::NoRows);
        }
        self.sort();
        let dropped = Dropped {
            missing: self.missing,
            repeated: self.drop_repeats()?,
        };
        if !classes {
            self.positive = Vec::new();
        }
        self.values.shrink_to_fit();
        let table = Table {
            values: Array2::from_shape_vec((self.ids.len(), self.attributes), self.values)
                .expect("every row has the same number of values"),
            ids: self.ids,
            positive: self.positive,
        };
        Ok((table, dropped))
    }

    /// By id: as numbers when all are (equal ones such as 7 and 07 as text), else as text; repeats
    /// in the order they were read.
    fn sort(&mut self) {
        let ids = &self.ids;
        let are_numbers = ids.iter().all(|id| Number::parse(id).is_some());
        let compare = |left: &u32, right: &u32| {
            let (one, other) = (&ids[*left as usize], &ids[*right as usize]);
            let numbers = if are_numbers {
                Number::parse(one).cmp(&Number::parse(other))
            } else {
                Ordering::Equal
            };
            numbers
                .then_with(|| one.cmp(other))
                .then_with(|| left.cmp(right))
        };
        let count = u32::try_from(ids.len()).expect("each has a place in less than 4 GiB");
        let mut order: Vec<u32> = (0..count).collect();
        order.par_sort_unstable_by(compare);
        self.arrange(order);
    }

    /// Puts row `order[i]` at place `i`, along the cycles of the permutation.
    fn arrange(&mut self, mut order: Vec<u32>) {
        for start in 0..order.len() {
            let mut place = start;
            loop {
                let from = std::mem::replace(&mut order[place], place as u32) as usize;
                if from == start {
                    break;
                }
                self.swap(place, from);
                place = from;
            }
        }
    }

    /// Keeps the first of equal rows, which are neighbours, and counts the others.
    fn drop_repeats(&mut self) -> Result<u64, DataError> {
        let count = self.ids.len();
        let mut kept = 1;
        for row in 1..count {
            let twin = kept - 1;
            if self.ids[row] == self.ids[twin] {
                if self.row(row) != self.row(twin) {
                    return Err(DataError::TwoRows);
                }
                if self.positive[row] != self.positive[twin] {
                    return Err(DataError::TwoClasses);
                }
                continue;
            }
            if row != kept {
                self.swap(row, kept);
            }
            kept += 1;
        }
        self.ids.truncate(kept);
        self.positive.truncate(kept);
        self.values.truncate(kept * self.attributes);
        Ok((count - kept) as u64)
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.attributes..][..self.attributes]
    }

    fn swap(&mut self, one: usize, other: usize) {
        let (low, high) = (one.min(other), one.max(other));
        let (before, from) = self.values.split_at_mut(high * self.attributes);
        before[low * self.attributes..][..self.attributes]
            .swap_with_slice(&mut from[..self.attributes]);
        self.ids.swap(one, other);
        self.positive.swap(one, other);
    }
}
