"""What a trace costs: processor time of a graph with a trace, over the same without.

``python benchmarks/graph_tracing.py [--rounds 12]``

Each run is a process of its own, and the ways take turns, so that a slow minute slows all alike and
no way warms the interpreter for another. Processor time counts all threads, that which writes the
trace among them.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _report import show, write

from handheld.graph import Graph, GraphConfig, Node, PassThrough
from handheld.graph.trace import MemoryTracer

CHAIN = 20
FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures"
WAYS = ("off", "memory", "file")
AIM = 1.05  # of the processor time without a trace

Feed = Callable[[Any], float]
"""Runs a graph with a trace, or None; returns the calls that it made."""


def chain(packets: int) -> Feed:
    """Return what runs calculators that do nothing: the most that a trace can cost."""
    nodes = [
        Node(PassThrough(), inputs=f"s{i}" if i else "in", outputs=f"s{i + 1}")
        for i in range(CHAIN)
    ]
    config = GraphConfig(inputs={"in": object}, nodes=nodes)

    def feed(trace: Any) -> float:
        with Graph(config, trace=trace) as graph:
            reader = graph.output(f"s{CHAIN}")
            for timestamp in range(packets):
                graph.add("in", None, timestamp)
                next(reader)
            return _calls(graph)

    return feed


def hands(frames: int, pack: Any) -> Feed:
    """Return what runs the hand graph on a picture with a white square."""
    import numpy as np

    from handheld.hands import HandTracker
    from handheld.media import Frame

    tracker = HandTracker(pack=pack)
    image = np.full((240, 320, 3), 30, np.uint8)
    image[90:150, 130:190] = 255  # the fake palm model takes it for a palm

    def feed(trace: Any) -> float:
        with Graph(tracker.config, side=tracker._side, trace=trace) as graph:
            reader = graph.output("hands")
            for number in range(frames):
                graph.add("frame", Frame(image, number * 33_333, number), number * 33_333)
                next(reader)
            return _calls(graph)

    return feed


def _calls(graph: Graph) -> float:
    return sum(node.calls for node in graph.stats().nodes.values())


def fake_hands() -> Feed:
    from handheld.hands import ModelPack

    palm = FIXTURES / "tiny_palm.tflite"
    return hands(600, ModelPack("tiny", palm, FIXTURES / "tiny_landmark.tflite"))


GRAPHS: dict[str, Callable[[], Feed]] = {
    f"chain of {CHAIN} that do nothing": lambda: chain(4000),
    "hand graph, fake models": fake_hands,
    "hand graph, the package's models": lambda: hands(150, "handheld"),
}


def measure(graph: str, way: str) -> tuple[float, float]:
    """Return the processor time of one run in seconds, and the calls in it."""
    feed = GRAPHS[graph]()
    with tempfile.TemporaryDirectory() as folder:
        traces = {
            "off": lambda: None,
            "memory": MemoryTracer,
            "file": lambda: Path(folder) / "trace.json",
        }
        feed(traces[way]())  # once before, so that what is made once is not counted
        start = time.process_time()
        calls = feed(traces[way]())
        return time.process_time() - start, calls


def measured_apart(graph: str, way: str) -> tuple[float, float]:
    command = [sys.executable, __file__, "--one", graph, way]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, calls = done.stdout.split()[-2:]
    return float(seconds), float(calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--one", nargs=2, metavar=("GRAPH", "WAY"), help="of a process of its own")
    options = parser.parse_args()
    if options.one:
        print(*measure(*options.one))
        return
    rows = []
    for graph in GRAPHS:
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        calls = 1.0
        for number in range(options.rounds):
            for way in WAYS if number % 2 else reversed(WAYS):
                taken, calls = measured_apart(graph, way)
                seconds[way].append(taken)
        rows += [_row(graph, way, seconds, calls) for way in WAYS]
    title = f"What a trace costs: medians of {options.rounds} interleaved rounds"
    show(title, rows)
    write("graph_tracing", rows)


def _row(graph: str, way: str, seconds: dict[str, list[float]], calls: float) -> dict[str, Any]:
    ratios = [one / off for one, off in zip(seconds[way], seconds["off"], strict=True)]
    extra = statistics.median(seconds[way]) - statistics.median(seconds["off"])
    return {
        "graph": graph,
        "trace": way,
        "µs a call": round(statistics.median(seconds[way]) / calls * 1e6, 2),
        "more": round(extra / calls * 1e6, 2),
        "ratio": round(statistics.median(ratios), 3),
        "least": round(min(ratios), 3),
        "most": round(max(ratios), 3),
        "aim": AIM if way != "off" else None,
    }


if __name__ == "__main__":
    main()
