"""MediaPipe's general calculators by their names, with MediaPipe's own behaviour."""

import pytest
from run_texts import run_text

from handheld.errors import GraphTextError
from handheld.graph.text import LIBRARY, load_graph, parse_graph


def one_node(inputs, outputs, node, sides=()):
    """Return a graph of one node, with ``TAG:name`` of its streams."""
    lines = [f'input_stream: "{port.rpartition(":")[2]}"' for port in inputs]
    lines += [f'output_stream: "{port.rpartition(":")[2]}"' for port in outputs]
    lines += [f'input_side_packet: "{port.rpartition(":")[2]}"' for port in sides]
    fields = [f'input_stream: "{port}"' for port in inputs]
    fields += [f'output_stream: "{port}"' for port in outputs]
    fields += [f'input_side_packet: "{port}"' for port in sides]
    return "\n".join([*lines, "node {", *fields, node, "}"])


def gate(options=""):
    options = f"options {{ [mediapipe.GateCalculatorOptions.ext] {{ {options} }} }}"
    return f'calculator: "GateCalculator" {options}'


ABC = {0: "a", 1: "b", 2: "c"}


def test_pass_through_of_several_streams():
    text = one_node(
        ["a", "IMAGE:b", "c", "IMAGE:1:d"],
        ["x", "IMAGE:y", "z", "IMAGE:1:w"],
        'calculator: "PassThroughCalculator"',
    )
    sent = run_text(text, {"a": {0: 1}, "b": {0: 2}, "c": {1: 3}, "d": {2: 4}})
    assert sent == {"x": {0: 1}, "y": {0: 2}, "z": {1: 3}, "w": {2: 4}}
    with pytest.raises(GraphTextError, match="2 input streams without a tag and 1 output"):
        run_text(one_node(["a", "b"], ["x"], 'calculator: "PassThroughCalculator"'), {})


@pytest.mark.parametrize(
    ("control", "options", "says", "passed"),
    [
        ("ALLOW", "", {0: True, 1: False}, {0: "a"}),
        ("DISALLOW", "", {0: True, 1: False}, {1: "b"}),
        # Without a packet at a timestamp the gate is closed, whatever was said before.
        ("ALLOW", "", {0: True, 2: True}, {0: "a", 2: "c"}),
        ("DISALLOW", "empty_packets_as_allow: true", {1: True}, {0: "a", 2: "c"}),
        ("ALLOW", "allow: true", {}, {}),
    ],
)
def test_a_gate_goes_by_a_stream(control, options, says, passed):
    text = one_node(["data", f"{control}:say"], ["out"], gate(options))
    assert run_text(text, {"data": ABC, "say": says}) == {"out": passed}


@pytest.mark.parametrize(
    ("control", "says", "passed"),
    [("ALLOW", True, ABC), ("ALLOW", False, {}), ("DISALLOW", False, ABC), ("DISALLOW", True, {})],
)
def test_a_gate_goes_by_a_side_packet(control, says, passed):
    text = one_node(["data"], ["out"], gate("empty_packets_as_allow: true"), [f"{control}:say"])
    assert run_text(text, {"data": ABC}, side={"say": says}) == {"out": passed}


@pytest.mark.parametrize(("options", "passed"), [("allow: true", ABC), ("", {})])
def test_a_gate_without_control_goes_by_its_options(options, passed):
    text = one_node(["data"], ["out"], gate(options))
    assert run_text(text, {"data": ABC}) == {"out": passed}
    # As where the side packet is not connected, in a subgraph.
    text = one_node(["data"], ["out"], gate(options), ["ALLOW:say"]).replace(
        'input_side_packet: "say"', 'input_side_packet: "SAY:say"'
    )
    assert run_text(text, {"data": ABC}, left_out=["SAY"]) == {"out": passed}


@pytest.mark.parametrize(
    ("initial", "changes"),
    [
        ("GATE_UNINITIALIZED", {1: True, 3: False}),
        ("2", {0: False, 1: True, 3: False}),
        ("GATE_ALLOW", {0: False, 1: True, 3: False}),
        ("GATE_DISALLOW", {1: True, 3: False}),
    ],
)
def test_a_gate_of_several_streams_tells_of_its_changes(initial, changes):
    text = one_node(
        ["a", "b", "ALLOW:say"],
        ["x", "y", "STATE_CHANGE:change"],
        gate(f"initial_gate_state: {initial}"),
    )
    says = {0: False, 1: True, 2: True, 3: False}
    sent = run_text(text, {"a": {0: 1, 1: 2}, "b": {1: 3, 2: 4, 3: 5}, "say": says})
    assert sent == {"x": {1: 2}, "y": {1: 3, 2: 4}, "change": changes}


def test_a_gate_with_two_controls_is_refused():
    for inputs, sides in ((["a", "ALLOW:b", "DISALLOW:c"], []), (["a", "ALLOW:b"], ["ALLOW:c"])):
        with pytest.raises(GraphTextError, match="expected one of ALLOW and DISALLOW"):
            load_graph(parse_graph(one_node(inputs, ["x"], gate(), sides)), LIBRARY)


def test_merge_takes_the_first_of_any_number():
    text = one_node(["c", "A:a", "B:b"], ["x"], 'calculator: "MergeCalculator"')
    feed = {"a": {0: "a", 1: "a"}, "b": {0: "b", 2: "b"}, "c": {1: "c"}}
    assert run_text(text, feed) == {"x": {0: "a", 1: "c", 2: "b"}}
    with pytest.raises(GraphTextError, match="expected an input stream"):
        load_graph(parse_graph('node { calculator: "MergeCalculator" }'), LIBRARY)


MUX = 'calculator: "MuxCalculator"'


def test_mux_selects_by_a_stream_or_a_side_packet():
    inputs = ["INPUT:0:a", "INPUT:1:b"]
    feed = {"a": {0: "a0", 1: "a1"}, "b": {0: "b0", 1: "b1"}}
    text = one_node([*inputs, "SELECT:s"], ["OUTPUT:x"], MUX)
    assert run_text(text, feed | {"s": {0: 1, 1: 0}}) == {"x": {0: "b0", 1: "a1"}}
    text = one_node(inputs, ["OUTPUT:x"], MUX, ["SELECT:s"])
    assert run_text(text, feed, side={"s": 1}) == {"x": {0: "b0", 1: "b1"}}


def cloner(options=""):
    type_ = "mediapipe.PacketClonerCalculatorOptions.ext"
    return f'calculator: "PacketClonerCalculator" options {{ [{type_}] {{ {options} }} }}'


@pytest.mark.parametrize(
    ("options", "x"),
    [
        ("", {1: 1, 3: 1}),
        ("output_only_when_all_inputs_received: true", {3: 1}),
        ("output_packets_only_when_all_inputs_received: true", {3: 1}),
    ],
)
@pytest.mark.parametrize("tick", ["tick", "TICK:tick"])
def test_the_packet_cloner_repeats_all_streams_at_the_last(options, x, tick):
    text = one_node(["a", "b", tick], ["x", "y"], cloner(options))
    sent = run_text(text, {"a": {0: 1}, "b": {2: 5}, "tick": {1: 0, 3: 0}})
    assert sent == {"x": x, "y": {3: 5}}


def test_the_packet_cloner_needs_an_output_for_each_stream():
    with pytest.raises(GraphTextError, match="an output stream for each input stream but the last"):
        load_graph(parse_graph(one_node(["a", "b", "t"], ["x"], cloner())), LIBRARY)


def test_the_previous_loopback_gives_the_result_before():
    text = """
    input_stream: "a" output_stream: "b" output_stream: "c"
    node { calculator: "PreviousLoopbackCalculator" input_stream: "MAIN:a" input_stream: "LOOP:c"
           input_stream_info { tag_index: "LOOP" back_edge: true } output_stream: "PREV_LOOP:b" }
    node { calculator: "PassThroughCalculator" input_stream: "a" output_stream: "c" }
    """
    sent = run_text(text, {"a": {0: "x", 5: "y", 7: "z"}})
    assert sent["b"] == {5: "x", 7: "y"}


def limiter(options, *, sides=(), streams=("a",)):
    inputs = "".join(f'input_stream: "{name}" ' for name in streams)
    outputs = "".join(f'output_stream: "{name}_out" ' for name in streams)
    graph_outputs = outputs + 'output_stream: "allowed"'
    side = "".join(f'input_side_packet: "{name}" ' for name in sides)
    graph_sides = "".join(f'input_side_packet: "{name.rpartition(":")[2]}" ' for name in sides)
    return f"""
    {inputs} input_stream: "done" {graph_outputs} {graph_sides}
    node {{ calculator: "FlowLimiterCalculator" {inputs} input_stream: "FINISHED:done" {side}
      input_stream_info {{ tag_index: "FINISHED" back_edge: true }}
      {outputs} output_stream: "ALLOW:allowed"
      options {{ [mediapipe.FlowLimiterCalculatorOptions.ext] {{ {options} }} }}
    }}"""


FRAMES = {0: "f0", 10: "f10", 20: "f20"}


def test_the_flow_limiter_drops_by_default_what_comes_too_early():
    # Done with the first at 15: the second has been dropped by then, the third passes.
    sent = run_text(limiter(""), {"a": FRAMES, "done": {15: None}})
    assert sent["a_out"] == {0: "f0", 20: "f20"}
    assert sent["allowed"] == {0: True, 10: False, 20: True}


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        ("max_in_flight: 2", [0, 10]),
        # What waits at the end is let through: there is no newer packet.
        ("max_in_queue: 1", [0, 20]),
        ("max_in_queue: 2", [0, 10, 20]),
        ("in_flight_timeout: 15", [0, 20]),
        ("in_flight_timeout: 9", [0, 10, 20]),
        ("in_flight_timeout: 10", [0, 20]),
    ],
)
def test_the_flow_limiter_goes_by_its_options(options, passed):
    sent = run_text(limiter(options), {"a": FRAMES})
    assert list(sent["a_out"]) == passed


def test_a_side_packet_says_how_many_packets_may_be_under_way():
    text = limiter("max_in_flight: 1", sides=["MAX_IN_FLIGHT:most"])
    assert list(run_text(text, {"a": FRAMES}, side={"most": 3})["a_out"]) == [0, 10, 20]


def test_other_streams_pass_a_limiter_where_the_first_did():
    text = limiter("", streams=("a", "b", "c"))
    feed = {
        "a": FRAMES,
        "b": {0: "b0", 5: "b5", 10: "b10", 20: "b20"},
        "c": {20: "c20", 30: "c30"},
        "done": {15: None},
    }
    sent = run_text(text, feed)
    assert sent["a_out"] == {0: "f0", 20: "f20"}
    # What lies between two frames follows the earlier one, as in MediaPipe 0.10.21 when it was run.
    assert sent["b_out"] == {0: "b0", 5: "b5", 20: "b20"}
    assert sent["c_out"] == {20: "c20", 30: "c30"}


def test_a_stream_that_comes_late_or_early_passes_a_limiter_all_the_same():
    text = limiter("max_in_flight: 9", streams=("a", "b"))
    for feed in (
        {"a": {0: 1, 2: 2}, "b": {100: 9}},
        {"a": {100: 9}, "b": {0: 1, 2: 2}},
        {"a": {5: 1, 7: 2}, "b": {5: 3, 7: 4}},
    ):
        sent = run_text(text, feed)
        assert sent["a_out"] == feed["a"]
        assert sent["b_out"] == feed["b"]


def test_a_limiter_needs_a_stream_and_sane_options():
    text = 'node { calculator: "FlowLimiterCalculator" input_stream: "FINISHED:a" }'
    with pytest.raises(GraphTextError, match="expected an input stream without a tag"):
        load_graph(parse_graph(text), LIBRARY)
    with pytest.raises(GraphTextError, match="option max_in_flight: expected a whole number of 1"):
        load_graph(parse_graph(limiter("max_in_flight: 0")), LIBRARY)


def test_loops_run_for_each_item_beside_clones():
    text = """
    input_stream: "lists" input_stream: "a" input_stream: "b" output_stream: "back"
    output_stream: "a2" output_stream: "b2"
    node { calculator: "BeginLoopDetectionCalculator" input_stream: "ITERABLE:lists"
           input_stream: "CLONE:0:a" input_stream: "CLONE:1:b"
           output_stream: "ITEM:item" output_stream: "CLONE:0:a2" output_stream: "CLONE:1:b2"
           output_stream: "BATCH_END:end" }
    node { calculator: "PassThroughCalculator" input_stream: "item" output_stream: "same" }
    node { calculator: "EndLoopAnythingCalculator" input_stream: "ITEM:same"
           input_stream: "BATCH_END:end" output_stream: "ITERABLE:back" }
    """
    lists = {0: [1, 2], 1: [], 2: [3]}
    sent = run_text(text, {"lists": lists, "a": {0: "A"}, "b": {0: "B", 2: "C"}})
    assert sent["back"] == lists
    assert list(sent["a2"].values()) == ["A", "A"]
    assert list(sent["b2"].values()) == ["B", "B", "C"]


def test_a_loop_without_clones_and_with_a_tick_runs():
    text = """
    input_stream: "lists" input_stream: "tick" output_stream: "back"
    node { calculator: "BeginLoopIntegerCalculator" input_stream: "ITERABLE:lists"
           input_stream: "TICK:tick" output_stream: "ITEM:item" output_stream: "BATCH_END:end" }
    node { calculator: "EndLoopIntegersCalculator" input_stream: "ITEM:item"
           input_stream: "BATCH_END:end" output_stream: "ITERABLE:back" }
    """
    assert run_text(text, {"lists": {0: [1]}, "tick": {0: 1, 1: 1}}) == {"back": {0: [1]}}


def test_ours_run_under_their_own_names():
    text = one_node(
        ["IN:a", "ALLOW:b"],
        ["OUT:x", "STATE_CHANGE:change"],
        'calculator: "Gate" options { [my.Gate.ext] { open_at_first: true empty: last } }',
    )
    sent = run_text(text, {"a": ABC, "b": {1: False}})
    assert sent == {"x": {0: "a"}, "change": {1: False}}
    text = one_node(
        ["IN:0:a", "IN:1:b", "IN:2:c"],
        ["OUT:x"],
        'calculator: "Merge" options { [my.Merge.ext] { inputs: 3 } }',
    )
    assert run_text(text, {"a": {}, "b": {0: 1}, "c": {1: 2}}) == {"x": {0: 1, 1: 2}}
