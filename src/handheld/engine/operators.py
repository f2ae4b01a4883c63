"""A model file taken apart: each operator as a file of its own, to be timed or looked at alone."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handheld.engine.graphs import object_schema, packed_model

_LEFT_OUT = -1  # number of an operand that is not given
# Operators that compute constants of one: exporters need one for each half float or sparse weight.
# A file may have chains of any length, which each operator would carry with it.
_MOST_BEFORE = 64


def single_operators(content: bytes) -> Iterator[bytes | None]:
    """Yield each operator of the main graph as a model, in their order.

    What the operator reads and does not know itself is an input, what it gives an output, both with
    the shapes that the file declares. Operators that compute constants for it, as weights are made
    from half floats, go with it. Each is made when it is asked for: all together may be many times
    as large as the file, where operators share constants.

    Args:
        content: of a ``.tflite`` file that a ``Model`` was opened from, which has checked it.

    Yields:
        A file; None for an operator that is nothing alone: one that runs another graph, keeps
        something between two runs, reads constants only, or constants that more than 64 operators
        compute.
    """
    schema = object_schema()
    source = _Source.of(schema, schema.ModelT.InitFromPackedBuf(content, 0))
    for node in source.graph.operators:
        yield _alone(schema, source, node)


@dataclass(frozen=True)
class _Source:
    """The file, and what of it is known before any run: by tensor, the number of the operator that
    computes it, None for what stands in the file.
    """

    model: Any
    graph: Any
    known: dict[int, int | None]
    lasting: set[int]

    @classmethod
    def of(cls, schema: Any, model: Any) -> "_Source":
        graph = model.subgraphs[0]
        source = cls(model, graph, {}, set())
        for number, tensor in enumerate(graph.tensors):
            if _has_data(model, tensor):
                source.known[number] = None
            if tensor.isVariable or tensor.type == schema.TensorType.RESOURCE:
                source.lasting.add(number)
        for position, node in enumerate(graph.operators):
            operands = _operands(node)
            if operands and source.known.keys() >= set(operands) and not _calls_graph(node):
                source.known.update(dict.fromkeys(_numbers(node.outputs), position))
        return source

    def before(self, node: Any) -> list[Any] | None:
        """Return the operators that compute constants for one, each once, in their order; None
        where they are too many.
        """
        positions: set[int] = set()
        waiting = [node]
        while waiting:
            for number in _operands(waiting.pop()):
                position = self.known.get(number)
                if position is not None and position not in positions:
                    positions.add(position)
                    waiting.append(self.graph.operators[position])
            if len(positions) > _MOST_BEFORE:
                return None
        return [self.graph.operators[position] for position in sorted(positions)]


def _alone(schema: Any, source: _Source, node: Any) -> bytes | None:
    inputs = [number for number in _operands(node) if number not in source.known]
    before = source.before(node)
    if not inputs or before is None or _calls_graph(node):
        return None
    nodes = [*before, node]
    used = _used(nodes)
    if not source.lasting.isdisjoint(used):
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
    if number in source.known and source.known[number] is None:
        single.buffers.append(source.model.buffers[tensor.buffer])
        moved.buffer = len(single.buffers) - 1
    return moved


def _moved_node(node: Any, new_numbers: dict[int, int]) -> Any:
    moved = copy.copy(node)
    for field in ("inputs", "outputs", "intermediates"):
        setattr(moved, field, _renamed(_numbers(getattr(node, field)), new_numbers))
    return moved
