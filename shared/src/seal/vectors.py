"""Makes vectors.json: an envelope and a checkpoint, HPKE written out from RFC 9180.

    pip install cryptography && python3 vectors.py > vectors.json

NOT secure: every secret is the hash of a label.
"""

import hashlib
import hmac
import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw


def kat(label):
    return hashlib.sha256(b"concord-kat-" + label).digest()


def be(number, size):
    return number.to_bytes(size, "big")


def extract(salt, ikm):
    return hmac.digest(salt or bytes(32), ikm, "sha256")


def expand(prk, info, length):
    assert length <= 32
    return hmac.digest(prk, info + b"\x01", "sha256")[:length]


def labeled_extract(suite, salt, label, ikm):
    return extract(salt, b"HPKE-v1" + suite + label + ikm)


def labeled_expand(suite, prk, label, info, length):
    return expand(prk, be(length, 2) + b"HPKE-v1" + suite + label + info, length)


def hpke_seal(ikm_e, reader, info, aad, plaintext):
    kem = b"KEM" + be(0x0020, 2)
    suite = b"HPKE" + be(0x0020, 2) + be(0x0001, 2) + be(0x0003, 2)
    prk = labeled_extract(kem, b"", b"dkp_prk", ikm_e)
    ephemeral = X25519PrivateKey.from_private_bytes(labeled_expand(kem, prk, b"sk", b"", 32))
    enc = ephemeral.public_key().public_bytes(*RAW)
    dh = ephemeral.exchange(X25519PublicKey.from_public_bytes(reader))
    prk = labeled_extract(kem, b"", b"eae_prk", dh)
    secret = labeled_expand(kem, prk, b"shared_secret", enc + reader, 32)
    context = b"\0" + labeled_extract(suite, b"", b"psk_id_hash", b"")
    context += labeled_extract(suite, b"", b"info_hash", info)
    secret = labeled_extract(suite, secret, b"secret", b"")
    key = labeled_expand(suite, secret, b"key", context, 32)
    nonce = labeled_expand(suite, secret, b"base_nonce", context, 12)
    return enc + ChaCha20Poly1305(key).encrypt(nonce, plaintext, aad)


def main():
    signing = Ed25519PrivateKey.from_private_bytes(kat(b"signing"))
    sealing = X25519PrivateKey.from_private_bytes(kat(b"sealing")).public_key().public_bytes(*RAW)
    reader = X25519PrivateKey.from_private_bytes(kat(b"reader")).public_key().public_bytes(*RAW)
    verifying = signing.public_key().public_bytes(*RAW)
    root = kat(b"root")
    payload = b"w = 0.25, -1.5"
    kind, job, attempt, session, round_, writer, to = 9, kat(b"job")[:16], 2, kat(b"session")[:16], \
        41, 2, 10000
    header = b"CND1" + bytes([1, kind, 0, 0]) + job + be(attempt, 4) + session + be(round_, 4)
    header += be(writer, 8) + be(to, 8) + be(32 + len(payload) + 16, 4)
    info = b"concord/v1 seal" + bytes([kind]) + be(writer, 8) + be(to, 8)
    ikm_e = kat(b"ephemeral")
    sealed = hpke_seal(ikm_e, reader, info, header, payload)
    signature = signing.sign(b"concord/v1 envelope" + header + hashlib.sha256(sealed).digest())

    context, salt = b"job 7, round 41", kat(b"salt")
    key = expand(extract(salt, root), b"concord/v1 checkpoint " + context, 32)
    checkpoint = b"CNP1" + salt + ChaCha20Poly1305(key).encrypt(bytes(12), payload, context)

    digest = hashlib.sha256(b"concord/v1 fingerprint" + verifying + sealing).digest()
    groups = [int.from_bytes(digest[at : at + 4], "big") % 100000 for at in range(0, 32, 4)]
    vectors = dict(
        identity=(kat(b"signing") + kat(b"sealing") + root).hex(), verifying=verifying.hex(),
        sealing=sealing.hex(), reader=kat(b"reader").hex(), ephemeral=ikm_e.hex(), kind=kind,
        job=job.hex(), attempt=attempt, session=session.hex(), round=round_, writer=writer, to=to,
        payload=payload.hex(), envelope=(header + sealed + signature).hex(),
        context=context.hex(), salt=salt.hex(), checkpoint=checkpoint.hex(),
        digest_key=expand(extract(b"", root), b"concord/v1 digest", 32).hex(),
        fingerprint=" ".join("%05d" % group for group in groups),
    )
    print(json.dumps(vectors, indent=1))


main()
