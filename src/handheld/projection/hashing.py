"""64-bit fingerprints in numpy: the same numbers on every machine."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Hashes = NDArray[np.uint64]
Levels = NDArray[np.int8]
Numbers = NDArray[np.intp]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio, made odd: SplitMix64's increment."""

# Multipliers and shifts of SplitMix64's finaliser ("Mix13" of David Stafford).
_FIRST_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
_SECOND_FACTOR = np.uint64(0x94D049BB133111EB)
_FIRST_SHIFT = np.uint64(30)
_SECOND_SHIFT = np.uint64(27)
_LAST_SHIFT = np.uint64(31)
_HALF = np.uint64(32)


def mix(values: Hashes) -> Hashes:
    """Spread each value over all its 64 bits: the finaliser of SplitMix64.

    Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
    """
    values = (values ^ (values >> _FIRST_SHIFT)) * _FIRST_FACTOR
    values = (values ^ (values >> _SECOND_SHIFT)) * _SECOND_FACTOR
    return values ^ (values >> _LAST_SHIFT)


def reduced(hashes: Hashes, size: int) -> Hashes:
    """Return numbers in [0, size) from the upper halves of hashes, for a size below 2^31.

    By a multiplication in place of a remainder (Lemire, "Fast Random Integer Generation in an
    Interval", arXiv 1805.10941).
    """
    # Of the upper halves, so that the product has 64 bits.
    return (hashes >> _HALF) * np.uint64(size) >> _HALF
