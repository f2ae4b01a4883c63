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
from handheld.ranges import whole_in_range

_FEW = 4  # bits: up to 15 borders are compared with one by one; of more a level is looked up
# Below it, as of 512 equal numbers, one fast rotation is as good as one drawn from all: see below.
_PEAKED = 1 / 512


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
        bits: of each number, in [1, 8].

    Raises:
        InputError: other bits.
    """

    bits: int = 1
    unbiased = True

    def __post_init__(self) -> None:
        whole_in_range("bits", self.bits, low=1, high=8)

    def encode(self, x: Floats, seed: int) -> bytes:
        """Return a scale of 32 bits for each block of 65,536 numbers, and ``bits`` a number."""
        scales = []
        packed = []
        blocks_of = zip(filled(checked(x)), rotated(x, seed), strict=True)
        for number, (plain, block) in enumerate(blocks_of):
            is_peaked = _kernels.peakedness(plain) > _PEAKED
            if is_peaked:
                block = rotated_again(block, seed, number)
            scale, codes = self._rounded(block)
            # Below zero, so that the other side knows which were rotated twice.
            if is_peaked:
                scale = -scale
            scales.append(scale)
            packed.append(codes.tobytes())
        return b"".join([np.array(scales, "<f4").tobytes(), *packed])

    def _rounded(self, block: Floats) -> tuple[float, NDArray[np.uint8]]:
        """Return the scale of a rotated block, and its numbers in ``bits`` each."""
        squares = float(_kernels.squares(block))
        if not np.isfinite(squares):
            raise InputError(
                "the numbers of this update are too large for 32 bits once they are squared"
            )
        unit = np.float32(np.sqrt(squares / len(block)))
        codes = np.zeros(len(block), np.uint8)
        product = 0.0
        if unit > 0:  # of nothing but zeros there is no nearest level in units
            product = self._round(block, unit, codes)
        packed = np.empty(len(block) * self.bits // 8, np.uint8)
        _kernels.pack(codes, self.bits, packed)
        scale = 0.0
        if product > 0:
            scale = squares / product
        return scale, packed

    def _round(self, block: Floats, unit: np.float32, codes: NDArray[np.uint8]) -> float:
        """Write the nearest level of each number; return their product with what they become."""
        best = levels(self.bits)
        if self.bits <= _FEW:
            product = _kernels.nearest_of_few(block, unit, best.borders, best.centres, codes)
        else:
            product = _kernels.nearest_of_many(
                block, unit, best.borders, best.centres, codes, best.guesses
            )
        return float(product)

    def decode(self, content: bytes, count: int, seed: int) -> Floats:
        """Return (count,) numbers."""
        sizes = blocks(count)
        expect(content, 4 * len(sizes) + sum(sizes) * self.bits // 8)
        scales = np.frombuffer(content, "<f4", len(sizes))
        if not np.isfinite(scales).all():
            raise InputError("expected finite scales in an update")
        return checked(rotated_back(self._blocks(content, sizes, scales, seed), count, seed))

    def _blocks(
        self, content: bytes, sizes: tuple[int, ...], scales: Floats, seed: int
    ) -> Iterator[Floats]:
        centres = levels(self.bits).centres
        start = 4 * len(sizes)
        for number, (size, scale) in enumerate(zip(sizes, scales, strict=True)):
            codes = np.empty(size, np.uint8)
            end = start + size * self.bits // 8
            packed = np.frombuffer(content, np.uint8, end - start, start)
            _kernels.unpack(packed, self.bits, codes)
            # The few levels are scaled, not the many numbers.
            levels_of_block = centres * np.float32(abs(scale))
            block = levels_of_block.take(codes)
            # A scale may be -0.0, of a block of zeros.
            if np.signbit(scale):
                block = rotated_back_once(block, seed, number)
            yield block
            start = end
