"""Only some of the numbers travel: random ones, or the largest."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.updates import _kernels
from handheld.federated.updates.encoder import (
    Floats,
    UpdateEncoder,
    Whole,
    checked,
    longest,
    seed_of,
)

_PLACES = 2  # random numbers that are not those of a rotation or a rounding


@dataclass(frozen=True)
class Subsample:
    """A random share of the numbers, larger by as much as others are left out.

    Konečný et al., arXiv 1610.05492.

    Which ones they are follows from the seed, and needs no bytes.

    Attributes:
        share: of the numbers, above 0, at most 1.
        then: what encodes those that travel.

    Raises:
        InputError: another share.
    """

    share: float
    then: UpdateEncoder = field(default_factory=Whole)

    def __post_init__(self) -> None:
        require_share(self.share)

    @property
    def unbiased(self) -> bool:
        """Whether ``then`` is."""
        return self.then.unbiased

    def longest(self, bound: float) -> float | None:
        """Return 1 / share bounds: all of an update's length may be in the numbers that travel."""
        return longest(self.then, bound / self.share * (1 + 1e-6))  # float32 rounds the division

    def encode(self, x: Floats, seed: int) -> bytes:
        """Return those that travel."""
        return self.then.encode(
            checked(x)[places(len(x), self.share, seed)] / np.float32(self.share), seed
        )

    def decode(self, content: bytes, count: int, seed: int) -> Floats:
        """Return (count,) numbers, most of them 0."""
        chosen, found = places(count, self.share, seed), np.zeros(count, np.float32)
        found[chosen] = self.then.decode(content, len(chosen), seed)
        return found


@dataclass(frozen=True)
class Largest:
    """The largest numbers, and where they stand.

    Biased: errors do not average out, so give it an error feedback.

    Aji and Heafield, "Sparse Communication for Distributed Gradient Descent" (arXiv 1704.05021).
    Places travel as gaps in Rice's code, within a few per cent of the fewest bits.

    Attributes:
        share: of the numbers, above 0, at most 1.
        then: what encodes the numbers that travel.

    Raises:
        InputError: another share.
    """

    share: float
    then: UpdateEncoder = field(default_factory=Whole)
    unbiased = False

    def __post_init__(self) -> None:
        require_share(self.share)

    def longest(self, bound: float) -> float | None:
        """Return the bound, as nothing is added."""
        return longest(self.then, bound)

    def encode(self, x: Floats, seed: int) -> bytes:
        """Return the places' bytes in 4 bytes, the places, and the numbers."""
        if not len(checked(x)):
            return bytes(4)
        places = np.sort(
            np.argpartition(-np.abs(x), self._count(len(x)) - 1)[: self._count(len(x))]
        )
        gaps = np.zeros(
            (len(x) >> self._low) // 8 + len(places) * (self._low + 1) // 8 + 2, np.uint8
        )
        used = -(-_kernels.write_gaps(places, self._low, gaps) // 8)
        return b"".join(
            [used.to_bytes(4, "little"), gaps[:used].tobytes(), self.then.encode(x[places], seed)]
        )

    def decode(self, content: bytes, count: int, seed: int) -> Floats:
        """Return (count,) numbers, most of them 0."""
        used, places = int.from_bytes(content[:4], "little"), np.empty(self._count(count), np.int64)
        gaps = np.frombuffer(content[4 : 4 + used], np.uint8)
        if len(content) < 4 + used or not _kernels.read_gaps(gaps, self._low, count, places):
            raise InputError(f"expected {len(places)} rising places below {count} in an update")
        found = np.zeros(count, np.float32)
        found[places] = self.then.decode(content[4 + used :], len(places), seed)
        return found

    def _count(self, count: int) -> int:
        return min(count, max(1, round(self.share * count)))

    @property
    def _low(self) -> int:
        """Bits of a gap that are written as they are: the best for gaps of this mean.

        Golomb, 1966.
        """
        return max(0, round(math.log2(math.log(2) / self.share)))


def places(count: int, share: float, seed: int) -> NDArray[np.int64]:
    """Return which of ``count`` numbers are chosen, each with probability ``share``.

    Rising, (chosen,).
    """
    found: NDArray[np.int64] = _kernels.chosen(count, np.float32(share), seed_of(seed, _PLACES))
    return found


def require_share(share: float) -> None:
    """Raise :class:`InputError` unless a share is above 0, at most 1."""
    if not 0 < share <= 1:
        raise InputError(f"expected a share above 0, at most 1, got {share}")


def with_feedback(
    encoder: UpdateEncoder, x: Floats, left: Floats, seed: int
) -> tuple[bytes, Floats]:
    """Encode an update and what was left out of those before.

    Seide et al., INTERSPEECH 2014; Stich et al., arXiv 1809.07599.

    Args:
        encoder: most useful if it is biased.
        x: (n,) the update.
        left: (n,) what this client's earlier updates left out; zeros at first.
        seed: of this update.

    Returns:
        What travels, and what is left out now.
    """
    wanted = checked(x) + left
    content = encoder.encode(wanted, seed)
    return content, wanted - encoder.decode(content, len(wanted), seed)
