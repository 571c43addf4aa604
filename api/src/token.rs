//! Tokens: JSON web tokens (RFC 7519) signed with HS256 and nothing else, with the claims `Email`
//! and `exp` of the API documents.
//!
//! The header's `kid` says which secret signed: several may verify while one signs, so that a
//! secret is replaced without anybody noticing. The library brings the format; the one algorithm
//! is handed to it here, so that no other can be asked for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result as JwtResult};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::limits::{TOKEN_BYTES_MAX, TOKEN_SECONDS, TOKEN_SECRET_BYTES_MIN};
use shared::seal::{self, ContentKey, WrappingKey};
use shared::store::Email;
use zeroize::Zeroizing;

/// Bytes of a secret's hash that name it.
const NAME_BYTES: usize = 8;

/// What tokens are signed with.
pub struct Secrets {
    /// Signs.
    first: Secret,
    /// Verify too: those that signed before.
    others: Vec<Secret>,
}

struct Secret {
    name: String,
    signing: EncodingKey,
    verifying: DecodingKey,
    /// Keeps the keys of files.
    wrapping: WrappingKey,
}

/// Why a text holds no secrets; never shows one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretsError {
    /// There is none.
    #[error("there is no secret in it; `concord user secret` makes one")]
    Missing,
    /// A line is something else.
    #[error("secret {number} is no base64; `concord user secret` makes one")]
    Malformed {
        /// Its place, from 1.
        number: usize,
    },
    /// It could be guessed.
    #[error("secret {number} has {bytes} bytes: at least {TOKEN_SECRET_BYTES_MIN} are needed")]
    Short {
        /// Its place, from 1.
        number: usize,
        /// Its length.
        bytes: usize,
    },
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nobody with a secret of ours made it, or it was changed.
    Invalid,
    /// It was good until now.
    Expired,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(rename = "Email")]
    email: String,
    /// Unix seconds at which it is good no more.
    exp: i64,
}

impl Secrets {
    /// Reads secrets in base64, with white space between; the first one signs, all verify.
    ///
    /// # Errors
    /// When there is none, or one is malformed or short.
    pub fn parse(text: &str) -> Result<Secrets, SecretsError> {
        // It fails when it was done before, which is as well.
        let _ = HS256_ALONE.install_default();
        let mut secrets = text.split_whitespace().enumerate().map(|(index, text)| {
            let number = index + 1;
            let bytes = STANDARD.decode(text).map(Zeroizing::new);
            let bytes = bytes.map_err(|_| SecretsError::Malformed { number })?;
            match bytes.len() {
                TOKEN_SECRET_BYTES_MIN.. => Ok(Secret::new(&bytes)),
                bytes => Err(SecretsError::Short { number, bytes }),
            }
        });
        let first = secrets.next().ok_or(SecretsError::Missing)??;
        let others = secrets.collect::<Result<_, _>>()?;
        Ok(Secrets { first, others })
    }

    /// A new secret, as [`Secrets::parse`] reads it.
    pub fn generate(rng: &mut dyn CryptoRng) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; TOKEN_SECRET_BYTES_MIN]);
        rng.fill_bytes(&mut *bytes);
        Zeroizing::new(STANDARD.encode(*bytes))
    }

    /// A token for an account, good for [`TOKEN_SECONDS`] from `now`, which is in Unix milliseconds.
    pub(crate) fn issue(&self, email: &Email, now: i64) -> String {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.first.name.clone());
        let claims = Claims {
            email: email.as_str().to_owned(),
            exp: now.div_euclid(1000) + TOKEN_SECONDS,
        };
        jsonwebtoken::encode(&header, &claims, &self.first.signing)
            .expect("plain text under an HMAC key always encodes")
    }

    /// Whose token it is; `now` in Unix milliseconds, without leeway: we made it by the same clock.
    pub(crate) fn verify(&self, token: &str, now: i64) -> Result<Email, Refusal> {
        let claims = self.claims(token).ok_or(Refusal::Invalid)?;
        let email = Email::parse(&claims.email).ok_or(Refusal::Invalid)?;
        if now.div_euclid(1000) < claims.exp {
            Ok(email)
        } else {
            Err(Refusal::Expired)
        }
    }

    /// Wraps the key of a job's files, under a key of the first secret's.
    pub(crate) fn wrap(
        &self,
        rng: &mut dyn CryptoRng,
        context: &[u8],
        key: &ContentKey,
    ) -> Vec<u8> {
        self.first.wrapping.wrap(rng, context, key)
    }

    /// What [`Secrets::wrap`] wrapped, when that secret is still among these.
    ///
    /// # Errors
    /// It is no more, or the bytes are another job's.
    pub(crate) fn unwrap(&self, context: &[u8], bytes: &[u8]) -> Result<ContentKey, seal::Error> {
        let first = self.first.wrapping.unwrap(context, bytes);
        self.others.iter().fold(first, |found, secret| {
            found.or_else(|_| secret.wrapping.unwrap(context, bytes))
        })
    }

    fn claims(&self, token: &str) -> Option<Claims> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let name = jsonwebtoken::decode_header(token).ok()?.kid?;
        let mut all = std::iter::once(&self.first).chain(&self.others);
        let secret = all.find(|secret| secret.name == name)?;
        let mut validation = Validation::new(Algorithm::HS256);
        // `exp` must be there; the library would compare it with a clock of its own.
        validation.validate_exp = false;
        let token = jsonwebtoken::decode(token, &secret.verifying, &validation);
        token.ok().map(|token| token.claims)
    }
}

impl Secret {
    fn new(bytes: &[u8]) -> Secret {
        let mut hash = Sha256::new();
        hash.update(b"concord token secret");
        hash.update(bytes);
        let name = &hash.finalize()[..NAME_BYTES];
        Secret {
            name: name.iter().map(|byte| format!("{byte:02x}")).collect(),
            signing: EncodingKey::from_secret(bytes),
            verifying: DecodingKey::from_secret(bytes),
            wrapping: WrappingKey::derive(bytes),
        }
    }
}

/// All the cryptography that the library gets.
static HS256_ALONE: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        let mac = Hs256::new(*algorithm, key.as_bytes())?;
        Ok(Box::new(mac) as Box<dyn JwtSigner>)
    },
    verifier_factory: |algorithm, key| {
        let mac = Hs256::new(*algorithm, key.try_get_as_bytes()?)?;
        Ok(Box::new(mac) as Box<dyn JwtVerifier>)
    },
    key_utils: KeyUtils::new_unimplemented(),
};

/// HMAC-SHA-256, keyed.
struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(algorithm: Algorithm, key: &[u8]) -> JwtResult<Hs256> {
        if algorithm != Algorithm::HS256 {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        let mac = Hmac::new_from_slice(key).expect("HMAC takes any key");
        Ok(Hs256(mac))
    }
}

impl signature::Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let mac = self.0.clone().chain_update(message).finalize();
        Ok(mac.into_bytes().to_vec())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl signature::Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], tag: &Vec<u8>) -> Result<(), signature::Error> {
        // In constant time.
        let mac = self.0.clone().chain_update(message);
        mac.verify_slice(tag).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests;
