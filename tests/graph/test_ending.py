"""Ends that are hard: calls that hang, and copies of the program that has the graph."""

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graph_parts import Call, pairs
from remote_parts import awaited_double, slow_square

from handheld.errors import GraphError
from handheld.graph import (
    Calculator,
    Context,
    Contract,
    Graph,
    GraphConfig,
    Node,
    PassThrough,
    ProcessExecutor,
    ThreadExecutor,
    _event_loop,
    _executors,
    _processes,
)
from handheld.graph.record import GraphRecording

WAIT_S = 30.0


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_event_loop, _executors, _processes):
        monkeypatch.setattr(module, "_GRACE_S", 0.2)


def await_the_loops() -> None:
    """Wait until no event loop of a graph is left; what kept it has to be over."""
    for thread in threading.enumerate():
        if thread.name == "handheld-graph-loop":
            thread.join(WAIT_S)
            assert not thread.is_alive()


class Stubborn(Calculator):
    """Takes no notice of its cancellation, or only of that of a certain number."""

    contract = Contract(inputs={"in": int}, outputs={"out": int})

    def __init__(self, ends_at: int | None, closed: list[str]) -> None:
        self.ends_at = ends_at
        self.closed = closed
        self.begun = threading.Event()
        self.over = threading.Event()

    async def process(self, context: Context) -> None:
        cancelled = 0
        while cancelled != self.ends_at and not self.over.is_set():
            try:
                self.begun.set()
                await asyncio.sleep(WAIT_S)
            except asyncio.CancelledError:
                cancelled += 1

    def close(self, context: Context) -> None:
        self.closed.append("closed")


@pytest.mark.parametrize("ends_at", [2, None])
def test_a_coroutine_that_ignores_its_cancellation_holds_nobody_up(
    ends_at: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[str] = []
    node = Stubborn(ends_at, closed)
    config = GraphConfig(inputs={"x": int}, nodes=[Node(node, inputs="x", name="deaf")])
    with Graph(config, threads=1) as graph:
        graph.add("x", 1, 1)
        assert node.begun.wait(WAIT_S)
        with caplog.at_level(logging.ERROR):
            graph.cancel()
    assert closed == ["closed"]
    if ends_at is None:
        node.over.set()
    # Told once more, and so on, it may end after all.
    await_the_loops()
    assert "cancelled: node 'deaf'" in caplog.text


@pytest.mark.parametrize("threads", [0, 1])
def test_a_coroutine_that_is_cancelled_may_await_while_it_closes(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (_event_loop, _executors):
        monkeypatch.setattr(module, "_GRACE_S", WAIT_S)
    begun = threading.Event()
    said: list[str] = []

    class Polite(Calculator):
        contract = Contract(inputs={"in": int})

        async def process(self, context: Context) -> None:
            begun.set()
            try:
                await asyncio.sleep(WAIT_S)
            finally:
                await asyncio.sleep(0.5)
                said.append("goodbye")

    def feed() -> None:
        # On the calling thread it waits for the coroutine, which is cancelled.
        with contextlib.suppress(GraphError, concurrent.futures.CancelledError):
            graph.add("x", 1, 1)

    config = GraphConfig(inputs={"x": int}, nodes=[Node(Polite(), inputs="x")])
    with Graph(config, threads=threads) as graph:
        feeder = threading.Thread(target=feed)
        feeder.start()
        assert begun.wait(WAIT_S)
        graph.cancel()
        feeder.join(WAIT_S)
    await_the_loops()
    assert said == ["goodbye"]


def test_a_coroutine_that_blocks_the_loop_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    go_on = threading.Event()
    begun = threading.Event()

    class Blocks(Calculator):
        contract = Contract(inputs={"in": int})

        async def process(self, context: Context) -> None:
            begun.set()
            go_on.wait(WAIT_S)

    with Graph(GraphConfig(inputs={"x": int}, nodes=[Node(Blocks(), inputs="x")]), threads=1) as g:
        g.add("x", 1, 1)
        assert begun.wait(WAIT_S)
        g.cancel()
    go_on.set()
    await_the_loops()
    assert "cancelled: node 'blocks'" in caplog.text


def test_a_process_that_hangs_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    slow = slow_square.with_options(seconds=10 * WAIT_S)
    node = Node(slow, inputs="x", outputs="y", name="hangs", executor="apart")
    config = GraphConfig(inputs={"x": int}, nodes=[node])
    start = time.monotonic()
    with Graph(config, executors={"apart": ProcessExecutor()}) as graph:
        graph.add("x", 1, 1)
        while graph.explain().node("hangs").state != "running":
            time.sleep(0.01)
        graph.cancel()
    assert time.monotonic() - start < WAIT_S
    assert "node 'hangs': its call did not end" in caplog.text


def test_who_waits_for_a_thread_is_told_for_what(caplog: pytest.LogCaptureFixture) -> None:
    go_on = threading.Event()
    begun = threading.Event()

    def hang(_: Context) -> None:
        begun.set()
        assert go_on.wait(WAIT_S)

    config = GraphConfig(inputs={"x": int}, nodes=[Node(Call(hang), inputs="x", name="hangs")])
    with Graph(config, threads=1) as graph:
        graph.add("x", 1, 1)
        assert begun.wait(WAIT_S)
        cancel = threading.Thread(target=graph.cancel)
        cancel.start()
        while "waits for the calls of its nodes 'hangs'" not in caplog.text:
            time.sleep(0.01)
        go_on.set()
        cancel.join(WAIT_S)
        assert not cancel.is_alive()


def in_a_fork(work: Callable[[], str]) -> str:
    """Return what work returns in a fork of this process; a raised error's text."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        try:
            said = work()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writes, said.encode())
        os._exit(0)
    os.close(writes)
    ready, _, _ = select.select([reads], [], [], WAIT_S)
    if not ready:
        # A fork that hangs must not hold up all tests.
        os.kill(child, signal.SIGKILL)
    with open(reads, encoding="utf-8") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.filterwarnings("ignore:.*fork")  # of Python, and of JAX where it is imported
@pytest.mark.parametrize(
    ("node", "options"),
    [
        (PassThrough(), {"threads": 2}),
        (awaited_double, {}),
        (PassThrough(), {"executors": {"apart": ThreadExecutor()}}),
        (slow_square, {"executors": {"apart": ProcessExecutor()}}),
    ],
)
def test_a_fork_has_no_part_in_a_graph_of_threads(node: Any, options: dict[str, Any]) -> None:
    executor = "apart" if "executors" in options else ""
    nodes = [Node(node, inputs="x", outputs="y", executor=executor)]
    with Graph(GraphConfig(inputs={"x": int}, nodes=nodes), **options) as graph:
        out = graph.output("y")
        graph.add("x", 1, 1)
        next(out)

        def use(call: Callable[[], Any]) -> str:
            try:
                call()
            except GraphError as error:
                return str(error)
            return "went on"

        def child() -> str:
            said = [use(lambda: graph.add("x", 2, 2)), use(lambda: next(out)), use(graph.close)]
            graph.cancel()
            str(graph.explain())
            return "\n".join(said)

        added, read, closed = in_a_fork(child).split("\n")
        assert "is a fork; make one here" in added
        assert "is a fork; make one here" in read
        assert closed in ("went on", added)
        graph.add("x", 3, 3)
        assert next(out).timestamp == 3


@pytest.mark.filterwarnings("ignore:.*fork")  # of Python, and of JAX where it is imported
def test_a_graph_of_the_callers_thread_goes_on_in_a_fork_and_is_recorded_once(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.hgr"
    nodes = [Node(PassThrough(), inputs="x", outputs="y")]
    with Graph(GraphConfig(inputs={"x": int}, nodes=nodes)) as graph:
        out = graph.output("y")
        graph.record(path, ["x"], flush_s=100.0)
        graph.add("x", 1, 1)

        def child() -> str:
            graph.add("x", 20, 20)
            graph.close()
            return str([packet.payload for packet in out])

        assert in_a_fork(child) == "[1, 20]"
        graph.add("x", 2, 2)
    assert pairs(GraphRecording(path).packets("x")) == [(1, 1), (2, 2)]


def test_a_graph_that_is_cancelled_while_it_opens_opens_no_more_and_closes_each_once() -> None:
    calls: list[str] = []

    class Notes(Calculator):
        contract = Contract(inputs={"in": int}, outputs={"out": int})

        def __init__(self, name: str) -> None:
            self.name = name

        def open(self, context: Context) -> None:
            calls.append(f"open {self.name}")
            if self.name == "second":
                graph.cancel()

        def process(self, context: Context) -> None:
            """Never called."""

        def close(self, context: Context) -> None:
            calls.append(f"close {self.name}")

    nodes = [
        Node(Notes("first"), inputs="x", outputs="a"),
        Node(Notes("second"), inputs="a", outputs="b"),
        Node(Notes("third"), inputs="b", outputs="c"),
    ]
    graph = Graph(GraphConfig(inputs={"x": int}, nodes=nodes))
    with pytest.raises(GraphError, match="was cancelled while its nodes were opened"), graph:
        pytest.fail("it opened")
    assert sorted(calls) == ["close first", "close second", "open first", "open second"]
