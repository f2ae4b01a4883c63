"""The seam between the bench and what models are for.

A task gives inputs and judges outputs; the bench times what lies between. Other rooms bring tasks
of their own: anything with these members is one.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

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


class BenchTask(Protocol):
    """What models are to do."""

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

    def begin(self, model: Model, protocol: BenchProtocol) -> TaskSession:
        """Return how a model is given the examples, and what of its outputs is kept.

        Raises:
            ModelError: the model cannot do this task; says why.
        """

    def judge(self, answers: Sequence[Any]) -> MetricEstimate:
        """Return the metric over the first ``len(answers)`` examples.

        Args:
            answers: one or more, at most one for each example; None: it got no answer, and is
                wrong.
        """


def score_within(
    task: BenchTask, answers: Sequence[Any], times: NDArray[np.float64], budget: float
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
