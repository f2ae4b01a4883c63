"""What a model file says about itself, read and checked without the runtime."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from handheld.engine._verify.buffers import fill_buffers
from handheld.engine._verify.check import TYPES, check_model, operator_number
from handheld.engine._verify.flatbuffer import CorruptError, Reader, Table, fail
from handheld.engine._verify.operators import CUSTOM, signatures
from handheld.errors import InputError, ModelError

CARD = "handheld"
"""Name of the metadata entry that holds our own JSON object."""

_NO_ARRAY = {"string", "resource", "variant", "int4", "uint4", "int2", "bfloat16", "float8_e4m3fn", "float8_e5m2"}


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
        shape: sides; a side that the file leaves open is 1.
        dtype: element type.
        quantization: ``(scale, zero_point)`` with ``real = scale * (stored - zero_point)``; a ``Quantization``
            where each channel has its own; None for real-valued tensors.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quantization: tuple[float, int] | Quantization | None

    def to_stored(self, real: np.ndarray) -> np.ndarray:
        """Return real values as the tensor stores them: rounded and clipped by its quantisation, or cast where it has none."""
        if self.quantization is None or self.dtype.kind == "f":
            return real.astype(self.dtype, copy=False)
        scale, zero = self._affine()
        limits = np.iinfo(self.dtype)
        return np.asarray(np.clip(np.rint(real / scale) + zero, limits.min, limits.max), dtype=self.dtype)

    def to_real(self, stored: np.ndarray) -> np.ndarray:
        """Return stored values as the real ones that they stand for, float64."""
        if self.quantization is None or self.dtype.kind == "f":
            return stored.astype(np.float64)
        scale, zero = self._affine()
        return np.asarray((stored.astype(np.float64) - zero) * scale)

    def _affine(self) -> tuple[float, int]:
        if not isinstance(self.quantization, tuple):
            raise InputError(f"tensor {self} is quantised by channel; only a quantisation of the whole tensor can be applied")
        return self.quantization

    def __str__(self) -> str:
        return f"{self.name!r} {self.dtype.name} {list(self.shape)}"


@dataclass(frozen=True)
class ModelFile:
    """A checked file.

    ``steady``: no shape depends on values, so the runtime never moves a tensor. ``constants``: type, shape and bytes of each
    tensor of the main graph that has values of its own, by name.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    aliases: Mapping[str, int]
    operators: tuple[str, ...]
    metadata: Mapping[str, bytes]
    description: str
    version: int
    steady: bool
    constants: Mapping[str, tuple[str, tuple[int, ...], np.ndarray]]

    def constant(self, name: str) -> np.ndarray:
        """Return the values of a constant, as they are stored; those of four bits as int8."""
        if name not in self.constants:
            raise ModelError(f"no constant {name!r}; expected one of {', '.join(sorted(self.constants)) or 'none'}")
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
        except ValueError as error:
            raise ModelError(f"metadata entry {CARD!r} is not JSON: {error}; embed the card again") from error
        if not isinstance(card, dict):
            raise ModelError(f"metadata entry {CARD!r} is a JSON {type(card).__name__}, expected an object")
        return card


def read(data: bytes, where: str) -> ModelFile:
    """Decode and check a ``.tflite`` file.

    Args:
        data: the whole file.
        where: its path, for messages.

    Raises:
        ModelError: it is not a model, cut short, corrupt, or uses what is not supported.
    """
    try:
        model = Reader(data).root("Model", b"TFL3")
        fill_buffers(model, data)
        return _describe(model, steady=check_model(model))
    except CorruptError as error:
        raise ModelError(
            f"{where} ({len(data)} bytes): {error}. The file is cut short, corrupt, or uses what this version does"
            " not support: fetch it again, or export it as one dense TensorFlow Lite file"
        ) from error


def _describe(model: Table, *, steady: bool) -> ModelFile:
    graph = model["subgraphs"][0]
    names = [_operator_name(model["operator_codes"][node["opcode_index"]]) for node in graph["operators"]]
    data = {_text(entry["name"]): _bytes(model["buffers"][entry["buffer"]]) for entry in model["metadata"]}
    return ModelFile(
        inputs=tuple(_tensor(graph, "inputs", i) for i in range(len(graph["inputs"]))),
        outputs=tuple(_tensor(graph, "outputs", i) for i in range(len(graph["outputs"]))),
        aliases=_aliases(model, graph),
        operators=tuple(names),
        metadata=data,
        description=_text(model["description"]),
        version=model["version"],
        steady=steady,
        constants=dict(_constants(model, graph)),
    )


def _constants(model: Table, graph: Table) -> Iterator[tuple[str, tuple[str, tuple[int, ...], np.ndarray]]]:
    for tensor in graph["tensors"]:
        data = model["buffers"][tensor["buffer"]]["data"]
        if len(data):
            yield _text(tensor["name"]), (TYPES[tensor["type"]], tuple(tensor["shape"]), data)


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")


def _bytes(buffer: Table) -> bytes:
    return bytes(buffer["data"])


def _operator_name(code: Table) -> str:
    number = operator_number(code)
    return _text(code["custom_code"]) if number == CUSTOM else signatures()[number].name


def _tensor(graph: Table, field: str, position: int) -> TensorInfo:
    tensor = graph["tensors"][graph[field][position]]
    kind, where = TYPES[tensor["type"]], f"subgraphs[0].{field}[{position}]"
    if kind in _NO_ARRAY:
        fail(where, f"elements of type {kind} cannot be given or read as a numpy array")
    try:
        name = (tensor["name"] or b"").decode()
    except UnicodeDecodeError:
        fail(where, f"name {tensor['name']!r} is not UTF-8")
    return TensorInfo(name, tuple(tensor["shape"]), np.dtype(kind), _quantization(tensor["quantization"]))


def _quantization(table: Table | None) -> tuple[float, int] | Quantization | None:
    if not table or not table["scale"]:
        return None
    scales, zeros = table["scale"], table["zero_point"] or (0,) * len(table["scale"])
    return (scales[0], zeros[0]) if len(scales) == 1 else Quantization(scales, zeros, table["quantized_dimension"])


def _aliases(model: Table, graph: Table) -> dict[str, int]:
    """Names that signatures give to the inputs, with the inputs' positions."""
    entries = (entry for s in model["signature_defs"] if s["subgraph_index"] == 0 for entry in s["inputs"])
    return {_text(entry["name"]): graph["inputs"].index(entry["tensor_index"]) for entry in entries}
