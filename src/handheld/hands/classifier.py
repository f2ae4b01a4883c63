"""Gestures by a small network that was trained on the shapes of hands."""

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handheld.errors import ModelError
from handheld.files import atomic_path
from handheld.hands.gestures import GestureRecogniser, unseen_fingers
from handheld.hands.result import HandResult
from handheld.hands.shapes import HandShape, hand_shape
from handheld.untrusted import require_file

NONE = "none"
"""The class of hands that show no gesture."""

FEATURES = 65
"""Numbers that describe a hand: 63 of its shape, and two of its turn."""

_SHIPPED = Path(__file__).with_name("assets") / "gestures.npz"
_ARRAYS = ("names", "threshold", "weight_0", "bias_0", "weight_1", "bias_1")
_LARGEST = 1 << 22
"""Bytes of a file's arrays: the network that ships has 9 thousand."""


def features_of(shape: HandShape) -> NDArray[np.float32]:
    """Return the (65,) numbers by which a hand is classified."""
    # The turn as a point on a circle: half a turn either way is the same.
    turn = (np.cos(shape.turn), np.sin(shape.turn))
    return np.concatenate([shape.points.ravel(), turn]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class GestureClassifier(GestureRecogniser):
    """A network with one hidden layer, run by numpy.

    Attributes:
        names: of the classes; one of them is ``none``.
        weights: (65, hidden) and (hidden, classes), float32.
        biases: (hidden,) and (classes,).
        threshold: least probability of a gesture to be named, in [0, 1).
    """

    names: tuple[str, ...]
    weights: tuple[NDArray[np.float32], NDArray[np.float32]]
    biases: tuple[NDArray[np.float32], NDArray[np.float32]]
    threshold: float

    def __post_init__(self) -> None:
        hidden = len(self.biases[0])
        shapes = (self.weights[0].shape, self.weights[1].shape, self.biases[1].shape)
        classes = len(self.names)
        if shapes != ((FEATURES, hidden), (hidden, classes), (classes,)):
            raise ModelError(f"no gesture classifier: layers of shapes {shapes} for {self.names}")
        if NONE not in self.names:
            raise ModelError(f"no gesture classifier: expected a class {NONE!r}: {self.names}")
        numbers = (*self.weights, *self.biases, np.array(self.threshold))
        if not all(np.isfinite(array).all() for array in numbers):
            raise ModelError("no gesture classifier: some of its numbers are not finite")

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Self:
        """Read a classifier; by default the one that ships.

        Raises:
            ModelError: the file is missing, or is no classifier.
        """
        source = Path(_SHIPPED if path is None else path)
        try:
            return cls._from_arrays(_read_arrays(source))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ModelError(
                f"{source}: cannot be read as a gesture classifier: {error}"
            ) from error
        except ModelError as error:
            raise ModelError(f"{source}: {error}") from error

    @classmethod
    def _from_arrays(cls, arrays: dict[str, NDArray[np.generic]]) -> Self:
        layers = {
            name: np.asarray(arrays[name], np.float32)
            for name in ("weight_0", "bias_0", "weight_1", "bias_1")
        }
        return cls(
            names=tuple(map(str, arrays["names"].tolist())),
            weights=(layers["weight_0"], layers["weight_1"]),
            biases=(layers["bias_0"], layers["bias_1"]),
            threshold=float(arrays["threshold"]),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the classifier, weights as float16; the file appears whole or not at all."""
        arrays = {
            "names": np.array(self.names),
            "threshold": np.array(self.threshold, np.float32),
        }
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            arrays[f"weight_{layer}"] = weight.astype(np.float16)
            arrays[f"bias_{layer}"] = bias.astype(np.float16)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of each class, (n, classes), of hands (n, 65)."""
        hidden = np.maximum(features @ self.weights[0] + self.biases[0], 0)
        logits = hidden @ self.weights[1] + self.biases[1]
        # The largest is taken off first: its exponential could be more than a float holds.
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        likely: NDArray[np.float32] = shares / shares.sum(axis=1, keepdims=True)
        return likely

    def recognise(
        self,
        hand: HandResult,
        *,
        size: tuple[int, int] | None = None,
        mirrored: bool = False,
    ) -> str | None:
        """Return the likeliest gesture; ``None`` where it is below the threshold, or a finger is
        not seen.
        """
        shape = hand_shape(hand, mirrored=mirrored)
        if shape is None or hand.landmarks is None:
            return None
        # Every keypoint counts, so one that is guessed may decide.
        if unseen_fingers(hand.landmarks, size=size, confidence=hand.confidence):
            return None
        return self.named(features_of(shape)[None])[0]

    def named(self, features: NDArray[np.float32]) -> Sequence[str | None]:
        """Return the gestures of hands (n, 65)."""
        likely = self.probabilities(features)
        named: list[str | None] = []
        for probabilities in likely:
            best = int(probabilities.argmax())
            is_sure = probabilities[best] >= self.threshold and self.names[best] != NONE
            named.append(self.names[best] if is_sure else None)
        return named


def _read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a file, none of which may hold objects."""
    require_file(path)
    # By the sizes once unpacked: a small file can hold zeros without end.
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > _LARGEST:
        raise ValueError(f"it unpacks to more than {_LARGEST:,} bytes")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in _ARRAYS}
