"""Rounded at random to evenly spaced levels: 1 to 8 bits for each number.

Konečný et al., "Federated Learning: Strategies for Improving Communication Efficiency" (arXiv
1610.05492), and Suresh et al., arXiv 1611.00429, which rotates before.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from handheld.errors import InputError
from handheld.federated.updates import _kernels
from handheld.federated.updates.encoder import Floats, checked, expect, seed_of
from handheld.federated.updates.rotation import blocks, filled, rotated, rotated_back
from handheld.ranges import whole_in_range

# Levels are float32: a wider range has no step.
_WIDEST = float(np.finfo(np.float32).max)
_ROUNDING = 1  # use of a seed, apart from that of the rotation


@dataclass(frozen=True)
class Stochastic:
    """Unbiased: each number is rounded up as likely as it is far from the level below.

    ``Stochastic(3, rotate=False, symmetric=True)`` is TernGrad (Wen et al., arXiv 1705.07878).

    Attributes:
        levels: of each number, in [2, 256], which takes 8 bits or fewer.
        rotate: whether to rotate before, which spreads what a few large numbers hold.
        symmetric: whether the levels reach as far below zero as above, so that an odd number of
            them has one at zero.

    Raises:
        InputError: other levels.
    """

    levels: int = 256
    rotate: bool = True
    symmetric: bool = False
    unbiased = True

    def __post_init__(self) -> None:
        whole_in_range("levels", self.levels, low=2, high=256)

    @property
    def bits(self) -> int:
        """Of each number."""
        return (int(self.levels) - 1).bit_length()

    def encode(self, x: Floats, seed: int) -> bytes:
        """Return the lowest and highest level of each block in 32 bits, and ``bits`` a number."""
        ends = []
        packed = []
        x = checked(x)
        some_blocks = filled(x)
        if self.rotate:
            some_blocks = rotated(x, seed)
        for number, block in enumerate(some_blocks):
            low, high = self._ends(block)
            ends.append((low, high))
            # Another one for each block: they would all be rounded by the same draws.
            block_seed = seed_of(seed, number, _ROUNDING)
            packed.append(self._packed(block, low, high, block_seed))
        return b"".join([np.array(ends, "<f4").tobytes(), *packed])

    def _ends(self, block: Floats) -> tuple[float, float]:
        """Return the lowest and the highest level of a block."""
        low = float(block.min())
        high = float(block.max())
        if self.symmetric:
            high = max(high, -low)
            low = -high
        if not high - low <= _WIDEST:
            raise InputError("the numbers of this update are too far apart for 32 bits")
        return low, high

    def _packed(self, block: Floats, low: float, high: float, seed: np.uint64) -> bytes:
        step = np.float32((high - low) / (self.levels - 1))
        codes = np.zeros(len(block), np.uint8)
        # Of numbers that are all alike each is the lowest level.
        if step > 0:
            _kernels.round_randomly(block, np.float32(low), step, self.levels, seed, codes)
        packed = np.empty(len(block) * self.bits // 8, np.uint8)
        _kernels.pack(codes, self.bits, packed)
        return packed.tobytes()

    def decode(self, content: bytes, count: int, seed: int) -> Floats:
        """Return (count,) numbers."""
        sizes = blocks(count)
        expect(content, 8 * len(sizes) + sum(sizes) * self.bits // 8)
        ends = np.frombuffer(content, "<f4", 2 * len(sizes))
        ends = ends.reshape(-1, 2)
        # In 64 bits, as damaged ends may be so far apart that 32 have no number for it.
        widths = ends[:, 1].astype(float) - ends[:, 0]
        if not ((widths >= 0) & (widths <= _WIDEST)).all():
            raise InputError("expected a lowest and a highest level of each block in an update")
        x = self._blocks(content, sizes, ends)
        if self.rotate:
            return checked(rotated_back(x, count, seed))
        # An empty array first, for updates without any block.
        joined = np.concatenate([np.empty(0, np.float32), *x])
        return checked(joined[:count])

    def _blocks(self, content: bytes, sizes: tuple[int, ...], ends: Floats) -> Iterator[Floats]:
        start = 8 * len(sizes)
        for size, (low, high) in zip(sizes, ends, strict=True):
            codes = np.empty(size, np.uint8)
            end = start + size * self.bits // 8
            packed = np.frombuffer(content, np.uint8, end - start, start)
            _kernels.unpack(packed, self.bits, codes)
            step = np.float32((float(high) - low) / (self.levels - 1))
            yield low + codes * step
            start = end
