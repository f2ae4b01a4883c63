"""The public face: feeding, watching, ending, and what a person can do wrong."""

# ruff: noqa: PT012, PT031, SIM117  (a graph may raise or warn when its block is left, so the block stands inside)

import gc
import threading
import tracemalloc
from typing import Any

import pytest
from graph_parts import Burst, Call, Log, Numbers, Shift, pairs

from handheld.errors import (
    CalculatorError,
    GraphError,
    GraphStuckError,
    GraphValidationError,
    InputError,
    TimestampError,
)
from handheld.graph import (
    Calculator,
    Context,
    Contract,
    Graph,
    GraphConfig,
    GraphWarning,
    Merge,
    Node,
    PassThrough,
    calculator,
)

PASS = GraphConfig(inputs={"in": int}, nodes=[Node(PassThrough(), inputs="in", outputs="out")])
THREADS = pytest.mark.parametrize("threads", [0, 1, 2])


@calculator
def invert(number: int) -> float:
    return 1 / number


def inverting() -> GraphConfig:
    return GraphConfig(inputs={"in": int}, nodes=[Node(invert, inputs="in", outputs="out")])


@THREADS
def test_add_iterate_observe(threads: int) -> None:
    with Graph(PASS, threads=threads) as graph:
        seen: list[Any] = []
        graph.observe("out", seen.append)
        reader = graph.output("out")
        graph.add("in", 7, 40)
        assert next(reader) == (7, 40)
        graph.add("in", 8, 50)
    assert pairs(seen) == [(7, 40), (8, 50)]  # leaving the block handles what is under way
    assert pairs(reader.drain()) == [(8, 50)]


@THREADS
def test_an_exception_arrives_with_node_and_timestamp(threads: int) -> None:
    with pytest.raises(
        CalculatorError,
        match="node 'invert' failed at timestamp 40: ZeroDivisionError: division by",
    ) as caught:
        with Graph(inverting(), threads=threads) as graph:
            graph.add("in", 1, 0)
            graph.add("in", 0, 40)
            graph.wait()
    assert (caught.value.node, caught.value.timestamp) == ("invert", 40)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert graph.stats().nodes["invert"].closed


@THREADS
def test_after_an_error_every_call_repeats_it(threads: int) -> None:
    graph = Graph(inverting(), threads=threads).__enter__()
    reader = graph.output("out")
    with pytest.raises(CalculatorError):
        graph.add("in", 0, 40)
        graph.wait()
    for call in (lambda: graph.add("in", 1, 50), lambda: next(reader), graph.wait, graph.close):
        with pytest.raises(CalculatorError, match="'invert' failed at timestamp 40"):
            call()


@THREADS
@pytest.mark.parametrize("method", ["open", "process", "close"])
def test_wherever_it_fails_every_open_node_is_closed(threads: int, method: str) -> None:
    calls: list[Any] = []

    class Failing(Log):
        def fail(self, context: Context) -> None:
            raise RuntimeError("no")

    failing = Failing(calls=calls, name="failing ")
    setattr(failing, method, failing.fail)
    nodes = [
        Node(Log(calls=calls), inputs="in", outputs="a"),
        Node(failing, inputs="in", outputs="b", name="failing"),
    ]
    with pytest.raises(
        CalculatorError,
        match=r"node 'failing' failed at timestamp (Unstarted|3|Done): RuntimeError: no",
    ):
        with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), threads=threads) as graph:
            graph.add("in", 1, 3)
    closed = {call[0] for call in calls if "close" in call[0]}
    assert closed == ({"close", "failing close"} if method == "process" else {"close"})


def test_a_node_that_fails_to_close_does_not_hide_the_first_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(context: Context) -> None:
        raise RuntimeError("process")

    node = Call(fail)
    node.close = fail  # type: ignore[method-assign]
    with pytest.raises(CalculatorError, match="RuntimeError: process"):
        with Graph(GraphConfig(inputs={"in": int}, nodes=[Node(node, inputs="in")])) as graph:
            graph.add("in", 1, 3)
    assert "node 'call' failed while the graph was being stopped" in caplog.text


@THREADS
def test_time_running_backwards(threads: int) -> None:
    with Graph(PASS, threads=threads) as graph:
        reader = graph.output("out")
        graph.add("in", 1, 40)
        with pytest.raises(
            TimestampError,
            match="a packet at 39 comes too late, since everything below 41 is settled",
        ):
            graph.add("in", 2, 39)
        graph.add("in", 3, 41)  # the graph goes on
        graph.close_input()
        assert pairs(list(reader)) == [(1, 40), (3, 41)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.add("inn", 1, 0), "'inn' is no input of this graph; did you mean 'in'?"),
        (lambda g: g.add("out", 1, 0), "'out' is no input of this graph; there are ['in']"),
        (lambda g: g.add("in", "one", 0), "graph input 'in' takes int, got str"),
        (lambda g: g.add("in", 1, 0.04), "a timestamp is a whole number of microseconds, got 0.04"),
        (
            lambda g: g.set_bound("in", None),
            "a timestamp is a whole number of microseconds, got None",
        ),
        (lambda g: g.output("outs"), "'outs' is no stream of this graph; did you mean 'out'?"),
        (
            lambda g: g.observe("x", print),
            "'x' is no stream of this graph; there are ['in', 'out']",
        ),
    ],
)
def test_what_a_graph_does_not_take(call: Any, message: str) -> None:
    with Graph(PASS) as graph, pytest.raises(InputError) as caught:
        call(graph)
    assert message in str(caught.value)


@pytest.mark.parametrize("options", [{"threads": -1}, {"max_queue_size": 0}])
def test_options_out_of_range(options: Any) -> None:
    with pytest.raises(InputError, match=f"{next(iter(options))}: expected a whole number of"):
        Graph(PASS, **options)


def test_a_graph_runs_once_and_only_inside_its_block() -> None:
    graph = Graph(PASS)
    graph.close()  # nothing to close yet
    with pytest.raises(GraphError, match="the graph is not open: use it as 'with Graph"):
        graph.add("in", 1, 0)
    with graph:
        pass
    with pytest.raises(GraphError, match="the graph is closed"):
        graph.add("in", 1, 0)
    with pytest.raises(GraphError, match="a graph runs once"):
        graph.__enter__()


@THREADS
def test_one_config_runs_many_times(threads: int) -> None:
    config = GraphConfig(inputs={"in": int}, nodes=[Node(Burst(), inputs="in", outputs="out")])
    for _ in range(3):
        with Graph(config, threads=threads) as graph:
            reader = graph.output("out")
            graph.add("in", 5, 0)
            graph.close_input()
            assert pairs(list(reader)) == [(5, 0), (6, 1), (7, 2)]


class Loader(Calculator):
    contract = Contract(inputs={"in": int}, side_inputs={"path": str}, side_outputs={"model": int})

    def open(self, context: Context) -> None:
        if context.side["path"]:
            context.send_side("model", len(context.side["path"]))

    def process(self, context: Context) -> None:
        pass


class Adder(Calculator):
    contract = Contract(
        inputs={"in": int},
        outputs={"out": int},
        side_inputs={"model": int, "bias": int},
        optional=frozenset({"bias"}),
    )

    def process(self, context: Context) -> None:
        context.send("out", context.get("in") + context.side["model"] + context.side.get("bias", 0))


def side_config() -> GraphConfig:
    inner = GraphConfig(
        inputs={"x": int},
        outputs=["y"],
        side_inputs={"m": int},
        nodes=[Node(Adder(), inputs="x", outputs="y", side_inputs="m")],
    )
    nodes = [
        Node(inner, inputs="in", outputs="out", side_inputs={"m": "model"}),
        Node(Loader(), inputs="in", side_inputs="path", side_outputs="model"),
    ]
    return GraphConfig(inputs={"in": int}, side_inputs={"path": str}, nodes=nodes)


@THREADS
def test_side_packets_come_from_outside_and_from_nodes(threads: int) -> None:
    with Graph(side_config(), side={"path": "four"}, threads=threads) as graph:
        reader = graph.output("out")
        graph.add("in", 10, 0)
        graph.close_input()
        assert pairs(list(reader)) == [(14, 0)]


@pytest.mark.parametrize(
    ("side", "message"),
    [
        ({}, r"side packet 'path' \(str\) is missing; pass side={'path': ...}"),
        ({"path": 3}, "side packet 'path' takes str, got int"),
        ({"path": "a", "pat": "b"}, "no side packet 'pat'; did you mean 'path'"),
    ],
)
def test_wrong_side_packets(side: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphValidationError, match=message):
        Graph(side_config(), side=side)


def test_a_side_packet_that_was_promised_and_not_set() -> None:
    message = (
        "cannot finish: node 'graph/adder' waits for side packet 'model' of node 'loader' at port "
        "'model', which has closed without setting it"
    )
    with pytest.raises(GraphStuckError, match=message), Graph(side_config(), side={"path": ""}):
        pass


@THREADS
def test_closing_in_the_middle_of_a_run(threads: int) -> None:
    """Leaving the block ends an endless source and handles what is under way; nothing is lost
    between the nodes.
    """
    log = Log()
    config = GraphConfig(nodes=[Node(Numbers(None), outputs="n"), Node(log, inputs="n")])
    with Graph(config, threads=threads) as graph:
        reader = graph.output("n")
        assert [next(reader).payload for _ in range(5)] == [0, 1, 2, 3, 4]
    handled = [call[1] for call in log.calls if call[0] == "process"]
    assert handled == list(range(graph.stats().streams["n"].packets))
    assert log.calls[-1] == ("close",)
    with pytest.raises(StopIteration):
        for _ in range(1000):
            next(reader)
    graph.close()
    graph.cancel()


@THREADS
def test_an_error_in_the_block_cancels(threads: int) -> None:
    log = Log()
    with pytest.raises(KeyError, match="mine"):
        with Graph(
            GraphConfig(nodes=[Node(Numbers(None), outputs="n"), Node(log, inputs="n")]),
            threads=threads,
        ) as graph:
            next(graph.output("n"))
            raise KeyError("mine")
    assert log.calls[-1] == ("close",)
    assert graph.stats().nodes["log"].closed


@THREADS
def test_a_calculator_may_cancel_its_graph(threads: int) -> None:
    seen: list[int] = []
    nodes = [Node(Numbers(None), outputs="n"), Node(PassThrough(), inputs="n", outputs="out")]
    with Graph(GraphConfig(nodes=nodes), threads=threads) as graph:
        reader = graph.output("out")

        def third(packet: Any) -> None:
            seen.append(packet.payload)
            if packet.payload == 2:
                graph.cancel()

        graph.observe("n", third)
        assert len(list(reader)) <= 1000
    assert seen == [0, 1, 2]
    assert all(
        node.closed for node in graph.stats().nodes.values()
    )  # leaving the block waits for the thread that ends it


@THREADS
def test_an_observer_may_feed_its_own_graph(threads: int) -> None:
    """Also where that fills its own queue: the queue grows, since nobody else could make room."""
    done = threading.Event()
    with pytest.warns(GraphWarning, match="is full and nothing can run; it grows to"):
        with Graph(PASS, threads=threads, max_queue_size=2) as graph:
            seen: list[int] = []

            def feed(packet: Any) -> None:
                seen.append(packet.payload)
                for number in range(1, 6) if packet.timestamp == 0 else ():
                    graph.add("in", number, number)
                if packet.payload == 5:
                    done.set()

            graph.observe("out", feed)
            graph.add("in", 0, 0)
            assert done.wait(20)
    assert seen == [0, 1, 2, 3, 4, 5]


@THREADS
def test_a_graph_that_cannot_progress_says_who_waits(threads: int) -> None:
    nodes = [
        Node(Shift(0, declared=False), inputs="b", outputs="c"),
        Node(Merge(), inputs=["a", "c"], outputs="out"),
    ]
    with Graph(GraphConfig(inputs={"a": int, "b": int}, nodes=nodes), threads=threads) as graph:
        reader = graph.output("out", timeout=0.5)
        graph.add("a", 1, 5)
        graph.set_bound("b", 100)
        message = (
            "no packet on stream 'out': node 'merge', port 'in1' waits for stream 'c' .from "
            "node 'shift'. at timestamp 5; "
            "it is settled below PreStream"
        )
        with pytest.raises(GraphStuckError, match=message):
            next(reader)


@pytest.mark.parametrize("threads", [0, 2])
def test_ten_thousand_packets_in_a_row_take_no_memory(threads: int) -> None:
    with Graph(PASS, threads=threads) as graph:
        reader = graph.output("out")
        graph.observe("out", lambda packet: None)

        def run(start: int, count: int) -> int:
            for number in range(start, start + count):
                graph.add("in", number, number)
                assert next(reader).payload == number
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            before = run(0, 200)
            after = run(200, 10_000)
        finally:
            tracemalloc.stop()
    assert after - before < 20_000
    assert graph.stats().streams["out"].packets == 10_200


def test_a_protocol_as_input_type() -> None:
    from typing import Protocol

    class Runs(Protocol):
        def run(self) -> int: ...

    with Graph(GraphConfig(inputs={"in": Runs}, nodes=[])) as graph:
        graph.add("in", 1, 0)


def test_a_sync_set_in_a_node_replaces_that_of_the_contract() -> None:
    from handheld.graph import ImmediatePolicy

    with Graph(
        GraphConfig(
            inputs={"a": int, "b": int},
            nodes=[Node(Merge(), inputs=["a", "b"], outputs="out", policy=ImmediatePolicy())],
        )
    ) as graph:
        reader = graph.output("out")
        graph.add("a", 1, 5)
        assert pairs(reader.drain()) == [(1, 5)]
