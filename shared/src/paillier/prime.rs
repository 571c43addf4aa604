//! Primes: small ones, Miller and Rabin's test, and the search for a large one.

use std::sync::LazyLock;

use num_bigint::BigUint;
use num_integer::Integer;
use num_traits::{One, Zero};
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::kernel::{self, LIMB_BITS, Limbs, Modulus};

/// A public modulus has no factor below this.
pub(super) const SMALL_FACTOR_BOUND: u32 = 1 << 20;
/// The search strikes out candidates with a factor below this: beyond it, dividing costs more than
/// the tests it saves.
const SIEVE_BOUND: u32 = 1 << 16;
/// Candidates, four apart, of one sieve: nearly always enough for a prime of 2048 bits.
const SIEVE_CANDIDATES: usize = 1 << 15;
/// Rounds of Miller and Rabin's test that a prime of a key passes.
const PRIME_ROUNDS: usize = 64;

/// Odd primes below [`SMALL_FACTOR_BOUND`].
static SMALL_PRIMES: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let bound = SMALL_FACTOR_BOUND as usize;
    let mut composite = vec![false; bound];
    let mut primes = Vec::new();
    for candidate in (3..bound).step_by(2) {
        if !composite[candidate] {
            primes.push(candidate as u32);
            for multiple in (candidate * candidate..bound).step_by(2 * candidate) {
                composite[multiple] = true;
            }
        }
    }
    primes
});

/// Uniform in 0..2^bits.
pub(super) fn random_bits(secrets: &mut dyn CryptoRng, bits: usize) -> Limbs {
    let mut out = Zeroizing::new(vec![0; bits.div_ceil(LIMB_BITS)]);
    for limb in out.iter_mut() {
        *limb = secrets.next_u64();
    }
    if let (Some(last), extra @ 1..) = (out.last_mut(), bits % LIMB_BITS) {
        *last >>= LIMB_BITS - extra;
    }
    out
}

/// Uniform in 0..bound, but for 2^-128.
pub(super) fn random_below(secrets: &mut dyn CryptoRng, bound: &BigUint) -> BigUint {
    kernel::integer(&random_bits(secrets, bound.bits() as usize + 128)) % bound
}

/// Whether an odd `n` has a factor below [`SMALL_FACTOR_BOUND`]: a common one with the product of
/// all small primes, of which only the residue modulo n (and powers of R) is formed.
pub(super) fn has_small_factor(n: &BigUint) -> bool {
    let modulus = Modulus::new(n);
    let mut work = modulus.work();
    let mut product = modulus.radix_power(1);
    let mut chunk = Vec::with_capacity(modulus.len());
    for primes in SMALL_PRIMES.chunks(3) {
        let factor = primes.iter().map(|prime| u64::from(*prime)).product();
        if chunk.len() == modulus.len() {
            work.multiply_by(&mut product, &chunk);
            chunk.clear();
        }
        multiply_small(&mut chunk, factor);
    }
    chunk.resize(modulus.len(), 0);
    work.multiply_by(&mut product, &chunk);
    !kernel::integer(&product).gcd(n).is_one()
}

/// x *= factor, one limb longer; an empty x stands for 1.
fn multiply_small(x: &mut Vec<u64>, factor: u64) {
    if x.is_empty() {
        x.push(factor);
        return;
    }
    let mut carry = 0;
    for limb in x.iter_mut() {
        let product = u128::from(*limb) * u128::from(factor) + u128::from(carry);
        *limb = product as u64;
        carry = (product >> LIMB_BITS) as u64;
    }
    x.push(carry);
}

/// Miller and Rabin's test of an odd `n` above 3: base 2, then random ones. A prime always passes;
/// a composite that nobody chose for the bases passes a round with at most one chance in four.
pub(super) fn is_prime(n: &BigUint, rounds: usize, bases: &mut dyn CryptoRng) -> bool {
    let test = MillerRabin::new(n);
    test.passes(&BigUint::from(2u32))
        && (1..rounds).all(|_| test.passes(&(random_below(bases, &(n - 3u32)) + 2u32)))
}

/// One candidate, prepared: n - 1 = odd 2^twos.
struct MillerRabin<'n> {
    n: &'n BigUint,
    modulus: Modulus,
    one: Limbs,
    minus_one: Limbs,
    odd: Limbs,
    twos: u64,
}

impl<'n> MillerRabin<'n> {
    fn new(n: &'n BigUint) -> Self {
        let modulus = Modulus::new(n);
        let one = modulus.radix_power(1);
        let mut minus_one = Zeroizing::new(vec![0; modulus.len()]);
        modulus.subtract(&mut minus_one, &one);
        let even = n - 1u32;
        let twos = even.trailing_zeros().unwrap_or(0);
        let odd = kernel::limbs(&(even >> twos), modulus.len());
        Self {
            n,
            modulus,
            one,
            minus_one,
            odd,
            twos,
        }
    }

    fn passes(&self, base: &BigUint) -> bool {
        let shifted = (base << (LIMB_BITS * self.modulus.len())) % self.n;
        let base = kernel::limbs(&shifted, self.modulus.len());
        let mut work = self.modulus.work();
        let mut x = work.power(&self.one, &base, &self.odd);
        if x == self.one || x == self.minus_one {
            return true;
        }
        for _ in 1..self.twos {
            work.square(&mut x);
            if x == self.minus_one {
                return true;
            }
        }
        false
    }
}

/// Whether n = a^b for some b > 1, given that n has no factor below [`SMALL_FACTOR_BOUND`].
pub(super) fn is_perfect_power(n: &BigUint) -> bool {
    let exponent_max = n.bits() as u32 / SMALL_FACTOR_BOUND.ilog2();
    let odd = SMALL_PRIMES
        .iter()
        .copied()
        .take_while(|prime| *prime <= exponent_max);
    std::iter::once(2)
        .chain(odd)
        .any(|exponent| n.nth_root(exponent).pow(exponent) == *n)
}

/// A random prime p = 3 mod 4 of exactly `bits` bits, the two highest of them set, such that
/// neither p nor (p-1)/2 has an odd factor below 2^16. The search goes up from a random number, as is
/// usual; a prime after a long gap is therefore likelier than one after a short gap.
pub(super) fn random_prime(secrets: &mut dyn CryptoRng, bits: u32) -> BigUint {
    loop {
        let mut start = kernel::integer(&random_bits(secrets, bits as usize));
        for bit in [0, 1, u64::from(bits) - 1, u64::from(bits) - 2] {
            start.set_bit(bit, true);
        }
        let struck = sieve(&start);
        for step in (0..SIEVE_CANDIDATES).filter(|step| !struck[*step]) {
            let candidate = &start + 4 * step;
            if candidate.bits() == u64::from(bits) && is_prime(&candidate, PRIME_ROUNDS, secrets) {
                return candidate;
            }
        }
    }
}

/// Which of `start + 4 step` are 0 or 1 modulo some small prime, so that it divides the candidate
/// or the candidate minus one.
fn sieve(start: &BigUint) -> Vec<bool> {
    let mut struck = vec![false; SIEVE_CANDIDATES];
    for prime in SMALL_PRIMES
        .iter()
        .copied()
        .take_while(|prime| *prime < SIEVE_BOUND)
    {
        let residue = start % prime;
        let residue = residue.iter_u64_digits().next().unwrap_or(0);
        let prime = u64::from(prime);
        // 1/4 modulo the prime: (prime + 1)/4 or (3 prime + 1)/4.
        let quarter = if prime % 4 == 3 {
            (prime + 1) / 4
        } else {
            (3 * prime + 1) / 4
        };
        for wanted in [prime, prime + 1] {
            let first = (wanted - residue) % prime * quarter % prime;
            for step in (first as usize..SIEVE_CANDIDATES).step_by(prime as usize) {
                struck[step] = true;
            }
        }
    }
    struck
}

/// Why two numbers make no key, or nothing: the rules that hold for p and q together.
pub(super) fn pair_rule_broken(p: &BigUint, q: &BigUint) -> Option<&'static str> {
    let bits = p.bits();
    let distance = if p > q { p - q } else { q - p };
    let (p_less, q_less) = (p - 1u32, q - 1u32);
    if q.bits() != bits {
        Some("be of one length")
    } else if distance.is_zero() || distance.bits() + 100 <= bits {
        Some("differ in their 100 highest bits")
    } else if p_less.gcd(&q_less) != BigUint::from(2u32) {
        Some("have gcd(p-1, q-1) = 2")
    } else if !(p * q).gcd(&(p_less * q_less)).is_one() {
        Some("have gcd(n, (p-1)(q-1)) = 1")
    } else {
        None
    }
}

/// The rules for one prime of a key: p = 3 mod 4, its two highest bits set, prime.
pub(super) fn prime_rule_broken(p: &BigUint, bases: &mut dyn CryptoRng) -> Option<&'static str> {
    if !p.bit(0) || !p.bit(1) {
        Some("be 3 modulo 4")
    } else if !p.bit(p.bits().saturating_sub(2)) {
        Some("have their two highest bits set")
    } else if !is_prime(p, PRIME_ROUNDS, bases) {
        Some("be prime")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn prime(n: &BigUint) -> bool {
        is_prime(n, 20, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn primes_and_only_primes_pass_the_test() {
        // 2^127 - 1 and 2^521 - 1 are prime, 2^131 - 1 isn't.
        let mersenne = |bits: usize| (BigUint::one() << bits) - 1u32;
        assert!(prime(&mersenne(127)) && prime(&mersenne(521)) && !prime(&mersenne(131)));
        for n in (5u32..2000).step_by(2) {
            let composite = (3..n).any(|d| d * d <= n && n % d == 0);
            assert_eq!(prime(&BigUint::from(n)), !composite, "{n}");
        }
        // Pseudoprimes to base 2; the last one to all prime bases up to 37.
        for n in [
            2047u128,
            3277,
            4033,
            1_373_653,
            318_665_857_834_031_151_167_461,
        ] {
            assert!(!prime(&BigUint::from(n)), "{n}");
        }
    }

    #[test]
    fn factors_below_the_bound_are_found_and_only_those() {
        let large = (BigUint::one() << 521usize) - 1u32;
        assert!(!has_small_factor(&large));
        for factor in [3u32, 65_537, 786_433, 1_048_573] {
            assert!(has_small_factor(&(&large * factor)), "{factor}");
        }
        assert!(
            !has_small_factor(&(large * 1_048_583u32)),
            "the first prime above the bound"
        );
    }

    #[test]
    fn powers_are_found_and_only_those() {
        let base = BigUint::from(1_048_583u32);
        for exponent in 2..=25 {
            assert!(is_perfect_power(&base.pow(exponent)), "{exponent}");
            assert!(
                !is_perfect_power(&(base.pow(exponent) * 1_048_589u32)),
                "{exponent}"
            );
        }
    }

    #[test]
    fn random_bits_fill_their_range_and_no_more() {
        let secrets = &mut StdRng::seed_from_u64(2);
        let drawn: Vec<_> = (0..200).map(|_| random_bits(secrets, 70)).collect();
        assert!(drawn.iter().all(|limbs| limbs.len() == 2 && limbs[1] < 64));
        assert!(drawn.iter().any(|limbs| limbs[1] >= 32));
    }
}
