"""Data that a program holds already, as a torch ``Dataset`` gives it: examples with labels."""

import operator
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handheld.data._numbers import Labels, numbered
from handheld.data._options import FIRST, LoadOptions
from handheld.data._pixels import COUNTS, SAY_WHITE, bounds, channels_last, to_bytes, white_of
from handheld.data.dataset import Dataset, Skipped, Splits
from handheld.errors import InputError, MediaError
from handheld.ranges import in_range, whole_in_range


class LabelledPairs(Protocol):
    """Gives (example, label) by number."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, index: int, /) -> Any:
        """Return one. Raises ``OSError`` or ``ValueError`` for one that cannot be read."""


def from_pairs(  # noqa: PLR0913  # options by keyword, each by itself
    train: LabelledPairs,
    valid: LabelledPairs | float = 0.1,
    test: LabelledPairs | float = 0.1,
    *,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    channels: str | None = None,
    white: float | None = None,
) -> Splits:
    """Read labelled data from a torch ``Dataset``, a list of pairs, or the like.

    All that has a length and gives pairs by number will do. A picture is an image of Pillow's, an
    array (height, width), (height, width, channels) or (channels, height, width), or a torch
    tensor (channels, height, width); uint8, or numbers of 0 to 1, 255 or 65535 where no other
    reading is possible. There are 1 or 3 channels; what is see-through in an image of Pillow's is
    laid on white. It is read once, so leave random changes out: ``compress`` makes its own.

    Args:
        train: (picture or text, label) pairs to learn from.
        valid, test: pairs to choose by and to report on, or the fraction of each class of ``train``
            to set apart.
        classes: names of the labels; those that ``train.classes`` lists, or else the numbers that
            occur.
        seed: of that division.
        channels: "first" or "last", where the channels of arrays are; needed where both could be.
        white: the number that is white in arrays; needed where that cannot be known.

    Raises:
        InputError: pictures of different sizes, of values that are none of a picture or that could
            be read in several ways, labels that are no class, an empty split. A single pair that
            cannot be read is left out and named in ``skipped``.
    """
    sources = {"train": _pairs_of("train", train)}
    fractions = {"valid": 0.0, "test": 0.0}
    for name, source in {"valid": valid, "test": test}.items():
        if isinstance(source, Real):
            in_range(name, source, low=0, high=1, high_open=True)
            fractions[name] = float(source)
        else:
            sources[name] = _pairs_of(name, source)
    whole_in_range("seed", seed, low=0)
    reader = _PairReader(LoadOptions(channels=channels, white=white))
    examples, labels = reader.read_all(sources)
    if classes is None:
        # As torchvision's data sets have them.
        classes = getattr(train, "classes", None)
    names = _class_names(classes)
    notes: tuple[str, ...] = ()
    if not names:
        names, labels, notes = numbered(labels)
    data = {}
    for name in sources:
        data[name] = _dataset(name, examples[name], labels[name], names)
    return Splits.of(data, reader.skipped, notes, **fractions, seed=seed)


def _pairs_of(name: str, pairs: Any) -> LabelledPairs:
    """Return pairs by number. Raises :class:`InputError` for what has none."""
    is_other = isinstance(pairs, Mapping | str | bytes)
    if is_other or not (hasattr(pairs, "__len__") and hasattr(pairs, "__getitem__")):
        raise InputError(
            f"{name}: expected a list of (example, label), a torch Dataset or the like, with a "
            f"length and pairs by number, got a {type(pairs).__name__}"
        )
    checked: LabelledPairs = pairs
    return checked


def _class_names(classes: Any) -> tuple[str, ...]:
    """Return names of classes, whatever list they are in.

    Raises :class:`InputError` for what is no list.
    """
    if classes is None:
        return ()
    if isinstance(classes, str) or not hasattr(classes, "__len__"):
        raise InputError(f"classes: expected a list of names, got {classes!r}")
    return tuple(map(str, classes))


def _split_pair(pair: Any, location: str) -> tuple[Any, Any]:
    """Return an example and its label. Raises :class:`InputError` for what is no pair."""
    expected = f"{location}: expected a pair (example, label)"
    if isinstance(pair, Mapping):
        names = ", ".join(map(repr, pair))
        raise InputError(
            f"{expected}, got a dictionary of {names}: give the two of them as a tuple"
        )
    if isinstance(pair, str) or not hasattr(pair, "__len__"):
        raise InputError(f"{expected}, got a {type(pair).__name__}")
    if len(pair) != 2:
        raise InputError(f"{expected}, got {len(pair)} values: give the two that are meant")
    example, label = pair
    return example, label


class _PairReader:
    """Reads pairs; which number is white is known when all were seen, since some are dark.

    Attributes:
        skipped: pairs that could not be read.
    """

    def __init__(self, options: LoadOptions) -> None:
        self.skipped: list[Skipped] = []
        self._options = options
        self._fractions = ""  # the first picture that was taken for one of 0 to 1
        self._unknown: list[tuple[str, NDArray[Any]]] = []  # pictures whose white is not known yet

    def read_all(
        self, sources: Mapping[str, LabelledPairs]
    ) -> tuple[dict[str, list[Any]], dict[str, Labels]]:
        """Return the examples of each split, all pictures uint8, and its labels.

        Raises :class:`InputError` where nothing can be read, or it is not known what is white.
        """
        examples: dict[str, list[Any]] = {}
        labels: dict[str, Labels] = {}
        for name, pairs in sources.items():
            examples[name], numbers = self._read(name, pairs)
            labels[name] = np.array(numbers, np.int64)
        if not examples["train"]:
            problem = "the training data holds no pairs"
            if self.skipped:
                problem = "no pair of the training data could be read"
            raise InputError(problem)
        # When all splits were read: what is white is known by the brightest picture of any.
        scaled = {name: self._scaled(pictures) for name, pictures in examples.items()}
        return scaled, labels

    def _read(self, name: str, pairs: LabelledPairs) -> tuple[list[Any], list[int]]:
        """Return examples and labels.

        Pictures are (height, width, channels), uint8 but for those whose white is not known.
        """
        examples: list[Any] = []
        labels: list[int] = []
        # By number: a torch Dataset need not raise IndexError at its end, by which a loop over it
        # would stop.
        for index in range(len(pairs)):
            location = f"{name} example {index}"
            try:
                example, label = _split_pair(pairs[index], location)
                example = self._example(example, location)
            # It is a ValueError too, but is of all pairs and not of this one.
            except InputError:
                raise
            # What torch's and Pillow's readers raise for a single file that is broken.
            except (MediaError, OSError, ValueError, SyntaxError) as error:
                self.skipped.append(Skipped(location, str(error) or type(error).__name__))
                continue
            labels.append(_whole(label, location))
            examples.append(example)
        return examples, labels

    def _scaled(self, examples: list[Any]) -> list[Any]:
        """Return examples of which all pictures are uint8.

        Raises :class:`InputError` where it is not known what is white.
        """
        if not self._unknown:
            return examples
        location, _ = self._unknown[0]
        common = self._common_white()
        scaled: list[Any] = []
        for example in examples:
            if not isinstance(example, str):
                white = _white(example) or common
                example = to_bytes(example, white, location)
            scaled.append(example)
        return scaled

    def _common_white(self) -> float:
        """Return what is white in the pictures of which none tells it alone.

        Raises :class:`InputError` where they do not tell it together either.
        """
        location, first = self._unknown[0]
        # Beside one of 0 to 1 these may be fractions beyond their range, or bytes.
        if self._fractions:
            low, high = bounds(first)
            raise InputError(
                f"{location}: values of {low:.4g} to {high:.4g}, but {self._fractions} has 0 to 1: "
                f"{SAY_WHITE}"
            )
        _, pictures = zip(*self._unknown, strict=True)
        lows, highs = zip(*map(bounds, pictures), strict=True)
        return white_of(first.dtype, min(lows), max(highs), location)

    def _example(self, example: Any, location: str) -> Any:
        """Return a text, or a picture.

        Raises ``ValueError`` if this one is broken, :class:`InputError` if all are.
        """
        if isinstance(example, str):
            if not example.strip():
                raise ValueError("expected a text, got none")
            return example
        if _is_image(example):
            # Late: it needs Pillow, which is there where its pictures are.
            from handheld.pictures import of_image

            return of_image(example, location)
        return self._picture(example, location)

    def _picture(self, example: Any, location: str) -> NDArray[Any]:
        array = _array(example, location)
        # Two axes are grey: there is nothing that could be the channels.
        if array.ndim == 2:
            array = array[..., None]
        else:
            said = self._options.channels or _tensor_channels(example)
            array = channels_last(array, said, location)
        white = self._options.white or _white(array)
        if white is None:
            self._unknown.append((location, array))
            return array
        # A black picture says nothing about which of the two is meant.
        if white == 1 and array.any() and not self._fractions:
            self._fractions = location
        return np.ascontiguousarray(to_bytes(array, white, location))


def _is_image(example: Any) -> bool:
    """Whether an example is an image of Pillow's of 8 bits; of others the numbers are taken."""
    if not hasattr(example, "getpixel"):
        return False
    mode = example.mode
    return mode not in ("I", "F") and not mode.startswith("I;16")


def _whole(label: Any, location: str) -> int:
    try:
        return operator.index(label)
    except TypeError as error:
        raise InputError(
            f"{location}: expected a whole number as its label, got {label!r}"
        ) from error


def _array(example: Any, location: str) -> NDArray[Any]:
    """Return what holds numbers as an array of two or three axes.

    Raises ``ValueError`` for numbers that are not finite, :class:`InputError` for what is no
    picture.
    """
    try:
        array = np.asarray(_on_host(example))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{location}: expected a picture or a text, got a {type(example).__name__}: {error}"
        ) from error
    if array.ndim not in (2, 3) or 0 in array.shape or array.dtype.kind not in "buif":
        raise InputError(
            f"{location}: expected a picture (height, width, channels) or a text, "
            f"got {type(example).__name__}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("holds values that are not finite")
    return array


def _on_host(example: Any) -> Any:
    """Return a torch tensor, maybe one that learns, or lies elsewhere, as numpy can read it."""
    if not hasattr(example, "detach"):
        return example
    tensor = example.detach().cpu()
    # Numpy knows neither sparse tensors nor bfloat16.
    if str(tensor.layout) != "torch.strided":
        tensor = tensor.to_dense()
    if str(tensor.dtype) == "torch.bfloat16":
        tensor = tensor.float()
    return tensor


def _tensor_channels(example: Any) -> str | None:
    """Return where a torch tensor has its channels: first, as all that gives them does."""
    if hasattr(example, "movedim") and example.shape[0] in COUNTS:
        return FIRST
    return None


def _white(picture: NDArray[Any]) -> float | None:
    """Return which number is white, where one picture tells; None where others may."""
    if picture.dtype == np.uint8:
        return 255
    low, high = bounds(picture)
    # Whole numbers of 0 and 1 may be a mask, or a picture of bytes that is nearly black.
    if picture.dtype.kind in "fb" and 0 <= low <= high <= 1:
        return 1
    return None


def _dataset(name: str, examples: list[Any], labels: Labels, classes: tuple[str, ...]) -> Dataset:
    if all(isinstance(example, str) for example in examples):
        return Dataset(tuple(examples), labels, classes)
    shapes = {str(getattr(example, "shape", "a text")) for example in examples}
    if len(shapes) > 1:
        sizes = " and ".join(sorted(shapes)[:2])
        raise InputError(f"the {name} examples have different sizes, {sizes}: resize them")
    return Dataset(np.stack(examples), labels, classes)
