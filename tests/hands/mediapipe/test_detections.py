import numpy as np
import pytest
from mediapipe_nodes import calculator, converted, options

from handheld.errors import CalculatorError, GraphTextError, InputError
from handheld.hands.mediapipe import Detection, NormalizedRect
from handheld.hands.mediapipe.detections import (
    detection_of_landmarks,
    projected,
    without_letterbox,
)


def box(x, score, label=0, **more):
    return Detection(x, 0, 1, 1, scores=(score,), label_ids=(label,), **more)


def labels_node(text):
    words = "calculator: 'DetectionLabelIdToTextCalculator' input_stream: 'a' output_stream: 'b' "
    return calculator(words + options("DetectionLabelIdToTextCalculatorOptions", text))


@pytest.mark.parametrize(
    "text",
    [
        "label: ['cat', 'dog']",
        "label_map_path: 'labels.txt'",
        "label_items { key: 1 value { name: 'dog' display_name: 'Dog' } }",
    ],
)
def test_classes_become_names(text):
    boxes = [box(0, 0.5, 1), box(0, 0.5, 7)]
    dog, unknown = converted(labels_node(text), {"0": boxes}, "0")
    assert (dog.labels, dog.label_ids) == (("dog",), ())
    assert (unknown.labels, unknown.label_ids) == ((), (7,))
    assert dog.display_names == (("Dog",) if "Dog" in text else ())
    kept, _ = converted(labels_node(text + " keep_label_id: true"), {"0": boxes}, "0")
    assert kept.label_ids == (1,)


def test_two_sources_of_names_and_files_that_are_missing_are_told():
    with pytest.raises(GraphTextError, match="expected one of label_map_path, label"):
        labels_node("label_map_path: 'labels.txt' label: 'a'")
    with pytest.raises((InputError, CalculatorError), match=r"no file 'none\.txt' among"):
        converted(labels_node("label_map_path: 'none.txt'"), {"0": []}, "0")


def test_the_letterbox_is_taken_away():
    # Of a square around a picture twice as wide as high.
    padding = (0.0, 0.25, 0.0, 0.25)
    found = Detection(0.5, 0.25, 0.5, 0.5, np.array([[0.5, 0.5], [0.0, 0.75]]))
    (moved,) = without_letterbox([found], padding)
    assert (moved.xmin, moved.ymin, moved.width, moved.height) == (0.5, 0, 0.5, 1)
    assert moved.keypoints.tolist() == [[0.5, 0.5], [0, 1]]


def test_a_projected_box_is_that_around_its_corners():
    quarter = np.array([[0, -1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    (moved,) = projected([Detection(0.1, 0.2, 0.3, 0.4, np.array([[0.1, 0.2]]))], quarter)
    box_now = (moved.xmin, moved.ymin, moved.width, moved.height)
    assert box_now == pytest.approx((1 - 0.6, 0.1, 0.4, 0.3))
    assert moved.keypoints.tolist() == [pytest.approx([0.8, 0.1])]


def rects_node(text="", ports="input_stream: 'DETECTION:d' output_stream: 'NORM_RECT:r' "):
    words = "calculator: 'DetectionsToRectsCalculator' " + ports
    return calculator(words + options("DetectionsToRectsCalculatorOptions", text))


TURNED = """rotation_vector_start_keypoint_index: 0 rotation_vector_end_keypoint_index: 1
rotation_vector_target_angle_degrees: 90"""


def test_a_rectangle_is_turned_as_two_keypoints_say():
    # In pixels the direction is as far right as up; relative numbers do not show it.
    found = Detection(0, 0, 0.5, 1, np.array([[0.0, 1.0], [0.1, 0.8]]), scores=(1.0,))
    ports = "input_stream: 'DETECTION:d' input_stream: 'IMAGE_SIZE:s' output_stream: 'NORM_RECT:r'"
    node = rects_node(TURNED, ports)
    rect = converted(node, {"DETECTION": found, "IMAGE_SIZE": (200, 100)}, "NORM_RECT")
    assert rect == NormalizedRect(0.25, 0.5, 0.5, 1, pytest.approx(np.pi / 4))
    with pytest.raises(GraphTextError, match="a rotation needs IMAGE_SIZE"):
        rects_node(TURNED)


def test_rectangles_of_several_and_of_none():
    ports = "input_stream: 'DETECTIONS:d' output_stream: 'NORM_RECTS:r' "
    two = [Detection(0, 0, 1, 1), Detection(1, 1, 2, 2)]
    rects = converted(rects_node("", ports), {"DETECTIONS": two}, "NORM_RECTS")
    assert [rect.x_center for rect in rects] == [0.5, 2]
    assert converted(rects_node("", ports), {"DETECTIONS": []}, "NORM_RECTS") is None
    zero = "output_zero_rect_for_empty_detections: true"
    found = converted(rects_node(zero, ports), {"DETECTIONS": []}, "NORM_RECTS")
    assert found == [NormalizedRect()]
    points = [Detection(0, 0, 1, 1, np.array([[0.2, 0.4], [0.6, 0.5]]))]
    (rect,) = converted(
        rects_node("conversion_mode: USE_KEYPOINTS", ports), {"DETECTIONS": points}, "NORM_RECTS"
    )
    assert (rect.x_center, rect.y_center) == pytest.approx((0.4, 0.45))
    assert (rect.width, rect.height) == pytest.approx((0.4, 0.1))
    single = [Detection(0, 0, 1, 1, np.array([[0.2, 0.4]]))]
    node = rects_node("conversion_mode: USE_KEYPOINTS", ports)
    with pytest.raises(InputError, match="expected 2 keypoints or more, got 1"):
        converted(node, {"DETECTIONS": single}, "NORM_RECTS")


def test_rectangles_in_pixels_and_half_a_rotation_are_refused():
    ports = "input_stream: 'DETECTION:d' output_stream: 'RECT:r' "
    with pytest.raises(GraphTextError, match="take NORM_RECT"):
        rects_node("", ports)
    with pytest.raises(GraphTextError, match="expected rotation_vector_end_keypoint_index"):
        rects_node("rotation_vector_start_keypoint_index: 0")


def test_landmarks_become_a_detection():
    points = np.array([[0.5, 0.5, 9], [0.1, 0.9, 9], [0.7, 0.2, 9.0]])
    found = detection_of_landmarks(points, (0, 1))
    assert (found.xmin, found.ymin) == (0.1, 0.5)
    assert (found.width, found.height) == pytest.approx((0.4, 0.4))
    assert found.keypoints.tolist() == [[0.5, 0.5], [0.1, 0.9]]
    with pytest.raises(InputError, match="got 3"):
        detection_of_landmarks(points, (3,))
