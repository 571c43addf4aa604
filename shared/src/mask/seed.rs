//! What two workers of a joint computation share.

use x25519_dalek::PublicKey;
use zeroize::Zeroizing;

use super::{Error, MaskPublic, MaskSecret, derive};
use crate::id::PartyId;

impl MaskSecret {
    /// The seed that exactly this secret's owner and `other` know. `link` tells the three pairs of
    /// workers apart, and `setup_hash` covers everything the computation depends on
    /// (privacy-protocols 6.4).
    ///
    /// # Errors
    /// The other's key is a point of small order.
    pub fn seed(
        &self,
        other: PartyId,
        public: MaskPublic,
        link: u8,
        setup_hash: &[u8; 32],
    ) -> Result<Zeroizing<[u8; 32]>, Error> {
        let shared = self.0.diffie_hellman(&PublicKey::from(public.0));
        if !shared.was_contributory() {
            return Err(Error::WeakKey { party: other });
        }
        let purpose: [&[u8]; 2] = [b"concord/v1 zero", &[link]];
        Ok(derive(shared.as_bytes(), setup_hash, &purpose))
    }
}
