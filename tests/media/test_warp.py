from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.errors import InputError
from handheld.media import Rect, crop, letterbox

PICTURE = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


def test_a_crop_at_scale_one_is_a_slice():
    assert np.array_equal(crop(PICTURE, Rect(4, 3, 4, 2), (2, 4)), PICTURE[2:4, 2:6])


def test_beyond_the_border_it_is_black_or_the_nearest_pixel():
    outside = Rect(-1, 3, 2, 2)
    assert not crop(PICTURE, outside, (2, 2)).any()
    assert np.array_equal(crop(PICTURE, outside, (2, 2), border="replicate")[:, 0], PICTURE[2:4, 0])


@pytest.mark.parametrize("border", ["constant", "", None])
def test_another_border_is_not_taken_for_black(border):
    with pytest.raises(InputError, match="border: expected black or replicate"):
        crop(PICTURE, Rect(4, 3, 4, 2), (2, 4), border=border)


def test_a_quarter_turn():
    turned = crop(PICTURE, Rect(3, 3, 4, 4, pi / 2), (4, 4))
    # The crop's right is the picture's down, its down the picture's left.
    assert np.array_equal(turned[0, 1:], PICTURE[2:5, 5])


def test_halving_samples_every_other_pixel():
    assert np.array_equal(crop(PICTURE, Rect(4, 3, 8, 6), (3, 4)), PICTURE[::2, ::2])


def test_corners_and_matrix_agree():
    rect = Rect(10, 20, 4, 2, pi / 6)
    assert rect.corners.mean(axis=0) == pytest.approx([10, 20])
    assert np.linalg.norm(rect.corners[1] - rect.corners[0]) == pytest.approx(4)
    assert np.linalg.norm(rect.corners[2] - rect.corners[1]) == pytest.approx(2)
    assert rect.matrix @ [0.5, 0.5, 1] == pytest.approx([10, 20])


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(4, 8, Rect(4, 2, 8, 8)), (9, 3, Rect(1.5, 4.5, 9, 9)), (1, 1, Rect(0.5, 0.5, 1, 1))],
)
def test_letterbox(height, width, expected):
    assert letterbox(height, width) == expected


@given(
    x=st.floats(-60, 160),
    y=st.floats(-60, 120),
    side=st.floats(1, 300),
    angle=st.floats(-pi, pi),
    border=st.sampled_from(["black", "replicate"]),
)
def test_the_short_way_for_small_crops_gives_what_the_long_way_gives(x, y, side, angle, border):
    image = np.random.default_rng(0).integers(0, 256, (60, 100, 3), np.uint8)
    rect, size = Rect(x, y, side, side, angle), (32, 32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("handheld.media.warp._SMALL", 0)
        long = crop(image, rect, size, border=border)
        patch.setattr("handheld.media.warp._SMALL", 1e9)
        short = crop(image, rect, size, border=border)
    assert np.abs(long.astype(int) - short).max() <= 1


@pytest.mark.parametrize("shape", [(40, 70_000), (70_000, 40)])
def test_a_side_that_opencv_cannot_count_is_warped_all_the_same(shape):
    image = np.zeros((*shape, 3), np.uint8)
    half = image[:, 35_000:] if shape[1] > shape[0] else image[35_000:]
    half[:] = 200
    shown = crop(image, Rect(shape[1] / 2, shape[0] / 2, shape[1], shape[0]), (64, 64))
    first, second = (
        (shown[32, 10], shown[32, 54]) if shape[1] > shape[0] else (shown[10, 32], shown[54, 32])
    )
    assert first.tolist() == [0, 0, 0]
    assert second.tolist() == [200, 200, 200]
