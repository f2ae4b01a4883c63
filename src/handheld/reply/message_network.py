"""A small network that reads a message: what it is about, and what people answer to it.

Two views of a text meet in one hidden layer, in numpy alone. The first adds up learned rows, on
which words, pairs of words and letters fall (Weinberger et al., arXiv 0902.2206). The second slides
over vectors of words that a sentence encoder gave (so that "mum" is near "auntie" though one of
them was never seen beside "died"), with a filter over three words and the strongest answer of each
filter (Kim, "Convolutional Neural Networks for Sentence Classification", arXiv 1408.5882).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.errors import ModelError
from handheld.projection import Features
from handheld.projection.hashing import GOLDEN, mix
from handheld.projection.learned import LEVELS, normalised, packed, unpacked
from handheld.projection.words import Words
from handheld.reply.clauses import MessageSpans
from handheld.reply.ranker import (
    check_layer,
    check_sizes,
    check_weights,
    layer_of,
    quantised,
    weights_of,
)

Floats = NDArray[np.float32]

FEATURES = Features(words=2, skips=1, letters=(3, 4, 5))
"""What falls on rows of the table."""
# FEATURES of a word by itself: pairs are added apart, see MessageNetwork._rows
_ALONE = Features(words=1, skips=0, letters=(3, 4, 5))
_GAPS = (1, 2)  # words from the first of a pair to the second: side by side, or one skipped
_WINDOW = 3  # words that a filter reads
_HALF = np.uint64(32)
# Of a word's fingerprint: one stranger in 1,600 is taken for one of 10,000 known words.
_BITS = 24
_LAYERS = ("conv", "hidden", "topic", "answer")
# What a file may hold, so that a damaged one fills no memory: over ten times what is shipped.
_MOST_ROWS = 1 << 16
_MOST_WORDS = 1 << 17
_MOST_WIDTH = 512
# Weight that a row of a layer is taken to have at least, so that no scale is 0.
_SMALL = 1e-6


class WordVectors(NamedTuple):
    """Vectors of words.

    Attributes:
        keys: (words,) uint32, rising: the upper 24 bits of each word's fingerprint.
        vectors: (words, size) int8 multiples of ``step``.
        step: distance of two levels.
    """

    keys: NDArray[np.uint32]
    vectors: NDArray[np.int8]
    step: float

    def find(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return where words with some fingerprints stand, and which are there at all."""
        keys = short_keys(hashes)
        numbers = np.minimum(self.keys.searchsorted(keys), len(self.keys) - 1)
        return numbers, self.keys[numbers] == keys

    def of(self, hashes: NDArray[np.uint64]) -> tuple[Floats, NDArray[np.bool_]]:
        """Return (words, size) vectors of words given by their fingerprints, and who is known.

        Strangers have zeros.
        """
        numbers, known = self.find(hashes)
        vectors = self.vectors[numbers] * np.float32(self.step)
        vectors[~known] = 0
        return vectors, known


def short_keys(hashes: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return the bits of words' fingerprints by which they are known."""
    return (hashes >> np.uint64(64 - _BITS)).astype(np.uint32)


class SpanLogits(NamedTuple):
    """What the network says of some spans.

    Attributes:
        topics: (spans, topics) logits.
        answers: (spans, intents) logits of what answers them.
        last: number of the longest span that reaches the message's end.
    """

    topics: Floats
    answers: Floats
    last: int


@dataclass(frozen=True, eq=False)
class MessageNetwork:
    """The network.

    Attributes:
        table: (rows, width) int8 multiples of ``step``: what words, pairs and letters fall on.
        step: distance of two levels.
        norm: (2, width) scale and shift of a text's sum of rows.
        vocabulary: vectors of words.
        layers: weight (outputs, inputs) and bias (outputs,) by name: ``conv`` reads three vectors
            in a row, ``hidden`` both views, ``topic`` and ``answer`` what it gives.
    """

    table: NDArray[np.int8]
    step: float
    norm: Floats
    vocabulary: WordVectors
    layers: Mapping[str, tuple[Floats, Floats]]

    def read(self, spans: MessageSpans) -> SpanLogits:
        """Read some spans of a message."""
        views = np.concatenate([self._rows(spans), *self._words(spans)], axis=1)
        hidden = np.maximum(self._layer("hidden", views), 0)
        at_end = spans.ends == spans.ends.max()
        lengths = np.where(at_end, spans.ends - spans.begins, -1)
        last = int(lengths.argmax())
        return SpanLogits(self._layer("topic", hidden), self._layer("answer", hidden), last)

    def _rows(self, spans: MessageSpans) -> Floats:
        """Return (spans, width) sums of rows.

        Sums up to each word are made once, and a span is a difference of two: spans overlap.
        """
        begins = spans.begins
        ends = spans.ends
        bag = _ALONE.of(_each_alone(spans.words))
        sums = self._sums(bag.hashes)[bag.offsets]
        total = sums[ends] - sums[begins]
        for gap in _GAPS:
            pairs = self._sums(_pairs(spans.words.hashes, gap))
            # a pair belongs to its first word: of a span, the last ``gap`` words begin none
            last = len(pairs) - 1
            pair_ends = np.minimum(np.maximum(ends - gap, begins), last)
            total += pairs[pair_ends] - pairs[np.minimum(begins, last)]
        counts = bag.offsets[ends] - bag.offsets[begins] + _pair_counts(ends - begins)
        factors = self.step / np.sqrt(np.maximum(counts, 1))
        scaled = (total * factors[:, None]).astype(np.float32)
        has_words = bool(spans.words.tokens)
        return normalised(scaled, self.norm[0], self.norm[1]) * has_words

    def _sums(self, hashes: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return (features + 1, width) sums of the rows of all features before each."""
        # the upper half of a fingerprint, scaled to the number of rows
        numbers = ((hashes >> _HALF) * np.uint64(len(self.table)) >> _HALF).astype(np.intp)
        sums = np.zeros((len(numbers) + 1, self.table.shape[1]), np.int32)
        self.table.take(numbers, axis=0).cumsum(axis=0, dtype=np.int32, out=sums[1:])
        return sums

    def _words(self, spans: MessageSpans) -> tuple[Floats, Floats]:
        """Return what the filters give, and how much of a text they know nothing of.

        Returns:
            (spans, 2 * filters) strongest and mean answers, and (spans, 1) shares of strangers.
        """
        vectors, known = self.vocabulary.of(spans.words.hashes)
        lengths = spans.ends - spans.begins
        columns = np.arange(lengths.max(initial=0))
        inside = columns < lengths[:, None]
        # behind a span's end any word, whose answers count nothing
        numbers = np.where(inside, spans.begins[:, None] + columns, 0)
        answers = self._answers(vectors, numbers, inside)
        count = np.maximum(lengths, 1)[:, None].astype(np.float32)
        # by the root of the length, as sums of rows are; halved, so that both have one size
        mean = answers.sum(axis=1) / (2 * np.sqrt(count))
        strongest = answers.max(axis=1, initial=0)
        strangers = (inside & ~known[numbers]).sum(axis=1, keepdims=True) / count
        return np.concatenate([strongest, mean], axis=1), strangers.astype(np.float32)

    def _answers(
        self, vectors: Floats, numbers: NDArray[np.intp], inside: NDArray[np.bool_]
    ) -> Floats:
        """Return (spans, words, filters) answers of the filters, 0 behind the end of a span.

        Args:
            vectors: (words, size) of all words.
            numbers: (spans, words) of the words of each span.
            inside: (spans, words) which of them are.
        """
        before, at, after = self._filtered(vectors)
        answers = at[numbers] + self.layers["conv"][1]
        # A span ends at its borders: its first word has none before it, its last none behind.
        has_neighbour = inside[:, 1:, None]
        answers[:, 1:] += np.where(has_neighbour, before[numbers[:, :-1]], 0)
        answers[:, :-1] += np.where(has_neighbour, after[numbers[:, 1:]], 0)
        return np.asarray(np.maximum(answers, 0) * inside[..., None], np.float32)

    def _filtered(self, vectors: Floats) -> list[Floats]:
        """Return (words, filters) what each word adds to the filter behind, at and before it."""
        weight, _ = self.layers["conv"]
        return [vectors @ columns.T for columns in np.split(weight, _WINDOW, axis=1)]

    def _layer(self, name: str, x: Floats) -> Floats:
        weight, bias = self.layers[name]
        return np.asarray(x @ weight.T + bias, np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a file keeps.

        Tables in four bits, two numbers in a byte; weights in eight, with one scale for each
        output.
        """
        # keys rise: their distances need 16 bits with the lower 8 apart, and compress better
        keys = np.diff(self.vocabulary.keys.astype(np.int64), prepend=0).astype(np.uint32)
        arrays: dict[str, NDArray[Any]] = {
            "table": packed(self.table),
            "rows": np.array(len(self.table), np.int32),
            "step": np.array(self.step, np.float32),
            "norm": self.norm,
            "keys_low": (keys & 0xFF).astype(np.uint8),
            "keys_high": (keys >> 8).astype(np.uint16),
            "vectors": packed(self.vocabulary.vectors),
            "vector_step": np.array(self.vocabulary.step, np.float32),
        }
        for name in _LAYERS:
            weight, bias = self.layers[name]
            arrays[f"{name}_bias"] = bias
            arrays[f"{name}_weight"], arrays[f"{name}_scale"] = quantised(weight, _SMALL)
        return arrays

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "MessageNetwork":
        """Return what :meth:`arrays` kept.

        Raises:
            ModelError: arrays that do not fit together.
        """
        try:
            network = cls(
                table=_levels_of(
                    arrays["table"], rows=int(arrays["rows"]), width=arrays["norm"].shape[1]
                ),
                step=float(arrays["step"]),
                norm=weights_of(arrays, "norm"),
                vocabulary=_vocabulary_of(arrays),
                layers={name: layer_of(arrays, name) for name in _LAYERS},
            )
            network.check()
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise ModelError(f"the network that reads messages is damaged: {error}") from error
        return network

    def check(self) -> None:
        """Raise ``ValueError`` that names the first array that does not fit the others."""
        self._check_tables()
        self._check_layers()
        self._check_numbers()

    def _check_tables(self) -> None:
        rows, width = self.table.shape
        words, size = self.vocabulary.vectors.shape
        keys = len(self.vocabulary.keys)
        fits = 1 <= rows <= _MOST_ROWS and 1 <= width <= _MOST_WIDTH
        if not fits or self.table.dtype != np.int8:
            raise ValueError(f"a table of {self.table.dtype} {rows} x {width}")
        fits = 1 <= words <= _MOST_WORDS and 1 <= size <= _MOST_WIDTH
        if not fits or keys != words:
            raise ValueError(f"{keys} keys for {words} vectors of {size}")

    def _check_layers(self) -> None:
        width = self.table.shape[1]
        size = self.vocabulary.vectors.shape[1]
        filters = len(self.layers["conv"][1])
        hidden = len(self.layers["hidden"][1])
        inputs = {
            "conv": _WINDOW * size,
            "hidden": width + 2 * filters + 1,
            "topic": hidden,
            "answer": hidden,
        }
        for name, layer in self.layers.items():
            check_layer(name, layer, inputs[name])

    def _check_numbers(self) -> None:
        steps = np.array([self.step, self.vocabulary.step])
        check_sizes("norm", self.norm, (2, self.table.shape[1]))
        check_weights("steps", steps)
        if not (steps > 0).all():
            raise ValueError(f"expected steps above 0, got {steps.tolist()}")
        if (np.diff(self.vocabulary.keys.astype(np.int64)) < 0).any():
            raise ValueError("keys that do not rise")

    @cached_property
    def topics(self) -> int:
        """Number of topics, that of none included."""
        return len(self.layers["topic"][1])

    @cached_property
    def intents(self) -> int:
        """Number of intents, that of none included."""
        return len(self.layers["answer"][1])


def _vocabulary_of(arrays: Mapping[str, NDArray[Any]]) -> WordVectors:
    for name in ("keys_high", "keys_low"):
        keys = arrays[name]
        # of two dimensions, numpy would pair each with each
        if keys.dtype.kind != "u" or keys.ndim != 1 or len(keys) > _MOST_WORDS:
            raise ValueError(f"{name}: {keys.dtype} {list(keys.shape)} are no keys of words")
    distances = (arrays["keys_high"].astype(np.int64) << 8) + arrays["keys_low"]
    keys = distances.cumsum().astype(np.uint32)
    size = arrays["conv_weight"].shape[1] // _WINDOW
    vectors = _levels_of(arrays["vectors"], rows=len(keys), width=size)
    return WordVectors(keys, vectors, float(arrays["vector_step"]))


def _levels_of(pairs: NDArray[Any], *, rows: int, width: int) -> NDArray[np.int8]:
    """Return (rows, width) levels that a file keeps two in a byte.

    Raises:
        ValueError: they are no such levels.
    """
    if pairs.dtype != np.uint8 or pairs.shape != (-(-rows * width // 2),):
        raise ValueError(f"levels as {pairs.dtype} {list(pairs.shape)} for {rows} rows of {width}")
    levels = unpacked(pairs, (rows, width))
    if levels.max(initial=0) > LEVELS[4]:
        raise ValueError(f"levels above {LEVELS[4]}")
    return levels


def _each_alone(words: Words) -> Words:
    """Return words each of which is a text."""
    numbers = np.arange(len(words.tokens) + 1)
    return Words(words.tokens, words.hashes, numbers[:-1], numbers)


def _pair_counts(lengths: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return how many pairs there are in texts of some words.

    Of n words, two or more, n - 1 pairs stand side by side, and n - 2 have one word between.
    """
    return np.maximum(2 * lengths - 3, lengths - 1)


def _pairs(hashes: NDArray[np.uint64], gap: int) -> NDArray[np.uint64]:
    """Return fingerprints of pairs of words, as :class:`~handheld.projection.Features` makes them.

    Args:
        hashes: fingerprints of words.
        gap: words from the first of a pair to the second.
    """
    if len(hashes) <= gap:
        return hashes[:0]
    return mix(hashes[:-gap] * GOLDEN + hashes[gap:])
