"""Rectangles: around landmarks, transformed, and those that are not another's."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import radians
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.graph import Calculator, Context, Contract
from handheld.graph.text import NodeText, OptionReader, canonical_names, read_options
from handheld.graph.text.library_ports import ordered_ports
from handheld.hands.geometry import (
    LANDMARK_RULE,
    RectTransform,
    box_of_landmarks,
    overlap,
    transform_rect,
)
from handheld.hands.mediapipe.nodes import converter, one_of, wrong
from handheld.hands.mediapipe.values import ImageSize, NormalizedRect
from handheld.media import Rect

_LANDMARKS = 21


def transformed(rect: NormalizedRect, size: ImageSize, transform: RectTransform) -> NormalizedRect:
    """Return a relative rectangle that is transformed in pixels of a picture of a size."""
    moved = _transformed_pixels(rect.in_pixels(size), transform)
    return NormalizedRect.of_pixels(moved, size)


def _transformed_pixels(rect: Rect, transform: RectTransform) -> Rect:
    # MediaPipe turns the shift by its option and leaves the rectangle's own rotation as it was
    # (rect_transformation_calculator.cc, and 0.10.21 when it was run).
    return replace(transform_rect(rect, transform), angle=rect.angle)


def _transformed_rects(
    rects: Sequence[NormalizedRect], size: ImageSize, transform: RectTransform
) -> list[NormalizedRect]:
    return [transformed(rect, size, transform) for rect in rects]


def _transform_pixels(rects: Sequence[Rect], transform: RectTransform) -> list[Rect]:
    return [_transformed_pixels(rect, transform) for rect in rects]


def rect_transformation_calculator(node: NodeText) -> Calculator:
    """Make a ``RectTransformationCalculator``."""
    with read_options(node, "RectTransformationCalculatorOptions") as options:
        for first, second in (("rotation", "rotation_degrees"), ("square_long", "square_short")):
            if options.has(first) and options.has(second):
                raise options.located(second, f"expected one of {first} and {second}")
        rotation = options.number("rotation") + radians(options.number("rotation_degrees"))
        transform = RectTransform(
            scale_x=options.number("scale_x", 1.0),
            scale_y=options.number("scale_y", 1.0),
            shift_x=options.number("shift_x"),
            shift_y=options.number("shift_y"),
            rotation=rotation,
            square=_square(options),
        )
    source = one_of(node, node.inputs, "NORM_RECT", "NORM_RECTS", "RECT", "RECTS")
    choices: dict[str, tuple[Callable[..., Any], Any, Any]] = {
        "NORM_RECT": (partial(transformed, transform=transform), NormalizedRect, NormalizedRect),
        "NORM_RECTS": (partial(_transformed_rects, transform=transform), list, list),
        "RECT": (partial(_transformed_pixels, transform=transform), Rect, Rect),
        "RECTS": (partial(_transform_pixels, transform=transform), list, list),
    }
    function, hint, result = choices[source]
    inputs: dict[str, Any] = {source: hint}
    if source.startswith("NORM"):
        inputs["IMAGE_SIZE"] = tuple
    return converter(node, function, inputs=inputs, outputs={"0": result})


def _square(options: OptionReader) -> Literal["", "long", "short"]:
    short = options.flag("square_short")
    if options.flag("square_long"):
        return "long"
    return "short" if short else ""


def rect_of_landmarks(landmarks: NDArray[Any], size: ImageSize) -> NormalizedRect:
    """Return the box around a hand in which it is upright.

    Args:
        landmarks: (21, 2 or more), relative to the picture, of which those of the fingers' tips
            are left aside; or (12, 2 or more), those that are not, as older graphs split them.
        size: of the picture.

    Raises:
        InputError: there are other landmarks.
    """
    # Pixels in float32, as MediaPipe has them here and the tracker everywhere.
    points = (np.asarray(landmarks)[:, :2] * size).astype(np.float32)
    if len(points) == len(LANDMARK_RULE.subset):
        every = np.zeros((_LANDMARKS, 2), np.float32)
        every[list(LANDMARK_RULE.subset)] = points
        points = every
    if len(points) != _LANDMARKS:
        expected = f"{_LANDMARKS} landmarks, or {len(LANDMARK_RULE.subset)} of them"
        raise InputError(f"expected {expected}, got {len(points)}")
    return NormalizedRect.of_pixels(box_of_landmarks(points), size)


def hand_landmarks_to_rect_calculator(node: NodeText) -> Calculator:
    """Make a ``HandLandmarksToRectCalculator``."""
    read_options(node).finish()
    return converter(
        node,
        rect_of_landmarks,
        inputs={"NORM_LANDMARKS": np.ndarray, "IMAGE_SIZE": tuple},
        outputs={"NORM_RECT": NormalizedRect},
    )


def associate(
    streams: Sequence[Sequence[NormalizedRect]], min_similarity: float
) -> list[NormalizedRect]:
    """Return the rectangles of several lists of which none overlaps another.

    Of two that do, the later one stays. Rotation is left aside.

    Args:
        streams: the later ones come before the earlier ones.
        min_similarity: intersection over union above which two are one.
    """
    kept: list[NormalizedRect] = []
    for rects in streams:
        for rect in rects:
            kept = [old for old in kept if overlap(rect.rect, old.rect) <= min_similarity]
            kept.append(rect)
    return kept


class AssociateNormRects(Calculator):
    """Joins rectangles of several streams, see :func:`associate`; always sends a list."""

    def __init__(self, ports: Sequence[str], min_similarity: float) -> None:
        self._ports = tuple(ports)
        self._min_similarity = min_similarity
        self.contract = Contract(inputs=dict.fromkeys(ports, list), outputs={"0": list})

    def process(self, context: Context) -> None:
        """Join."""
        streams = [context.get(port) or [] for port in self._ports]
        context.send("0", associate(streams, self._min_similarity))


def association_norm_rect_calculator(node: NodeText) -> Calculator:
    """Make an ``AssociationNormRectCalculator``."""
    with read_options(node, "AssociationCalculatorOptions") as options:
        similarity = options.number("min_similarity_threshold", 1.0, low=0)
    if "PREV" in canonical_names(node.inputs):
        raise wrong(node, "PREV: rectangles have no ids here that could be handed on")
    return AssociateNormRects(ordered_ports(node.inputs), similarity)
