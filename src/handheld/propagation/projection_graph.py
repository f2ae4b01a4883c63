"""A table from signatures to labels: the form of TensorFlow Lite's smart replies (2017).

A text is projected to T signatures of d bits. Each that is in the table votes for its labels; the
votes are added up. Nothing is trained by gradients, so that the table learns from one more example
at once, on the device.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.arrays import read_npz
from handheld.errors import InputError, ModelError
from handheld.projection import Features, Signs
from handheld.projection.words import Texts
from handheld.propagation._checks import small_enough
from handheld.propagation.labels import Labels
from handheld.ranges import in_range, whole_in_range
from handheld.untrusted import read_json

_FORMAT = 1
# A vote of 1, as stored: 8 bits tell which of two votes is larger.
_FULL = 255
# Of a file: votes of all classes are an array for each text.
_MOST_CLASSES = 1 << 20
_MOST_BYTES = 1 << 28
# Of a key: numpy has no longer whole numbers.
_KEY_BITS = 64


@dataclass(frozen=True, eq=False)
class ProjectionGraph:
    """Signatures and the labels that they vote for.

    Attributes:
        features: of a text.
        signs: T functions of d bits.
        classes: number of labels.
        keys: (entries,) uint64, rising: a function's number and its bits.
        labels: (entries, stored) int32, -1 where there are fewer.
        votes: (entries, stored) float32, in [0, 1].
    """

    features: Features
    signs: Signs
    classes: int
    keys: NDArray[np.uint64]
    labels: NDArray[np.int32]
    votes: NDArray[np.float32]

    @classmethod
    def build(
        cls,
        texts: Sequence[str],
        labels: Labels,
        *,
        features: Features,
        signs: Signs,
        max_labels: int = 5,
        min_count: int = 1,
    ) -> "ProjectionGraph":
        """Count which labels go with which signatures.

        Args:
            texts: to learn from.
            labels: of each text: as given, or as spread by ``propagate``.
            features, signs: how a text is projected; a function's number and its d bits must fit 64
                bits.
            max_labels: labels of an entry, 1 or more.
            min_count: texts that must have a signature for it to become an entry, 1 or more.

        Raises:
            InputError: not as many labels as texts, or numbers outside of these.
        """
        if len(texts) != len(labels.names) or not len(texts):
            raise InputError(
                f"expected labels for each text, got {len(labels.names)} for {len(texts)}"
            )
        whole_in_range("max_labels", max_labels, low=1)
        whole_in_range("min_count", min_count, low=1)
        counts = _Counts.of(_signatures(features, signs, texts), labels)
        keys, entry_labels, votes = counts.largest(max_labels, min_count)
        return cls(features, signs, labels.classes, keys, entry_labels, votes)

    def signatures_of(self, texts: Texts) -> NDArray[np.uint64]:
        """Return (texts, T): each function's number above its d bits."""
        return _signatures(self.features, self.signs, texts)

    def votes_of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (texts, classes) votes: the mean over the T functions, in [0, 1]."""
        return self.votes_for(self.signatures_of(texts))

    def votes_for(self, signatures: NDArray[np.uint64]) -> NDArray[np.float32]:
        """Return (texts, classes) votes of (texts, T) signatures.

        Raises:
            InputError: there would be more than 2^31 numbers.
        """
        small_enough("votes", len(signatures), self.classes, "ask fewer texts at a time")
        votes = np.zeros((len(signatures), self.classes), np.float32)
        if not len(self.keys) or not len(signatures):
            return votes
        texts, entries = self._entries_of(signatures)
        labels = self.labels[entries]
        known = labels >= 0
        voters = np.broadcast_to(texts[:, None], labels.shape)
        # add.at, as several functions of a text vote for one label
        np.add.at(votes, (voters[known], labels[known]), self.votes[entries][known])
        return votes / np.float32(self.signs.functions)

    def _entries_of(
        self, signatures: NDArray[np.uint64]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the text and the entry of each of (texts, T) signatures that is in the table."""
        # a signature above all keys would be looked up behind the last
        nearest = self.keys.searchsorted(signatures).clip(max=len(self.keys) - 1)
        texts, functions = (self.keys[nearest] == signatures).nonzero()
        return texts, nearest[texts, functions]

    def learned(self, text: str, label: int, *, rate: float = 0.5) -> "ProjectionGraph":
        """Return the table after one more example.

        Votes of the text's signatures move towards its label. What others voted before shrinks by
        as much, so that no number of examples outweighs all.

        Args:
            text: of the example.
            label: in [0, classes).
            rate: how far, in (0, 1].

        Raises:
            InputError: a label or rate outside of these.
        """
        whole_in_range("label", label, low=0, high=self.classes - 1)
        in_range("rate", rate, low=0, high=1, low_open=True)
        signatures = np.unique(_signatures(self.features, self.signs, [text]))
        table = self._with_entries(signatures)
        for entry in table.keys.searchsorted(signatures):
            # arrays of the copy, which nobody else has yet
            _move(table.labels[entry], table.votes[entry], label, rate)
        return table

    def _with_entries(self, signatures: NDArray[np.uint64]) -> "ProjectionGraph":
        """Return a copy in which signatures that nobody had are entries without votes."""
        missing = signatures[~np.isin(signatures, self.keys)]
        positions = self.keys.searchsorted(missing)
        return replace(
            self,
            keys=np.insert(self.keys, positions, missing),
            labels=np.insert(self.labels, positions, -1, axis=0),
            votes=np.insert(self.votes, positions, 0.0, axis=0),
        )

    def to_bytes(self) -> bytes:
        """Return the table as a file; votes keep 8 bits."""
        card = {
            "format": _FORMAT,
            "classes": self.classes,
            "features": asdict(self.features),
            "signs": asdict(self.signs),
        }
        labels = self.labels
        # half the size where labels are few
        if self.classes <= np.iinfo(np.int16).max:
            labels = labels.astype(np.int16)
        file = io.BytesIO()
        np.savez_compressed(
            file,
            card=np.frombuffer(json.dumps(card).encode(), np.uint8),
            keys=self.keys,
            labels=labels,
            votes=np.rint(self.votes * _FULL).astype(np.uint8),
        )
        return file.getvalue()

    @classmethod
    def of_bytes(cls, content: bytes) -> "ProjectionGraph":
        """Read what :meth:`to_bytes` wrote. Raises :class:`ModelError` for anything else."""
        try:
            arrays = read_npz(content, _MOST_BYTES)
            table = cls._of_arrays(arrays)
        except ModelError:
            raise
        # whatever a damaged file makes numpy and the constructors raise
        except Exception as error:
            raise ModelError(
                f"this is no table of signatures, or it is damaged: {error}"
            ) from error
        if arrays["votes"].dtype != np.uint8 or not table._fits():
            raise ModelError(
                "the table of signatures is damaged: its keys, labels and votes do not fit together"
            )
        return table

    @classmethod
    def _of_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "ProjectionGraph":
        """Build what arrays of a file describe, whether they fit together or not."""
        card: dict[str, Any] = read_json(arrays["card"].tobytes())
        if card["format"] != _FORMAT:
            raise ModelError(
                f"the table has format {card['format']!r}; this version reads {_FORMAT}"
            )
        # JSON has no tuples
        letters = tuple(card["features"]["letters"])
        return cls(
            features=Features(**{**card["features"], "letters": letters}),
            signs=Signs(**card["signs"]),
            classes=int(card["classes"]),
            keys=arrays["keys"].astype(np.uint64),
            labels=arrays["labels"].astype(np.int32),
            votes=(arrays["votes"] / _FULL).astype(np.float32),
        )

    def _fits(self) -> bool:
        """Return whether keys, labels and votes are those of one table."""
        if self.labels.ndim != 2 or self.labels.shape != self.votes.shape:
            return False
        if self.keys.shape != self.labels.shape[:1] or not 1 <= self.classes <= _MOST_CLASSES:
            return False
        are_labels = (self.labels >= -1) & (self.labels < self.classes)
        rising = self.keys[1:] > self.keys[:-1]
        return bool(are_labels.all() and rising.all())


class _Counts(NamedTuple):
    """How often a label goes with a signature, each pair of them once.

    Attributes:
        keys: (pairs,) signatures, rising.
        labels: (pairs,) rising among those of one signature.
        counts: (pairs,) sums of shares.
    """

    keys: NDArray[np.uint64]
    labels: NDArray[np.int32]
    counts: NDArray[np.float32]

    @classmethod
    def of(cls, signatures: NDArray[np.uint64], labels: Labels) -> "_Counts":
        """Count the labels of texts, given their (texts, T) signatures."""
        # each label of a text goes with each of its signatures
        texts, columns = (labels.names >= 0).nonzero()
        functions = signatures.shape[1]
        all_keys = signatures[texts].ravel()
        all_names = np.repeat(labels.names[texts, columns], functions)
        all_shares = np.repeat(labels.shares[texts, columns], functions)
        order = np.lexsort((all_names, all_keys))
        keys = all_keys[order]
        names = all_names[order]
        first = _first_of_runs(keys, names)
        return cls(keys[first], names[first], _sums(all_shares[order], first))

    def largest(
        self, max_labels: int, min_count: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.float32]]:
        """Return keys, labels and votes of a table.

        Votes are the largest counts of each key, as shares of all texts that have it and one more.
        """
        # key by key, the largest count of each first, of equal ones the smaller label
        order = np.lexsort((self.labels, -self.counts, self.keys))
        counts = self.counts[order]
        keys, first, sizes = np.unique(self.keys[order], return_index=True, return_counts=True)
        totals = _sums(counts, first)
        entries, columns = _cells(first, sizes)
        stored = columns < max_labels
        cells = (entries[stored], columns[stored])
        labels = np.full((len(keys), max_labels), -1, np.int32)
        labels[cells] = self.labels[order][stored]
        votes = np.zeros((len(keys), max_labels), np.float32)
        # one more than there are: a signature that one text had says less than one of many
        votes[cells] = counts[stored] / (totals[entries[stored]] + 1)
        often = totals >= min_count
        return keys[often], labels[often], votes[often]


def _cells(
    first: NDArray[np.intp], sizes: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return of each pair which of the keys it has, and which of that key's labels, from 0.

    Args:
        first: (keys,) where each key's pairs begin, which lie side by side.
        sizes: (keys,) how many each has.
    """
    entries = np.arange(len(first)).repeat(sizes)
    columns = np.arange(len(entries)) - first.repeat(sizes)
    return entries, columns


def _first_of_runs(*columns: NDArray[Any]) -> NDArray[np.intp]:
    """Return the rows of sorted columns that differ from the row before them."""
    is_new = np.ones(len(columns[0]), bool)
    is_new[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return np.flatnonzero(is_new)


def _sums(values: NDArray[np.float32], first: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the sums of values from each first one to the next."""
    if not len(first):
        # reduceat takes no empty list
        return values
    return np.add.reduceat(values, first)


def _move(labels: NDArray[np.int32], votes: NDArray[np.float32], label: int, rate: float) -> None:
    """Move the votes of one entry towards a label; both arrays are changed."""
    moved = dict(zip(labels.tolist(), (votes * (1 - rate)).tolist(), strict=True))
    moved.pop(-1, None)
    moved[label] = moved.get(label, 0.0) + rate
    # of equal votes the smaller label first
    best = sorted(moved.items(), key=lambda item: (-item[1], item[0]))[: len(labels)]
    labels[:] = -1
    votes[:] = 0.0
    labels[: len(best)] = [name for name, _ in best]
    votes[: len(best)] = [vote for _, vote in best]


def _signatures(features: Features, signs: Signs, texts: Texts) -> NDArray[np.uint64]:
    """Return (texts, T): each function's number above its d bits."""
    bits = signs.of(features.of(texts))
    bits = bits.reshape(len(bits), signs.functions, signs.bits)
    number_bits = (signs.functions - 1).bit_length()
    if signs.bits + number_bits > _KEY_BITS:
        raise InputError(
            f"{signs.functions} functions of {signs.bits} bits do not fit 64 bits together"
        )
    weights = np.uint64(1) << np.arange(signs.bits, dtype=np.uint64)
    # the function's number above its bits, so that one table holds all functions
    numbers = np.arange(signs.functions, dtype=np.uint64) << np.uint64(signs.bits)
    return np.asarray((bits * weights).sum(axis=2, dtype=np.uint64) + numbers)
