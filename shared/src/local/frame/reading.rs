//! Reads a file twice: once to know what its columns are, once to keep their cells in that form. So
//! a column that turns out to be text in its last row costs no copy of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use csv::{Reader, ReaderBuilder, StringRecord};

use super::{Column, Frame, FrameError, Texts};
use crate::computation::FileKind;
use crate::limits::{CELL_BYTES_MAX, FILE_BYTES_MAX, FILE_COLUMNS_MAX, FILE_NUMBER_MAX};
use crate::local::stopping::heed;

/// What pandas takes for a missing value.
const NULLS: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// Bytes that a null has at most, so that most cells are no null at once.
const NULL_BYTES_MAX: usize = "#N/A N/A".len();

fn is_null(cell: &str) -> bool {
    cell.len() <= NULL_BYTES_MAX && NULLS.contains(&cell)
}

/// A cell as a number: decimal digits, or infinity by its name; white space around it is fine.
fn number(cell: &str) -> Option<f64> {
    let trimmed = cell.trim_matches([' ', '\t']);
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let digits = matches!(
        unsigned.as_bytes().first()?,
        b'0'..=b'9' | b'.' | b'i' | b'I'
    );
    digits.then(|| trimmed.parse().ok()).flatten()
}

fn integer(cell: &str) -> Option<i64> {
    cell.trim_matches([' ', '\t']).parse().ok()
}

/// What is known of a column's cells so far.
#[derive(Clone, Copy)]
struct Seen {
    integers: bool,
    numbers: bool,
    /// Line of the first null.
    null: Option<u64>,
    /// Line of the first number that is too large.
    infinite: Option<u64>,
}

impl Seen {
    fn look(&mut self, cell: &str, line: u64) {
        if is_null(cell) {
            self.null.get_or_insert(line);
        } else if self.numbers {
            self.integers &= integer(cell).is_some();
            match number(cell) {
                Some(value) if value.abs() < FILE_NUMBER_MAX => {}
                Some(_) => {
                    self.infinite.get_or_insert(line);
                }
                None => self.numbers = false,
            }
        }
    }

    fn column(self, rows: usize) -> Column {
        match (self.numbers, self.integers && self.null.is_none()) {
            (true, true) => Column::Integers(Vec::with_capacity(rows)),
            (true, false) => Column::Floats(Vec::with_capacity(rows)),
            (false, _) => Column::Texts(Texts::default()),
        }
    }
}

/// Reads the CSV text of a file. Columns named in `texts` are text even where all cells are
/// numbers.
///
/// # Errors
/// When the file is no such text, or leaves a bound, or `stop` is set; see [`FrameError`].
pub fn read(
    file: FileKind,
    text: &[u8],
    texts: &BTreeSet<&str>,
    stop: &AtomicBool,
) -> Result<Frame, FrameError> {
    let text = checked(file, text)?;
    let mut reader = reader(text);
    let names = names(file, &mut reader)?;
    let body = reader.position().clone();
    let mut seen: Vec<Seen> = names
        .iter()
        .map(|name| Seen {
            integers: true,
            numbers: !texts.contains(name.as_str()),
            null: None,
            infinite: None,
        })
        .collect();
    let mut rows = 0;
    for_each_row((file, stop), &mut reader, |record, line| {
        rows += 1;
        for (seen, cell) in seen.iter_mut().zip(record) {
            seen.look(cell, line);
        }
    })?;
    if rows == 0 {
        return Err(FrameError::NoRows(file));
    }
    for (column, seen) in (1..).zip(&seen) {
        match (seen.numbers, seen.null, seen.infinite) {
            (false, Some(line), _) => {
                return Err(FrameError::Null { file, line, column });
            }
            (true, _, Some(line)) => {
                return Err(FrameError::Infinite { file, line, column });
            }
            _ => {}
        }
    }
    let mut columns: Vec<Column> = seen.iter().map(|seen| seen.column(rows)).collect();
    let mut reader = self::reader(&text[body_start(&body)..]);
    for_each_row((file, stop), &mut reader, |record, _| {
        for (column, cell) in columns.iter_mut().zip(record) {
            keep(column, cell);
        }
    })?;
    Ok(Frame {
        file,
        names,
        columns,
        rows,
    })
}

fn body_start(position: &csv::Position) -> usize {
    usize::try_from(position.byte()).expect("a place in a slice")
}

fn keep(column: &mut Column, cell: &str) {
    match column {
        Column::Integers(kept) => kept.push(integer(cell).expect("looked at before")),
        Column::Floats(kept) if is_null(cell) => kept.push(f64::NAN),
        Column::Floats(kept) => kept.push(number(cell).expect("looked at before")),
        Column::Texts(kept) => kept.push(cell),
    }
}

/// The text without its byte-order mark, when it is UTF-8 without a NUL and no row has too many
/// cells: a row is held whole.
fn checked(file: FileKind, bytes: &[u8]) -> Result<&str, FrameError> {
    if bytes.len() > FILE_BYTES_MAX {
        let bytes = bytes.len();
        return Err(FrameError::Bytes { file, bytes });
    }
    let lines_before = |end: usize| {
        let lines = bytes[..end].iter().filter(|byte| **byte == b'\n').count();
        1 + lines as u64
    };
    let encoding = |end| FrameError::Encoding {
        file,
        line: lines_before(end),
    };
    let text = str::from_utf8(bytes).map_err(|error| encoding(error.valid_up_to()))?;
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        return Err(encoding(end));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(FrameError::Empty(file));
    }
    if cells_max(text) > FILE_COLUMNS_MAX {
        return Err(FrameError::Columns(file));
    }
    Ok(text)
}

/// The cells of the row that has most, without holding one.
fn cells_max(text: &str) -> usize {
    let (mut most, mut cells) = (1, 1);
    let (mut quoted, mut before) = (false, b'\n');
    for byte in text.bytes() {
        // What the last byte was, with quotes inside of a cell as any letter.
        let mut kind = byte;
        match byte {
            b'"' if quoted => quoted = false,
            // A cell's first, or the second of two inside of quotes.
            b'"' if matches!(before, b',' | b'\n' | b'\r' | b'"') => quoted = true,
            b'"' => kind = b'x',
            b',' if !quoted => {
                cells += 1;
                most = most.max(cells);
            }
            b'\n' | b'\r' if !quoted => cells = 1,
            _ => {}
        }
        before = kind;
    }
    most
}

fn reader(text: &str) -> Reader<&[u8]> {
    ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes())
}

fn names(file: FileKind, reader: &mut Reader<&[u8]>) -> Result<Vec<String>, FrameError> {
    let mut header = StringRecord::new();
    next(file, reader, &mut header)?;
    if header.len() > FILE_COLUMNS_MAX {
        return Err(FrameError::Columns(file));
    }
    let named = |(index, name): (usize, &str)| match name {
        "" => format!("Unnamed: {index}"),
        _ => name.to_owned(),
    };
    let names: Vec<String> = header.iter().enumerate().map(named).collect();
    let mut before = BTreeMap::new();
    for (second, name) in (1..).zip(&names) {
        if let Some(first) = before.insert(name.as_str(), second) {
            return Err(FrameError::Twice {
                file,
                first,
                second,
            });
        }
    }
    Ok(names)
}

/// Reads the next row; false at the end.
fn next(
    file: FileKind,
    reader: &mut Reader<&[u8]>,
    record: &mut StringRecord,
) -> Result<bool, FrameError> {
    let more = reader.read_record(record).map_err(|error| {
        let line = error.position().map_or(0, csv::Position::line);
        match error.kind() {
            csv::ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => FrameError::Ragged {
                file,
                line,
                cells: *len,
                expected: *expected_len,
            },
            _ => FrameError::Encoding { file, line },
        }
    })?;
    if record.as_slice().len() > CELL_BYTES_MAX
        && let Some(cell) = record.iter().position(|cell| cell.len() > CELL_BYTES_MAX)
    {
        let line = record.position().map_or(0, csv::Position::line);
        return Err(FrameError::Cell {
            file,
            line,
            cell: cell + 1,
        });
    }
    Ok(more)
}

fn for_each_row(
    (file, stop): (FileKind, &AtomicBool),
    reader: &mut Reader<&[u8]>,
    mut see: impl FnMut(&StringRecord, u64),
) -> Result<(), FrameError> {
    let mut record = StringRecord::new();
    while next(file, reader, &mut record)? {
        heed(stop)?;
        see(&record, record.position().map_or(0, csv::Position::line));
    }
    Ok(())
}
