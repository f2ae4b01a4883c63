"""Classify a plain photo with nothing but a model file.

The file's card says what the model wants and what it answers. The entries that count here::

    {"labels": ["cat", "dog"],                                   # in the order of the output
     "image": {"mean": [0.5], "std": [0.25], "grey": false, "fit": "stretch"},
     "output": "logits"}                                         # or "probabilities"

The picture, in [0, 1], is fitted to the input's size (``stretch``, or ``crop``: the middle, at its
own proportions), made grey if the model wants that, and normalised: (value - mean) / std, one
number or one for each channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from handheld.engine._model import Model
from handheld.engine._tensor_info import TensorInfo
from handheld.errors import InputError, ModelError
from handheld.pictures import LUMA, resample
from handheld.ranges import whole_in_range


class Prediction(NamedTuple):
    """A label and its probability, in [0, 1]."""

    label: str
    probability: float


@dataclass(frozen=True)
class ImageCard:
    """What a card says of pictures and labels; read by :meth:`of`.

    Args:
        labels: in the order of the output; () where the card has none.
        mean, std: (1,) or (3,) float32, of pixels in [0, 1].
        grey: whether the model sees brightness alone.
        crops: whether a picture is cut to the input's proportions, not stretched.
        is_logits: whether the output has yet to go through a softmax.
    """

    labels: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    grey: bool
    crops: bool
    is_logits: bool

    @property
    def channels(self) -> int:
        """Of the picture that the model takes."""
        if self.grey:
            return 1
        return 3

    @classmethod
    def of(cls, model: Model, *, needs_labels: bool = True) -> "ImageCard":
        """Read a model's card.

        Args:
            model: whose card it is.
            needs_labels: whether a card without labels is refused; else it has none.

        Raises:
            ModelError: names the entry that is missing or wrong.
        """
        labels: tuple[str, ...] = ()
        if needs_labels or "labels" in model.card:
            labels = labels_of(model)
        image = _image_entry(model)
        mean = _numbers(image.get("mean", [0.0]), "mean", model)
        std = _numbers(image.get("std", [1.0]), "std", model)
        if not (std > 0).all():
            problem = f"card entry image.std is {std.tolist()}"
            raise ModelError(f"{model.path}: {problem}, expected numbers above 0")
        return cls(
            labels,
            mean,
            std,
            grey=image.get("grey", False),
            crops=image.get("fit") == "crop",
            is_logits=model.card.get("output", "logits") == "logits",
        )


def _image_entry(model: Model) -> dict[str, Any]:
    image = model.card.get("image")
    output = model.card.get("output", "logits")
    problem = "its card does not say how pictures are prepared (entries image and output)"
    if not isinstance(image, dict) or output not in ("logits", "probabilities"):
        raise ModelError(f"{model.path}: {problem}")
    if not isinstance(image.get("grey", False), bool):
        raise ModelError(f"{model.path}: {problem}")
    fit = image.get("fit", "stretch")
    if fit not in ("stretch", "crop"):
        problem = f"card entry image.fit is {fit!r}, expected stretch or crop"
        raise ModelError(f"{model.path}: {problem}")
    return image


def _numbers(value: Any, key: str, model: Model) -> np.ndarray:
    numbers = value
    if not isinstance(value, list):
        numbers = [value]
    if len(numbers) not in (1, 3) or not all(map(_is_number, numbers)):
        problem = f"card entry image.{key} is {value!r}, expected one number or three"
        raise ModelError(f"{model.path}: {problem}")
    return np.array(numbers, dtype=np.float32)


def _is_number(value: Any) -> bool:
    # JSON's true is an int to Python.
    return isinstance(value, int | float) and not isinstance(value, bool)


def classify(model: Model, image: np.ndarray, *, top: int = 5) -> list[Prediction]:
    """Return the likeliest labels of a picture, best first.

    Args:
        model: with one picture input (1, height, width, 1 or 3), float32 or quantised, and a card.
        image: (height, width, 3) uint8 RGB of any size.
        top: labels to return at most, 0 or more.

    Raises:
        InputError: ``image`` is no such array, or ``top`` no number of labels.
        ModelError: the card does not say enough, or the model is of another shape.
    """
    card = ImageCard.of(model)
    _check_picture(image)
    info = _picture_input(model, card.channels)
    _, height, width, _ = info.shape
    picture = prepare(image, card, height, width)
    outputs = model.run(info.to_stored(picture[None]))
    # Quantised scores become real ones first: a softmax of stored numbers would be another one.
    scores = model.outputs[0].to_real(outputs[0]).ravel()
    if len(scores) != len(card.labels):
        problem = f"its card has {len(card.labels)} labels, its output {len(scores)} values"
        raise ModelError(f"{model.path}: {problem}")
    if card.is_logits:
        scores = softmax(scores)
    return likeliest(scores, card.labels, top)


def _check_picture(image: np.ndarray) -> None:
    if not isinstance(image, np.ndarray):
        raise InputError(
            "expected a picture as an array (height, width, 3) of uint8, such as "
            f"handheld.media.read_image gives, got {type(image).__name__}"
        )
    is_rgb = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    if not is_rgb or not image.size:
        expected = "expected a picture of shape (height, width, 3) and type uint8"
        raise InputError(f"{expected}, got {list(image.shape)} {image.dtype}")


def _picture_input(model: Model, channels: int) -> TensorInfo:
    info = model.inputs[0]
    # One picture at a time: of a batch the others would have to be made up.
    is_picture = len(info.shape) == 4 and info.shape[0] == 1 and info.shape[3] == channels
    if len(model.inputs) != 1 or not is_picture:
        expected = f"expected one input [1, height, width, {channels}]"
        listed = ", ".join(map(str, model.inputs))
        raise ModelError(f"{model.path}: {expected}, got {listed}")
    return info


def labels_of(model: Model) -> tuple[str, ...]:
    """Return the labels on a model's card. Raises :class:`ModelError` if there are none."""
    labels = model.card.get("labels")
    if not isinstance(labels, list) or set(map(type, labels)) != {str}:
        problem = "its card has no list of labels; it does not say what its output means"
        raise ModelError(f"{model.path}: {problem}")
    return tuple(labels)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return (labels,) logits as probabilities."""
    shares = np.exp(logits - logits.max())  # the greatest is 1, so none overflows
    return np.asarray(shares / shares.sum())


def likeliest(probabilities: np.ndarray, labels: Sequence[str], top: int) -> list[Prediction]:
    """Return the ``top`` labels of (labels,) probabilities, best first; of equals the first.

    Raises :class:`InputError` for a ``top`` that is no whole number of 0 or more.
    """
    # A negative one would leave out the last labels, and not be noticed.
    whole_in_range("top", top, low=0)
    order = np.argsort(-probabilities, kind="stable")
    return [Prediction(labels[index], float(probabilities[index])) for index in order[:top]]


def prepare(image: np.ndarray, card: ImageCard, height: int, width: int) -> np.ndarray:
    """Return a picture as a model wants it: (height, width, channels) float32."""
    picture: np.ndarray = image.astype(np.float32) / np.float32(255)
    if card.crops:
        picture = _middle(picture, height, width)
    # Grey last: where a picture is made smaller there is less to do.
    picture = resample(picture, (height, width))
    if card.grey:
        picture = (picture @ LUMA)[:, :, None]
    normalised = (picture - card.mean) / card.std
    return np.asarray(normalised, dtype=np.float32)


def _middle(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """The largest middle of a picture that has the proportions of ``height`` and ``width``."""
    picture_height, picture_width, _ = picture.shape
    scale = min(picture_height / height, picture_width / width)
    # Of a picture that is far longer than high the middle may round to nothing.
    rows = max(1, round(height * scale))
    columns = max(1, round(width * scale))
    first_row = (picture_height - rows) // 2
    first_column = (picture_width - columns) // 2
    return picture[first_row : first_row + rows, first_column : first_column + columns]
