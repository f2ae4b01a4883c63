"""A graph with a cycle: each number is compared with the one before.

Prints:
    0 first
    1000 rose
    2000 fell
    dropped: 0
"""

from handheld.graph import (
    BackEdge,
    FlowLimiter,
    Graph,
    GraphConfig,
    Node,
    PassThrough,
    PreviousLoopback,
    calculator,
)


@calculator
def compare(now: float, before: float | None) -> str:
    """Say whether a number rose."""
    return "first" if before is None else "rose" if now > before else "fell"


config = GraphConfig(
    inputs={"number": float},
    nodes=[
        Node(
            FlowLimiter(max_in_flight=1),
            inputs=["number", BackEdge("verdict")],
            outputs=["admitted"],
        ),
        Node(PreviousLoopback(), inputs=["admitted", BackEdge("kept")], outputs="before"),
        Node(compare, inputs=["admitted", "before"], outputs="verdict"),
        Node(PassThrough(), inputs="admitted", outputs="kept"),
    ],
)
with Graph(config) as graph:
    verdicts = graph.output("verdict")
    for step, number in enumerate([1.0, 3.0, 2.0]):
        graph.add("number", number, timestamp=step * 1000)
    for packet in verdicts.drain():
        print(packet.timestamp, packet.payload)
    print("dropped:", graph.stats().drops)
