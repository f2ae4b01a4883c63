from typing import Any

import pytest
from graph_parts import pairs

from handheld.errors import CalculatorError, InputError
from handheld.graph import (
    Calculator,
    Gate,
    Graph,
    GraphConfig,
    Merge,
    Mux,
    Node,
    PacketCloner,
    PassThrough,
)

Packets = dict[str, dict[int, Any]]


def run(calculator: Calculator, feed: Packets) -> tuple[list[tuple[Any, int]], int]:
    """Feed port -> timestamp -> payload; return what the node sends, and how many
    packets it drops.
    """
    config = GraphConfig(
        inputs=dict.fromkeys(feed, object),
        nodes=[Node(calculator, inputs={port: port for port in feed}, outputs="out", name="node")],
    )
    with Graph(config) as graph:
        reader = graph.output("out")
        for port, packets in feed.items():
            for timestamp, payload in packets.items():
                graph.add(port, payload, timestamp)
        graph.close_input()
        return pairs(list(reader)), graph.stats().drops


@pytest.mark.parametrize(
    ("calculator", "feed", "sent", "drops"),
    [
        (PassThrough(), {"in": {0: "a", 5: "b"}}, [("a", 0), ("b", 5)], 0),
        (
            Gate(),
            {"in": {0: "a", 1: "b", 2: "c", 3: "d"}, "allow": {1: True, 3: False}},
            [("b", 1), ("c", 2)],
            2,
        ),
        (Gate(open_at_first=True), {"in": {0: "a", 1: "b"}, "allow": {1: False}}, [("a", 0)], 1),
        (
            Merge(3),
            {"in0": {2: "a"}, "in1": {0: "b", 2: "c"}, "in2": {1: "d", 2: "e"}},
            [("b", 0), ("d", 1), ("a", 2)],
            2,
        ),
        (
            Mux(2),
            {"select": {0: 1, 1: 0, 2: 1}, "in0": {0: "a", 1: "b"}, "in1": {0: "A", 3: "D"}},
            [("A", 0), ("b", 1)],
            2,
        ),
        (
            PacketCloner(),
            {"in": {1: "a", 3: "b"}, "tick": {0: 0, 1: 0, 2: 0, 4: 0, 9: 0}},
            [("a", 1), ("a", 2), ("b", 4), ("b", 9)],
            0,
        ),
    ],
)
def test_what_is_sent_and_what_is_dropped(
    calculator: Calculator, feed: Packets, sent: list[Any], drops: int
) -> None:
    assert run(calculator, feed) == (sent, drops)
    assert run(calculator, feed) == (sent, drops)  # open() forgets the run before


def test_a_gate_that_drops_settles_what_waits_below() -> None:
    config = GraphConfig(
        inputs={"frame": int, "allow": bool},
        nodes=[
            Node(Gate(), inputs=["frame", "allow"], outputs="gated"),
            Node(Merge(), inputs=["gated", "frame"], outputs="out"),
        ],
    )
    with Graph(config) as graph:
        reader = graph.output("out")
        graph.add("allow", False, 0)
        graph.add("frame", 7, 0)
        assert pairs(reader.drain()) == [(7, 0)]


@pytest.mark.parametrize("select", [-1, 2])
def test_a_mux_does_not_take_a_number_out_of_range(select: int) -> None:
    with pytest.raises(
        CalculatorError, match=f"node 'node' failed at timestamp 4: .* 0 to 1, got {select}"
    ):
        run(Mux(2), {"select": {4: select}, "in0": {}, "in1": {}})


@pytest.mark.parametrize("make", [Merge, Mux])
def test_at_least_one_input(make: Any) -> None:
    with pytest.raises(InputError, match="inputs: expected a whole number of 1 or more, got 0"):
        make(0)


def test_a_gate_of_several_streams_is_closed_by_its_inverted_control() -> None:
    gate = Gate(streams={"a": "x", "b": "y"}, inverted=True, empty="open")
    config = GraphConfig(
        inputs={"a": str, "b": str, "no": bool},
        nodes=[
            Node(
                gate,
                inputs={"a": "a", "b": "b", "disallow": "no"},
                outputs={"x": "x", "y": "y", "state_change": "change"},
            )
        ],
    )
    with Graph(config) as graph:
        readers = [graph.output(name) for name in ("x", "y", "change")]
        for timestamp in range(3):
            graph.add("a", "a", timestamp)
            graph.add("b", "b", timestamp)
        graph.add("no", True, timestamp=1)
        graph.close_input()
        sent = [[packet.timestamp for packet in reader] for reader in readers]
        # Dropped at 1 on both streams; closed there, open again at 2.
        assert sent == [[0, 2], [0, 2], [1, 2]]
        assert graph.stats().drops == 2


def test_a_side_packet_opens_a_gate_each_run() -> None:
    config = GraphConfig(
        inputs={"a": str},
        side_inputs={"ok": bool},
        nodes=[Node(Gate(control="side"), inputs="a", outputs="x", side_inputs="ok")],
    )
    for ok, passed in ((True, ["a"]), (False, [])):
        with Graph(config, side={"ok": ok}) as graph:
            reader = graph.output("x")
            graph.add("a", "a", timestamp=0)
            assert [packet.payload for packet in reader.drain()] == passed
