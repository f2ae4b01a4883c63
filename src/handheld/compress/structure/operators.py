"""What torch's functions and methods do to channels."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import fx

from handheld.compress.structure.arranging import gated, places_stay, reshaped, shuffled, unfolded
from handheld.compress.structure.nodes import argument, numbers, rank_of, shape_of, spelled
from handheld.compress.structure.variables import Axes, Ids, Walk

Parts = tuple[Axes, ...]
Rule = Callable[[Walk, fx.Node], Axes | None]

SUMS = spelled("add") | {operator.add, operator.iadd}
PRODUCTS = spelled("mul", "multiply") | {operator.mul, operator.imul}
CONCATENATIONS = spelled("cat", "concat", "concatenate")


def operator_axes(walk: Walk, node: fx.Node) -> Axes | None:
    """Return the channels along the axes of what an operator gives; None if it is not known to treat them one by one."""
    rule = _RULES.get(node.target)
    return rule(walk, node) if rule else None


def operator_parts(walk: Walk, node: fx.Node) -> Parts | None:
    """Return the channels of each of the tensors that an operator divides one into; None if it is not known how."""
    source = _source(walk, node)
    if source is None:
        return None
    if node.target in _UNBOUND:
        axis = argument(node, 1, "dim", 0) % rank_of(source)
        axes = walk.known[source]
        return None if axes[axis] is not None else ((*axes[:axis], *axes[axis + 1 :]),) * _length(source, axis)
    return _split(walk, node, source) if node.target in _SPLITS else None


def _source(walk: Walk, node: fx.Node) -> fx.Node | None:
    """The one tensor that a node reads, which has to be its first argument."""
    first = node.args[0] if node.args else None
    if not isinstance(first, fx.Node) or first not in walk.known or shape_of(first) is None:
        return None
    others = [other for other in node.all_input_nodes if other is not first]
    return None if any(other not in walk.numbers for other in others) else first


def _length(node: fx.Node, axis: int) -> int:
    return int((shape_of(node) or ())[axis])


def _alone(walk: Walk, node: fx.Node) -> Axes | None:
    """Each number from itself, whatever the axes."""
    source = _source(walk, node)
    return None if source is None or _counts(walk, node) else walk.known[source]


def _counts(walk: Walk, node: fx.Node) -> bool:
    """Whether a node reads a number of channels."""
    return any(other in walk.counts for other in node.all_input_nodes)


def _of_places(rank: int | None = None) -> Rule:
    """The rule for what looks at places: behind the channels, which for some are axis 1 at one rank only."""

    def rule(walk: Walk, node: fx.Node) -> Axes | None:
        axes = _alone(walk, node)
        return axes if axes is not None and rank in (None, len(axes)) and places_stay(axes) else None

    return rule


def _elementwise(walk: Walk, node: fx.Node) -> Axes | None:
    """Operands are broadcast, axes counted from the last; where two are of one length, their channels are the same."""
    sources = [source for source in node.all_input_nodes if source in walk.known]
    others = [other for other in node.all_input_nodes if other not in walk.known and other not in walk.numbers]
    if _counts(walk, node) or others or not sources:
        return None
    lengths = tuple(shape_of(node) or ())
    return tuple(_joined(walk, sources, axis - len(lengths), lengths[axis]) for axis in range(len(lengths)))


def _joined(walk: Walk, sources: list[fx.Node], axis: int, length: int) -> Ids | None:
    """The channels along an axis, counted from the last, of tensors that meet there."""
    here = [source for source in sources if rank_of(source) >= -axis]
    wide = [source for source in here if _length(source, axis) == length]
    for source in here:
        if source not in wide:
            walk.variables.pin(walk.known[source][axis], "it is broadcast over an axis of another layer")
    found = walk.known[wide[0]][axis]
    for before, source in zip(wide, wide[1:], strict=False):
        reason = walk.stays.get(source) or walk.stays.get(before) or "it meets an axis that stays as it is"
        found = walk.same_axis(found, walk.known[source][axis], reason)
    return found


def _reduced(walk: Walk, node: fx.Node) -> Axes | None:
    """What is summed over axes: none of them of channels."""
    source, axes = _source(walk, node), argument(node, 1, "dim")
    axes = (axes,) if isinstance(axes, int) else axes
    if source is None or not axes or not all(isinstance(axis, int) for axis in axes):
        return None
    known = walk.known[source]
    gone = {axis % len(known) for axis in axes}
    if any(known[axis] is not None for axis in gone):
        return None
    keeps = rank_of(node) == len(known)
    return known if keeps else tuple(ids for axis, ids in enumerate(known) if axis not in gone)


def _over(walk: Walk, node: fx.Node) -> Axes | None:
    """What looks along one axis, which must not be one of channels."""
    source, axis = _source(walk, node), argument(node, 1, "dim")
    if source is None or not isinstance(axis, int) or walk.known[source][axis] is not None:
        return None
    return walk.known[source]


def _reshape(walk: Walk, node: fx.Node) -> Axes | None:
    """``x.view``, ``x.flatten``, ``x.unflatten``: literal lengths have to follow the channels."""
    source = node.args[0] if node.args else None
    if not isinstance(source, fx.Node) or source not in walk.known:
        return None
    sizes, place, first = _sizes(node)
    old, new = shape_of(source), shape_of(node)
    if old is None or new is None or not all(map(_is_whole, sizes)) or len(sizes) + first > len(new):
        return None
    if node.target not in _FLATTENS and not sizes:
        return None
    found = reshaped(walk, walk.known[source], tuple(old), tuple(new))
    if found is None:
        return None
    has_rest = -1 in sizes
    for axis, size in enumerate(sizes, first):
        ids = found[axis]
        if ids is None and size in walk.counts:
            return None
        if ids is None or size == -1:
            continue
        counted = walk.counts.get(size, ())
        if len(counted) == 1 and len(counted[0]) == len(ids):
            walk.variables.as_many(ids, counted[0])
            continue
        # What was computed may hold places too, which are others for another picture: better whatever is left.
        is_rest = isinstance(size, fx.Node) and not has_rest
        has_rest = has_rest or is_rest
        walk.follows(node, _at(place, axis - first), ids, is_rest=is_rest)
    return found


def _is_whole(size: Any) -> bool:
    return isinstance(size.meta.get("value") if isinstance(size, fx.Node) else size, int)


def _sizes(node: fx.Node) -> tuple[tuple[Any, ...], tuple[int | str, ...], int]:
    """The lengths given to a reshape, their place among the arguments, and the first axis that they are of."""
    if node.target in _FLATTENS:
        return (), (), 0
    if node.target in _UNFLATTENS:
        sizes, place = numbers(node, 2, "sizes")
        return sizes, place, argument(node, 1, "dim") % rank_of(node.args[0])  # type: ignore[arg-type]
    for name in ("size", "shape"):
        sizes, place = numbers(node, 1, name)
        if sizes:
            return sizes, place, 0
    return (), (), 0


def _at(place: tuple[int | str, ...], number: int, start: int = 1) -> tuple[int | str, ...]:
    """The way to a number of a list, or of those that stand one by one from ``start``."""
    return (*place, number) if place else (start + number,)


def _permute(walk: Walk, node: fx.Node) -> Axes | None:
    source = _source(walk, node)
    if source is None:
        return None
    axes, rank = walk.known[source], rank_of(source)
    if node.target in _TRANSPOSES:
        one, two = argument(node, 1, "dim0"), argument(node, 2, "dim1")
        one, two = (0, 1) if one is None and rank == 2 else (one, two)
        if not isinstance(one, int) or not isinstance(two, int):
            return None
        order = list(range(rank))
        order[one], order[two] = order[two], order[one]
    else:
        order = list(numbers(node, 1, "dims")[0])
    if len(order) != rank or not all(isinstance(axis, int) for axis in order):
        return None
    return tuple(axes[axis] for axis in order)


def _squeeze(walk: Walk, node: fx.Node) -> Axes | None:
    source, axes = _source(walk, node), argument(node, 1, "dim")
    axes = (axes,) if isinstance(axes, int) else axes
    if source is None or not axes:
        return None
    known = walk.known[source]
    gone = {axis % len(known) for axis in axes if _length(source, axis) == 1}
    if any(known[axis] is not None for axis in gone):
        return None
    return tuple(ids for axis, ids in enumerate(known) if axis not in gone)


def _unsqueeze(walk: Walk, node: fx.Node) -> Axes | None:
    source, axis = _source(walk, node), argument(node, 1, "dim")
    if source is None or not isinstance(axis, int):
        return None
    known, axis = walk.known[source], axis % (rank_of(source) + 1)
    return (*known[:axis], None, *known[axis:])


def _expand(walk: Walk, node: fx.Node) -> Axes | None:
    """Places repeated; a literal length of channels has to follow them."""
    source = _source(walk, node)
    if source is None or _counts(walk, node):
        return None
    known, added = walk.known[source], rank_of(node) - rank_of(source)
    sizes, place = numbers(node, 1, "size")
    found: list[Ids | None] = [None] * added
    for axis, ids in enumerate(known):
        if ids is not None and _length(node, axis + added) != len(ids):
            return None
        if ids is not None and sizes[axis + added] != -1:
            walk.follows(node, _at(place, axis + added), ids)
        found.append(ids)
    return tuple(found)


def _concatenate(walk: Walk, node: fx.Node) -> Axes | None:
    """One after the other along one axis; along all others they are the same."""
    sources = argument(node, 0, "tensors")
    if not isinstance(sources, tuple | list) or not all(isinstance(one, fx.Node) and one in walk.known for one in sources):
        return None
    rank, axis = rank_of(node), argument(node, 1, "dim", 0)
    if not isinstance(axis, int) or any(rank_of(one) != rank for one in sources):
        return None
    axis %= rank
    along = [walk.known[one][axis] for one in sources]
    if any(ids is not None for ids in along):
        parts = [_kept(walk, one, axis) if ids is None else ids for one, ids in zip(sources, along, strict=True)]
        whole: Ids | None = np.concatenate(parts)
    else:
        whole = None
    lengths = tuple(shape_of(node) or ())
    return tuple(
        whole if other == axis else _joined(walk, list(sources), other - rank, lengths[other]) for other in range(rank)
    )


def _kept(walk: Walk, node: fx.Node, axis: int) -> Ids:
    """Variables for an axis that stays, beside others that need not."""
    ids = walk.variables.new(_length(node, axis))
    walk.variables.pin(ids, walk.stays.get(node, "it stays as it is"))
    return ids


def _stack(walk: Walk, node: fx.Node) -> Axes | None:
    sources, axis = argument(node, 0, "tensors"), argument(node, 1, "dim", 0)
    if not isinstance(sources, tuple | list) or not all(isinstance(one, fx.Node) and one in walk.known for one in sources):
        return None
    rank = rank_of(node)
    lengths = tuple(shape_of(sources[0]) or ())
    found = [_joined(walk, list(sources), other - len(lengths), lengths[other]) for other in range(len(lengths))]
    found.insert(axis % rank, None)
    return tuple(found)


def _split(walk: Walk, node: fx.Node, source: fx.Node) -> Parts | None:
    """Parts along an axis: lengths that are written out have to follow, equal parts lose the same places."""
    axes, axis = walk.known[source], argument(node, 2, "dim", 0)
    if not isinstance(axis, int):
        return None
    axis %= len(axes)
    wanted, name = (argument(node, 1, "chunks"), "chunks") if node.target in CHUNKS else (None, "split_size")
    if wanted is None:
        wanted = next((node.kwargs[key] for key in ("split_size", "split_sizes", "split_size_or_sections") if key in node.kwargs),
                      node.args[1] if len(node.args) > 1 else None)  # fmt: skip
    length, ids = _length(source, axis), axes[axis]
    place: tuple[int | str, ...] = (1,) if len(node.args) > 1 else (next((k for k in node.kwargs if k != "dim"), name),)
    if isinstance(wanted, int):
        each = -(-length // wanted) if node.target in CHUNKS else wanted
        lengths = [min(each, length - start) for start in range(0, length, each)]
    elif isinstance(wanted, tuple | list) and all(isinstance(part, int) for part in wanted):
        lengths = list(wanted)
    else:
        return None
    ends = np.cumsum([0, *lengths])
    if ids is None:
        parts: list[Ids | None] = [None] * len(lengths)
    elif isinstance(wanted, int):
        if len(set(lengths)) > 1:
            return None
        first = walk.same_parts(ids, len(lengths))
        if node.target not in CHUNKS:
            walk.follows(node, place, first)
        parts = [ids[start:end] for start, end in zip(ends, ends[1:], strict=False)]
    else:
        parts = [ids[start:end] for start, end in zip(ends, ends[1:], strict=False)]
        for number, part in enumerate(parts):
            walk.follows(node, (*place, number), part)
    return tuple((*axes[:axis], part, *axes[axis + 1 :]) for part in parts)


def _slice(walk: Walk, node: fx.Node) -> Axes | None:
    """``aten.slice``: a part of an axis; of an axis of channels, its ends have to follow."""
    source, axis = _source(walk, node), argument(node, 1, "dim", 0)
    start, end, step = argument(node, 2, "start"), argument(node, 3, "end"), argument(node, 4, "step", 1)
    if source is None:
        return None
    axes = walk.known[source]
    axis %= len(axes)
    ids = axes[axis]
    if ids is None:
        return axes
    places = [(2,) if len(node.args) > 2 else ("start",), (3,) if len(node.args) > 3 else ("end",)]
    part = _sliced(walk, node, ids, slice(start, end, step), places)
    return None if part is None else (*axes[:axis], part, *axes[axis + 1 :])


def _sliced(walk: Walk, node: fx.Node, ids: Ids, part: slice, places: list[tuple[int | str, ...]]) -> Ids | None:
    bounds = (part.start, part.stop)
    if part.step not in (None, 1) or not all(bound is None or isinstance(bound, int) for bound in bounds):
        return None
    start, end, _ = part.indices(len(ids))
    if places and start > 0:
        walk.follows(node, places[0], ids[:start])
    if places and end < len(ids):
        walk.follows(node, places[1], ids[:end])
    return ids[start:end] if places or (start, end) == (0, len(ids)) else None


def _select(walk: Walk, node: fx.Node) -> Axes | None:
    source, axis = _source(walk, node), argument(node, 1, "dim")
    if source is None or not isinstance(axis, int) or walk.known[source][axis] is not None:
        return None
    axes, axis = walk.known[source], axis % rank_of(source)
    return (*axes[:axis], *axes[axis + 1 :])


def _item(walk: Walk, node: fx.Node) -> Axes | None:
    """One of several tensors, or a part of one: ``x[:, :, 0]``."""
    source, index = node.args[0], argument(node, 1, "index")
    if not isinstance(source, fx.Node):
        return None
    if source in walk.parts:
        return walk.parts[source][index] if isinstance(index, int) else None
    if _source(walk, node) is None:
        return None
    return _indexed(walk.known[source], index if isinstance(index, tuple) else (index,))


def _indexed(axes: Axes, index: tuple[Any, ...]) -> Axes | None:
    if Ellipsis in index:
        at = index.index(Ellipsis)
        missing = len(axes) - sum(entry is not None for entry in index) + 1
        index = (*index[:at], *[slice(None)] * missing, *index[at + 1 :])
    found: list[Ids | None] = []
    rest = list(axes)
    for entry in index:
        if entry is None:
            found.append(None)
            continue
        ids = rest.pop(0)
        if ids is not None and entry != slice(None):
            return None
        if isinstance(entry, slice):
            found.append(ids)
        elif not isinstance(entry, int | fx.Node):
            return None
    return (*found, *rest)


def _pad(walk: Walk, node: fx.Node) -> Axes | None:
    """Axes without channels only."""
    source, widths = _source(walk, node), argument(node, 1, "pad")
    if source is None or not isinstance(widths, tuple | list):
        return None
    axes = walk.known[source]
    return None if any(ids is not None for ids in axes[len(axes) - len(widths) // 2 :]) else axes


def _roll(walk: Walk, node: fx.Node) -> Axes | None:
    source, axes = _source(walk, node), argument(node, 2, "dims", ())
    axes = (axes,) if isinstance(axes, int) else axes
    if source is None or not axes or any(walk.known[source][axis] is not None for axis in axes):
        return None
    return walk.known[source]


def _matmul(walk: Walk, node: fx.Node) -> Axes | None:
    """Channels that are multiplied out go together; those of the outer axes stay apart."""
    left, right = argument(node, 0, "input"), argument(node, 1, "other")
    pair = [left, right]
    if not all(isinstance(one, fx.Node) and one in walk.known and rank_of(one) > 1 for one in pair):
        return None
    a, b, lengths = walk.known[left], walk.known[right], tuple(shape_of(node) or ())
    inner = walk.same_axis(a[-1], b[-2], _why(walk, left, right))
    outer = tuple(_joined(walk, pair, axis - len(lengths), lengths[axis]) for axis in range(len(lengths) - 2))
    walk.products[node] = ((a[-2], inner, b[-1]),)
    return (*outer, a[-2], b[-1])


def _why(walk: Walk, *nodes: fx.Node) -> str:
    return next((walk.stays[node] for node in nodes if node in walk.stays), "it meets an axis that stays as it is")


def _attention(walk: Walk, node: fx.Node) -> Axes | None:
    """Queries and keys lose the same channels; the answers' are those of the values."""
    parts = [argument(node, place, name) for place, name in enumerate(("query", "key", "value"))]
    masks = [other for other in node.all_input_nodes if other not in parts]
    if not all(isinstance(one, fx.Node) and one in walk.known and rank_of(one) == rank_of(node) for one in parts):
        return None
    if any(walk.known.get(mask) and any(ids is not None for ids in walk.known[mask]) for mask in masks):
        return None
    query, key, value = (walk.known[one] for one in parts)
    if query[-2] is not None or key[-2] is not None or value[-2] is not None:
        return None
    inner = walk.same_axis(query[-1], key[-1], _why(walk, *parts))
    lengths = tuple(shape_of(node) or ())
    outer = tuple(_joined(walk, parts, axis - len(lengths), lengths[axis]) for axis in range(len(lengths) - 2))
    walk.products[node] = ((None, inner, None), (None, None, value[-1]))
    return (*outer, None, value[-1])


def _over_last(walk: Walk, node: fx.Node) -> Axes | None:
    """``layer_norm``: statistics of the channels that stay."""
    source, shape = node.args[0], argument(node, 1, "normalized_shape")
    weights = [one for one in (argument(node, 2, "weight"), argument(node, 3, "bias")) if one is not None]
    if not isinstance(source, fx.Node) or source not in walk.known or not isinstance(shape, tuple | list):
        return None
    axes = walk.known[source]
    start = len(axes) - len(shape)
    place: tuple[int | str, ...] = (1,) if len(node.args) > 1 else ("normalized_shape",)
    for number, ids in enumerate(axes[start:]):
        if ids is not None and not isinstance(shape[number], int):
            return None
        walk.follows(node, (*place, number), ids)
        for weight in weights:
            walk.same_axis(ids, walk.known[weight][number], _why(walk, source, weight))
    return axes


def _in_groups(walk: Walk, node: fx.Node) -> Axes | None:
    """``group_norm``: each group loses the same places."""
    source, groups = node.args[0], argument(node, 1, "num_groups")
    weights = [one for one in (argument(node, 2, "weight"), argument(node, 3, "bias")) if one is not None]
    if not isinstance(source, fx.Node) or source not in walk.known or not isinstance(groups, int):
        return None
    axes = walk.known[source]
    if not places_stay(axes):
        return None
    for weight in weights:
        walk.same_axis(axes[1], walk.known[weight][0], _why(walk, source, weight))
    if axes[1] is not None:
        walk.same_parts(axes[1], groups)
    return axes


def _glu(walk: Walk, node: fx.Node) -> Axes | None:
    source, axis = _source(walk, node), argument(node, 1, "dim", -1)
    return None if source is None else gated(walk, walk.known[source], axis)


def _shuffle(walk: Walk, node: fx.Node) -> Axes | None:
    source, groups = _source(walk, node), argument(node, 1, "groups")
    return None if source is None or not isinstance(groups, int) else shuffled(walk, walk.known[source], groups)


def _pixels(walk: Walk, node: fx.Node) -> Axes | None:
    source, factor = _source(walk, node), argument(node, 1, "upscale_factor")
    return None if source is None or not isinstance(factor, int) else unfolded(walk, walk.known[source], factor)


CHUNKS = spelled("chunk")
_SPLITS = spelled("split", "split_with_sizes") | CHUNKS
_UNBOUND = spelled("unbind")
DIVIDING = _SPLITS | _UNBOUND
"""Operators that give several tensors."""

_FLATTENS, _UNFLATTENS, _TRANSPOSES = spelled("flatten"), spelled("unflatten"), spelled("transpose", "swapaxes", "t")
_ALONE = spelled(
    "relu", "relu6", "sigmoid", "tanh", "gelu", "silu", "mish", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "elu",
    "celu", "selu", "softplus", "clamp", "clamp_min", "neg", "abs", "exp", "sqrt", "rsqrt", "square", "pow", "dropout",
    "contiguous", "clone", "detach", "float", "half", "alias",
) | {operator.neg, operator.pow}  # fmt: skip
_POOLS = ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "dropout")

_RULES: dict[Any, Rule] = {
    **dict.fromkeys(_ALONE, _alone),
    **{call: _of_places(axes + 2) for axes in (1, 2, 3) for call in spelled(*(f"{pool}{axes}d" for pool in _POOLS))},
    **dict.fromkeys(spelled("interpolate", "upsample_nearest2d", "upsample_bilinear2d", "upsample_nearest1d"), _of_places()),
    **dict.fromkeys(
        SUMS | PRODUCTS | spelled("sub", "div", "maximum", "minimum") | {operator.sub, operator.isub, operator.truediv},
        _elementwise,
    ),
    **dict.fromkeys(spelled("expand_as"), _elementwise),
    **dict.fromkeys(spelled("mean", "sum", "amax", "amin"), _reduced),
    **dict.fromkeys(spelled("softmax", "log_softmax", "cumsum"), _over),
    **dict.fromkeys(spelled("squeeze"), _squeeze),
    **dict.fromkeys(spelled("unsqueeze"), _unsqueeze),
    **dict.fromkeys(_FLATTENS | _UNFLATTENS | spelled("view", "reshape"), _reshape),
    **dict.fromkeys(_TRANSPOSES | spelled("permute"), _permute),
    **dict.fromkeys(CONCATENATIONS, _concatenate),
    **dict.fromkeys(spelled("stack"), _stack),
    **dict.fromkeys(spelled("pad"), _pad),
    **dict.fromkeys(spelled("expand"), _expand),
    **dict.fromkeys(spelled("slice"), _slice),
    **dict.fromkeys(spelled("select"), _select),
    **dict.fromkeys(spelled("roll"), _roll),
    **dict.fromkeys(spelled("matmul", "bmm") | {operator.matmul}, _matmul),
    **dict.fromkeys(spelled("scaled_dot_product_attention"), _attention),
    **dict.fromkeys(spelled("layer_norm"), _over_last),
    **dict.fromkeys(spelled("group_norm"), _in_groups),
    **dict.fromkeys(spelled("glu"), _glu),
    **dict.fromkeys(spelled("channel_shuffle"), _shuffle),
    **dict.fromkeys(spelled("pixel_shuffle"), _pixels),
    operator.getitem: _item,
}
