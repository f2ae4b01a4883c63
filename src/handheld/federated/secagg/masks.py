"""Masks that a seed of 32 bytes makes: numbers that nobody without the seed tells from chance.

AES-128 in counter mode is the generator; key and first counter come of the seed and of what the
mask is for, by HKDF. A mask is whole words of 16 or 32 bits: sums go around at 2^16 or 2^32 by
themselves, and the modulus, a power of two below, is taken once at the end.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from handheld.ranges import whole_in_range

_Words = NDArray[np.unsignedinteger]

SEED_BYTES = 32
MOST_BITS = 32

_KEY_BYTES = 16
_COUNTER_BYTES = 16
_BLOCK = 1 << 17  # bytes made at once: with as many of the values they stay in the cache
_BLOCK_BYTES = 16  # of AES: what a piece of the counter's stream has to begin at


def word_type(bits: int) -> np.dtype[np.unsignedinteger]:
    """Return the type of the numbers that masked values of so many bits are kept in.

    Raises:
        InputError: ``bits`` is not in [1, 32].
    """
    whole_in_range("bits", bits, low=1, high=MOST_BITS)
    if bits <= 16:
        return np.dtype("<u2")
    return np.dtype("<u4")


class MaskGenerator:
    """Adds masks to a vector, in place.

    Args:
        purpose: what all masks of it are for, such as the round's id: the same seed gives another
            mask for another purpose.
    """

    def __init__(self, purpose: bytes) -> None:
        self._purpose = purpose
        # A stream is what the cipher makes of zeros; update_into asks for up to a block more room
        # than it fills.
        self._zeros = bytes(_BLOCK)
        self._made = bytearray(_BLOCK + _BLOCK_BYTES)

    def add(self, values: _Words, *seeds: bytes) -> None:
        """Add the masks of seeds to (count,) words, which go around."""
        for piece, mask in self._pieces(values, seeds):
            piece += mask

    def subtract(self, values: _Words, *seeds: bytes) -> None:
        """Take the masks of seeds away from (count,) words, which go around."""
        for piece, mask in self._pieces(values, seeds):
            piece -= mask

    def _pieces(self, values: _Words, seeds: Sequence[bytes]) -> Iterator[tuple[_Words, _Words]]:
        """Yield pieces of the vector, each with its piece of one seed's mask."""
        streams = [self._stream(seed) for seed in seeds]
        zeros = memoryview(self._zeros)
        words = np.frombuffer(self._made, values.dtype)
        step = _BLOCK // values.itemsize
        # A piece is met by all masks while it is in the cache.
        for start in range(0, len(values), step):
            piece = values[start : start + step]
            mask = words[: len(piece)]
            for stream in streams:
                stream.update_into(zeros[: piece.nbytes], self._made)
                yield piece, mask

    def _stream(self, seed: bytes) -> CipherContext:
        kdf = HKDF(SHA256(), _KEY_BYTES + _COUNTER_BYTES, salt=None, info=b"mask" + self._purpose)
        material = kdf.derive(seed)
        cipher = Cipher(AES(material[:_KEY_BYTES]), CTR(material[_KEY_BYTES:]))
        return cipher.encryptor()
