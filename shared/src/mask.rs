//! Masks and integrity tags: why a sum can be seen and a single contribution can't.
//!
//! Every two data parties share a secret and derive the same pseudo-random numbers from it; one
//! adds them, the other subtracts them, so they vanish from the sum of all and from nothing else.
//! What is derived depends on everything the round depends on ([`RoundContext`]): parties that were
//! shown different models, parties, moduli or rounds don't cancel. A secret linear tag makes any
//! change on the way visible to the guest ([`tag`], [`check`]). privacy-protocols 3.4 to 3.7, 3.15.
//!
//! A party's step in Paillier mode (in SecAgg mode with [`PairSecrets::words`], and
//! `(slot as u128).wrapping_add(mask)` for each slot):
//!
//! ```text
//! let (masks, blinding) = pairs.modular(&context, modulus, ciphertexts);
//! values.push(tag(&key, &context, &values, blinding)?);
//! ciphertext[c] = encrypt(pack(values of c) + masks[c] mod modulus)
//! ```
//!
//! **One context, one plaintext**: a context is never used for two different vectors of values.

mod integrity;
mod pair;
mod seed;
#[cfg(test)]
mod tests;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use num_bigint::BigUint;
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::id::{Attempt, JobId, PartyId, Round, SessionId};
use crate::limits::PARTIES_MAX;

pub use integrity::{Integrity, TagBlinding, check, tag};
pub use pair::PairSecrets;

/// The primitives of this module and of `seal`, in every hash, so that they can't be mixed.
const SUITE: u8 = 1;

/// Why the parties of a session can't be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// A sum of one party is that party's data; of too many it overflows its slot.
    #[error("parties: {count} is outside 2..={PARTIES_MAX}")]
    Count {
        /// How many data parties were named, oneself included.
        count: usize,
    },
    /// The order of the parties decides signs and hashes.
    #[error("parties: {party} is repeated or out of ascending order")]
    Order {
        /// The first party that is.
        party: PartyId,
    },
    /// A public key that makes the shared secret zero, whatever one's own secret.
    #[error("mask key of party {party}: a point of small order")]
    WeakKey {
        /// The key's owner.
        party: PartyId,
    },
}

/// A party's secret for one session (X25519), from which it shares one with each other party.
/// Memory only: a party that restarts can't mask anything in an old session.
pub struct MaskSecret(StaticSecret);

impl MaskSecret {
    /// A new secret.
    pub fn generate(secrets: &mut dyn CryptoRng) -> MaskSecret {
        MaskSecret(StaticSecret::random_from_rng(secrets))
    }

    /// What the other parties need.
    pub fn public(&self) -> MaskPublic {
        MaskPublic(PublicKey::from(&self.0).to_bytes())
    }
}

/// The public half of a [`MaskSecret`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MaskPublic(pub [u8; 32]);

/// Everything that is agreed before the first round of a session.
pub struct Setup<'a> {
    /// SHA-256 of the job's specification, exactly as carried in the guest's offer.
    pub spec_hash: [u8; 32],
    /// The job.
    pub job: JobId,
    /// The try at it.
    pub attempt: Attempt,
    /// The guest's sitting.
    pub session: SessionId,
    /// The data parties, the guest included, by ascending id.
    pub parties: &'a [SetupParty],
    /// The Paillier modulus; none in SecAgg mode.
    pub modulus: Option<&'a BigUint>,
}

/// A data party's public keys, as [`Setup`] binds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetupParty {
    /// Who.
    pub id: PartyId,
    /// Its long-term Ed25519 key.
    pub signing: [u8; 32],
    /// Its mask key for this session.
    pub mask: MaskPublic,
    /// Its X25519 sealing key for this session.
    pub sealing: [u8; 32],
}

/// The hash that each party computes by itself and compares with the guest's (privacy-protocols
/// 3.4). Whoever was told anything else derives other masks.
///
/// # Errors
/// Parties not strictly ascending, or not 2 to 64 of them.
pub fn setup_hash(setup: &Setup) -> Result<[u8; 32], Error> {
    check_parties(
        setup.parties.len(),
        setup.parties.iter().map(|party| party.id),
    )?;
    let mut hash = Sha256::new();
    hash.update(b"concord/v1 setup");
    hash.update([SUITE]);
    hash.update(setup.spec_hash);
    hash.update(setup.job.0.as_bytes());
    hash.update(setup.attempt.0.to_be_bytes());
    hash.update(setup.session.0.as_bytes());
    hash.update((setup.parties.len() as u32).to_be_bytes());
    for party in setup.parties {
        hash.update(party.id.0.to_be_bytes());
        hash.update(party.signing);
        hash.update(party.mask.0);
        hash.update(party.sealing);
    }
    let modulus = setup.modulus.map_or_else(Vec::new, BigUint::to_bytes_be);
    hash.update((modulus.len() as u32).to_be_bytes());
    hash.update(modulus);
    Ok(hash.finalize().into())
}

/// `count` includes oneself, whom `ids` may leave out.
fn check_parties(count: usize, ids: impl Iterator<Item = PartyId>) -> Result<(), Error> {
    if !(2..=PARTIES_MAX).contains(&count) {
        return Err(Error::Count { count });
    }
    let mut last = None;
    for party in ids {
        if last >= Some(party) {
            return Err(Error::Order { party });
        }
        last = Some(party);
    }
    Ok(())
}

/// The key of the session's tags and contexts: known to every data party, never to the platform.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct TagKey([u8; 32]);

impl TagKey {
    /// A new key.
    pub fn generate(secrets: &mut dyn CryptoRng) -> TagKey {
        let mut key = TagKey([0; 32]);
        secrets.fill_bytes(&mut key.0);
        key
    }

    /// The key that the guest sealed to this party.
    pub fn from_bytes(bytes: [u8; 32]) -> TagKey {
        TagKey(bytes)
    }

    /// The key itself, to be sealed to a host.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Everything one round depends on beside its setup.
#[derive(Clone, Copy, Debug)]
pub struct RoundInputs<'a> {
    /// [`setup_hash`].
    pub setup_hash: &'a [u8; 32],
    /// Which round of the job.
    pub round: Round,
    /// What is summed, as the caller numbers it.
    pub kind: u8,
    /// Which of the mini-batches.
    pub batch: u32,
    /// How many mini-batches there are.
    pub batches: u32,
    /// Slots of the sum, the tag's included.
    pub slots: u32,
    /// The model (and, where there are any, the histogram's edges) that the values are computed at.
    pub model: &'a [f64],
}

/// One round, as 32 opaque bytes: it is keyed, so that the platform, which sees it, can't test
/// guesses of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundContext([u8; 32]);

impl RoundContext {
    /// HMAC-SHA256 over everything the round depends on (privacy-protocols 3.4).
    pub fn new(key: &TagKey, inputs: &RoundInputs) -> RoundContext {
        let mut model = Sha256::new();
        for weight in inputs.model {
            model.update(weight.to_be_bytes());
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes any key");
        mac.update(b"concord/v1 round");
        mac.update(inputs.setup_hash);
        mac.update(&inputs.round.0.to_be_bytes());
        mac.update(&[inputs.kind]);
        mac.update(&inputs.batch.to_be_bytes());
        mac.update(&inputs.batches.to_be_bytes());
        mac.update(&inputs.slots.to_be_bytes());
        mac.update(&model.finalize());
        RoundContext(mac.finalize().into_bytes().into())
    }

    /// The label under which the arbiter puts the parties' ciphertexts together.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A ChaCha20 stream under HKDF-SHA256 of a secret, the round and a purpose.
fn stream(secret: &[u8; 32], context: &RoundContext, purpose: &[&[u8]]) -> ChaCha20 {
    let key = derive(secret, &context.0, purpose);
    ChaCha20::new((&*key).into(), &[0; 12].into())
}

/// HKDF-SHA256 (RFC 5869) to one key.
fn derive(secret: &[u8], salt: &[u8], purpose: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand_multi_info(purpose, &mut *key)
        .expect("one block of output is never too long");
    key
}

/// The next `count` words of 16 bytes, little-endian.
fn words(stream: &mut ChaCha20, count: usize) -> Zeroizing<Vec<u128>> {
    let mut bytes = Zeroizing::new(vec![0; count * 16]);
    stream.apply_keystream(&mut bytes);
    let (words, _) = bytes.as_chunks::<16>();
    Zeroizing::new(
        words
            .iter()
            .map(|word| u128::from_le_bytes(*word))
            .collect(),
    )
}
