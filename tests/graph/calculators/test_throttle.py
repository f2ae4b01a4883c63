"""The throttle goes by the graph's clock, which the test moves."""

import pytest
from graph_parts import pairs
from node_runs import BOUND, one_node, run_node

from handheld.errors import InputError
from handheld.graph import Context, Contract, Graph, RealTimeThrottle, Timestamp


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize(
    ("times", "passed"),
    [
        # Twice a second: slots of half a second.
        ([0.0, 0.1, 0.4, 0.5, 0.9, 1.0], [0, 3, 5]),
        # A little late each time: the slots stay where they are.
        ([0.0, 0.6, 1.05, 1.55, 2.0], [0, 1, 2, 3, 4]),
        # A pause is not made up for.
        ([0.0, 5.0, 5.1, 5.2, 5.5], [0, 1, 4]),
        ([], []),
    ],
)
def test_so_many_in_a_second_of_the_clock(times, passed, threads):
    clock = Clock()
    config = one_node(RealTimeThrottle(2.0), ["in"])
    with Graph(config, clock=clock, threads=threads) as graph:
        reader = graph.output("out_out")
        for number, seconds in enumerate(times):
            clock.seconds = 100.0 + seconds
            graph.add("in", number, number)
            graph.wait_settled(number, ["out_out"], timeout=20)
        graph.close_input()
        assert pairs(list(reader)) == [(number, number) for number in passed]
        assert graph.stats().drops == len(times) - len(passed)


def test_bounds_and_special_packets():
    for at in (Timestamp.PRE_STREAM, Timestamp.POST_STREAM):
        assert run_node(RealTimeThrottle(1.0), {"in": {at: "a"}})[0]["out"] == [("a", at)]
    with Graph(one_node(RealTimeThrottle(1.0), ["in"])) as graph:
        graph.set_bound("in", 9)
        assert graph.stats().streams["out_out"].bound == 9
    assert run_node(RealTimeThrottle(1.0), {"in": {9: BOUND}}) == ({"out": []}, 0)


@pytest.mark.parametrize("rate", [0, -1.0, float("nan")])
def test_a_rate_out_of_range(rate):
    with pytest.raises(InputError, match="max_rate: expected a number in"):
        RealTimeThrottle(rate)


def test_a_calculator_reads_the_graph_s_clock():
    from graph_parts import Call

    seen = []
    clock = Clock()
    node = Call(
        lambda context: seen.append(context.now()),
        Contract(inputs={"in": object}, outputs={"out": object}),
    )
    with Graph(one_node(node, ["in"]), clock=clock) as graph:
        graph.add("in", 0, 0)
        clock.seconds = 107.5
        graph.add("in", 0, 1)
    assert seen == [100.0, 107.5]
    # By itself, as in a process of its own, it has the computer's.
    alone = Context("node", {}, {}, Contract())
    assert alone.now() <= alone.now()
