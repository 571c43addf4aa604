//! A participant's part for a worker: sealed by whoever has the input, signed by nobody.
//!
//! ```text
//! ephemeral key 32 | ciphertext | tag 16
//! ```
//!
//! HPKE base mode, single shot (RFC 9180; X25519, HKDF-SHA256, ChaCha20-Poly1305), to the worker's
//! static key; the context is its associated data.

use chacha20poly1305::aead::inout::InOutBuf;
use hpke::aead::{AeadTag, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::{Error, SealPublic, SealSecret};

const INFO: &[u8] = b"concord/v1 input";
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// Seals `plaintext` to `reader`. It opens under exactly this context only.
///
/// # Errors
/// `reader` is a point of small order.
pub fn seal_input(
    secrets: &mut dyn CryptoRng,
    reader: &SealPublic,
    context: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Error> {
    let reader = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&reader.0)
        .expect("any 32 bytes are an X25519 key");
    // Large enough at once: a buffer that grew would leave the plaintext behind.
    let mut sealed = Vec::with_capacity(KEY_BYTES + plaintext.len() + TAG_BYTES);
    sealed.extend([0; KEY_BYTES]);
    sealed.extend(plaintext);
    let sealing = hpke::single_shot_seal_inout_detached_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(
        &OpModeS::Base,
        &reader,
        INFO,
        InOutBuf::from(&mut sealed[KEY_BYTES..]),
        context,
        &mut &mut *secrets,
    );
    let Ok((key, tag)) = sealing else {
        sealed.zeroize();
        return Err(Error::Reader);
    };
    sealed[..KEY_BYTES].copy_from_slice(&key.to_bytes());
    sealed.extend(tag.to_bytes());
    Ok(sealed)
}

/// Opens what [`seal_input`] made.
///
/// # Errors
/// It is sealed to another reader, under another context, or changed.
pub fn open_input(
    secret: &SealSecret,
    context: &[u8],
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (key, rest) = bytes.split_first_chunk::<KEY_BYTES>().ok_or(Error::Input)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(Error::Input)?;
    let key = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(key).map_err(|_| Error::Input)?;
    let tag = AeadTag::<ChaCha20Poly1305>::from_bytes(tag).map_err(|_| Error::Input)?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    hpke::single_shot_open_inout_detached::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &secret.secret,
        &key,
        INFO,
        InOutBuf::from(&mut plaintext[..]),
        context,
        &tag,
    )
    .map_err(|_| Error::Input)?;
    Ok(plaintext)
}
