"""The best few levels for numbers that fall like Gaussian noise."""

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from handheld.federated.updates.encoder import Floats

Doubles = NDArray[np.float64]

_ROUNDS = 1000  # see below
_SETTLED = 1e-12  # of a centre's move: float32 does not see it
_GUESSES = 4096  # of a level by where a number lies: most are right at once
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

    After Lloyd (1982) and Max (1960).

    They begin where the cube root of the density puts them (Panter and Dite, 1951); then each moves
    to the mean of its cell, by turns with the borders, 1000 times: within 0.1 % of the best loss
    for 8 bits, exact for few.

    >>> levels(1).centres.tolist(), round(levels(2).loss, 4)
    ([-0.7978845834732056, 0.7978845834732056], 0.1175)
    """
    centres = _first_centres(1 << bits)
    for _ in range(_ROUNDS):
        mass, moved = _cells(centres)
        if np.abs(moved - centres).max() < _SETTLED:
            break
        # The density is the same on both sides, and rounding must not change that.
        centres = (moved - moved[::-1]) / 2
    borders = _borders(centres).astype(np.float32)
    edges = np.linspace(borders[0], borders[-1], _GUESSES, endpoint=False)
    guesses = borders.searchsorted(edges).astype(np.int64)
    loss = 1 - float(mass @ centres**2)
    return Levels(centres.astype(np.float32), borders, guesses, loss)


def _first_centres(count: int) -> Doubles:
    quantiles = [_NOISE.inv_cdf((number + 0.5) / count) for number in range(count)]
    # The cube root of a normal density is one of three times the variance.
    return np.asarray(np.sqrt(3) * np.array(quantiles))


def _cells(centres: Doubles) -> tuple[Doubles, Doubles]:
    """Return the probability of each centre's cell, and the mean of the numbers in it."""
    borders = _borders(centres).tolist()
    below = list(map(_NOISE.cdf, borders))
    mass = np.diff(below, prepend=0.0, append=1.0)
    # The integral of x by a normal density is minus that density.
    densities = np.array(list(map(_NOISE.pdf, borders)))
    moments = np.diff(-densities, prepend=0.0, append=0.0)
    return mass, moments / mass


def _borders(centres: Doubles) -> Doubles:
    """Return the numbers that lie as near to one centre as to the next."""
    return np.asarray((centres[1:] + centres[:-1]) / 2)
