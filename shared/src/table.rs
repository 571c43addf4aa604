//! One party's rows for one job, in memory: selected, joined, labelled, sorted.

mod ids;
mod rows;
mod selecting;

use std::cmp::Ordering;

use hmac::{Hmac, KeyInit, Mac};
use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

pub use self::ids::Ids;
pub use self::rows::Rows;
pub use self::selecting::{Cell, Classes, Selecting, Wanted};
use crate::limits;
use crate::query::compare;

/// The columns a job needs of every relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// Column that names a row.
    pub unique_id: String,
    /// Numeric columns, in this order.
    pub attributes: Vec<String>,
    /// Column that carries the class; sources skip it where the relation lacks it.
    pub label: Option<String>,
}

/// Which rows are positive: `column` equals `value`, as numbers when both are, else as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Column name. Where a relation lacks it, the query (`pos` or `neg`) decides.
    pub column: String,
    /// The positive class' value, as decimal or plain text.
    pub value: String,
}

/// Rows ready for computation.
#[derive(PartialEq)]
pub struct Table {
    /// `unique_id` of each row, ascending (numerically when all are numbers), no repeats.
    pub ids: Ids,
    /// rows x attributes, finite.
    pub values: Array2<f64>,
    /// Class of each row; empty for inference.
    pub positive: Vec<bool>,
}

/// What a party remembers of a row that it used: enough to recognise it, and nothing to anybody
/// without the party's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Keyed hash of the row's id.
    pub id: u64,
    /// Keyed hash of its id and values; the top bit is its class.
    pub content: u64,
}

/// The class' bit in [`Mark::content`].
const CLASS: u64 = 1 << 63;

impl Mark {
    /// Whether the row was of the positive class.
    pub fn is_positive(self) -> bool {
        self.content & CLASS != 0
    }

    /// The keyed hash of id and values alone.
    pub fn values(self) -> u64 {
        self.content & !CLASS
    }
}

/// Rows that were selected and not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Rows with a missing value, class or id.
    pub missing: u64,
    /// Repeats of a row that is there already, equal in every column.
    pub repeated: u64,
}

/// Why rows cannot be used. Names columns, never a cell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// A needed or named column is not in the relation.
    #[error("there is no column {column:?}")]
    ColumnUnknown {
        /// Its name.
        column: String,
    },
    /// Several columns match, and none exactly.
    #[error("several columns differ from {column:?} in case only")]
    ColumnAmbiguous {
        /// The name looked for.
        column: String,
    },
    /// A needed column is in the relation, but not in the query's list.
    #[error("the query's list of columns lacks {column:?}")]
    ColumnNotSelected {
        /// Its name.
        column: String,
    },
    /// Two columns have one name.
    #[error("there are two columns {column:?}")]
    ColumnRepeated {
        /// Their name.
        column: String,
    },
    /// `pos` and `neg` are the same query, and nothing else tells the classes apart.
    #[error("there is no column {column:?}, and `pos` and `neg` are the same query")]
    LabelUnknown {
        /// The label column.
        column: String,
    },
    /// A cell that should be a number is none.
    #[error("column {column:?} holds a value that is no number")]
    NotNumeric {
        /// Its column.
        column: String,
    },
    /// A number is infinite.
    #[error("column {column:?} holds a number that is not finite")]
    NotFinite {
        /// Its column.
        column: String,
    },
    /// An integer that a float cannot carry.
    #[error("column {column:?} holds an integer beyond 2^53")]
    NotExact {
        /// Its column.
        column: String,
    },
    /// A cell is neither text nor number.
    #[error("column {column:?} holds bytes that are neither text nor number")]
    NotText {
        /// Its column.
        column: String,
    },
    /// An id that no hospital has.
    #[error(
        "column {column:?} holds a text of more than {} bytes",
        limits::ID_BYTES_MAX
    )]
    IdTooLong {
        /// Its column.
        column: String,
    },
    /// One `unique_id`, two different rows.
    #[error("two rows with one `unique_id` have different values")]
    TwoRows,
    /// One `unique_id`, both classes.
    #[error("one `unique_id` is in both classes")]
    TwoClasses,
    /// No row is left.
    #[error("no usable row was selected")]
    NoRows,
    /// More rows than allowed.
    #[error("more than {rows_max} rows were selected")]
    TooManyRows {
        /// The bound.
        rows_max: usize,
    },
}

impl Label {
    /// Whether this cell of the column is that of a positive row.
    pub fn is(&self, cell: &str) -> bool {
        compare(cell, &self.value) == Ordering::Equal
    }
}

impl Table {
    /// The rows of a training, each with its class. Repeats of a row are left out and counted.
    ///
    /// # Errors
    /// [`DataError::TwoRows`], [`DataError::TwoClasses`] (also when both queries select an id and
    /// only they tell the classes apart), [`DataError::NoRows`].
    pub fn for_training(rows: Rows) -> Result<(Table, Dropped), DataError> {
        rows.into_table(true)
    }

    /// The rows of one selection, without classes.
    ///
    /// # Errors
    /// [`DataError::TwoRows`], [`DataError::NoRows`].
    pub fn for_inference(rows: Rows) -> Result<(Table, Dropped), DataError> {
        rows.into_table(false)
    }

    /// Tells tables apart without telling what they hold: HMAC-SHA256 over the names of the
    /// columns and, in order, each row's id, values (as IEEE 754 bits) and class. Texts are
    /// preceded by their length, so no two tables share an encoding.
    pub fn digest(&self, key: &[u8; 32], needed: &Needed) -> [u8; 32] {
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
        let text = |mac: &mut Hmac<Sha256>, text: &str| {
            mac.update(&(text.len() as u64).to_le_bytes());
            mac.update(text.as_bytes());
        };
        text(&mut mac, "concord table 1");
        text(&mut mac, &needed.unique_id);
        mac.update(&(needed.attributes.len() as u64).to_le_bytes());
        for attribute in &needed.attributes {
            text(&mut mac, attribute);
        }
        mac.update(&[u8::from(needed.label.is_some())]);
        text(&mut mac, needed.label.as_deref().unwrap_or_default());
        mac.update(&(self.ids.len() as u64).to_le_bytes());
        mac.update(&[u8::from(!self.positive.is_empty())]);
        let mut encoded = Vec::new();
        for (row, (id, values)) in self.ids.iter().zip(self.values.rows()).enumerate() {
            text(&mut mac, id);
            encoded.clear();
            for value in values {
                encoded.extend_from_slice(&value.to_bits().to_le_bytes());
            }
            encoded.extend(self.positive.get(row).map(|class| u8::from(*class)));
            mac.update(&encoded);
        }
        mac.finalize().into_bytes().into()
    }

    /// One mark for each row, ascending by id: the first 8 bytes of HMAC-SHA256 over the id, and of
    /// that over id and values. Values come in the order of their columns' names, so that a request
    /// which names the same columns in another order, or another case, has the same marks.
    pub fn marks(&self, key: &[u8; 32], needed: &Needed) -> Vec<Mark> {
        let mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
        let mut order: Vec<usize> = (0..needed.attributes.len()).collect();
        order.sort_by_key(|column| needed.attributes[*column].to_lowercase());
        let mark = |row: usize| {
            let id = &self.ids[row];
            let mut text = Vec::with_capacity(9 + id.len() + 8 * order.len());
            text.push(0);
            text.extend_from_slice(&(id.len() as u64).to_le_bytes());
            text.extend_from_slice(id.as_bytes());
            let hashed = hashed(mac.clone(), &text);
            text[0] = 1;
            for column in &order {
                let value = self.values[[row, *column]];
                text.extend_from_slice(&value.to_bits().to_le_bytes());
            }
            let class = self.positive.get(row).is_some_and(|class| *class);
            let values = self::hashed(mac.clone(), &text) & !CLASS;
            Mark {
                id: hashed,
                content: values | if class { CLASS } else { 0 },
            }
        };
        let mut marks: Vec<Mark> = (0..self.ids.len()).into_par_iter().map(mark).collect();
        marks.par_sort_unstable_by_key(|mark| (mark.id, mark.content));
        marks
    }
}

fn hashed(mut mac: Hmac<Sha256>, text: &[u8]) -> u64 {
    mac.update(text);
    let bytes: [u8; 32] = mac.finalize().into_bytes().into();
    let (words, _) = bytes.as_chunks::<8>();
    u64::from_be_bytes(words[0])
}

#[cfg(test)]
mod tests;
