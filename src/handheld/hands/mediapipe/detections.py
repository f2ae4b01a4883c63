"""Detections: out of a model's tensors, without doubles, labelled, in the picture's coordinates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import radians
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.graph import Calculator, Context, Contract
from handheld.graph.text import NodeText, OptionReader, canonical_names, read_options
from handheld.graph.text.library import stream_pairs
from handheld.hands.boxes import (
    BoxLayout,
    BoxOrder,
    decode_boxes,
    overlapping_groups,
    unsuppressed,
)
from handheld.hands.geometry import Overlap, turn_of
from handheld.hands.mediapipe.nodes import connected, converter, one_of, wrong
from handheld.hands.mediapipe.resources import (
    ClassLabel,
    LabelMap,
    Resources,
    label_items,
    opened_labels,
)
from handheld.hands.mediapipe.values import Detection, ImageSize, NormalizedRect, Padding

Detections = list[Detection]

_FORMATS = {"UNSPECIFIED": 0, "YXHW": 1, "XYWH": 2, "XYXY": 3}
_ORDERS: Mapping[str, BoxOrder] = {"YXHW": "yxhw", "XYWH": "xywh", "XYXY": "xyxy"}
_BOX = 4  # values


@dataclass(frozen=True)
class DecodingOptions:
    """How a detector's tensors become detections: options of ``TensorsToDetectionsCalculator``.

    Attributes:
        num_classes, num_boxes, num_coords: of the tensors; ``num_boxes`` is 0 where the model says
            itself how many there are.
        layout: of a row.
        sigmoid_score: scores are logits.
        score_clipping_thresh: logits are held within it on either side; None leaves them.
        min_score_thresh: of a detection; None for any.
        max_results: detections at most; -1 for all.
        classes: numbers of the classes that are looked at, or that are not.
        allowed: whether those in ``classes`` are the ones that are looked at.
        flip_vertically: y is turned upside down.
        tensors: which tensor is which, by name, where the options say so.
        corners: columns of ymin, xmin, ymax and xmax, of a model that gives boxes itself.
    """

    num_classes: int
    num_boxes: int
    num_coords: int
    layout: BoxLayout
    sigmoid_score: bool = False
    score_clipping_thresh: float | None = None
    min_score_thresh: float | None = None
    max_results: int = -1
    classes: frozenset[int] = frozenset()
    allowed: bool = False
    flip_vertically: bool = False
    tensors: Mapping[str, int] | None = None
    corners: tuple[int, int, int, int] | None = None


def tensors_to_detections(
    tensors: Sequence[NDArray[Any]],
    anchors: NDArray[Any] | None,
    ignored: Iterable[int] | None,
    options: DecodingOptions,
) -> Detections:
    """Return the detections of a model's output, in the order of its rows.

    Args:
        tensors: boxes and scores; with them anchors, or classes and the number of boxes.
        anchors: (boxes, 4) or (boxes, 2), where they are not among the tensors.
        ignored: numbers of classes that are not looked at, in place of what the options say.
        options: what the numbers mean.

    Raises:
        InputError: there are no anchors, or a tensor is of another shape.
    """
    if ignored is not None:
        options = replace(options, classes=frozenset(ignored), allowed=False)
    if len(tensors) == 4:
        return _of_built_in(tensors, options)
    if len(tensors) not in (2, 3):
        raise InputError(f"expected 2, 3 or 4 tensors, got {len(tensors)}")
    if options.corners is not None:
        raise InputError("box_boundaries_indices is for models that give boxes: 4 tensors")
    where = options.tensors or {"detections": 0, "scores": 1, "anchors": 2}
    shape = (options.num_boxes, options.num_coords)
    raw = _shaped(tensors[where["detections"]], shape, "boxes")
    scores = _shaped(tensors[where["scores"]], (shape[0], options.num_classes), "scores")
    if len(tensors) == 3:
        # Height and width come first in that tensor.
        anchors = _shaped(tensors[where["anchors"]], (shape[0], _BOX), "anchors")[:, [1, 0, 3, 2]]
    if anchors is None:
        raise InputError("expected anchors, as the side packet ANCHORS or as a tensor")
    if len(anchors) != shape[0]:
        raise InputError(f"expected {shape[0]} anchors, one for each box, got {len(anchors)}")
    classes, best = _best_classes(scores, options)
    rows = np.flatnonzero(_passes(best, classes, options))
    points = decode_boxes(raw[rows], anchors[rows], options.layout)
    return _listed(points, best[rows, None], classes[rows, None], options)


def _shaped(tensor: NDArray[Any], shape: tuple[int, int], title: str) -> NDArray[Any]:
    array = np.asarray(tensor)
    # (1, rows, columns), or (1, 1, rows, columns) from a GPU; anchors without the first.
    is_known = array.shape[-2:] == shape and array.size == shape[0] * shape[1]
    if not is_known or array.dtype != np.float32:
        raise InputError(
            f"{title}: expected float32 [1, {shape[0]}, {shape[1]}] as the options say, got "
            f"{array.dtype} {list(array.shape)}"
        )
    return array.reshape(shape)


def _best_classes(
    scores: NDArray[Any], options: DecodingOptions
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return each row's best class of those that are looked at, -1 for none, and its score."""
    numbers = np.array([n for n in range(options.num_classes) if _is_allowed(n, options)], int)
    if not len(numbers):
        return np.full(len(scores), -1), np.full(len(scores), -np.inf, np.float32)
    seen = scores[:, numbers]
    best = seen.argmax(axis=1)
    values = seen[np.arange(len(seen)), best]
    if options.sigmoid_score:
        if options.score_clipping_thresh is not None:
            limit = np.float32(options.score_clipping_thresh)
            values = np.clip(values, -limit, limit)
        with np.errstate(over="ignore"):  # of an exponential that is infinite the score is 0
            values = 1 / (1 + np.exp(-values))
    return numbers[best], values


def _is_allowed(number: int, options: DecodingOptions) -> bool:
    return not options.classes or (number in options.classes) == options.allowed


def _passes(scores: NDArray[Any], classes: NDArray[Any], options: DecodingOptions) -> NDArray[Any]:
    passes = classes >= 0
    if options.min_score_thresh is not None:
        passes &= scores >= np.float32(options.min_score_thresh)
    return passes


def _listed(
    points: NDArray[Any], scores: NDArray[Any], classes: NDArray[Any], options: DecodingOptions
) -> Detections:
    """Return rows of centre, size and keypoints as detections, without those of negative size."""
    detections: Detections = []
    for row, row_scores, row_classes in zip(
        points.astype(np.float64), scores.tolist(), classes.tolist(), strict=True
    ):
        if len(detections) == options.max_results:
            break
        centre, size, keypoints = row[0], row[1], row[2:]
        # Such boxes are decoded where a model sees nothing, and later calculators count on a size.
        if not (size >= 0).all():
            continue
        if options.flip_vertically:
            centre[1] = 1 - centre[1]
            keypoints[:, 1] = 1 - keypoints[:, 1]
        left, top = (centre - size / 2).tolist()
        width, height = size.tolist()
        detections.append(
            Detection(left, top, width, height, keypoints, tuple(row_scores), tuple(row_classes))
        )
    return detections


_BUILT_IN = {"detections": 0, "classes": 1, "scores": 2, "num_detections": 3}


def _of_built_in(tensors: Sequence[NDArray[Any]], options: DecodingOptions) -> Detections:
    """Return what a model says that decodes its boxes itself (``Detection_PostProcess``)."""
    where = options.tensors or _BUILT_IN
    boxes = np.asarray(tensors[where["detections"]])
    if boxes.ndim != 3 or boxes.shape[0] != 1 or boxes.shape[2] != options.num_coords:
        raise InputError(f"boxes: expected [1, any, {options.num_coords}], got {list(boxes.shape)}")
    rows = boxes.shape[1]
    scores = _flat(tensors[where["scores"]], rows, "scores")
    classes = _flat(tensors[where["classes"]], rows, "classes").astype(int)
    count = int(_flat(tensors[where["num_detections"]], 1, "number of boxes")[0])
    if count < 1 or rows % count:
        # Each box stands once for each of its classes; of none there is nothing to say.
        if count == 0:
            return []
        raise InputError(f"number of boxes: expected a divisor of {rows}, got {count}")
    each = rows // count
    ymin, xmin, ymax, xmax = (boxes[0, ::each, n] for n in options.corners or (0, 1, 2, 3))
    centre = np.stack([(xmin + xmax) / 2, (ymin + ymax) / 2], axis=1)
    size = np.stack([xmax - xmin, ymax - ymin], axis=1)
    keypoints = _built_in_keypoints(boxes[0, ::each], options.layout)
    points = np.concatenate([centre[:, None], size[:, None], keypoints], axis=1)
    detections = _listed(
        points,
        scores.reshape(count, each),
        classes.reshape(count, each),
        replace(options, max_results=-1),
    )
    seen = [_with_passing(detection, options) for detection in detections]
    kept = [detection for detection in seen if detection.scores]
    return kept if options.max_results < 0 else kept[: options.max_results]


def _flat(tensor: NDArray[Any], count: int, title: str) -> NDArray[Any]:
    values = np.asarray(tensor).ravel()
    if len(values) != count:
        raise InputError(f"{title}: expected {count} values, got {len(values)}")
    return values


def _built_in_keypoints(rows: NDArray[Any], layout: BoxLayout) -> NDArray[Any]:
    end = layout.keypoint_offset + 2 * layout.keypoints
    return rows[:, layout.keypoint_offset : end].reshape(len(rows), layout.keypoints, 2)


def _with_passing(detection: Detection, options: DecodingOptions) -> Detection:
    """Return a detection with those of its classes that are looked at and sure enough."""
    pairs = zip(detection.scores, detection.label_ids, strict=True)
    least = options.min_score_thresh
    kept = [
        (score, number)
        for score, number in pairs
        if _is_allowed(number, options) and (least is None or score >= least)
    ]
    return replace(
        detection,
        scores=tuple(score for score, _ in kept),
        label_ids=tuple(number for _, number in kept),
    )


def tensors_to_detections_calculator(node: NodeText) -> Calculator:
    """Make a ``TensorsToDetectionsCalculator``."""
    with read_options(node, "TensorsToDetectionsCalculatorOptions") as options:
        decoding = _decoding_options(options)
    if decoding.allowed and "IGNORE_CLASSES" in canonical_names(node.side_inputs):
        raise wrong(node, "allow_classes and the side packet IGNORE_CLASSES exclude each other")
    return converter(
        node,
        partial(tensors_to_detections, options=decoding),
        inputs={"TENSORS": Sequence},
        outputs={"DETECTIONS": list},
        optional_sides={"ANCHORS": np.ndarray, "IGNORE_CLASSES": Sequence},
    )


def _decoding_options(options: OptionReader) -> DecodingOptions:
    for name in ("num_classes", "num_coords"):
        if not options.has(name):
            raise options.located(name, f"option {name!r} is missing")
    num_coords = options.whole("num_coords", low=_BOX)
    layout = _layout(options, num_coords)
    allow = options.wholes("allow_classes")
    ignore = options.wholes("ignore_classes")
    if allow and ignore:
        raise options.located("ignore_classes", "allow_classes and ignore_classes both stand")
    if options.whole("max_results", -1) == 0:
        raise options.located("max_results", "max_results: expected a number above 0, or -1")
    return DecodingOptions(
        num_classes=options.whole("num_classes", low=1),
        num_boxes=options.whole("num_boxes", 0, low=0),
        num_coords=num_coords,
        layout=layout,
        sigmoid_score=options.flag("sigmoid_score"),
        score_clipping_thresh=_number(options, "score_clipping_thresh"),
        min_score_thresh=_number(options, "min_score_thresh"),
        max_results=options.whole("max_results", -1),
        classes=frozenset(allow or ignore),
        allowed=bool(allow),
        flip_vertically=options.flag("flip_vertically"),
        tensors=_tensor_mapping(options),
        corners=_corners(options),
    )


def _number(options: OptionReader, name: str) -> float | None:
    return options.number(name) if options.has(name) else None


def _layout(options: OptionReader, num_coords: int) -> BoxLayout:
    if options.whole("num_values_per_keypoint", 2) != 2:
        raise options.located("num_values_per_keypoint", "keypoints have x and y: expected 2")
    keypoints = options.whole("num_keypoints", 0, low=0)
    if 2 * keypoints + _BOX != num_coords:
        reason = f"num_coords: expected {2 * keypoints + _BOX}, 4 of a box and 2 of each keypoint"
        raise options.located("num_coords", reason)
    box_format = options.choice("box_format", _FORMATS, "UNSPECIFIED")
    if not options.has("box_format"):
        box_format = "XYWH" if options.flag("reverse_output_order") else "YXHW"
    options.ignore("reverse_output_order")
    scale = tuple(options.number(f"{side}_scale") for side in "xywh")
    return BoxLayout(
        order=_ORDERS.get(box_format, "yxhw"),
        box_offset=options.whole("box_coord_offset", 0, low=0, high=num_coords - _BOX),
        keypoint_offset=options.whole(
            "keypoint_coord_offset", 0, low=0, high=num_coords - 2 * keypoints
        ),
        keypoints=keypoints,
        # A model that decodes its boxes itself has none.
        scale=tuple(value or 1.0 for value in scale),  # type: ignore[arg-type]  # four of them
        exponential=options.flag("apply_exponential_on_box_size"),
    )


def _tensor_mapping(options: OptionReader) -> Mapping[str, int] | None:
    if not options.has("tensor_mapping"):
        return None
    where: dict[str, int] = {}
    names = ("detections", "classes", "scores", "num_detections", "anchors")
    with options.message("tensor_mapping") as mapping:
        for name in names:
            if mapping.has(f"{name}_tensor_index"):
                where[name] = mapping.whole(f"{name}_tensor_index", low=0)
    expected = [
        {"detections", "scores"},
        {"detections", "scores", "anchors"},
        {"detections", "scores", "classes", "num_detections"},
    ]
    if set(where) not in expected or sorted(where.values()) != list(range(len(where))):
        reason = (
            "tensor_mapping: expected detections and scores, with them anchors, or classes and "
            f"num_detections, each with another number from 0 on, got {where}"
        )
        raise options.located("tensor_mapping", reason)
    return where


def _corners(options: OptionReader) -> tuple[int, int, int, int] | None:
    if not options.has("box_boundaries_indices"):
        return None
    with options.message("box_boundaries_indices") as indices:
        corners = (
            indices.whole("ymin", 0),
            indices.whole("xmin", 1),
            indices.whole("ymax", 2),
            indices.whole("xmax", 3),
        )
    if sorted(corners) != [0, 1, 2, 3]:
        reason = f"box_boundaries_indices: expected each of 0 to 3 once, got {corners}"
        raise options.located("box_boundaries_indices", reason)
    return corners


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
    if options.multiclass_nms:
        numbers = sorted({number for found in detections for number in found.label_ids})
        groups = [[d for d in detections if number in d.label_ids] for number in numbers]
    else:
        groups = [detections]
    kept: Detections = []
    for group in groups:
        kept += _suppress_all(group, options)
    kept.sort(key=_negative_score)
    most = options.max_num_detections
    return kept if most < 0 else kept[:most]


def _negative_score(detection: Detection) -> float:
    return -detection.scores[0]


def _suppress_all(detections: Detections, options: SuppressionOptions) -> Detections:
    best = [_with_best_label(found) for found in detections if found.label_ids or found.labels]
    # Stable: of equal ones the same comes first on each machine.
    best.sort(key=_negative_score)
    if options.min_score_threshold > 0:
        best = [found for found in best if found.scores[0] >= options.min_score_threshold]
    boxes = [found.rect for found in best]
    threshold = options.min_suppression_threshold
    if not options.weighted:
        return [best[number] for number in unsuppressed(boxes, threshold, over=options.over)]
    groups = overlapping_groups(boxes, threshold, over=options.over)
    return [_weighted_mean([best[number] for number in group]) for group in groups]


def _with_best_label(detection: Detection) -> Detection:
    top = int(np.argmax(detection.scores))
    return replace(
        detection,
        scores=(detection.scores[top],),
        label_ids=detection.label_ids[top : top + 1],
        labels=() if detection.label_ids else detection.labels[top : top + 1],
    )


def _weighted_mean(detections: Detections) -> Detection:
    first = detections[0]
    if len(detections) == 1:
        return first
    weights = np.array([found.scores[0] for found in detections])
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


def with_labels(detections: Detections, labels: LabelMap, *, keep_label_id: bool) -> Detections:
    """Return detections with the names of their classes in place of their numbers.

    Args:
        detections: of which some may have classes without a name; these keep their numbers.
        labels: number -> name.
        keep_label_id: the others keep them too.
    """
    return [_labelled(found, labels, keep_label_id=keep_label_id) for found in detections]


def _labelled(detection: Detection, labels: LabelMap, *, keep_label_id: bool) -> Detection:
    names = [labels[number] for number in detection.label_ids if number in labels]
    if not names:
        return detection
    shown = [name.display_name for name in names if name.display_name]
    return replace(
        detection,
        label_ids=detection.label_ids if keep_label_id else (),
        labels=(*detection.labels, *(name.name for name in names)),
        display_names=(*detection.display_names, *shown),
    )


def detection_labels_calculator(node: NodeText, *, files: Resources) -> Calculator:
    """Make a ``DetectionLabelIdToTextCalculator``."""
    with read_options(node, "DetectionLabelIdToTextCalculatorOptions") as options:
        kinds = [n for n in ("label_map_path", "label", "label_items") if options.has(n)]
        if len(kinds) > 1:
            raise options.located(kinds[1], f"expected one of {', '.join(kinds)}")
        names = enumerate(options.texts("label"))
        labels: LabelMap = {number: ClassLabel(name) for number, name in names}
        labels = labels or label_items(options)
        path = options.text("label_map_path")
        keep = options.flag("keep_label_id")
    return converter(
        node,
        partial(with_labels, keep_label_id=keep),
        inputs={"0": list},
        outputs={"0": list},
        opened=partial(opened_labels, files=files, path=path, labels=labels),
    )


def without_letterbox(detections: Detections, padding: Padding) -> Detections:
    """Return detections relative to the picture, not to the letterboxed one around it.

    Args:
        detections: relative to the letterboxed picture.
        padding: left, top, right and bottom, as shares of it.
    """
    left, top, right, bottom = padding
    across = 1 - (left + right)
    down = 1 - (top + bottom)
    corner = np.array([left, top])
    return [
        replace(
            found,
            xmin=(found.xmin - left) / across,
            ymin=(found.ymin - top) / down,
            width=found.width / across,
            height=found.height / down,
            keypoints=(found.keypoints - corner) / (across, down),
        )
        for found in detections
    ]


def detection_letterbox_removal_calculator(node: NodeText) -> Calculator:
    """Make a ``DetectionLetterboxRemovalCalculator``."""
    read_options(node).finish()
    return converter(
        node,
        without_letterbox,
        inputs={"DETECTIONS": list, "LETTERBOX_PADDING": tuple},
        outputs={"DETECTIONS": list},
    )


def projected(detections: Detections, matrix: NDArray[Any]) -> Detections:
    """Return detections moved by a map of the plane; boxes become those around their corners.

    Args:
        detections: to be moved.
        matrix: (4, 4).
    """
    affine = np.asarray(matrix, dtype=np.float64).reshape(4, 4)[:2, [0, 1, 3]]
    return [_projected(found, affine) for found in detections]


def _projected(detection: Detection, affine: NDArray[Any]) -> Detection:
    rect = detection.rect
    corners = rect.corners @ affine[:, :2].T + affine[:, 2]
    low = corners.min(axis=0)
    width, height = (corners.max(axis=0) - low).tolist()
    return replace(
        detection,
        xmin=float(low[0]),
        ymin=float(low[1]),
        width=width,
        height=height,
        keypoints=detection.keypoints @ affine[:, :2].T + affine[:, 2],
    )


class DetectionProjection(Calculator):
    """Moves the detections of each stream by the matrix of its timestamp."""

    def __init__(self, streams: Mapping[str, str]) -> None:
        self._streams = dict(streams)
        self.contract = Contract(
            inputs={**dict.fromkeys(streams, list), "PROJECTION_MATRIX": np.ndarray},
            outputs=dict.fromkeys(streams.values(), list),
        )

    def process(self, context: Context) -> None:
        """Move."""
        matrix = context.get("PROJECTION_MATRIX")
        for port, output in self._streams.items():
            if matrix is not None and port in context.inputs:
                context.send(output, projected(context.get(port), matrix))


def detection_projection_calculator(node: NodeText) -> Calculator:
    """Make a ``DetectionProjectionCalculator``."""
    read_options(node).finish()
    return DetectionProjection(stream_pairs(node, "DETECTIONS"))


_MODES = {"DEFAULT": 0, "USE_BOUNDING_BOX": 1, "USE_KEYPOINTS": 2}


@dataclass(frozen=True)
class RectOptions:
    """How detections become rectangles: options of ``DetectionsToRectsCalculator``.

    Attributes:
        start, end: keypoints between which the direction leads; None leaves rectangles upright.
        target: radians, counter-clockwise from the right, where that direction should point.
        from_keypoints: the box around the keypoints, not the detection's own.
    """

    start: int | None = None
    end: int | None = None
    target: float = 0.0
    from_keypoints: bool = False


def rect_of_detection(
    detection: Detection, size: ImageSize | None, options: RectOptions
) -> NormalizedRect:
    """Return the rectangle of a detection.

    Args:
        detection: relative to the picture.
        size: of the picture, which directions need.
        options: how.

    Raises:
        InputError: a keypoint is missing, or the size is.
    """
    box = detection.rect
    if options.from_keypoints:
        if not len(detection.keypoints):
            raise InputError("conversion_mode: the detection has no keypoints")
        low = detection.keypoints.min(axis=0)
        extent = detection.keypoints.max(axis=0) - low
        (x, y), (width, height) = (low + extent / 2).tolist(), extent.tolist()
        box = replace(box, x=x, y=y, width=width, height=height)
    return NormalizedRect(box.x, box.y, box.width, box.height, _rotation(detection, size, options))


def _rotation(detection: Detection, size: ImageSize | None, options: RectOptions) -> float:
    if options.start is None or options.end is None:
        return 0.0
    if size is None:
        raise InputError("expected the picture's size on IMAGE_SIZE")
    if max(options.start, options.end) >= len(detection.keypoints):
        raise InputError(
            f"expected keypoints {options.start} and {options.end}, got {len(detection.keypoints)}"
        )
    # Pixels in float32, as MediaPipe has them here and the tracker everywhere.
    pixels = (detection.keypoints * size).astype(np.float32)
    leads = pixels[options.end].astype(np.float64) - pixels[options.start]
    return turn_of(float(leads[0]), float(leads[1]), target=options.target)


class DetectionsToRects(Calculator):
    """Sends the rectangle of a detection, of the first of several, or of each."""

    def __init__(
        self, node: NodeText, source: str, target: str, options: RectOptions, *, zero: bool
    ) -> None:
        self._source = source
        self._target = target
        self._options = options
        self._zero = zero
        self._sized = connected(node.inputs, {"IMAGE_SIZE": tuple})
        hint: Any = Detection if source == "DETECTION" else list
        outputs: dict[str, Any] = {target: NormalizedRect if target == "NORM_RECT" else list}
        self.contract = Contract(inputs={source: hint, **self._sized}, outputs=outputs)

    def process(self, context: Context) -> None:
        """Convert."""
        if self._source not in context.inputs:
            return
        detections = context.get(self._source)
        if self._source == "DETECTION":
            detections = [detections]
        size = context.get("IMAGE_SIZE") if self._sized else None
        rects = [rect_of_detection(found, size, self._options) for found in detections]
        if not rects:
            if not self._zero:
                return
            rects = [NormalizedRect()]
        context.send(self._target, rects if self._target == "NORM_RECTS" else rects[0])


def detections_to_rects_calculator(node: NodeText) -> Calculator:
    """Make a ``DetectionsToRectsCalculator`` of relative boxes."""
    source = one_of(node, node.inputs, "DETECTION", "DETECTIONS")
    target = one_of(node, node.outputs, "NORM_RECT", "NORM_RECTS", "RECT", "RECTS")
    if target in ("RECT", "RECTS"):
        raise wrong(node, f"{target}: boxes of detections are relative here, take NORM_{target}")
    with read_options(node, "DetectionsToRectsCalculatorOptions") as options:
        mode = options.choice("conversion_mode", _MODES, "DEFAULT")
        rects = replace(_rotation_options(options), from_keypoints=mode == "USE_KEYPOINTS")
        zero = options.flag("output_zero_rect_for_empty_detections")
    if rects.start is not None and "IMAGE_SIZE" not in canonical_names(node.inputs):
        raise wrong(node, "a rotation needs IMAGE_SIZE")
    return DetectionsToRects(node, source, target, rects, zero=zero)


_START = "rotation_vector_start_keypoint_index"
_END = "rotation_vector_end_keypoint_index"
_ANGLE = "rotation_vector_target_angle"


def _rotation_options(options: OptionReader) -> RectOptions:
    angles = [name for name in (_ANGLE, f"{_ANGLE}_degrees") if options.has(name)]
    target = options.number(_ANGLE)
    if options.has(f"{_ANGLE}_degrees"):
        target = radians(options.number(f"{_ANGLE}_degrees"))
    start = options.whole(_START, 0, low=0)
    end = options.whole(_END, 0, low=0)
    if not options.has(_START):
        return RectOptions()
    if not options.has(_END) or len(angles) != 1:
        reason = f"{_START}: expected {_END} and one of {_ANGLE} and {_ANGLE}_degrees too"
        raise options.located(_START, reason)
    return RectOptions(start, end, target)


def detection_of_landmarks(landmarks: NDArray[Any], selected: tuple[int, ...] = ()) -> Detection:
    """Return the box around landmarks, with these as keypoints.

    Args:
        landmarks: (n, 2 or more), relative to the picture.
        selected: numbers of those that are looked at; empty for all.

    Raises:
        InputError: there are no landmarks, or not as many.
    """
    if not len(landmarks) or max(selected, default=0) >= len(landmarks):
        raise InputError(f"expected landmarks {selected or 'at all'}, got {len(landmarks)}")
    points = np.asarray(landmarks)[list(selected) or slice(None), :2].astype(np.float64)
    low = points.min(axis=0)
    width, height = (points.max(axis=0) - low).tolist()
    return Detection(float(low[0]), float(low[1]), width, height, points)


def landmarks_to_detection_calculator(node: NodeText) -> Calculator:
    """Make a ``LandmarksToDetectionCalculator``."""
    with read_options(node, "LandmarksToDetectionCalculatorOptions") as options:
        selected = options.wholes("selected_landmark_indices", low=0)
    return converter(
        node,
        partial(detection_of_landmarks, selected=selected),
        inputs={"NORM_LANDMARKS": np.ndarray},
        outputs={"DETECTION": Detection},
    )
