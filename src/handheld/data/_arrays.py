"""``.npz`` files."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.arrays import read_npz as read_archive
from handheld.data._numbers import Labels, numbered
from handheld.data._pictures import DARK
from handheld.data._pixels import bounds, channels_last, to_bytes, white_of
from handheld.data._reading import RawSplits, Reading
from handheld.data._splits import by_split
from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError

_MOST_AXES = 4  # examples, height, width, channels

Arrays = dict[str, NDArray[Any]]


def read_npz(path: Path, reading: Reading) -> RawSplits:
    """Read ``x_train``, ``y_train`` and so on; classes are named by an array ``classes``, else by the numbers that occur."""
    reading.require(str(path), "arrays", "channels", "white")
    try:
        arrays = read_archive(path, most=sys.maxsize)  # a user's own data may be as large as memory
        odd = [name for name, array in arrays.items() if array.dtype.kind not in "biufUS"]
        if odd:
            raise ValueError(f"{odd[0]!r} holds {arrays[odd[0]].dtype}, neither numbers nor texts")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as arrays: {error}") from error
    if "x" in arrays and "y" in arrays:
        arrays |= {"x_train": arrays["x"], "y_train": arrays["y"]}
    named = [name.removeprefix("x_") for name in sorted(arrays) if name.startswith("x_")]
    splits, unknown = by_split([(name, name) for name in named], str(path))
    if not splits:
        raise InputError(
            f"{path}: expected arrays x_train and y_train, or x and y, got {sorted(arrays)}"
        )
    skipped = tuple(Skipped(f"{path}, x_{name}", reason) for name, reason in unknown)
    labels = {split: _labels(arrays, name, path) for split, name in splits.items()}
    classes, labels, notes = _classes(arrays.get("classes"), labels, path)
    inputs = _inputs({split: arrays[f"x_{name}"] for split, name in splits.items()}, reading, path)
    try:
        parts = {split: Dataset(inputs[split], labels[split], classes) for split in splits}
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    dark = () if reading.white is not None else _dark_note(inputs)
    return RawSplits(parts, skipped, (*notes, *dark))


def _dark_note(inputs: Arrays) -> tuple[str, ...]:
    """Return what to say of pictures that are nearly black, as masks of 0 and 1 in uint8 are."""
    pictures = [array for array in inputs.values() if array.dtype == np.uint8 and array.ndim == 4]
    count = sum(map(len, pictures))
    brightest = max((int(array.max(initial=0)) for array in pictures), default=0)
    if not 0 < brightest < DARK:
        return ()
    what = f"the brightest of all {count} pictures has {brightest} of 255"
    return (f"{what}: white={brightest} (white = {brightest} under [data]) makes that white",)


def _labels(arrays: Arrays, split: str, path: Path) -> Labels:
    if f"y_{split}" not in arrays:
        raise InputError(f"{path}: x_{split} has no y_{split}")
    if 0 in arrays[f"x_{split}"].shape[1:] or arrays[f"x_{split}"].ndim == 0:
        raise InputError(
            f"{path}: x_{split} has the shape {list(arrays[f'x_{split}'].shape)}: expected (examples, ...)"
        )
    labels = arrays[f"y_{split}"]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise InputError(
            f"{path}: expected y_{split} of shape (n,) and whole numbers, got {labels.dtype} {list(labels.shape)}"
        )
    if labels.size and labels.max() > np.iinfo(np.int64).max:
        raise InputError(f"{path}: labels run up to {labels.max()}, expected numbers of classes")
    return labels.astype(np.int64)


def _classes(
    named: NDArray[Any] | None, labels: dict[str, Labels], path: Path
) -> tuple[tuple[str, ...], dict[str, Labels], tuple[str, ...]]:
    """Return the names of the classes, the labels as places among them, and notes."""
    if named is not None:
        if named.ndim != 1 or named.dtype.kind not in "US":
            raise InputError(
                f"{path}: expected classes to be a list of names, got {named.dtype} {list(named.shape)}"
            )
        try:
            return (
                tuple(
                    name.decode() if isinstance(name, bytes) else str(name)
                    for name in named.tolist()
                ),
                labels,
                (),
            )
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}: the name of a class is no UTF-8 ({error}); save classes as texts"
            ) from error
    try:
        return numbered(labels)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _inputs(arrays: Arrays, reading: Reading, path: Path) -> Arrays:
    """Return pictures as (n, height, width, channels) uint8; numbers that are no pictures as they are."""
    for split, array in arrays.items():
        if array.ndim > _MOST_AXES:
            raise InputError(
                f"{path}: the {split} examples have {array.ndim - 1} axes, {list(array.shape[1:])}: expected pictures (height, "
                "width), with channels or without, or rows of numbers; of films take frames"
            )
    if not all(_are_pictures(array, reading) for array in arrays.values()):
        if reading.white is not None or reading.channels is not None:
            raise InputError(
                f"{path}: channels and white are of pictures (n, height, width) or with channels, not of numbers"
            )
        return arrays
    where = f"{path}, x"
    white = reading.white
    if white is None:
        white = _white(list(arrays.values()), where)
    pictures = {}
    for split, array in arrays.items():
        last = (
            array[..., None] if array.ndim == 3 else channels_last(array, reading.channels, where)
        )
        pictures[split] = np.ascontiguousarray(to_bytes(last, white, where))
    return pictures


def _are_pictures(array: NDArray[Any], reading: Reading) -> bool:
    """Four axes are those of pictures; three may be rows of measurements too, unless they have the type of pixels."""
    if array.dtype.kind not in "buif":
        return False
    return array.ndim == 4 or (
        array.ndim == 3 and (array.dtype.kind != "f" or reading.white is not None)
    )


def _white(arrays: list[NDArray[Any]], where: str) -> float:
    """Return what is white in the arrays of all splits together: one may be dark."""
    if all(array.dtype == np.uint8 for array in arrays):
        return 255
    lows, highs = zip(*(bounds(array) for array in arrays), strict=True)
    types = {"float" if array.dtype.kind == "f" else str(array.dtype) for array in arrays}
    if len(types) > 1:
        raise InputError(
            f"{where}: the splits have different types, {' and '.join(sorted(types))}: save them alike"
        )
    return white_of(arrays[0].dtype, min(lows), max(highs), where)
