//! Powers of one fixed base modulo n^2 by a comb (Lim and Lee, Crypto '94).
//!
//! The exponent is cut into `teeth` rows, each of them into `blocks` pieces of `steps` bits. A table
//! per block holds the products of the base's powers for every choice of rows, so that a power costs
//! steps - 1 squarings and steps * blocks multiplications.
//!
//! A table entry E is stored as a digit A and a logarithm l with E = A (1 + n)^l modulo n^2.
//! A multiplication is then one by a single digit, and the logarithms are merely added up.
//!
//! Entries are read at an address that depends on the secret exponent: whoever shares the processor's
//! cache could learn about it. A party's machine is its own.

use zeroize::Zeroizing;

use super::PublicKey;
use super::kernel::{self, Digits, LIMB_BITS, Limbs, Modulus, Work};

/// Bytes of the largest table: it still is built in a fifth of a second.
const TABLE_BYTES_MAX: usize = 8 << 20;

/// Costs of the comb's operations, in products of k^2 limbs.
const COST_ENTRY: usize = 13;
const COST_MULTIPLICATION: usize = 4;
const COST_SQUARING: usize = 4;

/// The shape of a comb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    teeth: usize,
    blocks: usize,
    steps: usize,
    /// Bits of a row: `steps * blocks`, or fewer as the last piece may be shorter.
    row: usize,
}

impl Shape {
    fn new(exponent_bits: usize, teeth: usize, blocks: usize) -> Self {
        let row = exponent_bits.div_ceil(teeth);
        let steps = row.div_ceil(blocks);
        Self {
            teeth,
            blocks: row.div_ceil(steps),
            steps,
            row,
        }
    }

    fn entries(self) -> usize {
        self.blocks << self.teeth
    }

    fn cost(self, powers: u64) -> u128 {
        let power = self.row * COST_MULTIPLICATION + (self.steps - 1) * COST_SQUARING;
        (self.entries() * COST_ENTRY) as u128 + u128::from(powers) * power as u128
    }

    /// The cheapest for so many powers, table included, within [`TABLE_BYTES_MAX`]. Of equals the
    /// smaller table.
    pub(super) fn cheapest(exponent_bits: usize, limbs: usize, powers: u64) -> Self {
        let entries_max = TABLE_BYTES_MAX / (2 * limbs * LIMB_BITS / 8);
        (1..=16)
            .flat_map(|teeth| {
                (0..6).map(move |blocks| Self::new(exponent_bits, teeth, 1 << blocks))
            })
            .filter(|shape| shape.entries() <= entries_max)
            .min_by_key(|shape| (shape.cost(powers), shape.entries()))
            .unwrap_or(Self::new(exponent_bits, 1, 1))
    }
}

/// One power: y and y / R, both modulo n, and the second digit of y.
pub(super) struct Power {
    /// y modulo n.
    pub(super) low: Limbs,
    /// y R modulo n.
    pub(super) low_radix: Limbs,
    /// (y - low) / n.
    pub(super) high: Limbs,
}

/// The table for one base.
pub(super) struct Comb {
    shape: Shape,
    /// R modulo n^2.
    one: Digits,
    /// Block after block, choice after choice: a digit, then a logarithm.
    entries: Vec<u64>,
}

impl Comb {
    /// The table for `base`, a unit modulo n^2 (times R).
    pub(super) fn new(key: &PublicKey, base: &Digits, shape: Shape) -> Self {
        let mut work = key.digits.work();
        let one = key.digits.radix_power_digits(1);
        let mut entries = Vec::with_capacity(shape.entries() * 2 * key.digits.len());
        let mut powers = vec![Vec::with_capacity(shape.teeth); shape.blocks];
        let mut power = base.clone();
        for bit in 0..shape.teeth * shape.row {
            let column = bit % shape.row;
            if column.is_multiple_of(shape.steps) {
                powers[column / shape.steps].push(power.clone());
            }
            work.square_digits(&mut power);
        }
        for powers in &powers {
            let mut table = vec![one.clone()];
            for power in powers {
                for choice in 0..table.len() {
                    let mut next = table[choice].clone();
                    work.multiply_digits(&mut next, power);
                    table.push(next);
                }
            }
            append_logarithms(&mut entries, &key.digits, &mut work, &table);
        }
        Self {
            shape,
            one,
            entries,
        }
    }

    /// base^exponent.
    pub(super) fn power(&self, modulus: &Modulus, exponent: &[u64]) -> Power {
        let Shape {
            teeth,
            blocks,
            steps,
            row,
        } = self.shape;
        let k = modulus.len();
        let mut work = modulus.work();
        let mut digits = self.one.clone();
        let mut logarithm: Limbs = Zeroizing::new(vec![0; k]);
        for step in (0..steps).rev() {
            if step + 1 < steps {
                work.square_digits(&mut digits);
                modulus.double(&mut logarithm);
            }
            for block in (0..blocks).filter(|block| block * steps + step < row) {
                let column = block * steps + step;
                let choice = (0..teeth)
                    .map(|tooth| kernel::bits(exponent, tooth * row + column, 1) << tooth)
                    .sum::<usize>();
                let entry = &self.entries[((block << teeth) + choice) * 2 * k..][..2 * k];
                work.multiply_digit(&mut digits, &entry[..k]);
                modulus.add(&mut logarithm, &entry[k..]);
            }
        }
        finish(modulus, &mut work, digits, &logarithm)
    }
}

/// digits (1 + n)^logarithm / R, as a [`Power`].
fn finish(modulus: &Modulus, work: &mut Work<'_>, mut digits: Digits, logarithm: &[u64]) -> Power {
    let low_radix = digits.low.clone();
    work.strip(&mut digits);
    // y = (low + high n) (1 + l n) = low + (high + l low) n.
    let mut shift: Limbs = Zeroizing::new(vec![0; modulus.len()]);
    work.multiply(&mut shift, &low_radix, logarithm);
    modulus.add(&mut digits.high, &shift);
    Power {
        low: digits.low,
        low_radix,
        high: digits.high,
    }
}

/// Appends each number as low, high / low modulo n. All inverses come from one (Montgomery's trick).
fn append_logarithms(
    entries: &mut Vec<u64>,
    modulus: &Modulus,
    work: &mut Work<'_>,
    table: &[Digits],
) {
    let n = kernel::integer(modulus.limbs());
    // products[i] = low_0 .. low_i / R^i
    let mut products = vec![table[0].low.clone()];
    for digits in &table[1..] {
        let mut product = products[products.len() - 1].clone();
        work.multiply_by(&mut product, &digits.low);
        products.push(product);
    }
    let last = kernel::integer(&products[products.len() - 1]);
    let inverse = last.modinv(&n).expect("every entry is a power of a unit");
    // R / products[i]; times products[i - 1] / R it is R / low_i.
    let radix = kernel::integer(&modulus.radix_power(1));
    let mut inverse = kernel::limbs(&(inverse * radix % &n), modulus.len());
    let mut logarithms = vec![];
    for (index, digits) in table.iter().enumerate().rev() {
        let mut logarithm = digits.high.clone();
        if index == 0 {
            work.multiply_by(&mut logarithm, &inverse);
        } else {
            let mut own = inverse.clone();
            work.multiply_by(&mut own, &products[index - 1]);
            work.multiply_by(&mut logarithm, &own);
            work.multiply_by(&mut inverse, &digits.low);
        }
        logarithms.push(logarithm);
    }
    for (digits, logarithm) in table.iter().zip(logarithms.iter().rev()) {
        entries.extend_from_slice(&digits.low);
        entries.extend_from_slice(logarithm);
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::*;

    /// An odd modulus of 256 bits; a table needs no factors.
    fn key() -> PublicKey {
        PublicKey::assemble((BigUint::from(3u32) << 254) + 1u32)
    }

    fn exponent() -> impl Strategy<Value = Vec<u64>> {
        prop_oneof![
            4 => prop::collection::vec(any::<u64>(), 2),
            1 => Just(vec![0, 0]),
            1 => Just(vec![1, 0]),
            1 => Just(vec![u64::MAX; 2]),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn every_shape_gives_the_power(
            teeth in 1usize..8,
            blocks in 1usize..10,
            exponent in exponent(),
        ) {
            let key = key();
            let (n, base) = (key.modulus(), BigUint::from(5u32));
            let radix = BigUint::from(1u32) << 256;
            let shifted = &base * &radix % n.pow(2);
            let digits = Digits {
                low: kernel::limbs(&(&shifted % n), 4),
                high: kernel::limbs(&(&shifted / n), 4),
            };
            let power = Comb::new(&key, &digits, Shape::new(128, teeth, blocks))
                .power(&key.digits, &exponent);
            let expected = base.modpow(&kernel::integer(&exponent), &n.pow(2));
            let low = kernel::integer(&power.low);
            prop_assert_eq!(&low + kernel::integer(&power.high) * n, expected);
            prop_assert_eq!(kernel::integer(&power.low_radix), low * radix % n);
        }
    }

    #[test]
    fn more_powers_make_a_larger_table_up_to_the_bound() {
        let entries = [1, 100, 10_000, 1_000_000, u64::MAX]
            .map(|powers| Shape::cheapest(1024, 32, powers).entries());
        assert!(entries.is_sorted(), "{entries:?}");
        assert!(entries[0] < 300 && entries[4] == 16 << 10, "{entries:?}");
    }
}
