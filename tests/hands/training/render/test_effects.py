from dataclasses import replace

import numpy as np
import pytest

from handheld.hands.training.render.effects import CameraEffects, draw_effects, expose

NOTHING = np.zeros((32, 48, 3), np.float32), np.zeros((32, 48), np.float32)
GREY = np.full((32, 48, 3), 100, np.uint8)


def photographed(effects: CameraEffects, background: np.ndarray = GREY) -> np.ndarray:
    return expose(*NOTHING, background, effects)


def test_without_effects_the_hands_lie_over_the_background() -> None:
    colour, coverage = (layer.copy() for layer in NOTHING)
    colour[3, 5] = (200, 100, 50)
    coverage[3, 5] = 1
    colour[4, 5] = (100, 50, 25)
    coverage[4, 5] = 0.5
    picture = expose(colour, coverage, GREY, CameraEffects())
    assert picture[3, 5].tolist() == [200, 100, 50]
    # Half of the hand and half of 100.
    assert picture[4, 5].tolist() == [150, 100, 75]
    picture[3:5, 5] = 100
    np.testing.assert_array_equal(picture, GREY)


def test_motion_smears_the_hands_alone_along_their_way() -> None:
    colour, coverage = (layer.copy() for layer in NOTHING)
    colour[16, 24] = 160
    coverage[16, 24] = 1
    picture = expose(colour, coverage, np.zeros_like(GREY), CameraEffects(motion=(8.0, 0.0)))
    rows, columns = np.nonzero(picture[..., 0])
    assert set(rows) == {16}
    assert columns.min() == 20
    assert columns.max() == 28
    assert picture[..., 0].sum() == pytest.approx(160, abs=9)


@pytest.mark.parametrize(
    ("effects", "expected"),
    [
        (CameraEffects(gain=(1.5, 1.0, 0.5)), [150, 100, 50]),
        # Around 127.5: 127.5 - 27.5 / 2.
        (CameraEffects(contrast=0.5), [114, 114, 114]),
        (CameraEffects(gamma=2.0), [39, 39, 39]),
    ],
)
def test_exposure_is_a_curve_for_each_colour(effects: CameraEffects, expected: list[int]) -> None:
    np.testing.assert_allclose(photographed(effects)[0, 0], expected, atol=1)


def test_noise_has_its_strength_and_is_the_same_again() -> None:
    grey = np.full((256, 256, 3), 128, np.uint8)
    nothing = np.zeros((256, 256, 3), np.float32), np.zeros((256, 256), np.float32)
    effects = CameraEffects(noise=8.0, chroma=0.0, grain=(5, 7))
    noisy = expose(*nothing, grey, effects).astype(float) - 128
    assert noisy.std() == pytest.approx(8, rel=0.1)
    # Without any chroma the three colours have one grain.
    np.testing.assert_allclose(noisy[..., 0], noisy[..., 2], atol=1)
    np.testing.assert_array_equal(expose(*nothing, grey, effects), noisy + 128)
    other = expose(*nothing, grey, replace(effects, grain=(6, 7)))
    assert (other != noisy + 128).any()


def test_pictures_larger_than_the_film_have_grain_too() -> None:
    grey = np.full((1030, 1500, 3), 128, np.uint8)
    nothing = np.zeros((1030, 1500, 3), np.float32), np.zeros((1030, 1500), np.float32)
    noisy = expose(*nothing, grey, CameraEffects(noise=8.0, grain=(1000, 3000)))
    assert noisy[-50:, -50:].std() > 4


def test_blur_softens_and_compression_changes_little() -> None:
    stripes = np.zeros_like(GREY)
    stripes[:, ::2] = 200
    assert photographed(CameraEffects(blur=2.0), stripes).std() < 30
    assert photographed(CameraEffects(pixelation=2.0), stripes).std() < 30
    ramp = np.repeat(np.arange(48, dtype=np.uint8)[None, :, None] * 4, 32, axis=0).repeat(3, axis=2)
    compressed = photographed(CameraEffects(quality=90), ramp).astype(int)
    assert 0 < np.abs(compressed - ramp).mean() < 3


def test_what_a_camera_does_scales_with_the_picture() -> None:
    small = [draw_effects(np.random.default_rng(seed), 128) for seed in range(200)]
    large = [draw_effects(np.random.default_rng(seed), 512) for seed in range(200)]
    for one, other in zip(small, large, strict=True):
        assert other.blur == pytest.approx(4 * one.blur)
        assert other.motion[0] == pytest.approx(4 * one.motion[0])
        assert other.gain == one.gain
    assert 0.15 < np.mean([effects.motion != (0.0, 0.0) for effects in small]) < 0.45
