//! A party's long-term keys, and the keys that letters are sealed to.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, Serializable};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Error;

/// What letters are opened with (X25519): a party's static key, or one made for a session and
/// forgotten at its end, so that recorded traffic stays closed.
pub struct SealSecret {
    pub(super) secret: <X25519HkdfSha256 as Kem>::PrivateKey,
    public: SealPublic,
}

impl SealSecret {
    /// A new secret.
    pub fn generate(secrets: &mut dyn CryptoRng) -> SealSecret {
        let mut bytes = Zeroizing::new([0; 32]);
        secrets.fill_bytes(&mut *bytes);
        SealSecret::from_bytes(&bytes)
    }

    fn from_bytes(bytes: &[u8; 32]) -> SealSecret {
        let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(bytes)
            .expect("any 32 bytes are an X25519 secret");
        let public = SealPublic(X25519HkdfSha256::sk_to_pk(&secret).to_bytes().into());
        SealSecret { secret, public }
    }

    /// What letters are sealed to.
    pub fn public(&self) -> SealPublic {
        self.public
    }
}

/// The public half of a [`SealSecret`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealPublic(pub [u8; 32]);

/// A party's own keys: to sign with, to open letters with, and a root of keys for what only the
/// party itself reads. Kept in a file that is the party's alone.
pub struct Identity {
    signing: SigningKey,
    sealing: SealSecret,
    root: Zeroizing<[u8; 32]>,
}

impl Identity {
    /// Bytes of the key file: three secrets of 32.
    pub const BYTES: usize = 96;

    /// New keys.
    pub fn generate(secrets: &mut dyn CryptoRng) -> Identity {
        let mut bytes = Zeroizing::new([0; Identity::BYTES]);
        secrets.fill_bytes(&mut *bytes);
        Identity::from_array(&bytes)
    }

    /// The keys of a key file.
    ///
    /// # Errors
    /// Not [`Identity::BYTES`] long.
    pub fn from_bytes(bytes: &[u8]) -> Result<Identity, Error> {
        let bytes = bytes
            .try_into()
            .map_err(|_| Error::Identity { bytes: bytes.len() })?;
        Ok(Identity::from_array(bytes))
    }

    fn from_array(bytes: &[u8; Identity::BYTES]) -> Identity {
        let part = |at| Zeroizing::new(std::array::from_fn(|index| bytes[at + index]));
        Identity {
            signing: SigningKey::from_bytes(&part(0)),
            sealing: SealSecret::from_bytes(&part(32)),
            root: part(64),
        }
    }

    /// The key file's content.
    pub fn to_bytes(&self) -> Zeroizing<[u8; Identity::BYTES]> {
        let mut bytes = Zeroizing::new([0; Identity::BYTES]);
        bytes[..32].copy_from_slice(self.signing.as_bytes());
        self.sealing.secret.write_exact(&mut bytes[32..64]);
        bytes[64..].copy_from_slice(&*self.root);
        bytes
    }

    /// What the other parties pin.
    pub fn public(&self) -> PublicIdentity {
        PublicIdentity {
            signing: self.signing.verifying_key().to_bytes(),
            sealing: self.sealing.public().0,
        }
    }

    /// Opens letters that were sealed to [`PublicIdentity::sealing`].
    pub fn sealing(&self) -> &SealSecret {
        &self.sealing
    }

    /// The HMAC key of this party's digests of its own rows: equal rows are recognised by the party,
    /// and nobody else can test a guess.
    pub fn digest_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(None, &[b"concord/v1 digest"])
    }

    /// The HMAC key of the marks by which this party recognises rows that it used before.
    pub fn mark_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(None, &[b"concord/v1 mark"])
    }

    /// Signs a statement that stands for itself, outside of any envelope.
    pub fn attest(&self, statement: &[u8]) -> [u8; 64] {
        self.sign(&attested(statement))
    }

    /// Ed25519 (RFC 8032).
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }

    /// A key for this party's own use.
    pub(super) fn derive(&self, salt: Option<&[u8]>, purpose: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(salt, &*self.root)
            .expand_multi_info(purpose, &mut *key)
            .expect("one block of output is never too long");
        key
    }
}

/// A party's public keys, pinned by the others when it is enrolled, out of band.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicIdentity {
    /// Ed25519: verifies what the party signs.
    pub signing: [u8; 32],
    /// X25519: what is sealed to the party outside of sessions.
    pub sealing: [u8; 32],
}

impl PublicIdentity {
    /// Whether this party signed the statement with [`Identity::attest`].
    pub fn attested(&self, statement: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.signing).is_ok_and(|key| {
            key.verify_strict(&attested(statement), &Signature::from_bytes(signature))
                .is_ok()
        })
    }

    /// For people to compare: eight groups of five digits, 132 bits of a hash of both keys.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"concord/v1 fingerprint");
        hash.update(self.signing);
        hash.update(self.sealing);
        let digest: [u8; 32] = hash.finalize().into();
        let (words, _) = digest.as_chunks::<4>();
        let group = |word: &[u8; 4]| format!("{:05}", u32::from_be_bytes(*word) % 100_000);
        words.iter().map(group).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = self.fingerprint();
        write!(f, "PublicIdentity({} ..)", &fingerprint[..11])
    }
}

/// What is signed for a statement: labelled, so that it is never an envelope.
fn attested(statement: &[u8]) -> Vec<u8> {
    [b"concord/v1 statement", statement].concat()
}
