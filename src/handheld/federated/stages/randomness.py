"""Where noise comes from: a run's seed in simulations, a secret of the operating system elsewhere.

Of a seed that others know, or can guess, they can work out the noise and take it away.
"""

import hashlib
import secrets
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handheld.federated.updates.encoder import seed_of

_SECRET_BITS = 128
_UNIT = 2.0**-53  # the fraction of a float64 has 53 bits
_UNUSED_BITS = np.uint64(11)


@dataclass(frozen=True)
class Randomness:
    """A seed, and whether it is a secret.

    Attributes:
        seed: 64 bits or fewer of a run, or 128 of a secret.
        is_secret: whether it came of the operating system, and numbers are drawn by AES in counter
            mode; else numpy draws them, the same in every run.
    """

    seed: int
    is_secret: bool = False

    @classmethod
    def fresh(cls) -> "Randomness":
        """Return a new secret."""
        return cls(secrets.randbits(_SECRET_BITS), is_secret=True)

    def of(self, *uses: int) -> "Randomness":
        """Return another for one of several uses, which are told by numbers of 0 and more."""
        if not self.is_secret:
            return replace(self, seed=int(seed_of(self.seed, *uses)))
        content = self.seed.to_bytes(_SECRET_BITS // 8, "big") + np.array(uses, "<u8").tobytes()
        digest = hashlib.sha256(b"use" + content).digest()
        return replace(self, seed=int.from_bytes(digest[: _SECRET_BITS // 8], "big"))

    def normal(self, deviation: float, count: int) -> NDArray[np.float64]:
        """Return (count,) numbers of a normal distribution around 0."""
        if not self.is_secret:
            return np.random.default_rng(self.seed).normal(0, deviation, count)
        # Box and Muller (1958): two even numbers make two normal ones.
        pairs = -(-count // 2)
        even = (self._words(2 * pairs) >> _UNUSED_BITS).astype(np.float64) * _UNIT
        length = np.sqrt(-2 * np.log(1 - even[:pairs]))  # of (0, 1]: of 0 there is no logarithm
        angle = 2 * np.pi * even[pairs:]
        numbers = np.concatenate([length * np.cos(angle), length * np.sin(angle)])
        return numbers[:count] * deviation

    def _words(self, count: int) -> NDArray[np.uint64]:
        """Return (count,) numbers of 64 bits that nobody can tell from random ones."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        key = self.seed.to_bytes(_SECRET_BITS // 8, "big")
        # Each key is used once, so that the counter may begin at 0.
        encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
        return np.frombuffer(encryptor.update(bytes(8 * count)), "<u8")
