"""What torch's functions and methods do to channels: a table of rules, and the simplest of them."""

import operator
from typing import Any

from torch import fx

from handheld.networks.structure import division, products, shapes
from handheld.networks.structure.arrangement import gated, shuffled, unfolded
from handheld.networks.structure.nodes import rank_of, spelled
from handheld.networks.structure.operands import Operation, Rule, all_joined
from handheld.networks.structure.variables import Axes, NoRuleError, Walk, require

# Python's own operators too: x + y, and x += y, which a tracer sees as a call.
SUMS = spelled("add") | {operator.add, operator.iadd}
PRODUCTS = spelled("mul", "multiply") | {operator.mul, operator.imul}
CONCATENATIONS = spelled("cat", "concat", "concatenate")


def operator_axes(walk: Walk, node: fx.Node) -> Axes:
    """Return the channels along the axes of what an operator gives.

    Raises :class:`~handheld.networks.structure.variables.NoRuleError` if it is not known to treat
    them one by one.
    """
    if node.target not in _RULES:
        raise NoRuleError
    return _RULES[node.target](Operation(walk, node))


def _alone(operation: Operation) -> Axes:
    """Each number from itself, whatever the axes."""
    axes = operation.axes
    # A number of channels among the arguments changes when some go, and so would the result.
    require(not operation.counts_channels)
    return axes


def _over_places(operation: Operation) -> Axes:
    """What looks at places, which are behind the channels."""
    axes = _alone(operation)
    # Tokens that a network arranges as a picture are channels too, and are mixed here.
    for ids in axes[2:]:
        operation.pin(ids)
    return (*axes[:2], *[None] * (len(axes) - 2))


def _over_places_at(rank: int) -> Rule:
    """The rule for what takes a tensor of a lower rank as one without a batch, whose axis 1 is not
    of channels.
    """

    def rule(operation: Operation) -> Axes:
        require(len(_alone(operation)) == rank)
        return _over_places(operation)

    return rule


def _elementwise(operation: Operation) -> Axes:
    """Operands are broadcast, axes counted from the last; where two are of one length, their
    channels are the same.
    """
    walk = operation.walk
    sources: list[fx.Node] = []
    for node in operation.node.all_input_nodes:
        if node in walk.known:
            sources.append(node)
        else:
            require(node in walk.numbers)
    require(bool(sources) and not operation.counts_channels)
    return all_joined(walk, sources, operation.shape)


def _reduced(operation: Operation) -> Axes:
    """What is summed over axes: channels along these stay."""
    known = operation.axes
    reduced = {axis % len(known) for axis in operation.integers(1, "dim")}
    for axis in reduced:
        operation.pin(known[axis])
    # Whether the axes are kept is an argument in several places; the result's rank says it.
    if rank_of(operation.node) == len(known):
        # With keepdim an axis of one place is left, which holds no channels.
        return tuple(None if axis in reduced else ids for axis, ids in enumerate(known))
    return tuple(ids for axis, ids in enumerate(known) if axis not in reduced)


def _over(position: int, name: str) -> Rule:
    """The rule for what looks along axes: channels along these stay."""

    def rule(operation: Operation) -> Axes:
        known = operation.axes
        axes = operation.integers(position, name)
        require(not operation.counts_channels)
        for axis in axes:
            operation.pin(known[axis])
        return known

    return rule


def _pad(operation: Operation) -> Axes:
    """Axes without channels only; widths come in pairs, those of the last axis first."""
    axes = operation.axes
    widths = operation.argument(1, "pad")
    require(isinstance(widths, tuple | list))
    # Channels that are padded would be numbers of nobody.
    for ids, before, after in zip(reversed(axes), widths[::2], widths[1::2], strict=False):
        require(ids is None or (before, after) == (0, 0))
    return axes


def _glu(operation: Operation) -> Axes:
    return gated(operation.walk, operation.axes, operation.argument(1, "dim", -1))


def _shuffle(operation: Operation) -> Axes:
    axes = operation.axes
    return shuffled(operation.walk, axes, operation.integer(1, "groups"))


def _pixels(operation: Operation) -> Axes:
    axes = operation.axes
    return unfolded(operation.walk, axes, operation.integer(1, "upscale_factor"))


# Each of these computes a number of its result from one of its source, at the same place; "dropout"
# computes nothing in evaluation mode, which is what is traced.
_ALONE = {operator.neg, operator.pow} | spelled(
    "relu",
    "relu6",
    "sigmoid",
    "tanh",
    "gelu",
    "silu",
    "mish",
    "hardswish",
    "hardsigmoid",
    "hardtanh",
    "leaky_relu",
    "elu",
    "celu",
    "selu",
    "softplus",
    "clamp",
    "clamp_min",
    "neg",
    "abs",
    "exp",
    "sqrt",
    "rsqrt",
    "square",
    "pow",
    "dropout",
    "contiguous",
    "clone",
    "detach",
    "float",
    "half",
    "alias",
)
# Of these the operands cannot be exchanged, so that no residual block is one; they are broadcast
# like sums.
_DIFFERENCES = spelled("sub", "div", "maximum", "minimum") | {
    operator.sub,
    operator.isub,
    operator.truediv,
}
# With the number of axes behind the name; dropout of whole channels is there named like a pooling.
_POOLS = ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "dropout")
_SCALES = spelled("interpolate", "upsample_nearest1d", "upsample_nearest2d", "upsample_bilinear2d")


def _pools(axes: int) -> set[Any]:
    """All ways to call pooling over so many axes."""
    return spelled(*(f"{pool}{axes}d" for pool in _POOLS))


_RULE_OF_TARGETS: tuple[tuple[set[Any], Rule], ...] = (
    (_ALONE, _alone),
    (_pools(1), _over_places_at(3)),
    (_pools(2), _over_places_at(4)),
    (_pools(3), _over_places_at(5)),
    (_SCALES, _over_places),
    (SUMS | PRODUCTS | _DIFFERENCES | spelled("expand_as"), _elementwise),
    (spelled("mean", "sum", "amax", "amin"), _reduced),
    (spelled("softmax", "log_softmax", "cumsum"), _over(1, "dim")),
    (spelled("roll"), _over(2, "dims")),
    # Lengths follow the channels, but for flatten, which has none.
    (shapes.FLATTENS | shapes.UNFLATTENS | spelled("view", "reshape"), shapes.reshape),
    (spelled("reshape_as", "view_as"), shapes.reshape_as),
    (shapes.TRANSPOSES, shapes.transpose),
    (spelled("permute"), shapes.permute),
    (spelled("squeeze"), shapes.squeeze),
    (spelled("unsqueeze"), shapes.unsqueeze),
    (spelled("expand"), shapes.expand),
    (CONCATENATIONS, division.concatenate),
    (spelled("stack"), division.stack),
    # What exported programs have in place of x[...].
    (spelled("slice"), division.slice_of_axis),
    (spelled("select"), division.select),
    ({operator.getitem}, division.item),
    (spelled("matmul", "bmm") | {operator.matmul}, products.matmul),
    (spelled("scaled_dot_product_attention"), products.attention),
    (spelled("layer_norm"), products.layer_norm),
    (spelled("group_norm"), products.group_norm),
    (spelled("pad"), _pad),
    (spelled("glu"), _glu),
    (spelled("channel_shuffle"), _shuffle),
    (spelled("pixel_shuffle"), _pixels),
)


def _by_target() -> dict[Any, Rule]:
    rules: dict[Any, Rule] = {}
    for targets, rule in _RULE_OF_TARGETS:
        rules.update(dict.fromkeys(targets, rule))
    return rules


_RULES = _by_target()
