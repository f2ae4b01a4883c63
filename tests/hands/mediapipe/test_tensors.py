import numpy as np
import pytest
from mediapipe_nodes import calculator, converted, options

from handheld.errors import CalculatorError, GraphTextError, InputError
from handheld.graph.testing import NodeRunner
from handheld.hands.mediapipe import Classification


def floats(port, text=""):
    words = "calculator: 'TensorsToFloatsCalculator' input_stream: 'TENSORS:t' "
    words += f"output_stream: '{port}:f' "
    return calculator(words + options("TensorsToFloatsCalculatorOptions", text))


def test_tensors_become_numbers():
    one = [np.array([[0.0]], np.float32)]
    assert converted(floats("FLOAT"), {"TENSORS": one}, "FLOAT") == 0.0
    assert converted(floats("FLOAT", "activation: SIGMOID"), {"TENSORS": one}, "FLOAT") == 0.5
    two = [np.array([[1, -1000]], np.float32)]
    assert converted(floats("FLOATS"), {"TENSORS": two}, "FLOATS") == [1, -1000]
    found = converted(floats("FLOATS", "activation: SIGMOID"), {"TENSORS": two}, "FLOATS")
    assert found == [pytest.approx(0.731058), 0]
    for tensors, reason in [
        (two, "expected a tensor with one number, got 2"),
        ([], "expected a tensor, got none"),
        ([np.zeros(1)], "expected a tensor of float32, got float64"),
    ]:
        with pytest.raises((InputError, CalculatorError), match=reason):
            converted(floats("FLOAT"), {"TENSORS": tensors}, "FLOAT")


def threshold(text="", ports=""):
    words = "calculator: 'ThresholdingCalculator' input_stream: 'FLOAT:f' output_stream: 'FLAG:g' "
    return calculator(words + ports + options("ThresholdingCalculatorOptions", text))


def test_a_threshold_from_an_option_a_side_packet_or_a_stream():
    # The threshold itself is not above it.
    node = threshold("threshold: 0.5")
    assert [converted(node, {"FLOAT": f}, "FLAG") for f in (0.4, 0.5, 0.6)] == [False, False, True]
    assert converted(node, {"FLOAT": 0.6}, "ACCEPT") is True
    assert converted(node, {"FLOAT": 0.6}, "REJECT") is None
    assert converted(node, {"FLOAT": 0.4}, "REJECT") is False
    node = threshold("", "input_side_packet: 'THRESHOLD:t' ")
    assert converted(node, {"FLOAT": 0.6}, "FLAG", side={"THRESHOLD": 0.7}) is False
    with NodeRunner(threshold("", "input_stream: 'THRESHOLD:t' ")) as runner:
        runner.add("THRESHOLD", 0.7, 0)
        runner.add("FLOAT", 0.6, 1)
        runner.set_bound("THRESHOLD", 9)
        assert [packet.payload for packet in runner.take("FLAG")] == [False]
    with pytest.raises(GraphTextError, match="expected one of option, stream and side packet"):
        threshold("threshold: 0.5", "input_stream: 'THRESHOLD:t' ")


def classes(text=""):
    words = "calculator: 'TensorsToClassificationCalculator' input_stream: 'TENSORS:t' "
    words += "output_stream: 'CLASSIFICATIONS:c' "
    return calculator(words + options("TensorsToClassificationCalculatorOptions", text))


def found(text, *scores):
    tensors = [np.array([scores], np.float32)]
    return converted(classes(text), {"TENSORS": tensors}, "CLASSIFICATIONS")


def test_one_score_of_two_classes():
    text = "binary_classification: true label_map_path: 'labels.txt' top_k: 1"
    assert found(text, 0.75) == [Classification(0, 0.75, "cat")]
    assert found(text, 0.25) == [Classification(1, 0.75, "dog")]


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("", [0, 1, 2]),
        ("top_k: 2", [1, 2]),
        ("sort_by_descending_score: true", [1, 2, 0]),
        ("min_score_threshold: 0.5", [1, 2]),
        ("allow_classes: [0, 1]", [0, 1]),
        ("ignore_classes: 1 top_k: 9", [2, 0]),
    ],
)
def test_which_classes_are_named(text, indices):
    assert [c.index for c in found(text, 0.25, 1.0, 0.5)] == indices


def test_labels_from_the_options():
    items = "label_items { key: 0 value { name: 'a' display_name: 'A' } } "
    items += "label_items { key: 1 value { name: 'b' } } "
    assert found(items, 0.5, 0.25)[0] == Classification(0, 0.5, "a", "A")
    older = "label_map { entries { id: 0 label: 'x' } entries { id: 1 label: 'y' } } "
    assert found(older, 0.5, 0.25)[1].label == "y"
    # As in MediaPipe, the newer option has the last word.
    assert found(items + older, 0.5, 0.25)[1].label == "b"


def test_what_is_wrong_is_told():
    with pytest.raises(GraphTextError, match="two labels for class 0"):
        classes("label_items { value { name: 'a' } } label_items { value { name: 'b' } }")
    with pytest.raises(GraphTextError, match="expected one of allow_classes"):
        classes("allow_classes: 1 ignore_classes: 2")
    for text, scores, reason in [
        ("label_map_path: 'labels.txt'", (0.5,), "expected 2 scores, one a label, got 1"),
        ("binary_classification: true", (0.5, 0.5), "expected one score, got 2"),
        ("label_items { key: 5 value {} }", (0.5,), "no label for class 0"),
    ]:
        with pytest.raises((InputError, CalculatorError), match=reason):
            found(text, *scores)
