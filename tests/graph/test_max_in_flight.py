# ruff: noqa: PT012  (a graph may raise when its block is left, so the block stands inside)

"""Nodes that handle several timestamps at once."""

import threading
from typing import Any

import pytest
from graph_parts import Call, Log, Numbers, pairs

from handheld.errors import CalculatorError, GraphValidationError, InputError
from handheld.graph import Calculator, Context, Contract, Graph, GraphConfig, Node, calculator

WAIT_S = 20.0


def config(node: Calculator, **more: Any) -> GraphConfig:
    return GraphConfig(
        inputs={"x": int}, nodes=[Node(node, inputs="x", outputs="out", name="node", **more)]
    )


@pytest.mark.parametrize("lanes", [2, 3])
def test_as_many_calls_as_allowed_are_under_way_at_once(lanes: int) -> None:
    together = threading.Barrier(lanes)  # breaks where fewer meet here
    lock = threading.Lock()
    inside = 0
    most = 0

    def meet(context: Context) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        together.wait(WAIT_S)
        with lock:
            inside -= 1
        context.send("out", context.get("in"))

    with Graph(config(Call(meet), max_in_flight=lanes), threads=4) as graph:
        out = graph.output("out")
        for timestamp in range(6):
            graph.add("x", timestamp, timestamp)
        graph.wait()
        assert pairs(list(out)) == [(n, n) for n in range(6)]
        stats = graph.stats().nodes["node"]
    assert most == lanes
    assert stats.calls == 7  # that which closes it among them


def test_packets_leave_in_order_whatever_call_ends_first() -> None:
    second_ended = threading.Event()

    def slow_first(context: Context) -> None:
        if context.get("in") == 0:
            assert second_ended.wait(WAIT_S)
        context.send("out", context.get("in"))
        if context.get("in") == 1:
            second_ended.set()

    with Graph(config(Call(slow_first), max_in_flight=2), threads=2) as graph:
        out = graph.output("out", timeout=WAIT_S)
        graph.add("x", 0, 0)
        graph.add("x", 1, 1)
        assert [next(out).payload, next(out).payload] == [0, 1]


def test_what_is_under_way_is_not_settled() -> None:
    begun = threading.Event()
    go_on = threading.Event()

    def hold(context: Context) -> None:
        begun.set()
        assert go_on.wait(WAIT_S)

    with Graph(config(Call(hold), max_in_flight=2), threads=2) as graph:
        graph.add("x", 0, 5)
        graph.set_bound("x", 100)
        assert begun.wait(WAIT_S)
        assert graph.stats().streams["out"].bound <= 5
        go_on.set()
        graph.wait()
        assert graph.stats().streams["out"].bound > 100


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_it_opens_and_closes_once_and_sees_every_packet(threads: int) -> None:
    log = Log()
    with Graph(config(log, max_in_flight=3), threads=threads) as graph:
        for timestamp in range(20):
            graph.add("x", timestamp, timestamp)
    names = [call[0] for call in log.calls]
    assert (names[0], names[-1], names.count("process")) == ("open", "close", 20)
    assert len(names) == 22


@pytest.mark.parametrize("threads", [0, 3])
def test_the_first_error_by_time_is_told_and_what_came_before_is_sent(threads: int) -> None:
    def refuse(context: Context) -> None:
        if context.get("in") >= 2:
            raise ValueError(f"no {context.get('in')}")
        context.send("out", context.get("in"))

    with (
        pytest.raises(CalculatorError, match=r"at timestamp 2: ValueError: no 2"),
        Graph(config(Call(refuse), max_in_flight=2), threads=threads) as graph,
    ):
        out = graph.output("out")
        for timestamp in range(6):
            graph.add("x", timestamp, timestamp)
        assert [next(out).payload, next(out).payload] == [0, 1]
        graph.wait()


def test_drops_and_skips_are_counted_over_all_lanes() -> None:
    both = Contract(inputs={"a": int, "b": int}, outputs={"out": int})

    def drop(context: Context) -> None:
        context.drop()

    @calculator
    def total(a: int, b: int) -> int:
        return a + b

    nodes = [
        Node(Call(drop, both), inputs=["x", "y"], name="drops", max_in_flight=3),
        Node(total, inputs=["x", "y"], name="skips", max_in_flight=3),
    ]
    with Graph(GraphConfig(inputs={"x": int, "y": int}, nodes=nodes), threads=2) as graph:
        for timestamp in range(10):
            graph.add("x", 1, timestamp)
        graph.wait()
        stats = graph.stats().nodes
    assert (stats["drops"].drops, stats["skips"].skips) == (10, 10)


def test_a_node_may_say_that_it_is_done() -> None:
    def until_three(context: Context) -> None:
        context.send("out", context.get("in"))
        if context.get("in") == 3:
            context.finish()

    with Graph(config(Call(until_three), max_in_flight=2)) as graph:
        out = graph.output("out")
        for timestamp in range(8):
            graph.add("x", timestamp, timestamp)
        graph.wait()
        assert [packet.payload for packet in out] == [0, 1, 2, 3]


def test_the_number_is_checked() -> None:
    with pytest.raises(InputError, match="max_in_flight: expected a whole number of 1 or more"):
        Node(Log(), inputs="x", max_in_flight=0)
    nodes = [Node(Numbers(3), outputs="n", max_in_flight=2)]
    with pytest.raises(GraphValidationError, match="a source has none"):
        Graph(GraphConfig(nodes=nodes))
