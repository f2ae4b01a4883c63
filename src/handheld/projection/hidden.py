"""A small network on the sum of a text's rows, in numpy: picked n-grams and a hidden layer.

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
from handheld.engine.graphs import TensorRef
from handheld.errors import InputError, ModelError
from handheld.projection.hashing import Floats, Levels, Numbers
from handheld.projection.inputs import Picked
from handheld.projection.row_graph import RowGraph, check_last_row, table_of

_GRID = 256.0  # steps from 0 to 1 of what enters a layer: 8 bits more than a whole number
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

    table: Levels
    first: Levels
    first_scale: Floats
    first_bias: Floats
    last: Levels
    last_scale: Floats
    last_bias: Floats
    least: Floats
    bits: int = 4

    def __post_init__(self) -> None:
        hidden = len(self.first_bias)
        classes = len(self.last_bias)
        shapes = {
            "first": (hidden, self.table.shape[1]),
            "first_scale": (hidden,),
            "last": (classes, hidden),
            "last_scale": (classes,),
            "least": (1,),
        }
        for name, shape in shapes.items():
            values = getattr(self, name)
            if values.shape != shape:
                raise InputError(f"{name} is {list(values.shape)}, expected {list(shape)}")
        check_last_row(self.table)

    @property
    def classes(self) -> int:
        """How many labels it tells apart."""
        return len(self.last_bias)

    @cached_property
    def _first(self) -> NDArray[np.float64]:
        # Transposed once, and in double precision, in which sums of whole numbers are exact.
        return np.ascontiguousarray(self.first.T, np.float64)

    @cached_property
    def _last(self) -> NDArray[np.float64]:
        return np.ascontiguousarray(self.last.T, np.float64)

    def logits(self, sums: Floats, counts: Numbers) -> Floats:
        """Return (texts, classes) logits of (texts, width) sums; ``counts`` does not matter here.

        The normalisation takes out how many rows were added up.
        """
        width = np.float64(sums.shape[1])
        exact = sums.astype(np.float64)
        centred = exact - exact.sum(axis=1, keepdims=True) / width
        variance = np.square(centred).sum(axis=1, keepdims=True) / width
        # On the grid from here on, so that products are whole numbers below 2^53.
        deviation = np.sqrt(variance + self.least)
        normal = np.rint(centred / deviation * _GRID)
        # the scales are over the grid: they take it out of the products again
        inner = normal @ self._first * (self.first_scale / _GRID) + self.first_bias
        active = np.rint(np.maximum(inner, 0) * _GRID)
        logits = active @ self._last * (self.last_scale / _GRID) + self.last_bias
        return np.asarray(logits, np.float32)

    @classmethod
    def of(cls, model: Model) -> Self:
        """Return what an open model file holds.

        Raises:
            ModelError: a file without these constants.
        """
        table, bits = table_of(model)
        constants = {name: model.constant(name) for name in _NAMES}
        try:
            return cls(table, **constants, bits=bits)
        # what does not fit is a fault of the file here, and of an argument elsewhere
        except InputError as error:
            raise ModelError(f"{model.path}: {error}") from error

    def content(self, reader: Picked) -> bytes:
        """Return a ``.tflite`` file of the model and of its reader's buckets, without a card."""
        graph = RowGraph(reader, self.table, self.bits)
        normal = self._normalised(graph)
        inner = _layer(graph, "first", normal, self.first, self.first_scale, self.first_bias)
        active = graph.unary("RELU", inner)
        last = _layer(graph, "last", active, self.last, self.last_scale, self.last_bias)
        return graph.writer.content(last)

    def _normalised(self, graph: RowGraph) -> TensorRef:
        axis = graph.row_axis()
        inverse_width = np.array([1 / self.table.shape[1]], np.float32)
        share = graph.constant("one_over_width", inverse_width)
        # Times the inverse, which is known when the file is written.
        mean = graph.multiply(graph.row_sum(graph.sums, axis), share)
        centred = graph.subtract(graph.sums, mean)
        squares = graph.multiply(centred, centred)
        variance = graph.multiply(graph.row_sum(squares, axis), share)
        safe_variance = graph.add(variance, graph.constant("least", self.least))
        return graph.multiply(centred, graph.unary("RSQRT", safe_variance))


def _layer(
    graph: RowGraph,
    name: str,
    inputs: TensorRef,
    weights: Levels,
    scale: Floats,
    bias: Floats,
) -> TensorRef:
    products = graph.products(inputs, name, weights)
    scaled = graph.multiply(products, graph.constant(f"{name}_scale", scale))
    return graph.add(scaled, graph.constant(f"{name}_bias", bias), f"{name}_output")
