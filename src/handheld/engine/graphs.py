"""Write a small graph as a ``.tflite`` file at once, where a converter would take half a minute.

A :class:`GraphWriter` collects constants and operators in the order in which they run; ``content``
is the file. It writes what it is told: open the result with ``Model.load``, which checks it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError

_TYPES = {"float32": 0, "int32": 2, "bool": 6, "int8": 9, "int4": 17}  # ``TensorType``
_OPERATORS = {
    "ADD": (0, 1),
    "DEQUANTIZE": (6, 2),
    "EMBEDDING_LOOKUP": (7, 4),
    "FULLY_CONNECTED": (9, 1),
    "MUL": (18, 1),
    "RELU": (19, 1),
    "RESHAPE": (22, 1),
    "SUB": (41, 1),
    "CAST": (53, 1),
    "MAXIMUM": (55, 1),
    "LESS": (58, 1),
    "SUM": (74, 1),
    "RSQRT": (76, 1),
}
"""Number and version of the operators that we write, by name.

Numbers: ``BuiltinOperator`` in the TensorFlow Lite schema.
"""

_SCHEMA = 3  # ``TFLITE_SCHEMA_VERSION``
_IDENTIFIER = b"TFL3"
INT4_LEVELS = range(-8, 8)


class TensorRef(NamedTuple):
    """A tensor of the graph that is being written."""

    number: int
    shape: tuple[int, ...]


class GraphWriter:
    """One graph: tensors, operators, and entries of metadata."""

    def __init__(self) -> None:
        self._schema = schema = object_schema()
        self._model = schema.ModelT()
        self._model.version = _SCHEMA
        self._model.buffers = [schema.BufferT()]
        self._model.operatorCodes = []
        self._model.metadata = []
        self._graph = schema.SubGraphT()
        self._graph.tensors = []
        self._graph.operators = []
        self._graph.inputs = []
        self._graph.outputs = []
        self._model.subgraphs = [self._graph]

    def input(self, name: str, shape: tuple[int, ...], dtype: str) -> TensorRef:
        """Return a tensor that callers fill."""
        tensor = self._tensor(name, shape, dtype, 0)
        self._graph.inputs.append(tensor.number)
        return tensor

    def constant(self, name: str, values: NDArray[Any], dtype: str | None = None) -> TensorRef:
        """Return a tensor with values of its own.

        Of ``int8`` and ``int4`` a real value is the number that is stored.

        Raises:
            InputError: values that four bits cannot hold, or rows of four bits that end inside a
                byte.
        """
        dtype = dtype or values.dtype.name
        data: NDArray[Any] = np.ascontiguousarray(values)
        if dtype == "int4":
            data = _packed(name, values)
        tensor = self._tensor(name, values.shape, dtype, self._buffer(data.tobytes()))
        if dtype in ("int8", "int4"):
            quantization = self._schema.QuantizationParametersT()
            quantization.scale = [1.0]
            quantization.zeroPoint = [0]
            self._graph.tensors[tensor.number].quantization = quantization
        return tensor

    def operator(
        self,
        name: str,
        inputs: Sequence[TensorRef],
        shape: tuple[int, ...],
        dtype: str = "float32",
        *,
        output: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> TensorRef:
        """Append an operator and return what it gives.

        Args:
            name: one of the schema's, in capitals.
            inputs: tensors.
            shape, dtype: of the output.
            output: its name; the operator's and a number if left out.
            options: fields of the operator's table of options, ``table`` being the table's name
                without ``Options``.
        """
        output = output or f"{name.lower()}_{len(self._graph.operators)}"
        result = self._tensor(output, shape, dtype, 0)
        node = self._schema.OperatorT()
        node.opcodeIndex = self._code(name)
        node.inputs = [tensor.number for tensor in inputs]
        node.outputs = [result.number]
        if options:
            self._set_options(node, **options)
        self._graph.operators.append(node)
        return result

    def _set_options(self, node: Any, *, table: str, **fields: Any) -> None:
        name = f"{table}Options"
        node.builtinOptionsType = getattr(self._schema.BuiltinOptions, name)
        node.builtinOptions = getattr(self._schema, f"{name}T")()
        for field, value in fields.items():
            setattr(node.builtinOptions, field, value)

    def metadata(self, name: str, data: bytes) -> None:
        """Add an entry that travels in the file."""
        entry = self._schema.MetadataT()
        entry.name = name
        entry.buffer = self._buffer(data)
        self._model.metadata.append(entry)

    def content(self, *outputs: TensorRef) -> bytes:
        """Return the file of the graph with these outputs."""
        self._graph.outputs = [tensor.number for tensor in outputs]
        return packed_model(self._model)

    def _tensor(self, name: str, shape: tuple[int, ...], dtype: str, buffer: int) -> TensorRef:
        tensor = self._schema.TensorT()
        tensor.name = name
        tensor.shape = list(shape)
        tensor.type = _TYPES[dtype]
        tensor.buffer = buffer
        self._graph.tensors.append(tensor)
        return TensorRef(len(self._graph.tensors) - 1, tuple(shape))

    def _buffer(self, data: bytes) -> int:
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8)
        self._model.buffers.append(buffer)
        return len(self._model.buffers) - 1

    def _code(self, name: str) -> int:
        number, version = _OPERATORS[name]
        for index, code in enumerate(self._model.operatorCodes):
            if code.builtinCode == number:
                return index
        code = self._schema.OperatorCodeT()
        # Readers older than the second field look at the first one.
        code.builtinCode = number
        code.deprecatedBuiltinCode = number
        code.version = version
        self._model.operatorCodes.append(code)
        return len(self._model.operatorCodes) - 1


def object_schema() -> Any:
    """Return the schema of ``.tflite`` files in its object form, ``ModelT`` and what it holds."""
    # With flatbuffers it takes 0.1 s to import: only who writes a graph waits.
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def packed_model(model: Any) -> bytes:
    """Return the file of a model in the schema's object form (``ModelT``)."""
    import flatbuffers

    builder: Any = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def _packed(name: str, values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return four-bit numbers two in a byte, the first in the lower half."""
    # NaN lies in no range, so it is the inside that is asked for.
    inside = (values >= INT4_LEVELS[0]) & (values <= INT4_LEVELS[-1])
    if not inside.all():
        limits = f"values from {values.min()} to {values.max()}"
        raise InputError(f"constant {name!r} has {limits}, expected -8 to 7")
    # Else a row's last number would share a byte with the first of the next row.
    if values.shape[-1] % 2:
        rows = f"rows of {values.shape[-1]} numbers of four bits"
        raise InputError(f"constant {name!r} has {rows}, expected an even number")
    halves = values.astype(np.uint8).ravel() & 15
    return np.asarray(halves[::2] | halves[1::2] << 4, np.uint8)
