"""The thinner, held to lists."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_runs import BOUND, run_node

from handheld.errors import CalculatorError, InputError
from handheld.graph import Graph, PacketThinner, Timestamp

PRE, POST = Timestamp.PRE_STREAM, Timestamp.POST_STREAM

packets = st.sets(st.integers(-30, 120), max_size=40).map(
    lambda times: {time: number for number, time in enumerate(sorted(times))}
)
starts = st.none() | st.integers(-20, 40)
ends = st.none() | st.integers(41, 130)


def kept(packets, start, end):
    """Return the timestamps within the limits."""
    return [
        time
        for time in sorted(packets)
        if (start is None or time >= start) and (end is None or time < end)
    ]


@settings(deadline=None)
@given(packets=packets, period=st.integers(1, 30), start=starts, end=ends)
def test_async_keeps_back_a_period_after_each_packet(packets, period, start, end):
    chosen = []
    for time in kept(packets, start, end):
        if not chosen or time - chosen[-1] >= period:
            chosen.append(time)
    thinner = PacketThinner(period=period, start_time=start, end_time=end)
    sent, drops = run_node(thinner, {"in": packets})
    assert sent["out"] == [(packets[time], time) for time in chosen]
    assert drops == len(packets) - len(chosen)


@settings(deadline=None)
@given(packets=packets, period=st.integers(1, 30), start=starts, end=ends, middles=st.booleans())
def test_sync_sends_what_is_nearest_to_the_middle_of_each_period(
    packets, period, start, end, middles
):
    origin = start or 0
    groups = {}
    for time in kept(packets, origin, end):
        # Halves of an even period belong to the next middle.
        middle = origin + (2 * (time - origin) + 2 * (period // 2)) // (2 * period) * period
        groups.setdefault(middle, []).append(time)
    expected = []
    for middle, times in groups.items():
        best = min(times, key=lambda time: (abs(time - middle), -time))
        expected.append((packets[best], middle if middles else best))
    thinner = PacketThinner(
        thinner_type="sync",
        period=period,
        start_time=start,
        end_time=end,
        sync_output_timestamps=middles,
    )
    sent, drops = run_node(thinner, {"in": packets})
    assert sent["out"] == expected
    assert drops == len(packets) - len(expected)


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("thinner_type", ["async", "sync"])
def test_nothing_bounds_and_special_packets(thinner_type, threads):
    thinner = PacketThinner(thinner_type=thinner_type, period=10)
    for feed, drops in (({}, 0), ({5: BOUND, 50: BOUND}, 0), ({PRE: 1}, 1), ({POST: 1}, 1)):
        assert run_node(thinner, {"in": feed}, threads=threads) == ({"out": []}, drops)


def test_what_is_settled_downstream():
    from node_runs import one_node

    def bounds(thinner, feed):
        with Graph(one_node(thinner, ["in"])) as graph:
            for timestamp, payload in feed:
                if payload is BOUND:
                    graph.set_bound("in", timestamp)
                else:
                    graph.add("in", payload, timestamp)
            return graph.stats().streams["out_out"].bound

    assert bounds(PacketThinner(period=10, start_time=7), []) == 7
    # No packet within the ten microseconds after one.
    assert bounds(PacketThinner(period=10), [(20, "a")]) == 30
    assert bounds(PacketThinner(period=10), [(20, "a"), (50, BOUND)]) == 50
    # The period around 20 is not over: its packet is still to come.
    sync = PacketThinner(thinner_type="sync", period=10)
    assert bounds(sync, [(18, "a"), (21, "b")]) == 20
    assert bounds(PacketThinner(period=10, end_time=40), [(40, "a")]) == Timestamp.DONE


def test_a_side_packet_says_the_period():
    feed = {"in": {0: "a", 5: "b", 10: "c"}}
    assert run_node(PacketThinner(period=1), feed, side={"period": 10})[0]["out"] == [
        ("a", 0),
        ("c", 10),
    ]
    with pytest.raises(CalculatorError, match="side packet period: expected a whole number of 1"):
        run_node(PacketThinner(), feed, side={"period": 0})


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        # Every third of 30 frames: 100 ms are three frames; 101 ms take a fourth.
        ({"period": 100_000}, 10.0),
        ({"period": 101_000}, 7.5),
        ({"period": 100_000, "thinner_type": "sync"}, 10.0),
        ({"period": 10_000, "thinner_type": "sync"}, 30.0),
    ],
)
def test_the_header_tells_the_rate_that_is_left(options, rate):
    from graph_parts import Call

    from handheld.graph import Contract, GraphConfig, Node

    seen = []

    class Reader(Call):
        def open(self, context):
            seen.append(context.header("in"))

    for update, expected in ((True, {"frame_rate": rate}), (False, {"frame_rate": 30.0})):
        thinner = PacketThinner(update_frame_rate=update, **options)
        reader = Reader(lambda context: None, Contract(inputs={"in": object}))
        config = GraphConfig(
            inputs={"in": object},
            nodes=[Node(thinner, inputs="in", outputs="thin"), Node(reader, inputs="thin")],
        )
        with Graph(config, headers={"in": {"frame_rate": 30.0}}):
            assert seen.pop() == expected


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"period": 0}, "period: expected a whole number of 1 or more"),
        ({"thinner_type": "both"}, "thinner_type: expected async or sync"),
        ({"start_time": 5, "end_time": 5}, "end_time: expected a time after start_time, 5, got 5"),
    ],
)
def test_options_out_of_range(options, reason):
    with pytest.raises(InputError, match=reason):
        PacketThinner(**options)
