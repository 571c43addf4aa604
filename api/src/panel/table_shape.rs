//! The shape of a CSV file, read while it passes: rows, columns, and what no file may have. Cells
//! are looked at by nobody.

use csv_core::{ReadFieldResult, Reader};
use shared::limits::{CELL_BYTES_MAX, FILE_COLUMNS_MAX};

/// What the first bytes of a compressed or binary file are: gzip, zip, xz, zstd, bzip2, parquet.
const MAGICS: [&[u8]; 6] = [
    b"\x1f\x8b",
    b"PK\x03\x04",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"BZh",
    b"PAR1",
];
/// Bytes of a cell that are held at once.
const HELD_BYTES: usize = 256;

/// Reads a file piece by piece.
pub(super) struct TableShape {
    reader: Reader,
    begun: bool,
    /// The beginning of a character that the last piece broke off.
    broken: Vec<u8>,
    header: Option<u64>,
    /// Rows below the header.
    rows: u64,
    /// Line ends that were passed.
    passed: u64,
    /// Whether the next byte that ends no line begins a row.
    between: bool,
    /// Where the row begins that is being read.
    line: u64,
    cells: u64,
    cell_bytes: usize,
}

/// Why a file is not taken; continues the name of its field.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ShapeError {
    #[error("is empty: it must have a header row and rows below it")]
    Empty,
    #[error("has a header row and no other")]
    NoRows,
    #[error("is compressed or binary: it must be CSV in UTF-8")]
    Binary,
    #[error("is not UTF-8 text: it must be CSV in UTF-8")]
    Encoding,
    #[error("has more than {FILE_COLUMNS_MAX} columns")]
    Columns,
    #[error("has {cells} cells in the row of line {line}, and {header} in its header")]
    Ragged { line: u64, cells: u64, header: u64 },
    #[error(
        "has a cell of more than {CELL_BYTES_MAX} bytes in the row of line {line}; a quote may be \
         missing"
    )]
    Cell { line: u64 },
}

/// What a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    /// Rows below the header, at least 1.
    pub(super) rows: u64,
    /// Columns, at least 1.
    pub(super) columns: u64,
}

impl TableShape {
    pub(super) fn new() -> TableShape {
        TableShape {
            reader: Reader::new(),
            begun: false,
            broken: Vec::new(),
            header: None,
            rows: 0,
            passed: 0,
            between: true,
            line: 1,
            cells: 0,
            cell_bytes: 0,
        }
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// What no file may have.
    pub(super) fn read(&mut self, piece: &[u8]) -> Result<(), ShapeError> {
        if !self.begun && MAGICS.iter().any(|magic| piece.starts_with(magic)) {
            return Err(ShapeError::Binary);
        }
        self.begun |= !piece.is_empty();
        self.check_text(piece)?;
        let mut rest = piece;
        while !rest.is_empty() {
            rest = self.step(rest)?.0;
        }
        Ok(())
    }

    /// At the end of the file.
    ///
    /// # Errors
    /// What a whole file must have.
    pub(super) fn end(mut self) -> Result<Measured, ShapeError> {
        if !self.broken.is_empty() {
            return Err(ShapeError::Encoding);
        }
        while self.step(&[])?.1 {}
        match self.header {
            None => Err(ShapeError::Empty),
            Some(_) if self.rows == 0 => Err(ShapeError::NoRows),
            Some(columns) => Ok(Measured {
                rows: self.rows,
                columns,
            }),
        }
    }

    fn check_text(&mut self, piece: &[u8]) -> Result<(), ShapeError> {
        if piece.contains(&0) {
            return Err(ShapeError::Binary);
        }
        let mut piece = piece;
        while !self.broken.is_empty() && !piece.is_empty() {
            self.broken.push(piece[0]);
            piece = &piece[1..];
            match std::str::from_utf8(&self.broken) {
                Ok(_) => self.broken.clear(),
                Err(error) if error.error_len().is_some() => return Err(ShapeError::Encoding),
                Err(_) => {}
            }
        }
        match std::str::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(ShapeError::Encoding),
            Err(error) => {
                self.broken.extend(&piece[error.valid_up_to()..]);
                Ok(())
            }
        }
    }

    /// Goes on to the end of the cell, the row or the bytes; gives what is left, and whether there
    /// was anything.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<(&'a [u8], bool), ShapeError> {
        let ends = bytes.iter().take_while(|byte| b"\r\n".contains(byte));
        let skipped = if self.between { ends.count() } else { 0 };
        if skipped > 0 {
            self.pass(&bytes[..skipped]);
            return Ok((&bytes[skipped..], true));
        }
        if self.between && !bytes.is_empty() {
            (self.line, self.between) = (self.passed + 1, false);
        }
        let mut held = [0; HELD_BYTES];
        let (result, read, written) = self.reader.read_field(bytes, &mut held);
        self.pass(&bytes[..read]);
        self.cell_bytes += written;
        if self.cell_bytes > CELL_BYTES_MAX {
            return Err(ShapeError::Cell { line: self.line });
        }
        let more = match result {
            ReadFieldResult::InputEmpty => !bytes.is_empty(),
            ReadFieldResult::OutputFull => true,
            ReadFieldResult::Field { record_end } => {
                self.cell(record_end)?;
                true
            }
            ReadFieldResult::End => false,
        };
        Ok((&bytes[read..], more))
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.passed += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    }

    fn cell(&mut self, last: bool) -> Result<(), ShapeError> {
        self.cells += 1;
        self.cell_bytes = 0;
        if self.cells > FILE_COLUMNS_MAX as u64 {
            return Err(ShapeError::Columns);
        }
        if !last {
            return Ok(());
        }
        let (line, cells) = (self.line, self.cells);
        (self.between, self.cells) = (true, 0);
        match self.header {
            None => self.header = Some(cells),
            Some(header) if header != cells => {
                return Err(ShapeError::Ragged {
                    line,
                    cells,
                    header,
                });
            }
            Some(_) => self.rows += 1,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(pieces: &[&[u8]]) -> Result<(u64, u64), ShapeError> {
        let mut shape = TableShape::new();
        for piece in pieces {
            shape.read(piece)?;
        }
        shape.end().map(|found| (found.rows, found.columns))
    }

    #[test]
    fn rows_and_columns_are_the_same_however_a_file_is_cut() {
        let long = format!("a,b\n{},2\n", "x".repeat(CELL_BYTES_MAX));
        for (text, found) in [
            ("a,b\n1,2\n", (1, 2)),
            ("a,b\r\n1,2\r\n3,4", (2, 2)),
            ("\u{feff}年龄\n六十三\n", (1, 1)),
            ("a,b\n\"x,\"\"y\n\n\",2\n\n3,\n", (2, 2)),
            ("a\n\"\"\n", (1, 1)),
            (",\n,\n", (1, 2)),
            (long.as_str(), (1, 2)),
        ] {
            let bytes = text.as_bytes();
            assert_eq!(measured(&[bytes]), Ok(found), "{text}");
            for at in 0..bytes.len().min(64) {
                let (one, other) = bytes.split_at(at);
                assert_eq!(measured(&[one, other]), Ok(found), "{text} at {at}");
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(measured(&single), Ok(found), "{text} byte by byte");
        }
    }

    #[test]
    fn what_no_file_may_have_is_named_with_its_line() {
        let wide = ["a"; FILE_COLUMNS_MAX + 1].join(",");
        let long = format!("a,b\n1,2\n\"{}", "1,2\n".repeat(CELL_BYTES_MAX));
        let ragged = |line, cells| ShapeError::Ragged {
            line,
            cells,
            header: 2,
        };
        for (bytes, error) in [
            (&b""[..], ShapeError::Empty),
            (b"\n\r\n", ShapeError::Empty),
            (b"a,b\n", ShapeError::NoRows),
            (b"a,b", ShapeError::NoRows),
            (b"\x1f\x8b\x08\0", ShapeError::Binary),
            (b"PK\x03\x04\x14\0", ShapeError::Binary),
            (b"a,b\n1,\0\n", ShapeError::Binary),
            (b"a,b\n1,\xff\n", ShapeError::Encoding),
            (b"a,b\n1,\xe8\xaf", ShapeError::Encoding),
            (wide.as_bytes(), ShapeError::Columns),
            (b"a,b\n1,2\n3\n", ragged(3, 1)),
            (b"a,b\n\"x\ny\",2\n3,4,5\n", ragged(4, 3)),
            (b"a,b\r\n1,2\r\n\r\n3\r\n", ragged(4, 1)),
            (long.as_bytes(), ShapeError::Cell { line: 3 }),
        ] {
            assert_eq!(measured(&[bytes]), Err(error));
        }
    }
}
