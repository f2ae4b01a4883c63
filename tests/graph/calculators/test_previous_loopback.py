import pytest
from graph_parts import Burst, Keep, pairs

from handheld.graph import BackEdge, Graph, GraphConfig, Node, PreviousLoopback, calculator


@calculator
def add_previous(number: int, previous: int | None) -> int:
    return number + (previous or 0)


def sums(*before: Node) -> GraphConfig:
    """Return a graph whose ``sum`` at t is ``main`` at t plus the ``sum`` that went round, if it is
    even.
    """
    nodes = [
        *before,
        Node(
            PreviousLoopback(),
            inputs={"main": "main", "loop": BackEdge("even")},
            outputs="previous",
        ),
        Node(add_previous, inputs=["main", "previous"], outputs="sum"),
        Node(Keep(lambda number: number % 2 == 0), inputs="sum", outputs="even"),
    ]
    return GraphConfig(inputs={"in" if before else "main": int}, nodes=nodes)


@pytest.mark.usefixtures("many_switches")
@pytest.mark.parametrize("threads", [0, 1, 2, 4])
def test_each_packet_meets_the_result_of_the_one_before(threads: int) -> None:
    for _ in range(20):
        with Graph(sums(), threads=threads) as graph:
            total, previous = graph.output("sum"), graph.output("previous")
            for timestamp, number in {0: 2, 10: 4, 11: 5, 50: 3, 60: 1}.items():
                graph.add("main", number, timestamp)
            graph.close_input()
            assert pairs(list(total)) == [
                (2, 0),
                (6, 10),
                (11, 11),
                (3, 50),
                (1, 60),
            ]  # 11 and 3 are odd
            assert pairs(list(previous)) == [(2, 10), (6, 11)]


@pytest.mark.parametrize("threads", [0, 1, 2, 4])
def test_packets_that_come_faster_than_the_loop(threads: int) -> None:
    """While one is handled, the next already waits in the queue: it must not pass for settled."""
    with Graph(sums(Node(Burst(), inputs="in", outputs="main")), threads=threads) as graph:
        total = graph.output("sum")
        for timestamp in (0, 10):
            graph.add("in", 2, timestamp)  # 2, 3, 4 at timestamp + 0, 1, 2
        graph.close_input()
        assert pairs(list(total)) == [(2, 0), (5, 1), (4, 2), (6, 10), (9, 11), (4, 12)]
