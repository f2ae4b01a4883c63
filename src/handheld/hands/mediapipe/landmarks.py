"""Landmarks: out of tensors, without the letterbox, in the picture's coordinates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.graph import Calculator, Context, Contract
from handheld.graph.text import NodeText, canonical_names, read_options
from handheld.graph.text.library_ports import stream_pairs
from handheld.hands.landmark import project_points, turn_points
from handheld.hands.mediapipe.inference import float_tensor
from handheld.hands.mediapipe.nodes import connected, converter, flag_or_default, wrong
from handheld.hands.mediapipe.tensors import ACTIVATIONS, sigmoid
from handheld.hands.mediapipe.values import ImageSize, NormalizedRect, Padding

Landmarks = NDArray[Any]
"""(n, 3 to 5): x, y, z, visibility, presence."""

_MOST_VALUES = 5  # of a landmark; what a model gives beyond them nobody reads
_FLIPS = {"FLIP_HORIZONTALLY": bool, "FLIP_VERTICALLY": bool}


@dataclass(frozen=True)
class LandmarkFormat:
    """What a tensor of landmarks means: options of ``TensorsToLandmarksCalculator``.

    Attributes:
        num_landmarks: in the tensor.
        size: width and height of the model's input; 0 where nobody says.
        normalize_z: by which z is divided, beyond the width.
        visibility_sigmoid, presence_sigmoid: whether these columns are logits.
        flip_horizontally, flip_vertically: whether the model saw a mirrored picture.
    """

    num_landmarks: int
    size: ImageSize = (0, 0)
    normalize_z: float = 1.0
    visibility_sigmoid: bool = False
    presence_sigmoid: bool = False
    flip_horizontally: bool = False
    flip_vertically: bool = False


def tensors_to_landmarks(
    tensors: Sequence[NDArray[Any]],
    horizontally: bool | None,
    vertically: bool | None,
    *,
    layout: LandmarkFormat,
) -> tuple[Landmarks, Landmarks | None]:
    """Return landmarks in the units of the tensor, and relative to the model's input.

    Args:
        tensors: the first holds the landmarks, one after the other.
        horizontally: whether they are mirrored; None is as ``layout`` says.
        vertically: the same.
        layout: what the numbers mean.

    Raises:
        InputError: the tensor is too small.
    """
    landmarks = _landmark_rows(float_tensor(tensors, "landmarks").ravel(), layout.num_landmarks)
    width, height = layout.size
    if flag_or_default(horizontally, layout.flip_horizontally):
        landmarks[:, 0] = width - landmarks[:, 0]
    if flag_or_default(vertically, layout.flip_vertically):
        landmarks[:, 1] = height - landmarks[:, 1]
    _activate(landmarks, layout)
    if not width or not height:
        return landmarks, None
    relative = landmarks.copy()
    relative[:, :3] /= (width, height, width * layout.normalize_z)
    return landmarks, relative


def _landmark_rows(values: NDArray[Any], count: int) -> Landmarks:
    """Return the numbers of a tensor as a new array, a row for each landmark."""
    dimensions = len(values) // count
    if not dimensions:
        raise InputError(f"expected {count} landmarks, got {len(values)} values")
    # What is left over at the end belongs to none, as in MediaPipe.
    rows = values[: dimensions * count].reshape(count, dimensions)
    # At least x, y and z: what a model does not give is 0.
    columns = min(max(dimensions, 3), _MOST_VALUES)
    landmarks = np.zeros((count, columns))
    landmarks[:, : min(dimensions, columns)] = rows[:, :columns]
    return landmarks


def _activate(landmarks: Landmarks, layout: LandmarkFormat) -> None:
    """Make probabilities of the columns that are logits, as far as the model gave them."""
    _, columns = landmarks.shape
    for column, is_logit in ((3, layout.visibility_sigmoid), (4, layout.presence_sigmoid)):
        if is_logit and column < columns:
            landmarks[:, column] = sigmoid(landmarks[:, column])


def tensors_to_landmarks_calculator(node: NodeText) -> Calculator:
    """Make a ``TensorsToLandmarksCalculator``."""
    with read_options(node, "TensorsToLandmarksCalculatorOptions") as options:
        if not options.has("num_landmarks"):
            raise options.located("num_landmarks", "option 'num_landmarks' is missing")
        if options.number("normalize_z", 1.0) == 0:
            raise options.located("normalize_z", "normalize_z: expected another number than 0")
        layout = LandmarkFormat(
            num_landmarks=options.whole("num_landmarks", low=1),
            size=(
                options.whole("input_image_width", 0, low=0),
                options.whole("input_image_height", 0, low=0),
            ),
            normalize_z=options.number("normalize_z", 1.0),
            visibility_sigmoid=options.choice("visibility_activation", ACTIVATIONS, "NONE")
            == "SIGMOID",
            presence_sigmoid=options.choice("presence_activation", ACTIVATIONS, "NONE")
            == "SIGMOID",
            flip_horizontally=options.flag("flip_horizontally"),
            flip_vertically=options.flag("flip_vertically"),
        )
    names = [*canonical_names(node.inputs), *canonical_names(node.side_inputs)]
    flips = (
        layout.flip_horizontally or layout.flip_vertically or not _FLIPS.keys().isdisjoint(names)
    )
    needs_size = flips or "NORM_LANDMARKS" in canonical_names(node.outputs)
    if needs_size and not all(layout.size):
        raise wrong(node, "expected input_image_width and input_image_height too")
    return FlippableLandmarks(node, layout)


class FlippableLandmarks(Calculator):
    """Sends landmarks of tensors, mirrored as streams, side packets or options say."""

    def __init__(self, node: NodeText, layout: LandmarkFormat) -> None:
        self._layout = layout
        self.contract = Contract(
            inputs={"TENSORS": Sequence, **connected(node.inputs, _FLIPS)},
            outputs={"LANDMARKS": np.ndarray, "NORM_LANDMARKS": np.ndarray},
            side_inputs=connected(node.side_inputs, _FLIPS),
        )

    def process(self, context: Context) -> None:
        """Convert."""
        if "TENSORS" not in context.inputs:
            return
        flips = [self._flip(context, port) for port in _FLIPS]
        landmarks, relative = tensors_to_landmarks(
            context.get("TENSORS"), *flips, layout=self._layout
        )
        context.send("LANDMARKS", landmarks)
        if relative is not None:
            context.send("NORM_LANDMARKS", relative)

    def _flip(self, context: Context, port: str) -> bool | None:
        if port in context.inputs:
            return bool(context.get(port))
        return context.side.get(port)


def without_padding(landmarks: Landmarks, padding: Padding) -> Landmarks:
    """Return landmarks relative to the picture, not to the letterboxed one; z stays."""
    left_edge, top, right, bottom = padding
    if not any(padding):
        return landmarks
    moved = landmarks.copy()
    moved[:, 0] = (landmarks[:, 0] - left_edge) / (1 - (left_edge + right))
    moved[:, 1] = (landmarks[:, 1] - top) / (1 - (top + bottom))
    return moved


class LandmarkLetterboxRemoval(Calculator):
    """Takes the letterbox of a timestamp out of the landmarks of each stream."""

    def __init__(self, streams: Mapping[str, str]) -> None:
        self._streams = dict(streams)
        self.contract = Contract(
            inputs={**dict.fromkeys(streams, np.ndarray), "LETTERBOX_PADDING": tuple},
            outputs=dict.fromkeys(streams.values(), np.ndarray),
        )

    def process(self, context: Context) -> None:
        """Move."""
        padding = context.get("LETTERBOX_PADDING")
        for port, output in self._streams.items():
            if padding is not None and port in context.inputs:
                context.send(output, without_padding(context.get(port), padding))


def landmark_letterbox_removal_calculator(node: NodeText) -> Calculator:
    """Make a ``LandmarkLetterboxRemovalCalculator``."""
    read_options(node).finish()
    return LandmarkLetterboxRemoval(stream_pairs(node, "LANDMARKS"))


def projected_landmarks(
    landmarks: Landmarks, matrix: NDArray[Any], *, depth: float | None = None
) -> Landmarks:
    """Return landmarks moved by a map of the plane.

    Args:
        landmarks: (n, 3 or more).
        matrix: (4, 4).
        depth: by which z is multiplied; None for the length that the map gives to 1 along x.
    """
    moved = landmarks.astype(np.float64)
    affine = np.asarray(matrix, dtype=np.float64).reshape(4, 4)[:2, [0, 1, 3]]
    project_points(landmarks[:, 0], landmarks[:, 1], affine, out=moved)
    if depth is None:
        depth = np.hypot(affine[0, 0], affine[1, 0])
    moved[:, 2] *= depth
    return moved


def rect_matrix(
    rect: NormalizedRect, size: ImageSize | None, *, ignore_rotation: bool
) -> NDArray[np.float64]:
    """Return the (4, 4) map from points of a rectangle, in 0 to 1, to those of the picture.

    Args:
        rect: relative to the picture.
        size: of the picture; None turns in the unit square, as MediaPipe does without it, which is
            right for rectangles that are square in pixels.
        ignore_rotation: it is taken as upright.
    """
    angle = rect.rotation
    if ignore_rotation:
        angle = 0.0
    cosine, sine = np.cos(angle), np.sin(angle)
    width, height = rect.width, rect.height
    matrix = np.eye(4)
    matrix[:2, :2] = [[cosine * width, -sine * width], [sine * height, cosine * height]]
    if size is not None:
        ratio = size[1] / size[0]
        matrix[:2, :2] = [
            [cosine * width, -sine * height * ratio],
            [sine * width / ratio, cosine * height],
        ]
    matrix[:2, 3] = [rect.x_center, rect.y_center] - matrix[:2, :2].sum(axis=1) / 2
    return matrix


class LandmarkProjection(Calculator):
    """Moves landmarks of each stream from a rectangle, or by a matrix, to the picture."""

    def __init__(self, node: NodeText, *, ignore_rotation: bool) -> None:
        self._streams = stream_pairs(node, "NORM_LANDMARKS")
        self._ignore_rotation = ignore_rotation
        self._maps = connected(
            node.inputs,
            {"NORM_RECT": NormalizedRect, "IMAGE_DIMENSIONS": tuple, "PROJECTION_MATRIX": object},
        )
        self.contract = Contract(
            inputs={**dict.fromkeys(self._streams, np.ndarray), **self._maps},
            outputs=dict.fromkeys(self._streams.values(), np.ndarray),
        )

    def process(self, context: Context) -> None:
        """Move."""
        if not all(port in context.inputs for port in self._maps):
            return
        matrix, depth = self._map(context)
        for port, output in self._streams.items():
            if port in context.inputs:
                moved = projected_landmarks(context.get(port), matrix, depth=depth)
                context.send(output, moved)

    def _map(self, context: Context) -> tuple[NDArray[Any], float | None]:
        """Return the map, and what z is multiplied by where the map does not tell."""
        if "NORM_RECT" not in self._maps:
            return context.get("PROJECTION_MATRIX"), None
        rect = context.get("NORM_RECT")
        upright = self._ignore_rotation
        if "IMAGE_DIMENSIONS" in self._maps:
            size = context.get("IMAGE_DIMENSIONS")
            return rect_matrix(rect, size, ignore_rotation=upright), None
        # In widths of the picture, whatever the rotation.
        return rect_matrix(rect, None, ignore_rotation=upright), rect.width


def landmark_projection_calculator(node: NodeText) -> Calculator:
    """Make a ``LandmarkProjectionCalculator``."""
    with read_options(node, "LandmarkProjectionCalculatorOptions") as options:
        ignore_rotation = options.flag("ignore_rotation")
    names = canonical_names(node.inputs)
    if ("NORM_RECT" in names) == ("PROJECTION_MATRIX" in names):
        raise wrong(node, "expected one of NORM_RECT and PROJECTION_MATRIX to be connected")
    return LandmarkProjection(node, ignore_rotation=ignore_rotation)


def turned_landmarks(landmarks: Landmarks, rect: NormalizedRect | None) -> Landmarks:
    """Return landmarks in metres turned as a rectangle is; those without one stay."""
    if rect is None:
        return landmarks
    turned = landmarks.astype(np.float64)
    turned[:, :3] = turn_points(landmarks[:, :3], rect.rotation)
    return turned


def world_landmark_projection_calculator(node: NodeText) -> Calculator:
    """Make a ``WorldLandmarkProjectionCalculator``."""
    read_options(node).finish()
    return converter(
        node,
        turned_landmarks,
        inputs={"LANDMARKS": np.ndarray},
        optional={"NORM_RECT": NormalizedRect},
        outputs={"LANDMARKS": np.ndarray},
    )
