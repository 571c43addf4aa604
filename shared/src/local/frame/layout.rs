//! The result's CSV file, byte for byte as numpy's `savetxt` writes the reference's: a header line
//! after `# `, no quotes, and numbers as Python prints them. When all columns are numeric, whole
//! numbers are written as floats too (`2.0`); beside a text they stay as they are. A null is `nan`.
//!
//! Unlike there, a text with a comma, a quote or a line break is put in quotes, since the file could
//! not be read otherwise. A text that a spreadsheet would take for a formula stays as it is.

use super::{Column, Frame, FrameError};
use crate::limits::MADE_FILE_BYTES_MAX;

/// Name of the last column.
const RESULT: &str = "Result";

/// Writes a frame's columns and one more, `Result`: of each row the cell of `names` at the place
/// that `results` tells.
///
/// # Errors
/// When it grows too long.
///
/// # Panics
/// When there is not one result for each row, or it is not a place in `names`.
pub fn write(frame: &Frame, names: &Column, results: &[u32]) -> Result<Vec<u8>, FrameError> {
    assert_eq!(frame.rows, results.len());
    let texts = |column: &Column| matches!(column, Column::Texts(_));
    let numeric = !frame.columns.iter().chain([names]).any(texts);
    let mut out = String::from("# ");
    for name in &frame.names {
        text(&mut out, name);
        out.push(',');
    }
    out.push_str(RESULT);
    out.push('\n');
    for (row, result) in results.iter().enumerate() {
        for column in &frame.columns {
            cell(&mut out, column, row, numeric);
            out.push(',');
        }
        cell(&mut out, names, *result as usize, numeric);
        out.push('\n');
        if out.len() > MADE_FILE_BYTES_MAX {
            return Err(FrameError::Result);
        }
    }
    Ok(out.into_bytes())
}

fn cell(out: &mut String, column: &Column, row: usize, numeric: bool) {
    match column {
        Column::Integers(cells) if numeric => float(out, cells[row] as f64),
        Column::Integers(cells) => out.push_str(&cells[row].to_string()),
        Column::Floats(cells) => float(out, cells[row]),
        Column::Texts(cells) => text(out, cells.get(row)),
    }
}

fn text(out: &mut String, text: &str) {
    if text.contains([',', '"', '\n', '\r']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}

/// A float as Python prints it: the fewest digits that read back as the same number; an exponent of
/// two digits below 10^-4 and from 10^16 on.
fn float(out: &mut String, value: f64) {
    if value.is_nan() {
        return out.push_str("nan");
    }
    let plain = value.abs();
    if plain == 0.0 || (1e-4..1e16).contains(&plain) {
        let digits = value.to_string();
        out.push_str(&digits);
        if !digits.contains('.') {
            out.push_str(".0");
        }
        return;
    }
    let written = format!("{value:e}");
    let (digits, exponent) = written.split_once('e').expect("it has an exponent");
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    out.push_str(&format!("{digits}e{sign}{exponent:0>2}"));
}
