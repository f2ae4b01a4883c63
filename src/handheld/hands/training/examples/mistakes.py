"""What a pack takes for hands though it is none: the examples without a hand that teach it most.

Random crops hardly ever show a face as tightly as a detector cuts it out, so a network
that has only seen those calls faces hands (hard negatives: Sung and Poggio, 1998;
Shrivastava et al., arXiv 1604.03540).
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.hands.training.examples.labelling import Teacher, read_labels
from handheld.hands.training.examples.photos import Photo, read_lines, read_photos
from handheld.media import Image, Rect, read_image

SUSPECTED = 0.3
"""Presence from which on the pack is near to following what it sees."""

DENIED = 0.1
"""Presence below which the teacher is sure that there is no hand."""


def find_mistakes(
    data: Path,
    labels: Path,
    pupil: Teacher,
    teacher: Teacher,
    path: Path,
    *,
    on_picture: Callable[[int, int, int], None] = lambda done, total, mistakes: None,
) -> None:
    """Look for hands with a pack in all pictures, and append a JSON line for each: where
    it sees one that is none.

    In a photo a region counts if no labelled hand and no known box is in it and the teacher denies
    it; in a picture without hands each does. What the file holds already is not looked at again.

    Args:
        data: the folder with ``photos``, ``negatives`` and ``backgrounds``.
        labels: the pseudo-labels of the photos.
        pupil: the pack that makes the mistakes.
        teacher: the pack that the labels are of.
        path: of the JSON lines; made if it is not there.
        on_picture: told after each picture how many are done, of how many, and
            the mistakes in this one.

    Raises:
        InputError: photos, labels or the file cannot be read.
        OSError: the disk is full; what was written stays.
    """
    photos = read_photos(data / "photos")
    labelled = read_labels(labels)
    empty = sorted(
        file for folder in ("negatives", "backgrounds") for file in (data / folder).glob("*.jpg")
    )
    done = {str(record.get("picture")) for record in read_lines(path)} if path.is_file() else set()
    total = len(photos) + len(empty)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as lines:

        def keep(number: int, name: str, regions: list[Rect]) -> None:
            rows = [[round(value, 3) for value in _row(region)] for region in regions]
            lines.write(json.dumps({"picture": name, "regions": rows}) + "\n")
            lines.flush()
            on_picture(number, total, len(rows))

        for number, photo in enumerate(photos, 1):
            if f"photos/{photo.name}" not in done:
                hands = [hand.keypoints for hand in labelled.get(photo.name, [])]
                found = _in_photo(photo, hands, pupil, teacher)
                keep(number, f"photos/{photo.name}", found)
        for number, file in enumerate(empty, len(photos) + 1):
            name = file.relative_to(data).as_posix()
            if name not in done:
                keep(number, name, suspected(read_image(file), pupil))


def suspected(image: Image, pupil: Teacher) -> list[Rect]:
    """Return the regions in which a pack sees a hand, as its detector and as its
    tracking would cut them.
    """
    regions = []
    for region in pupil.regions(image):
        look = pupil.look(image, region)
        if look.presence < SUSPECTED:
            continue
        regions.append(region)
        again = look.tracking_region()
        if pupil.look(image, again).presence >= SUSPECTED:
            regions.append(again)
    return regions


def _in_photo(
    photo: Photo, hands: Sequence[NDArray[np.float32]], pupil: Teacher, teacher: Teacher
) -> list[Rect]:
    image = read_image(photo.path)
    height, width = image.shape[:2]
    middles = [hand[:, :2].mean(axis=0) for hand in hands]
    if photo.boxes is not None:
        middles += list(photo.boxes[:, :2] * (width, height))
    return [
        region
        for region in suspected(image, pupil)
        if not any(_inside(middle, region) for middle in middles)
        and teacher.look(image, region).presence < DENIED
    ]


def _inside(point: NDArray[Any], region: Rect) -> bool:
    """Whether a point is within the circle around a region."""
    return bool(np.hypot(point[0] - region.x, point[1] - region.y) < 0.7 * region.width)


def _row(region: Rect) -> tuple[float, float, float, float]:
    return region.x, region.y, region.width, region.angle


def read_mistakes(path: Path) -> dict[str, list[Rect]]:
    """Return the regions by the picture's name, in its own pixels, without pictures that have none.

    Raises:
        InputError: the file cannot be read, or a line is none of :func:`find_mistakes`.
    """
    mistakes: dict[str, list[Rect]] = {}
    for number, record in enumerate(read_lines(path), 1):
        try:
            rows = np.array(record["regions"], np.float64).reshape(-1, 4)
            name = str(record["picture"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: line {number}: not a picture's regions ({error!r})"
            ) from error
        if not np.isfinite(rows).all() or (rows[:, 2] <= 0).any():
            raise InputError(f"{path}: line {number}: a region that is no square of a picture")
        if len(rows):
            mistakes[name] = [Rect(x, y, side, side, angle) for x, y, side, angle in rows.tolist()]
    return mistakes
