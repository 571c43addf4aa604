//! A whole round without Paillier: vectors of an independent program, RFC vectors, and the laws.

use std::sync::OnceLock;

use num_bigint::{BigInt, Sign};
use num_integer::Integer as _;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Deserialize;
use uuid::Uuid;

use super::*;
use crate::fixed_point::{RangeError, encode};
use crate::limits::{SLOT_BITS, TAG_BITS};

const PRIME: i128 = (1 << TAG_BITS) - 1;

fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn hex_array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap()
}

fn secrets(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// One of the cases that `vectors.py` made.
#[derive(Deserialize)]
struct Case {
    name: String,
    modulus: String,
    slots_per_ciphertext: usize,
    fraction_bits: Vec<u32>,
    spec_hash: String,
    job: String,
    attempt: u32,
    session: String,
    round: u32,
    kind: u8,
    batch: u32,
    batches: u32,
    model: Vec<String>,
    tag_key: String,
    setup_hash: String,
    context: String,
    other_context: String,
    parties: Vec<CaseParty>,
    product_sha256: String,
    sums: Vec<String>,
    tag_sum: String,
}

#[derive(Deserialize)]
struct CaseParty {
    id: u64,
    mask_secret: String,
    mask_public: String,
    signing: String,
    sealing: String,
    reals: Vec<String>,
    values: Vec<String>,
    tag: String,
    masks: Vec<String>,
    plaintexts_sha256: String,
    ciphertexts_sha256: String,
    word_tag: String,
    submitted_sha256: String,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn integers(texts: &[String]) -> Vec<i128> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn reals(texts: &[String]) -> Vec<f64> {
    texts
        .iter()
        .map(|text| f64::from_be_bytes(hex_array(text)))
        .collect()
}

fn digest<'a>(numbers: impl IntoIterator<Item = &'a BigUint>, bytes: usize) -> Vec<u8> {
    let mut hash = Sha256::new();
    for number in numbers {
        let number = number.to_bytes_be();
        hash.update(vec![0; bytes - number.len()]);
        hash.update(number);
    }
    hash.finalize().to_vec()
}

impl Case {
    fn modulus(&self) -> BigUint {
        BigUint::from_bytes_be(&hex(&self.modulus))
    }

    fn publics(&self) -> Vec<SetupParty> {
        let party = |party: &CaseParty| SetupParty {
            id: PartyId(party.id),
            signing: hex_array(&party.signing),
            mask: MaskPublic(hex_array(&party.mask_public)),
            sealing: hex_array(&party.sealing),
        };
        self.parties.iter().map(party).collect()
    }

    fn setup_hash(&self) -> [u8; 32] {
        let modulus = self.modulus();
        let setup = Setup {
            spec_hash: hex_array(&self.spec_hash),
            job: JobId(Uuid::from_bytes(hex_array(&self.job))),
            attempt: Attempt(self.attempt),
            session: SessionId(Uuid::from_bytes(hex_array(&self.session))),
            parties: &self.publics(),
            modulus: Some(&modulus),
        };
        setup_hash(&setup).unwrap()
    }

    fn key(&self) -> TagKey {
        TagKey::from_bytes(hex_array(&self.tag_key))
    }

    fn context(&self) -> RoundContext {
        let inputs = RoundInputs {
            setup_hash: &self.setup_hash(),
            round: Round(self.round),
            kind: self.kind,
            batch: self.batch,
            batches: self.batches,
            slots: self.fraction_bits.len() as u32 + 1,
            model: &reals(&self.model),
        };
        RoundContext::new(&self.key(), &inputs)
    }

    fn pairs(&self, index: usize) -> PairSecrets {
        let secret = StaticSecret::from(hex_array::<32>(&self.parties[index].mask_secret));
        let mut others: Vec<(PartyId, MaskPublic)> = self
            .publics()
            .iter()
            .map(|party| (party.id, party.mask))
            .collect();
        let (me, public) = others.remove(index);
        let secret = MaskSecret(secret);
        assert_eq!(secret.public(), public);
        PairSecrets::agree(me, &secret, &others, &self.setup_hash()).unwrap()
    }

    /// The masked plaintexts of one party, and the party's tag.
    fn plaintexts(&self, index: usize, context: &RoundContext) -> (Vec<BigUint>, i128) {
        let modulus = self.modulus();
        let mut slots = integers(&self.parties[index].values);
        let ciphertexts = (slots.len() + 1).div_ceil(self.slots_per_ciphertext);
        let (masks, blinding) = self.pairs(index).modular(context, &modulus, ciphertexts);
        let tag = tag(&self.key(), context, &slots, blinding).unwrap();
        slots.push(tag);
        let masked = slots.chunks(self.slots_per_ciphertext).zip(&masks);
        (
            masked
                .map(|(chunk, mask)| (pack(chunk, &modulus) + mask) % &modulus)
                .collect(),
            tag,
        )
    }

    /// What the guest makes of the sum of all plaintexts.
    fn accept(&self, sum: &[BigUint]) -> Result<Vec<i128>, Integrity> {
        let slots = self.fraction_bits.len() + 1;
        let mut values = Vec::new();
        for plaintext in sum {
            let count = self.slots_per_ciphertext.min(slots - values.len());
            values.extend(unpack(
                &(plaintext % self.modulus()),
                count,
                &self.modulus(),
            )?);
        }
        let tag_sum = values.pop().unwrap();
        let parties = self.parties.len();
        check(&self.key(), &self.context(), &values, tag_sum, parties).map(|()| values)
    }

    fn sum(&self) -> Vec<BigUint> {
        let parties = 0..self.parties.len();
        add(parties.map(|index| self.plaintexts(index, &self.context()).0))
    }
}

fn add(vectors: impl Iterator<Item = Vec<BigUint>>) -> Vec<BigUint> {
    vectors
        .reduce(|sum, next| {
            sum.iter()
                .zip(next)
                .map(|(left, right)| left + right)
                .collect()
        })
        .unwrap()
}

fn pack(slots: &[i128], modulus: &BigUint) -> BigUint {
    let packed = slots
        .iter()
        .rev()
        .fold(BigInt::ZERO, |sum, slot| (sum << SLOT_BITS) + slot);
    packed
        .mod_floor(&BigInt::from(modulus.clone()))
        .to_biguint()
        .unwrap()
}

fn unpack(plaintext: &BigUint, slots: usize, modulus: &BigUint) -> Result<Vec<i128>, Integrity> {
    let mut rest = BigInt::from(plaintext.clone());
    if plaintext > &(modulus / 2u8) {
        rest -= BigInt::from(modulus.clone());
    }
    let width = BigInt::from(1) << SLOT_BITS;
    let mut values = Vec::new();
    for _ in 0..slots {
        let word = u128::try_from(rest.mod_floor(&width)).unwrap();
        values.push(word as i128);
        rest = (rest - word as i128) >> SLOT_BITS;
    }
    if rest.sign() == Sign::NoSign {
        Ok(values)
    } else {
        Err(Integrity)
    }
}

#[test]
fn a_round_agrees_with_an_independent_program() {
    for case in cases() {
        let name = &case.name;
        assert_eq!(case.setup_hash(), *hex(&case.setup_hash), "{name}");
        assert_eq!(case.context().as_bytes(), &*hex(&case.context), "{name}");
        let modulus = case.modulus();
        let size = modulus.bits().div_ceil(8) as usize;
        for (index, party) in case.parties.iter().enumerate() {
            let encoded = reals(&party.reals).into_iter().zip(&case.fraction_bits);
            let encoded: Vec<i128> = encoded.map(|(v, f)| encode(v, *f).unwrap()).collect();
            assert_eq!(encoded, integers(&party.values), "{name}");
            let (masks, _) =
                case.pairs(index)
                    .modular(&case.context(), &modulus, party.masks.len());
            let expected: Vec<BigUint> = party
                .masks
                .iter()
                .map(|mask| BigUint::from_bytes_be(&hex(mask)))
                .collect();
            assert_eq!(masks, expected, "{name}");
            let (plaintexts, tag) = case.plaintexts(index, &case.context());
            assert_eq!(tag.to_string(), party.tag, "{name}");
            assert_eq!(
                digest(&plaintexts, size),
                hex(&party.plaintexts_sha256),
                "{name}"
            );
        }
        assert_eq!(case.accept(&case.sum()), Ok(integers(&case.sums)), "{name}");
    }
}

#[test]
fn a_secagg_round_agrees_with_an_independent_program() {
    for case in cases() {
        let (context, key) = (case.context(), case.key());
        let mut sums = vec![0u128; case.fraction_bits.len() + 1];
        for (index, party) in case.parties.iter().enumerate() {
            let mut slots = integers(&party.values);
            let (masks, blinding) = case.pairs(index).words(&context, slots.len() + 1);
            slots.push(tag(&key, &context, &slots, blinding).unwrap());
            assert_eq!(
                slots.last().unwrap().to_string(),
                party.word_tag,
                "{}",
                case.name
            );
            let mut hash = Sha256::new();
            for ((slot, mask), sum) in slots.iter().zip(masks.iter()).zip(&mut sums) {
                let masked = (*slot as u128).wrapping_add(*mask);
                hash.update(masked.to_be_bytes());
                *sum = sum.wrapping_add(masked);
            }
            assert_eq!(
                hash.finalize().to_vec(),
                hex(&party.submitted_sha256),
                "{}",
                case.name
            );
        }
        let sums: Vec<i128> = sums.into_iter().map(|sum| sum as i128).collect();
        let (tag_sum, sums) = sums.split_last().unwrap();
        assert_eq!(sums, integers(&case.sums));
        assert_eq!(
            check(&key, &context, sums, *tag_sum, case.parties.len()),
            Ok(())
        );
    }
}

/// Textbook Paillier, at the small size: the plaintexts above, once around.
#[test]
fn the_ciphertexts_of_an_independent_program_are_the_plaintexts() {
    use sha2::Sha512;
    let case = &cases()[0];
    let modulus = case.modulus();
    let square = &modulus * &modulus;
    let size = 2 * modulus.bits().div_ceil(8) as usize;
    let mut product = vec![BigUint::from(1u8); 2];
    for (index, party) in case.parties.iter().enumerate() {
        let (plaintexts, _) = case.plaintexts(index, &case.context());
        let mut ciphertexts = Vec::new();
        for (number, plaintext) in plaintexts.iter().enumerate() {
            let label = format!("concord-kat-r-{}-{number}", party.id);
            let random = BigUint::from_bytes_be(&Sha512::digest(label)) % &modulus;
            let blind = random.modpow(&modulus, &square);
            ciphertexts.push((plaintext * &modulus + 1u8) * blind % &square);
            product[number] = &product[number] * &ciphertexts[number] % &square;
        }
        assert_eq!(digest(&ciphertexts, size), hex(&party.ciphertexts_sha256));
    }
    assert_eq!(digest(&product, size), hex(&case.product_sha256));
}

#[test]
fn a_party_in_another_round_leaves_a_residue() {
    for case in cases() {
        let other = RoundContext(hex_array(&case.other_context));
        let last = case.parties.len() - 1;
        let honest = (0..last).map(|index| case.plaintexts(index, &case.context()).0);
        let sum = add(honest.chain([case.plaintexts(last, &other).0]));
        assert_eq!(case.accept(&sum), Err(Integrity), "{}", case.name);
    }
}

#[test]
fn a_sum_that_was_changed_on_the_way_is_refused() {
    for case in cases() {
        for delta in [1, (1 << 61) - 1, 1 << 61, PRIME, 2 * PRIME] {
            for slot in [0, 1, case.slots_per_ciphertext - 1] {
                let mut sum = case.sum();
                sum[0] += BigUint::from(delta as u128) << (slot as u32 * SLOT_BITS);
                assert_eq!(
                    case.accept(&sum),
                    Err(Integrity),
                    "{} {delta} {slot}",
                    case.name
                );
            }
        }
        let doubled: Vec<BigUint> = case.sum().iter().map(|sum| sum * 2u8).collect();
        assert_eq!(case.accept(&doubled), Err(Integrity), "{}", case.name);
        let parties = 1..case.parties.len();
        let missing = add(parties.map(|index| case.plaintexts(index, &case.context()).0));
        assert_eq!(case.accept(&missing), Err(Integrity), "{}", case.name);
    }
}

#[test]
fn a_multiple_of_the_tags_prime_passes_the_equation_and_fails_the_range() {
    let (case, parties) = (&cases()[0], 3);
    let (sums, tag_sum) = (integers(&case.sums), case.tag_sum.parse::<i128>().unwrap());
    let verdict =
        |sums: &[i128], tag_sum| check(&case.key(), &case.context(), sums, tag_sum, parties);
    assert_eq!(verdict(&sums, tag_sum), Ok(()));
    for times in [-2, -1, 1, 2] {
        let mut changed = sums.clone();
        changed[0] += times * PRIME;
        assert_eq!(verdict(&changed, tag_sum), Err(Integrity), "{times}");
    }
    // The tag may be any of its own representatives in range, and no other.
    let smallest = tag_sum % PRIME;
    for (times, allowed) in [(-1, false), (0, true), (1, true), (2, true), (3, false)] {
        assert_eq!(
            verdict(&sums, smallest + times * PRIME).is_ok(),
            allowed,
            "{times}"
        );
    }
}

#[test]
fn the_range_of_a_sum_ends_at_the_parties_times_two_to_the_ninetieth() {
    let (key, context) = (TagKey([7; 32]), RoundContext([8; 32]));
    for (sum, allowed) in [(3 << 90, true), (-3 << 90, true), ((3 << 90) + 1, false)] {
        let tag_sum = tag_of_any(&key, &context, &[sum, 0]);
        assert_eq!(
            check(&key, &context, &[sum, 0], tag_sum, 3).is_ok(),
            allowed,
            "{sum}"
        );
    }
    for value in [(1 << 90) + 1, -(1 << 90) - 1, i128::MIN] {
        let refused = tag(&key, &context, &[0, value], TagBlinding::default());
        assert_eq!(refused, Err(RangeError::TooLarge));
    }
}

/// A tag without the range of a party's values: linear, so from values in range.
fn tag_of_any(key: &TagKey, context: &RoundContext, values: &[i128]) -> i128 {
    let mut sum = 0;
    let mut rest = values.to_vec();
    while rest.iter().any(|value| *value != 0) {
        let part: Vec<i128> = rest.iter().map(|v| (*v).clamp(-1 << 90, 1 << 90)).collect();
        sum += tag(key, context, &part, TagBlinding::default()).unwrap();
        rest.iter_mut()
            .zip(part)
            .for_each(|(value, part)| *value -= part);
    }
    sum % PRIME
}

#[test]
fn parties_that_make_no_sum_are_refused() {
    let (mut parties, secret) = (cases()[0].publics(), MaskSecret::generate(&mut secrets(1)));
    let setup = |parties: &[SetupParty]| {
        setup_hash(&Setup {
            spec_hash: [0; 32],
            job: JobId(Uuid::nil()),
            attempt: Attempt(1),
            session: SessionId(Uuid::nil()),
            parties,
            modulus: None,
        })
    };
    assert_eq!(setup(&parties[..1]), Err(Error::Count { count: 1 }));
    assert!(setup(&parties).is_ok());
    parties.swap(0, 1);
    assert_eq!(setup(&parties), Err(Error::Order { party: PartyId(2) }));
    parties[1] = parties[0];
    assert_eq!(setup(&parties), Err(Error::Order { party: PartyId(3) }));

    let agree = |others: &[(u64, MaskPublic)]| {
        let others: Vec<_> = others
            .iter()
            .map(|(id, key)| (PartyId(*id), *key))
            .collect();
        PairSecrets::agree(PartyId(5), &secret, &others, &[0; 32]).err()
    };
    let key = MaskSecret::generate(&mut secrets(2)).public();
    assert_eq!(agree(&[]), Some(Error::Count { count: 1 }));
    assert_eq!(
        agree(&[(2, key), (5, key)]),
        Some(Error::Order { party: PartyId(5) })
    );
    assert_eq!(
        agree(&[(2, key), (2, key)]),
        Some(Error::Order { party: PartyId(2) })
    );
    let many: Vec<(u64, MaskPublic)> = (6..70).map(|id| (id, key)).collect();
    assert_eq!(agree(&many), Some(Error::Count { count: 65 }));
    assert_eq!(agree(&many[..63]), None);
    let mut one = [0; 32];
    one[0] = 1;
    for weak in [[0; 32], one] {
        let refused = agree(&[(2, key), (6, MaskPublic(weak))]);
        assert_eq!(refused, Some(Error::WeakKey { party: PartyId(6) }));
    }
}

/// Parties with everything that a mask depends on, so that one of them can be told something else.
struct World {
    keys: Vec<(PartyId, MaskSecret)>,
}

/// What one party believes of the round.
#[derive(Clone)]
struct Belief {
    spec_hash: [u8; 32],
    job: u128,
    attempt: u32,
    session: u128,
    modulus: BigUint,
    parties: Vec<SetupParty>,
    tag_key: [u8; 32],
    round: u32,
    kind: u8,
    batch: u32,
    batches: u32,
    slots: u32,
    model: Vec<f64>,
}

type Change = fn(&mut Belief);

impl World {
    fn new(parties: u64, seed: u64) -> World {
        let mut secrets = secrets(seed);
        let party = |id| (PartyId(3 * id + 2), MaskSecret::generate(&mut secrets));
        World {
            keys: (0..parties).map(party).collect(),
        }
    }

    fn belief(&self) -> Belief {
        let party = |(id, secret): &(PartyId, MaskSecret)| SetupParty {
            id: *id,
            signing: [id.0 as u8; 32],
            mask: secret.public(),
            sealing: [id.0 as u8 + 1; 32],
        };
        Belief {
            spec_hash: [1; 32],
            job: 2,
            attempt: 3,
            session: 4,
            modulus: cases()[0].modulus(),
            parties: self.keys.iter().map(party).collect(),
            tag_key: [5; 32],
            round: 6,
            kind: 7,
            batch: 8,
            batches: 9,
            slots: 10,
            model: vec![0.5, -1.0, 0.0],
        }
    }

    /// One party's masks and blinded tag of zeros, by its belief.
    fn masks(&self, index: usize, belief: &Belief) -> (Vec<BigUint>, Vec<u128>, i128) {
        let setup = setup_hash(&Setup {
            spec_hash: belief.spec_hash,
            job: JobId(Uuid::from_u128(belief.job)),
            attempt: Attempt(belief.attempt),
            session: SessionId(Uuid::from_u128(belief.session)),
            parties: &belief.parties,
            modulus: Some(&belief.modulus),
        })
        .unwrap();
        let (me, secret) = &self.keys[index];
        let others: Vec<(PartyId, MaskPublic)> = (belief.parties.iter())
            .filter_map(|party| (party.id != *me).then_some((party.id, party.mask)))
            .collect();
        let pairs = PairSecrets::agree(*me, secret, &others, &setup).unwrap();
        let key = TagKey(belief.tag_key);
        let inputs = RoundInputs {
            setup_hash: &setup,
            round: Round(belief.round),
            kind: belief.kind,
            batch: belief.batch,
            batches: belief.batches,
            slots: belief.slots,
            model: &belief.model,
        };
        let context = RoundContext::new(&key, &inputs);
        let (numbers, first) = pairs.modular(&context, &cases()[0].modulus(), 2);
        let (words, _) = pairs.words(&context, 10);
        (
            numbers,
            words.to_vec(),
            tag(&key, &context, &[0; 9], first).unwrap(),
        )
    }

    /// How much of the sum over all parties is left: numbers, words and tags that are not zero,
    /// when the party `changed` believes something else.
    fn remains(&self, changed: usize, change: Change) -> (usize, usize, usize) {
        let modulus = cases()[0].modulus();
        let (mut numbers, mut words, mut tags) = (vec![BigUint::ZERO; 2], vec![0u128; 10], 0);
        for index in 0..self.keys.len() {
            let mut belief = self.belief();
            if index == changed {
                change(&mut belief);
            }
            let masks = self.masks(index, &belief);
            numbers
                .iter_mut()
                .zip(masks.0)
                .for_each(|(sum, mask)| *sum = (&*sum + mask) % &modulus);
            words
                .iter_mut()
                .zip(masks.1)
                .for_each(|(sum, mask)| *sum = sum.wrapping_add(mask));
            tags += masks.2;
        }
        let left = numbers
            .iter()
            .filter(|number| **number != BigUint::ZERO)
            .count();
        (
            left,
            words.iter().filter(|word| **word != 0).count(),
            usize::from(tags % PRIME != 0),
        )
    }
}

#[test]
fn masks_of_three_to_six_parties_sum_to_zero() {
    for parties in 2..=6 {
        let world = World::new(parties, parties);
        assert_eq!(world.remains(0, |_| ()), (0, 0, 0), "{parties} parties");
    }
}

#[test]
fn a_party_that_believes_anything_else_cancels_nothing() {
    let world = World::new(3, 11);
    let changes: [(&str, Change); 18] = [
        ("spec", |belief| belief.spec_hash[31] ^= 1),
        ("job", |belief| belief.job ^= 1),
        ("attempt", |belief| belief.attempt += 1),
        ("session", |belief| belief.session ^= 1 << 127),
        ("modulus", |belief| belief.modulus += 4u8),
        ("signing key", |belief| belief.parties[0].signing[0] ^= 1),
        ("sealing key", |belief| belief.parties[2].sealing[0] ^= 1),
        ("mask key", |belief| belief.parties[0].mask.0[0] ^= 1),
        ("one party more", |belief| {
            belief.parties.push(SetupParty {
                id: PartyId(99),
                ..belief.parties[0]
            })
        }),
        ("one party less", |belief| belief.parties.truncate(2)),
        ("tag key", |belief| belief.tag_key[0] ^= 1),
        ("round", |belief| belief.round += 1),
        ("kind", |belief| belief.kind += 1),
        ("batch", |belief| belief.batch += 1),
        ("batches", |belief| belief.batches += 1),
        ("slots", |belief| belief.slots += 1),
        ("model", |belief| {
            belief.model[1] = belief.model[1].next_up()
        }),
        ("sign of zero", |belief| belief.model[2] = -0.0),
    ];
    for (name, change) in changes {
        assert_eq!(world.remains(1, change), (2, 10, 1), "{name}");
    }
}

/// Chi-square of sixteen bins with equal chances; above 37.7 in one of a thousand fair cases.
fn chi_square(bins: &[u32; 16]) -> f64 {
    let expected = f64::from(bins.iter().sum::<u32>()) / 16.0;
    bins.iter()
        .map(|bin| (f64::from(*bin) - expected).powi(2) / expected)
        .sum()
}

#[test]
fn what_one_party_sends_looks_uniform() {
    let case = &cases()[0];
    let (pairs, key, modulus) = (case.pairs(1), case.key(), case.modulus());
    let values = integers(&case.parties[1].values);
    let (mut plain_bins, mut word_bins, mut tag_bins) = ([0; 16], [0; 16], [0; 16]);
    for number in 0..2000u32 {
        let mut context = RoundContext([0; 32]);
        context.0[..4].copy_from_slice(&number.to_be_bytes());
        let (masks, blinding) = pairs.modular(&context, &modulus, 1);
        let plaintext = (pack(&values, &modulus) + &masks[0]) % &modulus;
        let bin = usize::try_from(plaintext * 16u8 / &modulus).unwrap();
        plain_bins[bin] += 1;
        let tag = tag(&key, &context, &values, blinding).unwrap();
        assert!((0..PRIME).contains(&tag));
        tag_bins[(tag >> (TAG_BITS - 4)) as usize] += 1;
        let (masks, _) = pairs.words(&context, 1);
        word_bins[((values[0] as u128).wrapping_add(masks[0]) >> 124) as usize] += 1;
    }
    for bins in [plain_bins, word_bins, tag_bins] {
        assert!(chi_square(&bins) < 37.7, "{bins:?}");
    }
}

#[test]
fn a_tag_alone_tells_nothing_because_it_is_blinded() {
    let case = &cases()[0];
    let values = integers(&case.parties[0].values);
    let bare = tag(
        &case.key(),
        &case.context(),
        &values,
        TagBlinding::default(),
    )
    .unwrap();
    assert_ne!(bare.to_string(), case.parties[0].tag);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn tags_add_up_as_values_do(
        left in prop::collection::vec(-(1i128 << 90)..=1 << 90, 1..40), seed: [u8; 32], other: u64
    ) {
        let (key, context) = (TagKey(seed), RoundContext([9; 32]));
        let right: Vec<i128> = left.iter().map(|v| v / 3 - i128::from(other)).collect();
        let sums: Vec<i128> = left.iter().zip(&right).map(|(l, r)| l + r).collect();
        let tag = |values: &[i128]| tag(&key, &context, values, TagBlinding::default()).unwrap();
        let tag_sum = tag(&left) + tag(&right);
        prop_assert_eq!(check(&key, &context, &sums, tag_sum, 2), Ok(()));
        let mut changed = sums.clone();
        changed[other as usize % sums.len()] ^= 1;
        prop_assert_eq!(check(&key, &context, &changed, tag_sum, 2), Err(Integrity));
        prop_assert_eq!(check(&key, &context, &sums, (tag_sum + 1) % PRIME, 2), Err(Integrity));
        let elsewhere = RoundContext([10; 32]);
        prop_assert_eq!(check(&key, &elsewhere, &sums, tag_sum, 2), Err(Integrity));
    }
}

/// One agreement for all cases: the curve is the slow part.
fn six() -> &'static Vec<PairSecrets> {
    static SIX: OnceLock<Vec<PairSecrets>> = OnceLock::new();
    SIX.get_or_init(|| {
        let world = World::new(6, 21);
        let publics: Vec<_> = world
            .keys
            .iter()
            .map(|(id, key)| (*id, key.public()))
            .collect();
        let agree = |(me, secret): &(PartyId, MaskSecret)| {
            let others: Vec<_> = publics
                .iter()
                .filter(|other| other.0 != *me)
                .copied()
                .collect();
            PairSecrets::agree(*me, secret, &others, &[0; 32]).unwrap()
        };
        world.keys.iter().map(agree).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn masks_cancel_under_any_modulus_and_context(
        context: [u8; 32],
        modulus in prop::collection::vec(any::<u8>(), 1..200),
        words in 1usize..40,
    ) {
        let (context, modulus) = (RoundContext(context), BigUint::from_bytes_be(&modulus) + 1u8);
        let mut number = BigUint::ZERO;
        let mut sums = vec![0u128; words];
        for pairs in six() {
            let masks = pairs.modular(&context, &modulus, 2).0;
            prop_assert!(masks.iter().all(|mask| mask < &modulus));
            number = (number + &masks[1]) % &modulus;
            let masks = pairs.words(&context, words).0;
            sums.iter_mut().zip(masks.iter()).for_each(|(sum, m)| *sum = sum.wrapping_add(*m));
        }
        prop_assert_eq!(number, BigUint::ZERO);
        prop_assert_eq!(sums, vec![0; words]);
    }
}

/// RFC 7748, section 6.1.
#[test]
fn x25519_agrees_with_its_rfc() {
    let secret = |text| MaskSecret(StaticSecret::from(hex_array::<32>(text)));
    let alice = secret("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let bob = secret("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    let public = alice.public().0;
    assert_eq!(
        public,
        *hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    );
    let shared = bob.0.diffie_hellman(&PublicKey::from(public));
    let expected = hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    assert_eq!(shared.as_bytes(), &*expected);
}

/// RFC 5869, appendix A.1, the first block of its output.
#[test]
fn hkdf_agrees_with_its_rfc() {
    let salt = hex("000102030405060708090a0b0c");
    let key = derive(
        &[0x0b; 22],
        &salt,
        &[&hex("f0f1f2f3f4"), &hex("f5f6f7f8f9")],
    );
    let expected = hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    assert_eq!(&*key, &*expected);
}

/// RFC 8439, appendix A.1, test vector 1: nonce and counter zero, as here.
#[test]
fn chacha20_agrees_with_its_rfc() {
    let mut stream = ChaCha20::new(&[0; 32].into(), &[0; 12].into());
    let words = words(&mut stream, 2);
    let bytes = hex("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7");
    assert_eq!(words[0].to_le_bytes(), bytes[..16]);
    assert_eq!(words[1].to_le_bytes(), bytes[16..]);
}
