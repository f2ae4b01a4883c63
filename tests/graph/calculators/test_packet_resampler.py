"""The resampler, held to a list of all its packets, which knows the end from the beginning."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_runs import BOUND, run_node

from handheld.errors import CalculatorError, InputError
from handheld.graph import PacketResampler, Timestamp

SECOND = 1_000_000
PRE, POST = Timestamp.PRE_STREAM, Timestamp.POST_STREAM
THREADS = pytest.mark.parametrize("threads", [0, 2])


def half_up(number):
    return math.floor(number + 0.5)


def grid_of(packets, rate, *, base=None, flush=True, limits=(None, None), margin=0):
    """Return what the resampler sends: for each point in time look through the whole list.

    A point k/rate gets the packet nearest to it among those whose nearest point it is, the later of
    two; one that no packet is nearest to gets the last packet before. The last point gets one only
    if a packet lies at or behind it, or is flushed.
    """
    times = sorted(packets)
    if not times:
        return []
    first = times[0]
    if base is not None:
        number = half_up((first - base) / SECOND * rate)
        first = base + half_up(number / rate * SECOND)
    number_of = {time: half_up((time - first) / SECOND * rate) for time in times}
    sent = []
    for number in range(number_of[times[-1]] + 1):
        point = first + half_up(number / rate * SECOND)
        near = [time for time in times if number_of[time] == number]
        before = [time for time in times if number_of[time] < number]
        if not near:
            chosen = before[-1]
        else:
            # One before the point and the first at or behind it are all that may be nearest; the
            # packet just before the point counts whatever its own nearest point is.
            earlier = [time for time in times if time < point]
            later = [time for time in near if time >= point]
            if not later and number == number_of[times[-1]] and not flush:
                continue
            candidates = earlier[-1:] + later[:1]
            chosen = min(candidates, key=lambda time: (abs(time - point), -time))
        low, high = limits
        if low is not None and point < low - margin:
            continue
        if high is not None and point >= high + margin:
            continue
        sent.append((packets[chosen], point))
    return sent


def numbered(times):
    return {time: number for number, time in enumerate(sorted(times))}


times = st.sets(st.integers(0, 3 * SECOND), max_size=25).map(numbered)


@settings(deadline=None)
@given(
    packets=times,
    rate=st.sampled_from([1, 2.5, 7, 10, 30, 29.97]),
    flush=st.booleans(),
    start=st.none() | st.integers(0, SECOND),
    end=st.none() | st.integers(SECOND, 2 * SECOND),
    rounds=st.booleans(),
    base=st.none() | st.integers(-SECOND, 4 * SECOND),
)
def test_the_grid_is_that_of_the_whole_list(packets, rate, flush, start, end, rounds, base):
    margin = int(SECOND / rate) // 2 if rounds else 0
    expected = grid_of(packets, rate, base=base, flush=flush, limits=(start, end), margin=margin)
    resampler = PacketResampler(
        frame_rate=rate,
        flush_last_packet=flush,
        start_time=start,
        end_time=end,
        round_limits=rounds,
        base_timestamp=base,
    )
    assert run_node(resampler, {"in": packets})[0]["out"] == expected


@THREADS
def test_numbers_that_can_be_checked_by_hand(threads):
    # 10 Hz: points 0, 100, 200, ... ms. 45 ms is too far from 100; 260 is nearest to 300.
    packets = {0: "a", 45_000: "b", 110_000: "c", 260_000: "d", 600_000: "e"}
    sent, drops = run_node(PacketResampler(frame_rate=10), {"in": packets}, threads=threads)
    assert sent["out"] == [
        ("a", 0),
        ("c", 100_000),
        ("c", 200_000),
        ("d", 300_000),
        ("d", 400_000),
        ("d", 500_000),
        ("e", 600_000),
    ]
    assert drops == 0


@pytest.mark.parametrize(
    ("first", "base", "sent"),
    [
        # Halves go away from zero: -0.5 points from the base to -1, and half a point from there
        # to the base again. The point before the stream, as near as the base, has no packet.
        (950_000, 1_000_000, [("a", 1_000_000), ("b", 1_100_000)]),
        (1_050_000, 1_000_000, [("b", 1_100_000)]),
    ],
)
def test_a_first_packet_halfway_between_two_points_is_sent_at_no_earlier_one(first, base, sent):
    resampler = PacketResampler(frame_rate=10, base_timestamp=base)
    packets = {first: "a", 1_100_000: "b"}
    assert run_node(resampler, {"in": packets})[0]["out"] == sent


def test_thirds_of_a_second_do_not_add_up_their_rounding():
    packets = dict.fromkeys(range(0, SECOND + 1, 10_000), "x")
    sent = run_node(PacketResampler(frame_rate=3), {"in": packets})[0]["out"]
    assert [timestamp for _, timestamp in sent] == [0, 333_333, 666_667, 1_000_000]


@pytest.mark.parametrize(
    ("options", "times"),
    [
        ({"start_time": 200_000, "end_time": 400_000}, [200_000, 300_000]),
        ({"start_time": 240_000, "end_time": 440_000}, [300_000, 400_000]),
        (
            {"start_time": 240_000, "end_time": 440_000, "round_limits": True},
            [200_000, 300_000, 400_000],
        ),
        ({"frame_rate": 100.0, "max_frame_rate": 5.0}, [0, 200_000, 400_000]),
        ({"base_timestamp": 30_000}, [30_000, 130_000, 230_000, 330_000, 430_000, 530_000]),
    ],
)  # fmt: skip
def test_limits_and_bases(options, times):
    packets = dict.fromkeys(range(0, 500_001, 20_000), "x")
    resampler = PacketResampler(**{"frame_rate": 10.0, **options})
    sent = run_node(resampler, {"in": packets})[0]["out"]
    wanted = [time for time in times if time <= 500_000 + 50_000]
    assert [timestamp for _, timestamp in sent][: len(wanted)] == wanted


@THREADS
@pytest.mark.parametrize("feed", [{}, {50_000: BOUND, 150_000: BOUND}])
def test_nothing_comes_of_nothing(feed, threads):
    for options in ({}, {"jitter": 0.5}, {"reproducible_sampling": True}):
        resampler = PacketResampler(frame_rate=10, **options)
        assert run_node(resampler, {"in": feed}, threads=threads) == (
            {"out": [], "video_header": []},
            0,
        )


@pytest.mark.parametrize("timestamp", [PRE, POST])
def test_a_packet_outside_of_time_is_refused(timestamp):
    with pytest.raises(CalculatorError, match="expected a packet between Min and Max, got one at"):
        run_node(PacketResampler(frame_rate=10), {"in": {timestamp: "a"}})


JITTERS = [
    {"jitter": 0.3},
    {"jitter": 1.0},
    {"jitter": 0.3, "jitter_with_reflection": True},
    {"jitter": 0.0, "reproducible_sampling": True},
    {"jitter": 0.7, "reproducible_sampling": True},
]


@settings(deadline=None, max_examples=40)
@given(packets=times, options=st.sampled_from(JITTERS), seed=st.integers(0, 99))
def test_random_points_keep_to_their_law(packets, options, seed):
    resampler = PacketResampler(frame_rate=5, seed=seed, **options)
    sent = run_node(resampler, {"in": packets})[0]["out"]
    assert sent == run_node(resampler, {"in": packets})[0]["out"]
    period = 200_000
    points = [timestamp for _, timestamp in sent]
    assert points == sorted(set(points))
    for payload, point in sent:
        # The nearest packet, or at the end what is left, at its own time.
        least = min(abs(time - point) for time in packets)
        mine = [time for time, number in packets.items() if number == payload]
        assert abs(mine[0] - point) == least or point == points[-1] or point == points[0]
    if options.get("reproducible_sampling"):
        assert len({point // period for point in points}) == len(points)
    elif options.get("jitter_with_reflection") and packets:
        first = min(packets)
        assert len({(point - first) // period for point in points}) == len(points)
    else:
        jitter = options["jitter"]
        for earlier, later in pairwise(points):
            assert (1 - jitter) * period - 1 <= later - earlier <= (1 + jitter) * period + 1


def test_parts_of_a_stream_give_what_the_whole_gives():
    """What is reproducible: cut between two periods, with one packet more on either side."""
    step = 20_000
    whole = numbered(range(0, 4 * SECOND, step))
    cut = 2 * SECOND
    resampler = PacketResampler(frame_rate=5, jitter=0.5, reproducible_sampling=True, seed="video")

    def run(packets):
        return run_node(resampler, {"in": packets})[0]["out"]

    head = {time: number for time, number in whole.items() if time < cut + step}
    tail = {time: number for time, number in whole.items() if time >= cut - step}
    parts = [packet for packet in run(head) if packet[1] < cut]
    parts += [packet for packet in run(tail) if packet[1] >= cut]
    assert parts == run(whole)
    assert len(parts) == 20


def test_a_seed_may_be_a_side_packet():
    packets = numbered(range(0, SECOND, 10_000))

    def run(resampler, side):
        return run_node(resampler, {"in": packets}, side=side)[0]["out"]

    by_option = run(PacketResampler(frame_rate=5, jitter=0.5, seed="a"), {})
    assert run(PacketResampler(frame_rate=5, jitter=0.5), {"seed": "a"}) == by_option
    assert run(PacketResampler(frame_rate=5, jitter=0.5), {"seed": "b"}) != by_option


def test_a_short_stream_gives_one_of_its_packets_as_often_as_another():
    """Ten packets, a period a hundred times as long: each is chosen by about a tenth of seeds."""
    packets = numbered(range(10))
    counts = [0] * 10
    for seed in range(300):
        resampler = PacketResampler(frame_rate=100, jitter=0.5, seed=seed)
        sent = run_node(resampler, {"in": packets})[0]["out"]
        for payload, _ in sent:
            assert payload in packets.values()
            counts[payload] += 1
    assert sum(counts) >= 299
    assert min(counts) > 10


def test_a_stream_that_begins_too_far_from_the_base_says_what_to_do():
    resampler = PacketResampler(frame_rate=30, reproducible_sampling=True)
    with pytest.raises(CalculatorError, match="set base_timestamp nearer to the stream"):
        run_node(resampler, {"in": {10**15: "a"}})
    resampler = PacketResampler(frame_rate=30, reproducible_sampling=True, base_timestamp=10**15)
    assert len(run_node(resampler, {"in": {10**15: "a"}})[0]["out"]) == 1


@dataclass(frozen=True)
class VideoHeader:
    width: int
    frame_rate: float


@pytest.mark.parametrize(
    ("header", "rate"), [({"frame_rate": 20.0}, 20.0), (VideoHeader(8, 20.0), 20.0)]
)
def test_the_rate_of_a_header(header, rate):
    resampler = PacketResampler(frame_rate=1, use_input_frame_rate=True, max_frame_rate=50)
    feed = {"in": dict.fromkeys(range(0, 200_001, 10_000), "x"), "video_header": {PRE: header}}
    sent, _ = run_node(resampler, feed)
    assert [timestamp for _, timestamp in sent["out"]] == [0, 50_000, 100_000, 150_000, 200_000]
    [(told, timestamp)] = sent["video_header"]
    assert (told, timestamp) == (header, PRE)


def test_a_header_without_a_rate_is_an_error():
    resampler = PacketResampler(frame_rate=1, use_input_frame_rate=True)
    with pytest.raises(CalculatorError, match="expected a header with a frame_rate, got 'wide'"):
        run_node(resampler, {"in": {}, "video_header": {PRE: "wide"}})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"frame_rate": 0}, "frame_rate: expected a number in"),
        ({"frame_rate": 1_000_001}, "frame_rate: expected a number in"),
        ({"frame_rate": 1, "jitter": 1.5}, "jitter: expected a number in"),
        ({"frame_rate": 1, "max_frame_rate": 0}, "max_frame_rate: expected a number in"),
        ({"frame_rate": 1, "header": "all"}, "header: expected none or pass or update"),
        ({"frame_rate": 1, "start_time": 0.5}, "start_time: expected a whole number"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        PacketResampler(**options)
