from dataclasses import replace
from math import pi

import cv2
import numpy as np
import pytest
from tests.hands.training.conftest import draw, open_hand

from handheld.hands.training.examples.crops import (
    Jitter,
    detection_region,
    hand_crop,
    into_region,
    labelled_crop,
    mirrored,
    tracking_region,
)
from handheld.hands.training.labels import LabelledHand
from handheld.media import Rect

STILL = Jitter(0, 0, 0, 0)


def labelled(points):
    return LabelledHand(points, source="teacher", world=points / 1000, handedness="Right")


def test_points_are_fractions_of_the_region_and_turn_with_it():
    points = np.zeros((21, 3), np.float32)
    points[1] = 60, 40, 5
    inside = into_region(points, Rect(50, 40, 40, 40, 0.0))
    assert inside[1].tolist() == pytest.approx([0.75, 0.5, 0.125])
    # Turned by a quarter to the right, what was right is above.
    assert into_region(points, Rect(50, 40, 40, 40, pi / 2))[1, :2].tolist() == pytest.approx(
        [0.5, 0.25]
    )


def test_a_keypoint_is_where_the_crop_shows_it():
    """A single bright pixel at the index tip stays under the keypoint in a turned crop, and in its
    mirror.
    """
    points = open_hand(60, 110, 40)
    points[8, :2] = 47, 31
    pixels = np.zeros((130, 130, 3), np.uint8)
    cv2.circle(pixels, (47, 31), 2, (255, 255, 255), -1)
    region = replace(tracking_region(points), angle=0.5)
    for example in (
        labelled_crop(pixels, labelled(points), region, 128),
        mirrored(labelled_crop(pixels, labelled(points), region, 128)),
    ):
        light = example.pixels[..., 0].astype(float)
        rows, columns = np.mgrid[:128, :128]
        seen = np.array([(columns * light).sum(), (rows * light).sum()]) / light.sum()
        assert seen == pytest.approx(example.points[8, :2] * 128, abs=0.3)


def test_a_mirror_swaps_the_side_and_the_axis():
    example = labelled_crop(
        draw(open_hand(80, 100, 40)), labelled(open_hand(80, 100, 40)), Rect(80, 60, 160, 160), 64
    )
    other = mirrored(example)
    assert (example.handedness, other.handedness) == (1.0, 0.0)
    assert np.allclose(other.world, example.world * [-1, 1, 1])
    assert np.array_equal(mirrored(other).pixels, example.pixels)


def test_half_a_hand_is_no_hand_and_teaches_no_places():
    points = open_hand(80, 100, 40)
    whole = labelled_crop(draw(points), labelled(points), tracking_region(points), 64)
    assert whole.presence == 1
    assert np.isfinite(whole.points).all()
    off = replace(tracking_region(points), x=300)
    missed = labelled_crop(draw(points), labelled(points), off, 64)
    assert missed.presence == 0
    assert np.isnan(missed.points).all()
    assert np.isnan(missed.handedness)
    partly = replace(
        tracking_region(points), x=tracking_region(points).x + 0.58 * tracking_region(points).width
    )
    assert np.isnan(labelled_crop(draw(points), labelled(points), partly, 64).presence)


def test_crops_follow_the_tracker_s_two_conventions():
    points = open_hand(80, 100, 40)
    regions = {
        tuple(np.round(into_region(points, region(points))[9, :2], 4))
        for region in (tracking_region, detection_region)
    }
    rng = np.random.default_rng(0)
    crops = [
        hand_crop(draw(points), labelled(points), 64, rng, jitter=STILL, mirror=False)
        for _ in range(20)
    ]
    assert {tuple(np.round(crop.points[9, :2], 4)) for crop in crops} == regions


def test_where_a_hand_is_absent_none_comes_in_by_the_border(monkeypatch):
    """A region beside a hand and over the picture's border: reflected, it would show a hand."""
    points = open_hand(60, 110, 30)
    pixels = draw(points, 130, 130)
    beside = replace(tracking_region(points), x=60.0, y=175.0, angle=0.0)
    around = replace(tracking_region(points), angle=0.0)
    borders = {}

    def counted(*arguments, **options):
        borders.setdefault(place, set()).add(options["borderMode"])
        return warped(*arguments, **options)

    warped = cv2.warpAffine
    monkeypatch.setattr(cv2, "warpAffine", counted)
    for seed in range(60):
        for place, region in (("beside", beside), ("around", around)):
            rng = np.random.default_rng(seed)
            example = labelled_crop(pixels, labelled(points), region, 64, rng)
            assert example.presence == (place == "around")
    assert borders["beside"] == {cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT}
    assert borders["around"] == {cv2.BORDER_REFLECT_101, *borders["beside"]}
