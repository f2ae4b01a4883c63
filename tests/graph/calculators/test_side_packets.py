"""Side packets: constants, defaults, and as streams."""

import pytest
from graph_parts import Call, pairs
from node_runs import BOUND, run_node

from handheld.errors import CalculatorError, InputError
from handheld.graph import (
    ConstantSidePacket,
    Contract,
    DefaultSidePacket,
    Graph,
    GraphConfig,
    Node,
    PassThrough,
    SidePacketToStream,
    Timestamp,
)

THREADS = pytest.mark.parametrize("threads", [0, 2])
PRE, POST = Timestamp.PRE_STREAM, Timestamp.POST_STREAM


def sides_of(nodes, side=None, threads=0):
    """Return what a node sees of the side packets a and b."""
    seen = {}

    class Reader(Call):
        def open(self, context):
            seen.update(context.side)

    contract = Contract(inputs={"in": object}, side_inputs={"a": object, "b": object})
    reader = Reader(lambda context: None, contract)
    config = GraphConfig(
        inputs={"in": object},
        side_inputs=dict.fromkeys(side or {}, object),
        nodes=[*nodes, Node(reader, inputs="in", side_inputs=["a", "b"])],
    )
    with Graph(config, side=side or {}, threads=threads) as graph:
        graph.add("in", 0, 0)
    return seen


@THREADS
@pytest.mark.parametrize(
    ("packets", "ports"), [([1, "x"], None), ({"one": 1, "two": "x"}, {"one": "a", "two": "b"})]
)
def test_constants(packets, ports, threads):
    constants = ConstantSidePacket(packets)
    node = Node(constants, side_outputs=ports or ["a", "b"])
    assert sides_of([node], threads=threads) == {"a": 1, "b": "x"}


@THREADS
def test_a_default_where_nothing_is_connected(threads):
    nodes = [
        Node(DefaultSidePacket(), side_inputs={"default_value": "x"}, side_outputs="a"),
        Node(DefaultSidePacket(), side_inputs=["y", "x"], side_outputs="b"),
    ]
    # None is a value like any other.
    assert sides_of(nodes, {"x": 1, "y": None}, threads) == {"a": 1, "b": None}


@THREADS
def test_side_packets_pass_through(threads):
    passing = PassThrough({}, sides={"x": "y"})
    nodes = [
        Node(passing, side_inputs={"x": "p"}, side_outputs={"y": "a"}),
        Node(PassThrough(sides={"x": "y"}), inputs="in", side_inputs="p", side_outputs="b"),
    ]
    assert sides_of(nodes, {"p": 5}, threads) == {"a": 5, "b": 5}


@THREADS
@pytest.mark.parametrize(
    ("at", "timestamp"), [("prestream", PRE), ("poststream", POST), ("zero", 0), ("timestamp", 7)]
)
def test_once_at_a_timestamp(at, timestamp, threads):
    side = {"packet0": "a", "packet1": "b"} | ({"timestamp": 7} if at == "timestamp" else {})
    sent, _ = run_node(SidePacketToStream(at, 2), {}, side=side, threads=threads)
    assert sent == {"out0": [("a", timestamp)], "out1": [("b", timestamp)]}


@THREADS
@pytest.mark.parametrize(("at", "times"), [("tick", [3, 5]), ("first_tick", [3])])
def test_at_the_ticks(at, times, threads):
    sender = SidePacketToStream(at, {"x": "y"})
    feed = {"tick": {1: BOUND, 3: 0, 5: 0, 9: BOUND}}
    sent, _ = run_node(sender, feed, side={"x": "a"}, threads=threads)
    assert sent == {"y": [("a", time) for time in times]}
    for at_end in (PRE, POST):
        sent, _ = run_node(sender, {"tick": {at_end: 0}}, side={"x": "a"}, threads=threads)
        assert sent == {"y": [("a", at_end)]}
    assert run_node(sender, {"tick": {}}, side={"x": "a"}, threads=threads)[0] == {"y": []}


def test_the_first_tick_ends_the_stream():
    config = GraphConfig(
        inputs={"tick": int},
        side_inputs={"x": str},
        nodes=[
            Node(SidePacketToStream("first_tick"), inputs="tick", side_inputs="x", outputs="out")
        ],
    )
    with Graph(config, side={"x": "a"}) as graph:
        reader = graph.output("out")
        graph.set_bound("tick", 2)
        assert graph.stats().streams["out"].bound == 2
        graph.add("tick", 0, 2)
        assert graph.stats().streams["out"].bound == Timestamp.DONE
        assert pairs(list(reader)) == [("a", 2)]


def test_where_no_packet_may_be():
    with pytest.raises(CalculatorError, match="side packet timestamp: no packet may be sent at"):
        run_node(
            SidePacketToStream("timestamp"),
            {},
            side={"packet0": 1, "timestamp": int(Timestamp.DONE)},
        )
    with pytest.raises(InputError, match="at: expected prestream or poststream or zero or tick"):
        SidePacketToStream("now")
