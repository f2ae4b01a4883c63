"""``.npz`` files."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.arrays import read_npz as read_arrays
from handheld.data._numbers import Labels, numbered
from handheld.data._options import LoadOptions, RawSplits
from handheld.data._pixels import DARK, bounds, brightest_of, channels_last, to_bytes, white_of
from handheld.data._splits import by_split
from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError

_MAX_AXES = 4  # examples, height, width, channels

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class _Archive:
    """The arrays of a file; those that nobody has divided have the names of the train split too."""

    path: Path
    arrays: Arrays
    is_divided: bool = True

    def name(self, letter: str, suffix: str) -> str:
        """Return what an array of a split is called in the file, ``y`` or ``y_valid``."""
        # Where nobody divided them, x_train is our name and messages must say theirs.
        if suffix == "train" and not self.is_divided:
            return letter
        return f"{letter}_{suffix}"

    @property
    def suffixes(self) -> list[str]:
        """What follows ``x_`` in the names of arrays."""
        names = sorted(self.arrays)
        return [name.removeprefix("x_") for name in names if name.startswith("x_")]

    def error(self, problem: str) -> InputError:
        """Return an error that names the file."""
        return InputError(f"{self.path}: {problem}")

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name the file in errors of what knows nothing of files."""
        try:
            yield
        except InputError as error:
            raise self.error(str(error)) from error


def read_npz(path: Path, options: LoadOptions) -> RawSplits:
    """Read ``x_train``, ``y_train`` and so on.

    Classes are named by an array ``classes``, else by the numbers that occur.
    """
    options.require(str(path), "arrays", "channels", "white")
    archive = _read_archive(path)
    # The file may call a split val or dev; its arrays keep that name.
    names = archive.suffixes
    suffixes, unknown = by_split(zip(names, names, strict=True), str(path))
    if not suffixes:
        raise archive.error(
            f"expected arrays x_train and y_train, or x and y, got {sorted(archive.arrays)}"
        )
    skipped = tuple(Skipped(f"{path}, x_{name}", reason) for name, reason in unknown)
    labels = {split: _labels(archive, suffix) for split, suffix in suffixes.items()}
    inputs = {split: archive.arrays[f"x_{suffix}"] for split, suffix in suffixes.items()}
    classes, labels, notes = _classes(archive, labels)
    # All splits together: which number is white is seen by the largest of all.
    inputs = _inputs(inputs, options, archive)
    data = {}
    for split in suffixes:
        with archive.named():
            data[split] = Dataset(inputs[split], labels[split], classes)
    # Who says what is white knows that the pictures are dark.
    if options.white is None:
        notes = (*notes, *_dark_note(inputs))
    return RawSplits(data, skipped, notes)


def _dark_note(inputs: Arrays) -> tuple[str, ...]:
    """Return what to say of pictures that are nearly black, as masks of 0 and 1 in uint8 are."""
    pictures = list(filter(_has_bytes, inputs.values()))
    count = sum(map(len, pictures))
    brightest = max(map(brightest_of, pictures), default=0)
    if not 0 < brightest < DARK:
        return ()
    brightness = f"the brightest of all {count} pictures has {brightest} of 255"
    return (f"{brightness}: white={brightest} (white = {brightest} under [data]) makes that white",)


def _has_bytes(array: NDArray[Any]) -> bool:
    """Whether an array holds pictures, as they are once they were read."""
    return array.dtype == np.uint8 and array.ndim == _MAX_AXES


def _read_archive(path: Path) -> _Archive:
    try:
        # A user's own data may be as large as memory.
        arrays = read_arrays(path, max_bytes=sys.maxsize)
        for name, array in arrays.items():
            # Complex numbers, dates and objects mean nothing to a network.
            if array.dtype.kind not in "biufUS":
                raise ValueError(f"{name!r} holds {array.dtype}, neither numbers nor texts")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as arrays: {error}") from error
    if "x" in arrays and "y" in arrays:
        return _undivided(path, arrays)
    return _Archive(path, arrays)


def _undivided(path: Path, arrays: Arrays) -> _Archive:
    """Return arrays that nobody has divided, as those to train on.

    Raises :class:`InputError` where there are others to train on.
    """
    if "x_train" in arrays:
        raise InputError(
            f"{path}: holds x and x_train, and either could be meant to train on: save one of them"
        )
    as_train = {"x_train": arrays["x"], "y_train": arrays["y"]}
    return _Archive(path, {**arrays, **as_train}, is_divided=False)


def _labels(archive: _Archive, suffix: str) -> Labels:
    """Return the (n,) labels of a split."""
    if f"y_{suffix}" not in archive.arrays:
        raise archive.error(f"x_{suffix} has no y_{suffix}")
    # Inputs first: that they are texts explains more than that their labels are names.
    _check_inputs(archive, suffix)
    labels = archive.arrays[f"y_{suffix}"]
    if labels.ndim == 2 and labels.shape[1] == 1:  # as Keras saves those of CIFAR
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise archive.error(
            f"expected {archive.name('y', suffix)} of shape (n,) and whole numbers, "
            f"got {labels.dtype} {list(labels.shape)}"
        )
    # Those of unsigned 64 bits would become negative.
    if labels.size and labels.max() > np.iinfo(np.int64).max:
        raise archive.error(f"labels run up to {labels.max()}, expected numbers of classes")
    return labels.astype(np.int64)


def _check_inputs(archive: _Archive, suffix: str) -> None:
    """Raise :class:`InputError` unless the inputs of a split are numbers of some shape."""
    inputs = archive.arrays[f"x_{suffix}"]
    if inputs.dtype.kind in "US":
        raise archive.error(
            f"{archive.name('x', suffix)} holds texts: expected numbers; "
            "labelled texts are read from tables, .csv, .tsv or .jsonl"
        )
    if inputs.ndim == 0 or 0 in inputs.shape[1:]:
        raise archive.error(
            f"{archive.name('x', suffix)} has the shape {list(inputs.shape)}: "
            "expected (examples, ...)"
        )


def _classes(
    archive: _Archive, labels: dict[str, Labels]
) -> tuple[tuple[str, ...], dict[str, Labels], tuple[str, ...]]:
    """Return the names of the classes, the labels as indices into them, and notes."""
    if "classes" in archive.arrays:
        return _class_names(archive), labels, ()
    with archive.named():
        return numbered(labels)


def _class_names(archive: _Archive) -> tuple[str, ...]:
    names = archive.arrays["classes"]
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise archive.error(
            f"expected classes to be a list of names, got {names.dtype} {list(names.shape)}"
        )
    try:
        return tuple(map(_as_text, names.tolist()))
    except UnicodeDecodeError as error:
        raise archive.error(
            f"the name of a class is no UTF-8 ({error}); save classes as texts"
        ) from error


def _as_text(name: str | bytes) -> str:
    if isinstance(name, bytes):
        return name.decode()
    return name


def _inputs(arrays: Arrays, options: LoadOptions, archive: _Archive) -> Arrays:
    """Return pictures as (n, height, width, channels) uint8; numbers that are none as they are."""
    for split, array in arrays.items():
        if array.ndim > _MAX_AXES:
            raise archive.error(
                f"the {split} examples have {array.ndim - 1} axes, {list(array.shape[1:])}: "
                "expected pictures (height, width), with channels or without, or rows of numbers; "
                "of films take frames"
            )
    if all(_are_pictures(array, options) for array in arrays.values()):
        return _pictures(arrays, options, f"{archive.path}, x")
    if options.white is not None or options.channels is not None:
        raise archive.error(
            "channels and white are of pictures (n, height, width) or with channels, not of numbers"
        )
    return arrays


def _pictures(arrays: Arrays, options: LoadOptions, location: str) -> Arrays:
    white = options.white
    if white is None:
        white = _white(list(arrays.values()), location)
    pictures = {}
    for split, array in arrays.items():
        with_channels = array[..., None]
        if array.ndim == _MAX_AXES:
            with_channels = channels_last(array, options.channels, location)
        pictures[split] = np.ascontiguousarray(to_bytes(with_channels, white, location))
    return pictures


def _are_pictures(array: NDArray[Any], options: LoadOptions) -> bool:
    """Whether an array holds pictures.

    Four axes are those of pictures; three may be rows of measurements too, unless they have the
    type of pixels.
    """
    number_type = array.dtype.kind
    if number_type not in "buif":
        return False
    if array.ndim == 3:
        return number_type != "f" or options.white is not None
    return array.ndim == 4


def _white(arrays: list[NDArray[Any]], location: str) -> float:
    """Return what is white in the arrays of all splits together: one may be dark."""
    if all(array.dtype == np.uint8 for array in arrays):
        return 255
    lows, highs = zip(*map(bounds, arrays), strict=True)
    # One split of bytes beside one of fractions was saved by different programs: each alone would
    # be read well, and the network would see two scales.
    types = sorted(set(map(_type_name, arrays)))
    if len(types) > 1:
        raise InputError(
            f"{location}: the splits have different types, {' and '.join(types)}: save them alike"
        )
    return white_of(arrays[0].dtype, min(lows), max(highs), location)


def _type_name(array: NDArray[Any]) -> str:
    """Return the name of an array's type; all floats count as one."""
    # White is 1 or 255 in floats of any width, so their width does not matter.
    if array.dtype.kind == "f":
        return "float"
    return str(array.dtype)
