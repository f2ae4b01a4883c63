"""A model file taken apart: each operator as a file of its own, to be timed or looked at alone."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handheld.engine.graphs import packed_model

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
    # With flatbuffers it takes 0.1 s to import: only who takes a file apart waits.
    from ai_edge_litert import schema_py_generated as schema

    whole = _Whole.of(schema, schema.ModelT.InitFromPackedBuf(content, 0))
    return [_alone(schema, whole, node) for node in whole.graph.operators]


@dataclass(frozen=True)
class _Whole:
    """The file, and what of it is known before any run: by tensor, the operators that compute it,
    none for what stands in the file.
    """

    model: Any
    graph: Any
    known: Mapping[int, Sequence[Any]]
    lasting: frozenset[int]

    @classmethod
    def of(cls, schema: Any, model: Any) -> "_Whole":
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


def _alone(schema: Any, whole: _Whole, node: Any) -> bytes | None:
    inputs = [number for number in _operands(node) if number not in whole.known]
    nodes = [earlier for number in _operands(node) for earlier in whole.known.get(number, ())]
    nodes.append(node)
    used = list(dict.fromkeys(number for part in nodes for number in _used(part)))
    if not inputs or _calls_graph(node) or not whole.lasting.isdisjoint(used):
        return None
    places = {number: place for place, number in enumerate(used)} | {_LEFT_OUT: _LEFT_OUT}
    part = schema.ModelT()
    part.version = whole.model.version
    part.buffers = [schema.BufferT()]
    part.operatorCodes = whole.model.operatorCodes
    single = schema.SubGraphT()
    single.tensors = [_moved_tensor(whole, part, number) for number in used]
    single.operators = [_moved_node(each, places) for each in nodes]
    single.inputs = [places[number] for number in inputs]
    single.outputs = [places[number] for number in _numbers(node.outputs)]
    part.subgraphs = [single]
    return packed_model(part)


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


def _moved_tensor(whole: _Whole, part: Any, number: int) -> Any:
    tensor = whole.graph.tensors[number]
    moved = copy.copy(tensor)
    moved.buffer = 0
    moved.shapeSignature = None
    # What an operator computes has no data.
    if whole.known.get(number) == []:
        part.buffers.append(whole.model.buffers[tensor.buffer])
        moved.buffer = len(part.buffers) - 1
    return moved


def _moved_node(node: Any, places: dict[int, int]) -> Any:
    moved = copy.copy(node)
    for field in ("inputs", "outputs", "intermediates"):
        numbers: Sequence[int] = _numbers(getattr(node, field))
        setattr(moved, field, [places[number] for number in numbers])
    return moved
