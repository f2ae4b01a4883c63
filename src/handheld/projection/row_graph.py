"""The graph in a file of picked n-grams: it begins with the sum of a text's rows, whatever follows.

A device answers without it, in numpy; it is for who runs the file elsewhere.
"""

import numpy as np

from handheld.engine import Model
from handheld.engine.graphs import GraphWriter, TensorRef
from handheld.errors import InputError, ModelError
from handheld.projection.hashing import Floats, Levels
from handheld.projection.inputs import BUCKETS, Picked

TABLE = "rows"
"""Name of the constant that holds the table."""


class RowGraph:
    """A graph of float32 numbers, to be written operator by operator.

    Args:
        reader: of the texts; the file keeps which buckets it has rows for.
        table: (rows + 1, width) int8, the last row of zeros.
        bits: of a number of the table in the file, 4 or 8.

    Attributes:
        writer: of the file; what stands in it follows the order of the calls.
        sums: (1, width) sum of a text's rows.
        is_row: (1, length) whether an input is the number of a row, and not of the one of zeros.
    """

    def __init__(self, reader: Picked, table: Levels, bits: int):
        writer = GraphWriter()
        self.writer = writer
        length = reader.length
        width = table.shape[1]
        numbers = writer.input("numbers", (1, length), "int32")
        rows = writer.constant(TABLE, table, f"int{bits}")
        flat_shape = writer.constant("flat_shape", np.array([length], np.int32))
        axis = writer.constant("text_axis", np.array([0], np.int32))
        # Inputs behind the last row name the row of zeros, which has the highest number.
        nothing = writer.constant("nothing", np.array([reader.rows], np.int32))
        # The runtime looks up a list of rows, not a table of one text.
        flat = writer.operator("RESHAPE", (numbers, flat_shape), (length,), "int32")
        looked_up = writer.operator("EMBEDDING_LOOKUP", (flat, rows), (length, width))
        self.sums = self._sum(looked_up, axis, (1, width))
        self.is_row = writer.operator("LESS", (numbers, nothing), (1, length), "bool")
        writer.metadata(BUCKETS, reader.content())

    def constant(self, name: str, values: Floats) -> TensorRef:
        """Write numbers."""
        return self.writer.constant(name, values)

    def row_axis(self) -> TensorRef:
        """Write the number of the axis that :meth:`row_sum` adds along; once in a graph."""
        return self.writer.constant("row_axis", np.array([1], np.int32))

    def row_sum(self, values: TensorRef, axis: TensorRef) -> TensorRef:
        """Return the (1, 1) sum of (1, n) numbers."""
        return self._sum(values, axis, (1, 1))

    def multiply(self, first: TensorRef, second: TensorRef) -> TensorRef:
        """Return the product of two tensors, number by number."""
        return self._arithmetic("Mul", first, second)

    def subtract(self, first: TensorRef, second: TensorRef) -> TensorRef:
        """Return the difference of two tensors, number by number."""
        return self._arithmetic("Sub", first, second)

    def add(self, first: TensorRef, second: TensorRef, output: str | None = None) -> TensorRef:
        """Return the sum of two tensors, number by number, perhaps with a name."""
        return self._arithmetic("Add", first, second, output)

    def unary(self, name: str, values: TensorRef) -> TensorRef:
        """Return what an operator of one input gives for each number."""
        return self.writer.operator(name, (values,), values.shape)

    def products(self, inputs: TensorRef, name: str, weights: Levels) -> TensorRef:
        """Return (1, outputs) products of (1, n) inputs and (outputs, n) weights of that name."""
        # Kept in a byte each; the scale of a class is multiplied in afterwards.
        real = self.unary("DEQUANTIZE", self.writer.constant(name, weights))
        options = {"table": "FullyConnected"}
        shape = (1, len(weights))
        return self.writer.operator("FULLY_CONNECTED", (inputs, real), shape, options=options)

    def _arithmetic(
        self, table: str, first: TensorRef, second: TensorRef, output: str | None = None
    ) -> TensorRef:
        # A row of numbers and one number, or one for each class, as numpy has it.
        shape = np.broadcast_shapes(first.shape, second.shape)
        options = {"table": table}
        inputs = (first, second)
        return self.writer.operator(table.upper(), inputs, shape, output=output, options=options)

    def _sum(self, values: TensorRef, axis: TensorRef, shape: tuple[int, int]) -> TensorRef:
        options = {"table": "Reducer", "keepDims": True}
        return self.writer.operator("SUM", (values, axis), shape, options=options)


def table_of(model: Model) -> tuple[Levels, int]:
    """Return the table in an open file, and the bits of a number.

    Raises:
        ModelError: a file without one.
    """
    table = model.constant(TABLE)
    if table.ndim != 2 or table.dtype != np.int8:
        raise ModelError(
            f"{model.path}: constant {TABLE!r} is {table.dtype} {list(table.shape)}, "
            "expected int8 (rows, width)"
        )
    return table, model.constant_bits(TABLE)


def check_last_row(table: Levels) -> None:
    """See that the last row of a table is of zeros. Raises :class:`InputError` if it is not."""
    # it is what stands for no n-gram in the graph: other numbers would be added to every text
    if table[-1].any():
        raise InputError(
            "the last row of the table is not of zeros, as the one that stands for nothing must be"
        )
