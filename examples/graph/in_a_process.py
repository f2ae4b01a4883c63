"""A calculator that holds Python's lock while it computes, in two processes of its own.

Prints:
    primes below 2000, 2100, ...: [303, 317, 327, 342]
    other processes: 2
"""

import os

from handheld.graph import Graph, GraphConfig, Node, ProcessExecutor, calculator


@calculator
def count_primes(limit: int) -> tuple[int, int]:
    numbers = range(2, limit)
    count = sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in numbers)
    return count, os.getpid()


def main() -> None:
    """Count on two processes."""
    nodes = [Node(count_primes, inputs="limit", outputs="count", executor="far", max_in_flight=2)]
    config = GraphConfig(inputs={"limit": int}, nodes=nodes)
    with Graph(config, executors={"far": ProcessExecutor(2)}) as graph:
        counts = graph.output("count")
        for timestamp in range(4):
            graph.add("limit", 2000 + 100 * timestamp, timestamp)
        graph.wait()
        payloads = [packet.payload for packet in counts]
    print("primes below 2000, 2100, ...:", [count for count, _ in payloads])
    print("other processes:", len({process for _, process in payloads} - {os.getpid()}))


if __name__ == "__main__":
    main()
