import numpy as np
import pytest

from handheld.pictures import resample, resize


def test_resampling():
    rng = np.random.default_rng(0)
    picture = rng.random((6, 8, 3), np.float32)
    assert resample(picture, (6, 8)) == pytest.approx(picture, abs=1e-6)
    assert resample(np.full((5, 7, 3), 0.3, np.float32), (11, 2)) == pytest.approx(
        np.full((11, 2, 3), 0.3)
    )
    stripes = np.tile(np.array([0.0, 1.0], np.float32)[None, :, None], (4, 32, 3))
    assert (
        np.abs(resample(stripes, (4, 8)) - 0.5).max() < 0.1
    )  # no moiré: every pixel below is seen


@pytest.mark.parametrize("size", [(4, 5), (20, 30), (3, 40)])
def test_both_ways_to_resize_agree(size):
    picture = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    unrounded = resample(picture.astype(np.float32), size)
    assert np.abs(resize(picture, size) - unrounded).max() <= 1.01  # Pillow rounds twice
