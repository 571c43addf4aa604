//! Sharings of zero without a word between the workers: what hides each product's parts.

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Error, Ring, WORKERS};
use crate::id::PartyId;
use crate::mask::{MaskPublic, MaskSecret};

/// What a worker shares with each of the two others, for one attempt at one computation.
pub struct Seeds {
    pub(super) previous: Zeroizing<[u8; 32]>,
    pub(super) next: Zeroizing<[u8; 32]>,
}

impl Seeds {
    /// Seeds that are known already: with the previous worker and with the next.
    pub fn new(previous: [u8; 32], next: [u8; 32]) -> Seeds {
        Seeds {
            previous: Zeroizing::new(previous),
            next: Zeroizing::new(next),
        }
    }

    /// The seeds of worker `index` (0 to 2), which met the previous worker (of `index` - 1, modulo
    /// 3) and the next one. All keys are made for this attempt alone, and `setup_hash` covers
    /// everything the attempt depends on: workers that were told anything else don't get along.
    ///
    /// # Errors
    /// `index` is no worker, or one of the keys is a point of small order.
    pub fn agree(
        index: usize,
        mine: &MaskSecret,
        previous: (PartyId, MaskPublic),
        next: (PartyId, MaskPublic),
        setup_hash: &[u8; 32],
    ) -> Result<Seeds, Error> {
        if index >= WORKERS {
            return Err(Error::Worker { worker: index });
        }
        let link = index as u8;
        let following = (link + 1) % WORKERS as u8;
        Ok(Seeds {
            previous: mine.seed(previous.0, previous.1, link, setup_hash)?,
            next: mine.seed(next.0, next.1, following, setup_hash)?,
        })
    }

    /// This worker's part of a sharing of `count` zeros, `F(k_i) - F(k_(i+1))`: the three parts add
    /// up to zero, and are uniform to whoever lacks a seed. Each number of a gate is used once.
    pub(crate) fn zeros<R: Ring>(&self, gate: u64, count: usize) -> Zeroizing<Vec<R>> {
        let mut zeros = elements::<R>(&mut stream(&self.previous, gate), count);
        let others = elements::<R>(&mut stream(&self.next, gate), count);
        for (zero, other) in zeros.iter_mut().zip(others.iter()) {
            *zero = zero.sub(*other);
        }
        zeros
    }
}

/// ChaCha20 under a key of its own for each gate.
fn stream(seed: &[u8; 32], gate: u64) -> ChaCha20 {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, seed)
        .expand_multi_info(&[b"concord/v1 gate", &gate.to_be_bytes()], &mut *key)
        .expect("one block of output is never too long");
    ChaCha20::new((&*key).into(), &[0; 12].into())
}

/// The next `count` elements of a stream.
pub(super) fn elements<R: Ring>(stream: &mut ChaCha20, count: usize) -> Zeroizing<Vec<R>> {
    let mut bytes = Zeroizing::new(vec![0; count * R::BYTES]);
    stream.apply_keystream(&mut bytes);
    R::read_all(&bytes)
}
