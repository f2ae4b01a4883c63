"""The default input policy against an obviously right model: sort and merge what is settled."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from graph_parts import Log
from hypothesis import given, settings
from hypothesis import strategies as st

from handheld.graph import Contract, Graph, GraphConfig, Node, Timestamp

PORTS = ("a", "b", "c")
EVERY = Contract(inputs=dict.fromkeys(PORTS, int), timestamp_offset=None)

Call = tuple[int, dict[str, int]]


@dataclass
class Model:
    """What came on each input, and below which timestamp it is settled."""

    packets: dict[str, dict[int, int]] = field(default_factory=lambda: {p: {} for p in PORTS})
    bounds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PORTS, -1))

    def add(self, port: str, timestamp: int, payload: int) -> None:
        self.packets[port][timestamp] = payload
        self.bounds[port] = timestamp + 1

    def settle(self, port: str, bound: int) -> None:
        self.bounds[port] = max(self.bounds[port], bound)

    def calls(self) -> list[Call]:
        """Every timestamp that some input has and all have settled, in order, with its packets."""
        settled = min(self.bounds.values())
        times = sorted({t for packets in self.packets.values() for t in packets if t < settled})
        return [
            (t, {port: self.packets[port][t] for port in PORTS if t in self.packets[port]})
            for t in times
        ]


# (input, how far its time goes on, whether a packet comes or a bound alone)
events = st.lists(st.tuples(st.sampled_from(PORTS), st.integers(0, 3), st.booleans()), max_size=40)


def run(feed: Sequence[tuple[str, int, bool]], threads: int, *, stepwise: bool) -> list[Call]:
    """Feed a node with three inputs; compare its calls with the model, after each event or last."""
    log = Log(EVERY)
    model = Model()
    config = GraphConfig(inputs=dict.fromkeys(PORTS, int), nodes=[Node(log, inputs=list(PORTS))])

    def calls() -> list[Call]:
        return [tuple(call[1:]) for call in log.calls if call[0] == "process"]

    with Graph(config, threads=threads) as graph:
        for payload, (port, step, is_bound) in enumerate(feed):
            timestamp = max(0, model.bounds[port]) + step
            if is_bound:
                graph.set_bound(port, timestamp)
                model.settle(port, timestamp)
            else:
                graph.add(port, payload, timestamp)
                model.add(port, timestamp, payload)
            if stepwise:
                assert calls() == model.calls()
    for port in PORTS:
        model.settle(port, int(Timestamp.DONE))
    assert calls() == model.calls()
    return calls()


@settings(max_examples=200, deadline=None)
@given(events)
def test_after_each_packet_and_bound_exactly_what_is_settled_was_handled(feed: Any) -> None:
    run(feed, 0, stepwise=True)


@pytest.mark.parametrize("threads", [2, 4])
@settings(max_examples=50, deadline=None)
@given(feed=events)
def test_on_a_pool_the_same_is_handled_in_the_end(threads: int, feed: Any) -> None:
    run(feed, threads, stepwise=False)


def test_the_model_finds_a_wrong_order() -> None:
    model = Model()
    model.add("a", 5, 50)
    model.add("b", 3, 30)
    assert model.calls() == []
    model.settle("c", 4)
    assert model.calls() == [(3, {"b": 30})]
    model.settle("c", 9)
    model.settle("b", 9)
    assert model.calls() == [(3, {"b": 30}), (5, {"a": 50})]
