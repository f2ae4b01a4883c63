"""What was seen several times, once: MediaPipe's ``NonMaxSuppressionCalculator``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from handheld.graph import Calculator, Context, Contract
from handheld.graph.text import NodeText, read_options
from handheld.hands.boxes import overlapping_groups, unsuppressed
from handheld.hands.geometry import Overlap
from handheld.hands.mediapipe.values import Detection, Detections

_OVERLAPS = {
    "UNSPECIFIED_OVERLAP_TYPE": 0,
    "JACCARD": 1,
    "MODIFIED_JACCARD": 2,
    "INTERSECTION_OVER_UNION": 3,
}
_DIVISORS: Mapping[str, Overlap] = {
    "JACCARD": "hull",
    "MODIFIED_JACCARD": "second",
    "INTERSECTION_OVER_UNION": "union",
}


@dataclass(frozen=True)
class SuppressionOptions:
    """The options of ``NonMaxSuppressionCalculator``, by their names there.

    Attributes:
        max_num_detections: at most; -1 for all.
        min_score_threshold: of a detection; 0 or less for any.
        min_suppression_threshold: an overlap above it makes one of two.
        over: what the area that two share is divided by.
        weighted: those that overlap become their mean, weighted by scores; else the best is kept.
        multiclass_nms: each class by itself.
    """

    max_num_detections: int = -1
    min_score_threshold: float = -1.0
    min_suppression_threshold: float = 1.0
    over: Overlap = "hull"
    weighted: bool = False
    multiclass_nms: bool = False


def suppress(detections: Detections, options: SuppressionOptions) -> Detections:
    """Return detections of which one was seen several times once, best first.

    Two habits of MediaPipe's are not taken over: it leaves out all that is worse than a box without
    an area, and looks at ``max_num_detections`` with ``DEFAULT`` alone.
    """
    kept: Detections = []
    if options.multiclass_nms:
        for group in _by_class(detections):
            kept += _suppress_all(group, options)
    else:
        kept += _suppress_all(detections, options)
    kept.sort(key=_negative_score)
    limit = options.max_num_detections
    if limit < 0:
        return kept
    return kept[:limit]


def _by_class(detections: Detections) -> list[Detections]:
    groups: dict[int, Detections] = {}
    for detection in detections:
        # One of several classes counts with each of them.
        for number in detection.label_ids:
            groups.setdefault(number, []).append(detection)
    return list(groups.values())


def _negative_score(detection: Detection) -> float:
    return -detection.scores[0]


def _suppress_all(detections: Detections, options: SuppressionOptions) -> Detections:
    best = _best_first(detections, options.min_score_threshold)
    boxes = [detection.rect for detection in best]
    threshold = options.min_suppression_threshold
    if not options.weighted:
        return [best[number] for number in unsuppressed(boxes, threshold, over=options.over)]
    groups = overlapping_groups(boxes, threshold, over=options.over)
    return [_weighted_mean([best[number] for number in group]) for group in groups]


def _best_first(detections: Detections, min_score: float) -> Detections:
    """Return detections that are sure enough, each with its best class alone."""
    # Without a class there is no score by which to compare.
    best = [_with_best_label(d) for d in detections if d.label_ids or d.labels]
    # Stable: of equal ones the same comes first on each machine.
    best.sort(key=_negative_score)
    # 0 is no limit, as in MediaPipe: scores below zero pass too.
    if min_score <= 0:
        return best
    return [detection for detection in best if detection.scores[0] >= min_score]


def _with_best_label(detection: Detection) -> Detection:
    top = int(np.argmax(detection.scores))
    return replace(
        detection,
        scores=(detection.scores[top],),
        label_ids=detection.label_ids[top : top + 1],
        labels=() if detection.label_ids else detection.labels[top : top + 1],
    )


def _weighted_mean(detections: Detections) -> Detection:
    # The best one, whose classes and score the mean keeps.
    first = detections[0]
    if len(detections) == 1:
        return first
    weights = np.array([detection.scores[0] for detection in detections])
    weights /= weights.sum()
    boxes = np.array([[d.xmin, d.ymin, d.width, d.height] for d in detections])
    xmin, ymin, width, height = (weights @ boxes).tolist()
    keypoints = np.tensordot(weights, np.stack([d.keypoints for d in detections]), axes=1)
    return replace(first, xmin=xmin, ymin=ymin, width=width, height=height, keypoints=keypoints)


class NonMaxSuppression(Calculator):
    """Sends what is left of the detections of all streams at a timestamp.

    Args:
        streams: number of them, ports ``0``, ``1``, ...
        options: of the suppression.
        image: whether ``IMAGE`` is connected, which MediaPipe needs for boxes in pixels.
        return_empty: whether an empty list is sent where there is no detection.
    """

    def __init__(
        self, streams: int, options: SuppressionOptions, *, image: bool, return_empty: bool
    ) -> None:
        self._ports = [str(number) for number in range(streams)]
        self._options = options
        self._return_empty = return_empty
        inputs: dict[str, Any] = dict.fromkeys(self._ports, list)
        if image:
            inputs["IMAGE"] = object
        self.contract = Contract(inputs=inputs, outputs={"0": list})

    def process(self, context: Context) -> None:
        """Join and suppress."""
        detections: Detections = []
        for port in self._ports:
            detections += context.get(port) or []
        if detections or self._return_empty:
            context.send("0", suppress(detections, self._options))


def non_max_suppression_calculator(node: NodeText) -> Calculator:
    """Make a ``NonMaxSuppressionCalculator``."""
    with read_options(node, "NonMaxSuppressionCalculatorOptions") as options:
        streams = options.whole("num_detection_streams", 1, low=1)
        overlap_type = options.choice("overlap_type", _OVERLAPS, "JACCARD")
        if overlap_type not in _DIVISORS:
            raise options.located("overlap_type", f"overlap_type: {overlap_type} is none")
        if options.whole("max_num_detections", -1) == 0:
            raise options.located("max_num_detections", "expected a number above 0, or -1")
        algorithm = options.choice("algorithm", {"DEFAULT": 0, "WEIGHTED": 1}, "DEFAULT")
        suppression = SuppressionOptions(
            max_num_detections=options.whole("max_num_detections", -1),
            min_score_threshold=options.number("min_score_threshold", -1.0),
            min_suppression_threshold=options.number("min_suppression_threshold", 1.0),
            over=_DIVISORS[overlap_type],
            weighted=algorithm == "WEIGHTED",
            multiclass_nms=options.flag("multiclass_nms"),
        )
        return_empty = options.flag("return_empty_detections")
    image = any(port.tag == "IMAGE" for port in node.inputs)
    return NonMaxSuppression(streams, suppression, image=image, return_empty=return_empty)
