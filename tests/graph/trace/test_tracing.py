"""What a tracer hears, and that a graph does not depend on it."""

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from graph_parts import Call, Join, Keep, Numbers

from handheld.errors import CalculatorError, GraphError
from handheld.graph import (
    BackEdge,
    BarrierPolicy,
    Calculator,
    Context,
    Contract,
    FlowLimiter,
    Graph,
    GraphConfig,
    Node,
    PassThrough,
    PreviousLoopback,
    Timestamp,
    calculator,
)
from handheld.graph._scheduler import Scheduler
from handheld.graph.trace import (
    CallEvent,
    FedEvent,
    GraphShape,
    InputShape,
    MemoryTracer,
    NodeShape,
    Record,
    ResetEvent,
    SentPacket,
    ThrottledEvent,
    Trace,
    Wait,
)


class Clock:
    """Seconds that pass only when a test or a calculator says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def slow(clock: Clock, seconds: float) -> Call:
    def run(context: Context) -> None:
        clock.sleep(seconds)
        context.send("out", context.get("in"))

    return Call(run)


def named(events: list[Any], method: str = "process") -> list[CallEvent]:
    return [e for e in events if isinstance(e, CallEvent) and e.method == method]


def arrows(trace: Trace) -> list[tuple[str, str, str]]:
    """Return (sender, stream, taker) of each packet."""
    return [
        (trace.calls[arrow.sender].node, arrow.stream, trace.calls[arrow.taker].node)
        for arrow in trace.arrows
    ]


def test_a_graph_that_nobody_traces_runs_the_plain_scheduler() -> None:
    config = GraphConfig(inputs={"in": int}, nodes=[Node(PassThrough(), inputs="in")])
    assert type(Graph(config)._scheduler) is Scheduler
    assert type(Graph(config, trace=MemoryTracer())._scheduler) is not Scheduler


def test_calls_packets_and_times_are_those_of_the_run() -> None:
    clock = Clock()
    nodes = [
        Node(slow(clock, 2.0), inputs="in", outputs="a", name="first"),
        Node(slow(clock, 0.5), inputs="a", outputs="b", name="second"),
    ]
    tracer = MemoryTracer()
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), trace=tracer, clock=clock) as graph:
        clock.sleep(1.0)
        graph.add("in", 7, 40)
        events = tracer.events()
    first, second = named(events)
    me = threading.get_ident()
    assert first == CallEvent(
        node="first",
        method="process",
        thread=me,
        number=1,
        ready_s=101.0,
        start_s=101.0,
        end_s=103.0,
        timestamp=Timestamp(40),
        sent=(SentPacket("a", Timestamp(40)),),
    )
    assert (second.node, second.start_s, second.end_s) == ("second", 103.0, 103.5)
    assert [e for e in events if isinstance(e, FedEvent)] == [
        FedEvent(SentPacket("in", Timestamp(40)), me, 101.0)
    ]
    trace = tracer.trace()
    assert [(call.node, call.method, call.start_us, call.took_us) for call in trace.calls] == [
        ("first", "open", 0.0, 0.0),
        ("second", "open", 0.0, 0.0),
        ("add in", "add", 1e6, 0),
        ("first", "process", 1e6, 2e6),
        ("second", "process", 3e6, 0.5e6),
        ("first", "close", 3.5e6, 0.0),
        ("second", "close", 3.5e6, 0.0),
    ]
    assert arrows(trace) == [("add in", "in", "first"), ("first", "a", "second")]
    assert trace.calls[3].timestamp == 40


def test_the_graph_is_described_with_its_counts() -> None:
    tracer = MemoryTracer()
    nodes = [
        Node(Call(lambda c: c.drop(2)), inputs="in", outputs="a", name="drops"),
        Node(PreviousLoopback(), inputs=["in", BackEdge("a")], outputs="p", name="loop"),
    ]
    config = GraphConfig(inputs={"in": int}, nodes=nodes, name="small")
    with Graph(config, trace=tracer) as graph:
        graph.add("in", 7, 40)
    shape = tracer.trace().graph
    assert (shape.name, shape.inputs) == ("small", ("in",))
    drops, loop = shape.nodes
    assert drops == NodeShape("drops", (InputShape("in", "in", peak=1),), ("a",), calls=2, drops=2)
    assert loop.inputs == (InputShape("main", "in", peak=1), InputShape("loop", "a", back=True))


def test_a_packet_that_goes_to_several_nodes_has_an_arrow_to_each() -> None:
    tracer = MemoryTracer()
    nodes = [
        Node(PassThrough(), inputs="in", outputs="a", name="left"),
        Node(PassThrough(), inputs="in", outputs="b", name="right"),
        Node(Join(2), inputs=["a", "b"], outputs="out", name="join"),
    ]
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), trace=tracer) as graph:
        graph.add("in", 1, 5)
    assert sorted(arrows(tracer.trace())) == [
        ("add in", "in", "left"),
        ("add in", "in", "right"),
        ("left", "a", "join"),
        ("right", "b", "join"),
    ]


def test_a_call_without_one_of_its_inputs_says_which_it_had() -> None:
    tracer = MemoryTracer()
    nodes = [
        Node(Keep(lambda number: False), inputs="in", outputs="none", name="keep"),
        Node(Join(2), inputs=["in", "none"], outputs="out", name="join"),
    ]
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), trace=tracer) as graph:
        graph.add("in", 1, 5)
    (call,) = [e for e in named(tracer.events()) if e.node == "join"]
    assert call.ports == ("in0",)


def test_what_a_policy_throws_away_and_what_it_joins_have_the_right_arrows() -> None:
    tracer = MemoryTracer()
    config = GraphConfig(
        inputs={"a": int, "b": int},
        nodes=[Node(Join(2), inputs=["a", "b"], outputs="o", name="j", policy=BarrierPolicy())],
    )
    with Graph(config, trace=tracer) as graph:
        for number in range(3):
            graph.add("a", number, 10 * number)
            graph.add("b", number, 10 * number + 3)
    trace = tracer.trace()
    pairs = [
        (trace.calls[a.sender].timestamp, trace.calls[a.taker].timestamp) for a in trace.arrows
    ]
    assert sorted(pairs) == [(0, 0), (3, 0), (10, 10), (13, 10), (20, 20), (23, 20)]


def test_several_packets_of_one_call_and_those_of_open_have_arrows() -> None:
    class Early(Calculator):
        contract = Contract(inputs={"in": int}, outputs={"out": int}, timestamp_offset=None)

        def open(self, context: Context) -> None:
            context.send("out", 0, 1)

        def process(self, context: Context) -> None:
            for number in range(3):
                context.send("out", number, context.timestamp + number)
            context.advance("out", context.timestamp + 9)

    tracer = MemoryTracer()
    nodes = [
        Node(Early(), inputs="in", outputs="a", name="early"),
        Node(PassThrough(), inputs="a", name="taker"),
    ]
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), trace=tracer) as graph:
        graph.add("in", 1, 10)
    trace = tracer.trace()
    sent = [trace.calls[a.sender].method for a in trace.arrows if a.stream == "a"]
    assert sent == ["open", "process", "process", "process"]


def test_lanes_of_one_node_are_its_calls() -> None:
    tracer = MemoryTracer()
    node = Node(PassThrough(), inputs="in", outputs="out", name="lanes", max_in_flight=2)
    config = GraphConfig(inputs={"in": int}, nodes=[node])
    with Graph(config, trace=tracer, threads=2) as graph:
        for timestamp in range(20):
            graph.add("in", 1, timestamp)
    trace = tracer.trace()
    assert sum(call.method == "process" for call in trace.calls) == 20
    assert len(trace.arrows) == 20
    assert trace.lost == 0


def test_packets_of_lanes_have_their_arrows_whichever_is_done_first() -> None:
    second_is_done = threading.Event()

    def overtaken(context: Context) -> None:
        if context.timestamp == 0:
            assert second_is_done.wait(20)
        context.send("out", context.get("in"))
        if context.timestamp == 1:
            second_is_done.set()

    tracer = MemoryTracer()
    nodes = [
        Node(Call(overtaken), inputs="in", outputs="out", name="lanes", max_in_flight=2),
        Node(PassThrough(), inputs="out", outputs="seen", name="taker"),
    ]
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), trace=tracer, threads=2) as graph:
        graph.add("in", 1, 0)
        graph.add("in", 1, 1)
    trace = tracer.trace()
    timestamps = {
        stream: [
            (trace.calls[a.sender].timestamp, trace.calls[a.taker].timestamp)
            for a in trace.arrows
            if a.stream == stream
        ]
        for stream in ("in", "out")
    }
    assert timestamps == {"in": [(0, 0), (1, 1)], "out": [(0, 0), (1, 1)]}


def test_a_lane_behind_one_that_failed_is_in_the_trace() -> None:
    second_is_done = threading.Event()

    def fails_late(context: Context) -> None:
        if context.timestamp == 0:
            assert second_is_done.wait(20)
            raise ValueError("no")
        second_is_done.set()

    tracer = MemoryTracer()
    node = Node(Call(fails_late), inputs="in", name="lanes", max_in_flight=2)
    config = GraphConfig(inputs={"in": int}, nodes=[node])

    def run() -> None:
        with Graph(config, trace=tracer, threads=2) as graph:
            graph.add("in", 1, 0)
            graph.add("in", 1, 1)

    with pytest.raises(CalculatorError):
        run()
    trace = tracer.trace()
    calls = [call for call in trace.calls if call.method == "process"]
    assert [(call.timestamp, call.error) for call in calls] == [(0, "ValueError"), (1, "")]
    assert (trace.graph.nodes[0].calls, trace.lost) == (2, 0)


@pytest.mark.parametrize("in_flight", [1, 4])
def test_what_is_lost_of_calls_in_flight_is_told_while_the_graph_runs(in_flight: int) -> None:
    tracer = MemoryTracer(max_records=10)
    node = Node(PassThrough(), inputs="in", outputs="out", name="node", max_in_flight=in_flight)
    config = GraphConfig(inputs={"in": int}, nodes=[node])
    with Graph(config, trace=tracer, threads=2) as graph:
        for timestamp in range(50):
            graph.add("in", 1, timestamp)
        graph.wait_settled(49, ["out"])
        trace = tracer.trace()
        kept = [event.number for event in tracer.events() if isinstance(event, CallEvent)]
    assert kept[-1] == 50
    assert trace.lost == 50 - len(kept)


def test_errors_are_named() -> None:
    def fail(context: Context) -> None:
        raise ValueError("no")

    tracer = MemoryTracer()
    config = GraphConfig(inputs={"in": int}, nodes=[Node(Call(fail), inputs="in", name="fails")])
    with pytest.raises(CalculatorError), Graph(config, trace=tracer) as graph:
        graph.add("in", 1, 0)
    calls = [(call.method, call.error) for call in tracer.trace().calls]
    assert calls == [("open", ""), ("add", ""), ("process", "ValueError"), ("close", "")]


def test_a_node_that_cannot_be_opened_is_in_the_trace() -> None:
    class Fails(PassThrough):
        def open(self, context: Context) -> None:
            raise KeyError("no model")

    tracer = MemoryTracer()
    nodes = [
        Node(PassThrough(), inputs="in", outputs="a"),
        Node(Fails(), inputs="a", name="fails"),
    ]
    with (
        pytest.raises(CalculatorError),
        Graph(GraphConfig(inputs={"in": int}, nodes=nodes), trace=tracer),
    ):
        pass
    calls = [(call.node, call.method, call.error) for call in tracer.trace().calls]
    assert calls == [
        ("pass_through", "open", ""),
        ("fails", "open", "KeyError"),
        ("pass_through", "close", ""),
    ]


def test_a_source_that_is_held_back_says_for_how_long() -> None:
    clock = Clock()
    tracer = MemoryTracer()
    config = GraphConfig(nodes=[Node(Numbers(3), outputs="numbers", name="numbers")])
    with Graph(config, trace=tracer, clock=clock, max_queue_size=1) as graph:
        reader = graph.output("numbers")
        other = graph.output("numbers")
        next(reader)
        clock.sleep(3.0)
        next(other)
        held = [e for e in tracer.events() if isinstance(e, ThrottledEvent)]
    assert held[0] == ThrottledEvent("numbers", 100.0, 103.0)
    assert Wait("numbers", "throttled", 0.0, 3e6) in tracer.trace().waits


def test_long_waits_and_queues_have_slices() -> None:
    clock = Clock()
    tracer = MemoryTracer()
    nodes = [
        Node(slow(clock, 2.0), inputs="in", outputs="a", name="far"),
        Node(slow(clock, 1.0), inputs="in", outputs="b", name="near"),
    ]
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), trace=tracer, clock=clock) as graph:
        graph.add("in", 1, 0)
        clock.sleep(4.0)
        graph.add("in", 1, 10)
    assert [w for w in tracer.trace().waits if w.node == "far"] == [
        Wait("far", "queued", 0.0, 1e6),  # while the one nearer to the output ran
        Wait("far", "waits", 3e6, 4e6, "in"),
        Wait("far", "queued", 7e6, 1e6),
    ]


def test_counters_follow_the_queues() -> None:
    tracer = MemoryTracer()
    config = GraphConfig(
        inputs={"a": int, "b": int},
        nodes=[Node(Join(2), inputs=["a", "b"], outputs="out", name="join")],
    )
    with Graph(config, trace=tracer) as graph:
        for timestamp in range(4):
            graph.add("a", 1, timestamp)
        graph.add("b", 1, 3)
    counts = [c.value for c in tracer.trace().counts if c.name == "queue join.in0"]
    assert counts[:4] == [1, 2, 3, 4]
    assert counts[-1] == 0


def test_a_ring_keeps_the_last_and_says_how_many_are_lost() -> None:
    tracer = MemoryTracer(max_records=10)
    config = GraphConfig(inputs={"in": int}, nodes=[Node(PassThrough(), inputs="in")])
    with Graph(config, trace=tracer) as graph:
        for timestamp in range(100):
            graph.add("in", 1, timestamp)
        assert len(tracer.events()) == 10
    trace = tracer.trace()
    calls = [call for call in trace.calls if call.method in ("process", "close")]
    assert trace.lost + len(calls) == 101
    assert calls[-1].method == "close"


def test_payloads_are_not_kept() -> None:
    class Payload:
        pass

    tracer = MemoryTracer()
    config = GraphConfig(inputs={"in": Payload}, nodes=[Node(PassThrough(), inputs="in")])
    with Graph(config, trace=tracer) as graph:
        payload = Payload()
        seen = weakref.ref(payload)
        graph.add("in", payload, 0)
        graph.add("in", Payload(), 1)
        del payload
        assert seen() is None


def test_a_graph_is_not_kept_by_its_tracer() -> None:
    tracer = MemoryTracer()
    config = GraphConfig(inputs={"in": int}, nodes=[Node(PassThrough(), inputs="in")])
    graph = Graph(config, trace=tracer)
    with graph:
        graph.add("in", 1, 0)
    scheduler = weakref.ref(graph._scheduler)
    del graph
    gc.collect()
    assert scheduler() is None
    assert tracer.trace().graph.nodes[0].calls == 2


class Broken:
    """A tracer that fails in one of its methods."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.stopped = 0
        self.records = 0

    def start(self, describe: Callable[[], GraphShape]) -> None:
        if self.method == "start":
            raise OSError("nowhere to write")

    def record(self, record: Record) -> None:
        self.records += 1
        if self.method == "record":
            raise OSError("full")

    def stop(self) -> None:
        self.stopped += 1
        if self.method == "stop":
            raise OSError("gone")


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize(("method", "message"), [("record", "full"), ("stop", "gone")])
def test_a_tracer_that_raises_is_removed_and_logged(
    threads: int, method: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    tracer = Broken(method)
    config = GraphConfig(
        inputs={"in": int}, nodes=[Node(PassThrough(), inputs="in", outputs="out")]
    )
    with (
        caplog.at_level(logging.ERROR),
        Graph(config, trace=tracer, threads=threads) as graph,
    ):
        reader = graph.output("out", timeout=20)
        for timestamp in range(5):
            graph.add("in", timestamp, timestamp)
        assert [next(reader).payload for _ in range(5)] == [0, 1, 2, 3, 4]
    assert tracer.stopped == 1
    (told,) = caplog.records
    assert message in str(told.exc_info[1])
    if method == "record":
        assert tracer.records == 1


def test_a_tracer_that_cannot_start_keeps_the_graph_from_starting() -> None:
    config = GraphConfig(inputs={"in": int}, nodes=[Node(PassThrough(), inputs="in")])
    with pytest.raises(OSError, match="nowhere"), Graph(config, trace=Broken("start")):
        pass


def test_a_tracer_watches_one_graph_at_a_time() -> None:
    tracer = MemoryTracer()
    config = GraphConfig(inputs={"in": int}, nodes=[Node(PassThrough(), inputs="in")])
    with (
        Graph(config, trace=tracer) as graph,
        pytest.raises(GraphError, match="watches a graph already"),
        Graph(config, trace=tracer),
    ):
        pass
    graph.cancel()
    with Graph(config, trace=tracer) as again:
        again.add("in", 1, 0)
    assert [call.method for call in tracer.trace().calls] == ["open", "add", "process", "close"]


def test_observers_and_limiters_are_traced_too() -> None:
    tracer = MemoryTracer()
    nodes = [
        Node(FlowLimiter(), inputs=["in", BackEdge("out")], outputs=["some", "allow"], name="few"),
        Node(PassThrough(), inputs="some", outputs="out", name="work"),
    ]
    seen: list[Any] = []
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), trace=tracer) as graph:
        graph.add("in", 1, 0)
        graph.observe("out", seen.append)
        graph.add("in", 1, 1)
    found = arrows(tracer.trace())
    assert len(seen) == 1
    assert found.count(("work", "out", "few")) == 2
    assert found.count(("work", "out", "observer 1 of out")) == 1


def test_closes_of_a_graph_that_is_cancelled_are_in_the_trace() -> None:
    tracer = MemoryTracer()
    config = GraphConfig(inputs={"in": int}, nodes=[Node(PassThrough(), inputs="in")])
    with Graph(config, trace=tracer) as graph:
        graph.add("in", 1, 0)
        graph.cancel()
    assert [call.method for call in tracer.trace().calls][-1] == "close"


def test_coroutines_are_on_tracks_of_their_own() -> None:
    @calculator
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    tracer = MemoryTracer()
    node = Node(double, inputs="in", outputs="out", name="double", max_in_flight=2)
    config = GraphConfig(inputs={"in": int}, nodes=[node])
    with Graph(config, trace=tracer, threads=1) as graph:
        reader = graph.output("out", timeout=20)
        for timestamp in range(6):
            graph.add("in", timestamp, timestamp)
        assert [next(reader).payload for _ in range(6)] == [0, 2, 4, 6, 8, 10]
    trace = tracer.trace()
    calls = [call for call in trace.calls if call.method == "process"]
    assert len(calls) == 6
    assert {call.thread for call in calls} == {"event loop, double"}
    assert len(trace.arrows) == 6


def test_a_reset_loses_what_was_under_way() -> None:
    tracer = MemoryTracer()
    config = GraphConfig(
        inputs={"a": int, "b": int},
        nodes=[Node(Join(2), inputs=["a", "b"], outputs="out", name="join")],
    )
    with Graph(config, trace=tracer) as graph:
        graph.add("a", 1, 5)
        graph.add("a", 1, 7)
        graph.reset()
        graph.add("a", 1, 5)
        graph.add("b", 1, 5)
    trace = tracer.trace()
    (call,) = [number for number, c in enumerate(trace.calls) if c.method == "process"]
    assert sorted(arrow.stream for arrow in trace.arrows if arrow.taker == call) == ["a", "b"]
    assert ResetEvent() in tracer.events()
    assert [c.value for c in trace.counts if c.name == "queue join.in0"][:2] == [1, 2]
