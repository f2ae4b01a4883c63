"""Runs one calculator by itself, on packets that are all known before."""

from collections.abc import Mapping
from typing import Any

from graph_parts import pairs

from handheld.graph import Calculator, Graph, GraphConfig, Node

Packets = Mapping[int, Any]
"""Timestamp -> payload; ``BOUND`` settles what is below the timestamp."""

BOUND = object()
Sent = dict[str, list[tuple[Any, int]]]


def one_node(calculator: Calculator, inputs: Any, sides: Any = ()) -> GraphConfig:
    """Return a graph of one node, whose inputs are its own and whose outputs are ``out_PORT``."""
    contract = calculator.contract
    return GraphConfig(
        inputs=dict.fromkeys(inputs, object),
        side_inputs=dict.fromkeys(sides, object),
        nodes=[
            Node(
                calculator,
                inputs={port: port for port in inputs},
                outputs={port: f"out_{port}" for port in contract.outputs},
                side_inputs={port: port for port in sides},
                name="node",
            )
        ],
    )


def run_node(
    calculator: Calculator,
    feed: Mapping[str, Packets],
    *,
    side: Mapping[str, Any] | None = None,
    threads: int = 0,
    headers: Mapping[str, Any] | None = None,
    **more: Any,
) -> tuple[Sent, int]:
    """Return output port -> (payload, timestamp), and how many packets were dropped.

    Packets are fed in the order of their timestamps.
    """
    side = side or {}
    config = one_node(calculator, feed, side)
    packets = [
        (timestamp, port, payload)
        for port, by_time in feed.items()
        for timestamp, payload in by_time.items()
    ]
    with Graph(config, side=side, threads=threads, headers=headers, **more) as graph:
        readers = {port: graph.output(f"out_{port}") for port in calculator.contract.outputs}
        for timestamp, port, payload in sorted(packets, key=lambda packet: packet[0]):
            if payload is BOUND:
                graph.set_bound(port, timestamp)
            else:
                graph.add(port, payload, timestamp)
        graph.close_input()
        sent = {port: pairs(list(reader)) for port, reader in readers.items()}
        graph.wait()
        return sent, graph.stats().drops
