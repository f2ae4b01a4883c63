"""What a model computes and keeps, counted from its file alone.

A multiply-accumulate is one multiplication and the addition of its product. Counted are the
products of layers (convolutions, matrices); what goes over elements one by one, such as additions
and activations, is left out, as papers on mobile networks do.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from handheld.engine._verify.axes import Shape
from handheld.engine._verify.check import TYPES, operator_name
from handheld.engine._verify.flatbuffer import Table

# Operators that multiply matrices in a loop, or call another graph: nothing here counts those.
_UNCOUNTED = frozenset(
    {
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_RNN",
        "CALL_ONCE",
        "CONV_3D_TRANSPOSE",
        "CUSTOM",
        "IF",
        "LSTM",
        "RNN",
        "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        "WHILE",
    }
)
# What a network learns is of these types; whole numbers are weights where they have a scale.
_REAL = frozenset({"float16", "float32", "float64", "bfloat16"})


@dataclass(frozen=True)
class ModelCost:
    """Work and weights of a model's main graph.

    Args:
        macs: multiply-accumulates of one run.
        parameters: learned numbers that the file holds, each constant once.
        macs_by_operator: by the operator's name, the largest first; without those that have none.
        uncounted: names of operators that multiply, but are not counted, in order; () if ``macs``
            is all.
    """

    macs: int
    parameters: int
    macs_by_operator: Mapping[str, int]
    uncounted: tuple[str, ...]


class _NodeShapes(NamedTuple):
    """Shapes of an operator's inputs and of its first output."""

    inputs: Sequence[Shape]
    output: Shape

    @property
    def weights(self) -> Shape:
        """Of the second input."""
        return self.inputs[1]


def count_cost(model: Table, layout: Sequence[Shape | None]) -> ModelCost:
    """Count the main graph of a decoded file.

    Args:
        model: the ``Model`` table, checked.
        layout: shape of each tensor of the main graph; () or None: as the file declares it.
    """
    graph = model["subgraphs"][0]
    shapes = _shapes(graph, layout)
    names = list(map(operator_name, model["operator_codes"]))
    totals: dict[str, int] = {}
    uncounted = set()
    for node in graph["operators"]:
        name = names[node["opcode_index"]]
        if name in _RULES:
            totals[name] = totals.get(name, 0) + _RULES[name](_node_shapes(node, shapes))
        elif name in _UNCOUNTED:
            uncounted.add(name)
    ranked = sorted(totals.items(), key=lambda entry: -entry[1])
    return ModelCost(
        macs=sum(totals.values()),
        parameters=_parameters(model, graph),
        macs_by_operator=dict(ranked),
        uncounted=tuple(sorted(uncounted)),
    )


def _shapes(graph: Table, layout: Sequence[Shape | None]) -> list[Shape]:
    shapes = []
    for index, tensor in enumerate(graph["tensors"]):
        known = None
        if index < len(layout):
            known = layout[index]
        if known is None:
            known = tuple(tensor["shape"])
        shapes.append(known)
    return shapes


def _node_shapes(node: Table, shapes: Sequence[Shape]) -> _NodeShapes:
    # An input that is left out has the number -1.
    inputs = [shapes[index] for index in node["inputs"] if index >= 0]
    return _NodeShapes(inputs, shapes[node["outputs"][0]])


def _filter_over_outputs(node: _NodeShapes) -> int:
    # The filter is (out, height, width, in of a group), or (out, in) of a matrix.
    return math.prod(node.output) * math.prod(node.weights[1:])


def _depthwise(node: _NodeShapes) -> int:
    _, height, width, _ = node.weights
    return math.prod(node.output) * height * width


def _transposed(node: _NodeShapes) -> int:
    # The first input is the shape of the output, the filter (out, height, width, in), and the data
    # the third: each of its values meets the whole filter of its channel.
    return math.prod(node.inputs[2]) * math.prod(node.weights[:3])


def _volume(node: _NodeShapes) -> int:
    depth, height, width, channels, _ = node.weights
    return math.prod(node.output) * depth * height * width * channels


def _matrices(node: _NodeShapes) -> int:
    # The product of the three areas is (rows x inner x columns) squared, whichever of the operands
    # is transposed.
    rows_inner = math.prod(node.inputs[0][-2:])
    rows_columns = math.prod(node.output[-2:])
    inner_columns = math.prod(node.weights[-2:])
    batches = math.prod(node.output[:-2])
    return batches * math.isqrt(rows_inner * rows_columns * inner_columns)


_RULES: Mapping[str, Callable[[_NodeShapes], int]] = {
    "BATCH_MATMUL": _matrices,
    "CONV_2D": _filter_over_outputs,
    "CONV_3D": _volume,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _filter_over_outputs,
    "TRANSPOSE_CONV": _transposed,
}


def _parameters(model: Table, graph: Table) -> int:
    """Return how many numbers of the constants are weights, and not shapes or axes."""
    total = 0
    for tensor in graph["tensors"]:
        if not len(model["buffers"][tensor["buffer"]]["data"]):
            continue
        quantization = tensor["quantization"]
        has_scale = bool(quantization and quantization["scale"])
        if has_scale or TYPES[tensor["type"]] in _REAL:
            total += math.prod(tensor["shape"])
    return total
