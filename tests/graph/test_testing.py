"""The public testing tools."""

import threading
from typing import Any

import pytest
from graph_parts import Join, pairs

from handheld.errors import GraphValidationError, InputError
from handheld.graph import (
    Calculator,
    Context,
    Contract,
    FlowLimiter,
    Gate,
    Graph,
    GraphConfig,
    ImmediatePolicy,
    Node,
    PassThrough,
)
from handheld.graph.testing import NodeRunner, SimulatedClock


class Everything(Calculator):
    contract = Contract(
        inputs={"in": int, "more": int},
        outputs={"in": int, "late": int},
        side_inputs={"start": int},
        side_outputs={"start": int},
        optional=frozenset({"more"}),
    )

    def open(self, context: Context) -> None:
        context.send("in", context.side["start"], -5)
        context.send_side("start", 1)
        self.header = context.header("in")

    def process(self, context: Context) -> None:
        if context.get("in") == 13:
            raise KeyError("thirteen")
        context.drop()
        context.send("in", context.get("in") + self.header)

    def close(self, context: Context) -> None:
        context.send("late", 9, 1000)


def test_a_node_alone_is_opened_fed_and_closed() -> None:
    side = {"start": 7}
    with NodeRunner(Everything(), inputs=["in"], side=side, headers={"in": 100}) as runner:
        assert pairs(runner.take("in")) == [(7, -5)]
        assert runner.side_packets() == {"start": 1}
        runner.add("in", 1, 10)
        assert pairs(runner.take("in")) == [(101, 10)]
        assert runner.take("in") == []
        assert runner.bound("late") == 11
        runner.set_bound("in", 50)
        assert runner.bound("late") == 50
        assert runner.drops == 1
        runner.finish()
        assert pairs(runner.take("late")) == [(9, 1000)]


def test_it_raises_what_the_calculator_raises() -> None:
    with (
        pytest.raises(KeyError, match="thirteen"),
        NodeRunner(Everything(), inputs=["in"], side={"start": 7}, headers={"in": 0}) as runner,
    ):
        runner.add("in", 13, 0)
    with pytest.raises(GraphValidationError, match="side input port 'start' is not connected"):
        NodeRunner(Everything(), inputs=["in"])


def test_whole_streams() -> None:
    with NodeRunner(Gate()) as runner:
        out = runner.run(
            {
                "in": [(n, n) for n in range(5)],
                "allow": [(False, 0), (True, 2)],
            }
        )
    assert pairs(out["out"]) == [(2, 2), (3, 3), (4, 4)]
    with NodeRunner(Join(2), policy=ImmediatePolicy()) as runner:
        out = runner.run({"in0": [(1, 0)], "in1": [(1, 1)]})
    assert [packet.timestamp for packet in out["out"]] == [0, 1]


def test_a_clock_that_is_told_the_time() -> None:
    clock = SimulatedClock(100.0)
    config = GraphConfig(inputs={"x": int}, nodes=[Node(PassThrough(), inputs="x", outputs="y")])
    with Graph(config, clock=clock) as graph:
        out = graph.output("y")
        graph.add("x", 1)
        clock.advance(0.25)
        graph.add("x", 2)
        assert pairs(out.drain()) == [(1, 0), (2, 250_000)]
    with pytest.raises(InputError, match="seconds"):
        clock.advance(-1)


def test_a_sleeper_wakes_when_it_is_time() -> None:
    clock = SimulatedClock()
    woke = threading.Event()

    def sleep() -> None:
        clock.sleep(2.0)
        woke.set()

    thread = threading.Thread(target=sleep)
    thread.start()
    clock.advance(1.0)
    assert not woke.wait(0.05)
    clock.advance(1.0)
    assert woke.wait(10) or clock() >= 2.0
    clock.advance(2.0)
    thread.join(10)
    assert not thread.is_alive()


def test_time_jumps_when_all_sleep() -> None:
    clock = SimulatedClock(sleepers=2)
    order: list[tuple[str, float]] = []

    def tick(name: str, period: float, count: int) -> None:
        for _ in range(count):
            clock.sleep(period)
            order.append((name, clock()))

    threads = [
        threading.Thread(target=tick, args=("slow", 3.0, 2)),
        threading.Thread(target=tick, args=("fast", 2.0, 3)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert sorted(order, key=lambda entry: entry[1])[:2] == [("fast", 2.0), ("slow", 3.0)]
    assert clock() == 6.0


def test_a_flow_limiter_alone() -> None:
    with NodeRunner(FlowLimiter(max_in_flight=1, max_in_queue=1)) as runner:
        for timestamp in range(4):
            runner.add("in", timestamp, timestamp)
        assert pairs(runner.take("out")) == [(0, 0)]
        assert runner.drops == 2
        runner.add("finished", None, 0)
        assert pairs(runner.take("out")) == [(3, 3)]
        seen: list[Any] = pairs(runner.take("allow"))
    assert seen == [(True, 0), (False, 1), (False, 2), (True, 3)]
