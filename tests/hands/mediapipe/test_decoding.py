from math import exp

import numpy as np
import pytest
from mediapipe_nodes import calculator, converted, options

from handheld.errors import GraphTextError, InputError
from handheld.hands.boxes import BoxLayout
from handheld.hands.mediapipe.decoding import DecodingOptions, tensors_to_detections

DECODING = "num_classes: 1 num_boxes: 2 num_coords: 6 num_keypoints: 1 keypoint_coord_offset: 4"
SCALES = "x_scale: 10 y_scale: 20 w_scale: 10 h_scale: 20"


def decoder(text, more=""):
    words = "calculator: 'TensorsToDetectionsCalculator' input_stream: 'TENSORS:t' " + more
    words += " input_side_packet: 'ANCHORS:a' output_stream: 'DETECTIONS:d' "
    return calculator(words + options("TensorsToDetectionsCalculatorOptions", text))


def tensors(rows, scores):
    return [np.array([rows], np.float32), np.array(scores, np.float32)[None]]


ANCHORS = np.array([[0.5, 0.5, 1, 1], [0.2, 0.4, 0.5, 2]], np.float32)


def test_decoding_by_hand():
    text = f"{DECODING} {SCALES} reverse_output_order: true min_score_thresh: 0.5"
    rows = [[1, 2, 4, 8, 3, -2], [2, 4, 2, 4, 0, 0]]
    found = converted(
        decoder(text),
        {"TENSORS": tensors(rows, [[0.9], [0.7]])},
        "DETECTIONS",
        {"ANCHORS": ANCHORS},
    )
    first, second = found
    # Its centre is (1/10, 2/20) from the anchor's, its size (4/10, 8/20).
    assert (first.xmin, first.ymin) == pytest.approx((0.6 - 0.2, 0.6 - 0.2))
    assert (first.width, first.height) == pytest.approx((0.4, 0.4))
    assert first.keypoints.tolist() == [pytest.approx([0.8, 0.4])]
    assert first.scores == (pytest.approx(0.9),)
    assert first.label_ids == (0,)
    # An anchor's size scales what is said beside it.
    assert second.rect.x == pytest.approx(0.2 + 0.2 * 0.5)
    assert second.rect.y == pytest.approx(0.4 + 0.2 * 2)
    assert (second.width, second.height) == pytest.approx((0.1, 0.4))


@pytest.mark.parametrize(
    ("box_format", "row"),
    [
        ("YXHW", [2, 1, 8, 4, -2, 3]),
        ("UNSPECIFIED", [2, 1, 8, 4, -2, 3]),
        ("XYWH", [1, 2, 4, 8, 3, -2]),
        # How far the edges are: left 1, top 2, right 3, bottom 6.
        ("XYXY", [1, 2, 3, 6, 3, -2]),
    ],
)
def test_each_box_format_says_the_same(box_format, row):
    text = f"{DECODING} {SCALES} box_format: {box_format}"
    found = converted(
        decoder(text),
        {"TENSORS": tensors([row, row], [[1], [1]])},
        "DETECTIONS",
        {"ANCHORS": ANCHORS},
    )
    assert (found[0].rect.x, found[0].rect.y) == pytest.approx((0.6, 0.6))
    assert (found[0].width, found[0].height) == pytest.approx((0.4, 0.4))
    assert found[0].keypoints.tolist() == [pytest.approx([0.8, 0.4])]


def test_exponential_sizes_and_upside_down():
    text = f"{DECODING} {SCALES} box_format: XYWH apply_exponential_on_box_size: true"
    row = [0, 0, 10, 20, 0, 5]
    found = converted(
        decoder(text + " flip_vertically: true"),
        {"TENSORS": tensors([row, row], [[1], [1]])},
        "DETECTIONS",
        {"ANCHORS": ANCHORS},
    )
    assert (found[1].width, found[1].height) == pytest.approx((0.5 * exp(1), 2 * exp(1)))
    assert found[1].rect.y == pytest.approx(1 - 0.4)
    assert found[0].keypoints[0, 1] == pytest.approx(1 - 0.75)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [(2, 3.0), (0, 1.0), (1, -200.0)]),
        ("sigmoid_score: true score_clipping_thresh: 1", [(2, 1), (0, 1), (1, -1)]),
        ("ignore_classes: 2", [(0, 2.0), (0, 1.0), (1, -200.0)]),
        ("allow_classes: [1]", [(1, -1.0), (1, -5.0), (1, -200.0)]),
        ("min_score_thresh: 1", [(2, 3.0), (0, 1.0)]),
        ("max_results: 1", [(2, 3.0)]),
    ],
)
def test_classes_and_scores(text, expected):
    scores = [[2, -1, 3], [1, -5, 0], [-201, -200, -300]]
    rows = np.zeros((3, 4))
    text = f"num_classes: 3 num_boxes: 3 num_coords: 4 {text} x_scale: 1 y_scale: 1"
    anchors = np.zeros((3, 4), np.float32)
    found = converted(
        decoder(text), {"TENSORS": tensors(rows, scores)}, "DETECTIONS", {"ANCHORS": anchors}
    )
    if "sigmoid" in text:
        expected = [(number, 1 / (1 + exp(-score))) for number, score in expected]
    assert [(d.label_ids[0], d.scores[0]) for d in found] == [
        (number, pytest.approx(score)) for number, score in expected
    ]


def test_boxes_of_negative_size_are_left_out():
    layout = BoxLayout()
    rows = np.array([[0, 0, -1, 1], [0, 0, 1, 1], [0, 0, np.nan, 1]], np.float32)
    found = tensors_to_detections(
        [rows[None], np.ones((1, 3, 1), np.float32)],
        np.zeros((3, 2), np.float32),
        None,
        DecodingOptions(1, 3, 4, layout, max_results=1),
    )
    assert [d.width for d in found] == [1]


def test_anchors_may_be_a_tensor_whose_order_the_options_say():
    text = f"{DECODING} {SCALES} box_format: XYWH tensor_mapping {{ detections_tensor_index: 2 "
    text += "scores_tensor_index: 0 anchors_tensor_index: 1 }"
    boxes, scores = tensors([[1, 2, 4, 8, 3, -2]] * 2, [[1], [1]])
    heights_first = ANCHORS[:, [1, 0, 3, 2]]
    words = decoder(text)
    _, second = tensors_to_detections([scores, heights_first, boxes], None, None, words_of(words))
    assert second.rect.x == pytest.approx(0.2 + 0.1 * 0.5)


def words_of(node):
    return node._function.keywords["options"]


def test_a_model_that_gives_boxes_itself():
    text = "num_classes: 3 num_coords: 4 min_score_thresh: 0.3 box_boundaries_indices { ymin: 1 "
    text += "xmin: 0 ymax: 3 xmax: 2 }"
    # Two boxes, each with two classes.
    boxes = np.array([[[0.1, 0.2, 0.3, 0.6]] * 2 + [[0, 0, 1, 1]] * 2], np.float32)
    classes = np.array([[1, 2, 0, 1]], np.float32)
    scores = np.array([[0.9, 0.4, 0.8, 0.2]], np.float32)
    count = np.array([2], np.float32)
    node = decoder(text)
    found = tensors_to_detections([boxes, classes, scores, count], None, None, words_of(node))
    assert found[0].label_ids == (1, 2)
    assert found[0].scores == (pytest.approx(0.9), pytest.approx(0.4))
    assert (found[0].xmin, found[0].ymin) == pytest.approx((0.1, 0.2))
    assert found[0].height == pytest.approx(0.4)
    assert found[1].label_ids == (0,)
    found = tensors_to_detections([boxes, classes, scores, count], None, [1], words_of(node))
    assert [d.label_ids for d in found] == [(2,), (0,)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("num_boxes: 3 num_coords: 4", "option 'num_classes' is missing"),
        ("num_classes: 1 num_coords: 6", "num_coords: expected 4"),
        ("num_classes: 1 num_coords: 4 num_values_per_keypoint: 3", "expected 2"),
        ("num_classes: 1 num_coords: 4 allow_classes: 1 ignore_classes: 2", "both stand"),
        ("num_classes: 1 num_coords: 4 max_results: 0", "max_results"),
        ("num_classes: 1 num_coords: 4 box_boundaries_indices { ymin: 2 }", "each of 0 to 3 once"),
        ("num_classes: 1 num_coords: 4 tensor_mapping {}", "tensor_mapping: expected"),
    ],
)
def test_decoding_options_that_are_wrong_are_told(text, reason):
    with pytest.raises(GraphTextError, match=reason):
        decoder(text)


def test_tensors_that_do_not_fit_the_options_are_told():
    node = words_of(decoder(f"{DECODING} {SCALES}"))
    boxes, scores = tensors(np.zeros((2, 6)), [[1], [1]])
    for given_tensors, anchors, reason in [
        ([boxes], ANCHORS, "expected 2, 3 or 4 tensors"),
        ([boxes[:, :1], scores], ANCHORS, r"boxes: expected float32 \[1, 2, 6\]"),
        ([boxes, scores.astype(np.float64)], ANCHORS, "scores: expected float32"),
        ([boxes, scores], None, "expected anchors"),
        ([boxes, scores], ANCHORS[:1], "expected 2 anchors"),
    ]:
        with pytest.raises(InputError, match=reason):
            tensors_to_detections(given_tensors, anchors, None, node)
