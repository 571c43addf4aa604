//! What the guest and the arbiter see of a single party over a thousand attempts at one job: new
//! sessions, the same rows, and so the same small counts every time.

use num_bigint::BigUint;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::mask::{MaskPublic, MaskSecret};
use crate::sabotage::{self, Mechanism};
use crate::witness::{self, Asked};

const ATTEMPTS: u64 = 1_000;
/// The guest, Alice and Bob.
const ALL: [PartyId; 3] = [PartyId(2), PartyId(3), PartyId(5)];
/// Rows and positive rows of each.
const COUNTS: [[i128; 2]; 3] = [[12, 5], [7, 2], [9, 6]];
/// The field of the tags.
const PRIME: i128 = (1 << crate::limits::TAG_BITS) - 1;

/// Masks that depend on no model, where a test wants to see what becomes of that.
pub(super) fn unbound(inputs: RoundInputs) -> RoundInputs {
    match sabotage::is_off(Mechanism::ModelInMasks) {
        true => RoundInputs {
            model: &[],
            ..inputs
        },
        false => inputs,
    }
}

/// No blinding, where a test wants to see what becomes of that.
pub(super) fn unblinded(blinding: TagBlinding) -> TagBlinding {
    match sabotage::is_off(Mechanism::Blinding) {
        true => TagBlinding::default(),
        false => blinding,
    }
}

/// Tells the witness what a context is for.
pub(super) fn watch(context: &RoundContext, round: Round, question: &Question) {
    let asked = Asked {
        round: round.0,
        kind: question.kind,
        batch: question.batch,
        model: witness::model(question.batches, &question.numbers),
    };
    witness::asked(*context.as_bytes(), asked);
}

/// The parties' contributions to the first round of one attempt, and what they share.
struct Attempt {
    tag_key: TagKey,
    /// By party, as it was asked.
    contexts: Vec<RoundContext>,
    bodies: Vec<Vec<u8>>,
    /// By party: its masks with the others that the guest knows, and its tag of zeros under the
    /// blinding that the guest knows.
    known: Vec<(Vec<u128>, i128)>,
    /// Alice's masks with Bob.
    hidden: Vec<u128>,
}

fn question(weights: &[f64]) -> Question {
    Question {
        kind: 1,
        batch: 0,
        batches: 1,
        numbers: weights.to_vec(),
    }
}

/// The mask secrets, setup hash and tag key of attempt number `seed`.
fn setup(seed: u64) -> (StdRng, Vec<MaskSecret>, [u8; 32], TagKey) {
    let mut rng = StdRng::seed_from_u64(seed);
    let secrets: Vec<_> = ALL.map(|_| MaskSecret::generate(&mut rng)).into();
    let mut setup_hash = [0; 32];
    setup_hash[..8].copy_from_slice(&seed.to_be_bytes());
    let tag_key = TagKey::generate(&mut rng);
    (rng, secrets, setup_hash, tag_key)
}

impl Attempt {
    /// Attempt number `seed`; the last party is asked about `last`.
    fn new(seed: u64, first: &[f64], last: &[f64]) -> Attempt {
        let (mut rng, secrets, setup_hash, tag_key) = setup(seed);
        let (mut contexts, mut bodies, mut known) = (Vec::new(), Vec::new(), Vec::new());
        for (me, counts) in COUNTS.iter().enumerate() {
            let asked = question(if me == 2 { last } else { first });
            let agreement = Agreement {
                setup_hash,
                pairs: pairs(&secrets, &setup_hash, me, &[0, 1, 2]),
                tag_key: TagKey::from_bytes(*tag_key.as_bytes()),
            };
            let mut contributor = Contributor::new(agreement, Protector::SecAgg);
            let context = contributor.context(Round(0), &asked, 2);
            let body = contributor.protect(&mut rng, &context, counts.to_vec());
            bodies.push(body.unwrap());
            let with: &[usize] = if me == 0 { &[1, 2] } else { &[0] };
            let (masks, blinding) = pairs(&secrets, &setup_hash, me, with).words(&context, 3);
            let tag = mask::tag(&tag_key, &context, &[0, 0], unblinded(blinding));
            known.push((masks.to_vec(), tag.unwrap()));
            contexts.push(context);
        }
        let (hidden, _) = pairs(&secrets, &setup_hash, 1, &[2]).words(&contexts[1], 3);
        Attempt {
            tag_key,
            contexts,
            bodies,
            known,
            hidden: hidden.to_vec(),
        }
    }

    /// The words that a party sent, without the masks that the guest shares with it.
    fn words_without_the_guests(&self, party: usize) -> Vec<u128> {
        let sent = from_bytes(&self.bodies[party], 3).unwrap();
        sent.zip(&self.known[party].0)
            .map(|(word, mask)| word.wrapping_sub(*mask))
            .collect()
    }

    /// A party's tag of `values` under the blinding that the guest knows.
    fn known_tag(&self, party: usize, values: &[i128]) -> i128 {
        let context = &self.contexts[party];
        let bare = mask::tag(&self.tag_key, context, values, TagBlinding::default());
        (bare.unwrap() + self.known[party].1) % PRIME
    }

    /// The sum of all contributions.
    fn sum(&self) -> Vec<u8> {
        Opener::add(self.bodies.iter().map(Vec::as_slice), 2).unwrap()
    }

    /// The sum of the tags of Alice and Bob, as an integer: all tags but the guest's own.
    fn tags_of_the_others(&self) -> i128 {
        let sum = self.sum();
        let tags = from_bytes(&sum, 3).unwrap().last().unwrap();
        tags as i128 - self.known_tag(0, &COUNTS[0])
    }
}

/// The secrets that one party shares with those of `with` that it is not.
fn pairs(secrets: &[MaskSecret], setup_hash: &[u8; 32], me: usize, with: &[usize]) -> PairSecrets {
    let others: Vec<(PartyId, MaskPublic)> = (with.iter())
        .filter(|&&other| other != me)
        .map(|&other| (ALL[other], secrets[other].public()))
        .collect();
    PairSecrets::agree(ALL[me], &secrets[me], &others, setup_hash).unwrap()
}

/// Chi-square of sixteen bins with equal chances; above 37.7 in one of a thousand fair cases.
fn chi_square(bins: &[u32; 16]) -> f64 {
    let expected = f64::from(bins.iter().sum::<u32>()) / 16.0;
    bins.iter()
        .map(|bin| (f64::from(*bin) - expected).powi(2) / expected)
        .sum()
}

fn is_uniform(bins: &[u32; 16]) -> bool {
    chi_square(bins) < 37.7
}

/// Top four bits of words, counted.
fn top_bits(words: impl Iterator<Item = u128>) -> [u32; 16] {
    let mut bins = [0; 16];
    words.for_each(|word| bins[(word >> 124) as usize] += 1);
    bins
}

/// Runs a test's body without a mechanism.
fn without<T>(mechanism: Mechanism, body: impl FnOnce() -> T) -> T {
    sabotage::switch_off(Some(mechanism));
    let result = body();
    sabotage::switch_off(None);
    result
}

fn attempts() -> Vec<Attempt> {
    (0..ATTEMPTS)
        .map(|seed| Attempt::new(seed, &[], &[]))
        .collect()
}

#[test]
fn a_contribution_without_what_the_guest_knows_of_it_is_uniform() {
    let attempts = attempts();
    let opener = Opener::new(3, None);
    for attempt in &attempts {
        let sums = opener.open(&attempt.tag_key, &attempt.contexts[0], 2, &attempt.sum());
        assert_eq!(sums, Ok(vec![28, 13]), "every attempt gives the same sums");
    }
    for slot in 0..3 {
        let words = |attempt: &Attempt| attempt.words_without_the_guests(1)[slot];
        let bins = top_bits(attempts.iter().map(words));
        assert!(is_uniform(&bins), "slot {slot}: {bins:?}");
    }
    // Without what Alice shares with Bob the same test sees her rows.
    let rows = |attempt: &Attempt| {
        let word = attempt.words_without_the_guests(1)[0];
        word.wrapping_sub(attempt.hidden[0])
    };
    assert!(attempts.iter().all(|attempt| rows(attempt) == 7));
    assert!(!is_uniform(&top_bits(attempts.iter().map(rows))));
}

/// Alice's tag without everything that is known of it, her values included: what blinds it.
fn rest_of_the_tag(attempt: &Attempt) -> u128 {
    let tag = attempt.words_without_the_guests(1)[2].wrapping_sub(attempt.hidden[2]);
    let rest = (tag as i128 - attempt.known_tag(1, &COUNTS[1])).rem_euclid(PRIME);
    // To the top of a word.
    (rest as u128) << (128 - crate::limits::TAG_BITS)
}

#[test]
fn a_tag_without_what_is_known_of_it_is_uniform() {
    let bins = top_bits(attempts().iter().map(rest_of_the_tag));
    assert!(is_uniform(&bins), "{bins:?}");
    let bins = without(Mechanism::Blinding, || {
        top_bits(attempts().iter().map(rest_of_the_tag))
    });
    assert!(!is_uniform(&bins), "an unblinded tag is caught: {bins:?}");
}

/// How well the guess that Alice has `rows` and `positive` rows tells, over all attempts, whether
/// the sum of the others' tags went round the field, beyond what the sum says of that anyway: in
/// standard deviations.
fn telling(attempts: &[Attempt], rows: i128, positive: i128) -> f64 {
    let [bob_rows, bob_positive] = [16 - rows, 8 - positive];
    let (mut agreement, mut variance) = (0.0, 0.0);
    for attempt in attempts {
        let tags = attempt.tags_of_the_others();
        let residue = tags.rem_euclid(PRIME);
        let went_round = f64::from(u8::from(tags >= PRIME));
        let guessed = attempt.known_tag(1, &[rows, positive])
            + attempt.known_tag(2, &[bob_rows, bob_positive]);
        assert_eq!(guessed.rem_euclid(PRIME), residue, "every guess fits");
        // Of two uniform numbers with this residue of their sum.
        let chance = 1.0 - residue as f64 / PRIME as f64;
        let guess = f64::from(u8::from(guessed >= PRIME)) - chance;
        agreement += guess * (went_round - chance);
        variance += guess * guess * chance * (1.0 - chance);
    }
    agreement / f64::sqrt(variance)
}

/// Every guess of what Alice and Bob have, but for which of them has which, and how it tells.
fn guesses(attempts: &[Attempt]) -> Vec<((i128, i128), f64)> {
    let guesses = (1..=7).flat_map(|rows| (0..=rows).map(move |positive| (rows, positive)));
    guesses
        .map(|guess| (guess, telling(attempts, guess.0, guess.1)))
        .collect()
}

#[test]
fn the_sums_of_tags_favour_no_guess_of_a_partys_counts() {
    for (guess, deviations) in guesses(&attempts()) {
        // Of 35 guesses, one of a thousand fair cases.
        assert!(deviations.abs() < 4.2, "{guess:?}: {deviations}");
    }
    // Unblinded, the truth stands out from all other guesses.
    let telling = without(Mechanism::Blinding, || guesses(&attempts()));
    let best = telling.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert_eq!(best.0, (7, 2));
    assert!(best.1 > 10.0, "{best:?}");
}

#[test]
fn neither_the_arbiter_nor_who_has_the_key_sees_a_single_party() {
    let key = PrivateKey::generate_small(&mut StdRng::seed_from_u64(1), 512);
    let (public, modulus) = (key.public_key(), key.public_key().modulus());
    let square = modulus * modulus;
    let bin = |number: &BigUint, of: &BigUint| usize::try_from(number * 16u8 / of).unwrap();
    let mut encryptor = Some(Box::new(Encryptor::new(public.clone(), 1_000, 1)));
    let (mut seen, mut opened, mut labels) = ([0; 16], [0; 16], [0; 16]);
    for seed in 0..ATTEMPTS {
        let (mut rng, secrets, setup_hash, tag_key) = setup(seed);
        let agreement = Agreement {
            setup_hash,
            pairs: pairs(&secrets, &setup_hash, 1, &[0, 1, 2]),
            tag_key,
        };
        let protector = Protector::Paillier {
            key: public.clone(),
            encryptor: encryptor.take().unwrap(),
        };
        let mut alice = Contributor::new(agreement, protector);
        let context = alice.context(Round(0), &question(&[]), 2);
        let body = alice.protect(&mut rng, &context, COUNTS[1].to_vec());
        let body = body.unwrap();
        seen[bin(&BigUint::from_bytes_be(&body), &square)] += 1;
        labels[(context.as_bytes()[0] >> 4) as usize] += 1;
        let (masks, _) = pairs(&secrets, &setup_hash, 1, &[0]).modular(&context, modulus, 1);
        let plaintext = key.decrypt(&public.parse(&body, 1).unwrap()[0]).unwrap();
        opened[bin(
            &((plaintext.value() + modulus - &masks[0]) % modulus),
            modulus,
        )] += 1;
        let Protector::Paillier {
            encryptor: made, ..
        } = alice.protector
        else {
            unreachable!("as it was made");
        };
        encryptor = Some(made);
    }
    for bins in [seen, opened, labels] {
        assert!(is_uniform(&bins), "{bins:?}");
    }
}

/// What a guest that asked two hosts about two models makes of their answers: their sum without the
/// masks that it knows, by slot, and whether the sum opens under either question.
fn asked_about(seed: u64, first: &[f64], last: &[f64]) -> (Vec<u128>, bool) {
    let attempt = Attempt::new(seed, first, last);
    let opener = Opener::new(3, None);
    let opens = |context| {
        let sums = opener.open(&attempt.tag_key, context, 2, &attempt.sum());
        sums.is_ok()
    };
    let opened = attempt.contexts.iter().any(opens);
    let (alice, bob) = (
        attempt.words_without_the_guests(1),
        attempt.words_without_the_guests(2),
    );
    let both = alice.iter().zip(bob);
    let both = both.map(|(alice, bob)| alice.wrapping_add(bob)).collect();
    (both, opened)
}

#[test]
fn answers_to_two_models_sum_to_nothing() {
    let (first, last) = ([0.5, 1.0], [0.5, 1.5]);
    let answers: Vec<_> = (0..ATTEMPTS)
        .map(|seed| asked_about(seed, &first, &last))
        .collect();
    assert!(answers.iter().all(|(_, opened)| !opened));
    for slot in 0..3 {
        let bins = top_bits(answers.iter().map(|(both, _)| both[slot]));
        assert!(is_uniform(&bins), "slot {slot}: {bins:?}");
        // Nor does one attempt explain another.
        let pairs = answers.windows(2);
        let bins = top_bits(pairs.map(|pair| pair[0].0[slot].wrapping_sub(pair[1].0[slot])));
        assert!(is_uniform(&bins), "slot {slot} between attempts: {bins:?}");
    }
    // The same test of one model finds the sum.
    let (both, opened) = asked_about(0, &first, &first);
    assert!(opened);
    assert_eq!(both[..2], [16, 8]);
    // And masks that are not bound to the model let two models through.
    let (both, opened) = without(Mechanism::ModelInMasks, || asked_about(0, &first, &last));
    assert!(opened);
    assert_eq!(both[..2], [16, 8]);
}
