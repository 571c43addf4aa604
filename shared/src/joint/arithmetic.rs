//! Sums and products of matrices.

use num_bigint::BigInt;
use zeroize::Zeroizing;

use super::Program;
use super::gate::{Form, matrix_product};
use crate::computation::Shape;
use crate::limits::DECIMALS_MAX;
use crate::sharing::{Pair, Ring, Seeds, Z128, Z256};

/// The sum of all: every worker adds its shares, without a word.
pub(super) struct Sum {
    total: Pair<Z128>,
}

impl Sum {
    /// Of inputs of one shape.
    pub(super) fn new(inputs: [Pair<Z128>; 3]) -> Sum {
        let [mut total, second, third] = inputs;
        for more in [second, third] {
            add(&mut total.own, &more.own);
            add(&mut total.next, &more.next);
        }
        Sum { total }
    }
}

fn add(total: &mut [Z128], more: &[Z128]) {
    for (total, more) in total.iter_mut().zip(more) {
        *total = total.add(*more);
    }
}

impl Program for Sum {
    fn forms(&self) -> Vec<Form> {
        vec![Form {
            count: self.total.own.len(),
            bits: 8 * Z128::BYTES,
        }]
    }

    fn step(&mut self, _: &Seeds, _: u64, _: Option<&[u8]>) -> Option<Zeroizing<Vec<u8>>> {
        None
    }

    fn shares(&self) -> [Zeroizing<Vec<u8>>; 2] {
        [&self.total.own, &self.total.next].map(|shares| Z128::write_all(shares))
    }

    fn open(&self, missing: &[u8]) -> Vec<BigInt> {
        opened(&self.total, missing)
    }

    fn scale(&self) -> u32 {
        DECIMALS_MAX
    }
}

/// The product of all, from left to right: one round for each `x`.
pub(super) struct Product {
    left: Pair<Z256>,
    /// The next factors and their shapes, the last first.
    factors: Vec<(Shape, Pair<Z256>)>,
    rows: usize,
    /// This worker's parts of the product under way.
    parts: Zeroizing<Vec<Z256>>,
}

impl Product {
    /// Of inputs whose shapes fit.
    pub(super) fn new(shapes: [Shape; 3], inputs: [Pair<Z256>; 3]) -> Product {
        let [left, second, third] = inputs;
        Product {
            left,
            factors: vec![(shapes[2], third), (shapes[1], second)],
            rows: shapes[0].rows as usize,
            parts: Zeroizing::default(),
        }
    }
}

impl Program for Product {
    fn forms(&self) -> Vec<Form> {
        let of = |columns: u32| Form {
            count: self.rows * columns as usize,
            bits: 8 * Z256::BYTES,
        };
        let gates = self.factors.iter().rev();
        let mut forms: Vec<Form> = gates.map(|(shape, _)| of(shape.columns)).collect();
        forms.extend(forms.last().copied());
        forms
    }

    fn step(
        &mut self,
        seeds: &Seeds,
        gate: u64,
        received: Option<&[u8]>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        if let Some(body) = received {
            self.left = Pair {
                own: std::mem::take(&mut self.parts),
                next: Z256::read_all(body),
            };
        }
        let (shape, right) = self.factors.pop()?;
        let (inner, columns) = (shape.rows as usize, shape.columns as usize);
        let zeros = seeds.zeros(gate, self.rows * columns);
        self.parts = matrix_product(&self.left, &right, inner, columns, zeros);
        Some(Z256::write_all(&self.parts))
    }

    fn shares(&self) -> [Zeroizing<Vec<u8>>; 2] {
        [&self.left.own, &self.left.next].map(|shares| Z256::write_all(shares))
    }

    fn open(&self, missing: &[u8]) -> Vec<BigInt> {
        opened(&self.left, missing)
    }

    fn scale(&self) -> u32 {
        3 * DECIMALS_MAX
    }
}

/// All three shares together, as numbers on both sides of zero.
fn opened<R: Ring>(pair: &Pair<R>, missing: &[u8]) -> Vec<BigInt> {
    let missing = R::read_all(missing);
    let shares = pair.own.iter().zip(&*pair.next).zip(&*missing);
    let sums = shares.map(|((own, next), missing)| own.add(*next).add(*missing));
    let sums: Zeroizing<Vec<R>> = Zeroizing::new(sums.collect());
    let bytes = R::write_all(&sums);
    let numbers = bytes.chunks_exact(R::BYTES);
    numbers.map(BigInt::from_signed_bytes_le).collect()
}
