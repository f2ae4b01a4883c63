"""Residual blocks that a network can do without."""

from collections.abc import Collection
from copy import deepcopy

from torch import fx

from handheld.errors import InputError
from handheld.networks.structure.mutation import is_in_place, without_unread
from handheld.networks.structure.nodes import shape_of
from handheld.networks.structure.operators import SUMS
from handheld.networks.structure.trace import example_of, with_shapes


def removable_blocks(network: fx.GraphModule) -> tuple[str, ...]:
    """Names of the additions ``x + f(x)`` whose ``f`` can be left out, in the network's order."""
    return tuple(node.name for node in network.graph.nodes if _shortcut(network, node) is not None)


def without_blocks(network: fx.GraphModule, blocks: Collection[str]) -> fx.GraphModule:
    """Return a copy in which each block ``x + f(x)`` that is named is ``x``.

    Raises :class:`InputError` for no such block.
    """
    there = removable_blocks(network)
    for name in blocks:
        if name not in there:
            raise InputError(f"no residual block {name!r}; there are {', '.join(there) or 'none'}")
    small = deepcopy(network)
    for node in [node for node in small.graph.nodes if node.name in set(blocks)]:
        source = _shortcut(small, node)
        assert source is not None  # what surrounds a block stays as it is when another is left out
        node.replace_all_uses_with(source)
    return with_shapes(without_unread(small), example_of(network))


def _shortcut(network: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """The ``x`` of an addition ``x + f(x)`` where ``f`` reads nothing but ``x``."""
    if node.target not in SUMS or len(node.all_input_nodes) != 2 or "alpha" in node.kwargs:
        return None
    left, right = node.all_input_nodes
    if shape_of(left) is None or shape_of(left) != shape_of(right):
        return None
    for source, branch in ((left, right), (right, left)):
        readers = {*source.users, *node.users} - {node}
        if any(is_in_place(network, reader) for reader in readers):
            continue
        if _reads_only(branch, source):
            return source
    return None


def _reads_only(branch: fx.Node, source: fx.Node) -> bool:
    """Whether every way back from a branch ends at the source, or at a constant."""
    waiting = [branch]
    seen: set[fx.Node] = set()
    while waiting:
        node = waiting.pop()
        if node in seen or node is source:
            seen.add(node)
            continue
        seen.add(node)
        if node.op == "placeholder":
            return False
        waiting.extend(node.all_input_nodes)
    return source in seen
