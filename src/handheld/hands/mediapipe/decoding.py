"""Detections out of a detector's tensors: MediaPipe's ``TensorsToDetectionsCalculator``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.graph import Calculator
from handheld.graph.text import NodeText, OptionReader, canonical_names, read_options
from handheld.hands.boxes import BoxLayout, BoxOrder, decode_boxes
from handheld.hands.mediapipe.nodes import converter, optional_number, wrong
from handheld.hands.mediapipe.tensors import sigmoid
from handheld.hands.mediapipe.values import Detection, Detections

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
    indices_of = options.tensors or {"detections": 0, "scores": 1, "anchors": 2}
    shape = (options.num_boxes, options.num_coords)
    raw = _shaped(tensors[indices_of["detections"]], shape, "boxes")
    scores = _shaped(tensors[indices_of["scores"]], (shape[0], options.num_classes), "scores")
    if len(tensors) == 3:
        # Height and width come first in that tensor.
        anchors = _shaped(tensors[indices_of["anchors"]], (shape[0], _BOX), "anchors")[
            :, [1, 0, 3, 2]
        ]
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
    # Before the sigmoid, which keeps the order: it is taken of one score a row.
    best = seen.argmax(axis=1)
    values = seen[np.arange(len(seen)), best]
    if options.sigmoid_score:
        if options.score_clipping_thresh is not None:
            limit = np.float32(options.score_clipping_thresh)
            values = np.clip(values, -limit, limit)
        values = sigmoid(values)
    return numbers[best], values


def _is_allowed(number: int, options: DecodingOptions) -> bool:
    return not options.classes or (number in options.classes) == options.allowed


def _passes(scores: NDArray[Any], classes: NDArray[Any], options: DecodingOptions) -> NDArray[Any]:
    passes = classes >= 0
    if options.min_score_thresh is not None:
        # In float32, as the scores are: 0.7 in doubles lies above their 0.7.
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
        left_edge, top = (centre - size / 2).tolist()
        width, height = size.tolist()
        detections.append(
            Detection(
                left_edge, top, width, height, keypoints, tuple(row_scores), tuple(row_classes)
            )
        )
    return detections


# The order in which TFLite's Detection_PostProcess gives them.
_BUILT_IN = {"detections": 0, "classes": 1, "scores": 2, "num_detections": 3}


def _of_built_in(tensors: Sequence[NDArray[Any]], options: DecodingOptions) -> Detections:
    """Return what a model says that decodes its boxes itself (``Detection_PostProcess``)."""
    indices_of = options.tensors or _BUILT_IN
    boxes = _built_in_boxes(tensors[indices_of["detections"]], options)
    rows = len(boxes)
    scores = _flat(tensors[indices_of["scores"]], rows, "scores")
    classes = _flat(tensors[indices_of["classes"]], rows, "classes").astype(int)
    count = int(_flat(tensors[indices_of["num_detections"]], 1, "number of boxes")[0])
    if count == 0:
        return []
    # Each box stands once for each of its classes.
    if count < 0 or rows % count:
        raise InputError(f"number of boxes: expected a divisor of {rows}, got {count}")
    repeats = rows // count
    detections = _listed(
        _built_in_points(boxes[::repeats], options),
        scores.reshape(count, repeats),
        classes.reshape(count, repeats),
        # All: those without a class that is looked at do not count, and are known only below.
        replace(options, max_results=-1),
    )
    seen = [_with_passing(detection, options) for detection in detections]
    kept = [detection for detection in seen if detection.scores]
    if options.max_results < 0:
        return kept
    return kept[: options.max_results]


def _built_in_boxes(tensor: NDArray[Any], options: DecodingOptions) -> NDArray[Any]:
    """Return rows of corners and keypoints, (rows, num_coords)."""
    boxes: NDArray[Any] = np.asarray(tensor)
    if boxes.ndim != 3 or boxes.shape[0] != 1 or boxes.shape[2] != options.num_coords:
        raise InputError(f"boxes: expected [1, any, {options.num_coords}], got {list(boxes.shape)}")
    rows: NDArray[Any] = boxes[0]
    return rows


def _built_in_points(rows: NDArray[Any], options: DecodingOptions) -> NDArray[Any]:
    """Return centre, size and keypoints of each row, (rows, 2 + keypoints, 2)."""
    ymin, xmin, ymax, xmax = (rows[:, n] for n in options.corners or (0, 1, 2, 3))
    centre = np.stack([(xmin + xmax) / 2, (ymin + ymax) / 2], axis=1)
    size = np.stack([xmax - xmin, ymax - ymin], axis=1)
    keypoints = _built_in_keypoints(rows, options.layout)
    return np.concatenate([centre[:, None], size[:, None], keypoints], axis=1)


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
    threshold = options.min_score_thresh
    kept = [
        (score, number)
        for score, number in pairs
        if _is_allowed(number, options) and (threshold is None or score >= threshold)
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
        score_clipping_thresh=optional_number(options, "score_clipping_thresh"),
        min_score_thresh=optional_number(options, "min_score_thresh"),
        max_results=options.whole("max_results", -1),
        classes=frozenset(allow or ignore),
        allowed=bool(allow),
        flip_vertically=options.flag("flip_vertically"),
        tensors=_tensor_mapping(options),
        corners=_corners(options),
    )


def _layout(options: OptionReader, num_coords: int) -> BoxLayout:
    if options.whole("num_values_per_keypoint", 2) != 2:
        raise options.located("num_values_per_keypoint", "keypoints have x and y: expected 2")
    keypoints = options.whole("num_keypoints", 0, low=0)
    if 2 * keypoints + _BOX != num_coords:
        reason = f"num_coords: expected {2 * keypoints + _BOX}, 4 of a box and 2 of each keypoint"
        raise options.located("num_coords", reason)
    box_format = options.choice("box_format", _FORMATS, "UNSPECIFIED")
    if not options.has("box_format"):
        # What there was before ``box_format``.
        box_format = "YXHW"
        if options.flag("reverse_output_order"):
            box_format = "XYWH"
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
    indices_of: dict[str, int] = {}
    names = ("detections", "classes", "scores", "num_detections", "anchors")
    with options.message("tensor_mapping") as mapping:
        for name in names:
            if mapping.has(f"{name}_tensor_index"):
                indices_of[name] = mapping.whole(f"{name}_tensor_index", low=0)
    expected = [
        {"detections", "scores"},
        {"detections", "scores", "anchors"},
        {"detections", "scores", "classes", "num_detections"},
    ]
    if set(indices_of) not in expected or sorted(indices_of.values()) != list(
        range(len(indices_of))
    ):
        reason = (
            "tensor_mapping: expected detections and scores, with them anchors, or classes and "
            f"num_detections, each with another number from 0 on, got {indices_of}"
        )
        raise options.located("tensor_mapping", reason)
    return indices_of


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
