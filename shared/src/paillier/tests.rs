//! The scheme as a whole: against python-paillier, its laws, and hostile input.

use std::sync::LazyLock;

use num_bigint::BigUint;
use num_integer::Integer;
use num_traits::One;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Deserialize;

use super::*;
use crate::limits::{PARTIES_MAX, SLOT_VALUE_BITS};

static KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate_small(&mut StdRng::seed_from_u64(1), 512));

fn public() -> &'static PublicKey {
    KEY.public_key()
}

fn encryptor(pool: usize) -> Encryptor {
    Encryptor::new(public().clone(), 100, pool)
}

fn plain(value: impl Into<BigUint>) -> Plaintext {
    Plaintext::new(value.into() % public().modulus(), public()).unwrap()
}

/// A number modulo n, its borders among them.
fn modulo_n() -> impl Strategy<Value = BigUint> {
    let n = public().modulus();
    let half = n >> 1u32;
    prop_oneof![
        4 => prop::collection::vec(any::<u32>(), 17).prop_map(|x| BigUint::new(x) % public().modulus()),
        1 => prop::sample::select(vec![BigUint::ZERO, BigUint::one(), n - 1u32, &half + 1u32, half]),
    ]
}

mod vectors {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        keys: Vec<Key>,
    }

    #[derive(Deserialize)]
    struct Key {
        bits: u32,
        p: String,
        q: String,
        theirs: Vec<Encrypted>,
        ours: Vec<Encrypted>,
        sum_of_ours: Encrypted,
    }

    #[derive(Deserialize)]
    struct Encrypted {
        m: String,
        #[serde(default)]
        a: String,
        c: String,
    }

    fn number(hex: &str) -> BigUint {
        BigUint::parse_bytes(&hex.as_bytes()[2..], 16).unwrap()
    }

    impl Encrypted {
        fn ciphertext(&self, key: &PublicKey) -> Ciphertext {
            let mut bytes = number(&self.c).to_bytes_be();
            bytes.splice(0..0, vec![0; key.ciphertext_bytes() - bytes.len()]);
            key.parse(&bytes, 1).unwrap().remove(0)
        }
    }

    #[test]
    fn phe_and_we_decrypt_each_other() {
        let file: File = serde_json::from_str(include_str!("vectors.json")).unwrap();
        assert_eq!(
            file.keys.iter().map(|key| key.bits).collect::<Vec<_>>(),
            [512, 1024, 2048, 3072]
        );
        for entry in file.keys {
            let key = PrivateKey::from_primes(&number(&entry.p), &number(&entry.q)).unwrap();
            let public = PublicKey::from_bytes_small(&key.public_key().to_bytes()).unwrap();
            assert_eq!(public.key_bits(), entry.bits);
            for theirs in &entry.theirs {
                let found = key.decrypt(&theirs.ciphertext(&public)).unwrap();
                assert_eq!(*found.value(), number(&theirs.m), "{} bits", entry.bits);
            }
            // phe decrypted these when the file was made; that we'd make the same is left to show.
            let encryptor = Encryptor::new(public.clone(), 1, 0);
            let mut ciphertexts = vec![];
            for ours in &entry.ours {
                let m = Plaintext::new(number(&ours.m), &public).unwrap();
                let ciphertext = encryptor.encrypt_with(&number(&ours.a), &m);
                assert_eq!(ciphertext, ours.ciphertext(&public), "{} bits", entry.bits);
                ciphertexts.push(vec![ciphertext]);
            }
            let addends: Vec<_> = ciphertexts.iter().map(Vec::as_slice).collect();
            let sum = public.sum(&addends).unwrap();
            assert_eq!(sum[0], entry.sum_of_ours.ciphertext(&public));
        }
    }
}

mod laws {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn a_product_of_ciphertexts_decrypts_to_the_sum(a in modulo_n(), b in modulo_n(), seed: u64) {
            let secrets = &mut StdRng::seed_from_u64(seed);
            let mut encryptor = encryptor(0);
            let x = encryptor.encrypt(secrets, &plain(a.clone()));
            let y = encryptor.encrypt(secrets, &plain(b.clone()));
            let sum = public().sum(&[&[x], &[y]]).unwrap();
            let found = KEY.decrypt(&sum[0]).unwrap();
            prop_assert_eq!(found.value(), &((a + b) % public().modulus()));
        }

        #[test]
        fn decryption_by_halves_is_the_textbooks(c in prop::collection::vec(any::<u32>(), 33)) {
            let n = public().modulus();
            let c = BigUint::new(c) % (n * n);
            prop_assume!(c.gcd(n).is_one());
            // m = L(c^phi) / L((1 + n)^phi), L(u) = (u - 1) / n
            let phi = KEY.phi();
            let l = |u: BigUint| (u.modpow(&phi, &(n * n)) - 1u32) / n;
            let m = l(c.clone()) * l(n + 1u32).modinv(n).unwrap() % n;
            let found = KEY.decrypt(&Ciphertext(c)).unwrap();
            prop_assert_eq!(found.value(), &m);
        }

        #[test]
        fn a_mask_and_its_negative_cancel(a in modulo_n(), mask in modulo_n()) {
            let masked = plain(a.clone()).add(&mask, public());
            prop_assert!(masked.value() < public().modulus());
            let back = masked.add(&(public().modulus() - &mask), public());
            prop_assert_eq!(back.value(), &a);
        }

        #[test]
        fn ciphertexts_survive_their_bytes(m in modulo_n(), seed: u64, count in 0usize..5) {
            let secrets = &mut StdRng::seed_from_u64(seed);
            let mut encryptor = encryptor(0);
            let sent: Vec<_> = (0..count).map(|_| encryptor.encrypt(secrets, &plain(m.clone()))).collect();
            let bytes: Vec<u8> = sent.iter().flat_map(|c| c.to_bytes(public())).collect();
            prop_assert_eq!(bytes.len(), count * public().ciphertext_bytes());
            prop_assert_eq!(public().parse(&bytes, count).unwrap(), sent);
        }
    }

    #[test]
    fn a_sum_is_the_product_modulo_n_squared_for_any_number_of_addends() {
        let secrets = &mut StdRng::seed_from_u64(2);
        let mut encryptor = encryptor(0);
        let n = public().modulus();
        let mut addends: Vec<[Ciphertext; 2]> = vec![];
        let mut product = [BigUint::one(), BigUint::one()];
        for m in 0..6u32 {
            addends.push([m, m + 1].map(|m| encryptor.encrypt(secrets, &plain(m))));
            for (product, term) in product.iter_mut().zip(&addends[m as usize]) {
                *product = &*product * &term.0 % (n * n);
            }
            let addends: Vec<_> = addends.iter().map(|addend| &addend[..]).collect();
            assert_eq!(
                public().sum(&addends).unwrap(),
                product.clone().map(Ciphertext)
            );
        }
    }

    #[test]
    fn sums_of_unequal_or_no_vectors_are_refused() {
        let c = || Ciphertext(BigUint::from(5u32));
        assert_eq!(public().sum(&[]), Err(Error::NoAddend));
        assert_eq!(public().sum(&[&[], &[]]), Ok(vec![]));
        assert_eq!(
            public().sum(&[&[c(), c()], &[c(), c()], &[c()]]),
            Err(Error::AddendLength {
                index: 2,
                expected: 2,
                found: 1
            })
        );
    }
}

mod randomisers {
    use super::*;

    #[test]
    fn no_entry_of_the_pool_is_used_twice() {
        let secrets = &mut StdRng::seed_from_u64(3);
        let mut encryptor = encryptor(3);
        assert!((0..3).all(|_| encryptor.fill_one(secrets)));
        assert!(!encryptor.fill_one(secrets), "the pool is full");
        assert_eq!(encryptor.pooled(), 3);
        // Three from the pool, three direct: all of the same number, all different.
        let mut seen: Vec<Ciphertext> = vec![];
        for left in [2, 1, 0, 0, 0, 0] {
            let ciphertext = encryptor.encrypt(secrets, &plain(7u32));
            assert_eq!(encryptor.pooled(), left);
            assert_eq!(
                *KEY.decrypt(&ciphertext).unwrap().value(),
                BigUint::from(7u32)
            );
            assert!(!seen.contains(&ciphertext));
            seen.push(ciphertext);
        }
        assert!(encryptor.fill_one(secrets), "there is room again");
    }

    #[test]
    fn the_pool_and_the_direct_path_give_the_same_ciphertext_for_the_same_randomness() {
        let (mut direct, mut pooled) = (encryptor(0), encryptor(1));
        assert!(
            !direct.fill_one(&mut StdRng::seed_from_u64(4)),
            "a pool of none is full"
        );
        assert!(pooled.fill_one(&mut StdRng::seed_from_u64(4)));
        let expected = direct.encrypt(&mut StdRng::seed_from_u64(4), &plain(8u32));
        assert_eq!(
            pooled.encrypt(&mut StdRng::seed_from_u64(5), &plain(8u32)),
            expected
        );
    }

    #[test]
    fn a_ciphertext_of_zero_is_an_nth_power_and_no_small_one() {
        let c = encryptor(0)
            .encrypt(&mut StdRng::seed_from_u64(6), &plain(0u32))
            .0;
        let n = public().modulus();
        assert!(c.modpow(&KEY.phi(), &(n * n)).is_one());
        assert!(c > *n);
    }
}

mod packed {
    use super::*;

    /// Values of a party: the extremes are as likely as anything else.
    fn value() -> impl Strategy<Value = i128> {
        let limit = 1i128 << SLOT_VALUE_BITS;
        prop_oneof![
            Just(limit),
            Just(-limit),
            Just(0),
            Just(-1),
            Just(1),
            -limit..=limit
        ]
    }

    fn terms() -> impl Strategy<Value = Vec<Vec<i128>>> {
        (1usize..=10, 1..=PARTIES_MAX).prop_flat_map(|(slots, parties)| {
            prop::collection::vec(prop::collection::vec(value(), slots), parties)
        })
    }

    fn sums(terms: &[Vec<i128>]) -> Vec<i128> {
        (0..terms[0].len())
            .map(|slot| terms.iter().map(|term| term[slot]).sum())
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_sum_of_packed_values_unpacks_to_their_sum(terms in terms()) {
            let key = public();
            let packed: Vec<_> = terms.iter().map(|term| pack(key, term)).collect();
            let total: Vec<_> = (0..packed[0].len())
                .map(|at| plain(packed.iter().map(|p| p[at].value()).sum::<BigUint>()))
                .collect();
            prop_assert_eq!(total.len(), key.ciphertexts_for(terms[0].len()));
            prop_assert_eq!(unpack(key, &total, terms[0].len()).unwrap(), sums(&terms));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn the_same_holds_under_encryption(terms in terms(), seed: u64) {
            let (key, secrets) = (public(), &mut StdRng::seed_from_u64(seed));
            let mut encryptor = encryptor(0);
            let sent: Vec<Vec<_>> = terms
                .iter()
                .map(|term| pack(key, term).iter().map(|m| encryptor.encrypt(secrets, m)).collect())
                .collect();
            let sent: Vec<_> = sent.iter().map(Vec::as_slice).collect();
            let sum = key.sum(&sent).unwrap();
            let plaintexts: Vec<_> = sum.iter().map(|c| KEY.decrypt(c).unwrap()).collect();
            prop_assert_eq!(unpack(key, &plaintexts, terms[0].len()).unwrap(), sums(&terms));
        }
    }

    #[test]
    fn every_slot_carries_the_extremes_alone_and_beside_its_opposite() {
        let extreme = (PARTIES_MAX as i128) << SLOT_VALUE_BITS;
        for (slot, value) in
            (0..public().slots()).flat_map(|slot| [(slot, extreme - 1), (slot, 1 - extreme)])
        {
            let mut values = vec![0; public().slots()];
            values[slot] = value;
            assert_eq!(
                unpack(public(), &pack(public(), &values), values.len()).unwrap(),
                values
            );
            values.fill(-value);
            values[slot] = value;
            assert_eq!(
                unpack(public(), &pack(public(), &values), values.len()).unwrap(),
                values
            );
        }
    }

    #[test]
    fn the_layout_is_the_sum_of_values_times_powers_of_two_to_128() {
        let n = public().modulus();
        let packed = pack(public(), &[3, 5]);
        assert_eq!(*packed[0].value(), (BigUint::from(5u32) << 128) + 3u32);
        assert_eq!(*pack(public(), &[-1])[0].value(), n - 1u32);
        assert_eq!(
            *pack(public(), &[1, -1])[0].value(),
            n + 1u32 - (BigUint::one() << 128)
        );
        assert!(pack(public(), &[]).is_empty());
    }

    #[test]
    fn nothing_may_be_left_beyond_the_used_slots() {
        let residue = |value: BigUint, count| unpack(public(), &[plain(value)], count);
        let n = public().modulus();
        let (two, at_384) = (BigUint::from(2u32), BigUint::one() << 384usize);
        assert_eq!(residue(at_384.clone(), 4), Ok(vec![0, 0, 0, 1]));
        assert_eq!(residue(at_384.clone(), 3), Err(Error::Residue { index: 0 }));
        assert_eq!(residue(n - &at_384, 4), Ok(vec![0, 0, 0, -1]));
        assert_eq!(residue(n - at_384, 3), Err(Error::Residue { index: 0 }));
        // n/2 and its neighbour, the borders between the signs: their highest slot wraps for a key
        // above 2^511.5, their lower ones hold what they hold.
        for border in [n / &two, n / &two + 1u32] {
            assert_eq!(residue(border, 3), Err(Error::Residue { index: 0 }));
        }
        let second = [pack(public(), &[0; 4]), pack(public(), &[0, 1])].map(|mut p| p.remove(0));
        assert_eq!(
            unpack(public(), &second, 5),
            Err(Error::Residue { index: 1 })
        );
        assert_eq!(unpack(public(), &second, 6), Ok(vec![0, 0, 0, 0, 0, 1]));
    }

    #[test]
    fn a_plaintext_unpacks_to_the_number_that_it_stands_for_up_to_half_of_n() {
        let n = public().modulus();
        let half = n >> 1u32;
        for (value, sign) in [(half.clone(), 1), (&half + 1u32, -1)] {
            let slots = packing::slots_of(public(), &plain(value.clone()), &half);
            let weight = |slot: usize| num_bigint::BigInt::one() << (128 * slot);
            let mut total = num_bigint::BigInt::from(slots.1) * weight(4);
            for (slot, value) in slots.0.iter().enumerate() {
                total += weight(slot) * *value;
            }
            let expected = if sign > 0 {
                value.into()
            } else {
                num_bigint::BigInt::from(value) - num_bigint::BigInt::from(n.clone())
            };
            assert_eq!(total, expected);
        }
    }

    #[test]
    fn a_carry_out_of_the_highest_slot_is_a_residue() {
        // Half of an n that is all ones but for its lowest bits: a highest slot of 2^127 - 1, and a
        // carry into it.
        let key = PublicKey::assemble((BigUint::one() << 512usize) - 3u32);
        let half = Plaintext::new(key.modulus() >> 1u32, &key).unwrap();
        assert_eq!(unpack(&key, &[half], 4), Err(Error::Residue { index: 0 }));
    }

    #[test]
    fn the_number_of_plaintexts_must_fit_the_slots() {
        for count in [0, 5, 9] {
            assert_eq!(
                unpack(public(), &[plain(0u32)], count),
                Err(Error::PlaintextCount {
                    slots: count,
                    expected: count.div_ceil(4),
                    found: 1
                })
            );
        }
    }
}

mod hostile {
    use super::*;

    /// The first prime from `start` up that is `residue` modulo 4.
    fn prime_from(start: BigUint, residue: u32) -> BigUint {
        let mut candidate = (start >> 2u32 << 2u32) + residue;
        while !prime::is_prime(&candidate, 20, &mut StdRng::seed_from_u64(7)) {
            candidate += 4u32;
        }
        candidate
    }

    fn refused(n: &BigUint) -> Error {
        PublicKey::from_bytes_small(&n.to_bytes_be()).unwrap_err()
    }

    fn top(bits: u32) -> BigUint {
        BigUint::from(3u32) << (bits - 2)
    }

    #[test]
    fn malformed_public_keys_are_refused() {
        let n = public().modulus();
        let rule = |rule| Error::Modulus { rule };
        assert_eq!(refused(&(n + 1u32)), rule("be 1 modulo 4"));
        assert_eq!(refused(&(n + 2u32)), rule("be 1 modulo 4"));
        assert_eq!(refused(&prime_from(top(512), 1)), rule("not be prime"));
        let other = prime_from(top(492), 1);
        assert_eq!(
            refused(&(&other * 786_449u32)),
            rule("have no factor below 2^20")
        );
        assert_eq!(
            refused(&prime_from(top(256), 3).pow(2)),
            rule("not be a power")
        );
        let cube_root = (BigUint::one() << 512usize).nth_root(3) - 10_000u32;
        assert_eq!(
            refused(&prime_from(cube_root, 1).pow(3)),
            rule("not be a power")
        );
        let eleventh_root = (BigUint::one() << 512usize).nth_root(11) - 10_000u32;
        assert_eq!(
            refused(&prime_from(eleventh_root, 1).pow(11)),
            rule("not be a power")
        );
        let mut bytes = n.to_bytes_be();
        bytes[0] &= 0x7f;
        assert_eq!(
            PublicKey::from_bytes_small(&bytes),
            Err(rule("have its highest bit set"))
        );
    }

    #[test]
    fn public_keys_of_other_lengths_are_refused() {
        let bytes = public().to_bytes();
        assert_eq!(
            PublicKey::from_bytes(&bytes),
            Err(Error::KeyBits { bits: 512 })
        );
        for length in [0, 1, 63, 65, 256 * 8] {
            let bytes = vec![0xff; length];
            let expected = Err(Error::KeyBits {
                bits: length as u64 * 8,
            });
            assert_eq!(PublicKey::from_bytes_small(&bytes), expected);
            assert_eq!(PublicKey::from_bytes(&bytes), expected);
        }
        let padded = [vec![0], bytes].concat();
        assert_eq!(
            PublicKey::from_bytes_small(&padded),
            Err(Error::KeyBits { bits: 520 })
        );
    }

    #[test]
    fn malformed_ciphertexts_are_refused() {
        let key = public();
        let each = key.ciphertext_bytes();
        let bytes = |value: &BigUint| {
            let bytes = value.to_bytes_be();
            [vec![0; each - bytes.len()], bytes].concat()
        };
        let (good, n) = (bytes(&BigUint::from(5u32)), key.modulus());
        let second = |value: &BigUint| key.parse(&[good.clone(), bytes(value)].concat(), 2);
        let out_of_range = Err(Error::CiphertextRange { index: 1 });
        assert_eq!(second(&BigUint::ZERO), out_of_range);
        assert_eq!(second(&(n * n)), out_of_range);
        assert_eq!(second(&(n * n + 1u32)), out_of_range);
        assert!(second(&(n * n - 1u32)).is_ok());
        let (p, q) = KEY.primes();
        for factor in [&p, &q, n, &(&p * 3u32), &(&q * &q), &(n * 3u32)] {
            assert_eq!(second(factor), Err(Error::CiphertextFactor));
        }
        for (count, length) in [
            (0, 1),
            (1, 0),
            (1, each - 1),
            (1, each + 1),
            (3, 2 * each),
            (usize::MAX, each),
        ] {
            assert_eq!(
                key.parse(&vec![1; length], count),
                Err(Error::CiphertextBytes {
                    count,
                    each,
                    found: length
                })
            );
        }
    }

    #[test]
    fn what_does_not_decrypt_fails_with_one_error() {
        let (p, q) = KEY.primes();
        let n = public().modulus();
        for factor in [BigUint::ZERO, p, q, n.clone(), n * n + 2u32] {
            assert_eq!(
                KEY.decrypt(&Ciphertext(factor)).err(),
                Some(Error::Decryption)
            );
        }
    }

    #[test]
    fn a_plaintext_lies_below_n() {
        let n = public().modulus();
        assert_eq!(
            Plaintext::new(n.clone(), public()).err(),
            Some(Error::PlaintextRange)
        );
        assert!(Plaintext::new(n - 1u32, public()).is_ok());
    }

    #[test]
    fn primes_that_make_no_key_are_refused() {
        let (p, q) = KEY.primes();
        let refused = |p: &BigUint, q: &BigUint| PrivateKey::from_primes(p, q).err();
        let rule = |rule| Some(Error::Primes { rule });
        assert!(refused(&p, &q).is_none() && refused(&q, &p).is_none());
        assert_eq!(
            refused(&p, &prime_from(q.clone(), 1)),
            rule("be 3 modulo 4")
        );
        assert_eq!(refused(&(&p + 4u32), &q), rule("be prime"));
        let low = prime_from(BigUint::one() << 255usize, 3);
        assert_eq!(refused(&p, &low), rule("have their two highest bits set"));
        assert_eq!(
            refused(&p, &prime_from(top(257), 3)),
            rule("be of one length")
        );
        assert_eq!(refused(&p, &p), rule("differ in their 100 highest bits"));
        assert_eq!(
            refused(&p, &prime_from(&p + 4u32, 3)),
            rule("differ in their 100 highest bits")
        );
        assert_eq!(
            refused(&prime_from(top(200), 3), &q),
            Some(Error::KeyBits { bits: 400 })
        );
        // Two primes that are 1 modulo 7 as well.
        let seventh = |start: BigUint| {
            (0u32..)
                .map(|i| prime_from(&start + 4096u32 * i, 3))
                .find(|p| p % 7u32 == BigUint::one())
        };
        let (a, b) = (
            seventh(top(256)).unwrap(),
            seventh(top(256) + (BigUint::one() << 250)).unwrap(),
        );
        assert_eq!(refused(&a, &b), rule("have gcd(p-1, q-1) = 2"));
    }
}

mod keys {
    use super::*;

    #[test]
    fn a_generated_key_satisfies_the_rules_for_keys_from_outside() {
        let key = PrivateKey::generate(&mut StdRng::seed_from_u64(8), 2048).unwrap();
        let (p, q) = key.primes();
        assert!(PrivateKey::from_primes(&p, &q).is_ok());
        assert_eq!(
            PublicKey::from_bytes(&key.public_key().to_bytes()).as_ref(),
            Ok(key.public_key())
        );
        for prime in [p, q] {
            assert_eq!(prime.bits(), 1024);
            for small in (3u32..1 << 16).step_by(2) {
                assert!(
                    &prime % small > BigUint::one(),
                    "{small} divides p or (p-1)/2"
                );
            }
        }
    }

    #[test]
    fn test_keys_of_any_length_add_up() {
        let secrets = &mut StdRng::seed_from_u64(11);
        for bits in [256, 768, 1280] {
            let private = PrivateKey::generate_small(secrets, bits);
            let key = private.public_key();
            let mut encryptor = Encryptor::new(key.clone(), 3, 0);
            let values = vec![-5; key.slots() + 1];
            let sent: Vec<_> = pack(key, &values)
                .iter()
                .map(|m| encryptor.encrypt(secrets, m))
                .collect();
            let bytes: Vec<_> = sent.iter().flat_map(|c| c.to_bytes(key)).collect();
            let parsed = key.parse(&bytes, 2).unwrap();
            let sum = key.sum(&[&parsed, &sent, &sent]).unwrap();
            let found: Vec<_> = sum.iter().map(|c| private.decrypt(c).unwrap()).collect();
            assert_eq!(
                unpack(key, &found, values.len()),
                Ok(vec![-15; values.len()]),
                "{bits}"
            );
        }
    }

    #[test]
    fn only_allowed_lengths_are_generated() {
        for bits in [0, 512, 1024, 2047, 2049, 8192] {
            let found = PrivateKey::generate(&mut StdRng::seed_from_u64(9), bits).err();
            assert_eq!(
                found,
                Some(Error::KeyBits {
                    bits: u64::from(bits)
                })
            );
        }
    }

    #[test]
    fn a_fault_in_either_half_is_noticed() {
        let ciphertext = encryptor(0).encrypt(&mut StdRng::seed_from_u64(10), &plain(7u32));
        for fault in [PrivateKey::disturb_p, PrivateKey::disturb_q] {
            let (p, q) = KEY.primes();
            let mut key = PrivateKey::from_primes(&p, &q).unwrap();
            assert!(key.decrypt(&ciphertext).is_ok());
            fault(&mut key);
            assert_eq!(key.decrypt(&ciphertext).err(), Some(Error::Decryption));
        }
    }

    #[test]
    fn a_public_key_prints_its_length_only() {
        assert_eq!(format!("{:?}", public()), "PublicKey { key_bits: 512, .. }");
    }

    #[test]
    fn slots_and_bytes_follow_from_the_length() {
        assert_eq!((public().slots(), public().ciphertext_bytes()), (4, 128));
        let counts = [0, 1, 4, 5, 8].map(|slots| public().ciphertexts_for(slots));
        assert_eq!(counts, [0, 1, 1, 2, 2]);
    }
}
