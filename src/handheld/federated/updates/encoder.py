"""What makes an update small: the seam that every scheme keeps to."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.updates import _kernels
from handheld.federated.user_values import method_of, require_type, require_vector

Floats = NDArray[np.float32]


class UpdateEncoder(Protocol):
    """Turns an update into bytes and back.

    Whoever decodes knows the plan: the encoder, the length and the seed.
    """

    @property
    def unbiased(self) -> bool:
        """Whether the mean of what is decoded, over seeds, is what was encoded.

        Of others, errors do not average out.
        """

    def encode(self, x: Floats, seed: int) -> bytes:
        """Return (n,) finite numbers as bytes. Raises :class:`InputError` for other numbers."""

    def decode(self, content: bytes, count: int, seed: int) -> Floats:
        """Return the (count,) numbers.

        Raises :class:`InputError` for bytes that are no such update.
        """


@runtime_checkable
class Bounded(Protocol):
    """An encoder that says how much longer an update may become."""

    def longest(self, bound: float) -> float | None:
        """Return what nothing decoded is longer than, of updates within ``bound``.

        None if unknown.
        """


def longest(encoder: UpdateEncoder, bound: float | None) -> float | None:
    """Return the bound of what is decoded.

    None where there is none, or the encoder does not say.
    """
    if bound is None or not isinstance(encoder, Bounded):
        return None
    return encoder.longest(bound)


@dataclass(frozen=True)
class Whole:
    """Sends each number as it is, in 32 bits."""

    unbiased = True

    def longest(self, bound: float) -> float:
        """Return the bound."""
        return bound

    def encode(self, x: Floats, seed: int) -> bytes:
        """Return 4 bytes for each number."""
        return checked(x).astype("<f4", copy=False).tobytes()

    def decode(self, content: bytes, count: int, seed: int) -> Floats:
        """Return the numbers."""
        expect(content, 4 * count)
        return checked(np.frombuffer(content, "<f4").astype(np.float32))


def encoded(encoder: UpdateEncoder, x: Floats, seed: int) -> bytes:
    """Return what an encoder, maybe a user's own, makes of numbers.

    Raises :class:`TrainingError` where that is no bytes.
    """
    return require_type(method_of(encoder, "encode"), encoder.encode(x, seed), bytes)


def decoded(encoder: UpdateEncoder, content: bytes, count: int, seed: int) -> Floats:
    """Return (count,) numbers that an encoder, maybe a user's own, makes of bytes.

    Raises :class:`TrainingError` where these are none, or others than ``count``.
    """
    numbers = encoder.decode(content, count, seed)
    return require_vector(method_of(encoder, "decode"), numbers, count)


def checked(x: Floats) -> Floats:
    """Return a vector of finite numbers. Raises :class:`InputError` for anything else."""
    if x.ndim != 1 or x.dtype != np.float32:
        raise InputError(f"expected an update (n,) of float32, got {x.dtype} {list(x.shape)}")
    if not are_finite(x):
        first = int(np.flatnonzero(~np.isfinite(x))[0])
        raise InputError(
            f"expected finite numbers in an update, got {x[first]} at {first} of {len(x)}"
        )
    return x


def are_finite(x: Floats) -> bool:
    """Return whether (n,) numbers are finite."""
    # Of numbers that are not finite no sum of squares is, and it takes no memory. That of large
    # ones may be infinite without one of them being so.
    return math.isfinite(_kernels.squares(x)) or bool(np.isfinite(x).all())


def expect(content: bytes | memoryview, size: int) -> None:
    """Raise :class:`InputError` unless an encoded update has so many bytes."""
    # Whoever sends another length means another plan, or harm.
    if len(content) != size:
        raise InputError(f"expected an update of {size:,} bytes, got {len(content):,}")


def seed_of(seed: int, *uses: int) -> np.uint64:
    """Return a seed of 64 bits for one of several uses of another seed.

    Uses are told by numbers, such as that of a stage and of a round.
    """
    # The multipliers of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    for use in uses:
        seed = (seed ^ use + 1) * 0x9E3779B97F4A7C15 % (1 << 64)
        seed = (seed ^ seed >> 29) * 0xBF58476D1CE4E5B9 % (1 << 64)
    return np.uint64(seed ^ seed >> 32)
