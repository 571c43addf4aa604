//! The public key, and what a modulus from outside must satisfy.

use std::fmt;

use num_bigint::BigUint;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sha2::{Digest, Sha256};

use super::Error;
use super::kernel::{self, Digits, Limbs, Modulus};
use super::prime::{has_small_factor, is_perfect_power, is_prime};
use crate::limits::{KEY_BITS_ALLOWED, SLOT_BITS};

/// Rounds of Miller and Rabin's test after which a modulus counts as prime.
const PRIME_ROUNDS: usize = 20;
/// Test keys have a multiple of this many bits, so that n fills whole strides of limbs.
const SMALL_KEY_BITS_STEP: u32 = 256;

/// Paillier's public key: the modulus n.
///
/// Checking a modulus from outside costs 15 ms at 3072 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    n: BigUint,
    n_squared: BigUint,
    key_bits: u32,
    pub(super) digits: Modulus,
    pub(super) whole: Modulus,
    /// R^2 modulo n^2, for R of the whole modulus.
    pub(super) whole_radix: Limbs,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey")
            .field("key_bits", &self.key_bits)
            .finish_non_exhaustive()
    }
}

impl PublicKey {
    /// Reads n, big-endian, of exactly an allowed length ([`KEY_BITS_ALLOWED`]).
    ///
    /// The key is hostile input: n must be 1 modulo 4 (as p q with p = q = 3 mod 4), not prime, no
    /// power, and without a factor below 2^20. That n is a product of exactly two primes can't be
    /// seen; a key holder who builds n otherwise harms nobody but itself.
    ///
    /// # Errors
    /// [`Error::KeyBits`] or [`Error::Modulus`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if !KEY_BITS_ALLOWED
            .iter()
            .any(|bits| *bits as usize == bytes.len() * 8)
        {
            return Err(Error::KeyBits {
                bits: bytes.len() as u64 * 8,
            });
        }
        Self::checked(bytes)
    }

    /// [`PublicKey::from_bytes`] for any multiple of 256 bits up to the longest allowed key.
    ///
    /// Short keys are **not secure**: they are for tests and simulations, and no request, message or
    /// file leads here.
    ///
    /// # Errors
    /// [`Error::KeyBits`] or [`Error::Modulus`].
    pub fn from_bytes_small(bytes: &[u8]) -> Result<Self, Error> {
        let bits = bytes.len() as u64 * 8;
        if !u32::try_from(bits).is_ok_and(is_small_key_bits) {
            return Err(Error::KeyBits { bits });
        }
        Self::checked(bytes)
    }

    /// Checks n, of a length that was checked.
    fn checked(bytes: &[u8]) -> Result<Self, Error> {
        let n = BigUint::from_bytes_be(bytes);
        let rule = if n.bits() != bytes.len() as u64 * 8 {
            "have its highest bit set"
        } else if !n.bit(0) || n.bit(1) {
            "be 1 modulo 4"
        } else if has_small_factor(&n) {
            "have no factor below 2^20"
        } else if is_prime(&n, PRIME_ROUNDS, &mut bases_of(&n)) {
            "not be prime"
        } else if is_perfect_power(&n) {
            "not be a power"
        } else {
            return Ok(Self::assemble(n));
        };
        Err(Error::Modulus { rule })
    }

    /// The key of a modulus that is known to be good.
    pub(super) fn assemble(n: BigUint) -> Self {
        let n_squared = &n * &n;
        let digits = Modulus::new(&n);
        let whole = Modulus::new(&n_squared);
        let whole_radix = whole.radix_power(2);
        let key_bits = n.bits() as u32;
        Self {
            n,
            n_squared,
            key_bits,
            digits,
            whole,
            whole_radix,
        }
    }

    /// base^n R modulo n^2, for a base below n.
    pub(super) fn nth_power(&self, base: &BigUint) -> Digits {
        let modulus = &self.digits;
        let mut work = modulus.work();
        let mut shifted = modulus.radix_power_digits(2);
        work.multiply_digit(&mut shifted, &kernel::limbs(base, modulus.len()));
        work.power_digits(&modulus.radix_power_digits(1), &shifted, modulus.limbs())
    }

    /// n, big-endian, of `key_bits / 8` bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.n.to_bytes_be()
    }

    /// Bits of n.
    pub fn key_bits(&self) -> u32 {
        self.key_bits
    }

    /// n.
    pub fn modulus(&self) -> &BigUint {
        &self.n
    }

    /// n^2, below which ciphertexts lie.
    pub(super) fn modulus_squared(&self) -> &BigUint {
        &self.n_squared
    }

    /// Slots of one ciphertext.
    pub fn slots(&self) -> usize {
        (self.key_bits / SLOT_BITS) as usize
    }

    /// Ciphertexts that hold so many slots.
    pub fn ciphertexts_for(&self, slots: usize) -> usize {
        slots.div_ceil(self.slots())
    }

    /// Bytes of one ciphertext.
    pub fn ciphertext_bytes(&self) -> usize {
        self.key_bits as usize / 4
    }
}

/// Whether a test key may have so many bits.
pub(super) fn is_small_key_bits(bits: u32) -> bool {
    let longest = KEY_BITS_ALLOWED.into_iter().max().unwrap_or(0);
    (SMALL_KEY_BITS_STEP..=longest).contains(&bits) && bits.is_multiple_of(SMALL_KEY_BITS_STEP)
}

/// A generator that depends on the number to be tested only. Bases that can be foreseen let a
/// composite pass as prime, never a prime as composite; a key that does the former is refused.
pub(super) fn bases_of(number: &BigUint) -> StdRng {
    StdRng::from_seed(Sha256::digest(number.to_bytes_be()).into())
}
