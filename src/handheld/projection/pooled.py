"""A linear model on the sum of a text's rows, in numpy: what a file of picked n-grams answers,
without a runtime.

logits = bias + scale * (head' * sum of rows) / sqrt(number of rows). Rows and head are whole
numbers, so sums and products are exact and a text gets the same answer alone, among others, and
from the compiled kernel. The graph in the file computes the same for who runs it elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from handheld.engine import Model
from handheld.engine.graphs import GraphWriter, TensorRef
from handheld.errors import InputError, ModelError
from handheld.projection.folding import code_table
from handheld.projection.hashing import Numbers
from handheld.projection.inputs import BUCKETS, Picked
from handheld.projection.ngrams import chunks, points_of

TABLE, HEAD, SCALE, BIAS = "rows", "head", "scale", "bias"
"""Names of the constants in the file."""


@dataclass(frozen=True, eq=False)
class PooledModel:
    """What was learned of a text's n-grams.

    Attributes:
        table: (rows + 1, width) int8, the last row of zeros; -7 to 7 where it is kept in four bits.
        head: (classes, width) int8.
        scale: (classes,) float32, of the products.
        bias: (classes,) float32.
        bits: of a number of the table in the file, 4 or 8.

    Raises:
        InputError: shapes that do not fit, or no row of zeros.
    """

    table: NDArray[np.int8]
    head: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]
    bits: int = 8

    def __post_init__(self) -> None:
        width = self.table.shape[1] if self.table.ndim == 2 else -1
        classes = self.head.shape[0]
        if self.head.shape != (classes, width) or self.scale.shape != (classes,) or self.bias.shape != (classes,):
            raise InputError(
                f"expected a table (rows + 1, width), a head (classes, width), scale and bias (classes,), got "
                f"{list(self.table.shape)}, {list(self.head.shape)}, {list(self.scale.shape)}, {list(self.bias.shape)}"
            )
        if self.table[-1].any():
            raise InputError("the last row of the table is not of zeros, as the one that stands for nothing must be")

    @property
    def classes(self) -> int:
        """How many labels it tells apart."""
        return len(self.bias)

    @cached_property
    def _head(self) -> NDArray[np.float64]:
        return np.ascontiguousarray(self.head.T, np.float64)

    def logits(self, sums: NDArray[np.float32], counts: Numbers) -> NDArray[np.float32]:
        """Return (texts, classes) logits of the sums of texts with so many rows each; the bias
        where there is none."""
        # Whole numbers below 2^53: a matrix product in double precision is exact, in whatever
        # order it adds.
        products = sums.astype(np.float64) @ self._head
        share = 1.0 / np.sqrt(np.maximum(counts, 1))
        return np.asarray(products * share[:, None] * self.scale + self.bias, np.float32)

    @classmethod
    def of(cls, model: Model) -> Self:
        """Return what an open model file holds. Raises :class:`ModelError` for a file without
        these constants."""
        table, bits = table_of(model)
        try:
            return cls(table, model.constant(HEAD), model.constant(SCALE), model.constant(BIAS), bits)
        except InputError as error:
            raise ModelError(f"{model.path}: {error}") from error

    def content(self, reader: Picked) -> bytes:
        """Return a ``.tflite`` file of the model and of the buckets that its reader has rows for,
        without a card."""
        writer = GraphWriter()
        sums, is_row = with_rows(writer, reader, self.table, self.bits)
        one = writer.constant("one", np.array([1.0], np.float32))
        axis = writer.constant("row_axis", np.array([1], np.int32))
        ones = writer.operator("CAST", (is_row,), (1, reader.length))
        count = writer.operator("SUM", (ones, axis), (1, 1), options={"table": "Reducer", "keepDims": True})
        share = writer.operator("RSQRT", (writer.operator("MAXIMUM", (count, one), (1, 1)),), (1, 1))
        head = writer.operator("DEQUANTIZE", (writer.constant(HEAD, self.head),), self.head.shape)
        shape = (1, self.classes)
        products = writer.operator("FULLY_CONNECTED", (sums, head), shape, options={"table": "FullyConnected"})
        shared = writer.operator("MUL", (products, share), shape, options={"table": "Mul"})
        scale = writer.constant(SCALE, self.scale)
        scaled = writer.operator("MUL", (shared, scale), shape, options={"table": "Mul"})
        bias = writer.constant(BIAS, self.bias)
        return writer.content(writer.operator("ADD", (scaled, bias), shape, output="logits", options={"table": "Add"}))


def with_rows(writer: GraphWriter, reader: Picked, table: NDArray[np.int8], bits: int) -> tuple[TensorRef, TensorRef]:
    """Write the input, the table and the buckets; return (1, width) sums of rows, and (1, length)
    whether there is a row."""
    width = table.shape[1]
    numbers = writer.input("numbers", (1, reader.length), "int32")
    rows = writer.constant(TABLE, table, "int4" if bits == 4 else "int8")
    flat_shape = writer.constant("flat_shape", np.array([reader.length], np.int32))
    axis = writer.constant("text_axis", np.array([0], np.int32))
    nothing = writer.constant("nothing", np.array([reader.rows], np.int32))
    flat = writer.operator("RESHAPE", (numbers, flat_shape), (reader.length,), "int32")
    looked_up = writer.operator("EMBEDDING_LOOKUP", (flat, rows), (reader.length, width))
    sums = writer.operator("SUM", (looked_up, axis), (1, width), options={"table": "Reducer", "keepDims": True})
    is_row = writer.operator("LESS", (numbers, nothing), (1, reader.length), "bool")
    writer.metadata(BUCKETS, reader.content())
    return sums, is_row


def table_of(model: Model) -> tuple[NDArray[np.int8], int]:
    """Return the table in an open file, and the bits of a number. Raises :class:`ModelError` for a
    file without one."""
    table = model.constant(TABLE)
    if table.ndim != 2 or table.dtype != np.int8:
        raise ModelError(f"{model.path}: constant {TABLE!r} is {table.dtype} {list(table.shape)}, expected int8 (rows, width)")
    return table, model.constant_bits(TABLE)


def summed(table: NDArray[np.int8], numbers: Numbers, offsets: Numbers) -> NDArray[np.float32]:
    """Return (texts, width) sums of rows, exact: below 2^24, since a text has at most 65,536 rows
    of at most 127."""
    counts = offsets[1:] - offsets[:-1]
    sums = np.zeros((len(counts), table.shape[1]), np.float32)
    filled = counts > 0
    if len(numbers):
        rows = table.take(numbers, axis=0).astype(np.float32)
        sums[filled] = np.add.reduceat(rows, offsets[:-1][filled], axis=0)
    return sums


class RowModel(Protocol):
    """What answers the sums of a text's rows."""

    @property
    def table(self) -> NDArray[np.int8]:
        """(rows + 1, width)."""

    @property
    def classes(self) -> int:
        """How many labels it tells apart."""

    def logits(self, sums: NDArray[np.float32], counts: Numbers) -> NDArray[np.float32]:
        """Return (texts, classes) logits of texts with so many rows each."""


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (texts, classes) logits as probabilities."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


_CHUNK = 1 << 16  # letters at once, so that no batch needs much memory


class PooledReader:
    """Answers texts with a model of picked n-grams: in numpy, and compiled where numba is
    installed and it pays.

    Args:
        model: what was learned.
        reader: of texts.
    """

    def __init__(self, model: RowModel, reader: Picked):
        self.model, self.reader = model, reader
        self._letters = np.array(reader.ngrams.letters, np.intp)
        self._answered = 0

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (texts, classes) logits: the same numbers whichever way they are computed."""
        ngrams = self.reader.ngrams
        self._answered += len(texts)
        compiled = self._answered >= WORTH_COMPILING and has_numba()
        pool = self._compiled if compiled else self._in_numpy
        rows = [self.model.logits(*pool(chunk)) for chunk in chunks(ngrams.read(texts), _CHUNK)]
        return rows[0] if len(rows) == 1 else np.concatenate([np.empty((0, self.model.classes), np.float32), *rows])

    def _in_numpy(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], Numbers]:
        numbers, offsets = self.reader.flat(texts)
        return summed(self.model.table, numbers, offsets), np.diff(offsets)

    def _compiled(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], Numbers]:
        from handheld.projection._compiled import pooled

        ngrams = self.reader.ngrams
        points, begins = points_of(texts)
        sums, counts = pooled(
            points, begins, code_table(), self._letters, ngrams.words, ngrams.shift, self.reader.row_of,
            self.reader.length, self.model.table,
        )  # fmt: skip
        return sums, counts


WORTH_COMPILING = 100
"""Texts after which a classifier loads the compiled kernel: half a second once, and 100
microseconds less for a text alone."""


@cache
def has_numba() -> bool:
    """Whether texts can be read by compiled code."""
    return find_spec("numba") is not None
