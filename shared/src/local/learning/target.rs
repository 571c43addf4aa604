//! The classes that a target file names.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::computation::FileKind;
use crate::limits::CLASSES_MAX;
use crate::local::frame::{Column, Frame, Texts};

/// Classes, ascending: numbers by size, texts by code points.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Classes {
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Whole numbers that the file writes with a point, or a null beside them.
    Floats(Vec<f64>),
    /// Texts.
    Texts(Vec<String>),
}

/// Why a target file gives no classes. Never names a class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No file at all.
    #[error("a classifier needs a target file")]
    None,
    /// Not the one column that it should have.
    #[error("the target file has {0} columns; it must have one")]
    Columns(usize),
    /// Another number of rows than the feature file.
    #[error("the target file has {target} rows, the feature file {feature}")]
    Rows {
        /// Its rows.
        target: usize,
        /// The feature file's.
        feature: usize,
    },
    /// A row without a class.
    #[error("row {0} of the target file, counted from 1 after the header, has no class")]
    Null(usize),
    /// A number that cannot name a class.
    #[error(
        "row {0} of the target file, counted from 1 after the header, is not a whole number; a \
         class is one, or a text"
    )]
    Fraction(usize),
    /// Nothing to tell apart.
    #[error("the target file names only one class; two at least are needed")]
    OneClass,
    /// More than a classifier takes.
    #[error("the target file names more than {CLASSES_MAX} classes")]
    Classes,
}

impl Classes {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Classes::Integers(classes) => classes.len(),
            Classes::Floats(classes) => classes.len(),
            Classes::Texts(classes) => classes.len(),
        }
    }

    /// Whether there are none, which a target file does not allow.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their names, as a column.
    pub(super) fn column(&self) -> Column {
        match self {
            Classes::Integers(classes) => Column::Integers(classes.clone()),
            Classes::Floats(classes) => Column::Floats(classes.clone()),
            Classes::Texts(classes) => Column::Texts(Texts::of(classes.iter().map(String::as_str))),
        }
    }
}

/// A target file's classes, and the place of each row's class among them.
///
/// # Errors
/// When it does not give each of `rows` rows a class, or too few or too many different ones.
pub(super) fn classes(frame: Frame, rows: usize) -> Result<(Classes, Vec<u32>), TargetError> {
    assert_eq!(frame.file, FileKind::Target);
    let [column] = frame.columns.as_slice() else {
        return Err(TargetError::Columns(frame.columns.len()));
    };
    if frame.rows != rows {
        return Err(TargetError::Rows {
            target: frame.rows,
            feature: rows,
        });
    }
    match column {
        Column::Integers(cells) => {
            let (classes, places) = distinct(cells.iter().copied())?;
            Ok((Classes::Integers(classes), places))
        }
        Column::Texts(cells) => {
            let (classes, places) = distinct(cells.iter())?;
            let classes = classes.into_iter().map(str::to_owned).collect();
            Ok((Classes::Texts(classes), places))
        }
        Column::Floats(cells) => {
            if let Some(row) = cells.iter().position(|cell| cell.is_nan()) {
                return Err(TargetError::Null(row + 1));
            }
            let whole = |cell: &f64| cell.trunc() == *cell && cell.abs() < 2_f64.powi(53);
            if let Some(row) = cells.iter().position(|cell| !whole(cell)) {
                return Err(TargetError::Fraction(row + 1));
            }
            let (classes, places) = distinct(cells.iter().map(|cell| *cell as i64))?;
            let classes = classes.into_iter().map(|class| class as f64).collect();
            Ok((Classes::Floats(classes), places))
        }
    }
}

fn distinct<T: Ord + Copy>(
    cells: impl Iterator<Item = T> + Clone,
) -> Result<(Vec<T>, Vec<u32>), TargetError> {
    let mut places = BTreeMap::new();
    for cell in cells.clone() {
        places.insert(cell, 0);
        if places.len() > CLASSES_MAX {
            return Err(TargetError::Classes);
        }
    }
    if places.len() < 2 {
        return Err(TargetError::OneClass);
    }
    for (place, class) in places.values_mut().zip(0..) {
        *place = class;
    }
    let rows = cells.map(|cell| places[&cell]).collect();
    Ok((places.into_keys().collect(), rows))
}
