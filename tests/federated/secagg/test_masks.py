"""Masks beside AES's own counter mode, written out block by block."""

import hashlib
import hmac

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from handheld.errors import InputError
from handheld.federated.secagg.masks import MaskGenerator, word_type

SEED = bytes(range(32))


def reference_stream(seed: bytes, purpose: bytes, size: int) -> bytes:
    """HKDF of RFC 5869 by hmac, then the cipher of each counter."""
    pseudorandom = hmac.new(bytes(32), seed, hashlib.sha256).digest()
    material = hmac.new(pseudorandom, b"mask" + purpose + b"\x01", hashlib.sha256).digest()
    block_cipher = Cipher(AES(material[:16]), ECB()).encryptor()
    counter = int.from_bytes(material[16:], "big")
    stream = b""
    while len(stream) < size:
        stream += block_cipher.update((counter % (1 << 128)).to_bytes(16, "big"))
        counter += 1
    return stream[:size]


@pytest.mark.parametrize(("bits", "count"), [(16, 1), (16, 1001), (20, 77), (32, 4)])
def test_reference_of_a_mask(bits, count):
    values = np.zeros(count, word_type(bits))
    MaskGenerator(b"round 1").add(values, SEED)
    expected = np.frombuffer(reference_stream(SEED, b"round 1", values.nbytes), values.dtype)
    assert np.array_equal(values, expected)


def test_long_masks_are_made_in_pieces_without_a_seam():
    values = np.zeros(200_003, np.uint32)
    MaskGenerator(b"").add(values, SEED)
    expected = np.frombuffer(reference_stream(SEED, b"", values.nbytes), np.uint32)
    assert np.array_equal(values, expected)


def test_what_is_added_and_taken_away_is_nothing():
    before = np.random.default_rng(1).integers(0, 1 << 32, 5000, np.uint32)
    values = before.copy()
    masks = MaskGenerator(b"x")
    masks.add(values, SEED)
    assert np.mean(values == before) < 0.01
    masks.subtract(values, SEED)
    assert np.array_equal(values, before)


def test_another_purpose_or_seed_is_another_mask():
    masks = [(b"round 1", SEED), (b"round 2", SEED), (b"round 1", SEED[::-1])]
    made = []
    for purpose, seed in masks:
        values = np.zeros(8, np.uint32)
        MaskGenerator(purpose).add(values, seed)
        made.append(values.tobytes())
    assert len(set(made)) == 3


@pytest.mark.parametrize("bits", [0, 33])
def test_bits_out_of_range(bits):
    with pytest.raises(InputError, match="bits"):
        word_type(bits)
