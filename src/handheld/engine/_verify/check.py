"""What a decoded model must obey before the runtime may see it.

The runtime's loader and kernels trust the converter: an index, a shape or an arity that is wrong
in the file makes them read outside their arrays or stop the process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from handheld.engine._verify.axes import Shape
from handheld.engine._verify.calls import call_order
from handheld.engine._verify.flatbuffer import Table, fail, unsupported
from handheld.engine._verify.graph import walk_graph
from handheld.engine._verify.operators import CUSTOM, refused, signatures
from handheld.engine._verify.tensors import MAX_BYTES, TYPES, check_tensor, open_axes
from handheld.engine._verify.variables import collect
from handheld.engine._verify.walk import FileTables, GraphWalk

__all__ = ["MAX_BYTES", "TYPES", "Verdict", "check_model", "operator_name", "operator_number"]

_SCHEMA_VERSION = 3  # ``TFLITE_SCHEMA_VERSION``


@dataclass(frozen=True)
class Verdict:
    """What the checks know of a file that they accept.

    Args:
        steady: whether the runtime knows all shapes of the main graph before a run, and so never
            moves a tensor.
        doubts: what no rule covers, or only a run can tell; () if the file may share a process.
        shapes: of the tensors of each graph at run time; None: only a run can tell.
    """

    steady: bool
    doubts: tuple[str, ...]
    shapes: tuple[tuple[Shape | None, ...], ...]


def check_model(model: Table, inputs: Mapping[int, Shape] | None = None) -> Verdict:
    """Check a decoded ``Model`` table, its buffers filled by ``fill_buffers``.

    Args:
        model: the table.
        inputs: shapes of the main graph's inputs that are not as in the file, by tensor.

    Raises:
        CorruptError: the file contradicts itself.
        UnsupportedError: it uses what is not supported.
    """
    _check_head(model)
    for i, code in enumerate(model["operator_codes"]):
        _check_code(f"operator_codes[{i}]", code)
    for i, entry in enumerate(model["metadata"]):
        if entry["name"] is None or entry["buffer"] >= len(model["buffers"]):
            fail(f"metadata[{i}]", f"entry named {entry['name']} in buffer {entry['buffer']}")
    # The walks index tensors and buffers, so every graph's tensors are judged before the first.
    for i, graph in enumerate(model["subgraphs"]):
        _check_tensors(f"subgraphs[{i}]", graph, model["buffers"])
    # Signatures last, as the indices of inputs and outputs that they name are judged by the walks.
    walks = _walk_graphs(model, inputs or {})
    for i, signature in enumerate(model["signature_defs"]):
        _check_signature(f"signature_defs[{i}]", signature, model["subgraphs"])
    return Verdict(
        steady=walks[0].steady,
        doubts=tuple(chain.from_iterable(walk.doubts for walk in walks)),
        shapes=tuple(tuple(walk.shapes) for walk in walks),
    )


def _check_head(model: Table) -> None:
    if model["version"] != _SCHEMA_VERSION:
        fail("version", f"schema version {model['version']}, expected {_SCHEMA_VERSION}")
    if not model["subgraphs"]:
        fail("subgraphs", "none; a model has at least one")
    if model["external_buffers"] or model["external_buffer_groups"]:
        problem = "weights in other files are not supported; export the model as one file"
        unsupported("external_buffers", problem)


def _check_code(path: str, code: Table) -> None:
    number = operator_number(code)
    if number in refused():
        unsupported(path, f"operator {refused()[number]} is not supported")
    if number not in signatures():
        problem = f"operator number {number} is not one that this version of handheld knows"
        unsupported(path, problem)
    if number == CUSTOM and not code["custom_code"]:
        fail(path, "custom operator without a name")
    if code["version"] < 1:
        fail(path, f"operator version {code['version']}, expected 1 or more")


def operator_number(code: Table) -> int:
    """An operator code's number: newer files use a second field, for numbers above 127."""
    return int(max(code["deprecated_builtin_code"], code["builtin_code"]))


def custom_name(code: Table) -> str:
    """Name of a custom operator, "" for others."""
    if operator_number(code) != CUSTOM:
        return ""
    return bytes(code["custom_code"] or b"").decode("utf-8", "replace")


def operator_name(code: Table) -> str:
    """Name of an operator that has passed the checks; custom ones as the file names them."""
    return custom_name(code) or signatures()[operator_number(code)].name


def _check_tensors(path: str, graph: Table, buffers: Sequence[Table]) -> None:
    total = 0
    for i, tensor in enumerate(graph["tensors"]):
        total += check_tensor(f"{path}.tensors[{i}]", tensor, buffers)
        # Here and not behind the loop, so that a long list of tensors is given up early.
        if total > MAX_BYTES:
            unsupported(path, f"tensors need more than {MAX_BYTES} bytes together")


def _walk_graphs(model: Table, inputs: Mapping[int, Shape]) -> list[GraphWalk]:
    graphs = model["subgraphs"]
    order = call_order(graphs)
    tables = _file_tables(model)
    walks: dict[int, GraphWalk] = {}
    # Callees first: a call's shapes are those that the walk of its graph has found.
    for i in order:
        shapes: Mapping[int, Shape | None] = inputs
        if i:  # a graph that others call
            shapes = _open_inputs(graphs[i])
        walks[i] = walk_graph(f"subgraphs[{i}]", graphs[i], tables, walks, shapes)
    return list(map(walks.__getitem__, range(len(graphs))))


def _file_tables(model: Table) -> FileTables:
    codes = model["operator_codes"]
    numbers = list(map(operator_number, codes))
    names = [signatures()[number].name for number in numbers]
    return FileTables(
        graphs=model["subgraphs"],
        buffers=model["buffers"],
        numbers=numbers,
        names=names,
        customs=list(map(custom_name, codes)),
        variables=collect(names, model["subgraphs"]),
    )


def _open_inputs(graph: Table) -> dict[int, Shape | None]:
    """Inputs of a called graph whose shape is unknown.

    Who calls the graph decides how long its open sides are, maybe anew at each call.
    """
    tensors = graph["tensors"]
    shapes: dict[int, Shape | None] = {}
    for index in graph["inputs"]:
        # Indices are judged when the graph is walked, so none is trusted here.
        if 0 <= index < len(tensors) and open_axes(tensors[index]):
            shapes[index] = None
    return shapes


def _check_signature(path: str, signature: Table, graphs: Sequence[Table]) -> None:
    key = signature["signature_key"]
    number = signature["subgraph_index"]
    if key is None or number >= len(graphs):
        fail(path, f"key {key}, subgraph {number}")
    for field in ("inputs", "outputs"):
        _check_entries(f"{path}.{field}", signature[field], graphs[number][field])


def _check_entries(path: str, entries: Sequence[Table], indices: Sequence[int]) -> None:
    for entry in entries:
        if entry["name"] is None or entry["tensor_index"] not in indices:
            problem = f"{entry['name']} is tensor {entry['tensor_index']}"
            fail(path, f"{problem}, not in {indices}")
