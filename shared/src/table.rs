//! One party's rows for one job, in memory: selected, joined, labelled, sorted.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

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

/// What one query selected, as a source delivers it.
#[derive(Clone, Default)]
pub struct Selection {
    /// `unique_id` of each row, as text; `None` where it is missing.
    pub ids: Vec<Option<String>>,
    /// The class cell of each row as text (`None` where missing); `None` when the relation has no
    /// such column.
    pub labels: Option<Vec<Option<String>>>,
    /// rows x attributes, row by row; NaN where a value is missing.
    pub values: Vec<f64>,
}

/// Rows ready for computation.
pub struct Table {
    /// `unique_id` of each row, ascending (numerically when all are numbers), no repeats.
    pub ids: Vec<String>,
    /// rows x attributes, finite.
    pub values: Array2<f64>,
    /// Class of each row; empty for inference.
    pub positive: Vec<bool>,
}

/// Rows that were selected and not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Rows with a missing value, class or id.
    pub missing: u64,
    /// Repeats of a row that is there already, equal in every column.
    pub repeated: u64,
}
