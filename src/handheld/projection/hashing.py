"""64-bit fingerprints in numpy: the same numbers on every machine."""

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.intp]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


def mix(values: Hashes) -> Hashes:
    """Spread each value over all its 64 bits: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    first, second, third = _SHIFTS
    values = (values ^ (values >> first)) * _FIRST
    values = (values ^ (values >> second)) * _SECOND
    return values ^ (values >> third)
