"""The one file that rewrites a converted file's FlatBuffer.

It changes tensors' names, drops notes that nobody reads, and says where weights lie.
"""

import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from handheld.errors import MissingDependencyError

# What the converter notes for itself, which no runtime reads.
_UNREAD = (b"keep_stablehlo_constant", b"debug_metadata")

_ALIGNMENT = 16  # of buffers, by the schema; the Python builder does not know it
_IDENTIFIER = b"TFL3"  # of the format, by the schema


def unpack(content: bytes) -> Any:
    """Return a file as a tree of the schema's objects, with all weights in it."""
    try:
        from ai_edge_quantizer.utils.tfl_flatbuffer_utils import flatbuffer_utils
    except ImportError as error:
        raise MissingDependencyError(
            "ai-edge-quantizer", "compile", "compiling a network"
        ) from error
    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def pack(model: Any) -> bytes:
    """Return the file of a tree, its buffers aligned as the schema wants them."""
    import flatbuffers

    # flatbuffers has no types, so its classes are Any.
    class Builder(flatbuffers.Builder):  # type: ignore[misc]
        def StartVector(self, size: int, count: int, alignment: int) -> Any:  # noqa: N802
            is_buffer = size == 1 and count >= _ALIGNMENT
            if is_buffer:
                alignment = _ALIGNMENT
            return super().StartVector(size, count, alignment)

    builder = Builder(1024)  # bytes to begin with; it grows
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def with_weights_inside(content: bytes) -> bytes:
    """Move weights that the quantiser wrote behind the model into it.

    There every older reader of the format expects them.
    """
    return pack(unpack(content))


def renamed(content: bytes, names: Callable[[Any], Mapping[int, str]]) -> bytes:
    """Give tensors other names, made unique, and drop the notes that nobody reads.

    Args:
        content: a model file.
        names: gives the names of a graph's tensors, by index; may repeat. What goes in and out of
            a graph keeps its name, since callers may know it.
    """
    model = unpack(content)
    # Of all graphs before any other name: what keeps its name must not find it taken.
    used: set[bytes] = set()
    for graph in model.subgraphs:
        used.update(graph.tensors[index].name for index in _ends(graph))
    for graph in model.subgraphs:
        _rename(graph, names(graph), used)
    _drop_notes(model)
    return pack(model)


def _ends(graph: Any) -> set[int]:
    """Return the tensors that go in and out of a graph, by index."""
    return set(map(int, (*graph.inputs, *graph.outputs)))


def _rename(graph: Any, names: Mapping[int, str], used: set[bytes]) -> None:
    """Rename the tensors inside of a graph; their names are added to those that are used."""
    ends = _ends(graph)
    for index, tensor in enumerate(graph.tensors):
        if index in ends:
            continue
        name = tensor.name or b"tensor"
        if index in names:
            name = names[index].encode()
        tensor.name = _unused(name, used)
        used.add(tensor.name)


def with_signature(content: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """Give inputs and outputs the names that a module has for them, in the file's one signature.

    Where there are no names they stay as they are.
    """
    model = unpack(content)
    (signature,) = model.signatureDefs
    graph = model.subgraphs[signature.subgraphIndex]
    _name(signature.inputs, graph.inputs, inputs)
    _name(signature.outputs, graph.outputs, outputs)
    return pack(model)


def _name(entries: Sequence[Any], tensors: Sequence[int], names: Sequence[str]) -> None:
    """Name the entries of a signature by the tensors that they are of."""
    if not names:
        return
    # One tensor may be two outputs, whose names go in their order.
    names_of: dict[int, deque[str]] = {}
    for tensor, name in zip(map(int, tensors), names, strict=True):
        names_of.setdefault(tensor, deque()).append(name)
    for entry in entries:
        entry.name = names_of[int(entry.tensorIndex)].popleft().encode()


def _unused(name: bytes, used: set[bytes]) -> bytes:
    """Return a name, with a number behind it where it is used already."""
    numbers = itertools.count(1)
    unique = name
    while unique in used:
        unique = b"%s:%d" % (name, next(numbers))
    return unique


def _drop_notes(model: Any) -> None:
    for entry in model.metadata or []:
        if entry.name in _UNREAD:
            model.buffers[entry.buffer].data = None
    model.metadata = [entry for entry in model.metadata or [] if entry.name not in _UNREAD]
    for graph in model.subgraphs:
        graph.debugMetadataIndex = -1
        for node in graph.operators:
            node.debugMetadataIndex = -1
