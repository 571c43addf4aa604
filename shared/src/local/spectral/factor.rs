//! The Cholesky factor of a shifted Laplacian, and solutions by it, in blocks.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Slice};
use rayon::prelude::*;

use crate::local::clustering::dot;
use crate::local::stopping::{Stopped, heed};

/// What is added to the diagonal before factorising: a Laplacian has an eigenvalue 0. scikit-learn
/// shifts by as much.
pub(super) const SHIFT: f64 = 1e-5;
/// Rows and columns of a block.
const BLOCK: usize = 96;

/// `L`, such that `L L^T` is a Laplacian plus [`SHIFT`]. Only the lower triangle has meaning.
pub(super) struct Factor {
    values: Vec<f64>,
    rows: usize,
}

impl Factor {
    /// Factorises a normalised Laplacian, whose eigenvalues are at least 0 up to rounding. All that
    /// is left of a diagonal while factorising is therefore about [`SHIFT`] or more.
    pub(super) fn new(laplacian: Vec<f64>, stop: &AtomicBool) -> Result<Factor, Stopped> {
        let rows = laplacian.len().isqrt();
        let mut values = laplacian;
        for place in 0..rows {
            values[place * rows + place] += SHIFT;
        }
        for start in (0..rows).step_by(BLOCK) {
            heed(stop)?;
            let end = rows.min(start + BLOCK);
            let (above, below) = values.split_at_mut(end * rows);
            let corner = &mut above[start * rows..];
            factorise(&mut block(corner, rows, start..end));
            let corner = block(corner, rows, start..end);
            // Below the corner: what was right of it is solved for, then leaves its products.
            below.par_chunks_mut(BLOCK * rows).for_each(|lines| {
                for line in lines.chunks_exact_mut(rows) {
                    solve_row(&mut line[start..end], corner.view());
                }
            });
            let mut panel = Array2::zeros((rows - end, end - start));
            if panel.is_empty() {
                break;
            }
            panel.assign(&block(below, rows, start..end));
            below
                .par_chunks_mut(BLOCK * rows)
                .enumerate()
                .for_each(|(index, lines)| {
                    let first = index * BLOCK;
                    let last = panel.nrows().min(first + BLOCK);
                    let own = part(panel.view(), first..last, 0..end - start);
                    let others = part(panel.view(), 0..last, 0..end - start);
                    let mut rest = block(lines, rows, end..end + last);
                    general_mat_mul(-1.0, &own, &others.t(), 1.0, &mut rest);
                });
        }
        Ok(Factor { values, rows })
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Replaces each column `b` by `x` of `L L^T x = b`.
    pub(super) fn solve(&self, columns: &mut Array2<f64>) {
        let width = columns.ncols();
        let lines = columns
            .as_slice_mut()
            .expect("columns side by side, row after row");
        let factor = ArrayView2::from_shape((self.rows, self.rows), &self.values)
            .expect("the matrix is square");
        for start in (0..self.rows).step_by(BLOCK) {
            let end = self.rows.min(start + BLOCK);
            let (above, below) = lines.split_at_mut(end * width);
            let own = &mut above[start * width..];
            forward(part(factor, start..end, start..end), own, width);
            let own = ArrayView2::from_shape((end - start, width), &*own).expect("a block");
            below
                .par_chunks_mut(BLOCK * width)
                .enumerate()
                .for_each(|(index, lines)| {
                    let first = end + index * BLOCK;
                    let count = lines.len() / width;
                    let left = part(factor, first..first + count, start..end);
                    general_mat_mul(-1.0, &left, &own, 1.0, &mut block(lines, width, 0..width));
                });
        }
        for start in (0..self.rows).step_by(BLOCK).rev() {
            let end = self.rows.min(start + BLOCK);
            let (above, own) = lines[..end * width].split_at_mut(start * width);
            backward(part(factor, start..end, start..end), own, width);
            let own = ArrayView2::from_shape((end - start, width), &*own).expect("a block");
            above
                .par_chunks_mut(BLOCK * width)
                .enumerate()
                .for_each(|(index, lines)| {
                    let first = index * BLOCK;
                    let count = lines.len() / width;
                    let left = part(factor, start..end, first..first + count);
                    general_mat_mul(
                        -1.0,
                        &left.t(),
                        &own,
                        1.0,
                        &mut block(lines, width, 0..width),
                    );
                });
        }
    }
}

/// Some rows and columns of a matrix.
fn part(
    matrix: ArrayView2<'_, f64>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> ArrayView2<'_, f64> {
    matrix
        .slice_axis_move(Axis(0), Slice::from(rows))
        .slice_axis_move(Axis(1), Slice::from(columns))
}

/// Some columns of whole lines, each of `width` values.
fn block(lines: &mut [f64], width: usize, columns: Range<usize>) -> ArrayViewMut2<'_, f64> {
    ArrayViewMut2::from_shape((lines.len() / width, width), lines)
        .expect("lines are whole")
        .slice_axis_move(Axis(1), Slice::from(columns))
}

/// Replaces the lower triangle of a block by that of its factor.
fn factorise(block: &mut ArrayViewMut2<'_, f64>) {
    for place in 0..block.nrows() {
        let (corner, mut rest) = block.view_mut().split_at(Axis(0), place);
        let mut row = rest.row_mut(0);
        let row = row.as_slice_mut().expect("a part of a line");
        solve_row(row, corner.view());
        row[place] = libm::sqrt(row[place] - dot(&row[..place], &row[..place]));
    }
}

/// Replaces a row's first values `b` by `x` of `x corner^T = b`, `corner` a lower triangle.
fn solve_row(row: &mut [f64], corner: ArrayView2<'_, f64>) {
    for (place, line) in corner.outer_iter().enumerate() {
        let line = line.to_slice().expect("a part of a line");
        row[place] = (row[place] - dot(&row[..place], &line[..place])) / line[place];
    }
}

/// Replaces lines `b` by `x` of `corner x = b`, `corner` a lower triangle.
fn forward(corner: ArrayView2<'_, f64>, lines: &mut [f64], width: usize) {
    for row in 0..corner.nrows() {
        let (above, own) = lines.split_at_mut(row * width);
        let own = &mut own[..width];
        for (before, line) in above.chunks_exact(width).enumerate() {
            let factor = corner[(row, before)];
            own.iter_mut().zip(line).for_each(|(x, y)| *x -= factor * y);
        }
        own.iter_mut().for_each(|x| *x /= corner[(row, row)]);
    }
}

/// Replaces lines `b` by `x` of `corner^T x = b`, `corner` a lower triangle.
fn backward(corner: ArrayView2<'_, f64>, lines: &mut [f64], width: usize) {
    for row in (0..corner.nrows()).rev() {
        let (above, own) = lines.split_at_mut(row * width);
        let own = &mut own[..width];
        own.iter_mut().for_each(|x| *x /= corner[(row, row)]);
        for (before, line) in above.chunks_exact_mut(width).enumerate() {
            let factor = corner[(row, before)];
            line.iter_mut()
                .zip(&*own)
                .for_each(|(x, y)| *x -= factor * y);
        }
    }
}
