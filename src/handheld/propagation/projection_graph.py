"""A table from signatures to labels: the form in which the smart replies of TensorFlow Lite were shipped (2017).

A text is projected to T signatures of d bits. Each that is in the table votes for its labels; the votes are added up. Nothing
is trained by gradients, so that the table learns from one more example at once, on the device.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.arrays import read_npz
from handheld.errors import InputError, ModelError
from handheld.projection import Features, Signs
from handheld.projection.words import Texts
from handheld.propagation._checks import small_enough
from handheld.propagation.labels import Labels
from handheld.untrusted import read_json

_FORMAT = 1
_FULL = 255  # a vote of 1, as stored
_MOST_CLASSES = 1 << 20  # of a file
_MOST_BYTES = 1 << 28  # of the arrays of a file


@dataclass(frozen=True, eq=False)
class ProjectionGraph:
    """Signatures and the labels that they vote for.

    Attributes:
        features: of a text.
        signs: T functions of d bits.
        classes: number of labels.
        keys: (entries,) uint64, rising: a function's number and its bits.
        labels: (entries, kept) int32, -1 where there are fewer.
        votes: (entries, kept) float32, 0 to 1.
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
        kept: int = 5,
        fewest: int = 1,
    ) -> "ProjectionGraph":
        """Count which labels go with which signatures.

        Args:
            texts: to learn from.
            labels: of each text: as given, or as spread by ``propagate``.
            features, signs: how a text is projected; a function's number and its d bits must fit 64 bits.
            kept: labels of an entry.
            fewest: texts that must have a signature for it to become an entry.

        Raises:
            InputError: not as many labels as texts, or numbers outside of these.
        """
        if len(texts) != len(labels.names) or not len(texts):
            raise InputError(
                f"expected labels for each text, got {len(labels.names)} for {len(texts)}"
            )
        if kept < 1 or fewest < 1:
            raise InputError(
                f"expected 1 or more labels of an entry, of 1 or more texts, got {kept}, {fewest}"
            )
        signatures = _signatures(features, signs, texts)
        rows, places = (labels.names >= 0).nonzero()
        pairs = np.repeat(labels.names[rows, places], signs.functions), signatures[rows].ravel()
        order = np.lexsort(pairs)
        key, label = pairs[1][order], pairs[0][order]
        share = np.repeat(labels.shares[rows, places], signs.functions)[order]
        first = (
            np.flatnonzero(np.append(True, (key[1:] != key[:-1]) | (label[1:] != label[:-1])))
            if len(key)
            else order
        )
        counts = np.add.reduceat(share, first) if len(first) else share
        return cls._of_counts(
            features, signs, labels.classes, key[first], label[first], counts, kept, fewest
        )

    @classmethod
    def _of_counts(
        cls, features: Features, signs: Signs, classes: int, key: NDArray[np.uint64], label: NDArray[np.int32],
        counts: NDArray[np.float32], kept: int, fewest: int,
    ) -> "ProjectionGraph":  # fmt: skip
        """Keep the largest counts of each key, as shares of all texts that have it and one more."""
        order = np.lexsort((label, -counts, key))
        key, label, counts = key[order], label[order], counts[order]
        keys, first, sizes = np.unique(key, return_index=True, return_counts=True)
        totals = np.add.reduceat(counts, first) if len(first) else counts
        place = np.arange(len(key)) - first.repeat(sizes)
        labels, votes = (
            np.full((len(keys), kept), -1, np.int32),
            np.zeros((len(keys), kept), np.float32),
        )
        stays = place < kept
        entry = np.arange(len(keys)).repeat(sizes)[stays]
        labels[entry, place[stays]] = label[stays]
        votes[entry, place[stays]] = counts[stays] / (totals[entry] + 1)
        often = totals >= fewest
        return cls(features, signs, classes, keys[often], labels[often], votes[often])

    def signatures_of(self, texts: Texts) -> NDArray[np.uint64]:
        """Return (texts, T): each function's number above its d bits."""
        return _signatures(self.features, self.signs, texts)

    def votes_of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (texts, classes) votes: the mean over the T functions, 0 to 1."""
        return self.votes_for(self.signatures_of(texts))

    def votes_for(self, asked: NDArray[np.uint64]) -> NDArray[np.float32]:
        """Return :meth:`votes_of` texts whose (texts, T) signatures are known."""
        small_enough("votes", len(asked), self.classes, "ask fewer texts at a time")
        found = np.zeros((len(asked), self.classes), np.float32)
        if not len(self.keys) or not len(asked):
            return found
        places = self.keys.searchsorted(asked).clip(max=len(self.keys) - 1)
        rows, functions = (self.keys[places] == asked).nonzero()
        entries = places[rows, functions]
        labels, votes, owners = (
            self.labels[entries],
            self.votes[entries],
            rows[:, None].repeat(self.labels.shape[1], axis=1),
        )
        known = labels >= 0
        np.add.at(found, (owners[known], labels[known]), votes[known])
        return found / np.float32(self.signs.functions)

    def learned(self, text: str, label: int, *, rate: float = 0.5) -> "ProjectionGraph":
        """Return the table after one more example: votes of the text's signatures move towards its label.

        Args:
            text: of the example.
            label: 0 to classes - 1.
            rate: how far, 0 to 1. What others voted before shrinks by as much, so that no number of examples outweighs all.

        Raises:
            InputError: a label or rate outside of these.
        """
        if not (0 <= label < self.classes and 0 < rate <= 1):
            raise InputError(
                f"expected a label of 0 to {self.classes - 1} and a rate above 0 up to 1, got {label}, {rate}"
            )
        asked = np.unique(_signatures(self.features, self.signs, [text]))
        missing = asked[~np.isin(asked, self.keys)]
        places = self.keys.searchsorted(missing)
        keys = np.insert(self.keys, places, missing)
        labels = np.insert(self.labels, places, -1, axis=0)
        votes = np.insert(self.votes, places, 0.0, axis=0)
        for entry in keys.searchsorted(asked):
            held = dict(
                zip(labels[entry].tolist(), (votes[entry] * (1 - rate)).tolist(), strict=True)
            )
            held.pop(-1, None)
            held[label] = held.get(label, 0.0) + rate
            best = sorted(held.items(), key=lambda item: (-item[1], item[0]))[: labels.shape[1]]
            labels[entry], votes[entry] = -1, 0.0
            labels[entry, : len(best)], votes[entry, : len(best)] = zip(*best, strict=True)
        return replace(self, keys=keys, labels=labels, votes=votes)

    def to_bytes(self) -> bytes:
        """Return the table as a file; votes keep 8 bits."""
        card = {
            "format": _FORMAT,
            "classes": self.classes,
            "features": asdict(self.features),
            "signs": asdict(self.signs),
        }
        file = io.BytesIO()
        np.savez_compressed(
            file,
            card=np.frombuffer(json.dumps(card).encode(), np.uint8),
            keys=self.keys,
            labels=self.labels.astype(
                np.int16 if self.classes <= np.iinfo(np.int16).max else np.int32
            ),
            votes=np.rint(self.votes * _FULL).astype(np.uint8),
        )
        return file.getvalue()

    @classmethod
    def of_bytes(cls, content: bytes) -> "ProjectionGraph":
        """Read what :meth:`to_bytes` wrote. Raises :class:`ModelError` for anything else."""
        try:
            arrays = read_npz(content, _MOST_BYTES)
            card: dict[str, Any] = read_json(arrays["card"].tobytes())
            if card["format"] != _FORMAT:
                raise ModelError(
                    f"the table has format {card['format']!r}; this version reads {_FORMAT}"
                )
            features = Features(
                **{**card["features"], "letters": tuple(card["features"]["letters"])}
            )
            keys, labels = arrays["keys"].astype(np.uint64), arrays["labels"].astype(np.int32)
            stored = arrays["votes"]
            votes = (stored / _FULL).astype(np.float32)
            table = cls(features, Signs(**card["signs"]), int(card["classes"]), keys, labels, votes)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(
                f"this is no table of signatures, or it is damaged: {error}"
            ) from error
        fits = (
            labels.ndim == 2
            and labels.shape == votes.shape
            and keys.shape == labels.shape[:1]
            and stored.dtype == np.uint8
        )
        known = (
            1 <= table.classes <= _MOST_CLASSES
            and ((labels >= -1) & (labels < table.classes)).all()
        )
        if not (fits and known and (keys[1:] > keys[:-1]).all()):
            raise ModelError(
                "the table of signatures is damaged: its keys, labels and votes do not fit together"
            )
        return table


def _signatures(features: Features, signs: Signs, texts: Texts) -> NDArray[np.uint64]:
    """Return (texts, T): each function's number above its d bits."""
    bits = signs.of(features.of(texts))
    bits = bits.reshape(len(bits), signs.functions, signs.bits)
    room = (signs.functions - 1).bit_length()
    if signs.bits + room > 64:
        raise InputError(
            f"{signs.functions} functions of {signs.bits} bits do not fit 64 bits together"
        )
    weights = np.uint64(1) << np.arange(signs.bits, dtype=np.uint64)
    numbers = np.arange(signs.functions, dtype=np.uint64) << np.uint64(signs.bits)
    return np.asarray((bits * weights).sum(axis=2, dtype=np.uint64) + numbers)
