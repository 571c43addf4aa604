//! Golden bytes of an independent program, RFC vectors, and everything that must not open.

use std::convert::Infallible;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{SeedableRng, TryCryptoRng, TryRng};
use serde::Deserialize;
use uuid::Uuid;

use super::*;
use crate::id::{Attempt, JobId, Round, SessionId};

fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn hex_array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap()
}

/// "Random" bytes that are known beforehand.
struct Fixed(Vec<u8>);

impl TryRng for Fixed {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("keys are drawn as bytes")
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("keys are drawn as bytes")
    }
    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        target.copy_from_slice(&self.0.drain(..target.len()).collect::<Vec<u8>>());
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

/// What `vectors.py` made.
#[derive(Deserialize)]
struct Vectors {
    identity: String,
    verifying: String,
    sealing: String,
    reader: String,
    ephemeral: String,
    kind: u8,
    job: String,
    attempt: u32,
    session: String,
    round: u32,
    writer: u64,
    to: u64,
    payload: String,
    envelope: String,
    context: String,
    salt: String,
    checkpoint: String,
    digest_key: String,
    fingerprint: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

impl Vectors {
    fn header(&self) -> Header {
        Header {
            kind: self.kind,
            job: JobId(Uuid::from_bytes(hex_array(&self.job))),
            attempt: Attempt(self.attempt),
            session: SessionId(Uuid::from_bytes(hex_array(&self.session))),
            round: Round(self.round),
            from: PartyId(self.writer),
            to: PartyId(self.to),
        }
    }
}

#[test]
fn an_envelope_is_the_bytes_of_an_independent_program() {
    let vectors = vectors();
    let writer = Identity::from_bytes(&hex(&vectors.identity)).unwrap();
    let reader = SealSecret::generate(&mut Fixed(hex(&vectors.reader)));
    let payload = hex(&vectors.payload);
    let mut secrets = Fixed(hex(&vectors.ephemeral));
    let header = vectors.header();
    let envelope = seal(&mut secrets, &writer, &reader.public(), &header, &payload).unwrap();
    assert_eq!(envelope, hex(&vectors.envelope));
    assert_eq!(envelope.len(), OVERHEAD_BYTES + payload.len());
    assert_eq!(peek(&envelope), Ok(header));
    assert_eq!(
        *open(&envelope, &writer.public(), &reader, &header).unwrap(),
        payload
    );
}

#[test]
fn a_checkpoint_is_the_bytes_of_an_independent_program() {
    let vectors = vectors();
    let identity = Identity::from_bytes(&hex(&vectors.identity)).unwrap();
    let (context, payload) = (hex(&vectors.context), hex(&vectors.payload));
    let bytes = seal_checkpoint(
        &mut Fixed(hex(&vectors.salt)),
        &identity,
        &context,
        &payload,
    );
    assert_eq!(bytes, hex(&vectors.checkpoint));
    assert_eq!(
        *open_checkpoint(&identity, &context, &bytes).unwrap(),
        payload
    );
}

#[test]
fn an_identity_derives_the_keys_of_an_independent_program() {
    let vectors = vectors();
    let identity = Identity::from_bytes(&hex(&vectors.identity)).unwrap();
    let public = identity.public();
    assert_eq!(public.signing, *hex(&vectors.verifying));
    assert_eq!(public.sealing, *hex(&vectors.sealing));
    assert_eq!(public.fingerprint(), vectors.fingerprint);
    assert_eq!(&*identity.digest_key(), &*hex(&vectors.digest_key));
    let shown = format!("{public:?}");
    assert_eq!(
        shown,
        format!("PublicIdentity({} ..)", &vectors.fingerprint[..11])
    );
}

/// RFC 9180, appendix A.2.1: setup, and the encryption with sequence number 0.
#[test]
fn hpke_agrees_with_its_rfc() {
    let info = hex("4f6465206f6e2061204772656369616e2055726e");
    let ephemeral = hex("909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b");
    let secret = hex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
    let key = hex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
    let aad = hex("436f756e742d30");
    let plaintext = hex("4265617574792069732074727574682c20747275746820626561757479");
    let ciphertext = hex(concat!(
        "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db",
        "21993c62ce81883d2dd1b51a28"
    ));
    let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&secret).unwrap();
    let sealed = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &X25519HkdfSha256::sk_to_pk(&secret),
        &info,
        &plaintext,
        &aad,
        &mut Fixed(ephemeral),
    )
    .unwrap();
    assert_eq!(sealed.0.to_bytes().to_vec(), key);
    assert_eq!(sealed.1, ciphertext);
    let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &secret,
        &sealed.0,
        &info,
        &ciphertext,
        &aad,
    );
    assert_eq!(opened.unwrap(), plaintext);
}

/// RFC 8032, section 7.1, test 1.
#[test]
fn ed25519_agrees_with_its_rfc() {
    let secret = hex_array("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let key = SigningKey::from_bytes(&secret);
    let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_eq!(key.verifying_key().to_bytes(), *public);
    let signature = key.sign(b"");
    let expected = hex(concat!(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    ));
    assert_eq!(signature.to_bytes(), *expected);
    let key = VerifyingKey::from_bytes(&key.verifying_key().to_bytes()).unwrap();
    assert!(key.verify_strict(b"", &signature).is_ok());
}

/// Two parties, a third one who means harm, and the letter of the first to the second.
struct World {
    secrets: StdRng,
    writer: Identity,
    reader: SealSecret,
    other: Identity,
    header: Header,
}

impl World {
    fn new() -> World {
        let mut secrets = StdRng::seed_from_u64(1);
        World {
            writer: Identity::generate(&mut secrets),
            reader: SealSecret::generate(&mut secrets),
            other: Identity::generate(&mut secrets),
            header: vectors().header(),
            secrets,
        }
    }

    fn seal(&mut self, header: &Header, payload: &[u8]) -> Vec<u8> {
        seal(
            &mut self.secrets,
            &self.writer,
            &self.reader.public(),
            header,
            payload,
        )
        .unwrap()
    }

    fn open(&self, bytes: &[u8], header: &Header) -> Result<Vec<u8>, Error> {
        open(bytes, &self.writer.public(), &self.reader, header).map(|plaintext| plaintext.to_vec())
    }
}

/// The envelope with other header bytes, signed by whoever `signer` is.
fn signed_again(signer: &Identity, header: &Header, envelope: &[u8]) -> Vec<u8> {
    let mut again = envelope[..envelope.len() - 64].to_vec();
    again[5] = header.kind;
    again[24..28].copy_from_slice(&header.attempt.0.to_be_bytes());
    again[44..48].copy_from_slice(&header.round.0.to_be_bytes());
    again[48..56].copy_from_slice(&header.from.0.to_be_bytes());
    again[56..64].copy_from_slice(&header.to.0.to_be_bytes());
    let mut message = b"concord/v1 envelope".to_vec();
    message.extend(&again[..68]);
    message.extend(sha2::Digest::finalize(sha2::Digest::chain_update(
        <sha2::Sha256 as sha2::Digest>::new(),
        &again[68..],
    )));
    again.extend(signer.sign(&message));
    again
}

#[test]
fn any_flipped_bit_is_refused() {
    let mut world = World::new();
    let header = world.header;
    let envelope = world.seal(&header, b"secret");
    assert_eq!(world.open(&envelope, &header), Ok(b"secret".to_vec()));
    for bit in 0..envelope.len() * 8 {
        let mut flipped = envelope.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(world.open(&flipped, &header).is_err(), "bit {bit}");
        // A reader who lets the letter say what it is has to notice as well.
        if let Ok(believed) = peek(&flipped) {
            let refused = world.open(&flipped, &believed);
            assert_eq!(
                refused,
                Err(Error::Signature {
                    from: believed.from
                }),
                "bit {bit}"
            );
        }
    }
}

#[test]
fn a_copy_under_another_header_does_not_open_even_if_its_writer_signs_it() {
    let mut world = World::new();
    let header = world.header;
    let envelope = world.seal(&header, b"secret");
    let same = signed_again(&world.writer, &header, &envelope);
    assert_eq!(same, envelope, "the test signs as the code does");
    for changed in [
        Header {
            kind: header.kind + 1,
            ..header
        },
        Header {
            attempt: Attempt(3),
            ..header
        },
        Header {
            round: header.round.next(),
            ..header
        },
        Header {
            from: PartyId(3),
            ..header
        },
        Header {
            to: PartyId(3),
            ..header
        },
    ] {
        let copy = signed_again(&world.writer, &changed, &envelope);
        assert_eq!(peek(&copy), Ok(changed));
        assert_eq!(
            world.open(&copy, &changed),
            Err(Error::Sealed),
            "{changed:?}"
        );
        assert_eq!(
            world.open(&copy, &header),
            Err(Error::Header),
            "{changed:?}"
        );
    }
}

#[test]
fn a_letter_signed_by_another_party_is_refused() {
    let mut world = World::new();
    let header = world.header;
    let envelope = world.seal(&header, b"secret");
    let stolen = signed_again(&world.other, &header, &envelope);
    let refused = Err(Error::Signature { from: header.from });
    assert_eq!(world.open(&stolen, &header), refused);
    // Under the thief's own name it is well signed, and still not the thief's to pass on.
    let renamed = Header {
        from: PartyId(3),
        ..header
    };
    let stolen = signed_again(&world.other, &renamed, &envelope);
    let opened = open(&stolen, &world.other.public(), &world.reader, &renamed);
    assert_eq!(opened.err(), Some(Error::Sealed));
}

#[test]
fn a_letter_opens_for_its_reader_only() {
    let mut world = World::new();
    let header = world.header;
    let envelope = world.seal(&header, b"secret");
    let opened = open(
        &envelope,
        &world.writer.public(),
        world.other.sealing(),
        &header,
    );
    assert_eq!(opened.err(), Some(Error::Sealed));
    let reader = SealPublic(world.other.public().sealing);
    let envelope = seal(
        &mut world.secrets,
        &world.writer,
        &reader,
        &header,
        b"to a static key",
    )
    .unwrap();
    let opened = open(
        &envelope,
        &world.writer.public(),
        world.other.sealing(),
        &header,
    );
    assert_eq!(*opened.unwrap(), b"to a static key");
}

#[test]
fn keys_of_small_order_are_refused() {
    let mut world = World::new();
    let (header, mut one) = (world.header, [0; 32]);
    one[0] = 1;
    for weak in [[0; 32], one] {
        let sealed = seal(
            &mut world.secrets,
            &world.writer,
            &SealPublic(weak),
            &header,
            b"secret",
        );
        assert_eq!(sealed.err(), Some(Error::Reader));
    }
    // With the neutral element as its key, "R = S = 0" would verify for any message.
    let mut envelope = world.seal(&header, b"secret");
    let at = envelope.len() - 64;
    envelope[at..].fill(0);
    envelope[at] = 1;
    let weak = PublicIdentity {
        signing: one,
        sealing: [0; 32],
    };
    let opened = open(&envelope, &weak, &world.reader, &header);
    assert_eq!(opened.err(), Some(Error::Signature { from: header.from }));
}

#[test]
fn a_malformed_envelope_is_refused_by_its_fault() {
    let mut world = World::new();
    let header = world.header;
    let envelope = world.seal(&header, b"");
    assert_eq!(envelope.len(), OVERHEAD_BYTES);
    assert_eq!(world.open(&envelope, &header), Ok(Vec::new()));
    let changed = |at: usize, byte: u8| {
        let mut changed = envelope.clone();
        changed[at] = byte;
        peek(&changed)
    };
    assert_eq!(changed(3, b'2'), Err(Error::Magic));
    assert_eq!(changed(4, 2), Err(Error::Suite { suite: 2 }));
    assert_eq!(changed(6, 1), Err(Error::Reserved));
    assert_eq!(changed(7, 1), Err(Error::Reserved));
    assert_eq!(
        changed(67, 49),
        Err(Error::PayloadLength {
            said: 49,
            found: 48
        })
    );
    let found = Error::PayloadLength {
        said: 48,
        found: 49,
    };
    assert_eq!(
        peek(&[&envelope[..], &[0]].concat()),
        Err(found),
        "a byte too many"
    );
    for bytes in [0, 1, OVERHEAD_BYTES - 1] {
        assert_eq!(peek(&envelope[..bytes]), Err(Error::Length { bytes }));
    }
    let bytes = MESSAGE_BYTES_MAX + 1;
    assert_eq!(peek(&vec![0; bytes]), Err(Error::Length { bytes }));
    let payload = vec![0; bytes - OVERHEAD_BYTES];
    let sealed = seal(
        &mut world.secrets,
        &world.writer,
        &world.reader.public(),
        &header,
        &payload,
    );
    assert_eq!(sealed.err(), Some(Error::Length { bytes }));
    assert_eq!(world.seal(&header, &payload[1..]).len(), MESSAGE_BYTES_MAX);
}

#[test]
fn two_letters_of_the_same_words_have_nothing_in_common() {
    let mut world = World::new();
    let header = world.header;
    let (first, second) = (world.seal(&header, &[7; 64]), world.seal(&header, &[7; 64]));
    let equal = first[68..]
        .iter()
        .zip(&second[68..])
        .filter(|(left, right)| left == right);
    assert!(equal.count() < 16);
}

#[test]
fn a_checkpoint_opens_for_its_party_and_context_only() {
    let mut world = World::new();
    let context = b"job 1, round 2";
    let bytes = seal_checkpoint(&mut world.secrets, &world.writer, context, b"weights");
    assert_eq!(
        *open_checkpoint(&world.writer, context, &bytes).unwrap(),
        b"weights"
    );
    let refused = |identity: &Identity, context: &[u8], bytes: &[u8]| {
        open_checkpoint(identity, context, bytes).err() == Some(Error::Checkpoint)
    };
    for other in [&b"job 1, round 3"[..], b"job 1, round ", b""] {
        assert!(refused(&world.writer, other, &bytes));
    }
    assert!(refused(&world.other, context, &bytes));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(&world.writer, context, &flipped), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(
            refused(&world.writer, context, &bytes[..length]),
            "{length} bytes"
        );
    }
    assert!(refused(
        &world.writer,
        context,
        &[&bytes[..], &[0]].concat()
    ));
}

#[test]
fn an_identity_survives_its_key_file() {
    let world = World::new();
    let bytes = world.writer.to_bytes();
    let again = Identity::from_bytes(&*bytes).unwrap();
    assert_eq!(again.public(), world.writer.public());
    assert_eq!(again.digest_key(), world.writer.digest_key());
    assert_eq!(again.to_bytes(), bytes);
    assert_ne!(world.other.digest_key(), world.writer.digest_key());
    for length in [0, 95] {
        let refused = Identity::from_bytes(&bytes[..length]).err();
        assert_eq!(refused, Some(Error::Identity { bytes: length }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = bytes;
        prop_assert!(peek(&bytes).is_err());
        if bytes.len() >= OVERHEAD_BYTES {
            let payload_len = (bytes.len() - 132) as u32;
            bytes[..5].copy_from_slice(b"CND1\x01");
            bytes[6..8].fill(0);
            bytes[64..68].copy_from_slice(&payload_len.to_be_bytes());
            let header = peek(&bytes).unwrap();
            let world = World::new();
            prop_assert_eq!(
                world.open(&bytes, &header), Err(Error::Signature { from: header.from })
            );
        }
    }
}
