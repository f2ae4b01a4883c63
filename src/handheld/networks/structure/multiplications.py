"""Multiply-accumulate operations of a traced network: those of layers, and of products of
activations.
"""

import operator
from typing import cast

import torch
from torch import fx, nn

from handheld.networks.structure.layers import CONVOLUTIONS
from handheld.networks.structure.nodes import argument, calls, shape_of, spelled
from handheld.networks.structure.trace import ATTENTION, input_of

_PRODUCTS = spelled("matmul", "bmm") | {operator.matmul}
_COUNTED = (*CONVOLUTIONS, nn.Linear)


def macs(network: fx.GraphModule) -> dict[str, int]:
    """Multiply-accumulate operations for one example: of each layer with weights by its name, of
    each product by its node's.
    """
    counts: dict[str, int] = {}
    layers = dict(network.named_modules())
    shape = shape_of(input_of(network)) or (1,)
    batch = shape[0]
    for node in network.graph.nodes:
        if node.op == "call_module":
            name = str(node.target)
            count = _of_layer(node, layers[name])
        else:
            name = node.name
            count = sum(products_of(node))
        if count:
            # A layer that is called twice computes twice.
            counts[name] = counts.get(name, 0) + count // batch
    return counts


def products_of(node: fx.Node) -> tuple[int, ...]:
    """Multiply-accumulates of each product of activations in a node, for the whole batch; none for
    most.
    """
    if calls(node, _PRODUCTS):
        return _of_product(node)
    if calls(node, ATTENTION):
        return _of_two_products(node)
    return ()


def _of_product(node: fx.Node) -> tuple[int, ...]:
    multiplied = shape_of(argument(node, 0, "input"))
    if multiplied is None:
        return ()
    return (_sizes(node).numel() * multiplied[-1],)


def _of_two_products(node: fx.Node) -> tuple[int, ...]:
    """Queries with keys, and what comes of it with values."""
    query = shape_of(argument(node, 0, "query"))
    key = shape_of(argument(node, 1, "key"))
    value = shape_of(argument(node, 2, "value"))
    if query is None or key is None or value is None:
        return ()
    scores = query.numel() * key[-2]
    answers = query[:-1].numel() * value[-2] * value[-1]
    return scores, answers


def _sizes(node: fx.Node) -> torch.Size:
    """Return a shape; that of a number for what is no tensor."""
    return shape_of(node) or torch.Size()


def _of_layer(node: fx.Node, layer: nn.Module) -> int:
    if isinstance(layer, _COUNTED):
        return layer.weight.numel() * _uses(node, layer)
    if isinstance(layer, nn.RNNBase):
        return _of_recurrence(node, layer)
    if isinstance(layer, nn.MultiheadAttention):
        return _of_attention(node, layer)
    return 0


def _of_recurrence(node: fx.Node, layer: nn.RNNBase) -> int:
    weights = 0
    for name, parameter in layer.named_parameters():
        if name.startswith("weight"):
            weights += parameter.numel()
    return weights * _sizes(node.all_input_nodes[0])[:-1].numel()


def _of_attention(node: fx.Node, layer: nn.MultiheadAttention) -> int:
    query, key, value = _attention_shapes(node)
    width = layer.embed_dim
    projected = (query.numel() + key.numel() + value.numel()) * width
    batch = _batch_of(query, layer)
    tokens = query[:-1].numel() // batch
    others = key[:-1].numel() // batch
    # Queries with keys, and their weights with values.
    looked_up = 2 * batch * tokens * others * width
    returned = query[:-1].numel() * width**2
    return int(projected + returned + looked_up)


def _attention_shapes(node: fx.Node) -> tuple[torch.Size, torch.Size, torch.Size]:
    """Return the shapes of queries, keys and values."""
    # Some call it with one tensor, or with two: the last is then also what is missing.
    sources = cast(list[fx.Node], [*node.args, *node.args[-1:] * 2])
    unknown = torch.Size([1, 1, 1])
    query, key, value = (shape_of(source) or unknown for source in sources[:3])
    return query, key, value


def _batch_of(query: torch.Size, layer: nn.MultiheadAttention) -> int:
    if len(query) < 3:
        # One example alone.
        return 1
    if layer.batch_first:
        return query[0]
    return query[1]


def _uses(node: fx.Node, layer: nn.Module) -> int:
    """How often a layer's weights are used in one call."""
    if isinstance(layer, nn.Linear):
        return _sizes(node)[:-1].numel()
    if isinstance(layer, nn.modules.conv._ConvTransposeNd):
        # A transposed convolution spreads each place of its input.
        node = node.all_input_nodes[0]
    shape = shape_of(node) or torch.Size([0])
    return shape[0] * shape[2:].numel()
