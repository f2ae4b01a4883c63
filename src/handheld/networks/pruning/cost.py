"""What a network costs as a function of the units that stay, without cutting it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import fx

from handheld.errors import InputError
from handheld.networks.structure import Channels, example_of, macs, products_of
from handheld.networks.structure.layers import Normalisation
from handheld.networks.structure.variables import Axes, Ids

CostKind = Literal["macs", "parameters", "size"]
Term = tuple[float, tuple[Ids, ...]]
"""The cost of one pair of channels, and the units along each axis."""


@dataclass(frozen=True, eq=False)
class NetworkCost:
    """A sum of products: each layer's cost is so much for each pair of a channel that it makes and
    one that it reads.

    Attributes:
        units: number of units of the network.
        terms: of each, the cost of one pair, and the units along each axis.
    """

    units: int
    terms: tuple[Term, ...]

    def of(self, gone: Ids) -> float:
        """Cost without some units, exactly that of the network after cutting them."""
        stays = np.ones(self.units, bool)
        stays[gone] = False
        # One by one and in order: sums of floats depend on it, and a goal is compared with them.
        total = 0.0
        for cost, axes in self.terms:
            total += cost * float(np.prod([stays[ids].sum() for ids in axes]))
        return total

    @property
    def total(self) -> float:
        """Cost of the network as it is."""
        return self.of(np.empty(0, np.int64))

    def of_each(self) -> NDArray[np.float64]:
        """(units,) how much the cost falls when this unit alone goes."""
        falls = np.zeros(self.units)
        for cost, axes in self.terms:
            lengths = [float(len(ids)) for ids in axes]
            # (axes, units) how long each axis is without the unit.
            without = [len(ids) - np.bincount(ids, minlength=self.units) for ids in axes]
            pairs = np.prod(without, axis=0, dtype=float)
            falls += cost * (np.prod(lengths) - pairs)
        return falls


def cost_of(network: fx.GraphModule, channels: Channels, of: CostKind) -> NetworkCost:
    """Return the cost of a network.

    Args:
        network: with shapes.
        channels: of it.
        of: ``macs`` of one example, ``parameters``, or ``size``: the numbers in a compiled file,
            where batch normalisation is folded into the layer before it and each such layer has a
            bias.
    """
    if of not in _TERMS:
        raise InputError(f"no cost {of!r}: expected {', '.join(_TERMS)}")
    return NetworkCost(channels.count, tuple(_TERMS[of](network, channels)))


def _macs(network: fx.GraphModule, channels: Channels) -> Iterator[Term]:
    layers = {name for name, _ in network.named_modules()}
    for name, operations in macs(network).items():
        # Products are counted below, once for each of an attention's two.
        if name in layers:
            yield _term(channels.axes.get(f"{name}.weight", ()), operations)
    batch = example_of(network).shape[0]
    for node in network.graph.nodes:
        for operations, axes in _products(node, channels):
            yield _term(axes, operations / batch)


def _products(node: fx.Node, channels: Channels) -> Iterator[tuple[int, Axes]]:
    """Yield what each product of a node costs, and the channels that it multiplies out."""
    operations = products_of(node)
    # Of no known channels a product costs the same whatever goes.
    unknown: tuple[Axes, ...] = ((),) * len(operations)
    axes = channels.products.get(node.name, unknown)
    return zip(operations, axes, strict=True)


def _parameters(network: fx.GraphModule, channels: Channels) -> Iterator[Term]:
    for name, parameter in network.named_parameters():
        yield _term(channels.axes.get(name, ()), parameter.numel())


def _size(network: fx.GraphModule, channels: Channels) -> Iterator[Term]:
    for name, parameter in network.named_parameters():
        owner, _, attribute = name.rpartition(".")
        # Biases are counted below: in the file each layer that makes channels has one.
        is_bias = owner in channels.made and attribute == "bias"
        if not is_bias and not isinstance(network.get_submodule(owner), Normalisation):
            yield _term(channels.axes.get(name, ()), parameter.numel())
    for units in channels.made.values():
        yield 1.0, (units,)


def _term(axes: Axes, total: float) -> Term:
    held = tuple(ids for ids in axes if ids is not None)
    # Of no axes with channels the product is 1: the cost is always the same.
    pairs = float(np.prod([len(ids) for ids in held]))
    return total / pairs, held


_TERMS: Mapping[str, Callable[[fx.GraphModule, Channels], Iterator[Term]]] = {
    "macs": _macs,
    "parameters": _parameters,
    "size": _size,
}
