"""What the graph itself costs: microseconds for one call of a node that does nothing.

``python benchmarks/graph_overhead.py [--rounds 9] [--packets 200] [--without-peers]``

Beside ours: tasks that are joined by ``asyncio.Queue``, MediaPipe 0.10.21's own graph in C++ with
its pass-through calculators, and dora-rs, whose nodes are processes. All in turns, so that a slow
minute slows all alike. A packet goes in when the one before has come out; the time from the one to
the other is divided by the calls between. Then how the cost grows with the nodes and with the
length of a run, and what a second thread gains where the nodes release Python's lock.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from _dora_env import seconds_of_chain
from _mediapipe_env import mediapipe_python
from _report import show, write

from handheld.graph import (
    Calculator,
    Context,
    Contract,
    Graph,
    GraphConfig,
    Node,
    PassThrough,
    calculator,
)

Wires = list[tuple[list[str], list[str]]]
"""Input and output streams of each node."""

Measure = Callable[[Wires, int], float]
"""Returns the median seconds of a packet through a graph, of so many packets."""

AIM = 4.0  # microseconds a call on the calling thread
WARM_UP = 20


def chain(nodes: int) -> Wires:
    names = ["in", *(f"s{number}" for number in range(1, nodes)), "out"]
    return [([names[i]], [names[i + 1]]) for i in range(nodes)]


def diamond(branches: int) -> Wires:
    streams = [f"b{number}" for number in range(branches)]
    return [*((["in"], [stream]) for stream in streams), (streams, ["out"])]


GRAPHS: dict[str, Wires] = {
    "chain of 5": chain(5),
    "chain of 20": chain(20),
    "chain of 100": chain(100),
    "diamond, a join of 2": diamond(2),
    "a join of 8": diamond(8),
}


class Join(Calculator):
    """Sends what its first input has."""

    def __init__(self, inputs: int) -> None:
        self.contract = Contract(
            inputs={f"in{number}": object for number in range(inputs)}, outputs={"out": object}
        )

    def process(self, context: Context) -> None:
        context.send("out", context.inputs["in0"][0])


def config_of(wires: Wires) -> GraphConfig:
    nodes = []
    for inputs, outputs in wires:
        node = PassThrough() if len(inputs) == 1 else Join(len(inputs))
        nodes.append(Node(node, inputs=inputs, outputs=outputs))
    return GraphConfig(inputs={"in": object}, nodes=nodes)


def ours(threads: int) -> Measure:
    def measure(wires: Wires, packets: int) -> float:
        times = []
        with Graph(config_of(wires), threads=threads) as graph:
            reader = graph.output("out")
            for timestamp in range(packets + WARM_UP):
                start = time.perf_counter()
                graph.add("in", None, timestamp)
                next(reader)
                times.append(time.perf_counter() - start)
        return statistics.median(times[WARM_UP:])

    return measure


AnyQueue = asyncio.Queue[object]


async def task_of(inlets: Sequence[AnyQueue], outlets: Sequence[AnyQueue]) -> None:
    """Join a packet of each queue, and pass the first on."""
    while True:
        packets = [await queue.get() for queue in inlets]
        for queue in outlets:
            await queue.put(packets[0])


def queues(wires: Wires, packets: int) -> float:
    """Measure what one writes by hand: a task for each node, a queue for each of its inputs."""
    return asyncio.run(run_queues(wires, packets))


async def run_queues(wires: Wires, packets: int) -> float:
    takers: dict[str, list[AnyQueue]] = {"out": [asyncio.Queue(100)]}
    inlets = []
    for inputs, _ in wires:
        inlets.append([AnyQueue(100) for _ in inputs])
        for stream, queue in zip(inputs, inlets[-1], strict=True):
            takers.setdefault(stream, []).append(queue)
    tasks = [
        asyncio.create_task(task_of(inlet, takers[outputs[0]]))
        for inlet, (_, outputs) in zip(inlets, wires, strict=True)
    ]
    times = []
    for timestamp in range(packets + WARM_UP):
        start = time.perf_counter()
        for queue in takers["in"]:
            await queue.put((None, timestamp))
        await takers["out"][0].get()
        times.append(time.perf_counter() - start)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return statistics.median(times[WARM_UP:])


class MediaPipe:
    """MediaPipe's graph in a process of its own, as it needs another numpy."""

    def __init__(self) -> None:
        worker = Path(__file__).with_name("_mediapipe_graph_worker.py")
        self._process = subprocess.Popen(
            [mediapipe_python(), worker],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def measure(self, executor: str) -> Measure:
        def measure(wires: Wires, packets: int) -> float:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            task = {"nodes": wires, "executor": executor, "packets": packets}
            self._process.stdin.write(json.dumps(task) + "\n")
            self._process.stdin.flush()
            for line in self._process.stdout:
                if line.startswith("seconds "):
                    return float(line.split()[1])
            raise RuntimeError("MediaPipe's worker ended")

        return measure

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def ways(*, with_peers: bool) -> Iterator[dict[str, Measure]]:
    """Yield what is measured, by name."""
    measures: dict[str, Measure] = {"handheld, calling thread": ours(0)}
    measures |= {f"handheld, pool of {n}": ours(n) for n in (1, 2, 4)}
    measures["asyncio queues"] = queues
    if not with_peers:
        yield measures
        return
    mediapipe = MediaPipe()
    for executor in ("calling thread", "pool of 1", "pool of 2"):
        measures[f"MediaPipe C++, {executor}"] = mediapipe.measure(executor)
    try:
        yield measures
    finally:
        mediapipe.close()


def overhead(measures: dict[str, Measure], rounds: int, packets: int) -> list[dict[str, object]]:
    """Return a row for each graph and way: microseconds a call."""
    cases = [(graph, way) for graph in GRAPHS for way in measures]
    times: dict[tuple[str, str], list[float]] = {case: [] for case in cases}
    for number in range(rounds):
        for graph, way in cases if number % 2 else reversed(cases):
            seconds = measures[way](GRAPHS[graph], packets)
            times[graph, way].append(seconds / len(GRAPHS[graph]) * 1e6)
    return [
        {
            "graph": graph,
            "way": way,
            "µs a call": round(statistics.median(values), 2),
            "least": round(min(values), 2),
            "most": round(max(values), 2),
            "aim": AIM if way == "handheld, calling thread" else "",
        }
        for (graph, way), values in times.items()
    ]


def dora(packets: int) -> list[dict[str, object]]:
    """Return dora's rows; or one that says why it did not run."""
    rows: list[dict[str, object]] = []
    for nodes in (5, 20):
        row: dict[str, object] = {"graph": f"chain of {nodes}", "way": "dora-rs, processes"}
        try:
            micros = seconds_of_chain(nodes, packets) / (nodes + 1) * 1e6
            row |= {"µs a call": round(micros, 1)}
        except (OSError, subprocess.SubprocessError) as error:
            row |= {"µs a call": f"did not run: {type(error).__name__}"}
        rows.append(row)
    return rows


def growth() -> list[dict[str, object]]:
    """Return how the time of a packet grows with nodes, and the time of a call with the run."""
    sizes = np.array([5, 20, 100, 300, 1000])
    measure = ours(0)
    micros = np.array([min(measure(chain(int(n)), 60) for _ in range(5)) * 1e6 for n in sizes])
    slope, rest = np.polyfit(sizes, micros, 1)
    residual = micros - (slope * sizes + rest)
    fit = 1 - residual.var() / micros.var()
    tenths = []
    packets = 200_000
    with Graph(config_of(chain(5))) as graph:
        reader = graph.output("out")
        for tenth in range(10):
            start = time.process_time()
            for timestamp in range(tenth * packets // 10, (tenth + 1) * packets // 10):
                graph.add("in", None, timestamp)
                next(reader)
            tenths.append(time.process_time() - start)
    return [
        {
            "what": "chains of 5 to 1,000 nodes: a straight line",
            "figure": f"{slope:.2f} µs a node, R² {fit:.5f}",
        },
        {
            "what": f"{packets:,} packets through 5 nodes: last tenth over first, CPU time",
            "figure": f"{tenths[-1] / tenths[0]:.3f}",
        },
    ]


@calculator
def compress(data: bytes) -> bytes:
    """Take some ten milliseconds without Python's lock."""
    zlib.compress(data, 6)
    return data


@calculator
def sleep(data: bytes) -> bytes:
    """Wait ten milliseconds without Python's lock and without a core."""
    time.sleep(0.01)
    return data


def two_threads(rounds: int) -> list[dict[str, object]]:
    """Return how many times as many packets two threads get through two stages as one does."""
    data = np.random.default_rng(0).integers(0, 64, 400_000, dtype=np.uint8).tobytes()
    rows = []
    for name, stage in (("zlib", compress), ("sleeping", sleep)):
        nodes = [
            Node(stage, inputs="in", outputs="half"),
            Node(stage, inputs="half", outputs="out"),
        ]
        config = GraphConfig(inputs={"in": bytes}, nodes=nodes)
        ratios = []
        for _ in range(rounds):
            seconds = {}
            for threads in (1, 2):
                with Graph(config, threads=threads) as graph:
                    reader = graph.output("out")
                    start = time.perf_counter()
                    for timestamp in range(40):
                        graph.add("in", data, timestamp)
                    for _ in range(40):
                        next(reader)
                    seconds[threads] = time.perf_counter() - start
            ratios.append(seconds[1] / seconds[2])
        rows.append(
            {
                "what": f"two {name} stages, pool of 2 over pool of 1, packets a second (aim 1.8)",
                "figure": f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to "
                f"{max(ratios):.2f})",
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--packets", type=int, default=200)
    parser.add_argument("--without-peers", action="store_true", help="ours and asyncio alone")
    options = parser.parse_args()
    with ways(with_peers=not options.without_peers) as measures:
        rows = overhead(measures, options.rounds, options.packets)
    if not options.without_peers:
        rows += dora(options.packets)
    show(f"What a call costs: medians of {options.rounds} interleaved rounds", rows)
    write("graph_overhead", rows)
    more = [*growth(), *two_threads(5)]
    show("How it grows", more)
    write("graph_growth", more)


if __name__ == "__main__":
    main()
