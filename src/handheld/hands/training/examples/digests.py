"""Digests that tell the data of one run from those of another."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.hands.training.config import ExampleConfig
from handheld.hands.training.examples.corrections import corrections_file
from handheld.hands.training.examples.photos import (
    Photo,
    empty_pictures,
    own_sets,
    read_photos,
)
from handheld.training.runs import values_digest

# Hexadecimal digits of a file's digest: 64 bits, which no two files of a folder share by chance.
_DIGITS = 16


def digests_of(examples: ExampleConfig) -> dict[str, object]:
    """Return :func:`data_digests` of what a training reads."""
    return data_digests(examples.folder, Path(examples.labels), examples.mistakes_file)


def data_digests(data: Path, labels: Path, mistakes: Path | None = None) -> dict[str, object]:
    """Return what tells the data of one run from those of another: a run goes on with the same
    only.

    Args:
        data: the folder with ``photos``, ``negatives`` and ``backgrounds``.
        labels: JSON lines of ``pseudo_label``.
        mistakes: JSON lines of ``find_mistakes``, if the run has any.

    Returns:
        Hexadecimal digits for ``labels`` and ``mistakes`` (of the files' bytes, and of
        the corrections beside the labels), ``photos`` (their
        names, persons, boxes and tips, not their pixels) and ``negatives`` (their names). Where
        there are sets of the user's own, ``credits`` has what the card says of them.

    Raises:
        InputError: the labels or the photos cannot be read.
    """
    photos = [_known_of(photo) for photo in read_photos(data / "photos")]
    negatives = [path.relative_to(data).as_posix() for path in empty_pictures(data)]
    digests: dict[str, object] = {
        "labels": _labels_digest(labels),
        "mistakes": "" if mistakes is None else _file_digest(mistakes),
        # Not the pixels: to read gigabytes again at each start would take minutes.
        "photos": values_digest(*photos),
        "negatives": values_digest(*negatives),
    }
    own_credits = [photo_set.credit for photo_set in own_sets(data / "photos")]
    # Only where there are any: runs of before such sets were known go on.
    return digests | {"credits": own_credits} if own_credits else digests


def _labels_digest(labels: Path) -> str:
    digest = _file_digest(labels)
    corrections = corrections_file(labels)
    if not corrections.is_file():
        return digest
    return values_digest(digest, _file_digest(corrections))[:_DIGITS]


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()[:_DIGITS]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _known_of(photo: Photo) -> tuple[object, ...]:
    """Return what is known of a photo, in plain values."""
    return photo.name, photo.person, photo.complete, _plain(photo.boxes), _plain(photo.tips)


def _plain(array: NDArray[np.float64] | None) -> object:
    return None if array is None else array.tolist()
