//! The kernel of one row and all others, over columns that lie in memory one after the other: the
//! same few instructions on many rows at once.

use ndarray::ArrayView2;
use rayon::prelude::*;
use zeroize::Zeroizing;

/// Rows that are worked on at a time, so that their sums stay in the fastest memory.
const BLOCK_ROWS: usize = 512;
/// Values from which on threads share the blocks.
const PARALLEL_VALUES_MIN: usize = 1 << 16;

/// Some rows, and the factor of the squared distance.
pub(super) struct Kernel {
    /// Each column's values of all rows.
    columns: Zeroizing<Vec<f64>>,
    rows: usize,
    gamma: f64,
}

impl Kernel {
    /// Of chosen rows.
    pub(super) fn new(rows: ArrayView2<'_, f64>, chosen: &[usize], gamma: f64) -> Kernel {
        let mut columns = Vec::with_capacity(chosen.len() * rows.ncols());
        for column in rows.columns() {
            columns.extend(chosen.iter().map(|row| column[*row]));
        }
        Kernel {
            columns: Zeroizing::new(columns),
            rows: chosen.len(),
            gamma,
        }
    }

    /// Its rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// One of its rows.
    pub(super) fn values(&self, row: usize) -> Vec<f64> {
        let column = |column: &[f64]| column[row];
        self.columns.chunks(self.rows).map(column).collect()
    }

    /// Writes the kernel of `values` and each row.
    pub(super) fn row<T: Send + From32>(&self, values: &[f64], out: &mut [T]) {
        let block = |(index, out): (usize, &mut [T])| {
            let mut sums = [0.0; BLOCK_ROWS];
            let sums = &mut sums[..out.len()];
            let start = index * BLOCK_ROWS;
            for (value, column) in values.iter().zip(self.columns.chunks(self.rows)) {
                for (sum, other) in sums.iter_mut().zip(&column[start..start + out.len()]) {
                    let distance = other - value;
                    *sum += distance * distance;
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = T::of(exp(-self.gamma * *sum));
            }
        };
        if self.columns.len() < PARALLEL_VALUES_MIN || rayon::current_num_threads() == 1 {
            out.chunks_mut(BLOCK_ROWS).enumerate().for_each(block);
        } else {
            out.par_chunks_mut(BLOCK_ROWS)
                .enumerate()
                .with_min_len(8)
                .for_each(block);
        }
    }
}

/// A float of either size.
pub(super) trait From32 {
    /// The nearest to a number.
    fn of(value: f64) -> Self;
}

impl From32 for f64 {
    fn of(value: f64) -> f64 {
        value
    }
}

impl From32 for f32 {
    fn of(value: f64) -> f32 {
        value as f32
    }
}

/// `e^x` for `x <= 0`, to the last bit or two, without a branch, so that compilers do several at
/// once: `2^n e^r` with `|r| <= ln 2 / 2`, the latter by its series.
fn exp(x: f64) -> f64 {
    /// Adding it rounds to a whole number, in the lowest bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// ln 2 in two parts, the first of so few bits that its multiples are exact.
    const LN_2: (f64, f64) = (
        f64::from_bits(0x3FE6_2E42_FEE0_0000),
        f64::from_bits(0x3DEA_39EF_3579_3C76),
    );
    /// Below it the result is no normal number, and as good as 0.
    const LOWEST: f64 = -708.0;
    const SERIES: [f64; 14] = [
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    let x = if x > LOWEST { x } else { LOWEST };
    let rounded = x * std::f64::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN_2.0) - n * LN_2.1;
    let mut sum = SERIES[0];
    for term in &SERIES[1..] {
        sum = sum * r + term;
    }
    let power = (rounded.to_bits() << 52).wrapping_add(1023 << 52);
    sum * f64::from_bits(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_the_last_bits() {
        let mut x = 0.0;
        while x > -707.0 {
            let right = libm::exp(x);
            assert!((exp(x) - right).abs() <= 4e-16 * right, "{x}");
            x = x * 1.003 - 0.001;
        }
        assert_eq!(exp(0.0), 1.0);
        for far in [-709.0, -1e9, f64::NEG_INFINITY] {
            assert!(exp(far) < 1e-300, "{far}");
        }
    }
}
