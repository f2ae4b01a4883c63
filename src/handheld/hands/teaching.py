"""Examples of a user's own gesture, out of films and photos."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from handheld.errors import InputError
from handheld.hands.result import HandResult
from handheld.hands.shapes import Floats
from handheld.hands.taught import distances, example_of
from handheld.hands.tracker import HandTracker
from handheld.media import Image, open_video, read_image
from handheld.pictures import SUFFIXES

_STRAY = 2.0
"""Times the median distance from the median example beyond which one is dropped: a film begins and
ends with a hand on its way.
"""

_LEAST_STRAY = 0.1
"""Palm lengths: examples nearer than this are never dropped, however alike the others are."""


def examples_in_video(path: str | os.PathLike[str], tracker: HandTracker) -> Floats:
    """Return the examples in a film of a hand that shows a gesture throughout.

    In each frame the largest hand counts, if all of its fingers are seen.

    Args:
        path: of the film.
        tracker: finds the hands; it knows whether the film is mirrored.

    Returns:
        (n, 21, 3), see :func:`~handheld.hands.taught.example_of`.

    Raises:
        InputError: no frame shows a whole hand; the message names the film.
        MediaError: it cannot be read.
    """
    tracker.reset()
    with open_video(path) as frames:
        tracked = ((frame.image, tracker.track(frame)) for frame in frames)
        examples = list(_examples(tracked, mirrored=tracker.options.mirrored))
    tracker.reset()
    if not examples:
        raise InputError(f"{os.fspath(path)}: no frame shows a whole hand")
    return without_strays(np.array(examples))


def examples_in_photos(folder: str | os.PathLike[str], tracker: HandTracker) -> Floats:
    """Return the examples in a folder of photos, each of a hand that shows the gesture.

    Photos without a whole hand are left out.

    Args:
        folder: of photos.
        tracker: finds the hands.

    Returns:
        (n, 21, 3), see :func:`~handheld.hands.taught.example_of`.

    Raises:
        InputError: there is no such folder, or none of its photos shows a whole hand.
        MediaError: a photo cannot be read.
    """
    if not os.path.isdir(folder):
        raise InputError(f"{os.fspath(folder)}: expected a folder of photos")
    paths = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in SUFFIXES)
    images = (read_image(path) for path in paths)
    detected = ((image, tracker.detect(image)) for image in images)
    examples = list(_examples(detected, mirrored=tracker.options.mirrored))
    if not examples:
        raise InputError(f"{os.fspath(folder)}: none of {len(paths)} photos shows a whole hand")
    return np.array(examples)


def without_strays(examples: Floats) -> Floats:
    """Return the examples (n, 21, 3) that are about as most are."""
    apart = distances(examples, np.median(examples, axis=0))
    limit = max(_STRAY * float(np.median(apart)), _LEAST_STRAY)
    return examples[apart <= limit]


def _examples(
    frames: Iterable[tuple[Image, list[HandResult]]], *, mirrored: bool
) -> Iterator[Floats]:
    """Yield an example for each picture whose largest hand is seen whole."""
    for image, hands in frames:
        if not hands:
            continue
        height, width = image.shape[:2]
        largest = max(hands, key=lambda hand: hand.size)
        example = example_of(largest, size=(height, width), mirrored=mirrored)
        if example is not None:
            yield example
