"""What a pack takes for hands though it is none: the examples without a hand that teach it most.

Random crops hardly ever show a face as tightly as a detector cuts it out, so a network
that has only seen those calls faces hands (hard negatives: Sung and Poggio, 1998;
Shrivastava et al., arXiv 1604.03540).
"""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.files import LineWriter, append_lines, locked_file
from handheld.hands.training.examples.labelling import Teacher, TeacherHand, read_labels
from handheld.hands.training.examples.photos import (
    Photo,
    empty_pictures,
    read_lines,
    read_photos,
)
from handheld.media import Image, Rect, read_image

SUSPECTED = 0.3
"""Presence from which on the pack is near to following what it sees."""

DENIED = 0.1
"""Presence below which the teacher is sure that there is no hand."""


# Share of a region's side: a hand whose middle is as near to the region's middle lies within the
# circle around the region, of which half the diagonal is the radius.
_REACH = 0.7

FARTHER = (2, 4)
"""How many times as far away a picture is looked at too: a portrait fills its picture, but in a
film a head is no larger than a hand.
"""

# Sides of a picture that is looked at from afar, pixels at least: below it there is nothing to see.
_LEAST_SIDE = 32


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
        InputError: photos, labels or the file cannot be read, or it holds another pack's mistakes,
            or is written by another process.
        FileError: the disk is full; what was written stays.
    """
    pictures = _pictures(data, labels)
    with locked_file(path):
        done = _names_in(path, pupil)
        with append_lines(path) as lines:
            for number, picture in enumerate(pictures, 1):
                if picture.name in done:
                    continue
                regions = _mistakes_in(picture, pupil, teacher)
                _write_line(lines, picture.name, pupil, regions)
                on_picture(number, len(pictures), len(regions))


class _Picture(NamedTuple):
    """A picture to look through.

    Attributes:
        name: in the folder of the data.
        path: of the file.
        photo: what is known of it; ``None`` for a picture without hands.
        hands: what the teacher found in it.
    """

    name: str
    path: Path
    photo: Photo | None = None
    hands: Sequence[TeacherHand] = ()


def _pictures(data: Path, labels: Path) -> list[_Picture]:
    """Return all photos, then all pictures without hands."""
    photos = read_photos(data / "photos")
    answers = read_labels(labels)
    pictures = []
    for photo in photos:
        hands = answers.get(photo.name, [])
        pictures.append(_Picture(f"photos/{photo.name}", photo.path, photo, hands))
    for path in empty_pictures(data):
        name = path.relative_to(data).as_posix()
        pictures.append(_Picture(name, path))
    return pictures


def _mistakes_in(picture: _Picture, pupil: Teacher, teacher: Teacher) -> list[Rect]:
    image = read_image(picture.path)
    regions = suspected(image, pupil)
    # Nobody is asked: people chose these pictures since there is no hand in them.
    if picture.photo is None:
        return regions
    middles = _hand_middles(picture.photo, picture.hands, image)
    free = [region for region in regions if not _holds_any(region, middles)]
    # The teacher last, as it is what costs: labels may lack a hand that it sees from here.
    return [region for region in free if teacher.look(image, region).presence < DENIED]


def _names_in(path: Path, pupil: Teacher) -> set[str]:
    """Return the pictures in a file of mistakes, but for a line that was cut off by a stop."""
    if not path.is_file():
        return set()
    names: set[str] = set()
    for record in read_lines(path, whole_only=True):
        # Lines of before packs were named may be of any.
        if record.get("pack", pupil.name) != pupil.name:
            raise InputError(
                f"{path}: holds mistakes of {record['pack']!r}, not of {pupil.name!r}: "
                "write to another file"
            )
        if record.get("models", pupil.models) != pupil.models:
            raise InputError(
                f"{path}: holds mistakes of other models of {pupil.name!r}: write to another file"
            )
        names.add(str(record.get("picture")))
    return names


def _write_line(lines: LineWriter, name: str, pupil: Teacher, regions: Sequence[Rect]) -> None:
    rows = []
    for region in regions:
        row = (region.x, region.y, region.width, region.angle)
        rows.append([round(value, 3) for value in row])
    record = {"picture": name, "pack": pupil.name, "models": pupil.models, "regions": rows}
    lines.write(json.dumps(record) + "\n")


def suspected(image: Image, pupil: Teacher) -> list[Rect]:
    """Return the regions in which a pack sees a hand, as its detector and as its tracking would cut
    them; in all views of a tracker, and from afar.
    """
    regions = _suspected_in(image, pupil.tracked_regions(image), pupil)
    for times in FARTHER:
        if min(image.shape[:2]) < times * _LEAST_SIDE:
            break
        far, corner = from_afar(image, times)
        regions += [
            _nearer(region, corner, times)
            for region in _suspected_in(far, pupil.regions(far), pupil)
        ]
    return regions


def from_afar(image: Image, times: int) -> tuple[Image, tuple[int, int]]:
    """Return a picture as if it were so many times as far away, amid black, and its corner x, y."""
    height, width = image.shape[:2]
    size = (width // times, height // times)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    x = (width - size[0]) // 2
    y = (height - size[1]) // 2
    far = np.zeros_like(image)
    far[y : y + size[1], x : x + size[0]] = small
    return far, (x, y)


def _nearer(region: Rect, corner: tuple[int, int], times: int) -> Rect:
    """Bring a region back from a picture that was shrunk and laid into the middle of another."""
    # Whole coordinates are middles of pixels.
    x = (region.x - corner[0] + 0.5) * times - 0.5
    y = (region.y - corner[1] + 0.5) * times - 0.5
    return Rect(x, y, times * region.width, times * region.height, region.angle)


def _suspected_in(image: Image, around_palms: Iterable[Rect], pupil: Teacher) -> list[Rect]:
    """Return those of some regions in which a pack sees a hand, and where it would look next."""
    regions = []
    for region in around_palms:
        look = pupil.look(image, region)
        if look.presence < SUSPECTED:
            continue
        regions.append(region)
        # A tracker goes on from its own answer: a mistake that survives that is followed for long.
        again = look.tracking_region()
        if pupil.look(image, again).presence >= SUSPECTED:
            regions.append(again)
    return regions


def _hand_middles(photo: Photo, hands: Sequence[TeacherHand], image: Image) -> list[NDArray[Any]]:
    """Return the middles (2,) of all hands that anybody knows of, pixels."""
    middles: list[NDArray[Any]] = [np.nanmean(hand.keypoints[:, :2], axis=0) for hand in hands]
    if photo.boxes is not None:
        height, width = image.shape[:2]
        middles += list(photo.boxes[:, :2] * (width, height))
    return middles


def _holds_any(region: Rect, points: Sequence[NDArray[Any]]) -> bool:
    """Whether any of some points is within the circle around a region."""
    radius = _REACH * region.width
    distances = [np.hypot(x - region.x, y - region.y) for x, y in points]
    return any(distance < radius for distance in distances)


def read_mistakes(path: Path) -> dict[str, list[Rect]]:
    """Return the regions by the picture's name, in its own pixels, without pictures that have none.

    Raises:
        InputError: the file cannot be read, or a line is none of :func:`find_mistakes`.
    """
    mistakes: dict[str, list[Rect]] = {}
    for number, record in enumerate(read_lines(path), 1):
        line = f"{path}: line {number}"
        if not record.keys() >= {"picture", "regions"}:
            raise InputError(f"{line}: not a picture's regions: expected picture and regions")
        try:
            rows = _read_rows(record["regions"])
            name = str(record["picture"])
        except (TypeError, ValueError) as error:
            raise InputError(f"{line}: not a picture's regions: {error}") from error
        # x, y, side, angle: a side of nothing or less is none.
        sides = rows[:, 2]
        if not np.isfinite(rows).all() or (sides <= 0).any():
            raise InputError(f"{line}: a region that is no square of a picture")
        if len(rows):
            mistakes[name] = _squares(rows)
    return mistakes


def _squares(rows: NDArray[np.float64]) -> list[Rect]:
    return [Rect(x, y, side, side, angle) for x, y, side, angle in rows.tolist()]


def _read_rows(regions: object) -> NDArray[np.float64]:
    """Return (n, 4): x, y, side, angle."""
    return np.array(regions, np.float64).reshape(-1, 4)
