"""Where the boxes of a drawn graph go: layers from top to bottom, after Sugiyama, Tagawa and Toda (1981).

A box lies below every box that feeds it. An arrow that passes layers gets a waypoint in each, so that it goes around boxes.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

BOX_HEIGHT, LAYER_STEP, GAP = 40.0, 92.0, 28.0
_WAYPOINT_WIDTH = 14.0
_SWEEPS = 8

Place = str | tuple[int, int]
"""A box's name, or a waypoint (number of the arrow, layer)."""


@dataclass(frozen=True)
class Layout:
    """Centres of the boxes and the way of each arrow, as (x, y); the drawing's size."""

    centres: Mapping[str, tuple[float, float]]
    ways: Sequence[Sequence[tuple[float, float]]]
    width: float
    height: float


def lay_out(widths: Mapping[str, float], arrows: Sequence[tuple[str, str]]) -> Layout:
    """Place boxes.

    Args:
        widths: box -> width, in an order in which boxes that feed others come first where nothing else decides.
        arrows: (from, to), without cycles; each target's arrows may come in any order.
    """
    depth = _depths(list(widths), arrows)
    layers: list[list[Place]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for box, level in depth.items():
        layers[level].append(box)
    routes: list[list[Place]] = []
    for number, (source, target) in enumerate(arrows):
        waypoints: list[Place] = [(number, level) for level in range(depth[source] + 1, depth[target])]
        for waypoint, level in zip(waypoints, range(depth[source] + 1, depth[target]), strict=True):
            layers[level].append(waypoint)
        routes.append([source, *waypoints, target])
    neighbours: dict[Place, list[Place]] = defaultdict(list)
    for a, b in (pair for route in routes for pair in pairwise(route)):
        neighbours[a].append(b)
        neighbours[b].append(a)
    half = {p: (widths[p] if isinstance(p, str) else _WAYPOINT_WIDTH) / 2 for layer in layers for p in layer}
    x = _columns(layers, neighbours, half)
    y = {place: (level + 0.5) * LAYER_STEP for level, layer in enumerate(layers) for place in layer}
    left = min((x[p] - half[p] for p in x), default=0.0)
    centres = {box: (x[box] - left, y[box]) for box in widths}
    ways = [[(x[place] - left, y[place]) for place in route] for route in routes]
    width = max((x[p] + half[p] for p in x), default=0.0) - left
    return Layout(centres, ways, width, len(layers) * LAYER_STEP)


def _depths(boxes: Sequence[str], arrows: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the length of the longest path to each box."""
    depth = dict.fromkeys(boxes, 0)
    for _ in boxes:
        deeper = {b: max(depth[b], depth[a] + 1) for a, b in arrows if depth[a] + 1 > depth[b]}
        if not deeper:
            break
        for source, target in arrows:
            depth[target] = max(depth[target], depth[source] + 1)
    return depth


def _columns(
    layers: Sequence[list[Place]], neighbours: Mapping[Place, Sequence[Place]], half: Mapping[Place, float]
) -> dict[Place, float]:
    """Pull each place towards the mean of its neighbours, down and up again, and keep places of a layer apart."""
    x: dict[Place, float] = {}
    for layer in layers:
        x.update({place: 60.0 * index for index, place in enumerate(layer)})
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = {p: sum(x[n] for n in neighbours[p]) / len(neighbours[p]) if neighbours.get(p) else x[p] for p in layer}
            layer.sort(key=wanted.__getitem__)
            right = _packed([wanted[p] for p in layer], [half[p] for p in layer])
            left = [-v for v in reversed(_packed([-wanted[p] for p in reversed(layer)], [half[p] for p in reversed(layer)]))]
            x.update({p: (a + b) / 2 for p, a, b in zip(layer, left, right, strict=True)})
    return x


def _packed(wanted: Sequence[float], half: Sequence[float]) -> list[float]:
    """Push positions to the right until neighbours have a gap between them."""
    placed: list[float] = []
    for index, want in enumerate(wanted):
        least = placed[-1] + half[index - 1] + half[index] + GAP if placed else want
        placed.append(max(want, least))
    return placed
