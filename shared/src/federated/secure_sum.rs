//! A sum that nobody can take apart: masked, tagged, and encrypted or sealed.
//!
//! Each data party adds pairwise one-time masks to its slots that cancel in the sum over all
//! parties, and only if all of them were asked the same question with the same numbers; it appends
//! a blinded linear tag, and protects the result as the job says. A single contribution looks
//! uniform to whoever opens it; only the sum says something.

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::Error;
use super::round::Question;
use crate::id::{PartyId, Round};
use crate::mask::{self, Integrity, PairSecrets, RoundContext, RoundInputs, TagBlinding, TagKey};
use crate::paillier::{Encryptor, PrivateKey, PublicKey, pack, unpack};

/// Bytes of a slot in a contribution that is not encrypted.
const SLOT_BYTES: usize = 16;

/// What the data parties of a session agreed on.
pub struct Agreement {
    /// Hash of the setup: job, session, parties, their keys, the modulus.
    pub setup_hash: [u8; 32],
    /// Mask secrets shared with each other data party.
    pub pairs: PairSecrets,
    /// The tag's key, which the arbiter does not have.
    pub tag_key: TagKey,
}

/// How contributions are protected, with what it takes.
pub enum Protector {
    /// Masks, then the guest's public key; the arbiter adds.
    Paillier {
        /// The guest's public key.
        key: PublicKey,
        /// This party's randomisers under it.
        encryptor: Box<Encryptor>,
    },
    /// Masks only; the guest adds.
    SecAgg,
    /// Nothing; the guest adds.
    None,
}

/// One data party's side of every sum in a session.
pub struct Contributor {
    agreement: Agreement,
    protector: Protector,
}

impl Contributor {
    /// A contributor under an agreement.
    pub fn new(agreement: Agreement, protector: Protector) -> Self {
        Contributor {
            agreement,
            protector,
        }
    }

    /// Who adds.
    pub fn adder(&self, guest: PartyId) -> PartyId {
        match self.protector {
            Protector::Paillier { .. } => PartyId::ARBITER,
            Protector::SecAgg | Protector::None => guest,
        }
    }

    /// The key that the sum's tag is checked with.
    pub fn tag_key(&self) -> &TagKey {
        &self.agreement.tag_key
    }

    /// The context of a round whose answer has `slots` slots, the tag's not counted.
    pub fn context(&self, round: Round, question: &Question, slots: usize) -> RoundContext {
        let inputs = RoundInputs {
            setup_hash: &self.agreement.setup_hash,
            round,
            kind: question.kind,
            batch: question.batch,
            batches: question.batches,
            slots: slots as u32 + 1,
            model: &question.numbers,
        };
        #[cfg(test)]
        let inputs = tests::unbound(inputs);
        let context = RoundContext::new(&self.agreement.tag_key, &inputs);
        #[cfg(test)]
        tests::watch(&context, round, question);
        context
    }

    /// Tags, masks and protects one answer. Once per context: two answers under the same masks
    /// reveal their difference.
    ///
    /// # Errors
    /// When a value leaves the range of a slot.
    pub fn protect(
        &mut self,
        secrets: &mut dyn CryptoRng,
        context: &RoundContext,
        values: Vec<i128>,
    ) -> Result<Vec<u8>, Error> {
        #[cfg(test)]
        crate::witness::answered(*context.as_bytes(), &values);
        let mut values = Zeroizing::new(values);
        let slots = values.len() + 1;
        let Agreement { pairs, tag_key, .. } = &self.agreement;
        match &mut self.protector {
            Protector::Paillier { key, encryptor } => {
                let count = key.ciphertexts_for(slots);
                let (masks, blinding) = pairs.modular(context, key.modulus(), count);
                #[cfg(test)]
                let blinding = tests::unblinded(blinding);
                let tag = mask::tag(tag_key, context, &values, blinding)?;
                values.push(tag);
                let mut body = Vec::with_capacity(count * key.ciphertext_bytes());
                for (plaintext, mask) in pack(key, &values).iter().zip(&masks) {
                    let masked = plaintext.add(mask, key);
                    body.extend(encryptor.encrypt(secrets, &masked).to_bytes(key));
                }
                Ok(body)
            }
            Protector::SecAgg => {
                let (masks, blinding) = pairs.words(context, slots);
                #[cfg(test)]
                let blinding = tests::unblinded(blinding);
                let tag = mask::tag(tag_key, context, &values, blinding)?;
                values.push(tag);
                let masked = values.iter().zip(masks.iter());
                Ok(to_bytes(
                    masked.map(|(&value, &mask)| (value as u128).wrapping_add(mask)),
                ))
            }
            Protector::None => {
                let tag = mask::tag(tag_key, context, &values, TagBlinding::default())?;
                values.push(tag);
                Ok(to_bytes(values.iter().map(|&value| value as u128)))
            }
        }
    }

    /// Makes one randomiser for later; false when there is nothing to make.
    pub fn prepare(&mut self, secrets: &mut dyn CryptoRng) -> bool {
        match &mut self.protector {
            Protector::Paillier { encryptor, .. } => encryptor.fill_one(secrets),
            Protector::SecAgg | Protector::None => false,
        }
    }
}

/// The guest's means to open a sum.
pub struct Opener {
    /// Data parties in the sum.
    parties: usize,
    /// `None` where the guest itself adds.
    key: Option<PrivateKey>,
}

impl Opener {
    /// Opens sums over `parties` contributions.
    pub fn new(parties: usize, key: Option<PrivateKey>) -> Self {
        Opener { parties, key }
    }

    /// Adds contributions that are not encrypted, slot by slot modulo 2^128.
    ///
    /// # Errors
    /// When one has not the length of `slots` slots and a tag.
    pub fn add<'a>(
        contributions: impl Iterator<Item = &'a [u8]>,
        slots: usize,
    ) -> Result<Vec<u8>, Integrity> {
        let mut sum = vec![0_u128; slots + 1];
        for contribution in contributions {
            let words = from_bytes(contribution, sum.len())?;
            for (sum, word) in sum.iter_mut().zip(words) {
                *sum = sum.wrapping_add(word);
            }
        }
        Ok(to_bytes(sum.into_iter()))
    }

    /// Opens a sum and checks its tag before anything looks at it.
    ///
    /// # Errors
    /// One and the same for everything that can be wrong with a sum.
    pub fn open(
        &self,
        tag_key: &TagKey,
        context: &RoundContext,
        slots: usize,
        body: &[u8],
    ) -> Result<Vec<i128>, Integrity> {
        let mut sums = match &self.key {
            Some(key) => {
                let public = key.public_key();
                let count = public.ciphertexts_for(slots + 1);
                let ciphertexts = public.parse(body, count).map_err(|_| Integrity)?;
                let plaintexts: Result<Vec<_>, _> = ciphertexts
                    .iter()
                    .map(|ciphertext| key.decrypt(ciphertext))
                    .collect();
                let plaintexts = plaintexts.map_err(|_| Integrity)?;
                unpack(public, &plaintexts, slots + 1).map_err(|_| Integrity)?
            }
            None => from_bytes(body, slots + 1)?
                .map(|word| word as i128)
                .collect(),
        };
        let tag = sums.pop().ok_or(Integrity)?;
        mask::check(tag_key, context, &sums, tag, self.parties)?;
        Ok(sums)
    }
}

fn to_bytes(words: impl Iterator<Item = u128>) -> Vec<u8> {
    words.flat_map(u128::to_be_bytes).collect()
}

fn from_bytes(bytes: &[u8], count: usize) -> Result<impl Iterator<Item = u128> + '_, Integrity> {
    let (words, rest) = bytes.as_chunks::<SLOT_BYTES>();
    let fits = words.len() == count && rest.is_empty();
    fits.then(|| words.iter().map(|word| u128::from_be_bytes(*word)))
        .ok_or(Integrity)
}

#[cfg(test)]
mod tests;
