"""What the graph itself costs: microseconds for one calculator call, in nodes that do nothing.

``python benchmarks/graph_overhead.py [--rounds 15] [--packets 200]``
"""

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import product

from _report import show, write

from handheld.graph import Calculator, Context, Contract, Graph, GraphConfig, Node, PassThrough

CHAIN = 20
THREADS = (0, 1, 2, 4)
AIM = {
    0: 12.0,
    1: 40.0,
    2: 40.0,
    4: 40.0,
}  # microseconds a call: what a frame of a camera would not notice


class Join(Calculator):
    contract = Contract(inputs={"a": object, "b": object}, outputs={"out": object})

    def process(self, context: Context) -> None:
        context.send("out", context.inputs["a"].payload)


def chain() -> GraphConfig:
    nodes = [
        Node(PassThrough(), inputs=f"s{i}" if i else "in", outputs=f"s{i + 1}")
        for i in range(CHAIN - 1)
    ]
    return GraphConfig(
        inputs={"in": object},
        nodes=[*nodes, Node(PassThrough(), inputs=f"s{CHAIN - 1}", outputs="out")],
    )


def diamond() -> GraphConfig:
    return GraphConfig(
        inputs={"in": object},
        nodes=[
            Node(PassThrough(), inputs="in", outputs="left"),
            Node(PassThrough(), inputs="in", outputs="right"),
            Node(Join(), inputs=["left", "right"], outputs="out"),
        ],
    )


GRAPHS: dict[str, tuple[Callable[[], GraphConfig], int]] = {
    f"chain of {CHAIN}": (chain, CHAIN),
    "diamond": (diamond, 3),
}


def microseconds_a_call(config: GraphConfig, calls: int, threads: int, packets: int) -> float:
    """Return the median over packets of the time from ``add`` to the packet at the end, divided by
    the calls between.
    """
    with Graph(config, threads=threads) as graph:
        reader = graph.output("out")
        times = []
        for timestamp in range(packets + 20):
            start = time.perf_counter()
            graph.add("in", None, timestamp)
            next(reader)
            times.append(time.perf_counter() - start)
    return statistics.median(times[20:]) / calls * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--packets", type=int, default=200)
    options = parser.parse_args()
    cases = list(product(GRAPHS, THREADS))
    times: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
    for number in range(options.rounds):
        for name, threads in (
            cases if number % 2 else reversed(cases)
        ):  # interleaved, so that a slow minute slows all alike
            build, calls = GRAPHS[name]
            times[name, threads].append(
                microseconds_a_call(build(), calls, threads, options.packets)
            )
    rows = [
        {
            "graph": name,
            "threads": f"pool of {threads}" if threads else "calling thread",
            "µs a call": round(statistics.median(values), 2),
            "least": round(min(values), 2),
            "most": round(max(values), 2),
            "aim": AIM[threads],
        }
        for (name, threads), values in times.items()
    ]
    show(
        f"Overhead of the graph: medians of {options.rounds} interleaved rounds of "
        f"{options.packets} packets",
        rows,
    )
    write("graph_overhead", rows)


if __name__ == "__main__":
    main()
