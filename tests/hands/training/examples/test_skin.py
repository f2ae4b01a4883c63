import cv2
import numpy as np
import pytest

from handheld.hands.training.examples.crops import CropExample, with_other_skin
from handheld.hands.training.examples.mixture import CropMixture
from handheld.hands.training.examples.skin import TONES, draw_tone, hand_mask, with_tone

SIZE = 128
SKIN = (200, 150, 125)
WALL = (90, 110, 140)


@pytest.fixture
def hand():
    """(21, 3) pixels of an upright open hand in the middle of a crop."""
    points = np.zeros((21, 3), np.float32)
    points[0, :2] = 64, 100
    for finger, x in enumerate((40, 50, 60, 70, 80)):
        for joint in range(4):
            points[1 + 4 * finger + joint, :2] = x, 70 - 12 * joint
    return points


@pytest.fixture
def crop(hand):
    """The hand in skin before a wall of another colour."""
    pixels = np.full((SIZE, SIZE, 3), WALL, np.uint8)
    for x, y in hand[:, :2].astype(int).tolist():
        cv2.circle(pixels, (x, y), 7, SKIN, -1)
    hull = cv2.convexHull(hand[[0, 5, 9, 13, 17], :2].astype(np.int32))
    cv2.fillConvexPoly(pixels, hull, SKIN)
    return pixels


def lab(pixels):
    return cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def example(crop, hand):
    points = hand / SIZE
    world = np.full((21, 3), 0.5, np.float32)
    return CropExample(crop, points, world, presence=1.0, handedness=1.0, palm=0.3, group="set")


def test_labels_do_not_move_and_the_seed_decides(crop, hand):
    before = example(crop, hand)
    changed = [with_other_skin(before, np.random.default_rng(seed)) for seed in (3, 3, 4)]
    for after in changed:
        assert np.array_equal(after.points, hand / SIZE)
        assert np.array_equal(after.world, before.world)
        assert (after.presence, after.handedness, after.palm) == (1, 1, 0.3)
    assert np.array_equal(changed[0].pixels, changed[1].pixels)
    assert not np.array_equal(changed[0].pixels, changed[2].pixels)
    assert not np.array_equal(changed[0].pixels, crop)


@pytest.mark.parametrize("tone", TONES)
def test_nothing_beside_the_hand_changes(crop, hand, tone):
    mask = hand_mask(hand, (SIZE, SIZE))
    rng = np.random.default_rng(0)
    # Skin elsewhere too: a face behind the hand, and any other colours.
    crop[:20] = SKIN
    crop[110:] = rng.integers(0, 256, (18, SIZE, 3))
    beside = mask.outer == 0
    assert 0.2 < beside.mean() < 0.9
    after = with_tone(crop, mask, tone)
    assert np.array_equal(after[beside], crop[beside])
    # The wall within the mask is no skin either.
    is_wall = (crop == WALL).all(axis=-1)
    assert np.array_equal(after[is_wall], crop[is_wall])


def test_a_hand_gets_the_tone_as_far_as_its_light_allows(crop, hand):
    mask = hand_mask(hand, (SIZE, SIZE))
    own = lab(crop)[mask.inner].mean(axis=0)
    lightness = []
    for tone in TONES:
        changed = lab(with_tone(crop, mask, tone))[mask.inner].mean(axis=0)
        lightness.append(changed[0])
        # Not by more than 25: a hand that is darker than all shadows around it would be a hole.
        wanted = np.clip(tone[0], own[0] - 25, own[0] + 25)
        assert changed[0] == pytest.approx(wanted, abs=1.5)
    assert np.diff(lightness).max() < 0.1
    assert lightness[0] - lightness[-1] > 30


def test_tones_are_spread_over_the_whole_scale():
    rng = np.random.default_rng(0)
    lightness = np.array([draw_tone(rng)[0] for _ in range(400)])
    assert lightness.min() < 28
    assert lightness.max() > 75
    # A quarter of the draws are of the darkest quarter of the scale.
    quarter = np.interp(4.5, np.arange(7), TONES[:, 0])
    assert np.mean(lightness < quarter) == pytest.approx(0.25, abs=0.06)


def test_without_a_known_palm_nothing_changes(crop, hand):
    hand[9] = np.nan
    mask = hand_mask(hand, (SIZE, SIZE))
    assert not mask.inner.any()
    assert not mask.outer.any()
    assert with_tone(crop, mask, TONES[0]) is crop


def test_keypoints_far_from_any_hand_cover_the_crop_at_most(hand):
    mask = hand_mask((hand - 64) * 1e6 + 64, (SIZE, SIZE))
    assert mask.outer.shape == (SIZE, SIZE)
    assert mask.outer.all()


def test_an_unknown_finger_is_left_out(crop, hand):
    whole = hand_mask(hand, (SIZE, SIZE))
    hand[2:5] = np.nan
    mask = hand_mask(hand, (SIZE, SIZE))
    assert mask.inner.sum() < whole.inner.sum()
    assert mask.inner[45, 50]


def test_a_mixture_changes_tones_unless_it_is_told_not_to(world):
    def first(share):
        options = {"size": 64, "batch": 16, "arm": "real", "empty": 0.0, "skin_tones": share}
        return CropMixture(world.data, world.labels, world.cache, **options)(0)

    plain, toned = first(0.0), first(1.0)
    assert not np.array_equal(plain.pixels, toned.pixels)
    assert np.array_equal(toned.pixels, first(1.0).pixels)
