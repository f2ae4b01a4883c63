"""Lines of labels as COCO's keypoint annotations."""

from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

from handheld.errors import InputError
from handheld.hands.skeleton import BONES, Keypoint
from handheld.hands.training.coco.reading import HIDDEN, SEEN
from handheld.hands.training.examples.records import require_record

Table: TypeAlias = dict[str, Any]

CATEGORY: Table = {
    "id": 1,
    "name": "hand",
    "supercategory": "person",
    "keypoints": [keypoint.name.lower() for keypoint in Keypoint],
    # COCO counts the keypoints of a skeleton from 1.
    "skeleton": [[start + 1, end + 1] for start, end in BONES],
}
"""COCO's category of all hands: their sides are in the annotations."""


def coco_of(records: Iterable[Table], path: Path) -> Table:
    """Return labels as COCO's keypoint annotations.

    v is 2 for a keypoint that is seen or of which nobody knows, 1 for a hidden one, 0 for one whose
    place is unknown. The box is the label's own, or around the keypoints. Beside COCO's fields an
    annotation has ``handedness`` ("Left", "Right" or null) and ``source``. Hands that were dropped
    are left out.

    Args:
        records: lines of labels, see ``corrections.read_records``.
        path: of the labels, for messages.

    Raises:
        InputError: a photo without its size, or a hand that is none.
    """
    images: list[Table] = []
    annotations: list[Table] = []
    # COCO's tools take an id of 0 for none.
    for number, record in enumerate(records, 1):
        try:
            require_record(record)
            height, width = record["size"]
            images.append(
                {"id": number, "file_name": record["photo"], "width": width, "height": height}
            )
            for hand in record["hands"]:
                if not hand.get("dropped"):
                    annotation = {"id": len(annotations) + 1, "image_id": number}
                    annotations.append(annotation | _annotation(hand))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: photo {record.get('photo')!s:.80}: no labels with a size ({error!r})"
            ) from error
    return {"images": images, "annotations": annotations, "categories": [CATEGORY]}


def _annotation(hand: Table) -> Table:
    points = [_place(point) for point in hand["keypoints"]]
    seen = hand.get("visible") or [True] * len(points)
    keypoints: list[float] = []
    for point, is_seen in zip(points, seen, strict=True):
        keypoints += _keypoint(point, is_seen)
    known = [point for point in points if point is not None]
    x0, y0, x1, y1 = hand.get("box") or _around(known)
    width = round(x1 - x0, 2)
    height = round(y1 - y0, 2)
    return {
        "category_id": CATEGORY["id"],
        "iscrowd": 0,
        "bbox": [x0, y0, width, height],
        "area": round(width * height, 1),
        "num_keypoints": len(known),
        "keypoints": keypoints,
        "handedness": _handedness(hand.get("right")),
        "source": hand.get("source", "teacher"),
    }


def _keypoint(point: tuple[float, float] | None, is_seen: bool) -> tuple[float, float, int]:
    """Return x, y and what is known of them, zeros where that is nothing."""
    if point is None:
        return 0, 0, 0
    return *point, SEEN if is_seen else HIDDEN


def _place(point: list[float | None]) -> tuple[float, float] | None:
    x, y = point[:2]
    if x is None or y is None or not isfinite(x + y):
        return None
    return x, y


def _around(points: list[tuple[float, float]]) -> tuple[float, float, float, float]:
    """Return the box of keypoints; zeros, as COCO has them, where none is known."""
    if not points:
        return 0, 0, 0, 0
    x, y = zip(*points, strict=True)
    return min(x), min(y), max(x), max(y)


def _handedness(right: float | None) -> str | None:
    if right is None:
        return None
    return "Right" if right >= 0.5 else "Left"
