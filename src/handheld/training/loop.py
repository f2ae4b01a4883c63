"""The one training loop: gradient descent that can be stopped anywhere and goes on from there."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from handheld.errors import InputError, TrainingError
from handheld.files import uninterrupted
from handheld.ranges import in_range, whole_in_range
from handheld.training.state import load_state, save_state

Report = Callable[[int, int, float], None]
"""Called with the step, the number of steps and the loss."""

_SAVE_SECONDS = 60.0  # as much work is lost at most when a run is killed
_MEMORY = 0.98  # of the running mean of the loss: about the last fifty steps
_CURVE_POINTS = 100  # more cannot be told apart in a chart

# The rate of the first step, as a share of the highest: from 0 the first steps would be lost.
_FIRST_RATE = 0.05

_ADAM_BETA2 = 0.999  # of the squares of gradients, as in the paper; ``momentum`` is the other beta


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        epochs: passes over the data; parts of one are allowed.
        batch: examples in a step.
        rate: highest learning rate; it rises during the warmup and falls to nothing
            (Smith, arXiv 1708.07120).
        warmup: share of the run, in [0, 1).
        momentum: of Nesterov's kind, in [0, 1).
        decay: weight decay of convolutions and linear layers.
        clip: largest length of all gradients together; 0: any.
        optimiser: ``sgd``, or ``adam`` (Loshchilov and Hutter, arXiv 1711.05101), for tables of
            which a step touches few rows.

    Raises:
        InputError: names the value that is wrong.
    """

    epochs: float
    batch: int = 256
    rate: float = 0.2
    warmup: float = 0.2
    momentum: float = 0.9
    decay: float = 5e-4
    clip: float = 0.0
    optimiser: str = "sgd"

    def __post_init__(self) -> None:
        in_range("epochs", self.epochs, low=0)
        whole_in_range("batch", self.batch, low=1)
        in_range("rate", self.rate, low=0, low_open=True)
        in_range("warmup", self.warmup, low=0, high=1, high_open=True)
        in_range("momentum", self.momentum, low=0, high=1, high_open=True)
        in_range("decay", self.decay, low=0)
        in_range("clip", self.clip, low=0)
        if self.optimiser not in ("sgd", "adam"):
            raise InputError(f"optimiser: expected sgd or adam, got {self.optimiser!r}")

    def rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate of a step."""
        # of one step more, so that the last one has a rate above 0
        done = (step + 1) / (steps + 1)
        if done < self.warmup:
            return self.rate * (_FIRST_RATE + (1 - _FIRST_RATE) * done / self.warmup)
        fallen = (done - self.warmup) / (1 - self.warmup)
        return self.rate * 0.5 * (1 + math.cos(math.pi * fallen))


def _unheard(step: int, steps: int, loss: float) -> None:
    """Tell nobody of a step."""


@dataclass(frozen=True)
class FitRun:
    """How a training is seeded, kept and told, as one function hands it on to the next.

    Attributes:
        seed: of weights, order, dropout and whatever else is random.
        save: file to go on from; None: nothing is kept.
        report: called after each step.
    """

    seed: int = 0
    save: Path | None = None
    report: Report = _unheard


def fit(  # noqa: PLR0913  # what FitRun holds, and more
    network: nn.Module,
    take_step: Callable[[int], float],
    schedule: Schedule,
    steps: int,
    *,
    save: Path | None = None,
    report: Report = _unheard,
    seed: int = 0,
    after: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
    writes: bool = True,
) -> list[tuple[int, float]]:
    """Train everything inside ``network``.

    Args:
        network: holds all parameters and buffers that change.
        take_step: computes the gradients of a step, given its number, and returns its loss.
        schedule: of the learning rate.
        steps: to take in all.
        save: file to go on from; it holds one state, the last. Written each minute, at the end, and
            when Ctrl-C or SIGTERM stops the run: they wait until the step is done. A second one
            comes at once, and then nothing is written.
        report: called after each step, and before the first one of a run that goes on.
        seed: of whatever is random inside the network, such as dropout.
        after: called after each step, to put constraints on weights.
        clock: seconds, to decide when to save.
        writes: whether it is this process that writes the file; of several that train together one
            does, and all go on from it.

    Returns:
        The running mean of the loss, at a hundred steps or fewer.

    Raises:
        InputError: the file is damaged, or holds a run of another schedule; it stays as it is.
        TrainingError: the loss is no longer a number; the last state that was saved stays.
    """
    state = _LoopState(network, schedule, steps)
    if save is not None and os.path.exists(save):
        state.resume(save)
    if not writes:
        save = None
    saver = _Saver(save, state, clock)
    is_whole = True
    try:
        # An interrupt may have cut off what was to be done after the last step.
        if 0 < state.done < steps:
            report(state.done, steps, state.mean)
        for step in range(state.done, steps):
            is_whole = False
            with uninterrupted(second=True):
                # A seed for each step: a run that goes on draws what one that never stopped would.
                torch.manual_seed(hash((seed, step)) % 2**63)
                state.take(step, take_step, schedule)
                after()
                is_whole = True
            report(step + 1, steps, state.mean)
            saver.save_if_due()
        if not steps:
            # What it started from is its state.
            saver.save_if_due()
    except KeyboardInterrupt:
        # Within a step the weights, their means and the optimiser are not those of one moment.
        if is_whole:
            saver.save_if_new()
        raise
    return state.curve


class _LoopState:
    """All that changes while a network learns.

    Attributes:
        done: steps that were taken.
        mean: running mean of the loss.
        curve: that mean by step.
        optimiser: of the network's parameters.
    """

    def __init__(self, network: nn.Module, schedule: Schedule, steps: int):
        self.done = 0
        self.mean = 0.0
        self.curve: list[tuple[int, float]] = []
        self.optimiser = _optimiser(network, schedule)
        self._network = network
        self._steps = steps
        self._plan = {**asdict(schedule), "steps": steps}

    @property
    def is_over(self) -> bool:
        """Whether all steps were taken."""
        return self.done == self._steps

    def take(self, step: int, take_step: Callable[[int], float], schedule: Schedule) -> None:
        """Take a step. Raises :class:`TrainingError` where its loss is no number."""
        for group in self.optimiser.param_groups:
            group["lr"] = schedule.rate_at(step, self._steps)
        self.optimiser.zero_grad(set_to_none=True)
        loss = take_step(step)
        # Before the step: the weights that were saved are still good.
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} in step {step} of {self._steps}; lower the rate "
                f"({schedule.rate}), or look for broken data"
            )
        if schedule.clip:
            # All together, so that their direction stays.
            nn.utils.clip_grad_norm_(self._network.parameters(), schedule.clip)
        self.optimiser.step()
        self._record(step, loss)

    def _record(self, step: int, loss: float) -> None:
        self.done = step + 1
        if step == 0:
            # not from 0: the mean would take fifty steps to come near
            self.mean = loss
        else:
            self.mean = _MEMORY * self.mean + (1 - _MEMORY) * loss
        if step % max(1, self._steps // _CURVE_POINTS) == 0:
            self.curve.append((step, round(self.mean, 5)))

    def save(self, path: Path) -> None:
        """Write the state; without the optimiser's at the end, which nothing goes on from."""
        optimiser: dict[str, Any] = {}
        if not self.is_over:
            optimiser = self.optimiser.state_dict()
        state = {
            "network": self._network.state_dict(),
            "optimiser": optimiser,
            "plan": self._plan,
            "done": self.done,
            "curve": self.curve,
            "mean": self.mean,
        }
        save_state(path, state)

    def resume(self, path: Path) -> None:
        """Go on from a file.

        Raises :class:`InputError` for one of another run, or a damaged one.
        """
        state = load_state(path)
        # The rate of a step depends on how many there are, so a longer run is another run.
        if state.get("plan") != self._plan:
            raise InputError(
                f"{path} holds a run of another schedule or length: delete it to begin again, or "
                "save elsewhere"
            )
        try:
            self.done = int(state["done"])
            self.mean = float(state["mean"])
            self.curve = [(int(step), float(loss)) for step, loss in state["curve"]]
            self._network.load_state_dict(state["network"])
            if state["optimiser"]:
                self.optimiser.load_state_dict(state["optimiser"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise InputError(
                f"{path} is damaged, or the state of another network: delete it to begin again "
                f"({_first_cause(error)})"
            ) from error


def _first_cause(error: Exception) -> str:
    """Return an error in one line: torch names each of the weights that do not fit."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(lines[:2])


class _Saver:
    """Writes the state of a run now and then.

    Args:
        path: of the file; None: nothing is written.
        state: of the run.
        clock: seconds.
    """

    def __init__(self, path: Path | None, state: _LoopState, clock: Callable[[], float]):
        self._path = path
        self._state = state
        self._clock = clock
        self._saved_at = clock()
        self._kept = state.done

    def save_if_due(self) -> None:
        """Write the state at the end, or where the last one is a minute old."""
        is_due = self._state.is_over or self._clock() - self._saved_at > _SAVE_SECONDS
        if self._path is not None and is_due:
            self._state.save(self._path)
            self._kept = self._state.done
            self._saved_at = self._clock()

    def save_if_new(self) -> None:
        """Write the state where steps were taken since the last one."""
        if self._path is not None and self._state.done > self._kept:
            with uninterrupted():
                self._state.save(self._path)


def _optimiser(network: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """Return the optimiser; its rate, 1 here, is set before each step."""
    groups = _parameters(network, schedule)
    if schedule.optimiser == "adam":
        return torch.optim.AdamW(groups, lr=1.0, betas=(schedule.momentum, _ADAM_BETA2))
    # torch has no Nesterov step without momentum: it is the plain one.
    has_momentum = schedule.momentum > 0
    return torch.optim.SGD(groups, lr=1.0, momentum=schedule.momentum, nesterov=has_momentum)


def _parameters(network: nn.Module, schedule: Schedule) -> list[dict[str, Any]]:
    """Return groups of parameters: weights decay; what scales, shifts and biases does not."""
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in network.parameters():
        if not parameter.requires_grad:
            continue
        # what scales, shifts and biases has one axis
        if parameter.ndim > 1:
            decaying.append(parameter)
        else:
            others.append(parameter)
    return [
        {"params": decaying, "weight_decay": schedule.decay},
        {"params": others, "weight_decay": 0.0},
    ]
