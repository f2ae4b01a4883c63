"""Random graphs whose result is determined: every kind of node, wired at random, fed at random."""

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from graph_parts import (
    Burst,
    Delay,
    Echo,
    FirstAsSide,
    Join,
    Keep,
    Numbers,
    PlusSide,
    Residue,
    Shift,
    SideNumbers,
    TwoLanes,
)
from hypothesis import strategies as st

from handheld.graph import (
    BackEdge,
    BeginLoop,
    ConcatenateVector,
    Counter,
    DefaultValue,
    EndLoop,
    Gate,
    Graph,
    GraphConfig,
    GraphWarning,
    ImmediateMux,
    Merge,
    Mux,
    Node,
    PacketCloner,
    PacketInnerJoin,
    PacketPresence,
    PacketResampler,
    PacketThinner,
    PassThrough,
    PreviousLoopback,
    RoundRobinDemux,
    SequenceShift,
    calculator,
    stream_names,
    switch_container,
)

Trace = dict[str, list[tuple[Any, int]]]


@dataclass(frozen=True)
class Recipe:
    """A random graph: steps (kind, two numbers, three picks among the streams so far) and what is
    fed: (input, time step).
    """

    inputs: int
    sources: tuple[tuple[int, int], ...]
    steps: tuple[tuple[str, int, int, tuple[int, int, int]], ...]
    feed: tuple[tuple[int, int, bool], ...]
    max_queue_size: int

    def config(self) -> GraphConfig:
        """Build the graph, with calculators of its own."""
        streams = [f"i{number}" for number in range(self.inputs)]
        nodes = []
        for number, (count, step) in enumerate(self.sources):
            nodes.append(Node(Numbers(count, step), outputs=f"s{number}"))
            streams.append(f"s{number}")
        for number, (kind, x, y, picks) in enumerate(self.steps):
            chosen = [streams[pick % len(streams)] for pick in picks]
            made, new = KINDS[kind](f"{kind}{number}", x, y, chosen)
            nodes += made
            streams += new
        return GraphConfig(
            inputs={f"i{n}": int for n in range(self.inputs)}, nodes=nodes, outputs=streams
        )

    def run(self, threads: int, place: Callable[[int], str] | None = None, **more: Any) -> Trace:
        """Run the graph and return every packet of every stream.

        ``place`` names the executor of the n-th node.
        """
        config = self.config()
        if place is not None:
            nodes = [replace(n, executor=place(i)) for i, n in enumerate(config.nodes)]
            config = replace(config, nodes=nodes)
        # How many bounds, and so ends of no list, reach a loop depends on the run; nothing else
        # does.
        trace: Trace = {
            stream: [] for stream in stream_names(config) if not stream.endswith("_end")
        }
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", GraphWarning
            )  # small queues grow, and that must not change the result
            size = self.max_queue_size
            with Graph(config, threads=threads, max_queue_size=size, **more) as graph:
                for stream, packets in trace.items():
                    graph.observe(
                        stream,
                        lambda p, packets=packets: packets.append((p.payload, int(p.timestamp))),
                    )
                times = [0] * self.inputs
                for payload, (number, step, only_bound) in enumerate(self.feed):
                    name = number % self.inputs
                    times[name] += step
                    if only_bound:
                        graph.set_bound(f"i{name}", times[name])
                    else:
                        graph.add(f"i{name}", payload, times[name])
                        times[name] += 1
                graph.wait()
        return trace

    def run_with_callers(self, threads: int) -> Trace:
        """Run it with a thread for each input and two threads that each read half of the streams,
        one after the other.
        """
        config = self.config()
        names = [stream for stream in stream_names(config) if not stream.endswith("_end")]
        trace: Trace = {}
        ready = threading.Barrier(3)

        def feed(graph: Graph, name: int) -> None:
            time = 0
            for payload, (number, step, only_bound) in enumerate(self.feed):
                if number % self.inputs == name:
                    time += step
                    if only_bound:
                        graph.set_bound(f"i{name}", time)
                    else:
                        graph.add(f"i{name}", payload, time)
                        time += 1
            graph.close_input(f"i{name}")

        def read(graph: Graph, half: int) -> None:
            readers = {name: graph.output(name) for name in names[half::2]}
            ready.wait()
            trace.update(
                {
                    name: [(p.payload, int(p.timestamp)) for p in reader]
                    for name, reader in readers.items()
                }
            )

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GraphWarning)
            with (
                Graph(config, threads=threads, max_queue_size=self.max_queue_size) as graph,
                ThreadPoolExecutor(4) as callers,
            ):
                tasks = [callers.submit(read, graph, half) for half in (0, 1)]
                ready.wait()
                tasks += [callers.submit(feed, graph, name) for name in range(self.inputs)]
                for task in tasks:
                    task.result()
        return {name: trace[name] for name in names}


Made = tuple[list[Node], list[str]]


@calculator
def is_even(number: int) -> bool:
    return number % 2 == 0


@calculator
def pick_of_two(number: int) -> int:
    return number % 2


@calculator
def some_items(number: int) -> list[int]:
    return [number * 10 + item for item in range(number % 4)]


@calculator
def total(items: list[Any]) -> int:
    return sum(items) + len(items)


@calculator
def next_number(number: int) -> int:
    return number + 1


def _one(
    make: Callable[[int, int], Any], arity: int = 1
) -> Callable[[str, int, int, list[str]], Made]:
    def build(name: str, x: int, y: int, streams: list[str]) -> Made:
        return [Node(make(x, y), inputs=streams[:arity], outputs=name, name=f"n_{name}")], [name]

    return build


def _gate(name: str, x: int, y: int, streams: list[str]) -> Made:
    allow = name + "_allow"
    gate = Gate(open_at_first=bool(x % 2))
    return [
        Node(is_even, inputs=streams[0], outputs=allow),
        Node(gate, inputs=[streams[1], allow], outputs=name),
    ], [name]


def _mux(name: str, x: int, y: int, streams: list[str]) -> Made:
    select = name + "_select"
    return [
        Node(pick_of_two, inputs=streams[0], outputs=select),
        Node(Mux(), inputs=[select, *streams[1:]], outputs=name),
    ], [name]


def _previous(name: str, x: int, y: int, streams: list[str]) -> Made:
    previous, kept = name + "_previous", name + "_kept"
    nodes = [
        Node(
            PreviousLoopback(),
            inputs={"main": streams[0], "loop": BackEdge(kept)},
            outputs=previous,
        ),
        Node(Join(2), inputs=[streams[0], previous], outputs=name),
        Node(Keep(Residue(x + 2, range(1, x + 2))), inputs=name, outputs=kept),
    ]
    return nodes, [name, previous]


def _echo(name: str, x: int, y: int, streams: list[str]) -> Made:
    past = name + "_past"
    nodes = [
        Node(Echo(), inputs=[streams[0], BackEdge(past)], outputs=name),
        Node(Delay(x + 1, start=-100), inputs=name, outputs=past),
    ]
    return nodes, [name, past]


def _loop(name: str, x: int, y: int, streams: list[str]) -> Made:
    items, item, cloned, end, done, result = (
        f"{name}_{part}" for part in ("items", "item", "cloned", "end", "done", "result")
    )
    with_clone = {"clone": streams[1]} if x % 2 else {}
    nodes = [
        Node(some_items, inputs=streams[0], outputs=items),
        Node(
            BeginLoop(),
            inputs={"items": items, **with_clone},
            outputs={"item": item, "cloned": cloned, "batch_end": end},
        ),
        Node(Keep(Residue(3, {0, 1, 2} - {y % 3})), inputs=item, outputs=done),
        Node(EndLoop(), inputs={"item": done, "batch_end": end}, outputs=result),
        Node(total, inputs=result, outputs=name),
    ]
    return (
        nodes,
        [name],
        # not the items: their times are so far apart that an echo would take a million steps to the
        # next
    )


def _subgraph(name: str, x: int, y: int, streams: list[str]) -> Made:
    inner = GraphConfig(
        inputs={"a": int, "b": int},
        outputs=["sum"],
        nodes=[
            Node(next_number, inputs="a", outputs="c"),
            Node(Join(2), inputs=["c", "b"], outputs="sum"),
        ],
    )
    return [Node(inner, inputs=streams[:2], outputs=name, name=f"sub_{name}")], [name]


def _many_at_once(name: str, x: int, y: int, streams: list[str]) -> Made:
    keep = Keep(Residue(2 + x % 3, {y % 2}))
    return [Node(keep, inputs=streams[0], outputs=name, max_in_flight=2 + x % 3)], [name]


def _lanes(name: str, x: int, y: int, streams: list[str]) -> Made:
    return [Node(TwoLanes(), inputs=streams[:2], outputs=[name + "a", name + "b"])], [
        name + "a",
        name + "b",
    ]


def _switch(name: str, x: int, y: int, streams: list[str]) -> Made:
    select = name + "_select"
    choices = [PassThrough(), Keep(Residue(2 + x % 3, {y % 2})), Shift(y)]
    return [
        Node(pick_of_two, inputs=streams[0], outputs=select),
        Node(
            switch_container(choices[: 2 + x % 2], initial=y % 2),
            inputs={"select": select, "in": streams[1]},
            outputs=name,
            name=f"switch_{name}",
        ),
    ], [name]


def _late_side(name: str, x: int, y: int, streams: list[str]) -> Made:
    side = f"{name}_side"
    numbers = f"{name}_numbers"
    return [
        Node(
            PlusSide(), inputs=streams[1], outputs=name, side_inputs=side, max_in_flight=1 + y % 3
        ),
        Node(FirstAsSide(at_close=bool(x % 2)), inputs=streams[0], side_outputs=side),
        Node(SideNumbers(), outputs=numbers, side_inputs=side),
    ], [name, numbers]


def _shared(name: str, x: int, y: int, streams: list[str]) -> Made:
    select, *parts = (f"{name}_{part}" for part in ("select", "a", "b", "a2", "b2"))
    first, second, first_done, second_done = parts
    return [
        Node(RoundRobinDemux(2), inputs=streams[0], outputs=[first, second, select]),
        Node(PassThrough(), inputs=first, outputs=first_done),
        Node(Keep(Residue(2 + x % 3, {y % 2})), inputs=second, outputs=second_done),
        Node(Mux(), inputs=[select, first_done, second_done], outputs=name),
    ], [name, first, second]


def _inner_join(name: str, x: int, y: int, streams: list[str]) -> Made:
    outputs = [name + "a", name + "b"]
    return [Node(PacketInnerJoin(2), inputs=streams[:2], outputs=outputs)], outputs


def _concatenated(name: str, x: int, y: int, streams: list[str]) -> Made:
    both = name + "_both"
    return [
        Node(
            ConcatenateVector(2, only_emit_if_all_present=bool(x % 2)),
            inputs=streams[:2],
            outputs=both,
        ),
        Node(total, inputs=both, outputs=name),
    ], [name]


def _resampler(x: int, y: int) -> PacketResampler:
    # Periods of a few microseconds, as far apart as the packets here.
    rate = 1_000_000 / (x + 2)
    if y < 5:
        return PacketResampler(frame_rate=rate, flush_last_packet=bool(y % 2))
    return PacketResampler(frame_rate=rate, jitter=0.5, jitter_with_reflection=y > 7, seed=y)


def _thinner(x: int, y: int) -> PacketThinner:
    if y % 2:
        return PacketThinner(period=x + 1)
    return PacketThinner(
        thinner_type="sync", period=x + 1, start_time=-100, sync_output_timestamps=y > 5
    )


KINDS: dict[str, Callable[[str, int, int, list[str]], Made]] = {
    "pass": _one(lambda x, y: PassThrough()),
    "many": _many_at_once,
    "keep": _one(lambda x, y: Keep(Residue(2 + x % 3, {y % 2}))),
    "shift": _one(lambda x, y: Shift(x - 4)),
    "undeclared": _one(lambda x, y: Shift(y, declared=False)),
    "burst": _one(lambda x, y: Burst()),
    "join2": _one(lambda x, y: Join(2), 2),
    "join3": _one(lambda x, y: Join(3), 3),
    "merge": _one(lambda x, y: Merge(), 2),
    "cloner": _one(lambda x, y: PacketCloner(), 2),
    "gate": _gate,
    "resample": _one(_resampler),
    "thin": _one(_thinner),
    "sequence": _one(lambda x, y: SequenceShift(x % 5 - 2)),
    "count": _one(lambda x, y: Counter(start=y)),
    "presence": _one(lambda x, y: PacketPresence(ticks=True), 2),
    "default": _one(lambda x, y: DefaultValue(x), 2),
    "merged": _one(lambda x, y: ImmediateMux(2, immediate=False), 2),
    "inner_join": _inner_join,
    "concatenated": _concatenated,
    "shared": _shared,
    "switch": _switch,
    "late_side": _late_side,
    "mux": _mux,
    "previous": _previous,
    "echo": _echo,
    "loop": _loop,
    "subgraph": _subgraph,
    "lanes": _lanes,
}

_small = st.integers(0, 9)
_steps = st.tuples(
    st.sampled_from(sorted(KINDS)), _small, _small, st.tuples(*[st.integers(0, 99)] * 3)
)
recipes = st.builds(
    Recipe,
    inputs=st.integers(1, 2),
    sources=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5)), max_size=2).map(tuple),
    steps=st.lists(_steps, min_size=2, max_size=7).map(tuple),
    feed=st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 6), st.booleans()), min_size=3, max_size=14
    ).map(tuple),
    max_queue_size=st.sampled_from([1, 2, 3, 100]),
)
