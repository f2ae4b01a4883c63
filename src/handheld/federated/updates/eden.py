"""Rotated, then rounded to the best few levels of Gaussian noise: 1 to 8 bits for each number.

Vargaftik et al., "EDEN: Communication-Efficient and Robust Distributed Mean Estimation for
Federated Learning" (ICML 2022, arXiv 2108.08842); with 1 bit it is DRIVE (arXiv 2105.08339).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.updates import _kernels
from handheld.federated.updates.encoder import Floats, checked, expect
from handheld.federated.updates.gauss import levels
from handheld.federated.updates.rotation import (
    blocks,
    filled,
    rotated,
    rotated_again,
    rotated_back,
    rotated_back_once,
)

_FEW = 4  # bits
_PEAKED = (
    1 / 512
)  # below it, as of 512 equal numbers, one fast rotation is as good as one drawn from all: see the class


@dataclass(frozen=True)
class Eden:
    """Unbiased, as far as can be measured, for any vector: n clients' error falls like 1/n.

    The paper's proof wants a rotation drawn from all rotations. One fast rotation (random signs,
    then Walsh-Hadamard) is as good where many numbers share the length, but makes only few
    different numbers of a few large ones: of (1, 0.5, 0, ...) the mean was (1.25, 0). A block whose
    few numbers hold much of its length is therefore rotated twice, with other signs. Which blocks
    these are depends on the vector alone, not on the signs, so that it brings no bias.

    A block's scale is its squared length over its product with the rounded block, which is what
    makes the mean right; it is written below zero for a block that was rotated twice. Each client
    needs a seed of its own: with the same rotation for all, errors would not be independent.

    Attributes:
        bits: of each number, 1 to 8.

    Raises:
        InputError: other bits.
    """

    bits: int = 1
    unbiased = True

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 8:
            raise InputError(f"expected 1 to 8 bits, got {self.bits}")

    def encode(self, x: Floats, seed: int) -> bytes:
        """Return a scale of 32 bits for each block of 65,536 numbers, and ``bits`` a number."""
        scales, packed = [], []
        plain = filled(checked(x))
        for number, (block, part) in enumerate(zip(plain, rotated(x, seed), strict=True)):
            twice = _kernels.peakedness(block) > _PEAKED
            scale, codes = self._rounded(rotated_again(part, seed, number) if twice else part)
            scales.append(-scale if twice else scale)
            packed.append(codes)
        return b"".join([np.array(scales, "<f4").tobytes(), *(each.tobytes() for each in packed)])

    def _rounded(self, part: Floats) -> tuple[float, NDArray[np.uint8]]:
        """Return the scale of a rotated block, and its numbers in ``bits`` each."""
        best = levels(self.bits)
        squares = float(_kernels.squares(part))
        if not np.isfinite(squares):
            raise InputError(
                "the numbers of this update are too large for 32 bits once they are squared"
            )
        unit = np.float32(np.sqrt(squares / len(part)))
        codes = np.zeros(len(part), np.uint8)
        product = 0.0
        if unit > 0 and self.bits <= _FEW:
            product = _kernels.nearest_of_few(part, unit, best.borders, best.centres, codes)
        elif unit > 0:
            product = _kernels.nearest_of_many(
                part, unit, best.borders, best.centres, codes, best.guesses
            )
        packed = np.empty(len(part) * self.bits // 8, np.uint8)
        _kernels.pack(codes, self.bits, packed)
        return squares / product if product > 0 else 0.0, packed

    def decode(self, content: bytes, count: int, seed: int) -> Floats:
        """Return (count,) numbers."""
        sizes = blocks(count)
        expect(content, 4 * len(sizes) + sum(sizes) * self.bits // 8)
        scales = np.frombuffer(content, "<f4", len(sizes))
        if not np.isfinite(scales).all():
            raise InputError("expected finite scales in an update")
        return checked(rotated_back(self._parts(content, sizes, scales, seed), count, seed))

    def _parts(
        self, content: bytes, sizes: tuple[int, ...], scales: Floats, seed: int
    ) -> Iterator[Floats]:
        centres = levels(self.bits).centres
        start = 4 * len(sizes)
        for number, (size, scale) in enumerate(zip(sizes, scales, strict=True)):
            codes = np.empty(size, np.uint8)
            end = start + size * self.bits // 8
            _kernels.unpack(np.frombuffer(content, np.uint8, end - start, start), self.bits, codes)
            part = (centres * np.float32(abs(scale))).take(codes)
            yield rotated_back_once(part, seed, number) if np.signbit(scale) else part
            start = end
