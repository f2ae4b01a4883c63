"""The best few levels for numbers that fall like Gaussian noise."""

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from handheld.federated.updates.encoder import Floats

_ROUNDS, _GUESSES = 1000, 4096
_NOISE = NormalDist()


@dataclass(frozen=True, eq=False)
class Levels:
    """Levels of a quantiser.

    Attributes:
        centres: (2^bits,) float32, rising.
        borders: (2^bits - 1,) float32, half-way between them.
        guesses: (4096,) the level at the lower end of each part of the borders' range.
        loss: mean squared error for numbers of deviation 1.
    """

    centres: Floats
    borders: Floats
    guesses: NDArray[np.int64]
    loss: float


@lru_cache
def levels(bits: int) -> Levels:
    """Return the levels with the smallest mean squared error for numbers of mean 0 and deviation 1.

    Lloyd, 1982; Max, 1960.

    They begin where the cube root of the density puts them (Panter and Dite, 1951); then each moves
    to the mean of its cell, by turns with the borders, 1000 times: within 0.1 % of the best loss
    for 8 bits, exact for few.

    >>> levels(1).centres.tolist(), round(levels(2).loss, 4)
    ([-0.7978845834732056, 0.7978845834732056], 0.1175)
    """
    count = 1 << bits
    centres = np.sqrt(3) * np.array(
        [_NOISE.inv_cdf((place + 0.5) / count) for place in range(count)]
    )
    for _ in range(_ROUNDS):
        borders = (centres[1:] + centres[:-1]) / 2
        mass = np.diff([_NOISE.cdf(border) for border in borders], prepend=0.0, append=1.0)
        moved = np.diff([-_NOISE.pdf(border) for border in borders], prepend=0.0, append=0.0) / mass
        if np.abs(moved - centres).max() < 1e-12:
            break
        centres = (moved - moved[::-1]) / 2
    borders = ((centres[1:] + centres[:-1]) / 2).astype(np.float32)
    edges = np.linspace(borders[0], borders[-1], _GUESSES, endpoint=False)
    loss = 1 - float(mass @ centres**2)
    return Levels(
        centres.astype(np.float32), borders, borders.searchsorted(edges).astype(np.int64), loss
    )
