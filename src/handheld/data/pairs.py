"""Data that a program holds already: pairs of an example and its label, as a torch ``Dataset``
gives them.
"""

import operator
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handheld.data._checks import require_share, require_whole
from handheld.data._numbers import Labels, numbered
from handheld.data._pixels import COUNTS, SAY_WHITE, bounds, channels_last, to_bytes, white_of
from handheld.data._reading import FIRST, Reading
from handheld.data.dataset import Dataset, Skipped, Splits
from handheld.errors import InputError, MediaError


class Pairs(Protocol):
    """Gives (example, label) by number."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, index: int, /) -> Any:
        """Return one. Raises ``OSError`` or ``ValueError`` for one that cannot be read."""


def from_pairs(
    train: Pairs,
    valid: Pairs | float = 0.1,
    test: Pairs | float = 0.1,
    *,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    channels: str | None = None,
    white: float | None = None,
) -> Splits:
    """Read labelled data from a torch ``Dataset``, a list of pairs, or anything else with a length
    and pairs by number.

    A picture is an image of Pillow's, an array (height, width), (height, width, channels) or
    (channels, height, width), or a torch tensor (channels, height, width); uint8, or numbers of 0
    to 1, 255 or 65535 where no other reading is possible. There are 1 or 3 channels; what is
    see-through in an image of Pillow's is laid on white. It is read once, so leave random changes
    out: ``compress`` makes its own.

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
    given: dict[str, Any] = {"train": train, "valid": valid, "test": test}
    fractions = {
        name: pairs for name, pairs in given.items() if name != "train" and isinstance(pairs, Real)
    }
    for name, pairs in given.items():
        if name in fractions:
            require_share(name, pairs)
        else:
            _require_pairs(name, pairs)
    require_whole("seed", seed, least=0)
    reader = _Reader(Reading(channels=channels, white=white))
    read = {
        name: reader.read(name, pairs) for name, pairs in given.items() if name not in fractions
    }
    if not read["train"][1]:
        raise InputError(
            "no pair of the training data could be read"
            if reader.skipped
            else "the training data holds no pairs"
        )
    examples = {name: reader.scaled(pictures) for name, (pictures, _) in read.items()}
    labels = {name: np.array(numbers, np.int64) for name, (_, numbers) in read.items()}
    names = _class_names(getattr(train, "classes", None) if classes is None else classes)
    notes: tuple[str, ...] = ()
    if not names:
        names, labels, notes = numbered(labels)
    parts = {name: _dataset(name, examples[name], labels[name], names) for name in read}
    shares = {name: float(fractions.get(name, 0.0)) for name in ("valid", "test")}
    return Splits.of(
        parts, reader.skipped, notes, valid=shares["valid"], test=shares["test"], seed=seed
    )


def _require_pairs(name: str, pairs: Any) -> None:
    """Raise :class:`InputError` for what has no pairs by number."""
    is_none = isinstance(pairs, Mapping | str | bytes)
    if is_none or not (hasattr(pairs, "__len__") and hasattr(pairs, "__getitem__")):
        raise InputError(
            f"{name}: expected a list of (example, label), a torch Dataset or the like, with a length and pairs by number, "
            f"got a {type(pairs).__name__}"
        )


def _class_names(classes: Any) -> tuple[str, ...]:
    """Return names of classes, whatever list they are in.

    Raises :class:`InputError` for what is no list.
    """
    if classes is None:
        return ()
    if isinstance(classes, str) or not hasattr(classes, "__len__"):
        raise InputError(f"classes: expected a list of names, got {classes!r}")
    return tuple(map(str, classes))


def _pair(pair: Any, where: str) -> tuple[Any, Any]:
    """Return an example and its label. Raises :class:`InputError` for what is no pair."""
    wanted = f"{where}: expected a pair (example, label)"
    if isinstance(pair, Mapping):
        raise InputError(
            f"{wanted}, got a dictionary of {', '.join(map(repr, pair))}: give the two of them as a tuple"
        )
    if isinstance(pair, str) or not hasattr(pair, "__len__"):
        raise InputError(f"{wanted}, got a {type(pair).__name__}")
    if len(pair) != 2:
        raise InputError(f"{wanted}, got {len(pair)} values: give the two that are meant")
    example, label = pair
    return example, label


class _Reader:
    """Reads pairs; which number is white is known when all were seen, since some pictures are dark.

    Attributes:
        skipped: pairs that could not be read.
    """

    def __init__(self, reading: Reading) -> None:
        self.skipped: list[Skipped] = []
        self._reading = reading
        self._fractions = ""  # the first picture that was taken for one of 0 to 1
        self._unknown: list[tuple[str, NDArray[Any]]] = []  # pictures whose white is not known yet

    def read(self, name: str, pairs: Pairs) -> tuple[list[Any], list[int]]:
        """Return examples and labels; pictures as (height, width, channels), uint8 but for those
        whose white is not known.
        """
        examples: list[Any] = []
        labels: list[int] = []
        for index in range(len(pairs)):
            where = f"{name} example {index}"
            try:
                example, label = _pair(pairs[index], where)
                read = _text(example) if isinstance(example, str) else self._picture(example, where)
            except InputError:
                raise
            except (MediaError, OSError, ValueError, SyntaxError) as error:
                self.skipped.append(Skipped(where, str(error) or type(error).__name__))
                continue
            try:
                labels.append(operator.index(label))
            except TypeError as error:
                raise InputError(
                    f"{where}: expected a whole number as its label, got {label!r}"
                ) from error
            examples.append(read)
        return examples, labels

    def scaled(self, examples: list[Any]) -> list[Any]:
        """Return examples of which all pictures are uint8.

        Raises :class:`InputError` where it is not known what is white.
        """
        if not self._unknown:
            return examples
        where, first = self._unknown[0]
        if self._fractions:
            low, high = bounds(first)
            raise InputError(
                f"{where}: values of {low:.4g} to {high:.4g}, but {self._fractions} has 0 to 1: {SAY_WHITE}"
            )
        lows, highs = zip(*(bounds(picture) for _, picture in self._unknown), strict=True)
        white = white_of(first.dtype, min(lows), max(highs), where)
        return [
            one if isinstance(one, str) else to_bytes(one, _white(one) or white, where)
            for one in examples
        ]

    def _picture(self, example: Any, where: str) -> NDArray[Any]:
        """Read one picture.

        Raises ``ValueError`` if this one is broken, :class:`InputError` if all are.
        """
        if (
            hasattr(example, "getpixel")
            and example.mode not in ("I", "F")
            and not example.mode.startswith("I;16")
        ):
            from handheld.pictures import (
                of_image,
            )  # late: it needs Pillow, which is there where its pictures are

            return of_image(example, where)
        array = _array(example, where)
        if array.ndim not in (2, 3) or 0 in array.shape or array.dtype.kind not in "buif":
            raise InputError(
                f"{where}: expected a picture (height, width, channels) or a text, got {type(example).__name__}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError("holds values that are not finite")
        said = self._reading.channels or _habit(example)
        array = array[..., None] if array.ndim == 2 else channels_last(array, said, where)
        white = self._reading.white or _white(array)
        if white == 1 and array.any():
            self._fractions = self._fractions or where
        if white is not None:
            return np.ascontiguousarray(to_bytes(array, white, where))
        self._unknown.append((where, array))
        return array


def _text(example: str) -> str:
    """Return a text. Raises ``ValueError`` for one that says nothing."""
    if not example.strip():
        raise ValueError("expected a text, got none")
    return example


def _array(example: Any, where: str) -> NDArray[Any]:
    """Return what holds numbers as an array. Raises :class:`InputError` for what does not."""
    if hasattr(example, "detach"):  # a torch tensor, maybe one that learns, or lies elsewhere
        example = example.detach().cpu()
        example = example.to_dense() if str(example.layout) != "torch.strided" else example
        example = (
            example.float() if str(example.dtype) == "torch.bfloat16" else example
        )  # which numpy does not know
    try:
        return np.asarray(example)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{where}: expected a picture or a text, got a {type(example).__name__}: {error}"
        ) from error


def _habit(example: Any) -> str | None:
    """Return where a torch tensor has its channels: first, as all that gives them does."""
    return FIRST if hasattr(example, "movedim") and example.shape[0] in COUNTS else None


def _white(picture: NDArray[Any]) -> float | None:
    """Return which number is white, where one picture tells; None where others may."""
    if picture.dtype == np.uint8:
        return 255
    low, high = bounds(picture)
    return 1 if picture.dtype.kind in "fb" and 0 <= low <= high <= 1 else None


def _dataset(name: str, examples: list[Any], labels: Labels, classes: tuple[str, ...]) -> Dataset:
    if all(isinstance(example, str) for example in examples):
        return Dataset(tuple(examples), labels, classes)
    shapes = {getattr(example, "shape", "a text") for example in examples}
    if len(shapes) > 1:
        raise InputError(
            f"the {name} examples have different sizes, {' and '.join(sorted(map(str, shapes))[:2])}: resize them"
        )
    return Dataset(np.stack(examples), labels, classes)
