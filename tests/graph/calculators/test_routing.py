"""Muxes, the demultiplexer and the inner join."""

import pytest
from graph_parts import pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from node_runs import BOUND, one_node, run_node

from handheld.errors import CalculatorError, InputError
from handheld.graph import (
    Graph,
    GraphConfig,
    ImmediateMux,
    Mux,
    Node,
    PacketInnerJoin,
    PassThrough,
    RoundRobinDemux,
    Timestamp,
)

THREADS = pytest.mark.parametrize("threads", [0, 2])
PRE, POST = Timestamp.PRE_STREAM, Timestamp.POST_STREAM

numbers = st.dictionaries(st.integers(0, 12), st.integers(0, 99), max_size=8)


@settings(deadline=None)
@given(
    select=st.dictionaries(st.integers(0, 12), st.integers(0, 2)), a=numbers, b=numbers, c=numbers
)
def test_a_mux_follows_its_control(select, a, b, c):
    data = [a, b, c]
    expected = [
        (data[number][time], time)
        for time, number in sorted(select.items())
        if time in data[number]
    ]
    feed = {"select": select, "in0": a, "in1": b, "in2": c}
    sent, drops = run_node(Mux(3), feed)
    assert sent["out"] == expected
    assert drops == sum(map(len, data)) - len(expected)
    for number, packets in enumerate(data):
        sent, drops = run_node(
            Mux(3, by_side=True), {"in0": a, "in1": b, "in2": c}, side={"select": number}
        )
        assert sent["out"] == [(packets[time], time) for time in sorted(packets)]
        assert drops == sum(map(len, data)) - len(packets)


@THREADS
@pytest.mark.parametrize("by_side", [False, True])
def test_a_mux_does_not_wait_for_what_is_not_selected(by_side, threads):
    names = ["in0", "in1"]
    mux = Mux(2, by_side=by_side)
    side = {"select": 1} if by_side else {}
    inputs = names if by_side else ["select", *names]
    with Graph(one_node(mux, inputs, side), side=side, threads=threads) as graph:
        reader = graph.output("out_out", timeout=20)
        if not by_side:
            graph.add("select", 1, 5)
        # in0 never says a word.
        graph.add("in1", "b", 5)
        assert tuple(next(reader)) == ("b", 5)
        if not by_side:
            graph.close_input("select")
        graph.close_input("in1")
        assert list(reader) == []
        assert graph.stats().streams["out_out"].bound == Timestamp.DONE


@pytest.mark.parametrize("at", [PRE, POST])
def test_a_mux_takes_packets_before_and_after_all_others(at):
    sent, _ = run_node(Mux(2), {"select": {at: 0}, "in0": {at: "a"}, "in1": {at: "b"}})
    assert sent["out"] == [("a", at)]


def test_a_side_packet_out_of_range():
    with pytest.raises(CalculatorError, match="select must be 0 to 1, got 2"):
        run_node(Mux(2, by_side=True), {"in0": {}, "in1": {}}, side={"select": 2})


@THREADS
def test_an_immediate_mux_drops_what_comes_too_late(threads):
    with Graph(one_node(ImmediateMux(2), ["in0", "in1"]), threads=threads) as graph:
        out, finished = graph.output("out_out"), graph.output("out_finished")
        sent = []
        for port, payload, timestamp in [
            ("in0", "a", 5),
            ("in1", "b", 7),
            ("in0", "c", 7),
            ("in0", "d", 9),
            ("in1", "e", 8),
        ]:
            graph.add(port, payload, timestamp)
            # One after the other: else the order would be that of the threads.
            sent.append(next(finished).timestamp)
        graph.close_input()
        assert pairs(list(out)) == [("a", 5), ("b", 7), ("d", 9)]
        # One for each packet that came, at the next timestamp that is free.
        assert sent == [5, 7, 8, 9, 10]
        graph.wait()
        assert graph.stats().drops == 2


def test_an_immediate_mux_on_the_default_policy_merges():
    feed = {"in0": {1: "a", 3: "b"}, "in1": {1: "A", 2: "B"}}
    sent, drops = run_node(ImmediateMux(2, immediate=False), feed)
    assert sent == {
        "out": [("a", 1), ("B", 2), ("b", 3)],
        "finished": [(True, 1), (True, 2), (True, 3), (True, 4)],
    }
    assert drops == 1


@pytest.mark.parametrize(("bounds", "passed"), [(False, [("a", 90)]), (True, [])])
def test_a_bound_may_count_as_a_packet_that_went(bounds, passed):
    """MediaPipe's own example: a bound of 100 on one input, then a packet at 90 on another."""
    mux = ImmediateMux(2, process_timestamp_bounds=bounds)
    with Graph(one_node(mux, ["in0", "in1"])) as graph:
        out = graph.output("out_out")
        graph.set_bound("in0", 101)
        graph.add("in1", "a", 90)
        graph.close_input()
        assert pairs(list(out)) == passed


@settings(deadline=None)
@given(packets=st.dictionaries(st.integers(0, 50), st.integers()), count=st.integers(1, 4))
def test_round_robin_and_back(packets, count):
    times = sorted(packets)
    sent, drops = run_node(RoundRobinDemux(count), {"in": packets})
    assert sent.pop("select") == [(number % count, time) for number, time in enumerate(times)]
    for number in range(count):
        expected = [(packets[time], time) for time in times[number::count]]
        assert sent[f"out{number}"] == expected
    assert drops == 0


@THREADS
def test_two_nodes_share_the_work_of_one(threads):
    config = GraphConfig(
        inputs={"in": int},
        nodes=[
            Node(RoundRobinDemux(2), inputs="in", outputs=["a", "b", "select"]),
            Node(PassThrough(), inputs="a", outputs="a2"),
            Node(PassThrough(), inputs="b", outputs="b2"),
            Node(Mux(2), inputs=["select", "a2", "b2"], outputs="out"),
        ],
    )
    with Graph(config, threads=threads) as graph:
        out = graph.output("out")
        for number in range(20):
            graph.add("in", number, number)
        graph.close_input()
        assert pairs(list(out)) == [(number, number) for number in range(20)]


@settings(deadline=None)
@given(a=numbers, b=numbers, c=numbers)
def test_an_inner_join_sends_what_all_have(a, b, c):
    common = sorted(a.keys() & b.keys() & c.keys())
    sent, drops = run_node(PacketInnerJoin(3), {"in0": a, "in1": b, "in2": c})
    for port, packets in zip(sent, (a, b, c), strict=True):
        assert sent[port] == [(packets[time], time) for time in common]
    assert drops == len(a) + len(b) + len(c) - 3 * len(common)


@THREADS
def test_joins_of_bounds_and_special_packets(threads):
    join = PacketInnerJoin({"a": "x", "b": "y"})
    feed = {"a": {2: BOUND, 5: BOUND}, "b": {3: BOUND}}
    assert run_node(join, feed, threads=threads) == ({"x": [], "y": []}, 0)
    for at in (PRE, POST):
        sent, _ = run_node(join, {"a": {at: 1}, "b": {at: 2}}, threads=threads)
        assert sent == {"x": [(1, at)], "y": [(2, at)]}


@pytest.mark.parametrize("make", [ImmediateMux, RoundRobinDemux, PacketInnerJoin])
def test_at_least_one(make):
    with pytest.raises(InputError, match="expected a whole number of 1 or more, got 0"):
        make(0)
