"""Calculators that go by the order of packets."""

import pytest
from graph_parts import pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from node_runs import BOUND, one_node, run_node

from handheld.errors import CalculatorError, InputError
from handheld.graph import Counter, CountingSource, Graph, SequenceShift, Timestamp

THREADS = pytest.mark.parametrize("threads", [0, 2])
PRE, POST = Timestamp.PRE_STREAM, Timestamp.POST_STREAM
ABC = {0: "a", 10: "b", 30: "c", 40: "d"}


@settings(deadline=None)
@given(packets=st.dictionaries(st.integers(0, 50), st.integers()), offset=st.integers(-4, 4))
def test_packet_i_comes_at_the_time_of_packet_i_plus_the_offset(packets, offset):
    times = sorted(packets)
    expected = [
        (packets[time], times[number + offset])
        for number, time in enumerate(times)
        if 0 <= number + offset < len(times)
    ]
    sent, drops = run_node(SequenceShift(offset), {"in": packets})
    assert sent["out"] == expected
    assert drops == len(packets) - len(expected)


@THREADS
@pytest.mark.parametrize(
    ("side", "sent"),
    [
        ({}, [("b", 0), ("c", 10), ("d", 30)]),
        ({"packet_offset": 2}, [("a", 30), ("b", 40)]),
        ({"packet_offset": 0}, [("a", 0), ("b", 10), ("c", 30), ("d", 40)]),
    ],
)
def test_a_side_packet_says_how_far(side, sent, threads):
    assert run_node(SequenceShift(), {"in": ABC}, side=side, threads=threads)[0]["out"] == sent


@pytest.mark.parametrize(
    ("offset", "fed", "bound"),
    [
        (-1, [], 20),
        (-1, [(30, "a")], 30),  # whose timestamp waits for the next packet
        (-1, [(30, "a"), (35, "b")], 35),
        (2, [], 20),
        (2, [(30, "a")], 31),
        (0, [(30, "a")], 31),
    ],
)
def test_what_is_settled_behind_a_shift(offset, fed, bound):
    with Graph(one_node(SequenceShift(offset), ["in"])) as graph:
        graph.set_bound("in", 20)
        for timestamp, payload in fed:
            graph.add("in", payload, timestamp)
        assert graph.stats().streams["out_out"].bound == bound


@THREADS
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_no_packet_or_a_single_one(offset, threads):
    for feed in ({}, {5: BOUND, 9: BOUND}):
        assert run_node(SequenceShift(offset), {"in": feed}, threads=threads) == ({"out": []}, 0)
    for at in (PRE, POST):
        sent, drops = run_node(SequenceShift(offset), {"in": {at: "a"}}, threads=threads)
        assert sent["out"] == ([] if offset else [("a", at)])
        assert drops == (1 if offset else 0)


@THREADS
def test_a_counter_counts(threads):
    sent, _ = run_node(Counter(), {"in": {**ABC, 20: BOUND}}, threads=threads)
    assert sent["count"] == [(1, 0), (2, 10), (3, 30), (4, 40)]
    assert run_node(Counter(start=7), {"in": {POST: "a"}})[0]["count"] == [(8, POST)]


@THREADS
@pytest.mark.parametrize(
    ("options", "side", "numbers"),
    [
        ({"max_count": 3}, {}, [0, 1, 2]),
        ({"max_count": 0}, {}, []),
        (
            {"max_count": 2, "batch_size": 2, "initial_value": -3, "increment": 5},
            {},
            [-3, 2, 7, 12],
        ),
        ({}, {"max_count": 2, "initial_value": 4}, [4, 5]),
        ({"max_count": 9}, {"max_count": 0}, []),
    ],
)
def test_a_source_of_numbers(options, side, numbers, threads):
    sent, _ = run_node(CountingSource(**options), {}, side=side, threads=threads)
    assert sent["out"] == [(number, number) for number in numbers]


def test_a_source_without_an_end():
    with Graph(one_node(CountingSource(increment=2), [])) as graph:
        reader = graph.output("out_out")
        assert pairs([next(reader) for _ in range(3)]) == [(0, 0), (2, 2), (4, 4)]


@pytest.mark.parametrize(
    ("make", "options", "reason"),
    [
        (SequenceShift, {"packet_offset": 1.5}, "packet_offset: expected a whole number, got 1.5"),
        (Counter, {"start": None}, "start: expected a whole number, got None"),
        (CountingSource, {"max_count": -1}, "max_count: expected a whole number of 0 or more"),
        (CountingSource, {"batch_size": 0}, "batch_size: expected a whole number of 1 or more"),
        (CountingSource, {"increment": 0}, "increment: expected a whole number of 1 or more"),
    ],
)
def test_options_out_of_range(make, options, reason):
    with pytest.raises(InputError, match=reason):
        make(**options)


def test_side_packets_out_of_range():
    with pytest.raises(CalculatorError, match="increment: expected a whole number of 1 or more"):
        run_node(CountingSource(), {}, side={"increment": 0})
