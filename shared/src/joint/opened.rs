//! The result of a joint computation, in the clear.

use num_bigint::BigInt;
use sha2::{Digest, Sha256};

use crate::computation::Shape;
use crate::decimal;

/// What all workers know in the end, and may compare by [`Opened::digest`].
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// Rows and columns.
    pub shape: Shape,
    /// Row by row, each as an exact decimal: `54.6`. A comparison's are `1` and `0`.
    pub exact: Vec<String>,
    /// The same with six places, rounded as [`decimal::fixed`] does: `54.600000`.
    pub fixed: Vec<String>,
}

impl Opened {
    /// Of integers that count ten to the power of minus `scale`.
    pub(super) fn new(shape: Shape, values: &[BigInt], scale: u32) -> Opened {
        let texts = |text: fn(&BigInt, u32) -> String| {
            let texts = values.iter().map(|value| text(value, scale));
            texts.collect()
        };
        Opened {
            shape,
            exact: texts(decimal::exact),
            fixed: texts(decimal::fixed),
        }
    }

    /// JSON: rows of exact numbers, `[[54.6,102,54.6]]`.
    pub fn exact_json(&self) -> String {
        self.nested(&self.exact, "")
    }

    /// JSON: rows of texts of six places each, `[["54.600000","102.000000","54.600000"]]`.
    pub fn text(&self) -> String {
        self.nested(&self.fixed, "\"")
    }

    /// What two workers that have the same result have in common: SHA-256 of shape and exact values.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"concord/v1 result");
        hash.update(self.shape.rows.to_be_bytes());
        hash.update(self.shape.columns.to_be_bytes());
        hash.update(self.exact_json());
        hash.finalize().into()
    }

    fn nested(&self, texts: &[String], quote: &str) -> String {
        let row = |texts: &[String]| {
            let quoted = texts.iter().map(|text| format!("{quote}{text}{quote}"));
            format!("[{}]", quoted.collect::<Vec<_>>().join(","))
        };
        let rows = texts.chunks(self.shape.columns as usize).map(row);
        format!("[{}]", rows.collect::<Vec<_>>().join(","))
    }
}
