"""Networks that might become members, and how each is built."""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import fx

from handheld.compress.pictures.preparation import empty_inputs
from handheld.compress.pictures.training.supernet import narrow
from handheld.compress.targets import Target
from handheld.errors import CompileError
from handheld.networks.pruning import CostKind, Masks, choose_units, ends, scores
from handheld.networks.structure import Slim, channels_of, slim, trace, with_shapes
from handheld.networks.zoo.pictures import PictureShape, make

SHARING = ("nested", "sparse")
"""Kinds of members that share weights with the large network."""

LEVELS = 24
"""Of a knob, to search among: steps of 4 % of the channels."""


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
    def shares_weights(self) -> bool:
        """Whether it shares weights with the large network."""
        return self.kind in SHARING

    @property
    def share(self) -> float:
        """Share of the widest that it keeps."""
        return self.level / LEVELS

    @property
    def kept_cost(self) -> float:
        """Share of the large network's cost that pruning leaves: channels count in and out."""
        return self.share**2

    @property
    def spared(self) -> CostKind:
        """What pruning should save."""
        if self.target.is_about_speed_alone:
            return "macs"
        # a file is nearly as large as its parameters are many
        return "parameters"

    @property
    def first_width(self) -> int:
        """Channels of the first layer of a network of its own."""
        return 2 * self.level

    @property
    def how(self) -> str:
        """Say what it is, in words."""
        if self.kind == "pruned":
            return f"teacher pruned to {self.kept_cost:.1%} of its {self.spared}"
        if not self.shares_weights:
            return f"{self.kind} network of its own, {self.first_width} channels first"
        zeros = ""
        if self.kind == "sparse":
            zeros = ", most weights zero"
        blocks = ""
        if self.blocks is not None:
            blocks = f", {self.blocks} of its removable blocks"
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
        """Return a candidate, and what it takes from the large network.

        One of its own takes nothing.
        """
        if candidate.shares_weights:
            return self._nested(candidate)
        if candidate.kind == "pruned":
            return self._pruned(candidate)
        shape = self.shape.at_side(candidate.side)
        # By its name, so that two candidates of one kind begin with other weights.
        seed = self.seed + sum(candidate.name.encode())
        network = make(candidate.kind, shape, self.classes, candidate.first_width, seed=seed)
        return Slim(trace(network, empty_inputs(shape)), {})

    def _nested(self, candidate: Candidate) -> Slim:
        example = self.example(candidate.side)
        cut = narrow(self.large, example, width=candidate.share, blocks=candidate.blocks)
        if candidate.kind == "sparse":
            # not the first and the last layer: they are small, and what they lose nothing regains
            Masks.of(cut.network, self.sparsity, skip=ends(cut.network)).apply()
        return cut

    def _pruned(self, candidate: Candidate) -> Slim:
        """Cut the large network by the importance of its weights."""
        network = with_shapes(self.large, self.example(candidate.side))
        channels = channels_of(network)
        units = choose_units(
            network,
            channels,
            scores(network, channels, "l2"),
            keep=candidate.kept_cost,
            of=candidate.spared,
        )
        return slim(network, channels, units)

    def takes(self, side: int) -> bool:
        """Whether the large network takes pictures of another side.

        One with learned positions does not.
        """
        try:
            # a copy: the shapes are written into the graph
            with_shapes(deepcopy(self.large), self.example(side))
        except CompileError:
            return False
        return True

    def example(self, side: int) -> torch.Tensor:
        """Return two empty inputs whose shorter side is ``side``."""
        return empty_inputs(self.shape.at_side(side))
