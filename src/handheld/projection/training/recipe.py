"""What network reads texts, how it is trained, and the largest one that a file of a given size holds."""

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
from handheld.projection.signs import Signs
from handheld.projection.training.net import ProjectionNet, Weights
from handheld.projection.training.table import Exported, Mean, Table
from handheld.training import Schedule

Trained = Rows | Parts | Bits | Picked
"""What a network that is shipped can read."""

_D = 14  # bits of each projection, as in arXiv 1708.00630
READS = ("picked", "rows", "signs")
NGRAMS = Features(words=2, skips=0, letters=(3, 4, 5), folding=2)
SKIPGRAMS = Features(words=3, skips=1, letters=(2, 3, 4), folding=2)
LETTERS = Features(words=1, skips=0, letters=(2, 3, 4, 5, 6), folding=2)

_FIRST = 64  # rows or bits of the file that tells how many bytes are no rows
_ROOM = 64  # bytes, for numbers on the card that are longer than others
_SHORTEST, _NEARLY_ALL = 64, 0.999  # features that a device reads of every text, and texts of which it reads all
_TABLES: Mapping[int, Precision] = {4: "int4_tables", 8: "int8_tables"}
_CHECKS = 16  # texts on which file and network must agree


def _schedule(epochs: int) -> Schedule:
    return Schedule(epochs, batch=128, rate=0.01, rise=0.1, decay=0.05, optimiser="adam")


@dataclass(frozen=True)
class Recipe:
    """How a network for texts is made and trained; defaults were chosen on validation splits, for a hundred labels in 100 KB.

    Attributes:
        reads: ``picked`` n-grams, which need no more than that word, ``rows`` of a table that learns, or
            ``signs`` of random projections, in eight bits.
        features: of a text.
        more: features of further tables in the same file, each of which learns apart; the answer is the mean of all.
        width: numbers for each row or sign.
        bits: of a number in a table, 4 or 8.
        hidden: of a layer between them and the answers; 0: none.
        length: features of a text that a device reads rows of, at most; fewer where nearly all texts have no more.
        dropout: share of features that are left out while learning.
        schedule: of the training; in its second half a table knows of its grid.
        weights: of labels, teacher and, where a trainer network learns along, of its labels.
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
    weights: Weights = field(default_factory=lambda: Weights(projection=0.3, distance=0.7, temperature=2.0, smoothing=0.1))

    def __post_init__(self) -> None:
        if self.reads not in READS:
            raise InputError(f"expected what reads picked n-grams, rows or signs, got {self.reads!r}")
        if self.more and self.reads != "rows":
            raise InputError("further features are those of further tables: expected a network that reads rows")
        if self.bits not in LEVELS:
            raise InputError(f"expected tables of {' or '.join(map(str, LEVELS))} bits, got {self.bits}")
        if self.width < 1 or self.hidden < 0 or not 0 <= self.dropout < 1:
            raise InputError(f"expected a width of 1 or more, hidden of 0 or more, a dropout of 0 to 1, got {self}")

    def reader(self, count: int, seed: int = 0, texts: tuple[str, ...] = ()) -> Trained:
        """Return what reads so many rows of each table, as many of them as nearly all ``texts`` need, or about so many bits."""
        if self.reads == "rows":
            tables = tuple(Rows(features, count, self._length(features, texts)) for features in (self.features, *self.more))
            return Parts(tables) if self.more else tables[0]
        return Bits(self.features, Signs(max(1, count // _D), _D, seed))

    def network(self, reader: Rows | Bits, classes: int) -> nn.Module:
        """Return a network with fresh weights."""
        if isinstance(reader, Rows):
            return Table(reader.rows, self.width, classes, hidden=self.hidden, dropout=self.dropout, bits=self.bits)
        layers = (self.width, self.hidden) if self.hidden else (self.width,)
        return ProjectionNet(reader.signs.size, classes, layers, dropout=self.dropout)

    def largest(self, max_size: int, card: Mapping[str, Any], seed: int = 0, texts: tuple[str, ...] = ()) -> Trained:
        """Return what reads as much as a file keeps within a size, by what a small file has beside its rows.

        Args:
            max_size: bytes.
            card: as long as the file's will be, with its ``labels``.
            seed: of the projections.
            texts: such as will be read; none: any.

        Raises:
            InputError: even the smallest file is larger.
        """
        reader = self.reader(_FIRST, seed, texts)
        smallest = self._size(reader, card) + _ROOM
        if smallest > max_size:
            what = f"{len(card['labels'])} labels and {self.reads} of {self.width} numbers"
            raise InputError(f"{max_size} bytes are too few for {what}: expected {smallest} or more")
        return _resized(reader, _count(reader) + int((max_size - smallest) / self._each))

    def smaller(self, reader: Trained, excess: int) -> Trained:
        """Return what reads so much less that a file loses ``excess`` bytes or more."""
        return _resized(reader, _count(reader) - ceil(excess / self._each))

    def _length(self, features: Features, texts: tuple[str, ...]) -> int:
        if not texts:
            return self.length
        most = float(np.quantile(np.diff(features.of(texts).offsets), _NEARLY_ALL))
        return min(self.length, _SHORTEST * max(1, ceil(most / _SHORTEST)))

    @property
    def _each(self) -> float:
        """Bytes of a row of every table, or of a sign."""
        return (1 + len(self.more)) * self.width * self.bits / 8 if self.reads == "rows" else self.width

    def _size(self, reader: Trained, card: Mapping[str, Any]) -> int:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            networks = [self.network(part, len(card["labels"])).eval() for part in parts_of(reader)]
            for values in nn.ModuleList(networks).parameters():
                nn.init.normal_(values)  # the converter leaves out scales of 1 and shifts of 0, as fresh layers have them
        return len(compiled(networks, reader, ("",), card))


_TWO, _THREE = 60_000, 200_000  # bytes from which so many tables in one file are better than one
_HIDDEN, _HEADS = 128, 3  # numbers of a hidden layer, where the layers above the tables take a third of the file at most


def recipe_for(reads: str, max_size: int, classes: int) -> Recipe:
    """Return the recipe that did best on validation splits.

    Args:
        reads: one of :data:`READS`.
        max_size: bytes of the file.
        classes: that it tells apart; many leave no room for a hidden layer in a small file.

    Raises:
        InputError: what cannot be read.
    """
    if reads == "picked":
        return Recipe(reads="picked")
    if reads == "signs":
        return Recipe(reads="signs", width=256, dropout=0.2, schedule=replace(_schedule(20), rate=0.002))
    if max_size < _TWO:
        return Recipe(reads=reads)
    more, width = ((LETTERS,), 32) if max_size < _THREE else ((LETTERS, SKIPGRAMS), 48)
    if _HEADS * (1 + len(more)) * _HIDDEN * (width + classes) <= max_size:
        return Recipe(reads=reads, more=more, width=width, hidden=_HIDDEN, schedule=_schedule(30))
    return Recipe(reads=reads, more=more, width=width + 16)


def parts_of(reader: Trained) -> tuple[Rows | Bits, ...]:
    """Return what each network of a file reads."""
    if isinstance(reader, Picked):
        raise InputError("a file of picked n-grams holds no networks")
    return reader.tables if isinstance(reader, Parts) else (reader,)


def _resized(reader: Trained, count: int) -> Trained:
    """Return what reads so many rows of each table, or about so many bits."""
    if isinstance(reader, Bits):
        return replace(reader, signs=replace(reader.signs, functions=max(1, count // _D)))
    if isinstance(reader, Rows):
        return replace(reader, rows=count)
    assert isinstance(reader, Parts)
    return Parts(tuple(replace(part, rows=count) for part in reader.tables))


def _count(reader: Trained) -> int:
    first = parts_of(reader)[0]
    return first.rows if isinstance(first, Rows) else first.signs.size


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
        networks: a :class:`Table` for each part of the reader, or one :class:`ProjectionNet`.
        reader: of texts; goes onto the card.
        texts: on some of which both must agree, one or more.
        card: what else the file says of itself.
        precision: of :func:`handheld.compile.to_tflite`; that of a table's bits, and eight for the rest, if left out.

    Raises:
        CompileError: file and network differ.
    """
    inputs = torch.from_numpy(reader.of(texts[:_CHECKS]))
    tables = [network for network in networks if isinstance(network, Table)]
    module = Mean(tables, [part.length for part in reader.tables]) if isinstance(reader, Parts) else networks[0]
    module = Exported(module) if isinstance(module, Table) else module
    usual: Precision = _TABLES[tables[0].bits] if tables else "int8_weights"
    return to_tflite(
        module, inputs[:1], metadata={**card, "text": reader.card()}, precision=precision or usual,
        checks=[row[None] for row in inputs[1:]],
    ).content  # fmt: skip
