"""MediaPipe's own ``CalculatorGraph`` as a worker of ``graph_overhead.py``.

Reads lines of JSON (nodes as lists of input and output streams, threads, packets), answers each
with the median seconds of a packet. Runs in the environment that ``_mediapipe_env.py`` makes.
"""

import json
import statistics
import sys
import time
from typing import Any

import mediapipe as mp
from mediapipe.python._framework_bindings.calculator_graph import CalculatorGraph

EXECUTORS = {
    "calling thread": 'executor { name: "" type: "ApplicationThreadExecutor" }\n',
    "pool of 1": "num_threads: 1\n",
    "pool of 2": "num_threads: 2\n",
}


def text(nodes: list[list[list[str]]], executor: str) -> str:
    """Return the graph; a pass-through of several streams waits for all of them."""
    lines = ['input_stream: "in"\noutput_stream: "out"\n', EXECUTORS[executor]]
    for number, (inputs, outputs) in enumerate(nodes):
        lines.append('node { calculator: "PassThroughCalculator"')
        lines += [f' input_stream: "{stream}"' for stream in inputs]
        # As many as go in: what nobody takes has a name of its own.
        lines += [f' output_stream: "{stream}"' for stream in outputs]
        lines += [f' output_stream: "x{number}_{i}"' for i in range(len(inputs) - len(outputs))]
        lines.append(" }\n")
    return "".join(lines)


def median_s(task: dict[str, Any]) -> float:
    """Return the median time from adding a packet to all that it sets in motion being done."""
    graph = CalculatorGraph(graph_config=text(task["nodes"], task["executor"]))
    seen: list[Any] = []
    graph.observe_output_stream("out", lambda name, packet: seen.append(packet))
    graph.start_run()
    times = []
    for timestamp in range(task["packets"] + 20):
        start = time.perf_counter()
        graph.add_packet_to_input_stream("in", mp.packet_creator.create_int(1).at(timestamp))
        graph.wait_until_idle()
        times.append(time.perf_counter() - start)
    graph.close()
    assert len(seen) == task["packets"] + 20
    return statistics.median(times[20:])


if __name__ == "__main__":
    for line in sys.stdin:
        print("seconds", median_s(json.loads(line)), flush=True)
