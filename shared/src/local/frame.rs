//! A CSV file of a learning job as columns, and the CSV file of a result.
//!
//! Read as pandas' `read_csv` reads by default: a comma between cells, quotes around some, a header
//! row, empty lines skipped, `NA` and its like for a missing value. A column is numeric when every
//! cell that is not null is a number, else it is text (`True` and `False` are text, which as one
//! column for each means the same). Unlike there, a row of another length than the header, two
//! columns of one name and an infinite number are refused, and no cell is ever told of.

mod layout;
mod reading;

pub use layout::write;
pub use reading::read;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::stopping::Stopped;
use crate::computation::FileKind;
use crate::limits::{
    CELL_BYTES_MAX, FILE_BYTES_MAX, FILE_COLUMNS_MAX, FILE_NUMBER_MAX, MADE_FILE_BYTES_MAX,
};

/// The cells of one column; wiped in the end.
#[derive(Debug, PartialEq, Zeroize, ZeroizeOnDrop)]
pub enum Column {
    /// Whole numbers, none of them null.
    Integers(Vec<i64>),
    /// Numbers; NaN where null.
    Floats(Vec<f64>),
    /// Texts, as written.
    Texts(Texts),
}

/// Texts in one piece of memory: a `String` of each would take several times the file.
#[derive(Debug, Default, PartialEq, Zeroize, ZeroizeOnDrop)]
pub struct Texts {
    bytes: String,
    ends: Vec<u32>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        let end = u32::try_from(self.bytes.len()).expect("bounded by FILE_BYTES_MAX");
        self.ends.push(end);
    }

    /// Keeps copies of texts.
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Texts {
        let mut kept = Texts::default();
        texts.for_each(|text| kept.push(text));
        kept
    }

    /// The text of a row.
    pub fn get(&self, row: usize) -> &str {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..self.ends[row] as usize]
    }

    /// All of them, in the order of the rows.
    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        (0..self.ends.len()).map(|row| self.get(row))
    }
}

/// A file's columns; all have as many cells.
#[derive(Debug, PartialEq)]
pub struct Frame {
    /// Which file of the job it was.
    pub file: FileKind,
    /// Names of the columns, all different; `Unnamed: 0` for a first column without one.
    pub names: Vec<String>,
    /// The columns, in the file's order.
    pub columns: Vec<Column>,
    /// Rows, at least 1.
    pub rows: usize,
}

/// What is wrong with a file. Tells the file, the line, the column's number and the rule; never a
/// cell or a name, since errors are kept in the clear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Nobody waits for it any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// Not one byte beside white space.
    #[error("the {} file is empty; it must have a header row", .0.as_str())]
    Empty(FileKind),
    /// A header and nothing else.
    #[error("the {} file has a header row and no other", .0.as_str())]
    NoRows(FileKind),
    /// Larger than any file may be.
    #[error("the {} file has {bytes} bytes; at most {FILE_BYTES_MAX} are taken", file.as_str())]
    Bytes {
        /// The file.
        file: FileKind,
        /// Its size.
        bytes: usize,
    },
    /// Not text, or in another encoding.
    #[error("line {line} of the {} file is not UTF-8 text", file.as_str())]
    Encoding {
        /// The file.
        file: FileKind,
        /// From 1.
        line: u64,
    },
    /// More columns than a file may have.
    #[error("the {} file has a row of more than {FILE_COLUMNS_MAX} columns", .0.as_str())]
    Columns(FileKind),
    /// Two columns of one name.
    #[error("columns {first} and {second} of the {} file have the same name", file.as_str())]
    Twice {
        /// The file.
        file: FileKind,
        /// From 1.
        first: usize,
        /// From 1.
        second: usize,
    },
    /// A row that is longer or shorter than the header.
    #[error("line {line} of the {} file has {cells} cells, the header {expected}", file.as_str())]
    Ragged {
        /// The file.
        file: FileKind,
        /// From 1; where the row begins.
        line: u64,
        /// Its cells.
        cells: u64,
        /// The header's.
        expected: u64,
    },
    /// A cell, or a name, that is too long: most often a quote without its other.
    #[error(
        "line {line} of the {} file has more than {CELL_BYTES_MAX} bytes in cell {cell}; a quote \
         may be missing",
        file.as_str()
    )]
    Cell {
        /// The file.
        file: FileKind,
        /// From 1; where the row begins.
        line: u64,
        /// From 1.
        cell: usize,
    },
    /// A number that arithmetic could not go on with.
    #[error(
        "line {line}, column {column} of the {} file: a number must lie below {FILE_NUMBER_MAX:e} \
         in magnitude",
        file.as_str()
    )]
    Infinite {
        /// The file.
        file: FileKind,
        /// From 1; where the row begins.
        line: u64,
        /// From 1.
        column: usize,
    },
    /// A result that is too long to keep.
    #[error(
        "the result would have more than {MADE_FILE_BYTES_MAX} bytes: use fewer rows or columns"
    )]
    Result,
    /// A null among texts, which no mean can replace.
    #[error("line {line}, column {column} of the {} file: text is missing", file.as_str())]
    Null {
        /// The file.
        file: FileKind,
        /// From 1; where the row begins.
        line: u64,
        /// From 1.
        column: usize,
    },
}

#[cfg(test)]
mod tests;
