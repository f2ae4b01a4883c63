"""The operators of a converted graph, and the constants that they read."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GraphOperator:
    """An operator by the indices of its tensors.

    Attributes:
        inputs: what it reads; an input that it may have and has not is left out.
        outputs: what it computes, one or more.
        constants: of the inputs those that no operator computes and nobody gives.
        weights: the largest constant, if there is one; a bias is smaller, and may be shared with
            other layers' operators.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    constants: tuple[int, ...]
    weights: int | None


def operators_of(graph: Any) -> list[GraphOperator]:
    """Return the operators of a graph of the schema, in order of execution."""
    # once, as each operator's constants are compared by them
    sizes = [math.prod(map(int, tensor.shape)) for tensor in graph.tensors]
    varying = variables_of(graph)
    operators = []
    for node in graph.operators:
        inputs = _inputs_of(node)
        outputs = tuple(map(int, node.outputs))
        constants = tuple(index for index in inputs if index not in varying)
        weights = max(constants, key=sizes.__getitem__, default=None)
        operators.append(GraphOperator(inputs, outputs, constants, weights))
    return operators


def _inputs_of(node: Any) -> tuple[int, ...]:
    """Return the tensors that an operator of the schema reads, by index."""
    # -1 stands for an input that an operator may have and has not, such as a bias.
    return tuple(index for index in map(int, node.inputs) if index >= 0)


def variables_of(graph: Any) -> set[int]:
    """Return the tensors of a graph that are given or computed, by index."""
    variables = set(map(int, graph.inputs))
    for node in graph.operators:
        variables.update(map(int, node.outputs))
    return variables
