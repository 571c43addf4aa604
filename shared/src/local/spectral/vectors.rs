//! The smallest eigenvalues of a Laplacian and their vectors: block Krylov iteration on its inverse
//! with full orthogonalisation and restarts (Golub and Van Loan, "Matrix Computations", 10.3; Wu and
//! Simon, "Thick-restart Lanczos method for large symmetric eigenvalue problems", SIAM J. Matrix
//! Anal. Appl. 22, 2000).

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use ndarray::{Array1, Array2, ArrayView2, Axis, Slice, concatenate};

use super::factor::{Factor, SHIFT};
use crate::draw::Draw;
use crate::local::stopping::{Stopped, heed};

/// Vectors that are iterated together: more than are asked for, so that an eigenvalue may be as
/// manifold as clusters lie apart.
const BLOCK: usize = 8;
/// Vectors of a basis before it is condensed, and after.
const BASIS: usize = 8 * BLOCK;
const KEPT: usize = 2 * BLOCK;
/// Restarts after which the vectors are taken as they are: two or three are enough unless a graph is
/// in so many parts that its vectors mean little.
const RESTARTS_MAX: usize = 6;
/// The length of what a vector lacks of being one, beside its eigenvalue, at which it is done.
const TOLERANCE: f64 = 1e-10;

/// The `wanted` smallest eigenvalues, rising, and their vectors as columns. `wanted` is at most
/// [`BLOCK`] and the number of rows.
///
/// Of vectors whose eigenvalues are the same to rounding any may come, always the same ones.
pub(super) fn smallest(
    factor: &Factor,
    wanted: usize,
    stop: &AtomicBool,
) -> Result<(Vec<f64>, Array2<f64>), Stopped> {
    let rows = factor.rows();
    let mut draw = Draw::new(b"spectral", "vectors");
    let mut random = || draw.normal();
    let mut next = Array2::from_shape_simple_fn((rows, BLOCK), &mut random);
    let mut basis = Array2::zeros((rows, 0));
    let mut images = Array2::zeros((rows, 0));
    let mut restarts = 0;
    loop {
        while basis.ncols() < BASIS.min(rows) {
            heed(stop)?;
            let fresh = orthonormal(&basis, next, &mut random);
            let mut image = fresh.clone();
            factor.solve(&mut image);
            next = image.clone();
            basis = beside(&basis, &fresh);
            images = beside(&images, &image);
        }
        let small = basis.t().dot(&images);
        let (values, rotation) = eigen((&small + &small.t()) / 2.0);
        let kept = KEPT.min(rotation.ncols());
        let rotation = columns(&rotation, 0..kept);
        (basis, images) = (basis.dot(&rotation), images.dot(&rotation));
        let lacks = &images - &(&basis * &values.slice_axis(Axis(0), Slice::from(..kept)));
        let done = |place: usize| {
            let lack = lacks.column(place);
            libm::sqrt(lack.dot(&lack)) <= TOLERANCE * values[place]
        };
        restarts += 1;
        if (0..wanted).all(done) || rotation.nrows() == rows || restarts > RESTARTS_MAX {
            let eigenvalues = values.iter().take(wanted).map(|value| 1.0 / value - SHIFT);
            let vectors = columns(&basis, 0..wanted).to_owned();
            return Ok((eigenvalues.collect(), vectors));
        }
        let first = (0..kept).find(|&place| !done(place)).unwrap_or(0);
        next = columns(&lacks, first..kept.min(first + BLOCK)).to_owned();
    }
}

fn columns(matrix: &Array2<f64>, range: Range<usize>) -> ArrayView2<'_, f64> {
    matrix.slice_axis(Axis(1), Slice::from(range))
}

fn beside(left: &Array2<f64>, right: &Array2<f64>) -> Array2<f64> {
    concatenate(Axis(1), &[left.view(), right.view()]).expect("both have as many rows")
}

/// Unit vectors at right angles to each other and to those of a basis, as many as `columns` or as
/// there can be, that span what the columns add to the basis. A column that adds nothing is replaced
/// by a random one.
fn orthonormal(
    basis: &Array2<f64>,
    columns: Array2<f64>,
    random: &mut impl FnMut() -> f64,
) -> Array2<f64> {
    let (rows, before) = basis.dim();
    let count = columns.ncols().min(rows - before);
    let mut fresh = Array2::zeros((rows, count));
    for place in 0..count {
        let mut column = columns.column(place).to_owned();
        loop {
            let length = libm::sqrt(column.dot(&column));
            column /= if length > 0.0 { length } else { 1.0 };
            column -= &basis.dot(&basis.t().dot(&column));
            let own = self::columns(&fresh, 0..place);
            column -= &own.dot(&own.t().dot(&column));
            let left = libm::sqrt(column.dot(&column));
            // Of a unit vector most is left: what was taken away was rounding.
            if left > 0.5 {
                fresh.column_mut(place).assign(&(column / left));
                break;
            }
            if left < 1e-12 {
                column = Array1::from_shape_simple_fn(rows, &mut *random);
            }
        }
    }
    fresh
}

/// The eigenvalues of a small symmetric positive matrix, falling, and their vectors as columns, by
/// Jacobi's rotations (Golub and Van Loan, 8.5).
fn eigen(matrix: Array2<f64>) -> (Array1<f64>, Array2<f64>) {
    let size = matrix.nrows();
    let mut matrix = matrix.into_raw_vec_and_offset().0;
    // A row for each vector.
    let mut vectors = Array2::eye(size).into_raw_vec_and_offset().0;
    for _ in 0..SWEEPS_MAX {
        let mut turned = false;
        for other in 1..size {
            for one in 0..other {
                turned |= rotate(&mut matrix, &mut vectors, size, (one, other));
            }
        }
        if !turned {
            break;
        }
    }
    let value = |place: usize| matrix[place * size + place];
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| value(b).total_cmp(&value(a)));
    let values = order.iter().map(|&place| value(place)).collect();
    let vectors = Array2::from_shape_vec((size, size), vectors).expect("the matrix is square");
    (values, vectors.select(Axis(0), &order).reversed_axes())
}

/// Sweeps over all pairs; seven or eight are enough.
const SWEEPS_MAX: usize = 30;
/// What two coordinates' product may be beside their squares.
const PRODUCT_MAX: f64 = 1e-15;

/// Turns two coordinates so that their product vanishes from the matrix; `false` where it is as good
/// as nothing.
fn rotate(
    matrix: &mut [f64],
    vectors: &mut [f64],
    size: usize,
    (one, other): (usize, usize),
) -> bool {
    let product = matrix[one * size + other];
    let (square, last) = (matrix[one * size + one], matrix[other * size + other]);
    if product.abs() <= PRODUCT_MAX * libm::sqrt((square * last).abs()) {
        return false;
    }
    let ratio = (last - square) / (2.0 * product);
    let tangent = ratio.signum() / (ratio.abs() + libm::sqrt(1.0 + ratio * ratio));
    let cosine = 1.0 / libm::sqrt(1.0 + tangent * tangent);
    let sine = tangent * cosine;
    let turn = |x: &mut f64, y: &mut f64| {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    };
    for lines in [&mut *vectors, &mut *matrix] {
        let (above, below) = lines.split_at_mut(other * size);
        let pairs = above[one * size..].iter_mut().zip(&mut below[..size]);
        pairs.for_each(|(x, y)| turn(x, y));
    }
    for line in matrix.chunks_exact_mut(size) {
        let (left, right) = line.split_at_mut(other);
        turn(&mut left[one], &mut right[0]);
    }
    true
}
