"""The one training loop: gradient descent that can be stopped anywhere and goes on from there."""

import math
import os
import time
from collections.abc import Callable, Mapping
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

_SAVE_SECONDS = 60.0
_MEMORY = 0.98  # of the running mean of the loss


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        epochs: passes over the data; parts of one are allowed.
        batch: examples in a step.
        rate: highest learning rate; it rises over the first part of the run and falls to nothing (Smith, arXiv 1708.07120).
        rise: that part.
        momentum: of Nesterov's kind.
        decay: weight decay of convolutions and linear layers.
        clip: largest length of all gradients together; 0: any.
        optimiser: ``sgd``, or ``adam`` (Loshchilov and Hutter, arXiv 1711.05101), for tables of which a step touches few rows.

    Raises:
        InputError: names the value that is wrong.
    """

    epochs: float
    batch: int = 256
    rate: float = 0.2
    rise: float = 0.2
    momentum: float = 0.9
    decay: float = 5e-4
    clip: float = 0.0
    optimiser: str = "sgd"

    def __post_init__(self) -> None:
        in_range("epochs", self.epochs, low=0)
        whole_in_range("batch", self.batch, low=1)
        in_range("rate", self.rate, low=0, low_open=True)
        in_range("rise", self.rise, low=0, high=1, high_open=True)
        in_range("momentum", self.momentum, low=0, high=1, high_open=True)
        in_range("decay", self.decay, low=0)
        in_range("clip", self.clip, low=0)
        if self.optimiser not in ("sgd", "adam"):
            raise InputError(f"no optimiser {self.optimiser!r}: expected sgd or adam")

    def rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate of a step."""
        done = (step + 1) / (steps + 1)
        if done < self.rise:
            return self.rate * (0.05 + 0.95 * done / self.rise)
        return self.rate * 0.5 * (1 + math.cos(math.pi * (done - self.rise) / (1 - self.rise)))


def fit(
    network: nn.Module,
    take_step: Callable[[int], float],
    schedule: Schedule,
    steps: int,
    *,
    save: Path | None = None,
    report: Report = lambda step, steps, loss: None,
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
        save: file to go on from; it holds one state, the last. Written each minute, at the end, and when Ctrl-C or SIGTERM
            stops the run: they wait until the step is done. A second one comes at once, and then nothing is written.
        report: called after each step, and before the first one of a run that goes on, since an interrupt may have cut off
            what was to be done after the last one.
        seed: of whatever is random inside the network.
        after: called after each step, to put constraints on weights.
        clock: seconds, to decide when to save.
        writes: whether it is this process that writes the file; of several that train together one does, and all go on from it.

    Returns:
        The running mean of the loss, at a hundred steps or fewer.

    Raises:
        InputError: the file is damaged, or holds a run of another schedule; it stays as it is.
        TrainingError: the loss is no longer a number; the last state that was saved stays.
    """
    optimiser = _optimiser(network, schedule)
    start, curve, mean = _resume(save, network, optimiser, schedule, steps)
    saved = clock()
    kept = start
    done = start
    is_whole = True
    try:
        if start:
            report(start, steps, mean)
        for step in range(start, steps):
            is_whole = False
            with uninterrupted(second=True):
                for group in optimiser.param_groups:
                    group["lr"] = schedule.rate_at(step, steps)
                torch.manual_seed(hash((seed, step)) % 2**63)
                optimiser.zero_grad(set_to_none=True)
                loss = take_step(step)
                if not math.isfinite(loss):
                    advice = f"lower the rate ({schedule.rate}), or look for broken data"
                    raise TrainingError(f"the loss is {loss} in step {step} of {steps}; {advice}")
                if schedule.clip:
                    nn.utils.clip_grad_norm_(network.parameters(), schedule.clip)
                optimiser.step()
                after()
                mean = loss if step == 0 else _MEMORY * mean + (1 - _MEMORY) * loss
                if step % max(1, steps // 100) == 0:
                    curve.append((step, round(mean, 5)))
                done = step + 1
                is_whole = True
            report(done, steps, mean)
            if save is not None and writes and (done == steps or clock() - saved > _SAVE_SECONDS):
                _keep(save, network, optimiser, schedule, steps, done, curve, mean)
                kept = done
                saved = clock()
    except KeyboardInterrupt:
        # Within a step the weights, their means and the optimiser are not those of one moment.
        if save is not None and writes and is_whole and done > kept:
            with uninterrupted():
                _keep(save, network, optimiser, schedule, steps, done, curve, mean)
        raise
    return curve


def _optimiser(network: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    groups = _parameters(network, schedule)
    if schedule.optimiser == "adam":
        return torch.optim.AdamW(groups, lr=1.0, betas=(schedule.momentum, 0.999))
    return torch.optim.SGD(groups, lr=1.0, momentum=schedule.momentum, nesterov=True)


def _parameters(network: nn.Module, schedule: Schedule) -> list[dict[str, Any]]:
    """Weights decay; what scales, shifts and biases does not."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": schedule.decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _plan(schedule: Schedule, steps: int) -> dict[str, Any]:
    return {**asdict(schedule), "steps": steps}


def _keep(
    path: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    steps: int,
    done: int,
    curve: list[tuple[int, float]],
    mean: float,
) -> None:
    state = {
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict() if done < steps else {},
        "plan": _plan(schedule, steps),
        "done": done,
        "curve": curve,
        "mean": mean,
    }
    save_state(path, state)


def _resume(
    path: Path | None,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    steps: int,
) -> tuple[int, list[tuple[int, float]], float]:
    state: Mapping[str, Any] | None = (
        load_state(path) if path is not None and os.path.exists(path) else None
    )
    if state is None:
        return 0, [], 0.0
    if state.get("plan") != _plan(schedule, steps):
        raise InputError(
            f"{path} holds a run of another schedule or length: delete it to begin again, or save elsewhere"
        )
    try:
        done = int(state["done"])
        mean = float(state["mean"])
        curve = [(int(step), float(loss)) for step, loss in state["curve"]]
        network.load_state_dict(state["network"])
        if state["optimiser"]:
            optimiser.load_state_dict(state["optimiser"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"{path} is damaged, or the state of another network: delete it to begin again ({error})"
        ) from error
    return done, curve, mean
