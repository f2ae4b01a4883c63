"""A linear model on the sum of a text's rows: what a file of picked n-grams answers, in numpy.

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
from handheld.errors import InputError, ModelError
from handheld.projection.folding import code_table
from handheld.projection.hashing import Floats, Levels, Numbers
from handheld.projection.inputs import Picked
from handheld.projection.ngrams import chunks, points_of
from handheld.projection.ragged import counts_of
from handheld.projection.row_graph import RowGraph, check_last_row, table_of

HEAD = "head"
SCALE = "scale"
BIAS = "bias"
"""Names of the constants in the file, beside the table."""


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

    table: Levels
    head: Levels
    scale: Floats
    bias: Floats
    bits: int = 8

    def __post_init__(self) -> None:
        shapes = [list(a.shape) for a in (self.table, self.head, self.scale, self.bias)]
        classes = len(self.head)
        width = self.table.shape[-1]
        if self.table.ndim != 2 or shapes[1:] != [[classes, width], [classes], [classes]]:
            raise InputError(
                "expected a table (rows + 1, width), a head (classes, width), scale and bias "
                f"(classes,), got {', '.join(map(str, shapes))}"
            )
        check_last_row(self.table)

    @property
    def classes(self) -> int:
        """How many labels it tells apart."""
        return len(self.bias)

    @cached_property
    def _head(self) -> NDArray[np.float64]:
        # Transposed once: it is asked for with every text.
        return np.ascontiguousarray(self.head.T, np.float64)

    def logits(self, sums: Floats, counts: Numbers) -> Floats:
        """Return (texts, classes) logits of the sums of texts with so many rows each.

        Where there is no row they are the bias.
        """
        # Whole numbers below 2^53: a matrix product in double precision is exact, in whatever
        # order it adds.
        products = sums.astype(np.float64) @ self._head
        share = 1.0 / np.sqrt(np.maximum(counts, 1))
        return np.asarray(products * share[:, None] * self.scale + self.bias, np.float32)

    @classmethod
    def of(cls, model: Model) -> Self:
        """Return what an open model file holds.

        Raises:
            ModelError: a file without these constants.
        """
        table, bits = table_of(model)
        head = model.constant(HEAD)
        scale = model.constant(SCALE)
        bias = model.constant(BIAS)
        try:
            return cls(table, head, scale, bias, bits)
        except InputError as error:
            raise ModelError(f"{model.path}: {error}") from error

    def content(self, reader: Picked) -> bytes:
        """Return a ``.tflite`` file of the model and of its reader's buckets, without a card."""
        graph = RowGraph(reader, self.table, self.bits)
        writer = graph.writer
        one = graph.constant("one", np.array([1.0], np.float32))
        axis = graph.row_axis()
        ones = writer.operator("CAST", (graph.is_row,), (1, reader.length))
        count = graph.row_sum(ones, axis)
        # Of 1 at least: a text without a row gets the bias, and not a division by 0.
        share = graph.unary("RSQRT", writer.operator("MAXIMUM", (count, one), (1, 1)))
        products = graph.multiply(graph.products(graph.sums, HEAD, self.head), share)
        scaled = graph.multiply(products, graph.constant(SCALE, self.scale))
        logits = graph.add(scaled, graph.constant(BIAS, self.bias), "logits")
        return writer.content(logits)


def summed(table: Levels, numbers: Numbers, offsets: Numbers) -> Floats:
    """Return (texts, width) sums of rows.

    They are exact: below 2^24, since a text has at most 65,536 rows of at most 127.
    """
    counts = counts_of(offsets)
    sums = np.zeros((len(counts), table.shape[1]), np.float32)
    if len(numbers):
        rows = table.take(numbers, axis=0).astype(np.float32)
        # For an empty list reduceat returns the next list's first row: these are left out.
        has_rows = counts > 0
        sums[has_rows] = np.add.reduceat(rows, offsets[:-1][has_rows], axis=0)
    return sums


class RowModel(Protocol):
    """What answers the sums of a text's rows."""

    @property
    def table(self) -> Levels:
        """(rows + 1, width)."""

    @property
    def classes(self) -> int:
        """How many labels it tells apart."""

    def logits(self, sums: Floats, counts: Numbers) -> Floats:
        """Return (texts, classes) logits of texts with so many rows each."""


def softmax(logits: Floats) -> Floats:
    """Return (texts, classes) logits as probabilities."""
    # Less the largest, so that no exponential overflows.
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


_CHUNK = 1 << 16  # letters at once, so that no batch needs much memory


class PooledReader:
    """Answers texts with a model of picked n-grams.

    In numpy, and compiled where numba is installed and it pays.

    Args:
        model: what was learned.
        reader: of texts.
    """

    def __init__(self, model: RowModel, reader: Picked):
        self.model = model
        self.reader = reader
        self._letters = np.array(reader.ngrams.letters, np.intp)
        self._answered = 0

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return (texts, classes) logits: the same numbers whichever way they are computed."""
        self._answered += len(texts)
        sums_of = self._sums
        # Few texts are answered sooner in numpy than compiling takes.
        if self._answered >= WORTH_COMPILING and has_numba():
            sums_of = self._sums_compiled
        chunked_texts = chunks(self.reader.ngrams.read(texts), _CHUNK)
        rows = [self.model.logits(*sums_of(chunk)) for chunk in chunked_texts]
        if len(rows) == 1:  # nearly always: no copy then
            return rows[0]
        return np.concatenate([np.empty((0, self.model.classes), np.float32), *rows])

    def _sums(self, texts: Sequence[str]) -> tuple[Floats, Numbers]:
        """Return (texts, width) sums of each text's rows, and (texts,) how many rows these are."""
        numbers, offsets = self.reader.flat(texts)
        return summed(self.model.table, numbers, offsets), counts_of(offsets)

    def _sums_compiled(self, texts: Sequence[str]) -> tuple[Floats, Numbers]:
        """Return what :meth:`_sums` does."""
        from handheld.projection._compiled import pooled

        reader = self.reader
        points, begins = points_of(texts)
        sums, counts = pooled(
            points,
            begins,
            code_table(),
            self._letters,
            reader.ngrams.words,
            reader.ngrams.shift,
            reader.row_of,
            reader.length,
            self.model.table,
        )
        return sums, counts


WORTH_COMPILING = 100
"""Texts after which a classifier loads the compiled kernel: half a second once, and 100
microseconds less for a text alone.
"""


@cache
def has_numba() -> bool:
    """Whether texts can be read by compiled code."""
    return find_spec("numba") is not None
