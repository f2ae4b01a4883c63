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


# Intersection over union from which on a palm is found, and below which a box is somewhere else.
_FOUND_OVERLAP = 0.5
_ELSEWHERE_OVERLAP = 0.1


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
    detected = 0
    alarms = 0
    palms = 0
    for picture in pictures:
        sure = picture.boxes[picture.scores >= threshold]
        detected += _count_detected(picture, sure)
        alarms += _count_alarms(picture, sure)
        palms += len(picture.truth)
    ap, ap50 = average_precision(pictures)
    # No palms, or no pictures: the counts are nothing, and must not divide.
    return PalmScores(
        ap=ap,
        ap50=ap50,
        recall=detected / max(palms, 1),
        false_alarms=alarms / max(len(pictures), 1),
        palms=palms,
    )


def _count_detected(picture: Detections, boxes: Floats) -> int:
    best = overlaps_of(picture.truth, boxes).max(axis=1, initial=0)
    return int((best >= _FOUND_OVERLAP).sum())


def _count_alarms(picture: Detections, boxes: Floats) -> int:
    # A box beside a palm is a bad detection, and average precision says so; it is no false alarm.
    known = np.concatenate([picture.truth, picture.ignored])
    best = overlaps_of(boxes, known).max(axis=1, initial=0)
    return int((best < _ELSEWHERE_OVERLAP).sum())


def overlaps_of(boxes: Floats, others: Floats) -> Floats:
    """Return intersection over union of (n, 4) and (m, 4) boxes, centre and size: (n, m)."""
    low = np.maximum(_low(boxes)[:, None], _low(others)[None])
    high = np.minimum(_high(boxes)[:, None], _high(others)[None])
    # Boxes apart overlap by a negative length, which is none.
    shared = (high - low).clip(0).prod(axis=2)
    areas = _areas(boxes)[:, None] + _areas(others)[None]
    union = (areas - shared).clip(1e-12)
    return np.asarray(shared / union, np.float32)


def _areas(boxes: Floats) -> Floats:
    return np.asarray(boxes[:, 2:].prod(axis=1), np.float32)


def _low(boxes: Floats) -> Floats:
    return np.asarray(boxes[:, :2] - boxes[:, 2:] / 2, np.float32)


def _high(boxes: Floats) -> Floats:
    return np.asarray(boxes[:, :2] + boxes[:, 2:] / 2, np.float32)


def coco_library() -> Any:
    """Return the library of the protocol.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import faster_coco_eval
    except ImportError as error:
        raise MissingDependencyError("faster-coco-eval", "train", "average precision") from error
    return faster_coco_eval


def average_precision(pictures: Sequence[Detections]) -> tuple[float, float]:
    """Return the average precision over all overlaps, and at 0.5; 0 where nothing is found."""
    # Asked for first: without it there is no score, of nothing neither.
    coco = coco_library()
    answers = _answers(pictures)
    # The library fails on an empty list of answers.
    if not answers:
        return 0.0, 0.0
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its tables
        truth = coco.COCO(_truth(pictures))
        evaluation = coco.COCOeval_faster(truth, truth.loadRes(answers), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # The first two of its twelve figures: over all overlaps, and at 0.5.
    return float(evaluation.stats[0]), float(evaluation.stats[1])


def _truth(pictures: Sequence[Detections]) -> dict[str, Any]:
    """Return what is there, as COCO's files have it. COCO counts pictures and boxes from 1."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, 1):
        images.append({"id": number, "width": _SCALE, "height": _SCALE})
        boxes = [(box, False) for box in picture.truth]
        # A crowd is COCO's word for where any answer, or none, is right.
        boxes += [(box, True) for box in picture.ignored]
        for box, is_crowd in boxes:
            annotation = _annotation(len(annotations) + 1, number, box, is_crowd=is_crowd)
            annotations.append(annotation)
    categories = [{"id": 1, "name": "palm"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def _answers(pictures: Sequence[Detections]) -> list[dict[str, Any]]:
    """Return what was found, as COCO's files of results have it."""
    answers: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, 1):
        for box, score in zip(picture.boxes, picture.scores, strict=True):
            annotation = _annotation(0, number, box, is_crowd=False)
            answers.append({**annotation, "score": float(score)})
    return answers


def _annotation(number: int, picture: int, box: Floats, *, is_crowd: bool) -> dict[str, Any]:
    low = box[:2] - box[2:] / 2
    x, y = (_SCALE * low).tolist()
    width, height = (_SCALE * box[2:]).tolist()
    return {
        "id": number,
        "image_id": picture,
        "category_id": 1,
        "bbox": [x, y, width, height],
        "area": width * height,
        "iscrowd": int(is_crowd),
    }
