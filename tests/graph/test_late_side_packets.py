# ruff: noqa: PT012, SIM117  (a graph may raise when its block is left, so the block stands inside)

"""Side packets that nodes set while the graph runs: those that take them open then."""

import asyncio
import logging
from typing import Any

import pytest
from graph_parts import Call, FirstAsSide, Log, Numbers, PlusSide, pairs

from handheld.errors import (
    CalculatorError,
    GraphStuckError,
    GraphValidationError,
)
from handheld.graph import (
    BackEdge,
    Calculator,
    Context,
    Contract,
    CountingSource,
    FixedSizePolicy,
    Graph,
    GraphConfig,
    ImmediatePolicy,
    Node,
    PassThrough,
    PreviousLoopback,
    ProcessExecutor,
    StreamToSidePacket,
    Timestamp,
    calculator,
)
from handheld.graph.plan import plan
from handheld.graph.trace import MemoryTracer

THREADS = pytest.mark.parametrize("threads", [0, 1, 3])


class Diary(PlusSide):
    """Adds a side packet, and writes down when it is opened, reset and closed."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def open(self, context: Context) -> None:
        self.lines.append(f"open with {context.side['plus']}")

    def close(self, context: Context) -> None:
        self.lines.append("close")


class Keeper(Diary):
    """Keeps what it has over a reset."""

    def reset(self, context: Context) -> None:
        self.lines.append(f"reset with {context.side['plus']}")


def to_side(**more: Any) -> Node:
    return Node(StreamToSidePacket(), inputs="a", side_outputs="p", name="giver", **more)


def plus_side(node: Calculator | None = None, **more: Any) -> Node:
    return Node(node or PlusSide(), inputs="x", outputs="y", side_inputs="p", name="taker", **more)


def late(node: Calculator | None = None, *more: Node, **options: Any) -> GraphConfig:
    """What comes on ``x`` plus the only packet of ``a``."""
    nodes = [plus_side(node, **options), to_side(), *more]
    return GraphConfig(inputs={"x": int, "a": int}, nodes=nodes)


@THREADS
def test_what_came_before_waits_for_the_side_packet(threads: int) -> None:
    with Graph(late(), threads=threads) as graph:
        sums = graph.output("y")
        for timestamp in range(3):
            graph.add("x", timestamp, timestamp)
        graph.set_bound("x", 10)
        assert graph.stats().streams["y"].bound == Timestamp.PRE_STREAM
        assert graph.side_packets() == {}
        graph.add("a", 40, 7)
        assert [next(sums).payload for _ in range(3)] == [40, 41, 42]
        graph.add("x", 3, 10)
        graph.close_input()
        assert pairs(list(sums)) == [(43, 10)]
    assert graph.side_packets() == {"p": 40}


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("placed", ["giver", "taker", "both"])
def test_in_processes_too(threads: int, placed: str) -> None:
    where = {"giver": "", "taker": ""}
    for name in where:
        where[name] = "far" if placed in (name, "both") else ""
    nodes = [
        plus_side(executor=where["taker"]),
        Node(
            FirstAsSide(at_close=True),
            inputs="a",
            side_outputs="p",
            name="giver",
            executor=where["giver"],
        ),
    ]
    config = GraphConfig(inputs={"x": int, "a": int}, nodes=nodes)
    with Graph(config, threads=threads, executors={"far": ProcessExecutor()}) as graph:
        sums = graph.output("y")
        graph.add("x", 40, 0)
        for timestamp in range(2):
            graph.add("a", 0, timestamp)
        graph.close_input()
        assert pairs(list(sums)) == [(42, 0)]
        assert graph.side_packets() == {"p": 2}


class AsyncGiver(StreamToSidePacket):
    async def process(self, context: Context) -> None:
        await asyncio.sleep(0)
        context.send_side("packet", context.get("in"))


class AsyncTaker(PlusSide):
    async def open(self, context: Context) -> None:
        await asyncio.sleep(0)
        self.plus = context.side["plus"]

    async def process(self, context: Context) -> None:
        await asyncio.sleep(0)
        context.send("out", context.get("in") + self.plus)


@THREADS
def test_coroutines_set_and_take_them(threads: int) -> None:
    nodes = [
        plus_side(AsyncTaker()),
        Node(AsyncGiver(), inputs="a", side_outputs="p"),
    ]
    with Graph(GraphConfig(inputs={"x": int, "a": int}, nodes=nodes), threads=threads) as graph:
        sums = graph.output("y")
        graph.add("x", 2, 0)
        graph.add("a", 40, 0)
        graph.close_input()
        assert pairs(list(sums)) == [(42, 0)]


@THREADS
def test_a_source_begins_when_its_side_packet_is_there(threads: int) -> None:
    nodes = [
        Node(CountingSource(), outputs="n", side_inputs={"max_count": "p"}, name="source"),
        to_side(),
    ]
    with Graph(GraphConfig(inputs={"a": int}, nodes=nodes), threads=threads) as graph:
        numbers = graph.output("n")
        assert graph.explain().node("source").state == "waits"
        graph.add("a", 3, 0)
        graph.close_input()
        assert pairs(list(numbers)) == [(0, 0), (1, 1), (2, 2)]


@THREADS
def test_one_set_at_the_end_of_a_node(threads: int) -> None:
    nodes = [
        Node(FirstAsSide(at_close=True), inputs="a", side_outputs="p"),
        Node(CountingSource(), outputs="n", side_inputs={"max_count": "p"}),
    ]
    with Graph(GraphConfig(inputs={"a": int}, nodes=nodes), threads=threads) as graph:
        numbers = graph.output("n")
        for timestamp in range(3):
            graph.add("a", 0, timestamp)
        graph.close_input()
        assert [packet.payload for packet in numbers] == [0, 1, 2]


@THREADS
def test_a_node_waits_for_all_of_its_side_packets(threads: int) -> None:
    lines: list[Any] = []
    contract = Contract(inputs={"in": object}, side_inputs={"p": int, "q": int})
    opened = Log(contract, lines)
    nodes = [
        Node(opened, inputs="x", side_inputs=["p", "q"], name="taker"),
        to_side(),
        Node(StreamToSidePacket(), inputs="b", side_outputs="q"),
    ]
    config = GraphConfig(inputs={"x": int, "a": int, "b": int}, nodes=nodes)
    with Graph(config, threads=threads) as graph:
        graph.add("b", 2, 0)
        while not graph.side_packets():
            pass
        (wait,) = graph.explain().node("taker").sides
        assert (wait.side_packet, wait.producer, wait.ended) == ("p", "giver", False)
        assert lines == []
        graph.add("a", 1, 0)
    assert lines == [("open",), ("close",)]


@THREADS
def test_one_given_twice_is_an_error(threads: int) -> None:
    message = (
        "node 'giver' failed at timestamp 5: InputError: node 'giver': side output 'packet' "
        r"\(side packet 'p'\) was set before"
    )
    with pytest.raises(CalculatorError, match=message):
        with Graph(late(), threads=threads) as graph:
            graph.add("a", 1, 3)
            graph.add("a", 1, 5)
            graph.wait()


@THREADS
def test_of_two_timestamps_at_once_the_first_gives_it(threads: int) -> None:
    with pytest.raises(CalculatorError, match="node 'giver' failed at timestamp 1: InputError"):
        nodes = [plus_side(), to_side(max_in_flight=4)]
        config = GraphConfig(inputs={"x": int, "a": int}, nodes=nodes)
        with Graph(config, threads=threads) as graph:
            for timestamp in range(4):
                graph.add("a", timestamp, timestamp)
            graph.wait()
    assert graph.side_packets() == {"p": 0}


@THREADS
def test_a_node_of_several_timestamps_at_once_opens_late(threads: int) -> None:
    with Graph(late(max_in_flight=3), threads=threads) as graph:
        sums = graph.output("y")
        for timestamp in range(5):
            graph.add("x", timestamp, timestamp)
        graph.add("a", 10, 0)
        graph.close_input()
        assert [packet.payload for packet in sums] == [10, 11, 12, 13, 14]


@THREADS
def test_one_that_never_comes_is_told_and_what_never_opened_is_not_closed(threads: int) -> None:
    lines: list[str] = []
    message = (
        "the graph cannot finish: node 'taker' waits for side packet 'p' of node 'giver' at port "
        "'plus', which has closed without setting it"
    )
    closed = Log()
    after = Node(closed, inputs="y")
    beside = Log()
    with pytest.raises(GraphStuckError, match=message):
        with Graph(late(Diary(lines), after, Node(beside, inputs="x")), threads=threads) as graph:
            graph.add("x", 1, 0)
    assert lines == closed.calls == []
    assert [call[0] for call in beside.calls] == ["open", "process", "close"]


def test_who_waits_for_which_side_packet(caplog: pytest.LogCaptureFixture) -> None:
    with Graph(late()) as graph, caplog.at_level(logging.WARNING):
        graph.add("x", 1, 4)
        assert str(graph.explain().node("taker")) == (
            "'taker': waits, 0 calls\n"
            "    waits for side packet 'p' of node 'giver' at port 'plus'\n"
            "    'in' from stream 'x' of the graph's own input, whose last packet was at 4: "
            "1 of 100 queued, the oldest at 4; settled below 5"
        )
        with pytest.raises(GraphStuckError, match=r"not settled .* waits for side packet 'p' of"):
            graph.wait_settled(4, ["y"])
        graph.cancel()
    assert "waits for side packet 'p' of node 'giver' at port 'plus'" in caplog.text


@THREADS
def test_its_queue_is_bounded_while_it_waits(threads: int) -> None:
    with Graph(late(), threads=threads, max_queue_size=3) as graph:
        sums = graph.output("y")
        taken = [graph.try_add("x", number, number) for number in range(5)]
        assert taken == [True, True, True, False, False]
        graph.add("a", 10, 0)
        assert [next(sums).payload for _ in range(3)] == [10, 11, 12]
        graph.add("x", 5, 5)
        assert next(sums).payload == 15


def test_a_policy_that_drops_does_so_while_it_waits() -> None:
    with Graph(late(policy=FixedSizePolicy(2, 1))) as graph:
        sums = graph.output("y")
        for number in range(6):
            graph.add("x", number, number)
        graph.add("a", 10, 0)
        assert [packet.payload for packet in sums.drain()] == [15]


@THREADS
def test_what_is_behind_a_node_opens_after_it_and_sees_its_headers(threads: int) -> None:
    seen: list[Any] = []

    class Header(PlusSide):
        def open(self, context: Context) -> None:
            context.set_header("out", context.side["plus"])

    class Reads(PassThrough):
        def open(self, context: Context) -> None:
            seen.append(context.header("in"))

    nodes = [Node(Reads(), inputs="y", outputs="z"), Node(Reads(), inputs="z")]
    with Graph(late(Header(), *nodes), threads=threads) as graph:
        assert seen == []
        graph.add("a", 7, 0)
        graph.add("x", 1, 0)
        graph.wait()
    assert seen == [7, None]


@THREADS
def test_a_side_packet_passes_through_nodes_that_open_late(threads: int) -> None:
    class Doubled(Calculator):
        contract = Contract(side_inputs={"one": int}, side_outputs={"two": int})

        def open(self, context: Context) -> None:
            context.send_side("two", 2 * context.side["one"])

        def process(self, context: Context) -> None:
            context.finish()

    nodes = [
        Node(PlusSide(), inputs="x", outputs="y", side_inputs="q"),
        Node(Doubled(), side_inputs="p", side_outputs="q"),
        to_side(),
    ]
    with Graph(GraphConfig(inputs={"x": int, "a": int}, nodes=nodes), threads=threads) as graph:
        sums = graph.output("y")
        graph.add("x", 2, 0)
        graph.add("a", 20, 0)
        assert next(sums).payload == 42
    assert graph.side_packets() == {"p": 20, "q": 40}


@THREADS
def test_in_subgraphs(threads: int) -> None:
    first = GraphConfig(
        inputs={"in": int},
        side_outputs="kept",
        nodes=[Node(StreamToSidePacket(), inputs="in", side_outputs="kept")],
        name="first",
    )
    second = GraphConfig(
        inputs={"in": int},
        outputs="out",
        side_inputs={"plus": int},
        nodes=[Node(PlusSide(), inputs="in", outputs="out", side_inputs="plus")],
        name="second",
    )
    nodes = [
        Node(second, inputs="x", outputs="y", side_inputs="p"),
        Node(first, inputs="a", side_outputs="p"),
    ]
    config = GraphConfig(inputs={"x": int, "a": int}, nodes=nodes, side_outputs="p")
    with Graph(config, threads=threads) as graph:
        sums = graph.output("y")
        graph.add("x", 2, 0)
        graph.add("a", 40, 0)
        assert next(sums).payload == 42
    assert graph.side_packets() == {"p": 40}


@THREADS
@pytest.mark.parametrize("keeps", [False, True])
def test_a_reset_takes_the_side_packets_of_the_run_away(threads: int, keeps: bool) -> None:
    lines: list[str] = []
    diary = Keeper(lines) if keeps else Diary(lines)
    with Graph(late(diary), threads=threads) as graph:
        sums = graph.output("y")
        graph.add("a", 10, 0)
        graph.add("x", 1, 0)
        assert next(sums).payload == 11
        graph.reset()
        assert graph.side_packets() == {}
        graph.add("x", 2, 0)
        assert graph.explain().node("taker").sides
        graph.add("a", 20, 0)
        assert next(sums).payload == 22
    if keeps:
        assert lines == ["open with 10", "reset with 20", "close"]
    else:
        assert lines == ["open with 10", "close", "open with 20", "close"]


@THREADS
def test_what_a_reset_kept_is_closed_though_its_side_packet_never_came(threads: int) -> None:
    lines: list[str] = []
    with Graph(late(Keeper(lines)), threads=threads) as graph:
        graph.add("a", 10, 0)
        graph.wait_settled(0, ["a"])
        graph.set_bound("x", 1)
        graph.wait_settled(0, ["y"])
        graph.reset()
        graph.reset()
        graph.cancel()
    assert lines == ["open with 10", "close"]


@THREADS
def test_a_node_that_cannot_open_late_ends_the_graph(threads: int) -> None:
    class Refuses(PlusSide):
        def open(self, context: Context) -> None:
            raise ValueError("not with this")

        def close(self, context: Context) -> None:
            raise AssertionError("it was never open")

    with pytest.raises(CalculatorError, match=r"node 'taker' failed .* ValueError: not with this"):
        with Graph(late(Refuses()), threads=threads) as graph:
            graph.add("a", 1, 0)
            graph.wait()


@THREADS
def test_a_node_may_cancel_its_graph_while_it_opens_late(threads: int) -> None:
    lines: list[str] = []
    graphs: list[Graph] = []

    class Cancels(Diary):
        def open(self, context: Context) -> None:
            super().open(context)
            graphs[0].cancel()

    with Graph(late(Cancels(lines)), threads=threads) as graph:
        graphs.append(graph)
        graph.add("x", 1, 0)
        graph.add("a", 1, 0)
    assert lines == ["open with 1", "close"]


@THREADS
def test_a_graph_that_is_closed_ends_a_source_that_opens_late(threads: int) -> None:
    lines: list[str] = []

    class Source(Calculator):
        contract = Contract(outputs={"out": int}, side_inputs={"count": int})

        def open(self, context: Context) -> None:
            lines.append("open")

        def process(self, context: Context) -> None:
            lines.append("process")

        def close(self, context: Context) -> None:
            lines.append("close")

    nodes = [
        Node(Source(), outputs="n", side_inputs="p"),
        Node(FirstAsSide(at_close=True), inputs="a", side_outputs="p"),
    ]
    with Graph(GraphConfig(inputs={"a": int}, nodes=nodes), threads=threads) as graph:
        graph.close()
    assert lines == ["open", "close"]


@THREADS
def test_a_loop_ends_though_a_source_waits_for_what_it_gives_at_its_end(threads: int) -> None:
    @calculator
    def add(number: int, previous: int | None) -> int:
        return number + (previous or 0)

    nodes = [
        Node(PreviousLoopback(), inputs={"main": "a", "loop": BackEdge("sum")}, outputs="previous"),
        Node(add, inputs=["a", "previous"], outputs="sum"),
        Node(FirstAsSide(at_close=True), inputs="sum", side_outputs="p"),
        Node(CountingSource(), outputs="n", side_inputs={"max_count": "p"}),
    ]
    with Graph(GraphConfig(inputs={"a": int}, nodes=nodes), threads=threads) as graph:
        numbers = graph.output("n")
        graph.add("a", 1, 0)
        graph.add("a", 2, 1)
        graph.close_input()
        assert [packet.payload for packet in numbers] == [0, 1]


def test_sources_of_a_layer_wait_for_one_that_cannot_open() -> None:
    """As in MediaPipe, which tells of a deadlock: its test SourceLayerInversion."""
    nodes = [
        Node(Numbers(1), outputs="n", source_layer=1),
        Node(StreamToSidePacket(), inputs="n", side_outputs="p"),
        Node(CountingSource(), outputs="m", side_inputs={"max_count": "p"}, name="early"),
    ]
    with pytest.raises(GraphStuckError, match="node 'early' waits for side packet 'p'"):
        with Graph(GraphConfig(nodes=nodes)) as graph:
            graph.wait()


@THREADS
def test_observers_and_options_of_a_node_that_waits(threads: int) -> None:
    class Gain(PlusSide):
        contract = Contract(
            inputs={"in": int},
            outputs={"out": int},
            side_inputs={"plus": int},
            options={"factor": int},
        )
        factor = 1

        def process(self, context: Context) -> None:
            context.send("out", self.factor * context.get("in") + context.side["plus"])

    seen: list[int] = []
    with Graph(late(Gain()), threads=threads) as graph:
        graph.observe("y", lambda packet: seen.append(packet.payload))
        graph.set("taker.factor", 10)
        graph.add("x", 4, 0)
        graph.add("a", 2, 0)
        graph.wait()
    assert seen == [42]


@THREADS
def test_the_trace_has_the_late_opening(threads: int) -> None:
    tracer = MemoryTracer()
    with Graph(late(), threads=threads, trace=tracer) as graph:
        graph.add("x", 1, 0)
        graph.add("a", 1, 0)
        graph.wait()
    calls = [(call.node, call.method) for call in tracer.trace().calls if call.node]
    assert calls.index(("giver", "process")) < calls.index(("taker", "open"))
    assert [method for node, method in calls if node == "taker"] == ["open", "process", "close"]
    assert graph.stats().nodes["taker"].calls == 2  # as of a node that opens at once


def test_what_a_calculator_sets_is_what_its_contract_says() -> None:
    contract = Contract(inputs={"in": object}, side_outputs={"size": int})
    for port, payload, message in [
        ("siz", 1, r"sets side output 'siz', .* it declares \['size'\]"),
        ("size", "1", "sets str on side output 'size', whose contract says int"),
    ]:
        wrong = Call(lambda c, p=port, v=payload: c.send_side(p, v), contract)
        with pytest.raises(CalculatorError, match=message):
            with Graph(GraphConfig(inputs={"x": object}, nodes=[Node(wrong, inputs="x")])) as graph:
                graph.add("x", 0, 0)


def test_nodes_that_need_each_other_to_open_are_refused() -> None:
    class Both(Calculator):
        contract = Contract(
            inputs={"in": int},
            outputs={"out": int},
            side_inputs={"side": int},
            side_outputs={"other": int},
        )

        def process(self, context: Context) -> None:
            pass

    sides = [
        Node(Both(), inputs="x", side_inputs="p", side_outputs="q", name="one"),
        Node(Both(), inputs="x", side_inputs="q", side_outputs="p", name="two"),
    ]
    message = "nodes form a cycle: one <- two <- one, closed by side packet 'q' at node 'two'"
    with pytest.raises(GraphValidationError, match=message):
        plan(GraphConfig(inputs={"x": int}, nodes=sides))
    mixed = [
        Node(StreamToSidePacket(), inputs="y", side_outputs="p", name="one"),
        Node(PlusSide(), inputs="x", outputs="y", side_inputs="p", name="two"),
    ]
    with pytest.raises(GraphValidationError, match="closed by side packet 'p' at node 'two', inp"):
        plan(GraphConfig(inputs={"x": int}, nodes=mixed))


@THREADS
def test_a_back_edge_may_lead_to_the_node_that_gives(threads: int) -> None:
    class First(Calculator):
        contract = Contract(
            inputs={"in": int, "back": int},
            outputs={"out": int},
            side_outputs={"first": int},
            policy=ImmediatePolicy(),
        )

        def process(self, context: Context) -> None:
            if "in" in context.inputs:
                context.send_side("first", context.get("in"))
                context.send("out", context.get("in"))

    nodes = [
        Node(First(), inputs={"in": "a", "back": BackEdge("y")}, outputs="x", side_outputs="p"),
        Node(PlusSide(), inputs="x", outputs="y", side_inputs="p"),
    ]
    with Graph(GraphConfig(inputs={"a": int}, nodes=nodes), threads=threads) as graph:
        sums = graph.output("y")
        graph.add("a", 3, 0)
        graph.close_input()
        assert pairs(list(sums)) == [(6, 0)]


def test_a_graph_lets_out_side_packets_that_it_has() -> None:
    config = GraphConfig(inputs={"a": int}, nodes=[to_side()], side_outputs="q")
    with pytest.raises(GraphValidationError, match="the graph's side output 'q' is no side pack"):
        plan(config)
