"""How updates travel: in few bytes, or as whole numbers whose sum is all that can be seen."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.algorithms import Total
from handheld.federated.learning.learner import Structure, Subspace
from handheld.federated.stages.stage import (
    Memory,
    PlainStage,
    StageSeeds,
    Update,
    UpdateFacts,
    WireStage,
)
from handheld.federated.updates import Modular as Grid
from handheld.federated.updates import UpdateEncoder, Whole, longest
from handheld.federated.updates.encoder import decoded, encoded

_ROTATED = (
    1 + 1e-5
)  # rounding of float32 in a rotation's sums, which may make a vector a little longer


@dataclass(frozen=True)
class Compressed(PlainStage):
    """Sends an update in few bytes; the server adds up what it decodes.

    Attributes:
        encoder: how. Most make some updates longer than any useful bound, so that what bounds
            lengths comes after it (on the server), or not at all.
    """

    encoder: UpdateEncoder

    def after(self, facts: UpdateFacts, memory: Memory) -> UpdateFacts:
        """Return that lengths are bounded as the encoder says, if it does."""
        facts.require("compressed", modular=False)
        return replace(facts, bound=longest(self.encoder, facts.bound), shapes=())

    def on_update(
        self, update: Update, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> Update:
        """Return what the server decodes, and how many bytes travelled."""
        return _sent(self, update, facts, seeds)

    def encode(self, values: NDArray[np.float32], facts: UpdateFacts, seeds: StageSeeds) -> bytes:
        """Return the encoder's bytes."""
        return encoded(self.encoder, values, seeds.shared)

    def decode(
        self, content: bytes | memoryview, facts: UpdateFacts, seeds: StageSeeds
    ) -> NDArray[np.float32]:
        """Return what the encoder makes of them."""
        return decoded(self.encoder, bytes(content), facts.count, seeds.shared)


@dataclass(frozen=True)
class Structured(PlainStage):
    """Sends where in a random subspace an update lies; devices learn within it.

    Attributes:
        structure: which subspaces; see ``learning.subspaces``.
        then: what encodes the coordinates.
    """

    structure: Structure
    then: UpdateEncoder = field(default_factory=Whole)

    def after(self, facts: UpdateFacts, memory: Memory) -> UpdateFacts:
        """Return that an update is not longer than before, but for what encodes the coordinates."""
        if not facts.shapes:
            raise InputError(
                "structured: updates are of something else than weights here: let it come first"
            )
        bound = facts.bound
        if bound is not None:
            bound *= _ROTATED
        return replace(facts, bound=longest(self.then, bound), shapes=())

    def on_update(
        self, update: Update, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> Update:
        """Return what the server decodes, and how many bytes travelled."""
        return _sent(self, update, facts, seeds)

    def encode(self, values: NDArray[np.float32], facts: UpdateFacts, seeds: StageSeeds) -> bytes:
        """Return the bytes of the update's coordinates."""
        coordinates = self._subspace(facts, seeds).coordinates(values)
        return encoded(self.then, coordinates, seeds.shared)

    def decode(
        self, content: bytes | memoryview, facts: UpdateFacts, seeds: StageSeeds
    ) -> NDArray[np.float32]:
        """Return the vector at the coordinates."""
        subspace = self._subspace(facts, seeds)
        dimensions = len(subspace.coordinates(np.zeros(facts.count, np.float32)))
        received = decoded(self.then, bytes(content), dimensions, seeds.shared)
        return subspace.expand(received)

    def _subspace(self, facts: UpdateFacts, seeds: StageSeeds) -> Subspace:
        # The same that the device learned in: both come of one seed.
        return self.structure.subspace(facts.shapes, seeds.subspace)


@dataclass(frozen=True)
class WholeNumbers(PlainStage):
    """Sends whole numbers that add up exactly, modulo a power of two.

    That is the form that secure aggregation masks.

    Rounding makes updates longer: noise is scaled to the bound after it, by ``Modular.longest``.
    That is 2.3 bounds for numbers of 2 bits, 1.05 for 4 and 1.0001 for 16.

    Attributes:
        clients: of a round, at most: sums of so many never go around.
        bits: of a client's numbers, in [2, 24].

    Raises:
        InputError: sums that do not fit 32 bits.
    """

    clients: int
    bits: int = 16

    def __post_init__(self) -> None:
        self._grid(1.0)

    @property
    def width(self) -> int:
        """Bits of a sum: it is exact modulo 2^width."""
        return self._grid(1.0).width

    def after(self, facts: UpdateFacts, memory: Memory) -> UpdateFacts:
        """Return that updates are whole numbers, and how much longer than before."""
        facts.require("whole", modular=False, equal=True, single=True)
        if facts.bound is None:
            raise InputError(
                "whole: an update may be of any length here, and sums could go around: clip before"
            )
        grid = self._grid(facts.bound)
        return replace(facts, modular=True, bound=grid.longest(facts.count))

    def on_update(
        self, update: Update, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> Update:
        """Return the whole numbers."""
        grid = self._grid(facts.bound)
        # The grid rounds by 64 bits; of a secret these are as good as any.
        numbers = grid.encode(update.values, seeds.common, seeds.private % (1 << 64))
        # As many bits as a sum has, up to whole bytes.
        return update.with_values(numbers, -(-len(numbers) * grid.width // 8))

    def on_sum(
        self, total: Total, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> tuple[Total, Memory]:
        """Return the sum as numbers."""
        if total.clients > self.clients:
            raise InputError(
                f"whole: expected {self.clients} clients at most, {total.clients} answered"
            )
        grid = self._grid(facts.bound)
        mask = np.uint32((1 << grid.width) - 1)
        # Sums of 32 bits may have gone around, which the modulus takes away.
        numbers: Any = total.change & mask
        change = grid.decode(numbers, facts.count, seeds.common)
        return replace(total, change=change.astype(np.float64)), memory

    def _grid(self, bound: float | None) -> Grid:
        return Grid(bound or 1.0, self.clients, self.bits)


def _sent(stage: WireStage, update: Update, facts: UpdateFacts, seeds: StageSeeds) -> Update:
    """Return what is decoded of an update that a stage encodes."""
    content = stage.encode(update.values, facts, seeds)
    return update.with_values(stage.decode(content, facts, seeds), len(content))
