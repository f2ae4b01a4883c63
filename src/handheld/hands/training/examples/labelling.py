"""Pseudo-labels: a teacher's keypoints on photos, and how far it agrees with itself.

The teacher looks for palms in several views of a photo, then at each hand four times: as tracking
does, turned and shrunk, turned the other way and enlarged, and mirrored. The label is the median of
the answers; their spread says how far it can be trusted (self-ensembling as in Radosavovic et al.,
"Data Distillation", arXiv 1712.04440).
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.files import append_lines, locked_file
from handheld.hands.calculators import run_on_crop
from handheld.hands.geometry import region_from_landmarks, region_from_palm
from handheld.hands.landmark import is_right_hand, project_landmarks, project_world
from handheld.hands.packs import ModelPack
from handheld.hands.palm import anchor_centres, decode_palms, merge_palms
from handheld.hands.result import Palm, palm_size
from handheld.hands.training.examples.corrections import read_records
from handheld.hands.training.examples.photos import Photo, load_pixels, read_lines
from handheld.hands.training.examples.records import require_record
from handheld.hands.training.labels import LabelSource
from handheld.hands.views import views_of_still, views_of_stream
from handheld.media import Image, Rect, letterbox

PALM_SCORE = 0.4
"""Below the tracker's: what is no hand the landmark model refuses."""

SUSPECTED_SCORE = 0.1
"""Where the teacher's detector gives no palm as much as this, there is none: far below what
any tracker takes for one.
"""

HAND_SCORE = 0.5
"""Presence from which on the teacher's landmark model has a hand before it, as the tracker's."""

PERSONS = ("true", "corrected")
"""Sources of labels that a person made: from nothing, or from a teacher's. Both count as true."""

# Sides of a region, in pixels and in longer sides of the picture: beyond them the model answered
# to what is no hand, and the looks from there would tell nothing.
_LEAST_REGION = 8
_MOST_REGION = 8

# Radians and scale of the looks at a hand, about as far as tracking strays from one frame to the
# next.
_TURNS: tuple[tuple[float, float], ...] = ((0.0, 1.0), (0.35, 1.1), (-0.35, 0.9))

# Hexadecimal digits of a pack's digest.
_DIGITS = 16

# Of the palm's length: two answers nearer than this on average are one hand, as in `association`.
_SAME = 0.35

# How much wider than the photo, or than a box, a view is: hands that fill the picture are found so.
_ZOOM_OUT = 1.8


_OF_A_TEACHER = ("world", "spread", "right", "presence")
"""What a teacher says of a hand, and a person need not."""


@dataclass(frozen=True, eq=False)
class TeacherHand:
    """What the teacher says of one hand, or who labelled it in its stead.

    Attributes:
        keypoints: (21, 3) pixels, z relative to the wrist.
        world: (21, 3) metres, in the picture's axes.
        spread: (21,) mean distance of the single answers from the median, in palm lengths.
        right: mean probability that it is the person's right hand, in [0, 1].
        presence: the lowest of the single scores, in [0, 1].
        source: "true" where a person labelled it: places that are unknown are NaN, and ``spread``
            is 0.
        visible: (21,) whether each keypoint can be seen, or ``None`` where nobody says.
        dropped: whether a person said that this label is of no use.
    """

    keypoints: NDArray[np.float32]
    world: NDArray[np.float32]
    spread: NDArray[np.float32]
    right: float
    presence: float
    source: LabelSource = "teacher"
    visible: NDArray[np.bool_] | None = None
    dropped: bool = False

    @property
    def certainty(self) -> float:
        """Probability of the likelier side, in [0.5, 1]."""
        return max(self.right, 1 - self.right)

    @property
    def handedness(self) -> Literal["Left", "Right"]:
        """The likelier side."""
        return "Right" if self.right >= 0.5 else "Left"

    def tracking_region(self) -> Rect:
        """Return where tracking would look for this hand in the next frame."""
        return region_from_landmarks(self.keypoints)

    @property
    def disagreement(self) -> float:
        """Mean spread over the keypoints, in palm lengths."""
        return float(self.spread.mean())

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers and lists."""
        return {
            "keypoints": _rounded(self.keypoints, 2),
            "world": _rounded(self.world, 5),
            "spread": _rounded(self.spread, 4),
            "right": round(self.right, 4),
            "presence": round(self.presence, 4),
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote, or what a person labelled."""
        source = record.get("source", "teacher")
        if source != "teacher":
            return cls._by_person(record, source)
        for name in _OF_A_TEACHER:
            if record.get(name) is None:
                raise InputError(f"{name}: expected of a teacher; a person's source is true")
        return cls(
            keypoints=np.array(record["keypoints"], np.float32).reshape(21, 3),
            world=np.array(record["world"], np.float32).reshape(21, 3),
            spread=np.array(record["spread"], np.float32).reshape(21),
            right=float(record["right"]),
            presence=float(record["presence"]),
            dropped=record.get("dropped") is True,
        )

    @classmethod
    def _by_person(cls, record: dict[str, Any], source: object) -> Self:
        if source not in PERSONS:
            raise ValueError(f"source: expected teacher or {' or '.join(PERSONS)}, got {source!r}")
        world = record.get("world")
        right = record.get("right")
        visible = record.get("visible")
        return cls(
            keypoints=np.array(record["keypoints"], np.float32).reshape(21, 3),
            world=np.full((21, 3), np.nan, np.float32)
            if world is None
            else np.array(world, np.float32).reshape(21, 3),
            spread=np.zeros(21, np.float32),
            # As likely the one as the other where nobody says which: its side is then not believed.
            right=0.5 if right is None else float(right),
            presence=1.0,
            source="true",
            visible=None if visible is None else np.array(visible, bool).reshape(21),
            dropped=record.get("dropped") is True,
        )


def _rounded(values: NDArray[np.float32], digits: int) -> list[Any]:
    # In doubles: rounded float32 numbers are written with all of their digits.
    rounded: list[Any] = np.round(values.astype(float), digits).tolist()
    return rounded


class Teacher:
    """A pack whose answers become labels. A context manager."""

    def __init__(self, pack: ModelPack) -> None:
        self.name = pack.name
        self.models = _digest(pack)
        self._pack = pack
        self._palm = pack.open_palm()
        self._landmark = pack.open_landmark()
        self._anchors = anchor_centres(pack.palm_geometry)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._palm.close()
        self._landmark.close()

    def label(self, image: Image, boxes: NDArray[np.float64] | None = None) -> list[TeacherHand]:
        """Return the hands of a picture that the teacher finds.

        Args:
            image: (H, W, 3) uint8 RGB.
            boxes: (n, 4) of known hands as fractions, each of which is looked at more closely.
        """
        hands: list[TeacherHand] = []
        for region in self.regions(image, boxes):
            hand = self._look_well(image, region)
            # Views overlap, so most hands come several times: the first one stays.
            if hand is not None and not any(_is_same(hand, other) for other in hands):
                hands.append(hand)
        return hands

    def regions(self, image: Image, boxes: NDArray[np.float64] | None = None) -> Iterator[Rect]:
        """Give the regions around all palms that the pack finds, in whole and closer
        views, as :meth:`label`.
        """
        return self._regions_in(image, _views(image, boxes))

    def tracked_regions(self, image: Image) -> Iterator[Rect]:
        """Give the regions of all palms that a tracker would find in a film of this picture, and
        when it looks at the picture alone.
        """
        height, width = image.shape[:2]
        # Each once: a stream is looked at as a whole in every other frame, a still as well.
        views = dict.fromkeys(views_of_stream(height, width) + views_of_still(height, width))
        return self._regions_in(image, views)

    def _regions_in(self, image: Image, views: Iterable[Rect]) -> Iterator[Rect]:
        for view in views:
            for palm in self._palms(image, view, PALM_SCORE):
                yield region_from_palm(palm.rect, palm.keypoints)

    def suspects(self, image: Image, boxes: NDArray[np.float64] | None = None) -> list[Rect]:
        """Return the upright boxes of whatever might be a palm, in the same views: beyond them
        there is none.
        """
        suspects: list[Rect] = []
        for view in _views(image, boxes):
            suspects += [palm.rect for palm in self._palms(image, view, SUSPECTED_SCORE)]
        return suspects

    def _palms(self, image: Image, view: Rect, threshold: float) -> list[Palm]:
        raw, logits = run_on_crop(self._palm, image, view, border="black")
        palms = decode_palms(
            raw[0],
            logits[0, :, 0],
            self._anchors,
            view,
            self._pack.palm_geometry,
            threshold=threshold,
        )
        return merge_palms(palms)

    def _look_well(self, image: Image, region: Rect) -> TeacherHand | None:
        """Look once to centre the region as tracking does, then several times from there."""
        first = self.look(image, region)
        if first.presence < HAND_SCORE:
            return None
        centred = first.tracking_region()
        longer_side = max(image.shape[:2])
        if not _LEAST_REGION < centred.width < _MOST_REGION * longer_side:
            return None
        looks = [self.look(image, _turned(centred, turn, scale)) for turn, scale in _TURNS]
        looks.append(self._look_mirrored(image, centred))
        # One look that sees no hand is a doubt that the median would hide.
        if min(look.presence for look in looks) < HAND_SCORE:
            return None
        return _combined(looks)

    def look(self, image: Image, region: Rect) -> TeacherHand:
        """Return what the landmark model says of one region, however low its presence."""
        outputs = run_on_crop(self._landmark, image, region, border="replicate")
        # Packs of our own add a confidence, which no label needs.
        raw, presence, handedness, world = outputs[:4]
        geometry = self._pack.landmark_geometry
        is_right, certainty = is_right_hand(float(handedness[0, 0]), geometry, mirrored=False)
        return TeacherHand(
            keypoints=project_landmarks(raw[0], region, geometry),
            world=project_world(world[0], region).astype(np.float32),
            # Of one answer; `_combined` measures it.
            spread=np.zeros(21, np.float32),
            right=certainty if is_right else 1 - certainty,
            presence=float(presence[0, 0]),
        )

    def _look_mirrored(self, image: Image, region: Rect) -> TeacherHand:
        # Pixels' middles are whole numbers: the last one, width - 1, mirrors the first one, 0.
        last = image.shape[1] - 1
        mirrored = np.ascontiguousarray(image[:, ::-1])
        opposite = replace(region, x=last - region.x, angle=-region.angle)
        look = self.look(mirrored, opposite)
        keypoints = look.keypoints.copy()
        keypoints[:, 0] = last - keypoints[:, 0]
        return replace(
            look,
            keypoints=keypoints,
            world=look.world * np.array([-1, 1, 1], np.float32),
            # In a mirror a right hand is a left one.
            right=1 - look.right,
        )


def _digest(pack: ModelPack) -> str:
    """Return what tells a pack from another one in the same place."""
    content = pack.palm.read_bytes() + pack.landmark.read_bytes()
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def _turned(region: Rect, turn: float, scale: float) -> Rect:
    """Return a region turned by radians and enlarged."""
    return replace(
        region,
        width=region.width * scale,
        height=region.height * scale,
        angle=region.angle + turn,
    )


def _views(image: Image, boxes: NDArray[np.float64] | None) -> Iterator[Rect]:
    """Give the squares in which palms are looked for: all, all with a border, around each box."""
    height, width = image.shape[:2]
    letterboxed = letterbox(height, width)
    yield letterboxed
    yield _turned(letterboxed, 0.0, _ZOOM_OUT)
    if boxes is None:
        return
    for x, y, across, down in boxes:
        side = _ZOOM_OUT * max(across * width, down * height)
        yield Rect(x * width, y * height, side, side, 0.0)


def _is_same(hand: TeacherHand, other: TeacherHand) -> bool:
    offsets = hand.keypoints[:, :2] - other.keypoints[:, :2]
    distances = np.linalg.norm(offsets, axis=1)
    # By the larger palm: a wrong small hand within a large one is that hand once more.
    palm = max(palm_size(hand.keypoints), palm_size(other.keypoints))
    return bool(distances.mean() < _SAME * palm)


def _combined(looks: Sequence[TeacherHand]) -> TeacherHand:
    """Return the median of several answers, and how far they are from it."""
    points = np.stack([look.keypoints for look in looks])
    worlds = [look.world for look in looks]
    rights = [look.right for look in looks]
    # A median, not a mean: one look of four may be far off.
    middle = np.median(points, axis=0).astype(np.float32)
    return TeacherHand(
        keypoints=middle,
        world=np.median(worlds, axis=0).astype(np.float32),
        spread=_spread(points, middle),
        right=float(np.mean(rights)),
        presence=min(look.presence for look in looks),
    )


def _spread(points: NDArray[np.float32], middle: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far answers (n, 21, 3) are from the median (21, 3), (21,) palm lengths."""
    offsets = points[..., :2] - middle[:, :2]
    distances = np.linalg.norm(offsets, axis=-1).mean(axis=0)
    # A pixel at least: a palm of no length would make any spread endless.
    spread: NDArray[np.float32] = (distances / max(palm_size(middle), 1.0)).astype(np.float32)
    return spread


def pseudo_label(
    photos: Sequence[Photo],
    teacher: Teacher,
    path: Path,
    *,
    on_photo: Callable[[int, int], None] = lambda done, hands: None,
) -> None:
    """Label photos and append a JSON line for each to a file; those that it holds already
    are not looked at again.

    Args:
        photos: to label.
        teacher: whose answers are written.
        path: of the JSON lines; made if it is not there, so that a run can be stopped and goes on.
        on_photo: called after each photo with how many are done, and the hands found in this one.

    Raises:
        InputError: the file holds the labels of another teacher, or is written by another process,
            or a photo cannot be read.
        FileError: the disk is full; what was written stays.
    """
    with locked_file(path):
        labelled = _labelled_already(path, teacher)
        with append_lines(path) as lines:
            for done, photo in enumerate(photos, 1):
                if photo.name in labelled:
                    on_photo(done, 0)
                    continue
                record = _label_record(photo, teacher)
                lines.write(json.dumps(record) + "\n")
                on_photo(done, len(record["hands"]))


def _label_record(photo: Photo, teacher: Teacher) -> dict[str, Any]:
    pixels = load_pixels(photo)
    hands = teacher.label(pixels, photo.boxes)
    suspects = teacher.suspects(pixels, photo.boxes)
    return {
        "photo": photo.name,
        "teacher": teacher.name,
        "models": teacher.models,
        "size": list(pixels.shape[:2]),
        "hands": [hand.to_json() for hand in hands],
        "suspects": [_corners(box) for box in suspects],
    }


def _corners(box: Rect) -> list[float]:
    """Return x0, y0, x1, y1, rounded to a tenth of a pixel."""
    half_width = box.width / 2
    half_height = box.height / 2
    low = (box.x - half_width, box.y - half_height)
    high = (box.x + half_width, box.y + half_height)
    return [round(float(value), 1) for value in (*low, *high)]


def read_suspects(path: Path) -> dict[str, NDArray[np.float64]]:
    """Return boxes (n, 4) x0, y0, x1, y1 of what might be a palm by the photo's name; no entry
    where nobody looked.

    Raises:
        InputError: the file cannot be read, or holds a box that is none.
    """
    suspects: dict[str, NDArray[np.float64]] = {}
    for number, record in enumerate(read_lines(path), 1):
        # Labels of before this was looked for have none: of their photos nothing is known.
        if "suspects" in record:
            boxes = _read_boxes(record["suspects"], f"{path}: line {number}")
            suspects[str(record.get("photo"))] = boxes
    return suspects


def _read_boxes(rows: object, line: str) -> NDArray[np.float64]:
    try:
        boxes = np.array(rows, np.float64).reshape(-1, 4)
    except (TypeError, ValueError) as error:
        raise InputError(f"{line}: not a photo's suspects ({error!r})") from error
    if not np.isfinite(boxes).all():
        raise InputError(f"{line}: a suspect that is no box")
    return boxes


def _labelled_already(path: Path, teacher: Teacher) -> set[str]:
    """Return the names in a file of labels, but for a line that was cut off by a stop."""
    if not path.is_file():
        return set()
    names: set[str] = set()
    for record in read_lines(path, whole_only=True):
        # Two teachers mean different points by a keypoint: a network would learn their mean.
        if record.get("teacher") != teacher.name:
            raise InputError(
                f"{path}: holds labels by {record.get('teacher')!r}, not by {teacher.name!r}: "
                "write to another file"
            )
        # Lines of before the models were told may be of any.
        if record.get("models", teacher.models) != teacher.models:
            raise InputError(
                f"{path}: holds labels by other models of {teacher.name!r}: write to another file"
            )
        names.add(str(record.get("photo")))
    return names


def read_labels(path: Path) -> dict[str, list[TeacherHand]]:
    """Return the teacher's hands by the photo's name, of every photo that it looked at, as a
    person corrected them.

    Raises:
        InputError: the file is not there, cannot be read, or a line holds no labels.
    """
    labels: dict[str, list[TeacherHand]] = {}
    for number, record in enumerate(read_records(path), 1):
        try:
            require_record(record)
            hands = [TeacherHand.from_json(hand) for hand in record["hands"]]
            labels[record["photo"]] = hands
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: line {number}: not a photo's labels: {error}") from error
    return labels
