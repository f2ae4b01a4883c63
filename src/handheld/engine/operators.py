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
    known: dict[int, list[Any]]
    lasting: set[int]

    @classmethod
    def of(cls, schema: Any, model: Any) -> "_Source":
        graph = model.subgraphs[0]
        source = cls(model, graph, {}, set())
        for number, tensor in enumerate(graph.tensors):
            if _has_data(model, tensor):
                source.known[number] = []
            if tensor.isVariable or tensor.type == schema.TensorType.RESOURCE:
                source.lasting.add(number)
        for node in graph.operators:
            source._note_constants(node)
        return source

    def _note_constants(self, node: Any) -> None:
        """Note what an operator computes of constants alone."""
        operands = _operands(node)
        if not operands or not self.known.keys() >= set(operands) or _calls_graph(node):
            return
        for number in _numbers(node.outputs):
            self.known[number] = [*self.before(node), node]

    def before(self, node: Any) -> list[Any]:
        """Return the operators that compute an operator's constants, in their order."""
        nodes: list[Any] = []
        for number in _operands(node):
            nodes += self.known.get(number, ())
        return nodes


def _alone(schema: Any, source: _Source, node: Any) -> bytes | None:
    inputs = [number for number in _operands(node) if number not in source.known]
    nodes = [*source.before(node), node]
    used = _used(nodes)
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
    graph.inputs = _renamed(inputs, new_numbers)
    graph.outputs = _renamed(_numbers(node.outputs), new_numbers)
    single.subgraphs = [graph]
    return packed_model(single)


def _renamed(numbers: Sequence[int], new_numbers: Mapping[int, int]) -> list[int]:
    return [new_numbers[number] for number in numbers]


def _has_data(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _numbers(values: Any) -> list[int]:
    """Return a list of the file, which leaves empty ones out."""
    if values is None:
        return []
    return list(map(int, values))


def _operands(node: Any) -> list[int]:
    """Return the tensors that an operator reads, each once."""
    return [number for number in dict.fromkeys(_numbers(node.inputs)) if number != _LEFT_OUT]


def _used(nodes: Sequence[Any]) -> list[int]:
    """Return the tensors of some operators, each once."""
    numbers: dict[int, None] = {}
    for node in nodes:
        numbers |= dict.fromkeys(_operands(node))
        numbers |= dict.fromkeys(_numbers(node.outputs))
        numbers |= dict.fromkeys(_numbers(node.intermediates))
    return list(numbers)


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
        setattr(moved, field, _renamed(_numbers(getattr(node, field)), new_numbers))
    return moved
