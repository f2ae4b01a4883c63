"""A network with one hidden layer, small enough to be run by numpy and to ship with the package."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handheld.arrays import read_npz
from handheld.errors import InputError, ModelError
from handheld.files import atomic_path
from handheld.ranges import in_range
from handheld.untrusted import require_name

NONE = "none"
"""The class of what is none of the others."""

_ARRAYS = ("names", "threshold", "weight_0", "bias_0", "weight_1", "bias_1")
_LARGEST = 1 << 22
"""Bytes of a file's arrays: the networks that ship have some ten thousand."""


@dataclass(frozen=True, eq=False)
class Perceptron:
    """A hidden layer of rectified linear units, and an output for each class.

    Attributes:
        names: of the classes; one of them is ``none``.
        weights: (features, hidden) and (hidden, classes), float32.
        biases: (hidden,) and (classes,).
        threshold: least probability of a class to be named, in [0, 1].

    Raises:
        InputError: a threshold outside, a name that cannot be shown.
        ModelError: layers and names that do not fit together, or numbers that are not finite.
    """

    names: tuple[str, ...]
    weights: tuple[NDArray[np.float32], NDArray[np.float32]]
    biases: tuple[NDArray[np.float32], NDArray[np.float32]]
    threshold: float

    def __post_init__(self) -> None:
        in_range("threshold", self.threshold, low=0, high=1)
        classes = len(self.names)
        shapes = tuple(array.shape for array in (*self.weights, *self.biases))
        if [len(shape) for shape in shapes] != [2, 2, 1, 1]:
            raise ModelError(f"layers of shapes {shapes}: expected two matrices and two vectors")
        hidden = shapes[0][1]
        if shapes[1:] != ((hidden, classes), (hidden,), (classes,)):
            raise ModelError(f"layers of shapes {shapes} for {classes} classes do not fit together")
        for name in self.names:
            require_name("name of a class", name)
        if NONE not in self.names:
            raise ModelError(f"expected a class {NONE!r}, got {', '.join(self.names)}")
        if not all(np.isfinite(array).all() for array in (*self.weights, *self.biases)):
            raise ModelError("some of its numbers are not finite")

    @property
    def features(self) -> int:
        """How many numbers describe an example."""
        return len(self.weights[0])

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, features: int) -> Self:
        """Read a network that takes so many features.

        Raises:
            ModelError: the file is missing, or holds no such network.
        """
        source = Path(path)
        try:
            network = cls._from_arrays(read_npz(source, _LARGEST))
        except (InputError, ModelError) as error:
            raise ModelError(f"{source}: no classifier: {error}") from error
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{source}: cannot be read as a classifier: {error}") from error
        if network.features != features:
            raise ModelError(
                f"{source}: a classifier of {network.features} features, expected {features}"
            )
        return network

    @classmethod
    def _from_arrays(cls, arrays: dict[str, NDArray[np.generic]]) -> Self:
        for name, array in arrays.items():
            _require_array(name, array)
        layers = {name: np.asarray(arrays[name], np.float32) for name in _ARRAYS[2:]}
        return cls(
            names=tuple(map(str, arrays["names"].tolist())),
            weights=(layers["weight_0"], layers["weight_1"]),
            biases=(layers["bias_0"], layers["bias_1"]),
            threshold=float(arrays["threshold"]),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network, weights as float16; the file appears whole or not at all."""
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
        """Return the probability of each class, (n, classes), of examples (n, features)."""
        hidden = np.maximum(features @ self.weights[0] + self.biases[0], 0)
        logits = hidden @ self.weights[1] + self.biases[1]
        # The largest is taken off first: its exponential could be more than a float holds.
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        likely: NDArray[np.float32] = shares / shares.sum(axis=1, keepdims=True)
        return likely

    def named(self, features: NDArray[np.float32]) -> list[str | None]:
        """Return the likeliest class of each example (n, features); ``None`` where that is none or
        below the threshold.
        """
        named: list[str | None] = []
        for probabilities in self.probabilities(features):
            best = int(probabilities.argmax())
            is_sure = probabilities[best] >= self.threshold and self.names[best] != NONE
            named.append(self.names[best] if is_sure else None)
        return named


def _require_array(name: str, array: NDArray[np.generic]) -> None:
    """Refuse an array of another kind than its name says."""
    if name == "names":
        if array.dtype.kind != "U" or array.ndim != 1:
            raise ModelError(
                f"names: expected a list of texts, got {array.dtype} of shape {array.shape}"
            )
    elif array.dtype.kind not in "fiu":
        raise ModelError(f"{name}: expected numbers, got {array.dtype}")
    if name == "threshold" and array.ndim:
        raise ModelError(f"threshold: expected one number, got an array of shape {array.shape}")
