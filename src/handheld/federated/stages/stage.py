"""What happens to an update on its way into the sum, and to the sum on its way into the model.

This is the seam between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.algorithms import Total
from handheld.federated.learning.learner import Shape
from handheld.federated.stages.randomness import Randomness
from handheld.federated.updates.encoder import seed_of

# Arrays alone, so that a checkpoint can hold it without pickling.
Memory = Mapping[str, NDArray[Any]]
"""What a stage keeps from round to round, on the server; devices get ``Stage.public`` of it."""


@dataclass(frozen=True)
class UpdateFacts:
    """What is known of an update at a place on its way.

    Attributes:
        count: its numbers.
        bound: length that no device's addition to the sum is longer than, if it went there from
            here; None where there is no such length. What a stage does to updates, rounding too, is
            in the bound after it.
        steady: whether that length is the same in all rounds.
        equal: whether each device counts as much as any other.
        single: whether an update is all that a device sends.
        modular: whether it is of whole numbers that add up modulo a power of two.
        shapes: of the arrays that lie one after another in it; none where it is something else by
            now.
        clients: devices that are expected to answer in a round; 0 if nobody knows.
        multiplier: of all noise that the server adds to sums, in bounds.
        sum_bound: where sums are changed, the bound after all stages: what noise on a sum has to
            hide.
    """

    count: int
    bound: float | None = None
    steady: bool = False
    equal: bool = False
    single: bool = True
    modular: bool = False
    shapes: Sequence[Shape] = ()
    clients: float = 0.0
    multiplier: float = 0.0
    sum_bound: float | None = None

    def require(self, stage: str, **expected: bool) -> "UpdateFacts":
        """Raise :class:`InputError` unless facts are as a stage expects them."""
        for name, value in expected.items():
            # One error for each fact that is not so, in the words of what would go wrong.
            if getattr(self, name) != value:
                raise InputError(f"{stage}: {_WHY[name, value]}")
        return self


# What is said where a fact is not as a stage expects it.
_WHY = {
    ("steady", True): (
        "the length that bounds updates changes from round to round, as the noise of a sum over"
        " rounds may not"
    ),
    ("equal", True): (
        "devices must count alike, or one with many examples counts more than was promised: weigh"
        " uniformly"
    ),
    ("single", True): (
        "the algorithm's devices send more than an update, which would travel without it"
    ),
    ("modular", False): ("updates are whole numbers here, which only add up: let it come before"),
    ("modular", True): ("expected updates of whole numbers: let what makes them whole come before"),
}


@dataclass(frozen=True, eq=False)
class Update:
    """What a device sends.

    Attributes:
        values: (n,) float32, or uint32 where they are whole.
        size: bytes that it takes on the wire.
    """

    values: NDArray[Any]
    size: int

    @classmethod
    def of(cls, change: NDArray[np.float32]) -> "Update":
        """Return a change as it is, in 32 bits a number."""
        # Float32: what is not compressed travels so.
        return cls(change, 4 * len(change))

    def with_values(self, values: NDArray[Any], size: int | None = None) -> "Update":
        """Return an update of other values."""
        if size is None:
            size = self.size
        return replace(self, values=values, size=size)


Content = bytes | memoryview | NDArray[np.uint32]
"""What travels: bytes, or whole numbers that only add up, as masks need them."""


@dataclass(frozen=True, eq=False)
class Upload:
    """What travels of an update.

    Attributes:
        content: its bytes, or (m,) whole numbers.
        size: bytes that it takes on the wire.
    """

    content: Content
    size: int


@dataclass(frozen=True)
class StageSeeds:
    """Of a round's random numbers.

    Attributes:
        common: what all devices and the server know.
        private: what is a device's, or the server's, alone: of noise, and of rounding.
        subspace: of where a device learns, which the server knows too.
        encoding: of a device's encoders, which the server needs to decode; ``private`` where it is
            left out, as in simulations.
        is_secret: whether ``private`` is 128 bits of the operating system, instead of a run's seed.
    """

    common: int
    private: int
    subspace: int = 0
    encoding: int | None = None
    is_secret: bool = False

    @property
    def shared(self) -> int:
        """Seed of a device's encoders."""
        if self.encoding is None:
            return self.private
        return self.encoding

    @property
    def randomness(self) -> Randomness:
        """What is drawn from by a device, or the server, alone."""
        return Randomness(self.private, self.is_secret)

    def of_stage(self, number: int) -> "StageSeeds":
        """Return those of one of several stages."""
        common = int(seed_of(self.common, number))
        private = self.randomness.of(number).seed
        encoding = self.encoding
        if encoding is not None:
            encoding = int(seed_of(encoding, number))
        return replace(self, common=common, private=private, encoding=encoding)


class Stage(Protocol):
    """A thing that happens to updates, such as clipping, noise, compression and masking."""

    def start(self) -> Memory:
        """Return what is kept before the first round."""

    def public(self, memory: Memory) -> Memory:
        """Return what devices get of it.

        All that their stages need, and no secret of the server.
        """

    def after(self, facts: UpdateFacts, memory: Memory) -> UpdateFacts:
        """Return what is known of updates after this stage.

        Each update is held to its ``bound``; the rest is trusted. Raises :class:`InputError` where
        the stage makes no sense.
        """

    def on_update(
        self, update: Update, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> Update:
        """Return what becomes of one update; facts are those before the stage.

        It happens on the device, or on arrival where the stage comes after what makes bytes of an
        update. One that is not finite is not taken.
        """

    def on_sum(
        self, total: Total, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> tuple[Total, Memory]:
        """Return what becomes of a round's sum, and what is kept now.

        Facts are those before the stage, with the ``sum_bound`` of all stages.
        """


@runtime_checkable
class WireStage(Protocol):
    """A stage that makes bytes of an update, where it is the last such stage of the way.

    What comes after it is done on arrival.
    """

    def encode(self, values: NDArray[np.float32], facts: UpdateFacts, seeds: StageSeeds) -> bytes:
        """Return (n,) finite numbers as bytes; facts are those before the stage."""

    def decode(
        self, content: bytes | memoryview, facts: UpdateFacts, seeds: StageSeeds
    ) -> NDArray[np.float32]:
        """Return (n,) numbers. Raises :class:`InputError` for bytes that are no such update."""


# A class, not a protocol: user's stages take what stays from it.
class PlainStage:
    """A stage that keeps nothing and leaves sums as they are, for others to build on."""

    @property
    def leaves_sums(self) -> bool:
        """Whether it does nothing to a sum."""
        # A subclass that overrides it may do anything to sums.
        return type(self).on_sum is PlainStage.on_sum

    def start(self) -> Memory:
        """Return nothing."""
        return {}

    def public(self, memory: Memory) -> Memory:
        """Return all of it."""
        return memory

    def on_update(
        self, update: Update, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> Update:
        """Return the update."""
        return update

    def on_sum(
        self, total: Total, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> tuple[Total, Memory]:
        """Return the sum."""
        return total, memory
