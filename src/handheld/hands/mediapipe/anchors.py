"""Anchors of single-shot detectors, as MediaPipe's ``SsdAnchorsCalculator`` lays them out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby, product
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.graph import Calculator
from handheld.graph.text import NodeText, OptionReader, read_options
from handheld.hands.boxes import grid_centres
from handheld.hands.mediapipe.nodes import SideCalculator

Anchors = NDArray[np.float32]
"""(n, 4): x and y of centres, widths, heights, in 0 to 1."""

# Of the first layer with reduce_boxes_in_lowest_layer: aspect ratio, and scale where it is fixed.
_LOWEST_LAYER = ((1.0, 0.1), (2.0, None), (0.5, None))


@dataclass(frozen=True)
class SsdAnchors:
    """The options of ``SsdAnchorsCalculator``, by their names there.

    Attributes:
        input_size: width and height of the model's input.
        maps: cells across and down, for each layer; empty takes them from the strides.
        strides: pixels from one cell to the next, for each layer.
        scales: of the first layer and of the last.
        offset: of a centre within its cell, x and y, in cells.
        aspect_ratios: an anchor in each cell for each.
        reduce_boxes_in_lowest_layer: three boxes in the first layer.
        interpolated_scale_aspect_ratio: of one more anchor, of a size between this layer's and the
            next one's; 0 for none.
        fixed_anchor_size: all are as large as the picture.
    """

    input_size: tuple[int, int] = (0, 0)
    maps: tuple[tuple[int, int], ...] = ()
    strides: tuple[int, ...] = ()
    scales: tuple[float, float] = (0.0, 0.0)
    offset: tuple[float, float] = (0.5, 0.5)
    aspect_ratios: tuple[float, ...] = ()
    reduce_boxes_in_lowest_layer: bool = False
    interpolated_scale_aspect_ratio: float = 1.0
    fixed_anchor_size: bool = False


@dataclass(frozen=True)
class PyramidAnchors:
    """The options of ``multiscale_anchor_generation`` (RetinaNet, arXiv 1708.02002).

    Attributes:
        input_size: width and height of the model's input.
        maps: cells across and down, for each level; empty takes them from the strides.
        strides: for each level.
        levels: the first and the last, both included: strides of anchors are powers of two.
        anchor_scale: side of an anchor, in strides.
        scales_per_octave: sizes from one level to the next.
        aspect_ratios: an anchor for each, at each size.
        normalize_coordinates: relative to the input; else in pixels.
    """

    input_size: tuple[int, int] = (0, 0)
    maps: tuple[tuple[int, int], ...] = ()
    strides: tuple[int, ...] = ()
    levels: tuple[int, int] = (3, 7)
    anchor_scale: float = 4.0
    scales_per_octave: int = 2
    aspect_ratios: tuple[float, ...] = ()
    normalize_coordinates: bool = True


def ssd_anchors(options: SsdAnchors) -> Anchors:
    """Return the anchors of all layers; layers of one stride that follow each other share cells."""
    layers = range(len(options.strides) or len(options.maps))
    if not options.strides:
        # As MediaPipe has it, which looks for sizes by strides alone.
        raise InputError("strides: expected one for each layer")
    grids: list[Anchors] = []
    for _, same in groupby(layers, key=options.strides.__getitem__):
        numbers = list(same)
        sizes = np.array([*chain.from_iterable(_sizes(options, layer) for layer in numbers)])
        if not len(sizes):
            continue
        columns, rows = _cells(options, numbers[0])
        centres = grid_centres(columns, rows, len(sizes), offset=options.offset)
        tiled = np.tile(sizes.astype(np.float32), (columns * rows, 1))
        if options.fixed_anchor_size:
            tiled = np.ones_like(tiled)
        grids.append(np.concatenate([centres, tiled], axis=1))
    if not grids:
        return np.zeros((0, 4), np.float32)
    return np.concatenate(grids)


def _sizes(options: SsdAnchors, layer: int) -> Iterator[tuple[float, float]]:
    """Yield the widths and heights of a layer's anchors."""
    scale = _scale(options, layer)
    if layer == 0 and options.reduce_boxes_in_lowest_layer:
        for ratio, fixed in _LOWEST_LAYER:
            yield _size(scale if fixed is None else fixed, ratio)
        return
    for ratio in options.aspect_ratios:
        yield _size(scale, ratio)
    if options.interpolated_scale_aspect_ratio > 0:
        # Behind the last layer MediaPipe takes the whole picture.
        following = 1.0
        if layer < len(options.strides) - 1:
            following = _scale(options, layer + 1)
        yield _size(sqrt(scale * following), options.interpolated_scale_aspect_ratio)


def _size(scale: float, ratio: float) -> tuple[float, float]:
    root = sqrt(ratio)
    return scale * root, scale / root


def _scale(options: SsdAnchors, layer: int) -> float:
    smallest, largest = options.scales
    if len(options.strides) == 1:
        return (smallest + largest) / 2
    return smallest + (largest - smallest) * layer / (len(options.strides) - 1)


def _cells(options: SsdAnchors | PyramidAnchors, layer: int) -> tuple[int, int]:
    if options.maps:
        return options.maps[layer]
    stride = options.strides[layer]
    width, height = options.input_size
    return ceil(width / stride), ceil(height / stride)


def pyramid_anchors(options: PyramidAnchors) -> Anchors:
    """Return the anchors of all levels: at each cell all ratios, and of each all sizes."""
    grids: list[Anchors] = []
    first, last = options.levels
    octave = [2 ** (step / options.scales_per_octave) for step in range(options.scales_per_octave)]
    for number, level in enumerate(range(first, last + 1)):
        stride = 2.0**level
        base = stride * options.anchor_scale
        pairs = list(product(options.aspect_ratios, octave))
        sizes = np.array([_size(base * scale, ratio) for ratio, scale in pairs]).reshape(-1, 2)
        columns, rows = _cells(options, number)
        # As TensorFlow's multiscale_grid_anchor_generator: where a stride does not divide a side,
        # the first cell is centred on its edge.
        offset = [
            stride / 2 if side % 2**level == 0 or side == 1 else 0.0 for side in options.input_size
        ]
        across = np.arange(columns) * stride + offset[0]
        down = np.arange(rows) * stride + offset[1]
        centres = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
        centres = np.repeat(centres, len(sizes), axis=0)
        anchors = np.concatenate([centres, np.tile(sizes, (columns * rows, 1))], axis=1)
        if options.normalize_coordinates:
            anchors = anchors / np.array([*options.input_size, *options.input_size])
        grids.append(anchors.astype(np.float32))
    return np.concatenate(grids)


def ssd_anchors_calculator(node: NodeText) -> Calculator:
    """Make an ``SsdAnchorsCalculator``."""
    with read_options(node, "SsdAnchorsCalculatorOptions") as options:
        anchors = _anchors(options)
    return SideCalculator(partial(_side, anchors=anchors), outputs={"0": np.ndarray})


def _side(side: Mapping[str, Any], anchors: Anchors) -> dict[str, Anchors]:
    return {"0": anchors}


_GENERATING = ("input_size_width", "input_size_height", "min_scale", "max_scale", "num_layers")


def _anchors(options: OptionReader) -> Anchors:
    if options.has("fixed_anchors"):
        return _fixed_anchors(options)
    is_pyramid = options.flag("multiscale_anchor_generation")
    pyramid = _pyramid(options)
    ssd = _ssd(options)
    layers = options.whole("num_layers", 0, low=0)
    if is_pyramid:
        # Its levels say how many there are, whatever ``num_layers`` says.
        first, last = pyramid.levels
        layers = last - first + 1
    _require_layers(options, ssd, layers)
    try:
        if is_pyramid:
            return pyramid_anchors(pyramid)
        return ssd_anchors(ssd)
    except InputError as error:
        raise options.located("strides", str(error)) from error


def _require_layers(options: OptionReader, ssd: SsdAnchors, layers: int) -> None:
    """Raise an error unless each layer has a stride or a feature map, and no other has one."""
    for name, values in (("strides", ssd.strides), ("feature_map_width", ssd.maps)):
        if values and len(values) != layers:
            reason = f"{name}: expected one for each of {layers} layers, got {len(values)}"
            raise options.located(name, reason)
    if not ssd.strides and not ssd.maps:
        raise options.located("strides", "expected strides, or feature_map_width and _height")


def _fixed_anchors(options: OptionReader) -> Anchors:
    for name in (*_GENERATING, "multiscale_anchor_generation"):
        if options.has(name):
            raise options.located(name, f"{name}: fixed_anchors leave nothing to generate")
    rows: list[tuple[float, ...]] = []
    for anchor in options.messages("fixed_anchors"):
        with anchor:
            rows.append(tuple(anchor.number(name) for name in ("x_center", "y_center", "w", "h")))
    return np.array(rows, np.float32)


def _maps(options: OptionReader) -> tuple[tuple[int, int], ...]:
    widths = options.wholes("feature_map_width", low=1)
    heights = options.wholes("feature_map_height", low=1)
    if len(widths) != len(heights):
        reason = f"expected as many heights as widths of feature maps, {len(widths)}"
        raise options.located("feature_map_height", reason)
    return tuple(zip(widths, heights, strict=True))


def _input_size(options: OptionReader) -> tuple[int, int]:
    width = options.whole("input_size_width", 0, low=0)
    return width, options.whole("input_size_height", 0, low=0)


def _ssd(options: OptionReader) -> SsdAnchors:
    return SsdAnchors(
        input_size=_input_size(options),
        maps=_maps(options),
        strides=options.wholes("strides", low=1),
        scales=(options.number("min_scale"), options.number("max_scale")),
        offset=(options.number("anchor_offset_x", 0.5), options.number("anchor_offset_y", 0.5)),
        aspect_ratios=_positive(options, "aspect_ratios"),
        reduce_boxes_in_lowest_layer=options.flag("reduce_boxes_in_lowest_layer"),
        interpolated_scale_aspect_ratio=options.number("interpolated_scale_aspect_ratio", 1.0),
        fixed_anchor_size=options.flag("fixed_anchor_size"),
    )


def _pyramid(options: OptionReader) -> PyramidAnchors:
    first = options.whole("min_level", 3, low=0, high=30)
    return PyramidAnchors(
        input_size=_input_size(options),
        maps=_maps(options),
        strides=options.wholes("strides", low=1),
        levels=(first, options.whole("max_level", max(7, first), low=first, high=30)),
        anchor_scale=options.number("anchor_scale", 4.0),
        scales_per_octave=options.whole("scales_per_octave", 2, low=1),
        aspect_ratios=_positive(options, "aspect_ratios"),
        normalize_coordinates=options.flag("normalize_coordinates", True),
    )


def _positive(options: OptionReader, name: str) -> tuple[float, ...]:
    values = options.numbers(name)
    if any(value <= 0 for value in values):
        raise options.located(name, f"{name}: expected numbers above 0, got {values}")
    return values
