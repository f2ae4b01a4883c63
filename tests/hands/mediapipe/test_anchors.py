"""Anchors, beside a loop that follows MediaPipe's source step by step."""

from math import ceil, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mediapipe_nodes import calculator, options, side_packets

from handheld.errors import GraphTextError
from handheld.hands.mediapipe.anchors import (
    PyramidAnchors,
    SsdAnchors,
    pyramid_anchors,
    ssd_anchors,
)
from handheld.hands.palm import PalmGeometry, anchor_centres

PALMS = """num_layers: 4 min_scale: 0.1484375 max_scale: 0.75 input_size_width: 192
input_size_height: 192 strides: [8, 16, 16, 16] aspect_ratios: 1.0 fixed_anchor_size: true"""


def made(text):
    words = "calculator: 'SsdAnchorsCalculator' output_side_packet: 'anchors' "
    node = calculator(words + options("SsdAnchorsCalculatorOptions", text))
    return side_packets(node)["0"]


def by_loops(options):
    """One anchor after the other, as ssd_anchors_calculator.cc has it."""
    anchors = []
    strides = options.strides
    low, high = options.scales

    def scale(index):
        if len(strides) == 1:
            return (low + high) / 2
        return low + (high - low) * index / (len(strides) - 1)

    layer = 0
    while layer < len(strides):
        sizes = []
        last = layer
        while last < len(strides) and strides[last] == strides[layer]:
            if last == 0 and options.reduce_boxes_in_lowest_layer:
                sizes += [(0.1, 1.0), (scale(last), 2.0), (scale(last), 0.5)]
            else:
                sizes += [(scale(last), ratio) for ratio in options.aspect_ratios]
                ratio = options.interpolated_scale_aspect_ratio
                if ratio > 0:
                    following = 1.0 if last == len(strides) - 1 else scale(last + 1)
                    sizes.append((sqrt(scale(last) * following), ratio))
            last += 1
        width = ceil(options.input_size[0] / strides[layer])
        height = ceil(options.input_size[1] / strides[layer])
        for y in range(height):
            for x in range(width):
                for side, ratio in sizes:
                    w, h = side * sqrt(ratio), side / sqrt(ratio)
                    if options.fixed_anchor_size:
                        w = h = 1.0
                    anchors.append(
                        ((x + options.offset[0]) / width, (y + options.offset[1]) / height, w, h)
                    )
        layer = last
    return np.array(anchors).reshape(-1, 4)


@given(
    st.builds(
        SsdAnchors,
        input_size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
        strides=st.lists(st.sampled_from([8, 16, 32]), min_size=1, max_size=4).map(tuple),
        scales=st.tuples(st.floats(0.01, 0.5), st.floats(0.5, 1)),
        offset=st.tuples(st.floats(0, 1), st.floats(0, 1)),
        aspect_ratios=st.lists(st.sampled_from([0.5, 1.0, 2.0]), max_size=3).map(tuple),
        reduce_boxes_in_lowest_layer=st.booleans(),
        interpolated_scale_aspect_ratio=st.sampled_from([0.0, 1.0, 3.0]),
        fixed_anchor_size=st.booleans(),
    )
)
def test_anchors_are_those_of_the_loop(options):
    expected = by_loops(options)
    anchors = ssd_anchors(options)
    assert anchors.shape == expected.shape
    assert np.allclose(anchors, expected, atol=1e-6)


def test_the_palm_models_are_the_trackers():
    anchors = made(PALMS)
    assert anchors.dtype == np.float32
    assert np.array_equal(anchors[:, :2], anchor_centres(PalmGeometry()))
    assert (anchors[:, 2:] == 1).all()


def test_a_pyramid_by_hand():
    options = PyramidAnchors(
        input_size=(16, 8), strides=(8,), levels=(3, 3), aspect_ratios=(1.0, 4.0)
    )
    anchors = pyramid_anchors(options) * [16, 8, 16, 8]
    # Two cells across and one down; 32 pixels, four strides; each ratio, and of each two sizes.
    root = 32 * sqrt(2)
    first = [[4, 4, 32, 32], [4, 4, root, root], [4, 4, 64, 16], [4, 4, 2 * root, root / 2]]
    assert np.allclose(anchors[:4], first)
    assert np.allclose(anchors[4:, 0], 12)
    text = """multiscale_anchor_generation: true min_level: 3 max_level: 3 strides: 8
              input_size_width: 16 input_size_height: 8 aspect_ratios: [1, 4]"""
    assert np.array_equal(made(text), pyramid_anchors(options))


def test_fixed_anchors_are_taken_as_they_are():
    text = "fixed_anchors { x_center: 0.5 y_center: 0.25 w: 1 h: 2 } fixed_anchors { x_center: 1 }"
    assert made(text).tolist() == [[0.5, 0.25, 1, 2], [1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("num_layers: 1", "expected strides, or feature_map_width"),
        ("num_layers: 2 strides: 8", "strides: expected one for each of 2 layers, got 1"),
        ("num_layers: 1 strides: 0", "strides"),
        ("num_layers: 1 strides: 8 aspect_ratios: 0", "aspect_ratios: expected numbers above 0"),
        ("num_layers: 1 feature_map_width: 3", "as many heights as widths"),
        ("num_layers: 1 feature_map_width: 3 feature_map_height: 3", "expected one for each"),
        ("fixed_anchors {} num_layers: 3", "num_layers: fixed_anchors leave nothing"),
        ("num_layers: 1 strides: 8 stride: 4", "no option 'stride'"),
    ],
)
def test_options_that_are_wrong_are_told(text, reason):
    with pytest.raises(GraphTextError, match=reason):
        made(text)
