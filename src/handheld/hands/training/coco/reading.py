"""COCO's keypoint annotations, and those of COCO-WholeBody, as lines of labels.

All is read and checked before anything is given: a file is imported whole or not at all.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from handheld.errors import InputError, MediaError
from handheld.hands.training.coco.names import KEYPOINTS, keypoint_order, side_of
from handheld.hands.training.examples.records import FARTHEST, is_photo
from handheld.pictures import orientation_of, size_of
from handheld.ranges import in_range
from handheld.untrusted import read_json, require_file

Table: TypeAlias = dict[str, Any]
Numbers: TypeAlias = list[float]

HIDDEN = 1
"""COCO's number for a keypoint that is labelled though it cannot be seen."""

SEEN = 2
"""COCO's number for a keypoint that can be seen."""

# EXIF orientations of pictures that are stored on their side.
_ON_SIDE = (5, 6, 7, 8)
# Pixels by which a keypoint may be beside its picture: tools round, and some count from 1.
_ROUNDED = 1.0
# Names of photos in a message: one knows the set by then.
_SHOWN_NAMES = 3
# Where annotation tools write the side of a hand.
_SIDE_FIELDS = ("handedness", "hand_type", "hand_side", "side")
# Fields of COCO-WholeBody, by the person's own side.
_WHOLE_BODY = {"Left": "lefthand", "Right": "righthand"}


@dataclass(frozen=True)
class CocoImport:
    """What a file of annotations says.

    Attributes:
        records: a line of labels for each picture, in the file's order.
        notes: what was left out or changed, a line each.
    """

    records: list[Table]
    notes: list[str]

    @property
    def hands(self) -> int:
        """How many hands are labelled."""
        return sum(len(record["hands"]) for record in self.records)


def read_coco(path: Path, photos: Path, group: str = "") -> CocoImport:
    """Read COCO annotations of hands.

    Args:
        path: of the JSON file.
        photos: folder from which photos are named in labels.
        group: folder in it from which the file names its photos; empty for ``photos`` itself.

    Raises:
        InputError: anything in the file that is not as COCO says, photos that are missing, of
            another size or turned otherwise, or no hands at all; names the first of them.
    """
    content = _content(path)
    reading = _Reading(path)
    records = reading.pictures(_entries(content, "images", path), photos, group)
    reading.categories(_entries(content, "categories", path))
    for number, entry in enumerate(_entries(content, "annotations", path)):
        record, hands = reading.annotation(entry, number)
        record["hands"] += hands
    if not any(record["hands"] for record in records):
        raise InputError(
            f"{path}: no hand is labelled: expected a category with the 21 keypoints of a hand, "
            "or lefthand_kpts and righthand_kpts; " + "; ".join(reading.notes.lines())
        )
    return CocoImport(records, reading.notes.lines())


@dataclass
class _Notes:
    """What is told in the end: how often each thing came, and where it came first."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, what_came: str, name: str) -> None:
        self.counts[what_came] = self.counts.get(what_came, 0) + 1
        self.first.setdefault(what_came, name)

    def lines(self) -> list[str]:
        return [f"{key}: {count}, first {self.first[key]}" for key, count in self.counts.items()]


@dataclass
class _Category:
    """Which keypoint of ours each of a category's is, if it is a hand, and whose hand it is."""

    order: list[int] | None
    side: str | None


class _Reading:
    """One file while it is read: what its ids mean."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[int | str, Table] = {}
        self._categories: dict[int | str, _Category] = {}
        self._annotations: set[int | float | str] = set()
        self.notes = _Notes()

    def pictures(self, images: Sequence[Any], photos: Path, group: str) -> list[Table]:
        """Return a record without hands for each picture."""
        names: set[str] = set()
        for number, image in enumerate(images):
            location = f"{self._path}: images[{number}]"
            name = _file_name(image, group, location)
            if name in names:
                raise InputError(f"{location}: {name} is listed twice: take one of them out")
            names.add(name)
            identity = _identity(image, location)
            if identity in self._records:
                raise InputError(f"{location}: id {identity!r} is used twice")
            self._records[identity] = {"photo": name}
        self._ensure_there(names, photos)
        # Only now: to open a hundred thousand files takes a minute.
        for image, record in zip(images, self._records.values(), strict=True):
            size = self._size(image, photos / record["photo"], record["photo"])
            record |= {"size": list(size), "hands": []}
        return list(self._records.values())

    def _ensure_there(self, names: Set[str], photos: Path) -> None:
        missing = sorted(name for name in names if not is_photo(photos / name))
        if not missing:
            return
        shown = ", ".join(missing[:_SHOWN_NAMES])
        if len(missing) > _SHOWN_NAMES:
            shown += " ..."
        raise InputError(
            f"{self._path}: {len(missing)} of its {len(names)} photos are not in {photos}: "
            f"{shown}; restore them, or take their entries out"
        )

    def _size(self, image: Table, photo: Path, name: str) -> tuple[int, int]:
        """Return (height, width) of a photo as it is seen, which must be that of its labels."""
        location = f"{self._path}: photo {name}"
        try:
            stored = size_of(photo)
            orientation = orientation_of(photo)
        except MediaError as error:
            raise InputError(f"{location}: {error}; restore it or take its entries out") from error
        upright = (stored[1], stored[0]) if orientation in _ON_SIDE else stored
        # Tools that did not open the photos write none, or null.
        labelled = tuple(
            known if image.get(side) is None else image[side]
            for side, known in zip(("height", "width"), upright, strict=True)
        )
        if labelled == upright:
            # Of a square, or one that stands on its head, no size tells which way labels count.
            if orientation != 1 and upright == stored:
                self.notes.add("photos turned by EXIF, labels taken as of the upright ones", name)
            return upright
        if labelled == stored:
            raise InputError(
                f"{location}: its EXIF turns it, and its labels are for the picture as it is "
                f"stored, {_shown(stored)}: take the tag out of the file, or turn the labels"
            )
        raise InputError(
            f"{location}: has {_shown(upright)} pixels, its labels are for {_shown(labelled)}"
        )

    def categories(self, categories: Sequence[Any]) -> None:
        """Hear which keypoints the categories have."""
        for number, category in enumerate(categories):
            location = f"{self._path}: categories[{number}]"
            identity = _identity(category, location)
            if identity in self._categories:
                raise InputError(f"{location}: id {identity!r} is used twice")
            names = category.get("keypoints")
            title = category.get("name", "")
            # Some files name the keypoints nowhere: each annotation shows how many it has.
            order = list(range(KEYPOINTS)) if names is None else None
            if names is not None:
                try:
                    order = keypoint_order([str(name) for name in names])
                except (InputError, TypeError) as error:
                    raise InputError(f"{location} ({title}): {error}") from error
            self._categories[identity] = _Category(order, side_of(str(title)))

    def annotation(self, entry: Any, number: int) -> tuple[Table, list[Table]]:
        """Return the record of an annotation's picture, and the hands that it labels."""
        location = f"{self._path}: annotations[{number}]"
        if not isinstance(entry, dict):
            raise InputError(f"{location}: expected an object, got {entry!r:.80}")
        # Some files give none. Of 3 and of 3.0 this is the same, as it is to Python.
        identity = entry.get("id")
        if identity is None:
            identity = f"number {number}"
        location += f" (id {identity!s:.80})"
        if not isinstance(identity, int | float | str):
            raise InputError(f"{location}: id: expected a number or a text")
        if identity in self._annotations:
            raise InputError(f"{location}: the id is used twice")
        self._annotations.add(identity)
        record = self._records.get(_hashable(entry.get("image_id")))
        if record is None:
            raise InputError(f"{location}: no image has the id {entry.get('image_id')!r}")
        if entry.get("iscrowd"):
            self.notes.add("crowds left out", record["photo"])
            return record, []
        labelled = _Annotation(entry, location, record, self.notes)
        if any(f"{prefix}_kpts" in entry for prefix in _WHOLE_BODY.values()):
            return record, list(labelled.whole_body())
        category = self._categories.get(_hashable(entry.get("category_id")))
        if category is None:
            raise InputError(f"{location}: no category has the id {entry.get('category_id')!r}")
        return record, list(labelled.hand(category))


@dataclass
class _Annotation:
    """One annotation: its fields, where it stands, and the record of its picture."""

    entry: Table
    location: str
    record: Table
    notes: _Notes

    def hand(self, category: _Category) -> Iterator[Table]:
        """Give the hand of an annotation of COCO's own form, if it is one."""
        photo = self.record["photo"]
        if not self.entry.get("keypoints"):
            self.notes.add("annotations without keypoints left out", photo)
            return
        if category.order is None:
            self.notes.add("annotations of no hands left out", photo)
            return
        rows = self._rows("keypoints", len(category.order))
        for number, (_, _, value) in enumerate(rows):
            if value not in (0, HIDDEN, SEEN):
                position = f"{self.location}: keypoints[{3 * number + 2}]"
                raise InputError(f"{position}: expected a visibility of 0, 1 or 2, got {value:g}")
        points, visible = self._placed(rows, category.order)
        if not any(points):
            self.notes.add("annotations without keypoints left out", photo)
            return
        yield self._record(points, visible, self._side() or category.side, "bbox")

    def whole_body(self) -> Iterator[Table]:
        """Give the hands of a person in COCO-WholeBody.

        There the third number may be a score: above 0 a keypoint can be relied on, and nobody says
        whether it is seen.
        """
        for side, prefix in _WHOLE_BODY.items():
            if not self.entry.get(f"{prefix}_valid", f"{prefix}_kpts" in self.entry):
                continue
            points, _ = self._placed(self._rows(f"{prefix}_kpts", KEYPOINTS), range(KEYPOINTS))
            if any(points):
                yield self._record(points, None, side, f"{prefix}_box")

    def _record(
        self, points: list[Numbers | None], visible: list[int] | None, side: str | None, box: str
    ) -> Table:
        # z is None too: COCO has no depth.
        hand: Table = {
            "keypoints": [[*(point or (None, None)), None] for point in points],
            "right": {"Right": 1.0, "Left": 0.0, None: None}[side],
            "source": "true",
        }
        if visible is not None:
            hand["visible"] = visible
        corners = self._box(box)
        if corners is not None:
            hand["box"] = corners
        return hand

    def _rows(self, name: str, count: int) -> list[tuple[float, float, float]]:
        """Return x, y and visibility of each keypoint."""
        values = self._numbers(name, 3 * count)
        return list(zip(values[::3], values[1::3], values[2::3], strict=True))

    def _placed(
        self, rows: Sequence[tuple[float, float, float]], order: Sequence[int]
    ) -> tuple[list[Numbers | None], list[int]]:
        """Return 21 places, None where unknown, and whether each can be seen."""
        points: list[Numbers | None] = [None] * KEYPOINTS
        visible = [0] * KEYPOINTS
        for (x, y, value), index in zip(rows, order, strict=True):
            if value <= 0:
                continue
            points[index] = [x, y]
            visible[index] = int(value == SEEN and not self._is_outside(x, y))
        return points, visible

    def _is_outside(self, x: float, y: float) -> bool:
        """Whether a keypoint is beside its picture, as those of a hand that is cut off are."""
        height, width = self.record["size"]
        beside = max(-x, x - width, -y, y - height)
        if beside <= _ROUNDED:
            return False
        if beside > max(height, width):
            raise InputError(
                f"{self.location}: a keypoint at ({x:g}, {y:g}) is far outside of "
                f"{self.record['photo']}, which has {_shown((height, width))} pixels"
            )
        self.notes.add("keypoints outside their photo, taken as hidden", self.record["photo"])
        return True

    def _side(self) -> str | None:
        """Return whose hand it is, where the annotation says so."""
        attributes = self.entry.get("attributes")
        tables = [self.entry, attributes if isinstance(attributes, dict) else {}]
        for table in tables:
            for name in _SIDE_FIELDS:
                text = table.get(name)
                if text in (None, "", "unknown", "Unknown"):
                    continue
                side = side_of(text) if isinstance(text, str) else None
                if side is None:
                    raise InputError(
                        f"{self.location}: {name}: expected left or right, got {text!r:.80}"
                    )
                return side
        return None

    def _box(self, name: str) -> Numbers | None:
        """Return x0, y0, x1, y1, or None where there is no box."""
        if self.entry.get(name) in (None, []):
            return None
        x, y, width, height = self._numbers(name, 4)
        if min(width, height) < 0:
            raise InputError(f"{self.location}: {name}: a box of {width:g} x {height:g} pixels")
        # COCO-WholeBody writes zeros for a hand without one.
        if not (width and height):
            return None
        corners = [x, y, x + width, y + height]
        return [round(_number(corner, f"{self.location}: {name}"), 2) for corner in corners]

    def _numbers(self, name: str, count: int) -> Numbers:
        values = self.entry.get(name)
        if not isinstance(values, list) or len(values) != count:
            length = len(values) if isinstance(values, list) else f"{values!r:.80}"
            raise InputError(f"{self.location}: {name}: expected {count} numbers, got {length}")
        return [
            _number(value, f"{self.location}: {name}[{index}]")
            for index, value in enumerate(values)
        ]


def _number(value: Any, location: str) -> float:
    # As labels are read and exported: what is beyond is no place in a photo.
    in_range(location, value, low=-FARTHEST, high=FARTHEST)
    return float(value)


def _content(path: Path) -> Mapping[str, Any]:
    try:
        require_file(path)
        content = read_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as COCO annotations: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected COCO's object of images, annotations and categories")
    return content


def _entries(content: Mapping[str, Any], name: str, path: Path) -> list[Any]:
    entries = content.get(name)
    if not isinstance(entries, list):
        raise InputError(f"{path}: {name}: expected a list, got {entries!r:.80}")
    return entries


def _identity(entry: Any, location: str) -> int | str:
    if not isinstance(entry, dict):
        raise InputError(f"{location}: expected an object, got {entry!r:.80}")
    identity = entry.get("id")
    if not isinstance(identity, int | str) or isinstance(identity, bool):
        raise InputError(f"{location}: id: expected a number or a text, got {identity!r:.80}")
    return identity


def _hashable(value: Any) -> int | str:
    return value if isinstance(value, int | str) else ""


def _file_name(image: Any, group: str, location: str) -> str:
    """Return the path of a picture from the photos' folder, in one spelling."""
    name = image.get("file_name") if isinstance(image, dict) else None
    if not isinstance(name, str) or not name or "\0" in name:
        raise InputError(f"{location}: file_name: expected the name of a photo, got {name!r:.80}")
    path = PurePosixPath(group, name)
    # A stranger's file must not lead to pictures elsewhere.
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{location}: file_name: expected a path in their folder, got {name}")
    return str(path)


def _shown(size: tuple[Any, ...]) -> str:
    height, width = size
    return f"{width} x {height}"
