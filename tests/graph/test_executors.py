"""Threads: who wakes whom, who holds whom back, and how a pool ends."""

# ruff: noqa: PT012, PT031, SIM117  (a graph may raise or warn when its block is left, so the block stands inside)

import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from graph_parts import Call, Log, Numbers, Shift

from handheld.errors import CalculatorError, GraphError, GraphStuckError
from handheld.graph import (
    Calculator,
    Context,
    Contract,
    Graph,
    GraphConfig,
    GraphWarning,
    Merge,
    Node,
    PacketReader,
    PassThrough,
)

pytestmark = pytest.mark.usefixtures("many_switches")

PASS = GraphConfig(inputs={"in": int}, nodes=[Node(PassThrough(), inputs="in", outputs="out")])
JOIN = GraphConfig(
    inputs={"a": int, "b": int}, nodes=[Node(Merge(), inputs=["a", "b"], outputs="out")]
)
NEVER = GraphConfig(
    inputs={"in": int}, nodes=[Node(Shift(0, declared=False), inputs="in", outputs="out")]
)
LIMIT = 20


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does, without a sleep."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        os.sched_yield()


def waits(graph: Graph) -> Callable[[], bool]:
    """Return whether some thread waits in a call of the graph."""
    return lambda: bool(graph._executor._waiters)  # type: ignore[attr-defined]


def pool_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("handheld-graph")]


class Blocked(Calculator):
    """Says when it starts and waits until it may go on."""

    contract = Contract(inputs={"in": object}, outputs={"out": object})

    def __init__(self) -> None:
        self.started, self.go = threading.Event(), threading.Event()

    def process(self, context: Context) -> None:
        self.started.set()
        assert self.go.wait(LIMIT)
        context.send("out", context.get("in"))


def test_nodes_run_side_by_side() -> None:
    meet = threading.Barrier(2, timeout=LIMIT)
    nodes = [Node(Call(lambda context: meet.wait()), inputs="in", name=name) for name in "ab"]
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), threads=2) as graph:
        for number in range(50):
            graph.add("in", number, number)
    assert not meet.broken


def test_a_source_runs_while_a_node_below_it_does() -> None:
    sent = threading.Semaphore(0)

    class Counted(Numbers):
        def process(self, context: Context) -> None:
            super().process(context)
            sent.release()

    def wait_for_three_more(context: Context) -> None:
        for _ in range(3 if context.timestamp == 0 else 0):
            assert sent.acquire(timeout=LIMIT)

    nodes = [Node(Counted(10), outputs="n"), Node(Call(wait_for_three_more), inputs="n")]
    with Graph(GraphConfig(nodes=nodes), threads=2) as graph:
        graph.wait()


def test_two_threads_feed_two_inputs() -> None:
    def feed(graph: Graph, name: str, step: int) -> None:
        for number in range(90):
            graph.add(name, step, number * step)
        graph.close_input(name)

    with Graph(JOIN, threads=2) as graph, ThreadPoolExecutor(2) as callers:
        reader = graph.output("out")
        tasks = [callers.submit(feed, graph, "a", 2), callers.submit(feed, graph, "b", 3)]
        expected = {3 * n: 3 for n in range(90)} | {
            2 * n: 2 for n in range(90)
        }  # Merge takes a where both have a packet
        assert {packet.timestamp: packet.payload for packet in reader} == expected
        for task in tasks:
            task.result()


def test_a_reader_in_another_thread_holds_the_producer_back() -> None:
    """No queue has to grow (that would be a warning, and so an error): the producer waits."""
    attached, full = threading.Event(), threading.Event()
    readers = []  # kept: of one that nobody has, the graph tells nothing

    def read(graph: Graph) -> list[int]:
        reader = graph.output("out")
        readers.append(reader)
        attached.set()
        assert full.wait(LIMIT)
        return [packet.payload for packet in reader]

    with Graph(PASS, threads=1, max_queue_size=2) as graph, ThreadPoolExecutor(1) as callers:
        task = callers.submit(read, graph)
        assert attached.wait(LIMIT)
        count = 0
        while not graph.stats().sources["in"].throttled:
            count += graph.try_add("in", count, count)
        full.set()
        for number in range(count, 200):
            graph.add("in", number, number)
        graph.close_input()
        assert task.result(LIMIT) == list(range(200))
        stats = graph.stats()
    assert (
        stats.streams["out"].readers[0].limit == stats.nodes["pass_through"].queues["in"].limit == 2
    )


def test_a_producer_is_not_held_back_by_a_reader_whose_thread_waits_elsewhere() -> None:
    """The main thread reads one stream to its end before it looks at the other, so only growth can
    help.
    """
    nodes = [Node(PassThrough(), inputs="in", outputs=name) for name in ("first", "second")]

    def feed(graph: Graph) -> None:
        for number in range(20):
            graph.add("in", number, number)
        graph.close_input()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Graph(
            GraphConfig(inputs={"in": int}, nodes=nodes), threads=2, max_queue_size=3
        ) as graph:
            first, second = graph.output("first"), graph.output("second")
            with ThreadPoolExecutor(1) as callers:
                task = callers.submit(feed, graph)
                assert len(list(first)) == len(list(second)) == 20
                task.result()
    assert {warning.category for warning in caught} == {GraphWarning}


def test_closing_while_a_packet_waits_for_room() -> None:
    graph = Graph(PASS, threads=1, max_queue_size=1)
    with graph, ThreadPoolExecutor(1) as callers:
        _unread = graph.output("out")  # never read, though this thread could
        graph.add("in", 0, 0)
        until(lambda: graph.stats().streams["out"].readers[0].length == 1)
        task = callers.submit(graph.add, "in", 1, 1)
        until(waits(graph))
        graph.cancel()
        with pytest.raises(GraphError, match="the graph was closed while a packet waited for room"):
            task.result(LIMIT)


def fail(context: Context) -> None:
    raise ValueError("no")


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda graph: graph.close_input(), StopIteration, None),
        (lambda graph: graph.cancel(), StopIteration, None),
        (
            lambda graph: graph.add("bad", 1, 7),
            CalculatorError,
            "node 'bad' failed at timestamp 7: ValueError: no",
        ),
    ],
)
def test_what_ends_the_wait_of_another_thread(
    act: Any, error: type[Exception], message: str | None
) -> None:
    nodes = [
        Node(PassThrough(), inputs="in", outputs="out"),
        Node(Call(fail), inputs="bad", name="bad"),
    ]
    graph = Graph(GraphConfig(inputs={"in": int, "bad": int}, nodes=nodes), threads=2).__enter__()

    def read(reader: PacketReader) -> BaseException | None:
        try:
            next(reader)
        except (StopIteration, GraphError) as caught:
            return caught
        return None

    with ThreadPoolExecutor(3) as callers:
        tasks = [callers.submit(read, graph.output("out")) for _ in range(3)]
        until(lambda: len(graph._executor._waiters) == 3)  # type: ignore[attr-defined]
        act(graph)
        for task in tasks:
            caught = task.result(LIMIT)
            assert isinstance(caught, error)
            assert message is None or message in str(caught)
    graph.cancel()


def test_a_wait_of_another_thread_ends_when_nothing_more_can_come() -> None:
    nodes = [*NEVER.nodes, Node(Merge(), inputs=["in", "out"], outputs="both")]
    with (
        Graph(GraphConfig(inputs={"in": int, "more": int}, nodes=nodes), threads=2) as graph,
        ThreadPoolExecutor(1) as callers,
    ):
        task = callers.submit(lambda reader: [p.payload for p in reader], graph.output("both"))
        until(waits(graph))
        for number in range(3):
            graph.add("in", number, number)
        graph.close_input("in")
        assert task.result(LIMIT) == [0, 1, 2]


def test_several_threads_share_one_reader() -> None:
    with Graph(PASS, threads=2) as graph, ThreadPoolExecutor(3) as callers:
        reader = graph.output("out")
        tasks = [callers.submit(lambda: [packet.payload for packet in reader]) for _ in range(3)]
        for number in range(80):
            graph.add("in", number, number)
        graph.close_input()
        assert sorted(number for task in tasks for number in task.result(LIMIT)) == list(range(80))


def test_cancelling_while_a_node_runs_waits_for_it_and_starts_no_other() -> None:
    blocked, log = Blocked(), Log()
    nodes = [Node(blocked, inputs="in", outputs="a"), Node(log, inputs="a")]
    with (
        Graph(GraphConfig(inputs={"in": int}, nodes=nodes), threads=2) as graph,
        ThreadPoolExecutor(1) as callers,
    ):
        graph.add("in", 1, 0)
        assert blocked.started.wait(LIMIT)
        task = callers.submit(graph.cancel)
        until(lambda: graph._executor._stopping)  # type: ignore[attr-defined]
        assert not task.done()
        blocked.go.set()
        task.result(LIMIT)
    assert log.calls == [("open",), ("close",)]


def test_no_thread_is_left() -> None:
    assert pool_threads() == []
    with Graph(PASS, threads=3) as graph:
        assert pool_threads() == []  # they start with the first packet
        graph.add("in", 1, 0)
        assert len(pool_threads()) == 3
    assert pool_threads() == []


def test_more_threads_than_the_system_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        if len(pool_threads()) == 2:
            raise RuntimeError("can't start new thread")
        original(thread)

    original = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(GraphError, match="threads: the system starts 2 of 3; ask for fewer"):
        with Graph(PASS, threads=3) as graph:
            graph.add("in", 1, 0)
    assert pool_threads() == []


def test_closing_with_an_endless_source_that_is_held_back() -> None:
    for _ in range(20):
        with Graph(
            GraphConfig(nodes=[Node(Numbers(None), outputs="n")]), threads=2, max_queue_size=3
        ) as graph:
            reader = graph.output("n")
            assert next(reader).payload == 0
            until(lambda graph=graph: graph.stats().sources["numbers"].throttled > 0)
    assert pool_threads() == []


@pytest.mark.parametrize("threads", [1, 2])
def test_a_calculator_that_exits_does_not_leave_the_caller_waiting(threads: int) -> None:
    nodes = [Node(Call(lambda context: sys.exit(3)), inputs="in", outputs="out", name="quits")]
    with pytest.raises(CalculatorError, match="node 'quits' failed at timestamp 5: SystemExit: 3"):
        with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), threads=threads) as graph:
            graph.add("in", 1, 5)
            next(graph.output("out"))


class Uneven(Calculator):
    """A source that sends on ``a`` alone until its end."""

    contract = Contract(outputs={"a": int, "b": int}, timestamp_offset=None)

    def open(self, context: Context) -> None:
        self.sent = 0

    def process(self, context: Context) -> None:
        context.send("a", self.sent, self.sent)
        self.sent += 1
        if self.sent == 30:
            context.finish()


UNEVEN = [Node(Uneven(), outputs=["a", "b"]), Node(Merge(), inputs=["a", "b"], outputs="out")]


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_a_source_that_waits_for_itself_makes_queues_grow(threads: int) -> None:
    with pytest.warns(
        GraphWarning,
        match="the queue of stream 'a' at node 'merge', input port 'in0' is full and nothing can "
        "run",
    ):
        with Graph(GraphConfig(nodes=UNEVEN), threads=threads, max_queue_size=10) as graph:
            reader = graph.output("out")
            graph.observe("out", lambda packet: None)
            assert next(reader).payload == 0
    assert graph.stats().streams["out"].packets == 30


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_a_warning_that_a_filter_makes_an_error_reaches_the_caller(threads: int) -> None:
    with pytest.raises(GraphWarning, match="it grows to 20 packets"):
        with Graph(GraphConfig(nodes=UNEVEN), threads=threads, max_queue_size=10) as graph:
            next(graph.output("out"))


@pytest.mark.parametrize("threads", [0, 1])
def test_a_calculator_that_waits_for_its_own_graph_is_told_so(threads: int) -> None:
    def wait_for_itself(packet: Any) -> None:
        graph.wait()

    with pytest.raises(CalculatorError) as caught, Graph(PASS, threads=threads) as graph:
        graph.observe("out", wait_for_itself)
        graph.add("in", 1, 0)
    assert caught.value.node == "observer 1 of out"
    assert isinstance(caught.value.__cause__, GraphStuckError)
