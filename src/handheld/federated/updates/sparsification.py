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
    decoded,
    encoded,
    longest,
    seed_of,
)
from handheld.ranges import in_range

_POSITIONS = 2  # use of a seed, apart from those of rotations and roundings


@dataclass(frozen=True)
class Subsample:
    """A random share of the numbers, larger by as much as others are left out.

    Konečný et al., arXiv 1610.05492.

    Which ones they are follows from the seed, and needs no bytes.

    Attributes:
        share: of the numbers, in (0, 1].
        then: what encodes those that travel.

    Raises:
        InputError: another share.
    """

    share: float
    then: UpdateEncoder = field(default_factory=Whole)

    def __post_init__(self) -> None:
        in_range("share", self.share, low=0, high=1, low_open=True)

    @property
    def unbiased(self) -> bool:
        """Whether ``then`` is."""
        return self.then.unbiased

    def longest(self, bound: float) -> float | None:
        """Return 1 / share bounds: all of an update's length may be in the numbers that travel."""
        # Float32 rounds the division.
        return longest(self.then, bound / self.share * (1 + 1e-6))

    def encode(self, x: Floats, seed: int) -> bytes:
        """Return those that travel."""
        chosen = checked(x)[positions(len(x), self.share, seed)]
        return encoded(self.then, chosen / np.float32(self.share), seed)

    def decode(self, content: bytes, count: int, seed: int) -> Floats:
        """Return (count,) numbers, most of them 0."""
        chosen = positions(count, self.share, seed)
        x = np.zeros(count, np.float32)
        x[chosen] = decoded(self.then, content, len(chosen), seed)
        return x


@dataclass(frozen=True)
class Largest:
    """The largest numbers, and where they stand.

    Biased: errors do not average out, so give it an error feedback.

    Aji and Heafield, "Sparse Communication for Distributed Gradient Descent" (arXiv 1704.05021).
    Places travel as gaps in Rice's code, within a few per cent of the fewest bits.

    Attributes:
        share: of the numbers, in (0, 1].
        then: what encodes the numbers that travel.

    Raises:
        InputError: another share.
    """

    share: float
    then: UpdateEncoder = field(default_factory=Whole)
    unbiased = False

    def __post_init__(self) -> None:
        in_range("share", self.share, low=0, high=1, low_open=True)

    def longest(self, bound: float) -> float | None:
        """Return the bound, as nothing is added."""
        return longest(self.then, bound)

    def encode(self, x: Floats, seed: int) -> bytes:
        """Return the places' bytes in 4 bytes, the places, and the numbers."""
        if not len(checked(x)):
            return bytes(4)
        count = self._count(len(x))
        # Partitioned, not sorted: of a million numbers only the largest are to be known.
        unordered = np.argpartition(-np.abs(x), count - 1)[:count]
        largest = np.sort(unordered)  # gaps are between rising ones
        # Room for the most that gaps can take: all their high bits, and the low ones of each.
        high_bits = len(x) >> self._low_bits
        low_bits = count * (self._low_bits + 1)
        gaps = np.zeros(high_bits // 8 + low_bits // 8 + 2, np.uint8)
        bits = _kernels.write_gaps(largest, self._low_bits, gaps)
        used = -(-int(bits) // 8)  # rounded up
        numbers = encoded(self.then, x[largest], seed)
        return used.to_bytes(4, "little") + gaps[:used].tobytes() + numbers

    def decode(self, content: bytes, count: int, seed: int) -> Floats:
        """Return (count,) numbers, most of them 0."""
        used = int.from_bytes(content[:4], "little")
        start = 4 + used  # of the numbers
        largest = np.empty(self._count(count), np.int64)
        gaps = np.frombuffer(content[4:start], np.uint8)
        is_cut = len(content) < start
        if is_cut or not _kernels.read_gaps(gaps, self._low_bits, count, largest):
            raise InputError(f"expected {len(largest)} rising places below {count} in an update")
        x = np.zeros(count, np.float32)
        x[largest] = decoded(self.then, content[start:], len(largest), seed)
        return x

    def _count(self, count: int) -> int:
        return min(count, max(1, round(self.share * count)))

    @property
    def _low_bits(self) -> int:
        """Bits of a gap that are written as they are: the best for gaps of this mean.

        Golomb, 1966.
        """
        # Gaps of share p have a median of log(2) / p.
        median = math.log(2) / self.share
        return max(0, round(math.log2(median)))


def positions(count: int, share: float, seed: int) -> NDArray[np.int64]:
    """Return (k,) which of ``count`` numbers are chosen, each with chance ``share``; rising."""
    chosen = _kernels.chosen(count, np.float32(share), seed_of(seed, _POSITIONS))
    return np.asarray(chosen, np.int64)


def with_feedback(
    encoder: UpdateEncoder, x: Floats, left_out: Floats, seed: int
) -> tuple[bytes, Floats]:
    """Encode an update and what was left out of those before.

    Seide et al., INTERSPEECH 2014; Stich et al., arXiv 1809.07599.

    Args:
        encoder: most useful if it is biased.
        x: (n,) the update.
        left_out: (n,) what this client's earlier updates left out; zeros at first.
        seed: of this update.

    Returns:
        What travels, and what is left out now.
    """
    # What was left out is owed: sent a round later it is not lost.
    complete = checked(x) + left_out
    content = encoded(encoder, complete, seed)
    received = decoded(encoder, content, len(complete), seed)
    return content, complete - received
