"""Why a graph stands still, of the state of its scheduler."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import combinations

from handheld.graph._scheduler import Scheduler
from handheld.graph._state import CLOSED, QUEUED, RECENT, RUNNING, UNOPENED, Edge, RunNode
from handheld.graph.explanation import (
    AwaitedSidePacket,
    GraphExplanation,
    InputState,
    NodeState,
    StreamTimes,
    UnmetInputs,
)
from handheld.graph.function import FunctionCalculator
from handheld.graph.policies import Synchroniser
from handheld.graph.stats import Waiting
from handheld.graph.timestamp import Timestamp

_WORDS = {QUEUED: "queued", RUNNING: "running", CLOSED: "closed"}


def explain(scheduler: Scheduler) -> GraphExplanation:
    """Return the state of every node; the caller holds the executor's lock."""
    nodes = list(scheduler.by_rank.values())
    throttled = []
    for name, source in scheduler.inputs.items():
        if source.blocked:
            throttled.append((name, _names(scheduler.holding([source]))))
    unmet: list[UnmetInputs] = []
    for node in nodes:
        unmet += unmet_inputs(node)
    return GraphExplanation(
        nodes=tuple(_node_state(scheduler, node) for node in nodes),
        throttled=tuple(throttled),
        unmet=tuple(unmet),
        error="" if scheduler.error is None else str(scheduler.error),
    )


def awaited_sides(scheduler: Scheduler, node: RunNode) -> list[AwaitedSidePacket]:
    """Return the side packets without which a node does not open."""
    if node.state != UNOPENED:
        return []
    awaited: list[AwaitedSidePacket] = []
    for port, side_packet in scheduler.missing_sides(node).items():
        producer = scheduler.plan.sides[side_packet].node
        awaited.append(
            AwaitedSidePacket(
                node=node.name,
                port=port,
                side_packet=side_packet,
                producer=producer,
                ended=_is_closed(scheduler, producer),
            )
        )
    return awaited


def _is_closed(scheduler: Scheduler, name: str) -> bool:
    return any(n.name == name and n.state == CLOSED for n in scheduler.by_rank.values())


def waits_of(node: RunNode) -> Iterator[Waiting]:
    """Return for which streams a node waits, at which timestamp."""
    edges = {edge.port: edge for edge in node.inputs}
    for sync_set in node.sync_sets:
        packet, _ = sync_set.next()
        has_packet = packet != Timestamp.DONE
        for edge in [edges[queue.port] for queue in sync_set.queues]:
            stream = edge.stream
            # Settled up to the packet, or at its end, an input is not what the node waits for.
            if edge.queue or stream.bound > min(packet, Timestamp.POST_STREAM):
                continue
            # Nothing comes around a loop into which nothing went.
            if edge.back and not has_packet:
                continue
            yield Waiting(
                node=node.name,
                port=edge.port,
                stream=stream.name,
                producer=stream.producer,
                timestamp=Timestamp(packet) if has_packet else None,
                bound=Timestamp(stream.bound),
            )


def unmet_inputs(node: RunNode) -> list[UnmetInputs]:
    """Return the pairs of joined inputs that had packets, but no timestamp in common."""
    apart = _is_apart(node)
    unmet = []
    for sync_set in node.joins():
        # What still waits in a queue may yet meet what comes.
        joined = [edge for edge in _needed(node, sync_set) if _taken(edge)]
        for one, other in combinations(joined, 2):
            nearest = _nearest(one, other)
            if nearest and (apart or _is_whole(one, other)):
                unmet.append(UnmetInputs(node.name, _times(one), _times(other), nearest))
    return unmet


def _is_apart(node: RunNode) -> bool:
    """Whether each call of a node had a packet of one input alone, however long it runs.

    Counted, so that nothing has to be remembered while it runs: two packets that met were taken
    by one call.
    """
    if node.process_bounds:  # called without packets too
        return False
    if node.flying:  # whose calls are not counted yet
        return False
    calls = node.calls - (node.state == CLOSED) + (node.state == RUNNING)
    taken = sum(map(_taken, node.inputs))
    dropped = sum(sync_set.dropped for sync_set in node.sync_sets)
    return calls >= taken - dropped


def _taken(edge: Edge) -> int:
    """Return how many packets have left a queue, into a call or dropped."""
    return edge.stream.packets - len(edge.queue)


def _is_whole(one: Edge, other: Edge) -> bool:
    """Whether all packets of both are remembered, so that none of them can have met before."""
    return one.stream.packets <= RECENT and other.stream.packets <= RECENT


def _needed(node: RunNode, sync_set: Synchroniser) -> list[Edge]:
    """Return the inputs of a set that are meant to meet: of a function, those that it needs."""
    ports = {queue.port for queue in sync_set.queues}
    calculator = node.calculator
    if isinstance(calculator, FunctionCalculator):
        ports.intersection_update(calculator.required)
    return [edge for edge in node.inputs if edge.port in ports]


def _nearest(one: Edge, other: Edge) -> int | None:
    """Return the least distance of their remembered packets, or None where one has none."""
    times = _ordinary(one.stream.recent)
    others = _ordinary(other.stream.recent)
    if not times or not others:
        return None
    # Two sorted lists: one pass, in which the one that is behind goes on.
    nearest = abs(times[0] - others[0])
    i = 0
    j = 0
    while i < len(times) and j < len(others):
        distance = times[i] - others[j]
        nearest = min(nearest, abs(distance))
        if distance < 0:
            i += 1
        else:
            j += 1
    return nearest


def _ordinary(times: deque[int] | None) -> list[int]:
    """Leave out packets before or after all others, which are far from everything."""
    if times is None:
        return []
    return [time for time in times if Timestamp.MIN <= time <= Timestamp.MAX]


def _times(edge: Edge) -> StreamTimes:
    stream = edge.stream
    return StreamTimes(
        port=edge.port,
        stream=stream.name,
        packets=stream.packets,
        first=Timestamp(stream.first),
        last=Timestamp(stream.last),
    )


def _node_state(scheduler: Scheduler, node: RunNode) -> NodeState:
    state = _word(node)
    now = scheduler.clock()
    for_s = 0.0
    if state == "running":
        # Of several that are under way, the first: what comes behind it waits for it.
        first = node.flying[0] if node.flying else node
        for_s = now - first.started_at
    elif node.state == QUEUED:
        for_s = now - node.ready_at
    full: tuple[str, ...] = ()
    if state == "throttled" and node.source is not None:
        full = _names(scheduler.holding([node.source]))
    sides = tuple(awaited_sides(scheduler, node))
    waits: tuple[Waiting, ...] = ()
    if state == "waits" and not sides:
        waits = tuple(waits_of(node))
    return NodeState(
        name=node.name,
        state=state,
        for_s=for_s,
        calls=node.calls,
        inputs=tuple(map(_input_state, node.inputs)),
        waits=waits,
        full=full,
        sides=sides,
    )


def _word(node: RunNode) -> str:
    if node.flying:
        return "running"
    if node.state in _WORDS:
        return _WORDS[node.state]
    if node.source is None or node.state == UNOPENED:
        return "waits"
    return "throttled" if node.source.blocked else "idle"


def _input_state(edge: Edge) -> InputState:
    stream = edge.stream
    return InputState(
        port=edge.port,
        stream=stream.name,
        producer=stream.producer,
        depth=len(edge.queue),
        limit=edge.limit,
        full=edge.full,
        oldest=Timestamp(edge.queue[0][1]) if edge.queue else None,
        packets=stream.packets,
        last=Timestamp(stream.last) if stream.packets else None,
        bound=Timestamp(stream.bound),
    )


def _names(queues: Iterable[Edge]) -> tuple[str, ...]:
    names = []
    for edge in queues:
        reader = "a reader outside the graph"
        if edge.node is not None:
            reader = f"node {edge.node.name!r}, port {edge.port!r}"
        names.append(f"stream {edge.stream.name!r} at {reader}")
    return tuple(names)
