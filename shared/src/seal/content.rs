//! Files in pieces under one key of their own, and that key under those of a service.
//!
//! ```text
//! nonce 24 | ciphertext | tag 16
//! ```
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha): its nonces are long enough to be drawn at random,
//! so that several processes use one key without telling each other. The context, which names file
//! and piece, is the associated data: a piece opens in its own place only.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hkdf::Hkdf;
use rand::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Error;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// What the files of one job are sealed under.
pub struct ContentKey(Zeroizing<[u8; KEY_BYTES]>);

impl ContentKey {
    /// How much longer a sealed piece is than the piece.
    pub const OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

    /// A new key.
    pub fn generate(secrets: &mut dyn CryptoRng) -> ContentKey {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        secrets.fill_bytes(&mut *key);
        ContentKey(key)
    }

    /// The key that [`ContentKey::to_bytes`] gave.
    ///
    /// # Errors
    /// Of another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<ContentKey, Error> {
        let key = bytes.try_into().map_err(|_| Error::Content)?;
        Ok(ContentKey(Zeroizing::new(key)))
    }

    /// The key, to be sealed to whoever shall open the files.
    pub fn to_bytes(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        self.0.clone()
    }

    /// Seals a piece; `context` names its job, file and place.
    pub fn seal_piece(
        &self,
        secrets: &mut dyn CryptoRng,
        context: &[u8],
        plaintext: &[u8],
    ) -> Vec<u8> {
        seal(&self.0, secrets, context, plaintext)
    }

    /// Opens what [`ContentKey::seal_piece`] made.
    ///
    /// # Errors
    /// It is another key's, of another context, or changed.
    pub fn open_piece(&self, context: &[u8], bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        open(&self.0, context, bytes)
    }
}

/// What a service keeps [`ContentKey`]s under that it needs later.
pub struct WrappingKey(Zeroizing<[u8; KEY_BYTES]>);

impl WrappingKey {
    /// The one that belongs to a service's secret, which has at least 256 bits.
    pub fn derive(secret: &[u8]) -> WrappingKey {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        Hkdf::<Sha256>::new(None, secret)
            .expand(b"concord/v1 files", &mut *key)
            .expect("one block of output is never too long");
        WrappingKey(key)
    }

    /// Seals a job's key; `context` names the job.
    pub fn wrap(&self, secrets: &mut dyn CryptoRng, context: &[u8], key: &ContentKey) -> Vec<u8> {
        seal(&self.0, secrets, context, &*key.0)
    }

    /// Opens what [`WrappingKey::wrap`] made.
    ///
    /// # Errors
    /// It is another secret's, another job's, or changed.
    pub fn unwrap(&self, context: &[u8], bytes: &[u8]) -> Result<ContentKey, Error> {
        ContentKey::from_bytes(&open(&self.0, context, bytes)?)
    }
}

fn seal(
    key: &[u8; KEY_BYTES],
    secrets: &mut dyn CryptoRng,
    context: &[u8],
    plaintext: &[u8],
) -> Vec<u8> {
    let mut nonce = [0; NONCE_BYTES];
    secrets.fill_bytes(&mut nonce);
    // Large enough at once: a buffer that grew would leave the plaintext behind.
    let mut bytes = Vec::with_capacity(NONCE_BYTES + plaintext.len() + TAG_BYTES);
    bytes.extend(nonce);
    bytes.extend(plaintext);
    let body = InOutBuf::from(&mut bytes[NONCE_BYTES..]);
    let tag = XChaCha20Poly1305::new(key.into())
        .encrypt_inout_detached(&nonce.into(), context, body)
        .expect("a plaintext in memory is below 256 GiB");
    bytes.extend(tag);
    bytes
}

fn open(key: &[u8; KEY_BYTES], context: &[u8], bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (nonce, body) = bytes
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or(Error::Content)?;
    let (ciphertext, tag) = body.split_last_chunk::<TAG_BYTES>().ok_or(Error::Content)?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    let body = InOutBuf::from(&mut plaintext[..]);
    XChaCha20Poly1305::new(key.into())
        .decrypt_inout_detached(nonce.into(), context, body, tag.into())
        .map_err(|_| Error::Content)?;
    Ok(plaintext)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn secrets() -> StdRng {
        StdRng::seed_from_u64(7)
    }

    #[test]
    fn a_piece_is_what_the_draft_says() {
        // draft-irtf-cfrg-xchacha-03, A.3.1.
        let key: Vec<u8> = (0x80..=0x9f).collect();
        let aad = [
            0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7,
        ];
        let sealed = "404142434445464748494a4b4c4d4e4f5051525354555657\
            bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb\
            731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452\
            2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
            21f9664c97637da9768812f615c68b13b52e\
            c0875924c1c7987947deafd8780acf49";
        let byte = |at| u8::from_str_radix(&sealed[at..at + 2], 16).unwrap();
        let sealed: Vec<u8> = (0..sealed.len()).step_by(2).map(byte).collect();
        let key = ContentKey::from_bytes(&key).unwrap();
        let text = key.open_piece(&aad, &sealed).unwrap();
        assert!(text.starts_with(b"Ladies and Gentlemen of the class of '99"));
    }

    #[test]
    fn a_piece_opens_under_its_key_and_in_its_place_only() {
        let mut secrets = secrets();
        let key = ContentKey::generate(&mut secrets);
        for plaintext in [&b""[..], b"age,name\n63,Li\n"] {
            let sealed = key.seal_piece(&mut secrets, b"piece 0", plaintext);
            assert_eq!(sealed.len(), plaintext.len() + ContentKey::OVERHEAD_BYTES);
            assert_ne!(sealed, key.seal_piece(&mut secrets, b"piece 0", plaintext));
            let same = ContentKey::from_bytes(&*key.to_bytes()).unwrap();
            assert_eq!(*same.open_piece(b"piece 0", &sealed).unwrap(), plaintext);
            let other = ContentKey::generate(&mut secrets);
            assert!(other.open_piece(b"piece 0", &sealed).is_err());
            assert!(key.open_piece(b"piece 1", &sealed).is_err());
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert!(key.open_piece(b"piece 0", &changed).is_err(), "{at}");
                assert!(key.open_piece(b"piece 0", &sealed[..at]).is_err(), "{at}");
            }
        }
        assert!(ContentKey::from_bytes(&[0; 31]).is_err());
    }

    #[test]
    fn a_wrapped_key_opens_under_its_secret_and_for_its_job_only() {
        let mut secrets = secrets();
        let key = ContentKey::generate(&mut secrets);
        let wrapping = WrappingKey::derive(&[1; 32]);
        let wrapped = wrapping.wrap(&mut secrets, b"job 1", &key);
        let same = WrappingKey::derive(&[1; 32]).unwrap(b"job 1", &wrapped);
        assert_eq!(*same.unwrap().to_bytes(), *key.to_bytes());
        assert!(wrapping.unwrap(b"job 2", &wrapped).is_err());
        assert!(
            WrappingKey::derive(&[2; 32])
                .unwrap(b"job 1", &wrapped)
                .is_err()
        );
        let piece = key.seal_piece(&mut secrets, b"job 1", &[0; 31]);
        assert!(wrapping.unwrap(b"job 1", &piece).is_err());
    }
}
