"""What operators that mix activations do to channels: matrix products, attention, functional
normalisation.
"""

from torch import fx

from handheld.networks.structure.arrangement import places_stay
from handheld.networks.structure.nodes import rank_of
from handheld.networks.structure.operands import Operation, all_joined, why
from handheld.networks.structure.variables import Axes, Ids, require


def matmul(operation: Operation) -> Axes:
    """Channels that are multiplied out go together; those of the outer axes stay apart."""
    walk = operation.walk
    source = operation.tensor(0, "input")
    other = operation.tensor(1, "other")
    # torch gives a vector an axis for the product and takes it away again.
    require(rank_of(source) > 1 and rank_of(other) > 1)
    *_, rows, inner = walk.known[source]
    *_, other_inner, columns = walk.known[other]
    inner = walk.same_axis(inner, other_inner, why(walk, source, other))
    # The last two axes are the matrices'; those before are broadcast as in a sum.
    outer = all_joined(walk, [source, other], operation.shape, below=2)
    walk.products[operation.node] = ((rows, inner, columns),)
    return (*outer, rows, columns)


def attention(operation: Operation) -> Axes:
    """Queries and keys lose the same channels; the answers' are those of the values."""
    walk = operation.walk
    query = operation.tensor(0, "query")
    key = operation.tensor(1, "key")
    value = operation.tensor(2, "value")
    operands = [query, key, value]
    rank = rank_of(operation.node)
    # With fewer axes it would be broadcast, and its tokens belong to several.
    require(all(rank_of(operand) == rank for operand in operands))
    _keep_tokens(operation, operands)
    *_, queries, query_channels = walk.known[query]
    *_, key_channels = walk.known[key]
    *_, value_channels = walk.known[value]
    inner = walk.same_axis(query_channels, key_channels, why(walk, *operands))
    outer = all_joined(walk, operands, operation.shape, below=2)
    # The two products that it is: queries with keys, and their weights with values.
    walk.products[operation.node] = ((None, inner, None), (None, None, value_channels))
    return (*outer, queries, value_channels)


def _keep_tokens(operation: Operation, operands: list[fx.Node]) -> None:
    """Let tokens stay: those that are numbers of the network, such as registers beside the
    picture's, are looked at together.
    """
    known = operation.walk.known
    for operand in operands:
        operation.pin(known[operand][-2])
    for mask in operation.node.all_input_nodes:
        if mask not in operands:
            for ids in known.get(mask, ()):
                operation.pin(ids)


def layer_norm(operation: Operation) -> Axes:
    """Statistics of the channels that stay."""
    source = operation.tensor(0, "input")
    shape = operation.argument(1, "normalized_shape")
    require(isinstance(shape, tuple | list))
    axes = operation.walk.known[source]
    # The last ones of the tensor.
    held = axes[len(axes) - len(shape) :]
    for ids, number in zip(held, shape, strict=True):
        # A number that the network computes follows by itself, but maybe other channels.
        require(ids is None or isinstance(number, int))
    key: int | str = 1 if len(operation.node.args) > 1 else "normalized_shape"
    for index, ids in enumerate(held):
        operation.walk.follows(operation.node, (key, index), ids)
        _scale(operation, source, ids, index)
    return axes


def group_norm(operation: Operation) -> Axes:
    """Each group loses the same places."""
    source = operation.tensor(0, "input")
    groups = operation.integer(1, "num_groups")
    axes = operation.walk.known[source]
    require(places_stay(axes))
    _scale(operation, source, axes[1], 0)
    if axes[1] is not None:
        operation.walk.same_pieces(axes[1], groups)
    return axes


def _scale(operation: Operation, source: fx.Node, ids: Ids | None, axis: int) -> None:
    """Say that the weights of a normalisation hold the channels of its source along an axis."""
    walk = operation.walk
    for position, name in enumerate(("weight", "bias"), 2):
        weight = operation.argument(position, name)
        if weight is not None:
            walk.same_axis(ids, walk.known[weight][axis], why(walk, source, weight))
