//! The private key: making one, and decryption.

use std::thread;

use num_bigint::BigUint;
use num_traits::One;
use rand::rngs::StdRng;
use rand::{CryptoRng, SeedableRng};
use zeroize::Zeroizing;

use super::cipher::wipe;
use super::kernel::{self, Digits, Limbs, Modulus};
use super::key::{bases_of, is_small_key_bits};
use super::prime::{pair_rule_broken, prime_rule_broken, random_below, random_prime};
use super::{Ciphertext, Error, Plaintext, PublicKey};
use crate::limits::KEY_BITS_ALLOWED;

/// Paillier's private key. It can't be copied, printed or written; what it holds is wiped when
/// dropped. That no copy remains can't be promised: `num-bigint` computes the constants and frees
/// its intermediate numbers as they are.
pub struct PrivateKey {
    public: PublicKey,
    /// p is the larger one.
    p: Half,
    q: Half,
    /// R/q modulo p.
    q_inverse: Limbs,
}

impl PrivateKey {
    /// Makes a key with n of `bits` bits, by the rules of [`PrivateKey::from_primes`]; besides, neither
    /// (p-1)/2 nor (q-1)/2 has a factor below 2^16. At 3072 bits it takes 0.3 to 1 s of two cores.
    ///
    /// # Errors
    /// [`Error::KeyBits`] when `bits` isn't among [`KEY_BITS_ALLOWED`]; [`Error::Decryption`] when the
    /// key fails its own test, which only a fault of the machine can cause.
    pub fn generate(secrets: &mut dyn CryptoRng, bits: u32) -> Result<Self, Error> {
        if !KEY_BITS_ALLOWED.contains(&bits) {
            return Err(Error::KeyBits {
                bits: u64::from(bits),
            });
        }
        Self::search(secrets, bits)
    }

    /// Makes a short key, which is **not secure**: for tests and simulations, and no request, message
    /// or file leads here. `bits` is a multiple of 256.
    ///
    /// # Panics
    /// When `bits` isn't, or is more than the longest allowed key's.
    pub fn generate_small(secrets: &mut dyn CryptoRng, bits: u32) -> Self {
        assert!(
            is_small_key_bits(bits),
            "{bits} must be a multiple of 256, and not too long"
        );
        Self::search(secrets, bits).expect("a new key passes its own test")
    }

    fn search(secrets: &mut dyn CryptoRng, bits: u32) -> Result<Self, Error> {
        let (mut p, mut q) = loop {
            let [mut for_p, mut for_q] = [(); 2].map(|()| StdRng::from_rng(secrets));
            let (p, q) = thread::scope(|scope| {
                let search = scope.spawn(move || random_prime(&mut for_p, bits / 2));
                let q = random_prime(&mut for_q, bits / 2);
                (search.join().expect("the search doesn't panic"), q)
            });
            if pair_rule_broken(&p, &q).is_none() {
                break (p, q);
            }
        };
        let key = Self::assemble(&p, &q);
        wipe(&mut p);
        wipe(&mut q);
        key.test(secrets)?;
        Ok(key)
    }

    /// The key of two given primes, in either order. They must be primes of one length, a multiple of
    /// 128 bits, and 3 modulo 4, with their two highest bits set, more than 2^(length - 100) apart,
    /// gcd(p-1, q-1) = 2 and gcd(n, (p-1)(q-1)) = 1.
    ///
    /// # Errors
    /// [`Error::KeyBits`] or [`Error::Primes`].
    pub fn from_primes(p: &BigUint, q: &BigUint) -> Result<Self, Error> {
        let bits = p.bits() * 2;
        if !u32::try_from(bits).is_ok_and(is_small_key_bits) {
            return Err(Error::KeyBits { bits });
        }
        let rule = prime_rule_broken(p, &mut bases_of(p))
            .or_else(|| prime_rule_broken(q, &mut bases_of(q)))
            .or_else(|| pair_rule_broken(p, q));
        rule.map_or_else(
            || Ok(Self::assemble(p, q)),
            |rule| Err(Error::Primes { rule }),
        )
    }

    fn assemble(p: &BigUint, q: &BigUint) -> Self {
        let (p, q) = if p > q { (p, q) } else { (q, p) };
        let p_half = Half::new(p, q);
        let radix = kernel::integer(&p_half.modulus.radix_power(1));
        let inverse = q.modinv(p).expect("two primes are coprime");
        let q_inverse = kernel::limbs(&(inverse * radix % p), p_half.modulus.len());
        Self {
            public: PublicKey::assemble(p * q),
            q: Half::new(q, p),
            p: p_half,
            q_inverse,
        }
    }

    /// Encrypts one random number by the textbook formula, (1 + m n) r^n, and decrypts it.
    fn test(&self, secrets: &mut dyn CryptoRng) -> Result<(), Error> {
        let n = self.public.modulus();
        let (m, r) = (random_below(secrets, n), random_below(secrets, n));
        let mut y = self.public.nth_power(&r);
        self.public.digits.work().strip(&mut y);
        let y = kernel::integer(&y.low) + kernel::integer(&y.high) * n;
        let c = (&m * n + 1u32) * y % self.public.modulus_squared();
        let found = self.decrypt(&Ciphertext(c))?;
        if *found.value() == m {
            Ok(())
        } else {
            Err(Error::Decryption)
        }
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Decrypts modulo p and modulo q, and joins the halves (Paillier's section 7, Garner).
    ///
    /// # Errors
    /// [`Error::Decryption`] for a ciphertext that isn't one of this key (below n^2, coprime to n), and
    /// when a half went wrong: a single wrong half would give away the factors of n.
    pub fn decrypt(&self, ciphertext: &Ciphertext) -> Result<Plaintext, Error> {
        if ciphertext.0 >= *self.public.modulus_squared() {
            return Err(Error::Decryption);
        }
        let (mut modulo_p, p_holds) = self.p.decrypt(ciphertext);
        let (modulo_q, q_holds) = self.q.decrypt(ciphertext);
        if !(p_holds & q_holds) {
            return Err(Error::Decryption);
        }
        // m = m_q + q ((m_p - m_q)/q modulo p), where m_q < q < p.
        let p = &self.p.modulus;
        p.subtract(&mut modulo_p, &modulo_q);
        p.work().multiply_by(&mut modulo_p, &self.q_inverse);
        let mut m: Limbs = Zeroizing::new(vec![0; 2 * p.len()]);
        m[..p.len()].copy_from_slice(&modulo_q);
        kernel::add_product(&mut m, &modulo_p, self.q.modulus.limbs());
        Ok(Plaintext(kernel::integer(&m)))
    }
}

/// What decryption needs modulo one prime p (the other being q).
struct Half {
    modulus: Modulus,
    /// p - 1.
    exponent: Limbs,
    /// R modulo p^2.
    one: Digits,
    /// R^2 to R^5 modulo p^2.
    shifts: [Digits; 4],
    /// -R/q modulo p: what L((1 + n)^(p - 1)) = -q is divided by.
    scale: Limbs,
}

impl Half {
    fn new(p: &BigUint, q: &BigUint) -> Self {
        let modulus = Modulus::new(p);
        let radix = kernel::integer(&modulus.radix_power(1));
        let inverse = (p - q % p).modinv(p).expect("two primes are coprime");
        Self {
            exponent: kernel::limbs(&(p - BigUint::one()), modulus.len()),
            one: modulus.radix_power_digits(1),
            shifts: [2, 3, 4, 5].map(|power| modulus.radix_power_digits(power)),
            scale: kernel::limbs(&(inverse * radix % p), modulus.len()),
            modulus,
        }
    }

    /// The plaintext modulo p, and whether the calculation holds: c^(p-1) is 1 modulo p.
    fn decrypt(&self, ciphertext: &Ciphertext) -> (Limbs, bool) {
        let k = self.modulus.len();
        let mut work = self.modulus.work();
        let ciphertext = kernel::limbs(&ciphertext.0, self.shifts.len() * k);
        // c R modulo p^2 from four pieces below R: the sum of c_i R^(i + 2) / R.
        let mut base = Digits {
            low: Zeroizing::new(vec![0; k]),
            high: Zeroizing::new(vec![0; k]),
        };
        for (piece, shift) in ciphertext.chunks_exact(k).zip(&self.shifts) {
            let mut term = shift.clone();
            work.multiply_digit(&mut term, piece);
            self.modulus.add_digits(&mut base, &term);
        }
        let mut power = work.power_digits(&self.one, &base, &self.exponent);
        work.strip(&mut power);
        let holds = kernel::integer(&power.low).is_one();
        work.multiply_by(&mut power.high, &self.scale);
        (power.high, holds)
    }
}

#[cfg(test)]
impl PrivateKey {
    pub(super) fn primes(&self) -> (BigUint, BigUint) {
        (
            kernel::integer(self.p.modulus.limbs()),
            kernel::integer(self.q.modulus.limbs()),
        )
    }

    /// (p - 1)(q - 1).
    pub(super) fn phi(&self) -> BigUint {
        let (p, q) = self.primes();
        (p - 1u32) * (q - 1u32)
    }

    pub(super) fn disturb_p(&mut self) {
        self.p.exponent[1] ^= 1;
    }

    pub(super) fn disturb_q(&mut self) {
        self.q.exponent[1] ^= 1;
    }
}
