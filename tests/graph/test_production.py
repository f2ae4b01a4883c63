# ruff: noqa: PT012  (a graph may raise when its block is left, so the block stands inside)

"""What a graph does that runs for days: late packets, full queues, deadlocks, stamps, time-outs."""

import json
import logging
import math
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from graph_parts import Call, Join, Keep, Log, Numbers, pairs

from handheld.errors import (
    CalculatorError,
    GraphError,
    GraphStuckError,
    InputError,
    TimestampError,
)
from handheld.graph import (
    BackEdge,
    Calculator,
    Context,
    Contract,
    Graph,
    GraphConfig,
    GraphWarning,
    Node,
    PassThrough,
    Timestamp,
)
from handheld.graph.trace import read_trace

PASS = GraphConfig(
    inputs={"x": int}, nodes=[Node(PassThrough(), inputs="x", outputs="out")], outputs="out"
)
JOIN = GraphConfig(
    inputs={"a": int, "b": int}, nodes=[Node(Join(2), inputs=["a", "b"], outputs="out")]
)


@pytest.mark.parametrize("threads", [0, 2])
def test_a_late_packet_is_an_error_after_which_the_stream_goes_on(threads: int) -> None:
    # mediapipe issue 5743: there one bad timestamp ends the stream for good.
    with Graph(PASS, threads=threads) as graph:
        out = graph.output("out")
        graph.add("x", 1, 10)
        with pytest.raises(TimestampError, match="comes too late"):
            graph.add("x", 2, 5)
        graph.add("x", 3, 11)
        assert [next(out).payload, next(out).payload] == [1, 3]


@pytest.mark.parametrize("threads", [0, 2])
def test_late_packets_are_dropped_counted_and_logged_once(
    threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    with Graph(PASS, threads=threads, on_late="drop") as graph:
        out = graph.output("out")
        for payload, timestamp in [(1, 10), (2, 5), (3, 10), (4, 11)]:
            graph.add("x", payload, timestamp)
        graph.wait()
        assert pairs(list(out)) == [(1, 10), (4, 11)]
        assert graph.stats().streams["x"].late == 2
    assert [r.levelno for r in caplog.records if "too late" in r.message] == [logging.WARNING]


def test_a_node_that_sends_late_is_forgiven_too() -> None:
    back = Call(lambda c: c.send("out", c.get("in"), 100 - c.timestamp))
    config = GraphConfig(inputs={"x": int}, nodes=[Node(back, inputs="x", outputs="out")])
    with Graph(config, on_late="drop") as graph:
        out = graph.output("out")
        graph.add("x", 1, 10)
        graph.add("x", 2, 20)
        assert pairs(out.drain()) == [(1, 90)]
    with pytest.raises(CalculatorError, match="comes too late"), Graph(config) as graph:
        graph.add("x", 1, 10)
        graph.add("x", 2, 20)


def test_what_is_no_timestamp_of_a_packet_is_wrong_however_late() -> None:
    with (
        Graph(PASS, on_late="drop") as graph,
        pytest.raises(TimestampError, match="may not be sent at Unset"),
    ):
        graph.add("x", 1, Timestamp.UNSET)


def test_live_packets_are_stamped_and_never_go_back() -> None:
    seconds = 100.0
    with Graph(PASS, clock=lambda: seconds) as graph:
        out = graph.output("out")
        graph.add("x", 0)
        seconds = 100.5
        graph.add("x", 1)
        graph.add("x", 2)  # at the same moment
        seconds = 99.0  # a clock that was set back
        graph.add("x", 3)
        seconds = 101.0
        assert graph.try_add("x", 4)
        stamps = pairs(out.drain())
    assert stamps == [(0, 0), (1, 500_000), (2, 500_001), (3, 500_002), (4, 1_000_000)]


def test_packets_of_one_moment_are_added_together() -> None:
    with Graph(JOIN) as graph:
        out = graph.output("out")
        graph.add_all({"a": 1, "b": 2}, 7)
        graph.add_all({"a": 3, "b": 4})
        first, second = out.drain()
        assert first.timestamp == 7
        assert second.timestamp > 7
        graph.add("b", 5, 10_000_000_000)
        # Too late for b, and so a gets nothing either.
        with pytest.raises(TimestampError, match="'b'"):
            graph.add_all({"a": 6, "b": 6}, 9_999_999_999)
        graph.add("a", 7, 9_999_999_999)
        with pytest.raises(InputError, match="takes int"):
            graph.add_all({"a": 8, "b": "eight"}, 10_000_000_001)
        graph.add_all({})  # of a mapping that a program made, and which has nothing in it


def never_read(**more: Any) -> Graph:
    return Graph(PASS, max_queue_size=2, **more)


def _is_under_way(graph: Graph) -> bool:
    """Whether a packet of x has not come out; asking its queue alone misses one in a call."""
    streams = graph.stats().streams
    return streams["out"].packets < streams["x"].packets


@pytest.mark.parametrize("threads", [0, 2])
def test_an_input_that_is_held_back_drops_where_that_is_asked_for(threads: int) -> None:
    with never_read(threads=threads, when_full="drop") as graph:
        out = graph.output("out")
        for timestamp in range(10):
            graph.add("x", timestamp, timestamp)
            deadline = time.monotonic() + 10
            # So that on a pool the queues are as full as on the calling thread.
            while _is_under_way(graph):
                assert time.monotonic() < deadline
        source = graph.stats().sources["x"]
        assert (len(out.drain()), source.drops) == (2, 8)
        graph.add("x", 10, 10)
        assert graph.stats().sources["x"].drops == 8


@pytest.mark.parametrize("threads", [0, 2])
def test_a_deadlock_grows_a_queue_or_raises_as_the_user_says(threads: int) -> None:
    # What settles b comes only after more of a than its queue holds.
    def feed(graph: Graph) -> None:
        for timestamp in range(3):
            graph.add("a", timestamp, timestamp)
        graph.add("b", 2, 2)
        graph.wait()

    with (
        pytest.warns(GraphWarning, match="it grows to 4"),
        Graph(JOIN, threads=threads, max_queue_size=2) as graph,
    ):
        feed(graph)
    with (
        pytest.raises(GraphStuckError, match=r"'a'.* is full at 2 packets.*waits for stream 'b'"),
        Graph(JOIN, threads=threads, max_queue_size=2, on_deadlock="raise") as graph,
    ):
        feed(graph)


def test_waiting_for_room_has_an_end() -> None:
    go_on = threading.Event()
    config = GraphConfig(
        inputs={"x": int}, nodes=[Node(Call(lambda _: go_on.wait(10)), inputs="x")]
    )
    with Graph(config, threads=1, max_queue_size=1) as graph:
        graph.add("x", 0, 0)
        graph.add("x", 1, 1)
        with pytest.raises(GraphStuckError, match=r"no room for a packet within 0\.05 seconds"):
            graph.add("x", 2, 2, timeout=0.05)
        go_on.set()
        graph.add("x", 2, 2, timeout=10)


@pytest.mark.parametrize("threads", [0, 1])
def test_waiting_for_the_end_has_an_end(threads: int) -> None:
    config = GraphConfig(nodes=[Node(Numbers(None), outputs="n")])
    graph = Graph(config, threads=threads)
    with pytest.raises(GraphStuckError, match="cannot finish"), graph:
        graph.wait(timeout=0.05)


def test_sources_run_in_layers() -> None:
    order: list[str] = []

    class Source(Numbers):
        def __init__(self, name: str) -> None:
            super().__init__(3)
            self.name = name

        def process(self, context: Context) -> None:
            order.append(self.name)
            super().process(context)

    nodes = [
        Node(Source("late"), outputs="b", source_layer=1),
        Node(Source("early"), outputs="a", name="early"),
    ]
    with Graph(GraphConfig(nodes=nodes)) as graph:
        graph.wait()
    assert order == ["early"] * 4 + ["late"] * 4


def test_sources_say_who_is_next() -> None:
    class Countdown(Numbers):
        def source_order(self, context: Context) -> int:
            return -int(context.output_bound("out"))

    # Once one of them is ahead it stays so; by default they would take turns.
    order: list[int] = []
    nodes = [
        Node(Countdown(3), outputs="a", name="a"),
        Node(Countdown(3), outputs="b", name="b"),
    ]
    with Graph(GraphConfig(nodes=nodes)) as graph:
        graph.observe("a", lambda packet: order.append(packet.payload))
        graph.observe("b", lambda packet: order.append(10 + packet.payload))
        graph.wait()
    assert order in ([0, 1, 2, 10, 11, 12], [10, 11, 12, 0, 1, 2])


class Describes(Calculator):
    contract = Contract(inputs={"in": int}, outputs={"out": int})

    def open(self, context: Context) -> None:
        context.set_header("out", {"rate": 2 * context.header("in")["rate"]})

    def process(self, context: Context) -> None:
        context.send("out", context.get("in"))


def test_headers_go_down_the_graph_before_the_packets() -> None:
    seen: list[Any] = []

    class Reads(Log):
        def open(self, context: Context) -> None:
            seen.append((context.header("in"), context.header("loop")))

    contract = Contract(inputs={"in": int, "loop": int}, outputs={"out": int})
    nodes = [
        Node(Describes(), inputs="x", outputs="y"),
        Node(Reads(contract), inputs={"in": "y", "loop": BackEdge("z")}, outputs="z"),
    ]
    config = GraphConfig(inputs={"x": int}, nodes=nodes)
    with Graph(config, headers={"x": {"rate": 30}}):
        pass
    assert seen == [({"rate": 60}, None)]
    with pytest.raises(InputError, match="'y' is no input"):
        Graph(config, headers={"y": 1})
    late = Call(lambda context: context.set_header("out", 1))
    config = GraphConfig(inputs={"x": int}, nodes=[Node(late, inputs="x", outputs="y")])
    with pytest.raises(CalculatorError, match=r"may be set in open\(\) only"), Graph(config) as g:
        g.add("x", 1, 1)


def test_a_summary_packet_comes_after_all_others() -> None:
    class Total(Calculator):
        contract = Contract(inputs={"in": int}, outputs={"sum": int})

        def open(self, context: Context) -> None:
            self.sum = 0

        def process(self, context: Context) -> None:
            self.sum += context.get("in")

        def close(self, context: Context) -> None:
            context.send("sum", self.sum, Timestamp.POST_STREAM)

    config = GraphConfig(inputs={"x": int}, nodes=[Node(Total(), inputs="x", outputs="sum")])
    with Graph(config) as graph:
        sums = graph.output("sum")
        graph.add("x", 1, 1)
        graph.add("x", 2, 2)
        graph.wait()
        assert pairs(list(sums)) == [(3, Timestamp.POST_STREAM)]


@pytest.mark.parametrize("option", ["when_full", "on_deadlock", "on_late"])
def test_options_are_checked(option: str) -> None:
    options: dict[str, Any] = {option: "perhaps"}
    with pytest.raises(InputError, match=f"{option}: expected .* got 'perhaps'"):
        Graph(PASS, **options)


@pytest.mark.parametrize("threads", [0, 2])
def test_one_can_know_that_nothing_more_comes_of_a_frame(threads: int) -> None:
    # mediapipe issue 1357: of a frame without a face some outputs never come.
    nodes = [
        Node(Keep(lambda n: n % 2 == 0), inputs="x", outputs="even"),
        Node(Keep(lambda n: n % 3 == 0), inputs="x", outputs="by_three"),
    ]
    config = GraphConfig(inputs={"x": int}, outputs=["even", "by_three"], nodes=nodes)
    with Graph(config, threads=threads) as graph:
        readers = {name: graph.output(name) for name in config.outputs}
        rows = []
        for number in range(4):
            graph.add("x", number, 10 * number)
            graph.wait_settled(10 * number, timeout=20)
            rows.append([name for name, reader in readers.items() if reader.drain()])
        assert rows == [["even", "by_three"], [], ["even"], ["by_three"]]
        with pytest.raises(GraphStuckError, match=r"not settled at timestamp 99: .*'x'"):
            graph.wait_settled(99, timeout=0.05)
        with pytest.raises(InputError, match="'od' is no stream"):
            graph.wait_settled(1, ["od"])


def test_where_no_outputs_are_named_all_streams_are_waited_for() -> None:
    go_on = threading.Event()

    def send(context: Context) -> None:
        go_on.wait(20)
        context.send("out", context.get("in"))

    config = GraphConfig(inputs={"x": object}, nodes=[Node(Call(send), inputs="x", outputs="y")])
    with Graph(config, threads=2) as graph:
        out = graph.output("y")
        graph.add("x", 1, 0)
        with pytest.raises(GraphStuckError, match="not settled at timestamp 0"):
            graph.wait_settled(0, timeout=0.05)
        go_on.set()
        graph.wait_settled(0, timeout=20)
        assert [packet.payload for packet in out.drain()] == [1]


def test_of_packets_that_belong_together_all_are_late_or_none() -> None:
    with Graph(JOIN, on_late="drop") as graph:
        out = graph.output("out")
        graph.add_all({"a": 1, "b": 1}, 0)
        graph.add("a", 2, 10)
        graph.add_all({"a": 3, "b": 3}, 5)  # too late for a
        graph.add_all({"a": 4, "b": 4}, 20)
        graph.add_all({}, 30)
        graph.wait()
        assert [packet.timestamp for packet in out] == [0, 10, 20]
        streams = graph.stats().streams
        assert (streams["a"].late, streams["b"].late) == (1, 0)


def test_a_clock_that_tells_no_time_is_told_and_spoils_no_trace(tmp_path: Path) -> None:
    times = iter([0.0] * 6)
    config = GraphConfig(inputs={"x": int}, nodes=[Node(PassThrough(), inputs="x", outputs="y")])
    path = tmp_path / "trace.json"
    with Graph(config, clock=lambda: next(times, math.nan), trace=path) as graph:
        for timestamp in range(5):
            graph.add("x", 1, timestamp)
        with pytest.raises(GraphError, match=r"clock says nan: give a timestamp"):
            graph.add("x", 1)
    json.loads(path.read_text("utf-8"), parse_constant=pytest.fail)
    assert read_trace(path).graph.nodes


@pytest.mark.parametrize("offset", [7, -7])
@pytest.mark.parametrize(
    "edge", [Timestamp.MIN + 1, Timestamp.MIN + 3, Timestamp.MAX - 3, Timestamp.MAX]
)
def test_an_offset_never_leads_to_a_special_timestamp(offset: int, edge: Timestamp) -> None:
    class Moves(Calculator):
        contract = Contract(inputs={"in": int}, outputs={"out": int}, timestamp_offset=offset)

        def process(self, context: Context) -> None:
            """Sends nothing."""

    config = GraphConfig(inputs={"x": int}, nodes=[Node(Moves(), inputs="x", outputs="y")])
    with Graph(config) as graph:
        graph.set_bound("x", edge)
        bound = graph.stats().streams["y"].bound
        assert bound == min(max(edge + offset, Timestamp.MIN), Timestamp.MAX)
