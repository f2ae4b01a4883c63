"""Several stages, one after another: from a device's change to what travels, and from the sum back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from handheld.federated.algorithms import Algorithm, Total
from handheld.federated.learning.learner import Shape
from handheld.federated.stages.stage import Facts, Memory, Seeds, Stage, Update
from handheld.federated.updates.encoder import seed_of


@dataclass(frozen=True)
class Stages:
    """The way of an update: stages in order on the device, in reverse order on the sum.

    Attributes:
        stages: in order.
        algorithm: whose updates these are.
        shapes: of the arrays in an update.
        equal: whether each device counts as much as any other.

    Raises:
        InputError: an order that makes no sense; it says why.
    """

    stages: tuple[Stage, ...]
    algorithm: Algorithm
    shapes: Sequence[Shape]
    equal: bool = False

    def __post_init__(self) -> None:
        self.facts(self.start())

    def start(self) -> tuple[Memory, ...]:
        """Return what stages keep before the first round."""
        return tuple(stage.start() for stage in self.stages)

    def facts(self, memory: Sequence[Memory]) -> tuple[Facts, ...]:
        """Return what is known before each stage, and at last."""
        count = sum(map(math.prod, self.shapes))
        found = [Facts(count, equal=self.equal, single=not self.algorithm.corrects, shapes=self.shapes)]
        for stage, kept in zip(self.stages, memory, strict=True):
            found.append(stage.after(found[-1], kept))
        return tuple(found)

    def on_update(self, update: Update, facts: Sequence[Facts], memory: Sequence[Memory], seeds: Seeds) -> Update:
        """Return what travels."""
        for number, (stage, known, kept) in enumerate(zip(self.stages, facts, memory, strict=False)):
            update = stage.on_update(update, known, kept, _for_stage(seeds, number))
        return update

    def on_sum(self, total: Total, memory: Sequence[Memory], seeds: Seeds) -> tuple[Total, tuple[Memory, ...]]:
        """Return the sum of changes, and what stages keep now."""
        kept, facts = list(memory), self.facts(memory)
        for number in reversed(range(len(self.stages))):
            total, kept[number] = self.stages[number].on_sum(total, facts[number], kept[number], _for_stage(seeds, number))
        return total, tuple(kept)


def _for_stage(seeds: Seeds, number: int) -> Seeds:
    return replace(seeds, common=int(seed_of(seeds.common, number)), own=int(seed_of(seeds.own, number)))
