//! Ciphertexts and plaintexts, their bytes, and sums.

use num_bigint::BigUint;
use num_integer::Integer;
use num_traits::{One, Zero};
use zeroize::Zeroizing;

use super::kernel::{self, Limbs};
use super::{Error, PublicKey};

/// An encrypted number modulo n, itself a number modulo n^2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ciphertext(pub(super) BigUint);

impl Ciphertext {
    /// Big-endian, of [`PublicKey::ciphertext_bytes`] bytes.
    pub fn to_bytes(&self, key: &PublicKey) -> Vec<u8> {
        let mut out = vec![0; key.ciphertext_bytes()];
        for (chunk, digit) in out.rchunks_mut(8).zip(self.0.iter_u64_digits()) {
            chunk.copy_from_slice(&digit.to_be_bytes());
        }
        out
    }
}

/// A number modulo n in the clear. Wiped when dropped, as far as `num-bigint` lets us: its own
/// temporary copies stay where they were.
pub struct Plaintext(pub(super) BigUint);

impl Plaintext {
    /// A number below n.
    ///
    /// # Errors
    /// [`Error::PlaintextRange`].
    pub fn new(value: BigUint, key: &PublicKey) -> Result<Self, Error> {
        if value < *key.modulus() {
            Ok(Self(value))
        } else {
            Err(Error::PlaintextRange)
        }
    }

    /// The number, below n.
    pub fn value(&self) -> &BigUint {
        &self.0
    }

    /// This number plus a mask (of any size) modulo n.
    pub fn add(&self, mask: &BigUint, key: &PublicKey) -> Plaintext {
        Plaintext((&self.0 + mask) % key.modulus())
    }
}

impl Drop for Plaintext {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites the digits of a number in place.
pub(super) fn wipe(number: &mut BigUint) {
    let zeros = vec![0; number.iter_u32_digits().len()];
    number.assign_from_slice(&zeros);
}

impl PublicKey {
    /// Reads `count` ciphertexts of [`PublicKey::ciphertext_bytes`] bytes each.
    ///
    /// The bytes are hostile input. That no ciphertext shares a factor with n is found by one gcd
    /// of their product, which costs as much as several encryptions from the pool.
    ///
    /// # Errors
    /// [`Error::CiphertextBytes`] before anything is allocated, [`Error::CiphertextRange`] or
    /// [`Error::CiphertextFactor`].
    pub fn parse(&self, bytes: &[u8], count: usize) -> Result<Vec<Ciphertext>, Error> {
        let each = self.ciphertext_bytes();
        if count.checked_mul(each) != Some(bytes.len()) {
            return Err(Error::CiphertextBytes {
                count,
                each,
                found: bytes.len(),
            });
        }
        let mut work = self.digits.work();
        let mut product = self.digits.radix_power(1);
        let mut residue = Zeroizing::new(vec![0; self.digits.len()]);
        let mut ciphertexts = Vec::with_capacity(count);
        for (index, bytes) in bytes.chunks_exact(each).enumerate() {
            let value = BigUint::from_bytes_be(bytes);
            if value.is_zero() || value >= *self.modulus_squared() {
                return Err(Error::CiphertextRange { index });
            }
            work.fold(&mut residue, &self.wide(&value));
            work.multiply_by(&mut product, &residue);
            ciphertexts.push(Ciphertext(value));
        }
        if !kernel::integer(&product).gcd(self.modulus()).is_one() {
            return Err(Error::CiphertextFactor);
        }
        Ok(ciphertexts)
    }

    /// Adds up vectors of ciphertexts, element by element: their products modulo n^2, in the order
    /// given.
    ///
    /// # Errors
    /// [`Error::NoAddend`] or [`Error::AddendLength`].
    pub fn sum(&self, addends: &[&[Ciphertext]]) -> Result<Vec<Ciphertext>, Error> {
        let expected = addends.first().ok_or(Error::NoAddend)?.len();
        if let Some(index) = addends.iter().position(|addend| addend.len() != expected) {
            return Err(Error::AddendLength {
                index,
                expected,
                found: addends[index].len(),
            });
        }
        let mut work = self.whole.work();
        // Each of the products below divides by R, so R^terms is multiplied in at the end.
        let mut correction = self.whole_radix.clone();
        for _ in 2..addends.len() {
            work.multiply_by(&mut correction, &self.whole_radix);
        }
        let column = |index: usize| {
            let mut terms = addends.iter().map(|addend| &addend[index]);
            let (Some(first), true) = (terms.next(), addends.len() > 1) else {
                return addends[0][index].clone();
            };
            let mut product = self.wide(&first.0);
            for term in terms {
                work.multiply_by(&mut product, &self.wide(&term.0));
            }
            work.multiply_by(&mut product, &correction);
            Ciphertext(kernel::integer(&product))
        };
        Ok((0..expected).map(column).collect())
    }

    /// A number below n^2 as limbs.
    pub(super) fn wide(&self, value: &BigUint) -> Limbs {
        kernel::limbs(value, self.whole.len())
    }
}
