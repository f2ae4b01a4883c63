"""Updates as whole numbers whose sum is exact modulo a power of two.

The form that can be masked, for secure aggregation.

After Bonawitz et al., "Federated Learning with Autotuned Communication-Efficient Secure
Aggregation" (arXiv 1912.00131): all clients rotate alike, so that no number is much larger than
others, and round at random to a common grid.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.updates import _kernels
from handheld.federated.updates.encoder import Floats, checked, seed_of
from handheld.federated.updates.rotation import blocks, mixed, mixed_back
from handheld.ranges import in_range, whole_in_range

_ROUNDING = 3  # use of a seed, apart from those of rotations and places
_ROUNDED = 1e-4  # by how much rounding in float32 may have made an update longer than its bound
_FLOAT32 = 1 + 1e-5  # the same, of the rotation back
_DEVIATIONS = 1.0  # sqrt(2 log(1 / beta)) for beta = exp(-1/2), the paper's choice
_ATTEMPTS = 100


@dataclass(frozen=True)
class Modular:
    """A grid for sums. Unbiased but for numbers beyond its ends, which are taken as its ends.

    Rounding makes updates longer. As Kairouz, Liu and Steinke do (arXiv 2102.06387, algorithm 1),
    an update is rounded again as long as it came out longer than :meth:`longest` says, which is
    seldom: noise that is scaled to that bound hides it.

    Attributes:
        clip: length of the longest update; a longer one is refused.
        clients: whose updates are added, at most.
        bits: of a client's numbers, in [2, 24].
        spread: the grid's end, in mean sizes of a number of the longest update; rotated, 4 is
            passed once in 16,000 numbers.

    Raises:
        InputError: values outside of these, or sums that do not fit 32 bits.
    """

    clip: float
    clients: int
    bits: int = 8
    spread: float = 4.0

    def __post_init__(self) -> None:
        in_range("clip", self.clip, low=0, low_open=True)
        whole_in_range("clients", self.clients, low=1)
        whole_in_range("bits", self.bits, low=2, high=24)
        in_range("spread", self.spread, low=0, low_open=True)
        if self.width > 32:
            raise InputError(
                f"sums of {self.clients:,} clients' {self.bits} bits take {self.width} bits;"
                " 32 are there"
            )

    @property
    def highest(self) -> int:
        """Largest whole number of a client, to either side of zero."""
        return (1 << int(self.bits) - 1) - 1

    @property
    def width(self) -> int:
        """Bits of a sum: 2^width is the modulus, large enough for all clients at the grid's end."""
        return (2 * int(self.clients) * self.highest).bit_length()

    def encode(self, x: Floats, common_seed: int, own_seed: int) -> NDArray[np.uint32]:
        """Return whole numbers below the modulus.

        Args:
            x: (n,) finite numbers, no longer than ``clip``.
            common_seed: of all clients' rotation.
            own_seed: of this client's rounding.

        Raises:
            InputError: another update.
        """
        length = float(np.sqrt(_kernels.squares(checked(x))))
        if length > self.clip * (1 + _ROUNDED):
            raise InputError(f"expected an update no longer than {self.clip:g}, got {length:g}")
        return self._rounded(mixed(x, common_seed), len(x), own_seed) & self._mask

    def longest(self, count: int) -> float:
        """Return the length that no (count,) update is longer than once it is decoded.

        It is the conditional bound of Kairouz, Liu and Steinke: of a vector of length c on a grid
        of step s in d dimensions, the smaller of c + s sqrt(d) and the root of c^2 + s^2 d / 4 +
        sqrt(2 log(1 / beta)) s (c + s sqrt(d) / 2).
        """
        size = sum(blocks(count))
        step = float(self._step(size))
        clip = self.clip * (1 + _ROUNDED)  # what ``encode`` takes
        root = math.sqrt(size)
        always = clip + step * root
        mostly = clip**2 + step**2 * size / 4 + _DEVIATIONS * step * (clip + step * root / 2)
        return min(always, math.sqrt(mostly)) * _FLOAT32

    def _rounded(self, rotated: Floats, count: int, own_seed: int) -> NDArray[np.uint32]:
        """Return numbers rounded at random until their length is at most the bound."""
        step = self._step(len(rotated))
        bound = (self.longest(count) / _FLOAT32 / float(step)) ** 2
        numbers = np.empty(len(rotated), np.uint32)
        for attempt in range(_ATTEMPTS):
            # Another seed each time: the same one would round the same.
            seed = seed_of(own_seed, _ROUNDING, attempt)
            _kernels.round_to_grid(rotated, step, self.highest, seed, numbers)
            signed = numbers.view(np.int32).astype(np.float64)
            if float(signed @ signed) <= bound:
                return numbers
        # So many misses, of 1 - beta = 0.39 or more each, have a chance of 1e-21 at most. Towards
        # zero no vector becomes longer.
        return np.fix(rotated / step).astype(np.int32).view(np.uint32)

    def add(self, one: NDArray[np.uint32], other: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the sum modulo 2^width."""
        return np.asarray(one + other & self._mask)

    def decode(self, total: NDArray[np.uint32], count: int, common_seed: int) -> Floats:
        """Return the (count,) sum of updates.

        Raises :class:`InputError` for numbers that are no sum of this grid's.
        """
        size = sum(blocks(count))
        fits = total.dtype == np.uint32 and total.shape == (size,)
        if not fits or total.max(initial=0) > self._mask:
            raise InputError(
                f"expected a sum of {size} numbers below 2^{self.width},"
                f" got {list(total.shape)} {total.dtype}"
            )
        signed = total.astype(np.int64)
        # The upper half of the modulus stands for numbers below zero.
        signed[signed >= 1 << self.width - 1] -= 1 << self.width
        numbers = (signed * float(self._step(size))).astype(np.float32)
        return mixed_back(numbers, count, common_seed)

    def _step(self, size: int) -> np.float32:
        """Distance of the grid's lines, for vectors of so many numbers."""
        return np.float32(self.spread * self.clip / (max(1, size) ** 0.5 * self.highest))

    @property
    def _mask(self) -> np.uint32:
        return np.uint32((1 << self.width) - 1)
