"""What torch's functions and methods do to channels."""

import operator
from typing import Any

import torch
from torch import fx
from torch.nn import functional

from handheld.compress.structure.arranging import (
    CHUNKS,
    Rule,
    axes_beyond,
    chunk,
    concatenate,
    expand_as,
    flatten,
    item,
    pad,
    rank_of,
    reshape,
    source_of,
)
from handheld.compress.structure.trace import shape_of
from handheld.compress.structure.variables import Ids, Walk


def operator_channels(walk: Walk, node: fx.Node) -> Ids | None:
    """Return the channels of what an operator gives; None if it is not known to treat its channels one by one."""
    rule = _RULES.get(node.target)
    return rule(walk, node) if rule else None


def _each_alone(rank: int | None = None) -> Rule:
    """The rule for what computes each channel from itself; for some only at one rank, see ``layers._OF_RANK``."""

    def rule(walk: Walk, node: fx.Node) -> Ids | None:
        source = source_of(walk, node)
        return walk.known[source] if source is not None and rank in (None, rank_of(source)) else None

    return rule


def _elementwise(walk: Walk, node: fx.Node) -> Ids | None:
    """Operands of one rank are the same channels; a product may be broadcast, since what is gone would be zero."""
    product, tensors = node.target in _PRODUCTS, [source for source in node.all_input_nodes if source in walk.known]
    other_ranks = any(rank_of(source) != rank_of(node) for source in tensors)
    if other_ranks or any(source in walk.counts for source in node.all_input_nodes):
        return None
    wide = max((walk.known[source] for source in tensors), key=len, default=None)
    if wide is None:
        return None
    for source in tensors:
        ids = walk.known[source]
        if len(ids) == len(wide):
            walk.variables.same(wide, ids)
        elif product:
            walk.variables.pin(ids, "it is multiplied onto all channels of another layer")
        else:
            return None
    constants = [other for other in node.all_input_nodes if other.op == "get_attr"]
    return wide if all(_constant(walk, other, wide, rank_of(node), product) for other in constants) else None


def _constant(walk: Walk, constant: fx.Node, wide: Ids, rank: int, product: bool) -> bool:
    """Whether a parameter or buffer has one number for each channel, or can be broadcast over them."""
    shape = shape_of(constant)
    if shape is None or len(shape) > rank:
        return False
    axis = 1 - (rank - len(shape))
    if axis < 0 or shape[axis] == 1:
        walk.fix(str(constant.target), "it is broadcast over channels")
        return product or shape.numel() == 1
    walk.uses(str(constant.target), (*[None] * axis, wide))
    return True


def _spelled(*names: str) -> set[Any]:
    """All ways to call an operation: method, in-place method, function of torch, of its functional module, of Python."""
    spellings = [*names, *(f"{name}_" for name in names)]
    modules = (torch, functional)
    return {*spellings, *(getattr(module, name) for module in modules for name in spellings if hasattr(module, name))}


_PRODUCTS = _spelled("mul", "multiply") | {operator.mul, operator.imul}
_SUMS = _spelled("add", "sub", "div") | {operator.add, operator.iadd, operator.sub, operator.isub, operator.truediv}
_ALONE = _spelled(
    "relu", "relu6", "sigmoid", "tanh", "gelu", "silu", "mish", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "elu",
    "celu", "selu", "softplus", "clamp", "neg", "abs", "exp", "sqrt", "rsqrt", "square", "pow", "dropout", "interpolate",
    "contiguous", "clone", "detach", "float", "half",
) | {operator.neg, operator.pow}  # fmt: skip
_POOLS = ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "dropout")
_REDUCTIONS = _spelled("mean", "sum", "amax", "amin")

_RULES: dict[Any, Rule] = {
    **dict.fromkeys(_ALONE, _each_alone()),
    **{call: _each_alone(axes + 2) for axes in (1, 2, 3) for call in _spelled(*(f"{pool}{axes}d" for pool in _POOLS))},
    **dict.fromkeys(_PRODUCTS | _SUMS, _elementwise),
    **dict.fromkeys(CHUNKS, chunk),
    **dict.fromkeys(_REDUCTIONS, axes_beyond("dim")),
    **dict.fromkeys(_spelled("squeeze"), axes_beyond("dim")),
    **dict.fromkeys(_spelled("unsqueeze"), axes_beyond("dim", added=1)),
    **dict.fromkeys(_spelled("flatten"), flatten),
    **dict.fromkeys(_spelled("view", "reshape"), reshape),
    **dict.fromkeys(_spelled("cat", "concat", "concatenate"), concatenate),
    **dict.fromkeys(_spelled("pad"), pad),
    operator.getitem: item,
    "expand_as": expand_as,
}
