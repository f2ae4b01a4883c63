"""Where the nodes of a graph run: named executors, to which nodes are assigned."""

from collections.abc import Mapping
from dataclasses import dataclass

from handheld.errors import GraphValidationError
from handheld.graph._suggest import suggestion
from handheld.graph.expand import FlatNode
from handheld.ranges import whole_in_range

INLINE = "inline"
"""The executor that every graph has: inside the calls of whoever feeds and reads the graph."""


@dataclass(frozen=True)
class ThreadExecutor:
    """Runs its nodes on ``count`` threads of its own."""

    count: int = 1

    def __post_init__(self) -> None:
        whole_in_range("count", self.count, low=1)


@dataclass(frozen=True)
class ProcessExecutor:
    """Runs its nodes in processes, for calculators that hold Python's lock while they compute.

    Each node has a process of its own, in which its calculator is opened, called and closed (with
    ``max_in_flight`` n, n of them, each with a copy). What it is, takes and sends must be
    picklable, and defined where another process can import it. At most ``count`` of the nodes are
    at work at a time.
    """

    count: int = 1

    def __post_init__(self) -> None:
        whole_in_range("count", self.count, low=1)


NodeExecutor = ThreadExecutor | ProcessExecutor


def check_executors(executors: Mapping[str, NodeExecutor], nodes: tuple[FlatNode, ...]) -> None:
    """Raise :class:`GraphValidationError` where a node names an executor that is not there."""
    for name, executor in executors.items():
        if name in ("", INLINE):
            raise GraphValidationError(f"executors: every graph has one called {name!r} already")
        if not isinstance(executor, NodeExecutor):
            raise GraphValidationError(
                f"executors: expected ThreadExecutor(...) or ProcessExecutor(...) for {name!r}, "
                f"got {executor!r}"
            )
    known = [INLINE, *executors]
    for node in nodes:
        if node.executor and node.executor not in known:
            raise GraphValidationError(
                f"node {node.name!r}: no executor {node.executor!r}"
                f"{suggestion(node.executor, known)}; name it in Graph(executors={{...}})"
            )
