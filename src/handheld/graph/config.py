"""The description of a graph: nodes, how streams connect them, and what enters and leaves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

from handheld.errors import GraphValidationError
from handheld.graph.calculator import Calculator
from handheld.graph.contract import Ports, check_ports
from handheld.graph.policies import InputPolicy
from handheld.ranges import whole_in_range

Connections = str | Sequence[str] | Mapping[str, str]
"""Port -> stream; or streams in the order of the ports; or one stream for the only port."""


class BackEdge(str):
    """The name of a stream that an input takes from further down the graph: a cycle on purpose.

    A back edge does not hold up the order in which nodes run, does not throttle sources and does
    not keep a node open.
    """

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class GraphConfig:
    """A graph as a value, which a :class:`~handheld.graph.Graph` runs.

    It may also stand as a subgraph inside a :class:`Node`.

    ``inputs`` and ``side_inputs`` map the names of streams and side packets that come from outside
    to their types. ``outputs`` names the streams that leave, ``side_outputs`` the side packets (as
    a subgraph; a running graph lets one see any of them).
    """

    nodes: Sequence["Node"]
    inputs: Ports = field(default_factory=dict)
    outputs: Sequence[str] = ()
    side_inputs: Ports = field(default_factory=dict)
    name: str = "graph"
    side_outputs: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_ports("inputs", self.inputs)
        check_ports("side_inputs", self.side_inputs)
        # A string is a sequence as well, but means one stream.
        outputs = [self.outputs] if isinstance(self.outputs, str) else self.outputs
        object.__setattr__(self, "outputs", tuple(outputs))
        sides = self.side_outputs
        object.__setattr__(
            self, "side_outputs", (sides,) if isinstance(sides, str) else tuple(sides)
        )
        # A generator could be walked once only, but one config runs any number of times.
        nodes = tuple(self.nodes) if isinstance(self.nodes, Iterable) else (self.nodes,)
        object.__setattr__(self, "nodes", nodes)
        for node in nodes:
            if not isinstance(node, Node):
                raise GraphValidationError(f"nodes: expected Node(...) objects, got {node!r}")


@dataclass(frozen=True)
class Node:
    """One calculator or subgraph, and the streams that its ports are connected to.

    ``policy`` replaces the input policy of the calculator's contract. Without ``name`` a node is
    called after its calculator. With ``max_in_flight`` n up to n timestamps are handled at once,
    each on a thread of its own, by the same calculator object: so it may keep nothing from one
    call to the next; what it sends leaves in the order of the inputs all the same. It runs on the
    ``executor`` of that name (``Graph(executors=...)``), without one on the graph's own threads;
    ``"inline"`` is inside the calls of whoever feeds and reads the graph. Of sources, those of the
    lowest ``source_layer`` run first, and those of the next when all of these have ended.

    >>> from handheld.graph import PassThrough
    >>> Node(PassThrough(), inputs="frame", outputs="same_frame").name
    ''
    """

    # A runtime alias of X | Y would need both classes defined, and GraphConfig has nodes.
    calculator: Union[Calculator, GraphConfig]  # noqa: UP007
    inputs: Connections = field(default_factory=dict)
    outputs: Connections = field(default_factory=dict)
    side_inputs: Connections = field(default_factory=dict)
    side_outputs: Connections = field(default_factory=dict)
    name: str = ""
    policy: InputPolicy | None = None
    max_in_flight: int = 1
    executor: str = ""
    source_layer: int = 0

    def __post_init__(self) -> None:
        whole_in_range("max_in_flight", self.max_in_flight, low=1)
        whole_in_range("source_layer", self.source_layer, low=0)
