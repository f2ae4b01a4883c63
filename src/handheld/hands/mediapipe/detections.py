"""Detections: labelled, in the picture's coordinates, as rectangles, around landmarks."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import radians
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.graph import Calculator, Context, Contract
from handheld.graph.text import NodeText, OptionReader, canonical_names, read_options
from handheld.graph.text.library_ports import stream_pairs
from handheld.hands.geometry import turn_of
from handheld.hands.mediapipe.nodes import connected, converter, one_of, wrong
from handheld.hands.mediapipe.resources import (
    ClassLabel,
    LabelMap,
    Resources,
    label_items,
    opened_labels,
)
from handheld.hands.mediapipe.values import (
    Detection,
    Detections,
    ImageSize,
    NormalizedRect,
    Padding,
)


def with_labels(detections: Detections, labels: LabelMap, *, keep_label_id: bool) -> Detections:
    """Return detections with the names of their classes in place of their numbers.

    Args:
        detections: of which some may have classes without a name; these keep their numbers.
        labels: number -> name.
        keep_label_id: the others keep them too.
    """
    return [_labelled(detection, labels, keep_label_id=keep_label_id) for detection in detections]


def _labelled(detection: Detection, labels: LabelMap, *, keep_label_id: bool) -> Detection:
    names = [labels[number] for number in detection.label_ids if number in labels]
    if not names:
        return detection
    shown = [name.display_name for name in names if name.display_name]
    label_ids = detection.label_ids
    if not keep_label_id:
        label_ids = ()
    return replace(
        detection,
        label_ids=label_ids,
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
    left_edge, top, right, bottom = padding
    across = 1 - (left_edge + right)
    down = 1 - (top + bottom)
    corner = np.array([left_edge, top])
    return [
        replace(
            detection,
            xmin=(detection.xmin - left_edge) / across,
            ymin=(detection.ymin - top) / down,
            width=detection.width / across,
            height=detection.height / down,
            keypoints=(detection.keypoints - corner) / (across, down),
        )
        for detection in detections
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
    # Without the third column, which is depth's: boxes have none.
    affine = np.asarray(matrix, dtype=np.float64).reshape(4, 4)[:2, [0, 1, 3]]
    return [_projected(detection, affine) for detection in detections]


def _projected(detection: Detection, affine: NDArray[Any]) -> Detection:
    rect = detection.rect
    # All four: turned by the map, the box's corner need not be the smallest any more.
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
_FEWEST_OF_A_BOX = 2  # keypoints, as in MediaPipe: one alone has no extent


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
        if len(detection.keypoints) < _FEWEST_OF_A_BOX:
            raise InputError(
                f"conversion_mode: expected {_FEWEST_OF_A_BOX} keypoints or more, "
                f"got {len(detection.keypoints)}"
            )
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
        size = None
        if self._sized:
            size = context.get("IMAGE_SIZE")
        rects = [rect_of_detection(detection, size, self._options) for detection in detections]
        if not rects:
            if not self._zero:
                return
            rects = [NormalizedRect()]
        if self._target == "NORM_RECTS":
            context.send(self._target, rects)
        else:
            context.send(self._target, rects[0])


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
    # All are read before any is missed, so that none counts as an option that nobody knows.
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
