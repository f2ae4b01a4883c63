# ruff: noqa: PT012  (a graph may raise when its block is left, so the block stands inside)

"""Options that change while a graph runs, and graphs that start anew."""

import threading
from typing import Any

import pytest
from graph_parts import Call, Echo, Log, Numbers, Shift, pairs
from remote_parts import slow_square

from handheld.errors import CalculatorError, GraphError, GraphStuckError, InputError
from handheld.graph import (
    BackEdge,
    Calculator,
    Context,
    Contract,
    DefaultPolicy,
    Graph,
    GraphConfig,
    Node,
    PassThrough,
    PreviousLoopback,
    ProcessExecutor,
    calculator,
)

WAIT_S = 20.0


@calculator
def scale(number: int, *, factor: int = 1, label: str | None = None) -> int:
    return factor * number


class Threshold(Calculator):
    contract = Contract(
        inputs={"in": int}, outputs={"out": bool}, options={"lowest": int}, timestamp_offset=0
    )

    def __init__(self, lowest: int) -> None:
        self.lowest = lowest

    def process(self, context: Context) -> None:
        context.send("out", context.get("in") >= self.lowest)


class Positive(Threshold):
    def set_option(self, name: str, value: Any) -> None:
        if value < 0:
            raise ValueError("lowest must not be negative")
        super().set_option(name, value)


def config(node: Any, **more: Any) -> GraphConfig:
    return GraphConfig(
        inputs={"x": int}, nodes=[Node(node, inputs="x", outputs="out", name="node", **more)]
    )


@pytest.mark.parametrize("threads", [0, 2])
def test_an_option_changes_at_the_timestamp_that_is_stated(threads: int) -> None:
    with Graph(config(scale), threads=threads) as graph:
        out = graph.output("out")
        graph.set("node.factor", 10, at=3)
        graph.set("node.factor", 100, at=5)
        graph.set("node.factor", 1000, at=5)  # of two at one time, the later word
        for timestamp in range(7):
            graph.add("x", 1, timestamp)
        graph.wait()
        assert [packet.payload for packet in out] == [1, 1, 1, 10, 10, 1000, 1000]


def test_without_a_timestamp_it_changes_at_the_next_call() -> None:
    with Graph(config(Threshold(5))) as graph:
        out = graph.output("out")
        graph.add("x", 3, 10)
        graph.set("node.lowest", 2)
        graph.add("x", 3, 11)
        assert [packet.payload for packet in out.drain()] == [False, True]


def test_two_graphs_of_one_config_have_options_of_their_own() -> None:
    description = config(scale)
    with Graph(description) as first, Graph(description) as second:
        first.set("node.factor", 7)
        readers = [graph.output("out") for graph in (first, second)]
        for graph in (first, second):
            graph.add("x", 1, 0)
        assert [next(reader).payload for reader in readers] == [7, 1]


def test_options_of_a_node_in_a_subgraph_and_in_a_process() -> None:
    inner = GraphConfig(
        inputs={"a": int}, outputs="b", nodes=[Node(slow_square, inputs="a", outputs="b")]
    )
    nodes = [
        Node(inner, inputs="x", outputs="y", name="sub"),
        Node(Threshold(0), inputs="y", outputs="out", name="far", executor="far"),
    ]
    with Graph(
        GraphConfig(inputs={"x": int}, nodes=nodes), executors={"far": ProcessExecutor()}
    ) as graph:
        out = graph.output("out")
        graph.set("sub/slow_square.seconds", 0.001)
        graph.set("far.lowest", 10, at=1)
        graph.add("x", 2, 0)
        graph.add("x", 2, 1)
        graph.add("x", 4, 2)
        assert [next(out).payload for _ in range(3)] == [True, False, True]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("nod.factor", 1, "no node 'nod' in this graph; did you mean 'node'"),
        ("node.facto", 1, "no option 'facto' that can be set; did you mean 'factor'"),
        ("factor", 1, "no node ''"),
        ("node.factor", "ten", "option 'factor' of node 'node' takes int, got str"),
    ],
)
def test_options_are_checked_at_once(option: str, value: Any, message: str) -> None:
    with Graph(config(scale)) as graph:
        with pytest.raises(InputError, match=message):
            graph.set(option, value)
        graph.set("node.label", None)
        graph.set("node.label", "a")


def test_what_a_calculator_refuses_ends_the_graph_where_it_was_to_count() -> None:
    with (
        pytest.raises(CalculatorError, match="at timestamp 4: ValueError: lowest must not be neg"),
        Graph(config(Positive(0))) as graph,
    ):
        graph.set("node.lowest", -1, at=4)
        graph.add("x", 1, 3)
        graph.add("x", 1, 4)


def test_a_node_of_many_at_once_has_no_moment_for_a_change() -> None:
    with (
        Graph(config(scale, max_in_flight=2), threads=2) as graph,
        pytest.raises(GraphError, match="several timestamps at once"),
    ):
        graph.set("node.factor", 2)


class Model(Log):
    """Loads something dear in its first ``open`` only."""

    def __init__(self, calls: list[Any]) -> None:
        super().__init__(calls=calls)

    def reset(self, context: Context) -> None:
        self.calls.append(("reset",))


@pytest.mark.parametrize("threads", [0, 2])
def test_a_reset_starts_the_clock_and_the_state_anew_and_keeps_models(threads: int) -> None:
    calls: list[Any] = []
    nodes = [
        Node(Echo(), inputs=["x", BackEdge("past")], outputs="sum"),
        Node(PreviousLoopback(), inputs={"main": "x", "loop": BackEdge("sum")}, outputs="past"),
        Node(Model(calls), inputs="sum", outputs="never"),
        Node(Log(calls=calls, name="plain "), inputs="sum", outputs="nowhere"),
    ]
    with Graph(GraphConfig(inputs={"x": int}, nodes=nodes), threads=threads) as graph:
        sums = graph.output("sum", timeout=WAIT_S)
        observed: list[int] = []
        graph.observe("sum", lambda packet: observed.append(packet.payload))
        for _ in range(3):
            for timestamp in range(3):
                graph.add("x", 1, timestamp)
                assert next(sums).payload == timestamp + 1
            graph.reset()
        assert graph.stats().streams["x"].bound < 0
    assert observed == [1, 2, 3] * 3
    names = [call[0] for call in calls if call[0] not in ("process", "plain process")]
    again = ["plain close", "reset", "plain open"]
    assert sorted(names[:2]) == ["open", "plain open"]
    assert sorted(names[2:-2]) == sorted(again * 3)
    assert sorted(names[-2:]) == ["close", "plain close"]


@pytest.mark.parametrize("threads", [0, 2])
def test_after_an_error_a_reset_lets_the_graph_run_again(threads: int) -> None:
    def refuse(context: Context) -> None:
        if context.get("in") == 13:
            raise ValueError("thirteen")
        context.send("out", context.get("in"))

    with Graph(config(Call(refuse)), threads=threads) as graph:
        out = graph.output("out", timeout=WAIT_S)
        graph.add("x", 1, 100)
        assert next(out).payload == 1
        with pytest.raises(CalculatorError):
            graph.add("x", 13, 101)
            graph.wait()
        graph.reset()
        graph.add("x", 2, 0)
        assert next(out).payload == 2


@pytest.mark.parametrize("threads", [0, 2])
def test_what_waits_in_queues_and_batches_is_lost(threads: int) -> None:
    log = Log()
    graph_of_batches = config(log, policy=DefaultPolicy(batch_size=3))
    with Graph(graph_of_batches, threads=threads) as graph:
        graph.add("x", 0, 0)
        graph.add("x", 1, 1)
        graph.reset()
        for timestamp in range(2):
            assert graph.try_add("x", 10 + timestamp, timestamp)
        graph.wait()
    handled = [call[2]["in"] for call in log.calls if call[0] == "process"]
    assert handled == [10, 11]


def test_sources_begin_again_and_a_graph_that_ended_runs_again() -> None:
    nodes = [Node(Numbers(3), outputs="n"), Node(Shift(1), inputs="n", outputs="m")]
    with Graph(GraphConfig(nodes=nodes)) as graph:
        out = graph.output("m")
        for _ in range(2):
            assert pairs(list(out)) == [(0, 1), (1, 2), (2, 3)]
            graph.reset()


def test_only_an_open_graph_is_reset_and_not_by_its_own_nodes() -> None:
    graph = Graph(config(PassThrough()))
    with pytest.raises(GraphError, match="only a graph that is open"):
        graph.reset()
    for threads in (0, 1):
        with (
            pytest.raises(CalculatorError, match="a node of a graph cannot reset it"),
            Graph(config(Call(lambda _: inner.reset())), threads=threads) as inner,
        ):
            inner.add("x", 0, 0)
            inner.wait()


def test_an_open_that_fails_in_a_reset_ends_the_graph() -> None:
    class Twice(Log):
        def open(self, context: Context) -> None:
            super().open(context)
            if len(self.calls) > 1:
                raise ValueError("not twice")

    graph = Graph(config(Twice()))
    with pytest.raises(CalculatorError, match="not twice"), graph:
        graph.reset()


def test_a_reset_waits_for_nodes_that_run() -> None:
    begun = threading.Event()
    go_on = threading.Event()
    ended: list[bool] = []

    def slow(context: Context) -> None:
        begun.set()
        assert go_on.wait(WAIT_S)
        ended.append(True)

    with Graph(config(Call(slow)), threads=1) as graph:
        graph.add("x", 0, 0)
        assert begun.wait(WAIT_S)
        threading.Timer(0.05, go_on.set).start()
        graph.reset()
        assert ended == [True]


def test_resets_of_several_threads_come_one_after_the_other() -> None:
    """A second reset waits for the nodes too, though the first lets them go on meanwhile."""
    nodes = [Node(Numbers(None), outputs="n"), Node(PassThrough(), inputs="n", outputs="m")]
    with Graph(GraphConfig(nodes=nodes), threads=2) as graph:
        graph.observe("m", lambda _: None)
        graph.output("n", timeout=WAIT_S)
        with pytest.raises(GraphStuckError):
            graph.wait(timeout=0.01)
        callers = [threading.Thread(target=_reset_often, args=(graph,)) for _ in range(3)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(WAIT_S)
        assert not any(caller.is_alive() for caller in callers)


def _reset_often(graph: Graph) -> None:
    for _ in range(10):
        graph.reset()


@pytest.mark.parametrize("end", [Graph.cancel, Graph.close])
def test_a_reset_that_waits_while_the_graph_is_closed_opens_nothing(end: Any) -> None:
    calls: list[Any] = []
    begun = threading.Event()
    go_on = threading.Event()

    class Slow(Log):
        def process(self, context: Context) -> None:
            begun.set()
            assert go_on.wait(WAIT_S)

    errors: list[Exception] = []

    def reset() -> None:
        try:
            graph.reset()
        except GraphError as error:
            errors.append(error)

    with Graph(config(Slow(calls=calls)), threads=1) as graph:
        graph.add("x", 0, 0)
        assert begun.wait(WAIT_S)
        ends = threading.Thread(target=end, args=(graph,))
        ends.start()
        resets = threading.Thread(target=reset)
        while not (graph._closing or graph._over):
            pass
        resets.start()
        go_on.set()
        ends.join(WAIT_S)
        resets.join(WAIT_S)
    assert [str(error) for error in errors] == ["only a graph that is open can be reset"]
    assert [call[0] for call in calls] == ["open", "close"]


def test_what_was_to_change_at_a_timestamp_of_one_run_does_not_change_in_the_next() -> None:
    with Graph(config(scale)) as graph:
        out = graph.output("out")
        graph.set("node.factor", 10, at=3)
        graph.set("node.label", "kept")
        graph.reset()
        for timestamp in range(5):
            graph.add("x", 1, timestamp)
        assert [packet.payload for packet in out.drain()] == [1] * 5


def test_options_of_a_node_that_is_never_called_are_kept_once() -> None:
    with Graph(config(scale)) as graph:
        for factor in range(1000):
            graph.set("node.factor", factor)
            graph.set("node.factor", -factor, at=7)
        (node,) = graph._scheduler.by_rank.values()
        assert len(node.changes._changes) == 2
        out = graph.output("out")
        graph.add("x", 1, 6)
        graph.add("x", 1, 7)
        assert [packet.payload for packet in out.drain()] == [999, -999]
