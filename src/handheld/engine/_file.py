"""What a model file says about itself, read and checked without the runtime."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

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
from handheld.engine._verify.written import ShapeError
from handheld.engine._verify.tensors import open_axes
from handheld.errors import InputError, ModelError

CARD = "handheld"
"""Name of the metadata entry that holds our own JSON object."""

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


@dataclass(frozen=True)
class Quantization:
    """Per-channel affine quantisation: ``real = scale[c] * (stored - zero_point[c])`` along ``axis``."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of a model.

    Args:
        name: the tensor's name in the file.
        shape: sides; one that the file leaves open is as the file has it, mostly 1, or as
            ``Model.resize`` made it.
        dtype: element type.
        quantization: ``(scale, zero_point)`` with ``real = scale * (stored - zero_point)``; a
            ``Quantization`` where each channel has its own; None for real-valued tensors.
        open_axes: axes whose length the file leaves open, as that of a batch.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quantization: tuple[float, int] | Quantization | None
    open_axes: tuple[int, ...] = ()

    def takes(self, shape: Shape) -> bool:
        """Whether a shape differs from this one in open axes alone."""
        return len(shape) == len(self.shape) and all(
            side == length or axis in self.open_axes
            for axis, (side, length) in enumerate(zip(shape, self.shape, strict=True))
        )

    def to_stored(self, real: np.ndarray) -> np.ndarray:
        """Return real values as the tensor stores them: rounded and clipped by its quantisation, or cast where it has none."""
        if self.quantization is None or self.dtype.kind == "f":
            return real.astype(self.dtype, copy=False)
        scale, zero = self._affine()
        limits = np.iinfo(self.dtype)
        return np.asarray(
            np.clip(np.rint(real / scale) + zero, limits.min, limits.max), dtype=self.dtype
        )

    def to_real(self, stored: np.ndarray) -> np.ndarray:
        """Return stored values as the real ones that they stand for, float64."""
        if self.quantization is None or self.dtype.kind == "f":
            return stored.astype(np.float64)
        scale, zero = self._affine()
        return np.asarray((stored.astype(np.float64) - zero) * scale)

    def _affine(self) -> tuple[float, int]:
        if not isinstance(self.quantization, tuple):
            raise InputError(
                f"tensor {self} is quantised by channel; only a quantisation of the whole tensor can be applied"
            )
        return self.quantization

    def __str__(self) -> str:
        sides = [
            f"{side} (open)" if axis in self.open_axes else str(side)
            for axis, side in enumerate(self.shape)
        ]
        return f"{self.name!r} {self.dtype.name} [{', '.join(sides)}]"


@dataclass(frozen=True)
class ModelSignature:
    """One of the functions that a file offers by name, as in TensorFlow's saved models.

    Args:
        key: its name.
        inputs: what it takes, by the names that the signature gives them.
        outputs: what it returns, likewise.
    """

    key: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


@dataclass(frozen=True)
class ModelFile:
    """A checked file.

    Args:
        steady: no shape depends on values, so the runtime never moves a tensor.
        layout: shape of each tensor of the main graph, as the rules compute it; None where only a
            run can tell, () if the file is not steady.
        doubts: why only a process of its own may run it; () if there is no reason.
        unsized: why it cannot be run before its open axes have other lengths; "" if it can.
        keeps_state: whether it has variables.
        constants: type, shape and bytes of each tensor of the main graph that has values of its own, by name.
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
    constants: Mapping[str, tuple[str, tuple[int, ...], np.ndarray]]
    table: Table = field(repr=False, compare=False)

    def constant(self, name: str) -> np.ndarray:
        """Return the values of a constant, as they are stored; those of four bits as int8."""
        if name not in self.constants:
            raise ModelError(
                f"no constant {name!r}; expected one of {', '.join(sorted(self.constants)) or 'none'}"
            )
        kind, shape, data = self.constants[name]
        if kind == "int4":
            halves = np.repeat(data, 2)
            halves[1::2] >>= 4
            signed = (halves << 4).view(np.int8) >> 4
            return signed[: math.prod(shape)].reshape(shape)
        if kind in _NO_ARRAY:
            raise ModelError(f"constant {name!r} is of {kind}, which no array holds")
        return np.frombuffer(data.tobytes(), kind).reshape(shape)

    @property
    def card(self) -> dict[str, Any]:
        """The JSON object stored under ``handheld``, or an empty one."""
        try:
            card = json.loads(self.metadata.get(CARD, b"{}"))
        except (ValueError, RecursionError) as error:
            problem = f"metadata entry {CARD!r} is not JSON: {error}"
            raise ModelError(f"{problem}; embed the card again") from error
        if not isinstance(card, dict):
            problem = f"metadata entry {CARD!r} is a JSON {type(card).__name__}"
            raise ModelError(f"{problem}, expected an object")
        return card


def read(data: bytes, where: str) -> ModelFile:
    """Decode and check a ``.tflite`` file.

    Args:
        data: the whole file.
        where: its path, for messages.

    Raises:
        ModelError: it is not a model, cut short, corrupt, or uses what is not supported.
    """
    size = f"{where} ({len(data)} bytes)"
    try:
        model = Reader(data).root("Model", b"TFL3")
        fill_buffers(model, data)
        return _checked(model)
    except CorruptError as error:
        advice = "The file is cut short or corrupt: fetch it again, or export it anew"
        raise ModelError(f"{size}: {error}. {advice}") from error
    except UnsupportedError as error:
        advice = "The file seems whole, but this version does not support that"
        raise ModelError(f"{size}: {error}. {advice}: export it without") from error


def resized(file: ModelFile, shapes: Mapping[int, Shape], where: str) -> ModelFile:
    """Check a file again, with other lengths of open axes.

    Args:
        file: as ``read`` returned it.
        shapes: of all inputs that change, by position.
        where: its path, for messages.

    Raises:
        ModelError: the file cannot be run with these shapes.
    """
    graph = file.table["subgraphs"][0]
    inputs = {graph["inputs"][position]: shape for position, shape in shapes.items()}
    try:
        verdict = check_model(file.table, inputs)
    except RefusedError as error:
        listed = ", ".join(str(list(shape)) for shape in shapes.values())
        problem = f"cannot be run with inputs of shape {listed}: {error}"
        raise ModelError(f"{where} {problem}; give others") from error
    return replace(
        file,
        inputs=_infos(graph, "inputs", verdict.shapes[0]),
        outputs=_infos(graph, "outputs", verdict.shapes[0]),
        steady=verdict.steady,
        layout=verdict.shapes[0] if verdict.steady else (),
        doubts=verdict.doubts,
        unsized="",
    )


def _checked(model: Table) -> ModelFile:
    try:
        return _describe(model, check_model(model), "")
    except ShapeError as error:
        # Exporters write 1 for every open side, and some networks shrink that to nothing: the
        # file is right, and runs once it is told the real lengths.
        graph = model["subgraphs"][0]
        if not any(open_axes(graph["tensors"][i]) for i in graph["inputs"]):
            raise
        declared = tuple(
            tuple(tuple(tensor["shape"]) for tensor in graph["tensors"])
            for graph in model["subgraphs"]
        )
        verdict = Verdict(steady=False, doubts=(str(error),), shapes=declared)
        return _describe(model, verdict, str(error))


def _describe(model: Table, verdict: Verdict, unsized: str) -> ModelFile:
    graph = model["subgraphs"][0]
    codes = [operator_name(code) for code in model["operator_codes"]]
    data = {
        _text(entry["name"]): _bytes(model["buffers"][entry["buffer"]])
        for entry in model["metadata"]
    }
    return ModelFile(
        inputs=_infos(graph, "inputs", verdict.shapes[0]),
        outputs=_infos(graph, "outputs", verdict.shapes[0]),
        aliases=_aliases(model, graph),
        signatures=_signatures(model, verdict),
        operators=tuple(codes[node["opcode_index"]] for node in graph["operators"]),
        metadata=data,
        description=_text(model["description"]),
        version=model["version"],
        steady=verdict.steady,
        layout=verdict.shapes[0] if verdict.steady else (),
        doubts=verdict.doubts,
        unsized=unsized,
        keeps_state=_keeps_state(model, codes),
        constants=dict(_constants(model, graph)),
        table=model,
    )


def _constants(
    model: Table, graph: Table
) -> Iterator[tuple[str, tuple[str, tuple[int, ...], np.ndarray]]]:
    for tensor in graph["tensors"]:
        data = model["buffers"][tensor["buffer"]]["data"]
        if len(data):
            yield _text(tensor["name"]), (TYPES[tensor["type"]], tuple(tensor["shape"]), data)


def _keeps_state(model: Table, codes: list[str]) -> bool:
    variables = any(t["is_variable"] for graph in model["subgraphs"] for t in graph["tensors"])
    return variables or "VAR_HANDLE" in codes


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")


def _bytes(buffer: Table) -> bytes:
    return bytes(buffer["data"])


def _infos(
    graph: Table, field_name: str, shapes: tuple[Shape | None, ...]
) -> tuple[TensorInfo, ...]:
    return tuple(
        _tensor(graph["tensors"][index], shapes[index], f"subgraphs[0].{field_name}[{position}]")
        for position, index in enumerate(graph[field_name])
    )


def _tensor(tensor: Table, shape: Shape | None, where: str) -> TensorInfo:
    dtype = TYPES[tensor["type"]]
    if dtype in _NO_ARRAY:
        problem = f"elements of type {dtype} cannot be given or read as a numpy array"
        unsupported(where, problem)
    try:
        name = (tensor["name"] or b"").decode()
    except UnicodeDecodeError:
        fail(where, f"name {tensor['name']!r} is not UTF-8")
    return TensorInfo(
        name,
        tuple(tensor["shape"]) if shape is None else shape,
        np.dtype(dtype),
        _quantization(tensor["quantization"]),
        open_axes(tensor),
    )


def _quantization(table: Table | None) -> tuple[float, int] | Quantization | None:
    if not table or not table["scale"]:
        return None
    scales = table["scale"]
    zeros = table["zero_point"] or (0,) * len(scales)
    if len(scales) == 1:
        return scales[0], zeros[0]
    return Quantization(scales, zeros, table["quantized_dimension"])


def _aliases(model: Table, graph: Table) -> dict[str, int]:
    """Names that signatures give to the inputs, with the inputs' positions."""
    aliases: dict[str, int] = {}
    for signature in model["signature_defs"]:
        if signature["subgraph_index"]:
            continue
        for entry in signature["inputs"]:
            aliases[_text(entry["name"])] = graph["inputs"].index(entry["tensor_index"])
    return aliases


def _signatures(model: Table, verdict: Verdict) -> dict[str, ModelSignature]:
    """The file's signatures; those that take or return what no array can hold are left out."""
    signatures: dict[str, ModelSignature] = {}
    for entry in model["signature_defs"]:
        number = entry["subgraph_index"]
        key = _text(entry["signature_key"])
        try:
            inputs, outputs = (
                _named(model["subgraphs"][number], entry[side], verdict.shapes[number])
                for side in ("inputs", "outputs")
            )
        except RefusedError:
            continue
        signatures[key] = ModelSignature(key, inputs, outputs)
    return signatures


def _named(
    graph: Table, entries: tuple[Table, ...], shapes: tuple[Shape | None, ...]
) -> tuple[TensorInfo, ...]:
    infos = []
    for entry in entries:
        index = entry["tensor_index"]
        info = _tensor(graph["tensors"][index], shapes[index], _text(entry["name"]))
        infos.append(replace(info, name=_text(entry["name"])))
    return tuple(infos)
