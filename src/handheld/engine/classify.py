"""Classify a plain photo with nothing but a model file: its card says what the model wants and what it answers.

The card's entries that count here::

    {"labels": ["cat", "dog"],                                   # in the order of the output
     "image": {"mean": [0.5], "std": [0.25], "grey": false, "fit": "stretch"},
     "output": "logits"}                                         # or "probabilities"

The picture, in 0 to 1, is fitted to the input's size (``stretch``, or ``crop``: the middle, at its own proportions), made
grey if the model wants that, and normalised: (value - mean) / std, one number or one for each channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from handheld.engine._model import Model
from handheld.errors import InputError, ModelError
from handheld.pictures import LUMA, resample


class Prediction(NamedTuple):
    """A label and its probability, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True)
class ImageCard:
    """What a card says of pictures and labels; read by :meth:`of`."""

    labels: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    grey: bool
    crops: bool
    is_logits: bool

    @classmethod
    def of(cls, model: Model, *, needs_labels: bool = True) -> "ImageCard":
        """Read a model's card. Raises :class:`ModelError` that names the entry that is missing or wrong.

        Args:
            model: whose card it is.
            needs_labels: whether a card without labels is refused; else it has none.
        """
        labels = labels_of(model) if needs_labels or "labels" in model.card else ()
        image = model.card.get("image")
        output = model.card.get("output", "logits")
        if (
            not isinstance(image, dict)
            or output not in ("logits", "probabilities")
            or not isinstance(image.get("grey", False), bool)
        ):
            raise ModelError(f"{model.path}: its card does not say how pictures are prepared (entries image and output)")
        if image.get("fit", "stretch") not in ("stretch", "crop"):
            raise ModelError(f"{model.path}: card entry image.fit is {image['fit']!r}, expected stretch or crop")
        mean, std = (_numbers(image.get(key, default), key, model) for key, default in (("mean", [0.0]), ("std", [1.0])))
        if not (std > 0).all():
            raise ModelError(f"{model.path}: card entry image.std is {std.tolist()}, expected numbers above 0")
        return cls(labels, mean, std, image.get("grey", False), image.get("fit") == "crop", output == "logits")


def classify(model: Model, image: np.ndarray, *, top: int = 5) -> list[Prediction]:
    """Return the likeliest labels of a picture, best first.

    Args:
        model: with one picture input (1, height, width, 1 or 3), float32 or quantised, and a card.
        image: (height, width, 3) uint8 RGB of any size.
        top: labels to return at most.

    Raises:
        ModelError: the card or the model's shapes do not fit.
        InputError: the image is no (height, width, 3) uint8 picture.
    """
    card = ImageCard.of(model)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(
            f"expected a picture of shape (height, width, 3) and type uint8, got {list(image.shape)} {image.dtype}"
        )
    info = model.inputs[0]
    channels = 1 if card.grey else 3
    if len(model.inputs) != 1 or len(info.shape) != 4 or info.shape[0] != 1 or info.shape[3] != channels:
        raise ModelError(
            f"{model.path}: expected one input [1, height, width, {channels}], got {', '.join(map(str, model.inputs))}"
        )
    outputs = model.run(info.to_stored(prepare(image, card, info.shape[1], info.shape[2])[None]))
    scores = model.outputs[0].to_real(outputs[0]).ravel()
    if len(scores) != len(card.labels):
        raise ModelError(f"{model.path}: its card has {len(card.labels)} labels, its output {len(scores)} values")
    return likeliest(softmax(scores) if card.is_logits else scores, card.labels, top)


def labels_of(model: Model) -> tuple[str, ...]:
    """Return the labels on a model's card. Raises :class:`ModelError` if there are none."""
    labels = model.card.get("labels")
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise ModelError(f"{model.path}: its card has no list of labels; it does not say what its output means")
    return tuple(labels)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return (labels,) logits as probabilities."""
    shares = np.exp(logits - logits.max())
    return np.asarray(shares / shares.sum())


def likeliest(probabilities: np.ndarray, labels: Sequence[str], top: int) -> list[Prediction]:
    """Return the ``top`` labels of (labels,) probabilities, best first; of equals the first."""
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [Prediction(labels[place], float(probabilities[place])) for place in best]


def prepare(image: np.ndarray, card: ImageCard, height: int, width: int) -> np.ndarray:
    """Return a picture as a model wants it: (height, width, channels) float32."""
    picture: np.ndarray = image.astype(np.float32) / np.float32(255)
    if card.crops:
        picture = _middle(picture, height, width)
    picture = resample(picture, (height, width))
    if card.grey:
        picture = (picture @ LUMA)[:, :, None]
    return np.asarray((picture - card.mean) / card.std, dtype=np.float32)


def _middle(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    scale = min(picture.shape[0] / height, picture.shape[1] / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (picture.shape[0] - rows) // 2, (picture.shape[1] - columns) // 2
    return picture[top : top + rows, left : left + columns]


def _numbers(value: Any, key: str, model: Model) -> np.ndarray:
    numbers = value if isinstance(value, list) else [value]
    if len(numbers) not in (1, 3) or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
        raise ModelError(f"{model.path}: card entry image.{key} is {value!r}, expected one number or three")
    return np.array(numbers, dtype=np.float32)
