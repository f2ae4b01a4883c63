# ruff: noqa: PT012  (a graph may raise when its block is left, so the block stands inside)

"""Coroutines: calculators that await, and callers that do."""

import asyncio
import threading
from typing import Any

import pytest
from graph_parts import Log, Numbers, pairs

from handheld.errors import CalculatorError, GraphStuckError
from handheld.graph import (
    Calculator,
    Context,
    Contract,
    Graph,
    GraphConfig,
    Node,
    PassThrough,
    ThreadExecutor,
    calculator,
)

WAIT_S = 20.0


@calculator
async def later(number: int, *, seconds: float = 0.0) -> int:
    await asyncio.sleep(seconds)
    return 10 * number


def config(node: Any, **more: Any) -> GraphConfig:
    return GraphConfig(
        inputs={"x": int}, nodes=[Node(node, inputs="x", outputs="out", name="node", **more)]
    )


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("lanes", [1, 4])
def test_an_async_function_is_a_calculator(threads: int, lanes: int) -> None:
    with Graph(config(later, max_in_flight=lanes), threads=threads) as graph:
        out = graph.output("out")
        for timestamp in range(20):
            graph.add("x", timestamp, timestamp)
        graph.wait()
        assert pairs(list(out)) == [(10 * n, n) for n in range(20)]
        assert graph.stats().nodes["node"].calls == 21


class Session(Calculator):
    """Opens and closes something by awaiting, as a client of a server does."""

    contract = Contract(inputs={"in": int}, outputs={"out": int}, timestamp_offset=None)

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    async def open(self, context: Context) -> None:
        await asyncio.sleep(0)
        self.calls.append("open")
        self.sum = 0

    async def process(self, context: Context) -> None:
        await asyncio.sleep(0)
        self.sum += context.get("in")
        context.send("out", self.sum)

    async def close(self, context: Context) -> None:
        await asyncio.sleep(0)
        self.calls.append("close")
        context.send("out", -1, 1000)


@pytest.mark.parametrize("threads", [0, 2])
def test_a_session_is_opened_and_closed_once(threads: int) -> None:
    calls: list[str] = []
    with Graph(config(Session(calls)), threads=threads) as graph:
        out = graph.output("out")
        graph.add("x", 1, 0)
        graph.add("x", 2, 1)
        graph.wait()
        assert [packet.payload for packet in out] == [1, 3, -1]
    assert calls == ["open", "close"]


def test_one_thread_is_enough_for_many_that_are_awaited() -> None:
    inside = 0
    most = 0
    all_there = asyncio.Event()

    @calculator
    async def meet(number: int) -> int:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == 8:
            all_there.set()
        await asyncio.wait_for(all_there.wait(), WAIT_S)
        return number

    nodes = [
        Node(meet, inputs="x", outputs="met", max_in_flight=8),
        Node(PassThrough(), inputs="x", outputs="same"),
    ]
    with Graph(GraphConfig(inputs={"x": int}, nodes=nodes), threads=1) as graph:
        met = graph.output("met", timeout=WAIT_S)
        same = graph.output("same", timeout=WAIT_S)
        for timestamp in range(7):
            graph.add("x", timestamp, timestamp)
            # The one thread is free for others while seven are awaited.
            assert next(same).payload == timestamp
        graph.add("x", 7, 7)
        assert [next(met).payload for _ in range(8)] == list(range(8))
    assert most == 8


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_in_a_coroutine_is_told_like_any_other(threads: int) -> None:
    @calculator
    async def refuse(number: int) -> int:
        await asyncio.sleep(0)
        raise ValueError("no")

    with (
        pytest.raises(CalculatorError, match="node 'node' failed at timestamp 5: ValueError: no"),
        Graph(config(refuse), threads=threads) as graph,
    ):
        graph.add("x", 0, 5)
        graph.wait()


@pytest.mark.parametrize("executors", [{}, {"far": ThreadExecutor()}])
def test_cancelling_ends_what_is_awaited_and_closes_it_once(executors: Any) -> None:
    begun = threading.Event()
    ends: list[str] = []

    class Waits(Log):
        async def process(self, context: Context) -> None:  # type: ignore[override]
            begun.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                ends.append("cancelled")
                raise

        def close(self, context: Context) -> None:
            ends.append("closed")

    node = config(Waits(), executor="far" if executors else "")
    graph = Graph(node, threads=1, executors=executors)
    with graph:
        graph.add("x", 0, 0)
        assert begun.wait(WAIT_S)
        graph.cancel()
    assert ends == ["cancelled", "closed"]
    assert not [t for t in threading.enumerate() if t.name.startswith("handheld-graph")]


@pytest.mark.parametrize("threads", [0, 2])
def test_async_for_reads_a_stream_to_its_end(threads: int) -> None:
    async def main() -> list[int]:
        async with Graph(
            GraphConfig(nodes=[Node(Numbers(5), outputs="n")]), threads=threads
        ) as graph:
            return [packet.payload async for packet in graph.output("n")]

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]


def test_who_waits_for_a_packet_leaves_the_loop_to_others() -> None:
    async def main() -> list[int]:
        async with Graph(config(PassThrough()), threads=1) as graph:
            reader = graph.output("out")
            got: list[int] = []

            async def read() -> None:
                async for packet in reader:
                    got.append(packet.payload)  # noqa: PERF401  (one by one, as they come)

            task = asyncio.create_task(read())
            for number in range(4):
                await asyncio.sleep(0.001)
                graph.add("x", number, number)
            graph.close_input()
            await asyncio.wait_for(task, WAIT_S)
            return got

    assert asyncio.run(main()) == [0, 1, 2, 3]


def test_two_tasks_of_one_loop_read_two_streams() -> None:
    # Each holds back the source of the other while its queue is full.
    nodes = [
        Node(Numbers(200), outputs="a"),
        Node(PassThrough(), inputs="a", outputs="b"),
    ]

    async def count(reader: Any) -> int:
        number = 0
        async for _ in reader:
            number += 1
            await asyncio.sleep(0)
        return number

    async def main() -> list[int]:
        async with Graph(GraphConfig(nodes=nodes), threads=1, max_queue_size=2) as graph:
            readers = [graph.output("a"), graph.output("b")]
            return await asyncio.wait_for(asyncio.gather(*map(count, readers)), WAIT_S)

    assert asyncio.run(main()) == [200, 200]


def test_a_wait_in_a_coroutine_ends_in_time_or_when_it_is_cancelled() -> None:
    async def main() -> None:
        async with Graph(config(PassThrough()), threads=1) as graph:
            with pytest.raises(GraphStuckError, match="no packet on stream 'out'"):
                await anext(graph.output("out", timeout=0.02))
            reader = graph.output("out")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(reader), 0.02)
            graph.add("x", 1, 1)
            # The wait that was cancelled took nothing.
            assert (await asyncio.wait_for(anext(reader), WAIT_S)).payload == 1

    asyncio.run(main())


def test_an_observer_may_be_async() -> None:
    got: list[int] = []

    async def note(packet: Any) -> None:
        await asyncio.sleep(0)
        got.append(packet.payload)

    with Graph(config(PassThrough())) as graph:
        graph.observe("out", note)
        graph.add("x", 3, 0)
    assert got == [3]


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("end", [Graph.cancel, Graph.close])
def test_a_coroutine_may_end_its_own_graph(end: Any, threads: int) -> None:
    calls: list[str] = []

    class Ends(Calculator):
        contract = Contract(inputs={"in": int})

        async def process(self, context: Context) -> None:
            end(graph)

        async def close(self, context: Context) -> None:
            await asyncio.sleep(0)
            calls.append("close")

    graph = Graph(GraphConfig(inputs={"x": int}, nodes=[Node(Ends(), inputs="x")]), threads=threads)
    caller = threading.Thread(target=_feed, args=(graph,), daemon=True)
    caller.start()
    caller.join(WAIT_S)
    assert not caller.is_alive()
    assert calls == ["close"]
    assert "handheld-graph-loop" not in [thread.name for thread in threading.enumerate()]


def _feed(graph: Graph) -> None:
    with graph:
        graph.add("x", 0, 0)


def test_a_coroutine_that_is_cancelled_before_it_began_is_over_too() -> None:
    blocked = threading.Event()
    go_on = threading.Event()

    class Blocks(Calculator):
        """Holds the event loop, so that what comes after it has not begun yet."""

        contract = Contract(inputs={"in": int})

        async def process(self, context: Context) -> None:
            blocked.set()
            assert go_on.wait(WAIT_S)

    nodes = [Node(Blocks(), inputs="x"), Node(later, inputs="y", outputs="out")]
    graph = Graph(GraphConfig(inputs={"x": int, "y": int}, nodes=nodes), threads=2)
    with graph:
        graph.add("x", 1, 0)
        assert blocked.wait(WAIT_S)
        graph.add("y", 1, 0)
        while graph.explain().node("later").state != "running":
            pass
        resets = threading.Thread(target=graph.reset, daemon=True)
        resets.start()
        while not graph._executor._pauses:  # type: ignore[attr-defined]
            pass
        go_on.set()
        resets.join(WAIT_S)
        assert not resets.is_alive()
