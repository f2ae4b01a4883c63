import numpy as np
import pytest
from mediapipe_nodes import calculator, converted, options

from handheld.errors import CalculatorError, GraphTextError, InputError
from handheld.graph.testing import NodeRunner


def splitter(name, text, outputs=1):
    words = f"calculator: '{name}' input_stream: 'a' "
    words += "".join(f"output_stream: 'b{number}' " for number in range(outputs))
    return calculator(words + options("SplitVectorCalculatorOptions", text))


def test_landmarks_are_split():
    text = "ranges { begin: 0 end: 1 } ranges { begin: 1 end: 3 }"
    points = np.arange(9.0).reshape(3, 3)
    with NodeRunner(splitter("SplitLandmarkListCalculator", text, 2)) as runner:
        runner.add("0", points, 0)
        assert runner.take("0")[0].payload.tolist() == points[:1].tolist()
        assert runner.take("1")[0].payload.tolist() == points[1:].tolist()
    node = splitter("SplitNormalizedLandmarkListCalculator", "ranges { end: 1 } element_only: true")
    assert converted(node, {"0": points}, "0").tolist() == [0, 1, 2]
    with pytest.raises((InputError, CalculatorError), match="expected 1 items or more, got 0"):
        converted(node, {"0": points[:0]}, "0")


def test_landmarks_are_combined():
    text = "ranges { begin: 0 end: 2 } ranges { begin: 4 end: 5 } combine_outputs: true"
    node = splitter("SplitNormalizedLandmarkListCalculator", text)
    points = np.arange(15.0).reshape(5, 3)
    assert converted(node, {"0": points}, "0")[:, 0].tolist() == [0, 3, 12]
    single = "ranges { begin: 1 end: 2 } element_only: true combine_outputs: true"
    node = splitter("SplitNormalizedLandmarkListCalculator", single)
    assert converted(node, {"0": points}, "0").tolist() == [[3, 4, 5]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected an output for each of 0 ranges"),
        ("ranges { end: 1 } ranges { end: 1 }", "an output for each of 2"),
        ("ranges { begin: 1 end: 1 }", "end"),
        ("ranges { end: 2 } element_only: true", "expected ranges of one item"),
        (
            "ranges { end: 3 } ranges { begin: 2 end: 4 } combine_outputs: true",
            "combine_outputs: expected ranges that do not overlap",
        ),
    ],
)
def test_ranges_that_are_wrong_are_told(text, reason):
    with pytest.raises(GraphTextError, match=reason):
        splitter("SplitLandmarkListCalculator", text)
