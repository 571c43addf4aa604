//! The envelope: one binary format for every message between parties.
//!
//! ```text
//! "CND1" 4 | suite 1 | kind 1 | zero 2 | job 16 | attempt 4 | session 16 | round 4 | from 8 | to 8
//! | payload_len 4 | payload | signature 64                                 integers big-endian
//! ```
//!
//! The payload is HPKE base mode, single shot (RFC 9180; X25519, HKDF-SHA256, ChaCha20-Poly1305):
//! the ephemeral key of 32 bytes, the ciphertext, and its tag of 16. The header is its associated
//! data, so a copy under another header, signed anew by whomever, does not open.

use chacha20poly1305::aead::inout::InOutBuf;
use ed25519_dalek::{Signature, VerifyingKey};
use hpke::aead::{AeadTag, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Error, Identity, PublicIdentity, SealPublic, SealSecret};
use crate::id::{Attempt, JobId, PartyId, Round, SessionId};
use crate::limits::MESSAGE_BYTES_MAX;

const MAGIC: [u8; 4] = *b"CND1";
const SUITE: u8 = 1;
const HEADER_BYTES: usize = 68;
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const SIGNATURE_BYTES: usize = 64;

/// How much longer an envelope is than what it carries.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + KEY_BYTES + TAG_BYTES + SIGNATURE_BYTES;

/// What stands on an envelope for all to read, signed by the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which message of the protocol, as the caller numbers them.
    pub kind: u8,
    /// The job it belongs to.
    pub job: JobId,
    /// The try at the job.
    pub attempt: Attempt,
    /// The guest's sitting.
    pub session: SessionId,
    /// The round, 0 where there is none.
    pub round: Round,
    /// The writer.
    pub from: PartyId,
    /// The reader.
    pub to: PartyId,
}

type Wire = [u8; HEADER_BYTES];

impl Header {
    fn wire(&self, payload_len: u32) -> Wire {
        let mut wire = [0; HEADER_BYTES];
        wire[..4].copy_from_slice(&MAGIC);
        wire[4] = SUITE;
        wire[5] = self.kind;
        wire[8..24].copy_from_slice(self.job.0.as_bytes());
        wire[24..28].copy_from_slice(&self.attempt.0.to_be_bytes());
        wire[28..44].copy_from_slice(self.session.0.as_bytes());
        wire[44..48].copy_from_slice(&self.round.0.to_be_bytes());
        wire[48..56].copy_from_slice(&self.from.0.to_be_bytes());
        wire[56..64].copy_from_slice(&self.to.0.to_be_bytes());
        wire[64..].copy_from_slice(&payload_len.to_be_bytes());
        wire
    }
}

/// The parts of an envelope whose form is right; nothing is verified.
struct Parts<'a> {
    header: Header,
    wire: &'a Wire,
    /// Ephemeral key, ciphertext and tag.
    payload: &'a [u8],
    signature: &'a [u8; SIGNATURE_BYTES],
}

fn parse(bytes: &[u8]) -> Result<Parts<'_>, Error> {
    let length = Error::Length { bytes: bytes.len() };
    if !(OVERHEAD_BYTES..=MESSAGE_BYTES_MAX).contains(&bytes.len()) {
        return Err(length);
    }
    let (wire, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(length)?;
    let (payload, signature) = rest.split_last_chunk::<SIGNATURE_BYTES>().ok_or(length)?;
    if wire[..4] != MAGIC {
        return Err(Error::Magic);
    }
    if wire[4] != SUITE {
        return Err(Error::Suite { suite: wire[4] });
    }
    if wire[6..8] != [0; 2] {
        return Err(Error::Reserved);
    }
    let said = u32::from_be_bytes(field(wire, 64));
    if said as usize != payload.len() {
        return Err(Error::PayloadLength {
            said,
            found: payload.len(),
        });
    }
    let header = Header {
        kind: wire[5],
        job: JobId(Uuid::from_bytes(field(wire, 8))),
        attempt: Attempt(u32::from_be_bytes(field(wire, 24))),
        session: SessionId(Uuid::from_bytes(field(wire, 28))),
        round: Round(u32::from_be_bytes(field(wire, 44))),
        from: PartyId(u64::from_be_bytes(field(wire, 48))),
        to: PartyId(u64::from_be_bytes(field(wire, 56))),
    };
    Ok(Parts {
        header,
        wire,
        payload,
        signature,
    })
}

fn field<const N: usize>(wire: &Wire, at: usize) -> [u8; N] {
    std::array::from_fn(|index| wire[at + index])
}

/// Seals `payload` to `reader` and signs it.
///
/// # Errors
/// The payload is longer than a message allows, or `reader` is a point of small order.
pub fn seal(
    secrets: &mut dyn CryptoRng,
    writer: &Identity,
    reader: &SealPublic,
    header: &Header,
    payload: &[u8],
) -> Result<Vec<u8>, Error> {
    let bytes = OVERHEAD_BYTES.saturating_add(payload.len());
    if bytes > MESSAGE_BYTES_MAX {
        return Err(Error::Length { bytes });
    }
    let wire = header.wire((payload.len() + KEY_BYTES + TAG_BYTES) as u32);
    let reader = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&reader.0)
        .expect("any 32 bytes are an X25519 key");
    let mut envelope = Vec::with_capacity(bytes);
    envelope.extend(wire);
    envelope.extend([0; KEY_BYTES]);
    envelope.extend(payload);
    let (key, tag) = hpke::single_shot_seal_inout_detached_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(
        &OpModeS::Base,
        &reader,
        &info(header),
        InOutBuf::from(&mut envelope[HEADER_BYTES + KEY_BYTES..]),
        &wire,
        &mut &mut *secrets,
    )
    .map_err(|_| Error::Reader)?;
    envelope[HEADER_BYTES..][..KEY_BYTES].copy_from_slice(&key.to_bytes());
    envelope.extend(tag.to_bytes());
    envelope.extend(writer.sign(&signed(&wire, &envelope[HEADER_BYTES..])));
    Ok(envelope)
}

/// What an envelope says of itself, for routing and for the fence of (attempt, session). Nothing is
/// verified: whoever acts on more than that has to [`open`] it.
///
/// # Errors
/// The form is wrong in any way.
pub fn peek(bytes: &[u8]) -> Result<Header, Error> {
    parse(bytes).map(|parts| parts.header)
}

/// Verifies that `writer` signed exactly these bytes (strictly: no keys of small order, no second
/// encoding), then opens what they carry. `expected` is what the caller waits for or, where several
/// headers will do, the [`peek`]ed one after the caller's own checks.
///
/// # Errors
/// The form is wrong, the header is another one, the signature is not the writer's, or the payload
/// is not sealed to this reader under this header.
pub fn open(
    bytes: &[u8],
    writer: &PublicIdentity,
    reader: &SealSecret,
    expected: &Header,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let Parts {
        header,
        wire,
        payload,
        signature,
    } = parse(bytes)?;
    if header != *expected {
        return Err(Error::Header);
    }
    VerifyingKey::from_bytes(&writer.signing)
        .and_then(|key| {
            key.verify_strict(&signed(wire, payload), &Signature::from_bytes(signature))
        })
        .map_err(|_| Error::Signature { from: header.from })?;

    let (key, rest) = payload
        .split_first_chunk::<KEY_BYTES>()
        .ok_or(Error::Sealed)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(Error::Sealed)?;
    let key = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(key).map_err(|_| Error::Sealed)?;
    let tag = AeadTag::<ChaCha20Poly1305>::from_bytes(tag).map_err(|_| Error::Sealed)?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    hpke::single_shot_open_inout_detached::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &reader.secret,
        &key,
        &info(&header),
        InOutBuf::from(&mut plaintext[..]),
        wire,
        &tag,
    )
    .map_err(|_| Error::Sealed)?;
    Ok(plaintext)
}

/// HPKE's `info`.
fn info(header: &Header) -> [u8; 32] {
    const LABEL: &[u8; 15] = b"concord/v1 seal";
    let mut info = [0; 32];
    info[..15].copy_from_slice(LABEL);
    info[15] = header.kind;
    info[16..24].copy_from_slice(&header.from.0.to_be_bytes());
    info[24..].copy_from_slice(&header.to.0.to_be_bytes());
    info
}

/// What the writer signs: the header, and a hash of the sealed payload.
fn signed(wire: &Wire, payload: &[u8]) -> [u8; 119] {
    const LABEL: &[u8; 19] = b"concord/v1 envelope";
    let mut message = [0; 119];
    message[..19].copy_from_slice(LABEL);
    message[19..87].copy_from_slice(wire);
    message[87..].copy_from_slice(&Sha256::digest(payload));
    message
}
