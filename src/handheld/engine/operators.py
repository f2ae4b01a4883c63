"""A model file taken apart: each operator as a file of its own, to be timed or looked at alone."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handheld.engine.graphs import object_schema, packed_model

_LEFT_OUT = -1  # number of an operand that is not given


def single_operators(content: bytes) -> list[bytes | None]:
    """Return each operator of the main graph as a model, in their order.

    What the operator reads and does not know itself is an input, what it gives an output, both with
    the shapes that the file declares. Operators that compute constants for it, as weights are made
    from half floats, go with it.

    Args:
        content: of a ``.tflite`` file that a ``Model`` was opened from, which has checked it.

    Returns:
        The files; None for an operator that is nothing alone: one that runs another graph, keeps
        something between two runs, or reads constants only.
    """
    schema = object_schema()
    source = _Source.of(schema, schema.ModelT.InitFromPackedBuf(content, 0))
    return [_alone(schema, source, node) for node in source.graph.operators]


@dataclass(frozen=True)
class _Source:
    """The file, and what of it is known before any run: by tensor, the operators that compute it,
    none for what stands in the file.
    """

    model: Any
    graph: Any
    known: Mapping[int, Sequence[Any]]
    lasting: frozenset[int]

    @classmethod
    def of(cls, schema: Any, model: Any) -> "_Source":
        graph = model.subgraphs[0]
        known: dict[int, list[Any]] = {}
        lasting = []
        for number, tensor in enumerate(graph.tensors):
            data = model.buffers[tensor.buffer].data
            if data is not None and len(data):
                known[number] = []
            if tensor.isVariable or tensor.type == schema.TensorType.RESOURCE:
                lasting.append(number)
        for node in graph.operators:
            read = _operands(node)
            if read and known.keys() >= set(read) and not _calls_graph(node):
                before = [earlier for number in read for earlier in known[number]]
                for number in _numbers(node.outputs):
                    known[number] = [*before, node]
        return cls(model, graph, known, frozenset(lasting))


def _alone(schema: Any, source: _Source, node: Any) -> bytes | None:
    inputs = [number for number in _operands(node) if number not in source.known]
    nodes = [earlier for number in _operands(node) for earlier in source.known.get(number, ())]
    nodes.append(node)
    used = list(dict.fromkeys(number for operator in nodes for number in _used(operator)))
    if not inputs or _calls_graph(node) or not source.lasting.isdisjoint(used):
        return None
    new_numbers = {number: new for new, number in enumerate(used)} | {_LEFT_OUT: _LEFT_OUT}
    single = schema.ModelT()
    single.version = source.model.version
    single.buffers = [schema.BufferT()]
    single.operatorCodes = source.model.operatorCodes
    graph = schema.SubGraphT()
    graph.tensors = [_moved_tensor(source, single, number) for number in used]
    graph.operators = [_moved_node(operator, new_numbers) for operator in nodes]
    graph.inputs = [new_numbers[number] for number in inputs]
    graph.outputs = [new_numbers[number] for number in _numbers(node.outputs)]
    single.subgraphs = [graph]
    return packed_model(single)


def _numbers(values: Any) -> list[int]:
    """Return a list of the file, which leaves empty ones out."""
    if values is None:
        return []
    return list(map(int, values))


def _operands(node: Any) -> list[int]:
    """Return the tensors that an operator reads, each once."""
    return [number for number in dict.fromkeys(_numbers(node.inputs)) if number != _LEFT_OUT]


def _used(node: Any) -> list[int]:
    """Return the tensors of an operator."""
    return [*_operands(node), *_numbers(node.outputs), *_numbers(node.intermediates)]


def _calls_graph(node: Any) -> bool:
    """Whether it runs another graph of the file: its options have the graph's number."""
    fields = vars(node.builtinOptions) if node.builtinOptions is not None else {}
    return any("subgraphindex" in name.lower() for name in fields)


def _moved_tensor(source: _Source, single: Any, number: int) -> Any:
    tensor = source.graph.tensors[number]
    moved = copy.copy(tensor)
    moved.buffer = 0
    moved.shapeSignature = None
    # What an operator computes has no data.
    if source.known.get(number) == []:
        single.buffers.append(source.model.buffers[tensor.buffer])
        moved.buffer = len(single.buffers) - 1
    return moved


def _moved_node(node: Any, new_numbers: dict[int, int]) -> Any:
    moved = copy.copy(node)
    for field in ("inputs", "outputs", "intermediates"):
        numbers: Sequence[int] = _numbers(getattr(node, field))
        setattr(moved, field, [new_numbers[number] for number in numbers])
    return moved
