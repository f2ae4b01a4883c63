"""Several stages, one after another: from a change to what travels, and from the sum back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from handheld.errors import InputError, TrainingError
from handheld.federated.algorithms import Algorithm, Total
from handheld.federated.learning.learner import Shape
from handheld.federated.stages.clip import AdaptiveClip, Clip, is_within
from handheld.federated.stages.noise import CentralNoise, LocalNoise, TreeNoise
from handheld.federated.stages.stage import Memory, Stage, StageSeeds, Update, UpdateFacts
from handheld.federated.stages.wire import WholeNumbers
from handheld.federated.updates import _kernels
from handheld.federated.updates.encoder import seed_of
from handheld.federated.user_values import (
    method_of,
    require_arrays,
    require_type,
    require_vector,
)

_ROUNDED = 1 + 1e-5  # what float32 may add to the length of a long update, and no more


@dataclass(frozen=True)
class StageChain:
    """The way of an update: stages in order on the device, in reverse order on the sum.

    What is known of updates is worked out forwards through all stages. Noise on a sum is scaled to
    the bound after the last of them: that of what one device really adds.

    Attributes:
        stages: in order.
        algorithm: whose updates these are.
        shapes: of the arrays in an update.
        equal: whether each device counts as much as any other.
        clients: devices that are expected to answer in a round; 0 if nobody knows.

    Raises:
        InputError: an order that makes no sense; it says why.
    """

    stages: tuple[Stage, ...]
    algorithm: Algorithm
    shapes: Sequence[Shape]
    equal: bool = False
    clients: float = 0.0

    def __post_init__(self) -> None:
        facts = self.facts(self.start())
        for number, stage in enumerate(self.stages):
            if isinstance(stage, CentralNoise | TreeNoise):
                self._require_hidden(number, facts)

    @property
    def promises(self) -> bool:
        """Whether there is noise: what leaves must not depend on whether a device has data then."""
        return promise(self.stages)

    def start(self) -> tuple[Memory, ...]:
        """Return what stages keep before the first round."""
        return tuple(
            require_arrays(method_of(stage, "start"), stage.start()) for stage in self.stages
        )

    def public(self, memory: Sequence[Memory]) -> tuple[Memory, ...]:
        """Return what devices get of what stages keep."""
        return tuple(stage.public(kept) for stage, kept in zip(self.stages, memory, strict=True))

    def facts(self, memory: Sequence[Memory]) -> tuple[UpdateFacts, ...]:
        """Return what is known before each stage, and at last."""
        known = UpdateFacts(
            sum(map(math.prod, self.shapes)),
            equal=self.equal,
            single=not self.algorithm.corrects,
            shapes=self.shapes,
            clients=self.clients,
            multiplier=self._multiplier(),
        )
        facts = [known]
        for stage, kept in zip(self.stages, memory, strict=True):
            known_after = stage.after(facts[-1], kept)
            facts.append(require_type(method_of(stage, "after"), known_after, UpdateFacts))
        return tuple(facts)

    def figures(self, memory: Sequence[Memory]) -> dict[str, float]:
        """Return the length at which updates are clipped, and the longest that one device adds."""
        # Public: they come of sums, which noise hides where there is any.
        figures = {}
        for stage, kept in zip(self.stages, memory, strict=True):
            if isinstance(stage, Clip):
                figures["clip_length"] = stage.length
            elif isinstance(stage, AdaptiveClip):
                figures["clip_length"] = float(kept["length"])
        bound = self.facts(memory)[-1].bound
        if bound is not None:
            figures["bound"] = bound
        return figures

    def on_update(
        self,
        update: Update,
        facts: Sequence[UpdateFacts],
        memory: Sequence[Memory],
        seeds: StageSeeds,
    ) -> Update:
        """Return what travels.

        Each stage is held to its word: what it returns is finite, and no longer than the ``bound``
        that its ``after`` tells. Of whole numbers that is not looked at: a mask may hide them.

        Raises:
            InputError: an update that a stage made not finite; it is not to be taken.
            TrainingError: a stage that makes updates longer than it says. Nothing of the update is
                told, as noise would not hide it.
        """
        for number, stage in enumerate(self.stages):
            update = self._after_stage(number, update, facts, memory, seeds)
            if not _is_finite(update):
                raise InputError(f"{_name(stage)} made an update that is not finite")
        return update

    def on_nothing(
        self, facts: Sequence[UpdateFacts], memory: Sequence[Memory], seeds: StageSeeds
    ) -> Update:
        """Return what travels for a device that has nothing to tell: zeros, noise and all.

        Where a stage makes of zeros what is not finite, such as x / |x|, zeros take its place.
        """
        update = Update.of(np.zeros(facts[0].count, np.float32))
        for number in range(len(self.stages)):
            update = self._after_stage(number, update, facts, memory, seeds)
            if not _is_finite(update):
                update = update.with_values(np.zeros_like(update.values))
        return update

    def _after_stage(
        self,
        number: int,
        update: Update,
        facts: Sequence[UpdateFacts],
        memory: Sequence[Memory],
        seeds: StageSeeds,
    ) -> Update:
        """Return what one stage makes of an update, if it keeps to its bound."""
        stage = self.stages[number]
        changed = stage.on_update(update, facts[number], memory[number], _for_stage(seeds, number))
        _require_update(stage, changed, facts[number + 1])
        if _is_longer(changed, facts[number + 1]):
            raise TrainingError(
                f"{_name(stage)}: an update is longer behind it than the"
                f" {facts[number + 1].bound:.6g} that its `after` tells, so the run's promise would"
                " not hold: tell the bound that it keeps, or clip behind it"
            )
        return changed

    def on_sum(
        self, total: Total, memory: Sequence[Memory], seeds: StageSeeds
    ) -> tuple[Total, tuple[Memory, ...]]:
        """Return the sum of changes, and what stages keep now."""
        kept = list(memory)
        facts = self.facts(memory)
        # What was done last to updates is undone first.
        for number in reversed(range(len(self.stages))):
            known = replace(facts[number], sum_bound=facts[-1].bound)
            stage = self.stages[number]
            result = stage.on_sum(total, known, kept[number], _for_stage(seeds, number))
            total, kept[number] = _required_sum(stage, result, known)
        return total, tuple(kept)

    def _multiplier(self) -> float:
        """Return the multiplier of all noise on sums: independent ones add up by their squares."""
        noises = [stage for stage in self.stages if isinstance(stage, CentralNoise | TreeNoise)]
        return math.hypot(*(noise.multiplier for noise in noises))

    def _require_hidden(self, number: int, facts: Sequence[UpdateFacts]) -> None:
        """Raise :class:`InputError` unless a stage's noise hides all that a device adds."""
        noise = _name(self.stages[number])
        for later, known in zip(self.stages[number + 1 :], facts[number + 2 :], strict=True):
            if isinstance(later, AdaptiveClip):
                raise InputError(
                    f"{noise}: {_name(later)} after it would read from the sum without noise how"
                    " many updates were short: let it come before"
                )
            if not _only_decodes(later):
                raise InputError(
                    f"{noise}: {_name(later)} after it works on sums before they have noise, and"
                    " what it reads there would not be hidden: let it come before"
                )
            if known.bound is None:
                raise InputError(
                    f"{noise}: {_name(later)} after it makes updates of any length, which the noise"
                    f" would not hide: let {_name(later)} come first, and clip before the noise"
                )
        if isinstance(self.stages[number], TreeNoise):
            facts[-1].require("TreeNoise", steady=True)


def promise(stages: Sequence[Stage]) -> bool:
    """Return whether one of some stages adds noise."""
    # Noise of multiplier 0 is none: plans are tried so.
    noises = (CentralNoise, LocalNoise, TreeNoise)
    return any(isinstance(stage, noises) and stage.multiplier > 0 for stage in stages)


def _require_update(stage: Stage, update: Update, facts: UpdateFacts) -> None:
    """Raise :class:`TrainingError` unless what a stage returned is an update as it tells."""
    source = method_of(stage, "on_update")
    values = require_type(source, update, Update).values
    # Whole numbers are as many as a grid has, and a mask may add some.
    if require_type(source, values, np.ndarray).dtype.kind == "f":
        require_vector(source, values, facts.count)


def _required_sum(stage: Stage, result: Any, facts: UpdateFacts) -> tuple[Total, Memory]:
    """Return what a stage makes of a sum, and what it keeps.

    Raises :class:`TrainingError` unless it is both, of as many numbers as before the stage.
    """
    source = method_of(stage, "on_sum")
    if len(require_type(source, result, tuple)) != len(("total", "memory")):
        raise TrainingError(f"{source} gives {len(result)} values, expected a sum and a memory")
    total, memory = result
    require_type(source, total, Total)
    if not facts.modular:
        require_vector(source, total.change, facts.count)
    return total, require_arrays(source, memory)


def _only_decodes(stage: Stage) -> bool:
    """Whether a stage leaves a sum, or undoes what it did to updates, or adds noise."""
    return isinstance(stage, WholeNumbers | CentralNoise | TreeNoise) or getattr(
        stage, "leaves_sums", False
    )


def _is_finite(update: Update) -> bool:
    values = update.values
    if values.dtype.kind != "f":
        return True
    # Of numbers that are not finite no sum of squares is; that of large ones may not be either.
    return math.isfinite(_kernels.squares(values)) or bool(np.isfinite(values).all())


def _is_longer(update: Update, facts: UpdateFacts) -> bool:
    """Whether a finite update is longer than is known of it, beyond float32's rounding."""
    if facts.bound is None or facts.modular or is_within(update.values, facts.bound * _ROUNDED):
        return False
    return _is_finite(update)


def _name(stage: Stage) -> str:
    return type(stage).__name__


def _for_stage(seeds: StageSeeds, number: int) -> StageSeeds:
    common = int(seed_of(seeds.common, number))
    private = int(seed_of(seeds.private, number))
    return replace(seeds, common=common, private=private)
