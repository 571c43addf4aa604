//! What can be shared: integers modulo 2^128 and 2^256, and words of bits under XOR and AND.
//!
//! Nothing here branches on a value.

use zeroize::{Zeroize, Zeroizing};

use super::{Pair, Shares};

/// A ring with uniform elements of a fixed number of bytes, little-endian.
pub(crate) trait Ring: Copy + Eq + Zeroize + Send {
    /// Bytes of an element.
    const BYTES: usize;
    /// The sum.
    fn add(self, other: Self) -> Self;
    /// The difference.
    fn sub(self, other: Self) -> Self;
    /// The product.
    fn mul(self, other: Self) -> Self;
    /// A decimal's integer as an element.
    fn encode(value: i128) -> Self;
    /// Reads [`Ring::BYTES`] bytes.
    fn read(bytes: &[u8]) -> Self;
    /// Appends [`Ring::BYTES`] bytes.
    fn write(self, bytes: &mut Vec<u8>);
    /// These shares, if they are of this ring.
    fn from_shares(shares: Shares) -> Option<Pair<Self>>;
    /// Shares of this ring.
    fn into_shares(pair: Pair<Self>) -> Shares;

    /// The elements of a buffer.
    fn read_all(bytes: &[u8]) -> Zeroizing<Vec<Self>> {
        Zeroizing::new(bytes.chunks_exact(Self::BYTES).map(Self::read).collect())
    }

    /// A buffer of elements.
    fn write_all(elements: &[Self]) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(elements.len() * Self::BYTES));
        elements
            .iter()
            .for_each(|element| element.write(&mut bytes));
        bytes
    }
}

/// An integer modulo 2^128.
#[derive(Clone, Copy, PartialEq, Eq, Zeroize)]
pub(crate) struct Z128(pub(crate) u128);

impl Ring for Z128 {
    const BYTES: usize = 16;

    fn add(self, other: Z128) -> Z128 {
        Z128(self.0.wrapping_add(other.0))
    }

    fn sub(self, other: Z128) -> Z128 {
        Z128(self.0.wrapping_sub(other.0))
    }

    fn mul(self, other: Z128) -> Z128 {
        Z128(self.0.wrapping_mul(other.0))
    }

    fn encode(value: i128) -> Z128 {
        Z128(value as u128)
    }

    fn read(bytes: &[u8]) -> Z128 {
        Z128(word(bytes))
    }

    fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.0.to_le_bytes());
    }

    fn from_shares(shares: Shares) -> Option<Pair<Z128>> {
        match shares {
            Shares::Sum(pair) => Some(pair),
            Shares::Product(_) | Shares::Bits(_) => None,
        }
    }

    fn into_shares(pair: Pair<Z128>) -> Shares {
        Shares::Sum(pair)
    }
}

/// An integer modulo 2^256: limbs of 64 bits, the lowest first.
#[derive(Clone, Copy, PartialEq, Eq, Zeroize)]
pub(crate) struct Z256(pub(crate) [u64; 4]);

impl Ring for Z256 {
    const BYTES: usize = 32;

    fn add(self, other: Z256) -> Z256 {
        let mut sum = [0; 4];
        let mut carry = false;
        for (at, limb) in sum.iter_mut().enumerate() {
            let (partial, first) = self.0[at].overflowing_add(other.0[at]);
            let (whole, second) = partial.overflowing_add(u64::from(carry));
            *limb = whole;
            carry = first | second;
        }
        Z256(sum)
    }

    fn sub(self, other: Z256) -> Z256 {
        let mut difference = [0; 4];
        let mut borrow = false;
        for (at, limb) in difference.iter_mut().enumerate() {
            let (partial, first) = self.0[at].overflowing_sub(other.0[at]);
            let (whole, second) = partial.overflowing_sub(u64::from(borrow));
            *limb = whole;
            borrow = first | second;
        }
        Z256(difference)
    }

    fn mul(self, other: Z256) -> Z256 {
        let mut product = [0u64; 4];
        for low in 0..4 {
            let mut carry = 0u128;
            for high in 0..4 - low {
                let partial = u128::from(self.0[low]) * u128::from(other.0[high]);
                let limb = partial + u128::from(product[low + high]) + carry;
                product[low + high] = limb as u64;
                carry = limb >> 64;
            }
        }
        Z256(product)
    }

    fn encode(value: i128) -> Z256 {
        let sign = (value >> 127) as u64;
        Z256([value as u64, (value >> 64) as u64, sign, sign])
    }

    fn read(bytes: &[u8]) -> Z256 {
        let (low, high) = (word(&bytes[..16]), word(&bytes[16..]));
        Z256([
            low as u64,
            (low >> 64) as u64,
            high as u64,
            (high >> 64) as u64,
        ])
    }

    fn write(self, bytes: &mut Vec<u8>) {
        self.0
            .iter()
            .for_each(|limb| bytes.extend(limb.to_le_bytes()));
    }

    fn from_shares(shares: Shares) -> Option<Pair<Z256>> {
        match shares {
            Shares::Product(pair) => Some(pair),
            Shares::Sum(_) | Shares::Bits(_) => None,
        }
    }

    fn into_shares(pair: Pair<Z256>) -> Shares {
        Shares::Product(pair)
    }
}

/// 128 bits: their sum is XOR, their product AND.
#[derive(Clone, Copy, PartialEq, Eq, Zeroize)]
pub(crate) struct Bits(pub(crate) u128);

impl Ring for Bits {
    const BYTES: usize = 16;

    fn add(self, other: Bits) -> Bits {
        Bits(self.0 ^ other.0)
    }

    fn sub(self, other: Bits) -> Bits {
        Bits(self.0 ^ other.0)
    }

    fn mul(self, other: Bits) -> Bits {
        Bits(self.0 & other.0)
    }

    /// Two's complement with its sign bit flipped: the order of the words is that of the values.
    fn encode(value: i128) -> Bits {
        Bits(value as u128 ^ 1 << 127)
    }

    fn read(bytes: &[u8]) -> Bits {
        Bits(word(bytes))
    }

    fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.0.to_le_bytes());
    }

    fn from_shares(shares: Shares) -> Option<Pair<Bits>> {
        match shares {
            Shares::Bits(pair) => Some(pair),
            Shares::Sum(_) | Shares::Product(_) => None,
        }
    }

    fn into_shares(pair: Pair<Bits>) -> Shares {
        Shares::Bits(pair)
    }
}

fn word(bytes: &[u8]) -> u128 {
    u128::from_le_bytes(std::array::from_fn(|at| bytes[at]))
}
