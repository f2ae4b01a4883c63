import warnings
from collections.abc import Sequence

import pytest
from graph_parts import Call, Keep, Numbers

from handheld.graph import (
    Graph,
    GraphConfig,
    GraphWarning,
    Merge,
    Node,
    PassThrough,
    QueueStats,
    SourceStats,
    Timestamp,
    Waiting,
    calculator,
)
from handheld.graph.stats import GraphStats


class Clock:
    """Seconds that pass only when a test or a calculator says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_calls_and_times() -> None:
    clock = Clock()
    nodes = [
        Node(
            Call(lambda c: (clock.sleep(2.0), c.send("out", c.get("in")))),
            inputs="in",
            outputs="a",
            name="two seconds",
        ),
        Node(Call(lambda c: clock.sleep(0.5)), inputs="in", name="half a second"),
        Node(Keep(lambda number: True), inputs="a", outputs="b", name="at once"),
    ]
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), clock=clock) as graph:
        for timestamp in (0, 10):
            graph.add("in", 1, timestamp)
        stats = graph.stats()
    assert {
        name: (node.calls, node.busy_s, node.wait_s, node.closed)
        for name, node in stats.nodes.items()
    } == {
        "half a second": (
            2,
            1.0,
            0.0,
            False,
        ),  # listed later, so nearer to the output: it runs first
        "two seconds": (2, 4.0, 1.0, False),
        "at once": (2, 0.0, 0.0, False),
    }
    assert {
        name: (stream.packets, stream.bound, stream.producer)
        for name, stream in stats.streams.items()
    } == {
        "in": (2, 11, ""),
        "a": (2, 11, "two seconds"),
        "b": (2, 11, "at once"),
    }
    assert all(node.closed for node in graph.stats().nodes.values())


def test_queues_and_who_waits() -> None:
    config = GraphConfig(
        inputs={"a": int, "b": int}, nodes=[Node(Merge(), inputs=["a", "b"], outputs="out")]
    )
    with Graph(config, max_queue_size=10) as graph:
        _unread = graph.output("out")
        for timestamp in (4, 5, 6):
            graph.add("a", 1, timestamp)
        stats = graph.stats()
        assert stats.nodes["merge"].queues == {
            "in0": QueueStats(3, 3, 10),
            "in1": QueueStats(0, 0, 10),
        }
        assert stats.waiting == (
            Waiting("merge", "in1", "b", "", Timestamp(4), Timestamp.PRE_STREAM),
        )
        assert str(stats.waiting[0]) == (
            "node 'merge', port 'in1' waits for stream 'b' (from the graph's own input) at "
            "timestamp 4; "
            "it is settled below PreStream"
        )
        graph.set_bound("b", 6)
        stats = graph.stats()
        assert stats.nodes["merge"].queues["in0"] == QueueStats(1, 3, 10)
        assert stats.streams["out"].readers == (QueueStats(2, 2, 10),)
        assert [(wait.timestamp, wait.bound) for wait in stats.waiting] == [(6, 6)]


def test_a_node_without_packets_waits_for_more_input() -> None:
    with Graph(GraphConfig(inputs={"in": int}, nodes=[Node(PassThrough(), inputs="in")])) as graph:
        assert str(graph.stats().waiting[0]) == (
            "node 'pass_through', port 'in' waits for stream 'in' (from the graph's own "
            "input) for more packets; "
            "it is settled below PreStream"
        )


@pytest.mark.parametrize("threads", [0, 2])
def test_a_full_queue_holds_its_inputs_back_and_that_is_counted(threads: int) -> None:
    clock = Clock()
    config = GraphConfig(
        inputs={"a": int, "b": int, "c": int},
        nodes=[Node(Merge(), inputs=["a", "b"], outputs="out")],
    )
    with Graph(config, max_queue_size=2, clock=clock, threads=threads) as graph:

        def sources() -> dict[str, SourceStats]:
            return dict(graph.stats().sources)

        assert [graph.try_add("a", number, number) for number in range(4)] == [
            True,
            True,
            False,
            False,
        ]
        clock.sleep(3.0)
        assert sources() == {
            "a": SourceStats(1, 3.0),
            "b": SourceStats(0, 0.0),
            "c": SourceStats(0, 0.0),
        }
        reader = graph.output("out", timeout=20)
        graph.add("b", 0, 0)  # makes room for one
        assert next(reader).payload == 0
        clock.sleep(5.0)
        assert sources()["a"] == SourceStats(1, 3.0)
        assert graph.try_add("a", 2, 2)


@pytest.mark.parametrize("threads", [0, 2])
def test_a_queue_that_nobody_could_empty_grows_and_says_so(threads: int) -> None:
    config = GraphConfig(
        inputs={"a": int, "b": int}, nodes=[Node(Merge(), inputs=["a", "b"], outputs="out")]
    )
    with Graph(config, max_queue_size=2, threads=threads) as graph:
        graph.add("a", 0, 0)
        graph.add("a", 1, 1)
        message = (
            "the queue of stream 'a' at node 'merge', input port 'in0' is full and nothing "
            "can run; it grows to 4 packets "
            r".node 'merge', port 'in1' waits for stream 'b' .from the graph's own input. at "
            r"timestamp 0"
        )
        with pytest.warns(GraphWarning, match=message):
            graph.add("a", 2, 2)
        assert graph.stats().nodes["merge"].queues["in0"] == QueueStats(3, 3, 4)


def test_drops_are_summed() -> None:
    config = GraphConfig(
        inputs={"in": int},
        nodes=[
            Node(Call(lambda c: c.drop(2)), inputs="in", name="two"),
            Node(Merge(), inputs=["in", "in"], outputs="out", name="one"),
        ],
    )
    with Graph(config) as graph:
        graph.add("in", 1, 0)
        stats: GraphStats = graph.stats()
    assert ({name: node.drops for name, node in stats.nodes.items()}, stats.drops) == (
        {"two": 2, "one": 1},
        3,
    )


@calculator
def added(a: int, b: int) -> int:
    return a + b


def closed(times: dict[str, Sequence[int]], threads: int = 0) -> GraphStats:
    """Return the statistics of a graph that added what came on two inputs at these times."""
    config = GraphConfig(
        inputs={"left": int, "right": int}, nodes=[Node(added, inputs={"a": "left", "b": "right"})]
    )
    with Graph(config, threads=threads) as graph:
        for stream, stamps in times.items():
            for timestamp in stamps:
                graph.add(stream, 1, timestamp)
    return graph.stats()


@pytest.mark.parametrize("threads", [0, 2])
def test_a_function_whose_inputs_never_meet_is_told_once(threads: int) -> None:
    message = (
        r"^node 'added' never ran: its inputs 'a' .stream 'left'. and 'b' .stream 'right'. had "
        r"no timestamp in common; "
    )
    with pytest.warns(GraphWarning, match=message) as told:
        stats = closed({"left": [0, 10, 20], "right": [5, 15]}, threads)
    assert len(told) == 1
    assert (stats.nodes["added"].skips, stats.nodes["added"].calls) == (5, 6)  # the sixth closes it


@pytest.mark.parametrize(("right", "skips"), [([0, 15], 3), ([], 3), ([0, 10, 20], 0)])
def test_inputs_that_met_once_or_had_no_packets_are_no_mistake(
    right: list[int], skips: int
) -> None:
    assert closed({"left": [0, 10, 20], "right": right}).nodes["added"].skips == skips


def test_a_graph_without_packets_is_no_mistake() -> None:
    assert closed({}).nodes["added"].skips == 0


def test_statistics_are_printed_as_tables() -> None:
    clock = Clock()
    nodes = [
        Node(
            Call(lambda c: (clock.sleep(0.002), c.drop(), c.send("out", 1))),
            inputs="in",
            outputs="out",
            name="slow",
        ),
        Node(Merge(), inputs=["out", "other"], outputs="merged"),
    ]
    config = GraphConfig(inputs={"in": int, "other": int}, nodes=nodes)
    with Graph(config, clock=clock, max_queue_size=2) as graph:
        graph.add("in", 1, 0)
        graph.add("in", 1, 10)
        stats = graph.stats()
    assert str(stats).split("\n") == [
        "node   calls  mean ms  busy s  wait s  drops  skips  queues",
        "slow       2    2.000   0.004   0.000      2      0  in 0 (peak 1 of 2)",
        "merge      0            0.000   0.000      0      0  "
        "in0 2 (peak 2 of 2), in1 0 (peak 0 of 2)",
        "",
        "stream  packets  settled below  from",
        "in            2             11  (input)",
        "other         0      PreStream  (input)",
        "out           2             11  slow",
        "merged        0      PreStream  merge",
        "",
        "'in' was held back once, 0.000 s",
        "",
        *map(str, stats.waiting),
    ]


@pytest.mark.parametrize("threads", [0, 2])
def test_sources_that_nobody_waited_for_are_told(threads: int) -> None:
    config = GraphConfig(
        inputs={"x": int},
        nodes=[
            Node(Numbers(3), outputs="n", name="counts"),
            Node(PassThrough(), inputs="x", outputs="y"),
        ],
    )
    graph = Graph(config, threads=threads)
    with pytest.warns(GraphWarning, match=r"before its sources 'counts' ran") as told, graph:
        graph.add("x", 1, 1)
    assert len(told) == 1
    with pytest.warns(GraphWarning, match=r"'counts'"), Graph(config, threads=threads) as graph:
        graph.observe("n", print)
    seen: list[int] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Graph(config, threads=threads):
            pass  # that nobody used
        with Graph(config, threads=threads) as graph:
            graph.observe("n", lambda packet: seen.append(packet.payload))
            graph.wait()
    assert seen == [0, 1, 2]
