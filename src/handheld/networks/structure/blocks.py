"""Residual blocks that a network can do without."""

from collections.abc import Collection
from copy import deepcopy

from torch import fx

from handheld.errors import InputError
from handheld.networks.structure.mutation import Writers, without_unread
from handheld.networks.structure.nodes import calls, shape_of
from handheld.networks.structure.operators import SUMS
from handheld.networks.structure.trace import example_of, with_shapes


def removable_blocks(network: fx.GraphModule) -> tuple[str, ...]:
    """Names of the additions ``x + f(x)`` whose ``f`` can be left out, in the network's order."""
    writers = Writers(network, example_of(network))
    nodes = network.graph.nodes
    return tuple(node.name for node in nodes if _shortcut(writers, node) is not None)


def without_blocks(network: fx.GraphModule, blocks: Collection[str]) -> fx.GraphModule:
    """Return a copy in which each block ``x + f(x)`` that is named is ``x``.

    Raises :class:`InputError` for no such block.
    """
    removable = removable_blocks(network)
    for name in blocks:
        if name not in removable:
            names = ", ".join(removable) or "none"
            raise InputError(f"no residual block {name!r}; there are {names}")
    small = deepcopy(network)
    writers = Writers(small, example_of(network))
    additions = [node for node in small.graph.nodes if node.name in blocks]
    for node in additions:
        source = _shortcut(writers, node)
        assert source is not None  # what surrounds a block stays as it is when another is left out
        node.replace_all_uses_with(source)
    return with_shapes(without_unread(small), example_of(network))


def _shortcut(writers: Writers, node: fx.Node) -> fx.Node | None:
    """The ``x`` of an addition ``x + f(x)`` where ``f`` reads nothing but ``x``."""
    if not calls(node, SUMS) or len(node.all_input_nodes) != 2 or "alpha" in node.kwargs:
        return None
    one, other = node.all_input_nodes
    # Of two shapes one is broadcast: without the sum the shape would be another.
    if shape_of(one) is None or shape_of(one) != shape_of(other):
        return None
    for source, branch in ((one, other), (other, one)):
        if not _is_written(writers, source, node) and _reads_only(branch, source):
            return source
    return None


def _is_written(writers: Writers, source: fx.Node, addition: fx.Node) -> bool:
    """Whether somebody writes into the source or the sum, which would become one tensor."""
    return writers.is_written_behind(source, source) or writers.is_written_behind(source, addition)


def _reads_only(branch: fx.Node, source: fx.Node) -> bool:
    """Whether every way back from a branch ends at the source, or at a constant."""
    waiting = [branch]
    seen: set[fx.Node] = set()
    reaches_source = False
    while waiting:
        node = waiting.pop()
        if node is source:
            reaches_source = True
            continue
        if node in seen:
            continue
        seen.add(node)
        if node.op == "placeholder":
            return False
        waiting.extend(node.all_input_nodes)
    return reaches_source
