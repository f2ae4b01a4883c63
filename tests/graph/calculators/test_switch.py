"""The switch, held to a dictionary of which choice is selected at each timestamp."""

import pytest
from graph_parts import Keep, Log, Numbers, Residue, Shift, pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from node_runs import BOUND, one_node, run_node

from handheld.errors import CalculatorError, InputError
from handheld.graph import (
    Calculator,
    ConstantSidePacket,
    Contract,
    FlowLimiter,
    Graph,
    GraphConfig,
    Node,
    PassThrough,
    SwitchDemux,
    SwitchMux,
    Timestamp,
    calculator,
    switch_container,
)

THREADS = pytest.mark.parametrize("threads", [0, 2])
PRE, POST = Timestamp.PRE_STREAM, Timestamp.POST_STREAM

numbers = st.dictionaries(st.integers(0, 12), st.integers(0, 99), max_size=8)
selects = st.dictionaries(st.integers(0, 12), st.integers(0, 2), max_size=5)


def selected_at(select, time, first=0):
    """Return the last selection at a timestamp or before."""
    earlier = [when for when in select if when <= time]
    return select[max(earlier)] if earlier else first


def run(config, feed, *, side=None, threads=0, order=None):
    """Return what comes out; the streams are fed in an order, each as a whole."""
    with Graph(config, side=side or {}, threads=threads) as graph:
        readers = {name: graph.output(name) for name in config.outputs}
        for name in order or sorted(feed):
            for time in sorted(feed[name]):
                graph.add(name, feed[name][time], time)
        graph.close_input()
        return {name: pairs(list(reader)) for name, reader in readers.items()}


@settings(deadline=None)
@given(select=selects, a=numbers, b=numbers, first=st.integers(0, 2))
def test_each_packet_goes_to_the_channel_of_its_time(select, a, b, first):
    demux = SwitchDemux(3, ["a", "b"], initial=first)
    sent, drops = run_node(demux, {"select": select, "a": a, "b": b})
    for channel in range(3):
        for port, packets in (("a", a), ("b", b)):
            expected = [
                (packets[time], time)
                for time in sorted(packets)
                if selected_at(select, time, first) == channel
            ]
            assert sent[f"c{channel}__{port}"] == expected
    assert drops == 0


@settings(deadline=None)
@given(select=selects, a=numbers, b=numbers, c=numbers, first=st.integers(0, 2))
def test_each_output_has_what_the_channel_of_the_time_has(select, a, b, c, first):
    feed = {"select": select, "c0__x": a, "c1__x": b, "c2__x": c}
    channels = (a, b, c)
    expected = []
    for time in range(13):
        packets = channels[selected_at(select, time, first)]
        if time in packets:
            expected.append((packets[time], time))
    sent, drops = run_node(SwitchMux(3, ["x"], initial=first), feed)
    assert sent["x"] == expected
    assert drops == len(a) + len(b) + len(c) - len(expected)


@calculator
def plus_ten(x: int) -> int:
    return x + 10


@calculator
def negated(x: int) -> int:
    return -x


def evens() -> Keep:
    return Keep(Residue(2, {0}))


@settings(deadline=None, max_examples=40)
@given(
    select=selects,
    packets=numbers,
    first=st.integers(0, 2),
    order=st.permutations(["in", "select"]),
)
def test_a_container_gives_what_the_selected_choice_makes_of_each_packet(
    select, packets, first, order
):
    subgraph = GraphConfig(
        inputs={"in": int},
        nodes=[
            Node(negated, inputs="in", outputs="minus"),
            Node(plus_ten, inputs="minus", outputs="out"),
        ],
        outputs=["out"],
    )
    choices = [PassThrough(), evens(), subgraph]
    expected = []
    for time in sorted(packets):
        number = packets[time]
        channel = selected_at(select, time, first)
        if channel == 0 or (channel == 1 and number % 2 == 0):
            expected.append((number, time))
        elif channel == 2:
            expected.append((10 - number, time))
    config = switch_container(choices, initial=first)
    for threads in (0, 2):
        feed = {"in": packets, "select": select}
        assert run(config, feed, threads=threads, order=order) == {"out": expected}


@THREADS
@pytest.mark.parametrize("enable", [False, True])
def test_only_the_selected_choice_gets_packets(enable, threads):
    logs = [Log(), Log()]
    calls = [log.calls for log in logs]
    config = switch_container(logs, control="enable", by_side=True)
    run(config, {"in": {0: "a", 5: "b"}}, side={"enable": enable}, threads=threads)
    chosen, other = calls[enable], calls[not enable]
    assert [call[0] for call in chosen] == ["open", "process", "process", "close"]
    assert [call[0] for call in other] == ["open", "close"]


def test_a_choice_need_not_wait_for_the_others():
    """What is not selected may be late for ever."""

    silent = Contract(inputs={"in": object}, outputs={"out": object}, timestamp_offset=None)
    hole = Log(silent)
    with Graph(switch_container([hole, PassThrough()], initial=1)) as graph:
        reader = graph.output("out")
        graph.close_input("select")
        graph.add("in", "a", 3)
        assert tuple(next(reader)) == ("a", 3)
        assert graph.stats().streams["out"].bound == 4


def test_a_packet_waits_until_the_control_is_settled():
    with Graph(switch_container([PassThrough(), negated_any()])) as graph:
        reader = graph.output("out")
        graph.add("in", 5, 3)
        assert reader.drain() == []
        graph.set_bound("select", 3)
        assert reader.drain() == []
        graph.add("select", 1, 3)
        assert pairs(reader.drain()) == [(-5, 3)]


def negated_any() -> PassThrough:
    class Negated(PassThrough):
        def process(self, context):
            context.send("out", -context.get("in"))

    return Negated()


@THREADS
@pytest.mark.parametrize("at", [PRE, POST])
def test_packets_before_and_after_all_others(at, threads):
    config = switch_container([PassThrough(), negated_any()], initial=1)
    sent = run(config, {"select": {}, "in": {at: 5}}, threads=threads)
    assert sent == {"out": [(-5, at)]}


@THREADS
def test_nothing_and_bounds(threads):
    config = switch_container([PassThrough(), PassThrough()])
    assert run(config, {"select": {}, "in": {}}, threads=threads) == {"out": []}
    demux = SwitchDemux(2, ["x"])
    feed = {"x": {3: BOUND, 9: BOUND}, "select": {5: BOUND}}
    assert run_node(demux, feed, threads=threads) == ({"c0__x": [], "c1__x": []}, 0)


def test_choices_of_other_timestamps():
    """A choice that moves timestamps: what lies in the other's time is not sent."""
    config = switch_container([PassThrough(), Shift(3)])
    feed = {"in": {0: 1, 1: 2, 10: 3, 11: 4}, "select": {0: 1, 2: 0, 5: 1}}
    # 1 and 2 come at 3 and 4, when choice 0 is selected.
    assert run(config, feed) == {"out": [(3, 13), (4, 14)]}


@THREADS
@pytest.mark.parametrize("select", [0, 1])
def test_side_packets_come_of_the_selected_choice(select, threads):
    seen = []

    class Reader(Log):
        def open(self, context):
            seen.append(context.side["model"])

    container = switch_container(
        [ConstantSidePacket({"path": "lite"}), ConstantSidePacket({"path": "full"})], by_side=True
    )
    reader = Reader(Contract(inputs={"in": object}, side_inputs={"model": str}))
    config = GraphConfig(
        inputs={"in": object},
        side_inputs={"select": int},
        nodes=[
            Node(container, side_inputs={"select": "select"}, side_outputs={"path": "model"}),
            Node(reader, inputs="in", side_inputs="model"),
        ],
    )
    with Graph(config, side={"select": select}, threads=threads) as graph:
        graph.add("in", 0, 0)
    assert seen == [("lite", "full")[select]]


def test_sources_may_be_choices():
    config = switch_container([Numbers(3), Numbers(2, step=10)], initial=1)
    assert run(config, {"select": {}}) == {"out": [(0, 0), (1, 10)]}


def test_ports_that_choices_can_do_without():
    limiter = FlowLimiter()
    config = switch_container([limiter, limiter], without=["max_in_flight", "finished"])
    assert list(config.inputs) == ["select", "in"]
    assert config.side_inputs == {}


@pytest.mark.parametrize("select", [-1, 2])
def test_a_number_out_of_range(select):
    for switch, port in ((SwitchDemux(2, ["x"]), "x"), (SwitchMux(2, ["x"]), "c0__x")):
        with pytest.raises(CalculatorError, match=f"a channel of 0 to 1, got {select}"):
            run_node(switch, {"select": {0: select}, port: {0: "a"}})


def test_options_out_of_range():
    with pytest.raises(InputError, match="number of choices: expected a whole number of 1 or more"):
        switch_container([])
    with pytest.raises(InputError, match=r"initial: expected a whole number in \[0, 1\], got 2"):
        switch_container([PassThrough(), PassThrough()], initial=2)


def test_a_long_run_keeps_no_history():
    demux = SwitchDemux(2, ["x"])
    with Graph(one_node(demux, ["select", "x"])) as graph:
        for time in range(1000):
            graph.add("select", time % 2, time)
            graph.add("x", time, time)
        [node] = [node for node in graph._scheduler.by_rank.values() if node.name == "node"]
        assert len(node.calculator._channels._times) <= 2


@THREADS
def test_a_silent_control_holds_nothing_back_where_selection_is_asynchronous(threads):
    config = switch_container([plus_ten, negated], async_selection=True)
    with Graph(config, threads=threads) as graph:
        out = graph.output("out", timeout=20.0)
        for time, select in ((1, None), (2, 1), (4, None), (5, 0), (6, None)):
            if select is not None:
                graph.add("select", select, time)
                graph.wait_settled(time, ["select"])
                continue
            graph.add("x", time, time)
            assert next(out) == ({1: 11, 4: -4, 6: 16}[time], time)


def test_what_was_selected_too_late_counts_from_then_on():
    config = switch_container([plus_ten, negated], async_selection=True)
    with Graph(config) as graph:
        out = graph.output("out")
        graph.add("x", 5, 5)
        graph.add("select", 1, 3)
        graph.add("x", 6, 6)
        assert pairs(out.drain()) == [(15, 5), (-6, 6)]


@settings(deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from("abs"), st.integers(0, 2)), max_size=30),
    first=st.integers(0, 2),
    threads=st.sampled_from([0, 2]),
)
def test_nothing_is_lost_or_doubled_where_selection_is_asynchronous(steps, first, threads):
    """Each packet comes out once, of one choice; of two inputs at one time, of the same choice."""
    choices = [
        GraphConfig(
            inputs={"a": object, "b": object},
            outputs=["x", "y"],
            nodes=[Node(Tag(n), "a", "x", name="x"), Node(Tag(n), "b", "y", name="y")],
        )
        for n in range(3)
    ]
    config = switch_container(choices, async_selection=True, initial=first)
    times = dict.fromkeys("abs", 0)
    fed = {"a": [], "b": []}
    with Graph(config, threads=threads) as graph:
        readers = [graph.output("x"), graph.output("y")]
        for name, value in steps:
            times[name] += 1 + value
            graph.add("select" if name == "s" else name, value, times[name])
            if name != "s":
                fed[name].append(times[name])
        graph.close_input()
        x, y = ({int(p.timestamp): p.payload for p in reader} for reader in readers)
    assert [list(x), list(y)] == [fed["a"], fed["b"]]
    assert all(x[time] == y[time] for time in x.keys() & y.keys())


def test_ports_may_be_called_as_those_of_the_switch():
    choice = GraphConfig(
        inputs={"selected": object}, outputs=["select"], nodes=[Node(Tag(7), "selected", "select")]
    )
    with Graph(switch_container([choice], control="enable", async_selection=True)) as graph:
        out = graph.output("select")
        graph.add("selected", 1, 1)
        assert pairs(out.drain()) == [(7, 1)]


class Tag(Calculator):
    contract = Contract(inputs={"in": object}, outputs={"out": int})

    def __init__(self, number):
        self.number = number

    def process(self, context):
        context.send("out", self.number)
