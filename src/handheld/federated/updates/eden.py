"""Rotated, then rounded to the best few levels of Gaussian noise: 1 to 8 bits for each number.

Vargaftik et al., "EDEN: Communication-Efficient and Robust Distributed Mean Estimation for Federated Learning" (ICML 2022,
arXiv 2108.08842); with 1 bit it is DRIVE (arXiv 2105.08339).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from handheld.errors import InputError
from handheld.federated.updates import _kernels
from handheld.federated.updates.encoder import Floats, checked, expect
from handheld.federated.updates.gauss import levels
from handheld.federated.updates.rotation import blocks, rotated, rotated_back

_FEW = 4  # bits


@dataclass(frozen=True)
class Eden:
    """Unbiased for a rotation drawn from all rotations; for the fast one here nearly so: n clients' error falls like 1/n.

    A block's scale is its squared length over its product with the rounded block, which is what makes the mean right. Each
    client needs a seed of its own: with the same rotation for all, errors would not be independent.

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
        """Return a scale of 32 bits for each block of 65,536 numbers, and ``bits`` for each number."""
        scales, found = [], []
        best = levels(self.bits)
        for part in rotated(checked(x), seed):
            squares = float(_kernels.squares(part))
            if not np.isfinite(squares):
                raise InputError("the numbers of this update are too large for 32 bits once they are squared")
            unit = np.float32(np.sqrt(squares / len(part)))
            codes, packed = np.zeros(len(part), np.uint8), np.empty(len(part) * self.bits // 8, np.uint8)
            product = 0.0
            if unit > 0 and self.bits <= _FEW:
                product = _kernels.nearest_of_few(part, unit, best.borders, best.centres, codes)
            elif unit > 0:
                product = _kernels.nearest_of_many(part, unit, best.borders, best.centres, codes, best.guesses)
            _kernels.pack(codes, self.bits, packed)
            scales.append(squares / product if product > 0 else 0.0)
            found.append(packed)
        return b"".join([np.array(scales, "<f4").tobytes(), *(each.tobytes() for each in found)])

    def decode(self, content: bytes, count: int, seed: int) -> Floats:
        """Return (count,) numbers."""
        sizes = blocks(count)
        expect(content, 4 * len(sizes) + sum(sizes) * self.bits // 8)
        scales = np.frombuffer(content, "<f4", len(sizes))
        if not (np.isfinite(scales) & (scales >= 0)).all():
            raise InputError("expected finite scales of 0 or more in an update")
        return checked(rotated_back(self._parts(content, sizes, scales), count, seed))

    def _parts(self, content: bytes, sizes: tuple[int, ...], scales: Floats) -> Iterator[Floats]:
        centres, start = levels(self.bits).centres, 4 * len(sizes)
        for size, scale in zip(sizes, scales, strict=True):
            codes = np.empty(size, np.uint8)
            end = start + size * self.bits // 8
            _kernels.unpack(np.frombuffer(content, np.uint8, end - start, start), self.bits, codes)
            yield (centres * np.float32(scale)).take(codes)
            start = end
