"""How a run ends: with what came of it, or with what went wrong."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from handheld.errors import TrainingError
from handheld.federated.algorithms import ServerState
from handheld.federated.simulator.checkpoint import RoundFigures
from handheld.federated.simulator.plan import Plan

_PATIENCE = 3  # rounds: in one, with few devices, all may be broken by chance
_REASONS = {
    "no_examples": "had no examples",
    "not_finite": "were not finite",
    "shape": "had another shape than the model",
    "raised": "raised an error",
    "loss": "had a loss that is no finite number",
    "weight": "had no weight above 0",
    "stages": "could not pass the plan's stages",
}
# Of which what one device's says holds of all of them.
_SAME_FOR_ALL = ("raised", "stages", "shape")


@dataclass(frozen=True, eq=False)
class SimulationRun:
    """What came of a simulation.

    Attributes:
        state: the server's; ``state.weights`` and ``state.statistics`` are the model.
        rows: figures of each round: ``round``, ``asked``, ``answered``, ``gone``, ``late``,
            ``rejected``, ``given_up`` (1 where too few answered), ``bytes_up``, ``bytes_down``,
            simulated ``seconds`` since the run began, mean ``loss`` of devices while learning, and
            what the learner evaluates, such as ``test_loss`` and ``test_accuracy``. Of rejected
            updates also how many there were for each reason, such as ``rejected_not_finite``.
            ``clip_length`` and ``bound`` (the longest that one device adds to the sum) where
            updates are clipped. With noise there is ``epsilon`` or ``local_epsilon``,
            ``participations`` (rounds that the device took part in that did most often), and no
            ``loss``, which would tell of devices what noise hides.
        times: (users,) how often each device took part: sent an update, in time or not.
        rejected: why updates of the last rounds were not taken, by device: those that this process
            saw.
    """

    state: ServerState
    rows: tuple[RoundFigures, ...]
    times: NDArray[np.int32]
    rejected: dict[int, str]

    def first(self, metric: str, at_least: float) -> int | None:
        """Return the first round after which a figure was that good, None if it never was."""
        for row in self.rows:
            if row.get(metric, -math.inf) >= at_least:
                return int(row["round"])
        return None


class StoppedRunError(TrainingError):
    """A run cannot go on; the rounds before are kept.

    ``run`` is what came of it, that round included.
    """

    def __init__(self, message: str, run: SimulationRun | None = None) -> None:
        super().__init__(message)
        self.run = run


def problem_of(plan: Plan, rows: Sequence[RoundFigures], rejected: Mapping[int, str]) -> str:
    """Return why a run must not go on after its last round; nothing if it may.

    Args:
        plan: of the run.
        rows: of all rounds so far.
        rejected: why updates of the last one were not taken, by device.
    """
    return _loss_problem(rows[-1]) or _update_problem(plan, rows, rejected)


def _loss_problem(row: RoundFigures) -> str:
    for name, whose in (
        ("loss", "mean loss of its devices"),
        ("test_loss", "loss on the test's examples"),
    ):
        if not math.isfinite(row.get(name, 0.0)):
            return (
                f"round {row['round']:.0f}: the {whose} is {row[name]}, no finite number:"
                " take a lower rate, or clip updates"
            )
    return ""


def _update_problem(plan: Plan, rows: Sequence[RoundFigures], rejected: Mapping[int, str]) -> str:
    """Return why updates were refused, where too many rounds in a row took none."""
    number = int(rows[-1]["round"])
    in_vain = list(takewhile(_is_in_vain, reversed(rows)))
    is_last = number == plan.rounds
    if not in_vain or (len(in_vain) < _PATIENCE and not is_last):
        return ""
    why = ", ".join(reasons(in_vain))
    first = number - len(in_vain) + 1
    since = f"rounds {first} to {number}"
    if first == number:
        since = f"round {number}"
    text = f"{since}: not one update was taken; {why}"
    if any(rows[-1].get(f"rejected_{reason}") for reason in _SAME_FOR_ALL):
        # One error stands for all: devices run the same code, and the same stages.
        text += f" ({next(iter(rejected.values()))})"
    if "not finite" in why:
        text += ": take a lower rate, or clip updates"
    return text


def reasons(rows: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """Yield how many updates were not taken, and why, in words."""
    counts: Counter[str] = Counter()
    for row in rows:
        for name in _REASONS:
            counts[name] += int(row.get(f"rejected_{name}", 0))
    for name, count in (+counts).most_common():
        yield f"{count:,} {_REASONS[name]}"


def _is_in_vain(row: Mapping[str, float]) -> bool:
    """Whether devices answered and none could be taken; empty ones alone are nothing wrong."""
    # Empty devices are no error: a population may have many of them.
    rejected = row.get("rejected", 0)
    broken = rejected - row.get("rejected_no_examples", 0)
    taken = row["answered"]
    # Where noise promises something, a rejected update counts as an answer of zeros.
    if "participations" in row:
        taken -= rejected
    return taken <= 0 and broken > 0
