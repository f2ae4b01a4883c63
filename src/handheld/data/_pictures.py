"""Encoded pictures as arrays of one size."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from handheld.data._reading import Reading
from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError, MediaError
from handheld.pictures import decode as decode_picture
from handheld.pictures import resize, to_grey

_ODD = 0.01  # share of pictures of another size that are left out: more are no accident
SAY_SIZE = "give size=(height, width), in a configuration size = [height, width] under [data]"
DARK = 128
"""Half of white: among many pictures some number is above it."""
_LOOK = (
    100  # pictures between two looks at their sizes; one odd picture of these is still an accident
)


def decode(
    examples: Iterable[tuple[str, bytes, int]], classes: tuple[str, ...], reading: Reading
) -> tuple[Dataset, list[Skipped]]:
    """Return pictures as (n, height, width, 3 or 1) uint8; what cannot be decoded is left out.

    Args:
        examples: (name, encoded picture, label).
        classes: names of the labels.
        reading: which size they are brought to; without one they must be of one size, but for a few, which are left out.
            And whether they become grey, one channel.

    Raises:
        InputError: pictures of several sizes, and none to bring them to.
    """
    pictures: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    names: list[str] = []
    skipped = []
    for name, content, label in examples:
        try:
            picture = decode_picture(content, name)
        except MediaError as error:
            skipped.append(Skipped(name, str(error).removeprefix(f"{name}: ")))
            continue
        if reading.size is not None:
            picture = resize(picture, reading.size)
        pictures.append(to_grey(picture) if reading.grey else picture)
        labels.append(label)
        names.append(name)
        if len(pictures) % _LOOK == 0:
            _odd(
                pictures, names
            )  # thousands of large pictures are not decoded to be refused at the end
    odd = _odd(pictures, names)
    skipped += [Skipped(names[place], reason) for place, reason in odd.items()]
    kept = [place for place in range(len(pictures)) if place not in odd]
    none = np.zeros((0, *(reading.size or (1, 1)), 1 if reading.grey else 3), np.uint8)
    stacked = np.stack([pictures[place] for place in kept]) if kept else none
    return Dataset(
        stacked, np.array([labels[place] for place in kept], dtype=np.int64), classes
    ), skipped


def _odd(pictures: Sequence[NDArray[np.uint8]], names: Sequence[str]) -> dict[int, str]:
    """Return which pictures are of another size than nearly all, and why that leaves them out.

    Raises:
        InputError: there are many of them.
    """
    sizes = Counter(picture.shape for picture in pictures)
    if len(sizes) < 2:
        return {}
    (common, _), *_ = sizes.most_common(1)
    reasons = {
        place: (
            f"is {picture.shape[0]} x {picture.shape[1]}, most are {common[0]} x {common[1]}: {SAY_SIZE}"
        )
        for place, picture in enumerate(pictures)
        if picture.shape != common
    }
    if len(reasons) > _ODD * len(pictures):
        place, reason = next(iter(reasons.items()))
        raise InputError(f"{names[place]} {reason}")
    return reasons


def notes_of(parts: Iterable[Dataset], reading: Reading) -> tuple[str, ...]:
    """Return what to say of pictures: that none of them has a colour, which three channels are for."""
    pictures = [np.asarray(part.inputs) for part in parts]
    count = sum(map(len, pictures))
    if not count:
        return ()
    brightest = max(int(array.max(initial=0)) for array in pictures)
    notes = () if brightest >= DARK else (_dark(brightest, count),)
    if reading.grey or not all(_is_grey(array) for array in pictures):
        return notes
    return (
        *notes,
        f"all {count} pictures are grey: grey=True (grey = true under [data]) reads one channel instead of three",
    )


def _dark(brightest: int, count: int) -> str:
    what = f"the brightest of all {count} pictures has {brightest} of 255"
    return f"{what}: if their numbers have 10 or 12 bits in files of 16, bring them to 16 first"


def _is_grey(pictures: NDArray[np.uint8]) -> bool:
    return all((picture[:, :, :1] == picture).all() for picture in pictures)
