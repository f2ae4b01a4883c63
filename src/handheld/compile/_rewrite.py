"""The one file that rewrites a converted file's FlatBuffer: its tensors' names, notes that nobody
reads, where weights lie.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from handheld.errors import MissingDependencyError

_UNREAD = (b"keep_stablehlo_constant", b"debug_metadata")
_ALIGN = 16  # of buffers, by the schema; the Python builder knows it not


def unpack(content: bytes) -> Any:
    """Return a file as a tree of the schema's objects, all weights in it, wherever the file has
    them.
    """
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

    class Builder(flatbuffers.Builder):  # type: ignore[misc]
        def StartVector(self, size: int, count: int, alignment: int) -> Any:  # noqa: N802
            return super().StartVector(
                size, count, _ALIGN if size == 1 and count >= _ALIGN else alignment
            )

    builder = Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def with_weights_inside(content: bytes) -> bytes:
    """Move weights that the quantiser wrote behind the model into it, as every older reader of the
    format expects them.
    """
    return pack(unpack(content))


def renamed(content: bytes, names: Callable[[Any], Mapping[int, str]]) -> bytes:
    """Give tensors other names, made unique, and drop the notes that nobody reads.

    Args:
        content: a model file.
        names: the wanted names of a graph's tensors, by index; may repeat. What goes in and out of
            a graph keeps its name, since callers may know it.
    """
    model = unpack(content)
    fixed = [{int(i) for i in (*graph.inputs, *graph.outputs)} for graph in model.subgraphs]
    used = {
        graph.tensors[i].name
        for graph, ends in zip(model.subgraphs, fixed, strict=True)
        for i in ends
    }
    for graph, ends in zip(model.subgraphs, fixed, strict=True):
        wanted = names(graph)
        for i, tensor in enumerate(graph.tensors):
            if i not in ends:
                tensor.name = _unused(
                    wanted[i].encode() if i in wanted else tensor.name or b"tensor", used
                )
                used.add(tensor.name)
    _drop_notes(model)
    return pack(model)


def with_signature(content: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """Give inputs and outputs the names that a module has for them, in the file's one signature;
    none: as they are.
    """
    model = unpack(content)
    (signature,) = model.signatureDefs
    graph = model.subgraphs[signature.subgraphIndex]
    _name(signature.inputs, graph.inputs, inputs)
    _name(signature.outputs, graph.outputs, outputs)
    return pack(model)


def _name(entries: Sequence[Any], places: Sequence[int], names: Sequence[str]) -> None:
    """Name the entries of a signature by the tensors that they are of; two of one tensor in their
    order.
    """
    if not names:
        return
    left = list(zip(map(int, places), names, strict=True))
    for entry in entries:
        pair = next(pair for pair in left if pair[0] == int(entry.tensorIndex))
        left.remove(pair)
        entry.name = pair[1].encode()


def _unused(name: bytes, used: set[bytes]) -> bytes:
    found, count = name, 0
    while found in used:
        count += 1
        found = b"%s:%d" % (name, count)
    return found


def _drop_notes(model: Any) -> None:
    for entry in model.metadata or []:
        if entry.name in _UNREAD:
            model.buffers[entry.buffer].data = None
    model.metadata = [entry for entry in model.metadata or [] if entry.name not in _UNREAD]
    for graph in model.subgraphs:
        graph.debugMetadataIndex = -1
        for node in graph.operators:
            node.debugMetadataIndex = -1
