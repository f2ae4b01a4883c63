import threading
from typing import Any

import pytest
from graph_parts import Keep, pairs

from handheld.errors import InputError
from handheld.graph import (
    BackEdge,
    Calculator,
    Context,
    Contract,
    FlowLimiter,
    Graph,
    GraphConfig,
    Node,
    PassThrough,
    Timestamp,
)


class Slow(Calculator):
    """Takes as long as the test says: it waits for one token for each packet."""

    contract = Contract(inputs={"in": int}, outputs={"out": int})

    def __init__(self) -> None:
        self.started, self.tokens = threading.Semaphore(0), threading.Semaphore(0)

    def process(self, context: Context) -> None:
        self.started.release()
        assert self.tokens.acquire(timeout=20)
        context.send("out", context.get("in"))


def limited(work: Calculator, **options: Any) -> GraphConfig:
    return GraphConfig(
        inputs={"in": int},
        nodes=[
            Node(
                FlowLimiter(**options),
                inputs={"in": "in", "finished": BackEdge("out")},
                outputs=["admitted", "allow"],
            ),
            Node(work, inputs="admitted", outputs="out"),
        ],
    )


@pytest.mark.parametrize(
    ("in_flight", "in_queue", "through"),
    [
        (1, 0, [0]),
        (1, 1, [0, 9]),
        (1, 3, [0, 7, 8, 9]),
        (2, 0, [0, 1]),
        (2, 1, [0, 1, 9]),
        (10, 0, list(range(10))),
    ],
)
def test_under_a_slow_node_frames_are_dropped_and_each_is_counted(
    in_flight: int, in_queue: int, through: list[int]
) -> None:
    slow = Slow()
    with Graph(limited(slow, max_in_flight=in_flight, max_in_queue=in_queue), threads=2) as graph:
        out, allow = graph.output("out"), graph.output("allow", timeout=20)
        graph.add("in", 0, 0)
        assert slow.started.acquire(timeout=20)  # the first frame is under way and stays there
        for number in range(1, 10):
            graph.add("in", number, 10 * number)
        dropped = 10 - len(through)
        decided = [next(allow) for _ in range(min(in_flight, 10) + dropped)]
        assert graph.stats().nodes["flow_limiter"].drops == graph.stats().drops == dropped
        for _ in through:
            slow.tokens.release()
        graph.close_input()
        assert pairs(list(out)) == [(number, 10 * number) for number in through]
        decided += list(allow)
        assert pairs(decided) == [(number in through, 10 * number) for number in range(10)]
    stats = graph.stats()
    assert stats.drops == dropped
    assert stats.streams["in"].packets == 10 == stats.streams["admitted"].packets + stats.drops


def test_a_fast_node_drops_nothing() -> None:
    with Graph(limited(PassThrough())) as graph:
        out = graph.output("out")
        for number in range(50):
            graph.add("in", number, number)
        assert [packet.payload for packet in out.drain()] == list(range(50))
        assert graph.stats().drops == 0


def test_a_settled_timestamp_finishes_a_frame_too() -> None:
    """A frame for which the work has no result is done as well."""
    with Graph(limited(Keep(lambda number: False), max_in_queue=0)) as graph:
        for number in range(5):
            graph.add("in", number, number)
        assert (graph.stats().drops, graph.stats().streams["admitted"].packets) == (0, 5)


class Hole(Calculator):
    """Takes frames and never says what became of them."""

    contract = Contract(inputs={"in": int}, outputs={"out": int}, timestamp_offset=None)

    def process(self, context: Context) -> None:
        pass


@pytest.mark.parametrize("threads", [0, 2])
def test_what_waits_when_the_stream_ends_is_let_through(threads: int) -> None:
    with Graph(limited(Hole(), max_in_queue=2), threads=threads) as graph:
        admitted = graph.output("admitted")
        for number in range(5):
            graph.add("in", number, number)
        graph.close_input()
        assert pairs(list(admitted)) == [(0, 0), (3, 3), (4, 4)]
        assert graph.stats().drops == 2


def test_bounds_pass_a_limiter_that_holds_nothing() -> None:
    with Graph(limited(PassThrough())) as graph:
        graph.set_bound("in", 40)
        assert [graph.stats().streams[name].bound for name in ("admitted", "allow", "out")] == [
            40,
            40,
            40,
        ]
        graph.close_input()
        assert graph.stats().streams["out"].bound == Timestamp.DONE


def test_a_frame_under_way_too_long_by_the_graph_s_clock_is_given_up() -> None:
    """Timestamps stand nearly still, as those of a camera that counts frames."""
    seconds = [10.0]
    work = Hole()
    config = limited(work, max_in_queue=0, in_flight_timeout=2_000_000, clock="graph")
    with Graph(config, clock=lambda: seconds[0]) as graph:
        admitted = graph.output("admitted")
        for timestamp, now in enumerate([10.0, 11.0, 12.0, 12.1, 14.0, 14.2]):
            seconds[0] = now
            graph.add("in", timestamp, timestamp)
        # Let through at 10.0; given up by 12.1; the next is, by 14.2.
        assert [packet.timestamp for packet in admitted.drain()] == [0, 3, 5]
        assert graph.stats().drops == 3


def test_by_their_own_time_frames_are_given_up_when_a_later_one_comes() -> None:
    config = limited(Hole(), max_in_queue=0, in_flight_timeout=20)
    with Graph(config, clock=lambda: 0.0) as graph:
        admitted = graph.output("admitted")
        for timestamp in (0, 10, 20, 21, 30, 42):
            graph.add("in", timestamp, timestamp)
        assert [packet.timestamp for packet in admitted.drain()] == [0, 21, 42]


def test_a_header_passes_a_limiter() -> None:
    seen: list[Any] = []

    class Reader(Slow):
        def open(self, context: Context) -> None:
            seen.append(context.header("in"))

    with Graph(limited(Reader()), headers={"in": "30 fps"}):
        pass
    assert seen == ["30 fps"]


def test_what_other_streams_have_between_frames_follows_the_frame_before() -> None:
    """As MediaPipe's ranges: a sensor that is faster than the camera is kept where frames are."""
    streams = {"in": "out", "sensor": "kept"}
    limiter = FlowLimiter(max_in_queue=0, streams=streams)
    ports = {"in": "frame", "sensor": "sensor", "finished": BackEdge("done")}
    nodes = [
        Node(limiter, inputs=ports, outputs={"out": "admitted", "kept": "kept"}),
        Node(Hole(), inputs="admitted", outputs="done"),
    ]
    inputs = {"frame": int, "sensor": int}
    with Graph(GraphConfig(inputs=inputs, nodes=nodes)) as graph:
        kept = graph.output("kept")
        for timestamp in range(8):
            graph.add("sensor", timestamp, timestamp)
        # The first passes, and never finishes; the second is dropped.
        graph.add("frame", 0, 2)
        graph.add("frame", 1, 5)
        graph.close_input()
        assert [packet.timestamp for packet in kept] == [0, 1, 2, 3, 4]
        assert graph.stats().drops == 4


def test_there_are_two_clocks() -> None:
    with pytest.raises(InputError, match="clock: expected packets or graph, got 'wall'"):
        FlowLimiter(clock="wall")  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"max_in_flight": 0}, {"max_in_queue": -1}])
def test_limits_below_the_least(options: dict[str, Any]) -> None:
    with pytest.raises(
        InputError, match=f"^{next(iter(options))}: expected a whole number of [01] or more, got "
    ):
        FlowLimiter(**options)
