# ruff: noqa: PT012  (a graph may raise when its block is left, so the block stands inside)

"""Input policies, each against what its description says of whole streams."""

from collections.abc import Sequence
from typing import Any

import pytest
from graph_parts import Call, Log, Numbers, pairs
from hypothesis import given
from hypothesis import strategies as st

from handheld.errors import CalculatorError, GraphValidationError, InputError
from handheld.graph import (
    BarrierPolicy,
    Context,
    Contract,
    DefaultPolicy,
    EarlyClosePolicy,
    FixedSizePolicy,
    Graph,
    GraphConfig,
    InputPolicy,
    InputQueue,
    MuxPolicy,
    Node,
    Packet,
    PassThrough,
    Synchroniser,
    TimestampAlignPolicy,
)

Feed = Sequence[tuple[str, int]]
TWO = Contract(inputs={"a": object, "b": object}, outputs={"out": object}, timestamp_offset=None)

WAIT_S = 5.0

times = st.lists(st.integers(0, 30), unique=True, max_size=12).map(sorted)


def calls(
    feed: Feed, policy: InputPolicy, contract: Contract = TWO, payloads: Any = None
) -> list[tuple[int, dict[str, Any]]]:
    """Return the calls of a node: the timestamp, and the payload on each port.

    A payload is the packet's own timestamp unless ``payloads`` maps (port, timestamp) to another.
    """
    log = Log(contract)
    ports = list(contract.inputs)
    config = GraphConfig(
        inputs=dict.fromkeys(ports, object), nodes=[Node(log, inputs=ports, policy=policy)]
    )
    with Graph(config) as graph:
        for port, timestamp in feed:
            payload = (payloads or {}).get((port, timestamp), timestamp)
            graph.add(port, payload, timestamp)
    return [call[1:] for call in log.calls if call[0] == "process"]


@st.composite
def feeds(draw: st.DrawFn) -> tuple[list[int], list[int], list[tuple[str, int]]]:
    """Two streams and one order in which their packets arrive."""
    a = draw(times)
    b = draw(times)
    ports = draw(st.permutations(["a"] * len(a) + ["b"] * len(b)))
    waiting = {"a": iter(a), "b": iter(b)}
    return a, b, [(port, next(waiting[port])) for port in ports]


def test_a_batch_is_handled_when_it_is_full_and_the_rest_at_the_end() -> None:
    seen: list[tuple[str, int]] = []

    def note(context: Context) -> None:
        seen.append(("called", int(context.timestamp)))

    contract = Contract(inputs={"in": int}, policy=DefaultPolicy(batch_size=3))
    config = GraphConfig(inputs={"x": int}, nodes=[Node(Call(note, contract), inputs="x")])
    with Graph(config) as graph:
        for timestamp in range(8):
            seen.append(("added", timestamp))
            graph.add("x", timestamp, timestamp)
        seen.append(("end", 8))
    assert seen[:6] == [
        ("added", 0),
        ("added", 1),
        ("added", 2),
        ("called", 0),
        ("called", 1),
        ("called", 2),
    ]
    assert seen[-3:] == [("end", 8), ("called", 6), ("called", 7)]


def test_what_is_settled_on_one_input_alone_fills_no_batch() -> None:
    seen: list[int] = []
    contract = Contract(inputs=TWO.inputs, policy=DefaultPolicy(batch_size=3))
    call = Call(lambda context: seen.append(int(context.timestamp)), contract)
    nodes = [Node(call, inputs=list(TWO.inputs))]
    with Graph(GraphConfig(inputs=dict.fromkeys(TWO.inputs, object), nodes=nodes)) as graph:
        for timestamp in (0, 1, 3):
            graph.add("a", None, timestamp)
        graph.add("b", None, 0)
        assert not seen  # of the three timestamps one is settled on both inputs
        graph.add("b", None, 2)
        assert seen == [0, 1, 2]
    assert seen == [0, 1, 2, 3]


@given(feeds(), st.integers(1, 5))
def test_batches_change_when_a_node_is_called_and_not_with_what(feed: Any, size: int) -> None:
    arrivals = feed[2]
    assert calls(arrivals, DefaultPolicy(size)) == calls(arrivals, DefaultPolicy())


@given(feeds())
def test_a_barrier_pairs_packets_by_their_order(feed: Any) -> None:
    a, b, arrivals = feed
    expected = [(min(x, y), {"a": x, "b": y}) for x, y in zip(a, b, strict=False)]
    assert calls(arrivals, BarrierPolicy()) == expected


@given(feeds(), st.integers(-40, 40))
def test_aligned_clocks_are_moved_by_the_first_packets(feed: Any, origin: int) -> None:
    a, b, arrivals = feed
    moved = {("b", 100 + origin + t): t for t in b}
    feed_of_two_clocks = [(p, 100 + origin + t if p == "b" else t) for p, t in arrivals]
    got = calls(feed_of_two_clocks, TimestampAlignPolicy("a"), payloads=moved)
    if not a or not b:
        # The other clock is never known, so what it sends is never handed over.
        assert got == [(t, {"a": t}) for t in a]
        return
    # Until b had its first packet, those of a came alone; the next one of both is simultaneous.
    seen_b = arrivals.index(("b", b[0]))
    early = [t for p, t in arrivals[:seen_b] if p == "a"]
    late = a[len(early) :]
    expected = {t: {"a": t} for t in a}
    if late:
        for t in b:
            expected.setdefault(t - b[0] + late[0], {})["b"] = t
    assert got == sorted(expected.items())


def test_an_early_close_ends_with_the_first_input() -> None:
    log = Log(TWO)
    config = GraphConfig(
        inputs={"a": int, "b": int},
        nodes=[Node(log, inputs=["a", "b"], policy=EarlyClosePolicy())],
    )
    with Graph(config) as graph:
        graph.add("a", 0, 0)
        graph.add("b", 0, 0)
        graph.add("a", 1, 1)
        graph.close_input("b")
        assert log.calls[-2:] == [("process", 0, {"a": 0, "b": 0}), ("close",)]
        graph.add("a", 2, 2)  # to a node that is closed
    assert log.calls[-1] == ("close",)


def test_without_early_close_the_same_node_goes_on() -> None:
    log = Log(TWO)
    config = GraphConfig(inputs={"a": int, "b": int}, nodes=[Node(log, inputs=["a", "b"])])
    with Graph(config) as graph:
        graph.add("a", 0, 0)
        graph.close_input("b")
        graph.add("a", 1, 1)
    assert [call[1] for call in log.calls if call[0] == "process"] == [0, 1]


MUX = Contract(inputs={"select": int, "in0": object, "in1": object}, timestamp_offset=None)


@given(times, times, times, st.randoms(use_true_random=False))
def test_a_mux_waits_for_the_selected_input_alone(
    select: list[int], first: list[int], second: list[int], random: Any
) -> None:
    streams = {"select": select, "in0": first, "in1": second}
    ports = [port for port, stream in streams.items() for _ in stream]
    random.shuffle(ports)
    waiting = {port: iter(stream) for port, stream in streams.items()}
    arrivals = [(port, next(waiting[port])) for port in ports]
    numbers = {t: random.randrange(2) for t in select}
    payloads = {("select", t): number for t, number in numbers.items()}
    expected = []
    for t in select:
        packets = {"select": numbers[t]}
        if t in streams[f"in{numbers[t]}"]:
            packets[f"in{numbers[t]}"] = t
        expected.append((t, packets))
    assert calls(arrivals, MuxPolicy(), MUX, payloads) == expected


def test_a_mux_does_not_wait_for_what_is_not_selected() -> None:
    log = Log(MUX)
    config = GraphConfig(
        inputs=dict.fromkeys(MUX.inputs, object),
        nodes=[Node(log, inputs=list(MUX.inputs), policy=MuxPolicy())],
    )
    with Graph(config) as graph:
        graph.add("in1", "picked", 5)
        graph.add("select", 1, 5)
        assert log.calls[-1] == ("process", 5, {"select": 1, "in1": "picked"})


def fixed(feed: Feed, policy: FixedSizePolicy) -> tuple[list[int], int]:
    """Feed a node whose first call waits until all is fed; return its calls and its drops."""
    seen: list[int] = []

    def note(context: Context) -> None:
        if not seen:
            for port, timestamp in feed:
                graph.add(port, timestamp, timestamp)
        seen.append(int(context.timestamp))

    nodes = [Node(Call(note, TWO), inputs=["a", "b"], policy=policy, name="slow")]
    config = GraphConfig(inputs={"a": int, "b": int}, nodes=nodes)
    with Graph(config) as graph:
        graph.add("a", 0, 0)
        graph.add("b", 0, 0)
        graph.wait()
        return seen, graph.stats().nodes["slow"].drops


def test_a_fixed_size_queue_drops_the_same_timestamps_on_every_input() -> None:
    feed = [(port, t) for t in range(1, 11) for port in ("a", "b")]
    # Nine of ten went while the node was busy, on both inputs.
    assert fixed(feed, FixedSizePolicy()) == ([0, 10], 18)
    # Of four, two stay: 3 and 4, then 5 and 6, ...
    policy = FixedSizePolicy(trigger_queue_size=4, target_queue_size=2)
    assert fixed(feed, policy) == ([0, 9, 10], 16)


def test_with_a_fixed_least_size_a_late_input_loses_nothing() -> None:
    feed = [*(("a", t) for t in range(1, 11)), ("b", 1), ("b", 2)]
    # By default what b sends came too late, as a has dropped its partners already.
    seen, _ = fixed(feed, FixedSizePolicy())
    assert 1 not in seen
    seen, drops = fixed(feed, FixedSizePolicy(fixed_min_size=True))
    # All but the newest of b's two, and the same timestamps of a.
    assert seen == [0, *range(2, 11)]
    assert drops == 2


@given(feeds())
def test_a_fixed_size_queue_never_holds_back_its_sources(feed: Any) -> None:
    log = Log(TWO)
    config = GraphConfig(
        inputs={"a": int, "b": int},
        nodes=[Node(log, inputs=["a", "b"], policy=FixedSizePolicy(), name="node")],
    )
    with Graph(config, max_queue_size=1) as graph:
        for port, timestamp in feed[2]:
            assert graph.try_add(port, timestamp, timestamp)
            queues = graph.stats().nodes["node"].queues
            assert max(queue.length for queue in queues.values()) <= 2
    at = [call[1] for call in log.calls if call[0] == "process"]
    assert at == sorted(set(at))


def test_a_reset_keeps_the_count_of_what_a_policy_dropped() -> None:
    config = GraphConfig(
        inputs={"a": int, "b": int},
        nodes=[Node(Log(TWO), inputs=["a", "b"], policy=FixedSizePolicy(), name="node")],
    )
    with Graph(config) as graph:
        for timestamp in range(4):
            graph.add("a", timestamp, timestamp)
        assert graph.stats().drops == 3
        graph.reset()
        assert graph.stats().drops == 3
        graph.add("a", 0, 0)
        graph.add("a", 1, 1)
        assert graph.stats().drops == 4


class NewestOnly(InputPolicy):
    """The example of the guide: of all that waits, the newest timestamp alone."""

    def synchroniser(self, queues: Sequence[InputQueue]) -> Synchroniser:
        return NewestSynchroniser(queues)


class NewestSynchroniser(Synchroniser):
    def take(self, timestamp: int) -> dict[str, Packet[Any]]:
        self.drop_below(max(queue.queue[-1].timestamp for queue in self.queues if queue.queue))
        return {queue.port: queue.pop() for queue in self.queues if queue.queue}


def test_a_policy_of_ones_own() -> None:
    seen: list[Any] = []

    def note(context: Context) -> None:
        if not seen:
            for timestamp in range(1, 5):
                graph.add("x", timestamp, timestamp)
        seen.append(context.get("in"))

    contract = Contract(inputs={"in": int}, policy=NewestOnly())
    config = GraphConfig(inputs={"x": int}, nodes=[Node(Call(note, contract), inputs="x")])
    with Graph(config) as graph:
        graph.add("x", 0, 0)
        graph.wait()
        assert graph.stats().drops == 3
    assert seen == [0, 4]


class Broken(InputPolicy):
    """A policy whose synchroniser raises in one of its methods."""

    def __init__(self, method: str) -> None:
        self.method = method

    def synchroniser(self, queues: Sequence[InputQueue]) -> Synchroniser:
        made = Synchroniser(queues)
        made.drops_on_arrival = 1
        setattr(made, self.method, _refuse_packets(made, getattr(made, self.method)))
        return made


def _refuse_packets(synchroniser: Synchroniser, method: Any) -> Any:
    def refuse(*arguments: Any) -> Any:
        if any(queue.queue for queue in synchroniser.queues):
            raise ValueError("not this one")
        return method(*arguments)

    return refuse


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("method", ["next", "take", "trim"])
def test_a_policy_that_raises_ends_the_graph_and_is_named(method: str, threads: int) -> None:
    nodes = [
        Node(PassThrough(), inputs="x", outputs="y"),
        Node(Log(TWO), inputs=["y", "z"], policy=Broken(method), name="joins"),
    ]
    config = GraphConfig(inputs={"x": int, "z": int}, nodes=nodes)
    with (
        pytest.raises(CalculatorError, match=r"node 'joins' failed.*not this one"),
        Graph(config, threads=threads) as graph,
    ):
        graph.add("x", 0, 0)
        graph.add("z", 0, 0)
        graph.wait(timeout=WAIT_S)


@pytest.mark.parametrize("order", [ValueError("not mine"), None])
@pytest.mark.parametrize("threads", [0, 2])
def test_a_source_that_cannot_say_whether_it_is_next_ends_the_graph(
    order: Any, threads: int
) -> None:
    class Unordered(Numbers):
        def source_order(self, context: Context) -> int:
            if isinstance(order, Exception):
                raise order
            return order

    nodes = [Node(Unordered(3), outputs="a", name="a"), Node(Unordered(3), outputs="b")]
    with (
        pytest.raises(CalculatorError, match="node 'a' failed"),
        Graph(GraphConfig(nodes=nodes), threads=threads) as graph,
    ):
        graph.wait(timeout=WAIT_S)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (MuxPolicy("selct"), "its input policy names port 'selct'; did you mean 'select'"),
        (TimestampAlignPolicy("c"), "its input policy names port 'c'"),
    ],
)
def test_a_policy_names_ports_that_exist(policy: InputPolicy, message: str) -> None:
    ports = list(MUX.inputs)
    nodes = [Node(Log(MUX), inputs=ports, policy=policy)]
    with pytest.raises(GraphValidationError, match=message):
        Graph(GraphConfig(inputs=dict.fromkeys(ports, object), nodes=nodes))


def test_a_policy_needs_its_port_connected() -> None:
    contract = Contract(inputs=MUX.inputs, optional=frozenset({"select"}), policy=MuxPolicy())
    nodes = [Node(Log(contract), inputs={"in0": "x", "in1": "x"})]
    with pytest.raises(GraphValidationError, match="needs port 'select', which is not connected"):
        Graph(GraphConfig(inputs={"x": object}, nodes=nodes))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DefaultPolicy(batch_size=0), "batch_size"),
        (lambda: FixedSizePolicy(trigger_queue_size=1), "trigger_queue_size"),
        (lambda: FixedSizePolicy(trigger_queue_size=3, target_queue_size=3), "target_queue_size"),
    ],
)
def test_sizes_are_checked(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_a_mux_whose_number_is_out_of_range_calls_the_node_which_says_so() -> None:
    def refuse(context: Context) -> None:
        raise InputError(f"no input {context.get('select')}")

    nodes = [Node(Call(refuse, MUX), inputs=list(MUX.inputs), policy=MuxPolicy())]
    with (
        pytest.raises(CalculatorError, match="no input 7"),
        Graph(GraphConfig(inputs=dict.fromkeys(MUX.inputs, object), nodes=nodes)) as graph,
    ):
        graph.add("select", 7, 0)


def test_packets_of_an_aligned_input_carry_the_common_timestamp() -> None:
    seen: list[Any] = []
    contract = Contract(inputs=TWO.inputs, policy=TimestampAlignPolicy("a"))
    call = Call(lambda context: seen.append(pairs(list(context.inputs.values()))), contract)
    config = GraphConfig(inputs={"a": str, "b": str}, nodes=[Node(call, inputs=["a", "b"])])
    with Graph(config) as graph:
        graph.add("b", "b0", 1_000_000)
        graph.add("a", "a0", 0)
        graph.add("a", "a1", 10)
        graph.add("b", "b1", 1_000_010)
    assert seen == [[("a0", 0), ("b0", 0)], [("a1", 10), ("b1", 10)]]


def test_a_batch_fits_into_its_queues() -> None:
    """With room for fewer, every batch would be a deadlock that a queue has to grow for."""
    nodes = [Node(PassThrough(), inputs="x", outputs="y", policy=DefaultPolicy(batch_size=5))]
    with Graph(GraphConfig(inputs={"x": int}, nodes=nodes), max_queue_size=2) as graph:
        for timestamp in range(5):
            graph.add("x", timestamp, timestamp)
        assert graph.stats().streams["y"].packets == 5
