//! What every two parties share, and the masks that come of it.

use chacha20::ChaCha20;
use chacha20::cipher::StreamCipher;
use num_bigint::BigUint;
use x25519_dalek::PublicKey;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::integrity::TagBlinding;
use super::{Error, MaskPublic, MaskSecret, RoundContext, check_parties, derive, stream, words};
use crate::id::PartyId;

/// Bits beyond the modulus that are drawn for a mask, so that it is uniform but for 2^-128.
const EXCESS_BITS: u64 = 128;

/// One party's shared secrets, one with each other party, for one session.
pub struct PairSecrets(Vec<PairSecret>);

#[derive(Zeroize, ZeroizeOnDrop)]
struct PairSecret {
    secret: [u8; 32],
    low: u64,
    high: u64,
    /// The party with the lower id adds, the other subtracts.
    adds: bool,
}

impl PairSecrets {
    /// Agrees with all other data parties, given by ascending id.
    ///
    /// # Errors
    /// `others` is empty, more than 63, not strictly ascending or holds `me`, or one of the keys is
    /// a point of small order.
    pub fn agree(
        me: PartyId,
        mine: &MaskSecret,
        others: &[(PartyId, MaskPublic)],
        setup_hash: &[u8; 32],
    ) -> Result<PairSecrets, Error> {
        check_parties(others.len() + 1, others.iter().map(|other| other.0))?;
        // Large enough at once: a vector that grew would leave secrets behind.
        let mut pairs = Vec::with_capacity(others.len());
        for &(other, public) in others {
            if other == me {
                return Err(Error::Order { party: me });
            }
            let shared = mine.0.diffie_hellman(&PublicKey::from(public.0));
            if !shared.was_contributory() {
                return Err(Error::WeakKey { party: other });
            }
            let (low, high) = (me.min(other).0, me.max(other).0);
            let ends = [low.to_be_bytes(), high.to_be_bytes()];
            let purpose: [&[u8]; 3] = [b"concord/v1 pair", &ends[0], &ends[1]];
            let secret = *derive(shared.as_bytes(), setup_hash, &purpose);
            let adds = me < other;
            pairs.push(PairSecret {
                secret,
                low,
                high,
                adds,
            });
        }
        Ok(PairSecrets(pairs))
    }

    /// Masks modulo `modulus`, at least 1, one for each of `ciphertexts` packed plaintexts; and the
    /// round's blinding of the tag (privacy-protocols 3.5 and 3.7). Over all parties each of them
    /// sums to zero.
    pub fn modular(
        &self,
        context: &RoundContext,
        modulus: &BigUint,
        ciphertexts: usize,
    ) -> (Vec<BigUint>, TagBlinding) {
        let mut masks = vec![BigUint::ZERO; ciphertexts];
        let mut blinding = TagBlinding::default();
        let bytes_each = (modulus.bits() + EXCESS_BITS).div_ceil(8) as usize;
        let mut bytes = Zeroizing::new(vec![0; bytes_each]);
        for pair in &self.0 {
            let mut stream = pair.stream(context);
            for mask in &mut masks {
                bytes.fill(0);
                stream.apply_keystream(&mut bytes);
                let drawn = BigUint::from_bytes_be(&bytes) % modulus;
                *mask += if pair.adds { drawn } else { modulus - drawn };
                if *mask >= *modulus {
                    *mask -= modulus;
                }
            }
            blinding.add(words(&mut stream, 1)[0], pair.adds);
        }
        (masks, blinding)
    }

    /// Masks modulo 2^128, one for each of `slots`, the tag's included; and the round's blinding of
    /// the tag (privacy-protocols 3.15). Over all parties each of them sums to zero.
    pub fn words(
        &self,
        context: &RoundContext,
        slots: usize,
    ) -> (Zeroizing<Vec<u128>>, TagBlinding) {
        let mut masks = Zeroizing::new(vec![0u128; slots]);
        let mut blinding = TagBlinding::default();
        for pair in &self.0 {
            let drawn = words(&mut pair.stream(context), slots + 1);
            for (mask, word) in masks.iter_mut().zip(drawn.iter()) {
                *mask = if pair.adds {
                    mask.wrapping_add(*word)
                } else {
                    mask.wrapping_sub(*word)
                };
            }
            blinding.add(drawn[slots], pair.adds);
        }
        (masks, blinding)
    }
}

impl PairSecret {
    /// The round's masks, and after them the word that blinds the tag.
    fn stream(&self, context: &RoundContext) -> ChaCha20 {
        let purpose: [&[u8]; 3] = [
            b"concord/v1 mask",
            &self.low.to_be_bytes(),
            &self.high.to_be_bytes(),
        ];
        stream(&self.secret, context, &purpose)
    }
}
