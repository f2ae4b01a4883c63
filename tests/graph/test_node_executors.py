# ruff: noqa: PT012  (a graph may raise when its block is left, so the block stands inside)

"""Nodes on executors of their own: inline, threads, processes."""

import multiprocessing
import os
import pickle
import threading
from typing import Any

import pytest
from graph_parts import Call, Log, Numbers, pairs
from remote_parts import (
    Accumulate,
    Countdown,
    FailsToOpen,
    Gain,
    Model,
    SendsUnpicklable,
    Session,
    Unpicklable,
    awaited_double,
    slow_square,
)

from handheld.errors import CalculatorError, GraphStuckError, GraphValidationError, InputError
from handheld.graph import (
    BackEdge,
    Context,
    Contract,
    Graph,
    GraphConfig,
    Node,
    PassThrough,
    PreviousLoopback,
    ProcessExecutor,
    ThreadExecutor,
)

WAIT_S = 30.0


def noting(names: list[str]) -> Call:
    """Return a calculator that writes down on which thread it runs."""

    def note(context: Context) -> None:
        names.append(threading.current_thread().name)
        context.send("out", context.get("in"))

    return Call(note)


@pytest.mark.parametrize("threads", [0, 2])
def test_each_node_runs_where_it_says(threads: int) -> None:
    by_node: dict[str, list[str]] = {"own": [], "heavy": [], "last": []}
    nodes = [
        Node(noting(by_node["own"]), inputs="x", outputs="a"),
        Node(noting(by_node["heavy"]), inputs="a", outputs="b", executor="heavy"),
        Node(noting(by_node["last"]), inputs="b", outputs="c", executor="inline"),
    ]
    config = GraphConfig(inputs={"x": int}, nodes=nodes)
    with Graph(config, threads=threads, executors={"heavy": ThreadExecutor(2)}) as graph:
        out = graph.output("c")
        for timestamp in range(20):
            graph.add("x", timestamp, timestamp)
            assert next(out).payload == timestamp
    me = threading.current_thread().name
    assert set(by_node["heavy"]) <= {"handheld-graph-heavy-0", "handheld-graph-heavy-1"}
    assert set(by_node["last"]) == {me}
    if threads:
        assert set(by_node["own"]) <= {"handheld-graph-0", "handheld-graph-1"}
    else:
        assert set(by_node["own"]) == {me}


def test_a_slow_node_on_threads_of_its_own_does_not_stop_the_others() -> None:
    go_on = threading.Event()

    def wait(context: Context) -> None:
        assert go_on.wait(WAIT_S)
        context.send("out", context.get("in"))

    nodes = [
        Node(Call(wait), inputs="x", outputs="slow", executor="slow"),
        Node(PassThrough(), inputs="x", outputs="fast"),
    ]
    config = GraphConfig(inputs={"x": int}, nodes=nodes)
    with Graph(config, executors={"slow": ThreadExecutor()}) as graph:
        fast, slow = graph.output("fast"), graph.output("slow")
        for timestamp in range(3):
            graph.add("x", timestamp, timestamp)
            assert next(fast).payload == timestamp
        assert slow.drain() == []
        go_on.set()
        assert [next(slow).payload for _ in range(3)] == [0, 1, 2]


def test_inline_sources_and_loops_run_on_whoever_waits() -> None:
    nodes = [
        Node(Numbers(50), outputs="n", executor="inline"),
        Node(PreviousLoopback(), inputs={"main": "n", "loop": BackEdge("sum")}, outputs="previous"),
        Node(Call(_add, _ADD), inputs=["n", "previous"], outputs="sum", executor="heavy"),
    ]
    with Graph(GraphConfig(nodes=nodes), executors={"heavy": ThreadExecutor(3)}) as graph:
        sums = [packet.payload for packet in graph.output("sum")]
    assert sums == [n * (n + 1) // 2 for n in range(50)]


_ADD = Contract(inputs={"in": int, "more": int}, outputs={"out": int})


def _add(context: Context) -> None:
    if "in" in context.inputs:
        context.send("out", context.get("in") + (context.get("more") or 0))


def test_nothing_is_lost_at_a_stall_where_nodes_are_inline() -> None:
    nodes = [
        Node(PassThrough(), inputs="x", outputs="y", executor="heavy"),
        Node(Call(_add, _ADD), inputs=["y", "z"], outputs="out"),
    ]
    config = GraphConfig(inputs={"x": int, "z": int}, nodes=nodes)
    with Graph(config, executors={"heavy": ThreadExecutor()}) as graph:
        out = graph.output("out", timeout=0.5)
        graph.add("x", 1, 0)
        with pytest.raises(GraphStuckError, match="waits for stream 'z'"):
            next(out)
        graph.add("z", 1, 0)
        graph.wait_settled(0, timeout=WAIT_S)
        assert next(out).payload == 2


def test_full_queues_grow_and_loops_close_with_several_crews() -> None:
    nodes = [
        Node(Numbers(500), outputs="n", executor="a"),
        Node(PassThrough(), inputs="n", outputs="m", executor="b"),
        Node(PassThrough(), inputs="m", outputs="o"),
    ]
    executors = {"a": ThreadExecutor(), "b": ThreadExecutor(2)}
    for threads in (0, 1):
        with Graph(
            GraphConfig(nodes=nodes), threads=threads, executors=executors, max_queue_size=2
        ) as graph:
            assert len(list(graph.output("o"))) == 500


def accumulate() -> GraphConfig:
    node = Node(
        Accumulate(),
        inputs={"in": "x"},
        outputs={"sum": "sum", "process": "process"},
        side_inputs="start",
        side_outputs={"begun": "begun"},
        name="far",
        executor="far",
    )
    reads = Node(Log(), inputs="sum", name="near")
    return GraphConfig(inputs={"x": int}, side_inputs={"start": int}, nodes=[node, reads])


FAR = {"far": ProcessExecutor()}


@pytest.mark.parametrize("threads", [0, 1])
def test_a_calculator_in_a_process_keeps_state_and_does_all_that_others_do(threads: int) -> None:
    with Graph(
        accumulate(), threads=threads, executors=FAR, side={"start": 100}, headers={"x": "ones"}
    ) as graph:
        sums, processes = graph.output("sum"), graph.output("process")
        for timestamp in range(3):
            graph.add("x", 1, timestamp)
        graph.add("x", 15, 3)
        assert [next(sums).payload for _ in range(4)] == [101, 102, 103, 118]
        graph.wait()
        assert [packet.payload for packet in sums] == [-118]
        stats = graph.stats()
        assert stats.nodes["far"].drops == 2
        ids = {packet.payload for packet in processes}
        assert len(ids) == 1
        assert os.getpid() not in ids
        assert graph._scheduler.streams["sum"].header == {"of": "ones"}
        assert graph._scheduler.side["begun"] == 100
    assert multiprocessing.active_children() == []


def test_errors_in_a_process_are_told_like_others() -> None:
    with (
        pytest.raises(CalculatorError, match="node 'far' failed at timestamp 7: ValueError: thir"),
        Graph(accumulate(), executors=FAR, side={"start": 0}) as graph,
    ):
        graph.add("x", 13, 7)
        graph.wait()
    assert multiprocessing.active_children() == []


def test_a_process_that_is_killed_is_told_and_nothing_hangs() -> None:
    with (
        pytest.raises(CalculatorError, match="its process ended with exit code -9"),
        Graph(accumulate(), executors=FAR, side={"start": 0}) as graph,
    ):
        graph.add("x", 14, 7)
        graph.wait()
    assert multiprocessing.active_children() == []


def config_of(calculator: Any, **more: Any) -> GraphConfig:
    nodes = [Node(calculator, inputs="x", outputs="out", name="far", executor="far", **more)]
    return GraphConfig(inputs={"x": object}, nodes=nodes)


def test_what_cannot_go_to_a_process_says_so() -> None:
    with (
        pytest.raises(CalculatorError, match="node 'far': its calculator cannot be sent"),
        Graph(config_of(Unpicklable()), executors=FAR),
    ):
        pass
    with (
        pytest.raises(CalculatorError, match="what it sends or raises cannot be pickled"),
        Graph(config_of(SendsUnpicklable()), executors=FAR) as graph,
    ):
        graph.add("x", 0, 0)
        graph.wait()
    with (
        pytest.raises(CalculatorError, match="ValueError: not today"),
        Graph(config_of(FailsToOpen()), executors=FAR),
    ):
        pass
    assert multiprocessing.active_children() == []


def test_functions_with_options_run_in_as_many_processes_as_are_in_flight() -> None:
    function = slow_square.with_options(seconds=0.01)
    far = {"far": ProcessExecutor(2)}
    with Graph(config_of(function, max_in_flight=2), executors=far) as graph:
        out = graph.output("out")
        for timestamp in range(10):
            graph.add("x", timestamp, timestamp)
        assert len(multiprocessing.active_children()) == 2
        graph.wait()
        assert pairs(list(out)) == [(n * n, n) for n in range(10)]


def test_an_option_that_was_set_survives_a_reset_in_a_process() -> None:
    with Graph(config_of(Gain()), executors=FAR) as graph:
        out = graph.output("out", timeout=WAIT_S)
        graph.set("far.factor", 5)
        for _ in range(2):
            graph.add("x", 1, 0)
            assert next(out).payload == 5
            graph.reset()


def test_a_calculator_in_a_process_keeps_its_model_in_a_reset_unless_it_died() -> None:
    with Graph(config_of(Model()), executors=FAR) as graph:
        out = graph.output("out", timeout=WAIT_S)
        graph.add("x", 1, 0)
        process, resets = next(out).payload
        assert resets == 0
        graph.reset()
        graph.add("x", 1, 0)
        assert next(out).payload == (process, 1)
        with pytest.raises(CalculatorError, match="exit code -9"):
            graph.add("x", 14, 1)
            graph.wait()
        graph.reset()
        graph.add("x", 1, 0)
        other, resets = next(out).payload
        assert other != process
        assert resets == 0


def test_a_coroutine_in_a_process_is_awaited_there() -> None:
    with Graph(config_of(Session()), executors=FAR) as graph:
        out = graph.output("out", timeout=WAIT_S)
        for timestamp in range(2):
            graph.add("x", 1, timestamp)
            assert next(out).payload is True
    with Graph(config_of(awaited_double), executors=FAR) as graph:
        out = graph.output("out", timeout=WAIT_S)
        graph.add("x", 21, 0)
        assert next(out).payload == 42


def test_sources_in_processes_say_who_is_next() -> None:
    order: list[int] = []
    nodes = [
        Node(Countdown(9), outputs="many", executor="far"),
        Node(Countdown(4), outputs="few", executor="far"),
    ]
    with Graph(GraphConfig(nodes=nodes), executors={"far": ProcessExecutor(1)}) as graph:
        graph.observe("many", lambda packet: order.append(packet.payload))
        graph.observe("few", lambda packet: order.append(packet.payload))
        graph.wait()
    assert order == [3, 2, 1, 0, *range(8, -1, -1)]


def test_a_decorated_function_survives_pickling() -> None:
    function = pickle.loads(pickle.dumps(slow_square.with_options(seconds=0.5)))
    assert function.options == {"seconds": 0.5}
    assert function.function is slow_square.function


@pytest.mark.parametrize(
    ("node", "executors", "message"),
    [
        ("hevy", {"heavy": ThreadExecutor()}, "no executor 'hevy'; did you mean 'heavy'"),
        ("heavy", {"heavy": 2}, "expected ThreadExecutor"),
        ("", {"inline": ThreadExecutor()}, "every graph has one called 'inline'"),
    ],
)
def test_executors_are_checked(node: str, executors: Any, message: str) -> None:
    nodes = [Node(PassThrough(), inputs="x", outputs="y", executor=node)]
    with pytest.raises(GraphValidationError, match=message):
        Graph(GraphConfig(inputs={"x": int}, nodes=nodes), executors=executors)


def test_counts_are_checked() -> None:
    with pytest.raises(InputError, match="count"):
        ThreadExecutor(0)
    with pytest.raises(InputError, match="count"):
        ProcessExecutor(0)


def test_a_subgraph_is_placed_as_a_whole() -> None:
    names: dict[str, list[str]] = {"first": [], "second": []}
    inner = GraphConfig(
        inputs={"a": int},
        outputs=["c"],
        nodes=[
            Node(noting(names["first"]), inputs="a", outputs="b", executor="inline"),
            Node(noting(names["second"]), inputs="b", outputs="c"),
        ],
    )
    nodes = [Node(inner, inputs="x", outputs="y", executor="heavy")]
    config = GraphConfig(inputs={"x": int}, nodes=nodes)
    with Graph(config, threads=1, executors={"heavy": ThreadExecutor()}) as graph:
        graph.add("x", 1, 0)
        graph.wait()
    assert names == {
        "first": [threading.current_thread().name],
        "second": ["handheld-graph-heavy-0"],
    }
    with pytest.raises(GraphValidationError, match="a subgraph has no policy, max_in_flight"):
        Graph(GraphConfig(inputs={"x": int}, nodes=[Node(inner, inputs="x", max_in_flight=2)]))
