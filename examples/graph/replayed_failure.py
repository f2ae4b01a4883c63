"""A live run that fails, recorded; the failure played again as a test; the mended graph passes.

A packet is in the file before any node sees it, so what made the node fail is there too.

Prints:
    live: node 'ratio' failed at timestamp 2000: ZeroDivisionError: division by zero
    again: node 'ratio' failed at timestamp 2000: ZeroDivisionError: division by zero
    mended: [2.0, 4.0, 0.0]
"""

import tempfile
from pathlib import Path

from handheld.errors import CalculatorError
from handheld.graph import FunctionCalculator, Graph, GraphConfig, Node, calculator
from handheld.graph.record import GraphRecording, replay


@calculator
def ratio(distance: int, seconds: int) -> float:
    return distance / seconds


@calculator
def mended_ratio(distance: int, seconds: int) -> float:
    return distance / seconds if seconds else 0.0


def config(node: FunctionCalculator[..., float]) -> GraphConfig:
    """Return the graph with one version of its node."""
    return GraphConfig(
        inputs={"distance": int, "seconds": int},
        nodes=[Node(node, inputs=["distance", "seconds"], outputs="speed", name="ratio")],
    )


def main(path: Path) -> None:
    """Record, replay, mend."""
    try:
        with Graph(config(ratio), threads=2) as graph:
            graph.record(path, ["distance", "seconds"])
            for number, seconds in enumerate([1, 1, 0]):
                graph.add_all({"distance": 2 * number + 2, "seconds": seconds}, 1000 * number)
            graph.wait()
    except CalculatorError as error:
        print("live:", error)
    try:
        with Graph(config(ratio)) as graph:
            replay(graph, GraphRecording(path))
    except CalculatorError as error:
        print("again:", error)
    with Graph(config(mended_ratio)) as graph:
        speeds = graph.output("speed")
        replay(graph, GraphRecording(path))
        print("mended:", [packet.payload for packet in speeds.drain()])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder) / "live.rec")
