"""Where the boxes of a drawn graph go: into layers, from top to bottom.

After Sugiyama, Tagawa and Toda (1981). A box lies below every box that feeds it. An arrow that
passes layers gets a waypoint in each, so that it goes around boxes.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import NamedTuple

BOX_HEIGHT = 40.0
LAYER_STEP = 92.0  # from one layer's middle to the next: room for an arrow and its name
GAP = 28.0  # between boxes of a layer

_WAYPOINT_WIDTH = 14.0  # so that arrows past each other can be told apart
_START_STEP = 60.0  # any step will do: the sweeps move everything
_SWEEPS = 8  # down and up four times, after which graphs of our size hardly move any more

Point = tuple[float, float]


class _Waypoint(NamedTuple):
    """Where an arrow passes a layer."""

    arrow: int
    layer: int


_Ends = tuple[str, str]
"""The boxes that an arrow leads from and to."""

_Stop = str | _Waypoint
"""What has a position in a layer: a box, by its name, or a waypoint."""

_Route = list[_Stop]
"""The stops of an arrow, from box to box."""


@dataclass(frozen=True)
class GraphLayout:
    """Where everything is.

    Attributes:
        centres: box -> (x, y).
        routes: of each arrow, the points from the centre of one box to that of the other.
        width: of the drawing.
        height: of the drawing.
    """

    centres: Mapping[str, Point]
    routes: Sequence[Sequence[Point]]
    width: float
    height: float


def lay_out(widths: Mapping[str, float], arrows: Sequence[_Ends]) -> GraphLayout:
    """Choose a position for each box.

    Args:
        widths: box -> width, in an order in which boxes that feed others come first where nothing
            else decides.
        arrows: (from, to), without cycles; each target's arrows may come in any order.
    """
    depths = _depths(widths, arrows)
    routes = _routes(arrows, depths)
    layers = _layers(depths, routes)
    half_widths = _half_widths(widths, layers)
    x = _columns(layers, _neighbours(routes), half_widths)
    left_edge = min((x[stop] - half_widths[stop] for stop in x), default=0.0)
    right_edge = max((x[stop] + half_widths[stop] for stop in x), default=0.0)
    points: dict[_Stop, Point] = {}
    for number, layer in enumerate(layers):
        y = (number + 0.5) * LAYER_STEP
        for stop in layer:
            points[stop] = (x[stop] - left_edge, y)
    return GraphLayout(
        centres={box: points[box] for box in widths},
        routes=[[points[stop] for stop in route] for route in routes],
        width=right_edge - left_edge,
        height=len(layers) * LAYER_STEP,
    )


def _depths(boxes: Iterable[str], arrows: Sequence[_Ends]) -> dict[str, int]:
    """Return the length of the longest path to each box."""
    depths = dict.fromkeys(boxes, 0)
    # No path is longer than there are boxes, so this ends whatever the arrows are.
    for _ in range(len(depths)):
        changed = False
        for source, target in arrows:
            if depths[target] <= depths[source]:
                depths[target] = depths[source] + 1
                changed = True
        if not changed:
            break
    return depths


def _routes(arrows: Sequence[_Ends], depths: Mapping[str, int]) -> list[_Route]:
    """Return the stops of each arrow: one in each layer from box to box."""
    routes: list[_Route] = []
    for number, (source, target) in enumerate(arrows):
        between = range(depths[source] + 1, depths[target])
        waypoints = [_Waypoint(number, layer) for layer in between]
        routes.append([source, *waypoints, target])
    return routes


def _half_widths(
    widths: Mapping[str, float],
    layers: Sequence[Sequence[_Stop]],
) -> dict[_Stop, float]:
    half_widths: dict[_Stop, float] = {}
    for layer in layers:
        for stop in layer:
            if isinstance(stop, _Waypoint):
                half_widths[stop] = _WAYPOINT_WIDTH / 2
            else:
                half_widths[stop] = widths[stop] / 2
    return half_widths


def _layers(depths: Mapping[str, int], routes: Sequence[_Route]) -> list[list[_Stop]]:
    """Return the stops of each layer, from left to right as they come."""
    deepest = max(depths.values(), default=0)
    layers: list[list[_Stop]] = [[] for _ in range(deepest + 1)]
    for box, layer in depths.items():
        layers[layer].append(box)
    for route in routes:
        for stop in route:
            if isinstance(stop, _Waypoint):
                layers[stop.layer].append(stop)
    return layers


def _neighbours(routes: Sequence[_Route]) -> Mapping[_Stop, Sequence[_Stop]]:
    """Return the stops before and behind each stop, on all of its routes."""
    neighbours: dict[_Stop, list[_Stop]] = defaultdict(list)
    for route in routes:
        for above, below in pairwise(route):
            neighbours[above].append(below)
            neighbours[below].append(above)
    return neighbours


def _columns(
    layers: Sequence[list[_Stop]],
    neighbours: Mapping[_Stop, Sequence[_Stop]],
    half_widths: Mapping[_Stop, float],
) -> dict[_Stop, float]:
    """Return an x for each stop, near those of its neighbours; ``layers`` are sorted by it."""
    x: dict[_Stop, float] = {}
    for layer in layers:
        for index, stop in enumerate(layer):
            x[stop] = _START_STEP * index
    for sweep in range(_SWEEPS):
        # Down and up in turn, so that a box goes by those that it feeds as well as by those that
        # feed it.
        order = layers if sweep % 2 == 0 else reversed(layers)
        for layer in order:
            pulled = {stop: _pulled(stop, neighbours, x) for stop in layer}
            # Stable, so that stops pulled to one place stay in the order that they were in.
            layer.sort(key=pulled.__getitem__)
            # To both sides alike: to the left is to the right in a mirror.
            pushed = _pushed(layer, pulled, half_widths)
            mirrored = {stop: -position for stop, position in pulled.items()}
            pushed_left = _pushed(layer[::-1], mirrored, half_widths)
            for stop in layer:
                x[stop] = (pushed[stop] - pushed_left[stop]) / 2
    return x


def _pulled(
    stop: _Stop, neighbours: Mapping[_Stop, Sequence[_Stop]], x: Mapping[_Stop, float]
) -> float:
    """Return the mean of the neighbours' positions; where there are none, a stop stays."""
    around = neighbours.get(stop)
    if not around:
        return x[stop]
    return sum(x[neighbour] for neighbour in around) / len(around)


def _pushed(
    layer: Sequence[_Stop],
    positions: Mapping[_Stop, float],
    half_widths: Mapping[_Stop, float],
) -> dict[_Stop, float]:
    """Push the stops of a layer to the right until neighbours have a gap between them."""
    pushed: dict[_Stop, float] = {}
    right_edge = -inf  # of the stop before
    for stop in layer:
        pushed[stop] = max(positions[stop], right_edge + half_widths[stop] + GAP)
        right_edge = pushed[stop] + half_widths[stop]
    return pushed
