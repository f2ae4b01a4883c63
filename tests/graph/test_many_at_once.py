"""Nothing can be used only once: calculators, configs and functions in several graphs, one after
another or side by side.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
from graph_parts import pairs

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

TRIPLE = [(1, 0), (3, 1), (6, 2)]
"""Running sums of 1, 2, 3."""


class RunningSum(Calculator):
    """Keeps its state as the guide says: set in ``open``."""

    contract = Contract(inputs={"in": int}, outputs={"sum": int})

    def open(self, context: Context) -> None:
        self.total = 0

    def process(self, context: Context) -> None:
        self.total += context.get("in")
        context.send("sum", self.total)


class CarelessSum(RunningSum):
    """Sets its state in ``__init__`` alone, as people do."""

    def __init__(self) -> None:
        self.total = 0

    def open(self, context: Context) -> None:
        """Forget to begin anew."""


@calculator
def double(number: int) -> int:
    return 2 * number


def sums(config: GraphConfig, threads: int = 0) -> list[tuple[int, int]]:
    with Graph(config, threads=threads) as graph:
        reader = graph.output("sum")
        for timestamp, number in enumerate([1, 2, 3]):
            graph.add("in", number, timestamp)
        graph.close_input()
        return pairs(list(reader))


def config_of(made: Calculator) -> GraphConfig:
    return GraphConfig(inputs={"in": int}, nodes=[Node(made, inputs="in", outputs="sum")])


@pytest.mark.parametrize(
    "made", [RunningSum(), CarelessSum()], ids=["set in open", "set in __init__"]
)
def test_one_config_runs_again_and_again(made: Calculator) -> None:
    config = config_of(made)
    assert [sums(config) for _ in range(3)] == [TRIPLE] * 3


@pytest.mark.parametrize(
    "made", [RunningSum(), CarelessSum()], ids=["set in open", "set in __init__"]
)
def test_two_open_graphs_of_one_config_do_not_share_state(made: Calculator) -> None:
    config = config_of(made)
    with Graph(config) as one, Graph(config) as other:
        readers = [one.output("sum"), other.output("sum")]
        for timestamp, number in enumerate([1, 2, 3]):
            one.add("in", number, timestamp)
            other.add("in", 10 * number, timestamp)
        assert pairs(readers[0].drain()) == TRIPLE
        assert pairs(readers[1].drain()) == [(10, 0), (30, 1), (60, 2)]


@pytest.mark.parametrize("threads", [0, 2])
def test_one_config_runs_in_many_threads_at_once(threads: int) -> None:
    config = config_of(RunningSum())
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: sums(config, threads), range(40))) == [TRIPLE] * 40


def test_one_object_may_stand_in_two_nodes_which_keep_apart() -> None:
    shared = RunningSum()
    nodes = [Node(shared, inputs="in", outputs="once"), Node(shared, inputs="once", outputs="sum")]
    config = GraphConfig(inputs={"in": int}, nodes=nodes)
    assert sums(config) == [(1, 0), (4, 1), (10, 2)]


def test_a_function_works_in_two_open_graphs() -> None:
    config = GraphConfig(inputs={"in": int}, nodes=[Node(double, inputs="in", outputs="out")])
    with Graph(config) as one, Graph(config) as other:
        readers = [one.output("out"), other.output("out")]
        one.add("in", 1, 0)
        other.add("in", 2, 0)
        assert [pairs(reader.drain()) for reader in readers] == [[(2, 0)], [(4, 0)]]


def test_a_graph_that_fails_to_open_leaves_its_config_usable() -> None:
    config = GraphConfig(
        inputs={"in": int}, nodes=[Node(PassThrough(), inputs="in", outputs="sum")]
    )
    graph = Graph(config)
    graph.__enter__()
    graph.cancel()
    assert sums(config) == [(1, 0), (2, 1), (3, 2)]
