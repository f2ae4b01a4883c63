"""Which replies fit a message: two towers over one learned projection, in numpy alone.

After Henderson et al., "Efficient Natural Language Response Suggestion for Smart Reply" (arXiv 1705.00652): n-grams are added
up, a small network makes a vector of the conversation and another one of a reply, and their product is the score. Words that
both share count besides, by how rare they are. From the conversation's vector the intents of its answer are read as well.
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

CONTEXT = 3  # texts of a conversation that are read
_SMALL = 1e-5
_LAYERS = ("hidden", "query", "intent", "reply", "answer")


@dataclass(frozen=True, eq=False)
class EncodedContext:
    """What is known of a conversation.

    Attributes:
        hidden: (hidden,) what the first layer gives.
        vector: (out,) of length 1.
        intents: (intents,) logits of what answers it.
        shared: (rows,) how much it counts that a reply has a row of the table too, as the last text or those before it do.
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
        rows, weights: (n, most) of the table, and how much each weighs in a reply; places that are left over weigh nothing.
    """

    vectors: Floats
    rows: NDArray[np.intp]
    weights: Floats

    def part(self, places: slice) -> "EncodedReplies":
        """Return some of them."""
        return EncodedReplies(self.vectors[places], self.rows[places], self.weights[places])


@dataclass(frozen=True, eq=False)
class Ranker:
    """The network.

    Attributes:
        learned: projection of all texts.
        rarity: (rows,) inverse document frequency of each row.
        layers: weight (outputs, inputs) and bias (outputs,) by name: ``hidden`` reads the texts of a conversation, ``query``
            and ``intent`` read what it gives; ``reply`` and ``answer`` do the same for a reply. ``norm`` is scale and shift.
        mix: (3,) weights of the product of vectors, and of shared words with the last text and those before it.
    """

    learned: LearnedTable
    rarity: Floats
    layers: Mapping[str, tuple[Floats, Floats]]
    mix: Floats

    def ask(self, texts: Texts) -> EncodedContext:
        """Read a conversation: its last texts, the latest first, ``CONTEXT`` or fewer."""
        numbers, offsets = self.learned.reader.flat(texts)
        count = len(offsets) - 1
        if not 1 <= count <= CONTEXT:
            raise InputError(f"expected 1 to {CONTEXT} texts, got {count}")
        sums = np.zeros((CONTEXT, self.learned.width), np.float32)
        sums[:count] = self.learned.sums(numbers, offsets)
        hidden = self._layer(
            "hidden", normalised(sums, *self.layers["norm"]).reshape(1, -1), rise=True
        )
        shared = np.zeros(len(self.rarity), np.float32)
        for weight, rows in zip(
            self.mix[1:], (numbers[: offsets[1]], numbers[offsets[1] :]), strict=True
        ):
            rarity, total = self.rarity.take(rows), np.zeros(len(self.rarity), np.float32)
            np.add.at(total, rows, rarity)
            each = total.take(rows)
            shared[rows] += each * (
                weight / max(math.sqrt(each @ rarity), _SMALL)
            )  # a row that occurs twice is set twice
        return EncodedContext(
            hidden[0],
            _of_length_1(self._layer("query", hidden))[0],
            self._layer("intent", hidden)[0],
            shared,
        )

    def replies(self, texts: Texts) -> EncodedReplies:
        """Read replies."""
        numbers, offsets = self.learned.reader.flat(texts)
        hidden = self._layer(
            "reply",
            normalised(self.learned.sums(numbers, offsets), *self.layers["norm"]),
            rise=True,
        )
        count = len(offsets) - 1
        owners = np.arange(count).repeat(np.diff(offsets))
        found, counts = np.unique(
            owners * len(self.rarity) + numbers, return_counts=True
        )  # each row of a reply once
        owners, rows = np.divmod(found, len(self.rarity))
        weights = self.rarity[rows] * counts.astype(np.float32)
        lengths = np.sqrt(np.bincount(owners, weights * weights, minlength=count)).astype(
            np.float32
        )
        weights /= np.maximum(lengths, _SMALL)[owners]
        each = np.bincount(owners, minlength=count)
        filled = np.arange(each.max(initial=0)) < each[:, None]
        wide, heavy = np.zeros(filled.shape, np.intp), np.zeros(filled.shape, np.float32)
        wide[filled], heavy[filled] = rows, weights
        return EncodedReplies(_of_length_1(self._layer("answer", hidden)), wide, heavy)

    def scores(self, asked: EncodedContext, candidates: EncodedReplies) -> Floats:
        """Return (n,) how well each reply fits, as logits."""
        alike = (asked.shared.take(candidates.rows) * candidates.weights).sum(axis=1)
        return np.asarray(self.mix[0] * (candidates.vectors @ asked.vector) + alike, np.float32)

    def raised(self, asked: EncodedContext, words: Words, intents: Sequence[int]) -> Floats:
        """Return (intents, words) how much each word of the last text raises each intent.

        A straight line through the network: gradient times input, up to one factor for all words.
        """
        slopes = (self.layers["intent"][0][intents] * (asked.hidden > 0)) @ self.layers["hidden"][
            0
        ][:, : self.learned.width]
        rows = self.learned.table.take(
            self.learned.reader.numbers(Bag(words.hashes, words.offsets)), axis=0
        )
        return np.asarray((slopes * self.layers["norm"][0]) @ rows.T.astype(np.float32), np.float32)

    def _layer(self, name: str, x: Floats, *, rise: bool = False) -> Floats:
        weight, bias = self.layers[name]
        found = x @ weight.T + bias
        return np.maximum(found, 0) if rise else found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a file keeps: weights in 8 bits, one scale for each output."""
        found = {**self.learned.arrays(), "mix": self.mix, "norm": np.stack(self.layers["norm"])}
        found["rarity"], found["rarity_scale"] = _levels(self.rarity[None])
        for name in _LAYERS:
            weight, found[f"{name}_bias"] = self.layers[name]
            found[f"{name}_weight"], found[f"{name}_scale"] = _levels(weight)
        return found

    @classmethod
    def of_arrays(cls, reader: Rows, arrays: Mapping[str, NDArray[Any]]) -> "Ranker":
        """Return what :meth:`arrays` kept. Raises :class:`ModelError` for what does not fit together."""
        try:
            learned = LearnedTable.of_arrays(reader, arrays)
            layers = {
                name: (
                    _reals(arrays[f"{name}_weight"], arrays[f"{name}_scale"]),
                    arrays[f"{name}_bias"].astype(np.float32),
                )
                for name in _LAYERS
            }
            layers["norm"] = (
                arrays["norm"][0].astype(np.float32),
                arrays["norm"][1].astype(np.float32),
            )
            found = cls(
                learned,
                _reals(arrays["rarity"], arrays["rarity_scale"])[0],
                layers,
                arrays["mix"].astype(np.float32),
            )
            found.scores(found.ask(["ok"]), found.replies(["ok"]))
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ModelError(f"the ranker is damaged: {error}") from error
        if not all(np.isfinite(part).all() for pair in layers.values() for part in pair):
            raise ModelError("the ranker is damaged: some weights are no numbers")
        return found


def softmax(logits: Floats) -> Floats:
    """Return (..., n) logits as probabilities; the engine's does the same, and would bring its memory along."""
    risen = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(risen / risen.sum(axis=-1, keepdims=True), np.float32)


def _of_length_1(x: Floats) -> Floats:
    return np.asarray(
        x / np.maximum(np.sqrt((x * x).sum(axis=1, keepdims=True)), _SMALL), np.float32
    )


def _levels(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Return (outputs, inputs) whole numbers and the (outputs,) scale of each row."""
    scale = np.maximum(np.abs(weight).max(axis=1), _SMALL) / 127
    return np.rint(weight / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def _reals(levels: NDArray[Any], scale: NDArray[Any]) -> Floats:
    if levels.dtype != np.int8 or levels.ndim != 2 or scale.shape != levels.shape[:1]:
        raise ValueError(
            f"expected weights of int8 and their scales, got {levels.dtype} {list(levels.shape)}"
        )
    return levels.astype(np.float32) * scale.astype(np.float32)[:, None]
