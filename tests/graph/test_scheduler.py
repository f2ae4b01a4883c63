"""What may run when: settled timestamps, bounds, the order of nodes, and how nodes open
and close.
"""

# ruff: noqa: PT012, SIM117  (a graph may raise or warn when its block is left, so the block stands inside)

from collections.abc import Callable
from typing import Any

import pytest
from graph_parts import Burst, Call, Delay, Echo, Keep, Log, Numbers, Shift, TwoLanes, pairs

from handheld.errors import CalculatorError, GraphStuckError, TimestampError
from handheld.graph import (
    BackEdge,
    Calculator,
    Context,
    Contract,
    FixedSizePolicy,
    Graph,
    GraphConfig,
    ImmediatePolicy,
    Node,
    PassThrough,
    SyncSetPolicy,
    Timestamp,
)

PRE, POST = Timestamp.PRE_STREAM, Timestamp.POST_STREAM
TWO = Contract(inputs={"a": object, "b": object})


def log_of_two(
    feed: list[tuple[str, int]], contract: Contract = TWO, policy: Any = None
) -> list[tuple[int, str]]:
    """Feed inputs a and b; return for each call of a node that has both its timestamp and the ports
    with a packet.
    """
    log = Log(contract)
    with Graph(
        GraphConfig(
            inputs={"a": int, "b": int}, nodes=[Node(log, inputs=["a", "b"], policy=policy)]
        )
    ) as graph:
        for stream, timestamp in feed:
            graph.add(stream, timestamp, timestamp)
    return [(call[1], "".join(call[2])) for call in log.calls if call[0] == "process"]


@pytest.mark.parametrize(
    ("policy", "calls"),
    [
        (None, [(0, "a"), (1, "ab"), (2, "a"), (3, "b")]),
        (ImmediatePolicy(), [(0, "a"), (1, "a"), (2, "a"), (1, "b"), (3, "b")]),
        (SyncSetPolicy((("a",), ("b",))), [(0, "a"), (1, "a"), (2, "a"), (1, "b"), (3, "b")]),
        (SyncSetPolicy((("a", "b"),)), [(0, "a"), (1, "ab"), (2, "a"), (3, "b")]),
    ],
)
def test_input_policies(policy: Any, calls: list[tuple[int, str]]) -> None:
    feed = [("a", 0), ("a", 1), ("a", 2), ("b", 1), ("b", 3)]
    assert log_of_two(feed, policy=policy) == calls


def test_a_timestamp_is_handled_as_soon_as_it_is_settled_on_every_input() -> None:
    log = Log(TWO)
    with Graph(
        GraphConfig(inputs={"a": int, "b": int}, nodes=[Node(log, inputs=["a", "b"])])
    ) as graph:

        def calls() -> list[int]:
            return [call[1] for call in log.calls if call[0] == "process"]

        graph.add("a", 0, 10)
        assert calls() == []
        graph.set_bound("b", 10)  # 10 itself may still come
        assert calls() == []
        graph.set_bound("b", 11)
        assert calls() == [10]
        graph.set_bound("b", 5)  # a lower bound changes nothing
        assert graph.stats().streams["b"].bound == 11
        graph.add("b", 0, 20)
        assert calls() == [10]
        graph.close_input("a")
        assert calls() == [10, 20]


@pytest.mark.parametrize(
    ("stage", "bound"),
    [
        (lambda: PassThrough(), 8),
        (lambda: Keep(lambda number: False), 8),
        (lambda: Shift(100), 108),
        (lambda: Shift(-3), 5),
        (lambda: Shift(0, declared=False), PRE),  # promises nothing, and has sent nothing
        (lambda: Call(lambda context: context.advance("out", 50)), 50),
    ],
)
def test_bounds_go_through_nodes(stage: Any, bound: int) -> None:
    config = GraphConfig(inputs={"in": int}, nodes=[Node(stage(), inputs="in", outputs="out")])
    with Graph(config) as graph:
        assert graph.stats().streams["out"].bound == PRE
        if not (isinstance(stage(), Shift) and bound == PRE):
            graph.add("in", 1, 7)
        assert graph.stats().streams["out"].bound == bound
    assert graph.stats().streams["out"].bound == Timestamp.DONE


def test_an_offset_does_not_move_a_bound_that_says_nothing_yet() -> None:
    """Otherwise a packet at PreStream could not pass a node with an offset."""
    keep_time = Call(
        lambda c: c.send("out", 1),
        Contract(inputs={"in": int}, outputs={"out": int}, timestamp_offset=5),
    )
    config = GraphConfig(inputs={"in": int}, nodes=[Node(keep_time, inputs="in", outputs="out")])
    with Graph(config) as graph:
        reader = graph.output("out")
        graph.set_bound("in", PRE)
        graph.add("in", 1, PRE)
        assert pairs(list(reader)) == [(1, PRE)]


@pytest.mark.parametrize("threads", [0, 2])
def test_packets_before_and_after_all_others(threads: int) -> None:
    log = Log(Contract(inputs=dict.fromkeys(["header", "a", "b"], object)))
    nodes = [Node(PassThrough(), inputs="header", outputs="h"), Node(log, inputs=["h", "a", "b"])]
    with Graph(
        GraphConfig(inputs={"header": int, "a": int, "b": int}, nodes=nodes), threads=threads
    ) as graph:
        graph.add("header", 1, PRE)
        graph.add("a", 2, 5)
        graph.add("a", 3, POST)
        graph.add("b", 4, POST)
    assert log.calls == [
        ("open",),
        ("process", PRE, {"header": 1}),
        ("process", 5, {"a": 2}),
        ("process", POST, {"a": 3, "b": 4}),
        ("close",),
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [(PRE, 0), (PRE, PRE), (POST, POST), (POST, 0), (Timestamp.MAX, POST), (5, 5), (5, 4)],
)
def test_timestamps_on_a_stream_increase(first: int, second: int) -> None:
    with Graph(GraphConfig(inputs={"in": int}, nodes=[])) as graph:
        graph.add("in", 1, first)
        with pytest.raises(
            TimestampError,
            match=r"stream 'in': a packet at .* comes too late, .*timestamps on a stream must",
        ):
            graph.add("in", 2, second)


@pytest.mark.parametrize(
    "at",
    [Timestamp.UNSET, Timestamp.UNSTARTED, Timestamp.ONE_OVER_POST_STREAM, Timestamp.DONE, 2**70],
)
def test_timestamps_that_no_packet_may_have(at: int) -> None:
    with (
        Graph(GraphConfig(inputs={"in": int}, nodes=[])) as graph,
        pytest.raises(TimestampError, match="may not be sent at"),
    ):
        graph.add("in", 1, at)


@pytest.mark.parametrize(
    ("send", "message"),
    [
        (lambda c: c.send("out", 1, 0.5), "TypeError: 'float' object"),
        (lambda c: c.send("out", 1, "now"), "TypeError: 'str' object"),
        (lambda c: c.advance("out", 0.5), "TypeError: 'float' object"),
        (
            lambda c: c.send("out", 1, 2),
            "TimestampError: stream 'out': a packet at 2 comes too late",
        ),
        (
            lambda c: c.send("ouch", 1),
            r"InputError: node 'bad' sends on port 'ouch', .* it declares \['out'\]",
        ),
        (
            lambda c: c.send_side("side", 1),
            r"InputError: node 'bad' sets side output 'side', .* it declares \[\]",
        ),
    ],
)
@pytest.mark.parametrize("threads", [0, 1])
def test_what_a_calculator_may_not_send(send: Any, message: str, threads: int) -> None:
    config = GraphConfig(
        inputs={"in": int}, nodes=[Node(Call(send), inputs="in", outputs="out", name="bad")]
    )
    with pytest.raises(CalculatorError, match="node 'bad' failed at timestamp 3: " + message):
        with Graph(config, threads=threads) as graph:
            graph.set_bound("in", 3)
            graph.add("in", 1, 3)


def test_nodes_near_the_output_run_first_and_sources_last() -> None:
    calls: list[str] = []
    note = Contract(inputs={"in": object}, outputs={"out": object})

    def noted(name: str) -> Call:
        return Call(
            lambda c: (calls.append(f"{name}{c.get('in')}"), c.send("out", c.get("in"))), note
        )

    config = GraphConfig(
        nodes=[
            Node(Numbers(3), outputs="n"),
            Node(noted("a"), inputs="n", outputs="a"),
            Node(noted("b"), inputs="a", outputs="b"),
            Node(noted("c"), inputs="b", outputs="c"),
        ]
    )
    with Graph(config) as graph:
        graph.wait()
    assert calls == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]


def test_of_two_sources_the_one_behind_runs() -> None:
    calls: list[str] = []
    nodes = [Node(Numbers(3, step=10), outputs="tens"), Node(Numbers(3, step=1), outputs="ones")]
    with Graph(GraphConfig(nodes=nodes)) as graph:
        for stream in ("tens", "ones"):
            graph.observe(
                stream, lambda packet, stream=stream: calls.append(f"{stream} {packet.timestamp}")
            )
        graph.wait()
    assert calls == ["tens 0", "ones 0", "tens 10", "ones 1", "ones 2", "tens 20"]


def test_nodes_open_and_close_from_the_inputs_to_the_outputs() -> None:
    calls: list[Any] = []
    log = Log(Contract(inputs={"in": object}, outputs={"out": object}), calls, "first ")
    last = Log(Contract(inputs={"in": object}), calls, "last ")
    nodes = [
        Node(last, inputs="b"),
        Node(PassThrough(), inputs="a", outputs="b"),
        Node(log, inputs="in", outputs="a"),
    ]
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes)):
        assert calls == [("first open",), ("last open",)]
    assert calls[2:] == [("first close",), ("last close",)]


class Tail(Calculator):
    """Sends in open and in close as well."""

    contract = Contract(inputs={"in": int}, outputs={"out": str})

    def open(self, context: Context) -> None:
        context.send("out", "open", 0)

    def process(self, context: Context) -> None:
        context.send("out", "process")

    def close(self, context: Context) -> None:
        context.send("out", "close", POST)


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_packets_from_open_and_close(threads: int) -> None:
    nodes = [Node(Tail(), inputs="in", outputs="a"), Node(PassThrough(), inputs="a", outputs="b")]
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), threads=threads) as graph:
        reader = graph.output(
            "b"
        )  # in time, since nothing runs before the first packet or question
        graph.add("in", 1, 5)
        graph.close_input()
        assert pairs(list(reader)) == [("open", 0), ("process", 5), ("close", POST)]


@pytest.mark.parametrize("threads", [0, 2])
def test_a_node_may_end_before_its_input(threads: int) -> None:
    first_two = Call(lambda c: c.send("out", c.get("in")) if c.timestamp < 2 else c.finish())
    nodes = [
        Node(first_two, inputs="in", outputs="a"),
        Node(PassThrough(), inputs="a", outputs="b"),
    ]
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), threads=threads) as graph:
        reader = graph.output("b")
        for number in range(
            300
        ):  # more than a queue holds: a closed node must not hold anything back
            graph.add("in", number, number)
        assert pairs(list(reader)) == [(0, 0), (1, 1)]


def test_process_bounds_is_told_of_every_step_once() -> None:
    contract = Contract(inputs={"a": object, "b": object}, process_bounds=True)
    log = Log(contract)
    with Graph(
        GraphConfig(inputs={"a": int, "b": int}, nodes=[Node(log, inputs=["a", "b"])])
    ) as graph:
        graph.set_bound("a", 5)
        assert log.calls == [("open",)]
        graph.set_bound("b", 9)
        assert log.calls[1:] == [("process", 4, {})]
        graph.add("a", 1, 6)
        assert log.calls[2:] == [("process", 6, {"a": 1})]
        graph.set_bound("a", 8)
        assert log.calls[3:] == [("process", 7, {})]


def test_a_bound_that_a_calculator_sees_is_what_it_was_given() -> None:
    """While a packet waits in the queue, the calculator must not take its timestamp for settled."""
    seen = []
    look = Call(lambda c: seen.append((c.timestamp, c.bound("in"))), Contract(inputs={"in": int}))
    nodes = [Node(Burst(), inputs="in", outputs="three"), Node(look, inputs="three")]
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes)) as graph:
        graph.add("in", 0, 10)
    assert seen == [(10, 11), (11, 12), (12, 13)]


def test_sync_sets_do_not_wait_for_each_other() -> None:
    nodes = [Node(TwoLanes(), inputs=["a", "b"], outputs=["x", "y"])]
    with Graph(GraphConfig(inputs={"a": int, "b": int}, nodes=nodes)) as graph:
        x, y = graph.output("x"), graph.output("y")
        for payload, timestamp in [(1, 0), (2, 1)]:
            graph.add("a", payload, timestamp)
        assert pairs(x.drain()) == [(1, 0), (3, 1)]
        graph.add("b", 5, 0)
        assert pairs(y.drain()) == [(5, 0)]


@pytest.mark.parametrize("threads", [0, 1, 2, 4])
def test_a_loop_without_loopback_runs_and_ends(threads: int) -> None:
    """What still goes round when the inputs have ended is handled, before the loop is closed."""
    nodes = [
        Node(Echo(), inputs=["in", BackEdge("past")], outputs="out"),
        Node(Delay(3, start=0), inputs="out", outputs="past"),
    ]
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), threads=threads) as graph:
        out, past = graph.output("out"), graph.output("past")
        for number in range(6):
            graph.add("in", 1, number)
        graph.close_input()
        assert pairs(list(out)) == [(1, 0), (1, 1), (1, 2), (2, 3), (2, 4), (2, 5)]
        assert pairs(list(past)) == [(1, 3), (1, 4), (1, 5), (2, 6), (2, 7), (2, 8)]


@pytest.mark.parametrize("threads", [0, 2])
def test_a_loop_without_a_beginning_says_who_waits(threads: int) -> None:
    nodes = [
        Node(Echo(), inputs=["in", BackEdge("past")], outputs="out"),
        Node(Shift(3), inputs="out", outputs="past"),
    ]
    message = (
        "node 'echo', port 'past' waits for stream 'past' .from node 'shift'. at timestamp 7; "
        "it is settled below PreStream"
    )
    with (
        pytest.raises(GraphStuckError, match=message),
        Graph(GraphConfig(inputs={"in": int}, nodes=nodes), threads=threads) as graph,
    ):
        graph.add("in", 1, 7)


@pytest.mark.parametrize(("threads", "lanes"), [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (3, 2)])
def test_what_a_call_did_not_send_is_settled_before_the_next(
    until: Callable[..., Any], threads: int, lanes: int
) -> None:
    """A node that works off a backlog does not hold up a join of what it sends and does not send;
    MediaPipe settles an output behind each call, too.
    """
    order: list[tuple[str, int]] = []

    class Up(Calculator):
        contract = Contract(inputs={"a": int, "b": int}, outputs={"sent": int, "silent": int})

        def process(self, context: Context) -> None:
            timestamp = int(context.timestamp)
            # With a thread to spare for ``Down``, it need not be quick, lest its policy drop a set.
            if timestamp and threads > lanes:
                until(lambda: ("down", timestamp - 1) in order)
            order.append(("up", timestamp))
            context.send("sent", context.get("b"))

    class Down(Calculator):
        contract = Contract(inputs={"sent": int, "silent": int}, policy=FixedSizePolicy())

        def process(self, context: Context) -> None:
            order.append(("down", int(context.timestamp)))

    streams = ["sent", "silent"]
    nodes = [
        Node(Up(), inputs=["a", "b"], outputs=streams, max_in_flight=lanes),
        Node(Down(), inputs=streams),
    ]
    config = GraphConfig(inputs={"a": int, "b": int}, nodes=nodes)
    with Graph(config, threads=threads) as graph:
        for timestamp in range(5):
            graph.add("b", timestamp, timestamp)
        graph.close_input("a")
    downs = [timestamp for node, timestamp in order if node == "down"]
    assert downs == list(range(5))
    if lanes == 1 and threads < 2:
        assert order == [(node, timestamp) for timestamp in range(5) for node in ("up", "down")]
