//! Replicated secret sharing among three workers: what each of them sees of an input is noise.
//!
//! An input is `x = x_0 + x_1 + x_2` in a ring; worker i holds `(x_i, x_(i+1))`, indices modulo 3, so
//! that any two workers know it and none alone does (Araki et al. 2016, "High-Throughput Semi-Honest
//! Secure Three-Party Computation with an Honest Majority", CCS; privacy-protocols 6.2 to 6.4).
//! `x_0` and `x_1` are random, and travel as the seeds that they are expanded from.

mod bundle;
mod ring;
#[cfg(test)]
mod tests;
mod zero;

use zeroize::Zeroizing;

use crate::limits::{DECIMALS_MAX, MATRIX_VALUES_MAX, PRODUCT_DIGITS_MAX, SUM_DIGITS_MAX};
use crate::{mask, seal};

pub use bundle::{Bundle, open, split};
pub(crate) use ring::{Bits, Ring, Z128, Z256};
pub use zero::Seeds;

/// Workers of a joint computation.
pub const WORKERS: usize = 3;

/// What an input is shared for, and so in which ring. Its numbers are those of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Integers modulo 2^128, to be added.
    Sum = 1,
    /// Integers modulo 2^256, to be multiplied.
    Product = 2,
    /// Words of 128 bits under XOR whose order is that of the values, to be compared.
    Bits = 3,
}

impl Domain {
    /// Digits before the point of a value: no result of three such inputs leaves the ring.
    pub fn digits(self) -> u32 {
        match self {
            Domain::Sum | Domain::Bits => SUM_DIGITS_MAX,
            Domain::Product => PRODUCT_DIGITS_MAX,
        }
    }

    /// Every input's value, times ten to the power of [`DECIMALS_MAX`], lies below this.
    fn bound(self) -> u128 {
        10u128.pow(self.digits() + DECIMALS_MAX)
    }
}

/// Why an input was not shared, or a worker's part of it not taken. Never carries a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not as many values as rows and columns say, none, or too many.
    #[error("matrix: {rows} x {columns} with {values} values, of 1..={MATRIX_VALUES_MAX}")]
    Shape {
        /// Rows it says.
        rows: u32,
        /// Columns it says.
        columns: u32,
        /// Values it has.
        values: usize,
    },
    /// A value that results could overflow with.
    #[error("row {row}, column {column}: a value has at most {digits} digits before the point")]
    Digits {
        /// Of the value, from 1.
        row: usize,
        /// Of the value, from 1.
        column: usize,
        /// How many there may be.
        digits: u32,
    },
    /// There are three workers.
    #[error("worker {worker} is outside 0..{WORKERS}")]
    Worker {
        /// Which was named.
        worker: usize,
    },
    /// A part that is too short or too long for the shape that the bundle says.
    #[error("bundle: the part of worker {worker} has {bytes} bytes where {expected} are due")]
    Length {
        /// Whose part.
        worker: usize,
        /// Its bytes.
        bytes: usize,
        /// What the shape asks for.
        expected: usize,
    },
    /// A share that is not the one which the other worker with it was promised.
    #[error("bundle: share {share} is not the one that its commitment names")]
    Commitment {
        /// Which, 0 to 2.
        share: usize,
    },
    /// Not sealed to this worker under this context, or to a key that nothing can be sealed to.
    #[error(transparent)]
    Seal(#[from] seal::Error),
    /// A worker's key for this attempt is of no use.
    #[error(transparent)]
    Mask(#[from] mask::Error),
}

/// A worker's two shares of an input; wiped when dropped.
pub struct Input {
    rows: u32,
    columns: u32,
    worker: usize,
    domain: Domain,
    shares: Shares,
}

impl Input {
    /// Rows of the matrix.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Columns of the matrix.
    pub fn columns(&self) -> u32 {
        self.columns
    }

    /// Which worker's shares they are.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// What it is shared for.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// The shares, if they are of this ring.
    pub(crate) fn shares<R: Ring>(self) -> Option<Pair<R>> {
        R::from_shares(self.shares)
    }
}

/// The shares that one worker has of something, element by element.
pub(crate) struct Pair<R: Ring> {
    /// `x_i`.
    pub(crate) own: Zeroizing<Vec<R>>,
    /// `x_(i+1)`, which is the next worker's own.
    pub(crate) next: Zeroizing<Vec<R>>,
}

/// Shares of any ring.
pub(crate) enum Shares {
    /// Of [`Domain::Sum`].
    Sum(Pair<Z128>),
    /// Of [`Domain::Product`].
    Product(Pair<Z256>),
    /// Of [`Domain::Bits`].
    Bits(Pair<Bits>),
}

#[cfg(test)]
impl Input {
    /// The same shares once more: tests run a computation again and again.
    pub(crate) fn copy(&self) -> Input {
        fn of<R: Ring>(pair: &Pair<R>) -> Shares {
            let (own, next) = (pair.own.clone(), pair.next.clone());
            R::into_shares(Pair { own, next })
        }
        let shares = match &self.shares {
            Shares::Sum(pair) => of(pair),
            Shares::Product(pair) => of(pair),
            Shares::Bits(pair) => of(pair),
        };
        Input { shares, ..*self }
    }
}
