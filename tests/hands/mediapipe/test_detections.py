"""Detections, beside loops that follow MediaPipe's sources."""

from dataclasses import replace
from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_runs import calculator, converted, options

from handheld.errors import CalculatorError, GraphTextError, InputError
from handheld.graph.testing import NodeRunner
from handheld.hands.boxes import BoxLayout
from handheld.hands.mediapipe import Detection, NormalizedRect
from handheld.hands.mediapipe.detections import (
    DecodingOptions,
    SuppressionOptions,
    detection_of_landmarks,
    projected,
    suppress,
    tensors_to_detections,
    without_letterbox,
)

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


BOXES = st.builds(
    Detection,
    xmin=st.floats(0, 1),
    ymin=st.floats(0, 1),
    width=st.floats(0.1, 1),
    height=st.floats(0.1, 1),
    scores=st.tuples(st.floats(0.1, 1)),
    label_ids=st.tuples(st.integers(0, 2)),
    keypoints=st.just(np.array([[0.5, 0.25]])),
)


def similarity(first, second, overlap_type):
    """As OverlapSimilarity of non_max_suppression_calculator.cc."""
    left, top = max(first.xmin, second.xmin), max(first.ymin, second.ymin)
    right = min(first.xmin + first.width, second.xmin + second.width)
    bottom = min(first.ymin + first.height, second.ymin + second.height)
    if right <= left or bottom <= top:
        return 0.0
    shared = (right - left) * (bottom - top)
    areas = first.width * first.height, second.width * second.height
    if overlap_type == "MODIFIED_JACCARD":
        return shared / areas[1]
    if overlap_type == "INTERSECTION_OVER_UNION":
        return shared / (sum(areas) - shared)
    across = max(first.xmin + first.width, second.xmin + second.width)
    across -= min(first.xmin, second.xmin)
    down = max(first.ymin + first.height, second.ymin + second.height)
    down -= min(first.ymin, second.ymin)
    return shared / (across * down)


def suppressed_by_loops(detections, threshold, overlap_type, weighted):
    rest = sorted(detections, key=lambda d: -d.scores[0])
    kept = []
    if not weighted:
        for current in rest:
            if all(similarity(k, current, overlap_type) <= threshold for k in kept):
                kept.append(current)
        return [(d.xmin, d.ymin, d.width, d.height) for d in kept]
    while rest:
        best = rest[0]
        same = [d for d in rest if d is best or similarity(d, best, overlap_type) > threshold]
        total = sum(d.scores[0] for d in same)
        xmin = sum(d.xmin * d.scores[0] for d in same) / total
        ymin = sum(d.ymin * d.scores[0] for d in same) / total
        xmax = sum((d.xmin + d.width) * d.scores[0] for d in same) / total
        ymax = sum((d.ymin + d.height) * d.scores[0] for d in same) / total
        kept.append((xmin, ymin, xmax - xmin, ymax - ymin))
        rest = [d for d in rest if all(d is not other for other in same)]
    return kept


OVERLAPS = ["JACCARD", "MODIFIED_JACCARD", "INTERSECTION_OVER_UNION"]


@pytest.mark.parametrize("overlap_type", OVERLAPS)
@pytest.mark.parametrize("algorithm", ["DEFAULT", "WEIGHTED"])
@given(detections=st.lists(BOXES, max_size=8), threshold=st.floats(0.01, 0.9))
def test_suppression_is_that_of_the_loop(overlap_type, algorithm, detections, threshold):
    text = f"min_suppression_threshold: {threshold} overlap_type: {overlap_type} "
    node = suppressor(text + f"algorithm: {algorithm}")
    expected = suppressed_by_loops(
        detections, threshold, overlap_type, weighted=algorithm == "WEIGHTED"
    )
    found = suppress(detections, node._options)
    assert [(d.xmin, d.ymin, d.width, d.height) for d in found] == [
        pytest.approx(box, abs=1e-9) for box in expected
    ]


def suppressor(text="", ports="input_stream: 'd' "):
    words = "calculator: 'NonMaxSuppressionCalculator' output_stream: 'out' " + ports
    return calculator(words + options("NonMaxSuppressionCalculatorOptions", text))


def box(x, score, label=0, **more):
    return Detection(x, 0, 1, 1, scores=(score,), label_ids=(label,), **more)


def test_suppression_by_class_at_most_and_from_a_score():
    boxes = [box(0, 0.5), box(0.1, 0.9), box(0, 0.6, 1), box(5, 0.1)]
    options = SuppressionOptions(min_suppression_threshold=0.5, over="union")
    assert [d.scores[0] for d in suppress(boxes, options)] == [0.9, 0.1]
    classes = replace(options, multiclass_nms=True)
    assert [d.scores[0] for d in suppress(boxes, classes)] == [0.9, 0.6, 0.1]
    assert len(suppress(boxes, replace(classes, max_num_detections=2))) == 2
    assert len(suppress(boxes, replace(options, min_score_threshold=0.2))) == 1
    several = Detection(0, 0, 1, 1, scores=(0.2, 0.7), label_ids=(4, 5))
    (best,) = suppress([several], options)
    assert (best.scores, best.label_ids) == ((0.7,), (5,))
    assert suppress([Detection(0, 0, 1, 1)], options) == []


def test_streams_are_joined_and_an_empty_list_is_sent_if_asked_for():
    ports = "input_stream: 'a' input_stream: 'b' "
    node = suppressor("num_detection_streams: 2", ports)
    with NodeRunner(node) as runner:
        runner.add("0", [box(0, 0.5)], 0)
        runner.add("1", [box(5, 0.9)], 0)
        runner.add("1", [], 1)
        runner.set_bound("0", 9)
        assert [len(packet.payload) for packet in runner.take("0")] == [2]
    node = suppressor("return_empty_detections: true")
    assert converted(node, {"0": []}, "0") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("overlap_type: UNSPECIFIED_OVERLAP_TYPE", "overlap_type"),
        ("max_num_detections: 0", "above 0"),
        ("algorithm: SOFT", "algorithm"),
    ],
)
def test_suppression_options_that_are_wrong_are_told(text, reason):
    with pytest.raises(GraphTextError, match=reason):
        suppressor(text)


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
