"""What torch's functions and methods do to channels: one table of rules, and the simplest of them."""

import operator
from collections.abc import Callable
from typing import Any

from torch import fx

from handheld.networks.structure import division, products, shapes
from handheld.networks.structure.arrangement import gated, shuffled, unfolded
from handheld.networks.structure.nodes import argument, rank_of, shape_of, spelled
from handheld.networks.structure.operands import all_joined, counts_channels, source_of
from handheld.networks.structure.variables import Axes, Walk

Rule = Callable[[Walk, fx.Node], Axes | None]

SUMS = spelled("add") | {operator.add, operator.iadd}
PRODUCTS = spelled("mul", "multiply") | {operator.mul, operator.imul}
CONCATENATIONS = spelled("cat", "concat", "concatenate")


def operator_axes(walk: Walk, node: fx.Node) -> Axes | None:
    """Return the channels along the axes of what an operator gives; None if it is not known to
    treat them one by one.
    """
    rule = _RULES.get(node.target)
    return rule(walk, node) if rule else None


def _alone(walk: Walk, node: fx.Node) -> Axes | None:
    """Each number from itself, whatever the axes."""
    source = source_of(walk, node)
    return None if source is None or counts_channels(walk, node) else walk.known[source]


def _of_places(rank: int | None = None) -> Rule:
    """The rule for what looks at places: behind the channels, which for some are axis 1 at one rank
    only.
    """

    def rule(walk: Walk, node: fx.Node) -> Axes | None:
        axes = _alone(walk, node)
        if axes is None or rank not in (None, len(axes)):
            return None
        for ids in axes[2:]:  # of positions that are numbers of the network
            walk.variables.pin(ids, f"operator {node.name} looks at all of them together")
        return (*axes[:2], *[None] * (len(axes) - 2))

    return rule


def _elementwise(walk: Walk, node: fx.Node) -> Axes | None:
    """Operands are broadcast, axes counted from the last; where two are of one length, their
    channels are the same.
    """
    sources = [source for source in node.all_input_nodes if source in walk.known]
    others = [
        other
        for other in node.all_input_nodes
        if other not in walk.known and other not in walk.numbers
    ]
    if counts_channels(walk, node) or others or not sources:
        return None
    return all_joined(walk, sources, tuple(shape_of(node) or ()))


def _reduced(walk: Walk, node: fx.Node) -> Axes | None:
    """What is summed over axes: channels along these stay."""
    source = source_of(walk, node)
    axes = argument(node, 1, "dim")
    axes = (axes,) if isinstance(axes, int) else axes
    if source is None or not axes or not all(isinstance(axis, int) for axis in axes):
        return None
    known = walk.known[source]
    gone = {axis % len(known) for axis in axes}
    for axis in gone:
        walk.variables.pin(known[axis], f"operator {node.name} looks at all of them together")
    if rank_of(node) == len(known):
        return tuple(None if axis in gone else ids for axis, ids in enumerate(known))
    return tuple(ids for axis, ids in enumerate(known) if axis not in gone)


def _over(place: int, name: str) -> Rule:
    """The rule for what looks along axes: channels along these stay."""

    def rule(walk: Walk, node: fx.Node) -> Axes | None:
        source = source_of(walk, node)
        axes = argument(node, place, name)
        axes = (axes,) if isinstance(axes, int) else axes
        if source is None or not axes or counts_channels(walk, node):
            return None
        for axis in axes:
            walk.variables.pin(
                walk.known[source][axis], f"operator {node.name} looks at all of them together"
            )
        return walk.known[source]

    return rule


def _pad(walk: Walk, node: fx.Node) -> Axes | None:
    """Axes without channels only; widths come in pairs, those of the last axis first."""
    source = source_of(walk, node)
    widths = argument(node, 1, "pad")
    if source is None or not isinstance(widths, tuple | list):
        return None
    axes = walk.known[source]
    pairs = zip(reversed(axes), widths[::2], widths[1::2], strict=False)
    return (
        None
        if any(ids is not None and (before, after) != (0, 0) for ids, before, after in pairs)
        else axes
    )


def _glu(walk: Walk, node: fx.Node) -> Axes | None:
    source = source_of(walk, node)
    axis = argument(node, 1, "dim", -1)
    return None if source is None else gated(walk, walk.known[source], axis)


def _shuffle(walk: Walk, node: fx.Node) -> Axes | None:
    source = source_of(walk, node)
    groups = argument(node, 1, "groups")
    return (
        None
        if source is None or not isinstance(groups, int)
        else shuffled(walk, walk.known[source], groups)
    )


def _pixels(walk: Walk, node: fx.Node) -> Axes | None:
    source = source_of(walk, node)
    factor = argument(node, 1, "upscale_factor")
    return (
        None
        if source is None or not isinstance(factor, int)
        else unfolded(walk, walk.known[source], factor)
    )


_ALONE = spelled(
    "relu", "relu6", "sigmoid", "tanh", "gelu", "silu", "mish", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "elu",
    "celu", "selu", "softplus", "clamp", "clamp_min", "neg", "abs", "exp", "sqrt", "rsqrt", "square", "pow", "dropout",
    "contiguous", "clone", "detach", "float", "half", "alias",
) | {operator.neg, operator.pow}  # fmt: skip
_DIFFERENCES = spelled("sub", "div", "maximum", "minimum") | {
    operator.sub,
    operator.isub,
    operator.truediv,
}
_POOLS = ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "dropout")
_SCALES = spelled("interpolate", "upsample_nearest1d", "upsample_nearest2d", "upsample_bilinear2d")

_RULES: dict[Any, Rule] = {
    **dict.fromkeys(_ALONE, _alone),
    **{
        call: _of_places(axes + 2)
        for axes in (1, 2, 3)
        for call in spelled(*(f"{pool}{axes}d" for pool in _POOLS))
    },
    **dict.fromkeys(_SCALES, _of_places()),
    **dict.fromkeys(SUMS | PRODUCTS | _DIFFERENCES | spelled("expand_as"), _elementwise),
    **dict.fromkeys(spelled("mean", "sum", "amax", "amin"), _reduced),
    **dict.fromkeys(spelled("softmax", "log_softmax", "cumsum"), _over(1, "dim")),
    **dict.fromkeys(spelled("roll"), _over(2, "dims")),
    **dict.fromkeys(
        shapes.FLATTENS | shapes.UNFLATTENS | spelled("view", "reshape"), shapes.reshape
    ),
    **dict.fromkeys(spelled("reshape_as", "view_as"), shapes.reshape_as),
    **dict.fromkeys(shapes.TRANSPOSES | spelled("permute"), shapes.permute),
    **dict.fromkeys(spelled("squeeze"), shapes.squeeze),
    **dict.fromkeys(spelled("unsqueeze"), shapes.unsqueeze),
    **dict.fromkeys(spelled("expand"), shapes.expand),
    **dict.fromkeys(CONCATENATIONS, division.concatenate),
    **dict.fromkeys(spelled("stack"), division.stack),
    **dict.fromkeys(spelled("slice"), division.part),
    **dict.fromkeys(spelled("select"), division.select),
    operator.getitem: division.item,
    **dict.fromkeys(spelled("matmul", "bmm") | {operator.matmul}, products.matmul),
    **dict.fromkeys(spelled("scaled_dot_product_attention"), products.attention),
    **dict.fromkeys(spelled("layer_norm"), products.over_last),
    **dict.fromkeys(spelled("group_norm"), products.in_groups),
    **dict.fromkeys(spelled("pad"), _pad),
    **dict.fromkeys(spelled("glu"), _glu),
    **dict.fromkeys(spelled("channel_shuffle"), _shuffle),
    **dict.fromkeys(spelled("pixel_shuffle"), _pixels),
}
