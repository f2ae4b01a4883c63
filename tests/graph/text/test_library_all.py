"""MediaPipe's general calculators beside gates and loops, as its texts have them."""

import pytest
from run_texts import run_text

from handheld.errors import GraphTextError
from handheld.graph import Graph, Timestamp
from handheld.graph.text import (
    LIBRARY,
    Registry,
    check_text,
    load_graph,
    parse_graph,
    print_graph,
    read_graph,
)


def node_of(calculator, fields, options=""):
    """Return a node; options are those of its own type, of which the name does not matter here."""
    if options:
        options = f"options {{ {options} }}"
    return f'node {{ calculator: "{calculator}Calculator" {fields} {options} }}'


def graph_of(node, inputs=(), outputs=(), sides=()):
    lines = [f'input_stream: "{name}"' for name in inputs]
    lines += [f'output_stream: "{name}"' for name in outputs]
    lines += [f'input_side_packet: "{name}"' for name in sides]
    return "\n".join([*lines, node])


def options_of(name, fields):
    return f"[mediapipe.{name}CalculatorOptions.ext] {{ {fields} }}"


IN_OUT = 'input_stream: "a" output_stream: "x"'


@pytest.mark.parametrize(
    ("calculator", "fields", "options", "feed", "sent"),
    [
        (
            "PacketResampler",
            'input_stream: "DATA:a" output_stream: "DATA:x"',
            "frame_rate: 10 end_time: 250000",
            {0: 1, 90_000: 2, 310_000: 3},
            {0: 1, 100_000: 2, 200_000: 2},
        ),
        ("PacketResampler", IN_OUT, "frame_rate: 1000000", {0: 1, 2: 2}, {0: 1, 1: 1, 2: 2}),
        ("PacketThinner", IN_OUT, "period: 10", {0: 1, 9: 2, 10: 3}, {0: 1, 10: 3}),
        ("PacketThinner", IN_OUT, "thinner_type: SYNC period: 10", {1: 1, 9: 2}, {0: 1, 10: 2}),
        (
            "PacketThinner",
            IN_OUT,
            "thinner_type: 2 period: 10 sync_output_timestamps: false start_time: 5 end_time: 9",
            {1: 1, 6: 2, 7: 3, 9: 4},
            {6: 2},
        ),
        ("SequenceShift", IN_OUT, "", {0: 1, 5: 2, 7: 3}, {0: 2, 5: 3}),
        ("SequenceShift", IN_OUT, "packet_offset: 1", {0: 1, 5: 2, 7: 3}, {5: 1, 7: 2}),
        (
            "PacketPresence",
            'input_stream: "PACKET:a" output_stream: "PRESENCE:x"',
            "",
            {3: 1},
            {3: True},
        ),
        ("ClipIntVectorSize", IN_OUT, "max_vec_size: 2", {0: [1, 2, 3]}, {0: [1, 2]}),
        ("ClipDetectionVectorSize", IN_OUT, "", {0: [1, 2, 3]}, {0: [1]}),
        (
            "IntVectorSize",
            'input_stream: "VECTOR:a" output_stream: "SIZE:x"',
            "",
            {0: [1, 2]},
            {0: 2},
        ),
        (
            "CountingIntVectorSize",
            'input_stream: "VECTOR:a" output_stream: "COUNT:x"',
            "",
            {0: [1, 2]},
            {0: 2},
        ),
        (
            "GetIntVectorItem",
            'input_stream: "VECTOR:a" output_stream: "ITEM:x"',
            "item_index: 1 output_empty_on_oob: true",
            {0: [1, 2], 1: [3]},
            {0: 2},
        ),
        (
            "NormalizedRectVectorHasMinSize",
            'input_stream: "ITERABLE:a" output_stream: "x"',
            "min_size: 2",
            {0: [1, 2], 1: [3]},
            {0: True, 1: False},
        ),
        ("SplitTensorVector", IN_OUT, "ranges { begin: 1 end: 3 }", {0: [1, 2, 3]}, {0: [2, 3]}),
        (
            "SplitTensorVector",
            IN_OUT,
            "ranges { begin: 0 end: 1 } element_only: true",
            {0: [1, 2, 3]},
            {0: 1},
        ),
        (
            "SplitTensorVector",
            IN_OUT,
            "ranges { end: 1 } ranges { begin: 2 end: 3 } combine_outputs: true",
            {0: [1, 2, 3]},
            {0: [1, 3]},
        ),
    ],
)  # fmt: skip
def test_one_stream_in_and_one_out(calculator, fields, options, feed, sent):
    names = {
        "ClipIntVectorSize": "ClipVectorSize",
        "GetIntVectorItem": "GetVectorItem",
        "NormalizedRectVectorHasMinSize": "CollectionHasMinSize",
        "SplitTensorVector": "SplitVector",
    }
    if options:
        options = options_of(names.get(calculator, calculator), options)
    text = graph_of(node_of(calculator, fields, options), ["a"], ["x"])
    assert run_text(text, {"a": feed}) == {"x": sent}


@pytest.mark.parametrize(
    ("calculator", "fields", "options", "sent"),
    [
        (
            "PacketInnerJoin",
            'output_stream: "x" output_stream: "y"',
            "",
            {"x": {1: 2}, "y": {1: 5}},
        ),
        # Like its second output without a tag: a True for each packet that came.
        (
            "ImmediateMux",
            'output_stream: "x" output_stream: "y"',
            "",
            {"x": {0: 1, 1: 2, 3: 6}, "y": {0: True, 1: True, 2: True, 3: True}},
        ),
        ("ConcatenateIntVector", 'output_stream: "x"', "", {"x": {0: [1], 1: [2, 5], 3: [6]}}),
        (
            "ConcatenateIntVector",
            'output_stream: "x"',
            options_of("ConcatenateVector", "only_emit_if_all_present: true"),
            {"x": {1: [2, 5]}},
        ),
    ],
)  # fmt: skip
def test_two_streams_in(calculator, fields, options, sent):
    fields = 'input_stream: "a" input_stream: "b" ' + fields
    text = graph_of(node_of(calculator, fields, options), ["a", "b"], list(sent))
    assert run_text(text, {"a": {0: 1, 1: 2}, "b": {1: 5, 3: 6}}) == sent


def test_round_robin_and_default_values():
    text = graph_of(
        node_of(
            "RoundRobinDemux",
            'input_stream: "a" output_stream: "OUTPUT:0:x" output_stream: "OUTPUT:1:y" '
            'output_stream: "SELECT:s"',
        ),
        ["a"],
        ["x", "y", "s"],
    )
    sent = run_text(text, {"a": {0: 7, 1: 8, 2: 9}})
    assert sent == {"x": {0: 7, 2: 9}, "y": {1: 8}, "s": {0: 0, 1: 1, 2: 0}}
    text = graph_of(
        node_of(
            "ValueOrDefault",
            'input_stream: "IN:a" input_stream: "TICK:t" input_side_packet: "d" '
            'output_stream: "OUT:x" output_stream: "FLAG:f"',
        ),
        ["a", "t"],
        ["x", "f"],
        ["d"],
    )
    sent = run_text(text, {"a": {0: 7}, "t": {0: 0, 4: 0}}, side={"d": 5})
    assert sent == {"x": {0: 7, 4: 5}, "f": {4: True}}


def test_a_source_of_numbers_goes_by_side_packets():
    fields = """input_side_packet: "MAX_COUNT:n" input_side_packet: "INITIAL_VALUE:i"
    output_stream: "x" """
    text = graph_of(node_of("CountingSource", fields), [], ["x"], ["n", "i"])
    assert run_text(text, {}, side={"n": 2, "i": 5}) == {"x": {5: 5, 6: 6}}


CONSTANTS = """
packet { int_value: 2 } packet { bool_value: true } packet { string_value: "s" }
packet { float_value: 0.5 } packet { int64_value: -4000000000 }
packet { string_vector_value { string_value: "a" string_value: "b" } }
"""


def test_constants_become_streams():
    count = 6
    sides = "".join(f'output_side_packet: "PACKET:{i}:p{i}" ' for i in range(count))
    taken = "".join(f'input_side_packet: "p{i}" ' for i in range(count))
    streams = "".join(f'output_stream: "AT_ZERO:{i}:x{i}" ' for i in range(count))
    text = graph_of(
        node_of("ConstantSidePacket", sides, options_of("ConstantSidePacket", CONSTANTS))
        + node_of("SidePacketToStream", taken + streams),
        [],
        [f"x{i}" for i in range(count)],
    )
    values = [2, True, "s", 0.5, -4_000_000_000, ["a", "b"]]
    sent = run_text(text, {})
    assert sent == {f"x{i}": {0: value} for i, value in enumerate(values)}


@pytest.mark.parametrize(
    ("tag", "more", "times"),
    [
        ("AT_PRESTREAM", "", [Timestamp.PRE_STREAM]),
        ("AT_POSTSTREAM", "", [Timestamp.POST_STREAM]),
        ("AT_TICK", 'input_stream: "TICK:t"', [3, 5]),
        ("AT_FIRST_TICK", 'input_stream: "TICK:t"', [3]),
        ("AT_TIMESTAMP", 'input_side_packet: "TIMESTAMP:when"', [9]),
    ],
)
def test_when_a_side_packet_is_sent(tag, more, times):
    fields = f'input_side_packet: "p" {more} output_stream: "{tag}:x"'
    text = graph_of(node_of("SidePacketToStream", fields), ["t"], ["x"], ["p", "when"])
    sent = run_text(text, {"t": {3: 0, 5: 0}}, side={"p": "a", "when": 9})
    assert sent == {"x": dict.fromkeys(times, "a")}


BACK_AND_FORTH = """
input_stream: "offset"
output_stream: "x"
output_side_packet: "offset"
node {
  calculator: "StreamToSidePacketCalculator"
  input_stream: "offset"
  output_side_packet: "offset"
}
node {
  calculator: "SidePacketToStreamCalculator"
  output_stream: "AT_POSTSTREAM:x"
  input_side_packet: "offset"
}
"""


def test_a_stream_becomes_a_side_packet_and_a_stream_again():
    """As in MediaPipe's test OutputSidePacketInProcess, whose names these are."""
    assert run_text(BACK_AND_FORTH, {"offset": {5: 100}}) == {"x": {Timestamp.POST_STREAM: 100}}
    config = load_graph(parse_graph(BACK_AND_FORTH), LIBRARY)
    with Graph(config) as graph:
        graph.add("offset", 100, 5)
        graph.wait()
    assert graph.side_packets() == {"offset": 100}
    assert print_graph(parse_graph(BACK_AND_FORTH)) == BACK_AND_FORTH[1:]


@pytest.mark.parametrize("connected", [True, False])
def test_a_default_for_a_side_packet_that_nobody_feeds(connected):
    text = graph_of(
        node_of(
            "DefaultSidePacket",
            'input_side_packet: "OPTIONAL_VALUE:o" input_side_packet: "DEFAULT_VALUE:d" '
            'output_side_packet: "VALUE:v"',
        )
        + node_of("SidePacketToStream", 'input_side_packet: "v" output_stream: "AT_ZERO:x"'),
        [],
        ["x"],
    ).replace("node {", 'input_side_packet: "O:o" input_side_packet: "d" node {', 1)
    side = {"d": 1, "o": 2} if connected else {"d": 1}
    sent = run_text(text, {}, side=side, left_out=[] if connected else ["O"])
    assert sent == {"x": {0: 2 if connected else 1}}


def test_pass_through_takes_side_packets_with_or_without_outputs():
    fields = 'input_side_packet: "p" output_side_packet: "q"'
    text = graph_of(
        node_of("PassThrough", fields)
        + node_of("PassThrough", 'input_side_packet: "p" input_stream: "a" output_stream: "y"')
        + node_of("SidePacketToStream", 'input_side_packet: "q" output_stream: "AT_ZERO:x"'),
        ["a"],
        ["x", "y"],
        ["p"],
    )
    assert run_text(text, {"a": {4: 1}}, side={"p": 7}) == {"x": {0: 7}, "y": {4: 1}}


def switch_of(select, *, options="", inner="IN:a OUT:x"):
    """Return a graph of a switch: a thinner by 10 or by 20 microseconds."""
    nodes = " ".join(
        "contained_node { calculator: 'PacketThinnerCalculator' options { "
        f"[mediapipe.PacketThinnerCalculatorOptions.ext] {{ period: {period} }} }} }}"
        for period in (10, 20)
    )
    return f"""
    input_stream: "a" input_stream: "s" output_stream: "x" input_side_packet: "p"
    node {{ calculator: "SwitchContainer" input_stream: "a" {select} output_stream: "x"
      options {{ [mediapipe.SwitchContainerOptions.ext] {{ {options} {nodes} }} }} }}
    """


EVERY_TEN = {time: time for time in range(0, 60, 10)}


@pytest.mark.parametrize(
    ("select", "options", "feed", "side", "times"),
    [
        ("", "", {}, 0, [0, 10, 20, 30, 40, 50]),
        ("", "select: 1", {}, 0, [0, 20, 40]),
        ("", "enable: true", {}, 0, [0, 20, 40]),
        ('input_side_packet: "SELECT:p"', "", {}, 1, [0, 20, 40]),
        ('input_side_packet: "ENABLE:p"', "select: 1", {}, False, [0, 10, 20, 30, 40, 50]),
        ('input_stream: "SELECT:s"', "", {20: 1}, 0, [0, 10, 20, 40]),
        ('input_stream: "ENABLE:s"', "enable: true", {30: False}, 0, [0, 20, 30, 40, 50]),
        ('input_stream: "SELECT:s"', "synchronize_io: true", {20: 1}, 0, [0, 10, 20, 40]),
        # Of what comes first nothing waits for it.
        ('input_stream: "SELECT:s"', "async_selection: true", {99: 1}, 0, [0, 10, 20, 30, 40, 50]),
    ],
)
def test_a_switch_in_a_text(select, options, feed, side, times):
    text = switch_of(select, options=options)
    assert list(run_text(text, {"a": EVERY_TEN, "s": feed}, side={"p": side})["x"]) == times


LOADER = """
type: "Loader"
input_side_packet: "MODEL_COMPLEXITY:model_complexity" output_side_packet: "MODEL:path"
node { calculator: "SwitchContainer" input_side_packet: "SELECT:model_complexity"
  output_side_packet: "PACKET:path"
  options { [mediapipe.SwitchContainerOptions.ext] { select: 1
    contained_node { calculator: "ConstantSidePacketCalculator" options {
      [mediapipe.ConstantSidePacketCalculatorOptions.ext]: { packet { string_value: "lite" } } } }
    contained_node { calculator: "ConstantSidePacketCalculator" options {
      [mediapipe.ConstantSidePacketCalculatorOptions.ext]: { packet { string_value: "full" } } } }
  } } }
"""


@pytest.mark.parametrize(
    ("side", "left_out", "path"),
    [({"n": 0}, [], "lite"), ({"n": 1}, [], "full"), ({}, ["N"], "full")],
)
def test_the_switch_of_mediapipe_s_model_loaders(side, left_out, path):
    text = """
    input_side_packet: "N:n" output_stream: "x"
    node { calculator: "Loader" input_side_packet: "MODEL_COMPLEXITY:n"
      output_side_packet: "MODEL:model" }
    node { calculator: "SidePacketToStreamCalculator" input_side_packet: "model"
      output_stream: "AT_ZERO:x" }
    """
    registry = LIBRARY.with_subgraphs(parse_graph(LOADER))
    sent = run_text(text, {}, side=side, left_out=left_out, registry=registry)
    assert sent == {"x": {0: path}}


def test_a_switch_of_subgraphs_and_switches():
    inner = """type: "Ten" input_stream: "IN:a" output_stream: "OUT:x"
    node { calculator: "PacketThinnerCalculator" input_stream: "a" output_stream: "x"
      options { [mediapipe.PacketThinnerCalculatorOptions.ext] { period: 30 } } }"""
    text = """
    input_stream: "a" input_stream: "s" output_stream: "x"
    node { calculator: "SwitchContainer" input_stream: "IN:a" input_stream: "SELECT:s"
      output_stream: "OUT:x"
      options { [mediapipe.SwitchContainerOptions.ext] {
        contained_node { calculator: "SwitchContainer"
          options { [mediapipe.SwitchContainerOptions.ext] {
            contained_node { calculator: "PassThrough" } } } }
        contained_node { calculator: "Ten" } } } }
    """
    registry = LIBRARY.with_subgraphs(parse_graph(inner))
    sent = run_text(text, {"a": EVERY_TEN, "s": {20: 1}}, registry=registry)
    assert list(sent["x"]) == [0, 10, 20, 50]


def test_what_a_switch_contains_has_to_be_registered():
    text = switch_of("").replace("PacketThinnerCalculator'", "UnheardOfCalculator'")
    with pytest.raises(GraphTextError, match=r"1 not registered: 'UnheardOfCalculator' \(line 4, "):
        load_graph(parse_graph(text), LIBRARY)
    with pytest.raises(GraphTextError, match="1 not registered: 'SwitchContainer'"):
        load_graph(parse_graph(text), Registry())
    assert [node.calculator for node in check_text(text, LIBRARY).unregistered] == [
        "UnheardOfCalculator",
        "UnheardOfCalculator",
    ]
    [finding] = [
        entry
        for entry in check_text(switch_of("").replace("period: 20", "period: 0"), LIBRARY).findings
        if entry.severity == "error"
    ]
    assert "option period: expected a whole number of 1 or more" in finding.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (switch_of("", options="select: 2"), "option select: expected a whole number in [0, 1]"),
        (switch_of("", options="select: 1 enable: true"), "expected one of select and enable"),
        (switch_of("", options="choose: 1"), "no option 'choose'"),
        (
            switch_of('input_stream: "SELECT:s" input_stream: "ENABLE:s"'),
            "expected one of SELECT and ENABLE",
        ),
        ('node { calculator: "SwitchContainer" }', "expected at least one contained_node"),
        (
            graph_of(node_of("PacketResampler", IN_OUT), ["a"]),
            "frame_rate: expected a number in (0, 1000000], got -1.0",
        ),
        (
            graph_of(node_of("SplitIntVector", IN_OUT), ["a"]),
            "ranges: expected at least one, got none",
        ),
        (
            graph_of(node_of("RoundRobinDemux", IN_OUT), ["a"]),
            "expected an output stream OUTPUT",
        ),
        (
            graph_of(node_of("PacketInnerJoin", IN_OUT + ' input_stream: "b"'), ["a", "b"]),
            "expected an output stream for each input stream",
        ),
        (
            graph_of(node_of("ConstantSidePacket", 'output_side_packet: "PACKET:p"')),
            "expected an output side packet PACKET for each packet of the options, got 1 for 0",
        ),
        (
            graph_of(
                node_of(
                    "ConstantSidePacket",
                    'output_side_packet: "PACKET:p"',
                    options_of("ConstantSidePacket", "packet { landmark_list_value {} }"),
                )
            ),
            "expected one of int_value, int64_value, uint64_value, float_value",
        ),
        (
            graph_of(
                node_of(
                    "ConstantSidePacket",
                    'output_side_packet: "PACKET:p"',
                    options_of("ConstantSidePacket", "packet { int_value: 3000000000 }"),
                )
            ),
            "option int_value: expected a whole number in [-2147483648, 2147483647]",
        ),
        (
            graph_of(node_of("SidePacketToStream", 'output_stream: "x"')),
            "expected output streams of one tag of AT_PRESTREAM, AT_POSTSTREAM",
        ),
        (
            graph_of(node_of("SidePacketToStream", 'output_stream: "AT_ZERO:x"')),
            "has 0 input side packets without a tag and 1 output streams",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, reason):
    with pytest.raises(GraphTextError) as caught:
        load_graph(parse_graph(text, "my.pbtxt"), LIBRARY)
    assert reason in str(caught.value)
    assert caught.value.line


def test_the_general_calculators_of_mediapipe_s_graphs_are_registered(mediapipe_graphs):
    """Of the 55 files: all that is neither a subgraph nor about pictures, models or landmarks."""
    names = set()
    for path in mediapipe_graphs:
        names.update(node.calculator for node in read_graph(path).nodes)
    assert sorted(name for name in names if LIBRARY.resolve(name)) == [
        "BeginLoopDetectionCalculator",
        "BeginLoopNormalizedLandmarkListVectorCalculator",
        "BeginLoopNormalizedRectCalculator",
        "ClassificationListVectorHasMinSizeCalculator",
        "ClipDetectionVectorSizeCalculator",
        "ConstantSidePacketCalculator",
        "EndLoopClassificationListCalculator",
        "EndLoopLandmarkListVectorCalculator",
        "EndLoopNormalizedLandmarkListVectorCalculator",
        "EndLoopNormalizedRectCalculator",
        "EndLoopRenderDataCalculator",
        "FlowLimiterCalculator",
        "GateCalculator",
        "NormalizedRectVectorHasMinSizeCalculator",
        "PacketThinnerCalculator",
        "PassThroughCalculator",
        "PreviousLoopbackCalculator",
        "SplitClassificationListVectorCalculator",
        "SplitTensorVectorCalculator",
        "SwitchContainer",
    ]


def limiter(calculator, more=""):
    return f"""
    input_stream: "a" input_stream: "done" output_stream: "x"
    node {{ calculator: "{calculator}" input_stream: "a" input_stream: "FINISHED:done"
      input_stream_info {{ tag_index: "FINISHED" back_edge: true }} output_stream: "x" {more} }}
    """


def test_a_frame_under_way_is_given_up_after_a_second_as_in_mediapipe():
    feed = {"a": {0: 0, 1_000_000: 1, 1_000_001: 2}}
    assert list(run_text(limiter("FlowLimiterCalculator"), feed)["x"]) == [0, 1_000_001]
    assert list(run_text(limiter("RealTimeFlowLimiterCalculator"), feed)["x"]) == [0]
    text = limiter("RealTimeFlowLimiterCalculator", 'output_stream: "ALLOW:y"')
    with pytest.raises(GraphTextError, match="ALLOW, at timestamps that count its changes"):
        load_graph(parse_graph(text), LIBRARY)
