import numpy as np
import pytest

from handheld.hands.training.examples.ending import MOST_OUTSIDE, draw_end, ended


def ended_within(pixels, keypoints, random):
    return ended(pixels, draw_end(pixels, keypoints, random))


def picture_of_places(height=40, width=60):
    """Each pixel says where it is: x, y, and 0."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)


def hand_in(height=40, width=60, seed=0):
    random = np.random.default_rng(seed)
    return np.column_stack(
        [random.uniform(10, width - 10, 21), random.uniform(10, height - 10, 21), np.zeros(21)]
    )


def is_seen(ended, keypoints):
    """Which keypoints' pixels are where they were."""
    x, y = np.round(keypoints[:, :2]).astype(int).T
    return (ended[y, x, 0] == x) & (ended[y, x, 1] == y)


@pytest.mark.parametrize("seed", range(24))
def test_a_picture_ends_within_the_hand_and_repeats_its_last_pixels(seed):
    pixels = picture_of_places()
    keypoints = hand_in(seed=seed)
    ended = ended_within(pixels, keypoints, np.random.default_rng(seed))
    assert ended.shape == pixels.shape
    assert (~is_seen(ended, keypoints)).sum() <= MOST_OUTSIDE
    # Independent: it is one of the four ways in which a border can be replicated.
    whole = (ended == pixels).all(axis=-1)
    lines = max(whole.all(axis=1).sum(), whole.all(axis=0).sum())
    replicated = [
        np.pad(pixels[:lines], ((0, max(0, 40 - lines)), (0, 0), (0, 0)), mode="edge"),
        np.pad(pixels[-lines:], ((max(0, 40 - lines), 0), (0, 0), (0, 0)), mode="edge"),
        np.pad(pixels[:, :lines], ((0, 0), (0, 60 - lines), (0, 0)), mode="edge"),
        np.pad(pixels[:, -lines:], ((0, 0), (60 - lines, 0), (0, 0)), mode="edge"),
    ]
    assert lines > 0
    assert sum(np.array_equal(ended, one) for one in replicated) == 1


def test_it_ends_on_every_side_and_the_picture_stays_as_it_was():
    pixels = picture_of_places()
    before = pixels.copy()
    ends = set()
    for seed in range(40):
        ended = ended_within(pixels, hand_in(), np.random.default_rng(seed))
        changed = (ended != pixels).any(axis=-1)
        edges = (changed[0], changed[-1], changed[:, 0], changed[:, -1])
        ends.add(tuple(bool(edge.all()) for edge in edges))
    assert len(ends) == 4
    assert np.array_equal(pixels, before)


def test_all_but_one_keypoint_may_be_unknown():
    keypoints = np.full((21, 3), np.nan)
    keypoints[[0, 9]] = [[20, 10, 0], [20, 30, 0]]
    for seed in range(8):
        ended = ended_within(picture_of_places(), keypoints, np.random.default_rng(seed))
        assert not np.array_equal(ended, picture_of_places())


def test_a_hand_beyond_the_picture_leaves_a_line_of_it():
    pixels = picture_of_places()
    ended = ended_within(pixels, hand_in() - (500, 500, 0), np.random.default_rng(1))
    assert ended.shape == pixels.shape
