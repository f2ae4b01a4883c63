"""Several stages, one after another: from a change to what travels, and from the sum back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from handheld.errors import InputError, TrainingError
from handheld.federated.algorithms import Algorithm, Total
from handheld.federated.learning.learner import Shape
from handheld.federated.stages.clip import AdaptiveClip, Clip, is_within
from handheld.federated.stages.noise import CentralNoise, LocalNoise, TreeNoise
from handheld.federated.stages.stage import (
    Memory,
    Stage,
    StageSeeds,
    Update,
    UpdateFacts,
    Upload,
    WireStage,
)
from handheld.federated.stages.wire import WholeNumbers
from handheld.federated.updates.encoder import are_finite, expect
from handheld.federated.user_values import (
    method_of,
    require_arrays,
    require_type,
    require_vector,
)

_FLOAT = 4  # bytes
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
            elif isinstance(stage, LocalNoise):
                self._require_own(number)

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

    def on_device(
        self,
        update: Update,
        facts: Sequence[UpdateFacts],
        memory: Sequence[Memory],
        seeds: StageSeeds,
        *,
        or_zeros: bool = False,
    ) -> Upload:
        """Return what travels.

        Each stage is held to its word: what it returns is finite, and no longer than the ``bound``
        that its ``after`` tells. Of whole numbers that is not looked at: a mask may hide them.

        Args:
            update: of a device.
            facts: see :meth:`facts`.
            memory: what devices get of what stages keep.
            seeds: of the device.
            or_zeros: whether zeros take the place of what a stage makes not finite.

        Raises:
            InputError: an update that a stage made not finite; it is not to be taken.
            TrainingError: a stage that makes updates longer than it says. Nothing of the update is
                told, as noise would not hide it.
        """
        steps = _Way(self.stages, facts, memory, seeds, or_zeros)
        if self._encoder is None:
            return uploaded(steps.through(range(len(self.stages)), update))
        update = steps.through(range(self._encoder), update)
        return steps.encoded(self._encoder, update)

    def on_arrival(
        self,
        upload: Upload,
        facts: Sequence[UpdateFacts],
        memory: Sequence[Memory],
        seeds: StageSeeds,
        *,
        or_zeros: bool = False,
    ) -> Update:
        """Return what is added up of what came: decoded, and with what the later stages do to it.

        Each stage is held to its word as :meth:`on_device` says, with the same arguments.

        Raises:
            InputError: bytes that are no such update, or one that a stage made not finite.
            TrainingError: a stage that makes updates longer than it says.
        """
        if self._encoder is None:
            return arrived(upload, facts[-1])
        steps = _Way(self.stages, facts, memory, seeds, or_zeros)
        update = steps.decoded(self._encoder, upload)
        return steps.through(range(self._encoder + 1, len(self.stages)), update)

    def on_update(
        self,
        update: Update,
        facts: Sequence[UpdateFacts],
        memory: Sequence[Memory],
        seeds: StageSeeds,
        *,
        or_zeros: bool = False,
    ) -> Update:
        """Return what is added up of an update: :meth:`on_device`, then :meth:`on_arrival`."""
        upload = self.on_device(update, facts, memory, seeds, or_zeros=or_zeros)
        return self.on_arrival(upload, facts, memory, seeds, or_zeros=or_zeros)

    def on_nothing(
        self, facts: Sequence[UpdateFacts], memory: Sequence[Memory], seeds: StageSeeds
    ) -> Update:
        """Return what arrives of a device that has nothing to tell: zeros, noise and all.

        Where a stage makes of zeros what is not finite, such as x / |x|, zeros take its place.
        """
        zeros = Update.of(np.zeros(facts[0].count, np.float32))
        return self.on_update(zeros, facts, memory, seeds, or_zeros=True)

    @cached_property
    def _encoder(self) -> int | None:
        """Number of the stage that makes the bytes which travel: the last that makes any.

        None where numbers travel as they are, or as whole ones.
        """
        if self.facts(self.start())[-1].modular:
            return None
        encoders = [
            number for number, stage in enumerate(self.stages) if isinstance(stage, WireStage)
        ]
        return max(encoders, default=None)

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
            result = stage.on_sum(total, known, kept[number], seeds.of_stage(number))
            total, kept[number] = _required_sum(stage, result, known)
        return total, tuple(kept)

    def _require_own(self, number: int) -> None:
        """Raise :class:`InputError` unless a stage's noise is added before an update travels."""
        if self._encoder is not None and number > self._encoder:
            encoder = _name(self.stages[self._encoder])
            raise InputError(
                f"LocalNoise: {encoder} before it makes the bytes that travel, so that the server"
                f" would see the update without noise: let {encoder} come after it"
            )

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


@dataclass(frozen=True)
class _Way:
    """One update's way through stages; see :meth:`StageChain.on_device`."""

    stages: tuple[Stage, ...]
    facts: Sequence[UpdateFacts]
    memory: Sequence[Memory]
    seeds: StageSeeds
    or_zeros: bool

    def through(self, numbers: range, update: Update) -> Update:
        """Return what some stages make of an update."""
        for number in numbers:
            stage = self.stages[number]
            seeds = self.seeds.of_stage(number)
            changed = stage.on_update(update, self.facts[number], self.memory[number], seeds)
            update = self._checked(number, changed, "on_update")
        return update

    def encoded(self, number: int, update: Update) -> Upload:
        """Return the bytes that a stage makes of an update."""
        stage = cast(WireStage, self.stages[number])
        content = stage.encode(update.values, self.facts[number], self.seeds.of_stage(number))
        return Upload(content, len(content))

    def decoded(self, number: int, upload: Upload) -> Update:
        """Return the update that a stage makes of bytes."""
        if isinstance(upload.content, np.ndarray):
            raise InputError("expected the bytes of an update, got whole numbers")
        stage = cast(WireStage, self.stages[number])
        values = stage.decode(upload.content, self.facts[number], self.seeds.of_stage(number))
        return self._checked(number, Update(values, upload.size), "decode")

    def _checked(self, number: int, update: Update, method: str) -> Update:
        """Return an update, if the stage it comes of keeps its word."""
        stage = self.stages[number]
        known = self.facts[number + 1]
        _require_update(method_of(stage, method), update, known)
        if _is_longer(update, known):
            raise TrainingError(
                f"{_name(stage)}: an update is longer behind it than the {known.bound:.6g} that its"
                " `after` tells, so the run's promise would not hold: tell the bound that it keeps,"
                " or clip behind it"
            )
        if _is_finite(update):
            return update
        if not self.or_zeros:
            raise InputError(f"{_name(stage)} made an update that is not finite")
        return update.with_values(np.zeros_like(update.values))


def uploaded(update: Update) -> Upload:
    """Return an update as it travels where no stage makes bytes of it."""
    values = update.values
    if values.dtype == np.uint32:
        return Upload(values, update.size)
    # Not copied: most simulations send updates as they are.
    return Upload(values.astype("<f4", copy=False).data.cast("B"), update.size)


def arrived(upload: Upload, facts: UpdateFacts) -> Update:
    """Return an update that travelled as it was.

    Raises :class:`InputError` where that is something else than the facts say.
    """
    content = upload.content
    if isinstance(content, np.ndarray) != facts.modular:
        raise InputError("expected the bytes of an update, or else whole numbers")
    if isinstance(content, np.ndarray):
        return Update(content, upload.size)
    expect(content, _FLOAT * facts.count)
    return Update(np.frombuffer(content, "<f4"), upload.size)


def promise(stages: Sequence[Stage]) -> bool:
    """Return whether one of some stages adds noise."""
    # Noise of multiplier 0 is none: plans are tried so.
    noises = (CentralNoise, LocalNoise, TreeNoise)
    return any(isinstance(stage, noises) and stage.multiplier > 0 for stage in stages)


def _require_update(source: str, update: Update, facts: UpdateFacts) -> None:
    """Raise :class:`TrainingError` unless what a stage returned is an update as it tells.

    ``source`` is the method that did.
    """
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
    return update.values.dtype.kind != "f" or are_finite(update.values)


def _is_longer(update: Update, facts: UpdateFacts) -> bool:
    """Whether a finite update is longer than is known of it, beyond float32's rounding."""
    if facts.bound is None or facts.modular or is_within(update.values, facts.bound * _ROUNDED):
        return False
    return _is_finite(update)


def _name(stage: Stage) -> str:
    return type(stage).__name__
