"""Encoded pictures as arrays of one size."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError, MediaError
from handheld.pictures import decode as decode_picture
from handheld.pictures import resize

Size = tuple[int, int]


def decode(
    examples: Iterable[tuple[str, bytes, int]], classes: tuple[str, ...], size: Size | None
) -> tuple[Dataset, list[Skipped]]:
    """Return pictures as (n, height, width, 3) uint8; what cannot be decoded is left out.

    Args:
        examples: (name, encoded picture, label).
        classes: names of the labels.
        size: (height, width); without it all pictures must be of one size, which the first one sets.
    """
    pictures: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    skipped = []
    for name, content, label in examples:
        try:
            picture = decode_picture(content, name)
        except MediaError as error:
            skipped.append(Skipped(name, str(error).removeprefix(f"{name}: ")))
            continue
        if size is not None:
            picture = resize(picture, size)
        if pictures and picture.shape != pictures[0].shape:
            raise InputError(
                f"{name} is {picture.shape[0]} x {picture.shape[1]}, those before are {pictures[0].shape[0]} x "
                f"{pictures[0].shape[1]}; give size=(height, width)"
            )
        pictures.append(picture)
        labels.append(label)
    stacked = np.stack(pictures) if pictures else np.zeros((0, *(size or (1, 1)), 3), np.uint8)
    return Dataset(stacked, np.array(labels, dtype=np.int64), classes), skipped
