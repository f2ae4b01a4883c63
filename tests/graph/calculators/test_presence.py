"""What is there, and what stands in for what is not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_runs import BOUND, run_node

from handheld.graph import DefaultValue, PacketPresence, Timestamp

THREADS = pytest.mark.parametrize("threads", [0, 2])
PRE, POST = Timestamp.PRE_STREAM, Timestamp.POST_STREAM

numbers = st.dictionaries(st.integers(0, 12), st.integers(0, 99), max_size=8)


@pytest.mark.parametrize(
    ("feed", "told"),
    [
        ({}, []),
        ({5: "a", 7: "b"}, [(True, 5), (True, 7)]),
        # The last timestamp that a bound settles.
        (
            {5: "a", 8: BOUND, 20: BOUND, 20.5: "b"},
            [(True, 5), (False, 7), (False, 19), (True, 21)],
        ),
        ({PRE: "a"}, [(True, PRE)]),
        ({POST: "a"}, [(True, POST)]),
    ],
)
def test_presence_is_told_of_packets_and_bounds(feed, told):
    feed = {21 if time == 20.5 else time: payload for time, payload in feed.items()}
    assert run_node(PacketPresence(), {"packet": feed})[0]["presence"] == told


@settings(deadline=None)
@given(packets=numbers, ticks=numbers)
def test_presence_at_the_ticks(packets, ticks):
    feed = {"packet": packets, "tick": ticks}
    expected = [(time in packets, time) for time in sorted(ticks)]
    for threads in (0, 2):
        sent, drops = run_node(PacketPresence(ticks=True), feed, threads=threads)
        assert (sent["presence"], drops) == (expected, 0)


@settings(deadline=None)
@given(packets=numbers, ticks=numbers)
def test_a_default_at_the_ticks_where_nothing_is(packets, ticks):
    sent, drops = run_node(DefaultValue(-1), {"in": packets, "tick": ticks})
    assert sent["out"] == [(packets.get(time, -1), time) for time in sorted(ticks)]
    assert sent["flag"] == [(True, time) for time in sorted(ticks.keys() - packets.keys())]
    assert drops == len(packets.keys() - ticks.keys())


@THREADS
@pytest.mark.parametrize("at", [PRE, POST])
def test_a_default_before_and_after_all_packets(at, threads):
    sent, _ = run_node(DefaultValue(), {"in": {}, "tick": {at: 0}}, threads=threads)
    assert sent == {"out": [(None, at)], "flag": [(True, at)]}


def test_a_default_may_be_a_side_packet():
    feed = {"in": {1: "a"}, "tick": {0: 0, 1: 0, 3: BOUND}}
    for default in ("b", None):
        sent, _ = run_node(DefaultValue("c"), feed, side={"default": default})
        assert sent["out"] == [(default, 0), ("a", 1)]
