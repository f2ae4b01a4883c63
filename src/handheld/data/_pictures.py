"""Encoded pictures as arrays of one size."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from handheld.data._options import LoadOptions
from handheld.data._pixels import DARK, brightest_of
from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError, MediaError
from handheld.pictures import Picture, resize, to_grey
from handheld.pictures import decode as decode_picture

SAY_SIZE = "give size=(height, width), in a configuration size = [height, width] under [data]"

_MAX_ODD = 0.01  # share of pictures of another size that are left out: more are no accident

# Pictures between two looks at their sizes: one odd picture of these is still an accident, and
# thousands of large ones are not decoded to be refused at the end.
_LOOK_EVERY = 100


def decode(
    examples: Iterable[tuple[str, bytes, int]], classes: tuple[str, ...], options: LoadOptions
) -> tuple[Dataset, list[Skipped]]:
    """Return pictures as (n, height, width, 3 or 1) uint8; what cannot be decoded is left out.

    Args:
        examples: (name, encoded picture, label).
        classes: names of the labels.
        options: which size they are brought to; without one they must be of one size, but for a
            few, which are left out. And whether they become grey, one channel.

    Raises:
        InputError: pictures of several sizes, and none to bring them to.
    """
    pictures: list[Picture] = []
    labels: list[int] = []
    names: list[str] = []
    skipped = []
    for name, content, label in examples:
        try:
            picture = _decoded(content, name, options)
        except MediaError as error:
            skipped.append(Skipped(name, str(error).removeprefix(f"{name}: ")))
            continue
        pictures.append(picture)
        labels.append(label)
        names.append(name)
        if len(pictures) % _LOOK_EVERY == 0:
            _odd_sizes(pictures, names)
    odd = _odd_sizes(pictures, names)
    for index, reason in odd.items():
        skipped.append(Skipped(names[index], reason))
    _drop(odd, pictures, labels)
    stacked = _stacked(pictures, options)
    return Dataset(stacked, np.array(labels, np.int64), classes), skipped


def _drop(odd: Iterable[int], *lists: list[Any]) -> None:
    """Take the same entries out of several lists."""
    # From the last on, so that the others keep their numbers.
    for index in sorted(odd, reverse=True):
        for values in lists:
            del values[index]


def _decoded(content: bytes, name: str, options: LoadOptions) -> Picture:
    picture = decode_picture(content, name)
    # Smaller first: to make a large picture grey takes longer.
    if options.size is not None:
        picture = resize(picture, options.size)
    if options.grey:
        picture = to_grey(picture)
    return picture


def _stacked(pictures: Sequence[Picture], options: LoadOptions) -> Picture:
    """Return one array, which has four axes for no pictures too."""
    if pictures:
        return np.stack(pictures)
    channels = 3
    if options.grey:
        channels = 1
    height, width = options.size or (1, 1)
    return np.zeros((0, height, width, channels), np.uint8)


def _odd_sizes(pictures: Sequence[Picture], names: Sequence[str]) -> dict[int, str]:
    """Return which pictures are of another size than nearly all, and why that leaves them out.

    Raises:
        InputError: there are many of them.
    """
    sizes = Counter(picture.shape for picture in pictures)
    if len(sizes) < 2:
        return {}
    [(common, _)] = sizes.most_common(1)
    usual = f"{common[0]} x {common[1]}"
    reasons = {}
    for index, picture in enumerate(pictures):
        if picture.shape != common:
            height, width, _ = picture.shape
            reasons[index] = f"is {height} x {width}, most are {usual}: {SAY_SIZE}"
    if len(reasons) > _MAX_ODD * len(pictures):
        index, reason = next(iter(reasons.items()))
        raise InputError(f"{names[index]} {reason}")
    return reasons


def notes_of(splits: Iterable[Dataset], options: LoadOptions) -> tuple[str, ...]:
    """Return what to say of pictures: that they are all dark, or that none of them has a colour."""
    pictures = [np.asarray(split.inputs) for split in splits]
    count = sum(map(len, pictures))
    if not count:
        return ()
    notes = []
    brightest = max(map(brightest_of, pictures))
    if brightest < DARK:
        notes.append(
            f"the brightest of all {count} pictures has {brightest} of 255: if their numbers have "
            "10 or 12 bits in files of 16, bring them to 16 first"
        )
    if not options.grey and all(map(_is_grey, pictures)):
        notes.append(
            f"all {count} pictures are grey: grey=True (grey = true under [data]) reads one "
            "channel instead of three"
        )
    return tuple(notes)


def _is_grey(pictures: Picture) -> bool:
    # One by one: the first coloured one ends it, and no copy of all pictures is made.
    return all((picture[:, :, :1] == picture).all() for picture in pictures)
