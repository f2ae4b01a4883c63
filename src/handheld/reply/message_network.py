"""A small network that reads a message: what it is about, and what people answer to it; in numpy
alone.

Two views of a text meet in one hidden layer. The first adds up learned rows, on which words, pairs
of words and letters fall
(Weinberger et al., arXiv 0902.2206). The second slides over vectors of words that a sentence
encoder gave (so that "mum" is
near "auntie" though one of them was never seen beside "died"), with a filter over three words and
the strongest answer of each
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
from handheld.projection.learned import normalised
from handheld.projection.words import Words
from handheld.reply.clauses import MessageSpans

Floats = NDArray[np.float32]

FEATURES = Features(words=2, skips=1, letters=(3, 4, 5))
_ALONE = Features(words=1, skips=0, letters=(3, 4, 5))  # FEATURES of a word by itself
_HALF = np.uint64(32)
_BITS = 24  # of a word's fingerprint: one stranger in 1,600 is taken for one of 10,000 known words
_LAYERS = ("conv", "hidden", "topic", "answer")
_MOST_ROWS, _MOST_WORDS, _MOST_WIDTH = 1 << 16, 1 << 17, 512  # of a file


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

    def of(self, hashes: NDArray[np.uint64]) -> tuple[Floats, NDArray[np.bool_]]:
        """Return (words, size) vectors of words given by their fingerprints, zeros for strangers;
        and who is known.
        """
        wanted = short_keys(hashes)
        places = np.minimum(self.keys.searchsorted(wanted), len(self.keys) - 1)
        known = self.keys[places] == wanted
        vectors = self.vectors[places] * np.float32(self.step)
        vectors[~known] = 0
        return vectors, known


def short_keys(hashes: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return the bits of words' fingerprints by which a vocabulary knows them."""
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
        layers: weight (outputs, inputs) and bias (outputs,) by name: ``conv`` reads three
            vectors in a row, ``hidden`` both
            views, ``topic`` and ``answer`` what it gives.
    """

    table: NDArray[np.int8]
    step: float
    norm: Floats
    vocabulary: WordVectors
    layers: Mapping[str, tuple[Floats, Floats]]

    def read(self, spans: MessageSpans) -> SpanLogits:
        """Read some spans of a message."""
        rows = self._rows(spans)
        hidden = np.concatenate([rows, *self._words(spans)], axis=1)
        hidden = np.maximum(self._layer("hidden", hidden), 0)
        at_end = spans.ends == spans.ends.max()
        last = int(np.argmax(np.where(at_end, spans.ends - spans.begins, -1)))
        return SpanLogits(self._layer("topic", hidden), self._layer("answer", hidden), last)

    def _rows(self, spans: MessageSpans) -> Floats:
        """Return (spans, width) sums of rows; sums up to each word are made once, and a span is a
        difference of two.
        """
        tokens, hashes = spans.words.tokens, spans.words.hashes
        bag = _ALONE.of(_each_alone(spans.words))
        single = self._sums(bag.hashes, bag.offsets)
        first, second = (self._sums(_pairs(hashes, gap)) for gap in (1, 2))
        begins, ends = spans.begins, spans.ends
        total = single[ends] - single[begins]
        for gap, sums in ((1, first), (2, second)):
            last = len(sums) - 1
            total += (
                sums[np.minimum(np.maximum(ends - gap, begins), last)]
                - sums[np.minimum(begins, last)]
            )
        lengths = ends - begins
        counts = bag.offsets[ends] - bag.offsets[begins] + np.maximum(2 * lengths - 3, lengths - 1)
        scaled = total * (self.step / np.sqrt(np.maximum(counts, 1)))[:, None]
        return normalised(scaled.astype(np.float32), self.norm[0], self.norm[1]) * bool(tokens)

    def _sums(
        self, hashes: NDArray[np.uint64], offsets: NDArray[np.intp] | None = None
    ) -> NDArray[np.int32]:
        """Return (items + 1, width) sums of the rows of all items before each; an item has one row
        or those of its range.
        """
        numbers = ((hashes >> _HALF) * np.uint64(len(self.table)) >> _HALF).astype(np.intp)
        sums = np.zeros((len(numbers) + 1, self.table.shape[1]), np.int32)
        self.table.take(numbers, axis=0).cumsum(axis=0, dtype=np.int32, out=sums[1:])
        return sums if offsets is None else sums[offsets]

    def _words(self, spans: MessageSpans) -> tuple[Floats, Floats]:
        """Return (spans, 2 * filters) strongest and mean answers of the filters, and (spans, 1)
        shares of strangers.
        """
        vectors, known = self.vocabulary.of(spans.words.hashes)
        size = vectors.shape[1]
        weight, bias = self.layers["conv"]
        before, at, after = (
            vectors @ weight[:, each * size : (each + 1) * size].T for each in range(3)
        )
        begins, lengths = spans.begins, spans.ends - spans.begins
        column = np.arange(lengths.max(initial=0))
        inside = column < lengths[:, None]
        place = np.where(inside, begins[:, None] + column, 0)
        answers = at[place] + bias
        answers[:, 1:] += np.where(inside[:, 1:, None], before[place[:, :-1]], 0)
        answers[:, :-1] += np.where(inside[:, 1:, None], after[place[:, 1:]], 0)
        answers = np.maximum(answers, 0) * inside[..., None]
        count = np.maximum(lengths, 1)[:, None].astype(np.float32)
        mean = answers.sum(axis=1) / (2 * np.sqrt(count))
        strangers = (inside & ~known[place]).sum(axis=1, keepdims=True) / count
        return np.concatenate([answers.max(axis=1, initial=0), mean], axis=1), strangers.astype(
            np.float32
        )

    def _layer(self, name: str, x: Floats) -> Floats:
        weight, bias = self.layers[name]
        return np.asarray(x @ weight.T + bias, np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a file keeps: weights in 8 bits with one scale for each output, keys as
        distances.
        """
        keys = np.diff(self.vocabulary.keys.astype(np.int64), prepend=0).astype(np.uint32)
        found: dict[str, NDArray[Any]] = {
            "table": self.table, "step": np.array(self.step, np.float32), "norm": self.norm,
            "keys_low": (keys & 0xFF).astype(np.uint8), "keys_high": (keys >> 8).astype(np.uint16),
            "vectors": self.vocabulary.vectors, "vector_step": np.array(self.vocabulary.step, np.float32),
        }  # fmt: skip
        for name in _LAYERS:
            weight, found[f"{name}_bias"] = self.layers[name]
            scale = np.maximum(np.abs(weight).max(axis=1), 1e-6) / 127
            found[f"{name}_weight"] = np.rint(weight / scale[:, None]).astype(np.int8)
            found[f"{name}_scale"] = scale.astype(np.float32)
        return found

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "MessageNetwork":
        """Return what :meth:`arrays` kept. Raises :class:`ModelError` for what does not fit
        together.
        """
        try:
            keys = (arrays["keys_high"].astype(np.int64) << 8) + arrays["keys_low"]
            vocabulary = WordVectors(
                keys.cumsum().astype(np.uint32), arrays["vectors"], float(arrays["vector_step"])
            )
            layers = {name: _layer_of(arrays, name) for name in _LAYERS}
            network = cls(
                arrays["table"],
                float(arrays["step"]),
                arrays["norm"].astype(np.float32),
                vocabulary,
                layers,
            )
            network.check()
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise ModelError(f"the network that reads messages is damaged: {error}") from error
        return network

    def check(self) -> None:
        """Raise ``ValueError`` that names the first part that does not fit the others."""
        rows, width = self.table.shape
        words, size = self.vocabulary.vectors.shape
        if not (
            1 <= rows <= _MOST_ROWS and 1 <= width <= _MOST_WIDTH and self.table.dtype == np.int8
        ):
            raise ValueError(f"a table of {self.table.dtype} {rows} x {width}")
        if not (
            1 <= words <= _MOST_WORDS
            and 1 <= size <= _MOST_WIDTH
            and len(self.vocabulary.keys) == words
        ):
            raise ValueError(f"{len(self.vocabulary.keys)} keys for {words} vectors of {size}")
        filters = len(self.layers["conv"][1])
        hidden = len(self.layers["hidden"][1])
        inputs = {
            "conv": 3 * size,
            "hidden": width + 2 * filters + 1,
            "topic": hidden,
            "answer": hidden,
        }
        for name, (weight, bias) in self.layers.items():
            if weight.shape != (len(bias), inputs[name]):
                raise ValueError(f"layer {name!r} has the shape {list(weight.shape)}")
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise ValueError(f"layer {name!r}: some weights are no numbers")
        steps = (self.step, self.vocabulary.step)
        if self.norm.shape != (2, width) or not np.isfinite(self.norm).all() or not min(steps) > 0:
            raise ValueError(f"a norm of the shape {list(self.norm.shape)}, steps {steps}")
        if (
            not np.isfinite(steps).all()
            or (np.diff(self.vocabulary.keys.astype(np.int64)) < 0).any()
        ):
            raise ValueError("keys or steps that are no such numbers")

    @cached_property
    def topics(self) -> int:
        """Number of topics, that of none included."""
        return len(self.layers["topic"][1])

    @cached_property
    def intents(self) -> int:
        """Number of intents."""
        return len(self.layers["answer"][1])


def _layer_of(arrays: Mapping[str, NDArray[Any]], name: str) -> tuple[Floats, Floats]:
    weight, scale = arrays[f"{name}_weight"], arrays[f"{name}_scale"]
    if weight.dtype != np.int8 or weight.ndim != 2 or scale.shape != weight.shape[:1]:
        raise ValueError(
            f"layer {name!r}: {weight.dtype} {list(weight.shape)} and {list(scale.shape)} scales"
        )
    return weight * scale.astype(np.float32)[:, None], arrays[f"{name}_bias"].astype(np.float32)


def _each_alone(words: Words) -> Words:
    """Return words each of which is a text."""
    count = np.arange(len(words.tokens) + 1)
    return Words(words.tokens, words.hashes, count[:-1], count)


def _pairs(hashes: NDArray[np.uint64], gap: int) -> NDArray[np.uint64]:
    """Return fingerprints of pairs of words, as :class:`~handheld.projection.Features` makes
    them.
    """
    return mix(hashes[:-gap] * GOLDEN + hashes[gap:]) if len(hashes) > gap else hashes[:0]
