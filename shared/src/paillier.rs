//! Paillier's scheme: numbers that can be added up under encryption.
//!
//! A key is n = p q with p = q = 3 mod 4; a ciphertext of m is (1 + m n) y modulo n^2 for a random
//! n-th power y, and the product of ciphertexts decrypts to the sum of their numbers (Paillier,
//! Eurocrypt 1999). y is h^(n a) for an h that everyone derives from n and a uniform a of half n's
//! length (Damgård, Jurik and Nielsen, IJIS 2010), which assumes nothing beyond Paillier's own
//! assumption and makes a fixed-base table possible.
//!
//! Several values travel in one ciphertext, in slots of 128 bits ([`pack`], [`unpack`]).
//!
//! What the scheme doesn't give: whoever knows the private key can open every single ciphertext,
//! not only a sum; anyone can change a ciphertext in a foreseeable way; and a sum over one party
//! *is* that party's ciphertext. The masks, signatures and minimum numbers around it see to those.

use thiserror::Error;

use crate::limits::KEY_BITS_ALLOWED;

mod cipher;
mod comb;
mod encryptor;
mod kernel;
mod key;
mod packing;
mod prime;
mod private_key;

#[cfg(test)]
mod tests;

pub use cipher::{Ciphertext, Plaintext};
pub use encryptor::Encryptor;
pub use key::PublicKey;
pub use packing::{pack, unpack};
pub use private_key::PrivateKey;

/// Why a key, a ciphertext or a plaintext is refused. Never names a number of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The length of the modulus is none that is allowed.
    #[error("key_bits {bits} must be one of {KEY_BITS_ALLOWED:?}")]
    KeyBits {
        /// The length asked for or found.
        bits: u64,
    },
    /// The public modulus breaks a rule.
    #[error("the Paillier modulus n must {rule}")]
    Modulus {
        /// What n must do or be.
        rule: &'static str,
    },
    /// The private primes break a rule.
    #[error("the Paillier primes p and q must {rule}")]
    Primes {
        /// What p and q must do or be.
        rule: &'static str,
    },
    /// The bytes aren't the expected number of fixed-length ciphertexts.
    #[error("{found} bytes must be {count} ciphertexts of {each} bytes each")]
    CiphertextBytes {
        /// Ciphertexts expected.
        count: usize,
        /// Bytes of one ciphertext under this key.
        each: usize,
        /// Bytes found.
        found: usize,
    },
    /// A ciphertext is no number that encryption yields.
    #[error("ciphertext {index} must be above 0 and below n^2")]
    CiphertextRange {
        /// Its place, from 0.
        index: usize,
    },
    /// One of the ciphertexts, unknown which, shares a factor with n.
    #[error("every ciphertext must be coprime to n")]
    CiphertextFactor,
    /// There is nothing to add up.
    #[error("a sum needs at least one addend")]
    NoAddend,
    /// An addend isn't as long as the first one.
    #[error("addend {index} has {found} ciphertexts, must have {expected} as addend 0")]
    AddendLength {
        /// Its place, from 0.
        index: usize,
        /// Ciphertexts of addend 0.
        expected: usize,
        /// Ciphertexts found.
        found: usize,
    },
    /// A number isn't below n.
    #[error("a plaintext must be below n")]
    PlaintextRange,
    /// The ciphertext can't be decrypted, or the calculation went wrong. On purpose it isn't told
    /// which.
    #[error("decryption failed")]
    Decryption,
    /// There are more or fewer plaintexts than the slots need.
    #[error("{slots} slots need {expected} plaintexts, found {found}")]
    PlaintextCount {
        /// Slots asked for.
        slots: usize,
        /// Plaintexts that hold them.
        expected: usize,
        /// Plaintexts found.
        found: usize,
    },
    /// A plaintext holds something beyond its used slots: a sum overflowed, or it is no sum of
    /// packed values at all.
    #[error("plaintext {index} must be zero beyond its used slots")]
    Residue {
        /// Its place, from 0.
        index: usize,
    },
}
