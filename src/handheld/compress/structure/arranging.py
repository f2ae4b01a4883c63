"""What operators that only arrange channels, or the places of a picture, do: concatenate, chunk, flatten, reshape, crop."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx

from handheld.compress.structure.trace import shape_of
from handheld.compress.structure.variables import Ids, Walk

Rule = Callable[[Walk, fx.Node], Ids | None]
CHUNKS: set[Any] = {torch.chunk, "chunk"}


def argument(node: fx.Node, place: int, name: str, default: Any = None) -> Any:
    """Return an argument that may be given by place or by name."""
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def source_of(walk: Walk, node: fx.Node) -> fx.Node | None:
    """The one tensor that a node reads, which has to be its first argument."""
    first = node.args[0] if node.args else None
    if not isinstance(first, fx.Node) or first not in walk.known or shape_of(first) is None:
        return None
    numbers = [other for other in node.all_input_nodes if other is not first]
    return None if any(other in walk.known or other in walk.counts or other.op == "get_attr" for other in numbers) else first


def rank_of(node: fx.Node) -> int:
    """Return the number of axes of what a node gives; 0 for what is no tensor."""
    return len(shape_of(node) or ())


def concatenate(walk: Walk, node: fx.Node) -> Ids | None:
    """One after the other along the channels; along another axis it is not known."""
    parts = argument(node, 0, "tensors")
    if not isinstance(parts, tuple | list) or argument(node, 1, "dim", 0) not in (1, 1 - rank_of(node)):
        return None
    found = [walk.known[part] for part in parts if part in walk.known]
    return np.concatenate(found) if len(found) == len(parts) else None


def chunk(walk: Walk, node: fx.Node) -> Ids | None:
    """Chunks keep equal sizes only if they lose the same places."""
    source, parts = source_of(walk, node), argument(node, 1, "chunks")
    if source is None or not isinstance(parts, int) or argument(node, 2, "dim", 0) not in (1, 1 - rank_of(source)):
        return None
    ids = walk.known[source]
    if parts < 1 or len(ids) % parts:
        return None
    walk.same_parts(ids, parts)
    return ids


def item(walk: Walk, node: fx.Node) -> Ids | None:
    """One chunk, or a part of a picture: ``x[:, :, ...]``."""
    source, index = _source_or_chunks(walk, node), argument(node, 1, "index")
    if source is None:
        return None
    ids = walk.known[source]
    if source.target in CHUNKS:
        return ids.reshape(argument(source, 1, "chunks"), -1)[index] if isinstance(index, int) else None
    whole = slice(None)
    return ids if isinstance(index, tuple) and len(index) > 1 and index[0] == whole and index[1] == whole else None


def _source_or_chunks(walk: Walk, node: fx.Node) -> fx.Node | None:
    first = node.args[0]
    return first if isinstance(first, fx.Node) and first in walk.known and first.target in CHUNKS else source_of(walk, node)


def flatten(walk: Walk, node: fx.Node) -> Ids | None:
    """Each channel as often as it has places, or places only."""
    source, start = source_of(walk, node), argument(node, 1, "start_dim", 0)
    if source is None or not isinstance(start, int):
        return None
    start %= rank_of(source)
    if start == 0:
        return None
    return _spread(walk.known[source], node) if start == 1 else walk.known[source]


def reshape(walk: Walk, node: fx.Node) -> Ids | None:
    """``x.view(n, -1)``, ``x.view(n, c, 1, 1)`` with ``c`` read from a tensor; a literal would be wrong later."""
    source, sizes, new = node.args[0], _sizes(node), shape_of(node)
    if not isinstance(source, fx.Node) or source not in walk.known:
        return None
    old = shape_of(source)
    if old is None or new is None or min(len(old), len(new), len(sizes)) < 2:
        return None
    ids = _spread(walk.known[source], node)
    if ids is None or old[0] != new[0] or any(other in walk.counts for other in (sizes[0], *sizes[2:])):
        return None
    if sizes[1] == -1:
        return ids
    counted = walk.counts.get(sizes[1]) if isinstance(sizes[1], fx.Node) else None
    return walk.variables.same(ids, counted) if counted is not None and len(counted) == len(ids) else None


def _sizes(node: fx.Node) -> tuple[Any, ...]:
    """The lengths given to a reshape, as one tuple or one by one; empty if they are not written out."""
    given: Any = argument(node, 1, "shape", ())
    return tuple(given) if isinstance(given, tuple | list) else tuple(node.args[1:])


def _spread(source: Ids, node: fx.Node) -> Ids | None:
    width = (shape_of(node) or (0, 0))[1]
    return None if len(source) == 0 or width % len(source) else np.repeat(source, width // len(source))


def expand_as(walk: Walk, node: fx.Node) -> Ids | None:
    """Places repeated, with the channels of both."""
    found = [walk.known[source] for source in node.all_input_nodes if source in walk.known]
    ranks = {rank_of(source) for source in (node, *node.all_input_nodes)}
    if len(found) != len(node.all_input_nodes) or len(ranks) > 1 or len(found[0]) != len(found[-1]):
        return None
    return walk.variables.same(found[0], found[-1])


def axes_beyond(name: str, *, added: int = 0) -> Rule:
    """The rule for what changes axes named by an argument: none of them may be the batch or the channels."""

    def rule(walk: Walk, node: fx.Node) -> Ids | None:
        source, axes = source_of(walk, node), argument(node, 1, name)
        axes = (axes,) if isinstance(axes, int) else axes
        if source is None or not axes or not all(isinstance(axis, int) for axis in axes):
            return None
        return walk.known[source] if all(axis % (rank_of(source) + added) > 1 for axis in axes) else None

    return rule


def pad(walk: Walk, node: fx.Node) -> Ids | None:
    """Places only."""
    source, widths = source_of(walk, node), argument(node, 1, "pad")
    if source is None or not isinstance(widths, tuple | list) or len(widths) > 2 * (rank_of(source) - 2):
        return None
    return walk.known[source]
