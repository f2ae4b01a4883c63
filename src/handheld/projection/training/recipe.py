"""What network reads texts, how it is trained, and the largest one that a file of a size holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import nn

from handheld.compile import Precision, to_tflite
from handheld.errors import InputError
from handheld.projection.features import Features
from handheld.projection.inputs import Bits, Parts, Picked, Rows
from handheld.projection.learned import LEVELS
from handheld.projection.ragged import counts_of
from handheld.projection.signs import Signs
from handheld.projection.training.net import ProjectionNet, Weights
from handheld.projection.training.table import ExportedTable, Mean, RowTable
from handheld.ranges import in_range, whole_in_range
from handheld.training import Schedule

Trained = Rows | Parts | Bits | Picked
"""What a network that is shipped can read."""

READS = ("picked", "rows", "signs")
# Three ways to read a text: each is wrong about others, and their mean less often.
NGRAMS = Features(words=2, skips=0, letters=(3, 4, 5), folding=2)
SKIPGRAMS = Features(words=3, skips=1, letters=(2, 3, 4), folding=2)
LETTERS = Features(words=1, skips=0, letters=(2, 3, 4, 5, 6), folding=2)

_SIGN_BITS = 14  # of each projection, as in arXiv 1708.00630
_FIRST_SIZE = 64  # rows or bits of the file that tells how many bytes are no rows
_CARD_ROOM = 64  # bytes, for numbers on the card that are longer than others
# A device reads the features of nearly all texts, in steps of 64, so that a fixed number is not
# mostly padding.
_LENGTH_STEP = 64
_NEARLY_ALL = 0.999
_TABLE_PRECISIONS: Mapping[int, Precision] = {4: "int4_tables", 8: "int8_tables"}
_CHECKS = 16  # texts on which file and network must agree


def _schedule(epochs: int) -> Schedule:
    return Schedule(epochs, batch=128, rate=0.01, warmup=0.1, decay=0.05, optimiser="adam")


def _weights() -> Weights:
    return Weights(projection=0.3, distance=0.7, temperature=2.0, smoothing=0.1)


@dataclass(frozen=True)
class ProjectionRecipe:
    """How a network for texts is made and trained.

    Defaults were chosen on validation splits, for a hundred labels in 100 KB.

    Attributes:
        reads: ``picked`` n-grams, which need no more than that word, ``rows`` of a table that
            learns, or ``signs`` of random projections, in eight bits.
        features: of a text.
        more: features of further tables in the same file, each of which learns apart; the answer
            is the mean of all.
        width: numbers for each row or sign.
        bits: of a number in a table, 4 or 8.
        hidden: of a layer between them and the answers; 0: none.
        length: features of a text that a device reads rows of, at most; fewer where nearly all
            texts have no more.
        dropout: share of features that are left out while learning.
        schedule: of the training; in its second half a table knows of its grid.
        weights: of labels, teacher and, where a trainer network learns along, of its labels.

    Raises:
        InputError: values outside of these.
    """

    reads: str = "rows"
    features: Features = field(default_factory=lambda: NGRAMS)
    more: tuple[Features, ...] = ()
    width: int = 64
    bits: int = 4
    hidden: int = 0
    length: int = 2048
    dropout: float = 0.5
    schedule: Schedule = field(default_factory=lambda: _schedule(20))
    weights: Weights = field(default_factory=_weights)

    def __post_init__(self) -> None:
        if self.reads not in READS:
            raise InputError(f"reads: expected {', '.join(READS)}, got {self.reads!r}")
        if self.more and self.reads != "rows":
            raise InputError(
                "further features are those of further tables: expected a network that reads rows"
            )
        if self.bits not in LEVELS:
            allowed = " or ".join(map(str, LEVELS))
            raise InputError(f"bits: expected {allowed}, got {self.bits!r}")
        whole_in_range("width", self.width, low=1)
        whole_in_range("hidden", self.hidden, low=0)
        whole_in_range("length", self.length, low=1)
        in_range("dropout", self.dropout, low=0, high=1, high_open=True)

    def reader(self, count: int, seed: int = 0, texts: tuple[str, ...] = ()) -> Trained:
        """Return what reads so many rows of each table, or about so many bits.

        Args:
            count: of rows or bits.
            seed: of the projections.
            texts: such as will be read: of each, as many rows are read as nearly all of them need;
                none: any texts.
        """
        if self.reads != "rows":
            return Bits(self.features, Signs(max(1, count // _SIGN_BITS), _SIGN_BITS, seed))
        all_features = (self.features, *self.more)
        tables = [Rows(features, count, self._length(features, texts)) for features in all_features]
        if self.more:
            return Parts(tuple(tables))
        # a table alone: its card says less, which counts in a small file
        return tables[0]

    def network(self, reader: Rows | Bits, classes: int) -> nn.Module:
        """Return a network with fresh weights."""
        if isinstance(reader, Rows):
            return RowTable(
                reader.rows,
                self.width,
                classes,
                hidden=self.hidden,
                dropout=self.dropout,
                bits=self.bits,
            )
        # A row has its width beneath the layer; of signs it is a layer of its own.
        layers: tuple[int, ...] = (self.width,)
        if self.hidden:
            layers = (self.width, self.hidden)
        return ProjectionNet(reader.signs.size, classes, layers, dropout=self.dropout)

    def largest(
        self,
        max_size: int,
        card: Mapping[str, Any],
        seed: int = 0,
        texts: tuple[str, ...] = (),
    ) -> Trained:
        """Return what reads as much as a file keeps within a size.

        It follows from what a small file has beside its rows.

        Args:
            max_size: bytes.
            card: as long as the file's will be, with its ``labels``.
            seed: of the projections.
            texts: such as will be read; none: any.

        Raises:
            InputError: even the smallest file is larger.
        """
        reader = self.reader(_FIRST_SIZE, seed, texts)
        smallest = self.smallest_size(card, seed, texts)
        if smallest > max_size:
            raise InputError(
                f"{max_size} bytes are too few for {len(card['labels'])} labels and {self.reads} "
                f"of {self.width} numbers: expected {smallest} or more"
            )
        further = int((max_size - smallest) / self._row_size)
        return _resized(reader, _count(reader) + further)

    def smallest_size(
        self, card: Mapping[str, Any], seed: int = 0, texts: tuple[str, ...] = ()
    ) -> int:
        """Return bytes in which a file can be made; arguments are those of :meth:`largest`."""
        return self._file_size(self.reader(_FIRST_SIZE, seed, texts), card) + _CARD_ROOM

    def smaller(self, reader: Trained, excess: int) -> Trained:
        """Return what reads so much less that a file loses ``excess`` bytes or more."""
        return _resized(reader, _count(reader) - ceil(excess / self._row_size))

    def _length(self, features: Features, texts: tuple[str, ...]) -> int:
        if not texts:
            return self.length
        counts = counts_of(features.of(texts).offsets)
        longest = float(np.quantile(counts, _NEARLY_ALL))
        return min(self.length, _LENGTH_STEP * max(1, ceil(longest / _LENGTH_STEP)))

    @property
    def _row_size(self) -> float:
        """Bytes of a row of every table, or of a sign."""
        if self.reads != "rows":
            return self.width
        tables = 1 + len(self.more)
        return tables * self.width * self.bits / 8

    def _file_size(self, reader: Trained, card: Mapping[str, Any]) -> int:
        classes = len(card["labels"])
        with torch.random.fork_rng(devices=[]):
            # Any weights: how large the file is does not depend on them.
            torch.manual_seed(0)
            networks = [self.network(table, classes).eval() for table in parts_of(reader)]
            # The converter leaves out scales of 1 and shifts of 0, as fresh layers have them.
            for values in nn.ModuleList(networks).parameters():
                nn.init.normal_(values)
        return len(compiled(networks, reader, ("",), card))


# Bytes from which so many tables in one file are better than one.
_TWO_TABLES_SIZE = 60_000
_THREE_TABLES_SIZE = 200_000
# A hidden layer, where the layers above the tables take a third of the file at most.
_HIDDEN = 128
_FILE_SHARES = 3


def recipe_for(reads: str, max_size: int, classes: int) -> ProjectionRecipe:
    """Return the recipe that did best on validation splits.

    Args:
        reads: one of :data:`READS`.
        max_size: bytes of the file.
        classes: that it tells apart; many leave no room for a hidden layer in a small file.

    Raises:
        InputError: what cannot be read.
    """
    if reads == "picked":
        return ProjectionRecipe(reads="picked")
    if reads == "signs":
        schedule = replace(_schedule(20), rate=0.002)
        return ProjectionRecipe(reads="signs", width=256, dropout=0.2, schedule=schedule)
    if max_size < _TWO_TABLES_SIZE:
        return ProjectionRecipe(reads=reads)
    if max_size < _THREE_TABLES_SIZE:
        return _several_tables(reads, (LETTERS,), 32, max_size, classes)
    return _several_tables(reads, (LETTERS, SKIPGRAMS), 48, max_size, classes)


def _several_tables(
    reads: str, more: tuple[Features, ...], width: int, max_size: int, classes: int
) -> ProjectionRecipe:
    layers_size = (1 + len(more)) * _HIDDEN * (width + classes)
    if _FILE_SHARES * layers_size <= max_size:
        schedule = _schedule(30)
        return ProjectionRecipe(
            reads=reads, more=more, width=width, hidden=_HIDDEN, schedule=schedule
        )
    return ProjectionRecipe(reads=reads, more=more, width=width + 16)


def parts_of(reader: Trained) -> tuple[Rows | Bits, ...]:
    """Return what each network of a file reads."""
    if isinstance(reader, Picked):
        raise InputError("a file of picked n-grams holds no networks")
    if isinstance(reader, Parts):
        return reader.tables
    return (reader,)


def _resized(reader: Trained, count: int) -> Trained:
    """Return what reads so many rows of each table, or about so many bits."""
    if isinstance(reader, Bits):
        return replace(reader, signs=replace(reader.signs, functions=max(1, count // _SIGN_BITS)))
    if isinstance(reader, Rows):
        return replace(reader, rows=count)
    assert isinstance(reader, Parts)
    return Parts(tuple(replace(table, rows=count) for table in reader.tables))


def _count(reader: Trained) -> int:
    first = parts_of(reader)[0]
    if isinstance(first, Rows):
        return first.rows
    return first.signs.size


def compiled(
    networks: Sequence[nn.Module],
    reader: Trained,
    texts: tuple[str, ...],
    card: Mapping[str, Any],
    *,
    precision: Precision | None = None,
) -> bytes:
    """Return what was trained as a ``.tflite`` file that agrees with it.

    Args:
        networks: a :class:`RowTable` for each table of the reader, or one :class:`ProjectionNet`.
        reader: of texts; goes onto the card.
        texts: on some of which both must agree, one or more.
        card: what else the file says of itself.
        precision: of :func:`handheld.compile.to_tflite`; that of a table's bits, and eight for the
            rest, if left out.

    Raises:
        CompileError: file and network differ.
    """
    inputs = torch.from_numpy(reader.of(texts[:_CHECKS]))
    tables = [network for network in networks if isinstance(network, RowTable)]
    if precision is None:
        precision = _precision_of(tables)
    model = to_tflite(
        _on_device(networks[0], tables, reader),
        inputs[:1],
        metadata={**card, "text": reader.card()},
        precision=precision,
        checks=[row[None] for row in inputs[1:]],
    )
    return model.content


def _precision_of(tables: Sequence[RowTable]) -> Precision:
    """Return the precision of a file of these tables, or of a network on signs without any."""
    if not tables:
        return "int8_weights"
    # all tables of a recipe have the same
    return _TABLE_PRECISIONS[tables[0].bits]


def _on_device(network: nn.Module, tables: Sequence[RowTable], reader: Trained) -> nn.Module:
    """Return the module as a device runs it, with a fixed number of rows."""
    if isinstance(reader, Parts):
        return Mean(tables, [table.length for table in reader.tables])
    if isinstance(network, RowTable):
        return ExportedTable(network)
    return network
