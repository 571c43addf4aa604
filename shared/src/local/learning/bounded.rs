//! JSON of a bounded length: what would be longer is given up before it takes the memory.

use std::io::{Error, ErrorKind, Write};

use serde::Serialize;
use zeroize::Zeroize;

/// Bytes, and how many more may come.
struct Bounded {
    bytes: Vec<u8>,
    left: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or(ErrorKind::FileTooLarge)?;
        self.bytes.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// A value's JSON; `None` when it has more than `bytes_max` bytes.
pub(super) fn json(value: &impl Serialize, bytes_max: usize) -> Option<Vec<u8>> {
    let mut out = Bounded {
        bytes: Vec::new(),
        left: bytes_max,
    };
    match serde_json::to_writer(&mut out, value) {
        Ok(()) => Some(out.bytes),
        Err(error) => {
            assert!(error.is_io(), "it has only numbers, texts and lists");
            out.bytes.zeroize();
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_up_to_its_bound() {
        assert_eq!(json(&[1.5, 2.0], 9).unwrap(), b"[1.5,2.0]");
        assert_eq!(json(&[1.5, 2.0], 8), None);
        assert_eq!(json(&"", 0), None);
    }
}
