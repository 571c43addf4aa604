//! Checkpoints: what a party stores at the platform for itself alone.
//!
//! ```text
//! "CNP1" 4 | salt 32 | ciphertext | tag 16
//! ```
//!
//! ChaCha20-Poly1305 (RFC 8439) under a key of its own for each checkpoint: HKDF-SHA256 of the
//! party's secret, a random salt and the context. So the nonce is always zero and never used twice.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{Error, Identity};

const MAGIC: [u8; 4] = *b"CNP1";
const SALT_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + SALT_BYTES;
const TAG_BYTES: usize = 16;

/// Seals a party's own state. `context` names everything that it belongs to (job, request, parties,
/// code version, round): it opens under exactly the same bytes only.
pub fn seal_checkpoint(
    secrets: &mut dyn CryptoRng,
    identity: &Identity,
    context: &[u8],
    plaintext: &[u8],
) -> Vec<u8> {
    #[cfg(test)]
    let context = unbound(context);
    let mut salt = [0; SALT_BYTES];
    secrets.fill_bytes(&mut salt);
    // Large enough at once: a buffer that grew would leave the plaintext behind.
    let mut bytes = Vec::with_capacity(HEADER_BYTES + plaintext.len() + TAG_BYTES);
    bytes.extend(MAGIC);
    bytes.extend(salt);
    bytes.extend(plaintext);
    let body = InOutBuf::from(&mut bytes[HEADER_BYTES..]);
    let tag = cipher(identity, &salt, context)
        .encrypt_inout_detached(&[0; 12].into(), context, body)
        .expect("a plaintext in memory is below 256 GiB");
    bytes.extend(tag);
    bytes
}

/// Opens what [`seal_checkpoint`] made.
///
/// # Errors
/// It is another party's, of another context, or changed.
pub fn open_checkpoint(
    identity: &Identity,
    context: &[u8],
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    #[cfg(test)]
    let context = unbound(context);
    let body = bytes.strip_prefix(&MAGIC).ok_or(Error::Checkpoint)?;
    let (salt, body) = body
        .split_first_chunk::<SALT_BYTES>()
        .ok_or(Error::Checkpoint)?;
    let (ciphertext, tag) = body
        .split_last_chunk::<TAG_BYTES>()
        .ok_or(Error::Checkpoint)?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    let body = InOutBuf::from(&mut plaintext[..]);
    cipher(identity, salt, context)
        .decrypt_inout_detached(&[0; 12].into(), context, body, tag.into())
        .map_err(|_| Error::Checkpoint)?;
    Ok(plaintext)
}

fn cipher(identity: &Identity, salt: &[u8; SALT_BYTES], context: &[u8]) -> ChaCha20Poly1305 {
    let key = identity.derive(Some(salt), &[b"concord/v1 checkpoint ", context]);
    ChaCha20Poly1305::new((&*key).into())
}

/// No context at all, when a test wants to see what becomes of that.
#[cfg(test)]
fn unbound(context: &[u8]) -> &[u8] {
    use crate::sabotage::{Mechanism, is_off};
    match is_off(Mechanism::CheckpointContext) {
        true => &[],
        false => context,
    }
}
