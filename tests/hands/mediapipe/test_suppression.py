"""Suppression, beside loops that follow MediaPipe's source."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mediapipe_nodes import calculator, converted, options

from handheld.errors import GraphTextError
from handheld.graph.testing import NodeRunner
from handheld.hands.mediapipe import Detection
from handheld.hands.mediapipe.suppression import SuppressionOptions, suppress

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
