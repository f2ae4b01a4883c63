"""A small network on the sum of a text's rows, in numpy: what a file of picked n-grams with a
hidden layer answers.

The sum is normalised (Ba et al., arXiv 1607.06450), one layer with rectifiers and a linear layer
follow. What enters a layer is rounded to 1/256, and weights are whole numbers, so that products
are exact and a text gets the same answer alone and among others.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handheld.engine import Model
from handheld.engine.graphs import GraphWriter, TensorRef
from handheld.errors import InputError, ModelError
from handheld.projection.hashing import Numbers
from handheld.projection.inputs import Picked
from handheld.projection.pooled import table_of, with_rows

_GRID = 256.0
_NAMES = ("first", "first_scale", "first_bias", "last", "last_scale", "last_bias", "least")


@dataclass(frozen=True, eq=False)
class HiddenModel:
    """What was learned of a text's n-grams.

    Attributes:
        table: (rows + 1, width) int8, the last row of zeros; -7 to 7 where it is kept in four bits.
        first: (hidden, width) int8.
        first_scale, first_bias: (hidden,) float32.
        last: (classes, hidden) int8.
        last_scale, last_bias: (classes,) float32.
        least: (1,) float32, added to the variance of a sum's numbers.
        bits: of a number of the table in the file, 4 or 8.

    Raises:
        InputError: shapes that do not fit.
    """

    table: NDArray[np.int8]
    first: NDArray[np.int8]
    first_scale: NDArray[np.float32]
    first_bias: NDArray[np.float32]
    last: NDArray[np.int8]
    last_scale: NDArray[np.float32]
    last_bias: NDArray[np.float32]
    least: NDArray[np.float32]
    bits: int = 4

    def __post_init__(self) -> None:
        hidden = len(self.first_bias)
        classes = len(self.last_bias)
        shapes = (
            ("first", self.first, (hidden, self.table.shape[1])),
            ("first_scale", self.first_scale, (hidden,)),
            ("last", self.last, (classes, hidden)),
            ("last_scale", self.last_scale, (classes,)),
            ("least", self.least, (1,)),
        )
        for name, values, shape in shapes:
            if values.shape != shape:
                raise InputError(f"{name} is {list(values.shape)}, expected {list(shape)}")
        if self.table[-1].any():
            raise InputError("the last row of the table is not of zeros, as the one that stands for nothing must be")

    @property
    def classes(self) -> int:
        """How many labels it tells apart."""
        return len(self.last_bias)

    @cached_property
    def _first(self) -> NDArray[np.float64]:
        return np.ascontiguousarray(self.first.T, np.float64)

    @cached_property
    def _last(self) -> NDArray[np.float64]:
        return np.ascontiguousarray(self.last.T, np.float64)

    def logits(self, sums: NDArray[np.float32], counts: Numbers) -> NDArray[np.float32]:
        """Return (texts, classes) logits of (texts, width) sums; how many rows each has does not
        matter here."""
        width = np.float64(sums.shape[1])
        whole = sums.astype(np.float64)
        centred = whole - whole.sum(axis=1, keepdims=True) / width
        variance = np.square(centred).sum(axis=1, keepdims=True) / width
        normal = np.rint(centred / np.sqrt(variance + self.least) * _GRID)
        inner = normal @ self._first * (self.first_scale / _GRID) + self.first_bias
        active = np.rint(np.maximum(inner, 0) * _GRID)
        return np.asarray(active @ self._last * (self.last_scale / _GRID) + self.last_bias, np.float32)

    @classmethod
    def of(cls, model: Model) -> Self:
        """Return what an open model file holds. Raises :class:`ModelError` for a file without
        these constants."""
        table, bits = table_of(model)
        try:
            return cls(table, **{name: model.constant(name) for name in _NAMES}, bits=bits)
        except InputError as error:
            raise ModelError(f"{model.path}: {error}") from error

    def content(self, reader: Picked) -> bytes:
        """Return a ``.tflite`` file of the model and of the buckets that its reader has rows for,
        without a card."""
        writer = GraphWriter()
        sums, _ = with_rows(writer, reader, self.table, self.bits)
        width = self.table.shape[1]
        axis = writer.constant("row_axis", np.array([1], np.int32))
        summed = {"table": "Reducer", "keepDims": True}
        share = writer.constant("one_over_width", np.array([1 / width], np.float32))
        total = writer.operator("SUM", (sums, axis), (1, 1), options=summed)
        mean = writer.operator("MUL", (total, share), (1, 1), options={"table": "Mul"})
        centred = writer.operator("SUB", (sums, mean), (1, width), options={"table": "Sub"})
        squares = writer.operator("MUL", (centred, centred), (1, width), options={"table": "Mul"})
        power = writer.operator("SUM", (squares, axis), (1, 1), options=summed)
        variance = writer.operator("MUL", (power, share), (1, 1), options={"table": "Mul"})
        least = writer.constant("least", self.least)
        safe = writer.operator("ADD", (variance, least), (1, 1), options={"table": "Add"})
        inverse = writer.operator("RSQRT", (safe,), (1, 1))
        normal = writer.operator("MUL", (centred, inverse), (1, width), options={"table": "Mul"})
        inner = self._layer(writer, "first", normal, self.first, self.first_scale, self.first_bias)
        active = writer.operator("RELU", (inner,), inner.shape)
        return writer.content(self._layer(writer, "last", active, self.last, self.last_scale, self.last_bias))

    def _layer(
        self,
        writer: GraphWriter,
        name: str,
        inputs: TensorRef,
        weights: NDArray[np.int8],
        scale: NDArray[np.float32],
        bias: NDArray[np.float32],
    ) -> TensorRef:
        shape = (1, len(bias))
        real = writer.operator("DEQUANTIZE", (writer.constant(name, weights),), weights.shape)
        products = writer.operator("FULLY_CONNECTED", (inputs, real), shape, options={"table": "FullyConnected"})
        scales = writer.constant(f"{name}_scale", scale)
        scaled = writer.operator("MUL", (products, scales), shape, options={"table": "Mul"})
        tilt = writer.constant(f"{name}_bias", bias)
        return writer.operator("ADD", (scaled, tilt), shape, output=f"{name}_output", options={"table": "Add"})
