"""Which replies fit a message: two towers over one learned projection, in numpy alone.

After Henderson et al., "Efficient Natural Language Response Suggestion for Smart Reply" (arXiv
1705.00652): n-grams are added up, a small network makes a vector of the conversation and another
one of a reply, and their product is the score. Words that both share count besides, by how rare
they are. From the conversation's vector the intents of its answer are read as well.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError, ModelError
from handheld.projection import Bag
from handheld.projection.inputs import Rows
from handheld.projection.learned import LearnedTable, normalised
from handheld.projection.words import Texts, Words

Floats = NDArray[np.float32]

CONTEXT = 3
"""Texts of a conversation that are read: the last one and two before it."""
_ALIKE = 2  # weights of ``mix`` for shared words: with the last text, and with those before it
_REAL = "fiu"  # kinds of numpy's numbers: floats and whole ones
# Lengths below this are taken to be this: those of texts without any known feature are 0.
_SMALL = 1e-5
# Layers with weights in 8 bits; ``norm`` is stored apart, as it is.
_LAYERS = ("hidden", "query", "intent", "reply", "answer")
# What a file may hold, so that a damaged one fills no memory: over ten times what is shipped.
_MOST_OUTPUTS = 4096
# Of a weight: products of larger ones could leave float32 in the layers behind.
_MOST_WEIGHT = 1e3


@dataclass(frozen=True, eq=False)
class EncodedContext:
    """What is known of a conversation.

    Attributes:
        hidden: (hidden,) what the first layer gives.
        vector: (out,) of length 1.
        intents: (intents,) logits of what answers it.
        shared: (rows,) how much it counts that a reply has a row of the table too, as the last text
            or those before it do.
    """

    hidden: Floats
    vector: Floats
    intents: Floats
    shared: Floats


@dataclass(frozen=True, eq=False)
class EncodedReplies:
    """Replies that can be scored.

    Attributes:
        vectors: (n, out) of length 1.
        rows: (n, most) of the table; what is left over behind a reply's last row is 0.
        weights: (n, most) how much each row weighs in a reply; 0 behind the last.
    """

    vectors: Floats
    rows: NDArray[np.intp]
    weights: Floats

    def of(self, numbers: slice) -> "EncodedReplies":
        """Return some of them."""
        return EncodedReplies(self.vectors[numbers], self.rows[numbers], self.weights[numbers])


@dataclass(frozen=True, eq=False)
class Ranker:
    """The network.

    Attributes:
        learned: projection of all texts.
        idf: (rows,) inverse document frequency of each row.
        layers: weight (outputs, inputs) and bias (outputs,) by name: ``hidden`` reads the texts of
            a conversation, ``query`` and ``intent`` read what it gives; ``reply`` and ``answer`` do
            the same for a reply. ``norm`` is scale and shift.
        mix: (3,) weights of the product of vectors, and of shared words with the last text and
            those before it.
    """

    learned: LearnedTable
    idf: Floats
    layers: Mapping[str, tuple[Floats, Floats]]
    mix: Floats

    def encode_context(self, texts: Texts) -> EncodedContext:
        """Read a conversation: its last texts, the latest first, ``CONTEXT`` or fewer."""
        numbers, offsets = self.learned.reader.flat(texts)
        count = len(offsets) - 1
        if not 1 <= count <= CONTEXT:
            raise InputError(f"expected 1 to {CONTEXT} texts, got {count}")
        # texts that are not there are zeros, as they were in training
        sums = np.zeros((CONTEXT, self.learned.width), np.float32)
        sums[:count] = self.learned.sums(numbers, offsets)
        inputs = normalised(sums, *self.layers["norm"]).reshape(1, -1)
        hidden = np.maximum(self._layer("hidden", inputs), 0)
        vectors = _of_length_1(self._layer("query", hidden))
        intents = self._layer("intent", hidden)
        shared = self._shared(numbers[: offsets[1]], numbers[offsets[1] :])
        return EncodedContext(hidden[0], vectors[0], intents[0], shared)

    def _shared(self, last: NDArray[np.intp], before: NDArray[np.intp]) -> Floats:
        """Return (rows,) how much it counts that a reply has a row too.

        Args:
            last: rows of the last text.
            before: rows of those before it.
        """
        shared = np.zeros(len(self.idf), np.float32)
        for weight, rows in zip(self.mix[1:], (last, before), strict=True):
            idf = self.idf.take(rows)
            total = np.zeros(len(self.idf), np.float32)
            np.add.at(total, rows, idf)
            totals = total.take(rows)
            length = math.sqrt(totals @ idf)
            # a row that occurs twice is set twice, to the same
            shared[rows] += totals * (weight / max(length, _SMALL))
        return shared

    def encode_replies(self, texts: Texts) -> EncodedReplies:
        """Read replies."""
        numbers, offsets = self.learned.reader.flat(texts)
        inputs = normalised(self.learned.sums(numbers, offsets), *self.layers["norm"])
        hidden = np.maximum(self._layer("reply", inputs), 0)
        vectors = _of_length_1(self._layer("answer", hidden))
        replies, rows, weights = self._row_weights(numbers, offsets)
        # replies have few rows, so a dense array of the longest one's width is small
        rows_of = np.bincount(replies, minlength=len(vectors))
        filled = np.arange(rows_of.max(initial=0)) < rows_of[:, None]
        dense_rows = np.zeros(filled.shape, np.intp)
        dense_rows[filled] = rows
        dense_weights = np.zeros(filled.shape, np.float32)
        dense_weights[filled] = weights
        return EncodedReplies(vectors, dense_rows, dense_weights)

    def _row_weights(
        self, numbers: NDArray[np.intp], offsets: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
        """Return each row of each text once: the text's number, the row, and how much it weighs.

        Args:
            numbers, offsets: rows of texts, as ``Rows.flat`` gives them.
        """
        count = len(offsets) - 1
        texts = np.arange(count).repeat(np.diff(offsets))
        # a text and a row are one number while they are sorted
        keys, counts = np.unique(texts * len(self.idf) + numbers, return_counts=True)
        texts, rows = np.divmod(keys, len(self.idf))
        weights = self.idf[rows] * counts.astype(np.float32)
        squares = np.bincount(texts, weights * weights, minlength=count)
        lengths = np.sqrt(squares).astype(np.float32)
        weights /= np.maximum(lengths, _SMALL)[texts]
        return texts, rows, weights

    def scores(self, context: EncodedContext, replies: EncodedReplies) -> Floats:
        """Return (n,) how well each reply fits, as logits."""
        alike = (context.shared.take(replies.rows) * replies.weights).sum(axis=1)
        product = replies.vectors @ context.vector
        return np.asarray(self.mix[0] * product + alike, np.float32)

    def attributions(self, context: EncodedContext, words: Words, intents: Sequence[int]) -> Floats:
        """Return (intents, words) how much each word of the last text raises each intent.

        A straight line through the network: gradient times input, up to one factor for all words.

        Args:
            context: the conversation.
            words: of its last text.
            intents: numbers of those that are explained.
        """
        # the hidden layer's first columns read the last text, and those that gave 0 pass nothing on
        hidden_weight = self.layers["hidden"][0][:, : self.learned.width]
        intent_weight = self.layers["intent"][0][intents]
        gradients = (intent_weight * (context.hidden > 0)) @ hidden_weight
        scale = self.layers["norm"][0]
        numbers = self.learned.reader.numbers(Bag(words.hashes, words.offsets))
        rows = self.learned.table.take(numbers, axis=0)
        return np.asarray((gradients * scale) @ rows.T.astype(np.float32), np.float32)

    def _layer(self, name: str, x: Floats) -> Floats:
        weight, bias = self.layers[name]
        return np.asarray(x @ weight.T + bias, np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a file keeps: weights in 8 bits, one scale for each output."""
        arrays: dict[str, NDArray[Any]] = dict(self.learned.arrays())
        arrays["mix"] = self.mix
        arrays["norm"] = np.stack(self.layers["norm"])
        arrays["rarity"], arrays["rarity_scale"] = quantised(self.idf[None])
        for name in _LAYERS:
            weight, bias = self.layers[name]
            arrays[f"{name}_bias"] = bias
            arrays[f"{name}_weight"], arrays[f"{name}_scale"] = quantised(weight)
        return arrays

    @classmethod
    def of_arrays(cls, reader: Rows, arrays: Mapping[str, NDArray[Any]]) -> "Ranker":
        """Return what :meth:`arrays` kept.

        Raises:
            ModelError: arrays that do not fit together.
        """
        try:
            layers = {name: layer_of(arrays, name) for name in _LAYERS}
            scale, shift = weights_of(arrays, "norm")
            layers["norm"] = (scale, shift)
            ranker = cls(
                learned=LearnedTable.of_arrays(reader, arrays),
                idf=dequantised("rarity", arrays["rarity"], arrays["rarity_scale"])[0],
                layers=layers,
                mix=weights_of(arrays, "mix"),
            )
            ranker.check()
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ModelError(f"the ranker is damaged: {error}") from error
        return ranker

    def check(self) -> None:
        """Raise ``ValueError`` that names the first array that does not fit the others."""
        # before anything is computed: numpy would stretch a wrong shape over all memory
        width = self.learned.width
        hidden = len(self.layers["hidden"][1])
        inputs = {
            "hidden": CONTEXT * width,
            "query": hidden,
            "intent": hidden,
            "reply": width,
            "answer": len(self.layers["reply"][1]),
        }
        for name, count in inputs.items():
            check_layer(name, self.layers[name], count)
        check_sizes("answer", self.layers["answer"][1], self.layers["query"][1].shape)
        scale, shift = self.layers["norm"]
        check_sizes("norm", scale, (width,))
        check_sizes("norm", shift, (width,))
        check_sizes("rarity", self.idf, (self.learned.reader.rows,))
        check_sizes("mix", self.mix, (1 + _ALIKE,))
        check_weights("step", np.array(self.learned.step))


def softmax(logits: Floats) -> Floats:
    """Return (..., n) logits as probabilities."""
    # not the engine's, which does the same and would bring its memory along
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), np.float32)


def _of_length_1(x: Floats) -> Floats:
    lengths = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return np.asarray(x / np.maximum(lengths, _SMALL), np.float32)


def quantised(weight: Floats, smallest: float = _SMALL) -> tuple[NDArray[np.int8], Floats]:
    """Return (outputs, inputs) weights in 8 bits, and the (outputs,) scale of each row.

    Args:
        weight: (outputs, inputs).
        smallest: largest weight that a row is taken to have at least, so that no scale is 0.
    """
    scale = np.maximum(np.abs(weight).max(axis=1), smallest) / 127
    return np.rint(weight / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def dequantised(name: str, levels: NDArray[Any], scale: NDArray[Any]) -> Floats:
    """Return the weights that :func:`quantised` stored. Raises ``ValueError`` for others."""
    if levels.dtype != np.int8 or levels.ndim != 2 or scale.shape != levels.shape[:1]:
        raise ValueError(
            f"{name}: expected int8 weights (outputs, inputs) and a scale of each output,"
            f" got {levels.dtype} {list(levels.shape)} and {list(scale.shape)}"
        )
    scales = weights_of({name: scale}, name)
    # checked before it multiplies, which could overflow
    check_weights(name, scales)
    return levels.astype(np.float32) * scales[:, None]


def layer_of(arrays: Mapping[str, NDArray[Any]], name: str) -> tuple[Floats, Floats]:
    """Return weight and bias of a layer of a file. Raises ``KeyError`` and ``ValueError``."""
    weight = dequantised(name, arrays[f"{name}_weight"], arrays[f"{name}_scale"])
    return weight, weights_of(arrays, f"{name}_bias")


def weights_of(arrays: Mapping[str, NDArray[Any]], name: str) -> Floats:
    """Return an array of a file as floats.

    Raises:
        KeyError: there is none of this name.
        ValueError: its elements are no real numbers.
    """
    array = arrays[name]
    # complex numbers, dates and texts would be made into floats
    if array.dtype.kind not in _REAL:
        raise ValueError(f"{name}: expected real numbers, got {array.dtype}")
    # What is too large becomes infinite, and is refused as that.
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def check_layer(name: str, layer: tuple[Floats, Floats], inputs: int) -> None:
    """Raise ``ValueError`` for a layer that does not read so many numbers, or is damaged."""
    weight, bias = layer
    fits = bias.ndim == 1 and weight.shape == (len(bias), inputs)
    if not fits or not 1 <= len(bias) <= _MOST_OUTPUTS or inputs < 1:
        raise ValueError(f"layer {name!r} has the shape {list(weight.shape)}, {list(bias.shape)}")
    check_weights(f"layer {name!r}", weight)
    check_weights(f"layer {name!r}", bias)


def check_sizes(name: str, weights: Floats, shape: tuple[int, ...]) -> None:
    """Raise ``ValueError`` for weights of another shape, or damaged ones."""
    if weights.shape != shape:
        raise ValueError(f"{name}: expected the shape {list(shape)}, got {list(weights.shape)}")
    check_weights(name, weights)


def check_weights(name: str, weights: NDArray[Any]) -> None:
    """Raise ``ValueError`` for weights that are no numbers, or larger than any that is learned."""
    # written so that NaN fails too
    if not (np.abs(weights) <= _MOST_WEIGHT).all():
        raise ValueError(f"{name}: some weights are no numbers up to {_MOST_WEIGHT:g}")
