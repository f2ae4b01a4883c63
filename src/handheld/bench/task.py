"""The seam between the bench and what models are for.

A task gives inputs and judges outputs; the bench times what lies between. Other rooms bring tasks
of their own: anything with these members is one. A :class:`BenchTask` is done by a model file; a
:class:`SystemTask` by what it opens itself: a pack of models, a bundle.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from handheld.bench.facts import ModelFacts
from handheld.bench.metric import (
    MetricEstimate,
    WallTimeScore,
    reached_within,
    require_times,
    total_time,
)
from handheld.bench.protocol import BenchProtocol, wall_time
from handheld.engine import Model
from handheld.ranges import in_range


class TaskSession(NamedTuple):
    """One model at work on a task.

    Args:
        feed: returns the model's inputs for the example of a number, as the model stores them.
        answer: returns what is kept of the model's outputs for an example, until it is judged.
    """

    feed: Callable[[int], Sequence[NDArray[Any]]]
    answer: Callable[[Sequence[NDArray[Any]]], Any]


class JudgingTask(Protocol):
    """Examples and what is right for each: all of a task but how it is done."""

    @property
    def name(self) -> str:
        """What it is called, such as "classification"."""

    @property
    def metric(self) -> str:
        """Name of its figure, in [0, 1], the higher the better, such as "accuracy"."""

    @property
    def budget(self) -> float:
        """Seconds that one example may take, where nobody says otherwise."""

    @property
    def digest(self) -> str:
        """Hash of its examples and their truth, in hexadecimal; "" where there is none."""

    def __len__(self) -> int:
        """Return the number of examples."""

    def judge(self, answers: Sequence[Any]) -> MetricEstimate:
        """Return the metric over the first ``len(answers)`` examples.

        Args:
            answers: one or more, at most one for each example; None: it got no answer, and is
                wrong.
        """


class BenchTask(JudgingTask, Protocol):
    """What models are to do: each is one file, and one run of it is one example."""

    def begin(self, model: Model, protocol: BenchProtocol) -> TaskSession:
        """Return how a model is given the examples, and what of its outputs is kept.

        Raises:
            ModelError: the model cannot do this task; says why.
        """


class MeasuredSystem(Protocol):
    """What a call of is timed, where that is more than one run of one model file."""

    @property
    def is_isolated(self) -> bool:
        """Whether its models run in a process of their own, so that times hold the way there."""

    def facts(self, name: str) -> ModelFacts:
        """Return what its files say of themselves.

        Args:
            name: that results call it.
        """

    def load(self, number: int) -> None:
        """Put the example of a number in its place; not timed."""

    def call(self) -> Any:
        """Do what is timed, with the example that was put in its place last, once or again."""

    def answer(self, result: Any) -> Any:
        """Return what is kept of a call's result until it is judged; not timed."""

    def close(self) -> None:
        """Give its memory back."""


@runtime_checkable
class SystemTask(JudgingTask, Protocol):
    """What is done by a pack of models, a bundle, or whatever else a room brings.

    Its examples are given in order, again and again: the first one follows the last.
    """

    @property
    def unit(self) -> str:
        """What one call does, such as "frame"."""

    def open(self, path: str, protocol: BenchProtocol) -> MeasuredSystem:
        """Open what is measured.

        Args:
            path: or name, as the room takes it.
            protocol: of which the threads count.

        Raises:
            ModelError: it cannot be opened.
        """

    def details(self, answers: Sequence[Any]) -> dict[str, float]:
        """Return further figures by name, of answers to all examples."""


def score_within(
    task: JudgingTask, answers: Sequence[Any], times: NDArray[np.float64], budget: float
) -> WallTimeScore:
    """Return a model's score by the rule of OVIC.

    Args:
        task: that judges.
        answers: to each example, in the order in which they were run.
        times: (examples,) seconds that each took.
        budget: seconds of one example, above 0.

    Raises:
        InputError: a time is negative or no number, or the budget is out of range.
    """
    in_range("budget", budget, low=0, low_open=True)
    require_times(times)
    examples = len(answers)
    wall = wall_time(examples, budget)
    reached = reached_within(times, wall)
    missed = [None] * (examples - reached)
    score = task.judge([*answers[:reached], *missed])
    on_reached = math.nan
    if reached:
        on_reached = task.judge(answers[:reached]).value
    longer = max(total_time(times), wall)
    return WallTimeScore(
        budget=budget,
        score=score,
        reached=reached,
        examples=examples,
        accuracy_on_reached=on_reached,
        accuracy_per_second=on_reached / longer,
    )
