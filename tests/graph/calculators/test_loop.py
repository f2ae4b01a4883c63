# ruff: noqa: PT012  (a graph may raise or warn when its block is left, so the block stands inside)

from typing import Any

import pytest
from graph_parts import Join, Keep, pairs

from handheld.errors import CalculatorError
from handheld.graph import (
    BeginLoop,
    Calculator,
    Context,
    Contract,
    EndLoop,
    Graph,
    GraphConfig,
    Node,
    PassThrough,
)

SECOND = 1_000_000


def loop(inside: Calculator, *, clone: bool = False) -> GraphConfig:
    """Return lists -> items -> ``inside`` -> lists; with ``clone`` the stream ``base`` beside each
    item.
    """
    base = {"clone": "base"} if clone else {}
    return GraphConfig(
        inputs={"lists": list, "base": int},
        nodes=[
            Node(BeginLoop(), inputs={"items": "lists", **base}, outputs=["item", "cloned", "end"]),
            Node(inside, inputs=["item", "cloned"] if clone else "item", outputs="done"),
            Node(EndLoop(), inputs=["done", "end"], outputs="gathered"),
        ],
    )


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_a_list_comes_back_at_its_own_timestamp(threads: int) -> None:
    with Graph(loop(Keep(lambda number: number % 2 == 0)), threads=threads) as graph:
        gathered, item = graph.output("gathered"), graph.output("item")
        for timestamp, numbers in {3: [1, 2, 4], 5: [], 8: [7], 9: [6, 8]}.items():
            graph.add("lists", numbers, timestamp)
        graph.close_input()
        assert pairs(list(gathered)) == [([2, 4], 3), ([], 5), ([], 8), ([6, 8], 9)]
        # The empty list at 5 takes the fourth second.
        assert pairs(list(item)) == [
            (n, at * SECOND) for n, at in [(1, 1), (2, 2), (4, 3), (7, 5), (6, 6), (8, 7)]
        ]


def test_the_times_of_items_do_not_depend_on_bounds() -> None:
    with Graph(loop(PassThrough())) as graph:
        item = graph.output("item")
        for bound in range(5):
            graph.set_bound("lists", bound)
        graph.add("lists", ["a"], 7)
        graph.set_bound("lists", 9)
        graph.set_bound("lists", 11)
        graph.add("lists", ["b"], 12)
        assert pairs(item.drain()) == [("a", SECOND), ("b", 2 * SECOND)]


def test_a_bound_before_the_loop_is_a_bound_behind_it() -> None:
    with Graph(loop(PassThrough())) as graph:
        graph.set_bound("lists", 40)
        assert graph.stats().streams["gathered"].bound == 40


def test_a_clone_goes_beside_each_item() -> None:
    with Graph(loop(Join(2), clone=True)) as graph:
        gathered = graph.output("gathered")
        graph.add("base", 5, 0)
        graph.add("lists", [1, 2], 0)
        graph.add("lists", [3], 1)  # without a base
        graph.close_input()
        # Join: (1 + item) * 1009 + 1 + base
        assert pairs(list(gathered)) == [([2 * 1009 + 6, 3 * 1009 + 6], 0), ([4 * 1009], 1)]


class OneLate(Calculator):
    contract = Contract(inputs={"in": object}, outputs={"out": object}, timestamp_offset=None)

    def process(self, context: Context) -> None:
        context.advance("out", context.timestamp + 1)
        context.send("out", 0, context.timestamp + 1)


def test_a_loop_may_not_keep_an_item_back() -> None:
    with (
        pytest.raises(CalculatorError, match=r"node 'end_loop' .* may not keep an item back"),
        Graph(loop(OneLate())) as graph,
    ):
        graph.add("lists", [1], 0)
        graph.set_bound("lists", 10)
        graph.close_input()


@pytest.mark.parametrize("payload", [(1, 2), "ab", [1, 2]])
def test_any_sequence_is_a_list(payload: Any) -> None:
    config = GraphConfig(inputs={"lists": object}, nodes=loop(PassThrough()).nodes)
    with Graph(config) as graph:
        gathered = graph.output("gathered")
        graph.add("lists", payload, 0)
        assert gathered.drain()[0].payload == list(payload)
