//! One party's encryption under one key: the base, its table, and the pool of randomisers.

use std::collections::VecDeque;

use num_bigint::BigUint;
use num_integer::Integer;
use num_traits::One;
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::comb::{Comb, Power, Shape};
use super::kernel::{self, Digits, Limbs};
use super::prime::random_bits;
use super::{Ciphertext, Plaintext, PublicKey};

/// Encrypts under one key.
///
/// Randomisers are h^(n a) with `a` uniform, of half the key's bits ("Half": Damgård, Jurik, Nielsen).
/// They don't depend on the plaintext, so [`Encryptor::fill_one`] makes them in idle time; each is
/// used once and then wiped. They live in memory only: a process that is forked or restored from a
/// snapshot would use them twice.
pub struct Encryptor {
    key: PublicKey,
    comb: Comb,
    pool: VecDeque<Power>,
    pool_entries_max: usize,
}

impl Encryptor {
    /// Derives the base from n and builds its table, so that the first round finds both ready: in
    /// 25 ms at 2048 bits and 65 ms at 3072 for a hundred `ciphertexts` over the key's life, in a
    /// quarter of a second and 8 MiB at most. A direct encryption then takes 0.5 to 0.35 ms (2048)
    /// or 1.7 to 1.2 ms (3072), one from the pool a hundredth. At most `pool` randomisers are kept.
    pub fn new(key: PublicKey, ciphertexts: u64, pool: usize) -> Self {
        let exponent_bits = key.key_bits() as usize / 2;
        let shape = Shape::cheapest(exponent_bits, key.digits.len(), ciphertexts);
        let comb = Comb::new(&key, &base(&key), shape);
        Self {
            key,
            comb,
            pool: VecDeque::new(),
            pool_entries_max: pool,
        }
    }

    /// The key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Randomisers in stock.
    pub fn pooled(&self) -> usize {
        self.pool.len()
    }

    /// Encrypts `m`: with a randomiser of the pool if there is one, else with a new one.
    pub fn encrypt(&mut self, secrets: &mut dyn CryptoRng, m: &Plaintext) -> Ciphertext {
        let randomiser = self
            .pool
            .pop_front()
            .unwrap_or_else(|| self.randomiser(secrets));
        blind(&self.key, m, &randomiser)
    }

    /// Makes one randomiser for later; false when the pool is full.
    pub fn fill_one(&mut self, secrets: &mut dyn CryptoRng) -> bool {
        let room = self.pool.len() < self.pool_entries_max;
        if room {
            let randomiser = self.randomiser(secrets);
            self.pool.push_back(randomiser);
        }
        room
    }

    fn randomiser(&self, secrets: &mut dyn CryptoRng) -> Power {
        let exponent = random_bits(secrets, self.key.key_bits() as usize / 2);
        self.comb.power(&self.key.digits, &exponent)
    }

    /// Encrypts with a given exponent, for comparing with other implementations.
    #[cfg(test)]
    pub(super) fn encrypt_with(&self, exponent: &BigUint, m: &Plaintext) -> Ciphertext {
        let exponent = kernel::limbs(exponent, self.key.digits.len());
        blind(&self.key, m, &self.comb.power(&self.key.digits, &exponent))
    }
}

/// y (1 + m n) = low + (high + m low modulo n) n, for y = low + high n.
fn blind(key: &PublicKey, m: &Plaintext, y: &Power) -> Ciphertext {
    let modulus = &key.digits;
    let m = kernel::limbs(&m.0, modulus.len());
    let mut high: Limbs = Zeroizing::new(vec![0; modulus.len()]);
    modulus.work().multiply(&mut high, &y.low_radix, &m);
    modulus.add(&mut high, &y.high);
    let mut out = vec![0; 2 * modulus.len()];
    out[..modulus.len()].copy_from_slice(&y.low);
    kernel::add_product(&mut out, &high, modulus.limbs());
    Ciphertext(kernel::integer(&out))
}

/// h^n R modulo n^2 for h = -x^2 modulo n, where x is hashed from n: nobody chooses it, so
/// a key holder can't choose a base of small order.
fn base(key: &PublicKey) -> Digits {
    let n = key.modulus();
    // A key from outside could have some factor in common with the first x; all parties go on alike.
    let x = (0..)
        .map(|attempt| hashed(n, attempt) % n)
        .find(|x| x.gcd(n).is_one())
        .expect("some number is coprime to n");
    let h = n - &x * &x % n;
    key.nth_power(&h)
}

/// A number of 128 bits more than n: SHA-256 of a label, the attempt, 0, 1, 2, .. and n, joined.
fn hashed(n: &BigUint, attempt: u32) -> BigUint {
    let bytes = n.to_bytes_be();
    let length = bytes.len() + 16;
    let mut out = Vec::with_capacity(length + 31);
    for block in 0..length.div_ceil(32) as u32 {
        let hash = Sha256::new()
            .chain_update(b"concord paillier base 1")
            .chain_update(attempt.to_be_bytes())
            .chain_update(block.to_be_bytes())
            .chain_update(&bytes);
        out.extend_from_slice(&hash.finalize());
    }
    BigUint::from_bytes_be(&out[..length])
}
