#!/usr/bin/env python3
"""Makes vectors.json: python-paillier (phe) and our scheme, each decrypting what the other encrypted.

    pip install phe gmpy2 && python3 vectors.py > vectors.json

Keys: random primes p = q = 3 mod 4, two highest bits set, gcd(p-1, q-1) = 2.
`theirs`: ciphertexts by phe of small, negative and large integers, and phe's sums of them.
`ours`: (1 + m n) h_n^a mod n^2 with our base h, written down here a second time, for random m and a;
each was decrypted by phe to m, and phe's sum of all of them to the sum of all m.
"""
import hashlib, json, math, secrets
import gmpy2, phe
from phe import paillier


def prime(bits):
    while True:
        p = secrets.randbits(bits) | 3 << (bits - 2) | 3
        if gmpy2.is_prime(p, 64):
            return p


def base(n):
    size = (n.bit_length() + 7) // 8
    blocks = b"".join(
        hashlib.sha256(
            b"concord paillier base 1" + attempt.to_bytes(4, "big") + i.to_bytes(4, "big") + n.to_bytes(size, "big")
        ).digest()
        for attempt in [0]
        for i in range((size + 16 + 31) // 32)
    )
    x = int.from_bytes(blocks[: size + 16], "big") % n
    assert math.gcd(x, n) == 1
    return pow(-x * x % n, n, n * n)


def key(bits):
    while True:
        p, q = prime(bits // 2), prime(bits // 2)
        if p != q and math.gcd(p - 1, q - 1) == 2 and math.gcd(p * q, (p - 1) * (q - 1)) == 1:
            break
    n = p * q
    public = paillier.PaillierPublicKey(n)
    private = paillier.PaillierPrivateKey(public, p, q)

    numbers = [0, 1, -1, 2**90, -(2**90), n // 3 - 1, -(n // 3 - 1)]
    encrypted = [public.encrypt(m) for m in numbers]
    theirs = [dict(m=hex(m % n), c=hex(c.ciphertext())) for m, c in zip(numbers, encrypted)]
    total = encrypted[0]
    for c in encrypted[1:]:
        total = total + c
    total = total + 12345
    assert private.decrypt(total) == sum(numbers) + 12345
    theirs.append(dict(m=hex((sum(numbers) + 12345) % n), c=hex(total.ciphertext())))

    h_n = base(n)
    ours, product, expected = [], 1, 0
    for _ in range(3):
        m, a = secrets.randbelow(n), secrets.randbits(bits // 2)
        c = (1 + m * n) * pow(h_n, a, n * n) % (n * n)
        assert private.raw_decrypt(c) == m
        product, expected = product * c % (n * n), (expected + m) % n
        ours.append(dict(m=hex(m), a=hex(a), c=hex(c)))
    assert private.raw_decrypt(product) == expected
    sums = dict(m=hex(expected), c=hex(product))
    return dict(bits=bits, p=hex(p), q=hex(q), theirs=theirs, ours=ours, sum_of_ours=sums)


made_by = (
    "vectors.py with python-paillier (phe) %s and gmpy2 %s. `theirs` was encrypted (and the last one added up) by phe; "
    "`ours`, with the exponent a of the randomiser given, and `sum_of_ours` were decrypted by phe to m."
    % (phe.__version__, gmpy2.version())
)
print(json.dumps(dict(made_by=made_by, keys=[key(bits) for bits in [512, 1024, 2048, 3072]]), indent=1))
