"""``.npz`` files."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.data.dataset import Dataset
from handheld.errors import InputError

_MOST_UNNAMED = 100_000  # classes


def read_npz(path: Path) -> dict[str, Dataset]:
    """Read ``x_train``, ``y_train`` and so on; classes are named by an array ``classes``, else by their numbers."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as arrays: {error}") from error
    if "x" in arrays and "y" in arrays:
        arrays |= {"x_train": arrays["x"], "y_train": arrays["y"]}
    splits = [name for name in ("train", "valid", "test") if f"x_{name}" in arrays]
    if not splits:
        raise InputError(f"{path}: expected arrays x_train and y_train, or x and y, got {sorted(arrays)}")
    labels = {name: _labels(arrays, name, path) for name in splits}
    classes = _classes(arrays.get("classes"), labels, path)
    try:
        return {name: Dataset(_examples(arrays[f"x_{name}"]), labels[name], classes) for name in splits}
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _labels(arrays: dict[str, NDArray[Any]], split: str, path: Path) -> NDArray[np.int64]:
    if f"y_{split}" not in arrays:
        raise InputError(f"{path}: x_{split} has no y_{split}")
    labels = arrays[f"y_{split}"]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise InputError(f"{path}: expected y_{split} of shape (n,) and whole numbers, got {labels.dtype} {list(labels.shape)}")
    return labels.astype(np.int64)


def _classes(named: NDArray[Any] | None, labels: dict[str, NDArray[np.int64]], path: Path) -> tuple[str, ...]:
    highest = max((int(part.max()) for part in labels.values() if len(part)), default=-1)
    if named is None and highest >= _MOST_UNNAMED:
        raise InputError(f"{path}: labels run up to {highest}; so many classes need names, in an array `classes`")
    if named is None:
        return tuple(str(number) for number in range(highest + 1))
    if named.ndim != 1 or named.dtype.kind not in "US":
        raise InputError(f"{path}: expected classes to be a list of names, got {named.dtype} {list(named.shape)}")
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in named.tolist())


def _examples(array: NDArray[Any]) -> NDArray[Any]:
    """Give pictures without channels one: (n, height, width) uint8 becomes (n, height, width, 1)."""
    return array[..., None] if array.ndim == 3 and array.dtype == np.uint8 else array
