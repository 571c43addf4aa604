"""Makes vectors.json, from the pages' formulas and nothing of the Rust code.

    pip install cryptography && python3 vectors.py > vectors.json

Two cases: 512-bit modulus, 5 slots; 3072-bit modulus, 35 slots. NOT secure: the primes and every
secret come from public labels.
"""

import hashlib
import hmac
import json
import struct
from fractions import Fraction

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

Q = 2**107 - 1
SLOT = 128
U32 = struct.Struct(">I")
U64 = struct.Struct(">Q")


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def kat(label, number=None):
    return sha(b"concord-kat-" + label + (b"" if number is None else b"-%d" % number))


def hkdf(ikm, salt, info):
    prk = hmac.digest(salt, ikm, "sha256")
    return hmac.digest(prk, info + b"\x01", "sha256")


def keystream(key, length):
    cipher = Cipher(algorithms.ChaCha20(key, bytes(16)), None)
    return cipher.encryptor().update(bytes(length))


def le_words(data):
    return [int.from_bytes(data[at : at + 16], "little") for at in range(0, len(data), 16)]


def is_prime(number):
    if any(number % small == 0 for small in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43)):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in range(2, 42):
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = pow(power, 2, number)
            if power == number - 1:
                break
        else:
            return False
    return True


def prime(label, bits):
    blocks = [kat(b"prime-" + label, block) for block in range(bits // 256)]
    number = int.from_bytes(b"".join(blocks), "big") | 3 << (bits - 2) | 3
    while not is_prime(number):
        number += 4
    return number


def public(secret):
    raw = X25519PrivateKey.from_private_bytes(secret).public_key()
    return raw.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def shared(secret, other):
    return X25519PrivateKey.from_private_bytes(secret).exchange(
        X25519PublicKey.from_public_bytes(other)
    )


def unpack(number, slots, n):
    rest = number if number <= n // 2 else number - n
    values = []
    for _ in range(slots):
        digit = (rest + 2**127) % 2**128 - 2**127
        values.append(digit)
        rest = (rest - digit) >> SLOT
    return values, rest == 0


def case(name, n, ids, fraction_bits, reals, model):
    per_ciphertext = n.bit_length() // SLOT
    slots = len(fraction_bits) + 1
    chunks = [(at, min(at + per_ciphertext, slots)) for at in range(0, slots, per_ciphertext)]
    n_bytes = n.to_bytes((n.bit_length() + 7) // 8, "big")
    secret = {i: kat(b"x25519", i) for i in ids}
    signing = {i: kat(b"signing", i) for i in ids}
    sealing = {i: kat(b"sealing", i) for i in ids}
    job, session, attempt = kat(b"job")[:16], kat(b"session")[:16], 3
    tag_key = kat(b"tag-key")
    round_, kind, batch, batches = 7, 2, 1, 4

    setup = b"concord/v1 setup" + bytes([1]) + kat(b"spec") + job + U32.pack(attempt) + session
    setup += U32.pack(len(ids))
    for i in ids:
        setup += U64.pack(i) + signing[i] + public(secret[i]) + sealing[i]
    setup_hash = sha(setup + U32.pack(len(n_bytes)) + n_bytes)

    context = hmac.digest(
        tag_key,
        b"concord/v1 round" + setup_hash + U32.pack(round_) + bytes([kind]) + U32.pack(batch)
        + U32.pack(batches) + U32.pack(slots) + sha(b"".join(struct.pack(">d", w) for w in model)),
        "sha256",
    )

    def streams(i, j, context):
        low, high = min(i, j), max(i, j)
        ends = U64.pack(low) + U64.pack(high)
        pair = hkdf(shared(secret[i], public(secret[j])), setup_hash, b"concord/v1 pair" + ends)
        key = hkdf(pair, context, b"concord/v1 mask" + ends)
        return (1 if i < j else -1), key

    width = (n.bit_length() + 128 + 7) // 8
    alphas = [
        word & Q
        for word in le_words(
            keystream(hkdf(tag_key, context, b"concord/v1 mac"), 16 * len(fraction_bits))
        )
    ]

    def combine(values):
        return sum(alpha * (value % Q) for alpha, value in zip(alphas, values)) % Q

    def contribution(i, context):
        values = [round(Fraction(v) * 2**f) for v, f in zip(reals[i], fraction_bits)]
        masks, blinding = [0] * len(chunks), 0
        words, word_blinding = [0] * slots, 0
        for j in ids:
            if j == i:
                continue
            sign, key = streams(i, j, context)
            data = keystream(key, width * len(chunks) + 16)
            for c in range(len(chunks)):
                drawn = int.from_bytes(data[c * width : (c + 1) * width], "big")
                masks[c] = (masks[c] + sign * drawn) % n
            blinding = (blinding + sign * le_words(data[-16:])[0]) % Q
            data = le_words(keystream(key, 16 * (slots + 1)))
            words = [(word + sign * drawn) % 2**128 for word, drawn in zip(words, data)]
            word_blinding = (word_blinding + sign * data[slots]) % Q
        tag = (combine(values) + blinding) % Q
        word_tag = (combine(values) + word_blinding) % Q
        packed = [
            sum(x << SLOT * k for k, x in enumerate((values + [tag])[a:b])) for a, b in chunks
        ]
        plain = [(x + mask) % n for x, mask in zip(packed, masks)]
        submitted = [(x + w) % 2**128 for x, w in zip(values + [word_tag], words)]
        ciphertexts = []
        for c, x in enumerate(plain):
            r = int.from_bytes(hashlib.sha512(b"concord-kat-r-%d-%d" % (i, c)).digest(), "big") % n
            ciphertexts.append((1 + x * n) * pow(r, n, n * n) % (n * n))
        return dict(values=values, tag=tag, masks=masks, plain=plain, ciphertexts=ciphertexts,
                    word_tag=word_tag, submitted=submitted)

    def open_sum(plain):
        """The sums and the tag's, and whether the guest accepts them."""
        unpacked = [unpack(x % n, b - a, n) for x, (a, b) in zip(plain, chunks)]
        flat = [value for values, _ in unpacked for value in values]
        sums, tag_sum = flat[:-1], flat[-1]
        residue = all(exact for _, exact in unpacked)
        in_range = all(abs(x) <= len(ids) * 2**90 for x in sums)
        in_range = in_range and 0 <= tag_sum <= len(ids) * (Q - 1)
        return sums, tag_sum, residue, in_range, combine(sums) == tag_sum % Q

    parties = {i: contribution(i, context) for i in ids}
    plain = [sum(p["plain"][c] for p in parties.values()) for c in range(len(chunks))]
    sums, tag_sum, *verdict = open_sum(plain)
    assert verdict == [True, True, True]
    assert sums == [sum(p["values"][k] for p in parties.values()) for k in range(slots - 1)]
    submitted = [sum(p["submitted"][k] for p in parties.values()) % 2**128 for k in range(slots)]
    assert [x - (x >> 127 << 128) for x in submitted[:-1]] == sums
    assert submitted[-1] % Q == combine(sums)

    other = contribution(ids[-1], sha(b"other"))["plain"]
    mixed = [x - y + z for x, y, z in zip(plain, parties[ids[-1]]["plain"], other)]
    assert open_sum(mixed)[2] is False, "another context leaves a residue"
    for delta in (1, 2**61 - 1, 2**61):
        verdict = open_sum([plain[0] + delta] + plain[1:])[2:]
        assert verdict == (True, True, False), "a delta fails the tag"
    verdict = open_sum([plain[0] + Q] + plain[1:])[2:]
    assert verdict == (True, False, True), "a multiple of q fails the range, not the tag"

    product = [1] * len(chunks)
    for p in parties.values():
        product = [x * y % (n * n) for x, y in zip(product, p["ciphertexts"])]

    def digest(numbers, size):
        return sha(b"".join(x.to_bytes(size, "big") for x in numbers)).hex()

    size = len(n_bytes)
    return dict(
        name=name, modulus=n_bytes.hex(), slots_per_ciphertext=per_ciphertext,
        fraction_bits=fraction_bits, spec_hash=kat(b"spec").hex(), job=job.hex(), attempt=attempt,
        session=session.hex(), round=round_, kind=kind, batch=batch, batches=batches,
        model=[struct.pack(">d", w).hex() for w in model], tag_key=tag_key.hex(),
        setup_hash=setup_hash.hex(), context=context.hex(),
        other_context=sha(b"other").hex(),
        parties=[
            dict(
                id=i, mask_secret=secret[i].hex(), mask_public=public(secret[i]).hex(),
                signing=signing[i].hex(), sealing=sealing[i].hex(),
                reals=[struct.pack(">d", v).hex() for v in reals[i]],
                values=[str(x) for x in p["values"]], tag=str(p["tag"]),
                masks=[x.to_bytes(size, "big").hex() for x in p["masks"]],
                plaintexts_sha256=digest(p["plain"], size),
                ciphertexts_sha256=digest(p["ciphertexts"], 2 * size),
                word_tag=str(p["word_tag"]), submitted_sha256=digest(p["submitted"], 16),
            )
            for i, p in parties.items()
        ],
        product_sha256=digest(product, 2 * size),
        sums=[str(x) for x in sums], tag_sum=str(tag_sum),
    )


def reals_of(party, count):
    """Spread over many sizes and both signs."""
    values = []
    for slot in range(count):
        data = kat(b"real-%d" % party, slot)
        size = 10.0 ** (data[0] % 21 - 10)
        values.append((int.from_bytes(data[1:8], "big") / 2**56 - 0.5) * size)
    return values


def main():
    small = case(
        "512 bits, 5 slots", prime(b"small-p", 256) * prime(b"small-q", 256), [2, 3, 4],
        [40, 40, 40, 0],
        {2: [0.5, -1.25, 3.0e-12, 592], 3: [-2.75, 1 / 3, 1e6, 702], 4: [1.0, -0.1, -7.5, 554]},
        [0.25, -0.5, 1e-300],
    )
    ids = [2, 77, 10000]
    large = case(
        "3072 bits, 35 slots", prime(b"large-p", 1536) * prime(b"large-q", 1536), ids,
        [40] * 32 + [0, 0],
        {i: reals_of(i, 30) + [2.0**50, -(2.0**50)] + [i * 1000.0, i * 300.0] for i in ids},
        [0.1 * k - 1.5 for k in range(31)],
    )
    print(json.dumps([small, large], indent=1))


main()
