"""A whole family in one run: each step teaches the large network, and with its soft labels some
members.

The sandwich rule (Yu & Huang, "Universally Slimmable Networks", arXiv 1903.05134): the largest and
the smallest learn in each step, of those between one takes its turn. Members learn from the first
part of a batch only, so that all of them together cost no more than a given share of the large
network's step.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import nn

from handheld.compress.pictures.training.batches import Batch, PictureBatches
from handheld.compress.pictures.training.supernet import Nested
from handheld.networks.structure.layers import last_linear
from handheld.ranges import in_range
from handheld.training import Distillation, autocast, student_loss

_FEWEST_ROWS = 16  # of a batch: batch normalisation needs some


@dataclass(frozen=True)
class Sandwich:
    """Who learns in which step, and from how many examples.

    Attributes:
        always: the smallest member.
        turns: the others, one a step.
        rows: of each, from the start of the batch.
    """

    always: str
    turns: tuple[str, ...]
    rows: Mapping[str, int]

    def learners(self, step: int) -> tuple[str, ...]:
        """Names of the members that learn in a step."""
        names = []
        if self.always:
            names.append(self.always)
        if self.turns:
            names.append(self.turns[step % len(self.turns)])
        return tuple(names)


def sandwich(costs: Mapping[str, float], largest: float, batch: int, budget: float) -> Sandwich:
    """Share out what members may cost.

    Args:
        costs: of one example, for each member, in the unit of ``largest``.
        largest: cost of one example for the large network.
        batch: examples in a step.
        budget: share of the large network's cost that all members of a step may take together,
            above 0.

    Raises:
        InputError: a budget that is not above 0.
    """
    in_range("budget", budget, low=0, low_open=True)
    if not costs:
        return Sandwich("", (), {})
    smallest, *others = sorted(costs, key=lambda name: (costs[name], name))
    # Two learn in a step, if there are two: the smallest, and another.
    learners = min(2, len(costs))
    allowance = budget * largest * batch / learners
    rows = {
        name: int(min(batch, max(_FEWEST_ROWS, allowance // cost))) for name, cost in costs.items()
    }
    return Sandwich(smallest, tuple(reversed(others)), rows)


class Together(nn.Module):
    """The large network and all members, as one module to train and to save.

    Args:
        large: network that members learn from.
        members: by name.
        shared: network whose weights nested members are slices of, where the large one must stay as
            it is; None: the large network, which learns along.
    """

    def __init__(
        self, large: nn.Module, members: Mapping[str, nn.Module], *, shared: nn.Module | None = None
    ):
        super().__init__()
        self.large = large
        self.members = nn.ModuleDict(members)
        self.shared = shared

    @property
    def trains_large(self) -> bool:
        """Whether the large network learns along."""
        return self.shared is None


class BatchSource(Protocol):
    """Gives the batch of a step: ``PictureBatches``, or the part of it that one of several
    processes learns from.
    """

    size: int

    def at(self, step: int) -> Batch:
        """Return the batch of a step, counted from 0."""


@dataclass(frozen=True, eq=False)
class JointStep:
    """What a joint run does in each step, as a value that another process can be given.

    Members learn from their teacher: the large network, or the answerer above it, from which the
    large network learns too.

    Attributes:
        together: all that learn.
        batches: to learn from.
        who: learns, and from how many examples.
        how: members learn.
        answerer: a teacher that is only read.
        head_only: steps at the start in which nothing but the large network's last layer and the
            members' own learns.
    """

    together: Together
    batches: BatchSource
    who: Sandwich
    how: Distillation
    answerer: Callable[[torch.Tensor], torch.Tensor] | None = None
    head_only: int = 0

    def __call__(self, step: int) -> float:
        """Compute the gradients of a step.

        Args:
            step: counted from 0.

        Returns:
            The loss of the large network, or that of the smallest member if the large one is
            fixed.
        """
        together = self.together
        batch = self.batches.at(step)
        answers = None
        if self.answerer is not None:
            answers = self.answerer(batch.inputs)
        # a large network that is fixed needs no graph for gradients
        with torch.set_grad_enabled(together.trains_large):
            with autocast(batch.inputs.device):
                logits = together.large(batch.inputs).float()
            loss = student_loss(logits, batch.labels, answers, self.how)
        if together.trains_large:
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        soft = answers
        if soft is None:
            # detached: the large network is not taught to be easy to follow
            soft = logits.detach()
        # each with a backward pass of its own, into the same gradients: memory holds one graph
        for name in self.who.learners(step):
            member_loss = self._teach(name, batch, soft)
            if not together.trains_large and name == self.who.always:
                loss = member_loss
        if step < self.head_only:
            self._keep_body()
        return float(loss.detach())

    def _teach(self, name: str, batch: Batch, soft: torch.Tensor) -> torch.Tensor:
        """Compute the gradients of one member from soft labels; return its loss."""
        member = self.together.members[name]
        rows = slice(0, self.who.rows[name])
        with autocast(batch.inputs.device):
            logits = member(batch.inputs[rows]).float()
        loss = student_loss(logits, batch.labels[rows], soft[rows], self.how)
        weight = _weight(member, len(logits) / len(batch.labels))
        (loss * weight).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss

    def _keep_body(self) -> None:
        """Drop the gradients of all of the large network but its last layer."""
        head = {id(parameter) for parameter in last_linear(self.together.large).parameters()}
        for parameter in self.together.large.parameters():
            if id(parameter) not in head:
                parameter.grad = None


def _weight(member: nn.Module, share: float) -> float:
    """What a member's loss counts: in shared weights, an example as much as one of the large
    network's, which are more.
    """
    if isinstance(member, Nested):
        return share
    return 1.0


def alone_step(
    network: nn.Module, batches: BatchSource, distillation: Distillation, step: int
) -> float:
    """Compute the gradients of one step of one network that learns from labels."""
    batch = batches.at(step)
    with autocast(batch.inputs.device):
        logits = network(batch.inputs)
    loss = student_loss(logits.float(), batch.labels, None, distillation)
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return float(loss.detach())


def recalibrate(network: nn.Module, batches: PictureBatches, steps: Sequence[int]) -> None:
    """Measure the statistics of batch normalisation anew, as plain means over some batches."""
    norms = [
        layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
    ]
    # without a momentum torch takes the mean over all batches that it sees
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None
    # in training mode alone statistics are measured; without gradients nothing else changes
    network.train()
    with torch.inference_mode():
        for step in steps:
            network(batches.at(step).inputs)
    network.eval()
    # as it was, since the network may learn on
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


def time_ratio(
    step: JointStep, pairs: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the time of a joint step over that of a step of the large network alone, nothing being
    learned.

    Args:
        step: of the run; its networks are copied.
        pairs: of steps, one of each kind in turns; the median of each counts, after each member's
            first turn.
        clock: seconds.
    """
    # copies, whose gradients and statistics nobody misses
    joint = replace(step, together=deepcopy(step.together))
    alone = deepcopy(step.together.large)
    times: list[tuple[float, float]] = []
    # the first step of a network allocates, and each member has its turn once
    warm_up = len(step.who.turns) + 1
    for number in range(pairs + warm_up):
        joint.together.zero_grad(set_to_none=True)
        alone.zero_grad(set_to_none=True)
        started = clock()
        alone_step(alone, step.batches, step.how, number)
        between = clock()
        joint(number)
        times.append((between - started, clock() - between))
    alone_median, joint_median = np.median(np.array(times[warm_up:]), axis=0)
    return float(joint_median / alone_median)
