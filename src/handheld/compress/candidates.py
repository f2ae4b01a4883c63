"""Networks that might become members: how each is built, and the largest that fits a target by compiling and measuring it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import fx

from handheld.compress.measuring import Figures, Probe
from handheld.compress.networks import PictureShape, make
from handheld.compress.pruning import CostKind, Masks, choose_units, ends, scores
from handheld.compress.structure import Slim, channels_of, removable_blocks, slim, trace, with_shapes
from handheld.compress.targets import Target
from handheld.compress.training.supernet import narrow
from handheld.engine import compact
from handheld.errors import InputError

SHARING = ("nested", "sparse")
"""Kinds of members that share weights with the large network."""

_LEVELS = 24  # of a knob, to search among
_SURE = 0.8  # of a limit: an estimate below it, or as far above, needs no measuring
_SIZE_MARGIN, _LATENCY_MARGIN = 0.97, 0.9  # the finished file has a longer card, and timings spread


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
        return f"teacher's first {self.share:.0%} of channels{blocks}{zeros}, pictures of {self.side}"


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
        return Slim(trace(make(candidate.kind, shape, self.classes, student_width(candidate), seed=seed), example), {})

    def pruned(self, candidate: Candidate) -> Slim:
        """Cut the large network by the importance of its weights."""
        network = with_shapes(self.large, self.example(candidate.side))
        channels = channels_of(network)
        importance = scores(network, channels, "l2")
        return slim(
            network, channels, choose_units(network, channels, importance, keep=candidate.share**2, of=candidate.spared)
        )

    def example(self, side: int) -> torch.Tensor:
        """Return two empty inputs whose shorter side is ``side``."""
        scale = side / min(self.shape.height, self.shape.width)
        return torch.zeros(2, self.shape.channels, round(self.shape.height * scale), round(self.shape.width * scale))


def student_width(candidate: Candidate) -> int:
    """Channels of the first layer of a network of its own."""
    return 2 * candidate.level


def search(
    builder: Builder, probe: Probe, teacher: Figures, target: Target, name: str, *, variants: bool
) -> Iterator[Candidate]:
    """Yield, for each depth and resolution, the widest candidate that fits a target by measured size and latency.

    A target that even the smallest does not fit yields the smallest, marked as not met.
    """
    side = min(builder.shape.height, builder.shape.width)
    first = Candidate(name, target.kind, _LEVELS, None, side, target)
    options = [first]
    if target.kind == "nested" and variants:
        if removable_blocks(builder.large):
            options.append(replace(first, name=f"{name}_shallow", blocks=0))
        if side >= 20:
            options.append(replace(first, name=f"{name}_small", side=4 * round(0.75 * side / 4)))
    for option in options:
        yield widest(option, lambda candidate: target_fits(builder, probe, teacher, candidate))


def widest(candidate: Candidate, fits: Callable[[Candidate], bool]) -> Candidate:
    """Return a candidate at the highest level that fits, by bisection; at level 1, marked as not met, if none does."""
    low, high = 0, _LEVELS
    while low < high:
        middle = (low + high + 1) // 2
        if fits(replace(candidate, level=middle)):
            low = middle
        else:
            high = middle - 1
    return replace(candidate, level=max(low, 1), met=low > 0)


def target_fits(builder: Builder, probe: Probe, teacher: Figures, candidate: Candidate) -> bool:
    """Whether a candidate's compiled file keeps the limits; it is not compiled where its size alone leaves no doubt."""
    target, network = candidate.target, builder.build(candidate).network
    size, latency = target.max_size(teacher), target.max_latency(teacher)
    is_sparse = candidate.kind == "sparse"  # then only the stored file tells
    ratio = 1.0 if size is None or is_sparse else probe.estimate(network) / size
    if ratio > 1 / _SURE or (ratio < _SURE and latency is None):
        return ratio < 1
    figures = probe.figures(network, candidate.side, stored=compact if is_sparse else bytes)
    return (size is None or figures.size <= _SIZE_MARGIN * size) and (
        latency is None or figures.latency.median <= _LATENCY_MARGIN * latency
    )


def ladder(count: int, allows: Callable[[str], bool] = lambda kind: True) -> tuple[Target, ...]:
    """Return targets for so many members of allowed kinds: each half of the one before, and from three on others too.

    Raises:
        InputError: for fewer than one, or if no kind is allowed that could make them.
    """
    first = next(filter(allows, ("nested", "plain", "pruned")), None)
    if count < 1 or first is None:
        raise InputError(f"expected one member or more, and techniques that can make them, got {count}")
    others = [Target(smaller=64.0, kind="plain"), Target(smaller=16.0, kind="pruned")] if count > 2 else []
    others = [target for target in others if allows(target.kind) and target.kind != first]
    return (*(Target(smaller=8.0 * 2**step, kind=first) for step in range(count - len(others))), *others)
