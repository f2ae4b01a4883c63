"""What a model file says about itself, read and checked without the runtime."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from handheld.engine._tensor_info import ModelSignature, Quantization, TensorInfo
from handheld.engine._verify.axes import Shape
from handheld.engine._verify.buffers import fill_buffers
from handheld.engine._verify.check import TYPES, Verdict, check_model, operator_name
from handheld.engine._verify.flatbuffer import (
    CorruptError,
    Reader,
    RefusedError,
    Table,
    UnsupportedError,
    fail,
    unsupported,
)
from handheld.engine._verify.tensors import open_axes
from handheld.engine._verify.written import ShapeError
from handheld.errors import ModelError
from handheld.untrusted import read_json

CARD = "handheld"
"""Name of the metadata entry that holds our own JSON object."""

# Element types that numpy has not.
_NO_ARRAY = [
    "string",
    "resource",
    "variant",
    "int4",
    "uint4",
    "int2",
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
]


class StoredConstant(NamedTuple):
    """A tensor whose values are in the file.

    Args:
        dtype: name of its element type.
        shape: sides.
        data: its bytes, uint8.
        is_sparse: whether only the values beside zeros are stored.
    """

    dtype: str
    shape: tuple[int, ...]
    data: np.ndarray
    is_sparse: bool


@dataclass(frozen=True)
class ModelFile:
    """A checked file.

    Args:
        inputs, outputs: of the main graph.
        aliases: positions of inputs, by the names that signatures give them.
        signatures: by key.
        operators: names of the main graph's, in order of execution.
        metadata: entries by name.
        description: the file's line about itself.
        version: of the schema.
        steady: no shape depends on values, so the runtime never moves a tensor.
        layout: shape of each tensor of the main graph, as the rules compute it; None where only a
            run can tell, () if the file is not steady.
        doubts: why only a process of its own may run it; () if there is no reason.
        unsized: why it cannot be run before its open axes have other lengths; "" if it can.
        keeps_state: whether it has variables.
        constants: tensors of the main graph that have values of their own, by name.
        table: the decoded file, for checks with other shapes.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    aliases: Mapping[str, int]
    signatures: Mapping[str, ModelSignature]
    operators: tuple[str, ...]
    metadata: Mapping[str, bytes]
    description: str
    version: int
    steady: bool
    layout: tuple[Shape | None, ...]
    doubts: tuple[str, ...]
    unsized: str
    keeps_state: bool
    constants: Mapping[str, StoredConstant]
    table: Table = field(repr=False, compare=False)

    def constant(self, name: str) -> np.ndarray:
        """Return the values of a constant, as they are stored; those of four bits as int8."""
        if name not in self.constants:
            listed = ", ".join(sorted(self.constants)) or "none"
            raise ModelError(f"no constant {name!r}; expected one of {listed}")
        constant = self.constants[name]
        if constant.is_sparse:
            problem = "is stored sparse, and only the runtime unpacks it"
            raise ModelError(f"constant {name!r} {problem}; export the model with dense weights")
        if constant.dtype == "int4":
            numbers = _unpacked_int4(constant.data)
            return numbers[: math.prod(constant.shape)].reshape(constant.shape)
        if constant.dtype in _NO_ARRAY:
            raise ModelError(f"constant {name!r} is of {constant.dtype}, which no array holds")
        # A copy, as the bytes need not be aligned for their type where they lie in the file.
        aligned = constant.data.tobytes()
        return np.frombuffer(aligned, constant.dtype).reshape(constant.shape)

    def constants_beside(self, name: str) -> tuple[str, ...]:
        """Return the other constants of the first operator that reads a constant."""
        graph = self.table["subgraphs"][0]
        names = [_text(tensor["name"]) for tensor in graph["tensors"]]
        for operator, node in zip(self.operators, graph["operators"], strict=True):
            read = [names[index] for index in node["inputs"] if index >= 0]
            if operator == "DEQUANTIZE":
                # Of the numbers that it only widens: the next operator reads them.
                names[node["outputs"][0]] = read[0]
            elif name in read:
                return tuple(other for other in read if other != name and other in self.constants)
        return ()

    @property
    def card(self) -> dict[str, Any]:
        """The JSON object stored under ``handheld``, or an empty one."""
        try:
            card = read_json(self.metadata.get(CARD, b"{}"))
        except ValueError as error:
            problem = f"metadata entry {CARD!r} is not JSON: {error}"
            raise ModelError(f"{problem}; embed the card again") from error
        if not isinstance(card, dict):
            problem = f"metadata entry {CARD!r} is a JSON {type(card).__name__}"
            raise ModelError(f"{problem}, expected an object")
        return card


def _unpacked_int4(data: np.ndarray) -> np.ndarray:
    """Four-bit numbers, two in a byte with the first in the lower half, as int8."""
    halves = np.repeat(data, 2)
    halves[1::2] >>= 4
    # Up and down again, so that the sign of four bits becomes that of eight.
    raised = (halves << 4).view(np.int8)
    return np.asarray(raised >> 4)


def read(data: bytes, path: str) -> ModelFile:
    """Decode and check a ``.tflite`` file.

    Args:
        data: the whole file.
        path: of the file, for messages.

    Raises:
        ModelError: it is not a model, cut short, corrupt, or uses what is not supported.
    """
    file = f"{path} ({len(data)} bytes)"
    try:
        model = Reader(data).root("Model", b"TFL3")
        fill_buffers(model, data)
        return _checked(model)
    except CorruptError as error:
        advice = "The file is cut short or corrupt: fetch it again, or export it anew"
        raise ModelError(f"{file}: {error}. {advice}") from error
    except UnsupportedError as error:
        advice = "The file seems whole, but this version does not support that"
        raise ModelError(f"{file}: {error}. {advice}: export it without") from error


def resized(file: ModelFile, shapes: Mapping[int, Shape], path: str) -> ModelFile:
    """Check a file again, with other lengths of open axes.

    Args:
        file: as ``read`` returned it.
        shapes: of all inputs that change, by position.
        path: of the file, for messages.

    Raises:
        ModelError: the file cannot be run with these shapes.
    """
    graph = file.table["subgraphs"][0]
    inputs = {graph["inputs"][position]: shape for position, shape in shapes.items()}
    try:
        verdict = check_model(file.table, inputs)
    except RefusedError as error:
        listed = ", ".join(map(str, map(list, shapes.values())))
        problem = f"cannot be run with inputs of shape {listed}: {error}"
        raise ModelError(f"{path} {problem}; give others") from error
    return replace(
        file,
        inputs=_infos(graph, "inputs", verdict.shapes[0]),
        outputs=_infos(graph, "outputs", verdict.shapes[0]),
        steady=verdict.steady,
        layout=_layout(verdict),
        doubts=verdict.doubts,
        unsized="",
    )


def _checked(model: Table) -> ModelFile:
    try:
        return _describe(model, check_model(model), "")
    except ShapeError as error:
        # Exporters write 1 for every open side, and some networks shrink that to nothing: the
        # file is right, and runs once it is told the real lengths.
        if not _has_open_input(model["subgraphs"][0]):
            raise
        declared = tuple(_declared_shapes(graph) for graph in model["subgraphs"])
        # Doubted too: as it stands, nothing vouches for it.
        verdict = Verdict(steady=False, doubts=(str(error),), shapes=declared)
        return _describe(model, verdict, str(error))


def _has_open_input(graph: Table) -> bool:
    inputs = map(graph["tensors"].__getitem__, graph["inputs"])
    return any(map(open_axes, inputs))


def _declared_shapes(graph: Table) -> tuple[Shape, ...]:
    return tuple(tuple(tensor["shape"]) for tensor in graph["tensors"])


def _describe(model: Table, verdict: Verdict, unsized: str) -> ModelFile:
    graph = model["subgraphs"][0]
    codes = list(map(operator_name, model["operator_codes"]))
    has_variables = any(map(_has_variable, model["subgraphs"]))
    return ModelFile(
        inputs=_infos(graph, "inputs", verdict.shapes[0]),
        outputs=_infos(graph, "outputs", verdict.shapes[0]),
        aliases=_aliases(model, graph),
        signatures=_signatures(model, verdict),
        operators=tuple(codes[node["opcode_index"]] for node in graph["operators"]),
        metadata=_metadata(model),
        description=_text(model["description"]),
        version=model["version"],
        steady=verdict.steady,
        layout=_layout(verdict),
        doubts=verdict.doubts,
        unsized=unsized,
        keeps_state=has_variables or "VAR_HANDLE" in codes,
        constants=_constants(model, graph),
        table=model,
    )


def _layout(verdict: Verdict) -> tuple[Shape | None, ...]:
    # Where a tensor moves at a run, its shape before the first one says nothing.
    if not verdict.steady:
        return ()
    return verdict.shapes[0]


def _has_variable(graph: Table) -> bool:
    return any(tensor["is_variable"] for tensor in graph["tensors"])


def _metadata(model: Table) -> dict[str, bytes]:
    entries = {}
    for entry in model["metadata"]:
        buffer = model["buffers"][entry["buffer"]]
        entries[_text(entry["name"])] = bytes(buffer["data"])
    return entries


def _constants(model: Table, graph: Table) -> dict[str, StoredConstant]:
    constants = {}
    for tensor in graph["tensors"]:
        buffer = model["buffers"][tensor["buffer"]]
        data = buffer["data"]
        # Buffer 0 is empty: tensors that operators write have it.
        if len(data):
            dtype = TYPES[tensor["type"]]
            is_sparse = bool(tensor["sparsity"])
            constant = StoredConstant(dtype, tuple(tensor["shape"]), data, is_sparse)
            constants[_text(tensor["name"])] = constant
    return constants


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")


def _infos(
    graph: Table, field_name: str, shapes: tuple[Shape | None, ...]
) -> tuple[TensorInfo, ...]:
    infos = []
    for position, index in enumerate(graph[field_name]):
        path = f"subgraphs[0].{field_name}[{position}]"
        infos.append(_tensor_info(graph["tensors"][index], shapes[index], path))
    return tuple(infos)


def _tensor_info(tensor: Table, shape: Shape | None, path: str) -> TensorInfo:
    dtype = TYPES[tensor["type"]]
    if dtype in _NO_ARRAY:
        problem = f"elements of type {dtype} cannot be given or read as a numpy array"
        unsupported(path, problem)
    try:
        name = (tensor["name"] or b"").decode()
    except UnicodeDecodeError:
        fail(path, f"name {tensor['name']!r} is not UTF-8")
    # Before a run that tells the shape, the declared one is the best that is known.
    if shape is None:
        shape = tuple(tensor["shape"])
    return TensorInfo(
        name=name,
        shape=shape,
        dtype=np.dtype(dtype),
        quantization=_quantization(tensor["quantization"]),
        open_axes=open_axes(tensor),
    )


def _quantization(table: Table | None) -> tuple[float, int] | Quantization | None:
    if not table or not table["scale"]:
        return None
    scales = table["scale"]
    # A symmetric quantisation leaves its zero points out.
    zeros = table["zero_point"] or (0,) * len(scales)
    if len(scales) == 1:
        return scales[0], zeros[0]
    return Quantization(scales, zeros, table["quantized_dimension"])


def _aliases(model: Table, graph: Table) -> dict[str, int]:
    """Names that signatures give to the inputs, with the inputs' positions."""
    aliases: dict[str, int] = {}
    for signature in model["signature_defs"]:
        if signature["subgraph_index"]:  # of another graph than the main one
            continue
        for entry in signature["inputs"]:
            name = _text(entry["name"])
            aliases[name] = graph["inputs"].index(entry["tensor_index"])
    return aliases


def _signatures(model: Table, verdict: Verdict) -> dict[str, ModelSignature]:
    """The file's signatures; those that take or return what no array can hold are left out."""
    signatures: dict[str, ModelSignature] = {}
    for entry in model["signature_defs"]:
        number = entry["subgraph_index"]
        graph = model["subgraphs"][number]
        key = _text(entry["signature_key"])
        try:
            # A file may be run by its other functions where one of them takes strings.
            inputs = _named_infos(graph, entry["inputs"], verdict.shapes[number])
            outputs = _named_infos(graph, entry["outputs"], verdict.shapes[number])
        except RefusedError:
            # Not told: who asks for it by its key is told which others there are.
            continue
        signatures[key] = ModelSignature(key, inputs, outputs)
    return signatures


def _named_infos(
    graph: Table, entries: tuple[Table, ...], shapes: tuple[Shape | None, ...]
) -> tuple[TensorInfo, ...]:
    infos = []
    for entry in entries:
        index = entry["tensor_index"]
        name = _text(entry["name"])
        info = _tensor_info(graph["tensors"][index], shapes[index], name)
        infos.append(replace(info, name=name))
    return tuple(infos)
