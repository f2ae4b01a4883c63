import numpy as np
import pytest
from node_runs import calculator, converted, options, side_packets

from handheld.errors import CalculatorError, GraphTextError, InputError
from handheld.graph.testing import NodeRunner


def splitter(name, text, outputs=1):
    words = f"calculator: '{name}' input_stream: 'a' "
    words += "".join(f"output_stream: 'b{number}' " for number in range(outputs))
    return calculator(words + options("SplitVectorCalculatorOptions", text))


def test_lists_are_split():
    text = "ranges { begin: 0 end: 1 } ranges { begin: 1 end: 3 }"
    node = splitter("SplitTensorVectorCalculator", text, 2)
    with NodeRunner(node) as runner:
        runner.add("0", [1, 2, 3], 0)
        assert runner.take("0")[0].payload == [1]
        assert runner.take("1")[0].payload == [2, 3]
    node = splitter(
        "SplitClassificationListVectorCalculator", "ranges { end: 1 } element_only: true"
    )
    assert converted(node, {"0": ["a", "b"]}, "0") == "a"
    with pytest.raises((InputError, CalculatorError), match="expected 1 items or more, got 0"):
        converted(node, {"0": []}, "0")


def test_landmarks_are_combined():
    text = "ranges { begin: 0 end: 2 } ranges { begin: 4 end: 5 } combine_outputs: true"
    node = splitter("SplitNormalizedLandmarkListCalculator", text)
    points = np.arange(15.0).reshape(5, 3)
    assert converted(node, {"0": points}, "0")[:, 0].tolist() == [0, 3, 12]
    assert converted(splitter("SplitIntVectorCalculator", text), {"0": [5, 6, 7, 8, 9]}, "0") == [
        5,
        6,
        9,
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected an output for each of 0 ranges"),
        ("ranges { end: 1 } ranges { end: 1 }", "an output for each of 2"),
        ("ranges { begin: 1 end: 1 }", "end"),
        ("ranges { end: 2 } element_only: true", "expected ranges of one item"),
    ],
)
def test_ranges_that_are_wrong_are_told(text, reason):
    with pytest.raises(GraphTextError, match=reason):
        splitter("SplitTensorVectorCalculator", text)


def test_lists_are_cut_short_by_an_option_or_a_side_packet():
    words = "calculator: 'ClipDetectionVectorSizeCalculator' input_stream: 'a' output_stream: 'b' "
    plain = calculator(words + options("ClipVectorSizeCalculatorOptions", "max_vec_size: 2"))
    assert converted(plain, {"0": [1, 2, 3]}, "0") == [1, 2]
    sided = calculator(words + "input_side_packet: 'most'")
    assert converted(sided, {"0": [1, 2, 3]}, "0", side={"0": 1}) == [1]
    with pytest.raises((InputError, CalculatorError), match="a length of 1 or more, got 0"):
        converted(sided, {"0": [1]}, "0", side={"0": 0})


def test_lists_are_counted_by_an_option_or_a_side_packet():
    words = "calculator: 'NormalizedRectVectorHasMinSizeCalculator' input_stream: 'ITERABLE:a' "
    words += "output_stream: 'b' "
    text = options("CollectionHasMinSizeCalculatorOptions", "min_size: 2")
    assert converted(calculator(words + text), {"ITERABLE": [1, 2]}, "0") is True
    assert converted(calculator(words + text), {"ITERABLE": [1]}, "0") is False
    sided = calculator(words + text + "input_side_packet: 'least'")
    assert converted(sided, {"ITERABLE": [1]}, "0", side={"0": 1}) is True


def constant(text, outputs=1):
    words = "calculator: 'ConstantSidePacketCalculator' "
    for number in range(outputs):
        words += f"output_side_packet: 'PACKET:{number}:p{number}' "
    return calculator(words + options("ConstantSidePacketCalculatorOptions", text))


def test_constants():
    text = "packet { int_value: 2 } packet { string_value: 'a' } packet { bool_value: true } "
    text += "packet { float_value: 0.5 }"
    assert list(side_packets(constant(text, 4)).values()) == [2, "a", True, 0.5]
    with pytest.raises(GraphTextError, match="an output PACKET for each of 1 packets"):
        constant("packet { int_value: 2 }", 2)
    with pytest.raises(GraphTextError, match="expected one of int_value"):
        constant("packet { landmark_list_value {} }")


def switch(text="", select="input_side_packet: 'SELECT:s' "):
    words = "calculator: 'SwitchContainer' output_side_packet: 'PACKET:p' " + select
    for name in ("lite", "full"):
        inner = options(
            "ConstantSidePacketCalculatorOptions", f"packet {{ string_value: '{name}' }}"
        )
        text += "contained_node { calculator: 'ConstantSidePacketCalculator' " + inner + " } "
    return calculator(words + options("SwitchContainerOptions", text))


def test_a_switch_takes_the_node_that_a_side_packet_or_an_option_says():
    assert side_packets(switch(), {"SELECT": 1}) == {"PACKET": "full"}
    assert side_packets(switch("select: 1 "), {"SELECT": 0}) == {"PACKET": "lite"}
    assert side_packets(switch("select: 1 ", ""), {}) == {"PACKET": "full"}
    enabled = switch("", "input_side_packet: 'ENABLE:s' ")
    assert side_packets(enabled, {"ENABLE": True}) == {"PACKET": "full"}
    with pytest.raises(InputError, match="select: expected 0 to 1, got 2"):
        side_packets(switch(), {"SELECT": 2})


def test_switches_of_streams_and_of_other_nodes_are_refused():
    with pytest.raises(GraphTextError, match="a switch of streams is not known here"):
        switch("", "input_stream: 'SELECT:s' ")
    with pytest.raises(GraphTextError, match="got PassThroughCalculator"):
        switch("contained_node { calculator: 'PassThroughCalculator' } ")
    with pytest.raises(GraphTextError, match="expected one of SELECT and ENABLE"):
        switch("select: 1 enable: true ")
