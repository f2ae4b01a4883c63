import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mediapipe_nodes import calculator, converted, options

from handheld.errors import GraphTextError, InputError
from handheld.graph.testing import NodeRunner
from handheld.hands.landmark import LandmarkGeometry, project_landmarks
from handheld.hands.mediapipe import NormalizedRect
from handheld.hands.mediapipe.landmarks import (
    LandmarkFormat,
    projected_landmarks,
    rect_matrix,
    tensors_to_landmarks,
    turned_landmarks,
    without_padding,
)
from handheld.media import Rect


def node(text, ports="output_stream: 'NORM_LANDMARKS:l' "):
    words = "calculator: 'TensorsToLandmarksCalculator' input_stream: 'TENSORS:t' " + ports
    return calculator(words + options("TensorsToLandmarksCalculatorOptions", text))


SIZE = "num_landmarks: 2 input_image_width: 100 input_image_height: 50 "
TENSOR = [np.array([[10, 20, 30, 40, 50, 60]], np.float32)]


def test_landmarks_relative_to_the_models_input():
    found = converted(node(SIZE + "normalize_z: 0.5"), {"TENSORS": TENSOR}, "NORM_LANDMARKS")
    assert found.tolist() == [pytest.approx([0.1, 0.4, 0.6]), pytest.approx([0.4, 1.0, 1.2])]
    plain = converted(node(SIZE), {"TENSORS": TENSOR}, "LANDMARKS")
    assert plain.tolist() == [[10, 20, 30], [40, 50, 60]]


def test_landmarks_are_mirrored_as_options_side_packets_and_streams_say():
    found = converted(node(SIZE + "flip_horizontally: true"), {"TENSORS": TENSOR}, "LANDMARKS")
    assert found[:, 0].tolist() == [90, 60]
    ports = "output_stream: 'LANDMARKS:l' input_side_packet: 'FLIP_VERTICALLY:f' "
    found = converted(
        node(SIZE, ports), {"TENSORS": TENSOR}, "LANDMARKS", side={"FLIP_VERTICALLY": True}
    )
    assert found[:, 1].tolist() == [30, 0]
    ports = "output_stream: 'LANDMARKS:l' input_stream: 'FLIP_HORIZONTALLY:f' "
    inputs = {"TENSORS": TENSOR, "FLIP_HORIZONTALLY": False}
    found = converted(node(SIZE + "flip_horizontally: true", ports), inputs, "LANDMARKS")
    assert found[:, 0].tolist() == [10, 40]


def test_visibility_and_presence():
    layout = LandmarkFormat(1, (1, 1), visibility_sigmoid=True)
    values = np.array([1, 2, 3, 0, 7, 99], np.float32)
    landmarks, _ = tensors_to_landmarks([values], None, None, layout=layout)
    # What stands beyond presence nobody reads.
    assert landmarks.tolist() == [[1, 2, 3, 0.5, 7]]
    flat, _ = tensors_to_landmarks([values[:2]], None, None, layout=layout)
    assert flat.tolist() == [[1, 2, 0]]
    with pytest.raises(InputError, match="expected 9 landmarks, got 6 values"):
        tensors_to_landmarks([values], None, None, layout=LandmarkFormat(9))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "option 'num_landmarks' is missing"),
        ("num_landmarks: 2", "expected input_image_width and input_image_height"),
        ("num_landmarks: 2 normalize_z: 0", "normalize_z"),
    ],
)
def test_options_that_are_wrong_are_told(text, reason):
    with pytest.raises(GraphTextError, match=reason):
        node(text)


def test_the_letterbox_is_taken_away():
    points = np.array([[0.5, 0.25, 3.0], [0.0, 0.75, 4.0]])
    assert without_padding(points, (0, 0.25, 0, 0.25)).tolist() == [[0.5, 0, 3], [0, 1, 4]]
    assert without_padding(points, (0, 0, 0, 0)) is points
    words = "calculator: 'LandmarkLetterboxRemovalCalculator' "
    for number in range(2):
        words += f"input_stream: 'LANDMARKS:{number}:a{number}' "
        words += f"output_stream: 'LANDMARKS:{number}:b{number}' "
    removal = calculator(words + "input_stream: 'LETTERBOX_PADDING:p' ")
    with NodeRunner(removal) as runner:
        runner.add("LANDMARKS", points, 0)
        runner.add("LETTERBOX_PADDING", (0, 0.25, 0, 0.25), 0)
        runner.set_bound("LANDMARKS:1", 5)
        assert runner.take("LANDMARKS")[0].payload[1].tolist() == [0, 1, 4]
        assert runner.take("LANDMARKS:1") == []


@given(
    angle=st.floats(-3, 3),
    x=st.floats(-1, 1),
    y=st.floats(-1, 1),
    side=st.floats(10, 300),
)
def test_projection_is_the_trackers(angle, x, y, side):
    size = (640, 360)
    region = Rect(x * 640, y * 360, side, side, angle)
    raw = np.random.default_rng(1).uniform(0, 224, 63).astype(np.float32)
    geometry = LandmarkGeometry()
    expected = project_landmarks(raw, region, geometry)
    relative = raw.reshape(21, 3) / [224, 224, 224 * geometry.depth_scale]
    rect = NormalizedRect.of_pixels(region, size)
    for dimensions in (None, size):
        matrix = rect_matrix(rect, dimensions, ignore_rotation=False)
        found = projected_landmarks(relative, matrix)
        pixels = found[:, :2] * size
        assert np.allclose(pixels, expected[:, :2], atol=1e-3)
    words = "calculator: 'LandmarkProjectionCalculator' input_stream: 'NORM_LANDMARKS:a' "
    words += "output_stream: 'NORM_LANDMARKS:b' input_stream: 'NORM_RECT:r' "
    inputs = {"NORM_LANDMARKS": relative, "NORM_RECT": rect}
    found = converted(calculator(words), inputs, "NORM_LANDMARKS")
    depth = (found[:, 2] - found[0, 2]) * size[0]
    assert np.allclose(depth, expected[:, 2], atol=1e-3)


def test_a_rectangle_or_a_matrix_but_not_both():
    words = "calculator: 'LandmarkProjectionCalculator' input_stream: 'NORM_LANDMARKS:a' "
    words += "output_stream: 'NORM_LANDMARKS:b' "
    with pytest.raises(GraphTextError, match="expected one of NORM_RECT and PROJECTION_MATRIX"):
        calculator(words)
    by_matrix = calculator(words + "input_stream: 'PROJECTION_MATRIX:m' ")
    points = np.array([[0.5, 0.5, 1.0]])
    matrix = np.diag([2.0, 3.0, 2.0, 1.0])
    inputs = {"NORM_LANDMARKS": points, "PROJECTION_MATRIX": matrix}
    assert converted(by_matrix, inputs, "NORM_LANDMARKS").tolist() == [[1, 1.5, 2]]
    text = "input_stream: 'NORM_RECT:r' " + options(
        "LandmarkProjectionCalculatorOptions", "ignore_rotation: true"
    )
    rect = NormalizedRect(0.5, 0.5, 0.2, 0.4, 1.0)
    inputs = {"NORM_LANDMARKS": np.array([[1.0, 1.0, 1.0]]), "NORM_RECT": rect}
    found = converted(calculator(words + text), inputs, "NORM_LANDMARKS")
    assert found.tolist() == [pytest.approx([0.6, 0.7, 0.2])]


def test_world_landmarks_are_turned_and_not_moved():
    points = np.array([[1.0, 0.0, 5.0, 0.9]])
    turned = turned_landmarks(points, NormalizedRect(9, 9, 9, 9, np.pi / 2))
    assert turned.tolist() == [pytest.approx([0, 1, 5, 0.9])]
    assert turned_landmarks(points, None) is points
