"""What operators that mix activations do to channels: matrix products, attention, functional
normalisation.
"""

from typing import Any

from torch import fx

from handheld.networks.structure.arrangement import places_stay
from handheld.networks.structure.nodes import argument, rank_of, shape_of
from handheld.networks.structure.operands import all_joined, is_known, why
from handheld.networks.structure.variables import Axes, Walk


def matmul(walk: Walk, node: fx.Node) -> Axes | None:
    """Channels that are multiplied out go together; those of the outer axes stay apart."""
    pair = [argument(node, 0, "input"), argument(node, 1, "other")]
    if not all(is_known(walk, one) and rank_of(one) > 1 for one in pair):
        return None
    left, right = (walk.known[one] for one in pair)
    inner = walk.same_axis(left[-1], right[-2], why(walk, *pair))
    outer = all_joined(walk, pair, tuple(shape_of(node) or ()), below=2)
    walk.products[node] = ((left[-2], inner, right[-1]),)
    return (*outer, left[-2], right[-1])


def attention(walk: Walk, node: fx.Node) -> Axes | None:
    """Queries and keys lose the same channels; the answers' are those of the values."""
    parts = [argument(node, place, name) for place, name in enumerate(("query", "key", "value"))]
    masks = [other for other in node.all_input_nodes if other not in parts]
    if not all(is_known(walk, one) and rank_of(one) == rank_of(node) for one in parts):
        return None
    query, key, value = (walk.known[one] for one in parts)
    # Tokens that are numbers of the network, such as registers beside the picture's, are looked at together: they stay.
    for ids in (
        query[-2],
        key[-2],
        value[-2],
        *(ids for mask in masks for ids in walk.known.get(mask, ())),
    ):
        walk.variables.pin(ids, f"operator {node.name} looks at all of them together")
    inner = walk.same_axis(query[-1], key[-1], why(walk, *parts))
    outer = all_joined(walk, parts, tuple(shape_of(node) or ()), below=2)
    walk.products[node] = ((None, inner, None), (None, None, value[-1]))
    return (*outer, query[-2], value[-1])


def over_last(walk: Walk, node: fx.Node) -> Axes | None:
    """``layer_norm``: statistics of the channels that stay."""
    source = node.args[0]
    shape = argument(node, 1, "normalized_shape")
    if not is_known(walk, source) or not isinstance(shape, tuple | list):
        return None
    assert isinstance(source, fx.Node)
    axes = walk.known[source]
    held = axes[len(axes) - len(shape) :]
    if any(
        ids is not None and not isinstance(number, int)
        for ids, number in zip(held, shape, strict=True)
    ):
        return None
    key: int | str = 1 if len(node.args) > 1 else "normalized_shape"
    for number, ids in enumerate(held):
        walk.follows(node, (key, number), ids)
        for weight in _weights(node):
            walk.same_axis(ids, walk.known[weight][number], why(walk, source, weight))
    return axes


def in_groups(walk: Walk, node: fx.Node) -> Axes | None:
    """``group_norm``: each group loses the same places."""
    source = node.args[0]
    groups = argument(node, 1, "num_groups")
    if not is_known(walk, source) or not isinstance(groups, int):
        return None
    assert isinstance(source, fx.Node)
    axes = walk.known[source]
    if not places_stay(axes):
        return None
    for weight in _weights(node):
        walk.same_axis(axes[1], walk.known[weight][0], why(walk, source, weight))
    if axes[1] is not None:
        walk.same_parts(axes[1], groups)
    return axes


def _weights(node: fx.Node) -> list[Any]:
    return [
        one for one in (argument(node, 2, "weight"), argument(node, 3, "bias")) if one is not None
    ]
