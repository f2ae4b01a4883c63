"""Average precision of palms by the COCO protocol, by ``faster-coco-eval``."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import MissingDependencyError

Floats = NDArray[np.float32]

# Boxes as fractions become those of a picture of a thousand pixels: COCO's sizes play no role here.
_SCALE = 1000.0


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found in one picture, and what is there.

    Attributes:
        boxes: (n, 4) found: centre x and y, width, height, fractions of the picture.
        scores: (n,) of them, in [0, 1].
        truth: (m, 4) boxes that are there.
        ignored: (k, 4) boxes in which finding something is neither right nor wrong.
    """

    boxes: Floats
    scores: Floats
    truth: Floats
    ignored: Floats


@dataclass(frozen=True)
class PalmScores:
    """Numbers of a report.

    Attributes:
        ap: average precision over overlaps of 0.5 to 0.95, in [0, 1].
        ap50: at an overlap of 0.5; the figure to compare with the post's 95.7 %.
        recall: share of palms that are found with a score of 0.5 and an overlap of 0.5.
        false_alarms: found in a picture, on average, with a score of 0.5, where nothing is.
        palms: that there are.
    """

    ap: float
    ap50: float
    recall: float
    false_alarms: float
    palms: int

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers, rounded."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def palm_scores(pictures: Sequence[Detections], *, threshold: float = 0.5) -> PalmScores:
    """Summarise what was found.

    Args:
        pictures: all of them, also those without palms.
        threshold: on the score, for recall and false alarms.

    Raises:
        MissingDependencyError: ``faster-coco-eval`` is not installed.
    """
    found = 0
    alarms = 0
    palms = sum(len(picture.truth) for picture in pictures)
    for picture in pictures:
        sure = picture.boxes[picture.scores >= threshold]
        overlaps = overlaps_of(picture.truth, sure)
        found += int((overlaps.max(axis=1, initial=0) >= 0.5).sum())
        known = np.concatenate([picture.truth, picture.ignored])
        alarms += int((overlaps_of(sure, known).max(axis=1, initial=0) < 0.1).sum())
    ap, ap50 = average_precision(pictures)
    return PalmScores(ap, ap50, found / max(palms, 1), alarms / max(len(pictures), 1), palms)


def overlaps_of(boxes: Floats, others: Floats) -> Floats:
    """Return intersection over union of (n, 4) and (m, 4) boxes, centre and size: (n, m)."""
    low = np.maximum(_low(boxes)[:, None], _low(others)[None])
    high = np.minimum(_high(boxes)[:, None], _high(others)[None])
    shared = (high - low).clip(0).prod(axis=2)
    areas = boxes[:, 2:].prod(axis=1)[:, None] + others[:, 2:].prod(axis=1)[None]
    return np.asarray(shared / (areas - shared).clip(1e-12), np.float32)


def _low(boxes: Floats) -> Floats:
    return np.asarray(boxes[:, :2] - boxes[:, 2:] / 2, np.float32)


def _high(boxes: Floats) -> Floats:
    return np.asarray(boxes[:, :2] + boxes[:, 2:] / 2, np.float32)


def coco_library() -> Any:
    """Return the library of the protocol.

    Raises :class:`MissingDependencyError` if it is not installed.
    """
    try:
        import faster_coco_eval
    except ImportError as error:
        raise MissingDependencyError("faster-coco-eval", "train", "average precision") from error
    return faster_coco_eval


def average_precision(pictures: Sequence[Detections]) -> tuple[float, float]:
    """Return the average precision over all overlaps, and at 0.5; 0 where nothing is found."""
    coco = coco_library()
    truth: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, 1):
        for box in picture.truth:
            truth.append(_annotation(len(truth) + 1, number, box, is_crowd=False))
        for box in picture.ignored:
            truth.append(_annotation(len(truth) + 1, number, box, is_crowd=True))
        for box, score in zip(picture.boxes, picture.scores, strict=True):
            answers.append({**_annotation(0, number, box, is_crowd=False), "score": float(score)})
    if not answers:
        return 0.0, 0.0
    images = [
        {"id": number, "width": _SCALE, "height": _SCALE} for number in range(1, len(pictures) + 1)
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its tables
        known = coco.COCO(
            {"images": images, "annotations": truth, "categories": [{"id": 1, "name": "palm"}]}
        )
        evaluation = coco.COCOeval_faster(known, known.loadRes(answers), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[1])


def _annotation(number: int, picture: int, box: Floats, *, is_crowd: bool) -> dict[str, Any]:
    left, top = (_SCALE * (box[:2] - box[2:] / 2)).tolist()
    width, height = (_SCALE * box[2:]).tolist()
    return {
        "id": number,
        "image_id": picture,
        "category_id": 1,
        "bbox": [left, top, width, height],
        "area": width * height,
        "iscrowd": int(is_crowd),
    }
