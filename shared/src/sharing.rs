//! Replicated secret sharing among three.

use serde::{Deserialize, Serialize};

/// One participant's matrix, split among three workers, each part sealed to its worker.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    /// Rows of the matrix.
    pub rows: u32,
    /// Columns of the matrix.
    pub columns: u32,
    /// A commitment to each of the three shares.
    pub commitments: [[u8; 32]; 3],
    /// What each worker gets: its two shares.
    pub sealed: [Vec<u8>; 3],
}
