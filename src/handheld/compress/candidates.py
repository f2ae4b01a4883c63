"""Networks that might become members: how each is built, and the largest that fits a target by compiling and measuring it."""

import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import fx

from handheld.compress.family import Latency
from handheld.compress.measuring import Figures, Probe
from handheld.compress.targets import Target
from handheld.compress.training.supernet import narrow
from handheld.engine import compact
from handheld.errors import CompileError, InputError
from handheld.networks.pruning import CostKind, Masks, choose_units, ends, scores
from handheld.networks.structure import (
    Slim,
    channels_of,
    removable_blocks,
    slim,
    trace,
    with_shapes,
)
from handheld.networks.zoo.pictures import PictureShape, make

SHARING = ("nested", "sparse")
"""Kinds of members that share weights with the large network."""

_LEVELS = 24  # of a knob, to search among
_SURE = 0.8  # of a limit: an estimate below it, or as far above, needs no measuring
_SIZE_MARGIN, _LATENCY_MARGIN = 0.97, 0.9  # the finished file has a longer card, and timings spread
_WRONG = 0.2  # chance that a reading of the latency is on the wrong side of a limit
_CERTAIN = 0.99  # that a level is the highest that fits, when no more readings are taken
_MOST_READINGS = (
    50  # where two levels are on both sides of a limit by less than the noise, either will do
)


@dataclass(frozen=True)
class Candidate:
    """A network that could be made.

    Attributes:
        name: unique in the run; letters, digits and underscores.
        kind: nested, pruned, or a network's name.
        level: of its knob, 1 to 24: share of the widest.
        blocks: residual blocks that a nested network keeps; None: all.
        side: shorter side of its pictures.
        target: what it is for.
        met: whether its measured size and latency are within the target.
    """

    name: str
    kind: str
    level: int
    blocks: int | None
    side: int
    target: Target
    met: bool = True

    @property
    def share(self) -> float:
        """Share of the widest that it keeps."""
        return self.level / _LEVELS

    @property
    def spared(self) -> CostKind:
        """What pruning should save."""
        return "macs" if self.target.is_about_speed_alone else "parameters"

    @property
    def how(self) -> str:
        """Say what it is, in words."""
        if self.kind == "pruned":
            return f"teacher pruned to {self.share**2:.1%} of its {self.spared}"
        if self.kind not in SHARING:
            return f"{self.kind} network of its own, {student_width(self)} channels first"
        zeros = ", most weights zero" if self.kind == "sparse" else ""
        blocks = "" if self.blocks is None else f", {self.blocks} of its removable blocks"
        return (
            f"teacher's first {self.share:.0%} of channels{blocks}{zeros}, pictures of {self.side}"
        )


@dataclass(frozen=True, eq=False)
class Builder:
    """Builds candidates.

    Attributes:
        large: the traced network that nested candidates are part of.
        shape: of the data's pictures.
        classes: number of outputs.
        seed: of fresh weights.
        sparsity: share of zeros in the weights of sparse candidates.
    """

    large: fx.GraphModule
    shape: PictureShape
    classes: int
    seed: int
    sparsity: float = 0.8

    def build(self, candidate: Candidate) -> Slim:
        """Return a candidate, and what it takes from the large network; one of its own takes nothing."""
        example = self.example(candidate.side)
        if candidate.kind in SHARING:
            cut = narrow(self.large, example, width=candidate.share, blocks=candidate.blocks)
            if candidate.kind == "sparse":
                Masks.of(cut.network, self.sparsity, skip=ends(cut.network)).apply()
            return cut
        if candidate.kind == "pruned":
            return self.pruned(candidate)
        shape = PictureShape(self.shape.channels, *example.shape[2:])
        seed = self.seed + sum(candidate.name.encode())
        return Slim(
            trace(
                make(candidate.kind, shape, self.classes, student_width(candidate), seed=seed),
                example,
            ),
            {},
        )

    def pruned(self, candidate: Candidate) -> Slim:
        """Cut the large network by the importance of its weights."""
        network = with_shapes(self.large, self.example(candidate.side))
        channels = channels_of(network)
        importance = scores(network, channels, "l2")
        return slim(
            network,
            channels,
            choose_units(
                network, channels, importance, keep=candidate.share**2, of=candidate.spared
            ),
        )

    def takes(self, side: int) -> bool:
        """Whether the large network takes pictures of another side: one with learned positions does not."""
        try:
            with_shapes(deepcopy(self.large), self.example(side))
        except CompileError:
            return False
        return True

    def example(self, side: int) -> torch.Tensor:
        """Return two empty inputs whose shorter side is ``side``."""
        scale = side / min(self.shape.height, self.shape.width)
        return torch.zeros(
            2,
            self.shape.channels,
            round(self.shape.height * scale),
            round(self.shape.width * scale),
        )


def student_width(candidate: Candidate) -> int:
    """Channels of the first layer of a network of its own."""
    return 2 * candidate.level


def search(
    builder: Builder, probe: Probe, teacher: Figures, target: Target, name: str, *, variants: bool
) -> Iterator[Candidate]:
    """Yield, for each depth and resolution, the widest candidate that fits a target by measured size and latency.

    A target that none fits yields one that is marked as not met: the smallest, where the size is out of reach; where the
    latency is, the widest within the size of those that are as fast as the fastest.
    """
    side = min(builder.shape.height, builder.shape.width)
    first = Candidate(name, target.kind, _LEVELS, None, side, target)
    options = [first]
    if target.kind == "nested" and variants:
        if removable_blocks(builder.large):
            options.append(replace(first, name=f"{name}_shallow", blocks=0))
        smaller = _smaller(side)
        if side >= 20 and builder.takes(smaller):
            options.append(replace(first, name=f"{name}_small", side=smaller))
    for option in options:
        yield widest(option, builder, probe, teacher)


def _smaller(side: int) -> int:
    return 4 * round(0.75 * side / 4)


def require_found(candidates: Sequence[Candidate], targets: Sequence[Target], side: int) -> None:
    """Refuse candidates that :func:`search` cannot have found, such as those of a file that somebody changed.

    Args:
        candidates: that are said to be found.
        targets: of the run.
        side: shorter side of its pictures.

    Raises:
        InputError: names the candidate that is wrong, or says that they are those of other targets.
    """
    for one in candidates:
        is_named = re.fullmatch(r"\w+", one.name, re.ASCII) is not None  # files are named after it
        is_built = (
            one.kind == one.target.kind and 1 <= one.level <= _LEVELS and (one.blocks or 0) >= 0
        )
        if not (is_named and is_built and one.side in (side, _smaller(side))):
            raise InputError(f"{one} is no candidate of this run")
    if len({one.name for one in candidates}) < len(candidates) or {
        one.target for one in candidates
    } != set(targets):
        raise InputError("its candidates are not those of the run's targets")


def widest(candidate: Candidate, builder: Builder, probe: Probe, teacher: Figures) -> Candidate:
    """Return a candidate at the highest level that keeps the limits of its target; see :func:`search`."""
    size = candidate.target.max_size(teacher)
    latency = candidate.target.max_latency(teacher)

    def at(level: int) -> Candidate:
        return replace(candidate, level=level)

    highest = (
        _LEVELS
        if size is None
        else bisect(_LEVELS, lambda level: size_fits(at(level), builder, probe, size))
    )
    if highest == 0:
        return replace(candidate, level=1, met=False)
    if latency is None:
        return at(highest)
    readings: dict[int, list[Latency]] = {}

    @cache
    def file(level: int) -> bytes:
        return probe.file(builder.build(at(level)).network, candidate.side)

    def read(level: int) -> Latency:
        reading = probe.latency(file(level))
        readings.setdefault(level, []).append(reading)
        return reading

    level = noisy_bisect(highest, lambda level: read(level).median <= _LATENCY_MARGIN * latency)
    if level > 0:
        return at(level)
    fastest = sorted(readings[1], key=lambda one: one.median)[len(readings[1]) // 2]
    level = noisy_bisect(highest, lambda level: not fastest.clearly_below(read(level)))
    return replace(candidate, level=max(level, 1), met=False)


def bisect(highest: int, fits: Callable[[int], bool]) -> int:
    """Return the highest level from 1 on that fits, where all below it do; 0 if none does."""
    low, high = 0, highest
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low


def noisy_bisect(highest: int, fits: Callable[[int], bool]) -> int:
    """Return the highest level from 1 on that fits, where an answer may be wrong; 0 if none does.

    Probabilistic bisection (Horstein, "Sequential transmission using noiseless feedback", 1963): each answer makes the
    levels that it speaks for likelier, the next question divides what is likely in half, and one level must stand out in
    the end. So both sides of it were asked again and again, and a slow moment of the machine is outvoted.

    Args:
        highest: level; 1 or more.
        fits: whether a level fits; where it does, most answers for all below it say so too.
    """
    belief = np.full(highest + 1, 1 / (highest + 1))  # that a level is the highest that fits
    for _ in range(_MOST_READINGS):
        if belief.max() > _CERTAIN:
            break
        reached = belief[::-1].cumsum()[::-1]  # that the highest that fits is this level or above
        level = 1 + int(np.abs(reached[1:] - 0.5).argmin())
        right, wrong = (1 - _WRONG, _WRONG) if fits(level) else (_WRONG, 1 - _WRONG)
        belief[level:] *= right
        belief[:level] *= wrong
        belief /= belief.sum()
    return int(belief.argmax())


def size_fits(candidate: Candidate, builder: Builder, probe: Probe, size: float) -> bool:
    """Whether a candidate's file has at most so many bytes; it is not compiled where an estimate leaves no doubt."""
    network = builder.build(candidate).network
    is_sparse = candidate.kind == "sparse"  # then only the stored file tells
    ratio = 1.0 if is_sparse else probe.estimate(network, candidate.side) / size
    if not _SURE <= ratio <= 1 / _SURE:
        return ratio < 1
    file = probe.file(network, candidate.side)
    return len(compact(file) if is_sparse else file) <= _SIZE_MARGIN * size


def ladder(count: int, allows: Callable[[str], bool] = lambda kind: True) -> tuple[Target, ...]:
    """Return targets for so many members of allowed kinds: each half of the one before, and from three on others too.

    Raises:
        InputError: for fewer than one, or if no kind is allowed that could make them.
    """
    first = next(filter(allows, ("nested", "plain", "pruned")), None)
    if count < 1 or first is None:
        raise InputError(
            f"expected one member or more, and techniques that can make them, got {count}"
        )
    others = (
        [Target(smaller=64.0, kind="plain"), Target(smaller=16.0, kind="pruned")]
        if count > 2
        else []
    )
    others = [target for target in others if allows(target.kind) and target.kind != first]
    return (
        *(Target(smaller=8.0 * 2**step, kind=first) for step in range(count - len(others))),
        *others,
    )
