"""What a client answers in a round: pure, without I/O, clocks or random numbers of its own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from handheld.errors import InputError
from handheld.federated.learning.learner import ClientTask, Doubles, Floats, Learned
from handheld.federated.stages import (
    Memory,
    StageChain,
    StageSeeds,
    Update,
    UpdateFacts,
    Upload,
)
from handheld.federated.updates.encoder import checked
from handheld.federated.user_values import method_of, number_of, require_vector

_FLOAT = 4  # bytes: what goes beside an update travels as float32


class RejectedUpdateError(InputError):
    """An update that is not taken; ``reason`` is the word by which such are counted."""

    def __init__(self, reason: str, message: str):
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, eq=False)
class ClientAnswer:
    """What a client answers, and what it keeps.

    Attributes:
        upload: its update, as it travels.
        weight: by which it counts: its examples, as it says.
        loss: mean of its examples' losses on the way.
        extra: (n,) what the algorithm wants besides; None for most.
        statistics: (m,) of its model, such as running means; none for most.
        kept: (n,) what the client keeps until its next round; it does not travel. None where it
            keeps nothing.
        arrived: what the server will read of the upload, where the client had to know.
    """

    upload: Upload
    weight: float = 1.0
    loss: float = 0.0
    extra: Floats | None = None
    statistics: Doubles = field(default_factory=lambda: np.empty(0))
    kept: Floats | None = None
    arrived: Update | None = None

    @property
    def size(self) -> int:
        """Bytes that it takes on the wire."""
        size = self.upload.size + _FLOAT * len(self.statistics)
        if self.extra is not None:
            size += _FLOAT * len(self.extra)
        return size


@dataclass(frozen=True, eq=False)
class ClientRound:
    """What a client knows of a round.

    Attributes:
        task: what it learns.
        stages: on the way of its update.
        memory: what clients get of what stages keep.
        error_feedback: whether it keeps what its updates left out so far, and adds it to the next.
    """

    task: ClientTask
    stages: StageChain
    memory: Sequence[Memory]
    error_feedback: bool = False

    @cached_property
    def facts(self) -> tuple[UpdateFacts, ...]:
        """What is known of updates before each stage, and at last."""
        return self.stages.facts(self.memory)

    def answer(self, learned: Learned, kept: Floats | None, seeds: StageSeeds) -> ClientAnswer:
        """Return what a client answers.

        Args:
            learned: by it.
            kept: (n,) what it kept; None where it keeps nothing.
            seeds: of its stages.

        Raises:
            RejectedUpdateError: what it learned makes no sense, or it has no examples.
            InputError: a stage makes an update that is not finite.
        """
        change = _checked_change(learned, self.task)
        extra = None
        arrived = None
        if self.error_feedback:
            assert kept is not None
            change = change + kept
        upload = self.stages.on_device(Update.of(change), self.facts, self.memory, seeds)
        if self.error_feedback:
            # What compression left out is owed, and goes with the next update.
            arrived = self.arrived(upload, seeds)
            kept = change - arrived.values
        elif kept is not None:
            algorithm = self.task.algorithm
            before = kept
            kept = algorithm.keep(change, learned.distance, self.task.state, before)
            require_vector(method_of(algorithm, "keep"), kept, len(before))
            # The change of its correction, which the server adds to its own.
            extra = kept - before
        return ClientAnswer(
            upload, learned.weight, learned.loss, extra, learned.statistics, kept, arrived
        )

    def nothing(self, seeds: StageSeeds) -> ClientAnswer:
        """Return the answer of a client that has nothing to tell: zeros, noise and all.

        For rounds that promise something: whether a client has data must not show.
        """
        zeros = Update.of(np.zeros_like(self.task.state.weights))
        return ClientAnswer(
            self.stages.on_device(zeros, self.facts, self.memory, seeds, or_zeros=True)
        )

    def arrived(self, upload: Upload, seeds: StageSeeds, *, or_zeros: bool = False) -> Update:
        """Return what the server reads of an upload; see ``StageChain.on_arrival``."""
        return self.stages.on_arrival(upload, self.facts, self.memory, seeds, or_zeros=or_zeros)


def _checked_change(learned: Learned, task: ClientTask) -> Floats:
    """Return a change that fits the model.

    Raises :class:`RejectedUpdateError` for one that does not.
    """
    if learned.error:
        raise RejectedUpdateError("raised", learned.error)
    # Told apart from errors: a device without data is nothing wrong.
    weight = number_of(learned.weight)
    if weight == 0:
        raise RejectedUpdateError("no_examples", "no examples")
    change = learned.change
    _require_shapes(learned, task)
    try:
        checked(change)
    except InputError as error:
        raise RejectedUpdateError("not_finite", str(error)) from error
    if len(learned.statistics) and not np.isfinite(learned.statistics).all():
        raise RejectedUpdateError("not_finite", "expected finite statistics, such as running means")
    if not math.isfinite(number_of(learned.loss)):
        raise RejectedUpdateError("loss", f"its loss is {learned.loss}, no finite number")
    if not (math.isfinite(weight) and weight > 0):
        raise RejectedUpdateError("weight", f"expected a weight above 0, got {learned.weight}")
    return change


def _require_shapes(learned: Learned, task: ClientTask) -> None:
    change = learned.change
    count = len(task.state.weights)
    if not isinstance(change, np.ndarray):
        got = type(change).__name__
        raise RejectedUpdateError("shape", f"expected an update (n,) of float32, got a {got}")
    if change.ndim != 1 or change.dtype != np.float32:
        got = f"{change.dtype} {list(change.shape)}"
        raise RejectedUpdateError("shape", f"expected an update (n,) of float32, got {got}")
    if len(change) != count:
        raise RejectedUpdateError(
            "shape", f"expected {count:,} numbers in an update, got {len(change):,}"
        )
    if np.shape(learned.statistics) != task.state.statistics.shape:
        expected = len(task.state.statistics)
        got = f"{list(np.shape(learned.statistics))}"
        raise RejectedUpdateError("shape", f"expected {expected:,} statistics, got {got}")
