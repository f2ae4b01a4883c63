# ruff: noqa: PT031, SIM117  (a graph may raise or warn when its block is left, so the block stands inside)

import pytest
from graph_parts import Numbers, pairs

from handheld.errors import GraphStuckError
from handheld.graph import Graph, GraphConfig, GraphWarning, Node, PassThrough

WAIT_S = 5.0

PASS = GraphConfig(inputs={"in": int}, nodes=[Node(PassThrough(), inputs="in", outputs="out")])
SOURCE = GraphConfig(
    nodes=[Node(Numbers(10), outputs="n"), Node(PassThrough(), inputs="n", outputs="out")]
)


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_a_reader_attached_right_after_opening_misses_nothing(threads: int) -> None:
    for _ in range(20):
        with Graph(SOURCE, threads=threads) as graph:
            first, second = graph.output("out"), graph.output("n")
            assert (
                pairs(list(first))
                == pairs(list(second))
                == [(number, number) for number in range(10)]
            )


@pytest.mark.parametrize("threads", [0, 1])
def test_a_reader_sees_what_comes_from_now_on(threads: int) -> None:
    with Graph(PASS, threads=threads) as graph:
        early = graph.output("out")
        graph.add("in", 1, 0)
        assert next(early).payload == 1
        late = graph.output("out")
        graph.add("in", 2, 1)
        graph.close_input()
        assert [packet.payload for packet in late] == [packet.payload for packet in early] == [2]


def test_a_source_runs_only_as_far_as_someone_asks() -> None:
    with Graph(GraphConfig(nodes=[Node(Numbers(None), outputs="n")])) as graph:
        reader = graph.output("n")
        assert graph.stats().streams["n"].packets == 0
        assert [next(reader).payload for _ in range(3)] == [0, 1, 2]
        assert graph.stats().streams["n"].packets == 3


def test_drain_takes_what_is_there() -> None:
    with Graph(PASS) as graph:
        reader = graph.output("out")
        assert reader.drain() == []
        for number in range(3):
            graph.add("in", number, number)
        assert [packet.payload for packet in reader.drain()] == [0, 1, 2]
        assert reader.drain() == []


@pytest.mark.parametrize("threads", [0, 2])
def test_no_packet_and_nobody_who_could_make_one(threads: int) -> None:
    with Graph(PASS, threads=threads) as graph:
        reader = graph.output("out", timeout=0.01)
        with pytest.raises(
            GraphStuckError,
            match="no packet on stream 'out': node 'pass_through', port 'in' waits for stream 'in'",
        ):
            next(reader)
        graph.add("in", 1, 0)
        graph.wait_settled(0, timeout=WAIT_S)
        assert next(reader).payload == 1  # it was no fault of the graph, which goes on


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("other", ["out", "n"])
def test_an_unread_reader_of_the_thread_that_waits_has_to_grow(threads: int, other: str) -> None:
    """Nobody else could ever read it."""
    with pytest.warns(
        GraphWarning, match=f"the queue of stream '{other}' at a reader outside the graph is full"
    ):
        with Graph(SOURCE, threads=threads, max_queue_size=3) as graph:
            read, unread = graph.output("out"), graph.output(other)
            assert len(list(read)) == 10
            assert len(list(unread)) == 10


@pytest.mark.parametrize("threads", [0, 2])
def test_waiting_for_the_end_without_reading(threads: int) -> None:
    with pytest.warns(GraphWarning, match="at a reader outside the graph is full"):
        with Graph(SOURCE, threads=threads, max_queue_size=3) as graph:
            reader = graph.output("out")
            graph.wait()
            assert len(list(reader)) == 10


def test_an_ended_stream_ends_every_reader() -> None:
    with Graph(PASS) as graph:
        graph.close_input("in")
        reader = graph.output("out")
        assert list(reader) == []
    assert list(reader) == []


@pytest.mark.parametrize("threads", [0, 1])
def test_an_unread_reader_of_an_endless_source_does_not_grow_for_what_that_source_does_not_feed(
    threads: int,
) -> None:
    """A warning, and so an error, if it did; and then for ever."""
    config = GraphConfig(inputs={"in": int}, nodes=[*PASS.nodes, Node(Numbers(None), outputs="n")])
    with Graph(config, threads=threads, max_queue_size=3) as graph:
        unread, reader = graph.output("n"), graph.output("out", timeout=0.01)
        # A busy machine may need more than one of so short waits.
        for _ in range(500):
            with pytest.raises(GraphStuckError):
                next(reader)
            if graph.stats().streams["n"].readers[0].peak == 3:
                break
        assert graph.stats().streams["n"].readers[0].peak == 3
        assert len(unread.drain()) == 3


@pytest.mark.parametrize("threads", [0, 2])
def test_a_reader_that_nobody_has_any_more_is_forgotten(threads: int) -> None:
    with Graph(PASS, threads=threads, max_queue_size=2, on_deadlock="raise") as graph:
        for number in range(10):
            reader = graph.output("out", timeout=WAIT_S)
            graph.add("in", number, number)
            assert next(reader).payload == number
        assert len(graph.stats().streams["out"].readers) <= 2


@pytest.mark.parametrize("threads", [0, 2])
def test_a_reader_that_is_dropped_full_holds_nothing_back(threads: int) -> None:
    with Graph(PASS, threads=threads, max_queue_size=2, on_deadlock="raise") as graph:
        reader = graph.output("out")
        other = graph.output("out", timeout=WAIT_S)
        for number in range(2):
            graph.add("in", number, number)
            next(other)
        assert not graph.try_add("in", 2, 2)
        del reader
        assert graph.try_add("in", 2, 2)
        assert next(other).payload == 2


@pytest.mark.parametrize("threads", [0, 2])
def test_a_source_runs_on_when_the_reader_that_held_it_back_is_dropped(threads: int) -> None:
    nodes = [Node(Numbers(None), outputs="n"), Node(PassThrough(), inputs="n", outputs="m")]
    config = GraphConfig(nodes=nodes)
    with Graph(config, threads=threads, max_queue_size=2, on_deadlock="raise") as graph:
        payloads = [next(graph.output(name, timeout=WAIT_S)).payload for name in "nmnmnmnmnm"]
        # Each stream by itself: on a thread of its own the node may be behind the source.
        for stream in (payloads[::2], payloads[1::2]):
            assert stream == sorted(stream)


def test_a_reader_in_a_chain_of_iterators_is_kept() -> None:
    with Graph(PASS) as graph:
        payloads = (packet.payload for packet in graph.output("out"))
        graph.output("out")  # asks who is still there
        for number in range(3):
            graph.add("in", number, number)
        graph.close_input()
        assert list(payloads) == [0, 1, 2]
